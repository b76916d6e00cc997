//! The choice of a backend: the one that the environment names, or else the fastest that the CPU has.

use super::{Avx2, Avx512, Backend, MAX_LANES, Portable, Task};
use std::ffi::OsString;
use std::sync::OnceLock;
use std::{env, fmt};

/// The environment variable that forces a backend.
const VARIABLE: &str = "SEEDBED_BACKEND";

/// A backend that this CPU has.
#[derive(Clone, Copy, Debug)]
enum Available {
    Portable(Portable<MAX_LANES>),
    Avx2(Avx2),
    Avx512(Avx512),
}

impl Available {
    /// All backends that this CPU has, the slowest first. Every CPU has the first one.
    fn all() -> Vec<Self> {
        let all = [Some(Self::Portable(Portable)), Avx2::detect().map(Self::Avx2), Avx512::detect().map(Self::Avx512)];
        all.into_iter().flatten().collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Portable(_) => "portable",
            Self::Avx2(_) => "avx2",
            Self::Avx512(_) => "avx512",
        }
    }

    fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            Self::Portable(backend) => backend.vectorize(task),
            Self::Avx2(backend) => backend.vectorize(task),
            Self::Avx512(backend) => backend.vectorize(task),
        }
    }
}

/// The environment variable has a name that is not one of this CPU's backends.
#[derive(Clone, Debug)]
pub struct Unavailable(OsString);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Available::all().into_iter().map(Available::name).collect();
        let (names, received) = (names.join(", "), self.0.display());
        write!(f, "{VARIABLE} must be one of {names} (those this CPU has). Received: '{received}'")
    }
}

/// The backend with the name `wanted`, or the fastest one if that is `None`.
fn choose(wanted: Option<OsString>) -> Result<Available, Unavailable> {
    let mut all = Available::all();
    match wanted {
        None => Ok(all.pop().expect("every CPU has the portable backend")),
        Some(wanted) => all.into_iter().find(|backend| wanted == backend.name()).ok_or(Unavailable(wanted)),
    }
}

/// The backend of this process. It is chosen at the first use.
fn chosen() -> Result<Available, &'static Unavailable> {
    static CHOSEN: OnceLock<Result<Available, Unavailable>> = OnceLock::new();
    CHOSEN.get_or_init(|| choose(env::var_os(VARIABLE))).as_ref().copied()
}

/// The name of the backend that [`run`] uses.
#[cfg(feature = "python")]
pub fn name() -> Result<&'static str, &'static Unavailable> {
    chosen().map(Available::name)
}

/// Run `task` on the backend that the environment names, or on the fastest that this CPU has.
///
/// # Panics
///
/// If the environment names a backend that this CPU does not have. The functions of the extension module call `name`
/// first, which returns that as an error.
pub fn run<T: Task>(task: T) -> T::Output {
    chosen().unwrap_or_else(|error| panic!("{error}")).run(task)
}

/// Run `task` on scalars and on every backend that this CPU has, and return the results with the names, scalars first.
#[cfg(test)]
pub fn on_each<T: Task + Copy>(task: T) -> Vec<(&'static str, T::Output)> {
    let scalar = ("scalar", Portable::<1>.vectorize(task));
    let vectors = Available::all().into_iter().map(|backend| (backend.name(), backend.run(task)));
    std::iter::once(scalar).chain(vectors).collect()
}

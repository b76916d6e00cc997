//! Arbitrary input, for as long as asked, after what is in `fuzz/corpus`.
//!
//! `SEEDBED_FUZZ_SECONDS` says for how long (5 without it), `SEEDBED_FUZZ_SEED` where to begin. A case is a function of the
//! seed and its number, which are told where one fails: `SEEDBED_FUZZ_SEED=<seed> SEEDBED_FUZZ_CASE=<case>` runs that one.

mod cases;

use cases::Choices;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

/// Tells which case it was when it is dropped in a panic.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again with {}", self.0);
        }
    }
}

fn asked(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{variable} must be a whole number")))
}

fn fuzz(name: &str, case: impl Fn(Choices<'_>)) {
    let seed = asked("SEEDBED_FUZZ_SEED").unwrap_or(1);
    let end = Instant::now() + Duration::from_secs(asked("SEEDBED_FUZZ_SECONDS").unwrap_or(5));
    let one = |number| {
        let _told = Told(format!("SEEDBED_FUZZ_SEED={seed} SEEDBED_FUZZ_CASE={number}"));
        case(Choices::Drawn(Choices::Drawn(seed).word().wrapping_add(number)));
    };
    if let Some(number) = asked("SEEDBED_FUZZ_CASE") {
        return one(number);
    }
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    for entry in fs::read_dir(corpus).into_iter().flatten() {
        let path = entry.expect("a file").path();
        let _told = Told(path.display().to_string());
        case(Choices::Read(&fs::read(path).expect("a file that can be read")));
    }
    let cases =
        (0..).take_while(|number| *number < 1000 || Instant::now() < end).inspect(|&number| one(number)).count();
    println!("{cases} cases");
}

#[test]
fn any_axes_are_a_region_with_the_right_elements_or_an_error() {
    fuzz("region", cases::region);
}

#[test]
fn any_parameters_have_values_within_their_bounds_or_an_error() {
    fuzz("parameters", cases::parameters);
}

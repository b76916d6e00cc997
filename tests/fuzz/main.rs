//! Cases with arbitrary input: first those of the corpus in `fuzz/corpus`, then pseudorandom ones for some time.
//!
//! The environment may set the time (`SEEDBED_FUZZ_SECONDS`, by default 5) and the seed (`SEEDBED_FUZZ_SEED`, by
//! default 1). Seed and number determine a case. A failure prints both as `SEEDBED_FUZZ_SEED=<seed>
//! SEEDBED_FUZZ_CASE=<case>`. With these variables, the program runs that case alone.

mod cases;

use cases::Choices;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

/// Prints how to repeat the case if a panic drops it.
struct PrintedOnPanic(String);

impl Drop for PrintedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with {}", self.0);
        }
    }
}

/// The number in an environment variable, or `None` if it is not set.
fn number_in(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{variable} must be a whole number")))
}

/// Run `case` on the files of the corpus `name`, then on pseudorandom choices.
fn fuzz(name: &str, case: impl Fn(Choices<'_>)) {
    let seed = number_in("SEEDBED_FUZZ_SEED").unwrap_or(1);
    let end = Instant::now() + Duration::from_secs(number_in("SEEDBED_FUZZ_SECONDS").unwrap_or(5));
    let one = |number| {
        let _printed = PrintedOnPanic(format!("SEEDBED_FUZZ_SEED={seed} SEEDBED_FUZZ_CASE={number}"));
        case(Choices::Drawn(Choices::Drawn(seed).word().wrapping_add(number)));
    };
    if let Some(number) = number_in("SEEDBED_FUZZ_CASE") {
        return one(number);
    }
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    for entry in fs::read_dir(corpus).into_iter().flatten() {
        let path = entry.expect("a file").path();
        let _printed = PrintedOnPanic(path.display().to_string());
        case(Choices::Read(&fs::read(path).expect("a file that can be read")));
    }
    let cases =
        (0..).take_while(|number| *number < 1000 || Instant::now() < end).inspect(|&number| one(number)).count();
    println!("{cases} cases");
}

#[test]
fn any_axes_give_the_right_elements_or_an_error() {
    fuzz("region", cases::region);
}

#[test]
fn any_parameters_give_values_within_bounds_or_an_error() {
    fuzz("parameters", cases::parameters);
}

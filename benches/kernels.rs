//! Cycles per value of the inner loops: one core, memory that stays in the cache, each backend that this CPU has.
//!
//!     cargo bench --bench kernels [-- words|uniform|truncated|normal|float32|avx2|...]
//!
//! A process chooses its backend once, so each backend runs in its own process. The clock is measured at the start, by
//! a chain of dependent instructions. If it changes during a run, the cycles are wrong by the same factor.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput};
use half::{bf16, f16};
use seedbed::element::Element;
use seedbed::fill::Fill;
use seedbed::keystream::Keystream;
use seedbed::recipe::{Distribution, Recipe};
use seedbed::region::Region;
use std::hint::black_box;
use std::num::NonZero;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, panic};

const BACKENDS: [&str; 3] = ["portable", "avx2", "avx512"];
const VARIABLE: &str = "SEEDBED_BACKEND";

/// Number of values of one iteration.
const VALUES: usize = 1 << 13;

const DISTRIBUTIONS: [(&str, Distribution); 6] = [
    ("uniform", Distribution::Uniform { minval: -0.02, maxval: 0.02 }),
    ("truncated_normal", Distribution::TruncatedNormal { mean: 0.0, stddev: 0.02 }),
    ("normal", Distribution::Normal { mean: 0.0, stddev: 0.02 }),
    ("between", Distribution::NormalBetween { mean: 0.0, stddev: 0.02, lower: -3.0, upper: 2.5 }),
    ("above", Distribution::NormalBetween { mean: 0.0, stddev: 0.02, lower: 0.5, upper: f64::INFINITY }),
    ("tail", Distribution::NormalBetween { mean: 0.0, stddev: 0.02, lower: 6.0, upper: 7.0 }),
];

/// Time, reported as cycles per value and as values per second.
struct PerValue {
    wall: WallTime,
    gigahertz: f64,
}

impl Measurement for PerValue {
    type Intermediate = Instant;
    type Value = Duration;

    fn start(&self) -> Instant {
        self.wall.start()
    }
    fn end(&self, start: Instant) -> Duration {
        self.wall.end(start)
    }
    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        self.wall.add(a, b)
    }
    fn zero(&self) -> Duration {
        self.wall.zero()
    }
    fn to_f64(&self, value: &Duration) -> f64 {
        self.wall.to_f64(value)
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

impl ValueFormatter for PerValue {
    /// Nanoseconds of an iteration to cycles of a value.
    fn scale_values(&self, _: f64, values: &mut [f64]) -> &'static str {
        values.iter_mut().for_each(|value| *value *= self.gigahertz / VALUES as f64);
        "cycles/value"
    }
    fn scale_throughputs(&self, _: f64, _: &Throughput, values: &mut [f64]) -> &'static str {
        values.iter_mut().for_each(|value| *value = VALUES as f64 / *value);
        "G values/s"
    }
    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "ns"
    }
}

/// The clock rate in GHz, by a chain of shifts and exclusive ors, each of which takes one cycle and waits for the one
/// before.
fn gigahertz() -> f64 {
    const STEPS: u32 = 100_000;
    let chain = || {
        let start = Instant::now();
        let mut x = black_box(1u64);
        for _ in 0..STEPS {
            x ^= x << 7;
            x ^= x >> 9;
        }
        black_box(x);
        start.elapsed().as_secs_f64()
    };
    f64::from(4 * STEPS) * 1e-9 / (0..200).map(|_| chain()).fold(f64::INFINITY, f64::min)
}

fn values<T: Element>(criterion: &mut Criterion<PerValue>, backend: &str) {
    let region = Region::whole(&[VALUES as u64]).expect("a small region");
    for (name, distribution) in DISTRIBUTIONS {
        let recipe = Recipe::new::<T>(distribution).expect("a recipe");
        let mut group = criterion.benchmark_group(format!("{backend}/{name}"));
        group.throughput(Throughput::Elements(VALUES as u64));
        let mut out = vec![T::default(); VALUES];
        let mut stream = 0;
        group.bench_function(T::NAME, |bencher| {
            bencher.iter(|| {
                stream += 1;
                let fill = Fill { keystream: Keystream::new([42; 32], stream), recipe, region: &region };
                fill.run(black_box(&mut out), NonZero::<usize>::MIN, || true).expect("not interrupted");
            });
        });
        group.finish();
    }
}

fn words(criterion: &mut Criterion<PerValue>, backend: &str) {
    let mut group = criterion.benchmark_group(backend);
    group.throughput(Throughput::Elements(VALUES as u64));
    let mut out = vec![0; VALUES];
    let mut stream = 0;
    group.bench_function("words", |bencher| {
        bencher.iter(|| {
            stream += 1;
            Keystream::new([42; 32], stream).words(0, black_box(&mut out));
        });
    });
    group.finish();
}

fn one_backend(backend: &str) {
    let measurement = PerValue { wall: WallTime, gigahertz: gigahertz() };
    println!("{backend}: one cycle is {:.3} ns", 1.0 / measurement.gigahertz);
    let mut criterion = Criterion::default()
        .with_measurement(measurement)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(40)
        .configure_from_args();
    words(&mut criterion, backend);
    values::<f32>(&mut criterion, backend);
    values::<f64>(&mut criterion, backend);
    values::<f16>(&mut criterion, backend);
    values::<bf16>(&mut criterion, backend);
}

/// Whether this CPU has the backend that the environment names. Without it, its first use panics.
fn available() -> bool {
    panic::set_hook(Box::new(|_| ()));
    let available = panic::catch_unwind(|| Keystream::new([0; 32], 0).words(0, &mut [0; 16])).is_ok();
    drop(panic::take_hook());
    available
}

fn main() {
    if let Ok(backend) = env::var(VARIABLE) {
        if available() {
            one_backend(&backend);
        }
        return;
    }
    for backend in BACKENDS {
        let program = env::current_exe().expect("the path of this program");
        let status = Command::new(program).args(env::args_os().skip(1)).env(VARIABLE, backend).status();
        assert!(status.expect("it runs").success(), "{backend}");
    }
}

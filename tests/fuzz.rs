//! Arbitrary input, for as long as asked: what comes out is right or an error, and nothing panics or overflows.
//!
//! `SEEDBED_FUZZ_SECONDS` says for how long (5 without it), `SEEDBED_FUZZ_SEED` where to begin. A case is a function of the
//! seed and its number, which are told where one fails: `SEEDBED_FUZZ_SEED=<seed> SEEDBED_FUZZ_CASE=<case>` runs that one.

use half::{bf16, f16};
use seedbed::fill::Fill;
use seedbed::keystream::Keystream;
use seedbed::narrow::Element;
use seedbed::recipe::{Distribution, Recipe};
use seedbed::region::{Axis, Region, RegionError};
use std::env;
use std::num::NonZero;
use std::time::{Duration, Instant};

/// A generator for the tests' own choices (splitmix64).
struct Choices(u64);

impl Choices {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.word() % limit.max(1)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A number of any size, often one next to where something changes.
    fn number(&mut self) -> u64 {
        let power = 1u64 << self.below(64);
        match self.below(6) {
            0 => self.below(4),
            1 => self.below(100),
            2 => power.wrapping_add(self.below(5)).wrapping_sub(2),
            3 => u64::MAX - self.below(3),
            4 => self.below(power),
            _ => self.word(),
        }
    }

    /// A float of any kind: bits at random, what is near the ends of the types, and plain numbers.
    fn float(&mut self) -> f64 {
        let (sign, near) = (self.one_of(&[-1.0, 1.0]), self.below(7) as i64 - 3);
        let edges =
            [0.0, 1.0, 6e-8, 1e-45, 65504.0, 65520.0, 3.39e38, f64::from(f32::MAX), f64::MIN_POSITIVE, f64::MAX];
        sign * match self.below(8) {
            0 => f64::from_bits(self.word()),
            1 => self.one_of(&[f64::NAN, f64::INFINITY, 5e-324, f64::MAX / 2.0, f64::MAX / 9.25]),
            2 => f64::from_bits(self.one_of(&edges).to_bits().saturating_add_signed(near)),
            3 => f64::from(f32::from_bits(self.word() as u32)),
            4 => f64::powi(2.0, self.below(2100) as i32 - 1075) * (1.0 + near as f64 * f64::EPSILON),
            _ => (self.below(2_000_001) as f64 - 1e6) * self.one_of(&[1e-9, 1e-6, 1e-3, 1.0]),
        }
    }
}

/// Tells which case it was when it is dropped in a panic.
struct Told(u64, u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again with SEEDBED_FUZZ_SEED={} SEEDBED_FUZZ_CASE={}", self.0, self.1);
        }
    }
}

fn asked(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{variable} must be a whole number")))
}

fn fuzz(case: impl Fn(&mut Choices)) {
    let seed = asked("SEEDBED_FUZZ_SEED").unwrap_or(1);
    let end = Instant::now() + Duration::from_secs(asked("SEEDBED_FUZZ_SECONDS").unwrap_or(5));
    let one = |number| {
        let _told = Told(seed, number);
        case(&mut Choices(Choices(seed).word().wrapping_add(number)));
    };
    if let Some(number) = asked("SEEDBED_FUZZ_CASE") {
        return one(number);
    }
    let cases =
        (0..).take_while(|number| *number < 1000 || Instant::now() < end).inspect(|&number| one(number)).count();
    println!("{cases} cases");
}

/// Axes of all kinds: half of the time within a tensor that there can be, else of any numbers.
fn axes(choices: &mut Choices) -> Vec<Axis> {
    let rank = choices.below(7);
    let possible = choices.below(2) == 0;
    let mut room = 1u64 << 62;
    (0..rank)
        .map(|_| {
            if !possible {
                let (length, start, count) = (choices.number(), choices.number(), choices.number());
                return Axis { length, start, step: choices.number().cast_signed(), count };
            }
            let limit = choices.one_of(&[3, 40, 1 << 20, u64::MAX]).min(room);
            let length = 1 + choices.below(limit);
            room /= length;
            let start = choices.below(length);
            let (step, steps) = match choices.below(3) {
                0 => (1, length - start),
                1 => {
                    let step = 1 + choices.below(length);
                    (step.cast_signed(), (length - start).div_ceil(step))
                }
                _ => {
                    let step = 1 + choices.below(length);
                    (-step.cast_signed(), start / step + 1)
                }
            };
            // One too many now and then; or none.
            Axis { length, start, step, count: choices.below(steps + 2).min(steps + choices.below(20) / 19) }
        })
        .collect()
}

/// What there is to be said of axes, in numbers that hold every product: the elements of the region, or why there is none.
fn judged(axes: &[Axis]) -> Result<u64, &'static str> {
    let product = |lengths: &mut dyn Iterator<Item = u64>| {
        lengths.map(u128::from).try_fold(1, u128::checked_mul).unwrap_or(u128::MAX)
    };
    let whole = |number: fn(&Axis) -> u64| {
        let none = axes.iter().any(|axis| number(axis) == 0);
        if none { 0 } else { product(&mut axes.iter().map(number)) }
    };
    let (len, size) = (whole(|axis| axis.count), whole(|axis| axis.length));
    if len.max(size) >= 1 << 63 {
        return Err("too large");
    }
    let within = |axis: &Axis| {
        let last = i128::from(axis.start) + i128::from(axis.step) * i128::from(axis.count - 1);
        i128::from(axis.start) < i128::from(axis.length) && (0..i128::from(axis.length)).contains(&last)
    };
    if len > 0 && !axes.iter().all(within) { Err("out of bounds") } else { Ok(len as u64) }
}

/// The tensor's number of an element of the region.
fn element(axes: &[Axis], mut index: u64) -> u64 {
    let (mut element, mut stride) = (0i128, 1i128);
    for axis in axes.iter().rev() {
        let here = i128::from(axis.start) + i128::from(index % axis.count) * i128::from(axis.step);
        index /= axis.count;
        element += here * stride;
        stride *= i128::from(axis.length);
    }
    element.try_into().expect("an element of the tensor")
}

fn run<T: Element>(recipe: Recipe, keystream: Keystream, region: &Region, threads: usize) -> Vec<T> {
    let mut out = vec![T::default(); region.len() as usize];
    let threads = NonZero::new(threads).expect("not zero");
    Fill { keystream, recipe, region }.run(&mut out, threads, || true).expect("not interrupted");
    out
}

fn filled<T: Element>(choices: &mut Choices, region: &Region, axes: &[Axis]) {
    let recipe = Recipe::new::<T>(Distribution::Normal { mean: 0.5, stddev: 1.5 }).expect("a recipe");
    let keystream = Keystream::new([choices.word() as u8; 32], choices.word());
    let made = run::<T>(recipe, keystream, region, 1 + choices.below(3) as usize);
    for _ in 0..made.len().min(20) {
        let index = choices.below(made.len() as u64);
        let alone = Axis { length: u64::MAX >> 1, start: element(axes, index), step: 1, count: 1 };
        let alone = Region::new(&[alone]).expect("an element");
        assert_eq!(made[index as usize], run::<T>(recipe, keystream, &alone, 1)[0], "element {index} of {axes:?}");
    }
}

#[test]
fn any_axes_are_a_region_with_the_right_elements_or_an_error() {
    fuzz(|choices| {
        let axes = axes(choices);
        let region = match (judged(&axes), Region::new(&axes)) {
            (Err("too large"), Err(RegionError::TooLarge)) => return,
            (Err("out of bounds"), Err(RegionError::OutOfBounds(_))) => return,
            (Ok(len), Ok(region)) if region.len() == len => region,
            (judged, made) => panic!("{axes:?}: {made:?}, but {judged:?}"),
        };
        if region.is_empty() {
            assert_eq!(region.runs(0..0).count(), 0);
            return;
        }
        for _ in 0..4 {
            let first = choices.below(region.len());
            let range = first..first + choices.below(60).min(region.len() - first);
            let mut at = range.start;
            for run in region.runs(range.clone()) {
                assert!(run.count > 0, "{axes:?}: an empty run in {range:?}");
                for i in 0..run.count {
                    let made = run.first.wrapping_add(i.wrapping_mul(run.step));
                    assert_eq!(made, element(&axes, at), "element {at} of {axes:?}");
                    at += 1;
                }
            }
            assert_eq!(at, range.end, "{axes:?}: the runs of {range:?}");
        }
        if region.len() < 200_000 && choices.below(50) == 0 {
            match choices.below(4) {
                0 => filled::<f16>(choices, &region, &axes),
                1 => filled::<bf16>(choices, &region, &axes),
                2 => filled::<f32>(choices, &region, &axes),
                _ => filled::<f64>(choices, &region, &axes),
            }
        }
    });
}

/// Whether a value may be one of the distribution; `nearest` rounds to the element type.
fn possible(distribution: Distribution, x: f64, nearest: impl Fn(f64) -> f64) -> bool {
    let within = |low: f64, high: f64| if low == high { x == nearest(low) } else { low <= x && x <= high };
    x.is_finite()
        && match distribution {
            Distribution::Uniform { minval, maxval } => {
                within(minval, maxval) && (minval == maxval || x < maxval && x < nearest(maxval))
            }
            Distribution::TruncatedNormal { mean, stddev } => within(mean - 2.0 * stddev, mean + 2.0 * stddev),
            _ => true,
        }
}

fn drawn<T: Element>(choices: &mut Choices, distribution: Distribution) {
    let Ok(recipe) = Recipe::new::<T>(distribution) else { return };
    let (length, count) = (u64::MAX >> 1, 1 + choices.below(40));
    let start = choices.below(length - count);
    let region = Region::new(&[Axis { length, start, step: 1, count }]).expect("a region");
    let keystream = Keystream::new(std::array::from_fn(|_| choices.word() as u8), choices.word());
    for x in run::<T>(recipe, keystream, &region, 1) {
        let x = x.to_f64();
        let nearest = |bound| T::nearest(bound).to_f64();
        assert!(possible(distribution, x, nearest), "{x:?} of {distribution:?} in {}", T::NAME);
    }
}

#[test]
fn any_parameters_have_values_within_their_bounds_or_an_error() {
    fuzz(|choices| {
        let (a, b) = (choices.float(), choices.float());
        let b = if choices.below(4) == 0 { f64::from_bits(a.to_bits().wrapping_add(choices.below(9))) } else { b };
        let distribution = match choices.below(3) {
            0 => Distribution::Uniform { minval: a, maxval: b },
            1 => Distribution::Normal { mean: a, stddev: b },
            _ => Distribution::TruncatedNormal { mean: a, stddev: b },
        };
        let finite = a.is_finite() && b.is_finite();
        let ordered = if let Distribution::Uniform { .. } = distribution { a <= b } else { b >= 0.0 };
        assert!(finite && ordered || Recipe::new::<f64>(distribution).is_err(), "{distribution:?}");
        drawn::<f16>(choices, distribution);
        drawn::<bf16>(choices, distribution);
        drawn::<f32>(choices, distribution);
        drawn::<f64>(choices, distribution);
    });
}

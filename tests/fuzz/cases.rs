//! Cases with arbitrary input. Each checks that the result is right or an error, and that nothing panics or overflows.
//!
//! A case makes choices. In `main.rs`, a pseudorandom generator decides them; in the targets of `fuzz/`, the bytes of
//! libFuzzer do.

use half::{bf16, f16};
use seedbed::element::Element;
use seedbed::fill::Fill;
use seedbed::keystream::Keystream;
use seedbed::recipe::{Distribution, Recipe};
use seedbed::region::{Axis, Region, RegionError, Run};
use std::num::NonZero;
use std::ops::Range;

/// The source of the choices of a case.
pub enum Choices<'a> {
    /// The state of a pseudorandom generator, splitmix64 (G. L. Steele, D. Lea and C. H. Flood, *Fast splittable
    /// pseudorandom number generators*, OOPSLA 2014).
    Drawn(u64),
    /// Bytes. Each choice takes as many as it needs. Missing bytes at the end count as zeros.
    Read(&'a [u8]),
}

impl Choices<'_> {
    /// A word of which at least the lowest `bytes` bytes are arbitrary.
    fn bytes(&mut self, bytes: usize) -> u64 {
        match self {
            Self::Drawn(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let x = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                x ^ (x >> 31)
            }
            Self::Read(data) => {
                let (now, later) = data.split_at(bytes.min(data.len()));
                *data = later;
                now.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
            }
        }
    }

    /// An arbitrary word of 64 bits.
    pub fn word(&mut self) -> u64 {
        self.bytes(8)
    }

    /// A number less than `limit`. A limit of 0 counts as 1.
    fn below(&mut self, limit: u64) -> u64 {
        let limit = limit.max(1);
        self.bytes((limit - 1).checked_ilog2().map_or(0, |bits| bits as usize / 8 + 1)) % limit
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A number of any binary order, often near a power of two or the greatest number.
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

    /// A float: random bits, or near a limit of an element type, or a common number.
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

/// Axes of a region: in half of the cases those of a possible tensor, otherwise arbitrary numbers.
fn axes(choices: &mut Choices) -> Vec<Axis> {
    let rank = choices.below(7);
    let possible = choices.below(2) == 0;
    let mut size_left = 1u64 << 62;
    (0..rank)
        .map(|_| {
            if !possible {
                let (length, start, count) = (choices.number(), choices.number(), choices.number());
                return Axis { length, start, step: choices.number().cast_signed(), count };
            }
            let limit = choices.one_of(&[3, 40, 1 << 20, u64::MAX]).min(size_left);
            let length = 1 + choices.below(limit);
            size_left /= length;
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
            // The count is sometimes greater than possible by one, and sometimes 0.
            Axis { length, start, step, count: choices.below(steps + 2).min(steps + choices.below(20) / 19) }
        })
        .collect()
}

/// The number of elements of the region with these axes, or the kind of the error. The arithmetic has 128 bits, so that
/// no product overflows.
fn expected(axes: &[Axis]) -> Result<u64, &'static str> {
    let product = |lengths: &mut dyn Iterator<Item = u64>| {
        lengths.map(u128::from).try_fold(1, u128::checked_mul).unwrap_or(u128::MAX)
    };
    let whole = |number: fn(&Axis) -> u64| {
        let empty = axes.iter().any(|axis| number(axis) == 0);
        if empty { 0 } else { product(&mut axes.iter().map(number)) }
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

/// The number that element `index` of the region has in the tensor.
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

/// Check that elements of a filled region have the values that they have alone.
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

/// Check that axes give a region with the right elements, or an error.
pub fn region(mut choices: Choices<'_>) {
    let choices = &mut choices;
    let axes = axes(choices);
    let region = match (expected(&axes), Region::new(&axes)) {
        (Err("too large"), Err(RegionError::TooLarge)) => return,
        (Err("out of bounds"), Err(RegionError::OutOfBounds(_))) => return,
        (Ok(len), Ok(region)) if region.len() == len => region,
        (expected, made) => panic!("{axes:?}: {made:?}, but {expected:?} is right"),
    };
    if region.is_empty() {
        assert_eq!(region.runs(0..0).count(), 0);
        return;
    }
    let elements = |range: Range<u64>| {
        let of = |run: Run| (0..run.count).map(move |i| run.first.wrapping_add(i.wrapping_mul(run.step)));
        assert!(region.runs(range.clone()).all(|run| run.count > 0), "{axes:?}: an empty run in {range:?}");
        let made: Vec<_> = region.runs(range.clone()).flat_map(of).collect();
        let expected: Vec<_> = range.clone().map(|at| element(&axes, at)).collect();
        assert_eq!(made, expected, "elements {range:?} of {axes:?}");
        made
    };
    for _ in 0..4 {
        let first = choices.below(region.len());
        elements(first..first + choices.below(60).min(region.len() - first));
    }
    if region.len() < 400 {
        let pairs = |elements: &[u64]| matches!(elements, &[even, odd] if even % 2 == 0 && odd == even + 1);
        assert_eq!(region.keeps_pairs(), elements(0..region.len()).chunks(2).all(pairs), "pairs of {axes:?}");
    }
    // Few and short fills: a longer one finds no other code for a fuzzer, and fills are slow under a sanitizer.
    let max = if let Choices::Read(_) = choices { 3000 } else { 200_000 };
    if region.len() < max && choices.below(50) == 0 {
        match choices.below(4) {
            0 => filled::<f16>(choices, &region, &axes),
            1 => filled::<bf16>(choices, &region, &axes),
            2 => filled::<f32>(choices, &region, &axes),
            _ => filled::<f64>(choices, &region, &axes),
        }
    }
}

/// Whether the parameters are valid for a type of unlimited range and precision.
fn is_valid(distribution: Distribution) -> bool {
    let normal = |mean: f64, stddev: f64| mean.is_finite() && (0.0..=f64::MAX).contains(&stddev);
    match distribution {
        Distribution::Uniform { minval, maxval } => -f64::MAX <= minval && minval <= maxval && maxval <= f64::MAX,
        Distribution::Normal { mean, stddev } | Distribution::TruncatedNormal { mean, stddev } => normal(mean, stddev),
        Distribution::NormalBetween { mean, stddev, lower, upper } => {
            normal(mean, stddev) && lower < upper && lower <= 37.0 && upper >= -37.0
        }
        Distribution::LogUniform { minval, maxval } => {
            f64::MIN_POSITIVE <= minval && minval <= maxval && maxval <= f64::MAX
        }
        Distribution::LogOfUniform { minval, maxval } => {
            0.0 <= minval && minval <= maxval && (1e-280..=f64::MAX).contains(&maxval)
        }
        Distribution::InverseSoftplus { minval, maxval, floor } => {
            f64::MIN_POSITIVE <= minval && minval <= maxval && maxval <= 700.0 && (0.0..=700.0).contains(&floor)
        }
        Distribution::Disk { radius: scale } | Distribution::ComplexTruncatedNormal { stddev: scale } => {
            normal(0.0, scale)
        }
    }
}

/// Whether the distribution can have these values, which are real numbers or the parts of one complex number.
fn is_possible<T: Element>(distribution: Distribution, values: &[f64]) -> bool {
    let nearest = |bound| T::nearest(bound).to_f64();
    let each = |low: f64, high: f64| {
        values.iter().all(|&x| if low == high { x == nearest(low) } else { low <= x && x <= high })
    };
    let about_zero = |radius: f64| each(-radius, radius) && values[0].hypot(values[1]) <= radius;
    values.iter().all(|x| x.is_finite())
        && match distribution {
            Distribution::Uniform { minval, maxval } => {
                let below = |x: &f64| *x < maxval && *x < nearest(maxval);
                each(minval, maxval) && (minval == maxval || values.iter().all(below))
            }
            Distribution::Normal { .. } => true,
            Distribution::TruncatedNormal { mean, stddev } => each(mean - 2.0 * stddev, mean + 2.0 * stddev),
            // Every value is the mean. With one infinite bound, the mean is rounded towards that side, so that the
            // value is within the finite bound.
            Distribution::NormalBetween { mean, stddev: 0.0, lower, upper } => {
                let only = match (lower.is_finite(), upper.is_finite()) {
                    (false, true) => T::floor(mean).to_f64(),
                    (true, false) => T::ceil(mean).to_f64(),
                    _ => nearest(mean),
                };
                values.iter().all(|&x| x == only)
            }
            Distribution::NormalBetween { mean, stddev, lower, upper } => {
                each(mean + lower * stddev, mean + upper * stddev)
            }
            Distribution::LogUniform { minval, maxval } => each(minval, maxval),
            Distribution::LogOfUniform { maxval, .. } => {
                let end = maxval.ln();
                values.iter().all(|&x| x <= nearest(end + 1e-12 * (1.0 + end.abs())))
            }
            Distribution::InverseSoftplus { maxval, floor, .. } => {
                values.iter().all(|&x| x <= 1.01 * maxval.max(floor))
            }
            Distribution::Disk { radius } => about_zero(radius),
            Distribution::ComplexTruncatedNormal { stddev } => about_zero(2.0 * stddev),
        }
}

/// Check that some values of a distribution, at arbitrary addresses, are possible.
fn drawn<T: Element>(choices: &mut Choices, distribution: Distribution) {
    let Ok(recipe) = Recipe::new::<T>(distribution) else { return };
    let length = if recipe.makes_pairs() { 2 } else { 1 };
    let (size, count) = ((u64::MAX >> 1) / length, 1 + choices.below(20));
    let start = choices.below(size - count);
    let numbers = Axis { length: size, start, step: 1, count };
    let region = Region::new(&[numbers, Axis { length, start: 0, step: 1, count: length }]).expect("a region");
    let keystream = Keystream::new(std::array::from_fn(|_| choices.word() as u8), choices.word());
    for number in run::<T>(recipe, keystream, &region, 1).chunks(length as usize) {
        let number: Vec<_> = number.iter().map(|x| x.to_f64()).collect();
        assert!(is_possible::<T>(distribution, &number), "{number:?} of {distribution:?} in {}", T::NAME);
    }
}

/// Check that parameters give finite values within their bounds, or an error.
pub fn parameters(mut choices: Choices<'_>) {
    let choices = &mut choices;
    let [a, b, lower, upper] = std::array::from_fn(|_| choices.float());
    let mut near =
        |a: f64, b| if choices.below(4) == 0 { f64::from_bits(a.to_bits().wrapping_add(choices.below(9))) } else { b };
    let (b, upper) = (near(a, b), near(lower, upper));
    let distribution = match choices.below(9) {
        0 => Distribution::Uniform { minval: a, maxval: b },
        1 => Distribution::Normal { mean: a, stddev: b },
        2 => Distribution::TruncatedNormal { mean: a, stddev: b },
        3 => Distribution::NormalBetween { mean: a, stddev: b, lower, upper },
        4 => Distribution::Disk { radius: b },
        5 => Distribution::LogUniform { minval: a, maxval: b },
        6 => Distribution::LogOfUniform { minval: a, maxval: b },
        7 => Distribution::InverseSoftplus { minval: a, maxval: b, floor: lower },
        _ => Distribution::ComplexTruncatedNormal { stddev: b },
    };
    let plain = [a, b].iter().all(|x| *x == 0.0 || (1e-9..=1e6).contains(&x.abs()));
    let made = Recipe::new::<f64>(distribution).is_ok();
    assert!(if is_valid(distribution) { made || !plain } else { !made }, "{distribution:?}");
    drawn::<f16>(choices, distribution);
    drawn::<bf16>(choices, distribution);
    drawn::<f32>(choices, distribution);
    drawn::<f64>(choices, distribution);
}

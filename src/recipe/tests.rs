//! Recipes of every distribution: their bounds, their errors, and the same bits on every backend.

use super::*;
use crate::backend::{self, Backend, MAX_LANES, Task};
use crate::quantile::words::Words;
use half::{bf16, f16};
use std::marker::PhantomData;

/// Words near both ends and the middle, of every size, and mixed ones.
fn words(salt: u64) -> Vec<u32> {
    let mixed = (0..4000u64).map(|i| ((i + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32);
    let ends = (0..200).flat_map(|i| [i, !i, (1 << 31) + i, (1 << 31) - 1 - i]);
    let powers = (0..32).flat_map(|i| [1 << i, (1 << i) - 1, !(1 << i), (1u32 << i).wrapping_neg()]);
    mixed.chain(ends).chain(powers).collect()
}

#[derive(Clone, Copy)]
struct Drawn<'a, T> {
    recipe: Recipe,
    high: &'a [u32],
    low: &'a [u32],
    element: PhantomData<T>,
}

impl<T: Element> Task for Drawn<'_, T> {
    type Output = Vec<T>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Vec<T> {
        let mut out = vec![T::default(); self.high.len() - MAX_LANES];
        let words = Words { high: self.high, low: self.low, low_word: |i: usize| self.low[i] };
        self.recipe.values(b, &words, &mut out);
        out
    }
}

fn backends_agree<T: Element>() {
    let (high, low) = (words(1), words(99));
    for distribution in [
        Distribution::Uniform { minval: -1.0, maxval: 1.0 },
        Distribution::Uniform { minval: 1.0, maxval: 1.1 },
        Distribution::Uniform { minval: -0.0, maxval: 0.0 },
        Distribution::Uniform { minval: -1e-6, maxval: 6e-8 },
        Distribution::Uniform { minval: -8.4e-45, maxval: 1.4e-45 },
        Distribution::Normal { mean: 0.0, stddev: 1.0 },
        Distribution::Normal { mean: -3.0, stddev: 0.1 },
        Distribution::TruncatedNormal { mean: 0.0, stddev: 1.0 },
        Distribution::TruncatedNormal { mean: 0.3, stddev: 1e-3 },
        Distribution::NormalBetween { mean: 0.0, stddev: 1.0, lower: -3.0, upper: 2.5 },
        Distribution::NormalBetween { mean: 0.3, stddev: 1e-3, lower: 6.0, upper: f64::INFINITY },
        Distribution::NormalBetween { mean: -0.3, stddev: 0.1, lower: -31.0, upper: -30.0 },
        Distribution::LogUniform { minval: 1e-3, maxval: 0.1 },
        Distribution::LogUniform { minval: 1e-300, maxval: 1e300 },
        Distribution::LogOfUniform { minval: 1.0, maxval: 16.0 },
        Distribution::LogOfUniform { minval: 0.0, maxval: 1e-20 },
        Distribution::InverseSoftplus { minval: 1e-3, maxval: 0.1, floor: 1e-2 },
        Distribution::InverseSoftplus { minval: 1e-3, maxval: 700.0, floor: 0.0 },
        Distribution::Disk { radius: 0.3 },
        Distribution::ComplexTruncatedNormal { stddev: 7.0 },
    ] {
        let Ok(recipe) = Recipe::new::<T>(distribution) else { continue }; // no values in this type
        for skip in [0, 1, 7] {
            let (high, low) = (&high[skip..], &low[skip..]);
            let values = Drawn { recipe, high, low, element: PhantomData::<T> };
            let outputs = backend::on_each(values);
            let bits = |output: &[T]| output.iter().map(|x| x.to_f64().to_bits()).collect::<Vec<_>>();
            for (name, output) in &outputs[1..] {
                assert!(bits(output) == bits(&outputs[0].1), "{name} for {distribution:?} in {}", T::NAME);
            }
        }
    }
}

#[test]
fn all_backends_give_the_same_bits() {
    backends_agree::<f16>();
    backends_agree::<bf16>();
    backends_agree::<f32>();
    backends_agree::<f64>();
}

fn values<T: Element>(distribution: Distribution) -> Vec<f64> {
    let (high, low) = (words(1), words(99));
    let recipe = Recipe::new::<T>(distribution).expect("a recipe");
    let values = Drawn { recipe, high: &high, low: &low, element: PhantomData::<T> };
    backend::run(values).into_iter().map(T::to_f64).collect()
}

fn values_are_within_their_bounds<T: Element>() {
    for (minval, maxval) in [(0.0, 1.0), (1.0, 1.1), (-1.0, 0.0), (-3e-5, 1e-5), (1e-7, 3.5), (-1000.3, -1000.0)] {
        let Ok(_) = Recipe::new::<T>(Distribution::Uniform { minval, maxval }) else { continue };
        let values = values::<T>(Distribution::Uniform { minval, maxval });
        assert!(values.iter().all(|&x| minval <= x && x < maxval), "[{minval}, {maxval}) in {}", T::NAME);
    }
    for (mean, stddev) in [(0.0, 1.0), (0.3, 0.001), (-7.7, 0.3), (0.0, 1e-7), (1e4, 1.0)] {
        let Ok(_) = Recipe::new::<T>(Distribution::TruncatedNormal { mean, stddev }) else { continue };
        let values = values::<T>(Distribution::TruncatedNormal { mean, stddev });
        let (low, high) = (mean - 2.0 * stddev, mean + 2.0 * stddev);
        assert!(values.iter().all(|&x| low <= x && x <= high), "[{low}, {high}] in {}", T::NAME);
    }
    for (lower, upper) in [(-3.0, 1.0), (0.0, f64::INFINITY), (6.0, 7.0), (-30.5, -30.0), (6.0, 6.0 + 1e-9)] {
        for (mean, stddev) in [(0.0, 1.0), (0.3, 0.001), (-7.7, 0.3)] {
            let distribution = Distribution::NormalBetween { mean, stddev, lower, upper };
            let Ok(_) = Recipe::new::<T>(distribution) else { continue };
            let (low, high) = (mean + lower * stddev, mean + upper * stddev);
            for x in values::<T>(distribution) {
                assert!(low <= x && x <= high, "{x} in [{low}, {high}] in {}", T::NAME);
            }
        }
    }
}

fn values_stay_within_their_radius<T: Element>() {
    for scale in [1.0, 0.3, 1e-3, 7e9] {
        for (distribution, end) in [
            (Distribution::Disk { radius: scale }, scale),
            (Distribution::ComplexTruncatedNormal { stddev: scale }, 2.0 * scale),
        ] {
            let values = values::<T>(distribution);
            // float64 represents squares of float32 exactly, and rounds their sum by less than 2^-53 of it.
            let slack = if T::DOUBLE { 1.0 + 4.0 * f64::EPSILON } else { 1.0 };
            let mut largest = 0.0f64;
            for parts in values.as_chunks::<2>().0 {
                let square = parts[0] * parts[0] + parts[1] * parts[1];
                assert!(square <= end * end * slack, "{parts:?} within {end} in {}", T::NAME);
                largest = largest.max(square);
            }
            assert!(largest > 0.999 * end * end, "{largest} for {end}");
        }
    }
}

#[test]
fn complex_values_stay_within_their_radius() {
    values_stay_within_their_radius::<f32>();
    values_stay_within_their_radius::<f64>();
}

#[test]
fn bounds_with_a_simpler_form_have_the_same_recipe() {
    let inf = f64::INFINITY;
    let between = |lower, upper| Distribution::NormalBetween { mean: 0.1, stddev: 0.7, lower, upper };
    let same = |a, b| assert_eq!(Recipe::new::<f32>(a), Recipe::new::<f32>(b));
    same(between(-2.0, 2.0), Distribution::TruncatedNormal { mean: 0.1, stddev: 0.7 });
    same(between(-inf, inf), Distribution::Normal { mean: 0.1, stddev: 0.7 });
}

#[test]
fn other_bounds_near_2_give_the_same_values_except_for_rounding() {
    // Bounds of (-2, 2 + 1e-13) are not those of the table, but give values within about 1e-13 of it.
    let table = values::<f64>(Distribution::TruncatedNormal { mean: 0.0, stddev: 1.0 });
    let upper = 2.0 + 1e-13;
    let other = values::<f64>(Distribution::NormalBetween { mean: 0.0, stddev: 1.0, lower: -2.0, upper });
    for (x, y) in table.into_iter().zip(other) {
        assert!((x - y).abs() < 4e-13, "{x} and {y}");
    }
}

#[test]
fn values_of_every_type_are_within_their_bounds() {
    values_are_within_their_bounds::<f16>();
    values_are_within_their_bounds::<bf16>();
    values_are_within_their_bounds::<f32>();
    values_are_within_their_bounds::<f64>();
}

#[test]
fn one_sided_bounds_limit_values_without_spread() {
    let inf = f64::INFINITY;
    let above = Distribution::NormalBetween { mean: 0.1, stddev: 0.0, lower: 0.0, upper: inf };
    let below = Distribution::NormalBetween { mean: 0.1, stddev: 0.0, lower: -inf, upper: 1.0 };
    let all = |distribution, only: f64| assert!(values::<f16>(distribution).iter().all(|&x| x == only));
    all(above, f16::ceil(0.1).to_f64());
    all(below, f16::floor(0.1).to_f64());
    assert!(values::<f64>(above).iter().all(|&x| x == 0.1));
}

#[test]
fn bounded_values_may_reach_the_largest_number() {
    let inf = f64::INFINITY;
    let distribution = Distribution::NormalBetween { mean: 1e38, stddev: 3.6e37, lower: -inf, upper: 0.0 };
    assert!(values::<f32>(distribution).iter().all(|&x| x <= f64::from(1e38f32) && x > f64::from(f32::MIN)));
    let opposite = Distribution::NormalBetween { mean: 1e38, stddev: 3.6e37, lower: 0.0, upper: inf };
    assert!(Recipe::new::<f32>(opposite).is_err());
    let far = Distribution::NormalBetween { mean: -1.7e308, stddev: 3e307, lower: 0.0, upper: inf };
    assert!(Recipe::new::<f64>(far).is_err(), "upper * stddev exceeds the largest number");
}

/// Values between bounds of at most a millionth of a standard deviation are uniform, with a relative error of at most
/// `accuracy`.
fn tight_bounds_give_uniform_values<T: Element>(stddev: f64, size: f64, accuracy: f64) {
    let distribution = Distribution::NormalBetween { mean: 0.0, stddev, lower: -size, upper: size };
    let (high, low) = (words(1), words(99));
    for (i, x) in values::<T>(distribution).into_iter().enumerate() {
        let low = if T::DOUBLE || rest(high[i]) < 1 << 16 { low[i] } else { 1 << 31 };
        let word = u64::from(high[i]) << 32 | u64::from(low);
        let rest = if word >> 63 == 1 { !word } else { word };
        let centred = ((i64::MAX as u64 - rest) as f64 + 0.5) / 2f64.powi(63);
        let exact = stddev * size * if word >> 63 == 1 { centred } else { -centred };
        assert!((x / exact - 1.0).abs() <= accuracy, "{x:e} for {exact:e} in {}, within {size:e}", T::NAME);
    }
}

fn rest(word: u32) -> u32 {
    if word >> 31 == 1 { !word } else { word }
}

#[test]
fn values_between_tight_bounds_are_uniform_with_all_their_digits() {
    for size in [1e-9, 1e-16, 1e-17, 1e-100, 1e-280] {
        tight_bounds_give_uniform_values::<f64>(1.0, size, 1e-15);
        tight_bounds_give_uniform_values::<f64>(1e280, size, 1e-15);
        tight_bounds_give_uniform_values::<f32>(1.0 / size, size, 1e-7);
        // The outermost values are clamped to the last number within the bound.
        tight_bounds_give_uniform_values::<bf16>(1e-20 / size, size, 8e-3);
    }
    let off_centre = |lower, upper, word: u64| {
        let distribution = Distribution::NormalBetween { mean: 0.0, stddev: 1.0, lower, upper };
        let recipe = Recipe::new::<f64>(distribution).expect("a recipe");
        let (high, low) = ([(word >> 32) as u32; 2 * MAX_LANES], [word as u32; 2 * MAX_LANES]);
        backend::run(Drawn { recipe, high: &high, low: &low, element: PhantomData::<f64> })[0]
    };
    for (lower, upper) in [(1e-17, 2e-17), (-3e-20, -1e-20), (0.0, 1e-30), (-1e-30, 0.0), (-1e-25, 3e-25)] {
        for word in [0, 1 << 61, 3 << 61, u64::MAX - (1 << 50)] {
            let [u, rest] = [word, !word].map(|word| (word as f64 + 0.5) / 2f64.powi(64));
            let (x, exact, size) = (off_centre(lower, upper, word), lower * rest + upper * u, lower.abs().max(upper));
            assert!((x - exact).abs() < 1e-15 * exact.abs().max(1e-16 * size), "{x:e} for {exact:e} at {word:#x}");
        }
    }
}

/// Bounds of all kinds: the values are finite, rise with the word, and are within the bounds. Mirrored bounds give
/// mirrored values. Returns the number of recipes.
fn normals_are_within_bounds_of_every_kind<T: Element>() -> usize {
    let inf = f64::INFINITY;
    let bounds = [0.0, 5e-324, 1e-310, 1e-17, 1e-3, 0.4886, 0.5, 0.7, 1.0, 2.0, 2.81, 2.9, 6.0, 8.3, 37.0, 38.5, inf];
    let ends: Vec<f64> = bounds.iter().flat_map(|&x| [-x, x]).collect();
    let mut high: Vec<_> = [words(1), words(5)].concat();
    high.sort_unstable();
    high.extend([u32::MAX; MAX_LANES]);
    let low = vec![7; high.len()];
    let draw = |mean, stddev, lower, upper| {
        let recipe = Recipe::new::<T>(Distribution::NormalBetween { mean, stddev, lower, upper }).ok()?;
        let drawn = |high: &[u32], low: &[u32]| {
            backend::run(Drawn { recipe, high, low, element: PhantomData::<T> }).into_iter().map(T::to_f64).collect()
        };
        let opposite = |words: &[u32]| words.iter().map(|word| !word).collect::<Vec<_>>();
        Some((drawn(&high, &low), drawn(&opposite(&high), &opposite(&low)))) as Option<(Vec<f64>, Vec<f64>)>
    };
    let scales = [0.0, 5e-324, 1e-310, 1e-45, 1e-30, 0.7, 1.0, 1e4, 1e30, 1e300];
    let mut count = 0;
    for (&lower, &upper) in ends.iter().flat_map(|lower| ends.iter().map(move |upper| (lower, upper))) {
        for (mean, stddev) in [0.0, 0.1, -1e3].iter().flat_map(|&mean| scales.map(|stddev| (mean, stddev))) {
            let Some((values, _)) = draw(mean, stddev, lower, upper) else { continue };
            count += 1;
            let about = || format!("{mean:e} + {stddev:e} [{lower:e}, {upper:e}] in {}", T::NAME);
            let [least, most] = [lower, upper].map(|x| if x.is_infinite() { x } else { mean + x * stddev });
            assert!(values.iter().all(|x| x.is_finite()), "finite: {}", about());
            assert!(values.is_sorted(), "rising: {}", about());
            if least == most {
                assert!(values.iter().all(|&x| x == T::nearest(least).to_f64()), "{}", about());
            } else {
                assert!(least <= values[0] && values[values.len() - 1] <= most, "within: {}", about());
            }
            let (_, mirrored) = draw(-mean, stddev, -upper, -lower).expect("its mirror image is a recipe");
            // The middle low word of a narrow type is not its own mirror image, so that the mirrored value is sometimes
            // rounded to the neighbouring number.
            let near = |x: f64, y: f64| {
                !T::DOUBLE && (T::nearest(x).next_up().to_f64() == y || T::nearest(x).next_down().to_f64() == y)
            };
            assert!(values.iter().zip(mirrored).all(|(&x, y)| x == -y || near(x, -y)), "mirrored: {}", about());
        }
    }
    count
}

#[test]
fn normals_of_every_type_are_within_bounds_of_every_kind() {
    let counts = [
        normals_are_within_bounds_of_every_kind::<f16>(),
        normals_are_within_bounds_of_every_kind::<bf16>(),
        normals_are_within_bounds_of_every_kind::<f32>(),
        normals_are_within_bounds_of_every_kind::<f64>(),
    ];
    println!("normals between bounds: {counts:?} recipes of float16, bfloat16, float32 and float64");
    assert!(counts.iter().all(|count| *count > 1000));
}

fn ends_are_reached<T: Element>() {
    let distribution = Distribution::Uniform { minval: 1.0, maxval: 1.1 };
    let (recipe, values) = (Recipe::new::<T>(distribution).expect("a recipe"), values::<T>(distribution));
    assert!(values.contains(&recipe.low) && values.contains(&recipe.high), "{}", T::NAME);
}

#[test]
fn the_least_and_the_greatest_value_are_drawn() {
    ends_are_reached::<f16>();
    ends_are_reached::<bf16>();
    ends_are_reached::<f32>();
}

/// The least, the greatest and the middle words, and their neighbours.
const EXTREMES: [u32; 6] = [0, 1, (1 << 31) - 1, 1 << 31, u32::MAX - 1, u32::MAX];

fn extremes<T: Element>(distribution: Distribution) -> Option<Vec<f64>> {
    let recipe = Recipe::new::<T>(distribution).ok()?;
    let mut high = [EXTREMES[2]; EXTREMES.len() + MAX_LANES];
    high[..EXTREMES.len()].copy_from_slice(&EXTREMES);
    let low = high;
    let values = Drawn { recipe, high: &high, low: &low, element: PhantomData::<T> };
    Some(backend::run(values).into_iter().map(T::to_f64).collect())
}

/// Check bounds at each two neighbouring 16-bit numbers, and bounds between them and outside. Returns the number of
/// pairs.
fn bounds_at_every_number<T: Element>(from_bits: impl Fn(u16) -> T) -> usize {
    let all = (0..=u16::MAX).map(from_bits).filter(|x| x.to_f64().is_finite() && x.next_up().to_f64().is_finite());
    all.map(|number| {
        let (a, b, c) = (number.to_f64(), number.next_up().to_f64(), number.next_up().next_up().to_f64());
        let uniform = |minval, maxval| extremes::<T>(Distribution::Uniform { minval, maxval });
        assert_eq!(uniform(a, b), Some(vec![a + 0.0; EXTREMES.len()]), "the only number of [{a:e}, {b:e})");
        let (early, late) = (a + 0.25 * (b - a), a + 0.75 * (b - a));
        assert_eq!(uniform(early, late), None, "no number of {} in [{early:e}, {late:e})", T::NAME);
        let deviation = (b - a) / 2.0;
        let truncated = extremes::<T>(Distribution::TruncatedNormal { mean: a, stddev: deviation });
        let truncated = truncated.unwrap_or_else(|| vec![a]); // at the end of the finite numbers
        assert!(truncated.iter().all(|&x| a - 2.0 * deviation <= x && x <= b), "{a:e} +- 2 * {deviation:e}");
        if c.is_finite() {
            let far = b + 0.75 * (c - b); // c is nearest to it, so that c is excluded
            let values = uniform(early, far).expect("there is one number");
            assert!(values.iter().all(|&x| x == b), "[{early:e}, {far:e}) in {}: {values:?}", T::NAME);
        }
    })
    .count()
}

#[test]
fn values_respect_bounds_at_and_between_all_16_bit_numbers() {
    for (name, count) in
        [(f16::NAME, bounds_at_every_number(f16::from_bits)), (bf16::NAME, bounds_at_every_number(bf16::from_bits))]
    {
        println!("bounds in {name}: at and between {count} pairs of neighbouring numbers");
    }
}

#[test]
fn values_of_16_bits_are_float32_values_rounded_within_bounds() {
    let distribution = Distribution::TruncatedNormal { mean: 0.1, stddev: 0.7 };
    let (single, half) = (values::<f32>(distribution), values::<f16>(distribution));
    let brain = values::<bf16>(distribution);
    let (low, high) = (0.1 - 1.4, 0.1 + 1.4);
    for ((x, h), b) in single.into_iter().zip(half).zip(brain) {
        assert_eq!(h, f16::from_f64(x).to_f64().clamp(f16::ceil(low).to_f64(), f16::floor(high).to_f64()));
        assert_eq!(b, bf16::from_f64(x).to_f64().clamp(bf16::ceil(low).to_f64(), bf16::floor(high).to_f64()));
    }
}

#[test]
fn a_distribution_without_spread_has_one_value() {
    let third = f64::from(1.0f32 / 3.0);
    assert!(values::<f32>(Distribution::Uniform { minval: 1.0 / 3.0, maxval: 1.0 / 3.0 }).iter().all(|&x| x == third));
    for mean in [0.0, 1.0 / 3.0] {
        let nearest = f64::from(mean as f32);
        let normal = values::<f32>(Distribution::Normal { mean, stddev: 0.0 });
        let truncated = values::<f32>(Distribution::TruncatedNormal { mean, stddev: 0.0 });
        assert!(normal.iter().chain(&truncated).all(|&x| x == nearest && x.is_sign_positive()));
    }
}

#[test]
fn a_distribution_without_values_is_an_error() {
    let nan = f64::NAN;
    let between = |lower, upper| Distribution::NormalBetween { mean: 0.0, stddev: 1.0, lower, upper };
    for bad in [
        Distribution::Uniform { minval: 1.0, maxval: 0.0 },
        Distribution::Uniform { minval: nan, maxval: 0.0 },
        Distribution::Uniform { minval: 0.0, maxval: f64::INFINITY },
        Distribution::Uniform { minval: 0.0, maxval: 65505.0 },
        Distribution::Uniform { minval: 1.0001, maxval: 1.0002 },
        Distribution::Normal { mean: nan, stddev: 1.0 },
        Distribution::Normal { mean: 0.0, stddev: -1.0 },
        Distribution::Normal { mean: 0.0, stddev: nan },
        Distribution::Normal { mean: 0.0, stddev: 8000.0 },
        Distribution::TruncatedNormal { mean: 0.0, stddev: f64::INFINITY },
        Distribution::TruncatedNormal { mean: 65000.0, stddev: 300.0 },
        Distribution::TruncatedNormal { mean: 1.0005, stddev: 1e-6 },
        between(1.0, 1.0),
        between(1.0, -1.0),
        between(nan, 1.0),
        between(1.0, nan),
        between(37.1, f64::INFINITY),
        between(-50.0, -37.1),
        between(f64::INFINITY, f64::INFINITY),
        Distribution::NormalBetween { mean: 0.0, stddev: 8000.0, lower: 0.0, upper: f64::INFINITY },
        Distribution::NormalBetween { mean: nan, stddev: 1.0, lower: 0.0, upper: 1.0 },
        Distribution::LogUniform { minval: 0.0, maxval: 1.0 },
        Distribution::LogUniform { minval: 2.0, maxval: 1.0 },
        Distribution::LogUniform { minval: 1.0, maxval: nan },
        Distribution::LogUniform { minval: 1.0, maxval: 65505.0 },
        Distribution::LogUniform { minval: 1.0001, maxval: 1.0002 },
        Distribution::LogOfUniform { minval: -1.0, maxval: 1.0 },
        Distribution::LogOfUniform { minval: 0.0, maxval: 0.0 },
        Distribution::LogOfUniform { minval: 0.0, maxval: f64::INFINITY },
        Distribution::InverseSoftplus { minval: 0.0, maxval: 0.1, floor: 1e-4 },
        Distribution::InverseSoftplus { minval: 0.1, maxval: 701.0, floor: 1e-4 },
        Distribution::InverseSoftplus { minval: 0.1, maxval: 0.2, floor: -1e-4 },
        Distribution::Disk { radius: 1.0 }, // no complex type has float16 parts
    ] {
        assert!(Recipe::new::<f16>(bad).is_err(), "{bad:?}");
    }
    for bad in [-1.0, nan, f64::INFINITY, 1e39, 1e-31] {
        assert!(Recipe::new::<f32>(Distribution::Disk { radius: bad }).is_err(), "{bad:?}");
        assert!(Recipe::new::<f32>(Distribution::ComplexTruncatedNormal { stddev: bad }).is_err(), "{bad:?}");
    }
    assert!(Recipe::new::<f64>(Distribution::Uniform { minval: -f64::MAX, maxval: f64::MAX }).is_ok());
}

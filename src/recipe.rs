//! A recipe: a distribution, checked and compiled for an element type.
//!
//! The value of an element is `center + scale Q(u)`, where `u` in (0, 1) is made of the element's words, and `Q` is the
//! quantile function of a standard distribution. It is brought between `low` and `high`, which are numbers of the
//! element type, so that a rounding never passes a bound.
//!
//! ```
//! use seedbed::recipe::{Distribution, Recipe};
//!
//! let recipe = Recipe::new::<half::f16>(Distribution::Uniform { minval: -0.1, maxval: 0.1 })?;
//! let (low, high) = recipe.bounds();
//! assert!(low > Some(-0.1) && high < Some(0.1)); // -0.1 and 0.1 are no float16 numbers
//! # Ok::<(), seedbed::recipe::RecipeError>(())
//! ```

mod complex;
mod values;

use crate::element::Element;
use crate::float_state::in_default_state;
use crate::quantile::Scale;
use crate::quantile::between::{Between, MAX_BOUND};
use crate::quantile::curve::{Curve, MAX_SOFTPLUS};
use crate::quantile::polar::{RADIUS_ERROR, Radius};
use std::fmt;

/// The distribution of the values of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// On the half-open interval [`minval`, `maxval`); where they are equal, that value.
    Uniform {
        /// The least value.
        minval: f64,
        /// The bound that no value reaches.
        maxval: f64,
    },
    /// A normal distribution without bounds.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        stddev: f64,
    },
    /// A normal distribution conditioned on lying within two standard deviations of its mean, both bounds included.
    TruncatedNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation before the truncation; after it, 0.87962566103423978 times that.
        stddev: f64,
    },
    /// A normal distribution conditioned on lying between two bounds. With bounds -2 and 2 it is
    /// [`Self::TruncatedNormal`], and without bounds [`Self::Normal`], bit for bit.
    NormalBetween {
        /// The mean before the truncation.
        mean: f64,
        /// The standard deviation before the truncation.
        stddev: f64,
        /// The lower bound in standard deviations from the mean, or minus infinity.
        lower: f64,
        /// The upper bound in standard deviations from the mean, or infinity.
        upper: f64,
    },
    /// A value whose logarithm is uniform from log `minval` to log `maxval`, both included.
    LogUniform {
        /// The least value, a positive normal number.
        minval: f64,
        /// The greatest value.
        maxval: f64,
    },
    /// The logarithm of a value that is uniform from `minval` to `maxval`.
    LogOfUniform {
        /// The least number of which the logarithm is taken. It may be 0, which no word gives.
        minval: f64,
        /// The greatest number of which the logarithm is taken.
        maxval: f64,
    },
    /// log(exp(t) - 1), where t is log-uniform from `minval` to `maxval`, but at least `floor`: the inverse of softplus.
    InverseSoftplus {
        /// The least t before the floor.
        minval: f64,
        /// The greatest t, at most 700.
        maxval: f64,
        /// The number that replaces lesser t; 0 for no floor.
        floor: f64,
    },
    /// Complex, uniform on the closed disk around 0: E |z|^2 = radius^2 / 2. Elements are real and imaginary parts, by
    /// turns.
    Disk {
        /// The largest |z|.
        radius: f64,
    },
    /// Complex normal, conditioned on lying within two standard deviations of 0: E |z|^2 = (0.96196182800821 stddev)^2.
    /// Elements as for [`Self::Disk`].
    ComplexTruncatedNormal {
        /// The root of E |z|^2 before the truncation.
        stddev: f64,
    },
}

impl Distribution {
    /// The distribution of a name, such as `truncated_normal`, with its numbers in the order of the fields.
    ///
    /// # Errors
    ///
    /// If there is no distribution of that name with so many numbers.
    pub fn named(name: &str, parameters: &[f64]) -> Result<Self, RecipeError> {
        Ok(match (name, parameters) {
            ("uniform", &[minval, maxval]) => Self::Uniform { minval, maxval },
            ("normal", &[mean, stddev]) => Self::Normal { mean, stddev },
            ("truncated_normal", &[mean, stddev]) => Self::TruncatedNormal { mean, stddev },
            ("normal_between", &[mean, stddev, lower, upper]) => Self::NormalBetween { mean, stddev, lower, upper },
            ("complex_truncated_normal", &[stddev]) => Self::ComplexTruncatedNormal { stddev },
            ("log_uniform", &[minval, maxval]) => Self::LogUniform { minval, maxval },
            ("log_of_uniform", &[minval, maxval]) => Self::LogOfUniform { minval, maxval },
            ("inverse_softplus", &[minval, maxval, floor]) => Self::InverseSoftplus { minval, maxval, floor },
            _ => {
                return Err(RecipeError(format!(
                    "distribution must be uniform, normal, truncated_normal, log_uniform or log_of_uniform with two \
                     parameters, inverse_softplus with three, or normal_between with four. Received: {name} with {}",
                    parameters.len()
                )));
            }
        })
    }

    /// The same distribution in its simplest form: bounds of ±2 or none have variants of their own, and -0.0 becomes
    /// 0.0, so that equal distributions have equal bits.
    fn simplest(self) -> Self {
        match self {
            Self::Uniform { minval, maxval } => Self::Uniform { minval: minval + 0.0, maxval: maxval + 0.0 },
            Self::Normal { mean, stddev } => Self::Normal { mean: mean + 0.0, stddev },
            Self::TruncatedNormal { mean, stddev } => Self::TruncatedNormal { mean: mean + 0.0, stddev },
            Self::NormalBetween { mean, stddev, lower: -2.0, upper: 2.0 } => {
                Self::TruncatedNormal { mean, stddev }.simplest()
            }
            Self::NormalBetween { mean, stddev, lower: f64::NEG_INFINITY, upper: f64::INFINITY } => {
                Self::Normal { mean, stddev }.simplest()
            }
            Self::NormalBetween { mean, stddev, lower, upper } => {
                Self::NormalBetween { mean: mean + 0.0, stddev, lower, upper }
            }
            Self::LogOfUniform { minval, maxval } => Self::LogOfUniform { minval: minval + 0.0, maxval },
            Self::InverseSoftplus { minval, maxval, floor } => {
                Self::InverseSoftplus { minval, maxval, floor: floor + 0.0 }
            }
            Self::LogUniform { .. } | Self::Disk { .. } | Self::ComplexTruncatedNormal { .. } => self,
        }
    }
}

/// The largest absolute value of a standard normal, rounded up. It is the quantile of half of the first 64-bit word: a
/// probability of 2^-65.
const NORMAL_REACH: f64 = 9.25;

/// The parameters of a distribution are wrong, or its values do not fit into the element type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeError(String);

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RecipeError {}

/// The standard distribution Q.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Uniform,
    Normal,
    TruncatedNormal,
    Between(Between),
    Curve(Curve),
    Polar(Radius),
}

/// A distribution, checked and compiled for one element type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    kind: Kind,
    /// Center and scale.
    scale: Scale,
    /// The least value, a number of the element type. Of complex distributions 0.
    low: f64,
    /// The greatest value, a number of the element type. Of complex distributions the greatest radius.
    high: f64,
}

impl Recipe {
    /// The recipe of a distribution for elements of type `T`.
    ///
    /// # Errors
    ///
    /// If a parameter is not finite, a standard deviation is negative, or `minval > maxval`; if values would be beyond
    /// the finite numbers of `T`, or if no number of `T` is within the bounds.
    pub fn new<T: Element>(distribution: Distribution) -> Result<Self, RecipeError> {
        in_default_state(|| Self::compiled::<T>(distribution))
    }

    /// The recipe of the complex distribution that has the variance of a real one, for parts of type `T`.
    ///
    /// # Errors
    ///
    /// As [`Self::new`], and if the real distribution is not a normal or a uniform about 0, or a normal about 0
    /// truncated at two standard deviations.
    pub fn of_complex<T: Element>(distribution: Distribution) -> Result<Self, RecipeError> {
        in_default_state(|| Self::compiled::<T>(distribution.complex()?))
    }

    /// As [`Self::new`], in the default floating point state.
    fn compiled<T: Element>(distribution: Distribution) -> Result<Self, RecipeError> {
        let (kind, (scale, low, high)) = match distribution.simplest() {
            Distribution::Uniform { minval, maxval } => (Kind::Uniform, uniform::<T>(minval, maxval)?),
            Distribution::Normal { mean, stddev } => {
                let reach = checked_reach::<T>(mean, stddev, NORMAL_REACH)?;
                (Kind::Normal, (Scale { center: mean, scale: stddev }, mean - reach, mean + reach))
            }
            Distribution::TruncatedNormal { mean, stddev } => {
                let reach = checked_reach::<T>(mean, stddev, 2.0)?;
                let (low, high) = inside::<T>(mean - reach, mean + reach)?;
                (Kind::TruncatedNormal, (Scale { center: mean, scale: stddev }, low, high))
            }
            Distribution::NormalBetween { mean, stddev, lower, upper } => {
                let bounds = between::<T>(mean, stddev, lower, upper)?;
                (Kind::Between(Between::new(lower, upper)), (Scale { center: mean, scale: stddev }, bounds.0, bounds.1))
            }
            Distribution::LogUniform { minval, maxval } => {
                checked_ends(minval, maxval, f64::MIN_POSITIVE, f64::MAX)?;
                checked_size::<T>("maxval", maxval)?;
                let (low, high) = inside::<T>(minval, maxval)?;
                (Kind::Curve(Curve::log_uniform(minval, maxval)), (UNSCALED, low, high))
            }
            Distribution::LogOfUniform { minval, maxval } => {
                checked_ends(minval, maxval, 0.0, f64::MAX)?;
                if maxval < MIN_OF_LOG {
                    return Err(RecipeError(format!(
                        "maxval must be at least {MIN_OF_LOG:?}. Received: maxval={maxval:?}"
                    )));
                }
                curved::<T>(Curve::log_of_uniform(minval, maxval))?
            }
            Distribution::InverseSoftplus { minval, maxval, floor } => {
                checked_ends(minval, maxval, f64::MIN_POSITIVE, MAX_SOFTPLUS)?;
                if !(0.0..=MAX_SOFTPLUS).contains(&floor) {
                    return Err(RecipeError(format!(
                        "floor must be from 0 to {MAX_SOFTPLUS:?}. Received: floor={floor:?}"
                    )));
                }
                curved::<T>(Curve::inverse_softplus(minval, maxval, floor))?
            }
            Distribution::Disk { radius } => (Kind::Polar(Radius::Disk), polar::<T>(Radius::Disk, radius)?),
            Distribution::ComplexTruncatedNormal { stddev } => {
                (Kind::Polar(Radius::TruncatedNormal), polar::<T>(Radius::TruncatedNormal, stddev)?)
            }
        };
        Ok(Self { kind, scale, low, high })
    }

    /// The least and the greatest value; `None` where the distribution has no bound. Complex distributions bound a
    /// radius and no single element, so they have none.
    pub fn bounds(&self) -> (Option<f64>, Option<f64>) {
        match self.kind {
            Kind::Normal | Kind::Polar(_) => (None, None),
            _ => (Some(self.low).filter(|low| low.is_finite()), Some(self.high).filter(|high| high.is_finite())),
        }
    }

    /// The name of the standard distribution, and center, scale, least and greatest value, if the float32 values are those
    /// of a float32 table or of the uniform.
    pub fn placement(&self) -> Option<(&'static str, [f64; 4])> {
        let name = match self.kind {
            Kind::Uniform => "uniform",
            Kind::Normal => "normal",
            Kind::TruncatedNormal => "truncated_normal",
            Kind::Between(_) | Kind::Curve(_) | Kind::Polar(_) => return None,
        };
        Some((name, [self.scale.center, self.scale.scale, self.low, self.high]))
    }

    /// Whether values are complex numbers: pairs of elements, an even one and the next.
    pub fn makes_pairs(&self) -> bool {
        matches!(self.kind, Kind::Polar(_))
    }
}

/// The scale of a curve, whose parameters are part of its function.
const UNSCALED: Scale = Scale { center: 0.0, scale: 1.0 };

/// The least `maxval` of [`Distribution::LogOfUniform`]: its product with any u is a normal number.
pub const MIN_OF_LOG: f64 = 1e-280;

/// The parts of a recipe whose values are those of a curve: the bounds are the values of its ends, rounded.
fn curved<T: Element>(curve: Curve) -> Result<(Kind, (Scale, f64, f64)), RecipeError> {
    let [low, high] = curve.bounds();
    checked_size::<T>("the values", low.abs().max(high.abs()))?;
    Ok((Kind::Curve(curve), (UNSCALED, T::nearest(low).to_f64(), T::nearest(high).to_f64())))
}

fn checked_ends(minval: f64, maxval: f64, least: f64, greatest: f64) -> Result<(), RecipeError> {
    if least <= minval && minval <= maxval && maxval <= greatest {
        return Ok(());
    }
    Err(RecipeError(format!(
        "minval and maxval must be from {least:?} to {greatest:?}, and minval <= maxval. Received: minval={minval:?}, \
         maxval={maxval:?}"
    )))
}

/// The scale of a complex distribution, its least radius 0, and its greatest radius. The latter is a little less than
/// the bound, so that a number whose parts are rounded is within it.
fn polar<T: Element>(radius: Radius, scale: f64) -> Result<(Scale, f64, f64), RecipeError> {
    if !T::COMPLEX {
        return Err(RecipeError(format!("parts of complex numbers must be float32 or float64. Received: {}", T::NAME)));
    }
    if !(scale.is_finite() && scale >= 0.0) {
        return Err(RecipeError(format!(
            "the scale of complex values must be finite and not negative. Received: {scale:?}"
        )));
    }
    let end = radius.end() * scale;
    checked_size::<T>("the absolute values", end)?;
    let least = if T::DOUBLE { LEAST_RADIUS } else { LEAST_RADIUS_F32 };
    if end != 0.0 && end < least {
        return Err(RecipeError(format!(
            "the largest absolute value in complex numbers of {0} must be 0 or at least {least:?}, so that all digits of \
             a {0} tell them apart. Received: {end:?}",
            T::NAME
        )));
    }
    let error = if T::DOUBLE { RADIUS_ERROR } else { f64::from(f32::EPSILON) };
    Ok((Scale { center: 0.0, scale }, 0.0, end * (1.0 - error)))
}

/// The least bound of a radius, other than 0, for float64 and for float32 parts. Below it, many parts would be
/// subnormal numbers, which have fewer digits.
const LEAST_RADIUS: f64 = 1e-280;
const LEAST_RADIUS_F32: f64 = 1e-30;

/// Scale, least and greatest value of a uniform distribution.
fn uniform<T: Element>(minval: f64, maxval: f64) -> Result<(Scale, f64, f64), RecipeError> {
    if !(minval.is_finite() && maxval.is_finite() && minval <= maxval) {
        return Err(RecipeError(format!(
            "minval and maxval must be finite, and minval <= maxval. Received: minval={minval:?}, maxval={maxval:?}"
        )));
    }
    checked_size::<T>("minval and maxval", minval.abs().max(maxval.abs()))?;
    let scale = Scale { center: minval / 2.0 + maxval / 2.0, scale: maxval / 2.0 - minval / 2.0 };
    if minval == maxval {
        let only = T::nearest(minval).to_f64();
        return Ok((scale, only, only));
    }
    // Values are less than maxval, and less than maxval rounded to `T`: a comparison in `T` sees the bound excluded
    // too.
    let (low, high) = (T::ceil(minval).to_f64(), T::nearest(maxval).next_down().to_f64());
    if low > high {
        return Err(RecipeError(format!(
            "there must be a {0} number from minval to below what maxval is as a {0}. Received: minval={minval:?}, \
             maxval={maxval:?}",
            T::NAME
        )));
    }
    Ok((scale, low, high))
}

/// The greatest distance of a value from the mean, in the unit of `mean`: `reach` standard deviations.
fn checked_reach<T: Element>(mean: f64, stddev: f64, reach: f64) -> Result<f64, RecipeError> {
    if !(mean.is_finite() && stddev.is_finite() && stddev >= 0.0) {
        return Err(RecipeError(format!(
            "mean must be finite, and stddev finite and not negative. Received: mean={mean:?}, stddev={stddev:?}"
        )));
    }
    checked_size::<T>("the values that mean and stddev give", mean.abs() + reach * stddev)?;
    Ok(reach * stddev)
}

/// The least and the greatest `T` between two bounds that are given in standard deviations.
fn between<T: Element>(mean: f64, stddev: f64, lower: f64, upper: f64) -> Result<(f64, f64), RecipeError> {
    if !(lower < upper && lower <= MAX_BOUND && upper >= -MAX_BOUND) {
        return Err(RecipeError(format!(
            "lower must be less than upper, and the nearer of them to 0 within {MAX_BOUND:?} standard deviations. \
             Received: lower={lower:?}, upper={upper:?}"
        )));
    }
    checked_reach::<T>(mean, stddev, 0.0)?;
    // Whatever the outer bound is, no value is farther than this from the inner one: only 2^-65 of the mass between
    // them would be.
    let (least, greatest) = (lower.max(upper.min(0.0) - NORMAL_REACH), upper.min(lower.max(0.0) + NORMAL_REACH));
    let [least, greatest] = [least, greatest].map(|end| mean + end * stddev);
    checked_size::<T>("the values that mean, stddev, lower and upper give", least.abs().max(greatest.abs()))?;
    // Infinite bounds are none, also if there is no spread.
    let [low, high] = [lower, upper].map(|end| if end.is_infinite() { end } else { mean + end * stddev });
    inside::<T>(low, high)
}

/// Check that values up to `largest` are finite in `T`.
fn checked_size<T: Element>(what: &str, largest: f64) -> Result<(), RecipeError> {
    if largest <= T::MAX {
        return Ok(());
    }
    Err(RecipeError(format!(
        "{what} must lie within the finite {} numbers, up to {:?}. Received: values up to {largest:?}",
        T::NAME,
        T::MAX
    )))
}

/// The least and the greatest `T` within closed bounds. If the bounds are equal, both are the nearest `T`.
fn inside<T: Element>(low: f64, high: f64) -> Result<(f64, f64), RecipeError> {
    if low == high {
        let only = T::nearest(low).to_f64();
        return Ok((only, only));
    }
    let (least, greatest) = (T::ceil(low).to_f64(), T::floor(high).to_f64());
    if least > greatest {
        return Err(RecipeError(format!(
            "there must be a {} number within the bounds. Received: bounds [{low:?}, {high:?}]",
            T::NAME
        )));
    }
    Ok((least, greatest))
}

#[cfg(test)]
mod tests {
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
            let Ok(recipe) = Recipe::new::<T>(distribution) else { continue }; // too small for 16 bits
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

    fn bounds_hold<T: Element>() {
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
                // Squares of float32 are exact in float64, and their sum is nearly: to one in 2^53.
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
        // (-2, 2 + 1e-13) is not in the table, and its values are within about 1e-13 of those that are.
        let table = values::<f64>(Distribution::TruncatedNormal { mean: 0.0, stddev: 1.0 });
        let upper = 2.0 + 1e-13;
        let other = values::<f64>(Distribution::NormalBetween { mean: 0.0, stddev: 1.0, lower: -2.0, upper });
        for (x, y) in table.into_iter().zip(other) {
            assert!((x - y).abs() < 4e-13, "{x} and {y}");
        }
    }

    #[test]
    fn bounds_hold_in_every_type() {
        bounds_hold::<f16>();
        bounds_hold::<bf16>();
        bounds_hold::<f32>();
        bounds_hold::<f64>();
    }

    #[test]
    fn one_sided_bounds_hold_without_spread() {
        let inf = f64::INFINITY;
        let above = Distribution::NormalBetween { mean: 0.1, stddev: 0.0, lower: 0.0, upper: inf };
        let below = Distribution::NormalBetween { mean: 0.1, stddev: 0.0, lower: -inf, upper: 1.0 };
        let all = |distribution, only: f64| assert!(values::<f16>(distribution).iter().all(|&x| x == only));
        all(above, f16::ceil(0.1).to_f64());
        all(below, f16::floor(0.1).to_f64());
        assert!(values::<f64>(above).iter().all(|&x| x == 0.1));
    }

    #[test]
    fn values_of_which_the_mean_is_no_part_may_reach_the_largest_number() {
        let inf = f64::INFINITY;
        let distribution = Distribution::NormalBetween { mean: 1e38, stddev: 3.6e37, lower: -inf, upper: 0.0 };
        assert!(values::<f32>(distribution).iter().all(|&x| x <= f64::from(1e38f32) && x > f64::from(f32::MIN)));
        let opposite = Distribution::NormalBetween { mean: 1e38, stddev: 3.6e37, lower: 0.0, upper: inf };
        assert!(Recipe::new::<f32>(opposite).is_err());
        let far = Distribution::NormalBetween { mean: -1.7e308, stddev: 3e307, lower: 0.0, upper: inf };
        assert!(Recipe::new::<f64>(far).is_err(), "the product with stddev is beyond the numbers");
    }

    /// The values between bounds that are no more than a millionth of a deviation are uniform, to `accuracy`.
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
            // The outermost values are brought to the last number within the bound.
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
                let (x, exact, size) =
                    (off_centre(lower, upper, word), lower * rest + upper * u, lower.abs().max(upper));
                assert!((x - exact).abs() < 1e-15 * exact.abs().max(1e-16 * size), "{x:e} for {exact:e} at {word:#x}");
            }
        }
    }

    /// Bounds of all kinds: the values are finite, rise with the word, stay within the bounds, and mirrored bounds give
    /// them mirrored.
    fn bounds_of_every_kind_hold<T: Element>() -> usize {
        let inf = f64::INFINITY;
        let bounds =
            [0.0, 5e-324, 1e-310, 1e-17, 1e-3, 0.4886, 0.5, 0.7, 1.0, 2.0, 2.81, 2.9, 6.0, 8.3, 37.0, 38.5, inf];
        let ends: Vec<f64> = bounds.iter().flat_map(|&x| [-x, x]).collect();
        let mut high: Vec<_> = [words(1), words(5)].concat();
        high.sort_unstable();
        high.extend([u32::MAX; MAX_LANES]);
        let low = vec![7; high.len()];
        let draw = |mean, stddev, lower, upper| {
            let recipe = Recipe::new::<T>(Distribution::NormalBetween { mean, stddev, lower, upper }).ok()?;
            let drawn = |high: &[u32], low: &[u32]| {
                backend::run(Drawn { recipe, high, low, element: PhantomData::<T> })
                    .into_iter()
                    .map(T::to_f64)
                    .collect()
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
                // The middle of a narrow type's low words is not its own mirror image: x is rounded otherwise, rarely.
                let near = |x: f64, y: f64| {
                    !T::DOUBLE && (T::nearest(x).next_up().to_f64() == y || T::nearest(x).next_down().to_f64() == y)
                };
                assert!(values.iter().zip(mirrored).all(|(&x, y)| x == -y || near(x, -y)), "mirrored: {}", about());
            }
        }
        count
    }

    #[test]
    fn normals_hold_bounds_of_every_kind() {
        let counts = [
            bounds_of_every_kind_hold::<f16>(),
            bounds_of_every_kind_hold::<bf16>(),
            bounds_of_every_kind_hold::<f32>(),
            bounds_of_every_kind_hold::<f64>(),
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

    /// For each two neighbours among the 16-bit numbers: bounds at them, and bounds between them and beyond.
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
                let far = b + 0.75 * (c - b); // what is nearest to it is c, which it excludes
                let values = uniform(early, far).expect("there is one number");
                assert!(values.iter().all(|&x| x == b), "[{early:e}, {far:e}) in {}: {values:?}", T::NAME);
            }
        })
        .count()
    }

    #[test]
    fn bounds_hold_at_and_between_all_16_bit_numbers() {
        for (name, count) in
            [(f16::NAME, bounds_at_every_number(f16::from_bits)), (bf16::NAME, bounds_at_every_number(bf16::from_bits))]
        {
            println!("bounds in {name}: at and between {count} pairs of neighbouring numbers");
        }
    }

    #[test]
    fn sixteen_bit_values_are_float32_values_rounded_within_the_bounds() {
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
        assert!(
            values::<f32>(Distribution::Uniform { minval: 1.0 / 3.0, maxval: 1.0 / 3.0 }).iter().all(|&x| x == third)
        );
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
            Distribution::Disk { radius: 1.0 }, // complex numbers of float16
        ] {
            assert!(Recipe::new::<f16>(bad).is_err(), "{bad:?}");
        }
        for bad in [-1.0, nan, f64::INFINITY, 1e39, 1e-31] {
            assert!(Recipe::new::<f32>(Distribution::Disk { radius: bad }).is_err(), "{bad:?}");
            assert!(Recipe::new::<f32>(Distribution::ComplexTruncatedNormal { stddev: bad }).is_err(), "{bad:?}");
        }
        assert!(Recipe::new::<f64>(Distribution::Uniform { minval: -f64::MAX, maxval: f64::MAX }).is_ok());
    }
}

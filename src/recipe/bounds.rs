//! The checks of parameters, and the least and the greatest value of each distribution.

use super::{Kind, RecipeError};
use crate::element::Element;
use crate::quantile::Scale;
use crate::quantile::between::MAX_BOUND;
use crate::quantile::curve::Curve;
use crate::quantile::polar::{RADIUS_ERROR, Radius};

/// The largest absolute value of a standard normal, rounded up. The first 64-bit word gives it: its u is 2^-65.
pub(super) const NORMAL_REACH: f64 = 9.25;

/// The scale of a curve: it changes no value, since the parameters are part of the curve's function.
pub(super) const UNSCALED: Scale = Scale { center: 0.0, scale: 1.0 };

/// The least `maxval` of [`Distribution::LogOfUniform`](super::Distribution::LogOfUniform). Its product with any u,
/// which is 2^-65 at the least, is then a normal number, as the logarithm requires.
pub const MIN_OF_LOG: f64 = 1e-280;

/// The parts of a recipe for a curve. Its bounds are the values of its first and its last word, rounded.
pub(super) fn curved<T: Element>(curve: Curve) -> Result<(Kind, (Scale, f64, f64)), RecipeError> {
    let [low, high] = curve.bounds();
    checked_size::<T>("the values", low.abs().max(high.abs()))?;
    Ok((Kind::Curve(curve), (UNSCALED, T::nearest(low).to_f64(), T::nearest(high).to_f64())))
}

/// Check that `minval` and `maxval` are in order, and from `least` to `greatest`.
pub(super) fn checked_ends(minval: f64, maxval: f64, least: f64, greatest: f64) -> Result<(), RecipeError> {
    if least <= minval && minval <= maxval && maxval <= greatest {
        return Ok(());
    }
    Err(RecipeError(format!(
        "minval and maxval must be from {least:?} to {greatest:?}, and minval <= maxval. Received: minval={minval:?}, \
         maxval={maxval:?}"
    )))
}

/// The scale of a complex distribution, its least radius 0, and its greatest radius. The latter is a little less than
/// the bound, so that a number is within the bound even after its parts are rounded.
pub(super) fn polar<T: Element>(radius: Radius, scale: f64) -> Result<(Scale, f64, f64), RecipeError> {
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
    let least = if T::DOUBLE { MIN_RADIUS } else { MIN_RADIUS_F32 };
    if end != 0.0 && end < least {
        return Err(RecipeError(format!(
            "the largest absolute value in complex numbers of {0} must be 0 or at least {least:?}, so that their parts \
             have all digits of a {0}. Received: {end:?}",
            T::NAME
        )));
    }
    let error = if T::DOUBLE { RADIUS_ERROR } else { f64::from(f32::EPSILON) };
    Ok((Scale { center: 0.0, scale }, 0.0, end * (1.0 - error)))
}

/// The least bound of a radius, except 0, for float64 and for float32 parts. With a lesser bound, many parts would be
/// subnormal numbers, which have fewer digits.
const MIN_RADIUS: f64 = 1e-280;
const MIN_RADIUS_F32: f64 = 1e-30;

/// The scale, the least and the greatest value of a uniform distribution.
pub(super) fn uniform<T: Element>(minval: f64, maxval: f64) -> Result<(Scale, f64, f64), RecipeError> {
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
    // Values are less than maxval, and also less than the `T` nearest to maxval: a caller that compares with maxval in
    // `T` sees the bound excluded too.
    let (low, high) = (T::ceil(minval).to_f64(), T::nearest(maxval).next_down().to_f64());
    if low > high {
        return Err(RecipeError(format!(
            "there must be a {0} number that is at least minval, less than maxval, and less than the {0} nearest to \
             maxval. Received: minval={minval:?}, maxval={maxval:?}",
            T::NAME
        )));
    }
    Ok((scale, low, high))
}

/// The greatest distance of a value from the mean, which is `reach` standard deviations. Checks that the values are
/// finite in `T`.
pub(super) fn checked_reach<T: Element>(mean: f64, stddev: f64, reach: f64) -> Result<f64, RecipeError> {
    if !(mean.is_finite() && stddev.is_finite() && stddev >= 0.0) {
        return Err(RecipeError(format!(
            "mean must be finite, and stddev finite and not negative. Received: mean={mean:?}, stddev={stddev:?}"
        )));
    }
    checked_size::<T>("the values that mean and stddev give", mean.abs() + reach * stddev)?;
    Ok(reach * stddev)
}

/// The least and the greatest `T` between two bounds, which are in standard deviations from the mean.
pub(super) fn between<T: Element>(mean: f64, stddev: f64, lower: f64, upper: f64) -> Result<(f64, f64), RecipeError> {
    if !(lower < upper && lower <= MAX_BOUND && upper >= -MAX_BOUND) {
        return Err(RecipeError(format!(
            "lower must be less than upper, and the nearer of them to 0 within {MAX_BOUND:?} standard deviations. \
             Received: lower={lower:?}, upper={upper:?}"
        )));
    }
    checked_reach::<T>(mean, stddev, 0.0)?;
    // However far the outer bound is, no value is more than NORMAL_REACH from the inner one: the part of the mass that
    // is farther is less than 2^-65, the least u.
    let (least, greatest) = (lower.max(upper.min(0.0) - NORMAL_REACH), upper.min(lower.max(0.0) + NORMAL_REACH));
    let [least, greatest] = [least, greatest].map(|end| mean + end * stddev);
    checked_size::<T>("the values that mean, stddev, lower and upper give", least.abs().max(greatest.abs()))?;
    // An infinite bound stays infinite even if stddev is 0: the product would be NaN.
    let [low, high] = [lower, upper].map(|end| if end.is_infinite() { end } else { mean + end * stddev });
    inside::<T>(low, high)
}

/// Check that values up to `largest` are finite in `T`. `what` names them in the error.
pub(super) fn checked_size<T: Element>(what: &str, largest: f64) -> Result<(), RecipeError> {
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
pub(super) fn inside<T: Element>(low: f64, high: f64) -> Result<(f64, f64), RecipeError> {
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

//! A recipe: a distribution, checked and compiled for an element type.
//!
//! The value of an element is `center + scale Q(u)`. The element's words determine `u` in (0, 1), and `Q` is the
//! quantile function of a standard distribution. The value is clamped between `low` and `high`. These are numbers of
//! the element type, so that no rounding can pass a bound.
//!
//! | module | contents |
//! |---|---|
//! | `distribution` | the distributions, by name and parameters |
//! | `bounds` | the checks of parameters, and the least and the greatest value |
//! | `complex` | the complex distribution that replaces a real one |
//! | `values` | the inner loops, from words to elements in memory |
//!
//! ```
//! use seedbed::recipe::{Distribution, Recipe};
//!
//! let recipe = Recipe::new::<half::f16>(Distribution::Uniform { minval: -0.1, maxval: 0.1 })?;
//! let (low, high) = recipe.bounds();
//! assert!(low > Some(-0.1) && high < Some(0.1)); // float16 cannot represent -0.1 and 0.1
//! # Ok::<(), seedbed::recipe::RecipeError>(())
//! ```

mod bounds;
mod complex;
mod distribution;
#[cfg(test)]
mod tests;
mod values;

use crate::element::Element;
use crate::float_state::in_default_state;
use crate::quantile::Scale;
use crate::quantile::between::Between;
use crate::quantile::curve::{Curve, MAX_SOFTPLUS};
use crate::quantile::polar::Radius;
use bounds::{
    NORMAL_REACH, UNSCALED, between, checked_ends, checked_reach, checked_size, curved, inside, polar, uniform,
};
use std::fmt;

pub use bounds::MIN_OF_LOG;
pub use distribution::Distribution;

/// The parameters of a distribution are invalid, or the element type cannot represent its values.
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
    /// The least value, a number of the element type. For a complex distribution, 0.
    low: f64,
    /// The greatest value, a number of the element type. For a complex distribution, the greatest radius.
    high: f64,
}

impl Recipe {
    /// The recipe of a distribution for elements of type `T`.
    ///
    /// # Errors
    ///
    /// If a parameter is not finite, a standard deviation is negative, or `minval > maxval`; if a value could exceed
    /// the largest finite `T`, or if no `T` is within the bounds.
    pub fn new<T: Element>(distribution: Distribution) -> Result<Self, RecipeError> {
        in_default_state(|| Self::compiled::<T>(distribution))
    }

    /// The recipe of the complex distribution with the variance of a real one. Real and imaginary parts have type `T`.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::new`]; and if the real distribution is not one of these three, centered at 0: a normal, a
    /// uniform, or a normal truncated at two standard deviations.
    pub fn of_complex<T: Element>(distribution: Distribution) -> Result<Self, RecipeError> {
        in_default_state(|| Self::compiled::<T>(distribution.complex()?))
    }

    /// Do what [`Self::new`] does. The floating point state must be the default one.
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

    /// The least and the greatest value; `None` for an end without a bound. Both are `None` for a complex distribution,
    /// which bounds the radius and not the single parts.
    pub fn bounds(&self) -> (Option<f64>, Option<f64>) {
        match self.kind {
            Kind::Normal | Kind::Polar(_) => (None, None),
            _ => (Some(self.low).filter(|low| low.is_finite()), Some(self.high).filter(|high| high.is_finite())),
        }
    }

    /// The name of the standard distribution, and center, scale, least and greatest value. `None` if the float32 values
    /// come neither from a float32 table nor from the uniform distribution.
    pub fn placement(&self) -> Option<(&'static str, [f64; 4])> {
        let name = match self.kind {
            Kind::Uniform => "uniform",
            Kind::Normal => "normal",
            Kind::TruncatedNormal => "truncated_normal",
            Kind::Between(_) | Kind::Curve(_) | Kind::Polar(_) => return None,
        };
        Some((name, [self.scale.center, self.scale.scale, self.low, self.high]))
    }

    /// Whether values are complex numbers. Each is a pair of elements, 2 i and 2 i + 1.
    pub fn makes_pairs(&self) -> bool {
        matches!(self.kind, Kind::Polar(_))
    }
}

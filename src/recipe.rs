//! A distribution and an element type: how words become the values of a tensor.

use crate::backend::Backend;
use crate::narrow::{Element, Vector};
use crate::quantile::{Normal, Scale, Standard, TruncatedNormal, Uniform};
use std::fmt;

/// What the values of a tensor are distributed like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// On the half-open interval [`minval`, `maxval`); where they are equal, that value.
    Uniform {
        /// The least value.
        minval: f64,
        /// The bound that is never reached.
        maxval: f64,
    },
    /// Unbounded, every finite tail.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        stddev: f64,
    },
    /// A normal conditioned on lying within two standard deviations of its mean, both bounds included.
    TruncatedNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation before the truncation; after it, 0.87962566103423978 times that.
        stddev: f64,
    },
}

/// The farthest that a standard normal of 64 bits reaches, rounded up: half of the last word, 2^-65, is left beyond it.
const NORMAL_REACH: f64 = 9.25;

/// Why there is no recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeError(String);

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RecipeError {}

/// center + scale Q(u), kept within `low..=high`, which are numbers of the element type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    distribution: Distribution,
    scale: Scale,
    low: f64,
    high: f64,
}

impl Recipe {
    /// The recipe of a distribution for elements of type `T`.
    ///
    /// # Errors
    ///
    /// Where a parameter is not finite, a standard deviation negative, `minval > maxval`, where values would be beyond
    /// the finite ones of `T`, or where no number of `T` lies within the bounds.
    pub fn new<T: Element>(distribution: Distribution) -> Result<Self, RecipeError> {
        let (scale, low, high) = match distribution {
            Distribution::Uniform { minval, maxval } => uniform::<T>(minval, maxval)?,
            Distribution::Normal { mean, stddev } => {
                let reach = checked_reach::<T>(mean, stddev, NORMAL_REACH)?;
                (Scale { center: mean, scale: stddev }, mean - reach, mean + reach)
            }
            Distribution::TruncatedNormal { mean, stddev } => {
                let reach = checked_reach::<T>(mean, stddev, 2.0)?;
                let (low, high) = inside::<T>(mean - reach, mean + reach)?;
                (Scale { center: mean, scale: stddev }, low, high)
            }
        };
        Ok(Self { distribution, scale, low, high })
    }

    /// Values of words. `low` holds the low words where `T` is made of both, and `low_word(i)` is the low word of any.
    #[inline(always)]
    pub(crate) fn values<B: Backend, T: Element>(&self, b: B, words: &Words<'_, impl Fn(usize) -> u32>, out: &mut [T]) {
        match self.distribution {
            Distribution::Uniform { .. } => self.values_of::<B, T, Uniform>(b, words, out),
            Distribution::Normal { .. } => self.values_of::<B, T, Normal>(b, words, out),
            Distribution::TruncatedNormal { .. } => self.values_of::<B, T, TruncatedNormal>(b, words, out),
        }
    }

    #[inline(always)]
    fn values_of<B: Backend, T: Element, S: Standard>(
        &self,
        b: B,
        words: &Words<'_, impl Fn(usize) -> u32>,
        out: &mut [T],
    ) {
        let mut vectors = out.chunks_exact_mut(B::LANES);
        let mut at = 0;
        for to in &mut vectors {
            T::store(b, self.vector::<B, T, S>(b, words, at), to);
            at += B::LANES;
        }
        let rest = vectors.into_remainder();
        if !rest.is_empty() {
            let mut last = [T::default(); crate::backend::MOST_LANES];
            T::store(b, self.vector::<B, T, S>(b, words, at), &mut last);
            rest.copy_from_slice(&last[..rest.len()]);
        }
    }

    #[inline(always)]
    fn vector<B: Backend, T: Element, S: Standard>(
        &self,
        b: B,
        words: &Words<'_, impl Fn(usize) -> u32>,
        at: usize,
    ) -> Vector<B> {
        let high = b.load(&words.high[at..]);
        if T::DOUBLE {
            let x = S::double(b, b.join(high, b.load(&words.low[at..])));
            let x = self.scale.apply_f64(b, x);
            let bounds = (b.splat_f64(self.low), b.splat_f64(self.high));
            Vector::Double(if S::BOUNDED { b.clamp_f64(x, bounds.0, bounds.1) } else { x })
        } else {
            let x = S::single(b, self.scale, high, |i| (words.low_word)(at + i));
            let bounds = (b.splat_f32(self.low as f32), b.splat_f32(self.high as f32));
            Vector::Single(if S::BOUNDED { b.clamp_f32(x, bounds.0, bounds.1) } else { x })
        }
    }
}

/// The words of consecutive values; the slices are padded to a whole vector.
pub(crate) struct Words<'a, F: Fn(usize) -> u32> {
    pub high: &'a [u32],
    pub low: &'a [u32],
    pub low_word: F,
}

fn uniform<T: Element>(minval: f64, maxval: f64) -> Result<(Scale, f64, f64), RecipeError> {
    if !(minval.is_finite() && maxval.is_finite() && minval <= maxval) {
        return Err(RecipeError(format!(
            "minval and maxval must be finite, and minval <= maxval. Received: minval={minval:?}, maxval={maxval:?}"
        )));
    }
    checked_size::<T>("minval and maxval", minval.abs().max(maxval.abs()))?;
    let scale = Scale { center: minval / 2.0 + maxval / 2.0, scale: maxval / 2.0 - minval / 2.0 };
    let (low, high) = if minval == maxval {
        inside::<T>(minval, maxval)?
    } else {
        let below = T::ceil(maxval).next_down().to_f64();
        inside::<T>(minval, below.max(minval)).map_err(|_| empty::<T>(&format!("[{minval:?}, {maxval:?})")))?
    };
    Ok((scale, low, high))
}

fn checked_reach<T: Element>(mean: f64, stddev: f64, reach: f64) -> Result<f64, RecipeError> {
    if !(mean.is_finite() && stddev.is_finite() && stddev >= 0.0) {
        return Err(RecipeError(format!(
            "mean must be finite, and stddev finite and not negative. Received: mean={mean:?}, stddev={stddev:?}"
        )));
    }
    checked_size::<T>("the values that mean and stddev give", mean.abs() + reach * stddev)?;
    Ok(reach * stddev)
}

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

/// The least and the greatest `T` within closed bounds; where the bounds are one number, the nearest to it.
fn inside<T: Element>(low: f64, high: f64) -> Result<(f64, f64), RecipeError> {
    if low == high {
        let only = T::nearest(low).to_f64();
        return Ok((only, only));
    }
    let (least, greatest) = (T::ceil(low).to_f64(), T::floor(high).to_f64());
    if least > greatest {
        return Err(empty::<T>(&format!("[{low:?}, {high:?}]")));
    }
    Ok((least, greatest))
}

fn empty<T: Element>(interval: &str) -> RecipeError {
    RecipeError(format!("there must be a {} number within the bounds. Received: bounds {interval}", T::NAME))
}

//! Words to standard values: the quantile functions, in bit-portable arithmetic.
//!
//! A word `w` of `n` bits (32 for float32, 64 for float64) represents u = (w + 1/2) / 2^n, and its value is Q(u), with
//! the quantile function Q of the distribution. Every operation is correctly rounded and none is fused, so that the
//! values are the same on every CPU. Every function is monotone in rounded arithmetic, so that the values rise with the
//! word. `docs/streams.md`, steps 5 to 14, specifies them.
//!
//! | module | contents |
//! |---|---|
//! | [`words`] | the numbers that the bits of a word give: the side, the distance from the end, u |
//! | [`piecewise`] | functions as polynomials by row |
//! | `tables` | their coefficients: data, made by `tools/quantile_tables.py` |
//! | `elementary` | logarithm, exponential and sine |
//! | [`symmetric`] | the uniform, the normal and the normal truncated at +-2 |
//! | [`between`] | the normal truncated at any two bounds |
//! | [`polar`] | complex values |
//! | [`curve`] | functions of a uniform number |

pub mod between;
pub mod curve;
mod elementary;
pub mod piecewise;
pub mod polar;
pub mod symmetric;
mod tables;
pub mod words;

use crate::backend::{Backend, each};
use words::outer_low_words;

/// A standard distribution.
#[allow(private_bounds, reason = "the lanes of a backend are private to this crate")]
pub trait Standard: Copy {
    /// Whether the distribution has bounds. If it has, the caller clamps the values to them.
    const BOUNDED: bool;

    /// center + scale Q(u) in float32. `low(i)` is the low word of element `i` of the vectors, called for the elements
    /// that need it.
    ///
    /// Unless a distribution overrides this with float32 arithmetic, it is the float64 value, rounded.
    #[inline(always)]
    fn single<B: Backend, const N: usize>(
        self,
        b: B,
        affine: impl Affine,
        high: [B::U32; N],
        low: impl Fn(usize) -> u32,
    ) -> [B::F32; N] {
        let low = each!(high[0]; i => outer_low_words(b, high[i], |lane| low(B::LANES * i + lane)));
        let values = self.double(b, affine, high, low);
        each!(b.splat_f32(0.0); i => b.narrow(values[i]))
    }

    /// center + scale Q(u) in float64, by both words.
    fn double<B: Backend, const N: usize>(
        self,
        b: B,
        affine: impl Affine,
        high: [B::U32; N],
        low: [B::U32; N],
    ) -> [B::F64; N];

    /// The lanes whose values [`Standard::rare_single`] computes instead of [`Standard::single`]. One bit for each
    /// lane, the first lane in the lowest bit.
    #[inline(always)]
    fn rare_in_single<B: Backend>(self, _: B, _high: B::U32) -> u32 {
        0
    }

    /// A rare value: center + scale Q(u) in float32.
    fn rare_single(self, _: impl Affine, _high: u32, _low: impl Fn() -> u32) -> f32 {
        unreachable!("no float32 value of this distribution is rare")
    }

    /// The lanes whose values [`Standard::rare_double`] computes instead of [`Standard::double`], as bits.
    #[inline(always)]
    fn rare_in_double<B: Backend>(self, _: B, _high: B::U32) -> u32 {
        0
    }

    /// A rare value: center + scale Q(u) in float64.
    fn rare_double(self, _: impl Affine, _high: u32, _low: u32) -> f64 {
        unreachable!("no float64 value of this distribution is rare")
    }
}

/// The affine function from standard values to values.
#[allow(private_bounds, reason = "the lanes of a backend are private to this crate")]
pub trait Affine: Copy {
    /// Apply it in float32.
    fn apply<B: Backend>(self, b: B, x: B::F32) -> B::F32;
    /// Apply it in float64.
    fn apply_f64<B: Backend>(self, b: B, x: B::F64) -> B::F64;
    /// The same function of x / `by`: its scale times `by`, a power of two.
    fn scaled(self, by: f64) -> Self;
}

/// center + scale x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The mean before a truncation, or the middle of the interval.
    pub center: f64,
    /// The standard deviation before a truncation, or half the width of the interval.
    pub scale: f64,
}

impl Affine for Scale {
    #[inline(always)]
    fn apply<B: Backend>(self, b: B, x: B::F32) -> B::F32 {
        b.add_f32(b.mul_f32(x, b.splat_f32(self.scale as f32)), b.splat_f32(self.center as f32))
    }
    #[inline(always)]
    fn apply_f64<B: Backend>(self, b: B, x: B::F64) -> B::F64 {
        b.add_f64(b.mul_f64(x, b.splat_f64(self.scale)), b.splat_f64(self.center))
    }
    fn scaled(self, by: f64) -> Self {
        Self { scale: self.scale * by, ..self }
    }
}

/// scale x. The bits are those of [`Scale`] with center 0, if no product is -0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multiple(pub f64);

impl Affine for Multiple {
    #[inline(always)]
    fn apply<B: Backend>(self, b: B, x: B::F32) -> B::F32 {
        b.mul_f32(x, b.splat_f32(self.0 as f32))
    }
    #[inline(always)]
    fn apply_f64<B: Backend>(self, b: B, x: B::F64) -> B::F64 {
        b.mul_f64(x, b.splat_f64(self.0))
    }
    fn scaled(self, by: f64) -> Self {
        Self(self.0 * by)
    }
}

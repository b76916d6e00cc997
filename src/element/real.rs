//! The types of the arithmetic, float32 and float64, as lanes of any backend.

use super::Element;
use crate::backend::{Backend, each};
use crate::quantile::words::Words;
use crate::quantile::{Affine, Standard};

/// float32 or float64: a type of the arithmetic. Its methods are the operations of a backend on lanes of the type.
#[allow(private_bounds, reason = "the lanes of a backend are private to this crate")]
pub trait Real: Element<Computed = Self> + std::ops::AddAssign {
    #[doc(hidden)]
    type Lanes<B: Backend>: Copy;

    #[doc(hidden)]
    fn splat<B: Backend>(b: B, x: Self) -> Self::Lanes<B>;
    #[doc(hidden)]
    fn load<B: Backend>(b: B, from: &[Self]) -> Self::Lanes<B>;
    #[doc(hidden)]
    fn add<B: Backend>(b: B, x: Self::Lanes<B>, y: Self::Lanes<B>) -> Self::Lanes<B>;
    #[doc(hidden)]
    fn mul<B: Backend>(b: B, x: Self::Lanes<B>, y: Self::Lanes<B>) -> Self::Lanes<B>;
    #[doc(hidden)]
    fn fma<B: Backend>(b: B, x: Self::Lanes<B>, y: Self::Lanes<B>, z: Self::Lanes<B>) -> Self::Lanes<B>;
    #[doc(hidden)]
    fn widen<B: Backend>(b: B, x: Self::Lanes<B>) -> B::F64;
    #[doc(hidden)]
    fn nearest_lanes<B: Backend>(b: B, x: B::F64) -> Self::Lanes<B>;
    /// Clamp to bounds, as [`Backend::clamp_f32`] does. The bounds must be numbers of the type.
    #[doc(hidden)]
    fn clamp<B: Backend>(b: B, x: Self::Lanes<B>, low: f64, high: f64) -> Self::Lanes<B>;
    /// The values center + scale Q(u) for `N` vectors of words, from index `at` on.
    #[doc(hidden)]
    fn values<B: Backend, const N: usize>(
        b: B,
        standard: impl Standard,
        affine: impl Affine,
        words: &Words<'_, impl Fn(usize) -> u32>,
        at: usize,
    ) -> [Self::Lanes<B>; N];
    /// The lanes with values that [`Real::rare_value`] computes, as bits, for the vector of words from index `at` on.
    #[doc(hidden)]
    fn rare<B: Backend>(b: B, standard: impl Standard, words: &Words<'_, impl Fn(usize) -> u32>, at: usize) -> u32;
    /// The value center + scale Q(u) for the word at index `at`, which [`Real::rare`] reports as rare.
    #[doc(hidden)]
    fn rare_value(
        standard: impl Standard,
        affine: impl Affine,
        words: &Words<'_, impl Fn(usize) -> u32>,
        at: usize,
    ) -> Self;
}

impl Real for f32 {
    type Lanes<B: Backend> = B::F32;

    #[inline(always)]
    fn splat<B: Backend>(b: B, x: Self) -> B::F32 {
        b.splat_f32(x)
    }
    #[inline(always)]
    fn load<B: Backend>(b: B, from: &[Self]) -> B::F32 {
        b.load_f32(from)
    }
    #[inline(always)]
    fn add<B: Backend>(b: B, x: B::F32, y: B::F32) -> B::F32 {
        b.add_f32(x, y)
    }
    #[inline(always)]
    fn mul<B: Backend>(b: B, x: B::F32, y: B::F32) -> B::F32 {
        b.mul_f32(x, y)
    }
    #[inline(always)]
    fn fma<B: Backend>(b: B, x: B::F32, y: B::F32, z: B::F32) -> B::F32 {
        b.fma_f32(x, y, z)
    }
    #[inline(always)]
    fn widen<B: Backend>(b: B, x: B::F32) -> B::F64 {
        b.widen_f32(x)
    }
    #[inline(always)]
    fn nearest_lanes<B: Backend>(b: B, x: B::F64) -> B::F32 {
        b.narrow(x)
    }
    #[inline(always)]
    fn clamp<B: Backend>(b: B, x: B::F32, low: f64, high: f64) -> B::F32 {
        b.clamp_f32(x, b.splat_f32(low as f32), b.splat_f32(high as f32))
    }
    #[inline(always)]
    fn values<B: Backend, const N: usize>(
        b: B,
        standard: impl Standard,
        affine: impl Affine,
        words: &Words<'_, impl Fn(usize) -> u32>,
        at: usize,
    ) -> [B::F32; N] {
        let high = each!(b.splat(0); i => b.load(&words.high[at + B::LANES * i..]));
        standard.single(b, affine, high, |i| (words.low_word)(at + i))
    }
    #[inline(always)]
    fn rare<B: Backend>(b: B, standard: impl Standard, words: &Words<'_, impl Fn(usize) -> u32>, at: usize) -> u32 {
        standard.rare_in_single(b, b.load(&words.high[at..]))
    }
    fn rare_value(
        standard: impl Standard,
        affine: impl Affine,
        words: &Words<'_, impl Fn(usize) -> u32>,
        at: usize,
    ) -> Self {
        standard.rare_single(affine, words.high[at], || (words.low_word)(at))
    }
}

impl Real for f64 {
    type Lanes<B: Backend> = B::F64;

    #[inline(always)]
    fn splat<B: Backend>(b: B, x: Self) -> B::F64 {
        b.splat_f64(x)
    }
    #[inline(always)]
    fn load<B: Backend>(b: B, from: &[Self]) -> B::F64 {
        b.load_f64(from)
    }
    #[inline(always)]
    fn add<B: Backend>(b: B, x: B::F64, y: B::F64) -> B::F64 {
        b.add_f64(x, y)
    }
    #[inline(always)]
    fn mul<B: Backend>(b: B, x: B::F64, y: B::F64) -> B::F64 {
        b.mul_f64(x, y)
    }
    #[inline(always)]
    fn fma<B: Backend>(b: B, x: B::F64, y: B::F64, z: B::F64) -> B::F64 {
        b.fma_f64(x, y, z)
    }
    #[inline(always)]
    fn widen<B: Backend>(_: B, x: B::F64) -> B::F64 {
        x
    }
    #[inline(always)]
    fn nearest_lanes<B: Backend>(_: B, x: B::F64) -> B::F64 {
        x
    }
    #[inline(always)]
    fn clamp<B: Backend>(b: B, x: B::F64, low: f64, high: f64) -> B::F64 {
        b.clamp_f64(x, b.splat_f64(low), b.splat_f64(high))
    }
    #[inline(always)]
    fn values<B: Backend, const N: usize>(
        b: B,
        standard: impl Standard,
        affine: impl Affine,
        words: &Words<'_, impl Fn(usize) -> u32>,
        at: usize,
    ) -> [B::F64; N] {
        let high = each!(b.splat(0); i => b.load(&words.high[at + B::LANES * i..]));
        let low = each!(b.splat(0); i => b.load(&words.low[at + B::LANES * i..]));
        standard.double(b, affine, high, low)
    }
    #[inline(always)]
    fn rare<B: Backend>(b: B, standard: impl Standard, words: &Words<'_, impl Fn(usize) -> u32>, at: usize) -> u32 {
        standard.rare_in_double(b, b.load(&words.high[at..]))
    }
    fn rare_value(
        standard: impl Standard,
        affine: impl Affine,
        words: &Words<'_, impl Fn(usize) -> u32>,
        at: usize,
    ) -> Self {
        standard.rare_double(affine, words.high[at], words.low[at])
    }
}

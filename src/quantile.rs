//! Words to standard values: the quantile functions, in bit-portable arithmetic.
//!
//! A word `w` of `n` bits (32 for float32, 64 for float64) stands for u = (w + 1/2) / 2^n. Its distance from the centre,
//! a = |2u - 1|, and its side, the sign of 2u - 1, come from the bits alone:
//!
//! ```text
//! rest = w where the top bit is clear (u < 1/2), else not w        m = 2^(n-1) - 1 - rest        a = (m + 1/2) / 2^(n-1)
//! ```
//!
//! The quantile of a symmetric distribution is odd in 2u - 1, so half of it is enough: a [`Table`] of polynomials in
//! a. The row is read off the exponent and the first mantissa bits of y = rest + offset, and the value is
//!
//! ```text
//! f = (2 origin[row] - 2 rest + 1) / 2^n        x = c0[row] + f (c1[row] + f (c2[row] + ...))
//! ```
//!
//! Each step is one correctly rounded operation, none fused. No coefficient is negative, so each is also nondecreasing
//! in `f`, *rounding included*: the computed quantile is monotone in the word, exactly, and exactly odd. Rows shorten
//! towards the singularity, which makes low degrees accurate; sixteen rows fit a vector register, so that a look-up is
//! one instruction. The coefficients are made by `tools/quantile_tables.py`.

pub mod between;
mod elementary;
pub mod polar;
mod tables;

use crate::backend::{Backend, MOST_LANES, Portable};

/// Half of a quantile function: polynomials by row.
#[derive(Debug)]
#[repr(align(64))] // sixteen float32 coefficients are one cache line
pub struct Table<Real, Integer, const SHIFT: u32, const ROWS: usize, const COEFFICIENTS: usize> {
    offset: Real,
    /// 2 origin + 1, as the integer type holds it.
    origin: [Integer; ROWS],
    coefficients: [[Real; ROWS]; COEFFICIENTS],
}

impl<const SHIFT: u32, const COEFFICIENTS: usize> Table<f32, i32, SHIFT, 16, COEFFICIENTS> {
    #[inline(always)]
    fn y<B: Backend>(&self, b: B, rest: B::U32) -> B::F32 {
        b.add_f32(b.to_f32(rest), b.splat_f32(self.offset))
    }

    #[inline(always)]
    fn half<B: Backend>(&self, b: B, rest: B::U32) -> B::F32 {
        let row = b.shift_right::<SHIFT>(b.bits(self.y(b, rest)));
        let distance = b.to_f32(b.sub(b.lookup(&self.origin, row), b.add(rest, rest)));
        let f = b.mul_f32(distance, b.splat_f32(1.0 / (1u64 << 32) as f32));
        let mut x = b.lookup_f32(&self.coefficients[COEFFICIENTS - 1], row);
        for coefficients in self.coefficients[..COEFFICIENTS - 1].iter().rev() {
            x = b.add_f32(b.mul_f32(x, f), b.lookup_f32(coefficients, row));
        }
        x
    }
}

impl<const SHIFT: u32, const ROWS: usize, const COEFFICIENTS: usize> Table<f64, i64, SHIFT, ROWS, COEFFICIENTS> {
    #[inline(always)]
    fn half<B: Backend>(&self, b: B, rest: B::U64) -> B::F64 {
        let y = b.add_f64(b.to_f64(rest), b.splat_f64(self.offset));
        let row = b.shift_right_u64::<SHIFT>(b.bits_u64(y));
        let distance = b.to_f64(b.sub_u64(b.lookup_u64(&self.origin, row), b.add_u64(rest, rest)));
        let f = b.mul_f64(distance, b.splat_f64(1.0 / (1u128 << 64) as f64));
        let mut x = b.lookup_f64(&self.coefficients[COEFFICIENTS - 1], row);
        for coefficients in self.coefficients[..COEFFICIENTS - 1].iter().rev() {
            x = b.add_f64(b.mul_f64(x, f), b.lookup_f64(coefficients, row));
        }
        x
    }
}

/// `w` where its top bit is clear, else not `w`: how far the word is from the end of its half.
#[inline(always)]
fn rest<B: Backend>(b: B, word: B::U32) -> B::U32 {
    b.xor(word, b.sign_mask(word))
}

/// Negate where the word's top bit is clear, as u < 1/2 there.
#[inline(always)]
fn with_side<B: Backend>(b: B, word: B::U32, half: B::F32) -> B::F32 {
    let top = b.splat(1 << 31);
    b.f32_of_bits(b.xor(b.bits(half), b.xor(b.and(word, top), top)))
}

#[inline(always)]
fn rest_u64<B: Backend>(b: B, word: B::U64) -> B::U64 {
    b.xor_u64(word, b.sign_mask_u64(word))
}

#[inline(always)]
fn with_side_u64<B: Backend>(b: B, word: B::U64, half: B::F64) -> B::F64 {
    let top = b.splat_u64(1 << 63);
    b.f64_of_bits(b.xor_u64(b.bits_u64(half), b.xor_u64(b.and_u64(word, top), top)))
}

/// A standard distribution.
pub trait Standard: Copy {
    /// Whether its values end, and are to be kept inside given bounds.
    const BOUNDED: bool;

    /// center + scale Q(u) in float32. `low(i)` is the low word of element `i` of the vector, for those that need it.
    fn single<B: Backend>(self, b: B, scale: Scale, high: B::U32, low: impl Fn(usize) -> u32) -> B::F32;

    /// The same in float64, by both words.
    fn double<B: Backend>(self, b: B, scale: Scale, high: B::U32, low: B::U32) -> B::F64;
}

/// center + scale x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Of the distribution.
    pub center: f64,
    /// Standard deviation, or half the width.
    pub scale: f64,
}

impl Scale {
    #[inline(always)]
    fn apply<B: Backend>(self, b: B, x: B::F32) -> B::F32 {
        b.add_f32(b.mul_f32(x, b.splat_f32(self.scale as f32)), b.splat_f32(self.center as f32))
    }

    /// center + scale x in float64.
    #[inline(always)]
    fn apply_f64<B: Backend>(self, b: B, x: B::F64) -> B::F64 {
        b.add_f64(b.mul_f64(x, b.splat_f64(self.scale)), b.splat_f64(self.center))
    }
}

/// The words of consecutive values; the slices are padded to a whole vector.
#[derive(Debug)]
pub struct Words<'a, F: Fn(usize) -> u32> {
    /// Those of all values.
    pub high: &'a [u32],
    /// Those of all values, where these are computed in float64.
    pub low: &'a [u32],
    /// The low word of any value.
    pub low_word: F,
}

/// Uniform on (-1, 1). In float32 it is the float64 value of the high word's midpoint, rounded once.
#[derive(Clone, Copy, Debug)]
pub struct Uniform;

impl Standard for Uniform {
    const BOUNDED: bool = true;

    #[inline(always)]
    fn single<B: Backend>(self, b: B, scale: Scale, high: B::U32, _: impl Fn(usize) -> u32) -> B::F32 {
        let signed = b.widen(b.xor(high, b.splat(1 << 31)));
        // 2^-31 scale is exact: where there are float32 numbers between the bounds, the scale is far from the subnormals.
        let scale = Scale { scale: scale.scale * (1.0 / (1u64 << 31) as f64), ..scale };
        b.narrow(scale.apply_f64(b, b.add_f64(signed, b.splat_f64(0.5))))
    }

    #[inline(always)]
    fn double<B: Backend>(self, b: B, scale: Scale, high: B::U32, low: B::U32) -> B::F64 {
        let word = b.join(high, low);
        let m = b.sub_u64(b.splat_u64(i64::MAX as u64), rest_u64(b, word));
        let a = b.mul_f64(b.add_f64(b.to_f64(m), b.splat_f64(0.5)), b.splat_f64(1.0 / (1u64 << 63) as f64));
        scale.apply_f64(b, with_side_u64(b, word, a))
    }
}

/// Normal, mean 0 and variance 1, truncated at +-2.
#[derive(Clone, Copy, Debug)]
pub struct TruncatedNormal;

impl Standard for TruncatedNormal {
    const BOUNDED: bool = true;

    #[inline(always)]
    fn single<B: Backend>(self, b: B, scale: Scale, high: B::U32, _: impl Fn(usize) -> u32) -> B::F32 {
        scale.apply(b, with_side(b, high, tables::TRUNCATED_F32.half(b, rest(b, high))))
    }

    #[inline(always)]
    fn double<B: Backend>(self, b: B, scale: Scale, high: B::U32, low: B::U32) -> B::F64 {
        let word = b.join(high, low);
        scale.apply_f64(b, with_side_u64(b, word, tables::TRUNCATED_F64.half(b, rest_u64(b, word))))
    }
}

/// Normal, mean 0 and variance 1.
///
/// In float32, the 1/256 of the values that lie farthest out, y < 2^23, are float64 values rounded: of the high word's
/// midpoint or, where the high word is among the outermost 2^16 of its end, of all 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Normal;

/// The bits of 2^23 as float32.
const TAIL: u32 = 0x4b00_0000;

impl Standard for Normal {
    const BOUNDED: bool = false;

    #[inline(always)]
    fn single<B: Backend>(self, b: B, scale: Scale, high: B::U32, low: impl Fn(usize) -> u32) -> B::F32 {
        let rest = rest(b, high);
        let mut half = tables::NORMAL_F32.half(b, rest);
        let tails = b.less(b.bits(tables::NORMAL_F32.y(b, rest)), b.splat(TAIL));
        if tails != 0 {
            half = normal_tails(b, tails, high, half, low);
        }
        scale.apply(b, with_side(b, high, half))
    }

    #[inline(always)]
    fn double<B: Backend>(self, b: B, scale: Scale, high: B::U32, low: B::U32) -> B::F64 {
        let word = b.join(high, low);
        scale.apply_f64(b, with_side_u64(b, word, tables::NORMAL_F64.half(b, rest_u64(b, word))))
    }
}

/// `half`, with the values of the lanes whose bits are set in `tails` made anew.
#[inline(always)]
fn normal_tails<B: Backend>(b: B, mut tails: u32, high: B::U32, half: B::F32, low: impl Fn(usize) -> u32) -> B::F32 {
    let (mut words, mut values) = ([0; MOST_LANES], [0.0; MOST_LANES]);
    b.store(high, &mut words);
    b.store_f32(half, &mut values);
    while tails != 0 {
        let i = tails.trailing_zeros() as usize;
        values[i] = normal_tail(words[i], || low(i));
        tails &= tails - 1;
    }
    b.f32_of_bits(b.load(&values.map(f32::to_bits)))
}

/// The low words by which narrow types are made in float64: the middle, but for the outermost 2^16 high words of either
/// end, whose own ones `low` gives.
#[inline(always)]
pub(crate) fn outer_low_words<B: Backend>(b: B, high: B::U32, low: impl Fn(usize) -> u32) -> B::U32 {
    let middle = b.splat(1 << 31);
    let mut outer = b.less(rest(b, high), b.splat(1 << 16));
    if outer == 0 {
        return middle;
    }
    let mut words = [1 << 31; MOST_LANES];
    while outer != 0 {
        let i = outer.trailing_zeros() as usize;
        words[i] = low(i);
        outer &= outer - 1;
    }
    b.load(&words)
}

#[inline(never)]
fn normal_tail(high: u32, low: impl Fn() -> u32) -> f32 {
    let rest = u64::from(rest(Portable::<1>, [high])[0]);
    let below = if rest < 1 << 16 { low() ^ ((high.cast_signed() >> 31).cast_unsigned()) } else { 1 << 31 };
    tables::NORMAL_F64.half(Portable::<1>, [rest << 32 | u64::from(below)])[0] as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{self, Task};
    use std::thread;

    const STANDARD: Scale = Scale { center: 0.0, scale: 1.0 };
    const VECTORS: u64 = 1 << 12;

    /// The float32 and float64 values of consecutive high words; the low words are all 2^31, the middle.
    struct Values<'a, S>(S, u32, &'a mut [f32], &'a mut [f64]);

    impl<S: Standard> Task for Values<'_, S> {
        type Output = ();

        #[inline(always)]
        fn run<B: Backend>(self, b: B) {
            let mut words = [0u32; MOST_LANES];
            let singles = self.2.chunks_exact_mut(B::LANES);
            for (i, (single, double)) in singles.zip(self.3.chunks_exact_mut(B::LANES)).enumerate() {
                for (lane, word) in words.iter_mut().enumerate() {
                    *word = self.1 + (i * B::LANES + lane) as u32;
                }
                let high = b.load(&words);
                b.store_f32(self.0.single(b, STANDARD, high, |_| 1 << 31), single);
                b.store_f64(self.0.double(b, STANDARD, high, b.splat(1 << 31)), double);
            }
        }
    }

    /// Go through all 2^32 high words: the values rise, and differ from the float64 ones by how many ulp at the most?
    fn sweep(standard: impl Standard + Sync, threads: u64) -> f64 {
        let size = VECTORS * MOST_LANES as u64;
        let part = |thread: u64| {
            let (mut single, mut double) = (vec![0.0; size as usize], vec![0.0; size as usize]);
            let (mut last, mut worst) = (f32::NEG_INFINITY, 0.0f64);
            let words = (1u64 << 32) / threads;
            for first in (thread * words..(thread + 1) * words).step_by(size as usize) {
                backend::run(Values(standard, first as u32, &mut single, &mut double));
                for (&x, &exact) in single.iter().zip(&double) {
                    assert!(last <= x, "the value {x} follows {last}, near the word {first:#x}");
                    last = x;
                    let ulp = f64::from(f32::from_bits((exact.abs() as f32).to_bits() & 0x7f80_0000)) * 2f64.powi(-23);
                    worst = worst.max((f64::from(x) - exact).abs() / ulp);
                }
            }
            worst
        };
        thread::scope(|scope| {
            let parts: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
            parts.into_iter().map(|part| part.join().expect("no thread panicked")).fold(0.0, f64::max)
        })
    }

    #[test]
    fn the_float32_normal_rises_with_the_word_and_is_near_the_float64_one() {
        let worst = sweep(Normal, 2);
        println!("normal: at most {worst:.3} ulp");
        assert!(worst < 2.3);
    }

    #[test]
    fn the_float32_truncated_normal_rises_with_the_word_and_is_near_the_float64_one() {
        let worst = sweep(TruncatedNormal, 2);
        println!("truncated normal: at most {worst:.3} ulp");
        assert!(worst < 2.3);
    }

    #[test]
    fn the_float32_uniform_rises_with_the_word_and_is_rounded_once() {
        let worst = sweep(Uniform, 2);
        println!("uniform: at most {worst:.3} ulp");
        assert!(worst <= 0.5 + 1e-6);
    }

    /// The float64 value of one 64-bit word.
    fn double(standard: impl Standard, word: u64) -> f64 {
        standard.double(Portable::<1>, STANDARD, [(word >> 32) as u32], [word as u32])[0]
    }

    fn single(standard: impl Standard, word: u64) -> f32 {
        standard.single(Portable::<1>, STANDARD, [(word >> 32) as u32], |_| word as u32)[0]
    }

    #[test]
    fn the_outermost_words_take_in_their_low_words_and_rise_with_them() {
        let mut last = f32::NEG_INFINITY;
        for high in 0..=1u64 << 16 {
            for low in [0, 1 << 31, u64::from(u32::MAX)] {
                let x = single(Normal, high << 32 | low);
                assert!(last <= x, "{x} follows {last} at {high:#x}, {low:#x}");
                last = x;
            }
        }
        assert!(single(Normal, 0) < -9.0);
        assert_eq!(single(Normal, 1 << 48), single(Normal, 1 << 48 | 5), "further in, the low word has no say");
        assert_ne!(single(Normal, (1 << 48) - 1), single(Normal, (1 << 48) - (1 << 32)));
    }

    #[test]
    fn the_quantiles_are_odd() {
        for i in 0..100_000u64 {
            let word = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 50);
            assert_eq!(double(Normal, word), -double(Normal, !word));
            assert_eq!(double(TruncatedNormal, word), -double(TruncatedNormal, !word));
            assert_eq!(double(Uniform, word), -double(Uniform, !word));
            assert_eq!(single(Normal, word), -single(Normal, !word));
            assert_eq!(single(TruncatedNormal, word), -single(TruncatedNormal, !word));
            assert_eq!(single(Uniform, word), -single(Uniform, !word));
        }
    }

    #[test]
    fn the_ends_are_where_they_should_be() {
        assert!((double(Normal, 0) + 9.155_293_772_686_073).abs() < 1e-14);
        assert!((double(TruncatedNormal, 0) + 2.0).abs() < 1e-13);
        assert_eq!(single(TruncatedNormal, 0), -2.0);
        assert_eq!(double(Normal, 1 << 63), 1.253_314_137_315_500_3 * 2f64.powi(-64));
        assert_eq!(single(Normal, 1 << 63), 1.253_314_1 * 2f32.powi(-32));
    }

    #[test]
    fn the_float64_quantiles_rise_from_row_to_row() {
        for value in [|word| double(Normal, word), |word| double(TruncatedNormal, word), |word| double(Uniform, word)] {
            for exponent in 0..63u32 {
                for step in 0..1u64 << exponent.min(12) {
                    let word = (1 << exponent) + (step << exponent.saturating_sub(12));
                    for word in word.saturating_sub(3)..word + 3 {
                        assert!(value(word) <= value(word + 1), "at {word:#x}");
                    }
                }
            }
        }
    }
}

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
pub mod curve;
mod elementary;
pub mod polar;
mod tables;

use crate::backend::{Backend, MAX_LANES, Portable, each};

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
    fn half<B: Backend, const N: usize>(&self, b: B, rest: [B::U32; N]) -> [B::F32; N] {
        let zero = b.splat_f32(0.0);
        let y = each!(zero; i => b.add_f32(b.to_f32(rest[i]), b.splat_f32(self.offset)));
        let row = each!(rest[0]; i => b.shift_right::<SHIFT>(b.bits(y[i])));
        let distance = each!(zero; i => b.to_f32(b.sub(b.lookup(&self.origin, row[i]), b.add(rest[i], rest[i]))));
        let f = each!(zero; i => b.mul_f32(distance[i], b.splat_f32(1.0 / (1u64 << 32) as f32)));
        let mut x = each!(zero; i => b.lookup_f32(&self.coefficients[COEFFICIENTS - 1], row[i]));
        for coefficients in self.coefficients[..COEFFICIENTS - 1].iter().rev() {
            x = each!(zero; i => b.mul_f32(x[i], f[i]));
            x = each!(zero; i => b.add_f32(x[i], b.lookup_f32(coefficients, row[i])));
        }
        x
    }

    /// The values of words in float32, both sides, placed.
    #[inline(always)]
    fn values<B: Backend, const N: usize>(&self, b: B, place: impl Affine, word: [B::U32; N]) -> [B::F32; N] {
        let half = self.half(b, each!(word[0]; i => rest(b, word[i])));
        let x = each!(half[0]; i => with_side(b, word[i], half[i]));
        each!(half[0]; i => place.apply(b, x[i]))
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
    let upper_side = b.xor(word, b.splat(!0));
    b.f32_of_bits(b.xor(b.bits(half), b.and(upper_side, b.splat(1 << 31))))
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
#[allow(private_bounds, reason = "the lanes of a backend are this crate's own affair")]
pub trait Standard: Copy {
    /// Whether its values end, and are to be kept inside given bounds.
    const BOUNDED: bool;

    /// center + scale Q(u) in float32. `low(i)` is the low word of
    /// element `i` of the vectors, for those that need it.
    fn single<B: Backend, const N: usize>(
        self,
        b: B,
        place: impl Affine,
        high: [B::U32; N],
        low: impl Fn(usize) -> u32,
    ) -> [B::F32; N];

    /// Lanes whose float32 values [`Standard::single`] leaves to [`Standard::rare_single`]: a bit for each, that of the
    /// first one lowest.
    #[inline(always)]
    fn rare<B: Backend>(self, _: B, _high: B::U32) -> u32 {
        0
    }

    /// A rare value: center + scale Q(u) in float32.
    fn rare_single(self, _: impl Affine, _high: u32, _low: impl Fn() -> u32) -> f32 {
        unreachable!("no value of this distribution is rare")
    }

    /// The same in float64, by both words.
    fn double<B: Backend>(self, b: B, place: impl Affine, high: B::U32, low: B::U32) -> B::F64;
}

/// center + scale x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Of the distribution.
    pub center: f64,
    /// Standard deviation, or half the width.
    pub scale: f64,
}

/// Where standard values come to lie.
#[allow(private_bounds, reason = "the lanes of a backend are this crate's own affair")]
pub trait Affine: Copy {
    /// In float32.
    fn apply<B: Backend>(self, b: B, x: B::F32) -> B::F32;
    /// In float64.
    fn apply_f64<B: Backend>(self, b: B, x: B::F64) -> B::F64;
    /// That of values which are smaller by a power of two.
    fn scaled(self, by: f64) -> Self;
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

/// scale x: the [`Scale`] whose center is 0, where no product is.
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
    fn single<B: Backend, const N: usize>(
        self,
        b: B,
        place: impl Affine,
        high: [B::U32; N],
        _: impl Fn(usize) -> u32,
    ) -> [B::F32; N] {
        // 2^-31 scale is exact: where there are float32 numbers between the bounds, the scale is far from the subnormals.
        let place = place.scaled(1.0 / (1u64 << 31) as f64);
        each!(b.splat_f32(0.0); i => b.narrow(place.apply_f64(b, b.signed_midpoint(high[i]))))
    }

    #[inline(always)]
    fn double<B: Backend>(self, b: B, place: impl Affine, high: B::U32, low: B::U32) -> B::F64 {
        let word = b.join(high, low);
        let m = b.sub_u64(b.splat_u64(i64::MAX as u64), rest_u64(b, word));
        let a = b.mul_f64(b.add_f64(b.to_f64(m), b.splat_f64(0.5)), b.splat_f64(1.0 / (1u64 << 63) as f64));
        place.apply_f64(b, with_side_u64(b, word, a))
    }
}

/// Normal, mean 0 and variance 1, truncated at +-2.
#[derive(Clone, Copy, Debug)]
pub struct TruncatedNormal;

impl Standard for TruncatedNormal {
    const BOUNDED: bool = true;

    #[inline(always)]
    fn single<B: Backend, const N: usize>(
        self,
        b: B,
        place: impl Affine,
        high: [B::U32; N],
        _: impl Fn(usize) -> u32,
    ) -> [B::F32; N] {
        tables::TRUNCATED_F32.values(b, place, high)
    }

    #[inline(always)]
    fn double<B: Backend>(self, b: B, place: impl Affine, high: B::U32, low: B::U32) -> B::F64 {
        let word = b.join(high, low);
        place.apply_f64(b, with_side_u64(b, word, tables::TRUNCATED_F64.half(b, rest_u64(b, word))))
    }
}

/// Normal, mean 0 and variance 1.
///
/// In float32, 1/256 of the values, those farthest out, have a table of their own.
#[derive(Clone, Copy, Debug)]
pub struct Normal;

/// Where `rest` is less, a float32 normal is beyond its table.
const TAIL: u32 = (1 << 23) + 128;

impl Standard for Normal {
    const BOUNDED: bool = false;

    #[inline(always)]
    fn single<B: Backend, const N: usize>(
        self,
        b: B,
        place: impl Affine,
        high: [B::U32; N],
        _: impl Fn(usize) -> u32,
    ) -> [B::F32; N] {
        tables::NORMAL_F32.values(b, place, high)
    }

    #[inline(always)]
    fn rare<B: Backend>(self, b: B, high: B::U32) -> u32 {
        b.less(rest(b, high), b.splat(TAIL))
    }

    fn rare_single(self, place: impl Affine, high: u32, low: impl Fn() -> u32) -> f32 {
        let one = Portable::<1>;
        place.apply(one, with_side(one, [high], [normal_tail(high, low)]))[0]
    }

    #[inline(always)]
    fn double<B: Backend>(self, b: B, place: impl Affine, high: B::U32, low: B::U32) -> B::F64 {
        let word = b.join(high, low);
        place.apply_f64(b, with_side_u64(b, word, tables::NORMAL_F64.half(b, rest_u64(b, word))))
    }
}

/// High words nearer to an end than this take in their low words.
const OUTER: u32 = 1 << 16;

/// The bits of 2^-33 in float32, which is the least y of a tail, shifted to a row.
const TAIL_FIRST: u32 = 0x2f00_0000 >> TAIL_SHIFT;
const TAIL_SHIFT: u32 = 22;

/// The standard normal where `rest` is less than [`TAIL`]: P(X > x) = y / 2^32, y counting the fraction of a word that the low word
/// is. Rows are the binary orders of y, halved: the nearer the end, the shorter they are.
///
/// Where high words are as many as float32 has numbers, they are enough; farther out they take in their low words, without
/// which no value would be beyond 6.34.
#[inline(never)]
fn normal_tail(high: u32, low: impl Fn() -> u32) -> f32 {
    let [rest] = rest(Portable::<1>, [high]);
    let below = if rest < OUTER { low() ^ ((high.cast_signed() >> 31).cast_unsigned()) } else { 1 << 31 };
    let y = rest as f32 + (below as f32 + 0.5) * (1.0 / (1u64 << 32) as f32);
    let (row, bits) = (y.to_bits() >> TAIL_SHIFT, y.to_bits() & ((1 << TAIL_SHIFT) - 1));
    let f = ((1 << TAIL_SHIFT) - bits) as f32 * (1.0 / (1u32 << TAIL_SHIFT) as f32);
    let coefficients = &tables::NORMAL_TAIL_F32[(row - TAIL_FIRST) as usize];
    coefficients.iter().rev().copied().reduce(|x, c| x * f + c).expect("there are coefficients")
}

/// The low words by which narrow types are made in float64: the middle, but for the outermost 2^16 high words of either
/// end, whose own ones `low` gives.
#[inline(always)]
pub(crate) fn outer_low_words<B: Backend>(b: B, high: B::U32, low: impl Fn(usize) -> u32) -> B::U32 {
    let middle = b.splat(1 << 31);
    let mut outer = b.less(rest(b, high), b.splat(OUTER));
    if outer == 0 {
        return middle;
    }
    let mut words = [1 << 31; MAX_LANES];
    while outer != 0 {
        let i = outer.trailing_zeros() as usize;
        words[i] = low(i);
        outer &= outer - 1;
    }
    b.load(&words)
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
            let mut words = [0u32; MAX_LANES];
            let singles = self.2.chunks_exact_mut(B::LANES);
            for (i, (single, double)) in singles.zip(self.3.chunks_exact_mut(B::LANES)).enumerate() {
                for (lane, word) in words.iter_mut().enumerate() {
                    *word = self.1 + (i * B::LANES + lane) as u32;
                }
                let high = b.load(&words);
                let [values] = self.0.single(b, STANDARD, [high], |_| 1 << 31);
                b.store_f32(values, single);
                let rare = self.0.rare(b, high);
                for lane in (0..B::LANES).filter(|lane| rare >> lane & 1 == 1) {
                    single[lane] = self.0.rare_single(STANDARD, words[lane], || 1 << 31);
                }
                b.store_f64(self.0.double(b, STANDARD, high, b.splat(1 << 31)), double);
            }
        }
    }

    /// Go through all 2^32 high words: the values rise, and differ from the float64 ones by how many ulp at the most?
    fn sweep(standard: impl Standard + Sync, threads: u64) -> f64 {
        let size = VECTORS * MAX_LANES as u64;
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
        let high = (word >> 32) as u32;
        if standard.rare(Portable::<1>, [high]) != 0 {
            return standard.rare_single(STANDARD, high, || word as u32);
        }
        standard.single(Portable::<1>, STANDARD, [[high]], |_| word as u32)[0][0]
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
    fn float32_tails_rise_across_every_row_and_are_near_the_float64_ones() {
        // The words around the ends of each row, which are the binary orders of y and their halves.
        let ends = (0..56).flat_map(|order| [2u64 << order, 3u64 << order]);
        let around = ends.flat_map(|end| (0..4096u64).map(move |i| (end + i).saturating_sub(2048)));
        // Where low words have no say, the value is that of the middle of the high word.
        let word_of = |word: u64| if word >> 48 == 0 { word } else { word & !0xffff_ffff | 1 << 31 };
        let mut words: Vec<_> = around.map(word_of).filter(|word| (word >> 32) < u64::from(TAIL)).collect();
        words.sort_unstable();
        let (mut last, mut worst) = (f32::NEG_INFINITY, 0.0f64);
        for word in words {
            let (x, exact) = (single(Normal, word), double(Normal, word));
            assert!(last <= x, "{x} follows {last} at {word:#x}");
            last = x;
            let ulp = f64::from(f32::from_bits((exact.abs() as f32).to_bits() & 0x7f80_0000)) * 2f64.powi(-23);
            worst = worst.max((f64::from(x) - exact).abs() / ulp);
        }
        println!("float32 tails: at most {worst:.3} ulp");
        assert!(worst < 2.0);
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

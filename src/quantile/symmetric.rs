//! The uniform on (-1, 1), the standard normal, and the standard normal truncated at +-2.
//!
//! Their quantile functions are odd in 2u - 1, so that half of each is enough.

use super::piecewise::Table;
use super::tables::{NORMAL_F32, NORMAL_F64, NORMAL_TAIL_F32, NORMAL_TAIL_F64, TRUNCATED_F32, TRUNCATED_F64};
use super::words::{OUTER, from_centre, rest, rest_u64, with_side, with_side_u64};
use super::{Affine, Standard};
use crate::backend::{Backend, Portable, each};

/// float32 values of a table, both sides, placed.
macro_rules! singles {
    ($b:ident, $table:ident, $place:ident, $high:ident) => {{
        let half = $table.half($b, each!($high[0]; i => rest($b, $high[i])));
        let x = each!(half[0]; i => with_side($b, $high[i], half[i]));
        each!(half[0]; i => $place.apply($b, x[i]))
    }};
}

/// float64 values of a table, both sides, placed.
macro_rules! doubles {
    ($b:ident, $table:ident, $place:ident, $high:ident, $low:ident) => {{
        let word = each!($b.splat_u64(0); i => $b.join($high[i], $low[i]));
        let half = $table.half($b, each!(word[0]; i => rest_u64($b, word[i])));
        let x = each!(half[0]; i => with_side_u64($b, word[i], half[i]));
        each!(half[0]; i => $place.apply_f64($b, x[i]))
    }};
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
    fn double<B: Backend, const N: usize>(
        self,
        b: B,
        place: impl Affine,
        high: [B::U32; N],
        low: [B::U32; N],
    ) -> [B::F64; N] {
        each!(b.splat_f64(0.0); i => {
            let word = b.join(high[i], low[i]);
            place.apply_f64(b, with_side_u64(b, word, from_centre(b, rest_u64(b, word))))
        })
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
        singles!(b, TRUNCATED_F32, place, high)
    }

    #[inline(always)]
    fn double<B: Backend, const N: usize>(
        self,
        b: B,
        place: impl Affine,
        high: [B::U32; N],
        low: [B::U32; N],
    ) -> [B::F64; N] {
        doubles!(b, TRUNCATED_F64, place, high, low)
    }
}

/// Normal, mean 0 and variance 1.
///
/// Sixteen rows reach to where 1/256 of the float32 values, or 1/205 of the float64 values, are farther out. Those have
/// tables of their own, whose rows are the binary orders of y, halved, where P(X > x) = y / 2^n. The nearer the end, the
/// shorter they are.
#[derive(Clone, Copy, Debug)]
pub struct Normal;

/// A float32 normal whose rest is less is beyond its table.
const TAIL: u32 = (1 << 23) + 128;

/// A float64 normal is beyond its table if the rest of its high word is less.
pub(super) const TAIL_F64: u32 = 5 << 21;

/// A float32 table of sixteen rows, for other implementations of its polynomials.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// Number that is added to the rest before its bits choose a row.
    pub offset: f32,
    /// Mantissa bits below those that choose the row.
    pub shift: u32,
    /// Origin of each row.
    pub origin: &'static [i32],
    /// Coefficients of each power, the constants first; each by row.
    pub coefficients: &'static [[f32; 16]],
}

impl<const SHIFT: u32, const COEFFICIENTS: usize> Table<f32, i32, SHIFT, COEFFICIENTS> {
    const fn rows(&'static self) -> Rows {
        Rows { offset: self.offset, shift: SHIFT, origin: &self.origin, coefficients: &self.coefficients }
    }
}

/// The table of float32 normals.
pub const NORMAL: Rows = NORMAL_F32.rows();

/// The table of float32 truncated normals.
pub const TRUNCATED_NORMAL: Rows = TRUNCATED_F32.rows();

/// The tails of float32 normals.
#[derive(Debug)]
pub struct Tail {
    /// The least rest that is not in a tail.
    pub below: u32,
    /// The least rest that does not need its low word.
    pub outer: u32,
    /// Mantissa bits below those that choose the row.
    pub shift: u32,
    /// Number of the first row.
    pub first: u32,
    /// Coefficients of each row, the constant first.
    pub coefficients: &'static [[f32; 6]],
}

/// The tables of the tails.
pub const NORMAL_TAIL: Tail =
    Tail { below: TAIL, outer: OUTER, shift: TAIL_SHIFT, first: TAIL_FIRST, coefficients: &NORMAL_TAIL_F32 };

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
        singles!(b, NORMAL_F32, place, high)
    }

    #[inline(always)]
    fn double<B: Backend, const N: usize>(
        self,
        b: B,
        place: impl Affine,
        high: [B::U32; N],
        low: [B::U32; N],
    ) -> [B::F64; N] {
        doubles!(b, NORMAL_F64, place, high, low)
    }

    #[inline(always)]
    fn rare_in_single<B: Backend>(self, b: B, high: B::U32) -> u32 {
        b.less(rest(b, high), b.splat(TAIL))
    }

    fn rare_single(self, place: impl Affine, high: u32, low: impl Fn() -> u32) -> f32 {
        let one = Portable::<1>;
        place.apply(one, with_side(one, [high], [tail_single(high, low)]))[0]
    }

    #[inline(always)]
    fn rare_in_double<B: Backend>(self, b: B, high: B::U32) -> u32 {
        b.less(rest(b, high), b.splat(TAIL_F64))
    }

    fn rare_double(self, place: impl Affine, high: u32, low: u32) -> f64 {
        let one = Portable::<1>;
        let word = one.join([high], [low]);
        place.apply_f64(one, with_side_u64(one, word, [tail_double(rest_u64(one, word)[0])]))[0]
    }
}

/// Mantissa bits of y below those that choose the row of a tail.
const TAIL_SHIFT: u32 = 22;
const TAIL_F64_SHIFT: u32 = 51;

/// The rows of the least y of the tails, which are 2^-33 and 1/2, among those of all numbers.
const TAIL_FIRST: u32 = (127 - 33) << 1;
const TAIL_F64_FIRST: u64 = (1023 - 1) << 1;

/// The standard normal where the rest is less than [`TAIL`]. y counts the fraction of a word that the low word is.
///
/// Where high words are as many as float32 has numbers, they are enough; farther out they take in their low words, without
/// which no value would be beyond 6.34.
#[inline(never)]
fn tail_single(high: u32, low: impl Fn() -> u32) -> f32 {
    let [rest] = rest(Portable::<1>, [high]);
    let below = if rest < OUTER { low() ^ ((high.cast_signed() >> 31).cast_unsigned()) } else { 1 << 31 };
    let y = rest as f32 + (below as f32 + 0.5) * (1.0 / (1u64 << 32) as f32);
    let (row, bits) = (y.to_bits() >> TAIL_SHIFT, y.to_bits() & ((1 << TAIL_SHIFT) - 1));
    let f = ((1 << TAIL_SHIFT) - bits) as f32 * (1.0 / (1u32 << TAIL_SHIFT) as f32);
    let coefficients = &NORMAL_TAIL_F32[(row - TAIL_FIRST) as usize];
    coefficients.iter().rev().copied().reduce(|x, c| x * f + c).expect("there are coefficients")
}

/// The standard normal where the rest of the high word is less than [`TAIL_F64`].
#[inline(never)]
fn tail_double(rest: u64) -> f64 {
    let y = rest as f64 + 0.5;
    let (row, bits) = (y.to_bits() >> TAIL_F64_SHIFT, y.to_bits() & ((1 << TAIL_F64_SHIFT) - 1));
    let f = ((1 << TAIL_F64_SHIFT) - bits) as f64 * (1.0 / (1u64 << TAIL_F64_SHIFT) as f64);
    let coefficients = &NORMAL_TAIL_F64[(row - TAIL_F64_FIRST) as usize];
    coefficients.iter().rev().copied().reduce(|x, c| x * f + c).expect("there are coefficients")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{self, MAX_LANES, Task};
    use crate::quantile::Scale;
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
                let rare = self.0.rare_in_single(b, high);
                for lane in (0..B::LANES).filter(|lane| rare >> lane & 1 == 1) {
                    single[lane] = self.0.rare_single(STANDARD, words[lane], || 1 << 31);
                }
                let [values] = self.0.double(b, STANDARD, [high], [b.splat(1 << 31)]);
                b.store_f64(values, double);
                let rare = self.0.rare_in_double(b, high);
                for lane in (0..B::LANES).filter(|lane| rare >> lane & 1 == 1) {
                    double[lane] = self.0.rare_double(STANDARD, words[lane], 1 << 31);
                }
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
        let (high, low) = ((word >> 32) as u32, word as u32);
        if standard.rare_in_double(Portable::<1>, [high]) != 0 {
            return standard.rare_double(STANDARD, high, low);
        }
        standard.double(Portable::<1>, STANDARD, [[high]], [[low]])[0][0]
    }

    fn single(standard: impl Standard, word: u64) -> f32 {
        let high = (word >> 32) as u32;
        if standard.rare_in_single(Portable::<1>, [high]) != 0 {
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
        assert!((double(TruncatedNormal, 0) + 2.0).abs() < 1e-15);
        assert_eq!(single(TruncatedNormal, 0), -2.0);
        assert_eq!(double(Normal, 1 << 63), 1.253_314_137_315_500_3 * 2f64.powi(-64));
        assert_eq!(single(Normal, 1 << 63), 1.253_314_1 * 2f32.powi(-32));
    }

    #[test]
    fn the_float64_normal_rises_across_every_row() {
        // Rows end at multiples of a fourth of a binary order, less the offset; the tails begin at one.
        let ends = (0..63u32).flat_map(|order| (4..8u64).map(move |quarter| (quarter << order) >> 2));
        for end in ends.map(|end| end.wrapping_add(u64::from(end == 0))) {
            let near = (0..2048u64).map(|i| (end + i).saturating_sub(1024));
            let far = (0..60).flat_map(|order| [end.saturating_sub(1 << order), end + (1 << order)]);
            let mut words: Vec<_> = near.chain(far).filter(|word| *word < 1 << 63).collect();
            words.sort_unstable();
            for pair in words.windows(2) {
                let (x, y) = (double(Normal, pair[0]), double(Normal, pair[1]));
                assert!(x <= y, "{y} follows {x} at {:#x}", pair[1]);
            }
        }
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

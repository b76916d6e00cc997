//! The numbers that the bits of a word give: the side, the rest, and u.
//!
//! A word `w` of `n` bits represents u = (w + 1/2) / 2^n. Its side is the sign of 2u - 1, and its *rest* counts the
//! words between it and the end of its side:
//!
//! ```text
//! rest = w if the top bit is clear (u < 1/2), else not w        1 - |2u - 1| = (rest + 1/2) / 2^(n-1)
//! ```

use crate::backend::{Backend, MAX_LANES};

/// The words of consecutive values; the slices are padded to a whole vector.
#[derive(Debug)]
pub struct Words<'a, F: Fn(usize) -> u32> {
    /// High words of all values.
    pub high: &'a [u32],
    /// Low words of all values, if they are computed in float64.
    pub low: &'a [u32],
    /// The low word of any value.
    pub low_word: F,
}

/// The rest of 32-bit words: `w` if its top bit is clear, else not `w`.
#[inline(always)]
pub(super) fn rest<B: Backend>(b: B, word: B::U32) -> B::U32 {
    b.xor(word, b.sign_mask(word))
}

/// The rest of 64-bit words.
#[inline(always)]
pub(super) fn rest_u64<B: Backend>(b: B, word: B::U64) -> B::U64 {
    b.xor_u64(word, b.sign_mask_u64(word))
}

/// Negate `half` in the lanes whose word has a clear top bit, since u < 1/2 there.
#[inline(always)]
pub(super) fn with_side<B: Backend>(b: B, word: B::U32, half: B::F32) -> B::F32 {
    let upper_side = b.xor(word, b.splat(!0));
    b.f32_of_bits(b.xor(b.bits(half), b.and(upper_side, b.splat(1 << 31))))
}

/// Do what [`with_side`] does, for 64-bit words.
#[inline(always)]
pub(super) fn with_side_u64<B: Backend>(b: B, word: B::U64, half: B::F64) -> B::F64 {
    let top = b.splat_u64(1 << 63);
    b.f64_of_bits(b.xor_u64(b.bits_u64(half), b.xor_u64(b.and_u64(word, top), top)))
}

/// |2u - 1| of a 64-bit word, by its rest. It has all its digits near 0 too, and no word gives 0.
#[inline(always)]
pub(super) fn from_centre<B: Backend>(b: B, rest: B::U64) -> B::F64 {
    let m = b.sub_u64(b.splat_u64(i64::MAX as u64), rest);
    b.mul_f64(b.add_f64(b.to_f64(m), b.splat_f64(0.5)), b.splat_f64(1.0 / (1u64 << 63) as f64))
}

/// u of a 64-bit word by its halves, rounded once.
#[inline(always)]
pub(crate) fn unit<B: Backend>(b: B, high: B::U32, low: B::U32) -> B::F64 {
    // `widen` takes signed numbers, so 2^31 is subtracted from each word before and added after.
    let (top, half) = (b.splat(1 << 31), (1u64 << 31) as f64);
    let high = b.add_f64(b.widen(b.xor(high, top)), b.splat_f64(half));
    let low = b.add_f64(b.widen(b.xor(low, top)), b.splat_f64(half + 0.5));
    let [high_unit, low_unit] = [1.0 / (1u64 << 32) as f64, 1.0 / (1u128 << 64) as f64];
    b.add_f64(b.mul_f64(high, b.splat_f64(high_unit)), b.mul_f64(low, b.splat_f64(low_unit)))
}

/// If the rest of the high word is less than this, float32 and narrower values use the low word too: those of the
/// normal, and those of distributions that are computed in float64. By high words alone, a far tail would have few
/// distinct values, each of them too frequent.
pub(super) const OUTER: u32 = 1 << 16;

/// The low words of float32 and narrower values that are computed in float64: `low(i)` for the outermost high words,
/// and the middle, 2^31, for all others.
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
        outer &= outer - 1; // clears the lowest bit
    }
    b.load(&words)
}

//! The uniform on (-1, 1), the standard normal, and the standard normal truncated at +-2.
//!
//! Their quantile functions are odd in 2u - 1, so that a table needs only one half of each. `docs/streams.md`, steps 6
//! to 8, specifies them.

#[cfg(test)]
mod tests;

use super::piecewise::Table;
use super::tables::{NORMAL_F32, NORMAL_F64, NORMAL_TAIL_F32, NORMAL_TAIL_F64, TRUNCATED_F32, TRUNCATED_F64};
use super::words::{OUTER, from_centre, rest, rest_u64, with_side, with_side_u64};
use super::{Affine, Standard};
use crate::backend::{Backend, Portable, each};

/// float32 values from the table of one half: the sign of each word's side is set, then `affine` is applied.
macro_rules! singles {
    ($b:ident, $table:ident, $affine:ident, $high:ident) => {{
        let half = $table.half($b, each!($high[0]; i => rest($b, $high[i])));
        let x = each!(half[0]; i => with_side($b, $high[i], half[i]));
        each!(half[0]; i => $affine.apply($b, x[i]))
    }};
}

/// float64 values from the table of one half, as [`singles`] makes the float32 ones.
macro_rules! doubles {
    ($b:ident, $table:ident, $affine:ident, $high:ident, $low:ident) => {{
        let word = each!($b.splat_u64(0); i => $b.join($high[i], $low[i]));
        let half = $table.half($b, each!(word[0]; i => rest_u64($b, word[i])));
        let x = each!(half[0]; i => with_side_u64($b, word[i], half[i]));
        each!(half[0]; i => $affine.apply_f64($b, x[i]))
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
        affine: impl Affine,
        high: [B::U32; N],
        _: impl Fn(usize) -> u32,
    ) -> [B::F32; N] {
        // 2^-31 scale is exact: the bounds have float32 numbers between them, so that the scale is far from the
        // subnormal float64 numbers.
        let affine = affine.scaled(1.0 / (1u64 << 31) as f64);
        each!(b.splat_f32(0.0); i => b.narrow(affine.apply_f64(b, b.signed_midpoint(high[i]))))
    }

    #[inline(always)]
    fn double<B: Backend, const N: usize>(
        self,
        b: B,
        affine: impl Affine,
        high: [B::U32; N],
        low: [B::U32; N],
    ) -> [B::F64; N] {
        each!(b.splat_f64(0.0); i => {
            let word = b.join(high[i], low[i]);
            affine.apply_f64(b, with_side_u64(b, word, from_centre(b, rest_u64(b, word))))
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
        affine: impl Affine,
        high: [B::U32; N],
        _: impl Fn(usize) -> u32,
    ) -> [B::F32; N] {
        singles!(b, TRUNCATED_F32, affine, high)
    }

    #[inline(always)]
    fn double<B: Backend, const N: usize>(
        self,
        b: B,
        affine: impl Affine,
        high: [B::U32; N],
        low: [B::U32; N],
    ) -> [B::F64; N] {
        doubles!(b, TRUNCATED_F64, affine, high, low)
    }
}

/// Normal, mean 0 and variance 1.
///
/// Sixteen rows cover all values except the tails: 1/256 of the float32 values, and 1/205 of the float64 values. The
/// tails have separate tables, with a row for each half of a binary order of y, where P(X > x) = y / 2^n. So rows are
/// the shorter the nearer they are to the end, where the quantile is steep.
#[derive(Clone, Copy, Debug)]
pub struct Normal;

/// A float32 normal is in the tail if its rest is less than this.
const TAIL: u32 = (1 << 23) + 128;

/// A float64 normal is in the tail if the rest of its high word is less than this.
pub(super) const TAIL_F64: u32 = 5 << 21;

/// A float32 table of sixteen rows, for other implementations of its polynomials.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// Number that is added to the rest, before the bits of the sum choose a row.
    pub offset: f32,
    /// Number of mantissa bits that are lower than those that choose the row.
    pub shift: u32,
    /// Origin of each row, times 2, plus 1.
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
    /// Number of mantissa bits that are lower than those that choose the row.
    pub shift: u32,
    /// Index of the first row, which is subtracted from the number that the bits give.
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
        affine: impl Affine,
        high: [B::U32; N],
        _: impl Fn(usize) -> u32,
    ) -> [B::F32; N] {
        singles!(b, NORMAL_F32, affine, high)
    }

    #[inline(always)]
    fn double<B: Backend, const N: usize>(
        self,
        b: B,
        affine: impl Affine,
        high: [B::U32; N],
        low: [B::U32; N],
    ) -> [B::F64; N] {
        doubles!(b, NORMAL_F64, affine, high, low)
    }

    #[inline(always)]
    fn rare_in_single<B: Backend>(self, b: B, high: B::U32) -> u32 {
        b.less(rest(b, high), b.splat(TAIL))
    }

    fn rare_single(self, affine: impl Affine, high: u32, low: impl Fn() -> u32) -> f32 {
        let one = Portable::<1>;
        affine.apply(one, with_side(one, [high], [tail_single(high, low)]))[0]
    }

    #[inline(always)]
    fn rare_in_double<B: Backend>(self, b: B, high: B::U32) -> u32 {
        b.less(rest(b, high), b.splat(TAIL_F64))
    }

    fn rare_double(self, affine: impl Affine, high: u32, low: u32) -> f64 {
        let one = Portable::<1>;
        let word = one.join([high], [low]);
        affine.apply_f64(one, with_side_u64(one, word, [tail_double(rest_u64(one, word)[0])]))[0]
    }
}

/// Number of mantissa bits of y that are lower than those that choose the row of a tail.
const TAIL_SHIFT: u32 = 22;
const TAIL_F64_SHIFT: u32 = 51;

/// The upper bits of the least y of a tail, which is 2^-33 in float32 and 1/2 in float64. Row 0 of the table has them.
const TAIL_FIRST: u32 = (127 - 33) << 1;
const TAIL_F64_FIRST: u64 = (1023 - 1) << 1;

/// The absolute value of a float32 normal whose rest is less than [`TAIL`]. The low word is a fraction of y.
///
/// From [`OUTER`] on, the high words are as dense as the float32 numbers. Farther out, the low words are needed:
/// without them, no value would exceed 6.34.
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

/// The absolute value of a float64 normal for which the rest of the high word is less than [`TAIL_F64`].
#[inline(never)]
fn tail_double(rest: u64) -> f64 {
    let y = rest as f64 + 0.5;
    let (row, bits) = (y.to_bits() >> TAIL_F64_SHIFT, y.to_bits() & ((1 << TAIL_F64_SHIFT) - 1));
    let f = ((1 << TAIL_F64_SHIFT) - bits) as f64 * (1.0 / (1u64 << TAIL_F64_SHIFT) as f64);
    let coefficients = &NORMAL_TAIL_F64[(row - TAIL_F64_FIRST) as usize];
    coefficients.iter().rev().copied().reduce(|x, c| x * f + c).expect("there are coefficients")
}

//! Functions as polynomials by row.
//!
//! A [`Table`] is half of the quantile function of a symmetric distribution, as a function of the *rest* of a word. The
//! exponent and the first mantissa bits of y = rest + offset choose the row, and the value is
//!
//! ```text
//! f = (2 origin[row] - 2 rest + 1) / 2^n        x = c0[row] + f (c1[row] + f (c2[row] + ...))
//! ```
//!
//! Each step is one correctly rounded operation, and none is fused. No coefficient is negative, so that each step is
//! nondecreasing in `f`, even after rounding. The computed quantile is therefore exactly monotone in the word, and
//! exactly odd. Rows shorten towards the singularity at the end of the distribution, which makes low degrees accurate.
//! All tables have sixteen rows: sixteen float32 numbers fill one AVX-512 register and sixteen float64 numbers two, so
//! that a look-up is one instruction.
//!
//! A [`DepthTable`] is the normal far from its centre. There the logarithm of the tail probability is the argument: the
//! probability itself would underflow, and the quantile is nearly linear in the square root of the logarithm.

use crate::backend::{Backend, each};

/// Half of a quantile function: polynomials by row of the rest.
#[derive(Debug)]
#[repr(align(64))] // sixteen float32 coefficients are one cache line
pub struct Table<Real, Integer, const SHIFT: u32, const COEFFICIENTS: usize> {
    pub(super) offset: Real,
    /// 2 origin + 1, as the integer type represents it.
    pub(super) origin: [Integer; 16],
    pub(super) coefficients: [[Real; 16]; COEFFICIENTS],
}

impl<const SHIFT: u32, const COEFFICIENTS: usize> Table<f32, i32, SHIFT, COEFFICIENTS> {
    #[inline(always)]
    pub(super) fn half<B: Backend, const N: usize>(&self, b: B, rest: [B::U32; N]) -> [B::F32; N] {
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
}

impl<const SHIFT: u32, const COEFFICIENTS: usize> Table<f64, i64, SHIFT, COEFFICIENTS> {
    #[inline(always)]
    pub(super) fn half<B: Backend, const N: usize>(&self, b: B, rest: [B::U64; N]) -> [B::F64; N] {
        let zero = b.splat_f64(0.0);
        let mut y = each!(zero; i => b.to_f64(rest[i]));
        if self.offset != 0.0 {
            y = each!(zero; i => b.add_f64(y[i], b.splat_f64(self.offset)));
        }
        let row = each!(rest[0]; i => self.row(b, y[i]));
        let distance =
            each!(zero; i => b.to_f64(b.sub_u64(b.lookup_u64(&self.origin, row[i]), b.add_u64(rest[i], rest[i]))));
        let f = each!(zero; i => b.mul_f64(distance[i], b.splat_f64(1.0 / (1u128 << 64) as f64)));
        self.value(b, row, f)
    }

    /// The row of y. float64 rows start half a row before the chosen bits of y change. With this shift, the lengths of
    /// rows relative to their distances from the singularity differ less.
    #[inline(always)]
    pub(super) fn row<B: Backend>(&self, b: B, y: B::F64) -> B::U64 {
        b.shift_right_u64::<SHIFT>(b.add_u64(b.bits_u64(y), b.splat_u64(1 << (SHIFT - 1))))
    }

    /// The values at the distances `f` from the origins of rows.
    #[inline(always)]
    pub(super) fn value<B: Backend, const N: usize>(&self, b: B, row: [B::U64; N], f: [B::F64; N]) -> [B::F64; N] {
        polynomials(b, &self.coefficients, row, f)
    }
}

/// The normal from the end of `NORMAL_F64` on: polynomials by row of y = sqrt(depth) + offset, in powers of the
/// distance to the row's end. The depth is -log P(|X| > x).
///
/// Coefficients have both signs, and the values are monotone nevertheless. The distance is the difference of two
/// numbers at least four times as large, so that it changes by several units of its last place at once. That is more
/// than the rounding of its factor can undo.
#[derive(Debug)]
#[repr(align(64))]
pub struct DepthTable<const SHIFT: u32, const COEFFICIENTS: usize> {
    pub(super) offset: f64,
    pub(super) top: [f64; 16],
    pub(super) coefficients: [[f64; 16]; COEFFICIENTS],
}

impl<const SHIFT: u32, const COEFFICIENTS: usize> DepthTable<SHIFT, COEFFICIENTS> {
    #[inline(always)]
    pub(super) fn value<B: Backend, const N: usize>(&self, b: B, depth: [B::F64; N]) -> [B::F64; N] {
        let s = each!(depth[0]; i => b.sqrt_f64(depth[i]));
        let y = each!(depth[0]; i => b.add_f64(s[i], b.splat_f64(self.offset)));
        let row = each!(b.splat_u64(0); i => b.shift_right_u64::<SHIFT>(b.bits_u64(y[i])));
        let f = each!(depth[0]; i => b.sub_f64(b.lookup_f64(&self.top, row[i]), s[i]));
        polynomials(b, &self.coefficients, row, f)
    }
}

/// c0[row] + f (c1[row] + f (c2[row] + ...)).
#[inline(always)]
fn polynomials<B: Backend, const N: usize, const COEFFICIENTS: usize>(
    b: B,
    coefficients: &[[f64; 16]; COEFFICIENTS],
    row: [B::U64; N],
    f: [B::F64; N],
) -> [B::F64; N] {
    let mut x = each!(f[0]; i => b.lookup_f64(&coefficients[COEFFICIENTS - 1], row[i]));
    for coefficients in coefficients[..COEFFICIENTS - 1].iter().rev() {
        x = each!(f[0]; i => b.mul_f64(x[i], f[i]));
        x = each!(f[0]; i => b.add_f64(x[i], b.lookup_f64(coefficients, row[i])));
    }
    x
}

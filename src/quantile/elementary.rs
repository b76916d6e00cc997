//! Logarithm and sine, in bit-portable arithmetic.
//!
//! Both are odd polynomials over one interval, by Horner's rule in the square. The logarithm takes its binary order apart
//! first, and what is left by -log m = 2 atanh((1 - m) / (1 + m)); none of its coefficients is negative, so that it is
//! monotone, rounding included.

use super::tables::{ATANH, LN2, SINE};
use crate::backend::Backend;

/// x P(x^2).
#[inline(always)]
pub(super) fn odd<B: Backend, const N: usize>(b: B, coefficients: &[f64; N], x: B::F64) -> B::F64 {
    let square = b.mul_f64(x, x);
    let mut sum = b.splat_f64(coefficients[N - 1]);
    for coefficient in coefficients[..N - 1].iter().rev() {
        sum = b.add_f64(b.mul_f64(sum, square), b.splat_f64(*coefficient));
    }
    b.mul_f64(sum, x)
}

/// Where `mask` is all ones, `a`; where it is zero, `b`.
#[inline(always)]
pub(super) fn select<B: Backend>(b: B, mask: B::U64, yes: B::F64, no: B::F64) -> B::F64 {
    let (yes, no) = (b.bits_u64(yes), b.bits_u64(no));
    b.f64_of_bits(b.xor_u64(no, b.and_u64(b.xor_u64(yes, no), mask)))
}

/// All ones where x < y, else zero.
#[inline(always)]
pub(super) fn less<B: Backend>(b: B, x: B::F64, y: B::F64) -> B::U64 {
    b.sign_mask_u64(b.bits_u64(b.sub_f64(x, y)))
}

const MANTISSA: u64 = (1 << 52) - 1;
/// The bits of 1/2.
const HALF: u64 = 1022 << 52;
/// The last number before 1.
const BEFORE_ONE: f64 = 1.0 - f64::EPSILON / 2.0;

/// -log t, where 0 < t < 1 and q = 1 - t: where t is near 1, it is q that tells it.
#[inline(always)]
pub(super) fn minus_log<B: Backend>(b: B, t: B::F64, q: B::F64) -> B::F64 {
    let t = b.bits_u64(b.clamp_f64(t, b.splat_f64(f64::MIN_POSITIVE), b.splat_f64(BEFORE_ONE)));
    // t = m 2^-order, 1/2 <= m < 1
    let order = b.to_f64(b.sub_u64(b.splat_u64(1022), b.shift_right_u64::<52>(t)));
    let m = b.f64_of_bits(b.add_u64(b.and_u64(t, b.splat_u64(MANTISSA)), b.splat_u64(HALF)));
    let q = b.clamp_f64(q, b.splat_f64(0.0), b.splat_f64(0.5));
    let below_half = b.sign_mask_u64(b.sub_u64(t, b.splat_u64(HALF)));
    let rest = select(b, below_half, b.sub_f64(b.splat_f64(1.0), m), q);
    let y = odd(b, &ATANH, b.div_f64(rest, b.sub_f64(b.splat_f64(2.0), rest)));
    let low = b.add_f64(b.mul_f64(order, b.splat_f64(LN2[1])), y);
    b.add_f64(b.mul_f64(order, b.splat_f64(LN2[0])), low)
}

/// sin(pi g / 2), 0 <= g <= 1.
#[inline(always)]
pub(super) fn sine<B: Backend>(b: B, g: B::F64) -> B::F64 {
    odd(b, &SINE, g)
}

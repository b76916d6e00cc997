//! Logarithm, exponential and sine, in bit-portable arithmetic.
//!
//! Logarithm and sine are odd polynomials over one interval, by Horner's rule in the square. The logarithm splits its
//! argument into a power of two and a factor m, with -log m = 2 atanh((1 - m) / (1 + m)). The exponential is a power of
//! two times a Taylor polynomial. Neither has a negative coefficient, and the results of each binary order are clamped
//! to the values at its ends, so that both are monotone even after rounding.

use super::tables::{ATANH, LN2, SINE};
use crate::backend::Backend;
use std::f64::consts::{LN_2, LOG2_E};

/// The odd polynomial x P(x^2), with the coefficients of P, the constant first.
#[inline(always)]
pub(super) fn odd<B: Backend, const N: usize>(b: B, coefficients: &[f64; N], x: B::F64) -> B::F64 {
    let square = b.mul_f64(x, x);
    let mut sum = b.splat_f64(coefficients[N - 1]);
    for coefficient in coefficients[..N - 1].iter().rev() {
        sum = b.add_f64(b.mul_f64(sum, square), b.splat_f64(*coefficient));
    }
    b.mul_f64(sum, x)
}

/// `yes` in the lanes whose `mask` is all ones, `no` in those whose `mask` is zero.
#[inline(always)]
pub(super) fn select<B: Backend>(b: B, mask: B::U64, yes: B::F64, no: B::F64) -> B::F64 {
    let (yes, no) = (b.bits_u64(yes), b.bits_u64(no));
    b.f64_of_bits(b.xor_u64(no, b.and_u64(b.xor_u64(yes, no), mask)))
}

/// All ones in the lanes with x < y, else zero.
#[inline(always)]
pub(super) fn less<B: Backend>(b: B, x: B::F64, y: B::F64) -> B::U64 {
    b.sign_mask_u64(b.bits_u64(b.sub_f64(x, y)))
}

/// The mantissa bits of a float64.
const MANTISSA: u64 = (1 << 52) - 1;
/// The bits of 1/2.
const HALF: u64 = 1022 << 52;
/// The last number before 1.
const BEFORE_ONE: f64 = 1.0 - f64::EPSILON / 2.0;

/// -log t, with 0 < t < 1 and q = 1 - t. The caller passes both, since near t = 1 only q has the digits of the result.
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

/// The bits of 1 minus those of sqrt(1/2). Added to the bits of a number, they make binary orders end at sqrt(2) 2^n,
/// so that 1 is the middle of one: log has no cancellation there.
const FROM_MIDDLE: u64 = (1023 << 52) - SQRT_HALF;
/// The bits of sqrt(1/2).
const SQRT_HALF: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();

/// log x of normal numbers: order log 2 + log m, with sqrt(1/2) <= m < sqrt(2).
#[inline(always)]
pub(super) fn log<B: Backend>(b: B, x: B::F64) -> B::F64 {
    let x = b.clamp_f64(x, b.splat_f64(f64::MIN_POSITIVE), b.splat_f64(f64::MAX));
    let bits = b.add_u64(b.bits_u64(x), b.splat_u64(FROM_MIDDLE));
    let order = b.sub_f64(b.to_f64(b.shift_right_u64::<52>(bits)), b.splat_f64(1023.0));
    let m = b.f64_of_bits(b.add_u64(b.and_u64(bits, b.splat_u64(MANTISSA)), b.splat_u64(SQRT_HALF)));
    let one = b.splat_f64(1.0);
    let y = odd(b, &ATANH, b.div_f64(b.sub_f64(m, one), b.add_f64(m, one)));
    let low = b.add_f64(b.mul_f64(order, b.splat_f64(LN2[1])), y);
    let log = b.add_f64(b.mul_f64(order, b.splat_f64(LN2[0])), low);
    let end = |half| b.mul_f64(b.add_f64(order, b.splat_f64(half)), b.splat_f64(LN_2));
    b.clamp_f64(log, end(-0.5), end(0.5))
}

/// 1 / k!, rounded once. The first 17 give e^r with an error below 2^-57, up to r = log 2.
const FACTORIALS: [f64; 17] = {
    let (mut factorials, mut product, mut k) = ([1.0; 17], 1u64, 1);
    while k < 17 {
        product *= k;
        factorials[k as usize] = 1.0 / product as f64;
        k += 1;
    }
    factorials
};

/// (e^r - 1) / r, 0 <= r <= log 2.
#[inline(always)]
fn mean_exponential<B: Backend>(b: B, r: B::F64) -> B::F64 {
    let mut sum = b.splat_f64(FACTORIALS[16]);
    for coefficient in FACTORIALS[1..16].iter().rev() {
        sum = b.add_f64(b.mul_f64(sum, r), b.splat_f64(*coefficient));
    }
    sum
}

/// 3/2 2^52. Adding a much smaller number to it rounds that number to an integer, in the lowest bits of the sum.
const INTEGERS: f64 = (3u64 << 51) as f64;

/// e^x, for results from the least normal number to less than the greatest. The relative error is at most (2 + |x|)
/// 2^-52, about what a rounding of x causes.
#[inline(always)]
pub(super) fn exp<B: Backend>(b: B, x: B::F64) -> B::F64 {
    let integers = b.splat_f64(INTEGERS);
    let order = b.add_f64(b.sub_f64(b.mul_f64(x, b.splat_f64(LOG2_E)), b.splat_f64(0.5)), integers);
    let order = b.clamp_f64(order, b.splat_f64(INTEGERS - 1022.0), b.splat_f64(INTEGERS + 1023.0));
    let k = b.sub_f64(order, integers);
    let r = b.sub_f64(b.sub_f64(x, b.mul_f64(k, b.splat_f64(LN2[0]))), b.mul_f64(k, b.splat_f64(LN2[1])));
    let r = b.clamp_f64(r, b.splat_f64(0.0), b.splat_f64(1.0));
    let sum = b.add_f64(b.mul_f64(mean_exponential(b, r), r), b.splat_f64(1.0));
    let sum = b.clamp_f64(sum, b.splat_f64(1.0), b.splat_f64(2.0 - f64::EPSILON));
    let power = b.shift_left_u64::<52>(b.sub_u64(b.bits_u64(order), b.splat_u64(INTEGERS.to_bits())));
    b.f64_of_bits(b.add_u64(b.bits_u64(sum), power))
}

/// e^x - 1, for 0 < x <= 700. Up to log 2 by the series of (e^x - 1) / x, since the difference would cancel.
#[inline(always)]
pub(super) fn exp_minus_1<B: Backend>(b: B, x: B::F64) -> B::F64 {
    let near = b.mul_f64(mean_exponential(b, x), x);
    let near = b.clamp_f64(near, b.splat_f64(0.0), b.splat_f64(1.0));
    let far = b.sub_f64(exp(b, x), b.splat_f64(1.0));
    let far = b.clamp_f64(far, b.splat_f64(1.0), b.splat_f64(f64::MAX));
    select(b, less(b, x, b.splat_f64(LN_2)), near, far)
}

/// sin(pi g / 2), 0 <= g <= 1.
#[inline(always)]
pub(super) fn sine<B: Backend>(b: B, g: B::F64) -> B::F64 {
    odd(b, &SINE, g)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Portable;
    use crate::quantile::curve::MAX_SOFTPLUS;

    fn of(function: impl Fn(Portable<1>, [f64; 1]) -> [f64; 1], x: f64) -> f64 {
        function(Portable::<1>, [x])[0]
    }

    /// Numbers around the multiples of (log 2) / 2, at which binary orders start or end, and between them.
    fn exponents() -> Vec<f64> {
        let mut all: Vec<f64> = (-2044..=2046)
            .flat_map(|half| {
                let end = f64::from(half) * LN_2 / 2.0;
                (-4..=4i64)
                    .map(move |i| f64::from_bits((end.to_bits() as i64 + i) as u64))
                    .chain((0..8).map(move |i| end + f64::from(i) * LN_2 / 16.0))
            })
            .filter(|x| (-708.39..709.78).contains(x))
            .collect();
        all.sort_unstable_by(f64::total_cmp);
        all
    }

    #[test]
    fn the_exponential_rises_and_is_as_accurate_as_its_argument() {
        let mut last = 0.0;
        for x in exponents() {
            let y = of(exp, x);
            assert!(last <= y, "{y:e} follows {last:e} at {x:?}");
            last = y;
            assert!((y / x.exp() - 1.0).abs() < (2.0 + x.abs()) * f64::EPSILON, "exp({x:?}) = {y:e}");
        }
    }

    #[test]
    fn the_exponential_less_one_rises_and_is_accurate_near_zero() {
        let small = (0..1000).map(|i| 1e-300 * 2f64.powi(i));
        let mut all: Vec<_> = small.chain(exponents()).filter(|x| *x > 0.0 && *x < MAX_SOFTPLUS).collect();
        all.sort_unstable_by(f64::total_cmp);
        let mut last = 0.0;
        for x in all {
            let y = of(exp_minus_1, x);
            assert!(last <= y, "{y:e} follows {last:e} at {x:?}");
            last = y;
            assert!((y / x.exp_m1() - 1.0).abs() < (3.0 + x) * f64::EPSILON, "exp({x:?}) - 1 = {y:e}");
        }
    }

    #[test]
    fn the_logarithm_rises_and_is_accurate_near_one() {
        let bits = (1..2046u64).flat_map(|order| {
            let ends = [order << 52, (order << 52) | (SQRT_HALF & MANTISSA)];
            ends.into_iter()
                .flat_map(|end| (0..9).map(move |i| end + i - 4))
                .chain((0..16).map(move |i| (order << 52) + (i << 48)))
        });
        let near_one = (0..52).flat_map(|order| [1f64.to_bits() + (1 << order), 1f64.to_bits() - (1 << order)]);
        let mut all: Vec<_> = bits.chain(near_one).filter(|bits| *bits >= 1 << 52).map(f64::from_bits).collect();
        all.sort_unstable_by(f64::total_cmp);
        let mut last = f64::NEG_INFINITY;
        for x in all {
            let y = of(log, x);
            assert!(last <= y, "{y:e} follows {last:e} at {x:?}");
            last = y;
            assert!((y - x.ln()).abs() <= 2.0 * f64::EPSILON * x.ln().abs(), "log({x:?}) = {y:e}");
        }
        assert_eq!(of(log, 1.0).to_bits(), 0);
    }
}

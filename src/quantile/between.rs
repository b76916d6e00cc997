//! The normal between any two bounds: one quantile, as accurate in a far tail as at the centre.
//!
//! Let S(x) = P(X > x) of the standard normal. A value is found from the end of the distribution that it is nearer to,
//! by what lies beyond it there, which is linear in u:
//!
//! ```text
//! bounds on both sides of 0:      S(x) = S(upper) + (1 - u) P(lower < X < upper)          likewise below 0
//! both bounds above 0:            S(x) / S(lower) = r + (1 - u) (1 - r),     r = S(upper) / S(lower)
//! ```
//!
//! Probabilities are relative to those at the nearer bound: 37 standard deviations from the centre, and any distance
//! between the bounds, cost no digit. The quantile is a polynomial in P(0 < X < x) up to the quartile, and beyond it one
//! by row in sqrt(-log S(x)), of which x is nearly a multiple. Every step is monotone in rounded arithmetic, and bounds
//! that are mirrored give the values mirrored.
//!
//! The constants of two bounds are found by the same functions, inverted by bisection: the values end where the bounds
//! are, and there is no second approximation that could differ from the first.

use super::elementary::{less, minus_log, odd, select};
use super::tables::{CENTER, NORMAL_TAIL, QUARTILE};
use super::{Affine, Standard, outer_low_words};
use crate::backend::{Backend, Portable, each};

/// How far from 0 the nearer of two bounds may be.
pub const MAX_BOUND: f64 = 37.0;

/// The quantile of the tail: polynomials by row of y = sqrt(-log p) + offset, in powers of the distance to the row's end.
#[derive(Debug)]
#[repr(align(64))]
pub struct Tail<const SHIFT: u32, const COEFFICIENTS: usize> {
    pub(super) offset: f64,
    pub(super) top: [f64; 16],
    pub(super) coefficients: [[f64; 16]; COEFFICIENTS],
}

impl<const SHIFT: u32, const COEFFICIENTS: usize> Tail<SHIFT, COEFFICIENTS> {
    /// The x with S(x) = exp(-depth), from the quartile on.
    #[inline(always)]
    fn value<B: Backend>(&self, b: B, depth: B::F64) -> B::F64 {
        let s = b.sqrt_f64(depth);
        let row = b.shift_right_u64::<SHIFT>(b.bits_u64(b.add_f64(s, b.splat_f64(self.offset))));
        let f = b.sub_f64(b.lookup_f64(&self.top, row), s);
        let mut x = b.lookup_f64(&self.coefficients[COEFFICIENTS - 1], row);
        for coefficients in self.coefficients[..COEFFICIENTS - 1].iter().rev() {
            x = b.add_f64(b.mul_f64(x, f), b.lookup_f64(coefficients, row));
        }
        b.clamp_f64(x, b.splat_f64(QUARTILE), b.splat_f64(f64::INFINITY))
    }
}

/// The x >= 0 with P(0 < X < x) = v, up to the quartile.
#[inline(always)]
fn central<B: Backend>(b: B, v: B::F64) -> B::F64 {
    let v = b.clamp_f64(v, b.splat_f64(0.0), b.splat_f64(0.25));
    b.clamp_f64(odd(b, &CENTER, v), b.splat_f64(0.0), b.splat_f64(QUARTILE))
}

/// u and 1 - u of 64-bit words by their halves: (w + 1/2) / 2^64, each rounded once.
#[inline(always)]
pub(crate) fn unit<B: Backend>(b: B, high: B::U32, low: B::U32) -> [B::F64; 2] {
    [fraction(b, high, low), fraction(b, b.xor(high, b.splat(!0)), b.xor(low, b.splat(!0)))]
}

#[inline(always)]
fn fraction<B: Backend>(b: B, high: B::U32, low: B::U32) -> B::F64 {
    // What can be widened are signed numbers: less 2^31, the words are such.
    let (top, half) = (b.splat(1 << 31), (1u64 << 31) as f64);
    let high = b.add_f64(b.widen(b.xor(high, top)), b.splat_f64(half));
    let low = b.add_f64(b.widen(b.xor(low, top)), b.splat_f64(half + 0.5));
    let [high_unit, low_unit] = [1.0 / (1u64 << 32) as f64, 1.0 / (1u128 << 64) as f64];
    b.add_f64(b.mul_f64(high, b.splat_f64(high_unit)), b.mul_f64(low, b.splat_f64(low_unit)))
}

/// A standard normal conditioned on lying between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Between {
    /// What lies beyond the lower and the upper bound, and between them: on the scale of the depth.
    below: f64,
    above: f64,
    span: f64,
    /// -log of the probability that is 1 on that scale.
    depth: f64,
    /// P(lower < X < upper), P(lower < X < 0) and P(0 < X < upper); negative where the bounds are the other way round.
    mass: f64,
    left: f64,
    right: f64,
}

/// On the side where there are no values, more than there ever is on the other.
const NOWHERE: f64 = 2.0;

impl Between {
    /// Bounds must be `lower` < `upper`, and the nearer one to 0 within [`MAX_BOUND`]. Either may be infinite.
    pub fn new(lower: f64, upper: f64) -> Self {
        let (low, high) = (Masses::of(lower.abs()), Masses::of(upper.abs()));
        let left = if lower < 0.0 { low.central } else { -low.central };
        let right = if upper < 0.0 { -high.central } else { high.central };
        let mass = left + right;
        if lower < 0.0 && upper > 0.0 {
            return Self { below: low.beyond, above: high.beyond, span: mass, depth: 0.0, mass, left, right };
        }
        let (nearer, farther) = if lower >= 0.0 { (low, high) } else { (high, low) };
        let ratio = exp_minus(farther.depth - nearer.depth);
        let (below, above) = if lower >= 0.0 { (NOWHERE, ratio) } else { (ratio, NOWHERE) };
        Self { below, above, span: 1.0 - ratio, depth: nearer.depth, mass, left, right }
    }

    /// The value of u and 1 - u.
    #[inline(always)]
    pub(crate) fn value<B: Backend>(&self, b: B, [u, rest]: [B::F64; 2]) -> B::F64 {
        let below = b.add_f64(b.splat_f64(self.below), b.mul_f64(u, b.splat_f64(self.span)));
        let above = b.add_f64(b.splat_f64(self.above), b.mul_f64(rest, b.splat_f64(self.span)));
        let (negative, positive) = (less(b, below, above), less(b, above, below));
        let beyond = select(b, negative, below, above);
        let inwards = select(b, negative, rest, u);
        let zero = select(b, negative, b.splat_f64(self.right), b.splat_f64(self.left));
        let from_zero = b.sub_f64(b.mul_f64(inwards, b.splat_f64(self.mass)), zero);
        let depth = minus_log(b, beyond, b.mul_f64(inwards, b.splat_f64(self.span)));
        let tail = NORMAL_TAIL.value(b, b.add_f64(b.splat_f64(self.depth), depth));
        let x = select(b, less(b, from_zero, b.splat_f64(0.25)), central(b, from_zero), tail);
        // Where both are equal, it is 0.
        let x = b.and_u64(b.bits_u64(x), b.xor_u64(negative, positive));
        b.f64_of_bits(b.xor_u64(x, b.and_u64(negative, b.splat_u64(1 << 63))))
    }
}

/// In float64 for every type, and rounded at the end.
impl Standard for Between {
    const BOUNDED: bool = true;

    #[inline(always)]
    fn single<B: Backend, const N: usize>(
        self,
        b: B,
        place: impl Affine,
        high: [B::U32; N],
        low: impl Fn(usize) -> u32,
    ) -> [B::F32; N] {
        each!(b.splat_f32(0.0); i => {
            let low = outer_low_words(b, high[i], |lane| low(B::LANES * i + lane));
            b.narrow(self.double(b, place, high[i], low))
        })
    }

    #[inline(always)]
    fn double<B: Backend>(self, b: B, place: impl Affine, high: B::U32, low: B::U32) -> B::F64 {
        place.apply_f64(b, self.value(b, unit(b, high, low)))
    }
}

/// Of a standard normal, at some x >= 0.
struct Masses {
    /// P(0 < X < x).
    central: f64,
    /// P(X > x), and -log of that.
    beyond: f64,
    depth: f64,
}

/// Where the rows of the tail begin and end: just below log 4, and below (28 - offset)^2.
const DEPTHS: [f64; 2] = [1.3862, 752.25];

impl Masses {
    fn of(x: f64) -> Self {
        if x <= QUARTILE {
            let central = inverse(|v| central(Portable::<1>, [v])[0], [0.0, 0.25], x);
            let beyond = 0.5 - central;
            return Self { central, beyond, depth: minus_log(Portable::<1>, [beyond], [1.0 - beyond])[0] };
        }
        let depth = |depth| NORMAL_TAIL.value(Portable::<1>, [depth])[0];
        if x > depth(DEPTHS[1]) {
            return Self { central: 0.5, beyond: 0.0, depth: f64::INFINITY };
        }
        let depth = inverse(depth, DEPTHS, x);
        let beyond = exp_minus(depth);
        Self { central: 0.5 - beyond, beyond, depth }
    }
}

/// exp(-depth), and 0 where that is less than any normal number.
fn exp_minus(depth: f64) -> f64 {
    let log = |t: f64| -minus_log(Portable::<1>, [t], [1.0 - t])[0];
    if -depth < log(f64::MIN_POSITIVE) { 0.0 } else { inverse(log, [f64::MIN_POSITIVE, 1.0], -depth) }
}

/// The last x between two numbers that are not negative where a rising function is no greater than `y`.
fn inverse(function: impl Fn(f64) -> f64, within: [f64; 2], y: f64) -> f64 {
    let [mut last, mut end] = within.map(f64::to_bits); // which are in order as the numbers are
    while end - last > 1 {
        let middle = last + (end - last) / 2;
        *(if function(f64::from_bits(middle)) <= y { &mut last } else { &mut end }) = middle;
    }
    f64::from_bits(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{self, Task};

    const INF: f64 = f64::INFINITY;
    const BOUNDS: [(f64, f64); 16] = [
        (-3.0, 3.0),
        (-1.0, 4.0),
        (-0.1, 0.1),
        (-1e-3, 40.0),
        (-9.0, 0.5),
        (0.0, INF),
        (-INF, 1.5),
        (0.3, 0.4),
        (0.5, 0.9),
        (2.0, 3.0),
        (6.0, 7.0),
        (6.0, 6.0 + 1e-9),
        (-31.0, -30.0),
        (37.0, INF),
        (-INF, -37.0),
        (-39.0, -36.0),
    ];

    #[derive(Clone, Copy)]
    struct Drawn<'a>(Between, &'a [u64]);

    impl Task for Drawn<'_> {
        type Output = Vec<f64>;

        #[inline(always)]
        fn run<B: Backend>(self, b: B) -> Vec<f64> {
            let mut values = vec![0.0; self.1.len()];
            for (words, values) in self.1.chunks_exact(B::LANES).zip(values.chunks_exact_mut(B::LANES)) {
                let (mut high, mut low) = ([0; backend::MAX_LANES], [0; backend::MAX_LANES]);
                for (i, word) in words.iter().enumerate() {
                    (high[i], low[i]) = ((word >> 32) as u32, *word as u32);
                }
                b.store_f64(self.0.value(b, unit(b, b.load(&high), b.load(&low))), values);
            }
            values
        }
    }

    /// Words in order: of every binary order from both ends and from the middle, steps of every size, and neighbours.
    fn words() -> Vec<u64> {
        let mut words: Vec<u64> = (0..64)
            .flat_map(|order| (0..40u64).map(move |i| (1u64 << order).wrapping_add(i << u32::saturating_sub(order, 6))))
            .chain((0..1u64 << 14).map(|i| i << 50))
            .flat_map(|word| (0..3).map(move |i| word.wrapping_add(i)))
            .flat_map(|word| [word, !word, word ^ (1 << 63), !word ^ (1 << 63)])
            .collect();
        words.sort_unstable();
        words.truncate(words.len() / 16 * 16);
        words
    }

    #[test]
    fn values_rise_with_the_word_and_stay_within_a_rounding_of_the_bounds() {
        let words = words();
        for (lower, upper) in BOUNDS {
            let values = backend::run(Drawn(Between::new(lower, upper), &words));
            let places = values.windows(2).zip(words.windows(2));
            for (x, word) in places {
                assert!(x[0] <= x[1], "{} follows {} at {:#x} in [{lower}, {upper}]", x[1], x[0], word[1]);
            }
            let (first, last) = (values[0], values[values.len() - 1]);
            let beyond = (4.0 * f64::EPSILON * lower.abs().min(upper.abs())).max(f64::MIN_POSITIVE);
            assert!(lower - beyond <= first && last <= upper + beyond, "[{first}, {last}] in [{lower}, {upper}]");
        }
    }

    #[test]
    fn the_ends_are_at_the_bounds() {
        let near = |x: f64, y: f64| assert!((x / y - 1.0).abs() < 1e-14, "{x} for {y}");
        for (lower, upper) in [(-3.0, 2.5), (0.5, 0.9), (6.0, 7.0), (36.0, 36.5)] {
            let values = backend::run(Drawn(Between::new(lower, upper), &[[0u64; 8], [u64::MAX; 8]].concat()));
            near(values[0], lower);
            near(values[15], upper);
        }
        let values = backend::run(Drawn(Between::new(37.0, INF), &[u64::MAX; 16]));
        near(values[0], 38.197_454_383_681_04); // by mpmath
        let values = backend::run(Drawn(Between::new(-INF, 0.0), &[0; 16]));
        near(values[0], -9.229_834_433_057_749);
    }

    #[test]
    fn all_backends_give_the_same_bits() {
        let words = words();
        for (lower, upper) in BOUNDS {
            let outputs = backend::on_each(Drawn(Between::new(lower, upper), &words));
            for (name, values) in &outputs[1..] {
                assert!(*values == outputs[0].1, "{name} in [{lower}, {upper}]");
            }
        }
    }

    #[test]
    fn mirrored_bounds_give_mirrored_values() {
        let words = words();
        let mirrored: Vec<u64> = words.iter().map(|word| !word).collect();
        for (lower, upper) in BOUNDS {
            let values = backend::run(Drawn(Between::new(lower, upper), &words));
            let opposite = backend::run(Drawn(Between::new(-upper, -lower), &mirrored));
            assert!(values.iter().zip(&opposite).all(|(x, y)| *x == -y), "[{lower}, {upper}]");
        }
    }

    #[test]
    fn the_logarithm_never_rises() {
        let orders = (0..70u64).flat_map(|order| (0..2000).map(move |i| (1023 - order) << 52 | (i << 40)));
        let bits = orders.flat_map(|bits| (0..5).map(move |i| bits + i - 2)).filter(|bits| *bits < 1023 << 52);
        let mut numbers: Vec<f64> = bits.map(f64::from_bits).collect();
        numbers.sort_unstable_by(f64::total_cmp);
        let logarithm = |t: f64| minus_log(Portable::<1>, [t], [1.0 - t])[0];
        for pair in numbers.windows(2) {
            assert!(logarithm(pair[0]) >= logarithm(pair[1]), "at {:?}", pair[1]);
        }
        assert_eq!(logarithm(2f64.powi(-7)), 7.0 * std::f64::consts::LN_2);
    }
}

//! The normal between any two bounds: one quantile, as accurate in a far tail as at the centre.
//!
//! Let q(x) = P(|X| > x) of the standard normal. A value is found from the end of the distribution on its side of 0, by
//! what lies beyond it there, which is linear in u:
//!
//! ```text
//! bounds on both sides of 0:      q(x) = q(upper) + (1 - u) 2 P(lower < X < upper)          likewise below 0
//! both bounds above 0:            q(x) / q(lower) = r + (1 - u) (1 - r),     r = q(upper) / q(lower)
//! ```
//!
//! Probabilities are relative to those at the nearer bound: 37 standard deviations from the centre, and any distance
//! between the bounds, cost no digit. Near 0, where q is near 1, it is P(|X| < x) that is linear in u and has all digits:
//! values between bounds much tighter than a standard deviation are uniform, with the accuracy of the bounds.
//!
//! The quantile is that of `NORMAL_F64`, of which 1 - q and q are the arguments, and beyond it a table in
//! sqrt(-log q), of which x is nearly a multiple. Every step is monotone in rounded arithmetic, and bounds that are
//! mirrored give the values mirrored.
//!
//! The constants of two bounds are found by the same functions, inverted by bisection: the values end where the bounds
//! are, and there is no second approximation that could differ from the first.

use super::elementary::{less, minus_log, select};
use super::tables::{INNER_END, NORMAL_BY_DEPTH, NORMAL_F64};
use super::words::{from_centre, rest_u64, with_side_u64};
use super::{Affine, Standard};
use crate::backend::{Backend, Portable, each};

/// How far from 0 the nearer of two bounds may be.
pub const MAX_BOUND: f64 = 37.0;

/// P(|X| < x) up to which that is the argument of the quantile; beyond, P(|X| > x) is. A row ends there.
const CENTRAL: f64 = 0.375;

/// The last number before P(|X| > x) = 1 - [`CENTRAL`].
const OUTSIDE: f64 = (1.0 - CENTRAL).next_down();

/// P(|X| > x) below which the depth is the argument of the quantile: where the rows of [`NORMAL_F64`] end.
const TAIL: f64 = 1.25 / 256.0;

/// By row of [`NORMAL_F64`], the number from which its argument is counted: a positive one for P(|X| < x), a negative one
/// for -P(|X| > x).
static POINTS: [f64; 16] = {
    let (mut points, mut row) = ([0.0; 16], 0);
    while row < 16 {
        let beyond = (NORMAL_F64.origin[row].cast_unsigned() as u128 + 1) as f64 / (1u128 << 64) as f64;
        points[row] = if beyond > 0.75 { 1.0 - beyond } else { -beyond };
        row += 1;
    }
    points
};

/// The x of P(|X| < x) = `within`, or of P(|X| > x) = `beyond` if that is less than 1 - [`CENTRAL`] and at least [`TAIL`].
#[inline(always)]
fn inner<B: Backend, const N: usize>(b: B, within: [B::F64; N], beyond: [B::F64; N]) -> [B::F64; N] {
    let one = b.splat_f64(1.0);
    let beyond = each!(one; i => b.clamp_f64(beyond[i], b.splat_f64(0.0), b.splat_f64(OUTSIDE)));
    let central = each!(b.splat_u64(0); i => less(b, within[i], b.splat_f64(CENTRAL)));
    let y = each!(one; i => select(b, central[i], b.sub_f64(one, within[i]), beyond[i]));
    // Rows are those of the rest of 64-bit words.
    let row = each!(central[0]; i => NORMAL_F64.row(b, b.mul_f64(y[i], b.splat_f64((1u64 << 63) as f64))));
    let minus = b.splat_u64(1 << 63);
    let argument = each!(one; i => {
        select(b, central[i], within[i], b.f64_of_bits(b.xor_u64(b.bits_u64(beyond[i]), minus)))
    });
    let f = each!(one; i => b.sub_f64(argument[i], b.lookup_f64(&POINTS, row[i])));
    NORMAL_F64.value(b, row, f)
}

/// The x of P(|X| > x) = exp(-depth), beyond [`NORMAL_F64`].
#[inline(always)]
fn outer<B: Backend, const N: usize>(b: B, depth: [B::F64; N]) -> [B::F64; N] {
    let x = NORMAL_BY_DEPTH.value(b, depth);
    each!(depth[0]; i => b.clamp_f64(x[i], b.splat_f64(INNER_END), b.splat_f64(f64::INFINITY)))
}

/// On which sides of 0 the values are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sides {
    Both,
    Below,
    Above,
}

/// A standard normal conditioned on lying between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Between {
    sides: Sides,
    /// P(|X| > x) at the lower and at the upper bound, and the difference that all words make, relative to `scale`.
    below: f64,
    above: f64,
    span: f64,
    /// P(|X| > x) at the bound that is nearer to 0, and -log of that; 1 and 0 if 0 is between the bounds.
    scale: f64,
    depth: f64,
    /// P(|X| < x) is |`shift` + `slope` c|, c being 2u - 1 if 0 is between the bounds; else u or 1 - u, which grows with
    /// the distance from 0.
    shift: f64,
    slope: f64,
}

/// What a value is made of.
#[derive(Clone, Copy)]
struct Place<B: Backend> {
    /// P(|X| < x).
    within: B::F64,
    /// P(|X| > x), relative to `scale`.
    beyond: B::F64,
    /// The share of the words between the nearer bound and this one, if 0 is not between the bounds.
    inwards: B::F64,
    /// All ones if x is negative.
    negative: B::U64,
}

impl Between {
    /// Bounds must be `lower` < `upper`, and the nearer one to 0 within [`MAX_BOUND`]. Either may be infinite.
    pub fn new(lower: f64, upper: f64) -> Self {
        let (low, high) = (Masses::of(lower.abs()), Masses::of(upper.abs()));
        if lower < 0.0 && upper > 0.0 {
            let mean = |a: f64, b: f64| a / 2.0 + b / 2.0;
            return Self {
                sides: Sides::Both,
                below: low.beyond,
                above: high.beyond,
                span: low.within + high.within,
                scale: 1.0,
                depth: 0.0,
                shift: mean(high.within, -low.within),
                slope: mean(high.within, low.within),
            };
        }
        let (sides, nearer, farther) = if lower >= 0.0 { (Sides::Above, low, high) } else { (Sides::Below, high, low) };
        let ratio = exp_minus(farther.depth - nearer.depth);
        Self {
            sides,
            below: ratio,
            above: ratio,
            span: 1.0 - ratio,
            scale: nearer.beyond,
            depth: nearer.depth,
            shift: nearer.within,
            slope: farther.within - nearer.within,
        }
    }

    /// `shift` + `slope` c.
    #[inline(always)]
    fn linear<B: Backend>(&self, b: B, c: B::F64) -> B::F64 {
        b.add_f64(b.mul_f64(c, b.splat_f64(self.slope)), b.splat_f64(self.shift))
    }

    #[inline(always)]
    fn place<B: Backend>(&self, b: B, word: B::U64) -> Place<B> {
        let rest = rest_u64(b, word);
        let to_end = b.add_f64(b.to_f64(rest), b.splat_f64(0.5));
        let to_end = b.mul_f64(to_end, b.splat_f64(1.0 / (1u128 << 64) as f64));
        let to_other_end = b.sub_f64(b.splat_f64(1.0), to_end);
        let upper_side = b.sign_mask_u64(word);
        let (negative, signed) = match self.sides {
            Sides::Both => {
                let x = self.linear(b, with_side_u64(b, word, from_centre(b, rest)));
                (b.sign_mask_u64(b.bits_u64(x)), Some(x))
            }
            Sides::Below => (b.splat_u64(!0), None),
            Sides::Above => (b.splat_u64(0), None),
        };
        // On the negative side, u leads outwards to the end there: below the middle of the words it is `to_end`.
        let to_nearer = b.xor_u64(negative, upper_side);
        let outwards = select(b, to_nearer, to_end, to_other_end);
        let inwards = select(b, to_nearer, to_other_end, to_end);
        let within = match signed {
            Some(x) => b.f64_of_bits(b.xor_u64(b.bits_u64(x), b.and_u64(negative, b.splat_u64(1 << 63)))),
            None => self.linear(b, inwards),
        };
        let bound = select(b, negative, b.splat_f64(self.below), b.splat_f64(self.above));
        let beyond = b.add_f64(bound, b.mul_f64(outwards, b.splat_f64(self.span)));
        Place { within, beyond, inwards, negative }
    }

    /// The values of 64-bit words.
    #[inline(always)]
    fn values<B: Backend, const N: usize>(&self, b: B, word: [B::U64; N]) -> [B::F64; N] {
        let zero = b.splat_f64(0.0);
        let place = each!(Place { within: zero, beyond: zero, inwards: zero, negative: word[0] }; i => {
            self.place(b, word[i])
        });
        let x = if self.scale < TAIL {
            self.tail(b, place)
        } else {
            let beyond = each!(zero; i => b.mul_f64(place[i].beyond, b.splat_f64(self.scale)));
            let mut x = inner(b, each!(zero; i => place[i].within), beyond);
            for i in 0..N {
                // Tails are rare: most vectors have no value there. Rounding to float32 may only find too many.
                let last = b.splat((TAIL as f32).to_bits() + 1);
                if b.less(b.bits(b.narrow(beyond[i])), last) != 0 {
                    let [tail] = self.tail(b, [place[i]]);
                    x[i] = select(b, less(b, beyond[i], b.splat_f64(TAIL)), tail, x[i]);
                }
            }
            x
        };
        each!(x[0]; i => {
            let minus = b.and_u64(place[i].negative, b.splat_u64(1 << 63));
            b.f64_of_bits(b.xor_u64(b.bits_u64(x[i]), minus))
        })
    }

    #[inline(always)]
    fn tail<B: Backend, const N: usize>(&self, b: B, place: [Place<B>; N]) -> [B::F64; N] {
        outer(
            b,
            each!(place[0].beyond; i => {
                let nearer = b.mul_f64(place[i].inwards, b.splat_f64(self.span));
                b.add_f64(b.splat_f64(self.depth), minus_log(b, place[i].beyond, nearer))
            }),
        )
    }
}

impl Standard for Between {
    const BOUNDED: bool = true;

    #[inline(always)]
    fn double<B: Backend, const N: usize>(
        self,
        b: B,
        place: impl Affine,
        high: [B::U32; N],
        low: [B::U32; N],
    ) -> [B::F64; N] {
        let x = self.values(b, each!(b.splat_u64(0); i => b.join(high[i], low[i])));
        each!(x[0]; i => place.apply_f64(b, x[i]))
    }
}

/// Of a standard normal, at some x >= 0.
struct Masses {
    /// P(|X| < x).
    within: f64,
    /// P(|X| > x), and -log of that.
    beyond: f64,
    depth: f64,
}

/// Where the rows of the tail begin and end: just below -log of [`TAIL`], and before the least normal number.
const DEPTHS: [f64; 2] = [5.3218, 752.25];

impl Masses {
    fn of(x: f64) -> Self {
        let one = Portable::<1>;
        let central = |within| inner(one, [[within]], [[1.0]])[0][0];
        let outside = |beyond| inner(one, [[1.0]], [[beyond]])[0][0];
        let tail = |depth| outer(one, [[depth]])[0][0];
        if x <= central(CENTRAL.next_down()) {
            let within = inverse(central, [0.0, CENTRAL], x);
            let beyond = 1.0 - within;
            return Self { within, beyond, depth: minus_log(one, [beyond], [within])[0] };
        }
        if x <= INNER_END {
            let beyond = inverse(|beyond| -outside(beyond), [TAIL, 1.0 - CENTRAL], -x);
            let within = 1.0 - beyond;
            return Self { within, beyond, depth: minus_log(one, [beyond], [within])[0] };
        }
        if x > tail(DEPTHS[1]) {
            return Self { within: 1.0, beyond: 0.0, depth: f64::INFINITY };
        }
        let depth = inverse(tail, DEPTHS, x);
        let beyond = exp_minus(depth);
        Self { within: 1.0 - beyond, beyond, depth }
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
                b.store_f64(self.0.values(b, [b.join(b.load(&high), b.load(&low))])[0], values);
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

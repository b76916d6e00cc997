//! The normal truncated at any two bounds: one quantile function, as accurate in a far tail as at the centre.
//!
//! Let q(x) = P(|X| > x) of the standard normal. A value x is computed from the tail mass q(x), which is linear in u:
//!
//! ```text
//! 0 between the bounds, x > 0:    q(x) = q(upper) + (1 - u) 2 P(lower < X < upper)          likewise for x < 0
//! both bounds above 0:            q(x) / q(lower) = r + (1 - u) (1 - r),     r = q(upper) / q(lower)
//! ```
//!
//! If both bounds are on one side of 0, tail masses are divided by that of the bound nearer to 0. So values keep all
//! digits up to 37 standard deviations from the centre, whatever the distance between the bounds is. Near 0, q is near
//! 1, and P(|X| < x) has all digits instead. It is linear in u too: values between bounds much tighter than a standard
//! deviation are uniform, with the accuracy of the bounds.
//!
//! The table `NORMAL_F64` gives x, with 1 - q or q as the argument. Where this table ends, a table in sqrt(-log q)
//! replaces it: x is nearly a multiple of that. Every step is monotone in rounded arithmetic, and mirrored bounds give
//! mirrored values.
//!
//! The masses at the bounds come from the same functions, inverted by bisection. So the outermost values are at the
//! bounds; another approximation of the masses could differ from these functions by a rounding.
//!
//! `docs/streams.md`, step 12, specifies all of this with the names that the code has: `within` for P(|X| < x),
//! `beyond` for P(|X| > x), `depth` for -log P(|X| > x).

#[cfg(test)]
mod tests;

use super::elementary::{less, minus_log, select};
use super::tables::{INNER_END, NORMAL_BY_DEPTH, NORMAL_F64};
use super::words::{from_centre, rest_u64, with_side_u64};
use super::{Affine, Standard};
use crate::backend::{Backend, Portable, each};

/// Greatest distance from 0 of the bound that is nearer to 0, in standard deviations.
pub const MAX_BOUND: f64 = 37.0;

/// If P(|X| < x) is less than this, it is the argument of the quantile function, else P(|X| > x). A row ends here.
const CENTRAL: f64 = 0.375;

/// The greatest P(|X| > x) that is an argument of the quantile function: the last number before 1 - [`CENTRAL`].
const MAX_BEYOND: f64 = (1.0 - CENTRAL).next_down();

/// If P(|X| > x) is less than this, the depth is the argument of the quantile function. The rows of [`NORMAL_F64`] end
/// here.
const TAIL: f64 = 1.25 / 256.0;

/// For each row of [`NORMAL_F64`], the argument at which the row's distance f is 0. It is positive for P(|X| < x), and
/// negative for -P(|X| > x): the argument must rise with x.
static POINTS: [f64; 16] = {
    let (mut points, mut row) = ([0.0; 16], 0);
    while row < 16 {
        let beyond = (NORMAL_F64.origin[row].cast_unsigned() as u128 + 1) as f64 / (1u128 << 64) as f64;
        points[row] = if beyond > 0.75 { 1.0 - beyond } else { -beyond };
        row += 1;
    }
    points
};

/// The x with P(|X| < x) = `within`, if that is less than [`CENTRAL`]; else the x with P(|X| > x) = `beyond`, which
/// must be at least [`TAIL`].
#[inline(always)]
fn inner<B: Backend, const N: usize>(b: B, within: [B::F64; N], beyond: [B::F64; N]) -> [B::F64; N] {
    let one = b.splat_f64(1.0);
    let beyond = each!(one; i => b.clamp_f64(beyond[i], b.splat_f64(0.0), b.splat_f64(MAX_BEYOND)));
    let central = each!(b.splat_u64(0); i => less(b, within[i], b.splat_f64(CENTRAL)));
    let y = each!(one; i => select(b, central[i], b.sub_f64(one, within[i]), beyond[i]));
    // The rows are made for the rest of 64-bit words, which is 2^63 P(|X| > x).
    let row = each!(central[0]; i => NORMAL_F64.row(b, b.mul_f64(y[i], b.splat_f64((1u64 << 63) as f64))));
    let minus = b.splat_u64(1 << 63);
    let argument = each!(one; i => {
        select(b, central[i], within[i], b.f64_of_bits(b.xor_u64(b.bits_u64(beyond[i]), minus)))
    });
    let f = each!(one; i => b.sub_f64(argument[i], b.lookup_f64(&POINTS, row[i])));
    NORMAL_F64.value(b, row, f)
}

/// The x with P(|X| > x) = exp(-depth), for x greater than those of [`NORMAL_F64`].
#[inline(always)]
fn outer<B: Backend, const N: usize>(b: B, depth: [B::F64; N]) -> [B::F64; N] {
    let x = NORMAL_BY_DEPTH.value(b, depth);
    each!(depth[0]; i => b.clamp_f64(x[i], b.splat_f64(INNER_END), b.splat_f64(f64::INFINITY)))
}

/// The sides of 0 that have values.
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
    /// P(|X| > x) at the lower and at the upper bound, and its range over all words. All are divided by `scale`.
    below: f64,
    above: f64,
    span: f64,
    /// P(|X| > x) at the bound that is nearer to 0, and -log of that. 1 and 0 if 0 is between the bounds.
    scale: f64,
    depth: f64,
    /// P(|X| < x) is |`shift` + `slope` c|. If 0 is between the bounds, c is 2u - 1; else it is u or 1 - u, whichever
    /// rises with the distance from 0.
    shift: f64,
    slope: f64,
}

/// The probabilities from which a value is computed.
#[derive(Clone, Copy)]
struct Probabilities<B: Backend> {
    /// P(|X| < x).
    within: B::F64,
    /// P(|X| > x), divided by `scale`.
    beyond: B::F64,
    /// The part of the words that is between this word and the bound nearer to 0, if 0 is not between the bounds.
    inwards: B::F64,
    /// All ones if x is negative.
    negative: B::U64,
}

impl Between {
    /// The normal between `lower` and `upper`, in this order, of which either may be infinite. The bound that is nearer
    /// to 0 must be within [`MAX_BOUND`].
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

    /// The probabilities of a word.
    #[inline(always)]
    fn probabilities<B: Backend>(&self, b: B, word: B::U64) -> Probabilities<B> {
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
        // On the negative side, the distance to the outer end is u, which is `to_end` in the lower half of the words.
        // On the positive side it is 1 - u.
        let to_nearer = b.xor_u64(negative, upper_side);
        let outwards = select(b, to_nearer, to_end, to_other_end);
        let inwards = select(b, to_nearer, to_other_end, to_end);
        let within = match signed {
            Some(x) => b.f64_of_bits(b.xor_u64(b.bits_u64(x), b.and_u64(negative, b.splat_u64(1 << 63)))),
            None => self.linear(b, inwards),
        };
        let bound = select(b, negative, b.splat_f64(self.below), b.splat_f64(self.above));
        let beyond = b.add_f64(bound, b.mul_f64(outwards, b.splat_f64(self.span)));
        Probabilities { within, beyond, inwards, negative }
    }

    /// The values of 64-bit words.
    #[inline(always)]
    fn values<B: Backend, const N: usize>(&self, b: B, word: [B::U64; N]) -> [B::F64; N] {
        let zero = b.splat_f64(0.0);
        let p = each!(Probabilities { within: zero, beyond: zero, inwards: zero, negative: word[0] }; i => {
            self.probabilities(b, word[i])
        });
        let x = if self.scale < TAIL {
            self.tail(b, p)
        } else {
            let beyond = each!(zero; i => b.mul_f64(p[i].beyond, b.splat_f64(self.scale)));
            let mut x = inner(b, each!(zero; i => p[i].within), beyond);
            for i in 0..N {
                // Most vectors have no value in a tail. The test rounds to float32, since backends compare integers of
                // 32 bits: it finds all vectors with one, and a few others.
                let last = b.splat((TAIL as f32).to_bits() + 1);
                if b.less(b.bits(b.narrow(beyond[i])), last) != 0 {
                    let [tail] = self.tail(b, [p[i]]);
                    x[i] = select(b, less(b, beyond[i], b.splat_f64(TAIL)), tail, x[i]);
                }
            }
            x
        };
        each!(x[0]; i => {
            let minus = b.and_u64(p[i].negative, b.splat_u64(1 << 63));
            b.f64_of_bits(b.xor_u64(b.bits_u64(x[i]), minus))
        })
    }

    /// The absolute values in a tail, by their depth.
    #[inline(always)]
    fn tail<B: Backend, const N: usize>(&self, b: B, p: [Probabilities<B>; N]) -> [B::F64; N] {
        outer(
            b,
            each!(p[0].beyond; i => {
                let nearer = b.mul_f64(p[i].inwards, b.splat_f64(self.span));
                b.add_f64(b.splat_f64(self.depth), minus_log(b, p[i].beyond, nearer))
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
        affine: impl Affine,
        high: [B::U32; N],
        low: [B::U32; N],
    ) -> [B::F64; N] {
        let x = self.values(b, each!(b.splat_u64(0); i => b.join(high[i], low[i])));
        each!(x[0]; i => affine.apply_f64(b, x[i]))
    }
}

/// The masses of a standard normal at some x >= 0.
struct Masses {
    /// P(|X| < x).
    within: f64,
    /// P(|X| > x), and -log of that.
    beyond: f64,
    depth: f64,
}

/// The depths at which the rows of the tail start and end. The first is just below -log of [`TAIL`]. At the last,
/// exp(-depth) is less than any positive float64 number.
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

/// exp(-depth), or 0 if that is less than any normal number. It inverts [`minus_log`] exactly, as `elementary::exp`
/// would not.
fn exp_minus(depth: f64) -> f64 {
    let log = |t: f64| -minus_log(Portable::<1>, [t], [1.0 - t])[0];
    if -depth < log(f64::MIN_POSITIVE) { 0.0 } else { inverse(log, [f64::MIN_POSITIVE, 1.0], -depth) }
}

/// The last x between two nonnegative numbers at which a nondecreasing function is at most `y`.
fn inverse(function: impl Fn(f64) -> f64, within: [f64; 2], y: f64) -> f64 {
    let [mut last, mut end] = within.map(f64::to_bits); // in the order of the numbers, since these are not negative
    while end - last > 1 {
        let middle = last + (end - last) / 2;
        *(if function(f64::from_bits(middle)) <= y { &mut last } else { &mut end }) = middle;
    }
    f64::from_bits(last)
}

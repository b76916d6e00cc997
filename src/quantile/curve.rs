//! Functions of a uniform number: log-uniform values, logarithms of uniform values, and inverse softplus of log-uniform
//! values.
//!
//! ```text
//! LogUniform:        t = exp(start + width u)                    start = log minval, width = log maxval - log minval
//! LogOfUniform:      log(start + width u)                        start = minval, width = maxval - minval
//! InverseSoftplus:   log(exp(t) - 1)                             t of LogUniform, but at least `floor`
//! ```
//!
//! Each is evaluated in float64 for every type, and rounded once. Each step is monotone in rounded arithmetic, so that
//! the value rises with the word, and is between the values of u = 0 and u = 1.
//!
//! log(exp(t) - 1) is the inverse of softplus(x) = log(1 + exp(x)).

use super::elementary::{exp, exp_minus_1, log};
use super::words::unit;
use super::{Affine, Standard};
use crate::backend::{Backend, Portable, each};

/// The largest argument of the inverse of softplus. Its exponential is still a finite float64.
pub const MAX_SOFTPLUS: f64 = 700.0;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Exp,
    Log,
    InverseSoftplus,
}

/// A function of start + width u.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve {
    function: Function,
    start: f64,
    width: f64,
    /// Least and greatest value of the exponential, for the functions that have one.
    ends: [f64; 2],
}

impl Curve {
    /// exp(t), with t uniform from log `minval` to log `maxval`. Both must be positive normal numbers.
    pub fn log_uniform(minval: f64, maxval: f64) -> Self {
        let start = number(log, minval);
        Self { function: Function::Exp, start, width: number(log, maxval) - start, ends: [minval, maxval] }
    }

    /// log(t), with t uniform from `minval` to `maxval`. `minval` must not be negative.
    pub fn log_of_uniform(minval: f64, maxval: f64) -> Self {
        Self { function: Function::Log, start: minval, width: maxval - minval, ends: [minval, maxval] }
    }

    /// log(exp(t) - 1), with t the greater of `floor` and a log-uniform number. All must be at most [`MAX_SOFTPLUS`].
    pub fn inverse_softplus(minval: f64, maxval: f64, floor: f64) -> Self {
        let ends = [minval.max(floor), maxval.max(floor)];
        Self { function: Function::InverseSoftplus, ends, ..Self::log_uniform(minval, maxval) }
    }

    /// The least and the greatest value: those of the first and the last word.
    pub fn bounds(&self) -> [f64; 2] {
        [0, u32::MAX].map(|word| self.value(Portable::<1>, unit(Portable::<1>, [word], [word]))[0])
    }

    #[inline(always)]
    fn value<B: Backend>(&self, b: B, u: B::F64) -> B::F64 {
        let t = b.add_f64(b.splat_f64(self.start), b.mul_f64(u, b.splat_f64(self.width)));
        let exponential = || b.clamp_f64(exp(b, t), b.splat_f64(self.ends[0]), b.splat_f64(self.ends[1]));
        match self.function {
            Function::Exp => exponential(),
            Function::Log => log(b, t),
            Function::InverseSoftplus => log(b, exp_minus_1(b, exponential())),
        }
    }
}

/// Apply a function of vectors to one number.
fn number(function: impl Fn(Portable<1>, [f64; 1]) -> [f64; 1], x: f64) -> f64 {
    function(Portable::<1>, [x])[0]
}

impl Standard for Curve {
    const BOUNDED: bool = true;

    #[inline(always)]
    fn double<B: Backend, const N: usize>(
        self,
        b: B,
        affine: impl Affine,
        high: [B::U32; N],
        low: [B::U32; N],
    ) -> [B::F64; N] {
        each!(b.splat_f64(0.0); i => affine.apply_f64(b, self.value(b, unit(b, high[i], low[i]))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVES: [fn() -> Curve; 6] = [
        || Curve::log_uniform(1e-3, 0.1),
        || Curve::log_uniform(f64::MIN_POSITIVE, f64::MAX),
        || Curve::log_of_uniform(1.0, 16.0),
        || Curve::log_of_uniform(0.0, 3.0),
        || Curve::inverse_softplus(1e-3, 0.1, 2e-3),
        || Curve::inverse_softplus(1e-300, MAX_SOFTPLUS, 0.0),
    ];

    fn at(curve: Curve, word: u64) -> f64 {
        let b = Portable::<1>;
        curve.value(b, unit(b, [(word >> 32) as u32], [word as u32]))[0]
    }

    #[test]
    fn values_rise_with_the_word() {
        let mut words: Vec<u64> =
            (0..64).flat_map(|order| (0..40u64).map(move |i| (1 << order) + (i << order >> 6))).collect();
        words.extend((0..1 << 14).flat_map(|i: u64| [i << 50, (i << 50) + 1, !(i << 45)]));
        words.sort_unstable();
        for curve in CURVES.map(|curve| curve()) {
            for pair in words.windows(2) {
                assert!(at(curve, pair[0]) <= at(curve, pair[1]), "{curve:?} at {:#x}", pair[1]);
            }
        }
    }

    #[test]
    fn values_are_those_of_the_functions() {
        for i in 0..4000u64 {
            let word = i << 52 | 1 << 51;
            let u = (word as f64 + 0.5) / 2f64.powi(64);
            let near = |x: f64, y: f64| assert!((x - y).abs() <= 4e-15 * y.abs().max(1.0), "{x} for {y}");
            let t = 1e-3 * 100f64.powf(u);
            near(at(Curve::log_uniform(1e-3, 0.1), word) / t, 1.0);
            near(at(Curve::log_of_uniform(1.0, 16.0), word), (1.0 + 15.0 * u).ln());
            near(at(Curve::inverse_softplus(1e-3, 0.1, 2e-3), word), t.max(2e-3).exp_m1().ln());
        }
    }

    #[test]
    fn the_logarithm_of_a_uniform_from_zero_is_finite() {
        let [low, high] = Curve::log_of_uniform(0.0, 1.0).bounds();
        assert!((low + 65.0 * std::f64::consts::LN_2).abs() < 1e-13 && high == 0.0, "[{low}, {high}]");
    }
}

//! Words to the values of a recipe.

use super::{Kind, Recipe};
use crate::backend::{Backend, MOST_LANES, Task};
use crate::narrow::{Element, Real};
use crate::quantile::between::unit;
use crate::quantile::polar::{Angle, Radius};
use crate::quantile::{Normal, Standard, TruncatedNormal, Uniform, Words, outer_low_words};

impl Recipe {
    /// Values of words. `low` holds the low words where `T` is made of both, and `low_word(i)` is the low word of any.
    #[inline(always)]
    pub(crate) fn values<B: Backend, T: Element>(&self, b: B, words: &Words<'_, impl Fn(usize) -> u32>, out: &mut [T]) {
        let recipe = *self;
        match self.kind {
            Kind::Uniform => b.vectorize(Values { recipe, standard: Uniform, words, out }),
            Kind::Normal => b.vectorize(Values { recipe, standard: Normal, words, out }),
            Kind::TruncatedNormal => b.vectorize(Values { recipe, standard: TruncatedNormal, words, out }),
            Kind::Between(standard) => b.vectorize(Values { recipe, standard, words, out }),
            Kind::Polar(radius) => b.vectorize(Pairs { recipe, radius, words, out }),
        }
    }
}

/// The values of words, of one distribution. The recipe is at hand by value: no store of a value can change it.
struct Values<'a, T, S, F: Fn(usize) -> u32> {
    recipe: Recipe,
    standard: S,
    words: &'a Words<'a, F>,
    out: &'a mut [T],
}

impl<T: Element, S: Standard, F: Fn(usize) -> u32> Task for Values<'_, T, S, F> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        let Self { recipe, standard, words, out } = self;
        let mut vectors = out.chunks_exact_mut(B::LANES);
        let mut at = 0;
        for to in &mut vectors {
            T::store(b, vector::<B, T::Computed, S>(b, recipe, standard, words, at), to);
            at += B::LANES;
        }
        let rest = vectors.into_remainder();
        if !rest.is_empty() {
            let mut last = [T::default(); MOST_LANES];
            T::store(b, vector::<B, T::Computed, S>(b, recipe, standard, words, at), &mut last);
            rest.copy_from_slice(&last[..rest.len()]);
        }
    }
}

/// The values of a vector of words, from word `at` on.
#[inline(always)]
fn vector<B: Backend, T: Real, S: Standard>(
    b: B,
    recipe: Recipe,
    standard: S,
    words: &Words<'_, impl Fn(usize) -> u32>,
    at: usize,
) -> T::Lanes<B> {
    let x = T::values(b, standard, recipe.scale, words, at);
    if S::BOUNDED { T::clamp(b, x, recipe.low, recipe.high) } else { x }
}

/// The values of words, two by two: the first gives the radius of a complex number, the second its angle.
struct Pairs<'a, T, F: Fn(usize) -> u32> {
    recipe: Recipe,
    radius: Radius,
    words: &'a Words<'a, F>,
    out: &'a mut [T],
}

impl<T: Element, F: Fn(usize) -> u32> Task for Pairs<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        let Self { recipe, radius, words, out } = self;
        for (i, out) in out.chunks_mut(2 * B::LANES).enumerate() {
            let at = 2 * B::LANES * i;
            let (mut highs, mut units) = ([b.splat(0); 2], [b.splat_f64(0.0); 2]);
            for part in 0..2 {
                // Words there are none of are in the middle, where no low word is asked for.
                let (mut high, mut low) = ([1 << 31; MOST_LANES], [1 << 31; MOST_LANES]);
                for j in 0..out.len() / 2 {
                    high[j] = words.high[at + 2 * j + part];
                    if T::DOUBLE {
                        low[j] = words.low[at + 2 * j + part];
                    }
                }
                highs[part] = b.load(&high);
                let low = if T::DOUBLE {
                    b.load(&low)
                } else {
                    outer_low_words(b, highs[part], |j| (words.low_word)(at + 2 * j + part))
                };
                [units[part], _] = unit(b, highs[part], low);
            }
            let angle = Angle { high: highs[1], u: units[1] };
            let parts = radius.value(b, recipe.scale.scale, recipe.high, units[0], angle);
            for (part, values) in parts.into_iter().enumerate() {
                let mut stored = [T::default(); MOST_LANES];
                T::store(b, T::Computed::nearest_lanes(b, values), &mut stored);
                for (pair, value) in out.chunks_exact_mut(2).zip(stored) {
                    pair[part] = value;
                }
            }
        }
    }
}

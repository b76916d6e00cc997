//! The inner loops of all samples: from words of the keystream to elements in memory.
//!
//! A loop has two parts. A [`Maker`] does the arithmetic of one distribution: it computes `center + scale Q(u)`, clamps
//! it to the bounds and rounds it to the element type. A [`Task`] provides the words: [`OfWords`] those that the caller
//! has picked, and [`Consecutive`] those of consecutive elements, straight from the keystream. The compiler makes a
//! separate function of each pair of the two and of each element type, so that the loop tests neither.
//!
//! Words go from the keystream to values through a small batch on the stack. It stays in the first-level cache, so that
//! the only traffic to memory is the result.

use super::{Kind, Recipe};
use crate::backend::{Backend, MAX_LANES, Task};
use crate::element::{Element, Real};
use crate::keystream::{BLOCK, Keystream, Plane};
use crate::quantile::polar::{Angle, Radius};
use crate::quantile::symmetric::{Normal, TruncatedNormal, Uniform};
use crate::quantile::words::{Words, outer_low_words, unit};
use crate::quantile::{Affine, Multiple, Standard};

/// Evaluate an expression with the maker of a recipe's distribution.
///
/// Most initializers have center 0. Their maker multiplies without adding the center, which is faster. The values are
/// the same: adding 0 changes no number except -0, and no product is -0 if the scale exceeds [`MIN_MULTIPLE`].
macro_rules! by_kind {
    ($recipe:expr, $maker:ident => $expression:expr) => {{
        let recipe = $recipe;
        macro_rules! with {
            ($standard:expr, $affine:expr) => {{
                let $maker = OneByOne { recipe, standard: $standard, affine: $affine };
                $expression
            }};
            ($standard:expr) => {
                if recipe.scale.center == 0.0 && recipe.scale.scale > MIN_MULTIPLE {
                    with!($standard, Multiple(recipe.scale.scale))
                } else {
                    with!($standard, recipe.scale)
                }
            };
        }
        match recipe.kind {
            Kind::Uniform => with!(Uniform),
            Kind::Normal => with!(Normal),
            Kind::TruncatedNormal => with!(TruncatedNormal),
            Kind::Between(between) => with!(between, recipe.scale),
            Kind::Curve(curve) => with!(curve, Multiple(recipe.scale.scale)),
            Kind::Polar(radius) => {
                let $maker = Pairs { recipe, radius };
                $expression
            }
        }
    }};
}

impl Recipe {
    /// Write the values of picked words to `out`.
    #[inline(always)]
    pub(crate) fn values<B: Backend, T: Element>(&self, b: B, words: &Words<'_, impl Fn(usize) -> u32>, out: &mut [T]) {
        by_kind!(*self, maker => b.vectorize(OfWords { maker, words, out }));
    }

    /// Write the values of the elements from index `first` on to `out`.
    #[inline(always)]
    pub(crate) fn consecutive<B: Backend, T: Element>(&self, b: B, keystream: Keystream, first: u64, out: &mut [T]) {
        by_kind!(*self, maker => b.vectorize(Consecutive { maker, keystream, first, out }));
    }
}

/// With a scale greater than this, no product of scale and standard value underflows to 0: the least absolute standard
/// values are about 2^-32 in float32 and 2^-64 in float64.
const MIN_MULTIPLE: f64 = 1e-30;

/// The arithmetic of one distribution.
///
/// A maker is passed by value. Behind a reference, the compiler would load its constants again after each store of a
/// value, since it would have to assume that the store changed them.
trait Maker: Copy {
    /// Write the value of each word to `out`. The words are padded to a whole vector.
    fn make<B: Backend, T: Element>(self, b: B, words: &Words<'_, impl Fn(usize) -> u32>, out: &mut [T]);
}

/// The values of picked words.
struct OfWords<'a, T, M, F: Fn(usize) -> u32> {
    maker: M,
    words: &'a Words<'a, F>,
    out: &'a mut [T],
}

impl<T: Element, M: Maker, F: Fn(usize) -> u32> Task for OfWords<'_, T, M, F> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        self.maker.make(b, self.words, self.out);
    }
}

/// The values of consecutive elements.
struct Consecutive<'a, T, M> {
    maker: M,
    keystream: Keystream,
    first: u64,
    out: &'a mut [T],
}

/// Number of blocks of a batch: with both planes, 8 KiB of words, which stay in the first-level cache.
const BATCH: usize = 64;

/// The words of a batch in both planes, each padded by a vector, which the last elements of a batch may read.
#[repr(align(64))] // so that no vector straddles two cache lines
struct Batch([[u32; BLOCK * BATCH + MAX_LANES]; 2]);

impl<T: Element, M: Maker> Task for Consecutive<'_, T, M> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        let Self { maker, keystream, mut first, mut out } = self;
        // The padding is 2^31, the middle word, which never needs a low word.
        let mut batch = Batch([[1 << 31; BLOCK * BATCH + MAX_LANES]; 2]);
        while !out.is_empty() {
            // The keystream makes whole blocks. If the first element is in the middle of one, `skip` words are unused.
            let (block, skip) = (first / BLOCK as u64, (first % BLOCK as u64) as usize);
            let (now, later) = out.split_at_mut(out.len().min(BLOCK * BATCH - skip));
            let length = BLOCK * (skip + now.len()).div_ceil(BLOCK * B::LANES) * B::LANES;
            let Batch([high, low]) = &mut batch;
            keystream.consecutive_blocks(b, Plane::High.first_block() + block, &mut high[..length]);
            if T::DOUBLE {
                keystream.consecutive_blocks(b, Plane::Low.first_block() + block, &mut low[..length]);
            }
            let low_word = |i: usize| keystream.word(Plane::Low, first + i as u64);
            maker.make(b, &Words { high: &high[skip..], low: &low[skip..], low_word }, now);
            first += now.len() as u64;
            out = later;
        }
    }
}

/// The maker of real distributions, in which each element is a value.
#[derive(Clone, Copy)]
struct OneByOne<S, A> {
    recipe: Recipe,
    /// The standard distribution, with the quantile function Q.
    standard: S,
    /// The function from standard values to values.
    affine: A,
}

/// Number of vectors that go through each operation together, if there are registers for them. The result of an
/// operation takes about four cycles; meanwhile the CPU starts the operations of the other vectors.
const TOGETHER: usize = 4;

impl<S: Standard, A: Affine> Maker for OneByOne<S, A> {
    #[inline(always)]
    fn make<B: Backend, T: Element>(self, b: B, words: &Words<'_, impl Fn(usize) -> u32>, mut out: &mut [T]) {
        let mut at = 0;
        if B::REGISTERS >= 8 * TOGETHER {
            (out, at) = self.make_vectors::<B, T, TOGETHER>(b, words, at, out);
        }
        (out, at) = self.make_vectors::<B, T, 1>(b, words, at, out);
        if !out.is_empty() {
            // The last elements do not fill a vector. Values of the padding are computed too, and dropped.
            let mut last = [T::default(); MAX_LANES];
            self.make_vectors::<B, T, 1>(b, words, at, &mut last[..B::LANES]);
            out.copy_from_slice(&last[..out.len()]);
        }
    }
}

impl<S: Standard, A: Affine> OneByOne<S, A> {
    /// Write values for the words from index `at` on, `N` whole vectors at a time. Returns the part of `out` that is
    /// not written, and the index of its first word.
    #[inline(always)]
    fn make_vectors<'o, B: Backend, T: Element, const N: usize>(
        self,
        b: B,
        words: &Words<'_, impl Fn(usize) -> u32>,
        mut at: usize,
        out: &'o mut [T],
    ) -> (&'o mut [T], usize) {
        let Self { recipe, standard, affine } = self;
        let mut groups = out.chunks_exact_mut(N * B::LANES);
        for to in &mut groups {
            let x: [_; N] = T::Computed::values(b, standard, affine, words, at);
            for (i, to) in to.chunks_exact_mut(B::LANES).enumerate() {
                let x = if S::BOUNDED { T::Computed::clamp(b, x[i], recipe.low, recipe.high) } else { x[i] };
                T::store(b, x, to);
                self.make_rare(b, words, at + B::LANES * i, to);
            }
            at += N * B::LANES;
        }
        (groups.into_remainder(), at)
    }

    /// Overwrite the rare values of a vector, those in the tails of the normal distribution. They are computed one at a
    /// time: few vectors have one, and the tables of the tails do not fit into registers. `at` is the index of the
    /// vector's first word.
    #[inline(always)]
    fn make_rare<B: Backend, T: Element>(
        self,
        b: B,
        words: &Words<'_, impl Fn(usize) -> u32>,
        at: usize,
        to: &mut [T],
    ) {
        let mut rare = T::Computed::rare(b, self.standard, words, at);
        while rare != 0 {
            let i = rare.trailing_zeros() as usize;
            to[i] = T::nearest(T::Computed::rare_value(self.standard, self.affine, words, at + i).to_f64());
            rare &= rare - 1; // clears the lowest bit
        }
    }
}

/// The maker of complex distributions. A number takes the words of two elements: the first gives its radius, the second
/// its angle.
#[derive(Clone, Copy)]
struct Pairs {
    recipe: Recipe,
    radius: Radius,
}

impl Maker for Pairs {
    #[inline(always)]
    fn make<B: Backend, T: Element>(self, b: B, words: &Words<'_, impl Fn(usize) -> u32>, out: &mut [T]) {
        let Self { recipe, radius } = self;
        for (i, out) in out.chunks_mut(2 * B::LANES).enumerate() {
            let at = 2 * B::LANES * i;
            let (mut highs, mut units) = ([b.splat(0); 2], [b.splat_f64(0.0); 2]);
            for part in 0..2 {
                // Gather the even words of a vector, or the odd ones. Pad missing words with 2^31, which never needs a
                // low word.
                let (mut high, mut low) = ([1 << 31; MAX_LANES], [1 << 31; MAX_LANES]);
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
                units[part] = unit(b, highs[part], low);
            }
            let angle = Angle { high: highs[1], u: units[1] };
            let parts = radius.value(b, recipe.scale.scale, recipe.high, units[0], angle);
            for (part, values) in parts.into_iter().enumerate() {
                let mut stored = [T::default(); MAX_LANES];
                T::store(b, T::Computed::nearest_lanes(b, values), &mut stored);
                for (pair, value) in out.chunks_exact_mut(2).zip(stored) {
                    pair[part] = value;
                }
            }
        }
    }
}

//! Runs of addresses to values in memory, on as many threads as asked for.
//!
//! The memory is cut into chunks that threads take in turn. A chunk goes through batches of 64 blocks of
//! keystream, which stay in the first-level cache: which blocks are wanted, their words, the wanted words in order, their
//! values. What is written where depends on the addresses alone; threads, chunks and batches change no bit of it.

use crate::backend::{self, Backend, Task};
use crate::element::Element;
use crate::element::float8::Format;
use crate::keystream::{BLOCK, Keystream, Plane};
use crate::parallel::for_each;
use crate::quantile::words::Words;
use crate::recipe::Recipe;
use crate::region::{Region, RegionError, Run};
use ndarray::ArrayD;
use std::num::NonZero;

pub use crate::parallel::Interrupted;

/// Elements of a chunk: a quarter of a mebibyte of float32.
const CHUNK: usize = 1 << 16;

/// Bytes of a huge page. New memory comes in such pages, zeroed: a page that two threads touch first at the same time is
/// zeroed twice, so where there are many, each is a chunk.
const PAGE: usize = 1 << 21;

/// Blocks of a batch: a multiple of every backend's lanes.
const BATCH_BLOCKS: usize = 64;
const BATCH: usize = BATCH_BLOCKS * BLOCK;

/// From this length on, a run of consecutive elements has batches of its own.
const LONG: u64 = 4 * BLOCK as u64;

/// A region of a tensor: which addresses to evaluate, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fill<'a> {
    /// Where the words come from.
    pub keystream: Keystream,
    /// How they become values.
    pub recipe: Recipe,
    /// Which elements.
    pub region: &'a Region,
}

impl Fill<'_> {
    /// Write the region's elements to `out`, on up to `threads` threads, the calling one among them.
    ///
    /// `proceed` is called there now and then; where it says no, the fill stops soon.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] where `proceed` said no.
    ///
    /// # Panics
    ///
    /// Where `out` has not the length of the region, or the region parts a pair that the recipe makes.
    pub fn run<T: Element>(
        &self,
        out: &mut [T],
        threads: NonZero<usize>,
        proceed: impl Fn() -> bool,
    ) -> Result<(), Interrupted> {
        assert_eq!(out.len() as u64, self.region.len(), "as many elements as the region has");
        assert!(!self.recipe.makes_pairs() || self.region.keeps_pairs(), "pairs of elements stay together");
        let workers = threads.get().min(out.len().div_ceil(CHUNK));
        for_each(Chunks::new(out, workers, self.region.has_runs_of(LONG)), workers, proceed, |(first, out), _| {
            backend::run(Chunk { fill: self, first, out });
            Ok(())
        })
    }

    /// Write the codes of eight-bit floats, as [`Fill::run`] does: the float32 values, rounded. The recipe is one of that
    /// format, so that no value is beyond its bounds.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] where `proceed` said no.
    ///
    /// # Panics
    ///
    /// As [`Fill::run`].
    pub fn run_float8(
        &self,
        format: Format,
        out: &mut [u8],
        threads: NonZero<usize>,
        proceed: impl Fn() -> bool,
    ) -> Result<(), Interrupted> {
        assert_eq!(out.len() as u64, self.region.len(), "as many elements as the region has");
        let workers = threads.get().min(out.len().div_ceil(CHUNK));
        for_each(Chunks::new(out, workers, false), workers, proceed, |(first, out), _| {
            let mut values = vec![0.0f32; out.len()];
            backend::run(Chunk { fill: self, first, out: &mut values });
            format.round(&values, out);
            Ok(())
        })
    }
}

/// A whole tensor, filled on the calling thread.
///
/// # Errors
///
/// [`RegionError::TooLarge`] where it has 2^63 elements or more.
///
/// # Panics
///
/// As `Vec` does where there cannot be as much memory.
pub fn array<T: Element>(keystream: Keystream, recipe: Recipe, shape: &[usize]) -> Result<ArrayD<T>, RegionError> {
    let region = Region::whole(&shape.iter().map(|&length| length as u64).collect::<Vec<_>>())?;
    let mut values = ArrayD::from_elem(shape, T::default());
    let out = values.as_slice_mut().expect("a new array is in C order");
    let run = Fill { keystream, recipe, region: &region }.run(out, NonZero::<usize>::MIN, || true);
    run.expect("it is never told to stop");
    Ok(values)
}

/// Memory in chunks, each with the number of its first element.
struct Chunks<'o, T> {
    first: u64,
    rest: &'o mut [T],
    /// Of the next chunk, and of those after it.
    lengths: [usize; 2],
}

impl<'o, T> Chunks<'o, T> {
    /// Cheap elements may come in large chunks: the calling thread looks around between two of them.
    fn new(out: &'o mut [T], workers: usize, cheap: bool) -> Self {
        let lengths = if cheap && workers > 1 && size_of_val(out) / PAGE >= 4 * workers {
            let offset = out.as_ptr().addr() % PAGE;
            [(PAGE - offset).div_ceil(size_of::<T>()), PAGE / size_of::<T>()]
        } else {
            [CHUNK; 2]
        };
        Self { first: 0, rest: out, lengths }
    }
}

impl<'o, T> Iterator for Chunks<'o, T> {
    type Item = (u64, &'o mut [T]);

    fn next(&mut self) -> Option<Self::Item> {
        let (first, rest) = (self.first, std::mem::take(&mut self.rest));
        let (chunk, rest) = rest.split_at_mut(rest.len().min(self.lengths[0]));
        (self.first, self.rest, self.lengths[0]) = (first + chunk.len() as u64, rest, self.lengths[1]);
        (!chunk.is_empty()).then_some((first, chunk))
    }
}

/// The part of the region that begins with its element `first`.
struct Chunk<'a, T> {
    fill: &'a Fill<'a>,
    first: u64,
    out: &'a mut [T],
}

impl<T: Element> Task for Chunk<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        let mut batch = Batch::new(self.fill);
        let mut out = self.out;
        for run in self.fill.region.runs(self.first..self.first + out.len() as u64) {
            if run.step == 1 && run.count >= LONG {
                out = batch.write_picked(b, out);
                let (now, later) = out.split_at_mut(run.count as usize);
                self.fill.recipe.consecutive(b, self.fill.keystream, run.first, now);
                out = later;
                continue;
            }
            let mut done = 0;
            while done < run.count {
                done += batch.pick(run, done);
                if done < run.count {
                    out = batch.write_picked(b, out);
                }
            }
        }
        batch.write_picked(b, out);
    }
}

/// Blocks of keystream, and what is wanted of them. Words begin at cache lines: vectors of them straddle no two.
#[repr(C, align(64))]
struct Batch<'a> {
    /// By plane: all words of the blocks, and the picked ones.
    words: [[u32; BATCH]; 2],
    picked: [[u32; BATCH]; 2],
    /// Which word of those blocks each element has.
    picks: [u16; BATCH],
    pick_count: usize,
    blocks: [u64; BATCH_BLOCKS],
    block_count: usize,
    fill: &'a Fill<'a>,
}

impl<'a> Batch<'a> {
    #[inline(always)]
    fn new(fill: &'a Fill<'a>) -> Self {
        Self {
            words: [[0; BATCH]; 2],
            // In the middle, where no value needs more than its high word: not even those beyond the last one.
            picked: [[1 << 31; BATCH]; 2],
            picks: [0; BATCH],
            pick_count: 0,
            blocks: [0; BATCH_BLOCKS],
            block_count: 0,
            fill,
        }
    }

    /// Pick elements of `run`, the first `done` of which are done, while there is room; how many were picked.
    #[inline(always)]
    fn pick(&mut self, run: Run, done: u64) -> u64 {
        let mut picked = 0;
        while done + picked < run.count && self.pick_count < BATCH {
            let element = run.first.wrapping_add((done + picked).wrapping_mul(run.step));
            let Some(slot) = self.slot(element / BLOCK as u64) else { break };
            let word = (element % BLOCK as u64) as usize;
            let left = (run.count - done - picked).min((BATCH - self.pick_count) as u64) as usize;
            let here = if run.step == 1 { left.min(BLOCK - word) } else { 1 };
            for (i, pick) in self.picks[self.pick_count..self.pick_count + here].iter_mut().enumerate() {
                *pick = (slot * BLOCK + word + i) as u16;
            }
            self.pick_count += here;
            picked += here as u64;
        }
        picked
    }

    /// Where the words of a block will stand, if there is room for it.
    #[inline(always)]
    fn slot(&mut self, block: u64) -> Option<usize> {
        if self.block_count == 0 || self.blocks[self.block_count - 1] != block {
            if self.block_count == BATCH_BLOCKS {
                return None;
            }
            self.blocks[self.block_count] = block;
            self.block_count += 1;
        }
        Some(self.block_count - 1)
    }

    /// Write the values of the picked elements to the beginning of `out`; what is left of `out`.
    #[inline(always)]
    fn write_picked<'o, B: Backend, T: Element>(&mut self, b: B, out: &'o mut [T]) -> &'o mut [T] {
        let (now, later) = out.split_at_mut(self.pick_count);
        self.make_words::<B, T>(b);
        for (words, picked) in self.words.iter().zip(&mut self.picked).take(if T::DOUBLE { 2 } else { 1 }) {
            for (word, pick) in picked.iter_mut().zip(&self.picks[..self.pick_count]) {
                *word = words[usize::from(*pick)];
            }
        }
        let [high, low] = &self.picked;
        let low_word = |i: usize| {
            let pick = u64::from(self.picks[i]);
            let block = self.blocks[(pick / BLOCK as u64) as usize];
            self.fill.keystream.word(Plane::Low, block * BLOCK as u64 + pick % BLOCK as u64)
        };
        self.fill.recipe.values(b, &Words { high, low, low_word }, now);
        (self.block_count, self.pick_count) = (0, 0);
        later
    }

    /// The words of the blocks, in the planes that `T` is made of.
    #[inline(always)]
    fn make_words<B: Backend, T: Element>(&mut self, b: B) {
        let blocks = &self.blocks[..self.block_count.next_multiple_of(B::LANES)];
        self.fill.keystream.blocks(b, Plane::High.first_block(), blocks, &mut self.words[0]);
        if T::DOUBLE {
            self.fill.keystream.blocks(b, Plane::Low.first_block(), blocks, &mut self.words[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Distribution;
    use crate::region::Axis;

    /// The bits of elements from `start` on, `step` apart.
    #[derive(Clone, Copy)]
    struct Elements<T> {
        recipe: Recipe,
        start: usize,
        step: usize,
        count: usize,
        element: std::marker::PhantomData<T>,
    }

    impl<T: Element> Task for Elements<T> {
        type Output = Vec<u64>;

        #[inline(always)]
        fn run<B: Backend>(self, b: B) -> Vec<u64> {
            let Self { start, step, count, .. } = self;
            let axis = Axis { length: 1 << 40, start: start as u64, step: step as i64, count: count as u64 };
            let region = Region::new(&[axis]).expect("within the tensor");
            let fill = Fill { keystream: Keystream::new([7; 32], 3), recipe: self.recipe, region: &region };
            // The memory begins at any multiple of an element, too.
            let mut out = vec![T::default(); start % 5 + count];
            Chunk { fill: &fill, first: 0, out: &mut out[start % 5..] }.run(b);
            out[start % 5..].iter().map(|x| x.to_f64().to_bits()).collect()
        }
    }

    fn every_backend_agrees_at_every_alignment<T: Element>() {
        for distribution in [
            Distribution::Uniform { minval: -0.5, maxval: 1.5 },
            Distribution::Normal { mean: 0.25, stddev: 2.0 },
            Distribution::TruncatedNormal { mean: -0.25, stddev: 0.5 },
        ] {
            let recipe = Recipe::new::<T>(distribution).expect("a recipe");
            let elements =
                |start, step, count| Elements { recipe, start, step, count, element: std::marker::PhantomData::<T> };
            let scalar = Elements::run(elements(0, 1, 4096), backend::Portable::<1>);
            for (start, step) in (0..33).map(|start| (start, 1)).chain([(3, 2), (1000, 17), (5, 33)]) {
                for count in (0..=34).chain([63, 64, 65, 90, 1023 - start % 16, 1024, 1025, 1040 + start]) {
                    let last = start + step * count;
                    if last > scalar.len() {
                        continue;
                    }
                    let expected: Vec<_> = scalar[start..last].iter().copied().step_by(step).collect();
                    for (name, bits) in backend::on_each(elements(start, step, count)) {
                        assert!(
                            bits == expected,
                            "{name}, {distribution:?}, {} from {start} by {step}, {count}",
                            T::NAME
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_backend_agrees_at_every_alignment_in_float16() {
        every_backend_agrees_at_every_alignment::<half::f16>();
    }

    #[test]
    fn every_backend_agrees_at_every_alignment_in_bfloat16() {
        every_backend_agrees_at_every_alignment::<half::bf16>();
    }

    #[test]
    fn every_backend_agrees_at_every_alignment_in_float32() {
        every_backend_agrees_at_every_alignment::<f32>();
    }

    #[test]
    fn every_backend_agrees_at_every_alignment_in_float64() {
        every_backend_agrees_at_every_alignment::<f64>();
    }
}

//! Evaluation of a region of a tensor into memory, by any number of threads.
//!
//! The memory is divided into chunks, which threads take in turn. The elements of a chunk are runs of addresses. Long
//! runs of consecutive elements go straight through the loop of [`recipe`](crate::recipe). All others are collected
//! into batches, which stay in the first-level cache: pick up to 1024 elements from up to 64 blocks, compute these
//! blocks, copy the picked words next to each other, and evaluate them. So the elements of a column are evaluated
//! together, although each is in another block. A value depends on its address alone, so that chunks, batches and
//! threads change no bit.

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

/// Number of elements of a chunk. Evaluating these (256 KiB of float32) takes much longer than taking a chunk from the
/// work list, and little enough that the threads finish at about the same time.
const CHUNK: usize = 1 << 16;

/// Size of a huge page, in bytes. Linux maps new memory in such pages, and zeroes a page at its first access. If two
/// threads access a new page at the same time, both zero it, and one result is thrown away. So each page of a large
/// result is one chunk.
const PAGE: usize = 1 << 21;

/// Number of blocks of a batch, a multiple of the number of lanes of every backend. The words of both planes, twice,
/// take 16 KiB, half of a small first-level cache.
const BATCH_BLOCKS: usize = 64;

/// Number of elements of a batch.
const BATCH: usize = BATCH_BLOCKS * BLOCK;

/// Least length, in elements, of a run of consecutive elements that is evaluated by itself. The keystream computes
/// whole vectors of blocks: short runs share them in a batch.
const LONG: u64 = 4 * BLOCK as u64;

/// The elements to evaluate, and their distribution.
#[derive(Clone, Copy, Debug)]
pub struct Fill<'a> {
    /// Key and stream of the tensor.
    pub keystream: Keystream,
    /// The distribution, compiled for the element type.
    pub recipe: Recipe,
    /// The elements, as a region of the tensor.
    pub region: &'a Region,
}

impl Fill<'_> {
    /// Write the region's elements to `out` in C order, on up to `threads` threads, the calling one included.
    ///
    /// `proceed` is called on the calling thread about every 20 ms. If it returns false, the fill stops soon and leaves
    /// part of `out` unchanged.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] if `proceed` returned false.
    ///
    /// # Panics
    ///
    /// If the length of `out` is not that of the region, or if values are complex numbers and the region separates the
    /// parts of one.
    pub fn run<T: Element>(
        &self,
        out: &mut [T],
        threads: NonZero<usize>,
        proceed: impl Fn() -> bool,
    ) -> Result<(), Interrupted> {
        assert_eq!(out.len() as u64, self.region.len(), "out must have the elements of the region");
        assert!(
            !self.recipe.makes_pairs() || self.region.keeps_pairs(),
            "the region must not separate the parts of a number"
        );
        let workers = threads.get().min(out.len().div_ceil(CHUNK));
        for_each(Chunks::new(out, workers, self.region.has_runs_of(LONG)), workers, proceed, |(first, out), _| {
            backend::run(Chunk { fill: self, first, out });
            Ok(())
        })
    }

    /// Write the codes of eight-bit floats as [`Fill::run`] writes elements: the float32 values, rounded. The recipe
    /// must be compiled for that format, so that no value exceeds its largest number.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] if `proceed` returned false.
    ///
    /// # Panics
    ///
    /// For the reasons of [`Fill::run`].
    pub fn run_float8(
        &self,
        format: Format,
        out: &mut [u8],
        threads: NonZero<usize>,
        proceed: impl Fn() -> bool,
    ) -> Result<(), Interrupted> {
        assert_eq!(out.len() as u64, self.region.len(), "out must have the elements of the region");
        let workers = threads.get().min(out.len().div_ceil(CHUNK));
        for_each(Chunks::new(out, workers, false), workers, proceed, |(first, out), _| {
            let mut values = vec![0.0f32; out.len()];
            backend::run(Chunk { fill: self, first, out: &mut values });
            format.round(&values, out);
            Ok(())
        })
    }
}

/// A new array of a whole tensor, filled on the calling thread.
///
/// # Errors
///
/// [`RegionError::TooLarge`] if it has 2^63 elements or more.
///
/// # Panics
///
/// If there is not enough memory, as `Vec` does.
pub fn array<T: Element>(keystream: Keystream, recipe: Recipe, shape: &[usize]) -> Result<ArrayD<T>, RegionError> {
    let region = Region::whole(&shape.iter().map(|&length| length as u64).collect::<Vec<_>>())?;
    let mut values = ArrayD::from_elem(shape, T::default());
    let out = values.as_slice_mut().expect("a new array is in C order");
    let run = Fill { keystream, recipe, region: &region }.run(out, NonZero::<usize>::MIN, || true);
    run.expect("nothing interrupts it");
    Ok(values)
}

/// Divides memory into chunks, each with the index of its first element in the region.
struct Chunks<'o, T> {
    /// Index of the first element of `rest`.
    first: u64,
    rest: &'o mut [T],
    /// Length of the next chunk, then of every later one, in elements.
    lengths: [usize; 2],
}

impl<'o, T> Chunks<'o, T> {
    /// Chunks of one page if the result has several pages for each worker, else of [`CHUNK`] elements. Signals are
    /// polled between two chunks, so that only elements that are `cheap` to evaluate may have chunks of a page.
    fn new(out: &'o mut [T], workers: usize, cheap: bool) -> Self {
        let lengths = if cheap && workers > 1 && size_of_val(out) / PAGE >= 4 * workers {
            // The first chunk ends at a page boundary.
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

/// The task of a thread: the elements of the region from index `first` on, as many as `out` has.
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

/// Elements that are evaluated together, from any blocks of the keystream. Arrays of words start at cache lines, so
/// that no vector straddles two.
#[repr(C, align(64))]
struct Batch<'a> {
    /// All words of the blocks, by plane.
    words: [[u32; BATCH]; 2],
    /// The words of the picked elements in their order, by plane.
    picked: [[u32; BATCH]; 2],
    /// The index of each element's word in `words`.
    picks: [u16; BATCH],
    /// Number of picked elements.
    pick_count: usize,
    /// Indices of the blocks in their plane.
    blocks: [u64; BATCH_BLOCKS],
    /// Number of blocks.
    block_count: usize,
    fill: &'a Fill<'a>,
}

impl<'a> Batch<'a> {
    #[inline(always)]
    fn new(fill: &'a Fill<'a>) -> Self {
        Self {
            words: [[0; BATCH]; 2],
            // The padding is 2^31, the middle word, which never needs a low word.
            picked: [[1 << 31; BATCH]; 2],
            picks: [0; BATCH],
            pick_count: 0,
            blocks: [0; BATCH_BLOCKS],
            block_count: 0,
            fill,
        }
    }

    /// Pick elements of `run` from index `done` on until the batch is full. Returns how many were picked.
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

    /// Add a block to the batch, unless it is the last one there, and return its position. `None` if the batch is full.
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

    /// Write the values of the picked elements to the start of `out`, and empty the batch. Returns the rest of `out`.
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

    /// Compute the words of the blocks, in the planes that elements of type `T` need.
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

    /// A task that returns the bits of `count` elements, from index `start` on, `step` apart.
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
            // Start at any alignment that the element type allows.
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

//! Passes over the rows of a matrix by several threads.
//!
//! If a matrix is tall and has few strips, threads share the rows of one panel or strip instead. Each takes ranges of
//! blocks of rows, and what it sums over a range is a node of the tree of sums that a single thread would build. So the
//! number of threads changes no rounding.

use super::Stopped;
use crate::element::Real;
use crate::matmul::{Lines, Pairwise};
use crate::parallel::{Proceed, for_each};
use std::iter::from_fn;
use std::mem::take;
use std::ops::Range;

/// Divides blocks of [`PANEL`](super::PANEL) rows into ranges.
///
/// The length of a range is a power of two, and its first block is a multiple of it, so that its sum is one of those
/// that [`Pairwise`] makes anyway.
pub(super) struct Ranges {
    /// Number of blocks of a range.
    length: usize,
    /// Number of threads that share the ranges.
    threads: usize,
}

impl Ranges {
    /// Ranges of `blocks` blocks for `threads` threads.
    pub(super) fn new(blocks: usize, threads: usize) -> Self {
        const RANGES: usize = 4; // for each thread, so that the threads end at about the same time
        let count = if threads == 1 { 1 } else { RANGES * threads };
        Self { length: blocks.div_ceil(count).next_power_of_two(), threads }
    }

    /// Number of blocks of a range.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Split `all`, which has `count` elements for each of `blocks`, into the parts of the ranges.
    pub(super) fn split<'a, T>(
        &self,
        all: &'a mut [T],
        blocks: &Range<usize>,
        count: usize,
    ) -> impl Iterator<Item = &'a mut [T]> + use<'a, T> {
        let (mut rest, mut length, next) = (all, self.length - blocks.start % self.length, self.length);
        from_fn(move || {
            let all = take(&mut rest);
            let part;
            (part, rest) = all.split_at_mut(all.len().min(length * count));
            length = next;
            Some(part)
        })
    }

    /// Call `work` for each range of `blocks`, with the next item of `parts`.
    pub(super) fn each<P: Send>(
        &self,
        blocks: Range<usize>,
        proceed: &Proceed<'_>,
        parts: impl Iterator<Item = P> + Send,
        work: impl Fn(Range<usize>, P, &Proceed<'_>) -> Result<(), Stopped> + Sync,
    ) -> Result<(), Stopped> {
        let ranges = blocks.start / self.length..blocks.end.div_ceil(self.length);
        for_each(
            ranges.zip(parts),
            self.threads,
            || proceed().is_ok(),
            |(i, part), proceed| {
                work(blocks.start.max(i * self.length)..blocks.end.min((i + 1) * self.length), part, proceed)
            },
        )
    }

    /// Sum arrays of `length` numbers over `blocks`, one array for each block. `work` adds those of a range, and gets
    /// the next item of `parts`.
    pub(super) fn sum<T: Real, P: Send>(
        &self,
        blocks: Range<usize>,
        length: usize,
        proceed: &Proceed<'_>,
        parts: impl Iterator<Item = P> + Send,
        work: impl Fn(Range<usize>, P, &mut Pairwise<T>, &Proceed<'_>) -> Result<(), Stopped> + Sync,
    ) -> Result<Lines<T>, Stopped> {
        let first = blocks.start / self.length;
        let mut totals = (first..blocks.end.div_ceil(self.length)).map(|_| None).collect::<Vec<_>>();
        self.each(blocks, proceed, parts.zip(&mut totals), |blocks, (part, total), proceed| {
            let mut sums = Pairwise::new(length);
            work(blocks, part, &mut sums, proceed)?;
            *total = sums.total();
            Ok(())
        })?;
        // All ranges have the same length, so that their totals are added as arrays of one level higher up.
        let mut sums = Pairwise::new(length);
        for (i, total) in totals.into_iter().enumerate() {
            sums.add(first + i, total.expect("a range has blocks"));
        }
        Ok(sums.total().expect("there is a range"))
    }
}

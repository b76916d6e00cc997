//! Passes over the rows of a matrix by several threads.
//!
//! A matrix with many rows and few columns has too few strips for all threads. Threads then share the rows of one panel
//! or strip. Each takes ranges of blocks of rows. The sum over a range is a node of the binary tree of sums that a
//! single thread would build too, so that the number of threads changes no rounding.

use super::Stopped;
use crate::element::Real;
use crate::matmul::{Lines, Pairwise};
use crate::parallel::{Proceed, for_each};
use std::iter::from_fn;
use std::mem::take;
use std::ops::Range;

/// Divides blocks of [`PANEL`](super::PANEL) rows into ranges.
///
/// The length of a range is a power of two, and the index of its first block is a multiple of the length. So its sum
/// is one of the partial sums of [`Pairwise`].
pub(super) struct Ranges {
    /// Number of blocks of a range.
    length: usize,
    /// Number of threads that share the ranges.
    threads: usize,
}

impl Ranges {
    /// Ranges of `blocks` blocks for `threads` threads.
    pub(super) fn new(blocks: usize, threads: usize) -> Self {
        const RANGES: usize = 4; // number for each thread, so that all threads finish at about the same time
        let count = if threads == 1 { 1 } else { RANGES * threads };
        Self { length: blocks.div_ceil(count).next_power_of_two(), threads }
    }

    /// Number of blocks of a range.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Split `all`, which has `count` elements for each block of `blocks`, into one part for each range.
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

    /// Sum arrays of `length` numbers over `blocks`, one array for each block. `work` adds the arrays of one range, and
    /// gets the next item of `parts`.
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
        // Ranges have the same length 2^k, so that their totals are the arrays of level k of the tree.
        let mut sums = Pairwise::new(length);
        for (i, total) in totals.into_iter().enumerate() {
            sums.add(first + i, total.expect("a range has blocks"));
        }
        Ok(sums.total().expect("there is a range"))
    }
}

//! Passes over the rows of a matrix, which threads take in ranges.

use super::Stopped;
use crate::element::Real;
use crate::matmul::{Lines, Pairwise};
use crate::parallel::{Proceed, for_each};
use std::iter::from_fn;
use std::mem::take;
use std::ops::Range;

/// Divides blocks of rows into ranges. A range has a power of two of them and begins at a multiple of it, so that its sum is
/// one of those that [`Pairwise`] makes anyway.
pub(super) struct Ranges {
    /// Blocks of a range.
    length: usize,
    threads: usize,
}

impl Ranges {
    /// Ranges of `blocks` blocks for so many threads.
    pub(super) fn new(blocks: usize, threads: usize) -> Self {
        const RANGES: usize = 4; // for each thread, so that they end at about the same time
        let count = if threads == 1 { 1 } else { RANGES * threads };
        Self { length: blocks.div_ceil(count).next_power_of_two(), threads }
    }

    /// Blocks of a range.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The part of `all` that each range has, where each of `blocks` has `count` elements.
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

    /// Call `work` for each range of `blocks`, with the next of `parts`.
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

    /// The sum of arrays of `length` numbers over `blocks`. `work` adds those of a range, and is given the next of `parts`.
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
        let mut sums = Pairwise::new(length);
        for (i, total) in totals.into_iter().enumerate() {
            sums.add(first + i, total.expect("a range has blocks"));
        }
        Ok(sums.total().expect("there is a range"))
    }
}

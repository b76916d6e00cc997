//! Pairwise summation of arrays, with the memory of a few of them.

use super::tile::Lines;
use crate::element::Real;
use std::collections::TryReserveError;

/// Adds arrays in pairs, these sums in pairs, and so on: a binary tree, of which only the finished nodes on the way to
/// the root are in memory, as in a binary counter.
///
/// Arrays 2 i and 2 i + 1 give array i of the next level; the last one of an odd number is passed up unchanged. Arrays
/// are added in the order of their numbers, and missing ones before the first count as zeros. So another thread can sum
/// a range of 2^k arrays whose first number is a multiple of 2^k, and the sum is added as an array of level k.
pub(crate) struct Pairwise<T> {
    /// The sums so far with their levels, which decrease: at most one sum for each bit of the number of arrays.
    partial: Vec<(u32, Lines<T>)>,
    /// Arrays to be used again, so that a sum allocates as few as it needs at a time.
    spare: Vec<Lines<T>>,
    /// Number of elements of an array.
    length: usize,
}

impl<T: Real> Pairwise<T> {
    pub(crate) fn new(length: usize) -> Self {
        Self { partial: Vec::new(), spare: Vec::new(), length }
    }

    /// An array to write to, with arbitrary content.
    pub(crate) fn array(&mut self) -> Result<Lines<T>, TryReserveError> {
        self.spare.pop().map_or_else(|| Lines::zeros(self.length), Ok)
    }

    /// Take back an array that is no longer used.
    pub(crate) fn recycle(&mut self, array: Lines<T>) {
        self.spare.push(array);
    }

    /// Add array number `index`, which is greater than those before.
    #[inline(always)]
    pub(crate) fn add(&mut self, index: usize, mut array: Lines<T>) {
        // As a carry moves through the ones of a binary counter.
        let mut level = 0;
        while index >> level & 1 == 1 {
            if let Some((_, left)) = self.partial.pop_if(|(of_left, _)| *of_left == level) {
                self.merge(left, &mut array);
            }
            level += 1;
        }
        self.partial.push((level, array));
    }

    /// The sum of all arrays, or `None` if there were none. The next array starts a new sum.
    #[inline(always)]
    pub(crate) fn total(&mut self) -> Option<Lines<T>> {
        let (_, mut total) = self.partial.pop()?;
        while let Some((_, left)) = self.partial.pop() {
            self.merge(left, &mut total);
        }
        Some(total)
    }

    #[inline(always)]
    fn merge(&mut self, left: Lines<T>, sum: &mut [T]) {
        for (sum, left) in sum.iter_mut().zip(&*left) {
            *sum += *left;
        }
        self.spare.push(left);
    }
}

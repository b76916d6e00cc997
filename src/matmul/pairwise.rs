//! Sums of arrays, added in pairs.

use super::tile::Lines;
use crate::element::Real;
use std::collections::TryReserveError;

/// Adds arrays of chains in pairs, these sums in pairs, and so on.
///
/// Array 2i is added to array 2i + 1, and the sum is array i of the next level; the last one of an odd number goes up as it
/// is. Arrays are added in the order of their numbers; those before the first one count as zeros. So a range of 2^k arrays
/// that begins at a multiple of 2^k can be summed by another thread, and its sum be added as an array of level k.
pub(crate) struct Pairwise<T> {
    /// The sums so far with their levels. The levels fall.
    partial: Vec<(u32, Lines<T>)>,
    /// Arrays that are no longer in use.
    spare: Vec<Lines<T>>,
    /// Numbers of an array.
    length: usize,
}

impl<T: Real> Pairwise<T> {
    pub(crate) fn new(length: usize) -> Self {
        Self { partial: Vec::new(), spare: Vec::new(), length }
    }

    /// An array to write to. What it has is left from another use.
    pub(crate) fn array(&mut self) -> Result<Lines<T>, TryReserveError> {
        self.spare.pop().map_or_else(|| Lines::zeros(self.length), Ok)
    }

    /// Take an array back.
    pub(crate) fn recycle(&mut self, array: Lines<T>) {
        self.spare.push(array);
    }

    /// Add array number `index`, which is greater than those before.
    #[inline(always)]
    pub(crate) fn add(&mut self, index: usize, mut array: Lines<T>) {
        let mut level = 0;
        while index >> level & 1 == 1 {
            if let Some((_, left)) = self.partial.pop_if(|(of_left, _)| *of_left == level) {
                self.merge(left, &mut array);
            }
            level += 1;
        }
        self.partial.push((level, array));
    }

    /// The sum of all arrays, or nothing if there were none. Those that come next begin a new sum.
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

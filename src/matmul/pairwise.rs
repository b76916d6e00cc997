//! Pairwise summation of arrays, in the memory of a few arrays.

use super::tile::Lines;
use crate::element::Real;
use std::collections::TryReserveError;

/// Adds arrays in pairs, the sums of pairs in pairs, and so on.
///
/// The sums form a binary tree. Arrays 2 i and 2 i + 1 give array i of the next level; the last one of an odd number
/// goes to the next level unchanged. The memory has only the sums that wait for their partner, at most one for each
/// level, as in a binary counter.
///
/// Arrays are added in the order of their numbers. If the first number is not 0, the arrays before it count as zeros.
/// Therefore another thread can sum a range of 2^k arrays whose first number is a multiple of 2^k: its sum is added
/// here as an array of level k.
pub(crate) struct Pairwise<T> {
    /// The sums that wait for their partner, with their levels, in decreasing order.
    partial: Vec<(u32, Lines<T>)>,
    /// Arrays to use again, so that the number of allocated arrays is the largest number in use at the same time.
    spare: Vec<Lines<T>>,
    /// Number of elements of an array.
    length: usize,
}

impl<T: Real> Pairwise<T> {
    pub(crate) fn new(length: usize) -> Self {
        Self { partial: Vec::new(), spare: Vec::new(), length }
    }

    /// An array to write to. Its content is arbitrary.
    pub(crate) fn array(&mut self) -> Result<Lines<T>, TryReserveError> {
        self.spare.pop().map_or_else(|| Lines::zeros(self.length), Ok)
    }

    /// Take back an array that the caller no longer uses.
    pub(crate) fn recycle(&mut self, array: Lines<T>) {
        self.spare.push(array);
    }

    /// Add array number `index`, which is greater than those before.
    #[inline(always)]
    pub(crate) fn add(&mut self, index: usize, mut array: Lines<T>) {
        // For each 1 at the end of the binary number `index`, as a carry moves through them in a counter, a sum of that
        // level waits, unless it would be before the first array.
        let mut level = 0;
        while index >> level & 1 == 1 {
            if let Some((_, left)) = self.partial.pop_if(|(of_left, _)| *of_left == level) {
                self.merge(left, &mut array);
            }
            level += 1;
        }
        self.partial.push((level, array));
    }

    /// The sum of all arrays, or `None` if no array was added. The next array starts a new sum.
    #[inline(always)]
    pub(crate) fn total(&mut self) -> Option<Lines<T>> {
        let (_, mut total) = self.partial.pop()?;
        while let Some((_, left)) = self.partial.pop() {
            self.merge(left, &mut total);
        }
        Some(total)
    }

    /// Add `left` to `sum`. IEEE addition is commutative, so that the side does not matter.
    #[inline(always)]
    fn merge(&mut self, left: Lines<T>, sum: &mut [T]) {
        for (sum, left) in sum.iter_mut().zip(&*left) {
            *sum += *left;
        }
        self.spare.push(left);
    }
}

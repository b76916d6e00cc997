//! A region, an N-d slice of a tensor, as runs of element indices.
//!
//! The index of an element is counted in C order through the whole tensor. Along each axis, a region takes the indices
//! `start + i * step` for `0 <= i < count`. Two neighbouring axes are merged if a step along the outer one continues
//! the inner one. The elements of the region, in C order, are then runs `first + i * step` along the innermost merged
//! axis. A whole tensor, or a range of its rows, is a single run, which is the fastest to evaluate.
//!
//! ```
//! use seedbed::region::{Axis, Region, Run};
//!
//! let rows = Axis { length: 10, start: 2, step: 1, count: 3 };
//! let columns = Axis { length: 7, start: 0, step: 1, count: 7 };
//! let region = Region::new(&[rows, columns])?;
//! assert_eq!(region.runs(0..21).collect::<Vec<_>>(), [Run { first: 14, step: 1, count: 21 }]);
//! # Ok::<(), seedbed::region::RegionError>(())
//! ```

use std::fmt;
use std::ops::Range;

/// The indices that a region takes along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Length of the tensor along the axis, in elements.
    pub length: u64,
    /// The first index.
    pub start: u64,
    /// Difference of consecutive indices; may be negative.
    pub step: i64,
    /// Number of indices.
    pub count: u64,
}

/// Evenly spaced elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Index of the first element in the tensor.
    pub first: u64,
    /// Difference of the indices of consecutive elements, modulo 2^64.
    pub step: u64,
    /// Number of elements.
    pub count: u64,
}

/// The axes do not describe a region of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionError {
    /// The tensor or the region has 2^63 elements or more.
    TooLarge,
    /// Indices are outside the axis.
    OutOfBounds(Axis),
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("a tensor must have fewer than 2**63 elements"),
            Self::OutOfBounds(Axis { length, start, step, count }) => write!(
                f,
                "indices must lie within the axis. Received: {count} indices from {start} by {step} of an axis of {length}"
            ),
        }
    }
}

impl std::error::Error for RegionError {}

/// A region of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Index of the first element in the tensor.
    first: u64,
    /// Count and step of the merged axes, outermost first. Axes of one index are left out.
    axes: Vec<(u64, u64)>,
    /// Number of elements.
    len: u64,
}

impl Region {
    /// The region with these axes. Their lengths are the shape of the tensor.
    ///
    /// # Errors
    ///
    /// If the tensor has 2^63 elements or more, or if an index is outside its axis.
    pub fn new(axes: &[Axis]) -> Result<Self, RegionError> {
        let len = size(axes.iter().map(|axis| axis.count))?;
        size(axes.iter().map(|axis| axis.length))?;
        let mut region = Self { first: 0, axes: Vec::with_capacity(axes.len()), len };
        if len == 0 {
            return Ok(region);
        }
        // After this, no axis is empty, and no product of lengths or indices exceeds the size of the tensor.
        axes.iter().try_for_each(check)?;
        let mut stride = 1u64;
        for axis in axes.iter().rev() {
            region.first += axis.start * stride;
            region.push_outer(axis.count, stride.wrapping_mul(axis.step.cast_unsigned()));
            stride *= axis.length;
        }
        region.axes.reverse();
        Ok(region)
    }

    /// The region of a whole tensor.
    ///
    /// # Errors
    ///
    /// If the tensor has 2^63 elements or more.
    pub fn whole(shape: &[u64]) -> Result<Self, RegionError> {
        let axis = |&length| Axis { length, start: 0, step: 1, count: length };
        Self::new(&shape.iter().map(axis).collect::<Vec<_>>())
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the region has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the region separates no complex number: for each i it has elements 2 i and 2 i + 1 next to each other,
    /// in this order, or neither.
    pub fn keeps_pairs(&self) -> bool {
        let Some(((inner, 1), outer)) = self.axes.split_last() else { return self.is_empty() };
        let steps = outer.iter().map(|(_, step)| step);
        steps.chain([inner, &self.first]).all(|number| number.is_multiple_of(2))
    }

    /// Whether the runs have consecutive elements, at least `min` each.
    pub(crate) fn has_runs_of(&self, min: u64) -> bool {
        self.axes.last().is_some_and(|&(count, step)| step == 1 && count >= min)
    }

    /// Add an axis outside the present ones, or merge it into the last one if a step along it continues that one. The
    /// axes are in reverse order until the region is complete.
    fn push_outer(&mut self, count: u64, step: u64) {
        match self.axes.last_mut() {
            _ if count == 1 => (),
            Some((inner, by)) if by.wrapping_mul(*inner) == step => *inner *= count,
            _ => self.axes.push((count, step)),
        }
    }

    /// The runs of a range of the region's elements, in order. The range counts elements within the region, in C order.
    pub fn runs(&self, range: Range<u64>) -> impl Iterator<Item = Run> {
        let (inner, outer) = match self.axes.split_last() {
            Some((inner, outer)) => (*inner, outer),
            None => ((1, 1), &[][..]),
        };
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let skip = at % inner.0;
            let count = (inner.0 - skip).min(range.end - at);
            let first = self.row(outer, at / inner.0).wrapping_add(skip.wrapping_mul(inner.1));
            at += count;
            Some(Run { first, step: inner.1, count })
        })
    }

    /// Index of the first element of row `index`. A row is a run along the innermost axis; rows are counted in C
    /// order.
    fn row(&self, outer: &[(u64, u64)], mut index: u64) -> u64 {
        outer.iter().rev().fold(self.first, |element, (count, step)| {
            let here = index % count;
            index /= count;
            element.wrapping_add(here.wrapping_mul(*step))
        })
    }
}

/// The product of lengths, or an error if it is 2^63 or more. If one length is 0, so is the product, however large the
/// others are.
fn size(mut lengths: impl Iterator<Item = u64> + Clone) -> Result<u64, RegionError> {
    if lengths.clone().any(|length| length == 0) {
        return Ok(0);
    }
    let size = lengths.try_fold(1u64, u64::checked_mul).ok_or(RegionError::TooLarge)?;
    if size < 1 << 63 { Ok(size) } else { Err(RegionError::TooLarge) }
}

/// Check that all indices of an axis are within its length. The count must not be 0.
fn check(axis: &Axis) -> Result<(), RegionError> {
    let last = i128::from(axis.start) + i128::from(axis.step) * i128::from(axis.count - 1);
    let within = axis.start < axis.length && (0..i128::from(axis.length)).contains(&last);
    if within { Ok(()) } else { Err(RegionError::OutOfBounds(*axis)) }
}

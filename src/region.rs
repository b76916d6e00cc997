//! A region, an N-d slice of a tensor, as runs of addresses.
//!
//! Elements are numbered in C order through the whole tensor. A region takes `count` indices `start`, `start + step`, ...
//! along each axis; its own elements, in C order, are then runs `first + i * step` along what is left of the axes once
//! those that continue each other are merged. A whole tensor, or a slab of rows, is a single run.

use std::fmt;
use std::ops::Range;

/// The indices that a region takes along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// How many elements the tensor has along the axis.
    pub length: u64,
    /// The first index.
    pub start: u64,
    /// From one index to the next; may be negative.
    pub step: i64,
    /// How many.
    pub count: u64,
}

/// Evenly spaced elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first element.
    pub first: u64,
    /// From one element to the next, modulo 2^64.
    pub step: u64,
    /// How many.
    pub count: u64,
}

/// Why a region is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionError {
    /// A tensor, or the region, of 2^63 elements or more.
    TooLarge,
    /// An axis whose indices leave the tensor.
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
    first: u64,
    /// (count, step) of the merged axes, outermost first; none where the region has one element.
    axes: Vec<(u64, u64)>,
    len: u64,
}

impl Region {
    /// The region that takes `axes` of the tensor with those lengths.
    ///
    /// # Errors
    ///
    /// Where the tensor has 2^63 elements or more, or an index lies outside its axis.
    pub fn new(axes: &[Axis]) -> Result<Self, RegionError> {
        let len = size(axes.iter().map(|axis| axis.count))?;
        size(axes.iter().map(|axis| axis.length))?;
        let mut region = Self { first: 0, axes: Vec::with_capacity(axes.len()), len };
        if len == 0 {
            return Ok(region);
        }
        axes.iter().try_for_each(check)?; // no axis is empty from here on, and no product beyond the tensor's size
        let mut stride = 1u64;
        for axis in axes.iter().rev() {
            region.first += axis.start * stride;
            region.push_outer(axis.count, stride.wrapping_mul(axis.step.cast_unsigned()));
            stride *= axis.length;
        }
        region.axes.reverse();
        Ok(region)
    }

    /// All of a tensor.
    ///
    /// # Errors
    ///
    /// Where it has 2^63 elements or more.
    pub fn whole(shape: &[u64]) -> Result<Self, RegionError> {
        let axis = |&length| Axis { length, start: 0, step: 1, count: length };
        Self::new(&shape.iter().map(axis).collect::<Vec<_>>())
    }

    /// Elements in the region.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it takes elements 2 i and 2 i + 1 together, in that order, or neither.
    pub fn keeps_pairs(&self) -> bool {
        let Some(((inner, 1), outer)) = self.axes.split_last() else { return self.is_empty() };
        let steps = outer.iter().map(|(_, step)| step);
        steps.chain([inner, &self.first]).all(|number| number.is_multiple_of(2))
    }

    /// Whether its runs are of consecutive elements, at least so many of them.
    pub(crate) fn has_runs_of(&self, least: u64) -> bool {
        self.axes.last().is_some_and(|&(count, step)| step == 1 && count >= least)
    }

    /// Add an axis around those there are (innermost first while building), merging it where it continues the last.
    fn push_outer(&mut self, count: u64, step: u64) {
        match self.axes.last_mut() {
            _ if count == 1 => (),
            Some((inner, by)) if by.wrapping_mul(*inner) == step => *inner *= count,
            _ => self.axes.push((count, step)),
        }
    }

    /// The runs of a range of the region's elements, in order.
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

    /// The first element of row `index`, rows being counted through the outer axes.
    fn row(&self, outer: &[(u64, u64)], mut index: u64) -> u64 {
        outer.iter().rev().fold(self.first, |element, (count, step)| {
            let here = index % count;
            index /= count;
            element.wrapping_add(here.wrapping_mul(*step))
        })
    }
}

fn size(mut lengths: impl Iterator<Item = u64> + Clone) -> Result<u64, RegionError> {
    if lengths.clone().any(|length| length == 0) {
        return Ok(0);
    }
    let size = lengths.try_fold(1u64, u64::checked_mul).ok_or(RegionError::TooLarge)?;
    if size < 1 << 63 { Ok(size) } else { Err(RegionError::TooLarge) }
}

fn check(axis: &Axis) -> Result<(), RegionError> {
    let last = i128::from(axis.start) + i128::from(axis.step) * i128::from(axis.count - 1);
    let within = axis.start < axis.length && (0..i128::from(axis.length)).contains(&last);
    if within { Ok(()) } else { Err(RegionError::OutOfBounds(*axis)) }
}

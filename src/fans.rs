//! Fan-in and fan-out: how many inputs a unit of a layer sees, and how many outputs an input feeds.
//!
//! As Keras and TensorFlow count them (layout `(..., in, out)`): rank 0 is (1, 1), rank 1 is (n, n), and from rank 2 on the
//! receptive field, the product of all but the last two lengths, multiplies both. With explicit axes a fan is the product
//! of the lengths along its axes, and nothing else.
//!
//! ```
//! use seedbed::fans::{fans, fans_along};
//!
//! assert_eq!(fans(&[3, 3, 64, 128]), Ok((576, 1152)));
//! assert_eq!(fans_along(&[128, 64, 3, 3], &[1, 2, 3], &[0, 2, 3]), Ok((576, 1152)));
//! ```

use std::fmt;

/// A fan of 2^64 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fan_in and fan_out must be less than 2**64")
    }
}

impl std::error::Error for TooLarge {}

/// (fan-in, fan-out) of a kernel of that shape, in the layout `(..., in, out)`.
///
/// # Errors
///
/// [`TooLarge`] where a fan is not a 64-bit number.
pub fn fans(shape: &[u64]) -> Result<(u64, u64), TooLarge> {
    match *shape {
        [] => Ok((1, 1)),
        [n] => Ok((n, n)),
        [ref field @ .., inputs, outputs] => {
            let fan = |n| product(field.iter().copied().chain([n]));
            Ok((fan(inputs)?, fan(outputs)?))
        }
    }
}

/// (fan-in, fan-out) as products of the lengths along given axes.
///
/// # Errors
///
/// [`TooLarge`] where a fan is not a 64-bit number.
///
/// # Panics
///
/// Where an axis is not one of the shape's.
pub fn fans_along(shape: &[u64], input_axes: &[usize], output_axes: &[usize]) -> Result<(u64, u64), TooLarge> {
    let fan = |axes: &[usize]| product(axes.iter().map(|&axis| shape[axis]));
    Ok((fan(input_axes)?, fan(output_axes)?))
}

fn product(mut lengths: impl Iterator<Item = u64> + Clone) -> Result<u64, TooLarge> {
    if lengths.clone().any(|length| length == 0) {
        return Ok(0);
    }
    lengths.try_fold(1u64, u64::checked_mul).ok_or(TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_ranks_have_no_receptive_field() {
        assert_eq!(fans(&[]), Ok((1, 1)));
        assert_eq!(fans(&[5]), Ok((5, 5)));
        assert_eq!(fans(&[2, 3]), Ok((2, 3)));
    }

    #[test]
    fn an_empty_axis_makes_an_empty_fan_whatever_the_others() {
        assert_eq!(fans(&[1 << 20, 0, 3]), Ok((0, 3 << 20)));
        assert_eq!(fans(&[0, 1 << 40, 1 << 40]), Ok((0, 0)));
    }

    #[test]
    fn a_fan_that_overflows_is_an_error() {
        assert_eq!(fans(&[1 << 32, 1 << 32, 1]), Err(TooLarge));
        assert_eq!(fans(&[1 << 32, (1 << 32) - 1, 1]), Ok(((1 << 32) * ((1 << 32) - 1), 1 << 32)));
        assert_eq!(fans_along(&[1 << 40, 1 << 40], &[0, 1], &[0]), Err(TooLarge));
    }

    #[test]
    fn axes_may_overlap() {
        assert_eq!(fans_along(&[7, 5, 2], &[1, 2], &[0, 2]), Ok((10, 14)));
        assert_eq!(fans_along(&[7, 5], &[], &[0]), Ok((1, 7)));
    }
}

//! Fan-in and fan-out: how many inputs a unit of a layer sees, and how many outputs an input feeds.
//!
//! As Keras and TensorFlow count them (layout `(..., in, out)`): rank 0 is (1, 1), rank 1 is (n, n), and from rank 2 on the
//! receptive field, the product of all but the last two lengths, multiplies both. With explicit axes a fan is the product
//! of the lengths along its axes, and nothing else; unless batch axes are given too: then all axes that have no other part
//! are the receptive field. Of a kernel in groups, an input feeds the outputs of its own group only.
//!
//! ```
//! use seedbed::fans::{Axes, fans};
//!
//! assert_eq!(fans(&[3, 3, 64, 128], 1), Ok((576, 1152)));
//! assert_eq!(Axes { inputs: &[1, 2, 3], outputs: &[0, 2, 3], batch: None }.fans(&[128, 64, 3, 3], 1), Ok((576, 1152)));
//! assert_eq!(Axes { inputs: &[1], outputs: &[0], batch: Some(&[]) }.fans(&[128, 64, 3, 3], 1), Ok((576, 1152)));
//! ```

use std::fmt;

/// Why a kernel has no fans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFans {
    /// One would be 2^64 or more.
    TooLarge,
    /// So many outputs are not in so many groups of one size.
    Ungrouped(u64, u64),
}

impl fmt::Display for NoFans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoFans::TooLarge => f.write_str("fan_in and fan_out must be less than 2**64"),
            NoFans::Ungrouped(outputs, groups) => {
                write!(f, "groups must divide the outputs. Received: groups={groups}, outputs={outputs}")
            }
        }
    }
}

impl std::error::Error for NoFans {}

/// The part that each axis of a kernel has in its fans.
#[derive(Clone, Copy, Debug)]
pub struct Axes<'a> {
    /// Those of the inputs, whose lengths multiply.
    pub inputs: &'a [usize],
    /// Those of the outputs.
    pub outputs: &'a [usize],
    /// Those along which there is one kernel beside the other. Where they are given, and be there none, all axes that are
    /// named nowhere are the receptive field, which multiplies both fans.
    pub batch: Option<&'a [usize]>,
}

impl Axes<'_> {
    /// (fan-in, fan-out) of a kernel of that shape, whose outputs are in groups.
    ///
    /// # Errors
    ///
    /// [`NoFans`] where a fan is not a 64-bit number, or the outputs are not in groups of one size.
    ///
    /// # Panics
    ///
    /// Where an axis is not one of the shape's, or there are 0 groups.
    pub fn fans(&self, shape: &[u64], groups: u64) -> Result<(u64, u64), NoFans> {
        let along = |axes: &[usize]| product(axes.iter().map(|&axis| shape[axis]));
        let (inputs, outputs) = (along(self.inputs)?, grouped(along(self.outputs)?, groups)?);
        let Some(batch) = self.batch else { return Ok((inputs, outputs)) };
        let named = |axis: &usize| [self.inputs, self.outputs, batch].iter().any(|axes| axes.contains(axis));
        let field = (0..shape.len()).filter(|axis| !named(axis)).map(|axis| shape[axis]);
        let times_field = |length| product(field.clone().chain([length]));
        Ok((times_field(inputs)?, times_field(outputs)?))
    }
}

/// (fan-in, fan-out) of a kernel of that shape in the layout `(..., in, out)`, whose outputs are in groups.
///
/// # Errors
///
/// [`NoFans`] where a fan is not a 64-bit number, or the outputs are not in groups of one size.
///
/// # Panics
///
/// Where there are 0 groups.
pub fn fans(shape: &[u64], groups: u64) -> Result<(u64, u64), NoFans> {
    match *shape {
        [] => Ok((1, grouped(1, groups)?)),
        [n] => Ok((n, grouped(n, groups)?)),
        [.., _, _] => {
            let rank = shape.len();
            Axes { inputs: &[rank - 2], outputs: &[rank - 1], batch: Some(&[]) }.fans(shape, groups)
        }
    }
}

fn grouped(outputs: u64, groups: u64) -> Result<u64, NoFans> {
    if outputs.is_multiple_of(groups) { Ok(outputs / groups) } else { Err(NoFans::Ungrouped(outputs, groups)) }
}

fn product(mut lengths: impl Iterator<Item = u64> + Clone) -> Result<u64, NoFans> {
    if lengths.clone().any(|length| length == 0) {
        return Ok(0);
    }
    lengths.try_fold(1u64, u64::checked_mul).ok_or(NoFans::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn along(inputs: &[usize], outputs: &[usize], shape: &[u64]) -> Result<(u64, u64), NoFans> {
        Axes { inputs, outputs, batch: None }.fans(shape, 1)
    }

    #[test]
    fn low_ranks_have_no_receptive_field() {
        assert_eq!(fans(&[], 1), Ok((1, 1)));
        assert_eq!(fans(&[5], 1), Ok((5, 5)));
        assert_eq!(fans(&[2, 3], 1), Ok((2, 3)));
    }

    #[test]
    fn an_empty_axis_makes_an_empty_fan_whatever_the_others() {
        assert_eq!(fans(&[1 << 20, 0, 3], 1), Ok((0, 3 << 20)));
        assert_eq!(fans(&[0, 1 << 40, 1 << 40], 1), Ok((0, 0)));
    }

    #[test]
    fn a_fan_that_overflows_is_an_error() {
        assert_eq!(fans(&[1 << 32, 1 << 32, 1], 1), Err(NoFans::TooLarge));
        assert_eq!(fans(&[1 << 32, (1 << 32) - 1, 1], 1), Ok(((1 << 32) * ((1 << 32) - 1), 1 << 32)));
        assert_eq!(along(&[0, 1], &[0], &[1 << 40, 1 << 40]), Err(NoFans::TooLarge));
    }

    #[test]
    fn axes_may_overlap() {
        assert_eq!(along(&[1, 2], &[0, 2], &[7, 5, 2]), Ok((10, 14)));
        assert_eq!(along(&[], &[0], &[7, 5]), Ok((1, 7)));
    }

    #[test]
    fn beside_batch_axes_the_rest_is_the_receptive_field() {
        let axes = Axes { inputs: &[2], outputs: &[0], batch: Some(&[3]) };
        assert_eq!(axes.fans(&[7, 5, 2, 1 << 40], 1), Ok((10, 35)));
        let depthwise = Axes { inputs: &[], outputs: &[3], batch: Some(&[2]) };
        assert_eq!(depthwise.fans(&[3, 3, 64, 2], 1), Ok((9, 18)));
        assert_eq!(depthwise.fans(&[3, 0, 64, 2], 1), Ok((0, 0)));
    }

    #[test]
    fn groups_share_the_outputs() {
        assert_eq!(fans(&[3, 16, 128], 4), Ok((48, 96)));
        assert_eq!(fans(&[3, 16, 0], 4), Ok((48, 0)));
        assert_eq!(fans(&[4, 16, 6], 4), Err(NoFans::Ungrouped(6, 4)));
        assert_eq!(fans(&[], 2), Err(NoFans::Ungrouped(1, 2)));
    }
}

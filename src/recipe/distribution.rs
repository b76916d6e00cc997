//! The distributions that a tensor can have, by name and parameters.

use super::RecipeError;

/// The distribution of the values of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Uniform on the half-open interval [`minval`, `maxval`). If the two are equal, every value is `minval`.
    Uniform {
        /// The least value.
        minval: f64,
        /// The bound that no value reaches.
        maxval: f64,
    },
    /// A normal distribution without bounds.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        stddev: f64,
    },
    /// A normal distribution conditioned on lying within two standard deviations of its mean, both bounds included.
    TruncatedNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation before the truncation. Values have 0.87962566103423978 times this one.
        stddev: f64,
    },
    /// A normal distribution conditioned on lying between two bounds. Bounds of -2 and 2 give the bits of
    /// [`Self::TruncatedNormal`], and infinite bounds those of [`Self::Normal`].
    NormalBetween {
        /// The mean before the truncation.
        mean: f64,
        /// The standard deviation before the truncation.
        stddev: f64,
        /// The lower bound in standard deviations from the mean, or minus infinity.
        lower: f64,
        /// The upper bound in standard deviations from the mean, or infinity.
        upper: f64,
    },
    /// A value whose logarithm is uniform from log `minval` to log `maxval`, both included.
    LogUniform {
        /// The least value, a positive normal number.
        minval: f64,
        /// The greatest value.
        maxval: f64,
    },
    /// The logarithm of a value that is uniform from `minval` to `maxval`.
    LogOfUniform {
        /// The least argument of the logarithm. It may be 0, since no word gives the end of the interval itself.
        minval: f64,
        /// The greatest argument of the logarithm.
        maxval: f64,
    },
    /// log(exp(t) - 1), the inverse of softplus, of a t that is log-uniform from `minval` to `maxval`. A t less than
    /// `floor` is replaced by `floor`.
    InverseSoftplus {
        /// The least t before `floor` is applied.
        minval: f64,
        /// The greatest t, at most 700.
        maxval: f64,
        /// The number that replaces every lesser t. 0 replaces no t.
        floor: f64,
    },
    /// Complex, uniform on the closed disk around 0: E |z|^2 = radius^2 / 2. Elements alternate between real and
    /// imaginary parts.
    Disk {
        /// The largest |z|.
        radius: f64,
    },
    /// Complex normal, conditioned on lying within two standard deviations of 0: E |z|^2 = (0.96196182800821 stddev)^2.
    /// Elements alternate as in [`Self::Disk`].
    ComplexTruncatedNormal {
        /// sqrt(E |z|^2) before the truncation.
        stddev: f64,
    },
}

impl Distribution {
    /// The distribution with a name such as `truncated_normal`. Its parameters are in the order of the fields.
    ///
    /// # Errors
    ///
    /// If no distribution has this name and this number of parameters.
    pub fn named(name: &str, parameters: &[f64]) -> Result<Self, RecipeError> {
        Ok(match (name, parameters) {
            ("uniform", &[minval, maxval]) => Self::Uniform { minval, maxval },
            ("normal", &[mean, stddev]) => Self::Normal { mean, stddev },
            ("truncated_normal", &[mean, stddev]) => Self::TruncatedNormal { mean, stddev },
            ("normal_between", &[mean, stddev, lower, upper]) => Self::NormalBetween { mean, stddev, lower, upper },
            ("complex_truncated_normal", &[stddev]) => Self::ComplexTruncatedNormal { stddev },
            ("log_uniform", &[minval, maxval]) => Self::LogUniform { minval, maxval },
            ("log_of_uniform", &[minval, maxval]) => Self::LogOfUniform { minval, maxval },
            ("inverse_softplus", &[minval, maxval, floor]) => Self::InverseSoftplus { minval, maxval, floor },
            _ => {
                return Err(RecipeError(format!(
                    "distribution must be uniform, normal, truncated_normal, log_uniform or log_of_uniform with two \
                     parameters, inverse_softplus with three, or normal_between with four. Received: {name} with {}",
                    parameters.len()
                )));
            }
        })
    }

    /// The same distribution in its simplest form: bounds of ±2 and infinite bounds become the variants for these, and
    /// -0.0 becomes 0.0, so that equal distributions have equal bits.
    pub(super) fn simplest(self) -> Self {
        match self {
            Self::Uniform { minval, maxval } => Self::Uniform { minval: minval + 0.0, maxval: maxval + 0.0 },
            Self::Normal { mean, stddev } => Self::Normal { mean: mean + 0.0, stddev },
            Self::TruncatedNormal { mean, stddev } => Self::TruncatedNormal { mean: mean + 0.0, stddev },
            Self::NormalBetween { mean, stddev, lower: -2.0, upper: 2.0 } => {
                Self::TruncatedNormal { mean, stddev }.simplest()
            }
            Self::NormalBetween { mean, stddev, lower: f64::NEG_INFINITY, upper: f64::INFINITY } => {
                Self::Normal { mean, stddev }.simplest()
            }
            Self::NormalBetween { mean, stddev, lower, upper } => {
                Self::NormalBetween { mean: mean + 0.0, stddev, lower, upper }
            }
            Self::LogOfUniform { minval, maxval } => Self::LogOfUniform { minval: minval + 0.0, maxval },
            Self::InverseSoftplus { minval, maxval, floor } => {
                Self::InverseSoftplus { minval, maxval, floor: floor + 0.0 }
            }
            Self::LogUniform { .. } | Self::Disk { .. } | Self::ComplexTruncatedNormal { .. } => self,
        }
    }
}

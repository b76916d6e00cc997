//! The complex counterpart of a real distribution: the same variance, centered at 0, with no preferred direction.
//!
//! Callers name the real distribution and a complex dtype. Only this module decides which complex distribution that is.

use super::{Distribution, RecipeError};

/// The standard deviation of a standard normal truncated at +-2: sqrt(1 - 4 phi(2) / erf(sqrt(2))), with the density
/// phi (N. L. Johnson, S. Kotz and N. Balakrishnan, *Continuous univariate distributions* 1, 1994, chapter 13).
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;

/// sqrt(E |z|^2) of a complex normal of variance 1 truncated at |z| <= 2: sqrt(1 - 4 exp(-4) / (1 - exp(-4))), since
/// |z|^2 is exponential with mean 1, truncated at 4.
const COMPLEX_TRUNCATED_STDDEV: f64 = 0.961_961_828_008_213_5;

impl Distribution {
    /// The complex distribution whose E |z|^2 is the variance of this real one. Its elements alternate between real and
    /// imaginary parts.
    ///
    /// | real | complex |
    /// |---|---|
    /// | normal | normal parts, independent, each of half the variance |
    /// | uniform on [-b, b) | uniform on the disk of radius sqrt(2/3) b |
    /// | normal truncated at two standard deviations | complex normal truncated at \|z\| <= 2 standard deviations |
    ///
    /// # Errors
    ///
    /// If the mean is not 0, or if the distribution is not in the table.
    pub(super) fn complex(self) -> Result<Self, RecipeError> {
        match self {
            Self::Uniform { minval, maxval } if minval == -maxval => {
                Ok(Self::Disk { radius: maxval * (2.0f64 / 3.0).sqrt() })
            }
            Self::Normal { mean: 0.0, stddev } => Ok(Self::Normal { mean: 0.0, stddev: stddev * 0.5f64.sqrt() }),
            Self::TruncatedNormal { mean: 0.0, stddev } => {
                Ok(Self::ComplexTruncatedNormal { stddev: stddev * TRUNCATED_STDDEV / COMPLEX_TRUNCATED_STDDEV })
            }
            Self::Disk { .. } | Self::ComplexTruncatedNormal { .. } => Ok(self),
            Self::Uniform { minval, maxval } => Err(not_about_0(&format!("minval={minval:?}, maxval={maxval:?}"))),
            Self::Normal { mean, .. } | Self::TruncatedNormal { mean, .. } => {
                Err(not_about_0(&format!("mean={mean:?}")))
            }
            Self::LogUniform { minval, maxval }
            | Self::LogOfUniform { minval, maxval }
            | Self::InverseSoftplus { minval, maxval, .. } => {
                Err(not_about_0(&format!("minval={minval:?}, maxval={maxval:?}")))
            }
            Self::NormalBetween { lower, upper, .. } => Err(not_about_0(&format!("lower={lower:?}, upper={upper:?}"))),
        }
    }
}

fn not_about_0(received: &str) -> RecipeError {
    RecipeError(format!(
        "complex values must have a normal distribution of mean 0 or a uniform about 0. Received: {received}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_agree_with_their_formulas() {
        let density = (-2.0f64).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let inside = 0.954_499_736_103_641_6; // erf(sqrt(2))
        assert!((TRUNCATED_STDDEV - (1.0 - 4.0 * density / inside).sqrt()).abs() < 1e-15);
        let stddev = (1.0 - 4.0 * (-4.0f64).exp() / -(-4.0f64).exp_m1()).sqrt();
        assert!((COMPLEX_TRUNCATED_STDDEV - stddev).abs() < 1e-15);
    }

    #[test]
    fn only_distributions_about_0_have_complex_counterparts() {
        for real in [
            Distribution::Uniform { minval: -1.0, maxval: 1.5 },
            Distribution::Normal { mean: 0.5, stddev: 1.0 },
            Distribution::TruncatedNormal { mean: f64::NAN, stddev: 1.0 },
            Distribution::NormalBetween { mean: 0.0, stddev: 1.0, lower: -1.0, upper: 1.0 },
        ] {
            assert!(real.complex().is_err(), "{real:?}");
        }
        let uniform = Distribution::Uniform { minval: -3.0, maxval: 3.0 };
        assert_eq!(uniform.complex(), Ok(Distribution::Disk { radius: 6.0f64.sqrt() }));
    }
}

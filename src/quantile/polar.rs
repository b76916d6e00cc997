//! Complex values by radius and angle.
//!
//! A complex element has two addresses. The first gives u, the second the angle 2 pi (w + 1/2) / 2^64; the top two bits
//! of w are the quadrant. The density depends on the radius alone, and the radius r is the quantile function of u:
//!
//! ```text
//! uniform on a disk:                                      r = R sqrt(u)                               E r^2 = R^2 / 2
//! normal of variance s^2, truncated at r <= 2 s:          r = s sqrt(-log(1 - (1 - exp(-4)) u))
//!                                                         E r^2 = s^2 (1 - 4 exp(-4) / (1 - exp(-4)))
//! ```

use super::elementary::{minus_log, select, sine};
use super::tables::WITHIN_2;
use crate::backend::Backend;

/// The distribution of the radius.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Radius {
    /// The radius of a uniform point in the unit disk.
    Disk,
    /// The radius of a complex normal of variance 1, truncated at 2.
    TruncatedNormal,
}

/// Bound of the rounding error of the absolute value, for parts of a number of radius 1 that are computed in float64.
pub const RADIUS_ERROR: f64 = 1.0 / (1u64 << 50) as f64;

/// An angle: the upper half of its word, which has the quadrant, and u.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Angle<B: Backend> {
    pub high: B::U32,
    pub u: B::F64,
}

impl Radius {
    /// The greatest radius.
    pub const fn end(self) -> f64 {
        match self {
            Self::Disk => 1.0,
            Self::TruncatedNormal => 2.0,
        }
    }

    /// The real and the imaginary part of the value with the radius scale r(u), or `greatest` if that is less.
    #[inline(always)]
    pub(crate) fn value<B: Backend>(self, b: B, scale: f64, greatest: f64, u: B::F64, angle: Angle<B>) -> [B::F64; 2] {
        let square = match self {
            Self::Disk => u,
            Self::TruncatedNormal => {
                let q = b.mul_f64(u, b.splat_f64(WITHIN_2));
                minus_log(b, b.sub_f64(b.splat_f64(1.0), q), q)
            }
        };
        let r = b.mul_f64(b.sqrt_f64(square), b.splat_f64(scale));
        let r = b.clamp_f64(r, b.splat_f64(0.0), b.splat_f64(greatest));

        let quadrant = b.widen(b.shift_right::<30>(angle.high));
        let g = b.sub_f64(b.mul_f64(angle.u, b.splat_f64(4.0)), quadrant);
        let (rising, falling) = (sine(b, g), sine(b, b.sub_f64(b.splat_f64(1.0), g)));
        // Within a quadrant, one of |cos| and |sin| rises with g, in quadrants 1 and 3 the cosine. Quadrants 1 and 2
        // are left of the imaginary axis, 2 and 3 below the real one.
        let second = b.rotate_left::<1>(angle.high);
        let odd = b.sign_mask(second);
        let odd = b.join(odd, odd);
        let top = b.splat(1 << 31);
        let left = b.join(b.and(b.xor(angle.high, second), top), b.splat(0));
        let below = b.join(b.and(angle.high, top), b.splat(0));
        let real = b.mul_f64(r, select(b, odd, rising, falling));
        let imaginary = b.mul_f64(r, select(b, odd, falling, rising));
        [b.f64_of_bits(b.xor_u64(b.bits_u64(real), left)), b.f64_of_bits(b.xor_u64(b.bits_u64(imaginary), below))]
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::unit;
    use super::*;
    use crate::backend::Portable;
    use std::f64::consts::TAU;

    fn value(radius: Radius, u: f64, angle: u64) -> [f64; 2] {
        let (b, high) = (Portable::<1>, [(angle >> 32) as u32]);
        let turn = unit(b, high, [angle as u32]);
        radius.value(b, 1.0, radius.end(), [u], Angle { high, u: turn }).map(|[part]| part)
    }

    fn angles() -> impl Iterator<Item = u64> {
        (0..1u64 << 12).flat_map(|i| [i << 52, (i << 52).wrapping_sub(1), (i << 52) + 12345, i << 50, i])
    }

    #[test]
    fn parts_are_those_of_the_angle() {
        for angle in angles() {
            let [real, imaginary] = value(Radius::Disk, 1.0, angle);
            let turn = (angle as f64 + 0.5) / 2f64.powi(64) * TAU;
            assert!((real - turn.cos()).abs() < 1e-15, "{angle:#x}");
            assert!((imaginary - turn.sin()).abs() < 1e-15, "{angle:#x}");
            assert!(real.mul_add(real, imaginary * imaginary).sqrt() < 1.0 + RADIUS_ERROR, "{angle:#x}");
        }
    }

    #[test]
    fn a_quarter_turn_multiplies_the_value_by_i() {
        for angle in angles() {
            let [real, imaginary] = value(Radius::TruncatedNormal, 0.3, angle);
            let [turned_real, turned_imaginary] = value(Radius::TruncatedNormal, 0.3, angle.wrapping_add(1 << 62));
            assert!((real - turned_imaginary).abs() < 1e-15 && (imaginary + turned_real).abs() < 1e-15, "{angle:#x}");
        }
    }

    #[test]
    fn radii_are_those_of_the_distributions() {
        for i in 1..4000 {
            let u = f64::from(i) / 4000.0;
            for (u, tolerance) in [(u, 1e-15), (u * u * 1e-12, 1e-15)] {
                let radius = |distribution| {
                    let [real, imaginary] = value(distribution, u, 1 << 61);
                    real.hypot(imaginary)
                };
                let truncated = (-(-u * (1.0 - (-4f64).exp())).ln_1p()).sqrt();
                assert!((radius(Radius::Disk) / u.sqrt() - 1.0).abs() < tolerance, "{u}");
                assert!((radius(Radius::TruncatedNormal) / truncated - 1.0).abs() < 1e-14, "{u}");
            }
        }
    }
}

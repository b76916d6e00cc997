//! Floats of eight bits, in the formats of ml_dtypes and torch: a sign, an exponent and a mantissa of m bits.
//!
//! A code represents (-1)^sign 2^(exponent - bias) (1 + mantissa 2^-m), or (-1)^sign 2^(1 - bias) mantissa 2^-m if the
//! exponent is 0. So the codes of one sign are in the order of their numbers, and a number from 2^e to 2^(e+1) has the
//! code ((e - 1 + bias) << m) + number 2^(m - e). Rounding this sum to an integer rounds the number. A carry into the
//! exponent bits gives the right code too.
//!
//! Values are the float32 values, rounded by [`Format::round`] as the last step. The inner loops are not compiled for
//! these types, which would make the library larger.

use super::{Element, to_odd};
use crate::backend::{Backend, MAX_LANES};

/// Define the formats by name, number of mantissa bits, bias, code of the largest finite number, and whether -0 exists.
macro_rules! formats {
    ($($Format:ident $name:literal $mantissa:literal $bias:literal $largest:literal $signed_zero:literal;)+) => {
        /// A format with zero and negative numbers (float8_e8m0fnu has neither).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Format {
            $(#[doc = $name] $Format,)+
        }

        impl Format {
            /// All formats.
            pub const ALL: &[Self] = &[$(Self::$Format,)+];

            /// The usual name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Format => $name,)+
                }
            }

            /// The largest finite number.
            pub fn max(self) -> f64 {
                match self {
                    $(Self::$Format => $Format::MAX,)+
                }
            }

            /// Round float32 numbers to the nearest codes, ties to even. No number may exceed the largest finite one.
            pub fn round(self, from: &[f32], to: &mut [u8]) {
                match self {
                    $(Self::$Format => round::<$mantissa, $bias>(from, to, $signed_zero),)+
                }
            }
        }

        $(
            #[doc = concat!("A number of ", $name, ", stored as its code.")]
            #[derive(Clone, Copy, Debug, Default, PartialEq)]
            pub struct $Format(pub u8);

            impl Element for $Format {
                const NAME: &str = $name;
                const DOUBLE: bool = false;
                const COMPLEX: bool = false;
                const MAX: f64 = number::<$mantissa, $bias>($largest);
                type Computed = f32;

                fn nearest(x: f64) -> Self {
                    Self(code::<$mantissa, $bias>(to_odd(x.clamp(-Self::MAX, Self::MAX)), $signed_zero))
                }
                fn to_f64(self) -> f64 {
                    number::<$mantissa, $bias>(self.0)
                }
                fn next_up(self) -> Self {
                    match self.0 {
                        0x80.. if self.0 & 0x7f == 0 => Self(1),
                        0x81 => Self(0),
                        0x82.. => Self(self.0 - 1),
                        _ => Self(self.0 + 1),
                    }
                }
                fn next_down(self) -> Self {
                    match self.0 {
                        0x80.. if self.0 & 0x7f != 0 => Self(self.0 + 1),
                        0 | 0x80 => Self(0x81),
                        _ => Self(self.0 - 1),
                    }
                }
                #[inline(always)]
                fn store<B: Backend>(b: B, x: B::F32, to: &mut [Self]) {
                    let mut values = [0.0; MAX_LANES];
                    b.store_f32(x, &mut values);
                    for (to, x) in to.iter_mut().zip(values) {
                        *to = Self(code::<$mantissa, $bias>(x, $signed_zero));
                    }
                }
            }
        )+

        /// Evaluate an expression in which `T` is the element type of a [`Format`].
        macro_rules! by_format {
            ($format:expr, $T:ident => $work:expr) => {
                match $format {
                    $(crate::element::float8::Format::$Format => {
                        type $T = crate::element::float8::$Format;
                        $work
                    })+
                }
            };
        }
    };
}

/// The number that a finite code represents.
const fn number<const MANTISSA: u32, const BIAS: i32>(code: u8) -> f64 {
    let (exponent, mantissa) = ((code & 0x7f) as i32 >> MANTISSA, code as u64 & ((1 << MANTISSA) - 1));
    let (order, whole) = if exponent == 0 { (1, mantissa) } else { (exponent, mantissa + (1 << MANTISSA)) };
    let power = f64::from_bits(((order - BIAS - MANTISSA as i32 + 1023) as u64) << 52);
    let size = whole as f64 * power;
    if code & 0x80 == 0 { size } else { -size }
}

/// The code of the number nearest to `x`, ties to even.
#[inline(always)]
fn code<const MANTISSA: u32, const BIAS: i32>(x: f32, signed_zero: bool) -> u8 {
    let (size, least) = (x.to_bits() & 0x7fff_ffff, 1 - BIAS);
    let order = ((size >> 23) as i32 - 127).max(least);
    // `x` in units of 2^(order - MANTISSA). The last bit of a float32 from 2^23 to 2^24 counts 1, so that adding 2^23
    // rounds the units to an integer.
    let units = f32::from_bits(size) * f32::from_bits(((127 + MANTISSA as i32 - order) as u32) << 23);
    let rounded = (units + (1 << 23) as f32) - (1 << 23) as f32;
    let code = (((order - least) as u8) << MANTISSA) + rounded as u8;
    let sign = if x.to_bits() >> 31 == 1 && (signed_zero || code != 0) { 0x80 } else { 0 };
    code | sign
}

/// Round each number of `from` to its code in `to`.
fn round<const MANTISSA: u32, const BIAS: i32>(from: &[f32], to: &mut [u8], signed_zero: bool) {
    for (to, x) in to.iter_mut().zip(from) {
        *to = code::<MANTISSA, BIAS>(*x, signed_zero);
    }
}

impl Format {
    /// The format with that name, or `None`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.name() == name)
    }
}

formats! {
    E3m4 "float8_e3m4" 4 3 0x6f true;
    E4m3 "float8_e4m3" 3 7 0x77 true;
    E4m3b11fnuz "float8_e4m3b11fnuz" 3 11 0x7f false;
    E4m3fn "float8_e4m3fn" 3 7 0x7e true;
    E4m3fnuz "float8_e4m3fnuz" 3 8 0x7f false;
    E5m2 "float8_e5m2" 2 15 0x7b true;
    E5m2fnuz "float8_e5m2fnuz" 2 16 0x7f false;
}

pub(crate) use by_format;

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers_and_middles_round_to_nearest_even<T: Element>(format: Format, largest: u8, from: fn(u8) -> T) {
        let numbers: Vec<f64> = (0..=largest).map(|code| from(code).to_f64()).collect();
        let mut cases = vec![(-0.0f32, if format.name().ends_with("fnuz") { 0 } else { 0x80u8 })];
        for (i, pair) in numbers.windows(2).enumerate() {
            assert!(pair[0] < pair[1], "{} rise with their codes", T::NAME);
            let middle = ((pair[0] + pair[1]) / 2.0) as f32;
            for (x, code) in [
                (pair[0] as f32, i),
                (middle.next_down(), i),
                (middle, i + i % 2),
                (middle.next_up(), i + 1),
                (pair[1] as f32, i + 1),
            ] {
                cases.push((x, code as u8));
                if code > 0 {
                    cases.push((-x, code as u8 | 0x80));
                }
            }
            let (low, high) = (from(i as u8), from(i as u8 + 1));
            assert!(low.next_up() == high && (i == 0 || high.next_down() == low), "{} after {:?}", T::NAME, low);
            assert!(T::ceil(f64::from(middle)) == high && T::floor(f64::from(middle)) == low);
            assert!(i == 0 || T::ceil(-f64::from(middle)).to_f64() == -pair[0]);
            assert!(T::floor(-f64::from(middle)).to_f64() == -pair[1]);
        }
        let (values, codes): (Vec<f32>, Vec<u8>) = cases.into_iter().unzip();
        let mut rounded = vec![0; values.len()];
        format.round(&values, &mut rounded);
        for ((x, is), should) in values.iter().zip(&rounded).zip(&codes) {
            assert!(is == should, "{x:e} is {is:#x}, not {should:#x}, in {}", T::NAME);
        }
        assert_eq!((T::MAX, T::NAME), (format.max(), format.name()));
        assert!(T::nearest(T::MAX) == from(largest));
    }

    #[test]
    fn every_number_and_middle_rounds_to_nearest_even() {
        numbers_and_middles_round_to_nearest_even(Format::E3m4, 0x6f, E3m4);
        numbers_and_middles_round_to_nearest_even(Format::E4m3, 0x77, E4m3);
        numbers_and_middles_round_to_nearest_even(Format::E4m3b11fnuz, 0x7f, E4m3b11fnuz);
        numbers_and_middles_round_to_nearest_even(Format::E4m3fn, 0x7e, E4m3fn);
        numbers_and_middles_round_to_nearest_even(Format::E4m3fnuz, 0x7f, E4m3fnuz);
        numbers_and_middles_round_to_nearest_even(Format::E5m2, 0x7b, E5m2);
        numbers_and_middles_round_to_nearest_even(Format::E5m2fnuz, 0x7f, E5m2fnuz);
    }

    #[test]
    fn the_largest_numbers_are_the_published_ones() {
        let largest = Format::ALL.iter().map(|format| format.max());
        assert_eq!(largest.collect::<Vec<_>>(), [15.5, 240.0, 30.0, 448.0, 240.0, 57344.0, 57344.0]);
    }
}

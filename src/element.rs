//! The element types, and the rounding of values to them.
//!
//! float16, bfloat16 and [`float8`] values are the float32 values, rounded to nearest, ties to even, but never past a
//! bound. To this end, a value is clamped before it is rounded, to bounds that are numbers of the element type: a
//! number between two numbers of a type is also rounded to one between them.
//!
//! [`Element`] is the stored type, and [`Real`] the type of the arithmetic, float32 or float64. Generic code is
//! compiled once for each pair of element type and backend. So [`Real`] has an associated type, the lanes, for each
//! backend.

#[macro_use]
pub mod float8;

mod real;

use crate::backend::Backend;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

pub use real::Real;

/// float16, bfloat16, float32, float64, or a float of eight bits.
#[allow(private_bounds, reason = "the lanes of a backend are private to this crate")]
pub trait Element: Copy + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// The usual name, which NumPy and ml_dtypes use too.
    const NAME: &str;
    /// Whether every value depends on both words of its address. Otherwise values depend on the high word, and only in
    /// the tails on the low word too.
    const DOUBLE: bool;
    /// Whether there is a complex type whose parts have this type.
    const COMPLEX: bool;
    /// The largest finite value.
    const MAX: f64;
    /// The type of the arithmetic: float64 for float64, and float32 for all other types.
    type Computed: Real;

    /// The nearest element, ties to even.
    fn nearest(x: f64) -> Self;
    /// The same number.
    fn to_f64(self) -> f64;
    /// The next greater element.
    fn next_up(self) -> Self;
    /// The next lesser element.
    fn next_down(self) -> Self;

    /// The least element that is no less than `x`.
    fn ceil(x: f64) -> Self {
        let nearest = Self::nearest(x);
        if nearest.to_f64() < x { nearest.next_up() } else { nearest }
    }

    /// The greatest element that is no greater than `x`.
    fn floor(x: f64) -> Self {
        let nearest = Self::nearest(x);
        if nearest.to_f64() > x { nearest.next_down() } else { nearest }
    }

    /// Round and store a vector.
    #[doc(hidden)]
    fn store<B: Backend>(b: B, x: Computed<B, Self>, to: &mut [Self]);
}

/// Lanes of the type of the arithmetic.
type Computed<B, T> = <<T as Element>::Computed as Real>::Lanes<B>;

impl Element for f64 {
    const NAME: &str = "float64";
    const DOUBLE: bool = true;
    const COMPLEX: bool = true;
    const MAX: f64 = f64::MAX;
    type Computed = f64;

    fn nearest(x: f64) -> Self {
        x
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn next_up(self) -> Self {
        self.next_up()
    }
    fn next_down(self) -> Self {
        self.next_down()
    }
    #[inline(always)]
    fn store<B: Backend>(b: B, x: B::F64, to: &mut [Self]) {
        b.store_f64(x, to);
    }
}

impl Element for f32 {
    const NAME: &str = "float32";
    const DOUBLE: bool = false;
    const COMPLEX: bool = true;
    const MAX: f64 = f32::MAX as f64;
    type Computed = f32;

    fn nearest(x: f64) -> Self {
        x as f32
    }
    fn to_f64(self) -> f64 {
        self.into()
    }
    fn next_up(self) -> Self {
        self.next_up()
    }
    fn next_down(self) -> Self {
        self.next_down()
    }
    #[inline(always)]
    fn store<B: Backend>(b: B, x: B::F32, to: &mut [Self]) {
        b.store_f32(x, to);
    }
}

impl Element for f16 {
    const NAME: &str = "float16";
    const DOUBLE: bool = false;
    const COMPLEX: bool = false;
    const MAX: f64 = 65504.0;
    type Computed = f32;

    fn nearest(x: f64) -> Self {
        Self::from_f32(to_odd(x))
    }
    fn to_f64(self) -> f64 {
        self.into()
    }
    fn next_up(self) -> Self {
        Self::from_bits(next_up(self.to_bits()))
    }
    fn next_down(self) -> Self {
        -(-self).next_up()
    }
    #[inline(always)]
    fn store<B: Backend>(b: B, x: B::F32, to: &mut [Self]) {
        b.store_f16(x, to.reinterpret_cast_mut());
    }
}

impl Element for bf16 {
    const NAME: &str = "bfloat16";
    const DOUBLE: bool = false;
    const COMPLEX: bool = false;
    const MAX: f64 = 3.3895313892515355e38; // (2 - 2^-7) 2^127
    type Computed = f32;

    fn nearest(x: f64) -> Self {
        Self::from_f32(to_odd(x))
    }
    fn to_f64(self) -> f64 {
        self.into()
    }
    fn next_up(self) -> Self {
        Self::from_bits(next_up(self.to_bits()))
    }
    fn next_down(self) -> Self {
        -(-self).next_up()
    }
    #[inline(always)]
    fn store<B: Backend>(b: B, x: B::F32, to: &mut [Self]) {
        // bfloat16 is the upper half of float32. Adding 0x7fff and the last bit that is kept carries into the upper
        // half exactly if the nearest bfloat16, ties to even, is the greater one.
        let bits = b.bits(x);
        let odd = b.and(b.shift_right::<16>(bits), b.splat(1));
        let rounded = b.add(b.add(bits, b.splat(0x7fff)), odd);
        b.store_low_halves(b.shift_right::<16>(rounded), to.reinterpret_cast_mut());
    }
}

/// The bits of the next greater 16-bit float. The magnitudes of one sign are in the order of their bits.
fn next_up(bits: u16) -> u16 {
    match bits {
        0x8000 => 1, // the least positive number follows -0.0, which equals 0.0
        0x8001.. => bits - 1,
        _ => bits + 1,
    }
}

/// `x` rounded to odd. If float32 cannot represent `x`, the result is the one of the two neighbouring float32 numbers
/// whose last bit is 1. Rounding it to 16 bits has the effect of a single rounding of `x` (Boldo and Melquiond 2008,
/// see `backend/portable.rs`). Two roundings to nearest would not: the first one may end in the middle of two 16-bit
/// numbers.
fn to_odd(x: f64) -> f32 {
    let nearest = x as f32;
    if f64::from(nearest) == x || nearest.to_bits() & 1 == 1 {
        return nearest;
    }
    if f64::from(nearest) < x { nearest.next_up() } else { nearest.next_down() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{self, MAX_LANES, Task};
    use std::marker::PhantomData;

    /// Round float32 values, given by their bits, to a 16-bit type.
    #[derive(Clone, Copy)]
    struct Narrow<'a, T>(&'a [u32], PhantomData<T>);

    impl<T: Element<Computed = f32>> Task for Narrow<'_, T> {
        type Output = Vec<f64>;

        #[inline(always)]
        fn run<B: Backend>(self, b: B) -> Vec<f64> {
            let mut out = vec![T::default(); self.0.len()];
            for (to, from) in out.chunks_exact_mut(B::LANES).zip(self.0.chunks_exact(B::LANES)) {
                T::store(b, b.f32_of_bits(b.load(from)), to);
            }
            out.into_iter().map(T::to_f64).collect()
        }
    }

    /// Pairs of a float32 number and the nearest 16-bit number, ties to even. The float32 numbers are the 16-bit
    /// numbers, the middles between neighbours, and the float32 numbers next to the middles. `numbers` are the 16-bit
    /// numbers of one sign, in the order of their bits.
    fn roundings(numbers: &[f64]) -> Vec<(f32, f64)> {
        let neighbours = numbers.windows(2).enumerate().flat_map(|(i, pair)| {
            let middle = ((pair[0] + pair[1]) / 2.0) as f32;
            assert!(f64::from(middle) * 2.0 == pair[0] + pair[1], "float32 represents every middle");
            let (inner, outer) = (f32::from_bits(middle.to_bits() - 1), f32::from_bits(middle.to_bits() + 1));
            [(pair[0] as f32, pair[0]), (inner, pair[0]), (middle, pair[i % 2]), (outer, pair[1])]
        });
        neighbours.chain(numbers.last().map(|&last| (last as f32, last))).collect()
    }

    /// Check the rounding at and between all numbers of a 16-bit type, and return their number.
    fn every_number_rounds<T: Element<Computed = f32>>(from_bits: impl Fn(u16) -> T) -> usize {
        let mut count = 0;
        for sign in [0, 0x8000] {
            let numbers: Vec<_> = (sign..).map(|bits| from_bits(bits).to_f64()).take_while(|x| x.is_finite()).collect();
            count += numbers.len();
            let mut cases = roundings(&numbers);
            cases.resize(cases.len().next_multiple_of(MAX_LANES), (0.0, 0.0));
            let bits: Vec<_> = cases.iter().map(|(x, _)| x.to_bits()).collect();
            for (name, rounded) in backend::on_each(Narrow::<T>(&bits, PhantomData)) {
                for ((x, should), is) in cases.iter().zip(rounded) {
                    assert!(
                        is.to_bits() == should.to_bits(),
                        "{name}: {x:e} is {is:e}, not {should:e}, in {}",
                        T::NAME
                    );
                }
            }
        }
        count
    }

    #[test]
    fn rounding_to_16_bits_is_to_nearest_even() {
        for (name, count) in
            [(f16::NAME, every_number_rounds(f16::from_bits)), (bf16::NAME, every_number_rounds(bf16::from_bits))]
        {
            println!("{name}: checked {count} numbers, each middle of two, and the float32 numbers next to it");
        }
    }
}

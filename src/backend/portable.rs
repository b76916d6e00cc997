//! The backend for any CPU: arrays of lanes, which the compiler replaces by the vectors of its target (SSE2, NEON and
//! others).

use super::{Backend, Lanewise, Task};
use half::f16;
use std::array::from_fn;

/// `N` lanes. With one lane, it is the scalar arithmetic of rare cases.
#[derive(Clone, Copy, Debug)]
pub struct Portable<const N: usize>;

/// `f(a[i], b[i])` for each lane.
#[inline(always)]
fn map<A: Copy, B: Copy, C, const N: usize>(a: [A; N], b: [B; N], f: impl Fn(A, B) -> C) -> [C; N] {
    from_fn(|i| f(a[i], b[i]))
}

macro_rules! of_each_lane {
    ($x:ident => $lane:expr) => {
        $x.map(|$x| $lane)
    };
    ($x:ident, $y:ident => $lane:expr) => {
        map($x, $y, |$x, $y| $lane)
    };
}

/// Define operations by their effect on a lane.
macro_rules! operations {
    ($($name:ident($($x:ident: $of:ident),+) -> $to:ident = $lane:expr;)+) => {
        $(#[inline(always)]
        fn $name(self, $($x: Self::$of),+) -> Self::$to {
            of_each_lane!($($x),+ => $lane)
        })+
    };
}

impl<const N: usize> Backend for Portable<N> {
    const LANES: usize = N;
    type U32 = [u32; N];
    type F32 = [f32; N];
    type U64 = [u64; N];
    type F64 = [f64; N];
    const REGISTERS: usize = 8;

    #[inline(never)]
    fn vectorize<T: Task>(self, task: T) -> T::Output {
        task.run(self)
    }

    /// A loop over the lanes, with scalar operations inside. The compiler vectorizes such a loop. It would not
    /// vectorize a long function with one loop for each operation.
    #[inline(always)]
    fn lanewise<F: Lanewise<M>, const M: usize>(self, function: F, vectors: &mut [Self::U32; M]) {
        for lane in 0..N {
            let mut scalars = from_fn(|i| [vectors[i][lane]]);
            function.run(Portable::<1>, &mut scalars);
            for (vector, [scalar]) in vectors.iter_mut().zip(scalars) {
                vector[lane] = scalar;
            }
        }
    }

    operations! {
        add(a: U32, b: U32) -> U32 = a.wrapping_add(b);
        sub(a: U32, b: U32) -> U32 = a.wrapping_sub(b);
        and(a: U32, b: U32) -> U32 = a & b;
        xor(a: U32, b: U32) -> U32 = a ^ b;
        sign_mask(a: U32) -> U32 = (a.cast_signed() >> 31).cast_unsigned();
        to_f32(a: U32) -> F32 = a.cast_signed() as f32;
        bits(a: F32) -> U32 = a.to_bits();
        f32_of_bits(a: U32) -> F32 = f32::from_bits(a);
        add_f32(a: F32, b: F32) -> F32 = a + b;
        mul_f32(a: F32, b: F32) -> F32 = a * b;
        join(high: U32, low: U32) -> U64 = u64::from(high) << 32 | u64::from(low);
        add_u64(a: U64, b: U64) -> U64 = a.wrapping_add(b);
        sub_u64(a: U64, b: U64) -> U64 = a.wrapping_sub(b);
        and_u64(a: U64, b: U64) -> U64 = a & b;
        xor_u64(a: U64, b: U64) -> U64 = a ^ b;
        sign_mask_u64(a: U64) -> U64 = (a.cast_signed() >> 63).cast_unsigned();
        to_f64(a: U64) -> F64 = a.cast_signed() as f64;
        widen(a: U32) -> F64 = f64::from(a.cast_signed());
        narrow(a: F64) -> F32 = a as f32;
        bits_u64(a: F64) -> U64 = a.to_bits();
        f64_of_bits(a: U64) -> F64 = f64::from_bits(a);
        add_f64(a: F64, b: F64) -> F64 = a + b;
        mul_f64(a: F64, b: F64) -> F64 = a * b;
        sub_f64(a: F64, b: F64) -> F64 = a - b;
        div_f64(a: F64, b: F64) -> F64 = a / b;
        sqrt_f64(a: F64) -> F64 = a.sqrt();
        widen_f32(a: F32) -> F64 = a.into();
    }

    #[inline(always)]
    fn load(self, from: &[u32]) -> Self::U32 {
        from_fn(|i| from[..N][i])
    }
    #[inline(always)]
    fn store(self, x: Self::U32, to: &mut [u32]) {
        to[..N].copy_from_slice(&x);
    }
    #[inline(always)]
    fn splat(self, x: u32) -> Self::U32 {
        [x; N]
    }
    #[inline(always)]
    fn rotate_left<const BY: u32>(self, a: Self::U32) -> Self::U32 {
        a.map(|a| a.rotate_left(BY))
    }
    #[inline(always)]
    fn shift_right<const BY: u32>(self, a: Self::U32) -> Self::U32 {
        a.map(|a| a >> BY)
    }
    #[inline(always)]
    fn less(self, a: Self::U32, b: Self::U32) -> u32 {
        // Most calls find no lane. They return before the loop that collects the bits, which the compiler cannot
        // vectorize.
        let less = map(a, b, |a, b| u32::from(a.cast_signed() < b.cast_signed()));
        if less.iter().fold(0, |any, one| any | one) == 0 {
            return 0;
        }
        less.iter().rev().fold(0, |bits, bit| bits << 1 | bit)
    }
    #[inline(always)]
    fn store_blocks(self, words: &[Self::U32; 16], to: &mut [u32]) {
        for (i, block) in to[..16 * N].chunks_exact_mut(16).enumerate() {
            for (w, word) in words.iter().zip(block) {
                *word = w[i];
            }
        }
    }
    #[inline(always)]
    fn lookup(self, table: &[i32; 16], index: Self::U32) -> Self::U32 {
        index.map(|i| table[i as usize % 16].cast_unsigned())
    }

    #[inline(always)]
    fn splat_f32(self, x: f32) -> Self::F32 {
        [x; N]
    }
    #[inline(always)]
    fn clamp_f32(self, x: Self::F32, low: Self::F32, high: Self::F32) -> Self::F32 {
        from_fn(|i| {
            if x[i] < low[i] {
                low[i]
            } else if x[i] > high[i] {
                high[i]
            } else {
                x[i]
            }
        })
    }
    #[inline(always)]
    fn lookup_f32(self, table: &[f32; 16], index: Self::U32) -> Self::F32 {
        index.map(|i| table[i as usize % 16])
    }
    #[inline(always)]
    fn store_f32(self, x: Self::F32, to: &mut [f32]) {
        to[..N].copy_from_slice(&x);
    }
    #[inline(always)]
    fn store_f16(self, x: Self::F32, to: &mut [u16]) {
        to[..N].copy_from_slice(&x.map(|x| f16::from_f32(x).to_bits()));
    }
    #[inline(always)]
    fn store_low_halves(self, x: Self::U32, to: &mut [u16]) {
        to[..N].copy_from_slice(&x.map(|x| x as u16));
    }

    #[inline(always)]
    fn splat_u64(self, x: u64) -> Self::U64 {
        [x; N]
    }
    #[inline(always)]
    fn shift_right_u64<const BY: u32>(self, a: Self::U64) -> Self::U64 {
        a.map(|a| a >> BY)
    }
    #[inline(always)]
    fn shift_left_u64<const BY: u32>(self, a: Self::U64) -> Self::U64 {
        a.map(|a| a << BY)
    }
    #[inline(always)]
    fn lookup_u64(self, table: &[i64; 16], index: Self::U64) -> Self::U64 {
        index.map(|i| table[i as usize % 16].cast_unsigned())
    }

    #[inline(always)]
    fn splat_f64(self, x: f64) -> Self::F64 {
        [x; N]
    }
    #[inline(always)]
    fn clamp_f64(self, x: Self::F64, low: Self::F64, high: Self::F64) -> Self::F64 {
        from_fn(|i| {
            if x[i] < low[i] {
                low[i]
            } else if x[i] > high[i] {
                high[i]
            } else {
                x[i]
            }
        })
    }
    #[inline(always)]
    fn lookup_f64(self, table: &[f64; 16], index: Self::U64) -> Self::F64 {
        index.map(|i| table[i as usize % 16])
    }
    #[inline(always)]
    fn store_f64(self, x: Self::F64, to: &mut [f64]) {
        to[..N].copy_from_slice(&x);
    }
    #[inline(always)]
    fn load_f32(self, from: &[f32]) -> Self::F32 {
        from_fn(|i| from[..N][i])
    }
    #[inline(always)]
    fn load_f64(self, from: &[f64]) -> Self::F64 {
        from_fn(|i| from[..N][i])
    }
    #[inline(always)]
    fn fma_f32(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 {
        if FUSED {
            return from_fn(|i| a[i].mul_add(b[i], c[i]));
        }
        // The product is exact in f64, so that the sum is rounded twice, to f64 and to f32. The first rounding changes
        // the second one only if its result is the middle between two f32. The last 28 of the 52 mantissa bits of a
        // middle are zero.
        let sums: [f64; N] = from_fn(|i| f64::from(a[i]) * f64::from(b[i]) + f64::from(c[i]));
        let mut doubtful = false;
        for sum in sums {
            doubtful |= sum.to_bits() << 36 == 0;
        }
        if doubtful { from_fn(|i| fma_in_f64(a[i], b[i], c[i])) } else { sums.map(|sum| sum as f32) }
    }
    #[inline(always)]
    fn fma_f64(self, a: Self::F64, b: Self::F64, c: Self::F64) -> Self::F64 {
        from_fn(|i| a[i].mul_add(b[i], c[i]))
    }
}

/// Whether the target has an instruction for `mul_add`. Otherwise `mul_add` calls a slow function.
const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64", target_arch = "powerpc64"));

/// `a * b + c`, rounded once. The sum is rounded to odd in f64 and then to nearest in f32, which has the effect of one
/// rounding (S. Boldo and G. Melquiond, *Emulation of a FMA and correctly rounded sums: proved algorithms using
/// rounding to odd*, IEEE Trans. Comput. 57, 2008).
#[inline(never)]
fn fma_in_f64(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    // The exact error of the rounded sum, by TwoSum (D. E. Knuth, The Art of Computer Programming 2, 4.2.2).
    let of_c = sum - product;
    let lost = (product - (sum - of_c)) + (c - of_c);
    if lost == 0.0 || sum.to_bits() & 1 == 1 {
        return sum as f32;
    }
    (if lost > 0.0 { sum.next_up() } else { sum.next_down() }) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fused_float32_is_rounded_once() {
        let (one, bits) = (Portable::<1>, |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32);
        // Numbers of many binary orders, numbers near the middle of two float32 numbers, and subnormal numbers.
        let hard =
            [1.0, 1.0 + 2f32.powi(-23), 1.0 + 2f32.powi(-12), 2f32.powi(-24), 3.0 * 2f32.powi(-25), 2f32.powi(-60)]
                .into_iter()
                .chain([2f32.powi(-126), 2f32.powi(-149), 0.0, 1.0 - 2f32.powi(-24), 1e-30, 3e-39, 7e-23])
                .flat_map(|x| [x, -x])
                .collect::<Vec<_>>();
        let mut triples = Vec::new();
        for &a in &hard {
            for &b in &hard {
                triples.extend(hard.iter().map(|&c| [a, b, c]));
            }
        }
        for i in 0..300_000 {
            let [a, b, c] = [3 * i, 3 * i + 1, 3 * i + 2].map(|i| f32::from_bits(bits(i) & 0x8fff_ffff | 0x3000_0000));
            triples.extend([[a, b, c], [a, b, -a * b], [a, b, (-a * b).next_up()]]);
        }
        for [a, b, c] in triples {
            let (made, want) = (one.fma_f32([a], [b], [c])[0], a.mul_add(b, c));
            assert_eq!(made.to_bits(), want.to_bits(), "{a:e} * {b:e} + {c:e}");
            assert_eq!(fma_in_f64(a, b, c).to_bits(), want.to_bits(), "{a:e} * {b:e} + {c:e}");
        }
    }
}

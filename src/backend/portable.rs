//! Any CPU: arrays of lanes, which compilers turn into vectors of what the target has (SSE2, NEON, ...).

use super::{Backend, Lanewise, Task};
use half::f16;
use std::array::from_fn;

/// `N` lanes; with one, the scalar arithmetic of rare cases.
#[derive(Clone, Copy, Debug)]
pub struct Portable<const N: usize>;

#[inline(always)]
fn map<A: Copy, B: Copy, C, const N: usize>(a: [A; N], b: [B; N], f: impl Fn(A, B) -> C) -> [C; N] {
    from_fn(|i| f(a[i], b[i]))
}

impl<const N: usize> Backend for Portable<N> {
    const LANES: usize = N;
    type U32 = [u32; N];
    type F32 = [f32; N];
    type U64 = [u64; N];
    type F64 = [f64; N];

    #[inline(never)]
    fn vectorize<T: Task>(self, task: T) -> T::Output {
        task.run(self)
    }

    /// A loop over the lanes, in scalars: long functions become vectors that way, but not operation by operation.
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
    fn add(self, a: Self::U32, b: Self::U32) -> Self::U32 {
        map(a, b, u32::wrapping_add)
    }
    #[inline(always)]
    fn sub(self, a: Self::U32, b: Self::U32) -> Self::U32 {
        map(a, b, u32::wrapping_sub)
    }
    #[inline(always)]
    fn and(self, a: Self::U32, b: Self::U32) -> Self::U32 {
        map(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn xor(self, a: Self::U32, b: Self::U32) -> Self::U32 {
        map(a, b, |a, b| a ^ b)
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
    fn sign_mask(self, a: Self::U32) -> Self::U32 {
        a.map(|a| (a.cast_signed() >> 31).cast_unsigned())
    }
    #[inline(always)]
    fn less(self, a: Self::U32, b: Self::U32) -> u32 {
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
    fn to_f32(self, a: Self::U32) -> Self::F32 {
        a.map(|a| a.cast_signed() as f32)
    }
    #[inline(always)]
    fn bits(self, a: Self::F32) -> Self::U32 {
        a.map(f32::to_bits)
    }
    #[inline(always)]
    fn f32_of_bits(self, a: Self::U32) -> Self::F32 {
        a.map(f32::from_bits)
    }
    #[inline(always)]
    fn splat_f32(self, x: f32) -> Self::F32 {
        [x; N]
    }
    #[inline(always)]
    fn add_f32(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        map(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn mul_f32(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        map(a, b, |a, b| a * b)
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
    fn join(self, high: Self::U32, low: Self::U32) -> Self::U64 {
        map(high, low, |high, low| u64::from(high) << 32 | u64::from(low))
    }
    #[inline(always)]
    fn splat_u64(self, x: u64) -> Self::U64 {
        [x; N]
    }
    #[inline(always)]
    fn add_u64(self, a: Self::U64, b: Self::U64) -> Self::U64 {
        map(a, b, u64::wrapping_add)
    }
    #[inline(always)]
    fn sub_u64(self, a: Self::U64, b: Self::U64) -> Self::U64 {
        map(a, b, u64::wrapping_sub)
    }
    #[inline(always)]
    fn and_u64(self, a: Self::U64, b: Self::U64) -> Self::U64 {
        map(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn xor_u64(self, a: Self::U64, b: Self::U64) -> Self::U64 {
        map(a, b, |a, b| a ^ b)
    }
    #[inline(always)]
    fn shift_right_u64<const BY: u32>(self, a: Self::U64) -> Self::U64 {
        a.map(|a| a >> BY)
    }
    #[inline(always)]
    fn sign_mask_u64(self, a: Self::U64) -> Self::U64 {
        a.map(|a| (a.cast_signed() >> 63).cast_unsigned())
    }
    #[inline(always)]
    fn lookup_u64<const ROWS: usize>(self, table: &[i64; ROWS], index: Self::U64) -> Self::U64 {
        index.map(|i| table[i as usize % ROWS].cast_unsigned())
    }

    #[inline(always)]
    fn to_f64(self, a: Self::U64) -> Self::F64 {
        a.map(|a| a.cast_signed() as f64)
    }
    #[inline(always)]
    fn widen(self, a: Self::U32) -> Self::F64 {
        a.map(|a| f64::from(a.cast_signed()))
    }
    #[inline(always)]
    fn narrow(self, a: Self::F64) -> Self::F32 {
        a.map(|a| a as f32)
    }
    #[inline(always)]
    fn bits_u64(self, a: Self::F64) -> Self::U64 {
        a.map(f64::to_bits)
    }
    #[inline(always)]
    fn f64_of_bits(self, a: Self::U64) -> Self::F64 {
        a.map(f64::from_bits)
    }
    #[inline(always)]
    fn splat_f64(self, x: f64) -> Self::F64 {
        [x; N]
    }
    #[inline(always)]
    fn add_f64(self, a: Self::F64, b: Self::F64) -> Self::F64 {
        map(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn mul_f64(self, a: Self::F64, b: Self::F64) -> Self::F64 {
        map(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn sub_f64(self, a: Self::F64, b: Self::F64) -> Self::F64 {
        map(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn div_f64(self, a: Self::F64, b: Self::F64) -> Self::F64 {
        map(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn sqrt_f64(self, a: Self::F64) -> Self::F64 {
        a.map(f64::sqrt)
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
    fn lookup_f64<const ROWS: usize>(self, table: &[f64; ROWS], index: Self::U64) -> Self::F64 {
        index.map(|i| table[i as usize % ROWS])
    }
    #[inline(always)]
    fn store_f64(self, x: Self::F64, to: &mut [f64]) {
        to[..N].copy_from_slice(&x);
    }
}

//! x86-64 with AVX-512 (F, BW, DQ, VL): sixteen lanes, and pairs of registers for 64-bit elements.
//!
//! A table of sixteen rows is one register of 32-bit elements or two of 64-bit elements, and a look-up is one
//! permutation.

use super::{Backend, Task};
use std::arch::x86_64::*;

/// Proof that the CPU has the instructions: only [`Avx512::detect`] makes a value.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl"))
        .then_some(Self(()))
    }
}

macro_rules! simd {
    ($call:expr) => {
        // SAFETY: the CPU has the instructions, since only `detect` makes a value of `Avx512`. Each load or store has
        // the pointer of an array, or of a slice whose length was checked, of the register's size.
        unsafe { $call }
    };
}

/// Two registers of eight 64-bit elements.
type Pair<T> = [T; 2];

impl Avx512 {
    #[inline(always)]
    fn halves(self, a: __m512i) -> Pair<__m256i> {
        simd!([_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64::<1>(a)])
    }

    /// The transpose of four rows of four 32-bit words, in each 128-bit part.
    #[inline(always)]
    fn transpose4(self, a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
        simd!({
            let (ab0, ab1) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let (cd0, cd1) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            [
                _mm512_unpacklo_epi64(ab0, cd0),
                _mm512_unpackhi_epi64(ab0, cd0),
                _mm512_unpacklo_epi64(ab1, cd1),
                _mm512_unpackhi_epi64(ab1, cd1),
            ]
        })
    }
}

impl Backend for Avx512 {
    const LANES: usize = 16;
    type U32 = __m512i;
    type F32 = __m512;
    type U64 = Pair<__m512i>;
    type F64 = Pair<__m512d>;
    const REGISTERS: usize = 32;

    #[inline(never)]
    fn vectorize<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn inner<T: Task>(backend: Avx512, task: T) -> T::Output {
            task.run(backend)
        }
        simd!(inner(self, task))
    }

    instructions! {
        add(a: U32, b: U32) -> U32 = _mm512_add_epi32;
        sub(a: U32, b: U32) -> U32 = _mm512_sub_epi32;
        and(a: U32, b: U32) -> U32 = _mm512_and_si512;
        xor(a: U32, b: U32) -> U32 = _mm512_xor_si512;
        to_f32(a: U32) -> F32 = _mm512_cvtepi32_ps;
        bits(a: F32) -> U32 = _mm512_castps_si512;
        f32_of_bits(a: U32) -> F32 = _mm512_castsi512_ps;
        add_f32(a: F32, b: F32) -> F32 = _mm512_add_ps;
        mul_f32(a: F32, b: F32) -> F32 = _mm512_mul_ps;
        fma_f32(a: F32, b: F32, c: F32) -> F32 = _mm512_fmadd_ps;
    }
    instructions! {
        add_u64(a: U64, b: U64) -> U64 = each _mm512_add_epi64;
        sub_u64(a: U64, b: U64) -> U64 = each _mm512_sub_epi64;
        and_u64(a: U64, b: U64) -> U64 = each _mm512_and_si512;
        xor_u64(a: U64, b: U64) -> U64 = each _mm512_xor_si512;
        to_f64(a: U64) -> F64 = each _mm512_cvtepi64_pd;
        bits_u64(a: F64) -> U64 = each _mm512_castpd_si512;
        f64_of_bits(a: U64) -> F64 = each _mm512_castsi512_pd;
        add_f64(a: F64, b: F64) -> F64 = each _mm512_add_pd;
        mul_f64(a: F64, b: F64) -> F64 = each _mm512_mul_pd;
        sub_f64(a: F64, b: F64) -> F64 = each _mm512_sub_pd;
        div_f64(a: F64, b: F64) -> F64 = each _mm512_div_pd;
        sqrt_f64(a: F64) -> F64 = each _mm512_sqrt_pd;
        fma_f64(a: F64, b: F64, c: F64) -> F64 = each _mm512_fmadd_pd;
    }

    #[inline(always)]
    fn load(self, from: &[u32]) -> Self::U32 {
        let from: &[u32; 16] = from.first_chunk().expect("a whole vector");
        simd!(_mm512_loadu_epi32(from.as_ptr().cast()))
    }
    #[inline(always)]
    fn store(self, x: Self::U32, to: &mut [u32]) {
        let to: &mut [u32; 16] = to.first_chunk_mut().expect("a whole vector");
        simd!(_mm512_storeu_epi32(to.as_mut_ptr().cast(), x));
    }
    #[inline(always)]
    fn splat(self, x: u32) -> Self::U32 {
        simd!(_mm512_set1_epi32(x.cast_signed()))
    }
    #[inline(always)]
    fn rotate_left<const BY: u32>(self, a: Self::U32) -> Self::U32 {
        simd!(_mm512_rolv_epi32(a, _mm512_set1_epi32(BY as i32)))
    }
    #[inline(always)]
    fn shift_right<const BY: u32>(self, a: Self::U32) -> Self::U32 {
        simd!(_mm512_srli_epi32::<BY>(a))
    }
    #[inline(always)]
    fn sign_mask(self, a: Self::U32) -> Self::U32 {
        simd!(_mm512_srai_epi32::<31>(a))
    }
    #[inline(always)]
    fn less(self, a: Self::U32, b: Self::U32) -> u32 {
        simd!(_mm512_cmplt_epi32_mask(a, b).into())
    }
    #[inline(always)]
    fn store_blocks(self, words: &[Self::U32; 16], to: &mut [u32]) {
        let to: &mut [u32; 256] = to.first_chunk_mut().expect("sixteen blocks");
        for (q, w) in words.as_chunks::<4>().0.iter().enumerate() {
            for (k, row) in self.transpose4(w[0], w[1], w[2], w[3]).into_iter().enumerate() {
                // Part p of this row has words 4q..4q+4 of block 4p + k. Each part is stored by itself, since storing
                // whole blocks would need more shuffles.
                let parts = simd!([
                    _mm512_castsi512_si128(row),
                    _mm512_extracti32x4_epi32::<1>(row),
                    _mm512_extracti32x4_epi32::<2>(row),
                    _mm512_extracti32x4_epi32::<3>(row),
                ]);
                for (p, part) in parts.into_iter().enumerate() {
                    let at = 16 * (4 * p + k) + 4 * q;
                    simd!(_mm_storeu_si128(to[at..at + 4].as_mut_ptr().cast(), part));
                }
            }
        }
    }
    #[inline(always)]
    fn lookup(self, table: &[i32; 16], index: Self::U32) -> Self::U32 {
        simd!(_mm512_permutexvar_epi32(index, _mm512_loadu_epi32(table.as_ptr())))
    }

    #[inline(always)]
    fn splat_f32(self, x: f32) -> Self::F32 {
        simd!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn clamp_f32(self, x: Self::F32, low: Self::F32, high: Self::F32) -> Self::F32 {
        simd!(_mm512_min_ps(high, _mm512_max_ps(low, x)))
    }
    #[inline(always)]
    fn lookup_f32(self, table: &[f32; 16], index: Self::U32) -> Self::F32 {
        simd!(_mm512_permutexvar_ps(index, _mm512_loadu_ps(table.as_ptr())))
    }
    #[inline(always)]
    fn store_f32(self, x: Self::F32, to: &mut [f32]) {
        let to: &mut [f32; 16] = to.first_chunk_mut().expect("a whole vector");
        simd!(_mm512_storeu_ps(to.as_mut_ptr(), x));
    }
    #[inline(always)]
    fn store_f16(self, x: Self::F32, to: &mut [u16]) {
        let to: &mut [u16; 16] = to.first_chunk_mut().expect("a whole vector");
        simd!(_mm256_storeu_epi16(to.as_mut_ptr().cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x)));
    }
    #[inline(always)]
    fn store_low_halves(self, x: Self::U32, to: &mut [u16]) {
        let to: &mut [u16; 16] = to.first_chunk_mut().expect("a whole vector");
        simd!(_mm256_storeu_epi16(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(x)));
    }

    #[inline(always)]
    fn join(self, high: Self::U32, low: Self::U32) -> Self::U64 {
        // Words of `low` and of `high` alternate. Index 16 is the first word of `high`.
        let index = simd!([
            _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
            _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31),
        ]);
        simd!(pair!(index => _mm512_permutex2var_epi32(low, index, high)))
    }
    #[inline(always)]
    fn splat_u64(self, x: u64) -> Self::U64 {
        [simd!(_mm512_set1_epi64(x.cast_signed())); 2]
    }
    #[inline(always)]
    fn shift_right_u64<const BY: u32>(self, a: Self::U64) -> Self::U64 {
        simd!(pair!(a => _mm512_srli_epi64::<BY>(a)))
    }
    #[inline(always)]
    fn shift_left_u64<const BY: u32>(self, a: Self::U64) -> Self::U64 {
        simd!(pair!(a => _mm512_slli_epi64::<BY>(a)))
    }
    #[inline(always)]
    fn sign_mask_u64(self, a: Self::U64) -> Self::U64 {
        simd!(pair!(a => _mm512_srai_epi64::<63>(a)))
    }
    #[inline(always)]
    fn lookup_u64(self, table: &[i64; 16], index: Self::U64) -> Self::U64 {
        let [low, high] = table.as_chunks::<8>().0 else { unreachable!("two halves") };
        let (low, high) = simd!((_mm512_loadu_epi64(low.as_ptr()), _mm512_loadu_epi64(high.as_ptr())));
        simd!(pair!(index => _mm512_permutex2var_epi64(low, index, high)))
    }

    #[inline(always)]
    fn widen(self, a: Self::U32) -> Self::F64 {
        let a = self.halves(a);
        simd!(pair!(a => _mm512_cvtepi32_pd(a)))
    }
    #[inline(always)]
    fn signed_midpoint(self, a: Self::U32) -> Self::F64 {
        let a = self.halves(a);
        let offset = 0.5 - (1u64 << 31) as f64;
        simd!(pair!(a => _mm512_add_pd(_mm512_cvtepu32_pd(a), _mm512_set1_pd(offset))))
    }
    #[inline(always)]
    fn narrow(self, a: Self::F64) -> Self::F32 {
        let [low, high] = simd!(pair!(a => _mm512_cvtpd_ps(a)));
        simd!(_mm512_insertf32x8::<1>(_mm512_castps256_ps512(low), high))
    }
    #[inline(always)]
    fn splat_f64(self, x: f64) -> Self::F64 {
        [simd!(_mm512_set1_pd(x)); 2]
    }
    #[inline(always)]
    fn clamp_f64(self, x: Self::F64, low: Self::F64, high: Self::F64) -> Self::F64 {
        simd!(pair!(x, low, high => _mm512_min_pd(high, _mm512_max_pd(low, x))))
    }
    #[inline(always)]
    fn lookup_f64(self, table: &[f64; 16], index: Self::U64) -> Self::F64 {
        let [low, high] = table.as_chunks::<8>().0 else { unreachable!("two halves") };
        let (low, high) = simd!((_mm512_loadu_pd(low.as_ptr()), _mm512_loadu_pd(high.as_ptr())));
        simd!(pair!(index => _mm512_permutex2var_pd(low, index, high)))
    }
    #[inline(always)]
    fn store_f64(self, x: Self::F64, to: &mut [f64]) {
        let to: &mut [f64; 16] = to.first_chunk_mut().expect("two whole vectors");
        simd!({
            _mm512_storeu_pd(to[..8].as_mut_ptr(), x[0]);
            _mm512_storeu_pd(to[8..].as_mut_ptr(), x[1]);
        });
    }
    #[inline(always)]
    fn load_f32(self, from: &[f32]) -> Self::F32 {
        let from: &[f32; 16] = from.first_chunk().expect("a whole vector");
        simd!(_mm512_loadu_ps(from.as_ptr()))
    }
    #[inline(always)]
    fn load_f64(self, from: &[f64]) -> Self::F64 {
        let from: &[f64; 16] = from.first_chunk().expect("two whole vectors");
        simd!([_mm512_loadu_pd(from[..8].as_ptr()), _mm512_loadu_pd(from[8..].as_ptr())])
    }
    #[inline(always)]
    fn widen_f32(self, a: Self::F32) -> Self::F64 {
        simd!([_mm512_cvtps_pd(_mm512_castps512_ps256(a)), _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(a))])
    }
}

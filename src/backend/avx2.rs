//! x86-64 with AVX2, F16C and FMA: eight lanes, and pairs of registers for 64-bit elements.
//!
//! A table of sixteen rows is two registers of 32-bit elements, or four of 64-bit elements, and a look-up is a few
//! permutations of these.

use super::{Backend, Task};
use std::arch::x86_64::*;

/// Proof that the CPU has the instructions: only [`Avx2::detect`] makes a value.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") && is_x86_feature_detected!("fma"))
            .then_some(Self(()))
    }
}

macro_rules! simd {
    ($call:expr) => {
        // SAFETY: the CPU has the instructions, since only `detect` makes a value of `Avx2`. Each load or store has the
        // pointer of an array, or of a slice whose length was checked, of the register's size.
        unsafe { $call }
    };
}

/// Two registers of four 64-bit elements.
type Pair<T> = [T; 2];

impl Avx2 {
    #[inline(always)]
    fn halves(self, a: __m256i) -> Pair<__m128i> {
        simd!([_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a)])
    }

    /// The transpose of four rows of four 32-bit words, in each 128-bit part.
    #[inline(always)]
    fn transpose4(self, a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> [__m256i; 4] {
        simd!({
            let (ab0, ab1) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
            let (cd0, cd1) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
            [
                _mm256_unpacklo_epi64(ab0, cd0),
                _mm256_unpackhi_epi64(ab0, cd0),
                _mm256_unpacklo_epi64(ab1, cd1),
                _mm256_unpackhi_epi64(ab1, cd1),
            ]
        })
    }

    /// The low words and the high words of 64-bit elements. Their order is two of `a`, two of `b`, two of `a`, two of
    /// `b`.
    #[inline(always)]
    fn split(self, a: __m256i, b: __m256i) -> Pair<__m256i> {
        simd!({
            let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
            let words = [_mm256_shuffle_ps::<0x88>(a, b), _mm256_shuffle_ps::<0xdd>(a, b)];
            [_mm256_castps_si256(words[0]), _mm256_castps_si256(words[1])]
        })
    }

    /// A register of constants.
    #[inline(always)]
    fn constants<T, const N: usize>(self, rows: &[T; N]) -> __m256i {
        const { assert!(size_of::<[T; N]>() == size_of::<__m256i>()) };
        simd!(_mm256_loadu_si256(rows.as_ptr().cast()))
    }

    /// `table[index mod 16]` for the sixteen words of two registers.
    #[inline(always)]
    fn choose(self, low: __m256i, high: __m256i, index: __m256i) -> __m256i {
        simd!({
            // Start with `low`, and change it to `high` by an exclusive or if bit 3 of the index is set. This is less
            // work than a blend.
            let differs = _mm256_permutevar8x32_epi32(_mm256_xor_si256(low, high), index);
            let in_high = _mm256_srai_epi32::<31>(_mm256_slli_epi32::<28>(index));
            _mm256_xor_si256(_mm256_permutevar8x32_epi32(low, index), _mm256_and_si256(differs, in_high))
        })
    }

    /// `table[index mod 16]` of 32-bit elements.
    #[inline(always)]
    fn lookup_32<T>(self, table: &[T; 16], index: __m256i) -> __m256i {
        let [low, high] = table.as_chunks::<8>().0 else { unreachable!("two halves") };
        self.choose(self.constants(low), self.constants(high), index)
    }

    /// `table[index mod 16]` of 64-bit elements, by their low and their high words. Gathers would not be faster, and
    /// are slow on many CPUs without AVX-512.
    #[inline(always)]
    fn lookup_64<T>(self, table: &[T; 16], index: Pair<__m256i>) -> Pair<__m256i> {
        let [a, b, c, d] = table.as_chunks::<4>().0 else { unreachable!("four quarters") };
        let (first, last) =
            (self.split(self.constants(a), self.constants(b)), self.split(self.constants(c), self.constants(d)));
        // `split` interleaves two pairs of rows. Restore the order of rows.
        let first = simd!(pair!(first => _mm256_permute4x64_epi64::<0b11_01_10_00>(first)));
        let last = simd!(pair!(last => _mm256_permute4x64_epi64::<0b11_01_10_00>(last)));
        let [index, _] = self.split(index[0], index[1]);
        let [low, high] = pair!(first, last => self.choose(first, last, index));
        simd!([_mm256_unpacklo_epi32(low, high), _mm256_unpackhi_epi32(low, high)])
    }
}

impl Backend for Avx2 {
    const LANES: usize = 8;
    type U32 = __m256i;
    type F32 = __m256;
    type U64 = Pair<__m256i>;
    type F64 = Pair<__m256d>;
    const REGISTERS: usize = 16;

    #[inline(never)]
    fn vectorize<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx2,f16c,fma")]
        fn inner<T: Task>(backend: Avx2, task: T) -> T::Output {
            task.run(backend)
        }
        simd!(inner(self, task))
    }

    instructions! {
        add(a: U32, b: U32) -> U32 = _mm256_add_epi32;
        sub(a: U32, b: U32) -> U32 = _mm256_sub_epi32;
        and(a: U32, b: U32) -> U32 = _mm256_and_si256;
        xor(a: U32, b: U32) -> U32 = _mm256_xor_si256;
        to_f32(a: U32) -> F32 = _mm256_cvtepi32_ps;
        bits(a: F32) -> U32 = _mm256_castps_si256;
        f32_of_bits(a: U32) -> F32 = _mm256_castsi256_ps;
        add_f32(a: F32, b: F32) -> F32 = _mm256_add_ps;
        mul_f32(a: F32, b: F32) -> F32 = _mm256_mul_ps;
        fma_f32(a: F32, b: F32, c: F32) -> F32 = _mm256_fmadd_ps;
    }
    instructions! {
        add_u64(a: U64, b: U64) -> U64 = each _mm256_add_epi64;
        sub_u64(a: U64, b: U64) -> U64 = each _mm256_sub_epi64;
        and_u64(a: U64, b: U64) -> U64 = each _mm256_and_si256;
        xor_u64(a: U64, b: U64) -> U64 = each _mm256_xor_si256;
        bits_u64(a: F64) -> U64 = each _mm256_castpd_si256;
        f64_of_bits(a: U64) -> F64 = each _mm256_castsi256_pd;
        add_f64(a: F64, b: F64) -> F64 = each _mm256_add_pd;
        mul_f64(a: F64, b: F64) -> F64 = each _mm256_mul_pd;
        sub_f64(a: F64, b: F64) -> F64 = each _mm256_sub_pd;
        div_f64(a: F64, b: F64) -> F64 = each _mm256_div_pd;
        sqrt_f64(a: F64) -> F64 = each _mm256_sqrt_pd;
        fma_f64(a: F64, b: F64, c: F64) -> F64 = each _mm256_fmadd_pd;
    }

    #[inline(always)]
    fn load(self, from: &[u32]) -> Self::U32 {
        let from: &[u32; 8] = from.first_chunk().expect("a whole vector");
        simd!(_mm256_loadu_si256(from.as_ptr().cast()))
    }
    #[inline(always)]
    fn store(self, x: Self::U32, to: &mut [u32]) {
        let to: &mut [u32; 8] = to.first_chunk_mut().expect("a whole vector");
        simd!(_mm256_storeu_si256(to.as_mut_ptr().cast(), x));
    }
    #[inline(always)]
    fn splat(self, x: u32) -> Self::U32 {
        simd!(_mm256_set1_epi32(x.cast_signed()))
    }
    #[inline(always)]
    fn rotate_left<const BY: u32>(self, a: Self::U32) -> Self::U32 {
        // For 8 and 16 bits, the compiler replaces this by a shuffle of bytes.
        simd!(_mm256_or_si256(
            _mm256_sllv_epi32(a, _mm256_set1_epi32(BY as i32)),
            _mm256_srlv_epi32(a, _mm256_set1_epi32(32 - BY as i32))
        ))
    }
    #[inline(always)]
    fn shift_right<const BY: u32>(self, a: Self::U32) -> Self::U32 {
        simd!(_mm256_srlv_epi32(a, _mm256_set1_epi32(BY as i32)))
    }
    #[inline(always)]
    fn sign_mask(self, a: Self::U32) -> Self::U32 {
        simd!(_mm256_srai_epi32::<31>(a))
    }
    #[inline(always)]
    fn less(self, a: Self::U32, b: Self::U32) -> u32 {
        simd!(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(b, a)))).cast_unsigned()
    }
    #[inline(always)]
    fn store_blocks(self, words: &[Self::U32; 16], to: &mut [u32]) {
        let to: &mut [u32; 128] = to.first_chunk_mut().expect("eight blocks");
        for (q, w) in words.as_chunks::<4>().0.iter().enumerate() {
            for (k, row) in self.transpose4(w[0], w[1], w[2], w[3]).into_iter().enumerate() {
                // Part p of this row has words 4q..4q+4 of block 4p + k. Each part is stored by itself, since storing
                // whole blocks would need more shuffles.
                for (p, part) in self.halves(row).into_iter().enumerate() {
                    let at = 16 * (4 * p + k) + 4 * q;
                    simd!(_mm_storeu_si128(to[at..at + 4].as_mut_ptr().cast(), part));
                }
            }
        }
    }
    #[inline(always)]
    fn lookup(self, table: &[i32; 16], index: Self::U32) -> Self::U32 {
        self.lookup_32(table, index)
    }

    #[inline(always)]
    fn splat_f32(self, x: f32) -> Self::F32 {
        simd!(_mm256_set1_ps(x))
    }
    #[inline(always)]
    fn clamp_f32(self, x: Self::F32, low: Self::F32, high: Self::F32) -> Self::F32 {
        simd!(_mm256_min_ps(high, _mm256_max_ps(low, x)))
    }
    #[inline(always)]
    fn lookup_f32(self, table: &[f32; 16], index: Self::U32) -> Self::F32 {
        simd!(_mm256_castsi256_ps(self.lookup_32(table, index)))
    }
    #[inline(always)]
    fn store_f32(self, x: Self::F32, to: &mut [f32]) {
        let to: &mut [f32; 8] = to.first_chunk_mut().expect("a whole vector");
        simd!(_mm256_storeu_ps(to.as_mut_ptr(), x));
    }
    #[inline(always)]
    fn store_f16(self, x: Self::F32, to: &mut [u16]) {
        let to: &mut [u16; 8] = to.first_chunk_mut().expect("a whole vector");
        simd!(_mm_storeu_si128(to.as_mut_ptr().cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x)));
    }
    #[inline(always)]
    fn store_low_halves(self, x: Self::U32, to: &mut [u16]) {
        let to: &mut [u16; 8] = to.first_chunk_mut().expect("a whole vector");
        let [low, high] = self.halves(simd!(_mm256_and_si256(x, _mm256_set1_epi32(0xffff))));
        simd!(_mm_storeu_si128(to.as_mut_ptr().cast(), _mm_packus_epi32(low, high)));
    }

    #[inline(always)]
    fn join(self, high: Self::U32, low: Self::U32) -> Self::U64 {
        simd!({
            let (a, b) = (_mm256_unpacklo_epi32(low, high), _mm256_unpackhi_epi32(low, high));
            [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)]
        })
    }
    #[inline(always)]
    fn splat_u64(self, x: u64) -> Self::U64 {
        [simd!(_mm256_set1_epi64x(x.cast_signed())); 2]
    }
    #[inline(always)]
    fn shift_right_u64<const BY: u32>(self, a: Self::U64) -> Self::U64 {
        simd!(pair!(a => _mm256_srlv_epi64(a, _mm256_set1_epi64x(BY.into()))))
    }
    #[inline(always)]
    fn shift_left_u64<const BY: u32>(self, a: Self::U64) -> Self::U64 {
        simd!(pair!(a => _mm256_sllv_epi64(a, _mm256_set1_epi64x(BY.into()))))
    }
    #[inline(always)]
    fn sign_mask_u64(self, a: Self::U64) -> Self::U64 {
        simd!(pair!(a => _mm256_cmpgt_epi64(_mm256_setzero_si256(), a)))
    }
    #[inline(always)]
    fn lookup_u64(self, table: &[i64; 16], index: Self::U64) -> Self::U64 {
        self.lookup_64(table, index)
    }

    #[inline(always)]
    fn to_f64(self, a: Self::U64) -> Self::F64 {
        // AVX2 cannot convert 64-bit integers. The low and the high 32 bits are written into the mantissas of 2^52 +
        // low and of 2^84 + 2^32 high. The subtraction of 2^84 + 2^52 is exact, and the addition rounds once.
        let (low_one, high_one) = ((1u64 << 52) as f64, (1u128 << 84) as f64);
        simd!(pair!(a => {
            let low = _mm256_blend_epi32::<0b1010_1010>(a, _mm256_castpd_si256(_mm256_set1_pd(low_one)));
            let high = _mm256_or_si256(_mm256_srli_epi64::<32>(a), _mm256_castpd_si256(_mm256_set1_pd(high_one)));
            let exact = _mm256_sub_pd(_mm256_castsi256_pd(high), _mm256_set1_pd(high_one + low_one));
            _mm256_add_pd(exact, _mm256_castsi256_pd(low))
        }))
    }
    #[inline(always)]
    fn widen(self, a: Self::U32) -> Self::F64 {
        let a = self.halves(a);
        simd!(pair!(a => _mm256_cvtepi32_pd(a)))
    }
    #[inline(always)]
    fn narrow(self, a: Self::F64) -> Self::F32 {
        let [low, high] = simd!(pair!(a => _mm256_cvtpd_ps(a)));
        simd!(_mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high))
    }
    #[inline(always)]
    fn splat_f64(self, x: f64) -> Self::F64 {
        [simd!(_mm256_set1_pd(x)); 2]
    }
    #[inline(always)]
    fn clamp_f64(self, x: Self::F64, low: Self::F64, high: Self::F64) -> Self::F64 {
        simd!(pair!(x, low, high => _mm256_min_pd(high, _mm256_max_pd(low, x))))
    }
    #[inline(always)]
    fn lookup_f64(self, table: &[f64; 16], index: Self::U64) -> Self::F64 {
        let x = self.lookup_64(table, index);
        simd!(pair!(x => _mm256_castsi256_pd(x)))
    }
    #[inline(always)]
    fn store_f64(self, x: Self::F64, to: &mut [f64]) {
        let to: &mut [f64; 8] = to.first_chunk_mut().expect("two whole vectors");
        simd!({
            _mm256_storeu_pd(to[..4].as_mut_ptr(), x[0]);
            _mm256_storeu_pd(to[4..].as_mut_ptr(), x[1]);
        });
    }
    #[inline(always)]
    fn load_f32(self, from: &[f32]) -> Self::F32 {
        let from: &[f32; 8] = from.first_chunk().expect("a whole vector");
        simd!(_mm256_loadu_ps(from.as_ptr()))
    }
    #[inline(always)]
    fn load_f64(self, from: &[f64]) -> Self::F64 {
        let from: &[f64; 8] = from.first_chunk().expect("two whole vectors");
        simd!([_mm256_loadu_pd(from[..4].as_ptr()), _mm256_loadu_pd(from[4..].as_ptr())])
    }
    #[inline(always)]
    fn widen_f32(self, a: Self::F32) -> Self::F64 {
        simd!([_mm256_cvtps_pd(_mm256_castps256_ps128(a)), _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(a))])
    }
}

//! Backends: the same vector operations in each instruction set.
//!
//! The keystream, the quantiles and the matrix products are written once, for the lanes of a [`Backend`]. Every
//! operation of the trait is exact or correctly rounded (IEEE 754). So all backends give the same bits, and differ only
//! in the number of lanes. Only `fma_f32` and `fma_f64` fuse a multiplication with an addition.
//!
//! | module | contents |
//! |---|---|
//! | `portable` | arrays of lanes, for any CPU; with one lane, the scalar arithmetic of rare cases |
//! | `avx2`, `avx512` | intrinsics of x86-64 |
//! | `absent` | the stub of an instruction set that this architecture does not have |
//! | `dispatch` | the choice of a backend at run time |
//! | `macros` | macros that several backends use |
//!
//! To add an instruction set, write a module with a type that only its `detect` constructs, implement [`Backend`] for
//! the type, and add a variant in `dispatch`.

#[macro_use]
mod macros;

#[cfg(not(target_arch = "x86_64"))]
mod absent;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dispatch;
mod portable;

#[cfg(not(target_arch = "x86_64"))]
use absent::{Absent as Avx2, Absent as Avx512};
#[cfg(target_arch = "x86_64")]
use {avx2::Avx2, avx512::Avx512};

#[cfg(feature = "python")]
pub use dispatch::name;
#[cfg(test)]
pub use dispatch::on_each;
pub use dispatch::run;
pub(crate) use macros::each;
pub use portable::Portable;

/// Number of lanes of the widest backend. Buffers are padded to a multiple of it.
pub const MAX_LANES: usize = 16;

/// An instruction set. All vectors have `LANES` elements, whether these have 32 or 64 bits.
///
/// A value of the implementing type proves that the CPU has the instructions.
pub trait Backend: Copy + Send + Sync {
    /// Number of elements of a vector, a divisor of [`MAX_LANES`].
    const LANES: usize;
    /// `LANES` integers of 32 bits, signed or not.
    type U32: Copy;
    /// `LANES` f32.
    type F32: Copy;
    /// `LANES` integers of 64 bits, signed or not.
    type U64: Copy;
    /// `LANES` f64.
    type F64: Copy;
    /// Number of `F32` that fit into the CPU's vector registers at the same time.
    const REGISTERS: usize;

    /// Run `task` in a separate function. The function is compiled for the backend's instructions, and its loop has all
    /// registers.
    fn vectorize<T: Task>(self, task: T) -> T::Output;

    /// Apply `function` to vectors. In it, no lane depends on another lane.
    #[inline(always)]
    fn lanewise<F: Lanewise<N>, const N: usize>(self, function: F, vectors: &mut [Self::U32; N]) {
        function.run(self, vectors);
    }

    fn load(self, from: &[u32]) -> Self::U32;
    fn store(self, x: Self::U32, to: &mut [u32]);
    fn splat(self, x: u32) -> Self::U32;
    fn add(self, a: Self::U32, b: Self::U32) -> Self::U32;
    fn sub(self, a: Self::U32, b: Self::U32) -> Self::U32;
    fn and(self, a: Self::U32, b: Self::U32) -> Self::U32;
    fn xor(self, a: Self::U32, b: Self::U32) -> Self::U32;
    fn rotate_left<const BY: u32>(self, a: Self::U32) -> Self::U32;
    fn shift_right<const BY: u32>(self, a: Self::U32) -> Self::U32;
    /// All ones in the lanes whose sign bit is set, else zero.
    fn sign_mask(self, a: Self::U32) -> Self::U32;
    /// The lanes with `a < b` as signed integers. One bit for each lane, the first lane in the lowest bit.
    fn less(self, a: Self::U32, b: Self::U32) -> u32;
    /// Write `LANES` blocks of the keystream, one after the other. Vector `w` has word `w` of each block, so that this
    /// is a transposition.
    fn store_blocks(self, words: &[Self::U32; 16], to: &mut [u32]);
    /// `table[index mod 16]`.
    fn lookup(self, table: &[i32; 16], index: Self::U32) -> Self::U32;

    /// The f32 that is nearest to an i32.
    fn to_f32(self, a: Self::U32) -> Self::F32;
    fn bits(self, a: Self::F32) -> Self::U32;
    fn f32_of_bits(self, a: Self::U32) -> Self::F32;
    fn splat_f32(self, x: f32) -> Self::F32;
    fn add_f32(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn mul_f32(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `low` if x < low, `high` if x > high, else `x`. So a zero keeps its sign.
    fn clamp_f32(self, x: Self::F32, low: Self::F32, high: Self::F32) -> Self::F32;
    /// `table[index mod 16]`.
    fn lookup_f32(self, table: &[f32; 16], index: Self::U32) -> Self::F32;
    fn store_f32(self, x: Self::F32, to: &mut [f32]);
    /// Store as the bits of float16, rounded to nearest, ties to even.
    fn store_f16(self, x: Self::F32, to: &mut [u16]);
    /// Store the lower 16 bits of each element.
    fn store_low_halves(self, x: Self::U32, to: &mut [u16]);

    /// `high * 2^32 + low`.
    fn join(self, high: Self::U32, low: Self::U32) -> Self::U64;
    fn splat_u64(self, x: u64) -> Self::U64;
    fn add_u64(self, a: Self::U64, b: Self::U64) -> Self::U64;
    fn sub_u64(self, a: Self::U64, b: Self::U64) -> Self::U64;
    fn and_u64(self, a: Self::U64, b: Self::U64) -> Self::U64;
    fn xor_u64(self, a: Self::U64, b: Self::U64) -> Self::U64;
    fn shift_right_u64<const BY: u32>(self, a: Self::U64) -> Self::U64;
    fn shift_left_u64<const BY: u32>(self, a: Self::U64) -> Self::U64;
    /// All ones in the lanes whose sign bit is set, else zero.
    fn sign_mask_u64(self, a: Self::U64) -> Self::U64;
    /// `table[index mod 16]`.
    fn lookup_u64(self, table: &[i64; 16], index: Self::U64) -> Self::U64;

    /// The f64 that is nearest to a non-negative i64.
    fn to_f64(self, a: Self::U64) -> Self::F64;
    /// The f64 equal to an i32.
    fn widen(self, a: Self::U32) -> Self::F64;
    /// a - 2^31 + 1/2, exactly: the distance of a word's midpoint from the centre of all words.
    #[inline(always)]
    fn signed_midpoint(self, a: Self::U32) -> Self::F64 {
        self.add_f64(self.widen(self.xor(a, self.splat(1 << 31))), self.splat_f64(0.5))
    }
    /// The nearest f32.
    fn narrow(self, a: Self::F64) -> Self::F32;
    fn bits_u64(self, a: Self::F64) -> Self::U64;
    fn f64_of_bits(self, a: Self::U64) -> Self::F64;
    fn splat_f64(self, x: f64) -> Self::F64;
    fn add_f64(self, a: Self::F64, b: Self::F64) -> Self::F64;
    fn mul_f64(self, a: Self::F64, b: Self::F64) -> Self::F64;
    fn sub_f64(self, a: Self::F64, b: Self::F64) -> Self::F64;
    fn div_f64(self, a: Self::F64, b: Self::F64) -> Self::F64;
    fn sqrt_f64(self, a: Self::F64) -> Self::F64;
    /// Clamp as [`Self::clamp_f32`] does.
    fn clamp_f64(self, x: Self::F64, low: Self::F64, high: Self::F64) -> Self::F64;
    /// `table[index mod 16]`.
    fn lookup_f64(self, table: &[f64; 16], index: Self::U64) -> Self::F64;
    fn store_f64(self, x: Self::F64, to: &mut [f64]);

    fn load_f32(self, from: &[f32]) -> Self::F32;
    fn load_f64(self, from: &[f64]) -> Self::F64;
    /// `a * b + c`, rounded once.
    fn fma_f32(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// `a * b + c`, rounded once.
    fn fma_f64(self, a: Self::F64, b: Self::F64, c: Self::F64) -> Self::F64;
    /// The f64 equal to an f32.
    fn widen_f32(self, a: Self::F32) -> Self::F64;
}

/// A computation for the lanes of any backend.
pub trait Task {
    /// The result.
    type Output;
    /// Run the computation. Implementations must be `#[inline(always)]`, and so must all functions that they call in a
    /// hot loop: only code that is inlined into [`Backend::vectorize`] is compiled for the backend's instructions.
    fn run<B: Backend>(self, backend: B) -> Self::Output;
}

/// A function of `N` vectors in which no lane depends on another.
pub trait Lanewise<const N: usize> {
    /// Apply the function. Implementations must be `#[inline(always)]`, as those of [`Task`].
    fn run<B: Backend>(&self, backend: B, vectors: &mut [B::U32; N]);
}

//! Matrix products with the same bits on every CPU and number of threads.
//!
//! ```text
//! c[i][j] = a[i][0] b[0][j] + a[i][1] b[1][j] + ... + a[i][k - 1] b[k - 1][j]
//! ```
//!
//! The sum is divided into chains of [`CHAIN`] terms. A chain starts at zero, and each step is one fused multiplication
//! and addition, rounded once (`fusedMultiplyAdd` of IEEE 754-2008). The chains are added in pairs, the sums of pairs
//! in pairs, and so on; the last of an odd number goes to the next level unchanged. This is pairwise summation (N. J.
//! Higham, *The accuracy of floating point summation*, SIAM J. Sci. Comput. 14, 1993). Its error grows with the
//! logarithm of the number of chains, and its parts can be computed in any order and by any thread.
//!
//! The order of summation is fixed, but different elements of `c` can be computed at the same time. Vectors run along
//! j, and a tile of `c` stays in registers while a chain is summed (K. Goto and R. van de Geijn, *Anatomy of
//! high-performance matrix multiplication*, ACM Trans. Math. Softw. 34, 2008).
//!
//! ```
//! use seedbed::matmul::product;
//!
//! let (left, right, mut out) = ([1.0f32, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [0.0; 4]);
//! product((&left, &right), [2, 2, 2], &mut out, 1.try_into()?, || true)?;
//! assert_eq!(out, [19.0, 22.0, 43.0, 50.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod pairwise;
mod tile;

use crate::backend::{self, Backend, Task};
use crate::element::Real;
use crate::parallel::{Proceed, Stopped, for_each};
use std::num::NonZero;

pub(crate) use pairwise::Pairwise;
pub(crate) use tile::{Block, BlockTask, Left, Lines, Multiply, filled, tile_width, with_blocks};

/// Number of terms of a chain. The roundings depend on it, so that another number would be a new algorithm version.
pub const CHAIN: usize = 32;

/// Number of threads worth starting for this many multiplications, up to `threads`.
pub(crate) fn useful_threads(threads: NonZero<usize>, multiplications: usize) -> usize {
    /// Multiplications that take some five times as long as the start of a thread.
    const WORTH_A_THREAD: usize = 1 << 22;
    threads.get().min(1 + multiplications / WORTH_A_THREAD)
}

/// Number of rows of a product that a thread computes at a time: a multiple of the rows of every tile. Each pass over
/// them reads the right factor once.
const ROWS: usize = 192;

/// Write to `out` the product of a matrix of `m` rows and `k` columns with one of `k` rows and `n` columns, all in C
/// order, on up to `threads` threads, the calling one included.
///
/// `proceed` is called on the calling thread about every 20 ms. If it returns false, the work stops soon and leaves
/// part of `out` unchanged.
///
/// # Errors
///
/// If `proceed` returned false, or if there is no memory for copies of the factors.
///
/// # Panics
///
/// If the length of a slice is not that of its matrix.
pub fn product<T: Real>(
    (left, right): (&[T], &[T]),
    shape: [usize; 3],
    out: &mut [T],
    threads: NonZero<usize>,
    proceed: impl Fn() -> bool,
) -> Result<(), Stopped> {
    let [m, k, n] = shape;
    assert_eq!(
        (left.len(), right.len(), out.len()),
        (m * k, k * n, m * n),
        "slices must have the elements of their matrices"
    );
    if k == 0 || out.is_empty() {
        out.fill(T::default());
        return Ok(());
    }
    let threads = useful_threads(threads, (m * n).saturating_mul(k));
    backend::run(Product { left, right, shape, out, threads, proceed: &proceed })
}

/// A product whose lengths have been checked.
struct Product<'a, T> {
    left: &'a [T],
    right: &'a [T],
    /// m, k and n.
    shape: [usize; 3],
    out: &'a mut [T],
    threads: usize,
    proceed: &'a dyn Fn() -> bool,
}

impl<T: Real> Task for Product<'_, T> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Self::Output {
        with_blocks(b, self)
    }
}

impl<T: Real> BlockTask for Product<'_, T> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend, const N: usize>(self, b: B) -> Self::Output {
        let ([_, k, n], width) = (self.shape, tile_width::<B, T>());
        // The right factor is copied once to tiles of `width` columns, so that all threads read it in the order of
        // memory.
        let tile = k.next_multiple_of(N) * width;
        let mut right = Lines::zeros(n.div_ceil(width) * tile)?;
        for (i, row) in self.right.chunks_exact(n).enumerate() {
            for (part, tile) in row.chunks(width).zip(right.chunks_exact_mut(tile)) {
                tile[i * width..][..part.len()].copy_from_slice(part);
            }
        }
        let parts = self.left.chunks(ROWS * k).zip(self.out.chunks_mut(ROWS * n));
        for_each(parts, self.threads.min(self.shape[0].div_ceil(ROWS)), self.proceed, |(left, out), proceed| {
            b.vectorize(Part::<T, N> { left, right: &right, shape: [k, n], out, proceed })
        })
    }
}

/// Up to [`ROWS`] rows of a product.
struct Part<'a, T, const N: usize> {
    /// These rows of the left factor.
    left: &'a [T],
    /// The right factor in tiles, padded to whole blocks of rows.
    right: &'a [T],
    /// k and n: the numbers of columns of the two factors.
    shape: [usize; 2],
    /// The rows of the product.
    out: &'a mut [T],
    proceed: &'a Proceed<'a>,
}

impl<T: Real, const N: usize> Task for Part<'_, T, N> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Self::Output {
        let ([k, n], width) = (self.shape, tile_width::<B, T>());
        let across = k.div_ceil(N);
        let mut left = filled([[T::default(); N]; N], self.out.len().div_ceil(N * n) * across)?;
        for (i, row) in self.left.chunks_exact(k).enumerate() {
            for (j, part) in row.chunks(N).enumerate() {
                left[i / N * across + j][i % N][..part.len()].copy_from_slice(part);
            }
        }
        let mut sums = Pairwise::new(N * width);
        for (at, right) in self.right.chunks_exact(across * N * width).enumerate() {
            (self.proceed)()?;
            let columns = at * width..n.min((at + 1) * width);
            for (left, out) in left.chunks_exact(across).zip(self.out.chunks_mut(N * n)) {
                for (i, (left, right)) in left.chunks(CHAIN / N).zip(right.chunks(CHAIN * width)).enumerate() {
                    let mut chains = sums.array()?;
                    let (across, product) = (left.len(), &mut chains[..]);
                    b.vectorize(Multiply { left, across, order: Left::Rows, right, product, add: false });
                    sums.add(i, chains);
                }
                let total = sums.total().expect("k is not 0");
                for (to, from) in out.chunks_exact_mut(n).zip(total.chunks_exact(width)) {
                    to[columns.clone()].copy_from_slice(&from[..columns.len()]);
                }
                sums.recycle(total);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of many binary orders and both signs.
    fn numbers<T: Real>(count: usize, salt: u64) -> Vec<T> {
        let mixed = |i: u64| (i + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let number = |i| (mixed(i).cast_signed() >> 11) as f64 * 2f64.powi(-(mixed(i) as i32 & 15) - 53);
        (0..count as u64).map(number).map(T::nearest).collect()
    }

    #[derive(Clone, Copy)]
    struct Multiplied<'a, T> {
        factors: (&'a [T], &'a [T]),
        shape: [usize; 3],
        threads: usize,
    }

    impl<T: Real> Task for Multiplied<'_, T> {
        type Output = Vec<T>;

        #[inline(always)]
        fn run<B: Backend>(self, b: B) -> Vec<T> {
            let ((left, right), shape, threads) = (self.factors, self.shape, self.threads);
            let mut out = vec![T::default(); shape[0] * shape[2]];
            with_blocks(b, Product { left, right, shape, out: &mut out, threads, proceed: &|| true })
                .expect("a product");
            out
        }
    }

    /// Pairwise summation by its definition.
    fn pairwise<T: Real + std::ops::Add<Output = T>>(mut sums: Vec<T>) -> T {
        while sums.len() > 1 {
            sums = sums.chunks(2).map(|pair| if let [a, b] = *pair { a + b } else { pair[0] }).collect();
        }
        sums[0]
    }

    fn products_are_summed_in_order<T: Real + std::ops::Add<Output = T>>(fma: impl Fn(T, T, T) -> T) {
        for (m, k, n) in [(1, 1, 1), (1, 7, 3), (5, 1, 2), (12, 12, 32), (13, 25, 33), (7, 300, 65), (400, 33, 50)] {
            let (a, b) = (numbers::<T>(m * k, 1), numbers::<T>(k * n, 2));
            let mut want = Vec::new();
            for i in 0..m {
                for j in 0..n {
                    let chain = |l: usize| {
                        let terms = l..k.min(l + CHAIN);
                        terms.fold(T::default(), |sum, l| fma(a[i * k + l], b[l * n + j], sum))
                    };
                    want.push(pairwise((0..k).step_by(CHAIN).map(chain).collect()));
                }
            }
            for threads in 1..=3 {
                let multiplied = Multiplied { factors: (&a, &b), shape: [m, k, n], threads };
                for (name, made) in backend::on_each(multiplied) {
                    assert_eq!(made, want, "{name}, {threads} threads, {m} x {k} x {n} in {}", T::NAME);
                }
            }
        }
    }

    #[test]
    fn every_backend_sums_in_order_and_fuses() {
        products_are_summed_in_order::<f32>(f32::mul_add);
        products_are_summed_in_order::<f64>(f64::mul_add);
    }

    #[test]
    fn a_product_without_terms_is_zero() {
        let one = NonZero::<usize>::MIN;
        let mut out = [1.0f64; 2];
        product((&[], &[]), [2, 0, 1], &mut out, one, || true).expect("a product");
        assert_eq!(out, [0.0; 2]);
        product::<f32>((&[], &[1.0; 6]), [0, 2, 3], &mut [], one, || unreachable!()).expect("a product");
    }

    #[test]
    fn it_stops_soon_after_an_interruption() {
        let factor = vec![1.0f32; 1 << 22];
        let (mut out, shape) = (vec![0.0; 1 << 22], [1 << 11; 3]);
        let run = product((&factor, &factor), shape, &mut out, NonZero::<usize>::MIN, || false);
        assert_eq!(run, Err(Stopped::Interrupted));
    }
}

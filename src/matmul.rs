//! Matrix products that have the same bits everywhere.
//!
//! ```text
//! c[i][j]  ->  c[i][j] + a[i][0] b[0][j] + a[i][1] b[1][j] + ...
//! ```
//!
//! is summed from left to right, and each step is one fused multiplication and addition, rounded once (`fusedMultiplyAdd`
//! of IEEE 754-2008). Vectors run along j, tiles of rows and columns stay in registers, and blocks of k in the caches; none
//! of that is seen in a sum, since a sum that is put down and taken up again is the same.
//!
//! The left factor is stored in square blocks, so that it can be read by rows, and transposed by columns, with
//! neighbours close together in both; the right factor and the sums are rows of a common length, padded to whole tiles.
//!
//! ```
//! use seedbed::matmul::product;
//!
//! let (left, right, mut out) = ([1.0f32, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [0.0; 4]);
//! product((&left, &right), [2, 2, 2], &mut out, 1.try_into()?, || true)?;
//! assert_eq!(out, [19.0, 22.0, 43.0, 50.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::backend::{self, Backend, Task};
use crate::narrow::Real;
use crate::share::{GoOn, Stopped, share};
use std::collections::TryReserveError;
use std::num::NonZero;
use std::ops::{Deref, DerefMut};

/// `N` rows and columns of a left factor.
pub(crate) type Block<T, const N: usize> = [[T; N]; N];

/// Something to be done with tiles of `N` rows.
pub(crate) trait TileTask {
    type Output;
    fn run<B: Backend, const N: usize>(self, backend: B) -> Self::Output;
}

/// Run `task` with tiles of as many rows as the backend's registers hold: each has the lengths of [`tile_width`], and one
/// row's worth of registers is left for the factors.
#[inline(always)]
pub(crate) fn with_tiles<B: Backend, T: TileTask>(b: B, task: T) -> T::Output {
    match B::REGISTERS {
        32.. => task.run::<B, 12>(b),
        16.. => task.run::<B, 6>(b),
        _ => task.run::<B, 4>(b),
    }
}

/// The rows of any backend's tiles divide it.
pub(crate) const COMMON_ROWS: usize = 12;

/// Vectors in a row of a tile: two registers of float32, or one vector of float64, which is as many.
const fn tile_vectors<B: Backend, T: Real>() -> usize {
    if B::REGISTERS >= 16 { size_of::<f64>() / size_of::<T>() } else { 1 }
}

/// Columns of a tile.
pub(crate) const fn tile_width<B: Backend, T: Real>() -> usize {
    B::LANES * tile_vectors::<B, T>()
}

/// Add to a tile, `N` rows of `sums` from the column `at` on, the product of `N` rows of a left factor with as many rows
/// of the right factor, `rows`, as the blocks have columns. Rows of both are `step` long. The blocks are those of these
/// rows, from left to right; or where `TRANSPOSED`, those of `N` columns of the transposed factor, downwards.
#[inline(always)]
pub(crate) fn add_product<'a, B: Backend, T: Real, const N: usize, const TRANSPOSED: bool>(
    b: B,
    blocks: impl Iterator<Item = &'a Block<T, N>>,
    rows: &[T],
    sums: &mut [T],
    (step, at): (usize, usize),
) {
    let mut tile = [[T::splat(b, T::default()); 2]; N];
    for (i, tile) in tile.iter_mut().enumerate() {
        for (v, sum) in tile.iter_mut().enumerate().take(tile_vectors::<B, T>()) {
            *sum = T::load(b, &sums[i * step + at + v * B::LANES..]);
        }
    }
    for (block, rows) in blocks.zip(rows.chunks_exact(N * step)) {
        for (k, row) in rows.chunks_exact(step).enumerate().take(N) {
            let row = &row[at..at + tile_width::<B, T>()];
            let mut right = [T::splat(b, T::default()); 2];
            for (v, right) in right.iter_mut().enumerate().take(tile_vectors::<B, T>()) {
                *right = T::load(b, &row[v * B::LANES..]);
            }
            for i in 0..N {
                let left = T::splat(b, if TRANSPOSED { block[k][i] } else { block[i][k] });
                for v in 0..tile_vectors::<B, T>() {
                    tile[i][v] = T::fma(b, left, right[v], tile[i][v]);
                }
            }
        }
    }
    for (i, tile) in tile.iter().enumerate() {
        for (v, sum) in tile.iter().enumerate().take(tile_vectors::<B, T>()) {
            T::store(b, *sum, &mut sums[i * step + at + v * B::LANES..]);
        }
    }
}

/// Rows of a matrix, `width` columns from `rows[0]` on, as rows of blocks; beyond the matrix there are zeros.
pub(crate) fn blocks_of<T: Real, const N: usize>(
    rows: &[T],
    step: usize,
    width: usize,
) -> Result<Vec<Block<T, N>>, TryReserveError> {
    let across = width.div_ceil(N);
    let mut blocks = filled([[T::default(); N]; N], (rows.len() / step.max(1)).div_ceil(N) * across)?;
    for (i, row) in rows.chunks_exact(step.max(1)).enumerate() {
        for (j, part) in row[..width].chunks(N).enumerate() {
            blocks[i / N * across + j][i % N][..part.len()].copy_from_slice(part);
        }
    }
    Ok(blocks)
}

/// So many of a value, where there is memory for them.
pub(crate) fn filled<T: Clone>(value: T, count: usize) -> Result<Vec<T>, TryReserveError> {
    let mut values = Vec::new();
    values.try_reserve_exact(count)?;
    values.resize(count, value);
    Ok(values)
}

/// Numbers from the beginning of a cache line on: no vector of them straddles two.
#[derive(Debug)]
pub(crate) struct Lines<T> {
    numbers: Vec<T>,
    skip: usize,
}

impl<T: Real> Lines<T> {
    /// Zeros, where there is memory for them.
    pub(crate) fn zeros(count: usize) -> Result<Self, TryReserveError> {
        const LINE: usize = 64; // bytes
        let mut numbers = filled(T::default(), count + LINE / size_of::<T>())?;
        let skip = numbers.as_ptr().align_offset(LINE);
        numbers.truncate(skip + count);
        Ok(Self { numbers, skip })
    }
}

impl<T> Deref for Lines<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.numbers[self.skip..]
    }
}

impl<T> DerefMut for Lines<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.numbers[self.skip..]
    }
}

/// How many of the threads pay for so many multiplications.
pub(crate) fn that_pay(threads: NonZero<usize>, multiplications: usize) -> usize {
    const SHARE: usize = 1 << 22;
    threads.get().min(1 + multiplications / SHARE)
}

/// Rows of a product that are made at a time.
const ROWS: usize = 16 * COMMON_ROWS;

/// Write to `out` the product of a matrix of `m` rows and `k` columns with one of `k` rows and `n` columns, all in C order,
/// on up to `threads` threads, the calling one among them.
///
/// `proceed` is called there now and then; where it says no, the work stops soon and leaves part of `out` as it was.
///
/// # Errors
///
/// Where `proceed` said no, or there is no memory for copies of the factors.
///
/// # Panics
///
/// Where a slice has another length.
pub fn product<T: Real>(
    (left, right): (&[T], &[T]),
    shape: [usize; 3],
    out: &mut [T],
    threads: NonZero<usize>,
    proceed: impl Fn() -> bool,
) -> Result<(), Stopped> {
    let [m, k, n] = shape;
    assert_eq!((left.len(), right.len(), out.len()), (m * k, k * n, m * n), "as many elements as the shapes have");
    if k == 0 || out.is_empty() {
        out.fill(T::default());
        return Ok(());
    }
    let threads = that_pay(threads, (m * n).saturating_mul(k));
    backend::run(Product { left, right, shape, out, threads, proceed: &proceed })
}

struct Product<'a, T> {
    left: &'a [T],
    right: &'a [T],
    shape: [usize; 3],
    out: &'a mut [T],
    threads: usize,
    proceed: &'a dyn Fn() -> bool,
}

impl<T: Real> Task for Product<'_, T> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Self::Output {
        with_tiles(b, self)
    }
}

impl<T: Real> TileTask for Product<'_, T> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend, const N: usize>(self, b: B) -> Self::Output {
        let [_, k, n] = self.shape;
        let step = n.next_multiple_of(tile_width::<B, T>());
        let mut right = Lines::zeros(k.next_multiple_of(N) * step)?;
        for (to, from) in right.chunks_exact_mut(step).zip(self.right.chunks_exact(n)) {
            to[..n].copy_from_slice(from);
        }
        let parts = self.left.chunks(ROWS * k).zip(self.out.chunks_mut(ROWS * n));
        share(parts, self.threads.min(self.shape[0].div_ceil(ROWS)), self.proceed, |(left, out), go_on| {
            b.vectorize(Part::<T, N> { left, right: &right, shape: [k, n], step, out, go_on })
        })
    }
}

/// Up to [`ROWS`] rows of a product.
struct Part<'a, T, const N: usize> {
    left: &'a [T],
    right: &'a [T],
    shape: [usize; 2],
    step: usize,
    out: &'a mut [T],
    go_on: &'a GoOn<'a>,
}

impl<T: Real, const N: usize> Task for Part<'_, T, N> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Self::Output {
        let ([k, n], step) = (self.shape, self.step);
        let left = blocks_of::<T, N>(self.left, k, k)?;
        let mut sums = Lines::zeros((self.out.len() / n).next_multiple_of(N) * step)?;
        for at in (0..step).step_by(tile_width::<B, T>()) {
            (self.go_on)()?;
            for (blocks, sums) in left.chunks_exact(k.div_ceil(N)).zip(sums.chunks_exact_mut(N * step)) {
                add_product::<B, T, N, false>(b, blocks.iter(), self.right, sums, (step, at));
            }
        }
        for (to, from) in self.out.chunks_exact_mut(n).zip(sums.chunks_exact(step)) {
            to.copy_from_slice(&from[..n]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of many sizes and both signs.
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
            with_tiles(b, Product { left, right, shape, out: &mut out, threads, proceed: &|| true })
                .expect("a product");
            out
        }
    }

    fn products_are_summed_in_order<T: Real>(fma: impl Fn(T, T, T) -> T) {
        for (m, k, n) in [(1, 1, 1), (1, 7, 3), (5, 1, 2), (12, 12, 32), (13, 25, 33), (7, 300, 65), (400, 33, 50)] {
            let (a, b) = (numbers::<T>(m * k, 1), numbers::<T>(k * n, 2));
            let mut want = Vec::new();
            for i in 0..m {
                for j in 0..n {
                    want.push((0..k).fold(T::default(), |sum, l| fma(a[i * k + l], b[l * n + j], sum)));
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
    fn a_sum_of_nothing_is_zero() {
        let one = NonZero::<usize>::MIN;
        let mut out = [1.0f64; 2];
        product((&[], &[]), [2, 0, 1], &mut out, one, || true).expect("a product");
        assert_eq!(out, [0.0; 2]);
        product::<f32>((&[], &[1.0; 6]), [0, 2, 3], &mut [], one, || unreachable!()).expect("a product");
    }

    #[test]
    fn it_stops_where_it_is_told_to() {
        let factor = vec![1.0f32; 1 << 22];
        let (mut out, shape) = (vec![0.0; 1 << 22], [1 << 11; 3]);
        let run = product((&factor, &factor), shape, &mut out, NonZero::<usize>::MIN, || false);
        assert_eq!(run, Err(Stopped::Interrupted));
    }
}

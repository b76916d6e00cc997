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
//! The left factor is stored in square [`Block`]s, so that it can be read by rows, and transposed by columns, with
//! neighbours close together in both; the right factor and the sums are rows of a common length, padded to whole tiles.
//!
//! ```
//! use seedbed::matmul::product;
//! let (a, b) = ([1.0f32, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
//! assert_eq!(product(&a, &b, [2, 2, 2]), [19.0, 22.0, 43.0, 50.0]);
//! ```

use crate::backend::{self, Backend, Task};
use crate::narrow::Real;

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

/// Vectors in a row of a tile.
const fn tile_vectors<B: Backend, T: Real>() -> usize {
    if B::REGISTERS >= 16 { T::VECTORS } else { 1 }
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
            T::store(b, T::vector(*sum), &mut sums[i * step + at + v * B::LANES..]);
        }
    }
}

/// Rows of a matrix, `width` columns from `rows[0]` on, as rows of blocks; beyond the matrix there are zeros.
pub(crate) fn blocks_of<T: Real, const N: usize>(rows: &[T], step: usize, width: usize) -> Vec<Block<T, N>> {
    let across = width.div_ceil(N);
    let mut blocks = vec![[[T::default(); N]; N]; (rows.len() / step.max(1)).div_ceil(N) * across];
    for (i, row) in rows.chunks_exact(step.max(1)).enumerate() {
        for (j, part) in row[..width].chunks(N).enumerate() {
            blocks[i / N * across + j][i % N][..part.len()].copy_from_slice(part);
        }
    }
    blocks
}

/// The product of a matrix of `m` rows and `k` columns with one of `k` rows and `n` columns, all in C order.
///
/// # Panics
///
/// Where a slice has another length.
pub fn product<T: Real>(a: &[T], b: &[T], [m, k, n]: [usize; 3]) -> Vec<T> {
    assert_eq!((a.len(), b.len()), (m * k, k * n), "the factors have the lengths of their shapes");
    if m * n * k == 0 {
        return vec![T::default(); m * n];
    }
    backend::run(Product { a, b, shape: [m, k, n] })
}

#[derive(Clone, Copy)]
struct Product<'a, T> {
    a: &'a [T],
    b: &'a [T],
    shape: [usize; 3],
}

impl<T: Real> Task for Product<'_, T> {
    type Output = Vec<T>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Vec<T> {
        with_tiles(b, self)
    }
}

impl<T: Real> TileTask for Product<'_, T> {
    type Output = Vec<T>;

    #[inline(always)]
    fn run<B: Backend, const N: usize>(self, b: B) -> Vec<T> {
        let [m, k, n] = self.shape;
        let blocks = blocks_of::<T, N>(self.a, k, k);
        let width = tile_width::<B, T>();
        // A strip of the right factor, as wide as a tile, and what it gives.
        let mut rows = vec![T::default(); k.next_multiple_of(N) * width];
        let mut sums = vec![T::default(); N * width];
        let mut out = vec![T::default(); m * n];
        for first in (0..n).step_by(width) {
            let count = width.min(n - first);
            for (to, from) in rows.chunks_exact_mut(width).zip(self.b.chunks_exact(n)) {
                to[..count].copy_from_slice(&from[first..first + count]);
            }
            for (blocks, out) in blocks.chunks_exact(k.div_ceil(N)).zip(out.chunks_mut(N * n)) {
                sums.fill(T::default());
                add_product::<B, T, N, false>(b, blocks.iter(), &rows, &mut sums, (width, 0));
                for (to, from) in out.chunks_exact_mut(n).zip(sums.chunks_exact(width)) {
                    to[first..first + count].copy_from_slice(&from[..count]);
                }
            }
        }
        out
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

    fn products_are_summed_in_order<T: Real>(fma: impl Fn(T, T, T) -> T) {
        for (m, k, n) in [(1, 1, 1), (1, 7, 3), (5, 1, 2), (12, 12, 32), (13, 25, 33), (7, 300, 65), (40, 33, 100)] {
            let (a, b) = (numbers::<T>(m * k, 1), numbers::<T>(k * n, 2));
            let mut want = Vec::new();
            for i in 0..m {
                for j in 0..n {
                    want.push((0..k).fold(T::default(), |sum, l| fma(a[i * k + l], b[l * n + j], sum)));
                }
            }
            for (name, made) in backend::on_each(Product { a: &a, b: &b, shape: [m, k, n] }) {
                assert_eq!(made, want, "{name}, {m} x {k} x {n} in {}", T::NAME);
            }
        }
    }

    #[test]
    fn every_backend_sums_in_order_and_fuses() {
        products_are_summed_in_order::<f32>(f32::mul_add);
        products_are_summed_in_order::<f64>(f64::mul_add);
    }

    #[test]
    fn what_has_no_elements_has_no_product_or_zeros() {
        assert_eq!(product::<f32>(&[], &[1.0; 6], [0, 2, 3]), []);
        assert_eq!(product::<f64>(&[1.0; 2], &[], [2, 1, 0]), []);
        assert_eq!(product::<f64>(&[], &[], [2, 0, 1]), [0.0; 2]);
    }
}

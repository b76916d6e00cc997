//! The inner loop of all matrix products: a tile of sums that stays in registers.
//!
//! A step reads a row of the right tile into vectors. Then, for each of `N` rows of the left factor, it broadcasts one
//! number, multiplies each vector by it, and adds the product to the sums. If a row of the tile takes two vectors,
//! these are `2 N` fused operations for `N + 2` loads, so that the loads are not the limit.

use crate::backend::{Backend, Task};
use crate::element::Real;
use std::collections::TryReserveError;
use std::ops::{Deref, DerefMut};

/// `N` rows and columns of a left factor. A factor in blocks can be read by rows or, for the transposed factor, by
/// columns. In both cases, consecutive numbers are close in memory.
pub(crate) type Block<T, const N: usize> = [[T; N]; N];

/// A task that is generic in the size `N` of blocks.
pub(crate) trait BlockTask {
    type Output;
    /// Run it. Implementations must be `#[inline(always)]`, as those of [`Task`].
    fn run<B: Backend, const N: usize>(self, backend: B) -> Self::Output;
}

/// Run `task` with the largest blocks for which the backend has registers: each row of sums takes two, and the factors
/// take a few. Each of these sizes divides [`CHAIN`](super::CHAIN), so that a chain is a whole number of blocks.
#[inline(always)]
pub(crate) fn with_blocks<B: Backend, T: BlockTask>(b: B, task: T) -> T::Output {
    match B::REGISTERS {
        32.. => task.run::<B, 8>(b),
        _ => task.run::<B, 4>(b),
    }
}

/// Number of vectors in a row of a tile. A row takes two registers: two vectors of float32, or one of float64, which is
/// a pair of registers. It is one vector if there are few registers.
const fn tile_vectors<B: Backend, T: Real>() -> usize {
    if B::REGISTERS >= 16 { size_of::<f64>() / size_of::<T>() } else { 1 }
}

/// Number of columns of a tile.
pub(crate) const fn tile_width<B: Backend, T: Real>() -> usize {
    B::LANES * tile_vectors::<B, T>()
}

/// The order in which the blocks of a left factor are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// By rows.
    Rows,
    /// By rows, without the blocks right of the diagonal, which are zero.
    LowerRows,
    /// By columns: the factor is transposed.
    Columns,
}

/// Multiplies a left factor by a tile of the right factor. Each element is one chain, which starts at zero and takes
/// the rows of the tile in order.
///
/// Callers must run it by [`Backend::vectorize`], so that it is compiled as a separate function, whose loop has all
/// registers.
pub(crate) struct Multiply<'a, T, const N: usize> {
    /// The blocks of the left factor, one row of blocks after the other.
    pub(crate) left: &'a [Block<T, N>],
    /// Number of blocks in a row.
    pub(crate) across: usize,
    /// The order in which the blocks are read.
    pub(crate) order: Left,
    /// The right factor: rows of [`tile_width`] numbers.
    pub(crate) right: &'a [T],
    /// The product: a row of [`tile_width`] numbers for each row of the left factor, or each column if it is
    /// transposed.
    pub(crate) product: &'a mut [T],
    /// Whether the product is added to the numbers in `product`. Otherwise it replaces them.
    pub(crate) add: bool,
}

impl<T: Real, const N: usize> Task for Multiply<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        let Self { left, across, order, right, product, add } = self;
        for (i, product) in product.chunks_exact_mut(N * tile_width::<B, T>()).enumerate() {
            let tile = if order == Left::Columns {
                let Some(left) = left.get(i..).filter(|_| i < across) else { break };
                chains::<B, T, N, true>(b, left.iter().step_by(across), right)
            } else {
                let Some(left) = left.get(i * across..(i + 1) * across) else { break };
                let count = if order == Left::LowerRows { across.min(i + 1) } else { across };
                chains::<B, T, N, false>(b, left[..count].iter(), right)
            };
            for (i, sums) in tile.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate().take(tile_vectors::<B, T>()) {
                    let to = &mut product[i * tile_width::<B, T>() + v * B::LANES..];
                    T::store(b, if add { T::add(b, T::load(b, to), *sum) } else { *sum }, to);
                }
            }
        }
    }
}

/// The product of `N` rows of a left factor and a tile. If the factor is `TRANSPOSED`, of `N` of its columns.
#[inline(always)]
fn chains<'a, B: Backend, T: Real, const N: usize, const TRANSPOSED: bool>(
    b: B,
    left: impl Iterator<Item = &'a Block<T, N>>,
    right: &[T],
) -> [[T::Lanes<B>; 2]; N] {
    let mut sums = [[T::splat(b, T::default()); 2]; N];
    for (block, rows) in left.zip(right.chunks(N * tile_width::<B, T>())) {
        for k in 0..N {
            let row = &rows[k * tile_width::<B, T>()..(k + 1) * tile_width::<B, T>()];
            let mut right = [T::splat(b, T::default()); 2];
            for (v, right) in right.iter_mut().enumerate().take(tile_vectors::<B, T>()) {
                *right = T::load(b, &row[v * B::LANES..]);
            }
            for i in 0..N {
                let left = T::splat(b, if TRANSPOSED { block[k][i] } else { block[i][k] });
                for v in 0..tile_vectors::<B, T>() {
                    sums[i][v] = T::fma(b, left, right[v], sums[i][v]);
                }
            }
        }
    }
    sums
}

/// A vector of `count` copies of a value, or an error if there is no memory for it.
pub(crate) fn filled<T: Clone>(value: T, count: usize) -> Result<Vec<T>, TryReserveError> {
    let mut values = Vec::new();
    values.try_reserve_exact(count)?;
    values.resize(count, value);
    Ok(values)
}

/// An array that starts at a cache line. A load of a vector that straddles two lines would take twice as long.
#[derive(Debug)]
pub(crate) struct Lines<T> {
    numbers: Vec<T>,
    /// Number of elements before the first cache line.
    skip: usize,
}

impl<T: Real> Lines<T> {
    /// `count` zeros, or an error if there is no memory for them.
    pub(crate) fn zeros(count: usize) -> Result<Self, TryReserveError> {
        const LINE: usize = 64; // size of a cache line, in bytes
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

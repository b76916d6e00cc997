//! Strips: some columns of the matrix, to which the panels of reflections are applied.
//!
//! A strip q is initialized with columns of the identity. Reflections of later columns leave it unchanged, so that only
//! the panels of its own columns and of earlier columns are applied, the last one first. A panel with the vectors U and
//! the factors tau replaces q by q + U z, where z is the solution of a triangular system:
//!
//! ```text
//! z[k] = -tau[k] (u[k]' q + sum of u[k]' u[m] z[m] over m > k)
//! ```
//!
//! This is the UT transform (T. Joffrain, T. M. Low, E. S. Quintana-Orti, R. van de Geijn and F. G. Van Zee,
//! *Accumulating Householder transformations, revisited*, ACM Trans. Math. Softw. 32, 2006). It replaces 32 passes over
//! q, one for each reflection, by two matrix products, U' q and U z. The compact WY form multiplies by a triangular
//! matrix instead of solving; that matrix would be rounded first.
//!
//! z depends on all rows of q. So each panel takes one [`Pass`] over the rows. While a block of rows is in the cache,
//! the pass adds U z of the panel before, and then adds U' q of this panel to the sums. From these sums, [`Solve`]
//! computes z. The last pass adds U z of panel 0, and writes the elements.

use super::panel::{Panel, Reader};
use super::ranges::Ranges;
use super::{PANEL, Stopped};
use crate::backend::{Backend, Task};
use crate::element::{Element, Real};
use crate::matmul::{Left, Lines, Multiply, Pairwise, filled, tile_width};
use crate::parallel::Proceed;
use ndarray::{ArrayViewMut2, Axis, s};
use std::ops::Range;

/// The columns of the matrix that one call computes.
pub(super) struct Strip<'a, T: Element, const N: usize> {
    /// All panels that change these columns: from the first panel to the one with the last column.
    pub(super) panels: &'a [Panel<T::Computed, N>],
    /// Index of the first column, a multiple of [`PANEL`].
    pub(super) first: usize,
    /// Factor of all elements.
    pub(super) gain: f64,
    /// The memory of these columns in the matrix.
    pub(super) out: ArrayViewMut2<'a, T>,
}

impl<T: Element, const N: usize> Strip<'_, T, N> {
    /// Compute the columns and write them to `out`.
    pub(super) fn make<B: Backend>(self, b: B, ranges: &Ranges, proceed: &Proceed<'_>) -> Result<(), Stopped> {
        let Self { panels, first, gain, mut out } = self;
        let ((rows, width), columns) = (out.dim(), Columns::new::<B, T::Computed>(first, out.ncols()));
        let blocks = rows.div_ceil(PANEL);
        // A single panel needs no memory for q: it is applied to the identity in the pass that writes the elements.
        let kept_of_block = if panels.len() > 1 { columns.numbers } else { 0 };
        let mut kept = Lines::zeros(blocks * kept_of_block)?;
        for (block, kept) in kept.chunks_exact_mut(columns.numbers).enumerate() {
            columns.set_ones(block, kept);
        }
        let mut applied = None;
        for (index, panel) in panels.iter().enumerate().rev() {
            // Before any panel is applied, q is a part of the identity. Its rows after the panel's block are zero, and
            // in the rows before it the vectors are: these rows need no pass.
            let blocks = index..if applied.is_none() { index + 1 } else { blocks };
            let parts = ranges.split(&mut kept[index * kept_of_block..], &blocks, kept_of_block);
            let mut products = ranges.sum(blocks, columns.numbers, proceed, parts, |blocks, kept, sums, proceed| {
                let next: Next<'_, T, N> = Next::Sum { panel, index, sums };
                b.vectorize(Pass { columns, applied: applied.as_ref(), next, blocks, kept, proceed })
            })?;
            b.vectorize(Solve { columns, panel, index, products: &mut products });
            applied = Some(Applied { panel, index, coefficients: products });
        }

        // In Stewart's construction, the last factor of Q is diag(-sign). The gain is applied in the same
        // multiplication.
        let mut scales = Lines::<T::Computed>::zeros(columns.tiles * columns.width)?;
        for (j, scale) in (first..first + width).zip(scales.iter_mut()) {
            *scale = T::Computed::nearest(if panels[j / PANEL].positive[j % PANEL] { -gain } else { gain });
        }
        // A matrix with fewer rows than columns is computed as its transpose, whose columns are contiguous.
        let by_rows = out.strides()[1] == 1;
        let outs = out.axis_chunks_iter_mut(Axis(0), ranges.length() * PANEL);
        let parts = ranges.split(&mut kept, &(0..blocks), kept_of_block).zip(outs);
        ranges.each(0..blocks, proceed, parts, |blocks, (kept, out), proceed| {
            let next = Next::Write(Write { out, by_rows, scales: &scales });
            b.vectorize(Pass { columns, applied: applied.as_ref(), next, blocks, kept, proceed })
        })
    }
}

/// The layout of a strip in memory: blocks of [`PANEL`] rows, in each of these the tiles, and in a tile the rows.
///
/// A tile is a factor of [`Multiply`], and has the width of its tiles.
#[derive(Clone, Copy)]
struct Columns {
    /// Index of the strip's first column in the matrix.
    first: usize,
    /// Number of columns.
    count: usize,
    /// Number of columns of a tile.
    width: usize,
    /// Number of tiles. The last one may be padded with columns that the matrix does not have.
    tiles: usize,
    /// Number of elements of a block of rows, padding included.
    numbers: usize,
}

impl Columns {
    fn new<B: Backend, T: Real>(first: usize, count: usize) -> Self {
        let width = tile_width::<B, T>();
        let tiles = count.div_ceil(width);
        Self { first, count, width, tiles, numbers: tiles * PANEL * width }
    }

    /// Set the ones of the identity in block number `block` of rows, which is zero.
    fn set_ones<T: Real>(&self, block: usize, to: &mut [T]) {
        for i in 0..PANEL {
            let row = block * PANEL + i;
            if (self.first..self.first + self.count).contains(&row) {
                let j = row - self.first;
                to[(j / self.width * PANEL + i) * self.width + j % self.width] = T::nearest(1.0);
            }
        }
    }

    /// Indices of the tiles with columns from column `column` of the matrix on. A panel leaves the columns before its
    /// own unchanged.
    fn tiles_from(&self, column: usize) -> Range<usize> {
        column.saturating_sub(self.first) / self.width..self.tiles
    }

    /// The position of tile number `index` in a block of rows.
    #[inline(always)]
    fn tile(&self, index: usize) -> Range<usize> {
        index * PANEL * self.width..(index + 1) * PANEL * self.width
    }
}

/// A panel and its coefficients z. The next pass adds U z.
struct Applied<'a, T, const N: usize> {
    panel: &'a Panel<T, N>,
    /// Index of the panel.
    index: usize,
    /// z, in tiles of [`PANEL`] rows.
    coefficients: Lines<T>,
}

impl<T: Real, const N: usize> Applied<'_, T, N> {
    /// Add U z to block number `block` of rows; `left` has these rows of U.
    #[inline(always)]
    fn add_to<B: Backend>(&self, b: B, columns: Columns, block: usize, left: &[[[T; N]; N]], to: &mut [T]) {
        // In the rows with the panel's diagonal, U is zero above the diagonal.
        let order = if block == self.index { Left::LowerRows } else { Left::Rows };
        for tile in columns.tiles_from(self.index * PANEL) {
            let (right, product) = (&self.coefficients[columns.tile(tile)], &mut to[columns.tile(tile)]);
            b.vectorize(Multiply { left, across: self.panel.across(), order, right, product, add: true });
        }
    }
}

/// A pass over blocks of rows: adds U z of one panel, then sums U' q of the next panel or writes the elements.
struct Pass<'a, T: Element, const N: usize> {
    columns: Columns,
    /// The panel whose U z is added. `None` in the first pass.
    applied: Option<&'a Applied<'a, T::Computed, N>>,
    next: Next<'a, T, N>,
    /// Indices of the blocks of rows to pass over.
    blocks: Range<usize>,
    /// The rows of q. Empty if they are not kept, since they are those of the identity.
    kept: &'a mut [T::Computed],
    proceed: &'a Proceed<'a>,
}

/// The second step of a pass, after U z is added to a block of rows.
enum Next<'a, T: Element, const N: usize> {
    /// Add U' q of panel number `index` to the sums.
    Sum { panel: &'a Panel<T::Computed, N>, index: usize, sums: &'a mut Pairwise<T::Computed> },
    /// Write the elements.
    Write(Write<'a, T>),
}

impl<T: Element, const N: usize> Task for Pass<'_, T, N> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Self::Output {
        let Self { columns, applied, mut next, blocks, kept, proceed } = self;
        let mut applied =
            applied.map(|applied| Ok::<_, Stopped>((applied, Reader::new(applied.panel)?))).transpose()?;
        // The pass reads the vectors of two panels: the one that is applied, and the next one.
        let mut reader = if let Next::Sum { panel, .. } = &next { Some(Reader::new(panel)?) } else { None };
        let mut identity = Lines::zeros(if kept.is_empty() { columns.numbers } else { 0 })?;
        let mut scaled = filled(T::default(), if reader.is_none() { columns.numbers } else { 0 })?;
        let start = blocks.start;
        for block in blocks {
            (proceed)()?;
            let q = if kept.is_empty() {
                identity.fill(T::Computed::default());
                columns.set_ones(block, &mut identity);
                &mut identity
            } else {
                &mut kept[(block - start) * columns.numbers..][..columns.numbers]
            };
            if let Some((applied, reader)) = &mut applied
                && block >= applied.index
            {
                applied.add_to(b, columns, block, reader.vectors(block), q);
            }
            match (&mut next, &mut reader) {
                (Next::Sum { panel, index, sums }, Some(reader)) => {
                    let (left, across, order) = (reader.vectors(block), panel.across(), Left::Columns);
                    let mut products = sums.array()?;
                    let mut tiles = columns.tiles_from(*index * PANEL);
                    if block == *index {
                        // In the rows with the panel's diagonal, q is still the identity: its columns after those of
                        // the panel are zero.
                        products.fill(T::Computed::default());
                        tiles.end =
                            tiles.end.min(((*index + 1) * PANEL).saturating_sub(columns.first).div_ceil(columns.width));
                    }
                    for tile in tiles {
                        let (right, product) = (&q[columns.tile(tile)], &mut products[columns.tile(tile)]);
                        b.vectorize(Multiply { left, across, order, right, product, add: false });
                    }
                    sums.add(block, products);
                }
                (Next::Write(write), _) => {
                    let rows = (block - start) * PANEL..write.out.nrows().min((block - start + 1) * PANEL);
                    write.rows(b, columns, q, rows, &mut scaled);
                }
                (Next::Sum { .. }, None) => unreachable!("a sum has a reader"),
            }
        }
        Ok(())
    }
}

/// Replaces the products U' q of a panel by z. This is back substitution, from the last reflection to the first.
///
/// As soon as `z[m]` is known, its term `u[k]' u[m] z[m]` is added to the products of all k < m. So the sum for `z[k]`
/// is complete when `z[k]` is computed. The columns of q are independent of each other: they are the lanes of vectors.
struct Solve<'a, T, const N: usize> {
    columns: Columns,
    panel: &'a Panel<T, N>,
    /// Index of the panel.
    index: usize,
    /// U' q, which z replaces, in tiles of [`PANEL`] rows.
    products: &'a mut [T],
}

impl<T: Real, const N: usize> Task for Solve<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        let Self { columns, panel, index, products } = self;
        for tile in columns.tiles_from(index * PANEL) {
            let tile = &mut products[columns.tile(tile)];
            for k in (0..panel.width).rev() {
                let (above, row) = tile.split_at_mut(k * columns.width);
                let minus_tau = T::splat(b, panel.minus_taus[k]);
                for at in (0..columns.width).step_by(B::LANES) {
                    let z = T::mul(b, minus_tau, T::load(b, &row[at..]));
                    T::store(b, z, &mut row[at..]);
                    for (i, above) in above.chunks_exact_mut(columns.width).enumerate() {
                        let product = T::splat(b, panel.product(b, i, k));
                        T::store(b, T::fma(b, product, z, T::load(b, &above[at..])), &mut above[at..]);
                    }
                }
            }
        }
    }
}

/// Multiplies columns by the gain and the sign, rounds them to the element type, and writes them to the matrix.
struct Write<'a, T: Element> {
    /// The rows of the matrix that the pass writes.
    out: ArrayViewMut2<'a, T>,
    /// Whether rows are contiguous in memory; otherwise columns are.
    by_rows: bool,
    /// Factor of each column: the gain or its negative.
    scales: &'a [T::Computed],
}

impl<T: Element> Write<'_, T> {
    /// Write `rows` of `out` from a block `q` of rows. `scaled` is a buffer for the rounded elements in the layout of
    /// `q`.
    #[inline(always)]
    fn rows<B: Backend>(&mut self, b: B, columns: Columns, q: &[T::Computed], rows: Range<usize>, scaled: &mut [T]) {
        let width = columns.width;
        for tile in 0..columns.tiles {
            let scales = &self.scales[tile * width..];
            for (row, to) in
                q[columns.tile(tile)].chunks_exact(width).zip(scaled[columns.tile(tile)].chunks_exact_mut(width))
            {
                for at in (0..width).step_by(B::LANES) {
                    let (x, scale) = (T::Computed::load(b, &row[at..]), T::Computed::load(b, &scales[at..]));
                    T::store(b, T::Computed::mul(b, x, scale), &mut to[at..at + B::LANES]);
                }
            }
        }
        let mut out = self.out.slice_mut(s![rows, ..]);
        if self.by_rows {
            for (i, mut row) in out.rows_mut().into_iter().enumerate() {
                let row = row.as_slice_mut().expect("rows are contiguous");
                for (tile, to) in row.chunks_mut(width).enumerate() {
                    to.copy_from_slice(&scaled[columns.tile(tile)][i * width..][..to.len()]);
                }
            }
            return;
        }
        for (j, mut column) in out.columns_mut().into_iter().enumerate() {
            let column = column.as_slice_mut().expect("columns are contiguous");
            for (to, row) in column.iter_mut().zip(scaled[columns.tile(j / width)].chunks_exact(width)) {
                *to = row[j % width];
            }
        }
    }
}

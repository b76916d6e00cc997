//! Reflections, applied to columns of the matrix.
//!
//! A strip of columns begins as columns of the identity, and goes through the panels from its own one to the first. A panel
//! with the vectors U adds U z to the strip q, where z depends on the products U' q of all rows. So there is a pass over the
//! rows for each panel, which adds the U z of one panel and sums the U' q of the next; and a last one, which adds the U z of
//! the first panel and writes elements.

use super::panel::{Panel, Reader};
use super::ranges::Ranges;
use super::{PANEL, Stopped};
use crate::backend::{Backend, Task};
use crate::element::{Element, Real};
use crate::matmul::{Left, Lines, Multiply, Pairwise, filled, tile_width};
use crate::parallel::Proceed;
use ndarray::{ArrayViewMut2, Axis, s};
use std::ops::Range;

/// Columns of the matrix.
pub(super) struct Strip<'a, T: Element, const N: usize> {
    /// All panels that change these columns, from the first on.
    pub(super) panels: &'a [Panel<T::Computed, N>],
    /// Number of the first column, a multiple of [`PANEL`].
    pub(super) first: usize,
    pub(super) gain: f64,
    /// The elements to be written.
    pub(super) out: ArrayViewMut2<'a, T>,
}

impl<T: Element, const N: usize> Strip<'_, T, N> {
    /// Make the columns.
    pub(super) fn make<B: Backend>(self, b: B, ranges: &Ranges, proceed: &Proceed<'_>) -> Result<(), Stopped> {
        let Self { panels, first, gain, mut out } = self;
        let ((rows, width), columns) = (out.dim(), Columns::new::<B, T::Computed>(first, out.ncols()));
        let blocks = rows.div_ceil(PANEL);
        // Columns that only one panel changes are written as they are made, and need no memory.
        let kept_of_block = if panels.len() > 1 { columns.numbers } else { 0 };
        let mut kept = Lines::zeros(blocks * kept_of_block)?;
        for (block, kept) in kept.chunks_exact_mut(columns.numbers).enumerate() {
            columns.set_ones(block, kept);
        }
        let mut applied = None;
        for (index, panel) in panels.iter().enumerate().rev() {
            // The first time, all other rows are zero.
            let blocks = index..if applied.is_none() { index + 1 } else { blocks };
            let parts = ranges.split(&mut kept[index * kept_of_block..], &blocks, kept_of_block);
            let mut products = ranges.sum(blocks, columns.numbers, proceed, parts, |blocks, kept, sums, proceed| {
                let next: Next<'_, T, N> = Next::Sum { panel, index, sums };
                b.vectorize(Pass { columns, applied: applied.as_ref(), next, blocks, kept, proceed })
            })?;
            b.vectorize(Solve { columns, panel, index, products: &mut products });
            applied = Some(Applied { panel, index, coefficients: products });
        }

        let mut scales = Lines::<T::Computed>::zeros(columns.tiles * columns.width)?;
        for (j, scale) in (first..first + width).zip(scales.iter_mut()) {
            *scale = T::Computed::nearest(if panels[j / PANEL].positive[j % PANEL] { -gain } else { gain });
        }
        let by_rows = out.strides()[1] == 1;
        let outs = out.axis_chunks_iter_mut(Axis(0), ranges.length() * PANEL);
        let parts = ranges.split(&mut kept, &(0..blocks), kept_of_block).zip(outs);
        ranges.each(0..blocks, proceed, parts, |blocks, (kept, out), proceed| {
            let next = Next::Write(Write { out, by_rows, scales: &scales });
            b.vectorize(Pass { columns, applied: applied.as_ref(), next, blocks, kept, proceed })
        })
    }
}

/// The columns of a strip, which are stored by blocks of rows, and in these by tiles.
#[derive(Clone, Copy)]
struct Columns {
    /// Number of the first column.
    first: usize,
    /// Number of columns.
    count: usize,
    /// Columns of a tile.
    width: usize,
    /// Number of tiles. The last one may have columns that are none of the matrix.
    tiles: usize,
    /// Numbers in a block of rows.
    numbers: usize,
}

impl Columns {
    fn new<B: Backend, T: Real>(first: usize, count: usize) -> Self {
        let width = tile_width::<B, T>();
        let tiles = count.div_ceil(width);
        Self { first, count, width, tiles, numbers: tiles * PANEL * width }
    }

    /// Write the ones of the identity's columns to a block of rows that is zero.
    fn set_ones<T: Real>(&self, block: usize, to: &mut [T]) {
        for i in 0..PANEL {
            let row = block * PANEL + i;
            if (self.first..self.first + self.count).contains(&row) {
                let j = row - self.first;
                to[(j / self.width * PANEL + i) * self.width + j % self.width] = T::nearest(1.0);
            }
        }
    }

    /// The tiles with columns from number `column` on.
    fn tiles_from(&self, column: usize) -> Range<usize> {
        column.saturating_sub(self.first) / self.width..self.tiles
    }

    /// The numbers of a tile in a block of rows.
    #[inline(always)]
    fn tile(&self, index: usize) -> Range<usize> {
        index * PANEL * self.width..(index + 1) * PANEL * self.width
    }
}

/// A panel with what its vectors are multiplied by before they are added: the z of U z.
struct Applied<'a, T, const N: usize> {
    panel: &'a Panel<T, N>,
    index: usize,
    coefficients: Lines<T>,
}

impl<T: Real, const N: usize> Applied<'_, T, N> {
    /// Add U z to a block of rows.
    #[inline(always)]
    fn add_to<B: Backend>(&self, b: B, columns: Columns, block: usize, left: &[[[T; N]; N]], to: &mut [T]) {
        let order = if block == self.index { Left::LowerRows } else { Left::Rows };
        for tile in columns.tiles_from(self.index * PANEL) {
            let (right, product) = (&self.coefficients[columns.tile(tile)], &mut to[columns.tile(tile)]);
            b.vectorize(Multiply { left, across: self.panel.across(), order, right, product, add: true });
        }
    }
}

/// A pass over blocks of rows.
struct Pass<'a, T: Element, const N: usize> {
    columns: Columns,
    /// What is added first, if it is not the first pass.
    applied: Option<&'a Applied<'a, T::Computed, N>>,
    /// What comes next.
    next: Next<'a, T, N>,
    blocks: Range<usize>,
    /// The rows, or nothing where they are those of the identity.
    kept: &'a mut [T::Computed],
    proceed: &'a Proceed<'a>,
}

/// What is done with a block of rows.
enum Next<'a, T: Element, const N: usize> {
    /// Add U' q to sums.
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
                        // In these rows, the columns after the panel's own are zero.
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
                (Next::Sum { .. }, None) => unreachable!("sums have a reader"),
            }
        }
        Ok(())
    }
}

/// Turns the products U' q of a panel into z: one reflection after the other, the last one first.
///
/// With u the vector of a reflection, its product with q is u' q and what the reflections after it add to that.
struct Solve<'a, T, const N: usize> {
    columns: Columns,
    panel: &'a Panel<T, N>,
    index: usize,
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

/// Writes columns, times gain and sign, as elements.
struct Write<'a, T: Element> {
    /// The rows of a range.
    out: ArrayViewMut2<'a, T>,
    /// Whether rows are contiguous; else columns are.
    by_rows: bool,
    /// What each column is multiplied by.
    scales: &'a [T::Computed],
}

impl<T: Element> Write<'_, T> {
    /// Write some rows, by way of `scaled`.
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

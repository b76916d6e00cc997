//! Householder vectors, drawn by panels.
//!
//! Column j of a panel is a vector u, with zeros above the diagonal, 1 on it, and scaled normals below. Its scale depends on
//! the sum of the squares of all its normals. So a panel is drawn in two passes over its rows: the first sums the squares, the
//! second scales the normals and multiplies the vectors with each other. A panel that keeps its vectors draws the normals
//! once; one that does not, draws them again in each pass, which takes more time and no memory.

use super::ranges::Ranges;
use super::{PANEL, Stopped};
use crate::backend::{Backend, Task};
use crate::element::Real;
use crate::fill::Fill;
use crate::keystream::Keystream;
use crate::matmul::{Block, Left, Lines, Multiply, Pairwise, filled, tile_width};
use crate::parallel::Proceed;
use crate::recipe::{Distribution, Recipe};
use crate::region::{Axis, Region};
use std::num::NonZero;
use std::ops::Range;

/// Blocks of rows that are drawn at a time. A fill of fewer elements costs more for each.
const DRAWN_BLOCKS: usize = 8;

/// The normals that the vectors are made of: a tensor of `rows` rows and `columns` columns.
#[derive(Clone, Copy)]
pub(super) struct Normals {
    keystream: Keystream,
    recipe: Recipe,
    rows: usize,
    columns: usize,
}

impl Normals {
    pub(super) fn new<T: Real>(keystream: Keystream, [rows, columns]: [usize; 2]) -> Self {
        let recipe = Recipe::new::<T>(Distribution::Normal { mean: 0.0, stddev: 1.0 }).expect("every type has normals");
        Self { keystream, recipe, rows, columns }
    }

    /// Write a part of the tensor to the beginning of `out`, in C order.
    fn draw<T: Real>(&self, rows: &Range<usize>, columns: &Range<usize>, out: &mut [T]) {
        let axis = |length: usize, part: &Range<usize>| Axis {
            length: length as u64,
            start: part.start as u64,
            step: 1,
            count: part.len() as u64,
        };
        let region = Region::new(&[axis(self.rows, rows), axis(self.columns, columns)]).expect("a part of the tensor");
        let fill = Fill { keystream: self.keystream, recipe: self.recipe, region: &region };
        let out = &mut out[..rows.len() * columns.len()];
        fill.run(out, NonZero::<usize>::MIN, || true).expect("it is never told to stop");
    }
}

/// Up to [`PANEL`] reflections I - tau u u', of consecutive columns.
pub(super) struct Panel<T, const N: usize> {
    normals: Normals,
    /// Number of the panel, and of the block of rows that has its diagonal.
    index: usize,
    /// Number of reflections.
    pub(super) width: usize,
    /// What the normals of each column are multiplied by.
    scales: [f64; PANEL],
    /// -tau of each reflection.
    pub(super) minus_taus: [T; PANEL],
    /// Whether the first normal of each column is positive.
    pub(super) positive: [bool; PANEL],
    /// The products of the vectors, u' u, as tiles. Those above the diagonal are used.
    products: Vec<T>,
    /// The vectors from the diagonal's block of rows on, in rows of `across` blocks; or nothing.
    kept: Vec<Block<T, N>>,
}

impl<T: Real, const N: usize> Panel<T, N> {
    /// Draw panel number `index`.
    pub(super) fn draw<B: Backend>(
        b: B,
        normals: Normals,
        index: usize,
        keep: bool,
        ranges: &Ranges,
        proceed: &Proceed<'_>,
    ) -> Result<Self, Stopped> {
        let mut panel = Self {
            normals,
            index,
            width: PANEL.min(normals.columns - index * PANEL),
            scales: [0.0; PANEL],
            minus_taus: [T::default(); PANEL],
            positive: [false; PANEL],
            products: Vec::new(),
            kept: Vec::new(),
        };
        let blocks = index..normals.rows.div_ceil(PANEL);
        let kept_of_block = if keep { panel.blocks() } else { 0 };
        let mut kept = filled([[T::default(); N]; N], blocks.len() * kept_of_block)?;

        let parts = ranges.split(&mut kept, &blocks, kept_of_block);
        let squares =
            ranges.sum(blocks.clone(), PANEL, proceed, parts, |blocks, kept, sums: &mut Pairwise<f64>, proceed| {
                b.vectorize(Squares { panel: &panel, blocks, kept, sums, proceed })
            })?;
        panel.scale_columns(&squares);

        let (parts, length) = (ranges.split(&mut kept, &blocks, kept_of_block), PANEL * Self::product_columns::<B>());
        let products =
            ranges.sum(blocks.clone(), length, proceed, parts, |blocks, kept, sums: &mut Pairwise<T>, proceed| {
                b.vectorize(Products { panel: &panel, blocks, kept, sums, proceed })
            })?;
        panel.products = products.to_vec();
        panel.kept = kept;
        Ok(panel)
    }

    /// Blocks in a row.
    pub(super) fn across(&self) -> usize {
        self.width.div_ceil(N)
    }

    /// Blocks in [`PANEL`] rows.
    fn blocks(&self) -> usize {
        PANEL / N * self.across()
    }

    /// Columns of the products: whole tiles.
    fn product_columns<B: Backend>() -> usize {
        PANEL.next_multiple_of(tile_width::<B, T>())
    }

    /// The product of vectors i and k > i.
    #[inline(always)]
    pub(super) fn product<B: Backend>(&self, _: B, i: usize, k: usize) -> T {
        let width = tile_width::<B, T>();
        self.products[(k / width * PANEL + i) * width + k % width]
    }

    /// Set the scale, -tau and sign of each column, from the sum of the squares of its normals below the diagonal.
    fn scale_columns(&mut self, squares: &[f64]) {
        let columns = self.index * PANEL..self.index * PANEL + self.width;
        let mut normals = [T::default(); PANEL * PANEL];
        self.normals.draw(&columns, &columns, &mut normals);
        for j in 0..self.width {
            let (x, rest) = (normals[j * self.width + j].to_f64(), squares[j]);
            let alpha = x.mul_add(x, rest).sqrt();
            let tau = T::nearest(1.0 + x.abs() / alpha).to_f64();
            // A reflection has tau |u|^2 = 2. Where tau is small enough for it, the scale makes up for the rounding of tau.
            let scale = if tau <= 1.5 { ((2.0 / tau - 1.0) / rest).sqrt() } else { 1.0 / (x.abs() + alpha) };
            self.positive[j] = x > 0.0;
            self.scales[j] = if x > 0.0 { scale } else { -scale };
            self.minus_taus[j] = T::nearest(-tau);
        }
    }

    /// Scale the normals of a block of rows to vectors.
    #[inline(always)]
    fn scale(&self, block: usize, vectors: &mut [Block<T, N>]) {
        for row in vectors.chunks_exact_mut(self.across()) {
            for (block, scales) in row.iter_mut().zip(self.scales.as_chunks::<N>().0) {
                for row in block {
                    for (x, scale) in row.iter_mut().zip(scales) {
                        *x = T::nearest(x.to_f64() * scale);
                    }
                }
            }
        }
        if block == self.index {
            for i in 0..self.width {
                vectors[i / N * self.across() + i / N][i % N][i % N] = T::nearest(1.0);
            }
        }
    }
}

/// Reads a panel, one block of rows after the other.
pub(super) struct Reader<'a, T, const N: usize> {
    panel: &'a Panel<T, N>,
    /// Normals of the blocks of `drawn_blocks`, in C order.
    drawn: Vec<T>,
    drawn_blocks: Range<usize>,
    /// The vectors of one block of rows, where the panel does not keep them.
    vectors: Vec<Block<T, N>>,
}

impl<'a, T: Real, const N: usize> Reader<'a, T, N> {
    pub(super) fn new(panel: &'a Panel<T, N>) -> Result<Self, Stopped> {
        let draws = panel.kept.is_empty();
        Ok(Self {
            panel,
            drawn: filled(T::default(), if draws { DRAWN_BLOCKS * PANEL * panel.width } else { 0 })?,
            drawn_blocks: 0..0,
            vectors: filled([[T::default(); N]; N], if draws { panel.blocks() } else { 0 })?,
        })
    }

    /// The vectors in a block of rows.
    #[inline(always)]
    pub(super) fn vectors(&mut self, block: usize) -> &[Block<T, N>] {
        let panel = self.panel;
        if panel.kept.is_empty() {
            let mut vectors = std::mem::take(&mut self.vectors);
            self.draw(block, &mut vectors);
            panel.scale(block, &mut vectors);
            self.vectors = vectors;
            return &self.vectors;
        }
        &panel.kept[(block - panel.index) * panel.blocks()..][..panel.blocks()]
    }

    /// Write the normals below the diagonal in a block of rows, and zeros elsewhere.
    #[inline(always)]
    fn draw(&mut self, block: usize, to: &mut [Block<T, N>]) {
        let Panel { normals, index, width, .. } = *self.panel;
        let rows = block * PANEL..normals.rows.min((block + 1) * PANEL);
        if !self.drawn_blocks.contains(&block) {
            self.drawn_blocks = block..block + DRAWN_BLOCKS;
            let drawn = rows.start..normals.rows.min(self.drawn_blocks.end * PANEL);
            normals.draw(&drawn, &(index * PANEL..index * PANEL + width), &mut self.drawn);
        }
        let drawn = &self.drawn[(block - self.drawn_blocks.start) * PANEL * width..][..rows.len() * width];
        if rows.len() < PANEL || block == index || !width.is_multiple_of(N) {
            to.fill([[T::default(); N]; N]);
        }
        for (i, row) in drawn.chunks_exact(width).enumerate() {
            let below = if block == index { i.min(width) } else { width };
            for (part, to) in row[..below].chunks(N).zip(&mut to[i / N * self.panel.across()..]) {
                to[i % N][..part.len()].copy_from_slice(part);
            }
        }
    }
}

/// The first pass: sums the squares of each column below the diagonal, and keeps the normals.
struct Squares<'a, T, const N: usize> {
    panel: &'a Panel<T, N>,
    blocks: Range<usize>,
    kept: &'a mut [Block<T, N>],
    sums: &'a mut Pairwise<f64>,
    proceed: &'a Proceed<'a>,
}

impl<T: Real, const N: usize> Task for Squares<'_, T, N> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend>(self, _: B) -> Self::Output {
        let (mut reader, across) = (Reader::new(self.panel)?, self.panel.across());
        let mut vectors = filled([[T::default(); N]; N], self.panel.blocks())?;
        let mut kept = self.kept.chunks_exact_mut(self.panel.blocks());
        for block in self.blocks {
            (self.proceed)()?;
            reader.draw(block, &mut vectors);
            let mut squares = self.sums.array()?;
            squares.fill(0.0);
            for row in vectors.chunks_exact(across) {
                for (block, sums) in row.iter().zip(squares.as_chunks_mut::<N>().0) {
                    for row in block {
                        for (x, sum) in row.iter().map(|x| x.to_f64()).zip(&mut *sums) {
                            *sum = x.mul_add(x, *sum);
                        }
                    }
                }
            }
            self.sums.add(block, squares);
            if let Some(kept) = kept.next() {
                kept.copy_from_slice(&vectors);
            }
        }
        Ok(())
    }
}

/// The second pass: scales the normals and multiplies the vectors with each other.
struct Products<'a, T, const N: usize> {
    panel: &'a Panel<T, N>,
    blocks: Range<usize>,
    kept: &'a mut [Block<T, N>],
    sums: &'a mut Pairwise<T>,
    proceed: &'a Proceed<'a>,
}

impl<T: Real, const N: usize> Task for Products<'_, T, N> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Self::Output {
        let (mut reader, across, width) = (Reader::new(self.panel)?, self.panel.across(), tile_width::<B, T>());
        let mut tiles = Lines::<T>::zeros(PANEL * Panel::<T, N>::product_columns::<B>())?;
        let mut kept = self.kept.chunks_exact_mut(self.panel.blocks());
        for block in self.blocks {
            (self.proceed)()?;
            let vectors = if let Some(kept) = kept.next() {
                self.panel.scale(block, kept);
                kept
            } else {
                reader.vectors(block)
            };
            for (i, row) in vectors.chunks_exact(across).enumerate() {
                for (j, block) in row.iter().enumerate() {
                    for (k, row) in block.iter().enumerate() {
                        for (part, j) in row.chunks(N.min(width)).zip((j * N..).step_by(N.min(width))) {
                            let to = &mut tiles[(j / width * PANEL + i * N + k) * width + j % width..];
                            to[..part.len()].copy_from_slice(part);
                        }
                    }
                }
            }
            let mut products = self.sums.array()?;
            for (right, product) in tiles.chunks_exact(PANEL * width).zip(products.chunks_exact_mut(PANEL * width)) {
                b.vectorize(Multiply { left: vectors, across, order: Left::Columns, right, product, add: false });
            }
            self.sums.add(block, products);
        }
        Ok(())
    }
}

//! Panels: the Householder vectors of up to 32 consecutive columns, from random normals.
//!
//! Column j of a panel is the vector u of a reflection I - tau u u'. It is 0 above the diagonal of the matrix and 1 on
//! the diagonal. Below the diagonal, it is the normals of column j times a scale:
//!
//! ```text
//! x = normal on the diagonal      r = sum of the squares of the normals below it      alpha = sqrt(x x + r)
//! tau = 1 + |x| / alpha           scale = sign(x) / (|x| + alpha)
//! ```
//!
//! The divisor |x| + alpha is a sum of two positive numbers, so that nothing cancels (G. H. Golub and C. F. Van Loan,
//! *Matrix Computations*, 5.1.3).
//!
//! A scale depends on all normals of its column. So a panel takes two passes over its rows: [`Squares`] sums the
//! squares, and [`Products`] scales the normals to vectors and sums the products U' U, which a strip needs to apply the
//! panel. A panel that keeps its vectors draws the normals once. A panel that does not keep them draws them again in
//! each pass, which takes more time but no memory.

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

/// Number of blocks of [`PANEL`] rows that one fill draws. A fill has a fixed cost, which is large compared with that
/// of one block.
const DRAWN_BLOCKS: usize = 8;

/// The standard normals from which the vectors are computed: a tensor of `rows` rows and `columns` columns with the key
/// and stream of the matrix.
#[derive(Clone, Copy)]
pub(super) struct Normals {
    keystream: Keystream,
    recipe: Recipe,
    /// Number of rows of the tensor.
    rows: usize,
    /// Number of columns of the tensor, at most `rows`.
    columns: usize,
}

impl Normals {
    pub(super) fn new<T: Real>(keystream: Keystream, [rows, columns]: [usize; 2]) -> Self {
        let recipe = Recipe::new::<T>(Distribution::Normal { mean: 0.0, stddev: 1.0 })
            .expect("every type can represent standard normals");
        Self { keystream, recipe, rows, columns }
    }

    /// Write the normals of `rows` and `columns` to the start of `out`, in C order.
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
        fill.run(out, NonZero::<usize>::MIN, || true).expect("nothing interrupts it");
    }
}

/// Up to [`PANEL`] reflections I - tau u u', of consecutive columns.
///
/// The vectors are stored in blocks of `N` rows and columns, since one product reads them by rows (U z) and another by
/// columns (U' q): see [`Block`].
pub(super) struct Panel<T, const N: usize> {
    normals: Normals,
    /// Index of the panel. The block of [`PANEL`] rows with the panel's diagonal has the same index. Earlier rows of
    /// the vectors are zero, and are neither stored nor multiplied.
    index: usize,
    /// Number of reflections: [`PANEL`], or fewer in the last panel.
    pub(super) width: usize,
    /// Factor of the normals of each column. It is float64, so that each element of a vector is rounded once.
    scales: [f64; PANEL],
    /// -tau of each reflection.
    pub(super) minus_taus: [T; PANEL],
    /// Whether the normal on the diagonal of each column is positive. The column of Q is multiplied by the other sign.
    pub(super) positive: [bool; PANEL],
    /// The matrix U' U in tiles of columns. Only the part above the diagonal is read.
    products: Vec<T>,
    /// The vectors from block `index` of rows on, one row of blocks after the other. Empty if the panel does not keep
    /// them.
    kept: Vec<Block<T, N>>,
}

impl<T: Real, const N: usize> Panel<T, N> {
    /// Make panel number `index`, which keeps its vectors if `keep` is true.
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

    /// Number of blocks of `N` columns in a row.
    pub(super) fn across(&self) -> usize {
        self.width.div_ceil(N)
    }

    /// Number of blocks of `N` rows and columns in [`PANEL`] rows.
    fn blocks(&self) -> usize {
        PANEL / N * self.across()
    }

    /// Number of columns of U' U, padded to whole tiles.
    fn product_columns<B: Backend>() -> usize {
        PANEL.next_multiple_of(tile_width::<B, T>())
    }

    /// The element `u[i]' u[k]` of U' U, with i < k.
    #[inline(always)]
    pub(super) fn product<B: Backend>(&self, _: B, i: usize, k: usize) -> T {
        let width = tile_width::<B, T>();
        self.products[(k / width * PANEL + i) * width + k % width]
    }

    /// Set scale, -tau and sign of each column. `squares[j]` is the sum of the squares of the normals below the
    /// diagonal in column j.
    fn scale_columns(&mut self, squares: &[f64]) {
        let columns = self.index * PANEL..self.index * PANEL + self.width;
        let mut normals = [T::default(); PANEL * PANEL];
        self.normals.draw(&columns, &columns, &mut normals); // only the ones on the diagonal are used
        for j in 0..self.width {
            let (x, rest) = (normals[j * self.width + j].to_f64(), squares[j]);
            let alpha = x.mul_add(x, rest).sqrt();
            let tau = T::nearest(1.0 + x.abs() / alpha).to_f64();
            // I - tau u u' is orthogonal only if tau |u|^2 = 2, with |u|^2 = 1 + scale^2 rest. Solving this equation
            // for the scale compensates for the rounding of tau. Without that, the rounding would change the lengths of
            // all columns in the same direction. Near tau = 2, the difference 2 / tau - 1 cancels, and |u|^2 is mostly
            // the 1 on the diagonal: no scale could compensate for the rounding, and the plain formula is more
            // accurate.
            let scale = if tau <= 1.5 { ((2.0 / tau - 1.0) / rest).sqrt() } else { 1.0 / (x.abs() + alpha) };
            self.positive[j] = x > 0.0;
            self.scales[j] = if x > 0.0 { scale } else { -scale };
            self.minus_taus[j] = T::nearest(-tau);
        }
    }

    /// Convert the normals of a block of [`PANEL`] rows to rows of the vectors: scale them, and set the diagonal to 1.
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

/// Reads the vectors of a panel, one block of [`PANEL`] rows after the other. If the panel does not keep its vectors,
/// the reader draws them.
pub(super) struct Reader<'a, T, const N: usize> {
    panel: &'a Panel<T, N>,
    /// The normals of the rows of `drawn_blocks`, in C order.
    drawn: Vec<T>,
    /// Indices of the blocks of rows that `drawn` has.
    drawn_blocks: Range<usize>,
    /// The vectors of one block of rows. Empty if the panel keeps its vectors.
    vectors: Vec<Block<T, N>>,
}

impl<'a, T: Real, const N: usize> Reader<'a, T, N> {
    /// A reader of `panel`, or an error if there is no memory for its buffers.
    pub(super) fn new(panel: &'a Panel<T, N>) -> Result<Self, Stopped> {
        let draws = panel.kept.is_empty();
        Ok(Self {
            panel,
            drawn: filled(T::default(), if draws { DRAWN_BLOCKS * PANEL * panel.width } else { 0 })?,
            drawn_blocks: 0..0,
            vectors: filled([[T::default(); N]; N], if draws { panel.blocks() } else { 0 })?,
        })
    }

    /// The vectors in block number `block` of rows: `PANEL / N` rows of blocks of `N` rows and columns.
    #[inline(always)]
    pub(super) fn vectors(&mut self, block: usize) -> &[Block<T, N>] {
        let panel = self.panel;
        if panel.kept.is_empty() {
            // Take the buffer out while `draw` borrows the reader.
            let mut vectors = std::mem::take(&mut self.vectors);
            self.draw(block, &mut vectors);
            panel.scale(block, &mut vectors);
            self.vectors = vectors;
            return &self.vectors;
        }
        &panel.kept[(block - panel.index) * panel.blocks()..][..panel.blocks()]
    }

    /// Write the normals of block number `block` of rows to `to`, with zeros on and above the diagonal and in the
    /// padding.
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
        // These blocks of rows have zeros. All others are overwritten entirely.
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

/// The first pass: sums the squares of the normals below the diagonal by columns, and stores the normals if the panel
/// keeps its vectors.
struct Squares<'a, T, const N: usize> {
    panel: &'a Panel<T, N>,
    /// Indices of the blocks of rows to pass over.
    blocks: Range<usize>,
    /// Memory for the normals of these blocks. Empty if the panel does not keep its vectors.
    kept: &'a mut [Block<T, N>],
    /// Sums of squares, by columns. Each block of rows adds one array, whose elements are chains of fused
    /// multiplications and additions.
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

/// The second pass: scales the normals to vectors, and sums the products U' U.
struct Products<'a, T, const N: usize> {
    panel: &'a Panel<T, N>,
    /// Indices of the blocks of rows to pass over.
    blocks: Range<usize>,
    /// The normals of these blocks, which the vectors replace. Empty if the panel does not keep its vectors.
    kept: &'a mut [Block<T, N>],
    /// Products U' U in tiles of columns. Each block of rows adds one array.
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
            // As the right factor of U' U, the same vectors need another layout: tiles of columns, each in C order.
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

//! Random orthogonal matrices, distributed as Haar's measure has it, by reflections that are drawn and not computed.
//!
//! The QR factorisation of a matrix of independent normals, made unique by a positive diagonal of R, has such a Q. Its
//! Householder reflections are those of independent normal vectors, each by one shorter than the one before (G. W. Stewart,
//! *The efficient generation of random orthogonal matrices with an application to condition estimators*, SIAM J. Numer.
//! Anal. 17, 1980). So nothing is factorised. With x the part of column j of a tall matrix of normals from row j on,
//!
//! ```text
//! sign = 1 where x[0] >= 0, else -1        alpha = |x|        v = x + sign alpha e0
//! u = v / v[0]     tau = 1 + |x[0]| / alpha     H(j) = I - tau u u'     Q = H(0) H(1) ... H(n - 1) diag(-sign)
//! ```
//!
//! of which the first n columns are made. Reflections are applied in panels of [`PANEL`] of them, from the last to the
//! first, as I - U T U' with T upper triangular (R. Schreiber and C. Van Loan, *A storage-efficient WY representation for
//! products of Householder transformations*, SIAM J. Sci. Stat. Comput. 10, 1989). That is matrix products, each summed in
//! the one order of [`matmul`](crate::matmul); panels are made by themselves, and columns of Q by themselves, in any order
//! and by any thread. `docs/streams.md` has all steps and roundings.
//!
//! ```
//! use seedbed::keystream::Keystream;
//! use seedbed::orthogonal::Orthogonal;
//!
//! let (rows, columns) = (5, 3);
//! let mut q = [0.0f64; 15];
//! Orthogonal { keystream: Keystream::new([7; 32], 0), rows, columns, gain: 1.0 }.run(&mut q, 2.try_into()?, || true)?;
//! for i in 0..columns {
//!     for j in 0..columns {
//!         let product: f64 = q.chunks(columns).map(|row| row[i] * row[j]).sum();
//!         assert!((product - f64::from(u8::from(i == j))).abs() < 1e-15);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::backend::{self, Backend, Task};
use crate::fill::{Fill, Interrupted};
use crate::keystream::Keystream;
use crate::matmul::{Block, COMMON_ROWS, TileTask, add_product, blocks_of, tile_width, with_tiles};
use crate::narrow::{Element, Real};
use crate::recipe::{Distribution, Recipe};
use crate::region::{Axis, Region};
use crate::share::{GoOn, share};
use ndarray::{ArrayViewMut2, Axis as Dimension};
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZero;
use std::sync::OnceLock;

/// Reflections of a panel. The roundings depend on it.
pub const PANEL: usize = 192;

/// Columns of Q that are made at a time: as many as stay in the second-level cache.
const STRIP: usize = 96;

/// Rows that are multiplied at a time: as many as stay in the caches. The triangle of a panel is among the first.
const ROWS: usize = PANEL;

/// Below so many multiplications a thread does not pay.
const SHARE: usize = 1 << 22;

const _: () = assert!(PANEL.is_multiple_of(STRIP) && PANEL.is_multiple_of(COMMON_ROWS));

/// A matrix with orthonormal columns, or rows where there are fewer of these, times a gain.
#[derive(Clone, Copy, Debug)]
pub struct Orthogonal {
    /// Where the words come from.
    pub keystream: Keystream,
    /// Of the matrix. With fewer rows than columns, it is the transposed one of `columns` rows.
    pub rows: usize,
    /// Of the matrix.
    pub columns: usize,
    /// What it is multiplied by in the end.
    pub gain: f64,
}

/// Why there is no matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrthogonalError {
    /// It was told to stop.
    Interrupted,
    /// There is no memory for the reflections.
    OutOfMemory,
    /// `gain` is not finite, or beyond half of the greatest number of the element type.
    Gain(String),
}

impl fmt::Display for OrthogonalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => Interrupted.fmt(f),
            Self::OutOfMemory => f.write_str("there is no memory for the reflections of an orthogonal matrix"),
            Self::Gain(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for OrthogonalError {}

impl From<Interrupted> for OrthogonalError {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// Whether a gain is one for elements of type `T`.
///
/// # Errors
///
/// Where it is not finite, or beyond half of the greatest of them.
pub fn check_gain<T: Element>(gain: f64) -> Result<(), OrthogonalError> {
    let most = T::MAX / 2.0;
    if gain.abs() <= most {
        return Ok(());
    }
    Err(OrthogonalError::Gain(format!(
        "gain must be within {most:?} of zero, half of the greatest {}. Received: gain={gain:?}",
        T::NAME
    )))
}

impl Orthogonal {
    /// Write the matrix to `out` in C order, on up to `threads` threads, the calling one among them.
    ///
    /// `proceed` is called there now and then; where it says no, the work stops soon and leaves part of `out` as it was.
    ///
    /// # Errors
    ///
    /// [`OrthogonalError`]; in that of memory and that of the gain, `out` is as it was.
    ///
    /// # Panics
    ///
    /// Where `out` has not as many elements as the matrix.
    pub fn run<T: Element>(
        &self,
        out: &mut [T],
        threads: NonZero<usize>,
        proceed: impl Fn() -> bool,
    ) -> Result<(), OrthogonalError> {
        check_gain::<T>(self.gain)?;
        let out = ArrayViewMut2::from_shape((self.rows, self.columns), out).expect("as many elements as the matrix");
        if out.is_empty() {
            return Ok(());
        }
        let (threads, proceed): (_, &dyn Fn() -> bool) = (threads.get(), &proceed);
        let out = if self.rows < self.columns { out.reversed_axes() } else { out };
        backend::run(Make { matrix: self, out, threads, proceed })
    }
}

/// The whole, from reflections to elements.
struct Make<'a, T> {
    matrix: &'a Orthogonal,
    /// No fewer rows than columns.
    out: ArrayViewMut2<'a, T>,
    threads: usize,
    proceed: &'a dyn Fn() -> bool,
}

impl<T: Element> Task for Make<'_, T> {
    type Output = Result<(), OrthogonalError>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Self::Output {
        with_tiles(b, self)
    }
}

impl<T: Element> TileTask for Make<'_, T> {
    type Output = Result<(), OrthogonalError>;

    #[inline(always)]
    fn run<B: Backend, const N: usize>(self, b: B) -> Self::Output {
        let Self { matrix, mut out, threads, proceed } = self;
        let (rows, columns) = out.dim();
        let threads = threads.min(1 + rows.saturating_mul(columns).saturating_mul(columns) / SHARE);
        let slots = (0..columns.div_ceil(PANEL)).map(|_| OnceLock::new()).collect::<Vec<_>>();
        share(slots.iter().enumerate(), threads.min(slots.len()), proceed, |(i, slot), go_on| {
            let first = i * PANEL;
            let width = PANEL.min(columns - first);
            let (element, keystream, shape) = (PhantomData, matrix.keystream, [rows, columns]);
            let panel = b.vectorize(Draw { element, keystream, shape, first, width, go_on })?;
            assert!(slot.set(panel).is_ok(), "each panel is made once");
            Ok::<_, OrthogonalError>(())
        })?;
        let panels = slots.into_iter().filter_map(OnceLock::into_inner).collect::<Vec<Panel<T::Computed, N>>>();
        // The last strips, which go through most panels, come first.
        let strips = out.axis_chunks_iter_mut(Dimension(1), STRIP).enumerate().rev();
        share(strips, threads.min(columns.div_ceil(STRIP)), proceed, |(i, out), go_on| {
            let first = i * STRIP;
            let gain = T::Computed::nearest(matrix.gain);
            b.vectorize(Strip { panels: &panels[..=first / PANEL], first, gain, out, go_on })
        })
    }
}

/// Up to [`PANEL`] reflections: I - U T U'.
struct Panel<T, const N: usize> {
    /// The first row and column.
    first: usize,
    /// U from that row on, in rows of blocks.
    vectors: Vec<Block<T, N>>,
    /// -T.
    factor: Vec<Block<T, N>>,
    /// -sign of each.
    signs: Vec<T>,
}

impl<T, const N: usize> Panel<T, N> {
    /// How many blocks are in a row of them.
    fn across(&self) -> usize {
        self.signs.len().div_ceil(N)
    }
}

/// Zeros, where there is memory for them.
fn zeros<T: Element>(count: usize) -> Result<Vec<T>, OrthogonalError> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(count).map_err(|_| OrthogonalError::OutOfMemory)?;
    zeros.resize(count, T::default());
    Ok(zeros)
}

/// Make a panel.
struct Draw<'a, T, const N: usize> {
    element: PhantomData<T>,
    keystream: Keystream,
    shape: [usize; 2],
    first: usize,
    width: usize,
    go_on: &'a GoOn<'a>,
}

/// Normals of consecutive rows of a panel, padded to vectors.
struct Normals<T> {
    recipe: Recipe,
    drawn: Vec<T>,
    rows: Vec<T>,
    step: usize,
}

impl<T: Real, const N: usize> Draw<'_, T, N> {
    /// The normals of up to [`ROWS`] rows, from `start` rows below the first on, with zeros above the diagonal; how many
    /// rows there are.
    fn rows(&self, start: usize, normals: &mut Normals<T>) -> usize {
        let [length, columns] = self.shape;
        let count = ROWS.min(length - self.first - start);
        let axis = |length: usize, start: usize, count: usize| Axis {
            length: length as u64,
            start: start as u64,
            step: 1,
            count: count as u64,
        };
        let axes = [axis(length, self.first + start, count), axis(columns, self.first, self.width)];
        let region = Region::new(&axes).expect("it is part of a tensor in memory");
        let drawn = &mut normals.drawn[..count * self.width];
        let fill = Fill { keystream: self.keystream, recipe: normals.recipe, region: &region };
        fill.run(drawn, NonZero::<usize>::MIN, || true).expect("it is never told to stop");
        for (i, (row, drawn)) in
            normals.rows.chunks_exact_mut(normals.step).zip(drawn.chunks_exact(self.width)).enumerate()
        {
            let from_here = self.width.min(start + i + 1);
            row[..from_here].copy_from_slice(&drawn[..from_here]);
            row[from_here..].fill(T::default());
        }
        count
    }
}

impl<T: Real, const N: usize> Task for Draw<'_, T, N> {
    type Output = Result<Panel<T, N>, OrthogonalError>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Self::Output {
        let length = self.shape[0] - self.first;
        let across = self.width.div_ceil(N);
        let step = (across * N).next_multiple_of(tile_width::<B, T>());
        let recipe = Recipe::new::<T>(Distribution::Normal { mean: 0.0, stddev: 1.0 }).expect("every type has normals");
        let mut normals = Normals { recipe, drawn: zeros(ROWS * self.width)?, rows: zeros(ROWS * step)?, step };

        let (mut squares, mut leading) = (vec![0.0; step], vec![0.0; step]);
        for start in (0..length).step_by(ROWS) {
            (self.go_on)()?;
            let count = self.rows(start, &mut normals);
            for row in normals.rows.chunks_exact(step).take(count) {
                for (x, sum) in row.chunks_exact(B::LANES).zip(squares.chunks_exact_mut(B::LANES)) {
                    let x = T::widen(b, T::load(b, x));
                    b.store_f64(b.fma_f64(x, x, b.load_f64(sum)), sum);
                }
            }
            if start == 0 {
                for (i, leading) in leading.iter_mut().enumerate().take(self.width) {
                    *leading = normals.rows[i * step + i].to_f64();
                }
            }
        }
        let (mut scales, mut taus, mut signs) = (vec![0.0; step], Vec::new(), Vec::new());
        for (i, scale) in scales.iter_mut().enumerate().take(self.width) {
            let (alpha, x) = (squares[i].sqrt(), leading[i]);
            let sign = if x >= 0.0 { 1.0 } else { -1.0 };
            *scale = 1.0 / (x + sign * alpha); // a normal is never zero
            taus.push(T::nearest(1.0 + x.abs() / alpha));
            signs.push(T::nearest(-sign));
        }

        let mut vectors = Vec::new();
        vectors.try_reserve_exact(length.div_ceil(N) * across).map_err(|_| OrthogonalError::OutOfMemory)?;
        let mut products = vec![T::default(); across * N * step];
        for start in (0..length).step_by(ROWS) {
            (self.go_on)()?;
            let count = self.rows(start, &mut normals);
            for row in normals.rows.chunks_exact_mut(step).take(count) {
                for (x, scale) in row.chunks_exact_mut(B::LANES).zip(scales.chunks_exact(B::LANES)) {
                    let scaled = b.mul_f64(T::widen(b, T::load(b, x)), b.load_f64(scale));
                    T::store(b, T::vector(T::nearest_lanes(b, scaled)), x);
                }
            }
            if start == 0 {
                for (i, row) in normals.rows.chunks_exact_mut(step).enumerate().take(self.width) {
                    row[i] = T::nearest(1.0);
                    row[i + 1..].fill(T::default());
                }
            }
            let blocks = blocks_of::<T, N>(&normals.rows[..count * step], step, across * N);
            for at in (0..step).step_by(tile_width::<B, T>()) {
                for i in 0..across.min((at + tile_width::<B, T>()).div_ceil(N)) {
                    let (blocks, sums) = (blocks[i..].iter().step_by(across), &mut products[i * N * step..]);
                    add_product::<B, T, N, true>(b, blocks, &normals.rows, sums, (step, at));
                }
            }
            vectors.extend(blocks);
        }

        let factor = blocks_of(&factor(b, &products, &taus, step), step, across * N);
        Ok(Panel { first: self.first, vectors, factor, signs })
    }
}

/// -T, from the products U' U above their diagonal: row by row, from the last on.
#[inline(always)]
fn factor<B: Backend, T: Real>(b: B, products: &[T], taus: &[T], step: usize) -> Vec<T> {
    let mut factor = vec![T::default(); products.len()];
    for (i, tau) in taus.iter().enumerate().rev() {
        let minus_tau = T::nearest(-tau.to_f64());
        let (row, below) = factor[i * step..].split_at_mut(step);
        for (k, below) in below.chunks_exact(step).enumerate().take(taus.len() - i - 1) {
            let (k, skip) = (i + 1 + k, (i + 1 + k) / B::LANES * B::LANES);
            let product = T::splat(b, products[i * step + k]);
            for (sum, below) in row[skip..].chunks_exact_mut(B::LANES).zip(below[skip..].chunks_exact(B::LANES)) {
                let added = T::fma(b, product, T::load(b, below), T::load(b, sum));
                T::store(b, T::vector(added), sum);
            }
        }
        for sum in row.chunks_exact_mut(B::LANES) {
            let scaled = T::mul(b, T::load(b, sum), T::splat(b, minus_tau));
            T::store(b, T::vector(scaled), sum);
        }
        row[..i].fill(T::default());
        row[i] = minus_tau;
    }
    factor
}

/// Columns of Q, from `first` on, all of one panel: the last of `panels`.
struct Strip<'a, T: Element, const N: usize> {
    panels: &'a [Panel<T::Computed, N>],
    first: usize,
    gain: T::Computed,
    out: ArrayViewMut2<'a, T>,
    go_on: &'a GoOn<'a>,
}

impl<T: Element, const N: usize> Task for Strip<'_, T, N> {
    type Output = Result<(), OrthogonalError>;

    #[inline(always)]
    fn run<B: Backend>(mut self, b: B) -> Self::Output {
        let (rows, width) = self.out.dim();
        let (length, step) = (rows.next_multiple_of(N), width.next_multiple_of(tile_width::<B, T::Computed>()));
        let mut strip = zeros(length * step)?;
        for i in 0..width {
            strip[(self.first + i) * step + i] = T::Computed::nearest(1.0);
        }
        let (mut products, mut factored) = (zeros::<T::Computed>(PANEL * step)?, zeros::<T::Computed>(PANEL * step)?);
        for panel in self.panels.iter().rev() {
            let across = panel.across();
            // The rows of the strip that are not zero: of the panel that it belongs to, an identity; else those below.
            let own = panel.first + PANEL > self.first;
            let from = if own { panel.first } else { panel.first + PANEL };
            let to = if own { panel.first + across * N } else { length };

            products.fill(T::Computed::default());
            for start in (from..to).step_by(ROWS) {
                (self.go_on)()?;
                let blocks = &panel.vectors[(start - panel.first) / N * across..];
                let rows = &strip[start * step..ROWS.min(to - start) * step + start * step];
                for at in (0..step).step_by(tile_width::<B, T::Computed>()) {
                    for i in 0..across {
                        let sums = &mut products[i * N * step..];
                        add_product::<B, T::Computed, N, true>(
                            b,
                            blocks[i..].iter().step_by(across),
                            rows,
                            sums,
                            (step, at),
                        );
                    }
                }
            }
            factored.fill(T::Computed::default());
            for at in (0..step).step_by(tile_width::<B, T::Computed>()) {
                for (i, blocks) in panel.factor.chunks_exact(across).enumerate() {
                    let (rows, sums) = (&products[i * N * step..], &mut factored[i * N * step..]);
                    add_product::<B, T::Computed, N, false>(b, blocks[i..].iter(), rows, sums, (step, at));
                }
            }
            let per_visit = ROWS / N;
            for (visit, blocks) in panel.vectors.chunks(per_visit * across).enumerate() {
                (self.go_on)()?;
                for at in (0..step).step_by(tile_width::<B, T::Computed>()) {
                    for (i, blocks) in blocks.chunks_exact(across).enumerate() {
                        let i = visit * per_visit + i;
                        let sums = &mut strip[(panel.first + i * N) * step..];
                        // Above the diagonal there are zeros.
                        let blocks = &blocks[..across.min(i + 1)];
                        add_product::<B, T::Computed, N, false>(b, blocks.iter(), &factored, sums, (step, at));
                    }
                }
            }
        }
        self.write(b, &strip, step);
        Ok(())
    }
}

impl<T: Element, const N: usize> Strip<'_, T, N> {
    /// The columns with their signs and the gain, as elements.
    #[inline(always)]
    fn write<B: Backend>(&mut self, b: B, strip: &[T::Computed], step: usize) {
        const AT_ONCE: usize = 16; // rows: a cache line of a column, where columns are contiguous
        let panel = self.panels.last().expect("a strip belongs to a panel");
        let (rows, width) = self.out.dim();
        let mut scales = vec![T::Computed::default(); step];
        for (scale, sign) in scales.iter_mut().zip(&panel.signs[self.first - panel.first..]) {
            *scale = T::Computed::nearest(sign.to_f64() * self.gain.to_f64());
        }
        let mut scaled = vec![T::default(); AT_ONCE * step];
        for (group, strip) in strip[..rows * step].chunks(AT_ONCE * step).enumerate() {
            for (row, to) in strip.chunks_exact(step).zip(scaled.chunks_exact_mut(step)) {
                for (at, to) in to.chunks_exact_mut(B::LANES).enumerate() {
                    let (x, scale) =
                        (T::Computed::load(b, &row[at * B::LANES..]), T::Computed::load(b, &scales[at * B::LANES..]));
                    T::store(b, T::Computed::vector(T::Computed::mul(b, x, scale)), to);
                }
            }
            let (first, count) = (group * AT_ONCE, strip.len() / step);
            if self.out.strides()[1] == 1 {
                for (i, from) in scaled.chunks_exact(step).enumerate().take(count) {
                    let mut row = self.out.row_mut(first + i);
                    row.as_slice_mut().expect("rows are contiguous").copy_from_slice(&from[..width]);
                }
                continue;
            }
            for (j, mut column) in self.out.columns_mut().into_iter().enumerate() {
                let column = column.as_slice_mut().expect("columns are contiguous");
                for (i, to) in column[first..first + count].iter_mut().enumerate() {
                    *to = scaled[i * step + j];
                }
            }
        }
    }
}

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
use crate::fill::Fill;
use crate::keystream::Keystream;
use crate::matmul::{
    Block, COMMON_ROWS, Lines, TileTask, add_product, blocks_of, filled, that_pay, tile_width, with_tiles,
};
use crate::narrow::{Element, Real};
use crate::recipe::{Distribution, Recipe};
use crate::region::{Axis, Region};
use crate::share::{GoOn, share};

pub use crate::share::Stopped;
use ndarray::{ArrayViewMut2, Axis as Dimension};
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZero;
use std::sync::OnceLock;

/// Reflections of a panel. The roundings depend on it.
pub const PANEL: usize = 96;

/// Columns of Q that are made at a time: few enough to stay in the second-level cache.
const STRIP: usize = 96;

/// Rows that are multiplied at a time: few enough to stay in the caches. The triangle of a panel is among the first.
const ROWS: usize = 192;

const _: () = assert!(PANEL.is_multiple_of(STRIP) && PANEL.is_multiple_of(COMMON_ROWS));
const _: () = assert!(ROWS >= PANEL && ROWS.is_multiple_of(COMMON_ROWS));

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

/// A gain that is not finite, or beyond half of the greatest number of the element type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GainError(String);

impl fmt::Display for GainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GainError {}

/// Whether a gain is one for elements of type `T`.
///
/// # Errors
///
/// Where it is not finite, or beyond half of the greatest of them.
pub fn check_gain<T: Element>(gain: f64) -> Result<(), GainError> {
    let most = T::MAX / 2.0;
    if gain.abs() <= most {
        return Ok(());
    }
    Err(GainError(format!(
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
    /// Where `proceed` said no, or there is no memory for the reflections: half as much as for the elements that they
    /// are computed from where the matrix is square, as much where it is tall.
    ///
    /// # Panics
    ///
    /// Where `out` has not as many elements as the matrix, or [`check_gain`] does not take the gain.
    pub fn run<T: Element>(
        &self,
        out: &mut [T],
        threads: NonZero<usize>,
        proceed: impl Fn() -> bool,
    ) -> Result<(), Stopped> {
        check_gain::<T>(self.gain).expect("a gain that was checked");
        let out = ArrayViewMut2::from_shape((self.rows, self.columns), out).expect("as many elements as the matrix");
        if out.is_empty() {
            return Ok(());
        }
        let out = if self.rows < self.columns { out.reversed_axes() } else { out };
        let (rows, columns) = out.dim();
        let threads = that_pay(threads, rows.saturating_mul(columns).saturating_mul(columns));
        backend::run(Make { matrix: self, out, threads, proceed: &proceed })
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
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Self::Output {
        with_tiles(b, self)
    }
}

impl<T: Element> TileTask for Make<'_, T> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend, const N: usize>(self, b: B) -> Self::Output {
        let Self { matrix, mut out, threads, proceed } = self;
        let (rows, columns) = out.dim();
        let count = columns.div_ceil(PANEL);
        let mut panels = Vec::<OnceLock<Panel<T::Computed, N>>>::new();
        panels.try_reserve_exact(count)?;
        panels.resize_with(count, OnceLock::new);
        share(panels.iter().enumerate(), threads.min(count), proceed, |(i, panel), go_on| {
            let first = i * PANEL;
            let width = PANEL.min(columns - first);
            let (element, keystream, shape) = (PhantomData, matrix.keystream, [rows, columns]);
            let drawn = b.vectorize(Draw { element, keystream, shape, first, width, go_on })?;
            assert!(panel.set(drawn).is_ok(), "each panel is made once");
            Ok::<_, Stopped>(())
        })?;
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
    rows: Lines<T>,
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
    type Output = Result<Panel<T, N>, Stopped>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Self::Output {
        let length = self.shape[0] - self.first;
        let across = self.width.div_ceil(N);
        let step = (across * N).next_multiple_of(tile_width::<B, T>());
        let recipe = Recipe::new::<T>(Distribution::Normal { mean: 0.0, stddev: 1.0 }).expect("every type has normals");
        let (drawn, rows) = (filled(T::default(), ROWS * self.width)?, Lines::zeros(ROWS * step)?);
        let mut normals = Normals { recipe, drawn, rows, step };

        let (mut squares, mut leading) = (Lines::zeros(step)?, Lines::zeros(step)?);
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
        let mut scales = Lines::zeros(step)?;
        let (mut taus, mut signs) = (filled(T::default(), self.width)?, filled(T::default(), self.width)?);
        for (i, scale) in scales.iter_mut().enumerate().take(self.width) {
            let (alpha, x) = (squares[i].sqrt(), leading[i]);
            let sign = if x >= 0.0 { 1.0 } else { -1.0 };
            *scale = 1.0 / (x + sign * alpha); // a normal is never zero
            taus[i] = T::nearest(1.0 + x.abs() / alpha);
            signs[i] = T::nearest(-sign);
        }

        let mut vectors = Vec::new();
        vectors.try_reserve_exact(length.div_ceil(N) * across)?;
        let mut products = Lines::zeros(across * N * step)?;
        for start in (0..length).step_by(ROWS) {
            (self.go_on)()?;
            let count = self.rows(start, &mut normals);
            for row in normals.rows.chunks_exact_mut(step).take(count) {
                for (x, scale) in row.chunks_exact_mut(B::LANES).zip(scales.chunks_exact(B::LANES)) {
                    let scaled = b.mul_f64(T::widen(b, T::load(b, x)), b.load_f64(scale));
                    T::store(b, T::nearest_lanes(b, scaled), x);
                }
            }
            if start == 0 {
                for (i, row) in normals.rows.chunks_exact_mut(step).enumerate().take(self.width) {
                    row[i] = T::nearest(1.0);
                    row[i + 1..].fill(T::default());
                }
            }
            let blocks = blocks_of::<T, N>(&normals.rows[..count * step], step, across * N)?;
            for at in (0..step).step_by(tile_width::<B, T>()) {
                for i in 0..across.min((at + tile_width::<B, T>()).div_ceil(N)) {
                    let (blocks, sums) = (blocks[i..].iter().step_by(across), &mut products[i * N * step..]);
                    add_product::<B, T, N, true>(b, blocks, &normals.rows, sums, (step, at));
                }
            }
            vectors.extend(blocks);
        }

        let factor = blocks_of(&factor(b, &products, &taus, step)?, step, across * N)?;
        Ok(Panel { first: self.first, vectors, factor, signs })
    }
}

/// -T, from the products U' U above their diagonal: row by row, from the last on.
#[inline(always)]
fn factor<B: Backend, T: Real>(b: B, products: &[T], taus: &[T], step: usize) -> Result<Lines<T>, Stopped> {
    let mut factor = Lines::zeros(products.len())?;
    for (i, tau) in taus.iter().enumerate().rev() {
        let minus_tau = T::nearest(-tau.to_f64());
        let (row, below) = factor[i * step..].split_at_mut(step);
        for (k, below) in below.chunks_exact(step).enumerate().take(taus.len() - i - 1) {
            let (k, skip) = (i + 1 + k, (i + 1 + k) / B::LANES * B::LANES);
            let product = T::splat(b, products[i * step + k]);
            for (sum, below) in row[skip..].chunks_exact_mut(B::LANES).zip(below[skip..].chunks_exact(B::LANES)) {
                let added = T::fma(b, product, T::load(b, below), T::load(b, sum));
                T::store(b, added, sum);
            }
        }
        for sum in row.chunks_exact_mut(B::LANES) {
            let scaled = T::mul(b, T::load(b, sum), T::splat(b, minus_tau));
            T::store(b, scaled, sum);
        }
        row[..i].fill(T::default());
        row[i] = minus_tau;
    }
    Ok(factor)
}

/// Columns of Q, from `first` on, all of one panel: the last of `panels`.
struct Strip<'a, T: Element, const N: usize> {
    panels: &'a [OnceLock<Panel<T::Computed, N>>],
    first: usize,
    gain: T::Computed,
    out: ArrayViewMut2<'a, T>,
    go_on: &'a GoOn<'a>,
}

impl<T: Element, const N: usize> Task for Strip<'_, T, N> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend>(mut self, b: B) -> Self::Output {
        let (rows, width) = self.out.dim();
        let (length, step) = (rows.next_multiple_of(N), width.next_multiple_of(tile_width::<B, T::Computed>()));
        let mut strip = Lines::<T::Computed>::zeros(length * step)?;
        for i in 0..width {
            strip[(self.first + i) * step + i] = T::Computed::nearest(1.0);
        }
        let (mut products, mut factored) =
            (Lines::<T::Computed>::zeros(PANEL * step)?, Lines::<T::Computed>::zeros(PANEL * step)?);
        for panel in self.panels.iter().rev().filter_map(OnceLock::get) {
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
        self.write(b, &strip, step)
    }
}

impl<T: Element, const N: usize> Strip<'_, T, N> {
    /// The columns with their signs and the gain, as elements.
    #[inline(always)]
    fn write<B: Backend>(&mut self, b: B, strip: &[T::Computed], step: usize) -> Result<(), Stopped> {
        const AT_ONCE: usize = 16; // rows: a cache line of a column, where columns are contiguous
        let panel = self.panels.last().and_then(OnceLock::get).expect("a strip belongs to a panel");
        let (rows, width) = self.out.dim();
        let mut scales = Lines::<T::Computed>::zeros(step)?;
        for (scale, sign) in scales.iter_mut().zip(&panel.signs[self.first - panel.first..]) {
            *scale = T::Computed::nearest(sign.to_f64() * self.gain.to_f64());
        }
        let mut scaled = filled(T::default(), AT_ONCE * step)?;
        for (group, strip) in strip[..rows * step].chunks(AT_ONCE * step).enumerate() {
            for (row, to) in strip.chunks_exact(step).zip(scaled.chunks_exact_mut(step)) {
                for (at, to) in to.chunks_exact_mut(B::LANES).enumerate() {
                    let (x, scale) =
                        (T::Computed::load(b, &row[at * B::LANES..]), T::Computed::load(b, &scales[at * B::LANES..]));
                    T::store(b, T::Computed::mul(b, x, scale), to);
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};
    use std::cell::Cell;

    #[derive(Clone, Copy)]
    struct Made<T> {
        shape: [usize; 2],
        threads: usize,
        element: PhantomData<T>,
    }

    impl<T: Element> Task for Made<T> {
        type Output = Vec<T>;

        #[inline(always)]
        fn run<B: Backend>(self, b: B) -> Vec<T> {
            let [rows, columns] = self.shape;
            let mut elements = vec![T::default(); rows * columns];
            let out = ArrayViewMut2::from_shape((rows, columns), &mut elements).expect("as many elements");
            let out = if rows < columns { out.reversed_axes() } else { out };
            let matrix = Orthogonal { keystream: Keystream::new([3; 32], 1), rows, columns, gain: 0.75 };
            with_tiles(b, Make { matrix: &matrix, out, threads: self.threads, proceed: &|| true }).expect("a matrix");
            elements
        }
    }

    fn made<T: Element>(shape: [usize; 2], threads: usize) -> Vec<T> {
        backend::run(Made { shape, threads, element: PhantomData })
    }

    /// The definition, in float64 and one reflection at a time, without panels.
    fn defined(rows: usize, columns: usize) -> Vec<f64> {
        let recipe = Recipe::new::<f64>(Distribution::Normal { mean: 0.0, stddev: 1.0 }).expect("a recipe");
        let normals = crate::fill::array::<f64>(Keystream::new([3; 32], 1), recipe, &[rows, columns]).expect("small");
        let mut q = vec![0.0; rows * columns];
        for j in (0..columns).rev() {
            q[j * columns + j] = 1.0;
            let mut v = (j..rows).map(|i| normals[[i, j]]).collect::<Vec<_>>();
            let sign = if v[0] >= 0.0 { 1.0 } else { -1.0 };
            v[0] += sign * v.iter().map(|x| x * x).sum::<f64>().sqrt();
            let square = v.iter().map(|x| x * x).sum::<f64>();
            for c in j..columns {
                let along = v.iter().enumerate().map(|(i, x)| x * q[(j + i) * columns + c]).sum::<f64>();
                for (i, x) in v.iter().enumerate() {
                    q[(j + i) * columns + c] -= 2.0 * along / square * x;
                }
            }
            for row in q.chunks_exact_mut(columns) {
                row[j] *= -sign * 0.75;
            }
        }
        q
    }

    const SHAPES: [[usize; 2]; 9] =
        [[1, 1], [2, 2], [7, 1], [13, 12], [95, 40], [97, 97], [200, 193], [400, 30], [289, 100]];

    fn matrices_are_those_of_the_definition<T: Element>(error: f64) {
        for [rows, columns] in SHAPES {
            let want = defined(rows, columns);
            for (x, want) in made::<T>([rows, columns], 2).into_iter().zip(&want) {
                assert!((x.to_f64() - want).abs() < error, "{rows} x {columns} in {}: {x:?}, {want}", T::NAME);
            }
        }
    }

    #[test]
    fn matrices_are_those_of_the_definition_but_for_roundings() {
        matrices_are_those_of_the_definition::<f64>(1e-14);
        matrices_are_those_of_the_definition::<f32>(4e-6);
        matrices_are_those_of_the_definition::<f16>(5e-4);
        matrices_are_those_of_the_definition::<bf16>(4e-3);
    }

    fn backends_and_threads_agree<T: Element>() {
        for [rows, columns] in SHAPES {
            let want = made::<T>([rows, columns], 1);
            for threads in 1..=3 {
                for (name, made) in
                    backend::on_each(Made { shape: [rows, columns], threads, element: PhantomData::<T> })
                {
                    assert!(made == want, "{name}, {threads} threads, {rows} x {columns} in {}", T::NAME);
                }
            }
            if rows == columns {
                continue;
            }
            let transposed = made::<T>([columns, rows], 2);
            for (i, row) in want.chunks(columns).enumerate() {
                assert!(row.iter().enumerate().all(|(j, x)| *x == transposed[j * rows + i]), "{columns} x {rows}");
            }
        }
    }

    #[test]
    fn every_backend_and_number_of_threads_gives_the_same_bits() {
        backends_and_threads_agree::<f16>();
        backends_and_threads_agree::<bf16>();
        backends_and_threads_agree::<f32>();
        backends_and_threads_agree::<f64>();
    }

    #[test]
    fn one_by_one_is_a_sign_times_the_gain() {
        let signs = (0..64).map(|stream| {
            let (mut q, keystream) = ([0.0f32], Keystream::new([5; 32], stream));
            let matrix = Orthogonal { keystream, rows: 1, columns: 1, gain: -2.0 };
            matrix.run(&mut q, NonZero::<usize>::MIN, || true).expect("a matrix");
            q[0]
        });
        let signs = signs.collect::<Vec<_>>();
        assert!(signs.iter().all(|x| x.abs() == 2.0));
        assert!((15..50).contains(&signs.iter().filter(|x| **x > 0.0).count()));
    }

    #[test]
    fn a_matrix_without_elements_is_no_work() {
        for (rows, columns) in [(0, 0), (0, 5), (5, 0)] {
            let matrix = Orthogonal { keystream: Keystream::new([5; 32], 0), rows, columns, gain: 1.0 };
            assert_eq!(matrix.run::<f32>(&mut [], NonZero::<usize>::MIN, || unreachable!()), Ok(()));
        }
    }

    #[test]
    fn it_stops_soon_where_it_is_told_to() {
        let matrix = Orthogonal { keystream: Keystream::new([5; 32], 0), rows: 1500, columns: 1500, gain: 1.0 };
        let asked = Cell::new(0);
        let proceed = || {
            asked.set(asked.get() + 1);
            false
        };
        let mut out = vec![0.0f64; 1500 * 1500];
        let run = matrix.run(&mut out, 2.try_into().expect("not zero"), proceed);
        assert_eq!((run, asked.get()), (Err(Stopped::Interrupted), 1));
    }

    #[test]
    fn a_gain_beyond_the_element_type_is_an_error() {
        for gain in [f64::NAN, f64::INFINITY, -32753.0, 40000.0] {
            assert!(check_gain::<f16>(gain).is_err());
        }
        assert_eq!(check_gain::<f16>(-32752.0), Ok(()));
        assert!(check_gain::<f32>(2e38).unwrap_err().to_string().ends_with("Received: gain=2e38"));
    }
}

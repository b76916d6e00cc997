//! Random orthogonal matrices, distributed uniformly (by the Haar measure), from random Householder reflections.
//!
//! If A is a matrix of independent normals and A = Q R with a positive diagonal of R, then Q is distributed uniformly
//! (F. Mezzadri, *How to generate random matrices from the classical compact groups*, Notices of the AMS 54, 2007). The
//! Householder reflections that factorise A have the distribution of reflections of independent normal vectors, each
//! vector shorter by one element than the one before (G. W. Stewart, *The efficient generation of random orthogonal
//! matrices with an application to condition estimators*, SIAM J. Numer. Anal. 17, 1980). So no matrix is factorised:
//! the reflections are drawn and multiplied, which saves half of the work. For column j of a matrix of normals with at
//! least as many rows as columns, let x be the elements from row j on. Then
//!
//! ```text
//! sign = 1 if x[0] > 0, else -1        alpha = |x|        v = x + sign alpha e0
//! u = v / v[0]     tau = 1 + |x[0]| / alpha     H(j) = I - tau u u'     Q = H(0) H(1) ... H(n - 1) diag(-sign)
//! ```
//!
//! The first n columns of this product are computed, which are the columns of the matrix.
//!
//! | module | contents |
//! |---|---|
//! | `panel` | the vectors u of [`PANEL`] reflections, and the products of these vectors |
//! | `strip` | some columns of Q: the panels, applied from the last to the first by matrix products |
//! | `ranges` | passes over rows that several threads share |
//! | `schedule` | the work of each thread, and the vectors that stay in memory |
//!
//! All sums have the order of [`matmul`](crate::matmul), in float64 for float64 elements and in float32 for all others.
//! `docs/streams.md` specifies all operations and roundings under *Orthogonal*.
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

mod panel;
mod ranges;
mod schedule;
mod strip;
#[cfg(test)]
mod tests;

use crate::backend::{self, Backend, Task};
use crate::element::Element;
use crate::keystream::Keystream;
use crate::matmul::{BlockTask, CHAIN, with_blocks};
use crate::parallel::for_each;
use ndarray::{ArrayViewMut2, Axis};
use panel::{Normals, Panel};
use ranges::Ranges;
use schedule::Schedule;
use std::fmt;
use std::num::NonZero;
use strip::Strip;

pub use crate::parallel::Stopped;

/// Number of reflections of a panel, and of rows of a block. The roundings depend on it, so that another number would
/// be a new algorithm version. It is the length of a chain: a block then adds one term to each pairwise sum.
pub const PANEL: usize = CHAIN;

/// A matrix with orthonormal columns, or with orthonormal rows if it has fewer rows than columns, times a gain.
#[derive(Clone, Copy, Debug)]
pub struct Orthogonal {
    /// Key and stream of the matrix.
    pub keystream: Keystream,
    /// Number of rows. A matrix with fewer rows than columns is the transpose of the matrix with the two exchanged.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Factor of all elements.
    pub gain: f64,
}

/// The gain is not finite, or its absolute value exceeds half of the greatest number of the element type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GainError(String);

impl fmt::Display for GainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GainError {}

/// Check that matrices of type `T` can have this gain.
///
/// # Errors
///
/// If the gain is not finite, or its absolute value exceeds half of the greatest `T`.
pub fn check_gain<T: Element>(gain: f64) -> Result<(), GainError> {
    let max = T::MAX / 2.0; // half, since roundings can make an element slightly greater than the gain
    if gain.abs() <= max {
        return Ok(());
    }
    Err(GainError(format!(
        "gain must be within {max:?} of zero, half of the greatest {}. Received: gain={gain:?}",
        T::NAME
    )))
}

impl Orthogonal {
    /// Write the matrix to `out` in C order, on up to `threads` threads, the calling one included.
    ///
    /// `proceed` is called on the calling thread about every 20 ms. If it returns false, the work stops soon and leaves
    /// part of `out` unchanged.
    ///
    /// # Errors
    ///
    /// If `proceed` returned false, or if there is no memory for the work. This takes at most 16 MiB or twice the bytes
    /// of `out`, whichever is more, and some MiB for each thread. If the lesser of rows and columns is at most
    /// [`PANEL`], it takes at most 16 MiB.
    ///
    /// # Panics
    ///
    /// If the length of `out` is not the number of elements of the matrix, or if [`check_gain`] refuses the gain.
    pub fn run<T: Element>(
        &self,
        out: &mut [T],
        threads: NonZero<usize>,
        proceed: impl Fn() -> bool,
    ) -> Result<(), Stopped> {
        check_gain::<T>(self.gain).expect("check_gain must accept the gain");
        let out = ArrayViewMut2::from_shape((self.rows, self.columns), out)
            .expect("out must have the elements of the matrix");
        if out.is_empty() {
            return Ok(());
        }
        let out = if self.rows < self.columns { out.reversed_axes() } else { out };
        let (rows, columns) = out.dim();
        let schedule = Schedule::new([rows, columns], size_of::<T>(), size_of::<T::Computed>(), threads);
        backend::run(Make { matrix: self, out, schedule, proceed: &proceed })
    }
}

/// Computes a matrix: all panels first, then all strips.
struct Make<'a, T> {
    matrix: &'a Orthogonal,
    /// The memory of the matrix, transposed if it has fewer rows than columns.
    out: ArrayViewMut2<'a, T>,
    schedule: Schedule,
    proceed: &'a dyn Fn() -> bool,
}

impl<T: Element> Task for Make<'_, T> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Self::Output {
        with_blocks(b, self)
    }
}

impl<T: Element> BlockTask for Make<'_, T> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn run<B: Backend, const N: usize>(self, b: B) -> Self::Output {
        let Self { matrix, mut out, schedule, proceed } = self;
        let (rows, columns) = out.dim();
        let ranges = Ranges::new(rows.div_ceil(PANEL), schedule.row_threads);
        let normals = Normals::new::<T::Computed>(matrix.keystream, [rows, columns]);
        let mut panels = Vec::<Option<Panel<T::Computed, N>>>::new();
        panels.try_reserve_exact(columns.div_ceil(PANEL))?;
        panels.resize_with(columns.div_ceil(PANEL), || None);
        for_each(panels.iter_mut().enumerate(), schedule.panel_threads, proceed, |(i, panel), proceed| {
            *panel = Some(Panel::draw(b, normals, i, schedule.keep, &ranges, proceed)?);
            Ok::<_, Stopped>(())
        })?;
        let panels = panels.into_iter().flatten().collect::<Vec<_>>();
        // Threads take the last strips first. These take longest, since most panels are applied to them, and the short
        // ones then fill the idle time of threads at the end.
        let strips = out.axis_chunks_iter_mut(Axis(1), schedule.strip).enumerate().rev();
        for_each(strips, schedule.strip_threads, proceed, |(i, out), proceed| {
            let first = i * schedule.strip;
            let panels = &panels[..(first + out.ncols()).div_ceil(PANEL)];
            Strip { panels, first, gain: matrix.gain, out }.make(b, &ranges, proceed)
        })
    }
}

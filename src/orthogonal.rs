//! Random orthogonal matrices, distributed uniformly (by the Haar measure), from random Householder reflections.
//!
//! If A is a matrix of independent normals and A = Q R with a positive diagonal of R, then Q is distributed uniformly
//! (F. Mezzadri, *How to generate random matrices from the classical compact groups*, Notices of the AMS 54, 2007). The
//! Householder reflections that factorise A are distributed as those of independent normal vectors, each one shorter
//! than the one before (G. W. Stewart, *The efficient generation of random orthogonal matrices with an application to
//! condition estimators*, SIAM J. Numer. Anal. 17, 1980). So no matrix is factorised: the reflections are drawn and
//! multiplied. For column j of a tall matrix of normals, with x its elements from row j on,
//!
//! ```text
//! sign = 1 if x[0] > 0, else -1        alpha = |x|        v = x + sign alpha e0
//! u = v / v[0]     tau = 1 + |x[0]| / alpha     H(j) = I - tau u u'     Q = H(0) H(1) ... H(n - 1) diag(-sign)
//! ```
//!
//! of which the first n columns are computed: those are all that a matrix of n columns has.
//!
//! | module | what it computes |
//! |---|---|
//! | `panel` | the vectors u of [`PANEL`] reflections, and the products of these vectors |
//! | `strip` | some columns of Q: panels, applied from the last to the first by matrix products |
//! | `ranges` | passes over rows that several threads share |
//! | `schedule` | which threads do what, and what stays in memory |
//!
//! All sums are in the one order of [`matmul`](crate::matmul), in float64 for float64 elements and in float32 for all
//! others. `docs/streams.md` has all steps and roundings.
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

/// Number of reflections of a panel, and of rows of a block. The roundings depend on it.
pub const PANEL: usize = CHAIN;

/// A matrix with orthonormal columns, or with orthonormal rows if it has fewer rows than columns, times a gain.
#[derive(Clone, Copy, Debug)]
pub struct Orthogonal {
    /// The words that the matrix is made from.
    pub keystream: Keystream,
    /// Number of rows. A matrix with fewer rows than columns is the transposed one of `columns` rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Factor of all elements.
    pub gain: f64,
}

/// The gain is not finite, or beyond half of the greatest number of the element type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GainError(String);

impl fmt::Display for GainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GainError {}

/// Check that a gain is possible for elements of type `T`.
///
/// # Errors
///
/// If the gain is not finite, or beyond half of the greatest `T`.
pub fn check_gain<T: Element>(gain: f64) -> Result<(), GainError> {
    let max = T::MAX / 2.0; // elements may be greater than the gain by a rounding
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
    /// `proceed` is called on the calling thread now and then; if it returns false, the work stops soon and leaves part
    /// of `out` as it was.
    ///
    /// # Errors
    ///
    /// If `proceed` returned false, or if there is no memory for the work: at most 16 MiB, or twice the bytes of `out`
    /// where that is more; and some MiB for each thread. A matrix of up to [`PANEL`] columns, or rows where these are
    /// fewer, needs 16 MiB at most.
    ///
    /// # Panics
    ///
    /// If `out` has another number of elements than the matrix, or [`check_gain`] refuses the gain.
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
        // The last strips come first, since most panels are applied to them: the short ones fill the gaps at the end.
        let strips = out.axis_chunks_iter_mut(Axis(1), schedule.strip).enumerate().rev();
        for_each(strips, schedule.strip_threads, proceed, |(i, out), proceed| {
            let first = i * schedule.strip;
            let panels = &panels[..(first + out.ncols()).div_ceil(PANEL)];
            Strip { panels, first, gain: matrix.gain, out }.make(b, &ranges, proceed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Distribution, Recipe};
    use half::{bf16, f16};
    use std::cell::Cell;
    use std::marker::PhantomData;

    #[derive(Clone, Copy)]
    struct Made<T> {
        shape: [usize; 2],
        schedule: Schedule,
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
            let made = with_blocks(b, Make { matrix: &matrix, out, schedule: self.schedule, proceed: &|| true });
            made.expect("a matrix");
            elements
        }
    }

    const ONE_THREAD: Schedule =
        Schedule { keep: true, strip: PANEL, panel_threads: 1, strip_threads: 1, row_threads: 1 };

    fn made<T: Element>(shape: [usize; 2]) -> Vec<T> {
        backend::run(Made { shape, schedule: ONE_THREAD, element: PhantomData })
    }

    /// The matrix by its definition: in float64, one reflection at a time, without panels.
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
            for (x, want) in made::<T>([rows, columns]).into_iter().zip(&want) {
                assert!((x.to_f64() - want).abs() < error, "{rows} x {columns} in {}: {x:?}, {want}", T::NAME);
            }
        }
    }

    #[test]
    fn matrices_agree_with_the_definition_except_for_roundings() {
        matrices_are_those_of_the_definition::<f64>(1e-14);
        matrices_are_those_of_the_definition::<f32>(4e-6);
        matrices_are_those_of_the_definition::<f16>(5e-4);
        matrices_are_those_of_the_definition::<bf16>(4e-3);
    }

    /// Schedules of all kinds: with and without vectors kept, of several widths of strips and numbers of threads.
    fn schedules() -> impl Iterator<Item = Schedule> {
        [true, false].into_iter().flat_map(|keep| {
            [(PANEL, 1, 1, 1), (3 * PANEL, 2, 3, 1), (2 * PANEL, 1, 1, 3), (7 * PANEL, 2, 1, 2)].map(
                |(strip, panel_threads, strip_threads, row_threads)| Schedule {
                    keep,
                    strip,
                    panel_threads,
                    strip_threads,
                    row_threads,
                },
            )
        })
    }

    fn backends_and_schedules_agree<T: Element>() {
        for [rows, columns] in SHAPES {
            let want = made::<T>([rows, columns]);
            for schedule in schedules() {
                for (name, made) in
                    backend::on_each(Made { shape: [rows, columns], schedule, element: PhantomData::<T> })
                {
                    assert!(made == want, "{name}, {schedule:?}, {rows} x {columns} in {}", T::NAME);
                }
            }
            if rows == columns {
                continue;
            }
            let transposed = made::<T>([columns, rows]);
            for (i, row) in want.chunks(columns).enumerate() {
                assert!(row.iter().enumerate().all(|(j, x)| *x == transposed[j * rows + i]), "{columns} x {rows}");
            }
        }
    }

    #[test]
    fn every_backend_and_schedule_gives_the_same_bits() {
        backends_and_schedules_agree::<f16>();
        backends_and_schedules_agree::<bf16>();
        backends_and_schedules_agree::<f32>();
        backends_and_schedules_agree::<f64>();
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
    fn an_empty_matrix_needs_no_work() {
        for (rows, columns) in [(0, 0), (0, 5), (5, 0)] {
            let matrix = Orthogonal { keystream: Keystream::new([5; 32], 0), rows, columns, gain: 1.0 };
            assert_eq!(matrix.run::<f32>(&mut [], NonZero::<usize>::MIN, || unreachable!()), Ok(()));
        }
    }

    #[test]
    fn it_stops_soon_after_an_interruption() {
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
    fn a_gain_beyond_half_of_the_greatest_element_is_an_error() {
        for gain in [f64::NAN, f64::INFINITY, -32753.0, 40000.0] {
            assert!(check_gain::<f16>(gain).is_err());
        }
        assert_eq!(check_gain::<f16>(-32752.0), Ok(()));
        assert!(check_gain::<f32>(2e38).unwrap_err().to_string().ends_with("Received: gain=2e38"));
    }
}

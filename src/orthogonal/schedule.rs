//! The schedule: how threads divide the work on a matrix, and whether the Householder vectors stay in memory.
//!
//! A schedule changes the time and the memory that a matrix takes, but no element of the matrix.

use super::PANEL;
use crate::matmul::useful_threads;
use std::num::NonZero;

/// Memory that the work on any matrix may take, in bytes. Saving less is not worth the time.
const FREE: usize = 1 << 24;

/// Number of columns of the widest strip, if the panels keep their vectors. With 4096 rows of float32, such a strip
/// takes 1.5 MiB, which fit in the second-level cache of a core.
const MAX_STRIP: usize = 96;

/// Least number of strips for each thread with which every thread makes whole strips. With fewer, threads would wait
/// for the one with the last strip, which takes longest, since all panels are applied to it.
const STRIPS_PER_THREAD: usize = 3;

/// How a matrix is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Whether panels keep their vectors. Otherwise these are drawn again for each use.
    pub(super) keep: bool,
    /// Number of columns of a strip, a multiple of [`PANEL`].
    pub(super) strip: usize,
    /// Number of threads that draw different panels at the same time.
    pub(super) panel_threads: usize,
    /// Number of threads that make different strips at the same time.
    pub(super) strip_threads: usize,
    /// Number of threads that share the rows of one panel, or of one strip. If it is more than 1, the two numbers above
    /// are 1.
    pub(super) row_threads: usize,
}

impl Schedule {
    /// The schedule of a matrix with at least as many rows as columns. An element takes `element` bytes, and a number
    /// of the arithmetic `number` bytes.
    pub(super) fn new([rows, columns]: [usize; 2], element: usize, number: usize, threads: NonZero<usize>) -> Self {
        let (panels, blocks) = (columns.div_ceil(PANEL), rows.div_ceil(PANEL));
        // Bytes of all vectors. Those of a panel start at the block of rows with its diagonal.
        let vectors = (0..panels).map(|i| (blocks - i) * PANEL * PANEL * number).sum::<usize>();
        let strip = (columns / 4 / PANEL * PANEL).clamp(PANEL, MAX_STRIP);
        // Bytes of a strip. A single panel needs no memory: it is applied to the identity as the elements are written.
        let of_strip = |strip: usize| if panels == 1 { 0 } else { rows * strip * number };
        let allowed = if panels == 1 { FREE } else { FREE.max(2 * rows * columns * element) };
        let keep = vectors + of_strip(strip) <= allowed;
        // Vectors that are not kept are drawn again for each strip, so there are only two wide strips.
        let strip = if keep { strip } else { columns.div_ceil(2).next_multiple_of(PANEL) };
        let strips = columns.div_ceil(strip);

        let multiplications = rows.saturating_mul(columns).saturating_mul(columns);
        // Number of strips that fit in the allowed memory at the same time.
        let side_by_side = if keep { (allowed - vectors) / of_strip(strip).max(1) } else { 1 };
        let strip_threads = useful_threads(threads, multiplications).min(strips).min(side_by_side);
        let row_threads = useful_threads(threads, rows.saturating_mul(2 * PANEL * strip.min(columns)));
        if strip_threads.min(strips / STRIPS_PER_THREAD) >= row_threads || row_threads == 1 {
            let panel_threads = useful_threads(threads, rows.saturating_mul(columns) * PANEL).min(panels);
            Self { keep, strip, panel_threads, strip_threads, row_threads: 1 }
        } else {
            Self { keep, strip, panel_threads: 1, strip_threads: 1, row_threads }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_bounded_by_the_result() {
        let threads = |count: usize| NonZero::new(count).expect("not zero");
        for [rows, columns] in [[1, 1], [64, 64], [4_000_000, 2], [4_000_000, 10], [1_000_000, 33], [500_000, 97]]
            .into_iter()
            .chain([[100_000, 300], [4096, 4096], [5000, 4000], [20_000, 4096]])
        {
            for (element, number) in [(2, 4), (4, 4), (8, 8)] {
                for count in [1, 2, 8, 64] {
                    let schedule = Schedule::new([rows, columns], element, number, threads(count));
                    let (strip, blocks) = (schedule.strip, rows.div_ceil(PANEL));
                    let panels = if schedule.keep { columns.div_ceil(PANEL) } else { 0 };
                    let vectors = (0..panels).map(|i| (blocks - i) * PANEL * PANEL * number).sum::<usize>();
                    let strips = if columns > PANEL { schedule.strip_threads * rows * strip * number } else { 0 };
                    let result = rows * columns * element;
                    assert!(
                        vectors + strips <= (2 * result).max(FREE) + 2 * rows * PANEL * number,
                        "{rows} x {columns}, {element} bytes, {count} threads: {schedule:?}"
                    );
                    if columns <= PANEL {
                        assert!(vectors + strips <= FREE, "{rows} x {columns}: {schedule:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn threads_share_strips_or_rows_and_little_work_has_one_thread() {
        let of = |shape| Schedule::new(shape, 4, 4, NonZero::new(2).expect("not zero"));
        let square = of([4096, 4096]);
        assert_eq!((square.strip_threads, square.row_threads), (2, 1), "many strips");
        let tall = of([1_000_000, 40]);
        assert_eq!((tall.strip_threads, tall.row_threads), (1, 2), "many rows");
        let small = of([64, 64]);
        assert_eq!((small.strip_threads, small.row_threads), (1, 1), "too little work");
    }
}

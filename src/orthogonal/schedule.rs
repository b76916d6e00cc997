//! How the work is divided, and what is kept in memory.

use super::PANEL;
use crate::matmul::useful_threads;
use std::num::NonZero;

/// How a matrix is made. Its elements do not depend on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Whether panels keep their vectors. Else these are drawn again for each use.
    pub(super) keep: bool,
    /// Columns of a strip, a multiple of [`PANEL`].
    pub(super) strip: usize,
    /// Threads that draw panels.
    pub(super) panel_threads: usize,
    /// Threads that make strips.
    pub(super) strip_threads: usize,
    /// Threads that share the rows of a panel, or of a strip.
    pub(super) row_threads: usize,
}

impl Schedule {
    /// For a matrix with no fewer rows than columns, of elements of `element` bytes that are computed in numbers of `number`
    /// bytes.
    pub(super) fn new([rows, columns]: [usize; 2], element: usize, number: usize, threads: NonZero<usize>) -> Self {
        const MAX_STRIP: usize = 96; // columns: in 4096 rows of float32 they stay in the second-level cache
        const FREE: usize = 1 << 24; // bytes that are not worth saving
        let (panels, blocks) = (columns.div_ceil(PANEL), rows.div_ceil(PANEL));
        let vectors = (0..panels).map(|i| (blocks - i) * PANEL * PANEL * number).sum::<usize>();
        let strip = (columns / 4 / PANEL * PANEL).clamp(PANEL, MAX_STRIP);
        // The columns of one panel need no memory.
        let of_strip = |strip: usize| if panels == 1 { 0 } else { rows * strip * number };
        let allowed = if panels == 1 { FREE } else { FREE.max(2 * rows * columns * element) };
        let keep = vectors + of_strip(strip) <= allowed;
        // A strip draws the vectors that are not kept: the wider it is, the less often.
        let strip = if keep { strip } else { columns.div_ceil(2).next_multiple_of(PANEL) };
        let strips = columns.div_ceil(strip);

        let multiplications = rows.saturating_mul(columns).saturating_mul(columns);
        let side_by_side = if keep { (allowed - vectors) / of_strip(strip).max(1) } else { 1 };
        let strip_threads = useful_threads(threads, multiplications).min(strips).min(side_by_side);
        let row_threads = useful_threads(threads, rows.saturating_mul(2 * PANEL * strip.min(columns)));
        // The last strip takes three times as long as others: with fewer than that many for each thread, some have to wait.
        if strip_threads.min(strips / 3) >= row_threads || row_threads == 1 {
            let panel_threads = useful_threads(threads, rows.saturating_mul(columns) * PANEL).min(panels);
            Self { keep, strip, panel_threads, strip_threads, row_threads: 1 }
        } else {
            Self { keep, strip, panel_threads: 1, strip_threads: 1, row_threads }
        }
    }
}

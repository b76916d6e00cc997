//! Reflections, applied to columns.

use super::panel::Panel;
use super::{PANEL, ROWS, Stopped};
use crate::backend::{Backend, Task};
use crate::matmul::{Lines, add_product, filled, tile_width};
use crate::narrow::{Element, Real};
use crate::share::GoOn;
use ndarray::ArrayViewMut2;
use std::sync::OnceLock;

/// Columns of Q, from `first` on, all of one panel: the last of `panels`.
pub(super) struct Strip<'a, T: Element, const N: usize> {
    pub(super) panels: &'a [OnceLock<Panel<T::Computed, N>>],
    pub(super) first: usize,
    pub(super) gain: T::Computed,
    pub(super) out: ArrayViewMut2<'a, T>,
    pub(super) go_on: &'a GoOn<'a>,
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
        let mut scratch = [Lines::zeros(PANEL * step)?, Lines::zeros(PANEL * step)?];
        for panel in self.panels.iter().rev().filter_map(OnceLock::get) {
            panel.apply(b, self.first, (&mut strip, step), &mut scratch, self.go_on)?;
        }
        self.write(b, &strip, step)
    }
}

impl<T: Real, const N: usize> Panel<T, N> {
    /// Apply the reflections to a strip, whose rows are `step` long, of the columns from `first` on.
    #[inline(always)]
    fn apply<B: Backend>(
        &self,
        b: B,
        first: usize,
        (strip, step): (&mut [T], usize),
        [products, factored]: &mut [Lines<T>; 2],
        go_on: &GoOn<'_>,
    ) -> Result<(), Stopped> {
        let across = self.across();
        // The rows of the strip that are not zero: of the panel that it belongs to, an identity; else those below.
        let own = self.first + PANEL > first;
        let from = if own { self.first } else { self.first + PANEL };
        let to = if own { self.first + across * N } else { strip.len() / step };

        products.fill(T::default());
        for start in (from..to).step_by(ROWS) {
            go_on()?;
            let blocks = &self.vectors[(start - self.first) / N * across..];
            let rows = &strip[start * step..to.min(start + ROWS) * step];
            for at in (0..step).step_by(tile_width::<B, T>()) {
                for i in 0..across {
                    let (blocks, sums) = (blocks[i..].iter().step_by(across), &mut products[i * N * step..]);
                    add_product::<B, T, N, true>(b, blocks, rows, sums, (step, at));
                }
            }
        }
        factored.fill(T::default());
        for at in (0..step).step_by(tile_width::<B, T>()) {
            for (i, blocks) in self.factor.chunks_exact(across).enumerate() {
                let (rows, sums) = (&products[i * N * step..], &mut factored[i * N * step..]);
                add_product::<B, T, N, false>(b, blocks[i..].iter(), rows, sums, (step, at));
            }
        }
        let per_visit = ROWS / N;
        for (visit, blocks) in self.vectors.chunks(per_visit * across).enumerate() {
            go_on()?;
            for at in (0..step).step_by(tile_width::<B, T>()) {
                for (i, blocks) in blocks.chunks_exact(across).enumerate() {
                    let i = visit * per_visit + i;
                    let sums = &mut strip[(self.first + i * N) * step..];
                    // Above the diagonal there are zeros.
                    let blocks = &blocks[..across.min(i + 1)];
                    add_product::<B, T, N, false>(b, blocks.iter(), factored, sums, (step, at));
                }
            }
        }
        Ok(())
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

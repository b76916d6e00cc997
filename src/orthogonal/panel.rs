//! Reflections, drawn by panels.

use super::{ROWS, Stopped};
use crate::backend::{Backend, Task};
use crate::fill::Fill;
use crate::keystream::Keystream;
use crate::matmul::{Block, Lines, add_product, blocks_of, filled, tile_width};
use crate::narrow::Real;
use crate::recipe::{Distribution, Recipe};
use crate::region::{Axis, Region};
use crate::share::GoOn;
use std::marker::PhantomData;
use std::num::NonZero;

/// Up to [`PANEL`](super::PANEL) reflections: I - U T U'.
pub(super) struct Panel<T, const N: usize> {
    /// The first row and column.
    pub(super) first: usize,
    /// U from that row on, in rows of blocks.
    pub(super) vectors: Vec<Block<T, N>>,
    /// -T.
    pub(super) factor: Vec<Block<T, N>>,
    /// -sign of each.
    pub(super) signs: Vec<T>,
}

impl<T, const N: usize> Panel<T, N> {
    /// How many blocks are in a row of them.
    pub(super) fn across(&self) -> usize {
        self.signs.len().div_ceil(N)
    }
}

/// Make a panel.
pub(super) struct Draw<'a, T, const N: usize> {
    pub(super) element: PhantomData<T>,
    pub(super) keystream: Keystream,
    pub(super) shape: [usize; 2],
    pub(super) first: usize,
    pub(super) width: usize,
    pub(super) go_on: &'a GoOn<'a>,
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

    /// The sum of the squares of each column, and its first number.
    #[inline(always)]
    fn squares<B: Backend>(&self, b: B, normals: &mut Normals<T>) -> Result<[Lines<f64>; 2], Stopped> {
        let step = normals.step;
        let (mut squares, mut leading) = (Lines::zeros(step)?, Lines::zeros(step)?);
        for start in (0..self.shape[0] - self.first).step_by(ROWS) {
            (self.go_on)()?;
            let count = self.rows(start, normals);
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
        Ok([squares, leading])
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
        let [squares, leading] = self.squares(b, &mut normals)?;

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

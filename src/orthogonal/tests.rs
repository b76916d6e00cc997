//! Matrices agree with the definition, and every backend and schedule computes the same bits.

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

const ONE_THREAD: Schedule = Schedule { keep: true, strip: PANEL, panel_threads: 1, strip_threads: 1, row_threads: 1 };

fn made<T: Element>(shape: [usize; 2]) -> Vec<T> {
    backend::run(Made { shape, schedule: ONE_THREAD, element: PhantomData })
}

/// The matrix by the definition in the module's documentation: in float64, one reflection at a time, without panels.
fn defined(rows: usize, columns: usize) -> Vec<f64> {
    let recipe = Recipe::new::<f64>(Distribution::Normal { mean: 0.0, stddev: 1.0 }).expect("a recipe");
    let normals =
        crate::fill::array::<f64>(Keystream::new([3; 32], 1), recipe, &[rows, columns]).expect("a small tensor");
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

fn matrices_agree_with_the_definition<T: Element>(error: f64) {
    for [rows, columns] in SHAPES {
        let want = defined(rows, columns);
        for (x, want) in made::<T>([rows, columns]).into_iter().zip(&want) {
            assert!((x.to_f64() - want).abs() < error, "{rows} x {columns} in {}: {x:?}, {want}", T::NAME);
        }
    }
}

#[test]
fn matrices_agree_with_the_definition_except_for_roundings() {
    matrices_agree_with_the_definition::<f64>(1e-14);
    matrices_agree_with_the_definition::<f32>(4e-6);
    matrices_agree_with_the_definition::<f16>(5e-4);
    matrices_agree_with_the_definition::<bf16>(4e-3);
}

/// Schedules that keep the vectors or not, with several widths of strips and numbers of threads.
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
            for (name, made) in backend::on_each(Made { shape: [rows, columns], schedule, element: PhantomData::<T> }) {
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
fn a_matrix_of_one_element_is_plus_or_minus_the_gain() {
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
fn a_gain_greater_than_half_of_the_greatest_element_is_an_error() {
    for gain in [f64::NAN, f64::INFINITY, -32753.0, 40000.0] {
        assert!(check_gain::<f16>(gain).is_err());
    }
    assert_eq!(check_gain::<f16>(-32752.0), Ok(()));
    assert!(check_gain::<f32>(2e38).unwrap_err().to_string().ends_with("Received: gain=2e38"));
}

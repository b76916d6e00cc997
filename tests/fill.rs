//! Every region has the bits that the whole tensor has there, with any number of threads.

use ndarray::{ArrayD, Slice};
use seedbed::element::Element;
use seedbed::fill::{Fill, Interrupted, array};
use seedbed::keystream::Keystream;
use seedbed::recipe::{Distribution, Recipe};
use seedbed::region::{Axis, Region, RegionError, Run};
use std::cell::Cell;
use std::num::NonZero;

const DISTRIBUTIONS: [Distribution; 4] = [
    Distribution::Uniform { minval: -0.5, maxval: 1.5 },
    Distribution::Normal { mean: 0.25, stddev: 2.0 },
    Distribution::TruncatedNormal { mean: -0.25, stddev: 0.5 },
    Distribution::NormalBetween { mean: -0.25, stddev: 0.5, lower: -0.5, upper: 6.0 },
];

fn threads(n: usize) -> NonZero<usize> {
    NonZero::new(n).expect("not zero")
}

fn keystream() -> Keystream {
    Keystream::new([9; 32], 4)
}

fn part<T: Element>(recipe: Recipe, region: &Region, n: usize) -> Vec<T> {
    let mut out = vec![T::default(); region.len() as usize];
    Fill { keystream: keystream(), recipe, region }.run(&mut out, threads(n), || true).expect("not interrupted");
    out
}

/// Pseudorandom regions of a tensor, the same in each run.
fn regions(shape: &[usize], number: u64) -> impl Iterator<Item = Vec<Axis>> {
    let mut state = 1u64;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below.max(1)
    };
    (0..number).map(move |_| {
        let axis = |&length: &usize| {
            let length = length as u64;
            let (start, step) = (next(length), 1 + next(3) * next(20));
            if next(2) == 0 {
                let count = 1 + next((length - start).div_ceil(step));
                Axis { length, start, step: step as i64, count }
            } else {
                Axis { length, start, step: -(step as i64), count: 1 + next(start / step + 1) }
            }
        };
        shape.iter().map(axis).collect()
    })
}

/// The same region, sliced from the whole tensor by ndarray.
fn slice_of<T: Element>(whole: &ArrayD<T>, axes: &[Axis]) -> Vec<T> {
    let mut view = whole.view();
    for (i, axis) in axes.iter().enumerate() {
        let (start, span) = (axis.start as isize, axis.step as isize * (axis.count as isize - 1));
        let (low, high) = (start.min(start + span), start.max(start + span));
        view.slice_axis_inplace(ndarray::Axis(i), Slice::new(low, Some(high + 1), axis.step as isize));
    }
    view.iter().copied().collect()
}

fn regions_are_slices_of_the_whole<T: Element>() {
    for distribution in DISTRIBUTIONS {
        let recipe = Recipe::new::<T>(distribution).expect("a recipe");
        for shape in [&[7, 11, 130][..], &[40_000], &[300, 200], &[2, 3, 4, 5, 6]] {
            let whole = array::<T>(keystream(), recipe, shape).expect("a small tensor");
            for axes in regions(shape, 60) {
                let region = Region::new(&axes).expect("a region within the tensor");
                assert_eq!(part::<T>(recipe, &region, 1), slice_of(&whole, &axes), "{axes:?} of {distribution:?}");
            }
        }
    }
}

#[test]
fn regions_of_float16_are_slices_of_the_whole() {
    regions_are_slices_of_the_whole::<half::f16>();
}

#[test]
fn regions_of_bfloat16_are_slices_of_the_whole() {
    regions_are_slices_of_the_whole::<half::bf16>();
}

#[test]
fn regions_of_float32_are_slices_of_the_whole() {
    regions_are_slices_of_the_whole::<f32>();
}

#[test]
fn regions_of_float64_are_slices_of_the_whole() {
    regions_are_slices_of_the_whole::<f64>();
}

/// The elements of a complex number are along a last axis of length 2. Every region has all of this axis.
fn regions_of_pairs_are_slices_of_the_whole<T: Element>() {
    for distribution in [Distribution::Disk { radius: 2.0 }, Distribution::ComplexTruncatedNormal { stddev: 0.5 }] {
        let recipe = Recipe::new::<T>(distribution).expect("a recipe");
        for shape in [&[7, 11, 65][..], &[20_000], &[300, 100]] {
            let whole = array::<T>(keystream(), recipe, &[shape, &[2]].concat()).expect("a small tensor");
            for mut axes in regions(shape, 60) {
                axes.push(Axis { length: 2, start: 0, step: 1, count: 2 });
                let region = Region::new(&axes).expect("a region within the tensor");
                assert!(region.keeps_pairs(), "{axes:?}");
                assert_eq!(part::<T>(recipe, &region, 1), slice_of(&whole, &axes), "{axes:?} of {distribution:?}");
            }
        }
    }
}

#[test]
fn regions_of_complex_numbers_are_slices_of_the_whole() {
    regions_of_pairs_are_slices_of_the_whole::<f32>();
    regions_of_pairs_are_slices_of_the_whole::<f64>();
}

#[test]
fn a_region_that_separates_a_pair_is_recognized() {
    let axis = |length, start, step, count| Axis { length, start, step, count };
    for axes in [
        vec![axis(10, 1, 1, 4)],
        vec![axis(10, 0, 1, 5)],
        vec![axis(10, 0, 2, 5)],
        vec![axis(10, 3, 1, 1)],
        vec![axis(10, 9, -1, 10)],
        vec![axis(3, 0, 1, 2), axis(3, 0, 1, 2)],
        vec![axis(5, 0, 1, 5), axis(2, 1, 1, 1)],
    ] {
        assert!(!Region::new(&axes).expect("a region").keeps_pairs(), "{axes:?}");
    }
    assert!(Region::new(&[axis(5, 3, 1, 0)]).expect("an empty region").keeps_pairs());
    assert!(Region::whole(&[3, 2]).expect("a region").keeps_pairs());
}

#[test]
fn every_number_of_threads_gives_the_same_bits() {
    for distribution in DISTRIBUTIONS {
        let recipe = Recipe::new::<f32>(distribution).expect("a recipe");
        let region = Region::whole(&[5_000_003]).expect("a region"); // 20 MB: chunks are huge pages with 2 threads
        let one = part::<f32>(recipe, &region, 1);
        for n in [2, 3, 64] {
            assert!(part::<f32>(recipe, &region, n) == one, "{n} threads");
        }
    }
}

#[test]
fn element_numbers_of_more_than_32_bits_give_distinct_values() {
    let recipe = Recipe::new::<f64>(DISTRIBUTIONS[1]).expect("a recipe");
    let row = |start| {
        let axes = [(1 << 40, start, 1), (1 << 22, (1 << 22) - 5, 5)];
        let axes = axes.map(|(length, start, count)| Axis { length, start, step: 1, count });
        part::<f64>(recipe, &Region::new(&axes).expect("a region"), 1)
    };
    let (first, last) = (row(0), row((1 << 40) - 1));
    let element = ((1u64 << 40) - 1) * (1 << 22) + (1 << 22) - 5;
    let axes = [Axis { length: 1 << 62, start: element, step: 1, count: 5 }];
    assert_ne!(first, last);
    assert_eq!(last, part::<f64>(recipe, &Region::new(&axes).expect("a region"), 1));
}

#[test]
fn axes_that_continue_each_other_are_one_run() {
    let region = Region::whole(&[3, 1, 5, 7]).expect("a region");
    assert_eq!(region.runs(10..105).collect::<Vec<_>>(), [Run { first: 10, step: 1, count: 95 }]);
    let rows = [(9, 2, 4), (7, 0, 7)].map(|(length, start, count)| Axis { length, start, step: 1, count });
    let runs = Region::new(&rows).expect("a region").runs(0..28).collect::<Vec<_>>();
    assert_eq!(runs, [Run { first: 14, step: 1, count: 28 }]);
}

#[test]
fn a_region_outside_the_tensor_is_an_error() {
    let axis = |start, step, count| Axis { length: 10, start, step, count };
    for bad in [axis(10, 1, 1), axis(9, 1, 2), axis(0, -1, 2), axis(5, i64::MIN, 2), axis(1, i64::MAX, u64::MAX >> 2)] {
        assert_eq!(Region::new(&[bad]), Err(RegionError::OutOfBounds(bad)));
    }
    let huge = Axis { length: 1 << 32, start: 0, step: 1, count: 1 };
    assert_eq!(Region::new(&[huge, huge]), Err(RegionError::TooLarge));
    assert!(Region::new(&[axis(99, 1, 0)]).is_ok_and(|region| region.is_empty()));
}

#[test]
fn an_interrupted_fill_stops_soon() {
    let recipe = Recipe::new::<f32>(DISTRIBUTIONS[0]).expect("a recipe");
    let region = Region::whole(&[100_000_000]).expect("a region");
    let asked = Cell::new(0);
    let proceed = || {
        asked.set(asked.get() + 1);
        false
    };
    let mut out = vec![f32::NAN; 100_000_000];
    let result = Fill { keystream: keystream(), recipe, region: &region }.run(&mut out, threads(2), proceed);
    assert_eq!(result, Err(Interrupted));
    assert_eq!(asked.get(), 1);
    assert!(out.iter().any(|x| x.is_nan()), "part of the memory is unchanged");
}

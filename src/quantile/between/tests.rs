//! Values between bounds rise with the word and stay within the bounds, however far from 0 these are.

use super::*;
use crate::backend::{self, Task};

const INF: f64 = f64::INFINITY;
const BOUNDS: [(f64, f64); 16] = [
    (-3.0, 3.0),
    (-1.0, 4.0),
    (-0.1, 0.1),
    (-1e-3, 40.0),
    (-9.0, 0.5),
    (0.0, INF),
    (-INF, 1.5),
    (0.3, 0.4),
    (0.5, 0.9),
    (2.0, 3.0),
    (6.0, 7.0),
    (6.0, 6.0 + 1e-9),
    (-31.0, -30.0),
    (37.0, INF),
    (-INF, -37.0),
    (-39.0, -36.0),
];

#[derive(Clone, Copy)]
struct Drawn<'a>(Between, &'a [u64]);

impl Task for Drawn<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> Vec<f64> {
        let mut values = vec![0.0; self.1.len()];
        for (words, values) in self.1.chunks_exact(B::LANES).zip(values.chunks_exact_mut(B::LANES)) {
            let (mut high, mut low) = ([0; backend::MAX_LANES], [0; backend::MAX_LANES]);
            for (i, word) in words.iter().enumerate() {
                (high[i], low[i]) = ((word >> 32) as u32, *word as u32);
            }
            b.store_f64(self.0.values(b, [b.join(b.load(&high), b.load(&low))])[0], values);
        }
        values
    }
}

/// Words in rising order: at every binary order of distance from both ends and from the middle, and their neighbours.
fn words() -> Vec<u64> {
    let mut words: Vec<u64> = (0..64)
        .flat_map(|order| (0..40u64).map(move |i| (1u64 << order).wrapping_add(i << u32::saturating_sub(order, 6))))
        .chain((0..1u64 << 14).map(|i| i << 50))
        .flat_map(|word| (0..3).map(move |i| word.wrapping_add(i)))
        .flat_map(|word| [word, !word, word ^ (1 << 63), !word ^ (1 << 63)])
        .collect();
    words.sort_unstable();
    words.truncate(words.len() / 16 * 16);
    words
}

#[test]
fn values_rise_with_the_word_and_are_within_a_rounding_of_bounds() {
    let words = words();
    for (lower, upper) in BOUNDS {
        let values = backend::run(Drawn(Between::new(lower, upper), &words));
        let places = values.windows(2).zip(words.windows(2));
        for (x, word) in places {
            assert!(x[0] <= x[1], "{} follows {} at {:#x} in [{lower}, {upper}]", x[1], x[0], word[1]);
        }
        let (first, last) = (values[0], values[values.len() - 1]);
        let rounding = (4.0 * f64::EPSILON * lower.abs().min(upper.abs())).max(f64::MIN_POSITIVE);
        assert!(lower - rounding <= first && last <= upper + rounding, "[{first}, {last}] in [{lower}, {upper}]");
    }
}

#[test]
fn the_outermost_values_are_at_the_bounds() {
    let near = |x: f64, y: f64| assert!((x / y - 1.0).abs() < 1e-14, "{x} for {y}");
    for (lower, upper) in [(-3.0, 2.5), (0.5, 0.9), (6.0, 7.0), (36.0, 36.5)] {
        let values = backend::run(Drawn(Between::new(lower, upper), &[[0u64; 8], [u64::MAX; 8]].concat()));
        near(values[0], lower);
        near(values[15], upper);
    }
    let values = backend::run(Drawn(Between::new(37.0, INF), &[u64::MAX; 16]));
    near(values[0], 38.197_454_383_681_04); // computed by mpmath
    let values = backend::run(Drawn(Between::new(-INF, 0.0), &[0; 16]));
    near(values[0], -9.229_834_433_057_749);
}

#[test]
fn all_backends_give_the_same_bits() {
    let words = words();
    for (lower, upper) in BOUNDS {
        let outputs = backend::on_each(Drawn(Between::new(lower, upper), &words));
        for (name, values) in &outputs[1..] {
            assert!(*values == outputs[0].1, "{name} in [{lower}, {upper}]");
        }
    }
}

#[test]
fn mirrored_bounds_give_mirrored_values() {
    let words = words();
    let mirrored: Vec<u64> = words.iter().map(|word| !word).collect();
    for (lower, upper) in BOUNDS {
        let values = backend::run(Drawn(Between::new(lower, upper), &words));
        let opposite = backend::run(Drawn(Between::new(-upper, -lower), &mirrored));
        assert!(values.iter().zip(&opposite).all(|(x, y)| *x == -y), "[{lower}, {upper}]");
    }
}

#[test]
fn the_logarithm_never_rises() {
    let orders = (0..70u64).flat_map(|order| (0..2000).map(move |i| (1023 - order) << 52 | (i << 40)));
    let bits = orders.flat_map(|bits| (0..5).map(move |i| bits + i - 2)).filter(|bits| *bits < 1023 << 52);
    let mut numbers: Vec<f64> = bits.map(f64::from_bits).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let logarithm = |t: f64| minus_log(Portable::<1>, [t], [1.0 - t])[0];
    for pair in numbers.windows(2) {
        assert!(logarithm(pair[0]) >= logarithm(pair[1]), "at {:?}", pair[1]);
    }
    assert_eq!(logarithm(2f64.powi(-7)), 7.0 * std::f64::consts::LN_2);
}

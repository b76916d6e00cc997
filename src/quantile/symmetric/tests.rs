//! The quantile functions rise with the word, are odd, and agree in float32 and float64.

use super::*;
use crate::backend::{self, MAX_LANES, Task};
use crate::quantile::Scale;
use std::thread;

const STANDARD: Scale = Scale { center: 0.0, scale: 1.0 };
const VECTORS: u64 = 1 << 12;

/// The float32 and float64 values of consecutive high words. All low words are 2^31, the middle.
struct Values<'a, S>(S, u32, &'a mut [f32], &'a mut [f64]);

impl<S: Standard> Task for Values<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        let mut words = [0u32; MAX_LANES];
        let singles = self.2.chunks_exact_mut(B::LANES);
        for (i, (single, double)) in singles.zip(self.3.chunks_exact_mut(B::LANES)).enumerate() {
            for (lane, word) in words.iter_mut().enumerate() {
                *word = self.1 + (i * B::LANES + lane) as u32;
            }
            let high = b.load(&words);
            let [values] = self.0.single(b, STANDARD, [high], |_| 1 << 31);
            b.store_f32(values, single);
            let rare = self.0.rare_in_single(b, high);
            for lane in (0..B::LANES).filter(|lane| rare >> lane & 1 == 1) {
                single[lane] = self.0.rare_single(STANDARD, words[lane], || 1 << 31);
            }
            let [values] = self.0.double(b, STANDARD, [high], [b.splat(1 << 31)]);
            b.store_f64(values, double);
            let rare = self.0.rare_in_double(b, high);
            for lane in (0..B::LANES).filter(|lane| rare >> lane & 1 == 1) {
                double[lane] = self.0.rare_double(STANDARD, words[lane], 1 << 31);
            }
        }
    }
}

/// Check for all 2^32 high words that the values rise. Returns their largest difference from the float64 values, in
/// ulp.
fn sweep(standard: impl Standard + Sync, threads: u64) -> f64 {
    let size = VECTORS * MAX_LANES as u64;
    let part = |thread: u64| {
        let (mut single, mut double) = (vec![0.0; size as usize], vec![0.0; size as usize]);
        let (mut last, mut worst) = (f32::NEG_INFINITY, 0.0f64);
        let words = (1u64 << 32) / threads;
        for first in (thread * words..(thread + 1) * words).step_by(size as usize) {
            backend::run(Values(standard, first as u32, &mut single, &mut double));
            for (&x, &exact) in single.iter().zip(&double) {
                assert!(last <= x, "the value {x} follows {last}, near the word {first:#x}");
                last = x;
                let ulp = f64::from(f32::from_bits((exact.abs() as f32).to_bits() & 0x7f80_0000)) * 2f64.powi(-23);
                worst = worst.max((f64::from(x) - exact).abs() / ulp);
            }
        }
        worst
    };
    thread::scope(|scope| {
        let parts: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
        parts.into_iter().map(|part| part.join().expect("no thread panicked")).fold(0.0, f64::max)
    })
}

#[test]
fn the_float32_normal_rises_and_is_near_the_float64_one() {
    let worst = sweep(Normal, 2);
    println!("normal: at most {worst:.3} ulp");
    assert!(worst < 2.3);
}

#[test]
fn the_float32_truncated_normal_rises_and_is_near_the_float64_one() {
    let worst = sweep(TruncatedNormal, 2);
    println!("truncated normal: at most {worst:.3} ulp");
    assert!(worst < 2.3);
}

#[test]
fn the_float32_uniform_rises_and_is_rounded_once() {
    let worst = sweep(Uniform, 2);
    println!("uniform: at most {worst:.3} ulp");
    assert!(worst <= 0.5 + 1e-6);
}

/// The float64 value of one 64-bit word.
fn double(standard: impl Standard, word: u64) -> f64 {
    let (high, low) = ((word >> 32) as u32, word as u32);
    if standard.rare_in_double(Portable::<1>, [high]) != 0 {
        return standard.rare_double(STANDARD, high, low);
    }
    standard.double(Portable::<1>, STANDARD, [[high]], [[low]])[0][0]
}

fn single(standard: impl Standard, word: u64) -> f32 {
    let high = (word >> 32) as u32;
    if standard.rare_in_single(Portable::<1>, [high]) != 0 {
        return standard.rare_single(STANDARD, high, || word as u32);
    }
    standard.single(Portable::<1>, STANDARD, [[high]], |_| word as u32)[0][0]
}

#[test]
fn the_outermost_values_rise_with_their_low_words() {
    let mut last = f32::NEG_INFINITY;
    for high in 0..=1u64 << 16 {
        for low in [0, 1 << 31, u64::from(u32::MAX)] {
            let x = single(Normal, high << 32 | low);
            assert!(last <= x, "{x} follows {last} at {high:#x}, {low:#x}");
            last = x;
        }
    }
    assert!(single(Normal, 0) < -9.0);
    assert_eq!(single(Normal, 1 << 48), single(Normal, 1 << 48 | 5), "nearer to the centre, the low word is not used");
    assert_ne!(single(Normal, (1 << 48) - 1), single(Normal, (1 << 48) - (1 << 32)));
}

#[test]
fn float32_tails_rise_and_are_near_the_float64_ones() {
    // The words around the ends of each row. A binary order of y has two rows.
    let ends = (0..56).flat_map(|order| [2u64 << order, 3u64 << order]);
    let around = ends.flat_map(|end| (0..4096u64).map(move |i| (end + i).saturating_sub(2048)));
    // Values that do not use the low word are those of the middle low word.
    let word_of = |word: u64| if word >> 48 == 0 { word } else { word & !0xffff_ffff | 1 << 31 };
    let mut words: Vec<_> = around.map(word_of).filter(|word| (word >> 32) < u64::from(TAIL)).collect();
    words.sort_unstable();
    let (mut last, mut worst) = (f32::NEG_INFINITY, 0.0f64);
    for word in words {
        let (x, exact) = (single(Normal, word), double(Normal, word));
        assert!(last <= x, "{x} follows {last} at {word:#x}");
        last = x;
        let ulp = f64::from(f32::from_bits((exact.abs() as f32).to_bits() & 0x7f80_0000)) * 2f64.powi(-23);
        worst = worst.max((f64::from(x) - exact).abs() / ulp);
    }
    println!("float32 tails: at most {worst:.3} ulp");
    assert!(worst < 2.0);
}

#[test]
fn the_quantiles_are_odd() {
    for i in 0..100_000u64 {
        let word = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 50);
        assert_eq!(double(Normal, word), -double(Normal, !word));
        assert_eq!(double(TruncatedNormal, word), -double(TruncatedNormal, !word));
        assert_eq!(double(Uniform, word), -double(Uniform, !word));
        assert_eq!(single(Normal, word), -single(Normal, !word));
        assert_eq!(single(TruncatedNormal, word), -single(TruncatedNormal, !word));
        assert_eq!(single(Uniform, word), -single(Uniform, !word));
    }
}

#[test]
fn the_first_and_the_middle_words_give_the_exact_quantiles() {
    assert!((double(Normal, 0) + 9.155_293_772_686_073).abs() < 1e-14);
    assert!((double(TruncatedNormal, 0) + 2.0).abs() < 1e-15);
    assert_eq!(single(TruncatedNormal, 0), -2.0);
    assert_eq!(double(Normal, 1 << 63), 1.253_314_137_315_500_3 * 2f64.powi(-64));
    assert_eq!(single(Normal, 1 << 63), 1.253_314_1 * 2f32.powi(-32));
}

#[test]
fn the_float64_normal_rises_across_every_row() {
    // Rows end at multiples of a quarter of a binary order, and so do the tails.
    let ends = (0..63u32).flat_map(|order| (4..8u64).map(move |quarter| (quarter << order) >> 2));
    for end in ends.map(|end| end.wrapping_add(u64::from(end == 0))) {
        let near = (0..2048u64).map(|i| (end + i).saturating_sub(1024));
        let far = (0..60).flat_map(|order| [end.saturating_sub(1 << order), end + (1 << order)]);
        let mut words: Vec<_> = near.chain(far).filter(|word| *word < 1 << 63).collect();
        words.sort_unstable();
        for pair in words.windows(2) {
            let (x, y) = (double(Normal, pair[0]), double(Normal, pair[1]));
            assert!(x <= y, "{y} follows {x} at {:#x}", pair[1]);
        }
    }
}

#[test]
fn the_float64_quantiles_rise_from_row_to_row() {
    for value in [|word| double(Normal, word), |word| double(TruncatedNormal, word), |word| double(Uniform, word)] {
        for exponent in 0..63u32 {
            for step in 0..1u64 << exponent.min(12) {
                let word = (1 << exponent) + (step << exponent.saturating_sub(12));
                for word in word.saturating_sub(3)..word + 3 {
                    assert!(value(word) <= value(word + 1), "at {word:#x}");
                }
            }
        }
    }
}

//! ChaCha8 words by address.
//!
//! A keystream is a 256-bit key and a 64-bit stream. Its block `n`, 16 words, is ChaCha with 8 rounds over
//!
//! ```text
//! word   0..4    "expand 32-byte k"
//!        4..12   the key, little-endian
//!        12, 13  n, low half first: a 64-bit block counter, as in D. J. Bernstein's ChaCha (2008)
//!        14, 15  the stream, low half first
//! ```
//!
//! with the words in that order: what `chacha20::ChaCha8Rng` gives after `from_seed`, `set_stream` and
//! `set_block_pos(n)`. Any block is as near as any other. Words are counted from block 0, up to 2^68. Element `i` of a
//! tensor owns word `i` (its [`Plane::High`] word) and word `2^67 + i` (its [`Plane::Low`] word, of block
//! `2^63 + i / 16`).
//!
//! ```
//! let keystream = seedbed::keystream::Keystream::new([0; 32], 0);
//! let mut words = [0; 2];
//! keystream.words(1, &mut words); // words 1 and 2
//! assert_eq!(words, [0xd6405f89, 0xe8b85b7f]);
//! ```

use crate::backend::{self, Backend, Lanewise, MOST_LANES, Task};
use std::array::from_fn;

/// Words of a block.
pub const BLOCK: usize = 16;

const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// Which of an element's two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// The more significant 32 bits: words counted from block 0.
    High,
    /// The less significant 32 bits: words counted from block 2^63.
    Low,
}

impl Plane {
    /// The block at which the plane begins.
    pub const fn first_block(self) -> u64 {
        match self {
            Self::High => 0,
            Self::Low => 1 << 63,
        }
    }
}

/// The words of one key and stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keystream {
    key: [u32; 8],
    stream: u64,
}

impl Keystream {
    /// The keystream of a key of 32 little-endian bytes.
    pub fn new(key: [u8; 32], stream: u64) -> Self {
        let word = |i| u32::from_le_bytes(from_fn(|j| key[4 * i + j]));
        Self { key: from_fn(word), stream }
    }

    /// Words `first`, `first + 1`, ..., counted from block 0 and modulo 2^68.
    pub fn words(&self, first: u128, words: &mut [u32]) {
        let (block, skip) = ((first / BLOCK as u128) as u64, (first % BLOCK as u128) as usize);
        backend::run(Range { keystream: *self, block, skip, words });
    }

    /// The word that an element owns in a plane.
    pub fn word(&self, plane: Plane, element: u64) -> u32 {
        let mut word = [0];
        self.words(u128::from(plane.first_block()) * BLOCK as u128 + u128::from(element), &mut word);
        word[0]
    }

    /// The blocks `first + counters[i]`, in order; both slices are padded to whole vectors.
    #[inline(always)]
    pub(crate) fn blocks<B: Backend>(&self, b: B, first: u64, counters: &[u64], words: &mut [u32]) {
        b.vectorize(Blocks { keystream: *self, first, counters, words });
    }

    /// As many blocks as there are lanes, from block `first` on, in order.
    #[inline(always)]
    pub(crate) fn vector_of_blocks<B: Backend>(&self, b: B, first: u64, words: &mut [u32]) {
        self.vector_of(b, |lane| first.wrapping_add(lane as u64), words);
    }

    /// The blocks that `counter` gives for each lane, in order.
    #[inline(always)]
    fn vector_of<B: Backend>(&self, b: B, counter: impl Fn(usize) -> u64, words: &mut [u32]) {
        let counters: [u64; MOST_LANES] = from_fn(counter);
        let halves = [counters.map(|counter| counter as u32), counters.map(|counter| (counter >> 32) as u32)];
        let mut initial = [b.splat(0); BLOCK];
        for (to, word) in initial.iter_mut().zip(CONSTANTS.iter().chain(&self.key)) {
            *to = b.splat(*word);
        }
        initial[12] = b.load(&halves[0]);
        initial[13] = b.load(&halves[1]);
        initial[14] = b.splat(self.stream as u32);
        initial[15] = b.splat((self.stream >> 32) as u32);
        let mut state = initial;
        for _ in 0..4 {
            b.lanewise(DoubleRound, &mut state);
        }
        for (word, initial) in state.iter_mut().zip(initial) {
            *word = b.add(*word, initial);
        }
        b.store_blocks(&state, words);
    }
}

/// A round on the columns and one on the diagonals.
struct DoubleRound;

impl Lanewise<BLOCK> for DoubleRound {
    #[inline(always)]
    fn run<B: Backend>(&self, b: B, state: &mut [B::U32; BLOCK]) {
        for i in 0..4 {
            quarter_round(b, state, i, 4 + i, 8 + i, 12 + i);
        }
        for i in 0..4 {
            quarter_round(b, state, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
        }
    }
}

#[inline(always)]
fn quarter_round<B: Backend>(b: B, s: &mut [B::U32; BLOCK], i: usize, j: usize, k: usize, l: usize) {
    s[i] = b.add(s[i], s[j]);
    s[l] = b.rotate_left::<16>(b.xor(s[l], s[i]));
    s[k] = b.add(s[k], s[l]);
    s[j] = b.rotate_left::<12>(b.xor(s[j], s[k]));
    s[i] = b.add(s[i], s[j]);
    s[l] = b.rotate_left::<8>(b.xor(s[l], s[i]));
    s[k] = b.add(s[k], s[l]);
    s[j] = b.rotate_left::<7>(b.xor(s[j], s[k]));
}

struct Blocks<'a> {
    keystream: Keystream,
    first: u64,
    counters: &'a [u64],
    words: &'a mut [u32],
}

impl Task for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        let counters = self.counters.chunks_exact(B::LANES);
        for (counters, words) in counters.zip(self.words.chunks_exact_mut(BLOCK * B::LANES)) {
            self.keystream.vector_of(b, |lane| self.first.wrapping_add(*counters.get(lane).unwrap_or(&0)), words);
        }
    }
}

/// Consecutive words, the first of them `skip` words into a block.
struct Range<'a> {
    keystream: Keystream,
    block: u64,
    skip: usize,
    words: &'a mut [u32],
}

impl Task for Range<'_> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        let Self { keystream, mut block, mut skip, words: mut rest } = self;
        let mut buffer = [0; BLOCK * MOST_LANES];
        let group = BLOCK * B::LANES;
        while !rest.is_empty() {
            let (now, later) = rest.split_at_mut(rest.len().min(group - skip));
            if now.len() == group {
                keystream.vector_of_blocks(b, block, now);
            } else {
                keystream.vector_of_blocks(b, block, &mut buffer);
                now.copy_from_slice(&buffer[skip..skip + now.len()]);
            }
            block = block.wrapping_add(B::LANES as u64);
            (rest, skip) = (later, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct Wanted<'a>(Keystream, u64, &'a [u64]);

    impl Task for Wanted<'_> {
        type Output = Vec<u32>;

        #[inline(always)]
        fn run<B: Backend>(self, b: B) -> Vec<u32> {
            let mut words = vec![0; BLOCK * self.2.len()];
            self.0.blocks(b, self.1, self.2, &mut words);
            words
        }
    }

    #[test]
    fn every_backend_makes_the_same_blocks_of_any_counters() {
        let carry = u64::from(u32::MAX);
        let counters: Vec<u64> =
            (0..16).flat_map(|i| [i * i * 7919, carry - 8 + i, u64::MAX - i, (i << 32) | (carry - i)]).collect();
        for first in [0, 5, 1 << 63, u64::MAX - 1_000] {
            for keystream in [Keystream::new([0; 32], 0), Keystream::new([0xa5; 32], u64::MAX - 7)] {
                let outputs = backend::on_each(Wanted(keystream, first, &counters));
                for (name, words) in &outputs[1..] {
                    assert!(*words == outputs[0].1, "{name}, from block {first}");
                }
                let mut one = [0; BLOCK];
                keystream.words(u128::from(first.wrapping_add(counters[5])) * BLOCK as u128, &mut one);
                assert_eq!(one, outputs[0].1[5 * BLOCK..6 * BLOCK]);
            }
        }
    }
}

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
//! with the words in that order. `chacha20::ChaCha8Rng` gives the same words after `from_seed`, `set_stream` and
//! `set_block_pos(n)`. A block depends on no other block, so that any word costs the same. Words are numbered from
//! block 0 on, up to 2^68. Element `i` of a tensor has word `i` (its [`Plane::High`] word) and word `2^67 + i` (its
//! [`Plane::Low`] word, in block `2^63 + i / 16`).
//!
//! Reference: D. J. Bernstein, *ChaCha, a variant of Salsa20*, 2008. A backend computes as many blocks together as it
//! has lanes: a vector has the same word of each block. So the rounds need no permutation of lanes, and the words are
//! transposed only when the blocks are stored.
//!
//! ```
//! let keystream = seedbed::keystream::Keystream::new([0; 32], 0);
//! let mut words = [0; 2];
//! keystream.words(1, &mut words); // words 1 and 2
//! assert_eq!(words, [0xd6405f89, 0xe8b85b7f]);
//! ```

use crate::backend::{self, Backend, Lanewise, MAX_LANES, Task};
use std::array::from_fn;

/// Number of words of a block.
pub const BLOCK: usize = 16;

/// "expand 32-byte k" as little-endian words.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// One of the two words of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// The more significant 32 bits: words counted from block 0.
    High,
    /// The less significant 32 bits: words counted from block 2^63.
    Low,
}

impl Plane {
    /// Index of the first block of the plane.
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

    /// Write the words from index `first` on, modulo 2^68, to `words`.
    pub fn words(&self, first: u128, words: &mut [u32]) {
        let (mut block, skip) = ((first / BLOCK as u128) as u64, (first % BLOCK as u128) as usize);
        let mut write = |words: &mut [u32]| {
            backend::run(Consecutive { keystream: *self, first: block, words });
            block = block.wrapping_add((words.len() / BLOCK) as u64);
        };
        // A group has the fewest blocks that every backend computes at once. The first and the last words may be only a
        // part of a group, which is then computed in a buffer.
        let mut group = [0; BLOCK * MAX_LANES];
        let mut rest = words;
        if skip != 0 {
            let (head, later) = rest.split_at_mut(rest.len().min(group.len() - skip));
            write(&mut group);
            head.copy_from_slice(&group[skip..skip + head.len()]);
            rest = later;
        }
        let (whole, tail) = rest.split_at_mut(rest.len() / group.len() * group.len());
        if !whole.is_empty() {
            write(whole);
        }
        if !tail.is_empty() {
            write(&mut group);
            tail.copy_from_slice(&group[..tail.len()]);
        }
    }

    /// The word that an element has in a plane.
    pub fn word(&self, plane: Plane, element: u64) -> u32 {
        let mut word = [0];
        self.words(u128::from(plane.first_block()) * BLOCK as u128 + u128::from(element), &mut word);
        word[0]
    }

    /// Write block `first + counters[i]` for each i, in order. Both slices must be padded to whole vectors.
    #[inline(always)]
    pub(crate) fn blocks<B: Backend>(&self, b: B, first: u64, counters: &[u64], words: &mut [u32]) {
        b.vectorize(Blocks { keystream: *self, first, counters, words });
    }

    /// Write consecutive blocks from index `first` on. `words` must have whole vectors of blocks.
    #[inline(always)]
    pub(crate) fn consecutive_blocks<B: Backend>(&self, b: B, first: u64, words: &mut [u32]) {
        b.vectorize(Consecutive { keystream: *self, first, words });
    }

    /// Write a vector of blocks: block `counter(lane)` for each lane, in order.
    #[inline(always)]
    fn vector_of<B: Backend>(&self, b: B, counter: impl Fn(usize) -> u64, words: &mut [u32]) {
        let [mut low, mut high] = [[0; MAX_LANES]; 2];
        for (lane, (low, high)) in low.iter_mut().zip(&mut high).enumerate().take(B::LANES) {
            let counter = counter(lane);
            (*low, *high) = (counter as u32, (counter >> 32) as u32);
        }
        let mut initial = [b.splat(0); BLOCK];
        for (to, word) in initial.iter_mut().zip(CONSTANTS.iter().chain(&self.key)) {
            *to = b.splat(*word);
        }
        initial[12] = b.load(&low);
        initial[13] = b.load(&high);
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

/// A round on the columns of the state and one on its diagonals: ChaCha8 has four of these.
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

/// The task of [`Keystream::blocks`].
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
            self.keystream.vector_of(b, |lane| self.first.wrapping_add(counters[lane]), words);
        }
    }
}

/// The task of [`Keystream::consecutive_blocks`].
struct Consecutive<'a> {
    keystream: Keystream,
    first: u64,
    words: &'a mut [u32],
}

impl Task for Consecutive<'_> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        let mut first = self.first;
        for words in self.words.chunks_exact_mut(BLOCK * B::LANES) {
            self.keystream.vector_of(b, |lane| first.wrapping_add(lane as u64), words);
            first = first.wrapping_add(B::LANES as u64);
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
    fn every_backend_gives_the_same_blocks_for_any_counters() {
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

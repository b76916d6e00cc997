//! The keystream agrees with published test vectors, and with `ChaCha8Rng`, an independent implementation.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use seedbed::keystream::{Keystream, Plane};

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    let digits = hex.as_bytes();
    assert_eq!(digits.len(), 2 * N);
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hexadecimal digits"))
}

/// Words `first..first + n` by `ChaCha8Rng`, which can only seek to the start of a block.
fn oracle(key: [u8; 32], stream: u64, first: u128, n: usize) -> Vec<u32> {
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(stream);
    rng.set_block_pos((first / 16) as u64);
    (0..first % 16).for_each(|_| _ = rng.next_u32());
    (0..n).map(|_| rng.next_u32()).collect()
}

fn ours(key: [u8; 32], stream: u64, first: u128, n: usize) -> Vec<u32> {
    let mut words = vec![0; n];
    Keystream::new(key, stream).words(first, &mut words);
    words
}

/// J. Strombergson, Test Vectors for the Stream Cipher ChaCha (2013): 256-bit keys, 8 rounds.
#[test]
fn the_published_vectors_are_reproduced() {
    let cases = [
        (
            [0; 32],
            0,
            "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e\
             984ce172b9216f419f445367456d5619314a42a3da86b001387bfdb80e0cfe42",
        ),
        (
            bytes("c46ec1b18ce8a878725a37e780dfb7351f68ed2e194c79fbc6aebee1a667975d"),
            u64::from_le_bytes(bytes("1ada31d5cf688221")),
            "838751b42d8ddd8a3d77f48825a2ba752cf4047cb308a5978ef274973be374c9\
             6ad848065871417b08f034e681fe46a93f7d5c61d1306614d4aaf257a7cff08b",
        ),
    ];
    for (key, stream, block) in cases {
        let made: Vec<u8> = ours(key, stream, 0, 16).into_iter().flat_map(u32::to_le_bytes).collect();
        assert_eq!(made, bytes::<64>(block));
    }
}

#[test]
fn any_position_of_any_stream_agrees_with_the_oracle() {
    let plane = 1u128 << 67;
    let positions = [
        0,
        1,
        15,
        16,
        17,
        255,
        16 * ((1 << 32) - 3) + 5, // the carry of the counter's low half, within a vector of blocks
        16 * (1 << 32),
        16 * ((7 << 32) - 1) + 15,
        plane - 1, // the last word of the high plane, and the first words of the low plane
        plane,
        plane + 12_345,
        plane + 16 * ((1 << 32) - 2),
        (1 << 68) - 16 * 40 - 1, // the last blocks of the keystream
    ];
    for key in [[0; 32], [0xff; 32], std::array::from_fn(|i| 7 * i as u8 + 1)] {
        for stream in [0, 1, 1 << 32, u64::MAX] {
            for first in positions {
                for n in [1, 3, 16, 600] {
                    assert_eq!(ours(key, stream, first, n), oracle(key, stream, first, n), "word {first}, {n} words");
                }
            }
        }
    }
}

#[test]
fn the_words_after_the_last_are_the_first() {
    let key = [3; 32];
    let joined = [oracle(key, 9, (1 << 68) - 20, 20), oracle(key, 9, 0, 30)].concat();
    assert_eq!(ours(key, 9, (1 << 68) - 20, 50), joined);
}

#[test]
fn an_element_has_its_word_in_each_plane() {
    let keystream = Keystream::new([5; 32], 3);
    for element in [0, 1, 16, 1_000_003, (1 << 63) - 1] {
        assert_eq!(keystream.word(Plane::High, element), oracle([5; 32], 3, element.into(), 1)[0]);
        assert_eq!(keystream.word(Plane::Low, element), oracle([5; 32], 3, (1 << 67) + u128::from(element), 1)[0]);
    }
}

"""Seed sequences and generators of NumPy and torch as seeds, by the rule of docs/streams.md."""

import copy

import numpy as np
import pytest

import seedbed as sb


def key(words, size):
    return b"".join(int(word).to_bytes(size, "little") for word in words)


@pytest.mark.parametrize("sequence", [np.random.SeedSequence(42), np.random.SeedSequence(42).spawn(3)[2]])
def test_a_seed_sequence_is_the_integer_of_its_words(sequence):
    init = sb.HeNormal(seed=sequence)
    assert sb.SeedGenerator(sequence).key == key(sequence.generate_state(8), 4)
    assert isinstance(init.seed, int)
    assert (init((3, 4)) == sb.HeNormal(seed=sb.SeedGenerator(sequence).seed)((3, 4))).all()
    assert sb.HeNormal(seed=sequence) == init, "the sequence stays as it is"
    assert sb.deserialize(sb.serialize(init)) == init


def test_the_first_sequence_has_a_known_seed():
    assert (
        sb.SeedGenerator(np.random.SeedSequence(0)).key[:8].hex()
        == np.random.SeedSequence(0).generate_state(2).astype("<u4").tobytes().hex()
    )
    assert sb.HeNormal(seed=np.random.SeedSequence(1)) != sb.HeNormal(seed=np.random.SeedSequence(2))


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_a_numpy_generator_draws_the_key_and_advances(kind):
    generator = np.random.Generator(kind(42))
    before = copy.deepcopy(generator)
    first, second = sb.HeNormal(seed=generator), sb.HeNormal(seed=generator)
    assert sb.SeedGenerator(first.seed).key == key(
        before.integers(2**64 - 1, size=4, dtype=np.uint64, endpoint=True), 8
    )
    assert first.seed != second.seed
    assert first.seed == sb.HeNormal(seed=np.random.Generator(kind(42))).seed


def test_a_torch_generator_draws_the_key_and_advances():
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(42)
    first, second = sb.HeNormal(seed=generator), sb.HeNormal(seed=generator)
    drawn = torch.empty(32, dtype=torch.uint8).random_(generator=torch.Generator().manual_seed(42))
    assert sb.SeedGenerator(first.seed).key == bytes(drawn.tolist())
    assert first.seed != second.seed


@pytest.mark.parametrize("seed", [np.random.RandomState(1), np.random.PCG64(1), np.array([1, 2]), np.float64(1)])
def test_other_objects_are_no_seeds(seed):
    with pytest.raises(ValueError, match="a seed must be an integer"):
        sb.HeNormal(seed=seed)

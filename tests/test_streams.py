"""The package compared with the specification (`reference`) bit for bit: keys, streams, elements and words."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference
from support.streams import CLASSES, DTYPES, ELEMENTS, evaluated, hexes, key_along, specified

import seedbed as sb

DISTRIBUTIONS = [
    ("uniform", -0.05, 0.05),
    ("uniform", 0.0, 1.0),
    ("uniform", 1.0, 1.1),
    ("uniform", -1003.1, -988.0 + 1 / 3),
    ("uniform", 2.0, 2.0),
    ("normal", 0.0, 1.0),
    ("normal", -3.0, 0.1),
    ("normal", 1 / 3, 0.0),
    ("normal", 0.0, 1e-7),
    ("truncated_normal", 0.0, 1.0),
    ("truncated_normal", 0.3, 1 / 7),
    ("truncated_normal", -7.7, 0.0),
    ("truncated_normal", 0.0, 3e-6),
]
SEEDS = [0, 1, -1, 42, -(2**63) - 7, 2**64 + 3, 2**255 - 1, -(2**255)]
NAMES = ["block3/attn/q", "", "größe", "h.0", "h.0.h.0"]


def generator(seed, path, draws):
    found = sb.SeedGenerator(seed)
    for name in path:
        found = found.child(name)
    found.draws = draws
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("distribution", "a", "b"), DISTRIBUTIONS)
def test_an_element_has_the_specified_bits(distribution, a, b, dtype):
    for seed in SEEDS:
        made = evaluated(CLASSES[distribution](a, b, seed=seed), ELEMENTS, dtype)
        assert made == specified(distribution, a, b, dtype, reference.key_of(seed), 0, ELEMENTS), f"seed {seed}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("distribution", CLASSES)
def test_a_tensor_is_its_elements_in_c_order(distribution, dtype):
    made = CLASSES[distribution](-0.5, 0.5, seed=3)((5, 7, 131), dtype)
    elements = [reference.element_index(indices, made.shape) for indices in np.ndindex(made.shape)]
    assert hexes(made.flat) == specified(distribution, -0.5, 0.5, dtype, reference.key_of(3), 0, elements)


def test_elements_of_a_huge_tensor_are_numbered_in_c_order():
    shape, columns = (10**6, 10**6), range(10**6 - 5, 10**6)
    made = sb.RandomNormal(0.0, 1.0, seed=42).lazy(shape)[999_999, -5:]
    elements = [reference.element_index((999_999, column), shape) for column in columns]
    assert hexes(made) == specified("normal", 0.0, 1.0, "float32", reference.key_of(42), 0, elements)


@pytest.mark.parametrize("draws", [0, 1, 2, 2**32, 2**64 - 1])
@pytest.mark.parametrize("path", [[], NAMES[:1], NAMES[1:2], NAMES[:2], NAMES])
def test_each_call_draws_a_stream_of_the_paths_key(path, draws):
    init = sb.TruncatedNormal(0.0, 1.0, seed=generator(-5, path, draws))
    made = hexes(init((40,)))
    assert made == specified("truncated_normal", 0.0, 1.0, "float32", key_along(-5, path), draws, range(40))


def test_a_generator_ends_after_the_last_stream():
    source = generator(1, [], 2**64 - 1)
    assert source.next().stream == 2**64 - 1
    for _ in range(2):
        with pytest.raises(OverflowError, match=re.escape("2**64 draws")):
            source.next()
    assert source.draws == 2**64
    for draws in (-1, 2**64):
        with pytest.raises(ValueError, match=r"draws must be in \[0, 2\*\*64\)"):
            source.draws = draws


def test_each_call_and_each_lazy_tensor_is_one_draw():
    source = sb.SeedGenerator(9)
    init = sb.RandomUniform(0.0, 1.0, seed=source)
    made = [init((3,)), init.lazy((3,))[:], sb.RandomUniform(0.0, 1.0, seed=source)((3,)), init((0,)), init((3,))]
    for stream in (0, 1, 2, 4):
        expected = specified("uniform", 0.0, 1.0, "float32", reference.key_of(9), stream, range(3))
        assert hexes(made[stream]) == expected, f"draw {stream}"


parameters = st.floats(-2e3, 2e3, allow_subnormal=False)


@settings(max_examples=400)
@given(
    seed=st.integers(-(2**255), 2**255 - 1),
    path=st.lists(st.text(), max_size=3),
    draws=st.integers(0, 2**64 - 1),
    element=st.integers(0, 2**63 - 2),
    distribution=st.sampled_from(list(CLASSES)),
    pair=st.tuples(parameters, parameters),
    dtype=st.sampled_from(DTYPES),
)
def test_an_element_of_any_address_has_the_specified_bits(seed, path, draws, element, distribution, pair, dtype):
    a, b = sorted(pair) if distribution == "uniform" else (pair[0], abs(pair[1]))
    init = CLASSES[distribution](a, b, seed=generator(seed, path, draws))
    try:
        expected = specified(distribution, a, b, dtype, key_along(seed, path), draws, [element])
    except ValueError:
        with pytest.raises(ValueError, match="there must be a"):
            evaluated(init, [element], dtype)
    else:
        assert evaluated(init, [element], dtype) == expected


class TestWords:
    """Keystream words."""

    @pytest.mark.parametrize(
        ("key", "stream", "block"),
        [
            (
                "00" * 32,
                "00" * 8,
                "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e"
                "984ce172b9216f419f445367456d5619314a42a3da86b001387bfdb80e0cfe42",
            ),
            (
                "c46ec1b18ce8a878725a37e780dfb7351f68ed2e194c79fbc6aebee1a667975d",
                "1ada31d5cf688221",
                "838751b42d8ddd8a3d77f48825a2ba752cf4047cb308a5978ef274973be374c9"
                "6ad848065871417b08f034e681fe46a93f7d5c61d1306614d4aaf257a7cff08b",
            ),
        ],
    )
    def test_the_published_vectors_are_reproduced(self, key, stream, block):
        """J. Strombergson, Test Vectors for the Stream Cipher ChaCha (2013): 256-bit keys, 8 rounds."""
        seed = int.from_bytes(bytes.fromhex(key), "little", signed=True)
        stream = int.from_bytes(bytes.fromhex(stream), "little")
        words = np.frombuffer(bytes.fromhex(block), "<u4").tolist()
        assert sb.random_words(seed, 16, stream).tolist() == words
        assert [reference.word(bytes.fromhex(key), stream, i) for i in range(16)] == words

    @pytest.mark.parametrize("stream", [0, 1, 2**32, 2**64 - 1])
    @pytest.mark.parametrize("start", [0, 5, 16 * 2**32 - 40, 2**67 - 3, 2**67 + 10**12, 2**68 - 70])
    def test_words_of_any_position_and_stream_are_as_specified(self, stream, start):
        for seed in SEEDS:
            expected = [reference.word(reference.key_of(seed), stream, start + i) for i in range(100)]
            assert sb.random_words(seed, 100, stream, start).tolist() == expected, f"seed {seed}"

"""Values and tails compared with the specification (`reference`), and both with exact quantiles."""

import math
from itertools import chain

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference
from support.streams import CLASSES, DTYPES, EDGES, INNERMOST, LONGEST, OUTERMOST, evaluated, hexes, specified

import seedbed as sb


class TestTails:
    """Float32 normals in the tails are rounded float64 normals, and farther out use the low word."""

    @pytest.mark.parametrize(("deviations", "seed", "n", "least"), [(2.66, 7, 10**5, 600), (4, 8, 2 * 10**7, 1000)])
    def test_float32_normals_in_the_tails_have_the_specified_bits(self, deviations, seed, n, least):
        made = sb.RandomNormal(0.0, 1.0, seed=seed)((n,))
        far = np.flatnonzero(np.abs(made) > deviations)
        expected = specified("normal", 0.0, 1.0, "float32", reference.key_of(seed), 0, far.tolist())
        assert len(far) > least
        assert hexes(made[far]) == expected

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("distribution", CLASSES)
    def test_the_rarest_elements_have_the_specified_bits(self, distribution, dtype):
        elements = [*OUTERMOST, *INNERMOST, *chain(*EDGES.values())]
        made = evaluated(CLASSES[distribution](-1.0, 1.0, seed=42), elements, dtype)
        assert made == specified(distribution, -1.0, 1.0, dtype, reference.key_of(42), 0, elements)

    def test_the_rarest_elements_are_the_intended_ones(self):
        def rests(elements):
            words = (reference.word(reference.key_of(42), 0, element) for element in elements)
            return {reference.rest_of(word, 32) for word in words}

        assert rests(OUTERMOST) == {0, 1}
        assert rests(INNERMOST) == {2**31 - 1}
        for edge, elements in EDGES.items():
            assert {edge - 1, edge} <= rests(elements)


def exact_quantile(distribution, word, bits):
    """Return the standard quantile at the middle of a word."""
    with mp.workdps(60):
        a = 1 - mp.mpf(2 * reference.rest_of(word, bits) + 1) / 2**bits
        mass = mp.erf(mp.sqrt(2)) if distribution == "truncated_normal" else 1
        return reference.with_side(mp.sqrt(2) * mp.erfinv(mass * a), word, bits)


def error_in_ulp(distribution, made, high, low):
    tail = distribution == "normal" and reference.rest_of(high, 32) < 2**16
    exact = exact_quantile(distribution, *((2**32 * high + low, 64) if tail else (high, 32)))
    return abs(float(made) - exact) / float(np.spacing(abs(np.float32(exact))))


def relative_error(distribution, made, high, low):
    return abs(float(made) / exact_quantile(distribution, 2**32 * high + low, 64) - 1)


@pytest.mark.parametrize(
    ("dtype", "error", "most"), [("float32", error_in_ulp, 2.3), ("float64", relative_error, 1e-15)]
)
@pytest.mark.parametrize("distribution", ["normal", "truncated_normal"])
class TestAccuracy:
    """Compared with mpmath: 2.3 units of the last place in float32, 1e-15 in float64."""

    def test_elements_are_near_the_exact_quantile(self, distribution, dtype, error, most):
        """The first 400 elements of seed 42, and its outermost and innermost ones."""
        tensor = CLASSES[distribution](0.0, 1.0, seed=42).lazy(LONGEST, dtype)
        for element in (*range(400), *OUTERMOST, *INNERMOST):
            words = (int(sb.random_words(42, 1, start=start)[0]) for start in (element, 2**67 + element))
            assert error(distribution, tensor[element], *words) < most, f"element {element}"

    def test_unreached_table_rows_are_near_the_exact_quantile(self, distribution, dtype, error, most):
        """The reference at words of every order of magnitude."""
        for order in range(63):
            for rest in (2**order - 1, 2**order, 2**order * 5 // 4, 2**order * 7 // 4):
                words = divmod(rest, 2**32)
                made = reference.value(distribution, 0.0, 1.0, dtype, *words)
                assert error(distribution, made, *words) < most, f"rest {rest:#x}"


def test_a_float32_uniform_is_the_middle_of_its_word_rounded_once():
    for element in (*range(400), *OUTERMOST, *INNERMOST):
        word = int(sb.random_words(42, 1, start=element)[0])
        middle = np.float32((2 * word + 1 - 2**32) / 2**32)
        made = sb.RandomUniform(-1.0, 1.0, seed=42).lazy(LONGEST)[element]
        assert made == min(middle, np.nextafter(np.float32(1), np.float32(0))), f"element {element}"


@given(
    st.integers(0, 2**32 - 1),
    st.one_of(
        st.floats(1e-30, 1e30).map(lambda limit: (-limit, limit)),
        st.tuples(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30)).map(sorted),
    ),
)
@settings(max_examples=2000)
def test_a_float32_uniform_can_be_made_of_integers(high, interval):
    n, e = reference.uniform_in_integers(*interval, high)
    assert math.ldexp(n, e) == reference.scaled("uniform", *interval, "float32", high, 0)

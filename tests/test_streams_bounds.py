"""Bounds compared with the specification (`reference`) bit for bit, and with exact quantiles."""

import math

import mpmath as mp
import numpy as np
import pytest
from support import reference
from support.streams import (
    CLASSES,
    DTYPES,
    EDGES,
    ELEMENTS,
    INNERMOST,
    OUTERMOST,
    evaluated,
    hexes,
    specified,
    words_of,
)

import seedbed as sb


class TestBounds:
    """The least and the greatest value of each dtype."""

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("beyond", [-(2.0**-52), -(2.0**-40), 0.0, 2.0**-40, 2.0**-52])
    def test_a_bound_near_a_midpoint_is_rounded_once(self, dtype, beyond):
        middle = 1.0 + 2.0 ** -reference.FORMATS[dtype][0] + beyond
        for distribution, a, b in [
            ("uniform", middle, middle),
            ("uniform", 0.75, middle),
            ("uniform", -middle, 0.25),
            ("truncated_normal", middle, 0.0),
            ("truncated_normal", middle - 0.5, 0.25),
        ]:
            made = hexes(CLASSES[distribution](a, b, seed=2)((1000,), dtype))
            assert made == specified(distribution, a, b, dtype, reference.key_of(2), 0, range(1000)), (a, b)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(
        ("distribution", "a", "b"),
        [
            ("uniform", -0.0, 0.0),
            ("uniform", -0.0, -0.0),
            ("uniform", -0.0, 1.0),
            ("normal", -0.0, 0.0),
            ("truncated_normal", -0.0, 0.0),
        ],
    )
    def test_a_parameter_of_minus_zero_is_zero(self, distribution, a, b, dtype):
        made = hexes(CLASSES[distribution](a, b, seed=2)((100,), dtype))
        assert made == hexes(CLASSES[distribution](a + 0.0, b + 0.0, seed=2)((100,), dtype))
        assert made == specified(distribution, a, b, dtype, reference.key_of(2), 0, range(100))

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(("a", "b"), [(-1.0, 6.0), (-6.0, 1.0), (-0.25, 3.0), (0.0, 3.0), (-3.0, 0.0)])
    def test_the_least_numbers_of_a_dtype_are_as_specified(self, a, b, dtype):
        """In multiples of the least positive number."""
        least = math.ldexp(1.0, max(reference.FORMATS[dtype][1], -1070))
        made = hexes(sb.RandomUniform(a * least, b * least, seed=2)((300,), dtype))
        assert made == specified("uniform", a * least, b * least, dtype, reference.key_of(2), 0, range(300))

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_the_greatest_numbers_of_a_dtype_are_as_specified(self, dtype):
        largest = {"float16": 65504.0, "float32": float(np.finfo(np.float32).max), "float64": np.finfo(float).max}
        end = largest.get(dtype, (2 - 2.0**-7) * 2.0**127)
        for distribution, a, b in [
            ("uniform", -end, end),
            ("normal", 0.0, end / 9.25 * (1 - 2.0**-52)),
            ("truncated_normal", 0.0, end / 2),
        ]:
            made = hexes(CLASSES[distribution](a, b, seed=2)((300,), dtype))
            assert made == specified(distribution, a, b, dtype, reference.key_of(2), 0, range(300))


BOUNDS = [
    *((-3.0, 3.0), (-1.0, 4.0), (-0.1, 0.1), (-1e-3, 40.0), (-9.0, 0.5), (-math.inf, 1.5), (-2.5, 2.0)),
    *((0.0, math.inf), (0.3, 0.4), (0.5, 0.9), (-3.0, -2.0), (6.0, 7.0), (6.0, 6.0 + 1e-9)),
    *((-1e-16, 1e-16), (-3e-17, 1e-17), (1e-20, 2e-20), (-1e-280, 0.0), (0.0, 1e-9)),
    *((-0.49, 2.8), (2.7, 2.9), (0.48, 0.5)),
    *((-31.0, -30.0), (37.0, math.inf), (-39.0, -36.0), (-2.0, 2.0), (-math.inf, math.inf)),
]
FAR_WORDS = (0, 1, 2**16, 2**32, 2**48, 2**60, 3 * 2**61, 2**63 - 1)


def survival(x):
    return mp.erfc(x / mp.sqrt(2)) / 2


def exact_between(lower, upper, word):
    """Return the quantile at the middle of a 64-bit word, by Newton's method on the logarithm of the tail mass."""
    if upper <= 0 or (
        lower < 0 and 2 * word + 1 < 2**65 * (0.5 - survival(-mp.mpf(lower))) / mass_between(lower, upper)
    ):
        return -exact_between(-upper, -lower, 2**64 - 1 - word)
    u, mass = mp.mpf(2 * word + 1) / 2**65, mass_between(lower, upper)
    beyond = survival(mp.mpf(upper)) + (1 - u) * mass
    x = mp.sqrt(2) * mp.erfinv(1 - 2 * beyond) if beyond > 1e-3 else mp.sqrt(-2 * mp.log(beyond))
    for _ in range(60):
        step = mp.log(survival(x) / beyond) * survival(x) / mp.npdf(x)
        x += step
        if abs(step) < mp.mpf(10) ** -40:
            return x
    raise AssertionError("no convergence")


def mass_between(lower, upper):
    if upper <= 0:
        return mass_between(-upper, -lower)
    return survival(mp.mpf(lower)) - survival(mp.mpf(upper))


class TestNormalBetween:
    """Truncated normals of any bounds."""

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(("lower", "upper"), BOUNDS)
    def test_an_element_has_the_specified_bits(self, lower, upper, dtype):
        elements = [*ELEMENTS, *range(40), *OUTERMOST, *INNERMOST, *EDGES[2**16]]
        for mean, stddev in ((0.0, 1.0), (-0.3, 1 / 7)):
            tensor = sb.TruncatedNormal(mean, stddev, seed=42, lower=lower, upper=upper)
            try:
                made = evaluated(tensor, elements, dtype)
            except ValueError:
                assert upper - lower < 1e-8  # a narrow dtype has no number between the bounds
                continue
            words = (reference.element_words(reference.key_of(42), 0, element) for element in elements)
            assert made == hexes(reference.normal_between(mean, stddev, lower, upper, dtype, *word) for word in words)

    @pytest.mark.parametrize(("lower", "upper"), BOUNDS[:-2])
    def test_values_are_near_the_exact_quantile(self, lower, upper):
        """Compare with mpmath: float64 to 6 10^-16, relative to the value, or for bounds on both sides of 0,
        relative to the greater bound, or to 1 if the value is less; float32 to 0.51 ulp of the quantile of the 64 bits
        that it uses. A value that is clamped to a bound may be off by one number.
        """
        words = [words_of(42, element) for element in range(60)]
        words += [divmod(word, 2**32) for far in FAR_WORDS for word in (far, 2**64 - 1 - far)]
        bounds = [(end, how) for end, how in ((lower, math.ceil), (upper, math.floor)) if math.isfinite(end)]
        ends = [reference.rounded(end, "float32", how) for end, how in bounds]
        size = min(1.0, max(-lower, upper)) if lower < 0 < upper else 0.0
        nearest = min(abs(end) for end in (lower, upper, 1.0) if end)
        with mp.workdps(60 - 2 * int(math.log10(nearest))):
            for high, low in words:
                exact = exact_between(lower, upper, 2**32 * high + low)
                made = reference.normal_between(0.0, 1.0, lower, upper, "float64", high, low)
                assert abs(made - exact) <= 6e-16 * max(size, abs(exact)), (hex(high), hex(low))
                exact = exact_between(lower, upper, reference.with_outer_low_word(high, low))
                made = reference.normal_between(0.0, 1.0, lower, upper, "float32", high, low)
                most = (1 if made in ends else 0.51) * np.spacing(np.float32(abs(exact)))
                assert abs(made - exact) <= max(6e-16 * size, float(most)), (hex(high), hex(low))

    @pytest.mark.parametrize("size", [1e-9, 1e-16, 1e-17, 1e-200])
    @pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-15), ("float32", 2e-7), ("bfloat16", 0.01)])
    def test_tight_bounds_give_uniform_values(self, size, dtype, error):
        stddev = 1.0 if dtype == "float64" else 1e-3 / size
        end = size * stddev
        made = sb.TruncatedNormal(0.0, stddev, seed=42, lower=-size, upper=size)((10_000,), dtype).astype(float)
        exact = sb.RandomUniform(-end, end, seed=42)((10_000,), "float64" if dtype == "float64" else "float32")
        assert (abs(made / exact - 1) < error).all()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_a_single_bound_is_kept_with_a_deviation_of_zero(self, dtype):
        above = sb.TruncatedNormal(0.1, 0, seed=1, lower=0, upper=None)((40,), dtype)
        below = sb.TruncatedNormal(0.1, 0, seed=1, lower=None, upper=0)((40,), dtype)
        assert (above.astype(float) == reference.rounded(0.1, dtype, math.ceil)).all()
        assert (below.astype(float) == reference.rounded(0.1, dtype, math.floor)).all()

    def test_one_sided_values_fit_the_dtype(self):
        init = sb.TruncatedNormal(1e38, 3.6e37, seed=1, lower=None, upper=0)
        made = init((10_000,), "float32")
        assert np.isfinite(made).all()
        assert (made <= np.float32(1e38)).all()
        assert made.min() < 0
        with pytest.raises(ValueError, match="finite float32 numbers"):
            sb.TruncatedNormal(1e38, 3.6e37, seed=1, lower=0, upper=None)((3,), "float32")

    def test_common_bounds_give_the_common_initializers(self):
        plain = sb.TruncatedNormal(0.1, 0.7, seed=5)
        assert (sb.TruncatedNormal(0.1, 0.7, seed=5, lower=-2, upper=2)((1000,)) == plain((1000,))).all()
        unbounded = sb.TruncatedNormal(0.1, 0.7, seed=5, lower=-math.inf, upper=None)
        assert (unbounded((1000,)) == sb.RandomNormal(0.1, 0.7, seed=5)((1000,))).all()

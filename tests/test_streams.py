"""The package compared with the specification (`reference`) bit for bit, and both with exact quantiles."""

import math
import re
from itertools import chain

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference

import seedbed as sb

CLASSES = {"uniform": sb.RandomUniform, "normal": sb.RandomNormal, "truncated_normal": sb.TruncatedNormal}
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
DTYPES = list(reference.FORMATS)
SEEDS = [0, 1, -1, 42, -(2**63) - 7, 2**64 + 3, 2**255 - 1, -(2**255)]
ELEMENTS = [
    *(0, 1, 14, 15, 16, 17, 63, 64, 1023, 1024),
    *(2**32 - 1, 2**32, 2**36 - 1, 2**36),  # the block counter exceeds 32 bits from element 2^36
    *(10**12, 10**12 + 1, 2**62 + 5, 2**63 - 2),
]
LONGEST = (2**63 - 1,)
NAMES = ["block3/attn/q", "", "größe", "h.0", "h.0.h.0"]

# Elements of seed 42, found by a search. Their high words are the first two and the last two, the two in the middle,
# and those on both sides of the points where a float32 normal is computed in float64, and where it uses its low word.
OUTERMOST = [6228179416, 6907000171, 3971992243, 6912717394, 1602208986, 2318736567, 11206662687, 1540571749]
INNERMOST = [1224178036, 2640012464, 8699043275, 10787752413]
EDGES = {2**23 + 128: [1803860137, 304034454, 2743198624, 1315319982], 2**16: [3145430637, 2366306280, 250312570]}


def hexes(values):
    """Return exact texts, in which 0.0 and -0.0 differ, and which are readable in a failure."""
    return [float(value).hex() for value in values]


def evaluated(initializer, elements, dtype):
    tensor = initializer.lazy(LONGEST, dtype)
    return hexes(tensor[element] for element in elements)


def specified(distribution, a, b, dtype, key, stream, elements):
    words = (reference.element_words(key, stream, element) for element in elements)
    return hexes(reference.value(distribution, a, b, dtype, high, low) for high, low in words)


def generator(seed, path, draws):
    found = sb.SeedGenerator(seed)
    for name in path:
        found = found.child(name)
    found.draws = draws
    return found


def key_along(seed, path):
    key = reference.key_of(seed)
    for name in path:
        key = reference.child_key(key, name)
    return key


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


@settings(max_examples=400, deadline=None, derandomize=True)
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


class TestVarianceScaling:
    """The parameters depend on the shape."""

    @pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
    @pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
    @pytest.mark.parametrize("shape", [(), (7,), (0, 3), (5, 2), (3, 3, 5, 11), (2**21 + 1, 2**40 + 1)])
    def test_an_element_has_the_specified_bits(self, shape, mode, distribution):
        for scale in (1.0, 2.0, 1 / 3, 1e-9):
            init = sb.VarianceScaling(scale, mode, distribution, seed=6)
            expected = reference.variance_scaling(shape, scale, mode, distribution)
            assert init.sampling(shape) == (expected[0], expected[1:])
            last = tuple(length - 1 for length in shape)
            if 0 in shape:
                continue
            element = reference.element_index(last, shape)
            made = [init.lazy(shape, "float64")[last]]
            assert hexes(made) == specified(*expected, "float64", reference.key_of(6), 0, [element])

    @pytest.mark.parametrize("name", reference.NAMED)
    @pytest.mark.parametrize("axes", [(None, None), ((1, 2), (0,)), ((-1,), (0, 1, 2))])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_named_initializers_are_rows_of_it(self, name, axes, dtype):
        made = getattr(sb, name)(seed=6, input_axes=axes[0], output_axes=axes[1])((6, 5, 4), dtype)
        expected = reference.variance_scaling((6, 5, 4), *reference.NAMED[name], *axes)
        assert hexes(made.flat) == specified(*expected, dtype, reference.key_of(6), 0, range(120))

    @pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg", "fan_geo_avg"])
    @pytest.mark.parametrize(
        "counted",
        [
            {"groups": 3},
            {"layout": "torch"},
            {"layout": "torch", "groups": 2},
            {"batch_axes": (0,)},
            {"input_axes": (), "output_axes": (-1,), "batch_axes": (-2,)},
            {"input_axes": (0, 1), "output_axes": (-1,), "groups": 3},
        ],
    )
    def test_fans_are_counted_as_the_specification_says(self, counted, mode):
        init = sb.VarianceScaling(1 / 3, mode, "uniform", seed=6, **counted)
        expected = reference.variance_scaling((8, 5, 7, 9), 1 / 3, mode, "uniform", **counted)
        assert init.sampling((8, 5, 7, 9)) == (expected[0], expected[1:])

    @pytest.mark.parametrize("shape", [(7,), (5, 2), (3, 3, 5, 11)])
    def test_xavier_kaiming_and_unit_scaling_are_rows_of_it(self, shape):
        rows = [
            (sb.XavierUniform(0.3), 0.3 * 0.3, "fan_avg", "uniform"),
            (sb.XavierNormal(5 / 3), 5 / 3 * (5 / 3), "fan_avg", "untruncated_normal"),
            (sb.KaimingUniform(0.2), 2 / (1 + 0.2 * 0.2), "fan_in", "uniform"),
            (sb.KaimingNormal(0, "fan_out", "tanh"), 25 / 9, "fan_out", "untruncated_normal"),
            (sb.KaimingNormal(0, "fan_in", "selu"), 9 / 16, "fan_in", "untruncated_normal"),
        ]
        for init, *row in rows:
            expected = reference.variance_scaling(shape, *row)
            assert init.sampling(shape) == (expected[0], expected[1:])
        expected = reference.variance_scaling(shape if len(shape) > 1 else (1, 7), 1.43 * 1.43, "fan_in", "uniform")
        assert sb.UniformUnitScaling(1.43).sampling(shape) == (expected[0], expected[1:])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sparse_matrix_has_the_specified_bits(dtype):
    shape = (19, 7)
    init = sb.Sparse(1 / 3, 0.5, seed=sb.SeedGenerator(3).child("w"))
    key = key_along(3, ["w"])
    for stream in range(2):
        normal = specified("normal", 0.0, 0.5, dtype, key, stream, range(19 * 7))
        made = hexes(init(shape, dtype).flat)
        for column in range(7):
            zeroed = reference.zeroed_rows(key, stream, shape, column, 1 / 3)
            for row in range(19):
                element = row * 7 + column
                assert made[element] == ("0x0.0p+0" if row in zeroed else normal[element]), (row, column)


@pytest.mark.parametrize("shape", [(1, 1, 2), (5, 2, 4), (12, 1, 7)])
@pytest.mark.parametrize("scaling", ["density", "spectrum", None])
@pytest.mark.parametrize("window", [None, "hann", "hamming", "numbers"])
@pytest.mark.parametrize("side", ["real", "imag"])
def test_an_stft_kernel_has_the_specified_bits(side, window, scaling, shape):
    numbers = [1 / (1 + t) - 0.3 for t in range(shape[0])] if window == "numbers" else window
    for periodic in (False, True):
        made = sb.STFT(side, numbers, scaling, periodic)(shape, "float64")
        narrow = sb.STFT(side, numbers, scaling, periodic)(shape, "bfloat16")
        for t, channel, f in np.ndindex(shape):
            expected = reference.stft(side, numbers, scaling, periodic, t, f, shape)
            assert hexes([made[t, channel, f]]) == hexes([expected]), (t, f)
            assert float(narrow[t, channel, f]) == reference.rounded(float(np.float32(expected)), "bfloat16")


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


def words_of(seed, element):
    return tuple(int(sb.random_words(seed, 1, start=start)[0]) for start in (element, 2**67 + element))


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


CURVES = [
    ("log_uniform", sb.LogUniform, (0.001, 0.1), {}),
    ("log_uniform", sb.LogUniform, (0.3, 7.0), {}),
    ("log_of_uniform", sb.LogOfUniform, (1.0, 16.0), {}),
    ("log_of_uniform", sb.LogOfUniform, (0.0, 0.5), {}),
    ("inverse_softplus", sb.InverseSoftplus, (0.001, 0.1), {"floor": 0.01}),
    ("inverse_softplus", sb.InverseSoftplus, (0.01, 600.0), {"floor": 0.0}),
]


class TestCurves:
    """Functions of a uniform number."""

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(("name", "cls", "ends", "more"), CURVES)
    def test_an_element_has_the_specified_bits(self, name, cls, ends, more, dtype):
        elements = [*ELEMENTS, *range(40), *OUTERMOST, *INNERMOST, *EDGES[2**16]]
        made = evaluated(cls(*ends, seed=42, **more), elements, dtype)
        words = (reference.element_words(reference.key_of(42), 0, element) for element in elements)
        floor = more.get("floor", 0.0)
        assert made == hexes(reference.curve_value(name, *ends, floor, dtype, *word) for word in words)

    @pytest.mark.parametrize(("name", "cls", "ends", "more"), CURVES)
    def test_values_are_near_the_exact_ones(self, name, cls, ends, more):
        """Compare with mpmath: to 2^-52 for each unit of the largest logarithm, and two more."""
        minval, maxval = (mp.mpf(end) for end in ends)
        floor = more.get("floor", 0.0)
        with mp.workdps(50):
            for element in range(200):
                high, low = words_of(42, element)
                u = (mp.mpf(2**32 * high + low) + 0.5) / 2**64
                if name == "log_of_uniform":
                    exact = mp.log(minval + u * (maxval - minval))
                else:
                    exact = max(minval ** (1 - u) * maxval**u, floor)
                    exact = exact if name == "log_uniform" else mp.log(mp.expm1(exact))
                made = reference.curve(name, *ends, floor, float(u))
                assert abs(made - exact) <= 12 * 2.0**-52 * max(abs(exact), 1 if name != "log_uniform" else 0), element

    def test_bounds_hold_in_every_dtype(self):
        for dtype in DTYPES:
            values = sb.LogUniform(0.001, 0.0011, seed=1)((10_000,), dtype).astype(float)
            assert 0.001 <= values.min() <= values.max() <= 0.0011
            described = sb.InverseSoftplus(seed=1).describe((1,), dtype)
            values = sb.InverseSoftplus(seed=1)((10_000,), dtype).astype(float)
            assert described.minimum <= values.min() <= values.max() <= described.maximum

    @pytest.mark.parametrize(
        ("make", "error"),
        [
            (lambda: sb.LogUniform(0.0, 1.0), "from 2.2"),
            (lambda: sb.LogUniform(2.0, 1.0), "minval must not exceed maxval"),
            (lambda: sb.LogUniform(0.1, float("nan")), "maxval must be a finite number"),
            (lambda: sb.LogOfUniform(-1.0, 1.0), "from 0.0"),
            (lambda: sb.LogOfUniform(0.0, 0.0), "maxval must be at least 1e-280"),
            (lambda: sb.InverseSoftplus(0.1, 701.0), "to 700.0"),
            (lambda: sb.InverseSoftplus(floor=-1.0), "floor must be from 0 to 700"),
            (lambda: sb.LogUniform(1.0, 1e6)((2,), "float16"), "maxval must lie within the finite float16 numbers"),
            (lambda: sb.LogUniform(1.0001, 1.0002)((2,), "float16"), "a float16 number within the bounds"),
        ],
    )
    def test_impossible_parameters_are_an_error(self, make, error):
        with pytest.raises(ValueError, match=error):
            make()


class TestComplex:
    """Pairs of elements."""

    @pytest.mark.parametrize(("dtype", "part"), [("complex64", "float32"), ("complex128", "float64")])
    @pytest.mark.parametrize("distribution", ["truncated_normal", "uniform"])
    def test_an_element_has_the_specified_bits(self, distribution, dtype, part):
        scale, elements = 1.7, [*range(64), 2**32, 10**12, 2**62 - 2, *(i // 2 for i in (*OUTERMOST, *INNERMOST))]
        made = sb.VarianceScaling(scale, "fan_in", distribution, seed=42, input_axes=(), output_axes=())
        tensor = made.lazy((2**62 - 1,), dtype)
        if distribution == "uniform":
            arguments = "disk", math.sqrt(3.0 * scale) * math.sqrt(2 / 3)
        else:
            arguments = (
                "complex_truncated_normal",
                math.sqrt(scale) / 0.87962566103423978 * 0.87962566103423978 / 0.96196182800821351,
            )
        for element in elements:
            words = [reference.element_words(reference.key_of(42), 0, 2 * element + i) for i in range(2)]
            value = tensor[element]
            assert hexes((value.real, value.imag)) == hexes(reference.polar_value(*arguments, part, *words)), element

    @pytest.mark.parametrize(("dtype", "part"), [("complex64", "float32"), ("complex128", "float64")])
    def test_a_normal_is_two_of_half_the_variance(self, dtype, part):
        made = sb.RandomNormal(0.0, 0.3, seed=4)((30, 7), dtype).view(part)
        assert (made == sb.RandomNormal(0.0, 0.3 * math.sqrt(0.5), seed=4)((30, 14), part)).all()

    def test_parts_are_near_the_exact_ones(self):
        """Compare 400 elements with NumPy: to 2 * 10^-15 of the greatest radius."""
        words = [words_of(42, element) for element in range(800)]
        u = np.array([reference.unit(2**32 * high + low) for high, low in words])
        radius, angle = u[::2], 2 * np.pi * u[1::2]
        for distribution, r in [
            ("uniform", np.sqrt(2 * radius)),
            ("truncated_normal", np.sqrt(-np.log1p(-radius * -np.expm1(-4))) / 0.96196182800821351),
        ]:
            init = sb.VarianceScaling(1.0, "fan_in", distribution, seed=42, input_axes=(), output_axes=())
            exact = r * np.exp(1j * angle)
            assert abs(init((400,), "complex128") - exact).max() < 2e-15 * r.max()
            assert abs(init((400,), "complex64") - exact).max() < 1e-7 * r.max()


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
@settings(max_examples=2000, deadline=None)
def test_a_float32_uniform_can_be_made_of_integers(high, interval):
    n, e = reference.uniform_in_integers(*interval, high)
    assert math.ldexp(n, e) == reference.scaled("uniform", *interval, "float32", high, 0)

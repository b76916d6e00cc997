"""Initializers compared with the specification (`reference`) bit for bit."""

import math

import mpmath as mp
import numpy as np
import pytest
from support import reference
from support.streams import (
    DTYPES,
    EDGES,
    ELEMENTS,
    INNERMOST,
    OUTERMOST,
    evaluated,
    hexes,
    key_along,
    specified,
    words_of,
)

import seedbed as sb


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

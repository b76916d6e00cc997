"""Variance scaling and its named cases: scale, fans, axes, and refused arguments."""

import math

import pytest
from support.examples import CONCRETE
from support.reference import NAMED

import seedbed as sb
from seedbed.initializers._description import TRUNCATED_STDDEV


def test_every_public_initializer_has_an_example():
    public = {name for name in sb.__all__ if isinstance(getattr(sb, name), type) and name[0].isupper()}
    classes = {name for name in public if issubclass(getattr(sb, name), sb.Initializer)}
    assert classes - {"Initializer", "RandomInitializer"} == set(CONCRETE)


@pytest.mark.parametrize("name", NAMED)
def test_a_named_initializer_is_variance_scaling_with_its_row(name):
    for shape in [(), (7,), (30, 20), (3, 3, 16, 32), (0, 4)]:
        named = getattr(sb, name)(seed=3)(shape)
        assert (named == sb.VarianceScaling(*NAMED[name], seed=3)(shape)).all()


@pytest.mark.parametrize(("mode", "n"), [("fan_in", 9 * 16), ("fan_out", 9 * 32), ("fan_avg", 9 * 24)])
def test_the_scale_comes_from_the_fans(mode, n):
    shape, scale = (3, 3, 16, 32), 1.7
    variance = scale / n
    cases = {
        "uniform": sb.RandomUniform(-math.sqrt(3 * variance), math.sqrt(3 * variance), seed=5),
        "untruncated_normal": sb.RandomNormal(0.0, math.sqrt(variance), seed=5),
        "truncated_normal": sb.TruncatedNormal(0.0, math.sqrt(variance) / 0.87962566103423978, seed=5),
    }
    for distribution, same in cases.items():
        assert (sb.VarianceScaling(scale, mode, distribution, seed=5)(shape) == same(shape)).all()


def test_the_constant_of_the_truncation_is_exact():
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    assert pytest.approx(math.sqrt(1 - 4 * density / math.erf(math.sqrt(2))), rel=1e-15) == TRUNCATED_STDDEV


def test_axes_select_the_dimensions_of_the_fans():
    torch_layout = sb.HeNormal(seed=1, input_axes=(1, 2, 3), output_axes=(0, 2, 3))((64, 32, 3, 3))
    assert (torch_layout.ravel() == sb.HeNormal(seed=1)((3, 3, 32, 64)).ravel()).all()
    assert sb.compute_fans((64, 32, 3, 3), input_axes=(-3, -2, -1), output_axes=[0, 2, 3]) == (288, 576)


@pytest.mark.parametrize(
    ("shape", "fans"),
    [((), (1, 1)), ((5,), (5, 5)), ((2, 3), (2, 3)), ((3, 3, 64, 128), (576, 1152)), ((0, 5), (0, 5)), (7, (7, 7))],
)
def test_fans_are_counted_as_keras_counts_them(shape, fans):
    assert sb.compute_fans(shape) == fans


def test_fans_of_more_than_64_bits_are_an_error():
    with pytest.raises(OverflowError, match=r"less than 2\*\*64"):
        sb.compute_fans((2**31, 2**31), input_axes=(0, 1, 0), output_axes=(0,))


@pytest.mark.parametrize(
    ("axes", "kind", "message"),
    [
        ({"input_axes": (0,)}, ValueError, "must be given together"),
        ({"output_axes": (0,)}, ValueError, "must be given together"),
        ({"input_axes": (0.5,), "output_axes": (0,)}, TypeError, "input_axes must be a sequence of integers"),
        ({"input_axes": "01", "output_axes": (0,)}, TypeError, "input_axes must be a sequence of integers"),
        ({"input_axes": (0,), "output_axes": (True,)}, TypeError, "output_axes must be a sequence of integers"),
    ],
)
def test_bad_axes_are_refused_in_the_constructor(axes, kind, message):
    for make in (sb.GlorotNormal, sb.VarianceScaling, lambda **axes: sb.compute_fans((2, 2), **axes)):
        with pytest.raises(kind, match=message):
            make(**axes)


def test_an_axis_outside_the_shape_is_an_error():
    for axis in (2, -3):
        with pytest.raises(ValueError, match=f"must be axes of the shape. Received: axis {axis}"):
            sb.GlorotNormal(seed=1, input_axes=(axis,), output_axes=(0,))((2, 2))


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: sb.RandomNormal(stddev=-1), ValueError, "stddev must not be negative. Received: stddev=-1.0"),
        (lambda: sb.TruncatedNormal(stddev=-1e-9), ValueError, "stddev must not be negative"),
        (lambda: sb.RandomNormal(stddev=math.nan), ValueError, "stddev must be a finite number. Received: stddev=nan"),
        (lambda: sb.TruncatedNormal(mean=math.inf), ValueError, "mean must be a finite number"),
        (lambda: sb.RandomNormal(mean="0"), TypeError, "mean must be a finite number. Received: mean='0'"),
        (lambda: sb.RandomNormal(stddev=None), TypeError, "stddev must be a finite number"),
        (lambda: sb.RandomNormal(stddev=True), TypeError, "stddev must be a finite number"),
        (
            lambda: sb.TruncatedNormal(lower=1, upper=1),
            ValueError,
            "lower must be less than upper. Received: lower=1, upper=1",
        ),
        (
            lambda: sb.TruncatedNormal(lower=3),
            ValueError,
            "lower must be less than upper. Received: lower=3, upper=2.0",
        ),
        (
            lambda: sb.TruncatedNormal(lower=math.inf, upper=None),
            ValueError,
            "lower must be a finite number. Received: lower=inf",
        ),
        (lambda: sb.TruncatedNormal(lower=math.nan), ValueError, "lower must be a finite number. Received: lower=nan"),
        (lambda: sb.TruncatedNormal(upper=math.nan), ValueError, "upper must be a finite number"),
        (lambda: sb.TruncatedNormal(upper="2"), TypeError, "upper must be a finite number. Received: upper='2'"),
        (
            lambda: sb.TruncatedNormal(lower=37.5, upper=None),
            ValueError,
            "within 37 standard deviations. Received: lower=37.5",
        ),
        (
            lambda: sb.TruncatedNormal(lower=-50, upper=-38),
            ValueError,
            "within 37 standard deviations. Received: lower=-50, upper",
        ),
        (lambda: sb.RandomUniform(1, 0), ValueError, "minval must not exceed maxval. Received: minval=1.0, maxval=0.0"),
        (lambda: sb.RandomUniform(math.nan, 0), ValueError, "minval must be a finite number"),
        (lambda: sb.RandomUniform(0, 10**400), ValueError, "maxval must be a finite number"),
        (
            lambda: sb.VarianceScaling(scale=0),
            ValueError,
            "scale. must be positive float.* Received: scale=0.0",
        ),
        (lambda: sb.VarianceScaling(scale=math.nan), ValueError, "scale must be a finite number"),
        (
            lambda: sb.VarianceScaling(mode="fan"),
            ValueError,
            "mode must be one of fan_in, .*, spectral. Received: mode='fan'",
        ),
        (lambda: sb.VarianceScaling(mode="FAN_IN"), ValueError, "mode must be one of"),
        (lambda: sb.VarianceScaling(mode=["fan_in"]), ValueError, "mode must be one of"),
        (lambda: sb.VarianceScaling(distribution="beta"), ValueError, "distribution must be one of truncated_normal"),
        (lambda: sb.VarianceScaling(distribution=None), ValueError, "distribution must be one of"),
        (lambda: sb.Constant(math.nan), ValueError, "value must be a finite number"),
        (lambda: sb.Constant("1"), TypeError, "value must be a finite number"),
        (lambda: sb.Constant([[1], [2, 3]]), ValueError, "value must be a finite number"),
        (lambda: sb.Constant(None), TypeError, "value must be a finite number"),
    ],
)
def test_bad_parameters_are_refused_in_the_constructor(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_the_distribution_has_the_aliases_of_keras():
    assert sb.VarianceScaling(distribution="Normal").distribution == "truncated_normal"
    assert sb.VarianceScaling(distribution="UNIFORM").distribution == "uniform"

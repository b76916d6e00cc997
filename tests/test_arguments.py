"""Arguments: numbers of other libraries, endless iterables, and objects that are not iterable."""

import itertools
import math
import re
from decimal import Decimal
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import seedbed as sb
from seedbed.plan import parse_plan

REAL = {
    "mean of RandomNormal": lambda x: sb.RandomNormal(mean=x, seed=1),
    "stddev of RandomNormal": lambda x: sb.RandomNormal(stddev=x, seed=1),
    "minval of RandomUniform": lambda x: sb.RandomUniform(minval=x, maxval=3.0, seed=1),
    "maxval of RandomUniform": lambda x: sb.RandomUniform(maxval=x, seed=1),
    "mean of TruncatedNormal": lambda x: sb.TruncatedNormal(mean=x, seed=1),
    "stddev of TruncatedNormal": lambda x: sb.TruncatedNormal(stddev=x, seed=1),
    "lower of TruncatedNormal": lambda x: sb.TruncatedNormal(seed=1, lower=x),
    "upper of TruncatedNormal": lambda x: sb.TruncatedNormal(seed=1, upper=x),
    "scale of VarianceScaling": lambda x: sb.VarianceScaling(x, seed=1),
    "factor of UniformUnitScaling": lambda x: sb.UniformUnitScaling(x, seed=1),
    "gain of XavierNormal": lambda x: sb.XavierNormal(x, seed=1),
    "a of KaimingUniform": lambda x: sb.KaimingUniform(x, seed=1),
    "sparsity of Sparse": lambda x: sb.Sparse(x, seed=1),
    "stddev of Sparse": lambda x: sb.Sparse(0.5, x, seed=1),
    "gain of Orthogonal": lambda x: sb.Orthogonal(x, seed=1),
    "gain of DeltaOrthogonal": lambda x: sb.DeltaOrthogonal(x, seed=1),
    "gain of Identity": lambda x: sb.Identity(x),
    "value of Constant": lambda x: sb.Constant(x),
    "param of calculate_gain": lambda x: sb.calculate_gain("leaky_relu", x),
}

HALVES = [
    *(Decimal("0.5"), Fraction(1, 2), np.float16(0.5), np.float32(0.5), np.longdouble(0.5), np.array(0.5)),
    *(ml_dtypes.bfloat16(0.5), np.array(0.5, ml_dtypes.bfloat16)),
]

NOT_REAL = [
    *(np.complex64(1 + 2j), 1j, np.array(2j), np.array(True), np.True_, True, np.timedelta64(3, "s"), np.ma.masked),
    *(np.datetime64("2020"), np.array("0.5"), np.str_("0.5"), "0.5", b"0.5", np.array([0.5, 0.5]), [[0.5], []], {}),
    *(Decimal("NaN"), Decimal("sNaN"), Fraction(10**400), 10**400, math.nan, np.float32("nan"), object(), len),
]

TAKEN_BY_CONSTANT = (complex, bool, np.complexfloating, np.bool_, np.ndarray)
"""Types that a constant accepts: complex numbers, bools and arrays."""


@pytest.mark.parametrize("half", HALVES, ids=lambda half: f"{type(half).__name__} {half!r}")
@pytest.mark.parametrize("parameter", REAL)
def test_real_numbers_of_any_library_are_accepted(parameter, half):
    assert REAL[parameter](half) == REAL[parameter](0.5)


@pytest.mark.parametrize("value", NOT_REAL, ids=lambda value: f"{type(value).__name__} {value!r:.20}")
@pytest.mark.parametrize("parameter", REAL)
def test_other_types_are_refused_as_real_numbers(parameter, value):
    if parameter == "value of Constant" and isinstance(value, TAKEN_BY_CONSTANT) and value is not np.ma.masked:
        pytest.skip("a constant may be complex, bool or an array")
    if parameter in ("mean of RandomNormal", "mean of TruncatedNormal") and isinstance(value, (complex, np.complex64)):
        pytest.skip("a mean may be complex")
    name = parameter.partition(" ")[0]
    is_number = isinstance(value, (Decimal, Fraction, int, float, np.floating)) and not isinstance(value, bool)
    is_ragged = parameter == "value of Constant" and isinstance(value, list)
    with pytest.raises(
        ValueError if is_number or is_ragged else TypeError,
        match=rf"{name} must be a finite number.* Received: {name}=",
    ):
        REAL[parameter](value)


def test_arrays_of_any_librarys_numbers_are_accepted():
    want = sb.Constant([[0.5], [2.0]])
    for value in (
        [[Decimal("0.5")], [Fraction(2)]],
        np.array([[Fraction(1, 2)], [2]], object),
        np.array([[0.5], [2]], ml_dtypes.bfloat16),
        np.array([[0.5], [2]], ml_dtypes.float8_e4m3fn),
        np.ma.array([[0.5], [2]], mask=False),
    ):
        assert sb.Constant(value) == want
        assert sb.STFT(window=np.ravel(value)) == sb.STFT(window=[0.5, 2.0])
    assert sb.Constant(10**30)((1,)).tolist() == [float(np.float32(1e30))]
    bad = [np.array(["0.5"], object), np.array([None]), np.array([1j], object), np.ma.array([1.0, 2.0], mask=[0, 1])]
    types, values = (*bad, np.array([b"abcd"], "V4")), ([Decimal("sNaN")], [10**400])
    for error, value in [*((TypeError, value) for value in types), *((ValueError, value) for value in values)]:
        with pytest.raises(error, match="value must be a finite number or an array"):
            sb.Constant(value)
        with pytest.raises(error, match="window must be a name, a tuple of a name and parameters, a sequence"):
            sb.STFT(window=value)


@pytest.mark.parametrize("none", [None, math.inf, np.float32("inf"), Decimal("Infinity"), np.array(math.inf)])
def test_a_bound_may_be_any_librarys_infinity(none):
    assert sb.TruncatedNormal(seed=1, upper=none).upper is None
    with pytest.raises(ValueError, match="lower must be a finite number"):
        sb.TruncatedNormal(seed=1, lower=math.inf)


class Endless:
    def __iter__(self):
        return self

    def __next__(self):
        return "a"


ENDLESS = [itertools.count(), itertools.repeat("a"), itertools.repeat(1), range(10**13), Endless()]

TAKES_SEVERAL = {
    "input_axes": lambda x: sb.compute_fans((2, 3), input_axes=x, output_axes=(0,)),
    "output_axes": lambda x: sb.HeNormal(input_axes=(0,), output_axes=x),
    "batch_axes": lambda x: sb.VarianceScaling(batch_axes=x),
    "path": lambda x: sb.SeedGenerator(1, path=x),
    "blocks": lambda x: sb.Blocks("zeros", x),
    "shape": lambda x: sb.Zeros()(x),
    "partition_offset": lambda x: sb.Zeros()((2, 3), partition_shape=(1, 1), partition_offset=x),
}


@pytest.mark.parametrize("endless", ENDLESS, ids=lambda endless: type(endless).__name__)
@pytest.mark.parametrize("argument", TAKES_SEVERAL)
def test_endless_iterables_are_refused_at_once(argument, endless):
    with pytest.raises(ValueError, match=rf"{argument} must .*at most \d+.* Received: more"):
        TAKES_SEVERAL[argument](endless)


@pytest.mark.parametrize("value", [3.5, object(), len, None])
@pytest.mark.parametrize("argument", TAKES_SEVERAL)
def test_the_error_names_an_argument_that_is_not_iterable(argument, value):
    if value is None and argument in ("batch_axes", "partition_offset"):
        pytest.skip("None is a value of it")
    # As Keras, a ValueError for a float dimension. None is a permitted type of input_axes, but not of one alone.
    as_keras = type(value) is float and argument in ("shape", "partition_offset")
    kind = ValueError if as_keras or (value is None and argument in ("input_axes", "output_axes")) else TypeError
    with pytest.raises(kind, match=argument):
        TAKES_SEVERAL[argument](value)


@pytest.mark.parametrize("config", [None, 3, "zeros", [("seed", 1)], itertools.count(), sb.Zeros()])
def test_a_configuration_must_be_a_mapping(config):
    for name in ("Zeros", "RandomNormal", "Sparse", "SeedGenerator"):
        with pytest.raises(TypeError, match=f"config of a {name} must be a dict"):
            getattr(sb, name).from_config(config)


@pytest.mark.parametrize("text", [None, 3, b"{}", {}, [], open])
def test_a_plan_must_be_text(text):
    with pytest.raises(TypeError, match=f"text must be the JSON of a plan, a string. Received: {type(text).__name__}"):
        parse_plan(text)


def test_the_length_of_a_generators_path_is_limited():
    deepest = sb.SeedGenerator(1, path=["a"] * 2**16)
    with pytest.raises(ValueError, match=re.escape("path must have at most 65536 names. Received: another name, 'b'")):
        deepest.child("b")


def test_the_name_of_a_child_must_be_valid_unicode():
    with pytest.raises(ValueError, match=r"without lone surrogates. Received: '\\ud800'"):
        sb.SeedGenerator(1).child("\ud800")


ZERO_SIZES = [(0,), (0, 3), (3, 0), (0, 0), (2, 0, 3), (0, 2**40), (1, 0, 1, 0)]


@pytest.mark.parametrize("shape", ZERO_SIZES)
def test_functions_take_shapes_without_elements(shape):
    fan_in, fan_out = sb.compute_fans(shape)
    assert 0 in (fan_in, fan_out)
    for init in (sb.Zeros(), sb.Constant(3), sb.RandomNormal(seed=1), sb.HeUniform(seed=1), sb.GlorotNormal(seed=1)):
        for made in (init(shape), np.asarray(init.lazy(shape)), init(shape, partition_shape=shape)):
            assert (made.shape, made.dtype) == (shape, np.float32)
        out = np.empty(shape, "float16")
        assert init(shape, out=out) is out
        assert init.lazy(shape)[..., :0].shape == (*shape[:-1], 0)
    assert sb.random_words(1, 0).shape == (0,)
    assert sb.random_words(1, 0, 2**64 - 1, 2**68 - 1).shape == (0,)

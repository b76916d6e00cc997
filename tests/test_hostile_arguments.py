"""Hostile arguments of the public functions: the result is right, or a documented error."""

import itertools
import json
import math
from contextlib import suppress

import ml_dtypes
import numpy as np
import pytest
from documents import outcome
from hypothesis import given
from hypothesis import strategies as st
from support.hostile import CLASSES, FLOATS, anything, floats, hostile, integers, oddities, shapes, small_shapes

import seedbed as sb
from seedbed.compat import v2
from seedbed.dtypes import FLOAT8

RANDOM = ["RandomUniform", "RandomNormal", "TruncatedNormal"]

dtypes = (
    st.sampled_from([*FLOATS, np.float64, np.dtype("float16"), ml_dtypes.bfloat16, None])
    | st.sampled_from(
        ["int32", "bool", "complex64", ">f4", "f2,f4", "float8_e4m3fn", "S3", "O", np.longdouble, "V2", "(2,)f4", "M8"]
    )
    | oddities
)

seeds = integers | st.none() | oddities


def within(x, a, b, closed):
    """Whether all are in [a, b), or in [a, b], or equal a bound that is rounded."""
    nearest = np.array(a, np.float64).astype(x.dtype)
    inside = (x.astype(np.float64) >= a) & ((x.astype(np.float64) <= b) if closed else (x.astype(np.float64) < b))
    return bool((inside | ((a == b) & (x == nearest))).all())


@hostile
@given(st.sampled_from(RANDOM), anything | floats, anything | floats, seeds, shapes, dtypes)
def test_any_parameters_seed_shape_and_dtype(name, a, b, seed, shape, dtype):
    init = outcome(lambda: getattr(sb, name)(a, b, seed))
    tensor = outcome(lambda: init.lazy(shape, dtype)) if init else None
    if tensor is None:
        return
    assert tensor.shape == tuple(int(n) for n in (shape if np.ndim(shape) else [shape]))
    assert tensor.dtype.name in (*FLOATS, *FLOAT8)
    part = init(shape, dtype) if tensor.size < 10**5 else tensor[(-1,) * tensor.ndim]
    assert part.shape == (tensor.shape if tensor.size < 10**5 else ())
    assert np.isfinite(part.astype(np.float64)).all()
    if name == "RandomUniform":
        assert within(part, init.minval, init.maxval, closed=False)
    elif name == "TruncatedNormal":
        assert within(part, init.mean - 2 * init.stddev, init.mean + 2 * init.stddev, closed=True)


@hostile
@given(
    st.dictionaries(st.sampled_from(["scale", "mode", "distribution", "seed", "input_axes", "output_axes"]), anything),
    st.sampled_from(["fan_in", "fan_out", "fan_avg"]),
    st.sampled_from(["uniform", "truncated_normal", "untruncated_normal"]),
    st.lists(st.sampled_from([0, 1, 2, 3, 2**31, 2**62]), max_size=4),
    st.sampled_from(FLOATS),
)
def test_any_variance_scaling(arguments, mode, distribution, shape, dtype):
    arguments = {"mode": mode, "distribution": distribution, **arguments}
    init = outcome(lambda: sb.VarianceScaling(**arguments))
    tensor = outcome(lambda: init.lazy(shape, dtype)) if init else None
    if tensor is not None and tensor.size:
        element = tensor[(-1,) * len(shape)]
        assert element.shape == ()
        assert math.isfinite(element)


@hostile
@given(st.sampled_from(CLASSES), st.lists(anything, max_size=3), small_shapes, dtypes)
def test_any_arguments_of_any_initializer(name, arguments, shape, dtype):
    init = outcome(lambda: getattr(sb, name)(*arguments))
    made = outcome(lambda: init(shape, dtype)) if init else None
    if made is not None:
        assert made.shape == shape
        assert init.lazy(shape, dtype).dtype == made.dtype
        numbers = made.astype(np.complex128 if made.dtype.kind == "c" else np.float64)
        assert np.isfinite(numbers).all()
        assert sb.deserialize(sb.serialize(init)).get_config() == init.get_config()


@pytest.mark.parametrize("shape", [itertools.count(), itertools.repeat(1), range(10**12), [1] * 10**6, (1,) * 65])
def test_a_shape_without_end_is_refused_at_once(shape):
    for init in (sb.Zeros(), sb.HeNormal(seed=1)):
        with pytest.raises(ValueError, match="shape must have at most 64 dimensions"):
            init.lazy(shape)
    with pytest.raises(ValueError, match="partition_shape must have at most 64 dimensions"):
        sb.Zeros()((2, 2), partition_shape=shape)


@hostile
@given(shapes, anything, anything)
def test_any_fans_are_the_products_or_an_error(shape, inputs, outputs):
    made = outcome(lambda: sb.compute_fans(shape))
    if made is not None:
        *field, last_but_one, last = (int(n) for n in shape) if len(shape) > 1 else [*shape, *shape] or [1, 1]
        assert made == (math.prod(field) * last_but_one, math.prod(field) * last)
    outcome(lambda: sb.compute_fans(shape, inputs, outputs))


@hostile
@given(small_shapes, st.lists(st.integers(-6, 6)), st.lists(st.integers(-6, 6)))
def test_fans_along_any_axes_are_products_or_an_error(shape, inputs, outputs):
    made = outcome(lambda: sb.compute_fans(shape, inputs, outputs))
    inside = all(-len(shape) <= axis < len(shape) for axis in inputs + outputs)
    if made is None:
        assert not inside
    else:
        assert made == (math.prod(shape[i] for i in inputs), math.prod(shape[i] for i in outputs))


@hostile
@given(anything, anything, anything, anything)
def test_any_words(seed, count, stream, start):
    if not (isinstance(count, (int, np.integer)) and count > 10**6):
        made = outcome(lambda: sb.random_words(seed, count, stream, start))
        assert made is None or (made.dtype == np.uint32 and len(made) == count)


@hostile
@given(anything, anything, anything, st.text() | anything)
def test_any_seed_generator(seed, name, path, child):
    generator = outcome(lambda: sb.SeedGenerator(seed, name, path=path))
    if generator is not None:
        again = sb.SeedGenerator.from_config(json.loads(json.dumps(generator.get_config())))
        assert generator.seed != again.seed or generator.key == again.key
        outcome(lambda: generator.child(child).next())


@hostile
@given(anything)
def test_any_setting_is_taken_or_refused_without_effect(value):
    before = sb.get_num_threads(), sb.floatx()
    try:
        for change in (sb.set_num_threads, sb.set_floatx):
            with suppress(TypeError, ValueError):
                change(value)
        assert sb.get_num_threads() >= 1
        assert sb.floatx() in FLOATS
    finally:
        sb.set_num_threads(before[0])
        sb.set_floatx(before[1])


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="arrays have 32 dimensions at most")
@pytest.mark.parametrize(
    "init", [sb.Zeros(), sb.Constant(3.0), sb.Constant([[2], [3]]), v2.Constant(3.0), sb.HeNormal(1)]
)
def test_shapes_may_have_64_dimensions(init):
    shape = (1,) * 62 + (2, 1)
    assert init(shape).shape == init.lazy(shape)[...].shape == shape


def test_dtype_names_are_cached_by_their_text():
    class Liar(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            return True

    outcome(lambda: sb.Zeros()((1,), Liar("uint32")))
    assert sb.Zeros()((1,), "uint32").dtype == np.uint32
    with pytest.raises(ValueError, match="dtype must name an element type"):
        sb.Zeros()((1,), f"f{'0' * 100}4")

"""Hostile input: what comes out is right, or one of the errors that the documentation names.

Never a panic (which is a BaseException, and no error of these), a hang, a NaN, or a result of another shape. Examples
are drawn the same way every time; SEEDBED_FUZZ_SECONDS=600 SEEDBED_FUZZ_SEED=2 mutates plans and configurations for
longer, and others.
"""

import itertools
import json
import math
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import documents
import ml_dtypes
import numpy as np
import pytest
from documents import outcome
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import seedbed as sb
from seedbed import _core
from seedbed.compat import v1, v2
from seedbed.dtypes import FLOAT8

FLOATS = ("float16", "bfloat16", "float32", "float64")
CLASSES = sorted({name for name in sb.__all__ if name[0].isupper() and hasattr(getattr(sb, name), "parameters")})
RANDOM = ["RandomUniform", "RandomNormal", "TruncatedNormal"]

hostile = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

EDGES = [*(sign * (1 << power) + by for sign in (1, -1) for power in (0, 31, 32, 62, 63, 64, 255) for by in (-1, 0, 1))]
integers = st.integers(-4, 9) | st.sampled_from([*EDGES, 10**400, -(10**5000)]) | st.integers()
floats = st.floats() | st.sampled_from([5e-324, 1e-45, 6e-8, 65504.0, 65520.0, 3.4e38, 1.7976931348623157e308, -0.0])
NUMBERS_OF_SORTS = [True, False, 1j, Decimal("1.5"), Decimal("NaN"), Fraction(1, 3), np.float32(2), np.float16("inf")]
NUMBERS_OF_SORTS += [np.int8(-1), np.uint64(2**64 - 1), np.bool_(True), np.array(3)]
TEXTS = ["", "1", b"1", "float32", np.str_("x"), memoryview(b"ab"), np.array("2020", "M8[Y]")]
COLLECTIONS = [(), [], {}, {1}, range(3), np.array([1, 2]), np.array([], "O"), [[1], [2, 3]], [[]] * 3]
COLLECTIONS += [{"class_name": "SeedGenerator", "config": {}}]
OBJECTS = [None, object(), object, len, float, ..., slice(None)]
oddities = st.sampled_from(NUMBERS_OF_SORTS + TEXTS + COLLECTIONS + OBJECTS)
anything = integers | floats | oddities
small_shapes = st.lists(st.integers(0, 6), max_size=5).map(tuple)
shapes = (
    small_shapes | st.lists(anything, max_size=4) | st.lists(st.sampled_from([1, 2, 2**20, 2**31, 2**62]), max_size=70)
)
dtypes = (
    st.sampled_from([*FLOATS, np.float64, np.dtype("float16"), ml_dtypes.bfloat16, None])
    | st.sampled_from(
        ["int32", "bool", "complex64", ">f4", "f2,f4", "float8_e4m3fn", "S3", "O", np.longdouble, "V2", "(2,)f4", "M8"]
    )
    | oddities
)
seeds = integers | st.none() | oddities


def within(x, a, b, closed):
    """Whether all lie in [a, b), or in [a, b], or are what a bound that stands alone is rounded to."""
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


items = st.integers(-9, 9) | st.slices(9) | st.builds(slice, *[st.none() | st.integers(-10, 10) | integers] * 3)
indices = st.lists(items | st.just(...), max_size=5).map(tuple)
tensors = small_shapes.map(lambda shape: (shape, sb.RandomNormal(seed=7).lazy(shape), sb.RandomNormal(seed=7)(shape)))


@hostile
@given(tensors, indices)
def test_any_index_of_integers_and_slices_is_numpys(tensor, index):
    _, lazy, whole = tensor
    want, made = outcome(lambda: whole[index]), outcome(lambda: lazy[index])
    assert (made is None) == (want is None)
    if want is not None:
        assert (made.shape, made.tobytes()) == (want.shape, want.tobytes())


@hostile
@given(tensors, anything | st.lists(anything | items, max_size=5).map(tuple))
def test_any_other_index_is_numpys_or_an_error(tensor, index):
    _, lazy, whole = tensor
    made = outcome(lambda: lazy[index])
    if made is not None:
        assert (made.shape, made.tobytes()) == (whole[index].shape, whole[index].tobytes())


@hostile
@given(st.lists(st.sampled_from([1, 3, 2**20, 2**31, 2**40, 2**62]), min_size=1, max_size=4), st.data())
def test_any_slice_of_a_tensor_beyond_any_memory(shape, data):
    tensor = outcome(lambda: sb.RandomUniform(0.0, 1.0, seed=3).lazy(shape, "float64"))
    if tensor is None:
        return
    spans = [data.draw(st.builds(slice, *[st.none() | st.integers(-length - 2, length + 2)] * 3)) for length in shape]
    if any(span.step == 0 for span in spans):
        with pytest.raises(ValueError, match="zero"):
            tensor[tuple(spans)]
        return
    taken = [range(*span.indices(length)) for span, length in zip(spans, shape, strict=True)]
    if math.prod(len(indices) or 1 for indices in taken) > 1000:
        taken = [indices[-2:] if len(indices) > 2 else indices for indices in taken]
        spans = [
            slice(i[0], None if i[-1] + i.step < 0 else i[-1] + i.step, i.step) if i else slice(0, 0) for i in taken
        ]
    made = tensor[tuple(spans)]
    assert made.shape == tuple(map(len, taken))
    for position in itertools.islice(np.ndindex(made.shape) if made.size else (), 0, None, 7):
        assert made[position] == tensor[tuple(taken[axis][i] for axis, i in enumerate(position))]


@hostile
@given(small_shapes, st.data(), st.sampled_from(FLOATS))
def test_any_partition_is_that_slice_of_the_whole_or_an_error(shape, data, dtype):
    wanted = st.tuples(*[st.integers(-1, length + 1) for length in shape]) | shapes
    part, offset = data.draw(wanted), data.draw(wanted | st.none())
    init = sb.TruncatedNormal(seed=5)
    made = outcome(lambda: init(shape, dtype, partition_shape=part, partition_offset=offset))
    if made is not None:
        starts = [0] * len(shape) if offset is None else [int(i) for i in np.ravel(offset)]
        counts = [int(n) for n in np.ravel(part)]
        cut = tuple(slice(start, start + count) for start, count in zip(starts, counts, strict=True))
        want = init(shape, dtype)[cut]
        assert (made.shape, made.tobytes()) == (want.shape, want.tobytes())


MEMORY = {
    "as it should be": lambda memory: memory[64:112].view("f4").reshape(3, 4),
    "not aligned": lambda memory: memory[65:113].view("f4").reshape(3, 4),
    "by columns": lambda memory: memory[64:112].view("f4").reshape(4, 3).T,
    "with gaps": lambda memory: memory[64:160].view("f4").reshape(3, 8)[:, ::2],
    "backwards": lambda memory: memory[64:112].view("f4").reshape(3, 4)[::-1],
    "one for all": lambda memory: np.lib.stride_tricks.as_strided(memory[64:68].view("f4"), (3, 4), (0, 0)),
    "overlapping": lambda memory: np.lib.stride_tricks.as_strided(memory[64:].view("f4"), (3, 4), (4, 4)),
    "of another dtype": lambda memory: memory[64:112].view("i4").reshape(3, 4),
    "of the other byte order": lambda memory: memory[64:112].view(np.dtype("f4").newbyteorder()).reshape(3, 4),
    "of another shape": lambda memory: memory[64:112].view("f4").reshape(4, 3),
    "too small": lambda memory: memory[64:108].view("f4"),
    "masked": lambda memory: np.ma.array(memory[64:112].view("f4").reshape(3, 4), mask=True),
    "a matrix": lambda memory: np.asmatrix(memory[64:112].view("f4").reshape(3, 4)),
    "not an array": lambda memory: memory[64:112].data,
    "a list": lambda memory: [[0.0] * 4] * 3,
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("kind", MEMORY)
def test_any_out_is_written_in_full_and_nothing_beside_it_or_refused(kind, writable):
    memory = np.full(256, 0xA5, np.uint8)
    memory.flags.writeable = writable
    out = MEMORY[kind](memory)
    init = sb.RandomNormal(seed=2)
    made = outcome(lambda: init((3, 4), out=out))
    fits = writable and kind in ("as it should be", "by columns", "masked", "a matrix")
    assert (made is not None) == fits
    if fits:
        assert made is out
        assert np.asarray(out).tobytes() == init((3, 4)).tobytes()
        assert (memory[:64] == 0xA5).all()
        assert (memory[112:] == 0xA5).all()
    else:
        assert (memory == 0xA5).all()


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
def test_any_axes_have_their_products_for_fans_or_are_an_error(shape, inputs, outputs):
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
def test_any_setting_is_taken_or_refused_and_stays_as_it_was(value):
    before = sb.get_num_threads(), sb.floatx()
    try:
        for change in (sb.set_num_threads, sb.set_floatx):
            with suppress(ValueError):
                change(value)
        assert sb.get_num_threads() >= 1
        assert sb.floatx() in FLOATS
    finally:
        sb.set_num_threads(before[0])
        sb.set_floatx(before[1])


unsigned = st.sampled_from([0, 1, 2, 7, 2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -1])
axes = st.lists(st.tuples(unsigned, unsigned, unsigned | st.integers(-(2**63), 2**63), unsigned), max_size=4)


@hostile
@given(
    st.sampled_from([0, 1, 2, 7, 16]),
    st.sampled_from(["f4", "f8", "u2", "u4"]),
    st.sampled_from(["float16", "bfloat16", "float32", "float64", "float8"]),
    st.tuples(st.sampled_from(["uniform", "normal", "truncated_normal", ""]), st.tuples(floats, floats)),
    st.tuples(st.sampled_from([bytes(32), bytes(31), b""]), unsigned),
    axes | st.none() | anything,
    unsigned,
)
def test_any_call_of_the_extension_itself(size, memory, dtype, distribution, address, axes, threads):
    """Nobody but the package calls it; it checks all that its memory safety rests on all the same."""
    out = np.full(size, 7, memory)
    recipe = outcome(lambda: _core.Recipe(*distribution, dtype))
    if recipe is None or outcome(lambda: recipe.fill(out, address, axes, min(threads, 64)) or True) is None:
        assert (out == 7).all()
    outcome(lambda: _core.words(out, address, threads))


ODD = {
    "not aligned": lambda: np.zeros(73, np.uint8)[1:].view("f8").reshape(3, 3),
    "by columns": lambda: np.zeros((3, 3), order="F"),
    "with gaps": lambda: np.zeros((3, 6))[:, ::2],
    "of the other byte order": lambda: np.zeros((3, 3), np.dtype("f8").newbyteorder()),
}


@pytest.mark.parametrize("kind", ODD)
def test_the_extension_itself_takes_no_memory_but_as_it_has_to_be(kind):
    odd, good = ODD[kind](), np.ones((3, 3))
    with pytest.raises(ValueError, match="out must"):
        _core.Recipe("normal", (0.0, 1.0), "float64").fill(odd, (bytes(32), 0), None, 1)
    with pytest.raises(ValueError, match="out must"):
        _core.Orthogonal(1.0, "float64").fill(odd, (3, 3), (bytes(32), 0), 1)
    for matrices in [(odd, good, good), (good, odd, good), (good, good, odd)]:
        with pytest.raises((ValueError, TypeError)):
            _core.matmul(*matrices, 1)
    assert not odd.any()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(CLASSES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
configs = st.fixed_dictionaries(
    {"class_name": st.sampled_from(CLASSES) | json_values},
    optional={
        "config": st.dictionaries(
            st.sampled_from(["mean", "stddev", "minval", "seed", "scale", "mode", "value"]), json_values
        ),
        "module": st.sampled_from(["keras.initializers", "os", None]) | json_values,
        "registered_name": json_values,
    },
)


@hostile
@given(configs | json_values)
def test_any_configuration_is_an_initializer_or_an_error(config):
    made = outcome(lambda: sb.deserialize(config))
    if made is not None:
        assert type(made).__name__ in CLASSES
        assert sb.deserialize(sb.serialize(made)).get_config() == made.get_config()
        outcome(lambda: made((2, 2)))
    outcome(lambda: sb.get(config))


def nested(depth, inner=None):
    for _ in range(depth):
        inner = [inner]
    return inner


CYCLE = {"class_name": "HeNormal"}
CYCLE["config"] = {"seed": CYCLE}


@pytest.mark.parametrize("registry", [sb, v1, v2], ids=lambda registry: registry.__name__)
@pytest.mark.parametrize(
    "config",
    [
        {"class_name": "Constant", "config": {"value": nested(10**5)}},
        {"class_name": "HeNormal", "config": {"seed": nested(10**5)}},
        {"class_name": "HeNormal", "config": nested(10**5)},
        {"class_name": nested(10**5)},
        {"other": nested(10**5)},
        nested(10**5),
        CYCLE,
    ],
    ids=["value", "seed", "config", "class_name", "key", "list", "cycle"],
)
def test_a_configuration_of_any_depth_is_refused_in_all_registries(registry, config):
    for read in (registry.get, registry.deserialize):
        with pytest.raises(ValueError, match="Received"):
            read(config)


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="arrays have 32 dimensions at most")
@pytest.mark.parametrize(
    "init", [sb.Zeros(), sb.Constant(3.0), sb.Constant([[2], [3]]), v2.Constant(3.0), sb.HeNormal(1)]
)
def test_all_the_dimensions_that_arrays_have(init):
    shape = (1,) * 62 + (2, 1)
    assert init(shape).shape == init.lazy(shape)[...].shape == shape


@pytest.mark.parametrize("value", [np.longdouble("0.1"), np.array([1, 2], np.longdouble), np.clongdouble("0.1")])
def test_a_constant_of_wide_floats_is_one_of_what_a_configuration_has(value):
    init = sb.Constant(value)
    again = sb.deserialize(json.loads(json.dumps(sb.serialize(init))))
    assert again == init
    assert again((2,), "complex128").tobytes() == init((2,), "complex128").tobytes()
    with np.errstate(over="ignore"):
        beyond = np.longdouble(1e308) * 1000
    with pytest.raises(ValueError, match="value must be a finite number"):
        sb.Constant(beyond)


def test_an_encoded_array_loses_no_imaginary_part():
    encoded = {"class_name": "__numpy__", "config": {"value": [1j, 2.0], "dtype": "complex64"}}
    assert sb.deserialize({"class_name": "Constant", "config": {"value": encoded}}).value == [1j, 2]
    encoded["config"]["dtype"] = "float32"
    with pytest.raises(ValueError, match="an encoded array must be one of numbers"):
        sb.deserialize({"class_name": "Constant", "config": {"value": encoded}})


def test_names_of_dtypes_are_remembered_by_what_they_say():
    class Liar(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            return True

    outcome(lambda: sb.Zeros()((1,), Liar("uint32")))
    assert sb.Zeros()((1,), "uint32").dtype == np.uint32
    with pytest.raises(ValueError, match="dtype must name an element type"):
        sb.Zeros()((1,), f"f{'0' * 100}4")


CHECKS = {"plan": documents.check_plan, "config": documents.check_config}
CORPUS = {
    name: [path.read_text("utf-8", "surrogateescape") for path in sorted((documents.CORPUS / name).iterdir())]
    for name in CHECKS
}


@pytest.mark.filterwarnings("ignore:Data type alias:DeprecationWarning")
@pytest.mark.parametrize("kind", CHECKS)
def test_any_mutation_of_a_plan_or_a_configuration_is_one_or_an_error(kind):
    """From what stands in `fuzz/corpus` on."""
    corpus = CORPUS[kind]

    def make(case, choose):
        return corpus[case] if case < len(corpus) else documents.mutation(choose, choose.choice(corpus))

    documents.loop(make, CHECKS[kind], seconds=3)

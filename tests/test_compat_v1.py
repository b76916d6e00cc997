"""compat.v1: TF 1's names, arguments, seeds, configurations and slices."""

import copy
import inspect
import json
import math
import pickle
import types

import numpy as np
import pytest
from support.compat_v1 import SEEDED, SHAPES

import seedbed as sb
from seedbed.compat import v1

CONFIGS = {  # keys in the order of TF 1
    "zeros": {"dtype": "float32"},
    "ones": {"dtype": "float32"},
    "constant": {"value": 0, "dtype": "float32"},
    "identity": {"gain": 1.0, "dtype": "float32"},
    "random_uniform": {"minval": -0.05, "maxval": 0.05, "seed": None, "dtype": "float32"},
    "random_normal": {"mean": 0.0, "stddev": 0.05, "seed": None, "dtype": "float32"},
    "truncated_normal": {"mean": 0.0, "stddev": 0.05, "seed": None, "dtype": "float32"},
    "random_uniform_initializer": {"minval": 0.0, "maxval": None, "seed": None, "dtype": "float32"},
    "random_normal_initializer": {"mean": 0.0, "stddev": 1.0, "seed": None, "dtype": "float32"},
    "truncated_normal_initializer": {"mean": 0.0, "stddev": 1.0, "seed": None, "dtype": "float32"},
    "variance_scaling": {
        "scale": 1.0,
        "mode": "fan_in",
        "distribution": "truncated_normal",
        "seed": None,
        "dtype": "float32",
    },
    "glorot_normal": {"seed": None, "dtype": "float32"},
    "glorot_uniform": {"seed": None, "dtype": "float32"},
    "he_uniform": {"scale": 2.0, "mode": "fan_in", "distribution": "uniform", "seed": None, "dtype": "float32"},
    "lecun_normal": {
        "scale": 1.0,
        "mode": "fan_in",
        "distribution": "truncated_normal",
        "seed": None,
        "dtype": "float32",
    },
    "HeNormal": {"seed": None},
    "LecunUniform": {"seed": None},
    "uniform_unit_scaling": {"factor": 1.0, "seed": None, "dtype": "float32"},
    "orthogonal": {"gain": 1.0, "seed": None, "dtype": "float32"},
    "convolutional_delta_orthogonal": {"gain": 1.0, "seed": None, "dtype": "float32"},
    "convolutional_orthogonal_2d": {"gain": 1.0, "seed": None, "dtype": "float32"},
}


@pytest.fixture(autouse=True)
def no_global_seed():
    yield
    v1.set_random_seed(None)


def shape_of(name):
    return SHAPES.get(name, (6, 4))


def test_the_example_of_tf_1_runs():
    initializer = v1.glorot_normal(seed=1, dtype="float32")
    values = initializer((3, 3))
    assert values.shape == (3, 3)
    assert values.dtype == np.float32
    assert (values == sb.GlorotNormal(seed=1)((3, 3))).all()
    assert v1.glorot_normal.from_config(initializer.get_config()) == initializer
    assert inspect.signature(v1.glorot_normal).parameters.keys() == {"seed", "dtype"}
    assert [*inspect.signature(initializer).parameters][:3] == ["shape", "dtype", "partition_info"]


def test_the_example_of_tf_compat_v1_runs():
    initializer = v1.glorot_uniform()
    first = initializer((100, 50), "float64")
    assert abs(first).max() <= math.sqrt(6 / 150)
    assert v1.glorot_uniform.from_config({"seed": 5, "dtype": "float16"})((2, 2)).dtype == np.float16


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_integer_seeds_give_the_bits_of_the_top_level(name, dtype):
    shape, top = shape_of(name), SEEDED[name](11)
    initializer = getattr(v1, name)(seed=11)
    want = top(shape, dtype).tobytes()
    assert initializer(shape, dtype).tobytes() == want
    assert initializer(shape, dtype).tobytes() == want, "a seeded initializer repeats"
    assert np.asarray(initializer.lazy(shape, dtype)).tobytes() == want


@pytest.mark.parametrize("name", [*CONFIGS, *SEEDED])
def test_each_survives_a_config_a_pickle_and_a_copy(name):
    make = getattr(v1, name)
    initializer = make(seed=3) if "seed" in inspect.signature(make).parameters else make()
    assert isinstance(initializer, sb.Initializer)
    rebuilt = type(initializer).from_config(json.loads(json.dumps(initializer.get_config())))
    for other in (rebuilt, pickle.loads(pickle.dumps(initializer)), copy.copy(initializer), initializer.clone()):
        assert other == initializer
        assert hash(other) == hash(initializer)
        assert repr(other) == repr(initializer)
    assert eval(repr(initializer), vars(v1)) == initializer


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_are_those_of_tf_1(name):
    config = getattr(v1, name)().get_config()
    assert config == CONFIGS[name]
    assert [*config] == [*CONFIGS[name]]


def test_configurations_keep_the_arguments_given():
    assert v1.VarianceScaling(distribution="Normal").get_config()["distribution"] == "normal"
    assert v1.RandomUniform(maxval=None).get_config()["maxval"] is None
    assert json.dumps(v1.RandomUniform(0, 10, 1, "int32").get_config()) == (
        '{"minval": 0, "maxval": 10, "seed": 1, "dtype": "int32"}'
    )
    assert v1.GlorotNormal(seed=1, dtype="float64").get_config() == {"seed": 1, "dtype": "float64"}
    assert v1.Constant(2, verify_shape=True).clone().verify_shape
    generator = sb.SeedGenerator(4)
    assert v1.Zeros(np.int32).get_config() == {"dtype": "int32"}
    assert v1.RandomNormal(seed=generator).clone().seed.seed == 4


def test_normal_means_truncated():
    for shape in [(50, 20), (3, 3, 4, 8)]:
        normal = v1.VarianceScaling(2.0, "fan_out", "normal", 7)(shape)
        assert (normal == sb.VarianceScaling(2.0, "fan_out", "truncated_normal", 7)(shape)).all()


def test_the_dtype_of_the_constructor_is_the_default_of_a_call():
    for name in SEEDED:
        make = getattr(v1, name)
        if "dtype" not in inspect.signature(make).parameters:
            assert make(seed=1)(shape_of(name)).dtype == np.float32
            continue
        initializer = make(seed=1, dtype="float64")
        assert initializer(shape_of(name)).dtype == np.float64, name
        assert initializer(shape_of(name), "float16").dtype == np.float16
        assert initializer.lazy(shape_of(name)).dtype == np.float64
    assert v1.zeros(dtype="int32")((2,)).dtype == np.int32
    try:
        sb.set_floatx("float16")
        assert v1.GlorotNormal(seed=1)((2, 2)).dtype == np.float32, "TF 1 has no floatx"
    finally:
        sb.set_floatx("float32")


@pytest.mark.parametrize("dtype", [None, "int32", "bool", "complex64", "string", "flaot32", object])
def test_an_integer_dtype_is_refused_by_constructor_and_call(dtype):
    for name in SEEDED:
        make = getattr(v1, name)
        if "niform" in name and dtype == "int32":
            continue
        if "dtype" in inspect.signature(make).parameters:
            with pytest.raises(ValueError, match="dtype must"):
                make(dtype=dtype)
        if dtype is not None:
            with pytest.raises(ValueError, match="dtype must"):
                make(seed=1)(shape_of(name), dtype)


def test_identity_is_floating_point_and_sliced():
    assert v1.identity(gain=2.0)((3, 2)).tolist() == [[2, 0], [0, 2], [0, 0]]
    part = v1.identity()((1, 2), partition_info=v1.PartitionInfo((3, 2), (1, 0)))
    assert part.tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="floating point"):
        v1.identity(dtype="int32")


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_are_the_float64_values_rounded_down(dtype):
    for low, high in [(0, 2), (-5, 7), (-(2**31), 2**31 - 1), (3, 4)]:
        initializer = v1.RandomUniform(low, high, 9, dtype)
        want = np.floor(sb.RandomUniform(low, high, 9)((40, 50), "float64"))
        got = initializer((40, 50))
        assert got.dtype == dtype
        assert (got == want).all()
        assert low <= got.min() <= got.max() < high
        assert (initializer.lazy((40, 50))[3:30:2, -1] == got[3:30:2, -1]).all()
        assert initializer.lazy((40, 50))[7, 3] == got[7, 3]
        part = initializer((10, 50), partition_info=v1.PartitionInfo((40, 50), (30, 0)))
        assert (part == got[30:]).all()


def test_integers_are_uniform():
    """Chi-squared over 7 values, n = 70,000, alpha = 1e-4: the critical value for 6 degrees of freedom is 27.9."""
    counts = np.bincount(v1.RandomUniform(0, 7, 2, "int32")((70_000,)), minlength=7)
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 27.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maxval": None, "minval": 0}, "maxval must be given if the dtype is int32. Received: maxval=None"),
        ({"minval": 0.5, "maxval": 2}, "minval must be an integer that int32 can represent"),
        ({"minval": 0, "maxval": 2**31}, "maxval must be an integer that int32 can represent"),
        ({"minval": 5, "maxval": 5}, "minval must be less than maxval for an integer dtype"),
        ({"minval": 6, "maxval": 5}, "minval must not exceed maxval"),
    ],
)
def test_bounds_of_integers_are_integers(arguments, message):
    with pytest.raises(ValueError, match=message):
        v1.RandomUniform(**arguments, dtype="int32")
    if arguments["minval"] != 6:
        with pytest.raises(ValueError, match=message):
            v1.RandomUniform(**arguments)((2,), "int32")
    with pytest.raises(ValueError, match=r"2\*\*53"):
        v1.RandomUniform(0, 2**54, dtype="int64")


def test_constants_are_reshaped_if_they_fit():
    assert v1.constant([1, 2, 3, 4])((2, 2)).tolist() == [[1, 2], [3, 4]]
    assert v1.constant(np.arange(4).reshape(2, 2), dtype="int32")([4]).tolist() == [0, 1, 2, 3]
    assert v1.constant(5)((2, 2), verify_shape=False).tolist() == [[5, 5], [5, 5]]
    assert v1.constant([5])((2, 2)).tolist() == [[5, 5], [5, 5]]
    assert v1.constant(np.zeros((0, 3)), verify_shape=True)((0, 3)).shape == (0, 3)
    assert v1.constant([1, 2], verify_shape=True)((2, 1), verify_shape=False).tolist() == [[1], [2]]
    for shape in [(3,), (5,), (0,)]:
        with pytest.raises(ValueError, match="as many elements as the tensor"):
            v1.constant([1, 2, 3, 4])(shape)
    for verified in (v1.constant([1, 2, 3, 4], verify_shape=True), v1.constant(1, verify_shape=True)):
        with pytest.raises(TypeError, match="value must have the shape of the tensor"):
            verified((2, 2))
    with pytest.raises(TypeError, match="value must have the shape of the tensor"):
        v1.constant([1, 2])((2, 1), verify_shape=True)
    for bad in (None, {1}, object()):
        with pytest.raises(TypeError, match="value must be a number, an array, a list or a tuple"):
            v1.constant(bad)
    with pytest.raises(TypeError, match="verify_shape must be True or False"):
        v1.constant(1, verify_shape=None)
    part = v1.constant(list(range(8)))((2, 2), partition_info=v1.PartitionInfo([4, 2], [2, 0]))
    assert part.tolist() == [[4, 5], [6, 7]]


# Seeds


def draws(initializer, n=2):
    return [initializer((5, 4)).tobytes() for _ in range(n)]


@pytest.mark.parametrize("name", [name for name in SEEDED if name not in SHAPES])
def test_the_pair_of_seeds_determines_the_values(name):
    make = getattr(v1, name)

    unseeded = [*draws(make()), *draws(make())]
    assert len({*unseeded}) == 4, "no seeds: all differ"

    own = draws(make(seed=5))
    assert own == draws(SEEDED[name](5)), "own seed: that of the top level, at each call"

    v1.set_random_seed(7)
    shared = [*draws(make()), *draws(make())]
    assert len({*shared}) == 4, "global seed: one draw after the other"
    both = draws(make(seed=5))
    assert both[0] == both[1], "both: it repeats"
    v1.set_random_seed(7)
    assert [*draws(make()), *draws(make())] == shared, "reproducible"
    assert draws(make(seed=5)) == both, "and that of a pair independent of what was drawn"

    v1.set_random_seed(8)
    others = [*draws(make()), *draws(make(seed=5), 1), *draws(make(seed=6), 1)]
    v1.set_random_seed(5)
    others += [*draws(make()), *draws(make(seed=7), 1)]
    assert len({*others, *shared, *both, *own, *unseeded}) == len(others) + 4 + 1 + 1 + 4, "pairs do not collide"

    v1.set_random_seed(None)
    assert draws(make(seed=5)) == own


def test_the_pair_is_a_documented_seed():
    v1.set_random_seed(7)
    root = sb.SeedGenerator(7).child("compat.v1")
    shared = sb.GlorotNormal(seed=root)
    for _ in range(3):
        assert (v1.glorot_normal()((4, 4)) == shared((4, 4))).all()
    both = sb.GlorotNormal(seed=root.child("-3"))((4, 4))
    assert (v1.glorot_normal(seed=-3)((4, 4)) == both).all()
    assert (np.asarray(v1.glorot_normal(seed=np.int64(-3)).lazy((4, 4))) == both).all()


def test_the_global_seed_is_read_at_the_call_and_is_this_modules():
    initializer = v1.glorot_normal()
    v1.set_random_seed(1)
    first = initializer((4, 4))
    v1.set_random_seed(1)
    assert (initializer((4, 4)) == first).all()
    assert (sb.GlorotNormal(seed=1)((4, 4)) == v1.glorot_normal(seed=sb.SeedGenerator(1))((4, 4))).all()
    assert initializer.seed.draws == 0, "its own generator was not asked"
    assert v1.glorot_normal(seed=3).seed == 3
    for bad in (1.5, "1", True, 2**255):
        with pytest.raises(ValueError, match="a seed must be"):
            v1.set_random_seed(bad)


def test_a_failed_call_takes_no_draw():
    v1.set_random_seed(1)
    with pytest.raises(ValueError, match="finite float16"):
        v1.RandomNormal(stddev=1e6)((2, 2), "float16")
    drawn = v1.RandomNormal()((2, 2))
    v1.set_random_seed(1)
    assert (v1.RandomNormal()((2, 2)) == drawn).all()


# Slices


@pytest.mark.parametrize("name", [*SEEDED, "zeros", "ones"])
def test_a_partition_is_the_slice_of_the_whole(name):
    shape = SHAPES.get(name, (20, 6))
    make = getattr(v1, name)
    initializer = make(seed=3) if name in SEEDED else make()
    whole = initializer(shape)
    for axis, length in enumerate(shape):
        for start in range(length):
            offset = [0] * len(shape)
            offset[axis] = start
            part = [n - o for n, o in zip(shape, offset, strict=True)]
            info = types.SimpleNamespace(full_shape=list(shape), var_offset=offset)
            want = whole[tuple(slice(o, o + n) for o, n in zip(offset, part, strict=True))]
            assert initializer(part, None, info).tobytes() == want.tobytes()
            assert initializer(part, partition_info=v1.PartitionInfo(shape, tuple(offset))).tobytes() == want.tobytes()


@pytest.mark.parametrize(
    ("full", "offset", "error", "message"),
    [
        (5, [0], TypeError, "full_shape must be a tuple or a list. Received: full_shape=5"),
        ([5], 0, TypeError, "var_offset must be a tuple or a list"),
        ("5", [0], TypeError, "full_shape must be a tuple or a list"),
        ([5, 4], [0], ValueError, r"var_offset must lie within full_shape. Received: full_shape=\(5, 4\)"),
        ([5], [5], ValueError, "var_offset must lie within full_shape"),
        ([0], [0], ValueError, "var_offset must lie within full_shape"),
        ([5], [-1], ValueError, "each dimension of var_offset must be in"),
        ([-5], [0], ValueError, "each dimension of full_shape must be in"),
        ([5], [0.5], ValueError, "each dimension of var_offset must be an integer"),
    ],
)
def test_an_invalid_partition_is_refused(full, offset, error, message):
    with pytest.raises(error, match=message):
        v1.PartitionInfo(full, offset)
    info = types.SimpleNamespace(full_shape=full, var_offset=offset)
    for initializer in (v1.Zeros(), v1.GlorotNormal(seed=1), v1.Constant(2)):
        with pytest.raises(error, match=message):
            initializer((1,), partition_info=info)


def test_a_slice_outside_the_tensor_is_refused():
    for shape in [(4, 6), (3, 7), (3,), (3, 6, 1)]:
        with pytest.raises(ValueError, match="must lie within the shape"):
            v1.GlorotNormal(seed=1)(shape, partition_info=v1.PartitionInfo((10, 6), (7, 0)))
    for bad in (3, (10, 6), "info"):
        with pytest.raises(TypeError, match="partition_info must have full_shape and var_offset"):
            v1.GlorotNormal(seed=1)((2, 2), partition_info=bad)


# Names and configurations


def test_get_takes_names_and_configurations():
    assert v1.get(None) is None
    assert v1.get("glorot_normal").get_config() == {"seed": None, "dtype": "float32"}
    assert v1.get("random_normal_initializer").stddev == 1.0
    assert (v1.get("he_normal")((4, 4)).shape, v1.get(v1.Zeros)) == ((4, 4), v1.Zeros())
    assert v1.get(math.sqrt) is math.sqrt
    for initializer in (
        v1.random_normal_initializer(seed=2),
        v1.VarianceScaling(distribution="normal", seed=1),
        v1.ones(),
    ):
        config = json.loads(json.dumps(v1.serialize(initializer)))
        assert config.keys() == {"class_name", "config"}
        assert config["class_name"][0].isupper()
        assert v1.deserialize(config).get_config() == initializer.get_config()
        assert v1.get(config)((3, 3)).tobytes() == initializer((3, 3)).tobytes()


@pytest.mark.parametrize(
    "bad",
    ["typo", "", "_V1", {"class_name": "os.system"}, {"config": {}}, {"class_name": "Zeros", "module": "os"}, 3, []],
)
def test_unknown_names_are_refused(bad):
    with pytest.raises(ValueError, match=r"unknown initializer|Received:"):
        v1.get(bad)
    for config in ({"foo": 1}, {"seed": 1.5}, {"dtype": "flaot"}, 7):
        with pytest.raises(ValueError, match="Received:"):
            v1.deserialize({"class_name": "GlorotNormal", "config": config})
    with pytest.raises(ValueError, match="only initializers of this module"):
        v1.serialize(sb.GlorotNormal())

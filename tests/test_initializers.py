"""The initializers: what they compute from shapes, and their configurations, seeds, equality."""

import copy
import json
import math
import pickle
import random
import re
from decimal import Decimal

import numpy as np
import pytest
from support.reference import NAMED

import seedbed as sb
from seedbed.initializers._description import TRUNCATED_STDDEV

EXAMPLES = {
    **dict.fromkeys(["RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", *NAMED], ({}, (4, 5))),
    **dict.fromkeys(["XavierUniform", "XavierNormal"], ({"gain": 0.5, "layout": "torch"}, (4, 5))),
    **dict.fromkeys(["KaimingUniform", "KaimingNormal"], ({"a": 0.5, "mode": "fan_out"}, (4, 5))),
    "UniformUnitScaling": ({"factor": 1.43}, (4, 5)),
    "LogUniform": ({"minval": 0.01, "maxval": 2.0}, (4, 5)),
    "LogOfUniform": ({"minval": 0.0, "maxval": 2.0}, (4, 5)),
    "InverseSoftplus": ({"minval": 0.01, "maxval": 2.0, "floor": 0.5}, (4, 5)),
    "Sparse": ({"sparsity": 0.5}, (4, 5)),
    "Zeros": ({}, (4, 5)),
    "Ones": ({}, (4, 5)),
    "Constant": ({"value": [[1.5], [2], [3], [4]]}, (4, 5)),
    "Identity": ({"gain": 3.0}, (4, 5)),
    "Bilinear": ({"layout": "torch"}, (2, 3, 4, 5)),
    "Dirac": ({"groups": 2, "layout": "torch"}, (4, 2, 5)),
    "STFT": ({"side": "imag", "window": [1, 2.5, 0.5], "scaling": "spectrum"}, (3, 2, 5)),
    "Orthogonal": ({"gain": 0.5, "column_axis": 0}, (4, 5)),
    "Blocks": ({"default": "he_normal", "blocks": [([[1, 3], "..."], "ones"), ([0], "glorot_uniform")]}, (4, 5)),
    "DeltaOrthogonal": ({"gain": 0.5}, (3, 4, 5)),
    "ConvolutionOrthogonal1D": ({"gain": 0.5}, (3, 4, 5)),
    "ConvolutionOrthogonal2D": ({"gain": 0.5}, (2, 2, 4, 5)),
    "ConvolutionOrthogonal3D": ({"gain": 0.5}, (2, 2, 2, 4, 5)),
}
"""Arguments and a shape for each."""
CONCRETE = list(EXAMPLES)


def test_every_public_initializer_has_an_example():
    public = {name for name in sb.__all__ if isinstance(getattr(sb, name), type) and name[0].isupper()}
    classes = {name for name in public if issubclass(getattr(sb, name), sb.Initializer)}
    assert classes - {"Initializer", "RandomInitializer"} == set(CONCRETE)


def example(name):
    """An initializer and a shape."""
    cls = getattr(sb, name)
    arguments, shape = EXAMPLES[name]
    return cls.from_config({**arguments, **({"seed": 12} if "seed" in cls.parameters else {})}), shape


@pytest.mark.parametrize("name", NAMED)
def test_a_named_choice_is_variance_scaling_with_its_row(name):
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


def test_the_constant_of_the_truncation_is_right():
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    assert pytest.approx(math.sqrt(1 - 4 * density / math.erf(math.sqrt(2))), rel=1e-15) == TRUNCATED_STDDEV


def test_axes_say_which_dimensions_the_fans_are():
    torch_layout = sb.HeNormal(seed=1, input_axes=(1, 2, 3), output_axes=(0, 2, 3))((64, 32, 3, 3))
    assert (torch_layout.ravel() == sb.HeNormal(seed=1)((3, 3, 32, 64)).ravel()).all()
    assert sb.compute_fans((64, 32, 3, 3), input_axes=(-3, -2, -1), output_axes=[0, 2, 3]) == (288, 576)


@pytest.mark.parametrize(
    ("shape", "fans"),
    [((), (1, 1)), ((5,), (5, 5)), ((2, 3), (2, 3)), ((3, 3, 64, 128), (576, 1152)), ((0, 5), (0, 5)), (7, (7, 7))],
)
def test_fans_are_counted_as_keras_counts_them(shape, fans):
    assert sb.compute_fans(shape) == fans


def test_fans_that_are_no_64_bit_numbers_are_an_error():
    with pytest.raises(OverflowError, match=r"less than 2\*\*64"):
        sb.compute_fans((2**31, 2**31), input_axes=(0, 1, 0), output_axes=(0,))


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"input_axes": (0,)}, "must be given together"),
        ({"output_axes": (0,)}, "must be given together"),
        ({"input_axes": (0.5,), "output_axes": (0,)}, "input_axes must be a sequence of integers"),
        ({"input_axes": "01", "output_axes": (0,)}, "input_axes must be a sequence of integers"),
        ({"input_axes": (0,), "output_axes": (True,)}, "output_axes must be a sequence of integers"),
    ],
)
def test_axes_that_are_none_are_refused_in_the_constructor(axes, message):
    for make in (sb.GlorotNormal, sb.VarianceScaling, lambda **axes: sb.compute_fans((2, 2), **axes)):
        with pytest.raises((TypeError, ValueError), match=message):
            make(**axes)


def test_an_axis_outside_the_shape_is_an_error():
    for axis in (2, -3):
        with pytest.raises(ValueError, match=f"must be axes of the shape. Received: axis {axis}"):
            sb.GlorotNormal(seed=1, input_axes=(axis,), output_axes=(0,))((2, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sb.RandomNormal(stddev=-1), "stddev must not be negative. Received: stddev=-1.0"),
        (lambda: sb.TruncatedNormal(stddev=-1e-9), "stddev must not be negative"),
        (lambda: sb.RandomNormal(stddev=math.nan), "stddev must be a finite number. Received: stddev=nan"),
        (lambda: sb.TruncatedNormal(mean=math.inf), "mean must be a finite number"),
        (lambda: sb.RandomNormal(mean="0"), "mean must be a finite number. Received: mean='0'"),
        (lambda: sb.RandomNormal(stddev=None), "stddev must be a finite number"),
        (lambda: sb.RandomNormal(stddev=True), "stddev must be a finite number"),
        (lambda: sb.TruncatedNormal(lower=1, upper=1), "lower must be less than upper. Received: lower=1, upper=1"),
        (lambda: sb.TruncatedNormal(lower=3), "lower must be less than upper. Received: lower=3, upper=2.0"),
        (lambda: sb.TruncatedNormal(lower=math.inf, upper=None), "lower must be a finite number. Received: lower=inf"),
        (lambda: sb.TruncatedNormal(lower=math.nan), "lower must be a finite number. Received: lower=nan"),
        (lambda: sb.TruncatedNormal(upper=math.nan), "upper must be a finite number"),
        (lambda: sb.TruncatedNormal(upper="2"), "upper must be a finite number. Received: upper='2'"),
        (lambda: sb.TruncatedNormal(lower=37.5, upper=None), "within 37 standard deviations. Received: lower=37.5"),
        (lambda: sb.TruncatedNormal(lower=-50, upper=-38), "within 37 standard deviations. Received: lower=-50, upper"),
        (lambda: sb.RandomUniform(1, 0), "minval must not exceed maxval. Received: minval=1.0, maxval=0.0"),
        (lambda: sb.RandomUniform(math.nan, 0), "minval must be a finite number"),
        (lambda: sb.RandomUniform(0, 10**400), "maxval must be a finite number"),
        (
            lambda: sb.VarianceScaling(scale=0),
            "scale. must be positive float.* Received: scale=0.0",
        ),
        (lambda: sb.VarianceScaling(scale=math.nan), "scale must be a finite number"),
        (
            lambda: sb.VarianceScaling(mode="fan"),
            "mode must be one of fan_in, .*, spectral. Received: mode='fan'",
        ),
        (lambda: sb.VarianceScaling(mode="FAN_IN"), "mode must be one of"),
        (lambda: sb.VarianceScaling(mode=["fan_in"]), "mode must be one of"),
        (lambda: sb.VarianceScaling(distribution="beta"), "distribution must be one of truncated_normal"),
        (lambda: sb.VarianceScaling(distribution=None), "distribution must be one of"),
        (lambda: sb.Constant(math.nan), "value must be a finite number"),
        (lambda: sb.Constant("1"), "value must be a finite number"),
        (lambda: sb.Constant([[1], [2, 3]]), "value must be a finite number"),
        (lambda: sb.Constant(None), "value must be a finite number"),
    ],
)
def test_bad_parameters_are_refused_in_the_constructor(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_the_distribution_goes_by_keras_aliases():
    assert sb.VarianceScaling(distribution="Normal").distribution == "truncated_normal"
    assert sb.VarianceScaling(distribution="UNIFORM").distribution == "uniform"


def test_constants_broadcast_but_never_change_the_shape():
    assert sb.Constant([1, 2])((3, 2)).tolist() == [[1, 2]] * 3
    for shape in [(2,), (3,), ()]:
        with pytest.raises(ValueError, match="value must broadcast to the shape"):
            sb.Constant([[1, 2, 3], [4, 5, 6]])(shape)
    assert sb.Constant(7)((2,), "int8").tolist() == [7, 7]
    assert sb.Constant(1)((2,), bool).tolist() == [True, True]
    assert sb.Constant(1 + 2j)((1,), "complex64").tolist() == [1 + 2j]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (0.5, "int32"),
        (2, bool),
        (-1, "uint8"),
        (-1.0, "uint8"),
        (300, "int8"),
        (2.0**63, "int64"),
        (70_000, "float16"),
        (1e39, "float32"),
        (1e39, "bfloat16"),
        (1 + 2j, "float32"),
        ([1, 2j], "int32"),
    ],
)
def test_a_constant_that_the_dtype_does_not_hold_is_an_error(value, dtype):
    with pytest.raises(ValueError, match=r"value must be representable as \w+. Received: value="):
        sb.Constant(value)((2,), dtype)


def test_constants_are_whole_numbers_wherever_they_are_told_as_such():
    assert sb.Constant(2.0)((1,), "int8").tolist() == [2]
    assert sb.Constant(2**63)((1,), "uint64").tolist() == [2**63]
    assert sb.Constant(2.0**63)((1,), "uint64").tolist() == [2**63]
    assert sb.Constant(3 + 0j)((1,), "float32").tolist() == [3]
    assert sb.Constant(2**53 + 1)((1,), "int64").tolist() == [2**53 + 1]


def test_the_configuration_of_an_array_is_lists_of_numbers():
    assert sb.Constant(np.array([[1, 2], [3, 4]], "int16")).get_config() == {"value": [[1, 2], [3, 4]]}
    assert sb.Constant(np.float32(0.5)).get_config() == {"value": 0.5}
    init = sb.Constant(np.array([1 + 2j, -0.0]))
    config = json.loads(json.dumps(init.get_config()))
    assert config == {"value": {"real": [1.0, -0.0], "imag": [2.0, 0.0]}}
    assert sb.Constant.from_config(config) == init
    assert sb.Constant.from_config(config)((2,), "complex128").tobytes() == init((2,), "complex128").tobytes()
    for bad in ({"real": 1}, {"real": [1], "imag": 2}, {"real": "1", "imag": "2"}, {"class_name": "x"}):
        with pytest.raises((TypeError, ValueError), match="value must be a finite number"):
            sb.Constant(bad)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3), (0, 0), (0, 2**40)])
@pytest.mark.parametrize("dtype", ["float32", "int8", "complex64"])
def test_a_constant_without_elements_keeps_its_shape(shape, dtype):
    init = sb.Constant(np.zeros(shape, dtype))
    copies = [
        sb.Constant.from_config(json.loads(json.dumps(init.get_config()))),
        sb.deserialize(json.loads(json.dumps(sb.serialize(init)))),
        pickle.loads(pickle.dumps(init)),
        init.clone(),
    ]
    for again in copies:
        assert again == init
        assert again.lazy(shape).shape == shape
        with pytest.raises(ValueError, match=re.escape(f"Received: value of shape {shape}")):
            again.lazy((7, *shape[1:-1], 7))


@pytest.mark.parametrize("value", [{"shape": [2, 3]}, {"shape": []}, {"shape": "0"}, {"shape": [0], "real": []}])
def test_a_configuration_of_no_array_is_refused(value):
    with pytest.raises((TypeError, ValueError), match="value must be a finite number"):
        sb.Constant(value)


def test_a_constant_array_is_its_own():
    array = np.ones(3)
    init = sb.Constant(array)
    array[0] = init.value[1] = 5
    assert init((3,)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("seed", [0, 1, -1, 2**31, 2**32, 2**64, 2**255 - 1, -(2**255), np.int64(-7), np.uint8(200)])
def test_any_integer_is_a_seed_and_repeats(seed):
    init = sb.RandomNormal(seed=seed)
    assert (init((50,)) == init((50,))).all()
    assert (init((50,)) == sb.RandomNormal(seed=int(seed))((50,))).all()
    assert init.seed == int(seed)
    assert type(init.seed) is int


def test_different_seeds_give_different_values():
    seeds = [0, 1, -1, 2**31, 2**32, 2**32 + 1, 2**64, 2**255 - 1, -(2**255), 2**53, 2**53 + 1]
    assert len({sb.RandomNormal(seed=seed)((8,)).tobytes() for seed in seeds}) == len(seeds)


@pytest.mark.parametrize("seed", [1.0, True, np.bool_(False), "1", 2**255, -(2**255) - 1, [1], {"a": 1}, object()])
def test_what_is_not_a_seed_is_refused_in_the_constructor(seed):
    with pytest.raises(ValueError, match="seed must be"):
        sb.GlorotNormal(seed=seed)


def test_an_unseeded_initializer_draws_a_seed_once_and_tells_it():
    init = sb.GlorotNormal()
    assert (init((20,)) == init((20,))).all()
    assert (init((20,)) == sb.GlorotNormal(seed=init.seed)((20,))).all()
    assert init.get_config()["seed"] is None
    assert (init((20,)) != sb.GlorotNormal()((20,))).any()
    assert (init((20,)) != init.clone()((20,))).any()


def test_set_random_seed_makes_unseeded_initializers_reproducible():
    state = random.getstate()
    try:
        values = []
        for _ in range(2):
            sb.set_random_seed(7)
            values.append([sb.GlorotNormal()((9,)).tolist(), sb.SeedGenerator().next()])
        assert values[0] == values[1]
    finally:
        random.setstate(state)


def test_each_random_seed_makes_other_draws():
    """`random.seed` takes -1 for 1."""
    state = random.getstate()
    try:
        drawn = {}
        for seed in (0, 1, -1, 7, -7, 2**64, -(2**64), 2**255 - 1, 1 - 2**255, -(2**255)):
            sb.set_random_seed(seed)
            drawn[seed] = sb.SeedGenerator().seed
        assert len(set(drawn.values())) == len(drawn)
        random.seed(7)
        assert drawn[7] == sb.SeedGenerator().seed
    finally:
        random.setstate(state)


def test_a_generator_gives_new_values_at_each_call():
    init = sb.HeNormal(seed=sb.SeedGenerator(42))
    first, second, third = (init((30,)) for _ in range(3))
    assert (first == sb.HeNormal(seed=42)((30,))).all()
    assert (first != second).any()
    assert (second != third).any()
    again = sb.HeNormal(seed=sb.SeedGenerator(42))
    assert [again((30,)).tolist() for _ in range(3)] == [first.tolist(), second.tolist(), third.tolist()]


def test_a_draw_is_taken_for_each_tensor_not_for_each_slice():
    generator = sb.SeedGenerator(42)
    lazy = sb.HeNormal(seed=generator).lazy((30,))
    assert generator.draws == 1
    assert (lazy[:] == sb.HeNormal(seed=42)((30,))).all()
    assert (lazy[:10] == lazy[:][:10]).all()


def test_a_child_is_bound_to_its_name_and_to_nothing_else():
    root = sb.SeedGenerator(42)
    early = root.child("block3/attn/q").next()
    root.next()
    root.child("other")
    assert root.child("block3/attn/q").next() == early
    assert early != root.child("block3/attn/k").next()
    assert root.child("a").child("b").next() != root.child("b").child("a").next()
    assert root.child("a").child("b").next() != root.child("ab").next()
    assert sb.SeedGenerator(43).child("block3/attn/q").next() != early


def test_a_refused_call_takes_no_draw():
    generator = sb.SeedGenerator(1)
    init = sb.GlorotNormal(seed=generator)
    refused = [
        {"shape": (2, -1)},
        {"shape": (2, 2), "dtype": "int32"},
        {"shape": (2, 2), "dtype": "nonsense"},
        {"shape": (2, 2), "out": np.zeros(3, "float32")},
        {"shape": (2, 2), "partition_shape": (3, 3)},
    ]
    for arguments in refused:
        with pytest.raises(ValueError, match=r"must"):
            init(**arguments)
    with pytest.raises(ValueError, match="finite float16 numbers"):
        sb.RandomNormal(0.0, 1e9, seed=generator).lazy((2, 2), "float16")
    assert generator.draws == 0


@pytest.mark.parametrize("name", CONCRETE)
def test_configurations_make_the_round_trip_through_json(name):
    init, shape = example(name)
    cls = type(init)
    for config in (init.get_config(), json.loads(json.dumps(init.get_config()))):
        again = cls.from_config(config)
        assert again == init
        assert hash(again) == hash(init)
        assert (again(shape) == init(shape)).all()
    assert sb.deserialize(json.loads(json.dumps(sb.serialize(init)))) == init
    assert eval(repr(init), {**vars(sb), "np": np}) == init


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", CONCRETE)
def test_initializers_and_lazy_tensors_survive_a_pickle(name, protocol):
    init, shape = example(name)
    again = pickle.loads(pickle.dumps(init, protocol))
    assert again == init
    assert hash(again) == hash(init)
    lazy = init.lazy(shape)
    again = pickle.loads(pickle.dumps(lazy, protocol))
    assert (again.shape, again.dtype) == (lazy.shape, lazy.dtype)
    assert again[...].tobytes() == lazy[...].tobytes()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_generator_goes_on_from_its_draw_after_a_pickle_and_a_copy(protocol):
    generator = sb.SeedGenerator(3).child("a")
    generator.next(), generator.next()
    for again in (pickle.loads(pickle.dumps(generator, protocol)), copy.copy(generator), copy.deepcopy(generator)):
        assert (again.seed, again.name, again.path, again.draws) == (3, "seed_generator", ("a",), 2)
        assert again.next() == (generator.key, 2)
    assert generator.draws == 2


def test_the_configurations_are_those_of_keras():
    assert sb.RandomNormal().get_config() == {"mean": 0.0, "stddev": 0.05, "seed": None}
    assert sb.TruncatedNormal().get_config() == {"mean": 0.0, "stddev": 0.05, "seed": None}
    assert sb.RandomUniform().get_config() == {"minval": -0.05, "maxval": 0.05, "seed": None}
    assert sb.GlorotNormal(3).get_config() == {"seed": 3, "input_axes": None, "output_axes": None}
    assert sb.VarianceScaling().get_config() == {
        "scale": 1.0,
        "mode": "fan_in",
        "distribution": "truncated_normal",
        "seed": None,
        "input_axes": None,
        "output_axes": None,
    }
    assert sb.Zeros().get_config() == sb.Ones().get_config() == {}
    assert sb.Constant(2).get_config() == {"value": 2}
    generator = sb.SeedGenerator(7, name="sg")
    assert sb.GlorotNormal(generator).get_config()["seed"] == {
        "module": "keras.random",
        "class_name": "SeedGenerator",
        "config": {"seed": 7, "name": "sg"},
        "registered_name": None,
    }


def test_a_generator_in_a_configuration_begins_anew():
    init = sb.GlorotNormal(sb.SeedGenerator(7).child("a"))
    first, second = init((9,)), init((9,))
    again = sb.deserialize(json.loads(json.dumps(sb.serialize(init))))
    assert (again((9,)) == first).all()
    assert (again((9,)) == second).all()


def test_equality_goes_by_configuration():
    assert sb.GlorotNormal(1) == sb.GlorotNormal(1)
    assert sb.GlorotNormal(1) != sb.GlorotNormal(2)
    assert sb.GlorotNormal(1) != sb.GlorotUniform(1)
    assert sb.GlorotNormal() != sb.GlorotNormal()
    assert sb.RandomNormal(stddev=1, seed=1) == sb.RandomNormal(0.0, 1.0, 1)
    assert len({sb.Zeros(), sb.Zeros(), sb.Ones()}) == 2
    assert repr(sb.RandomNormal(seed=1)) == "RandomNormal(mean=0.0, stddev=0.05, seed=1)"


EQUAL = {
    "a bool and a number": [sb.Constant(True), sb.Constant(1), sb.Constant(1.0), sb.Constant(np.uint8(1))],
    "arrays of several dtypes": [sb.Constant([0, 1]), sb.Constant([False, True]), sb.Constant((-0.0, 1.0))],
    "complex arrays": [sb.Constant([0j, 1j]), sb.Constant(np.array([-0.0, 1j], "complex64"))],
    "arrays without elements": [sb.Constant(np.zeros((0, 3))), sb.Constant(np.zeros((0, 3), "int8"))],
    "zeros of both signs": [sb.RandomNormal(mean=0.0, seed=1), sb.RandomNormal(mean=-0.0, seed=1)],
    "bounds of both signs": [sb.RandomUniform(-0.0, 1, seed=1), sb.RandomUniform(0, 1.0, seed=np.int8(1))],
    "gains of both signs": [sb.Identity(0.0), sb.Identity(-0.0), sb.Identity(Decimal("-0"))],
    "windows": [sb.STFT(window=[0, 1]), sb.STFT(window=(-0.0, True + 0.0))],
    "axes": [
        sb.HeNormal(1, input_axes=[0], output_axes=(1,)),
        sb.HeNormal(1, input_axes=(np.int8(0),), output_axes=1.0),
    ],
    "generators": [sb.HeNormal(sb.SeedGenerator(1, path=["a"])), sb.HeNormal(sb.SeedGenerator(1).child("a"))],
}


@pytest.mark.parametrize("objects", EQUAL)
def test_equal_initializers_have_equal_hashes(objects):
    first, *others = EQUAL[objects]
    assert all(other == first for other in others)
    assert len(set(EQUAL[objects])) == 1


def test_with_seed_changes_the_seed_alone():
    init = sb.RandomUniform(-1, 2, seed=1)
    assert init.with_seed(5) == sb.RandomUniform(-1, 2, seed=5)
    assert init.seed == 1
    zeros = sb.Zeros()
    assert zeros.with_seed(5) is zeros


@pytest.mark.parametrize("name", CONCRETE)
def test_unknown_keys_of_a_configuration_are_refused(name):
    cls = getattr(sb, name)
    with pytest.raises(ValueError, match=rf"the keys of a {name} config are: .*Received: \['sede'\]"):
        cls.from_config({"sede": 1})


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("glorot", "unknown initializer"),
        ("", "unknown initializer"),
        ({"class_name": "os.system", "config": {}}, "unknown initializer"),
        ({"class_name": ["Zeros"], "config": {}}, "unknown initializer"),
        ({"config": {}}, "a configuration has class_name"),
        ({"class_name": "Zeros", "config": {}, "build_config": 1}, "a configuration has class_name"),
        ({"class_name": "Zeros", "config": [1]}, "config must be a dict"),
        ({"module": "os", "class_name": "Zeros", "config": {}}, "of Keras or of this package"),
        ({"module": "builtins", "class_name": "function", "config": "eval"}, "of Keras or of this package"),
        ({"class_name": "Zeros", "config": {}, "registered_name": "p>Z"}, "of Keras or of this package"),
        (3.5, "an initializer must be a name"),
    ],
)
def test_what_names_no_initializer_is_refused(identifier, message):
    with pytest.raises(ValueError, match=message):
        sb.get(identifier)


def test_get_takes_what_keras_takes():
    assert sb.get(None) is None
    assert isinstance(sb.get("glorot_normal"), sb.GlorotNormal)
    assert isinstance(sb.get("GlorotNormal"), sb.GlorotNormal)
    assert isinstance(sb.get(sb.Zeros), sb.Zeros)
    assert sb.get("zero") == sb.get("zeros") == sb.get("Zeros") == sb.Zeros()
    init = sb.HeNormal(1)
    assert sb.get(init) is init
    assert sb.get(abs) is abs
    assert sb.get({"class_name": "normal", "config": {"seed": 4}}) == sb.RandomNormal(seed=4)
    assert sb.serialize(None) is None
    assert sb.serialize("zeros") == "zeros"
    assert sb.glorot_normal is sb.GlorotNormal


def test_an_initializer_of_ones_own_is_an_initializer():
    class Half(sb.RandomInitializer):
        def sampling(self, shape):
            return "uniform", (0.0, 0.5)

    init = Half(seed=3)
    assert (init((40,)) == sb.RandomUniform(0.0, 0.5, seed=3)((40,))).all()
    assert Half.from_config(init.get_config()) == init
    with pytest.raises(ValueError, match="only initializers that this package has"):
        sb.serialize(init)


def test_words_are_those_of_the_keystream():
    words = sb.random_words(seed=42, count=100)
    assert words.dtype == np.uint32
    assert (sb.random_words(42, 10, start=37) == words[37:47]).all()
    assert (sb.random_words(sb.SeedGenerator(42), 100) == words).all()
    assert (sb.random_words(42, 100, stream=1) != words).any()
    assert (sb.random_words(42, 32, start=2**68 - 16)[16:] == words[:16]).all()
    for bad in ({"count": -1}, {"count": 1, "stream": -1}, {"count": 1, "stream": 2**64}, {"count": 1, "start": 2**68}):
        with pytest.raises(ValueError, match=r"must be in \[0, 2\*\*"):
            sb.random_words(42, **bad)
    with pytest.raises(ValueError, match="must be given a seed"):
        sb.random_words(None, 1)


def test_the_algorithm_is_the_first():
    assert sb.ALGORITHM == "v1"


def test_a_configuration_has_the_bounds_that_keras_lacks():
    plain = sb.TruncatedNormal(seed=1, lower=-2, upper=2)
    assert plain == sb.TruncatedNormal(seed=1)
    assert plain.get_config() == {"mean": 0.0, "stddev": 0.05, "seed": 1}
    for lower, upper in [(-3, 2), (None, 2), (0, math.inf), (-math.inf, math.inf)]:
        init = sb.TruncatedNormal(seed=1, lower=lower, upper=upper)
        assert sb.deserialize(json.loads(json.dumps(sb.serialize(init), allow_nan=False))) == init
        assert eval(repr(init), {**vars(sb), "np": np}) == init
        assert init.with_seed(2).lower == init.lower
    assert repr(sb.TruncatedNormal(seed=1, lower=None)) == "TruncatedNormal(mean=0.0, stddev=0.05, seed=1, lower=None)"


def test_bounds_hold_in_every_dtype_and_differ_from_those_of_keras():
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        w = sb.TruncatedNormal(0.1, 0.7, seed=3, lower=-1, upper=1 / 3)((200, 200), dtype).astype(float)
        assert w.min() >= 0.1 - 0.7
        assert w.max() <= 0.1 + 1 / 3 * 0.7
    assert (sb.TruncatedNormal(0.25, 0.0, seed=3, lower=6, upper=None)((5,)) == 0.25).all()


def test_complex_tensors_are_of_those_that_have_them():
    for name in ["VarianceScaling", *NAMED, "RandomNormal", "TruncatedNormal"]:
        init = getattr(sb, name)(seed=3)
        for dtype in ("complex64", "complex128"):
            w = init((6, 5, 40), dtype)
            assert w.dtype == dtype
            t = init.lazy((6, 5, 40), dtype)
            assert (t[::-2, 1:4, 38:3:-3] == w[::-2, 1:4, 38:3:-3]).all()
            assert t[5, 4, 39] == w[5, 4, 39]
            part = init((6, 5, 40), dtype, partition_shape=(2, 5, 3), partition_offset=(1, 0, 7))
            assert (part == w[1:3, :, 7:10]).all()
            out = np.empty((6, 5, 40), dtype)
            assert (init((6, 5, 40), out=out) == w).all()
            assert init((0, 3), dtype).shape == (0, 3)
        assert abs(init((6, 5, 40), "complex64") - w).max() < 1e-6
    for init in (sb.RandomUniform(seed=1), sb.LogUniform(seed=1)):
        with pytest.raises(ValueError, match=r"one of float16, bfloat16, float32, float64\. Received: complex64"):
            init((2,), "complex64")
    with pytest.raises(ValueError, match=r"float64, complex64, complex128\. Received: int32"):
        sb.HeNormal(seed=1)((2,), "int32")
    with pytest.raises(ValueError, match=r"fewer than 2\*\*62 elements"):
        sb.RandomNormal(seed=1).lazy((2**62,), "complex64")
    with pytest.raises(ValueError, match="must be 0 or at least 1e-30"):
        sb.VarianceScaling(1e-62, seed=1)((2,), "complex64")


def test_constants_are_complex_where_they_are_asked_to_be():
    assert sb.Zeros()((2,), "complex64").tolist() == [0, 0]
    assert sb.Ones()((2,), "complex128").tolist() == [1, 1]

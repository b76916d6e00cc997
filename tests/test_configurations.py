"""Configurations of initializers: round trips, pickles, equality, and the arguments of `get`."""

import copy
import json
import pickle
from decimal import Decimal

import numpy as np
import pytest
from support.examples import CONCRETE, EXAMPLES

import seedbed as sb


def example(name):
    """Return an initializer and a shape."""
    cls = getattr(sb, name)
    arguments, shape = EXAMPLES[name]
    return cls.from_config({**arguments, **({"seed": 12} if "seed" in cls.parameters else {})}), shape


@pytest.mark.parametrize("name", CONCRETE)
def test_configurations_survive_json(name):
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
def test_a_pickled_or_copied_generator_continues_at_its_draw(protocol):
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


def test_a_generator_from_a_configuration_starts_at_draw_0():
    init = sb.GlorotNormal(sb.SeedGenerator(7).child("a"))
    first, second = init((9,)), init((9,))
    again = sb.deserialize(json.loads(json.dumps(sb.serialize(init))))
    assert (again((9,)) == first).all()
    assert (again((9,)) == second).all()


def test_equal_configurations_mean_equal_initializers():
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


def test_with_seed_changes_only_the_seed():
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
        ({"config": {}}, "a configuration must have the key class_name"),
        ({"class_name": "Zeros", "config": {}, "build_config": 1}, "a configuration must have the key class_name"),
        ({"class_name": "Zeros", "config": [1]}, "config must be a dict"),
        ({"module": "os", "class_name": "Zeros", "config": {}}, "of an initializer of Keras or seedbed"),
        ({"module": "builtins", "class_name": "function", "config": "eval"}, "of an initializer of Keras or seedbed"),
        ({"class_name": "Zeros", "config": {}, "registered_name": "p>Z"}, "of an initializer of Keras or seedbed"),
        (3.5, "an initializer must be a name"),
    ],
)
def test_identifiers_that_name_no_initializer_are_refused(identifier, message):
    with pytest.raises(ValueError, match=message):
        sb.get(identifier)


def test_get_accepts_what_keras_accepts():
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

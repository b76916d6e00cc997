"""Checks of compatibility: configurations, signatures, arguments and moments are those of Keras."""

import inspect
import json
import math

import keras
import numpy as np
from keras_common import RANDOM, SHARED, K, array, check, refused

import seedbed as sb
import seedbed.keras as sk
from seedbed import config

EXAMPLES = {
    "Constant": [(), (2.5,), ([1.0, 2.0],)],
    "RandomNormal": [(), (1.0, 2.0, 3)],
    "TruncatedNormal": [(), (1.0, 2.0, 3)],
    "RandomUniform": [(), (-1.0, 2.0, 3)],
    "VarianceScaling": [(), (2.0, "fan_out", "normal", 3), (2.0, "fan_avg", "Uniform", 3, [0], [1, 2])],
    **{name: [(), (3,), (3, [0], [-1])] for name in config._VARIANCE_SCALING},
    "Identity": [(), (2.0,)],
    "Orthogonal": [(), (2.0, 3)],
    "STFT": [(), ("imag", "hamming", "spectrum", True)],
}


@check()
def keras_and_seedbed_read_what_the_other_writes():
    for name in SHARED:
        for arguments in EXAMPLES.get(name, [()]):
            ours, theirs = getattr(sb, name)(*arguments), getattr(K, name)(*arguments)
            written = K.serialize(theirs)
            read = sb.deserialize(json.loads(json.dumps(written)))
            if name != "Identity":  # Keras does not serialize its gain
                assert read.get_config() == ours.get_config(), (name, arguments)
                assert {**sb.serialize(ours), "config": 0} == {**written, "config": 0}
                assert K.serialize(K.deserialize(sb.serialize(ours))) == written, (name, arguments)
                assert ours.get_config() == theirs.get_config(), (name, arguments)
    for value in (np.float32(2.5), np.array([[1.5, 2.5]]), np.arange(3), keras.ops.ones((2,)), np.array(7)):
        written = json.loads(json.dumps(K.serialize(K.Constant(value))))
        assert sb.deserialize(written)((2, *np.shape(value))).tolist() == [np.asarray(array(value)).tolist()] * 2
    stddev = json.loads(json.dumps(K.serialize(K.RandomNormal(stddev=np.float32(0.5), seed=1))))
    assert sb.deserialize(stddev) == sb.RandomNormal(stddev=0.5, seed=1)
    generator = keras.random.SeedGenerator(5, name="sg")
    written = json.loads(json.dumps(K.serialize(K.HeNormal(generator))))
    read = sb.deserialize(written)
    assert sb.serialize(read) == written == {**written, "config": sb.HeNormal(sb.SeedGenerator(5, "sg")).get_config()}


@check("numpy")
def signatures_are_those_of_keras():
    for name in SHARED:
        theirs = list(inspect.signature(getattr(K, name)).parameters.values())
        for module in (sb, sk):
            ours = list(inspect.signature(getattr(module, name)).parameters.values())
            for a, b in zip(theirs, ours, strict=False):
                assert (a.name, a.default, a.kind) == (b.name, b.default, b.kind), name
            assert len(ours) >= len(theirs), name
            assert {p.name for p in ours[len(theirs) :]} <= set(config.CLASSES[name].beyond_keras)
        call = list(inspect.signature(config.CLASSES[name].__call__).parameters.values())[1:3]
        assert [(p.name, p.default) for p in call] == [("shape", inspect.Parameter.empty), ("dtype", None)]
    for name in dir(K):
        if not name.startswith("_"):
            assert hasattr(sk, name) or name == "Initializer", name
            assert hasattr(sb, name) or name.endswith("Initializer"), name


NAN = math.nan
SAME = {
    "a negative stddev": lambda m: m.RandomNormal(stddev=-1.0)((2,)),
    "no scale": lambda m: m.VarianceScaling(scale=0.0),
    "a negative scale": lambda m: m.VarianceScaling(scale=-1.0),
    "an unknown mode": lambda m: m.VarianceScaling(mode="fan"),
    "a mode in capitals": lambda m: m.VarianceScaling(mode="FAN_IN"),
    "an unknown distribution": lambda m: m.VarianceScaling(distribution="beta"),
    "a distribution in capitals": lambda m: m.VarianceScaling(distribution="UNIFORM")((2, 2)),
    "the distribution normal": lambda m: m.VarianceScaling(distribution="normal")((2, 2)),
    "no distribution": lambda m: m.VarianceScaling(distribution=None),
    "bounds that are swapped": lambda m: m.RandomUniform(1.0, 0.0)((2,)),
    "bounds that are equal": lambda m: m.RandomUniform(1.0, 1.0)((2,)),
    "a stddev of zero": lambda m: m.RandomNormal(1.0, 0.0)((2,)),
    "seed 0": lambda m: m.GlorotNormal(0)((2, 2)),
    "seed 2**32 - 1": lambda m: m.GlorotNormal(2**32 - 1)((2, 2)),
    "a seed that is a float": lambda m: m.GlorotNormal(1.0)((2, 2)),
    "a seed that is a string": lambda m: m.GlorotNormal("1")((2, 2)),
    "a seed that is a list": lambda m: m.GlorotNormal([1])((2, 2)),
    "a seed that is any dict": lambda m: m.GlorotNormal({"a": 1})((2, 2)),
    "axes": lambda m: m.HeNormal(1, [0, 1], [-1])((2, 3, 4)),
    "axes that overlap": lambda m: m.HeNormal(1, [0, 1], [1])((2, 3, 4)),
    "an axis outside": lambda m: m.HeNormal(1, [2], [0])((2, 3)),
    "axes as strings": lambda m: m.HeNormal(1, "0", "1")((2, 3)),
    "a list as shape": lambda m: m.HeNormal(1)([2, 3]),
    "a shape of NumPy": lambda m: m.HeNormal(1)(np.array([2, 3])),
    "rank 0": lambda m: m.HeNormal(1)(()),
    "rank 1": lambda m: m.HeNormal(1)((3,)),
    "size 0": lambda m: m.HeNormal(1)((0, 3)),
    "an integer as shape of zeros": lambda m: m.Zeros()(5),
    "None as dimension": lambda m: m.HeNormal(1)((2, None)),
    "None as shape": lambda m: m.HeNormal(1)(None),
    "a string as shape": lambda m: m.HeNormal(1)("2"),
    "a negative dimension": lambda m: m.GlorotUniform(1)((2, -1)),
    "an unknown dtype": lambda m: m.Zeros()((2,), "float33"),
    "zeros as strings": lambda m: m.Zeros()((2,), "string"),
    "integers from zeros": lambda m: m.Zeros()((2,), "int32"),
    "bools from ones": lambda m: m.Ones()((2,), "bool"),
    "an argument too many": lambda m: m.Zeros()((2,), "float32", None, 1),
    "an unknown argument of a call": lambda m: m.Zeros()((2,), shard=1),
    "an unknown argument": lambda m: m.GlorotNormal(sede=1),
    "a constant of fewer axes": lambda m: m.Constant([1, 2])((3, 2)),
    "a constant that does not fit": lambda m: m.Constant([1, 2, 3])((3, 2)),
    "a constant that is a word": lambda m: m.Constant("a")((2,)),
    "get None": lambda m: m.get(None),
    "get a name": lambda m: m.get("he_normal"),
    "get a class name": lambda m: m.get("HeNormal"),
    "get a name in capitals": lambda m: m.get("ZEROS"),
    "get an empty name": lambda m: m.get(""),
    "get a class": lambda m: m.get(m.Zeros),
    "get a number": lambda m: m.get(5.0),
    "get a list": lambda m: m.get([1.0]),
    "get an empty dict": lambda m: m.get({}),
    "get a short dict": lambda m: m.get({"class_name": "Zeros"}),
    "get an unknown key": lambda m: m.get({"class_name": "Zeros", "config": {"size": 1}}),
    "get an array": lambda m: m.get(np.ones((2, 2)))((2, 2)),
    "get an array for another shape": lambda m: m.get(np.ones((2, 2)))((4,)),
    "get a lambda": lambda m: m.get({"class_name": "__lambda__", "config": {"value": ["", None, None]}}),
    "get another module": lambda m: m.get({"module": "os", "class_name": "system", "config": {}}),
}
"""Arguments that Keras and seedbed both accept, or both refuse."""

ACCEPTED_HERE = {
    "a seed of NumPy": lambda m: m.GlorotNormal(np.int64(1))((2, 2)),
    "a negative seed": lambda m: m.GlorotNormal(-1)((2, 2)),
    "seed 2**32": lambda m: m.GlorotNormal(2**32)((2, 2)),
    "seed 2**64": lambda m: m.GlorotNormal(2**64)((2, 2)),
    "an integer as axes": lambda m: m.HeNormal(1, 0, 1)((2, 3)),
    "an integer as shape": lambda m: m.HeNormal(1)(5),
    "floats as shape": lambda m: m.HeNormal(1)([2.0, 2.0]),
    "get constant": lambda m: m.get("constant"),
    "get a dtype": lambda m: m.get({"class_name": "Zeros", "config": {"dtype": "float32"}}),
    "get a name of V2": lambda m: m.get("GlorotNormalV2"),
}
"""Arguments that Keras refuses and seedbed accepts."""

REFUSED_HERE = {
    "a stddev of NaN": lambda m: m.RandomNormal(stddev=NAN)((2,)),
    "a mean of infinity": lambda m: m.RandomNormal(mean=math.inf)((2,)),
    "a seed that is a bool": lambda m: m.GlorotNormal(True)((2, 2)),
    "input axes alone": lambda m: m.HeNormal(1, input_axes=[0])((2, 3)),
    "output axes alone": lambda m: m.HeNormal(1, output_axes=[0])((2, 3)),
    "integers from a normal": lambda m: m.RandomNormal(1)((2,), "int32"),
    "a negative dimension in second place": lambda m: m.TruncatedNormal(seed=1)((2, -1)),
    "a constant of more axes": lambda m: m.Constant([[1, 2], [3, 4]])((2,)),
    "a constant of NaN": lambda m: m.Constant(NAN)((2,)),
    "get the base class": lambda m: m.get("initializer"),
}
"""Arguments that Keras accepts and seedbed refuses."""


@check("numpy")
def keras_and_seedbed_accept_the_same_arguments():
    def taken(case, module):
        try:
            case(module)
        except Exception:
            return False
        return True

    for module in (sb, sk):
        for name, case in SAME.items():
            assert taken(case, K) == taken(case, module), name
        for table, here in ((ACCEPTED_HERE, True), (REFUSED_HERE, False)):
            for name, case in table.items():
                assert taken(case, module) is here, name
                assert taken(case, K) is not here, f"Keras is as seedbed is: {name}"


@check("numpy")
def bad_arguments_are_errors_before_any_call():
    for make in (
        lambda m: m.RandomNormal(stddev=-1.0),
        lambda m: m.RandomUniform(1.0, 0.0),
        lambda m: m.GlorotNormal({"a": 1}),
        lambda m: m.HeNormal(1, [0], None),
    ):
        make(K)
        refused(lambda: make(sb))  # noqa: B023
        refused(lambda: make(sk))  # noqa: B023


@check("numpy")
def moments_are_those_of_keras():
    """Each moment of n = 250,000 values by each, within five standard errors of the difference: alpha < 10^-6."""
    n, shape = 250_000, (500, 500)
    for name in RANDOM:
        if name == "Orthogonal":
            continue
        ours = getattr(sb, name)(seed=1)(shape).astype("float64")
        theirs = array(getattr(K, name)(seed=1)(shape)).astype("float64")
        sigma = theirs.std()
        assert abs(ours.mean() - theirs.mean()) < 5 * sigma * math.sqrt(2 / n), name
        for power, spread in ((2, math.sqrt(2)), (4, math.sqrt(96))):
            a, b = ((values / sigma) ** power for values in (ours, theirs))
            assert abs(a.mean() - b.mean()) < 5 * spread * math.sqrt(2 / n), (name, power)

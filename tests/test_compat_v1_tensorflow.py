"""compat.v1 compared with the installed TensorFlow."""

import math
import types

import pytest
from support.compat_v1 import SEEDED, SHAPES
from support.tensorflow import assert_alike, facts_of, moments, outcome

from seedbed.compat import v1

# Comparisons with TensorFlow: `m` is tf.compat.v1, `i` its `initializers` (with TensorFlow's own defaults), `k` its
# `keras.initializers`; for seedbed, all three are v1. Each expression gives the same dtype and shape or the same
# configuration in both, or is refused by both.

SAME = """
m.zeros_initializer()((2, 3)) | m.ones_initializer(dtype='int32')([2, 3]) | m.zeros_initializer(dtype='bool')((2,))
m.zeros_initializer(dtype='flaot') | m.zeros_initializer(dtype=None) | m.ones_initializer()((2, 2), 'float16')
m.random_normal_initializer()((2, 3)) | m.random_normal_initializer(dtype='float64')((2, 3))
m.random_normal_initializer(dtype='int32') | m.random_normal_initializer()((2,), 'int32')
m.random_normal_initializer(dtype='complex64') | m.truncated_normal_initializer(dtype='bool')
m.random_uniform_initializer()((2,)) | m.random_uniform_initializer(dtype='int32')((2,))
m.random_uniform_initializer(0, 10, dtype='int32')((2,)) | m.random_uniform_initializer(0, 10)((2,), 'int64')
m.random_uniform_initializer(0, 10, dtype='int8')((2,)) | m.random_uniform_initializer(5, 5, dtype='int32')((2,))
m.random_uniform_initializer(0.5, 10, dtype='int32')((2,)) | m.random_uniform_initializer(0, 10, dtype='int32')
m.variance_scaling_initializer(scale=0) | m.variance_scaling_initializer(scale=-1.0)
m.variance_scaling_initializer(mode='FAN_IN') | m.variance_scaling_initializer(distribution='beta')
m.variance_scaling_initializer(distribution='Normal') | m.variance_scaling_initializer(distribution='UNIFORM')
m.variance_scaling_initializer(2.0, 'fan_avg', 'untruncated_normal', 3, 'float64')
m.variance_scaling_initializer(mode='fan_geo_avg') | m.variance_scaling_initializer()((2, 2), 'float64')
m.variance_scaling_initializer(input_axes=(0,)) | m.glorot_normal_initializer(1, 'float32')
m.constant_initializer([1, 2, 3, 4])((2, 2)) | m.constant_initializer([1])((2, 2))
m.constant_initializer([1, 2])((2, 2)) | m.constant_initializer([1, 2, 3, 4, 5])((2, 2))
m.constant_initializer([1, 2, 3, 4], verify_shape=True)((2, 2)) | m.constant_initializer(1, verify_shape=True)((2, 2))
m.constant_initializer([1, 2, 3, 4])((2, 2), verify_shape=True) | m.constant_initializer(None)
m.constant_initializer(0.5)((2,), 'int32') | m.constant_initializer(7, dtype='int32')((2,))
m.constant_initializer(2.5) | m.constant_initializer(3, 'int64')
m.glorot_uniform_initializer(seed=1, input_axes=None) | m.zeros_initializer.from_config({'foo': 1})
m.random_normal_initializer.from_config({}) | m.zeros_initializer()((2, -1)) | m.zeros_initializer()(())
m.random_uniform_initializer.from_config({'minval': 1.0, 'maxval': 2.0, 'seed': 3, 'dtype': 'float64'})
m.glorot_uniform_initializer(seed=1)((2, 2), partition_info=3)
i.he_normal(seed=2) | i.he_uniform() | i.lecun_normal() | i.lecun_uniform(1) | i.he_normal(dtype='float32')
i.variance_scaling() | i.zeros() | i.ones() | i.constant(2) | i.glorot_normal(3) | i.glorot_uniform(3)
k.Zeros() | k.Ones() | k.Constant(3) | k.RandomNormal() | k.RandomUniform() | k.TruncatedNormal() | k.VarianceScaling()
k.normal() | k.uniform() | k.random_normal(1.0, 2.0, 3, 'float64') | k.random_uniform() | k.truncated_normal(seed=4)
k.glorot_normal() | k.glorot_uniform(seed=1) | k.constant() | k.RandomUniform(1, 4, None, 'int32')((2,))
k.Identity() | k.identity(2.0)((3, 2)) | k.Identity(dtype='int32') | i.identity()((3,)) | i.identity()((3, 3), 'int32')
m.orthogonal_initializer() | m.orthogonal_initializer()((3, 4)) | m.orthogonal_initializer()((3,))
k.Orthogonal(2.0, 1, 'float64') | k.orthogonal()((2, 3, 4)) | m.orthogonal_initializer(dtype='int32')
m.uniform_unit_scaling_initializer(2.0, 3) | i.uniform_unit_scaling()((3, 4)) | i.uniform_unit_scaling(dtype='int32')
""".replace("\n", "|").split("|")  # fmt: skip
SAME = [expression.strip() for expression in SAME if expression.strip()]

OTHERWISE = {  # each a row of the documentation: TensorFlow's result, and seedbed's
    "m.glorot_uniform_initializer(dtype='float64')((2, 2))": (["float32", [2, 2]], ["float64", [2, 2]]),
    "m.glorot_uniform_initializer(dtype='float64')": (
        {"seed": None, "dtype": "float32"},
        {"seed": None, "dtype": "float64"},
    ),
    "m.glorot_normal_initializer(dtype='int32')": ({"seed": None, "dtype": "float32"}, "refused"),
    "m.random_normal_initializer(stddev=-1.0)((2,))": (["float32", [2]], "refused"),
    "m.random_normal_initializer(stddev=nan)((2,))": (["float32", [2]], "refused"),
    "m.random_uniform_initializer(1.0, 0.0)((2,))": (["float32", [2]], "refused"),
    "m.random_uniform_initializer(maxval=10, dtype='int32')((2,))": ("refused", ["int32", [2]]),
    "m.constant_initializer('a', dtype='string')((2,))": (["string", [2]], "refused"),
    "m.constant_initializer(inf)((2,))": (["float32", [2]], "refused"),
    "m.random_normal_initializer(seed=2**70)((2,))": (["float32", [2]], ["float32", [2]]),
}

MOMENTS = ["random_normal_initializer", "truncated_normal_initializer", "random_uniform_initializer"]
MOMENTS += ["glorot_normal_initializer", "glorot_uniform_initializer", "variance_scaling_initializer"]
MOMENTS += ["uniform_unit_scaling_initializer"]

PROGRAM = f"""
import json, sys
sys.path.insert(0, {str(__file__).rpartition("/")[0]!r})
from support.tensorflow import moments, outcome
import numpy as np
import tensorflow as tf
import tf_keras
m, nan, inf = tf.compat.v1, float("nan"), float("inf")
names = dict(m=m, i=m.initializers, k=m.keras.initializers, nan=nan, inf=inf)
facts = dict(
    names=[n for n in dir(m) if n.endswith("_initializer") and "variables" not in n and "tables" not in n],
    initializers=[n for n in dir(m.initializers) if n[0] != "_" and "variables" not in n and "tables" not in n],
    keras=[n for n in dir(m.keras.initializers) if n[0] != "_"],
    outcomes={{e: outcome(e, names) for e in {[*SAME, *OTHERWISE]!r}}},
    moments={{}},
    sliced={{}},
)
for name in {MOMENTS!r}:
    facts["moments"][name] = moments(getattr(m, name))

# this package's initializers in TF 1's own get_variable, in three parts
from seedbed.compat import v1
for name in {[*dict.fromkeys([*SEEDED, "ones_initializer"])]!r}:
    shape = {SHAPES!r}.get(name, (10, 4))
    initializer = getattr(v1, name)(**({{}} if "ones" in name else dict(seed=1)))
    with tf.Graph().as_default(), m.Session() as session:
        parts = m.fixed_size_partitioner(3, axis=len(shape) - 1)
        variable = m.get_variable("w", shape, tf.float32, initializer=initializer, partitioner=parts)
        session.run(m.global_variables_initializer())
        got = session.run(variable.as_tensor())
        facts["sliced"][name] = len(list(variable)) == 3 and got.tobytes() == initializer(shape).tobytes()
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def facts():
    return facts_of(PROGRAM, "tensorflow", "tf_keras", TF_USE_LEGACY_KERAS="1")


def ours(expression):
    core = types.SimpleNamespace(**{name: getattr(v1, name) for name in v1.__all__})
    for name in ("random_normal", "random_uniform", "truncated_normal"):
        setattr(core, name, getattr(v1, f"{name}_initializer"))
    return outcome(expression, {"m": v1, "i": core, "k": v1, "nan": math.nan, "inf": math.inf})


def test_every_tensorflow_name_exists(facts):
    for name in [*facts["names"], *facts["initializers"], *facts["keras"]]:
        assert hasattr(v1, name), name


@pytest.mark.parametrize("expression", SAME)
def test_results_and_errors_are_those_of_tensorflow(facts, expression):
    assert ours(expression) == facts["outcomes"][expression]


@pytest.mark.parametrize("expression", OTHERWISE)
def test_documented_differences_are_real(facts, expression):
    theirs, here = OTHERWISE[expression]
    assert facts["outcomes"][expression] == theirs
    assert ours(expression) == here


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_are_those_of_tensorflow(facts, name):
    assert_alike(moments(getattr(v1, name)), facts["moments"][name], bounded=name != "random_normal_initializer")


def test_partitioned_variables_of_tensorflow_are_slices_of_the_whole(facts):
    assert facts["sliced"]
    assert all(facts["sliced"].values()), [name for name, same in facts["sliced"].items() if not same]

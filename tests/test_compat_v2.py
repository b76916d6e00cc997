"""compat.v2: tf.keras' names, arguments, configurations and slices, alone and compared with the real tf.keras."""

import copy
import inspect
import json
import math
import pickle

import numpy as np
import pytest
from support.tensorflow import assert_alike, facts_of, moments, outcome

import seedbed as sb
from seedbed.compat import v2

SEEDED = ["RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "GlorotNormal", "GlorotUniform"]
SEEDED += ["HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Orthogonal"]
DRAWLESS = ["Zeros", "Ones", "Constant", "Identity"]
CONFIGS = {
    "Zeros": {},
    "Ones": {},
    "Constant": {"value": 0},
    "RandomUniform": {"minval": -0.05, "maxval": 0.05, "seed": None},
    "RandomNormal": {"mean": 0.0, "stddev": 0.05, "seed": None},
    "TruncatedNormal": {"mean": 0.0, "stddev": 0.05, "seed": None},
    "VarianceScaling": {"scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal", "seed": None},
    "Orthogonal": {"gain": 1.0, "seed": None},
    "Identity": {"gain": 1.0},
    **{f"{who}{what}": {"seed": None} for who in ("Glorot", "He", "Lecun") for what in ("Normal", "Uniform")},
}


def snake(name):
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


def make(name, seed=3):
    return getattr(v2, name)(seed=seed) if name in SEEDED else getattr(v2, name)()


def test_snake_case_names_are_the_classes():
    for name in CONFIGS:
        assert getattr(v2, snake(name)) is getattr(v2, name)


def test_the_example_of_tf_2_2_runs():
    initializer = v2.GlorotNormal(seed=1)
    assert [*inspect.signature(v2.GlorotNormal).parameters] == ["seed"]
    values = initializer((3, 3), "float32")
    assert values.dtype == np.float32
    assert (initializer((3, 3)) == values).all()
    for dtype in ("int32", "bool", "complex64", "string", int):
        with pytest.raises(ValueError, match="dtype must"):
            initializer((3, 3), dtype)


def test_the_example_of_tf_2_4_runs():
    for made in (v2.LecunNormal, v2.lecun_normal):
        initializer = made()
        values = initializer(shape=(2, 2))
        assert values.shape == (2, 2)
        assert values.dtype == np.float32
        assert abs(values).max() <= 2 * math.sqrt(1 / 2) / 0.87962566103423978
    assert abs(v2.LecunNormal(seed=1)((200, 500)).std() * math.sqrt(200) - 1) < 0.01


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_integer_seeds_give_the_top_level_bits_at_each_call(name, dtype):
    for shape in [(6, 4), (3, 3, 4, 8)]:
        want = getattr(sb, name)(seed=11)(shape, dtype).tobytes()
        initializer = make(name, 11)
        assert initializer(shape, dtype).tobytes() == want
        assert initializer(shape, dtype).tobytes() == want
        assert np.asarray(initializer.lazy(shape, dtype)).tobytes() == want


@pytest.mark.parametrize("name", SEEDED)
def test_unseeded_calls_differ_and_can_be_repeated(name):
    initializer, other = make(name, None), make(name, None)
    calls = [of((6, 4)).tobytes() for of in (initializer, other, initializer, other)]
    assert len({*calls}) == 4
    sb.set_random_seed(5)
    first = make(name, None)((6, 4))
    sb.set_random_seed(5)
    assert (make(name, None)((6, 4)) == first).all()


@pytest.mark.parametrize("name", SEEDED)
def test_unseeded_calls_follow_a_global_seed_that_is_set_later(name):
    initializer = make(name, None)
    runs = []
    for seed in (5, 5, 6):
        sb.set_random_seed(seed)
        runs.append([initializer((6, 4)).tobytes(), np.asarray(initializer.lazy((6, 4))).tobytes()])
    assert runs[0] == runs[1]
    assert len({*runs[0], *runs[2]}) == 4
    for copied in (copy.deepcopy(initializer), pickle.loads(pickle.dumps(initializer))):
        sb.set_random_seed(5)
        assert [copied((6, 4)).tobytes() for _ in range(2)] == runs[0]


def test_floatx_is_the_default_dtype():
    try:
        sb.set_floatx("float16")
        for name in SEEDED + DRAWLESS:
            assert make(name)((2, 2)).dtype == np.float16
            assert make(name)((2, 2), "float64").dtype == np.float64
    finally:
        sb.set_floatx("float32")


@pytest.mark.parametrize("name", SEEDED + DRAWLESS)
def test_a_partition_is_the_slice_of_the_whole(name):
    initializer = make(name)
    whole = initializer((20, 6))
    for shape, offset in [((20, 6), (0, 0)), ((7, 6), (7, 0)), ([20, 2], [0, 4]), ((3, 3), (17, 1)), ((0, 6), (3, 0))]:
        want = whole[offset[0] : offset[0] + shape[0], offset[1] : offset[1] + shape[1]]
        part = initializer((20, 6), partition_shape=shape, partition_offset=offset)
        assert part.tobytes() == want.tobytes()
        out = np.empty(shape, np.float32)
        assert initializer((20, 6), out=out, partition_shape=shape, partition_offset=offset) is out
        assert out.tobytes() == want.tobytes()
    assert initializer((20, 6), partition_shape=(2, 6)).tobytes() == whole[:2].tobytes()


def test_parts_have_the_scale_of_the_whole():
    """tf.keras takes the fans of the part: for 500 of 100,000 rows, the values are 14 times too large."""
    part = v2.LecunNormal(seed=1)((100_000, 40), partition_shape=(500, 40), partition_offset=(5_000, 0))
    assert part.std() == pytest.approx(math.sqrt(1 / 100_000), rel=0.02)


def test_parts_of_an_unseeded_initializer_are_unrelated():
    initializer = v2.GlorotNormal()
    parts = [initializer((4, 4), partition_shape=(2, 4), partition_offset=(k, 0)).tobytes() for k in (0, 0, 2)]
    assert len({*parts}) == 3


@pytest.mark.parametrize("name", SEEDED + DRAWLESS)
def test_an_unknown_keyword_is_named_in_the_error(name):
    for keyword in ("foo", "layout", "partition_info"):
        with pytest.raises(TypeError, match=rf"partition_shape, partition_offset and out. Received: \['{keyword}'\]"):
            make(name)((4, 4), **{keyword: None})
    with pytest.raises(ValueError, match="partition_offset must come with partition_shape"):
        make(name)((4, 4), partition_offset=(0, 0))
    with pytest.raises(ValueError, match="must lie within the shape"):
        make(name)((4, 4), partition_shape=(2, 4), partition_offset=(3, 0))


@pytest.mark.parametrize("name", SEEDED + DRAWLESS)
def test_configurations_are_those_of_tf_keras(name):
    config = getattr(v2, name)().get_config()
    assert config == CONFIGS[name]
    assert [*config] == [*CONFIGS[name]]
    initializer = make(name)
    assert isinstance(initializer, getattr(sb, name))
    rebuilt = type(initializer).from_config(json.loads(json.dumps(initializer.get_config())))
    for other in (rebuilt, pickle.loads(pickle.dumps(initializer)), copy.deepcopy(initializer), initializer.clone()):
        assert other == initializer
        assert hash(other) == hash(initializer)
        assert repr(other) == repr(initializer)
    assert eval(repr(initializer), vars(v2)) == initializer
    old = {**initializer.get_config(), "dtype": "float64"}
    assert type(initializer).from_config(old) == initializer
    assert "dtype" in old
    for bad in ({"dtype": "flaot32"}, {"foo": 1}):
        with pytest.raises(ValueError, match="Received:"):
            type(initializer).from_config(bad)


def test_the_alias_normal_is_stored_as_its_meaning():
    assert v2.VarianceScaling(distribution="normal").get_config()["distribution"] == "truncated_normal"
    for bad in ({"mode": "fan_geo_avg"}, {"mode": "FAN_IN"}, {"distribution": "beta"}, {"scale": 0}):
        with pytest.raises(ValueError, match=r"must be"):
            v2.VarianceScaling(**bad)


def test_integers_are_the_float64_values_rounded_down():
    initializer = v2.RandomUniform(-3, 12, seed=4)
    want = np.floor(sb.RandomUniform(-3, 12, seed=4)((30, 20), "float64"))
    for dtype in ("int32", np.int64):
        assert (initializer((30, 20), dtype) == want).all()
        part = initializer((30, 20), dtype, partition_shape=(30, 1), partition_offset=(0, 7))
        assert (part == want[:, 7:8]).all()
    for bad in ("int8", "uint32", "bool", "complex64"):
        with pytest.raises(ValueError, match="floating point or integer type"):
            initializer((2,), bad)
    with pytest.raises(ValueError, match="minval must be an integer"):
        v2.RandomUniform()((2,), "int32")


def test_constants_are_reshaped_if_they_fit():
    assert v2.Constant([1, 2, 3, 4])((2, 2)).tolist() == [[1, 2], [3, 4]]
    assert v2.Constant([3])((2, 2), "int32").tolist() == [[3, 3], [3, 3]]
    with pytest.raises(ValueError, match="as many elements as the tensor"):
        v2.Constant([1, 2])((2, 2))


def test_get_takes_names_and_configurations():
    assert v2.get(None) is None
    assert v2.get("normal") != v2.get("random_normal")  # each draws its own seed
    assert type(v2.get("zero")) is v2.Zeros
    assert v2.serialize(v2.HeNormal(seed=2)) == {"class_name": "HeNormal", "config": {"seed": 2}}
    assert v2.deserialize({"class_name": "he_normal", "config": {"seed": 2, "dtype": "float32"}}) == v2.HeNormal(seed=2)
    for bad in ("typo", "GlorotNormalV2", "_V2", {"class_name": "builtins.eval"}, {"class_name": "Zeros", "x": 1}, 3):
        with pytest.raises(ValueError, match=r"unknown initializer|Received:"):
            v2.get(bad)
    with pytest.raises(ValueError, match="only initializers of this module"):
        v2.serialize(sb.Zeros())


SAME = """
k.GlorotNormal(seed=1) | k.GlorotNormal()((3, 3)) | k.GlorotNormal()((3, 3), 'float64') | k.glorot_uniform(2)
k.GlorotNormal()((3, 3), dtype='int32') | k.HeNormal()((3, 3), dtype='bool') | k.LecunNormal()((2, 2), 'complex64')
k.GlorotNormal()((3, 3), 'string') | k.GlorotNormal()([2, 3], 'bfloat16') | k.GlorotNormal(1, 'float32')
k.GlorotNormal(dtype='float32') | k.GlorotNormal(input_axes=None) | k.GlorotNormal()((2, 2), foo=1) | k.he_uniform(3)
k.LecunUniform()(shape=(2, 2)) | k.lecun_normal()(()) | k.lecun_normal()((5,), 'float16') | k.lecun_uniform(4)
k.RandomNormal() | k.RandomNormal(1.0, 2.0, 3) | k.random_normal()((2, -1)) | k.RandomNormal(foo=1)
k.TruncatedNormal(seed=4) | k.truncated_normal()((2, 3), 'int32') | k.TruncatedNormal(lower=-1.0)
k.RandomUniform() | k.RandomUniform(0, 10)((4,), 'int32') | k.RandomUniform(0, 10)((4,), 'int64')
k.RandomUniform()((4,), 'int32') | k.RandomUniform(0, 2.5)((4,), 'int32') | k.RandomUniform()((4,), 'bool')
k.random_uniform(1.0, 2.0, seed=3)((0, 4)) | k.RandomUniform()((2,), 'complex64')
k.VarianceScaling() | k.VarianceScaling(2.0, 'fan_avg', 'normal', 5) | k.variance_scaling(scale=0) | k.he_normal()
k.VarianceScaling(mode='FAN_IN') | k.VarianceScaling(distribution='beta') | k.VarianceScaling(distribution='UNIFORM')
k.VarianceScaling(mode='fan_geo_avg') | k.VarianceScaling(distribution='untruncated_normal')((3, 3, 4, 8))
k.Zeros() | k.zeros()((2, 3), 'int32') | k.ones()((2,), 'bool') | k.Zeros()((2,), 'string')
k.Zeros()((2,), 'complex64') | k.RandomNormal()((4, 4), partition_shape=(2, 4))
k.Zeros(dtype='float32') | k.Ones()((4, 4), partition_shape=(2, 4), partition_offset=(2, 0)) | k.constant(2.5)
k.GlorotNormal()((4, 4), partition_shape=(2, 4), partition_offset=(2, 0))
k.Constant(3) | k.Constant(3)((2,), 'int32') | k.Constant([1, 2, 3, 4])((2, 2)) | k.Constant([1])((2, 2))
k.Constant([1, 2])((2, 2)) | k.Constant(0.5)((2,), 'int32')
k.RandomNormal.from_config({'stddev': 1.0, 'dtype': 'float64'}) | k.RandomNormal.from_config({'foo': 1})
k.get('glorot_normal') | k.get('normal') | k.get('uniform') | k.get('one') | k.get('zero') | k.get('constant')
k.get('typo') | k.get({'class_name': 'HeNormal', 'config': {'seed': 2}}) | k.get(3) | k.get('he_normal')
k.deserialize({'class_name': 'GlorotUniform', 'config': {'seed': None, 'dtype': 'float32'}})
k.Identity() | k.identity(2.0)((3, 2)) | k.Identity()((2, 2), 'int32') | k.Identity()((2, 2, 2)) | k.Identity()((2,))
k.Orthogonal() | k.orthogonal(2.0, 3) | k.Orthogonal()((3, 4)) | k.Orthogonal()((2, 3, 4), 'float64')
k.Orthogonal()((3,)) | k.Orthogonal()((3, 3), 'int32') | k.Orthogonal()((3, 3), 'float16')
""".replace("\n", "|").split("|")  # fmt: skip
SAME = [expression.strip() for expression in SAME if expression.strip()]

OTHERWISE = {  # each a row of the documentation: tf.keras' result, and seedbed's
    "k.GlorotNormal()((4, 4), layout=None)": (["float32", [4, 4]], "refused"),
    "k.Zeros()((4, 4), partition_offset=(0, 0))": (["float32", [4, 4]], "refused"),
    "k.Constant([1, 2, 3, 4])((4, 1), partition_shape=(2, 1), partition_offset=(2, 0))": (
        "refused",
        ["float32", [2, 1]],
    ),
    "k.Orthogonal()((4, 4), partition_shape=(2, 4), partition_offset=(0, 0))": ("refused", ["float32", [2, 4]]),
    "k.Identity()((4, 4), partition_shape=(2, 4), partition_offset=(0, 0))": ("refused", ["float32", [2, 4]]),
    "k.Orthogonal()((3, 3), 'bfloat16')": ("refused", ["bfloat16", [3, 3]]),
    "k.RandomNormal()((4, 4), partition_shape=(2, 4), partition_offset=[2, 0])": ("refused", ["float32", [2, 4]]),
    "k.RandomNormal(stddev=-1.0)((2,))": (["float32", [2]], "refused"),
    "k.TruncatedNormal(stddev=nan)((2,))": (["float32", [2]], "refused"),
    "k.RandomUniform(1.0, 0.0)((2,))": (["float32", [2]], "refused"),
    "k.RandomNormal(seed=2**70)((2,))": ("refused", ["float32", [2]]),
    "k.RandomNormal(seed=1.5)": ({"mean": 0.0, "stddev": 0.05, "seed": 1.5}, "refused"),
    "k.Constant(inf)((2,))": (["float32", [2]], "refused"),
    "k.Constant(0)((2,), 'bool')": ("refused", ["bool", [2]]),
}

CONSTANTS = """
tf.constant([1.0, 2.0]) | tf.Variable(3.0) | tf.constant(2.0) | tf.ragged.constant([[1.0], [2.0, 3.0]]) | None
range(2) | array.array('d', [1.0, 2.0]) | [1.0, 2.0] | (1.0, 2.0) | 2.5 | np.float32(2.5) | np.arange(2) | True
tf_keras.Input((2,)) | {1, 2} | tf.sparse.from_dense([1.0, 0.0])
""".replace("\n", "|").split("|")  # fmt: skip
CONSTANTS = [expression.strip() for expression in CONSTANTS if expression.strip()]
"""Values of constants that TensorFlow, tf_keras and seedbed treat alike."""

MOMENTS = ["RandomNormal", "TruncatedNormal", "RandomUniform", "GlorotNormal", "GlorotUniform", "HeNormal"]
MOMENTS += ["HeUniform", "LecunNormal", "LecunUniform", "VarianceScaling"]

PROGRAM = f"""
import functools, json, os, socket, sys
sys.path.insert(0, {str(__file__).rpartition("/")[0]!r})
from support.tensorflow import moments, outcome
import numpy as np
import tensorflow as tf
import tf_keras
from seedbed.compat import v2
k = tf_keras.initializers
names = dict(k=k, nan=float("nan"), inf=float("inf"))
facts = dict(
    names=[n for n in dir(k) if n[0] != "_"],
    core=[n for n in dir(tf) if n.endswith("_initializer")],
    outcomes={{e: outcome(e, names) for e in {[*SAME, *OTHERWISE]!r}}},
    moments={{}},
    layers={{}},
    shards={{}},
)
def made(call):
    try:
        return np.asarray(call()).tolist()
    except (TypeError, ValueError):
        return "refused"
def symbolic(initializer):
    return made(lambda: tf.function(lambda x: tf.convert_to_tensor(initializer(x)((2,), "float32")))(tf.ones(2)))
import array
pairs = [(k.Constant, v2.Constant), (tf.constant_initializer, v2.constant_initializer)]
facts["constants"] = {{
    e: [[made(lambda: np.asarray(cls(eval(e))((2,), "float32"))) for cls in pair] for pair in pairs]
    for e in {CONSTANTS!r}
}}
facts["constants"]["symbolic"] = [[symbolic(cls) for cls in pair] for pair in pairs]
for name in {MOMENTS!r}:
    facts["moments"][name] = moments(getattr(k, name))
legacy = {{name: k.serialize(getattr(k, name)(seed=4), use_legacy_format=True) for name in {MOMENTS!r}}}
facts["legacy"] = legacy

made_before = tf.random_normal_initializer()
later = []
for _ in range(2):
    tf.random.set_seed(5)
    later.append([made_before((6, 4)).numpy().tolist() for _ in range(2)])
facts["later"] = later[0] == later[1] and later[0][0] != later[0][1]

# TensorFlow's own shapes and dtypes, and layers
dtypes = [(tf.float32, "float32"), (tf.bfloat16, "bfloat16"), (tf.half, "float16"), (tf.float64, "float64")]
glorot = v2.GlorotNormal(seed=1)
facts["types"] = all(
    glorot(tf.TensorShape([4, 3]), dtype).tobytes() == glorot((4, 3), name).tobytes() for dtype, name in dtypes
)
for name in {MOMENTS!r}:
    layer = tf_keras.layers.Dense(3, kernel_initializer=getattr(v2, name)(seed=1))
    layer.build((None, 4))
    facts["layers"][name] = layer.kernel.numpy().tobytes() == getattr(v2, name)(seed=1)((4, 3)).tobytes()
variable = tf.Variable(v2.Ones()((2, 2), tf.int32))
facts["types"] = facts["types"] and variable.dtype == tf.int32

# a variable in shards on two parameter servers, each of which asks for its part
def port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{{free.getsockname()[1]}}"
cluster = tf.train.ClusterSpec({{"worker": [port()], "ps": [port(), port()]}})
servers = [tf.distribute.Server(cluster, job, task, "grpc") for job, task in (("worker", 0), ("ps", 0), ("ps", 1))]
strategy = tf.distribute.ParameterServerStrategy(
    tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, rpc_layer="grpc"),
    tf.distribute.experimental.partitioners.FixedShardsPartitioner(2),
)
for name in {SEEDED + DRAWLESS!r}:
    initializer = getattr(v2, name)(**(dict(seed=1) if name in {SEEDED!r} else {{}}))
    with strategy.scope():
        variable = tf.Variable(functools.partial(initializer, (7, 3), dtype=tf.float32), shape=(7, 3))
    facts["shards"][name] = [
        [list(shard.shape) for shard in variable.variables],
        tf.convert_to_tensor(variable).numpy().tobytes() == initializer((7, 3)).tobytes(),
    ]
print(json.dumps(facts), flush=True)
os._exit(0)  # the servers would not end
"""

KERAS_3 = f"""
import json
import keras
from seedbed.compat import v1, v2
same = {{}}
for module, made in (("v1", v1), ("v2", v2)):
    for name in {MOMENTS!r}:
        initializer = getattr(made, name)(seed=1)
        layer = keras.layers.Dense(3, kernel_initializer=initializer)
        layer.build((None, 4))
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        same[module + "." + name] = kernel.tobytes() == initializer((4, 3)).tobytes()
print(json.dumps(same))
"""


@pytest.fixture(scope="module")
def facts():
    return facts_of(PROGRAM, "tensorflow", "tf_keras", TF_USE_LEGACY_KERAS="1")


def test_every_tf_keras_name_exists(facts):
    for name in [*facts["names"], *facts["core"]]:
        assert hasattr(v2, name), name


@pytest.mark.parametrize("expression", SAME)
def test_results_and_errors_are_those_of_tf_keras(facts, expression):
    assert outcome(expression, {"k": v2}) == facts["outcomes"][expression]


@pytest.mark.parametrize("expression", OTHERWISE)
def test_documented_differences_are_real(facts, expression):
    theirs, here = OTHERWISE[expression]
    assert facts["outcomes"][expression] == theirs
    assert outcome(expression, {"k": v2, "nan": math.nan, "inf": math.inf}) == here


@pytest.mark.parametrize("expression", [*CONSTANTS, "symbolic"])
def test_constants_are_accepted_as_in_tf_keras_and_tensorflow(facts, expression):
    for theirs, here in facts["constants"][expression]:
        assert theirs == here


def test_unseeded_v2_initializers_follow_a_seed_set_later(facts):
    assert facts["later"]


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_are_those_of_tf_keras(facts, name):
    assert_alike(moments(getattr(v2, name)), facts["moments"][name], bounded=name != "RandomNormal")


@pytest.mark.parametrize("name", MOMENTS)
def test_tf_keras_serialization_is_read_and_written_alike(facts, name):
    initializer = v2.deserialize(facts["legacy"][name])
    assert initializer == getattr(v2, name)(seed=4)
    assert v2.serialize(initializer) == facts["legacy"][name]


def test_layers_of_tf_keras_have_the_same_bits(facts):
    assert facts["types"]
    assert facts["layers"]
    assert all(facts["layers"].values()), facts["layers"]


@pytest.mark.parametrize("name", SEEDED + DRAWLESS)
def test_shards_of_parameter_servers_are_slices_of_the_whole(facts, name):
    assert facts["shards"][name] == [[[4, 3], [3, 3]], True]


def test_layers_of_keras_3_have_the_same_bits():
    same = facts_of(KERAS_3, "keras", "jax", KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    assert len(same) == 2 * len(MOMENTS)
    assert all(same.values()), same

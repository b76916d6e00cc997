"""Checks of seedbed with Keras on one backend. test_keras.py runs this program once for each backend.

    KERAS_BACKEND=jax python tests/programs/keras_backend.py FOLDER

prints JSON: the traceback of each check (null if it passed), the SHA-256 hashes of the values of all initializers, and
the backends of the loaded models. The program saves a model to FOLDER, and loads the models that are there already.
"""

import copy
import doctest
import hashlib
import importlib
import inspect
import json
import math
import os
import pickle
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np

import seedbed as sb
import seedbed.keras as sk
from seedbed import config

K = keras.initializers
BACKEND = keras.config.backend()
SHARED = config.IN_KERAS
RANDOM = [name for name in SHARED if "seed" in config.CLASSES[name].parameters]
SCALED = [name for name in SHARED if "input_axes" in config.CLASSES[name].parameters]
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()

CHECKS = {}
HASHES = {}
LOADED = []


def check(*backends):
    """Register a check for these backends, or for all backends if none is given."""

    def register(function):
        if not backends or BACKEND in backends:
            CHECKS[function.__name__] = function
        return function

    return register


def array(tensor):
    """Return a tensor or variable as a NumPy array, bfloat16 as float32, which is exact."""
    tensor = getattr(tensor, "value", tensor)
    if keras.utils.standardize_dtype(tensor.dtype) == "bfloat16":
        tensor = keras.ops.cast(tensor, "float32")
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def same(tensor, values):
    values = values.astype("float32") if values.dtype.name == "bfloat16" else values
    made = array(tensor)
    assert made.dtype == values.dtype, (made.dtype, values.dtype)
    assert made.shape == values.shape, (made.shape, values.shape)
    assert made.tobytes() == values.tobytes()


def refused(make, message="", kind=ValueError):
    text = None
    try:
        made = make()
    except kind as error:
        text = str(error)
    assert text is not None, f"not refused: {made!r}"
    assert message in text, text


def of_each_class(module):
    """Yield the name and an initializer of each class that needs no arguments except a seed."""
    for name, cls in config.CLASSES.items():
        required = [p for p in inspect.signature(cls).parameters.values() if p.default is p.empty]
        if not required and hasattr(module, name):
            yield name, getattr(module, name)(**({"seed": 42} if "seed" in cls.parameters else {}))


@check()
def tensors_have_the_bits_of_seedbed():
    floats = ["float16", "bfloat16", "float32", *([] if BACKEND == "jax" else ["float64"])]
    plain, total = dict(of_each_class(sb)), 0
    for name, init in of_each_class(sk):
        for shape in [(5, 7), (3, 3, 4, 6), (9,), ()]:
            for dtype in floats:
                try:
                    values = plain[name](shape, dtype)
                except (ValueError, TypeError) as error:  # a shape or dtype that this class does not make
                    refused(lambda: init(shape, dtype), kind=type(error))  # noqa: B023
                    continue
                tensor = init(shape, dtype)
                assert keras.ops.is_tensor(tensor)
                assert keras.utils.standardize_dtype(tensor.dtype) == dtype
                same(tensor, values)
                if dtype != "float64":
                    HASHES[f"{name} {shape} {dtype}"] = hashlib.sha256(array(tensor).tobytes()).hexdigest()
                total += 1
    assert total > 100
    assert array(sk.Ones()((2,), "int32")).tolist() == [1, 1]
    assert array(sk.Zeros()((2,), "bool")).tolist() == [False, False]
    assert array(sk.Constant([1, 2])((2, 2))).tolist() == [[1, 2], [1, 2]]


@check("jax")
def float64_has_the_bits_of_seedbed_if_jax_enables_it():
    import jax

    jax.config.update("jax_enable_x64", True)
    try:
        same(sk.GlorotNormal(42)((5, 7), "float64"), sb.GlorotNormal(42)((5, 7), "float64"))
    finally:
        jax.config.update("jax_enable_x64", False)


@check()
def the_default_dtype_is_that_of_keras():
    keras.config.set_floatx("float16")
    try:
        same(sk.HeNormal(3)((4, 4)), sb.HeNormal(3)((4, 4), "float16"))
    finally:
        keras.config.set_floatx("float32")
    same(sk.HeNormal(3)((4, 4)), sb.HeNormal(3)((4, 4), "float32"))


@check()
def layers_are_initialized_with_the_bits_of_seedbed():
    for module in (sb, sk):
        for policy in ("float32", "bfloat16", "mixed_bfloat16", "float16", "mixed_float16"):
            dense = keras.layers.Dense(
                3, kernel_initializer=module.GlorotNormal(seed=7), bias_initializer=module.Constant(0.5), dtype=policy
            )
            dense.build((None, 5))
            variable = keras.DTypePolicy(policy).variable_dtype
            assert dense.kernel.dtype == variable
            same(dense.kernel, sb.GlorotNormal(seed=7)((5, 3), variable))
            same(dense.bias, sb.Constant(0.5)((3,), variable))
            assert array(dense(np.ones((2, 5), "float32"))).shape == (2, 3)
        conv = keras.layers.Conv2D(4, 3, kernel_initializer=module.HeUniform(seed=8))
        conv.build((None, 8, 8, 2))
        same(conv.kernel, sb.HeUniform(seed=8)((3, 3, 2, 4)))
        rnn = keras.layers.LSTM(4, kernel_initializer=module.LecunNormal(9), recurrent_initializer=module.HeNormal(1))
        rnn.build((None, 2, 3))
        same(rnn.cell.kernel, sb.LecunNormal(9)((3, 16)))
        same(rnn.cell.recurrent_kernel, sb.HeNormal(1)((4, 16)))
        table = keras.layers.Embedding(10, 3, embeddings_initializer=module.RandomUniform(-1, 1, seed=2**70))
        table.build()
        same(table.embeddings, sb.RandomUniform(-1, 1, seed=2**70)((10, 3)))
    variable = keras.Variable(sb.GlorotNormal(seed=7), shape=(5, 3), dtype="float32")
    same(variable, sb.GlorotNormal(seed=7)((5, 3)))


@check()
def einsum_and_attention_layers_declare_their_axes():
    dense = keras.layers.EinsumDense("abc,cde->abde", output_shape=(None, 4, 5), kernel_initializer=sk.HeNormal(3))
    dense.build((None, 7, 6))
    same(dense.kernel, sb.HeNormal(3, input_axes=(0,), output_axes=(1, 2))((6, 4, 5)))
    assert dense.kernel_initializer.input_axes is None

    own = sk.HeNormal(3, input_axes=(0, 1), output_axes=(2,))
    dense = keras.layers.EinsumDense("abc,cde->abde", output_shape=(None, 4, 5), kernel_initializer=own)
    dense.build((None, 7, 6))
    same(dense.kernel, sb.HeNormal(3, input_axes=(0, 1), output_axes=(2,))((6, 4, 5)))

    for seed in (5, sb.SeedGenerator(5), keras.random.SeedGenerator(5)):
        for name in SCALED:
            init = getattr(sk, name)(seed=seed)
            assert isinstance(init, K.VarianceScaling)
            assert isinstance(init, getattr(K, name))
            again = type(init).from_config(
                {**init.get_config(), "seed": init.seed, "input_axes": [0], "output_axes": [1]}
            )
            assert again.seed is init.seed
    attention(sk.GlorotNormal(5))


def attention(init):
    layer = keras.layers.MultiHeadAttention(2, 3, kernel_initializer=init)
    layer.build((None, 4, 6), (None, 4, 6))
    kernels = [getattr(layer, f"{part}_dense").kernel for part in ("query", "key", "value", "output")]
    if isinstance(init, sb.Initializer) and init.get_config()["seed"] == init.seed:
        for kernel in kernels[:3]:
            same(kernel, sb.GlorotNormal(init.seed, input_axes=(0,), output_axes=(1, 2))((6, 2, 3)))
        same(kernels[3], sb.GlorotNormal(init.seed, input_axes=(0, 1), output_axes=(2,))((2, 3, 6)))
    return [array(kernel) for kernel in kernels[:3]]


@check()
def attention_parts_are_equal_only_with_an_integer_seed():
    for make in (sk.GlorotNormal, K.GlorotNormal):
        for seed in (5, keras.random.SeedGenerator(5)):
            query, key, value = attention(make(seed))
            assert (query == key).all()
            assert (key == value).all()
    query, key, value = attention(sk.GlorotNormal(sb.SeedGenerator(5).child("attn")))
    assert (query == key).all()

    def unseeded():
        keras.utils.set_random_seed(11)
        return attention(sk.GlorotNormal())

    root = sb.SeedGenerator(42)  # the remedy in docs/compatibility.md
    layer = keras.layers.MultiHeadAttention(2, 3)
    layer.build((None, 4, 6), (None, 4, 6))
    for part in ("query", "key", "value"):
        init = sk.GlorotNormal(root.child(f"block3/{part}"), input_axes=(0,), output_axes=(1, 2))
        kernel = getattr(layer, f"{part}_dense").kernel
        kernel.assign(init(kernel.shape, kernel.dtype))
        same(kernel, sb.GlorotNormal(root.child(f"block3/{part}"), (0,), (1, 2))((6, 2, 3)))

    query, key, value = unseeded()
    assert (query != key).any()
    assert (key != value).any()
    assert all((a == b).all() for a, b in zip(unseeded(), (query, key, value), strict=True))


@check()
def an_integer_seed_repeats_but_children_differ():
    def kernels(make):
        layers = [keras.layers.Dense(4, kernel_initializer=make(name)) for name in ("a", "b")]
        for layer in layers:
            layer.build((None, 4))
        return [array(layer.kernel) for layer in layers]

    shared = sk.HeNormal(1)
    first, second = kernels(lambda name: shared)
    assert (first == second).all()
    root = sb.SeedGenerator(1)
    first, second = kernels(lambda name: sk.HeNormal(root.child(name)))
    assert (first != second).any()
    same(second, sb.HeNormal(sb.SeedGenerator(1).child("b"))((4, 4)))
    moving = sk.HeNormal(sb.SeedGenerator(1))
    first, second = kernels(lambda name: moving)
    assert (first != second).any()
    same(first, sb.HeNormal(1)((4, 4)))


@check()
def keras_generators_draw_the_values_of_seedbeds():
    for seed in (0, 1, 42, 2**31 - 1, *([2**32 - 1] if BACKEND in ("numpy", "jax") else [])):
        theirs, ours = sk.HeUniform(keras.random.SeedGenerator(seed)), sb.HeUniform(sb.SeedGenerator(seed))
        same(theirs((4, 5)), sb.HeUniform(seed)((4, 5)))
        ours((4, 5))
        for _ in range(2):
            same(theirs((3,)), ours((3,)))
    generator = keras.random.SeedGenerator(42)
    init = sk.RandomNormal(seed=generator)
    assert init.seed is generator
    same(init((9,)), sb.RandomNormal(seed=42)((9,)))
    assert array(generator.state).tolist() == [42, 1]
    refused(lambda: init((9,), "int32"))
    assert array(generator.state).tolist() == [42, 1]
    generator.state.assign([7, 3])
    expected = sb.SeedGenerator(7)
    [expected.next() for _ in range(3)]
    same(init((9,)), sb.RandomNormal(seed=expected)((9,)))
    refused(lambda: sb.RandomNormal(seed=keras.random.SeedGenerator(42)))
    plain = sb.RandomNormal(seed=sb.SeedGenerator(42))
    same(init.clone()((9,)), plain((9,)))
    assert init.get_config()["seed"] == keras.saving.serialize_keras_object(generator)
    unseeded = keras.random.SeedGenerator()
    word = int(array(unseeded.state)[0])
    same(sk.RandomNormal(seed=unseeded)((9,)), sb.RandomNormal(seed=word)((9,)))


@check()
def shape_inference_takes_no_draw():
    class Block(keras.layers.Layer):
        def __init__(self, init):
            super().__init__()
            self.dense = keras.layers.Dense(3, kernel_initializer=init)

        def call(self, x):
            return self.dense(x)

    for generator in (sb.SeedGenerator(42), keras.random.SeedGenerator(42)):
        init = sk.GlorotNormal(generator)
        block = Block(init)
        x = keras.Input((5,))
        keras.Model(x, block(x))
        same(block.dense.kernel, sb.GlorotNormal(42)((5, 3)))
        ours = sb.GlorotNormal(sb.SeedGenerator(42))
        ours((5, 3))
        same(init((5, 3)), ours((5, 3)))


def model():
    """Return a model with each kind of seed, a shared initializer, and initializers of seedbed itself."""
    shared = sk.HeNormal(seed=-3)
    return keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            keras.layers.Embedding(10, 6, embeddings_initializer=sk.RandomUniform(-1, 1, seed=2**40)),
            keras.layers.EinsumDense("abc,cd->abd", (4, 6), kernel_initializer=shared, bias_axes="d"),
            keras.layers.EinsumDense("abc,cd->abd", (4, 6), kernel_initializer=shared),
            keras.layers.Flatten(),
            keras.layers.Dense(
                8,
                kernel_initializer=sk.TruncatedNormal(
                    stddev=0.1, seed=sb.SeedGenerator(7).child("dense").child("größe")
                ),
                bias_initializer=sk.Constant(0.25),
            ),
            keras.layers.Dense(5, kernel_initializer=sb.LecunUniform(seed=6), bias_initializer=sb.Ones()),
            keras.layers.Dense(2, kernel_initializer=sk.GlorotUniform(keras.random.SeedGenerator(9, name="head"))),
        ]
    )


def initializers_of(model):
    return [
        getattr(layer, name)
        for layer in model.layers
        for name in ("embeddings_initializer", "kernel_initializer", "bias_initializer")
        if hasattr(layer, name) and isinstance(getattr(layer, name), sb.Initializer)
    ]


def equal_weights(one, other):
    assert len(one.weights) == len(other.weights) > 5
    for a, b in zip(one.weights, other.weights, strict=True):
        assert a.shape == b.shape
        assert array(a).tobytes() == array(b).tobytes(), a.path


@check()
def a_model_is_cloned_and_rebuilt_from_its_configuration():
    original = model()
    settings = original.get_config()
    assert settings["layers"][1]["config"]["embeddings_initializer"] == {
        "module": "seedbed.keras",
        "class_name": "seedbed>RandomUniform",
        "config": {"minval": -1.0, "maxval": 1.0, "seed": 2**40},
        "registered_name": "seedbed>RandomUniform",
    }
    for again in (
        keras.models.clone_model(original),
        keras.Sequential.from_config(json.loads(json.dumps(settings))),
        keras.models.model_from_json(original.to_json()),
    ):
        equal_weights(original, again)
        assert initializers_of(again) == [*map(adapter_of, initializers_of(original))]
        assert initializers_of(again)[0].__class__ is sk.RandomUniform


def adapter_of(init):
    return getattr(sk, type(init).__qualname__).from_config(init.get_config())


@check()
def saved_models_are_loaded_by_other_processes():
    others = sorted(FOLDER.glob("*.keras"))
    original = model()
    for path in others:
        loaded = keras.models.load_model(path, safe_mode=True)
        equal_weights(loaded, original)
        assert initializers_of(loaded) == [*map(adapter_of, initializers_of(original))]
        # The file has the seeds: a model rebuilt from its configuration is initialized with the same weights.
        equal_weights(keras.models.clone_model(loaded), original)
        LOADED.append(path.stem)
    original.save(FOLDER / f"{BACKEND}.keras")
    HASHES["weights of the model"] = hashlib.sha256(b"".join(array(w).tobytes() for w in original.weights)).hexdigest()


@check("jax", "torch", "tensorflow")
def a_model_is_trained():
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            trained = model()
            before = [array(w) for w in trained.trainable_weights]
            trained.compile("sgd", "mse")
            rng = np.random.default_rng(0)
            x, y = rng.integers(0, 10, (16, 4)), rng.normal(size=(16, 2)).astype("float32")
            losses = [trained.train_on_batch(x, y) for _ in range(5)]
            assert np.isfinite(losses).all()
            assert losses[-1] < losses[0]
            for old, weight in zip(before, trained.trainable_weights, strict=True):
                assert weight.dtype == "float32"
                assert (old != array(weight)).any(), weight.path
        finally:
            keras.config.set_dtype_policy("float32")


@check()
def adapters_are_real_classes():
    assert set(config.CLASSES) | set(config.ALIASES) <= set(sk.__all__)
    for name, plain in config.CLASSES.items():
        cls = getattr(sk, name)
        assert (cls.__module__, cls.__name__, cls.__qualname__) == ("seedbed.keras", f"seedbed>{name}", name)
        assert issubclass(cls, plain)
        assert issubclass(cls, getattr(K, name) if name in config.IN_KERAS else K.Initializer)
        assert inspect.signature(cls) == inspect.signature(plain)
        assert cls.__doc__ == plain.__doc__
        assert getattr(sk, config.snake_case(name)) is cls
        assert list(inspect.signature(cls.__call__).parameters) == ["self", "shape", "dtype", "layout"]
    for name, init in of_each_class(sk):
        assert pickle.loads(pickle.dumps(init)) == init == copy.deepcopy(init)
        assert init != getattr(sb, name).from_config(init.get_config())
    assert repr(sk.HeNormal(1)) == "HeNormal(seed=1, input_axes=None, output_axes=None)"


@check()
def a_generator_goes_through_keras_saving():
    for generator in (
        sk.SeedGenerator(5),
        sk.SeedGenerator(2**70, name="a"),
        sk.SeedGenerator(1).child("b").child("c"),
    ):
        written = json.loads(json.dumps(keras.saving.serialize_keras_object(generator)))
        assert written["registered_name"] == "seedbed>SeedGenerator"
        read = keras.saving.deserialize_keras_object(written)
        assert type(read) is sk.SeedGenerator
        assert (read.key, read.name, read.path) == (generator.key, generator.name, generator.path)
        same(sk.HeNormal(written)((3, 3)), sb.HeNormal(generator)((3, 3)))
    for cls in (keras.random.SeedGenerator, sk.SeedGenerator):
        refused(lambda: cls(1, sede=2))  # noqa: B023


class Twice(sk.HeNormal):
    """Overrides the call, as in the documentation of Keras."""

    def __call__(self, shape, dtype=None):
        return 2 * super().__call__(shape, dtype)


@keras.saving.register_keras_serializable("mine")
class Scaled(sk.RandomNormal):
    """Has its own argument."""

    def __init__(self, factor=1.0, **arguments):
        super().__init__(**arguments)
        self.factor = factor

    def __call__(self, shape, dtype=None):
        return self.factor * super().__call__(shape, dtype)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@check()
def a_subclass_may_override_the_call():
    expected = 2 * sb.HeNormal(7)((5, 3))
    same(Twice(7)((5, 3)), expected)
    assert Twice(7).lazy((5, 3))[2:].tolist() == expected[2:].tolist()
    dense = keras.layers.Dense(3, kernel_initializer=Twice(7))
    dense.build((None, 5))
    same(dense.kernel, expected)
    assert Twice(7).lazy((5, 3), "bfloat16")[...].tolist() == (2 * sb.HeNormal(7)((5, 3), "bfloat16")).tolist()


@check()
def a_subclass_with_its_own_argument_is_saved_and_cloned():
    init = Scaled(3.0, stddev=0.5, seed=7)
    expected = 3 * sb.RandomNormal(stddev=0.5, seed=7)((4, 3))
    original = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer=init)])
    for again in (keras.models.clone_model(original), keras.models.model_from_json(original.to_json())):
        same(again.layers[0].kernel, expected)
    assert Scaled.from_config(init.get_config()) == init.clone() == init
    assert sb.deserialize(keras.saving.serialize_keras_object(init), {"mine>Scaled": Scaled}) == init
    same(init.with_seed(8)((4, 3)), 3 * sb.RandomNormal(stddev=0.5, seed=8)((4, 3)))


@check("tensorflow")
def autograph_leaves_initializers_as_they_are():
    import tensorflow as tf

    os.environ["AUTOGRAPH_STRICT_CONVERSION"] = "1"
    try:
        v1, v2 = (importlib.import_module(f"seedbed.compat.{name}") for name in ("v1", "v2"))
        for init in (sk.HeNormal(1), sb.HeNormal(1), sb.Orthogonal(1), v1.HeNormal(1), v2.HeNormal(1), Twice(1)):
            traced = tf.function(lambda: tf.convert_to_tensor(init((3, 3))))  # noqa: B023
            assert array(traced()).tobytes() == array(init((3, 3))).tobytes()
        same(tf.function(lambda: sk.get("ones")((3, 3)))(), sb.Ones()((3, 3)))
        same(tf.function(lambda: tf.convert_to_tensor(sb.HeNormal(1).lazy((3, 3))[...]))(), sb.HeNormal(1)((3, 3)))
    finally:
        del os.environ["AUTOGRAPH_STRICT_CONVERSION"]


@check()
def get_and_deserialize_make_adapters():
    made = {type(init) for _, init in of_each_class(sk)}
    for name, cls in config.NAMES.items():
        adapter = getattr(sk, cls.__qualname__)
        assert adapter not in made or type(sk.get(name)) is type(sk.deserialize(name)) is adapter
    init = sk.HeNormal(3)
    assert sk.get(init) is init
    assert sk.get(sk.HeNormal).__class__ is sk.HeNormal
    assert sk.get(None) is sk.deserialize(None) is None
    assert sk.deserialize(sk.serialize(init)) == sk.deserialize(sb.serialize(init)) == init
    assert sk.deserialize(K.serialize(K.HeNormal(3))) == init
    assert sb.deserialize(sk.serialize(init)) == sb.HeNormal(3)
    assert K.deserialize(sk.serialize(init)) == init
    assert type(K.get(sk.serialize(init))) is sk.HeNormal
    assert array(sk.get(np.ones((2, 2)))((2, 2))).tolist() == [[1, 1], [1, 1]]
    for hostile in (
        {"module": "os", "class_name": "Zeros", "config": {}},
        {"class_name": "__lambda__", "config": {"value": "x"}},
        {"class_name": "HeNormal", "config": {"seed": 1.5}},
        "typo",
    ):
        refused(lambda: sk.get(hostile))  # noqa: B023
        refused(lambda: sk.deserialize(hostile))  # noqa: B023


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


@check("numpy", "torch", "tensorflow")
def a_layout_is_refused_on_backends_without_layouts():
    refused(lambda: sk.Zeros()((2, 2), layout=object()), f"layout must be None on the backend {BACKEND}")


@contextmanager
def counted():
    """Yield the list of the sizes of regions that are evaluated in the context."""
    made = []
    originals = {cls: cls.write for cls in (sb.rules.Sampled, sb.rules.Repeated)}

    def write(self, out, axes=None):
        made.append(out.size)
        originals[type(self)](self, out, axes)

    for cls in originals:
        cls.write = write
    try:
        yield made
    finally:
        for cls, original in originals.items():
            cls.write = original


@check("jax")
def a_layout_evaluates_each_part_once():
    import jax

    mesh = keras.distribution.DeviceMesh((2, 2), ("rows", "columns"))
    grid = jax.sharding.Mesh(np.array(jax.devices()).reshape(2, 2), ("rows", "columns"))
    spec = jax.sharding.PartitionSpec
    cases = [
        (keras.distribution.TensorLayout(("rows", "columns"), mesh), [12] * 4),
        (keras.distribution.TensorLayout((None, "columns"), mesh), [24] * 2),
        (keras.distribution.TensorLayout((None, None), mesh), [48]),
        (jax.sharding.NamedSharding(grid, spec("rows", None)), [24] * 2),
        (jax.sharding.NamedSharding(grid, spec(None, ("rows", "columns"))), [12] * 4),
        (jax.sharding.SingleDeviceSharding(jax.devices()[3]), [48]),
    ]
    with counted() as made:
        for layout, sizes in cases:
            for dtype in ("float32", "bfloat16"):
                made.clear()
                tensor = sk.HeNormal(sb.SeedGenerator(3))((6, 8), dtype, layout=layout)
                assert made == sizes, (layout, made)
                assert tensor.sharding == getattr(layout, "backend_layout", layout)
                same(tensor, sb.HeNormal(3)((6, 8), dtype))
        made.clear()
        names = keras.distribution.LayoutMap(mesh)
        names["dense.*kernel"] = ("rows", "columns")
        with keras.distribution.ModelParallel(layout_map=names, batch_dim_name="rows").scope():
            dense = keras.layers.Dense(8, kernel_initializer=sk.GlorotNormal(3), name="dense")
            dense.build((None, 6))
        assert made == [12] * 4
        assert [shard.data.shape for shard in dense.kernel.value.addressable_shards] == [(3, 4)] * 4
    same(dense.kernel, sb.GlorotNormal(3)((6, 8)))


def built():
    """Return a model with layers of several kinds, with initializers of Keras, of seedbed and of seedbed.keras."""
    inputs = keras.Input((7, 6), name="inputs")
    x = keras.layers.MultiHeadAttention(2, 3, name="mha")(inputs, inputs)
    x = keras.layers.RMSNormalization(name="rms")(x)
    x = keras.layers.LSTM(4, name="lstm", bias_initializer="he_normal")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    x = keras.layers.Dense(8, kernel_initializer=sk.HeNormal(3), name="up")(x)
    identity = keras.initializers.Identity(2.0)
    x = keras.layers.Dense(8, kernel_initializer=identity, use_bias=False, name="eye")(x)
    dense = keras.layers.Dense(
        2,
        kernel_initializer=sb.Orthogonal(gain=0.5, seed=3),
        bias_initializer=keras.initializers.Constant(0.5),
        dtype="bfloat16",
        name="down",
    )
    return keras.Model(inputs, dense(x), name="model")


@check()
def a_model_is_initialized_by_the_initializers_of_its_layers():
    model = built()
    assert sk.initialize(model, seed=42) is model
    root = sb.SeedGenerator(42)
    bias = sb.Blocks("zeros", [(np.s_[:4], sb.HeNormal()), (np.s_[4:8], sb.Ones()), (np.s_[8:], sb.HeNormal())])
    queries = {f"mha/{part}/kernel": ((0,), (1, 2)) for part in ("query", "key", "value")}
    expected = {
        **{name: sb.GlorotUniform(None, *axes) for name, axes in queries.items()},
        "mha/attention_output/kernel": sb.GlorotUniform(None, (0, 1), (2,)),
        "rms/scale": sb.Ones(),
        "lstm/lstm_cell/kernel": sb.GlorotUniform(),
        "lstm/lstm_cell/recurrent_kernel": sb.Orthogonal(),
        "lstm/lstm_cell/bias": bias,
        "bn/moving_variance": sb.Ones(),
        "up/kernel": sb.HeNormal(),
        "eye/kernel": sb.Identity(2.0),
        "down/kernel": sb.Orthogonal(0.5),
        "down/bias": sb.Constant(0.5),
    }
    weights = {weight.path: weight for weight in model.weights}
    for name, init in expected.items():
        same(weights[name], init.with_seed(root.child(name))(weights[name].shape, weights[name].dtype))
    plan = sk.plan_of(model)
    assert sorted(tensor.name for tensor in plan.tensors) == sorted(weights)
    assert not any(isinstance(tensor.initializer, K.Initializer) for tensor in plan.tensors)
    for tensor in plan.tensors:
        HASHES[f"initialize {tensor.name}"] = hashlib.sha256(array(weights[tensor.name]).tobytes()).hexdigest()
        values = tensor.initializer.with_seed(root.child(tensor.name))(tensor.shape, tensor.dtype)
        same(weights[tensor.name], values)
    assert {tensor.source for tensor in plan.tensors} == {"layer"}
    before = [array(weight) for weight in model.weights]
    sk.initialize(model, seed=43, only="up/*")
    changed = [w.path for w, b in zip(model.weights, before, strict=True) if (array(w) != b).any()]
    assert changed == ["up/kernel"]


LAYERS = {
    "Dense(3)": (None, 4),
    "EinsumDense('ab,bc->ac', 3)": (None, 4),
    "Embedding(5, 3)": (None, 4),
    "ReversibleEmbedding(5, 3, tie_weights=False)": (None, 4),
    "Conv1D(2, 3)": (None, 8, 2),
    "Conv3D(2, 3)": (None, 8, 8, 8, 2),
    "Conv2DTranspose(2, 3)": (None, 8, 8, 2),
    "DepthwiseConv2D(3)": (None, 8, 8, 2),
    "SeparableConv2D(2, 3)": (None, 8, 8, 2),
    "BatchNormalization()": (None, 4),
    "LayerNormalization()": (None, 4),
    "GroupNormalization(2)": (None, 4),
    "RMSNormalization()": (None, 4),
    "Normalization()": (None, 4),
    "PReLU()": (None, 4),
    "SpectralNormalization(keras.layers.Dense(3))": (None, 4),
    "SimpleRNN(3)": (None, 4, 2),
    "GRU(3)": (None, 4, 2),
    "Bidirectional(keras.layers.LSTM(3))": (None, 4, 2),
    "ConvLSTM1D(2, 3)": (None, 4, 8, 2),
    "TimeDistributed(keras.layers.Dense(3))": (None, 4, 2),
    "AdditiveAttention()": [(None, 4, 9), (None, 4, 9)],
    "Attention(use_scale=True, score_mode='concat')": [(None, 4, 2), (None, 4, 2)],
    "GroupQueryAttention(2, 4, 2)": [(None, 4, 2), (None, 4, 2)],
}


@check("numpy")
def the_layers_of_keras_have_known_initializers():
    for expression, shape in LAYERS.items():
        layer = eval(f"keras.layers.{expression}")
        layer.build(*shape) if expression.startswith("Group") and isinstance(shape, list) else layer.build(shape)
        built = [array(weight) for weight in layer.weights]
        plan = sk.plan_of(layer)
        assert {tensor.name for tensor in plan.tensors} >= {weight.path for weight in layer.weights}, expression
        sk.initialize(layer, seed=1)
        for weight, before, tensor in zip(layer.weights, built, layer.weights, strict=True):
            values = array(weight)
            alike = [planned for planned in plan.tensors if planned.name == tensor.path]
            stddev = alike[0].initializer.describe(values.shape).stddev
            if stddev == 0:
                assert (values == before).all(), (expression, weight.path)
            else:
                assert values.std() > 0.2 * before.std() > 0, (expression, weight.path)


@check()
def rules_decide_the_weights_of_a_model():
    model = built()
    rules = {
        "bn/*": "ones",
        keras.layers.LSTM: sb.RandomNormal(stddev=0.02),
        lambda path, variable: path == "down/kernel" and variable.shape == (8, 2): sb.Zeros(),
        "*kernel": "he_normal",
        "*bias": sb.RandomUniform(),
        "up/bias": sb.RandomNormal(),
    }
    refused(lambda: sk.plan_of(model, rules), "'up/bias', whose tensors '*bias' decides before it")
    rules = {"up/bias": rules.pop("up/bias"), **rules}
    decided = {tensor.name: (tensor.initializer, tensor.source) for tensor in sk.plan_of(model, rules).tensors}
    query, source = decided["mha/query/kernel"]
    assert (query.get_config()["input_axes"], query.get_config()["output_axes"], source) == ([0], [1, 2], "*kernel")
    assert decided["bn/moving_mean"][0] == sb.Ones()
    assert decided["down/kernel"][0] == sb.Zeros()
    assert decided["lstm/lstm_cell/kernel"][1] == "LSTM"
    assert repr(decided["lstm/lstm_cell/bias"][0]).startswith(
        "Blocks(RandomNormal(mean=0.0, stddev=0.02), [(np.s_[4:8]"
    )
    assert decided["up/bias"][0].stddev == 0.05  # it decides nothing else, so it applies to a constant
    assert type(decided["down/bias"][0]).__qualname__ == "RandomUniform"
    sk.initialize(model, rules, seed=1)
    weights = {weight.path: weight for weight in model.weights}
    same(weights["mha/key/kernel"], sb.HeNormal(sb.SeedGenerator(1).child("mha/key/kernel"), (0,), (1, 2))((6, 2, 3)))
    again = {tensor.name: tensor.initializer for tensor in sk.plan_of(model, sk.plan_of(model, rules)).tensors}
    assert again == {name: init for name, (init, _) in decided.items()}


@check()
def errors_precede_any_change_of_a_model():
    class Odd(keras.layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(3, 3), name="table")

        def call(self, x):
            return x

    odd = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, kernel_initializer=lambda s, dtype=None: keras.ops.ones(s), name="a"),
        ],
        name="m",
    )
    named = keras.Sequential([keras.Input((3,)), Odd(name="odd"), keras.layers.Dense(2, name="b")], name="n")
    before = [array(weight) for weight in named.weights]
    refused(lambda: sk.initialize(odd, seed=1), "m/a/kernel: its initializer is neither of seedbed nor of Keras: ")
    refused(lambda: sk.initialize(named, seed=1), "n/odd/table: its layer Odd has no table_initializer. Give a rule")
    refused(lambda: sk.initialize(named, {"*table": "stft"}, seed=1), "n/odd/table: ")
    refused(lambda: sk.initialize(named, {"*/tabel": "ones"}, seed=1), "which selects nothing (near it: '*/table')")
    refused(lambda: sk.initialize(named, {"*table": sb.HeNormal(3)}, seed=1), "must have no seed here")
    refused(lambda: sk.initialize(named, seed=1.5), "a seed must be an integer")
    refused(lambda: sk.initialize(named, seed=1, only="c/*"), "only must select a tensor")
    refused(lambda: sk.initialize(named, seed=1, unused="no"), "unused must be one of")
    refused(lambda: sk.initialize(keras.Sequential([keras.layers.Dense(3)]), seed=1), "a model must be built")
    refused(lambda: sk.initialize("model", seed=1), "model must be a model or a layer of Keras", TypeError)
    assert all((array(weight) == old).all() for weight, old in zip(named.weights, before, strict=True))
    sk.initialize(named, seed=1, skip="n/odd/*")
    same(named.weights[1], sb.GlorotUniform(sb.SeedGenerator(1).child("n/b/kernel"))((3, 2)))
    sk.initialize(odd, {"m/a/kernel": "he_normal"}, seed=1)
    twice = keras.layers.Layer(name="twice")
    twice.inner = [keras.layers.Dense(2, name="d") for _ in range(2)]
    with keras.name_scope("twice"):
        for layer in twice.inner:
            layer.build((None, 3))
    twice.built = True
    refused(
        lambda: sk.plan_of(twice), "a path must belong to one weight: give layers names. Received: 'twice/d/kernel'"
    )


@check()
def blocks_are_an_initializer_of_a_layer():
    blocks = [(np.s_[:, :4], sk.Orthogonal()), (np.s_[:, 4:8], sb.HeNormal())]
    for module in (sk, sb):
        init = module.Blocks("zeros", blocks, seed=5)
        layer = keras.layers.Dense(12, kernel_initializer=init)
        model = keras.Sequential([keras.Input((6,)), layer])
        same(layer.kernel, sb.Blocks("zeros", blocks, seed=5)((6, 12)))
        again = keras.models.model_from_json(model.to_json())
        same(again.layers[0].kernel, array(layer.kernel))
        assert not array(layer.kernel)[:, 8:].any()
    expected = sb.Blocks("zeros", blocks)
    sk.initialize(model, seed=3)
    name = layer.kernel.path
    same(layer.kernel, expected.with_seed(sb.SeedGenerator(3).child(name))((6, 12)))


@check("jax")
def a_sharded_model_is_initialized_in_parts():
    mesh = keras.distribution.DeviceMesh((2, 2), ("rows", "columns"))
    names = keras.distribution.LayoutMap(mesh)
    names["spread/kernel"] = ("rows", "columns")
    with keras.distribution.ModelParallel(layout_map=names, batch_dim_name="rows").scope():
        dense = keras.layers.Dense(8, name="spread")
        dense.build((None, 6))
        sharding = dense.kernel.value.sharding
        with counted() as made:
            sk.initialize(dense, seed=42)
    assert made == [12] * 4 + [8]  # the bias is on every device, and evaluated once
    assert dense.kernel.value.sharding == sharding
    same(dense.kernel, sb.GlorotUniform(sb.SeedGenerator(42).child(dense.kernel.path))((6, 8)))


@check("torch")
def tensors_of_torch_are_on_the_device_that_is_set():
    with keras.device("cpu"):
        assert sk.HeNormal(1)((2, 2)).device.type == "cpu"
    with keras.device("meta"):
        assert sk.HeNormal(1)((2, 2)).device.type == "meta"


@check()
def the_examples_of_the_documentation_run():
    modules = [importlib.import_module(f"seedbed.keras.{name}") for name in ("adapters", "models")]
    done = [doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE) for module in modules]
    assert sum(result.attempted for result in done) > 10
    assert not sum(result.failed for result in done)


def main():
    raised = {}
    for name, function in CHECKS.items():
        try:
            function()
        except Exception:
            raised[name] = traceback.format_exc()
        else:
            raised[name] = None
    print(json.dumps({"raised": raised, "hashes": HASHES, "loaded": LOADED}))


if __name__ == "__main__":
    main()

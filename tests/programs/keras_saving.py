"""Checks of saving: models and initializers are cloned, saved, loaded and subclassed."""

import copy
import hashlib
import importlib
import inspect
import json
import os
import pickle

import keras
import numpy as np
from keras_common import BACKEND, FOLDER, HASHES, LOADED, K, array, check, of_each_class, refused, same

import seedbed as sb
import seedbed.keras as sk
from seedbed import config


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

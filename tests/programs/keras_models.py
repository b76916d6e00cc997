"""Checks of models: layouts, initialization of a model by its layers and by rules, devices."""

import doctest
import hashlib
import importlib
from contextlib import contextmanager

import keras
import numpy as np
from keras_common import BACKEND, HASHES, K, array, check, refused, same

import seedbed as sb
import seedbed.keras as sk


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

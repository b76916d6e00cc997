"""Checks of values: tensors and layers have the bits of seedbed, whatever gives the seed."""

import hashlib

import keras
import numpy as np
from keras_common import BACKEND, HASHES, SCALED, K, array, check, of_each_class, refused, same

import seedbed as sb
import seedbed.keras as sk


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

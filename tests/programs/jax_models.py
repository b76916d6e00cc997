"""Checks of seedbed.jax with Flax, Equinox, Haiku, optax and Orbax on eight devices. test_jax.py runs this program.

    python tests/programs/jax_models.py FOLDER

prints JSON: the traceback of each check (null if it passed), and the packages that are not installed.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"
sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from support import checks
from support.checks import run, same

import seedbed as sb
import seedbed.jax as sj
from seedbed import _core
from seedbed.checkpoint import write_checkpoint

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
MISSING = set()
MESH = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def check(*packages):
    """Register a check that needs these packages."""
    missing = {package for package in packages if importlib.util.find_spec(package) is None}
    MISSING.update(missing)

    def register(function):
        if not missing:
            checks.check(function)
        return function

    return register


def same_trees(one, other):
    jax.tree.map(same, one, other)


def child(init, seed, name, shape):
    return init.with_seed(sb.SeedGenerator(seed).child(name))(shape)


def linen_model():
    from flax import linen as nn

    kernel = sj.initializer("glorot_normal")

    class Model(nn.Module):
        @nn.compact
        def __call__(self, tokens):
            x = nn.Embed(32, 16, embedding_init=sj.initializer(sb.RandomNormal(stddev=0.02)))(tokens)
            x = nn.Conv(16, (3,), kernel_init=sj.initializer("he_normal"), bias_init=sj.initializer("zeros"))(x)
            x = nn.MultiHeadDotProductAttention(4, kernel_init=kernel)(x)
            cell = nn.OptimizedLSTMCell(16, kernel_init=kernel, recurrent_kernel_init=sj.initializer("orthogonal"))
            x = nn.RNN(cell)(x)
            names = ("data", "model")
            return nn.Dense(8, kernel_init=nn.with_partitioning(kernel, names))(nn.LayerNorm()(x))

    return Model(), jnp.zeros((2, 5), jnp.int32)


@check("flax")
def linen_layers_get_the_same_values_compiled_or_not():
    model, tokens = linen_model()
    params = model.init(jax.random.key(42), tokens)
    same_trees(jax.jit(model.init)(jax.random.key(42), tokens), params)
    leaves = jax.tree.leaves_with_path(params)
    random = [leaf for path, leaf in leaves if "kernel" in str(path) or "embedding" in str(path)]
    assert len(random) == 4 + 2 + 8 + 1
    assert len({np.asarray(leaf).tobytes() for leaf in random}) == len(random)
    assert jnp.isfinite(model.apply(params, tokens)).all()


@check("flax")
def a_linen_model_is_initialized_in_shards_under_jit():
    from flax import linen as nn

    model, tokens = linen_model()
    abstract = jax.eval_shape(model.init, jax.random.key(42), tokens)
    shardings = nn.get_sharding(abstract, MESH)
    with jax.set_mesh(MESH):
        params = jax.jit(model.init, out_shardings=shardings)(jax.random.key(42), tokens)
    kernel = params["params"]["Dense_0"]["kernel"].value
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(4, 4)}
    same_trees(params, model.init(jax.random.key(42), tokens))


@check("flax")
def a_linen_model_is_initialized_by_name_like_a_checkpoint():
    from flax import linen as nn
    from safetensors.flax import load_file

    model, tokens = linen_model()
    abstract = jax.eval_shape(model.init, jax.random.key(0), tokens)
    rules = {
        "*/bias": "zeros",
        "*/scale": "ones",
        "*/embedding": sb.RandomNormal(stddev=0.02),
        "*/out/kernel": sb.GlorotNormal(input_axes=[0, 1], output_axes=[2]),
        "*Attention_0/*/kernel": sb.GlorotNormal(input_axes=[0], output_axes=[1, 2]),
        "*": sb.GlorotNormal(),
    }
    params = sj.initialize(abstract, rules, seed=42, shardings=nn.get_sharding(abstract, MESH))
    assert params["params"]["Dense_0"]["kernel"].value.sharding.spec == P("data", "model")
    write_checkpoint(sj.plan_of(abstract, rules), FOLDER / "linen.safetensors", seed=42)
    tensors = load_file(FOLDER / "linen.safetensors")
    same(params["params"]["Dense_0"]["kernel"].value, tensors["params/Dense_0/kernel"])
    attention = params["params"]["MultiHeadDotProductAttention_0"]
    for name, shape in (("query", (16, 16)), ("out", (16, 16))):  # the fans of the matrix that linen initializes
        path = f"params/MultiHeadDotProductAttention_0/{name}/kernel"
        same(attention[name]["kernel"].reshape(16, 16), child(sb.GlorotNormal(), 42, path, shape))
        same(attention[name]["kernel"], tensors[path])
    assert jnp.isfinite(model.apply(params, tokens)).all()


def nnx_model():
    from flax import nnx

    kernel = sj.initializer("glorot_normal")

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.embed = nnx.Embed(32, 16, embedding_init=sj.initializer(sb.RandomNormal(stddev=0.02)), rngs=rngs)
            self.conv = nnx.Conv(16, 16, (3,), kernel_init=sj.initializer("he_normal"), rngs=rngs)
            self.norm = nnx.BatchNorm(16, rngs=rngs)
            self.dropout = nnx.Dropout(0.1, rngs=rngs)
            self.attention = nnx.MultiHeadAttention(
                4, 16, kernel_init=kernel, out_kernel_init=kernel, decode=False, rngs=rngs
            )
            self.cell = nnx.LSTMCell(16, 16, kernel_init=kernel, recurrent_kernel_init=kernel, rngs=rngs)
            self.dense = nnx.Linear(16, 8, kernel_init=nnx.with_partitioning(kernel, ("data", "model")), rngs=rngs)

        def __call__(self, tokens):
            x = self.dropout(self.norm(self.conv(self.embed(tokens))))
            return self.dense(self.attention(x))

    return nnx, Model


@check("flax")
def nnx_modules_get_the_same_values_compiled_sharded_or_not():
    nnx, model = nnx_model()

    @nnx.jit
    def create():
        made = model(nnx.Rngs(42))
        state = nnx.state(made)
        nnx.update(made, jax.lax.with_sharding_constraint(state, nnx.get_partition_spec(state)))
        return made

    with jax.set_mesh(MESH):
        before = _core.xla_evaluated()
        spread = create()
        jax.block_until_ready(nnx.state(spread, nnx.Param))
        assert _core.xla_evaluated() > before
        eager = model(nnx.Rngs(42))
    kernel = spread.dense.kernel.get_value()
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(4, 4)}
    same_trees(nnx.state(spread, nnx.Param), nnx.state(eager, nnx.Param))


@check("flax")
def an_nnx_module_is_initialized_by_name_and_class():
    nnx, model = nnx_model()
    with jax.set_mesh(MESH):
        abstract = nnx.eval_shape(lambda: model(nnx.Rngs(0)))
        rules = [
            ("norm/var", "ones"),
            (nnx.BatchStat, "zeros"),
            ("*/bias", "zeros"),
            ("*/scale", "ones"),
            ("*", "he_normal"),
        ]
        _, params, _ = nnx.split(abstract, (nnx.Param, nnx.BatchStat), ...)
        made = sj.initialize(params, rules, seed=42, shardings=nnx.get_named_sharding(params, MESH))
    same(made["dense"]["kernel"].get_value(), child(sb.HeNormal(), 42, "dense/kernel", (16, 8)))
    assert made["dense"]["kernel"].get_value().sharding.spec == P("data", "model")
    same(made["norm"]["var"].get_value(), np.ones(16, np.float32))
    same(made["norm"]["mean"].get_value(), np.zeros(16, np.float32))
    plan = sj.plan_of(abstract, rules, skip=nnx.RngState)
    assert {tensor.name for tensor in plan.tensors} == {tensor.name for tensor in sj.plan_of(params, rules).tensors}
    with jax.set_mesh(MESH):
        whole = sj.initialize(abstract, rules, seed=42, skip=nnx.RngState)
    same_trees(nnx.state(whole, nnx.Param), nnx.filter_state(made, nnx.Param))


@check("equinox")
def an_equinox_module_is_initialized_by_path_and_class():
    import equinox as eqx

    abstract = eqx.filter_eval_shape(eqx.nn.MLP, 4, 2, 8, 2, key=jax.random.key(0))
    init = sb.KaimingUniform(layout="torch")
    model = sj.initialize(abstract, [("*/bias", "zeros"), (eqx.nn.Linear, init)], seed=42)
    assert jnp.isfinite(jax.vmap(model)(jnp.ones((3, 4)))).all()
    assert [tensor.name for tensor in sj.plan_of(abstract, {"*": "zeros"}).tensors] == [
        f"layers/{layer}/{name}" for layer in range(3) for name in ("weight", "bias")
    ]
    same(model.layers[1].weight, child(init, 42, "layers/1/weight", (8, 8)))
    again = sj.initialize(model, {"layers/2/*": "zeros"}, seed=1, only="layers/2/*")
    same(again.layers[1].weight, model.layers[1].weight)
    assert not again.layers[2].weight.any()
    if importlib.util.find_spec("torch"):
        import torch

        import seedbed.torch

        layer = torch.nn.Linear(8, 8)
        seedbed.torch.fill_(layer.weight, init.with_seed(sb.SeedGenerator(42).child("layers/1/weight")))
        same(model.layers[1].weight, layer.weight.detach().numpy())


@check("haiku")
def haiku_modules_get_the_same_values_compiled_or_not():
    import haiku as hk

    function = sj.initializer("glorot_normal")

    def forward(x):
        def init(shape, dtype):
            return function(hk.next_rng_key(), shape, dtype)

        return hk.Linear(3, w_init=init)(hk.nets.MLP([8, 8], w_init=init)(x))

    model, x = hk.transform(forward), jnp.ones((2, 4))
    params = model.init(jax.random.key(42), x)
    same_trees(jax.jit(model.init)(jax.random.key(42), x), params)
    assert (params["mlp/~/linear_1"]["w"][:4] != params["mlp/~/linear_0"]["w"]).any()
    abstract = jax.eval_shape(model.init, jax.random.key(0), x)
    named = sj.initialize(abstract, {"*/b": "zeros", "*": "glorot_normal"}, seed=42)
    same(named["mlp/~/linear_1"]["w"], child(sb.GlorotNormal(), 42, "mlp/~/linear_1/w", (8, 8)))
    assert jnp.isfinite(model.apply(named, None, x)).all()


TREE = {"first": jax.ShapeDtypeStruct((16, 8), "float32"), "second": jax.ShapeDtypeStruct((8, 4), "float32")}
SHARDINGS = {"first": NamedSharding(MESH, P("data", "model")), "second": NamedSharding(MESH, P(None, "model"))}


@check("optax")
def optax_trains_initialized_and_donated_arrays():
    import optax

    optimizer = optax.adam(0.001)
    params = sj.initialize(TREE, {"*": "he_normal"}, seed=42, shardings=SHARDINGS)
    kept = jax.tree.map(np.array, params)
    untouched = sj.initialize(TREE, {"*": "he_normal"}, seed=42, shardings=SHARDINGS)

    def loss(params):
        return ((jnp.ones((2, 16)) @ params["first"] @ params["second"]) ** 2).sum()

    def step(params, state):
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    before = loss(params)
    trained, _ = jax.jit(step, donate_argnums=(0, 1))(params, optimizer.init(params))
    assert loss(trained) < before
    assert trained["first"].sharding.is_equivalent_to(SHARDINGS["first"], 2)
    same_trees(untouched, kept)


@check("orbax")
def orbax_saves_and_restores_the_arrays_with_their_shardings():
    import orbax.checkpoint as ocp

    params = sj.initialize(TREE, {"*": "he_normal"}, seed=42, shardings=SHARDINGS)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save((FOLDER / "orbax").resolve(), params)
        checkpointer.wait_until_finished()
        abstract = jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), TREE, SHARDINGS
        )
        restored = checkpointer.restore((FOLDER / "orbax").resolve(), abstract)
    same_trees(restored, params)
    assert jax.tree.map(lambda leaf: leaf.sharding, restored) == SHARDINGS
    same_trees(sj.initialize(abstract, {"*": "he_normal"}, seed=42), params)  # with the shardings of the leaves


def main():
    print(json.dumps({"raised": run(), "missing": sorted(MISSING)}))


if __name__ == "__main__":
    main()

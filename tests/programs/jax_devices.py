"""Checks of seedbed.jax on eight devices of one host. test_jax.py runs this program.

    XLA_FLAGS=--xla_force_host_platform_device_count=8 python tests/programs/jax_devices.py

prints JSON: the traceback of each check (null if it passed).
"""

import json
import math
import os
import sys
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"
sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P
from support.checks import check, run, same

import seedbed as sb
import seedbed.jax as sj
from seedbed import _core
from seedbed.regions import shape_of
from seedbed.rules import Rule

MESHES = {"8": ((8,), ("a",)), "4x2": ((4, 2), ("a", "b")), "2x2x2": ((2, 2, 2), ("a", "b", "c"))}
SPECS = {
    "8": [P(), P("a"), P(None, "a")],
    "4x2": [P("a"), P("b"), P(None, "b"), P("a", "b"), P("b", "a"), P(("a", "b")), P(None, ("b", "a"))],
    "2x2x2": [P("c"), P("a", "c"), P(("c", "a"), "b"), P(None, ("a", "b", "c")), P("b", ("a",))],
}
"""Shardings of a matrix: on each mesh some replicate axes, and some use another order than the mesh."""

COUNTED = []
"""Sizes of the regions that `Counted` evaluated."""


class CountedRule(Rule):
    """Wraps a rule and counts the regions that it evaluates."""

    def __init__(self, rule, size):
        self.rule, self.size = rule, size

    @property
    def needs_whole(self):
        return self.rule.needs_whole

    def write(self, out, axes=None):
        COUNTED.append(self.size if axes is None else math.prod(shape_of(axes)))
        self.rule.write(out, axes)


class Counted(sb.Initializer):
    """Wraps an initializer and counts the regions that it evaluates."""

    parameters = ("initializer", "seed")

    def __init__(self, initializer, seed=None):
        self.initializer, self.seed = initializer, seed

    def with_seed(self, seed):
        return Counted(self.initializer, seed)

    def get_config(self):
        return {"initializer": self.initializer.get_config(), "seed": self.seed}

    def rule(self, shape, dtype):
        return CountedRule(self.initializer.with_seed(self.seed).rule(shape, dtype), math.prod(shape))


def shardings():
    for name, (shape, axes) in MESHES.items():
        for kind in (AxisType.Auto, AxisType.Explicit):
            mesh = jax.make_mesh(shape, axes, axis_types=(kind,) * len(axes))
            for spec in SPECS[name]:
                yield NamedSharding(mesh, spec)


def distinct(array):
    return {str(shard.index): shard.data.size for shard in array.addressable_shards}


@check
def each_distinct_shard_is_evaluated_once_on_every_mesh():
    for sharding in shardings():
        for dtype in (np.float32, ml_dtypes.bfloat16):
            COUNTED.clear()
            array = sj.array(Counted(sb.GlorotNormal(), 3), (16, 24), dtype, sharding=sharding)
            assert array.sharding == sharding
            assert sorted(COUNTED) == sorted(distinct(array).values()), (sharding, COUNTED)
            assert sum(COUNTED) == 16 * 24
            same(array, sb.GlorotNormal(seed=3)((16, 24), dtype))
            for shard in array.addressable_shards:
                same(shard.data, sb.GlorotNormal(seed=3).lazy((16, 24), dtype)[shard.index])


@check
def tensors_of_any_rank_and_dtype_are_sharded():
    mesh = jax.make_mesh((4, 2), ("a", "b"))
    for shape, spec in [((8,), P("a")), ((), P()), ((8, 3, 6), P("a", None, "b")), ((0, 4), P()), ((4, 0), P("a"))]:
        for dtype in ("float16", "float32", "bfloat16", "float8_e4m3fn", "complex64"):
            init = sb.RandomNormal(seed=9) if dtype == "complex64" else sb.TruncatedNormal(seed=9)
            same(sj.array(init, shape, dtype, sharding=NamedSharding(mesh, spec)), init(shape, dtype))
    same(sj.array(sb.Constant(3), (8, 2), "int32", sharding=NamedSharding(mesh, P("a"))), np.full((8, 2), 3, np.int32))


@check
def an_orthogonal_tensor_is_evaluated_once():
    mesh = jax.make_mesh((4, 2), ("a", "b"))
    COUNTED.clear()
    array = sj.array(Counted(sb.Orthogonal(), 3), (16, 8), sharding=NamedSharding(mesh, P("a", "b")))
    assert COUNTED == [16 * 8]
    same(array, sb.Orthogonal(seed=3)((16, 8)))


@check
def a_spec_refers_to_the_current_mesh():
    mesh = jax.make_mesh((4, 2), ("a", "b"))
    with jax.set_mesh(mesh):
        array = sj.array(sb.HeNormal(seed=1), (8, 6), sharding=P("a", "b"))
        function = sj.initializer("he_normal")(jax.random.key(1), (8, 6), out_sharding=P("a", "b"))
        everywhere = sj.initializer("he_normal")(jax.random.key(1), (8, 6))
    assert array.sharding == function.sharding == NamedSharding(mesh, P("a", "b"))
    same(array, sb.HeNormal(seed=1)((8, 6)))
    same(function, sb.HeNormal(seed=1)((8, 6)))
    assert everywhere.sharding == NamedSharding(mesh, P())
    with pytest.raises(ValueError, match="no mesh"):
        sj.array(sb.HeNormal(seed=1), (8, 6), sharding=P("a", "b"))


@check
def a_single_device_gets_the_whole_tensor():
    for device in (jax.devices()[5], SingleDeviceSharding(jax.devices()[5])):
        array = sj.array(sb.HeNormal(seed=1), (8, 6), sharding=device)
        assert array.devices() == {jax.devices()[5]}
        assert array.committed
    assert not sj.array(sb.HeNormal(seed=1), (8, 6)).committed


@check
def uneven_shards_are_refused_before_evaluation():
    sharding = NamedSharding(jax.make_mesh((8,), ("a",)), P("a"))
    for make in (
        lambda: sj.array(Counted(sb.HeNormal(), 1), (10, 8), sharding=sharding),
        lambda: sj.initialize(
            {"a": jax.ShapeDtypeStruct((8,), "float32"), "b": jax.ShapeDtypeStruct((10, 8), "float32")},
            {"*": Counted(sb.HeNormal())},
            seed=1,
            shardings=sharding,
        ),
    ):
        COUNTED.clear()
        with pytest.raises(ValueError, match="evenly divide"):
            make()
        assert not COUNTED


@check
def padding_a_tensor_keeps_its_first_rows():
    sharding = NamedSharding(jax.make_mesh((8,), ("a",)), P("a"))
    padded = sj.array(sb.RandomNormal(seed=1), (16, 8), sharding=sharding)
    same(np.asarray(padded)[:10], sb.RandomNormal(seed=1)((10, 8)))


@check
def a_tree_is_sharded_by_its_shardings():
    mesh = jax.make_mesh((4, 2), ("a", "b"))
    rules = {"*bias": "zeros", "*": sb.GlorotUniform()}
    tree = {
        "first": {"kernel": jax.ShapeDtypeStruct((8, 16), "float32"), "bias": jax.ShapeDtypeStruct((16,), "float32")},
        "second": [
            jax.ShapeDtypeStruct((16, 4), "bfloat16", sharding=NamedSharding(mesh, P("a"))),
            jax.ShapeDtypeStruct((16, 4), "float32"),
        ],
    }
    rows, columns = NamedSharding(mesh, P("a")), NamedSharding(mesh, P(None, "b"))
    shardings = {"first": {"kernel": columns, "bias": rows}, "second": None}
    params = sj.initialize(tree, rules, seed=5, shardings=shardings)
    assert params["first"]["kernel"].sharding == columns
    assert params["first"]["bias"].sharding == rows
    assert params["second"][0].sharding == NamedSharding(mesh, P("a"))
    assert len(params["second"][1].devices()) == 1
    for name, tensor in [("first/kernel", params["first"]["kernel"]), ("second/0", params["second"][0])]:
        init = sb.GlorotUniform(seed=sb.SeedGenerator(5).child(name))
        same(tensor, init(tensor.shape, tensor.dtype))
    again = sj.initialize(params, rules, seed=5)  # arrays committed to devices
    assert jax.tree.map(lambda leaf: leaf.sharding, again) == jax.tree.map(lambda leaf: leaf.sharding, params)
    everywhere = sj.initialize(tree, rules, seed=5, shardings=NamedSharding(mesh, P()))
    for one, other, third in zip(*map(jax.tree.leaves, (params, again, everywhere)), strict=True):
        same(one, np.asarray(other))
        same(third, np.asarray(other))
        assert third.is_fully_replicated


@check
def an_array_can_be_donated_and_updated():
    sharding = NamedSharding(jax.make_mesh((4, 2), ("a", "b")), P("a"))
    expected = sb.HeNormal(seed=1)((512, 64))
    array = sj.array(sb.HeNormal(seed=1), (512, 64), sharding=sharding)
    untouched = sj.array(sb.HeNormal(seed=1), (512, 64), sharding=sharding)
    doubled = jax.jit(lambda x: x * 2, donate_argnums=0)(array)
    same(doubled, expected * 2)
    same(untouched, expected)


def init_of(init, shape, dtype=None):
    return lambda key: sj.initializer(init)(key, shape, dtype)


def evaluated(function, *arguments):
    """Return the result of a compiled function, and the number of elements that the engine evaluated for it."""
    before = _core.xla_evaluated()
    result = jax.block_until_ready(function(*arguments))
    return result, _core.xla_evaluated() - before


@check
def a_sharded_program_evaluates_the_shard_of_each_device():
    expected = sb.GlorotNormal(seed=42)((16, 24))
    for sharding in shardings():
        function = jax.jit(init_of(sb.GlorotNormal(), (16, 24)), out_shardings=sharding)
        array, count = evaluated(function, jax.random.key(42))
        assert array.sharding == sharding
        assert count == sum(shard.data.size for shard in array.addressable_shards), (sharding, count)
        same(array, expected)


@check
def shards_of_any_rank_and_dtype_are_those_of_the_whole():
    mesh = jax.make_mesh((4, 2), ("a", "b"))
    for shape, spec in [((8,), P("a")), ((), P()), ((8, 3, 6), P("a", None, "b")), ((2, 4, 8), P("b", None, "a"))]:
        for dtype in ("float16", "float32", "bfloat16", "float8_e4m3fn", "complex64"):
            init = sb.RandomNormal() if dtype == "complex64" else sb.TruncatedNormal()
            function = jax.jit(init_of(init, shape, dtype), out_shardings=NamedSharding(mesh, spec))
            same(function(jax.random.key(9)), init.with_seed(9)(shape, dtype))


@check
def keys_of_stacked_layers_are_sharded_with_them():
    mesh = jax.make_mesh((4, 2), ("a", "b"))
    keys = jax.random.split(jax.random.key(1), 8)
    expected = np.stack([sj.initializer("he_normal")(key, (6, 4)) for key in keys])
    for spec in (P(), P("a"), P("b"), P("a", "b"), P(None, "b", "a"), P(("a", "b"))):
        function = jax.jit(jax.vmap(init_of("he_normal", (6, 4))), out_shardings=NamedSharding(mesh, spec))
        array, count = evaluated(function, keys)
        assert count == sum(shard.data.size for shard in array.addressable_shards), (spec, count)
        same(array, expected)


@check
def each_device_has_its_own_key_within_shard_map():
    mesh = jax.make_mesh((8,), ("a",))
    keys = jax.device_put(jax.random.split(jax.random.key(1), 8), NamedSharding(mesh, P("a")))
    body = jax.shard_map(
        lambda keys: init_of("he_normal", (4, 6))(keys[0])[None], mesh=mesh, in_specs=P("a"), out_specs=P("a")
    )
    array, count = evaluated(jax.jit(body), keys)
    assert count == 8 * 24
    same(array, np.stack([sj.initializer("he_normal")(key, (4, 6)) for key in np.asarray(jax.random.key_data(keys))]))


@check
def a_traced_call_returns_the_requested_sharding():
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((4, 2), ("a", "b"), axis_types=(kind,) * 2)
        for sharding in (P("a", "b"), NamedSharding(mesh, P("a", "b"))):
            function = jax.jit(lambda key, sharding=sharding: sj.initializer("he_normal")(key, (8, 6), None, sharding))
            with jax.set_mesh(mesh):
                array, count = evaluated(function, jax.random.key(1))
            assert count == 48
            assert array.sharding == NamedSharding(mesh, P("a", "b"))
            same(array, sb.HeNormal(seed=1)((8, 6)))


@check
def callbacks_to_python_are_sharded_too():
    sharding = NamedSharding(jax.make_mesh((4, 2), ("a", "b")), P("a", "b"))
    keys = jax.random.split(jax.random.key(1), 8)
    mesh = jax.make_mesh((8,), ("z",))
    for init, path in [
        (sb.Orthogonal(), None),
        (sb.HeNormal(), "x"),
        (sb.Blocks("zeros", [(np.s_[:2], "ones")]), None),
    ]:
        function = sj.initializer(init, path=path)
        made = jax.jit(lambda key, function=function: function(key, (16, 8)), out_shardings=sharding)(keys[0])
        same(made, np.asarray(function(keys[0], (16, 8))))
        body = jax.shard_map(
            lambda keys, function=function: function(keys[0], (4, 4))[None],
            mesh=mesh,
            in_specs=P("z"),
            out_specs=P("z"),
        )
        same(
            jax.jit(body)(jax.device_put(keys, NamedSharding(mesh, P("z")))),
            np.stack([function(key, (4, 4)) for key in keys]),
        )


@check
def uneven_shards_are_cut_from_the_whole_tensor():
    mesh = jax.make_mesh((8,), ("a",), axis_types=(AxisType.Auto,))

    def function(key):
        made = init_of("random_normal", (10, 8))(key)
        return jax.lax.with_sharding_constraint(made, NamedSharding(mesh, P("a"))) * 2

    same(jax.jit(function)(jax.random.key(1)), sb.RandomNormal(seed=1)((10, 8)) * 2)


def main():
    print(json.dumps(run()))


if __name__ == "__main__":
    main()

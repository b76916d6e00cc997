"""Two processes of jax.distributed, each with four devices. test_jax.py runs `python jax_processes.py PORT PROCESS`.

Each process compares its shards with the whole tensors, and what it evaluates with the size of its shards.
"""

import os
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import seedbed as sb
import seedbed.jax as sj
from seedbed import _core, rules

PORT, PROCESS = sys.argv[1], int(sys.argv[2])


def evaluated(function):
    """Return the result of a call, and the number of elements that the engine evaluates for it."""
    counted = []
    write = rules.Sampled.write

    def counting(self, out, axes=None):
        counted.append(out.size)
        write(self, out, axes)

    before = _core.xla_evaluated()
    rules.Sampled.write = counting
    try:
        result = jax.block_until_ready(function())
    finally:
        rules.Sampled.write = write
    return result, sum(counted) + _core.xla_evaluated() - before


def check(array, expected):
    for shard in array.addressable_shards:
        assert np.asarray(shard.data).tobytes() == np.ascontiguousarray(expected[shard.index]).tobytes()


def main():
    jax.distributed.initialize(f"localhost:{PORT}", 2, PROCESS)
    assert jax.device_count() == 8
    assert jax.local_device_count() == 4
    mesh = jax.make_mesh((4, 2), ("a", "b"), axis_types=(AxisType.Auto,) * 2)
    expected = sb.GlorotNormal(seed=42)((16, 24))
    for spec in (P(), P("a"), P("b"), P("a", "b"), P(None, ("b", "a"))):
        sharding = NamedSharding(mesh, spec)
        array, count = evaluated(
            lambda sharding=sharding: sj.array(sb.GlorotNormal(seed=42), (16, 24), sharding=sharding)
        )
        check(array, expected)
        distinct = {str(shard.index): shard.data.size for shard in array.addressable_shards}
        assert count == sum(distinct.values()), (spec, count)
        function = jax.jit(lambda key: sj.initializer("glorot_normal")(key, (16, 24)), out_shardings=sharding)
        array, count = evaluated(lambda function=function: function(jax.random.key(42)))
        check(array, expected)
        assert count == sum(shard.data.size for shard in array.addressable_shards), (spec, count)
    tree = {"kernel": jax.ShapeDtypeStruct((16, 24), "float32", sharding=NamedSharding(mesh, P("a")))}
    params, count = evaluated(lambda: sj.initialize(tree, {"*": "glorot_normal"}, seed=42))
    check(params["kernel"], sb.GlorotNormal(seed=sb.SeedGenerator(42).child("kernel"))((16, 24)))
    assert count == 16 * 24 // 2
    with pytest.raises(ValueError, match="must have a seed for devices of several processes"):
        sj.array(sb.GlorotNormal(), (16, 24), sharding=NamedSharding(mesh, P("a")))
    jax.distributed.shutdown()
    print("the same bits")


if __name__ == "__main__":
    main()

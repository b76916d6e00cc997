"""Checks of programs that compute the values themselves, on eight devices of one host. test_jax.py runs this program.

CPUs stand for other devices: their programs do not call the engine. It prints JSON: the traceback of each
check (null if it passed).
"""

import json
import os
import re
import sys
import warnings
from functools import cache, partial
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"
sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from support.checks import check, run, same
from support.devices import CASES, COUNT, differing

import seedbed as sb
import seedbed.jax as sj
from seedbed import _core
from seedbed.accelerators.samples import sample_of
from seedbed.jax import devices, traced

MESHES = [((8,), ("a",), P("a")), ((2, 2, 2), ("a", "b", "c"), P(("c", "a"), "b"))]


def init_of(init, shape, dtype=None):
    return lambda key: sj.initializer(init)(key, shape, dtype)


@cache
def compiled(sample, length):
    def program(key, stream, high, low):
        keystream = devices._Keystream(key, stream, high, low, length)
        return devices._values(sample, keystream.plane(0), lambda: keystream.plane(devices.TOP))

    return jax.jit(program)


def evaluate(sample, key, stream, runs):
    high, low = (runs.firsts >> np.uint64(32)).astype(np.uint32), runs.firsts.astype(np.uint32)
    made = compiled(sample, runs.length)(np.array(key, np.uint32), np.array(stream, np.uint32), high, low)
    return np.asarray(made).reshape(-1).view(f"u{made.dtype.itemsize}")


@check
def the_values_are_those_of_the_engine():
    # Each distribution and dtype is a separate program, which takes a second to compile.
    kept = {(sample, "float32") for sample in ("uniform", "truncated_normal", "normal")} | {("normal", "float16")}
    fast = [case for case in CASES if (case[0], case[2]) in kept and case[1] in {(1.0, 1.1), (0.3, 0.1), (0.0, 1e-6)}]
    chosen = CASES if "SEEDBED_COMPARED" in os.environ else fast
    compared, wrong = differing(evaluate, chosen)
    assert compared == len(chosen) * COUNT
    assert wrong == 0
    print(f"{compared} values compared, {wrong} differ", file=sys.stderr)


@check
def values_differ_without_the_opaque_zero():
    sample = sample_of(_core.Recipe("truncated_normal", (0.3, 0.1), "float32"))

    def program(words):
        made = devices.Operations(np.uint32(0))
        return devices.values(made, sample, words, None, None)

    words = np.random.default_rng(0).integers(1 << 32, size=100_000, dtype=np.uint32)
    right = jax.jit(lambda words: devices._values(sample, words, None))(words)
    assert (np.asarray(jax.jit(program)(words)) != np.asarray(right)).sum() > 1000


@check
def a_sharded_program_has_no_collective_and_the_bits_of_the_whole():
    for init, (shape, names, spec) in zip((sb.GlorotNormal(), sb.RandomNormal()), MESHES, strict=True):
        sharding = NamedSharding(jax.make_mesh(shape, names), spec)
        program = jax.jit(init_of(init, (16, 24)), out_shardings=sharding).lower(jax.random.key(42)).compile()
        text = program.as_text()
        assert not re.search(r"\b(all-\w+|collective-\w+|reduce-scatter|custom-call)(-\w+)?\(", text)
        array = program(jax.random.key(42))
        assert array.sharding.is_equivalent_to(sharding, 2)
        same(array, init.with_seed(42)((16, 24)))


@check
def parts_of_huge_tensors_have_the_bits_of_the_tensor():
    sample = sample_of(_core.Recipe("uniform", (0.0, 1.0), "float32"))
    words = np.array([9], np.uint32)
    for whole, shape, parts in [
        ((1 << 40, 1 << 20), (4, 1 << 20), (123, 0)),
        ((1 << 30, 3, 1 << 29), (2, 3, 16), ((1 << 29) - 1, 0, (1 << 25) - 1)),
        ((6, 10, 35), (3, 5, 7), (1, 1, 4)),
    ]:
        shape = (4, 1 << 10) if shape[-1] == 1 << 20 else shape
        made = jax.jit(partial(devices.part, sample, whole, shape))(words, np.array(parts, np.uint32))
        lazy = sb.RandomUniform(0.0, 1.0, seed=9).lazy(whole)
        same(made, lazy[tuple(slice(at * n, (at + 1) * n) for at, n in zip(parts, shape, strict=True))])


@check
def keys_of_stacked_layers_are_sharded_with_them():
    mesh = jax.make_mesh((4, 2), ("a", "b"))
    keys = jax.random.split(jax.random.key(1), 8)
    expected = np.stack([sj.initializer("he_normal")(key, (6, 4)) for key in keys])
    sharding = NamedSharding(mesh, P("b", None, "a"))
    same(jax.jit(jax.vmap(init_of("he_normal", (6, 4))), out_shardings=sharding)(keys), expected)


@check
def each_device_has_its_own_key_within_shard_map():
    mesh = jax.make_mesh((8,), ("a",))
    keys = jax.device_put(jax.random.split(jax.random.key(1), 8), NamedSharding(mesh, P("a")))
    body = jax.shard_map(
        lambda keys: init_of(sb.RandomNormal(), (4, 6))(keys[0])[None], mesh=mesh, in_specs=P("a"), out_specs=P("a")
    )
    expected = [sj.initializer(sb.RandomNormal())(key, (4, 6)) for key in np.asarray(jax.random.key_data(keys))]
    same(jax.jit(body)(keys), np.stack(expected))


@check
def constant_keys_odd_shapes_and_dtypes_give_the_same_bits():
    for init, shape, dtype in [
        (sb.TruncatedNormal(mean=0.3), (7, 5), "float32"),
        (sb.RandomNormal(), (), "bfloat16"),
        (sb.RandomUniform(), (0, 3), "float16"),
        (sb.RandomUniform(), (1, 1, 33), "float16"),
    ]:
        same(
            jax.jit(lambda of=(init, shape, dtype): init_of(*of)(jax.random.key(3)))(), init.with_seed(3)(shape, dtype)
        )


@check
def other_distributions_and_dtypes_are_left_to_the_host():
    sharding = NamedSharding(jax.make_mesh((4, 2), ("a", "b")), P("a", "b"))
    for init, dtype in [
        (sb.RandomNormal(stddev=1e-30), "float32"),
        (sb.TruncatedNormal(lower=0.0, upper=None), "float32"),
        (sb.HeNormal(), "float8_e5m2"),
        (sb.HeNormal(), "complex64"),
    ]:
        function = jax.jit(init_of(init, (16, 8), dtype), out_shardings=sharding)
        same(function(jax.random.key(3)), init.with_seed(3)((16, 8), dtype))
    stacked = jax.jit(jax.vmap(init_of(sb.RandomNormal(stddev=1e-30), (3, 4))))(jax.random.split(jax.random.key(1), 3))
    assert stacked.shape == (3, 3, 4)


@check
def the_host_evaluates_if_the_bits_of_a_device_differ():
    zeroed = devices.Operations.times
    devices.is_trusted.cache_clear()
    devices.Operations.times = lambda self, one, other: one * np.float32(other) if type(other) is float else one * other
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = jax.jit(init_of(sb.TruncatedNormal(), (11, 13)))(jax.random.key(3))
        assert any("such as element" in str(warning.message) for warning in caught)
        same(made, sb.TruncatedNormal(seed=3)((11, 13)))
    finally:
        devices.Operations.times = zeroed
        devices.is_trusted.cache_clear()


@check
def an_environment_variable_makes_the_host_evaluate():
    os.environ["SEEDBED_DEVICE"] = "host"
    try:
        program = jax.jit(init_of("he_normal", (11, 14))).lower(jax.random.key(3))
        assert "callback" in program.as_text()
        same(program.compile()(jax.random.key(3)), sb.HeNormal(seed=3)((11, 14)))
    finally:
        del os.environ["SEEDBED_DEVICE"]


def main():
    traced.ENGINES.clear()
    warnings.simplefilter("error")
    raised = run()
    assert _core.xla_evaluated() == 0
    print(json.dumps(raised))


if __name__ == "__main__":
    main()

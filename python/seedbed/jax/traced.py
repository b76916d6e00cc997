"""Tensors under transformations of JAX such as `jit`, `vmap`, `shard_map` and `scan`.

| rule of the initializer | action of the compiled program |
|---|---|
| `Sampled`, on a CPU | calls the engine (`src/xla_ffi.rs`) |
| `Sampled`, on another device | computes the values (`devices`) if it can; otherwise it calls Python on the host |
| `Repeated` | broadcasts a constant |
| any other | calls Python on the host, which evaluates the whole tensor |

A sharded program evaluates only the shard of each device in the first two cases. Devices other than CPUs compute the
distributions and dtypes of `seedbed.accelerators`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.extend.core import Primitive
from jax.interpreters import mlir
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from seedbed import _core
from seedbed.accelerators.samples import forced, sample_of
from seedbed.jax.devices import is_trusted, part
from seedbed.rules import Repeated, Rule, Sampled, compiled
from seedbed.shapes import Shape
from seedbed.threads import get_num_threads

ENGINES = {"cpu"}
"""Platforms whose programs call the engine."""

TARGET = "seedbed_part"
"""Name of the handler in compiled programs."""


class Sample(NamedTuple):
    """A tensor of independent values of one distribution."""

    distribution: str
    parameters: tuple[float, ...]
    shape: Shape
    dtype: np.dtype


def traced(
    rule: Rule, shape: Shape, dtype: np.dtype, words: jax.Array, evaluate: Callable[[Any], np.ndarray]
) -> jax.Array:
    """Return the tensor of a key.

    Arguments:
        rule: rule of the tensor, for any key.
        shape: shape of the tensor.
        dtype: dtype of the elements.
        words: words of the key.
        evaluate: function from the words of a key to its tensor, evaluated on the host. Used if a program cannot
            evaluate the rule.
    """
    if isinstance(rule, Repeated):
        return jax.numpy.broadcast_to(jax.numpy.asarray(rule.value, dtype), shape)
    if type(rule) is Sampled:
        distribution, parameters, _ = rule.recipe.__reduce__()[1]
        if _is_made_there(rule):
            return _of_keys(Sample(distribution, tuple(parameters), shape, dtype))(words)
    return called_back(shape, dtype, words, evaluate)


def _is_made_there(rule: Sampled) -> bool:
    """Return whether programs of JAX's default platform call the engine for a rule, or compute its values.

    All other programs call Python for the whole tensor, since the parts of a sharded program cannot call Python.
    """
    platform = jax.default_backend()
    return platform in ENGINES or (sample_of(rule.recipe) is not None and not forced() and is_trusted(platform))


def called_back(shape: Shape, dtype: np.dtype, words: jax.Array, evaluate: Callable[[Any], np.ndarray]) -> jax.Array:
    """Return the tensor of a key, evaluated by Python on the host."""
    return jax.pure_callback(evaluate, jax.ShapeDtypeStruct(shape, dtype), words, vmap_method="sequential")


def constrained(tensor: jax.Array, sharding: Any) -> jax.Array:
    """Return a tensor with a sharding, under `jit`. The compiled program evaluates each shard on its device."""
    mesh = sharding.mesh if isinstance(sharding, NamedSharding) else jax.sharding.get_abstract_mesh()
    if AxisType.Explicit in mesh.axis_types:
        return jax.sharding.reshard(tensor, sharding)
    return jax.lax.with_sharding_constraint(tensor, sharding)


@lru_cache(maxsize=1024)
def _of_keys(sample: Sample) -> Any:
    """Return a function from keys to tensors. All axes of the keys except the last are batch axes, added by `vmap`."""

    def of_keys(words: jax.Array) -> jax.Array:
        return _partitioned(sample, words.ndim - 1)(words)

    function = custom_vmap(of_keys)
    function.def_vmap(lambda size, batched, words: (function(words), True))
    return function


@lru_cache(maxsize=1024)
def _partitioned(sample: Sample, batches: int) -> Any:
    """Return a function from keys with this number of batch axes to tensors. Each device evaluates its own part."""

    def whole(words: jax.Array) -> jax.Array:
        return _part.bind(words, jax.numpy.zeros(len(sample.shape), np.uint32), whole=sample, shape=sample.shape)

    def partition(mesh: Mesh, operands: Any, result: Any) -> Any:
        sharding, shape = result.sharding, result.shape
        if mesh.empty:
            mesh = Mesh(np.array([*sharding.devices_indices_map(shape)]), ("devices",))
        try:
            local, table = sharding.shard_shape(shape), _parts(sharding, shape, mesh)
        except ValueError:  # It does not divide the shape: evaluate the whole tensor and slice it.
            sharding, local, table = NamedSharding(mesh, PartitionSpec()), shape, None

        def lowered(words: jax.Array) -> jax.Array:
            parts = jax.numpy.zeros(len(shape), np.uint32)
            if table is not None:
                parts = jax.numpy.asarray(table)[jax.lax.axis_index(mesh.axis_names)]
            for axis in range(batches):
                words = jax.lax.dynamic_slice_in_dim(words, parts[axis] * local[axis], local[axis], axis)
            return _part.bind(words, parts[batches:], whole=sample, shape=local[batches:])

        return mesh, lowered, sharding, (NamedSharding(mesh, PartitionSpec()),)

    batch = " ".join(f"batch{axis}" for axis in range(batches))
    axes = " ".join(f"axis{axis}" for axis in range(len(sample.shape)))
    function = custom_partitioning(whole)
    function.def_partition(
        partition,
        infer_sharding_from_operands=lambda mesh, operands, result: NamedSharding(mesh, PartitionSpec()),
        sharding_rule=f"{batch} words -> {batch} {axes}",
    )
    return function


def _parts(sharding: Any, shape: Shape, mesh: Mesh) -> np.ndarray:
    """Return the index of each device's part of a tensor along each axis, in parts."""
    local, indices = sharding.shard_shape(shape), sharding.devices_indices_map(shape)
    parts = [
        [(item.start or 0) // max(1, count) for item, count in zip(indices[device], local, strict=True)]
        for device in mesh.devices.flat
    ]
    return np.array(parts, np.uint32).reshape(mesh.size, len(shape))


def _abstract(words: Any, parts: Any, *, whole: Sample, shape: Shape) -> Any:
    return jax.core.ShapedArray((*words.shape[:-1], *shape), whole.dtype)


def _lower(context: Any, words: Any, parts: Any, *, whole: Sample, shape: Shape) -> Any:
    if "cpu" not in ENGINES:
        return _lower_there(context, words, parts, whole=whole, shape=shape)
    if not HAS_INTERFACE:
        raise NotImplementedError(
            "under jit, an initializer of seedbed needs version 0 of XLA's foreign function "
            f"interface. Call it outside of jit, or use seedbed.jax.initialize. Received: JAX {jax.__version__}"
        )
    return jax.ffi.ffi_lowering(TARGET)(
        context,
        words,
        parts,
        distribution=whole.distribution,
        parameters=np.array(whole.parameters, np.float64),
        lengths=np.array(whole.shape, np.int64),
    )


def _lower_there(context: Any, words: Any, parts: Any, *, whole: Sample, shape: Shape) -> Any:
    """Lower to the arithmetic of the values."""
    sample = sample_of(compiled(*whole[:2], whole.dtype))
    if sample is None:
        raise NotImplementedError(
            "under jit, an initializer whose values only the engine can evaluate must be compiled for "
            "JAX's default platform. Call it outside of jit, or make the arrays by seedbed.jax.array or "
            "seedbed.jax.initialize, which work for any device and compile nothing. "
            f"Received: {', '.join(context.module_context.platforms)}"
        )

    def of_keys(words: jax.Array, parts: jax.Array) -> jax.Array:
        batch = words.shape[:-1]
        of_key = partial(part, sample, whole.shape, shape)
        made = jax.vmap(of_key, in_axes=(0, None))(words.reshape(math.prod(batch), -1), parts)
        return made.reshape(*batch, *shape)

    return mlir.lower_fun(of_keys, multiple_results=False)(context, words, parts)


def _has_interface() -> bool:
    """Return whether XLA's interface has the handler's major version: JAX fails to start with a handler of another."""
    header = Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h"
    return re.search(r"#define XLA_FFI_API_MAJOR 0\b", header.read_text(encoding="utf-8")) is not None


_part = Primitive("seedbed_part")
"""Primitive for a part of the tensor of each key. Its operands are the words of the keys, and the index of the part
along each axis, counted in parts of the same shape."""

_part.def_abstract_eval(_abstract)
_part.def_impl(jax.jit(_part.bind, static_argnames=("whole", "shape")))
mlir.register_lowering(_part, _lower_there)
mlir.register_lowering(_part, _lower, platform="cpu")

if HAS_INTERFACE := _has_interface():
    _core.backend()  # Raises an error if the environment names a backend that this CPU does not have.
    get_num_threads()  # Sets the number of threads of the handler.
    jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(_core.xla_handler()), platform="cpu")

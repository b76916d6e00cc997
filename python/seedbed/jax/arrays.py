"""`array`: one tensor as a `jax.Array` of any sharding."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from seedbed.arguments import shortened
from seedbed.initializers import Initializer
from seedbed.lazy import LazyArray
from seedbed.regions import Axis, axes_of, axis_of, shape_of
from seedbed.rules import Repeated
from seedbed.shapes import ShapeLike, as_shape

ShardingLike: TypeAlias = "Sharding | PartitionSpec | jax.Device | None"
"""Types of the argument `sharding`."""

ALIGNMENT = 64
"""Alignment of memory that JAX uses on a CPU without copying it, in bytes."""


def array(initializer: Initializer, shape: ShapeLike, dtype: Any = None, *, sharding: ShardingLike = None) -> jax.Array:
    """Return the tensor of an initializer as a `jax.Array`.

    Nothing is compiled. Each process evaluates the shards of its own devices, and each distinct shard once, even if
    several devices have it. On a CPU the array uses the memory to which the values are written, without a copy.

    Arguments:
        initializer: an initializer of seedbed. If it is random and the sharding has devices of several processes, it
            needs a seed.
        shape: shape of the whole tensor: an integer or a sequence of integers.
        dtype: dtype of the elements; by default JAX's default float.
        sharding: a sharding of JAX, a device, or a `PartitionSpec` for the mesh that `jax.set_mesh` sets. It must
            divide the shape evenly, as JAX requires. By default, each device of that mesh has the whole tensor, or
            without a mesh, JAX's default device.

    Raises:
        TypeError: if `initializer` is not an initializer, or `sharding` is not a sharding.
        ValueError: if JAX does not have the dtype; if the sharding does not divide the shape; or if the initializer
            raises it.

    >>> import numpy as np, seedbed as sb, seedbed.jax
    >>> weight = seedbed.jax.array(sb.GlorotNormal(seed=42), (30, 20))
    >>> bool((np.asarray(weight) == sb.GlorotNormal(seed=42)((30, 20))).all())
    True
    """
    if not isinstance(initializer, Initializer):
        raise TypeError(f"initializer must be one of seedbed's. Received: {type(initializer).__name__}")
    dimensions, element = as_shape(shape), element_of(initializer, dtype)
    placed = as_sharding(sharding)
    if placed is not None:
        if not placed.is_fully_addressable and initializer.get_config().get("seed", 0) is None:
            raise ValueError(
                "an initializer must have a seed for devices of several processes: without one, each process would "
                f"draw different values. Received: {shortened(initializer)}"
            )
        placed.shard_shape(dimensions)  # Raises an error if it does not divide the shape.
    return spread(initializer.lazy(dimensions, element), placed)


def element_of(initializer: Initializer, dtype: Any) -> np.dtype:
    """Return the dtype of an initializer's result; JAX's default float if `dtype` is None or `float`.

    Raises:
        ValueError: if the initializer does not make the dtype, or JAX does not have it.
    """
    default = dtype is None or dtype is float
    element = initializer.as_dtype(jax.dtypes.canonicalize_dtype(float) if default else dtype)
    if jax.dtypes.canonicalize_dtype(element) != element:
        raise ValueError(f"dtype must be one that JAX has: set jax_enable_x64. Received: dtype={element.name}")
    return element


def as_sharding(sharding: Any) -> Sharding | None:
    """Return a sharding with devices; None for JAX's default device.

    Raises:
        TypeError: if it is not a sharding, a device or a `PartitionSpec`.
        ValueError: if it has no devices, and no mesh is set.
    """
    if isinstance(sharding, jax.Device):
        return SingleDeviceSharding(sharding)
    if isinstance(sharding, Sharding) and not isinstance(getattr(sharding, "mesh", None), AbstractMesh):
        return sharding
    if sharding is not None and not isinstance(sharding, (NamedSharding, PartitionSpec)):
        raise TypeError(
            f"sharding must be a sharding of JAX, a device or a PartitionSpec. Received: {shortened(sharding)}"
        )
    mesh = _mesh()
    if mesh is None and sharding is not None:
        raise ValueError(
            "a sharding without devices must be in a mesh: call within `with jax.set_mesh(mesh):`, outside of jit. "
            f"Received: {shortened(sharding)}, and no mesh"
        )
    spec = PartitionSpec() if sharding is None else sharding.spec if isinstance(sharding, NamedSharding) else sharding
    return None if mesh is None else NamedSharding(mesh, spec)


def _mesh() -> Mesh | None:
    """Return the mesh that `jax.set_mesh` sets. None without one, and under `jit`, where it has no devices."""
    if jax.sharding.get_abstract_mesh().empty:
        return None
    try:
        return jax.sharding.get_mesh()
    except ValueError:
        return None


def spread(values: LazyArray, sharding: Sharding | None) -> jax.Array:
    """Return a tensor as an array. Each distinct shard of this process is evaluated once.

    On a CPU, all shards of a tensor are in one block of memory, since the system provides large blocks faster. For
    other devices, the host keeps one shard at a time in memory.
    """
    if sharding is None:
        return jax.device_put(_evaluated(values, axes_of(values.shape)))
    devices: dict[tuple[Axis, ...], list[jax.Device]] = {}
    for device, index in sharding.addressable_devices_indices_map(values.shape).items():
        axes = tuple(axis_of(item, length, 0) for item, length in zip(index or (), values.shape, strict=True))
        devices.setdefault(axes, []).append(device)
    if values.rule.needs_whole and len(devices) > 1:
        values = LazyArray(Repeated(_evaluated(values, axes_of(values.shape))), values.shape, values.dtype)
    block = None
    if all(device.platform == "cpu" for device in sharding.addressable_devices):
        block = _memory(sum(_size(values, axes) for axes in devices))
    parts = []
    for axes, same in devices.items():
        part = _evaluated(values, axes, block)
        block = None if block is None else block[_size(values, axes) :]
        parts += [jax.device_put(part, SingleDeviceSharding(at, memory_kind=sharding.memory_kind)) for at in same]
    return jax.make_array_from_single_device_arrays(values.shape, sharding, parts, dtype=values.dtype)


def _evaluated(values: LazyArray, axes: Sequence[Axis], block: np.ndarray | None = None) -> np.ndarray:
    """Evaluate a region into new memory, or at the start of a given block of memory."""
    shape = shape_of(axes)
    memory = _memory(_size(values, axes)) if block is None else block
    out = memory[: prod(shape) * values.itemsize].view(values.dtype).reshape(shape)
    values.rule.write(out, axes)
    return out


def _size(values: LazyArray, axes: Sequence[Axis]) -> int:
    """Return the memory size of a region in bytes, rounded up so that the next region is aligned too."""
    return -(-prod(shape_of(axes)) * values.itemsize // ALIGNMENT) * ALIGNMENT


def _memory(size: int) -> np.ndarray:
    """Return new memory of a size in bytes, aligned so that JAX uses it on a CPU without a copy."""
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]

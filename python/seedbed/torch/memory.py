"""The memory of a tensor of torch: allocation, the local shard of a DTensor, checks, and writing."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain, product
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from seedbed.regions import Axis, axes_of, pieces, shape_of
from seedbed.rules import Repeated, Rule
from seedbed.shapes import Shape
from seedbed.torch.devices.ways import HOSTS, write_there

ShardIndices: TypeAlias = "list[list[range]]"
"""Indices of a local shard along each axis of the whole tensor: the concatenation of ranges."""

_PLAIN = (torch.Tensor, nn.Parameter)

PIECE_BYTES = 1 << 24
"""Size of a piece of values for memory that the engine cannot write in place (devices, strides), in bytes."""


def materialised(tensor: Any, device: torch.device | str | None, memory: Any = None) -> Any:
    """Return a tensor with memory for one on the meta device, of the same class and with the same attributes.

    Arguments:
        tensor: a tensor on the meta device.
        device: device of the result; by default the CPU, or the device type of the mesh of a DTensor.
        memory: a tensor whose memory the result shares; new memory by default.
    """
    if memory is not None:
        made = memory.detach()
    elif type(tensor) in _PLAIN and tensor.is_contiguous():
        # Not `empty_like`: for a tensor on the meta device it imports SymPy, which takes a second.
        made = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu" if device is None else device)
    else:
        kind = tensor.device_mesh.device_type if is_distributed(tensor) else "cpu"
        with torch.no_grad():
            made = torch.empty_like(tensor, device=kind if device is None else device)
    if isinstance(tensor, nn.Parameter):
        plain = type(made) is torch.Tensor
        made = (
            torch.Tensor._make_subclass(type(tensor), made, tensor.requires_grad)
            if plain
            else nn.Parameter(made, tensor.requires_grad)
        )
    for name, value in vars(tensor).items():
        vars(made).setdefault(name, value)
    return made


def class_of(module: str, name: str) -> Any:
    """Look a class up without importing its module: if an instance exists, it is loaded. Else return no class."""
    return getattr(sys.modules.get(module), name, ())


def is_distributed(tensor: Any) -> bool:
    """Return whether a tensor is a DTensor."""
    return type(tensor) not in _PLAIN and isinstance(tensor, class_of("torch.distributed.tensor", "DTensor"))


def local_shard(tensor: Any) -> tuple[Any, ShardIndices | None]:
    """Return the shard of a tensor in this process, and its region of the whole tensor; None for the whole.

    Raises:
        ValueError: if the region is not known.
    """
    if not is_distributed(tensor):
        return tensor, None
    region: ShardIndices = [[range(length)] for length in tensor.shape]
    with torch.no_grad():
        local = tensor.to_local()
    placements, mesh = tensor.placements, tensor.device_mesh
    if any(not placement.is_replicate() and not hasattr(placement, "dim") for placement in placements):
        raise ValueError(f"the placements of a DTensor must be Shard or Replicate. Received: {placements}")
    coordinate = mesh.get_coordinate()
    if coordinate is None:  # This process is not in the mesh.
        return local, [[]]
    # The axes of the mesh split the tensor from the first to the last, unless the tensor records another order.
    order = getattr(tensor._spec, "shard_order", None) or [(None, range(mesh.ndim))]
    for axis in chain.from_iterable(axes for _, axes in order):
        placement = placements[axis]
        if not placement.is_replicate():
            cut = placement.dim % len(region)
            region[cut] = _shard(region[cut], mesh.size(axis), coordinate[axis], getattr(placement, "split_factor", 1))
    if tuple(local.shape) != tuple(sum(map(len, ranges)) for ranges in region):
        raise ValueError(
            f"a local shard must have the shape of its placements. Received: {tuple(local.shape)} of "
            f"{tuple(tensor.shape)} "
            f"at {coordinate} in a mesh of shape {tuple(mesh.shape)} with {placements}"
        )
    return local, region


def _shard(ranges: list[range], shards: int, index: int, split: int) -> list[range]:
    """Return the indices of one shard, where each of `split` chunks is divided among the shards (`_StridedShard`)."""
    parts = [_chunk(chunk, shards, index) for chunk in (_chunk(ranges, split, i) for i in range(split))]
    return [indices for part in parts for indices in part]


def _chunk(ranges: list[range], chunks: int, index: int) -> list[range]:
    """Return a chunk as `torch.chunk` makes them: of equal length, except that the last ones are shorter or empty."""
    length = -(-sum(map(len, ranges)) // chunks)
    starts = accumulate(map(len, ranges), initial=0)
    cut = [
        indices[max(0, index * length - start) : max(0, (index + 1) * length - start)]
        for indices, start in zip(ranges, starts, strict=False)
    ]
    return [indices for indices in cut if indices]


def write(tensor: Any, rule: Rule, shape: Shape, dtype: np.dtype) -> None:
    """Write what this process has of a tensor of that shape and dtype. `mark_changed` is left to the caller."""
    local, region = local_shard(tensor)
    write_region(local, rule, shape, dtype, region)


def mark_changed(tensors: Iterable[Any]) -> None:
    """Let autograd know that tensors were written to."""
    torch.autograd.graph.increment_version([tensor for tensor in tensors if not tensor.is_inference()])


def write_region(local: Any, rule: Rule, shape: Shape, dtype: np.dtype, region: ShardIndices | None) -> None:
    """Write a region of a tensor, or the whole without one, to memory."""
    if region is None and is_plain(local):
        rule.write(as_array(local, dtype), None)
        return
    axes = axes_of(shape)
    blocks = list(_blocks(shape, [[range(length)] for length in shape] if region is None else region))
    if blocks and rule.needs_whole and not (is_plain(local) and [block for block, _ in blocks] == [axes]):
        whole = np.empty(shape, dtype)  # once, for all its parts
        rule.write(whole)
        rule = Repeated(whole)
    with torch.no_grad():
        for block, place in blocks:
            part = local[place] if len(blocks) > 1 else local
            if is_plain(part):
                rule.write(as_array(part, dtype), None if block == axes else block)
            elif not (is_torchs(part) and write_there(part, rule, block)):
                _stage(part, rule, dtype, block)


def _blocks(shape: Shape, region: ShardIndices) -> Iterator[tuple[list[Axis], tuple[slice, ...]]]:
    """Yield the boxes that make up a region: their indices in the whole tensor, and in memory of the local shard."""
    placed = [list(zip(accumulate(map(len, ranges), initial=0), ranges, strict=False)) for ranges in region]
    for box in product(*placed):
        axes = [(length, indices.start, 1, len(indices)) for length, (_, indices) in zip(shape, box, strict=True)]
        yield axes, tuple(slice(start, start + len(indices)) for start, indices in box)


def is_plain(tensor: Any) -> bool:
    """Whether the tensor is memory of the CPU, one element behind the other, and nothing else."""
    return (
        tensor.is_cpu
        and "cpu" in HOSTS
        and tensor.is_contiguous()
        and not tensor.is_neg()
        and not tensor.is_conj()
        and is_torchs(tensor)
    )


def is_torchs(tensor: Any) -> bool:
    """Return whether a tensor's class leaves all operations on its memory to torch."""
    return type(tensor) in _PLAIN or type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__


_BITS = {1: torch.int8, 2: torch.int16}
"""Dtypes by element size, in bytes, through which NumPy and torch exchange float8, float16 and bfloat16."""


def as_array(tensor: Any, dtype: np.dtype) -> np.ndarray:
    """The memory of a plain tensor."""
    bits = tensor.data
    if dtype.itemsize in _BITS:
        bits = bits.view(_BITS[dtype.itemsize])
    array: np.ndarray = bits.numpy()
    return array if array.dtype == dtype else array.view(dtype)


def _stage(tensor: Any, rule: Rule, dtype: np.dtype, block: list[Axis]) -> None:
    """Write a box piece by piece: evaluate into a buffer, and copy the buffer to the tensor."""
    most = max(1, PIECE_BYTES // dtype.itemsize)
    buffer = np.empty(min(most, math.prod(shape_of(block))), dtype)
    if dtype.itemsize in _BITS:
        memory = torch.from_numpy(buffer.view(f"i{dtype.itemsize}")).view(tensor.dtype)
    else:
        memory = torch.from_numpy(buffer)
    for piece in pieces(shape_of(block), most):
        axes = [
            (length, start + first, 1, count)
            for (length, start, *_), (_, first, _, count) in zip(block, piece, strict=True)
        ]
        size = math.prod(shape_of(axes))
        rule.write(buffer[:size], axes)
        place = tuple(slice(first, first + count) for _, first, _, count in piece)
        tensor[place].copy_(memory[:size].view(shape_of(axes)))


def check_filled(tensor: Any, *, meta: bool = False) -> None:
    """Raise a ValueError unless a tensor is dense and has a shape and memory; `meta` allows it to have no memory."""
    if is_lazy(tensor):
        raise ValueError(
            "a parameter must have a shape, which a lazy one gets at its module's first call. Received: a lazy one"
        )
    if tensor.layout is not torch.strided:
        raise ValueError(f"a tensor must be dense. Received: layout={tensor.layout}")
    if tensor.is_meta and not meta:
        raise ValueError(
            "a tensor must have memory: give a module memory and values by seedbed.torch.initialize_, or memory by "
            "to_empty(device=...). Received: one on the meta device"
        )


def check_target(tensor: Any, *, need_memory: bool) -> None:
    """Check that a tensor can be initialized: written to, or replaced by a new tensor with memory.

    Arguments:
        tensor: a tensor, which is not lazy.
        need_memory: refuse a tensor whose elements have no memory of their own, unless it is on the meta device.

    Raises:
        ValueError: as `check_filled`, `local_shard` and `check_memory`.
    """
    if type(tensor) in _PLAIN and tensor.layout is torch.strided and tensor.is_contiguous():  # like nearly all tensors
        if tensor.is_meta or not need_memory:
            return
        if not tensor.storage_offset() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.itemsize:
            return
    check_filled(tensor, meta=True)
    local, _ = local_shard(tensor)
    if need_memory and not tensor.is_meta:
        check_memory(local)


def extent_of(tensor: Any) -> int:
    """Return the distance in memory from the first element of a tensor to its last, both included, in elements."""
    extent: int = 1 + sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return extent


def check_memory(tensor: Any) -> None:
    """Raise a ValueError unless a tensor's storage has memory for each element, and no two elements share it."""
    count = tensor.numel()
    if not count or not is_torchs(tensor):
        return
    if tensor.is_contiguous():
        extent = count
    else:
        extent = 1
        for stride, length in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
            if length > 1 and stride < extent:
                raise ValueError(
                    "the elements of a tensor must not share memory. "
                    f"Received: shape={tuple(tensor.shape)}, strides={tensor.stride()}"
                )
            extent += (length - 1) * stride
    size = tensor.untyped_storage().nbytes()
    if (tensor.storage_offset() + extent) * tensor.itemsize > size:
        raise ValueError(
            f"a tensor must have memory for its elements. Received: {size} bytes for {tuple(tensor.shape)}"
        )

"""The parameters and buffers of a module: their names, the layers around them, and which of them are tied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from seedbed.torch.memory import class_of, extent_of, is_distributed, is_torchs

WRAPPERS: Mapping[tuple[str, str], str] = {
    ("torch._dynamo.eval_frame", "OptimizedModule"): "_orig_mod",
    ("torch.nn.parallel.data_parallel", "DataParallel"): "module",
    ("torch.nn.parallel.distributed", "DistributedDataParallel"): "module",
    ("torch.distributed.algorithms._checkpoint.checkpoint_wrapper", "ActivationWrapper"): "_checkpoint_wrapped_module",
}
"""Classes of modules that wrap another, and the attribute with the wrapped one, which names of tensors omit."""


@dataclass(slots=True)
class Entry:
    """A parameter or a buffer."""

    name: str
    """The first of its names."""
    tensor: Any
    is_buffer: bool
    persistent: bool
    """Whether a `state_dict` has it."""
    layers: tuple[nn.Module, ...]
    """The modules around it, from the outermost to the one that has it as an attribute."""
    places: list[tuple[nn.Module, str]]
    """Every module that has it as an attribute, and the name of the attribute."""
    tied: tuple[Entry, ...] = ()
    """Later entries with the same memory."""


def unwrapped(module: Any) -> Any:
    """Return the module inside wrappers such as that of `torch.compile`."""
    wrappers = Wrappers()
    while (inner := wrappers.inner(module)) is not None:
        module = module._modules[inner]
    return module


class Wrappers:
    """Those classes of `WRAPPERS` that are imported, and whether a module is one of them."""

    def __init__(self) -> None:
        self._classes = [(cls, inner) for (place, name), inner in WRAPPERS.items() if (cls := class_of(place, name))]
        self._known: dict[type, str | None] = {}

    def inner(self, module: nn.Module) -> str | None:
        """Return the attribute of a wrapper with the wrapped module; None for a module that is not a wrapper."""
        kind = type(module)
        if kind not in self._known:
            self._known[kind] = next((inner for cls, inner in self._classes if issubclass(kind, cls)), None)
        return self._known[kind]


def entries_of(module: nn.Module, prefix: str) -> list[Entry]:
    """Return all parameters of a module, then all buffers, in its order. A tensor shared by modules is one entry."""
    parameters: dict[int, Entry] = {}
    buffers: dict[int, Entry] = {}
    for start, layer, layers in _layers(unwrapped(module), prefix, (), set(), Wrappers()):
        for key, tensor in layer._parameters.items():
            if tensor is not None:
                entry = parameters.get(id(tensor))
                if entry is None:
                    parameters[id(tensor)] = Entry(start + key, tensor, False, True, layers, [(layer, key)])
                else:
                    entry.places.append((layer, key))
        for key, tensor in layer._buffers.items():
            if tensor is not None and id(tensor) not in parameters:
                entry = buffers.get(id(tensor))
                if entry is None:
                    entry = buffers[id(tensor)] = Entry(start + key, tensor, True, False, layers, [])
                entry.persistent |= key not in layer._non_persistent_buffers_set
                entry.places.append((layer, key))
    return [*parameters.values(), *buffers.values()]


def _layers(
    module: nn.Module, prefix: str, above: tuple[nn.Module, ...], seen: set[int], wrappers: Wrappers
) -> Iterator[tuple[str, nn.Module, tuple[nn.Module, ...]]]:
    """Yield each module, parents first: the prefix of its tensors' names, the module, and the modules around it."""
    if id(module) in seen:
        return
    seen.add(id(module))
    layers = (*above, module)
    yield prefix, module, layers
    inner = wrappers.inner(module)
    for name, child in module._modules.items():
        if child is not None:
            yield from _layers(child, prefix if name == inner else f"{prefix}{name}.", layers, seen, wrappers)


def without_ties(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries without those whose memory an earlier entry has; these are added to its `tied`.

    Raises:
        ValueError: if two share only a part of their memory, or have it in a different order.
    """
    first: dict[int, list[Entry]] = {}
    kept = []
    for entry in entries:
        tensor = entry.tensor
        if is_distributed(tensor) or not is_torchs(tensor) or tensor.layout is not torch.strided or not tensor.numel():
            kept.append(entry)
            continue
        others = first.setdefault(tensor.untyped_storage()._cdata, [])
        same = next((other for other in others if _place(other.tensor) == _place(tensor)), None) if others else None
        if same is not None:
            same.tied = (*same.tied, entry)
            continue
        for other in others:
            if _overlap(other.tensor, tensor):
                raise ValueError(
                    "tensors must have memory of their own, or share all of it in one order. "
                    f"Received: {other.name} and {entry.name}, which share a part or have another order"
                )
        others.append(entry)
        kept.append(entry)
    return kept


def _place(tensor: Any) -> tuple[Any, ...]:
    return tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _overlap(one: Any, other: Any) -> bool:
    """Return whether two tensors of one storage share bytes."""
    (low, high), (start, end) = (
        (tensor.storage_offset() * tensor.itemsize, (tensor.storage_offset() + extent_of(tensor)) * tensor.itemsize)
        for tensor in (one, other)
    )
    if high <= start or end <= low:
        return False
    if one.dtype != other.dtype:
        return True
    taken = torch.zeros(max(high, end) // one.itemsize, dtype=torch.bool, device="cpu")
    taken.as_strided(one.shape, one.stride(), one.storage_offset()).fill_(True)
    return bool(taken.as_strided(other.shape, other.stride(), other.storage_offset()).any())


def computed_by(entry: Entry) -> str | None:
    """Return the name of the parametrization or hook that computes a weight from the tensor, or None."""
    owner, key = entry.places[0]
    for layer in entry.layers:
        if isinstance(layer, nn.utils.parametrize.ParametrizationList):
            return ", ".join(type(part).__name__ for part in layer)
    for hook in owner._forward_pre_hooks.values():
        name = getattr(hook, "name", None) or getattr(hook, "_tensor_name", None)
        if isinstance(name, str) and key.startswith(f"{name}_") and not hasattr(type(owner), name):
            return type(hook).__name__
    return None

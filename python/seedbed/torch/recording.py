"""`recording()`: a context in which modules are built on the meta device, and their initialization is recorded."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as modules
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from seedbed.initializers import Initializer
from seedbed.torch.collection import uncollected
from seedbed.torch.interception import intercepted
from seedbed.torch.recorder import Recorder
from seedbed.torch.translation import NotSet, Untranslated, shared, translated

_OF_DATA = frozenset(
    getattr(torch, name) for name in ("tensor", "as_tensor", "asarray", "from_file") if hasattr(torch, name)
)
"""Functions that make a tensor of data that are in memory already."""

_CONSTRUCTORS = frozenset(_device_constructors()) - _OF_DATA

_TO_PYTHON = frozenset((torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.__array__))

RECORD = "_seedbed_recorded"
"""The attribute of a module that has what was recorded of its own parameters and buffers, by their names."""


@dataclass(frozen=True)
class Recorded:
    """What was recorded of a parameter or a buffer."""

    shape: tuple[int, ...]
    initializer: Initializer | None
    """None if nothing was recorded, or what was recorded has no initializer."""
    reason: str
    """Why there is no initializer; empty if there is one, or nothing was recorded."""
    remark: str = ""


class OnMeta(TorchFunctionMode):  # type: ignore[misc]
    """New tensors are on the meta device, and numbers leave tensors as a recorder knows them."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in _CONSTRUCTORS and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        elif function in _TO_PYTHON:
            args = (self._recorder.records.numbers_of(args[0]), *args[1:])
        elif function is torch.Tensor.new_tensor and args[0].is_meta:
            kwargs = {"dtype": args[0].dtype, "device": "meta", **kwargs}
            function, args = torch.tensor, args[1:]
        if function in _OF_DATA and _is_meta(kwargs.get("device")):
            return self._recorder.adopted(function(*args, **{**kwargs, "device": "cpu"}))
        return function(*args, **kwargs)


def _is_meta(device: Any) -> bool:
    return device is not None and torch.device(device).type == "meta"


@contextmanager
def recorded(recorder: Recorder) -> Iterator[None]:
    """Record what is done to tensors."""
    with intercepted(recorder), OnMeta(recorder), recorder:
        yield


@contextmanager
def recording() -> Iterator[None]:
    """Build modules on the meta device, and record how their code initializes each parameter and buffer.

    Nothing is drawn and no parameter gets memory. Afterwards `initialize_` gives each parameter the distribution that
    its own code gives it.

    Raises:
        RecordingError: if the code asks for a random number.

    >>> import torch, seedbed.torch
    >>> with seedbed.torch.recording():
    ...     layer = torch.nn.Linear(4, 3)
    ...     _ = torch.nn.init.normal_(layer.weight, std=0.02)
    >>> layer.weight.is_meta
    True
    >>> print(seedbed.torch.recorded_rules(layer)["weight"])
    RandomNormal(mean=0.0, stddev=0.02)
    """
    recorder, built = Recorder(), dict[int, weakref.ref[nn.Module]]()

    def note(module: nn.Module, name: str, value: Any) -> None:
        built[id(module)] = weakref.ref(module)

    hooks = [
        modules.register_module_parameter_registration_hook(note),
        modules.register_module_buffer_registration_hook(note),
        modules.register_module_module_registration_hook(note),
    ]
    try:
        with recorded(recorder), uncollected():
            yield
    finally:
        for hook in hooks:
            hook.remove()
    with uncollected():
        _keep(recorder, [module for reference in built.values() if (module := reference()) is not None])


def _keep(recorder: Recorder, built: list[nn.Module]) -> None:
    """Write what was recorded to the modules that were built, and move their numbers to the meta device."""
    roots = _roots(built)
    places = [
        (f"{name}.{key}".lstrip("."), layer, key, tensor)
        for root in roots
        for name, layer in root.named_modules()
        for key, tensor in chain(layer._parameters.items(), layer._buffers.items())
        if tensor is not None and not nn.parameter.is_lazy(tensor)
    ]
    tensors = {id(tensor): (name, tensor) for name, _, _, tensor in reversed(places)}
    results = results_of(recorder, dict(reversed(tensors.values())))
    moved: dict[int, Any] = {}
    for _, layer, key, tensor in places:
        name, _ = tensors[id(tensor)]
        layer.__dict__.setdefault(RECORD, {})[key] = results[name]
        if not tensor.is_meta:
            setattr(layer, key, moved.setdefault(id(tensor), _on_meta(tensor)))
    for layer in chain(built, *(root.modules() for root in roots)):  # also those that `deepcopy` made
        layer.__dict__.setdefault(RECORD, {})


def results_of(recorder: Recorder, tensors: Mapping[str, Any]) -> dict[str, Recorded]:
    """What was recorded of tensors, by their names."""
    records = recorder.records
    copies = shared({n: (records.memory_of(t).number, records.contents_of(t)) for n, t in tensors.items()})
    results = {}
    for name, tensor in tensors.items():
        initializer, reason, remark = None, "", ""
        try:
            initializer = translated(records, tensor)
        except NotSet as error:
            reason = "" if str(error) == "nothing is written to it" else str(error)
        except Untranslated as error:
            reason = f"no initializer makes what it gets from {error}"
        other, operation = copies.get(name, ("", ""))
        if operation == "copy_":
            initializer, reason = None, f"copy_ gives it the random values of {other}, and each name draws its own here"
        elif other:
            remark = f"as {other}, with values of its own"
        results[name] = Recorded(tuple(tensor.shape), initializer, reason, remark)
    return results


def _roots(built: list[nn.Module]) -> list[nn.Module]:
    """The modules that are no part of another."""
    parts = {id(child) for module in built for child in module.children()}
    return [module for module in built if id(module) not in parts]


def _on_meta(tensor: Any) -> Any:
    made = torch.empty_like(tensor, device="meta")
    return type(tensor)(made, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made

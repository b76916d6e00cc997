"""`recording()`: build modules on the meta device, and record how their code initializes each parameter and buffer."""

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
from seedbed.torch.garbage_collection import uncollected
from seedbed.torch.recorder.dispatch import Recorder
from seedbed.torch.recorder.init_functions import intercepted
from seedbed.torch.recorder.initializers import NotSet, Untranslated, shared, translated

_OF_DATA = frozenset(
    getattr(torch, name) for name in ("tensor", "as_tensor", "asarray", "from_file") if hasattr(torch, name)
)
"""Functions that make a tensor of existing data."""

_CONSTRUCTORS = frozenset(_device_constructors()) - _OF_DATA

_TO_PYTHON = frozenset((torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.__array__))

RECORD = "_seedbed_recorded"
"""Attribute of a module with the `Recorded` of each of its own parameters and buffers, by name."""


@dataclass(frozen=True)
class Recorded:
    """The recorded initialization of a parameter or a buffer."""

    shape: tuple[int, ...]
    initializer: Initializer | None
    """None if nothing was recorded, or if the recorded values have no initializer."""
    reason: str
    """Why there is no initializer; empty if there is one, or if nothing was recorded."""
    remark: str = ""
    """Addition to the source in a plan, such as "as 0.weight, with values of its own"."""


class OnMeta(TorchFunctionMode):  # type: ignore[misc]
    """Create tensors on the meta device, and convert tensors to Python or NumPy with the recorded numbers."""

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
    """Record the operations on tensors within the context."""
    with intercepted(recorder), OnMeta(recorder), recorder:
        yield


@contextmanager
def recording() -> Iterator[None]:
    """Build modules on the meta device, and record how their code initializes each parameter and buffer.

    Within the context, no random number is drawn, and no parameter gets memory. Afterwards, `initialize_` gives each
    parameter the distribution that the code asked for.

    Raises:
        RecordingError: if the code reads a random number, as `if weight.max() > 1` does.

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
    """Attach the recorded results to the modules, and move parameters and buffers with memory to the meta device."""
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
    for layer in chain(built, *(root.modules() for root in roots)):  # Copies by `deepcopy` are only among the second.
        layer.__dict__.setdefault(RECORD, {})


def results_of(recorder: Recorder, tensors: Mapping[str, Any]) -> dict[str, Recorded]:
    """Return the recorded initialization of tensors, by name."""
    records = recorder.records
    copies = shared({n: (records.storage_of(t).number, records.contents_of(t)) for n, t in tensors.items()})
    results = {}
    for name, tensor in tensors.items():
        initializer, reason, remark = None, "", ""
        try:
            initializer = translated(records, tensor)
        except NotSet as error:
            reason = "" if str(error) == "nothing is written to it" else str(error)
        except Untranslated as error:
            reason = f"no initializer gives the values that it gets from {error}"
        other, operation = copies.get(name, ("", ""))
        if operation == "copy_":
            initializer, reason = None, f"copy_ gives it the random values of {other}, and each name draws its own here"
        elif other:
            remark = f"as {other}, with values of its own"
        results[name] = Recorded(tuple(tensor.shape), initializer, reason, remark)
    return results


def _roots(built: list[nn.Module]) -> list[nn.Module]:
    """Return the modules that are not children of another module."""
    parts = {id(child) for module in built for child in module.children()}
    return [module for module in built if id(module) not in parts]


def _on_meta(tensor: Any) -> Any:
    made = torch.empty_like(tensor, device="meta")
    return type(tensor)(made, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made

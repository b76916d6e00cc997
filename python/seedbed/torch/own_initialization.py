"""A module's own initialization: from the record of its construction, or by running its code again.

Methods that are run again, with stand-ins on the meta device instead of the tensors:

| method | is run |
|---|---|
| `reset_parameters`, `_reset_parameters` | for each layer, after those of its children |
| `initialize_weights`, `init_weights`, `_init_weights` | for a model, instead of those of its children |

All else that a constructor does is known only if it was recorded.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn

from seedbed.initializers import Initializer
from seedbed.torch.module_tensors import Entry
from seedbed.torch.recorder.contents import Contents
from seedbed.torch.recorder.context import RECORD, Recorded, recorded, results_of
from seedbed.torch.recorder.dispatch import Recorder

OF_LAYERS = ("reset_parameters", "_reset_parameters")
"""Methods that initialize a layer."""

OF_MODELS = ("initialize_weights", "init_weights", "_init_weights")
"""Methods that initialize a model with all its layers."""

RECORDED = "recorded"
"""Source, in plans, of an initialization by the code of the module's author."""

LAYER_DEFAULT = "layer default"
"""Source, in plans, of an initialization by `reset_parameters` of a class of torch."""

_NEUTRAL = ("torch", "builtins", "typing", "abc", "collections")
"""Packages of the base classes of a class that torch defines."""

_OF_MODULES = frozenset(vars(nn.Module()))
"""Names of the attributes that every module has."""


@dataclass(slots=True)
class Own:
    """The own initialization of a tensor."""

    initializer: Initializer | None
    """None if the own initialization is not known, or has no initializer."""
    source: str
    """`RECORDED` or `LAYER_DEFAULT`, and a remark; empty if the own initialization is not known."""
    reason: str = ""
    """Why there is no initializer; empty if there is one, or if no code of the module sets the tensor."""


def own_initialization(root: nn.Module, entries: Sequence[Entry]) -> dict[int, Own]:
    """Return the own initialization of each tensor of a module, by the identity of the tensor."""
    found: dict[int, Own] = {}
    for entry in entries:
        record = _record_of(entry)
        if record is not None:
            found[id(entry.tensor)] = Own(record.initializer, f"{RECORDED} {record.remark}".rstrip(), record.reason)
    if len(found) < len(entries):
        again = _Rerun()
        again.run(root)
        missing = [entry for entry in entries if id(entry.tensor) not in found]
        found.update(again.results(missing))
    return found


def _record_of(entry: Entry) -> Recorded | None:
    """Return the record of a tensor that was made when its module was built; None if there is no record."""
    for layer, key in entry.places:
        if RECORD in layer.__dict__:
            record: Recorded | None = layer.__dict__[RECORD].get(key)
            if record is not None and record.shape == tuple(entry.tensor.shape):
                return record
    return None


def is_recorded(layer: nn.Module) -> bool:
    """Return whether a module was built within `recording()`."""
    return RECORD in layer.__dict__


def is_torchs(cls: type) -> bool:
    """Return whether torch defines a class."""
    known = _torchs.get(cls)
    if known is None:
        known = _torchs[cls] = all(base.__module__.partition(".")[0] in _NEUTRAL for base in cls.__mro__)
    return known


_torchs: dict[type, bool] = {}


def unknown_class(entry: Entry) -> type | None:
    """Return the class whose constructor may have initialized a tensor in an unknown way, or None.

    It is the class of the outermost module around the tensor that was not recorded and is not one of torch's classes,
    if that class has no method to run again.
    """
    for layer in entry.layers:
        if not is_recorded(layer) and not is_torchs(type(layer)):
            return None if _methods(type(layer), (*OF_MODELS, *OF_LAYERS)) else _own_class(layer)
    return None


def _own_class(layer: nn.Module) -> type:
    """Return the class that the author wrote: `fully_shard` and parametrizations derive classes at run time."""
    return next(
        base for base in type(layer).__mro__ if not is_torchs(base) and base.__module__.partition(".")[0] != "torch"
    )


def _methods(cls: type, names: tuple[str, ...]) -> Sequence[Callable[[Any], object]]:
    """Return the methods, among the names, that need no argument, or that take each module from `apply`."""
    methods = tuple(getattr(cls, name, None) for name in names)
    found = _callable.get(methods)
    if found is None:
        found = _callable[methods] = []
        for name, method in zip(names, methods, strict=True):
            if inspect.isfunction(method):
                signature = inspect.signature(method)
                if _binds(signature, None):
                    found.append(method)
                elif name == "_init_weights" and _binds(signature, None, None):
                    found.append(partial(_applied, method))
    return found


_callable: dict[tuple[Any, ...], list[Callable[[Any], object]]] = {}
"""Cache of `_methods`, since `inspect.signature` is slow."""


def _applied(method: Callable[[Any, Any], object], layer: nn.Module) -> object:
    return layer.apply(partial(method, layer))


def _binds(signature: inspect.Signature, *args: object) -> bool:
    try:
        signature.bind(*args)
    except TypeError:
        return False
    return True


Place: TypeAlias = "tuple[int, str]"
"""The identity of a module, and the name of a tensor in it."""


class Default(NamedTuple):
    """The initialization of a tensor by the layers of torch that have one class and configuration."""

    result: Recorded
    contents: Contents
    own: Own


@dataclass
class _Rerun:
    """Runs of initialization code with stand-ins instead of the tensors.

    A tied tensor has a stand-in in each of its places, because models tie layers after initializing them: the first
    place decides, and code of a later place must not overwrite it.
    """

    recorder: Recorder = field(default_factory=Recorder)
    stand_ins: dict[Place, Any] = field(default_factory=dict)
    """The stand-ins, on the meta device, of the tensors of modules whose code was run."""
    defaults: dict[int, Mapping[str, Default]] = field(default_factory=dict)
    """Initialization by layers of torch, by the identity of the layer and the name of the tensor."""
    sources: dict[Place, str] = field(default_factory=dict)
    """`RECORDED` or `LAYER_DEFAULT`, for each stand-in that code has written."""
    failures: dict[Place, str] = field(default_factory=dict)
    """Why code could not be run, for each tensor that it should have set."""
    known: dict[Any, dict[str, Default]] = field(default_factory=dict)
    """The same as `defaults`, by configuration: of layers that are configured alike, only one is run."""

    def run(self, root: nn.Module) -> None:
        """Run all methods of the module that can be run again."""
        layers = [layer for layer in root.modules() if not is_recorded(layer)]
        classes = set(map(type, layers))
        methods = {cls: _methods(cls, OF_LAYERS)[:1] for cls in classes}
        for layer in reversed(layers):
            cls = type(layer)
            for method in methods[cls]:
                if not (is_torchs(cls) and self._as_another(layer, method)):
                    self._call(layer, method, LAYER_DEFAULT if is_torchs(cls) else RECORDED)
        if not all(map(is_torchs, classes)):
            self._models(root)

    def _models(self, module: nn.Module) -> None:
        """Run the methods of models. A model's method initializes its children too, so theirs are not run."""
        methods = () if is_recorded(module) or is_torchs(type(module)) else _methods(type(module), OF_MODELS)
        if methods:
            self._call(module, methods[0], RECORDED)
            return
        for child in module.children():
            self._models(child)

    def _as_another(self, layer: nn.Module, method: Callable[[Any], object]) -> bool:
        """Take the result of a layer that is configured alike; false if the layer must be run itself."""
        key = None if layer._modules else _configuration(layer)
        if key is None:
            return False
        try:
            made = self.known.get(key)
        except TypeError:  # a tuple among the attributes has an element without a hash
            return False
        if made is None:
            alone = _Rerun()
            alone._call(layer, method, LAYER_DEFAULT)
            if alone.failures:
                return False
            stand_ins = {name: stand_in for (_, name), stand_in in alone.stand_ins.items()}
            results = results_of(alone.recorder, stand_ins)
            made = self.known[key] = {
                name: Default(result, alone.recorder.records.contents_of(stand_ins[name]), _own(result, LAYER_DEFAULT))
                for name, result in results.items()
            }
        self.defaults[id(layer)] = made
        if self.stand_ins:
            for name, default in made.items():
                place = (id(layer), name)
                if place in self.stand_ins:
                    self.recorder.records.storage_of(self.stand_ins[place]).contents = default.contents
                    self.sources[place] = LAYER_DEFAULT
        return True

    def _call(self, module: nn.Module, method: Callable[[Any], object], source: str) -> None:
        """Call a method with stand-ins instead of all tensors of a module, and then restore the module."""
        with self._replaced(module) as places:
            before = [self._contents(place) for place in places]
            try:
                with recorded(self.recorder), torch.no_grad():
                    method(module)
            except Exception as error:
                name = f"{type(module).__name__}.{getattr(method, '__name__', '_init_weights')}"
                reason = f"{name} cannot be run again: {type(error).__name__}: {error}"
                self.failures.update(dict.fromkeys(places, reason))
        for place, contents in zip(places, before, strict=True):
            if self._contents(place) is not contents:
                self.sources[place] = source

    def _contents(self, place: Place) -> Contents:
        return self.recorder.records.storage_of(self.stand_ins[place]).contents

    @contextmanager
    def _replaced(self, module: nn.Module) -> Iterator[list[Place]]:
        """Replace the tensors of a module by stand-ins; at exit, restore all attributes of its layers."""
        layers = [layer for layer in module.modules() if not isinstance(layer, torch.jit.ScriptModule)]
        states = [{name: (value, _copy(value)) for name, value in vars(layer).items()} for layer in layers]
        places: list[Place] = []
        guarded = set()
        try:
            for layer in layers:
                layer.__dict__.pop("_is_hf_initialized", None)  # transformers skips modules with this mark.
                for own in (layer._parameters, layer._buffers):
                    for name, tensor in own.items():
                        if tensor is not None:
                            places.append((id(layer), name))
                            guarded.add(_storage(tensor))
                            own[name] = self._stand_in(places[-1], tensor)
            self.recorder.guarded = guarded
            yield places
            self._follow(layers, states)
        finally:
            self.recorder.guarded = frozenset()
            for layer, state in zip(layers, states, strict=True):
                vars(layer).clear()
                for name, (value, copied) in state.items():
                    if copied is not None:
                        value.clear()
                        value.update(copied)
                    vars(layer)[name] = value

    def _follow(self, layers: Sequence[nn.Module], states: Sequence[Mapping[str, Any]]) -> None:
        """Adopt tensors that the code assigned to the names of stand-ins, as `self.table = ...` does."""
        for layer, state in zip(layers, states, strict=True):
            for kind in ("_parameters", "_buffers"):
                for name, tensor in state[kind][1].items():
                    made = vars(layer)[kind].get(name)
                    if isinstance(made, torch.Tensor) and tensor is not None and made.shape == tensor.shape:
                        self.stand_ins[id(layer), name] = made

    def _stand_in(self, place: Place, tensor: Any) -> Any:
        made = self.stand_ins.get(place)
        if made is None:
            made = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
            if isinstance(tensor, nn.Parameter):
                made = nn.Parameter(made, tensor.requires_grad)
            self.stand_ins[place] = made
            storage = self.recorder.records.storage_of(made)
            default = self._default(place)
            if default is not None:
                storage.contents = default.contents
                self.sources[place] = LAYER_DEFAULT
        return made

    def results(self, entries: Sequence[Entry]) -> dict[int, Own]:
        """Return the own initialization of tensors; where it is not known, an `Own` without initializer."""
        places = [
            (entry.name, number, place)
            for entry in (entries if self.stand_ins else ())
            for number, (layer, key) in enumerate(entry.places)
            if (place := (id(layer), key)) in self.stand_ins
        ]
        # A tied tensor has several places: make the names of those after the first unique.
        names = {place: f"{name} (place {number})" if number else name for name, number, place in places}
        results = results_of(self.recorder, {name: self.stand_ins[place] for place, name in names.items()})
        run = {place: self._result(place, results[name]) for place, name in names.items()}
        nothing = Own(None, "")
        found = {}
        for entry in entries:
            own: Own | None = None
            for layer, key in entry.places:
                place = (id(layer), key)
                own = run.get(place)
                if own is None and (default := self._default(place)) is not None:
                    own = default.own
                if own is not None and (own.reason or own.initializer is not None):
                    break
            found[id(entry.tensor)] = own or nothing
        return found

    def _default(self, place: Place) -> Default | None:
        layer, name = place
        return self.defaults[layer].get(name) if layer in self.defaults else None

    def _result(self, place: Place, result: Recorded) -> Own:
        """Return the own initialization of a tensor whose code was run."""
        reason = self.failures.get(place, "")
        return Own(None, "", reason) if reason else _own(result, self.sources.get(place, ""))


def _own(result: Recorded, source: str) -> Own:
    return Own(None if result.reason else result.initializer, f"{source} {result.remark}".rstrip(), result.reason)


def _copy(value: Any) -> Any:
    """Return a copy of a dict or set, which code may change in place; None for other values."""
    return value.copy() if type(value) in (dict, set, OrderedDict) else None


def _storage(tensor: Any) -> int | None:
    """Return the address of a tensor's storage; None if it has no storage."""
    try:
        address: int = tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return None
    return address


def _configuration(layer: nn.Module) -> Any:
    """Return a key of all that the initialization of a layer of torch's own depends on, or None if it has too much."""
    state = vars(layer)
    names = tuple(state)
    options = _options.get(names)
    if options is None:
        options = _options[names] = [name for name in names if name not in _OF_MODULES]
    values = [state[name] for name in options]
    if not _PLAIN.issuperset(map(type, values)):
        return None
    key: list[Any] = [type(layer), names, *values]
    for tensors in (state["_parameters"], state["_buffers"]):
        for name, tensor in tensors.items():
            key += (name, None) if tensor is None else (name, tensor.shape, tensor.dtype)
    return tuple(key)


_options: dict[tuple[str, ...], list[str]] = {}
"""The attributes of a layer that not every module has, by all of its attributes."""

_PLAIN = frozenset((int, float, bool, str, tuple, type(None), torch.dtype))
"""Types of attributes that `_configuration` can compare."""

"""`initialize_`, `plan_of` and `recorded_rules`: initialize whole modules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import nn

from seedbed.arguments import shortened
from seedbed.checkpoint.evaluation import values_of
from seedbed.dtypes import as_dtype
from seedbed.plan import Plan, PlannedTensor
from seedbed.plan.rules import Rules, Selection
from seedbed.rules import Rule, Sampled, stored
from seedbed.seeds import Address, SeedGenerator, as_seed, child_keys
from seedbed.threads import get_num_threads
from seedbed.torch.garbage_collection import uncollected
from seedbed.torch.memory import as_array, class_of, is_plain, mark_changed, materialised, write
from seedbed.torch.module_tensors import Entry, unwrapped
from seedbed.torch.own_initialization import own_initialization, unknown_class
from seedbed.torch.recorded_rules import RecordedRules, Undecided, magnitude
from seedbed.torch.rules import Planned, check_module, decided, tensors_of
from seedbed.torch.weight_norm import direction_of

T = TypeVar("T", bound=Any)


def initialize_(
    module: T,
    rules: Rules | Plan | None = None,
    *,
    seed: int | SeedGenerator,
    device: torch.device | str | None = None,
    only: Selection = None,
    skip: Selection = None,
    prefix: str = "",
    unused: str = "error",
    layers: str = "recorded",
) -> T:
    """Give every parameter and buffer of a module its initial values, in place.

    A tensor that a rule selects gets the rule's initializer. Every other tensor is initialized as the module's own code
    does it: from the record, if the module was built within `recording()`; otherwise the code is run again, on the meta
    device (`reset_parameters` of layers; `initialize_weights`, `init_weights` or `_init_weights` of models).

    The tensor called `name` gets the values of `initializer.with_seed(SeedGenerator(seed).child(name))` for its whole
    shape, which `seedbed init` writes for a plan of these names too. Tied tensors have one name, the first.

    Parameters and buffers on the meta device get memory one by one, and become new objects of the same class, with the
    same attributes and ties. Those with memory keep it.

    Arguments:
        module: a model, or a part of one, which may be sharded by `fully_shard`, or wrapped as by `torch.compile`.
        rules: a mapping from selectors to initializers, or pairs of them; or recorded rules, a plan, or a scheme of
            `seedbed.schemes`, which may also be one of the pairs. A selector is a pattern of names
            (`fnmatch.fnmatchcase`), a class of layers, or a function of a name and a tensor. The first rule that
            selects a tensor decides it. An initializer is an object without a seed, a name, or a configuration. A
            random initializer does not change elements that are constant in the tensor's own initialization, such as
            the weight of a norm or the padding row of an embedding, unless the rule decides only such tensors, or is
            `Blocks`. A buffer is decided only by a rule that selects no parameter.
        seed: an integer in [-2**255, 2**255), or a generator. A generator is not advanced: its children are used.
        device: device for tensors that are on the meta device; by default the CPU, or the device type of the mesh of a
            DTensor.
        only: a selector, or several: initialize only the tensors that they select. By default, all.
        skip: a selector, or several: leave the tensors that they select unchanged. By default, none.
        prefix: text to put before all names, if the module is a part of a model.
        unused: "error" to raise an error for a rule, `only` or `skip` that selects nothing; "ignore" to allow it, as
            the stages of a pipeline need.
        layers: "recorded" to refuse modules of a class whose constructor is not recorded and that has no method to run
            again; "default" to assume that such a constructor leaves the default initialization of its layers as
            it is.

    Returns:
        `module`.

    Raises:
        TypeError, ValueError: before anything is changed: if an argument is not as described; if a rule decides
            nothing; if no rule decides a tensor whose own initialization is unknown or has no initializer; if an
            initializer does not make a tensor's shape or dtype, or `fill_` cannot fill the tensor.

    >>> import torch, seedbed as sb, seedbed.torch
    >>> with seedbed.torch.recording():
    ...     model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2))
    >>> rules = {"*.bias": "zeros", "*.weight": sb.TruncatedNormal(stddev=0.02)}
    >>> model = seedbed.torch.initialize_(model, rules, seed=42)
    >>> seed = sb.SeedGenerator(42).child("2.weight")
    >>> bool((model[2].weight.detach().numpy() == sb.TruncatedNormal(stddev=0.02, seed=seed)((2, 8))).all())
    True
    >>> model[1].weight.tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    root = seed if isinstance(seed, SeedGenerator) else SeedGenerator(as_seed(seed))
    if device is not None and torch.device(device).type == "meta":
        raise ValueError(f"device must have memory. Received: device={shortened(device)}")
    check_module(module)
    if sharded := class_of("torch.distributed.fsdp", "FSDPModule"):
        for layer in module.modules():
            if isinstance(layer, sharded):
                layer.reshard()  # After a forward pass, the parameters are gathered copies that FSDP will drop.
    with uncollected():
        _write(decided(module, rules, only, skip, prefix, unused, layers), root, device)
    return module


def _write(chosen: Iterable[tuple[Entry, Planned]], root: SeedGenerator, device: Any) -> None:
    with _Writer(root) as writer:
        for entry, planned in chosen:
            writer.write(entry, materialised(entry.tensor, device) if entry.tensor.is_meta else entry.tensor, planned)


class _Writer:
    """Writes tensors that draw by their names, and then puts those that are new in their places.

    Tensors that differ in nothing but their names are collected, and written at the end by one call of the engine: for
    small ones, a call takes longer than its work.
    """

    def __init__(self, root: SeedGenerator) -> None:
        self._root = root
        self._child_key = child_keys(root.key)
        self._kinds: dict[tuple[int, Any, Any], _Kind] = {}
        self._written: list[Any] = []
        self._new: list[tuple[Entry, Any]] = []

    def write(self, entry: Entry, target: Any, planned: Planned) -> None:
        """Write to a tensor now, or at the end.

        Arguments:
            entry: where the tensor is.
            target: the tensor, or the one that takes its place.
            planned: its values.
        """
        name, shape, dtype, initializer, _, _, seed_of = planned
        key = id(initializer), shape, dtype
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = _Kind(initializer.with_seed(0).lazy(shape, dtype).rule, [], [])
        rule = kind.rule
        if type(rule) is Sampled:
            child = self._child_key(seed_of or name)
            if is_plain(target):
                self._written.append(target)
                if target is not entry.tensor:
                    self._new.append((entry, target))
                kind.outs.append(stored(as_array(target, dtype)))
                kind.keys.append(child)
                return
            rule = Sampled(rule.recipe, Address(child, 0))
        elif "seed" in initializer.parameters:
            rule = values_of(PlannedTensor(*planned), self._root).rule
        self._written.append(target)
        write(target, rule, shape, dtype)
        _put(entry, target)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            if error is None:
                for kind in self._kinds.values():
                    if type(kind.rule) is Sampled:
                        kind.rule.recipe.fill_each(kind.outs, kind.keys, get_num_threads())
                for entry, target in self._new:
                    _put(entry, target)
        finally:  # what was written before an interruption has changed too
            mark_changed(self._written)


class _Kind(NamedTuple):
    """Tensors of one initializer, shape and dtype. Those that the engine can fill are collected here."""

    rule: Rule
    outs: list[np.ndarray]
    """The memory of each tensor."""
    keys: list[bytes]
    """The key of each tensor."""


def plan_of(
    module: nn.Module,
    rules: Rules | Plan | None = None,
    *,
    only: Selection = None,
    skip: Selection = None,
    prefix: str = "",
    unused: str = "error",
    layers: str = "recorded",
) -> Plan:
    """Return the plan of a module: name, shape, dtype and initializer of each tensor that `initialize_` would fill.

    `seedbed.checkpoint` writes a plan to files, and verifies files with it. Nothing is evaluated, and the module may be
    on the meta device. Tensors of a sharded module have their whole shapes. Printed, the plan is a table; its last
    column is what decided the tensor: the rule, "recorded" for the module's own code, or "layer default" for a layer of
    torch.

    Arguments:
        module: a model, or a part of one, as for `initialize_`.
        rules: a mapping from selectors to initializers, pairs of them, recorded rules, a plan, or a scheme, as for
            `initialize_`. By default, no rules: the module's own initialization.
        only: a selector, or several: plan only the tensors that they select. By default, all.
        skip: a selector, or several: omit the tensors that they select. By default, none.
        prefix: text to put before all names, if the module is a part of a model.
        unused: "error", or "ignore" to allow rules, `only` and `skip` that select nothing.
        layers: "recorded", or "default" to assume that constructors which were not recorded and cannot be run again
            leave the default initialization of their layers unchanged.

    Returns:
        A `seedbed.plan.Plan` of all parameters, and of the buffers that a `state_dict` has. Tied tensors are in it
        once, under their first name.

    Raises:
        TypeError, ValueError: for the same arguments and modules as `initialize_`.

    >>> import torch, seedbed.torch
    >>> print(seedbed.torch.plan_of(torch.nn.Linear(4, 3, device="meta"), {"bias": "zeros"}))
    name    shape   dtype    initializer                             stddev  source
    weight  (3, 4)  float32  RandomUniform(minval=-0.5, maxval=0.5)  0.2887  layer default
    bias    (3,)    float32  Zeros()                                 0       bias
    """
    check_module(module)
    with uncollected():
        chosen = decided(module, rules, only, skip, prefix, unused, layers, for_file=True)
    return Plan(tuple(PlannedTensor(*planned) for _, planned in chosen))


def _put(entry: Entry, target: Any) -> None:
    """Put a tensor in the place of another, and of those tied to it."""
    if target is entry.tensor:
        return
    for layer, key in entry.places:
        _tensors_like(entry, layer)[key] = target
    for other in entry.tied:
        made = materialised(other.tensor, target.device, target)
        for layer, key in other.places:
            _tensors_like(other, layer)[key] = made


def _tensors_like(entry: Entry, layer: nn.Module) -> dict[str, Any]:
    """Return the dictionary of a layer for parameters, or that for buffers, as the entry is one or the other."""
    tensors: dict[str, Any] = layer._buffers if entry.is_buffer else layer._parameters
    return tensors


def recorded_rules(module: nn.Module, *, prefix: str = "", layers: str = "recorded") -> RecordedRules:
    """Return a module's own initialization as an object that can be printed, changed, saved and loaded.

    It comes from the record of `recording()`, or from running the module's code again. Loaded from a file, it serves as
    the rules of a module with the same names and shapes, without the original code.

    Arguments:
        module: a model, on any device.
        prefix: text to put before all names, if the module is a part of a model.
        layers: "recorded", or "default" to assume that constructors which were not recorded and cannot be run again
            leave the default initialization of their layers unchanged.

    Returns:
        A `RecordedRules`. Its `undecided` lists tensors whose own initialization is not known; they are not an error.

    Raises:
        TypeError, ValueError: if `module` is not a module, or has tensors that cannot be initialized.

    >>> import torch, seedbed.torch
    >>> with seedbed.torch.recording():
    ...     model = torch.nn.Sequential(torch.nn.Embedding(9, 4, padding_idx=0), torch.nn.LayerNorm(4))
    >>> rules = seedbed.torch.recorded_rules(model)
    >>> rules["0.weight"]
    Blocks(RandomNormal(mean=0.0, stddev=1.0), [(np.s_[0], Zeros())])
    """
    check_module(module)
    entries = tensors_of(module, prefix)
    own = own_initialization(unwrapped(module), entries)
    made: dict[int, PlannedTensor | Undecided] = {}
    for entry in entries:
        shape, known = tuple(entry.tensor.shape), own[id(entry.tensor)]
        cls = unknown_class(entry) if layers == "recorded" else None
        if known.initializer is None or cls is not None:
            reason = known.reason or (
                "no code that can be run again sets it" if cls is None else f"what {cls.__name__} does is not known"
            )
            tensor: PlannedTensor | Undecided = Undecided(entry.name, shape, as_dtype(entry.tensor.dtype), reason)
        else:
            dtype = known.initializer.as_dtype(entry.tensor.dtype)
            tensor = PlannedTensor(entry.name, shape, dtype, known.initializer, known.source)
        made[id(entry.tensor)] = tensor
    for entry in entries:
        direction = made.get(id(direction_of(entry)))
        if direction is not None and isinstance(made[id(entry.tensor)], Undecided):
            made[id(entry.tensor)] = magnitude(made[id(entry.tensor)], direction)
    return RecordedRules(made.values())

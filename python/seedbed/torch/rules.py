"""The choice, for each tensor of a module, between a rule and the module's own initialization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import nn
from torch.nn.parameter import is_lazy

from seedbed.arguments import shortened
from seedbed.initializers import Initializer, Norms
from seedbed.plan import Plan, magnitudes
from seedbed.plan.entries import about, as_name, check_unused
from seedbed.plan.rules import (
    NameRule,
    Rules,
    RuleSource,
    Selection,
    as_rules,
    check_used,
    combined,
    counted,
    decide,
    is_random,
    selected,
)
from seedbed.seeds import UNBOUND
from seedbed.torch.fill import check_fans
from seedbed.torch.memory import check_target, class_of
from seedbed.torch.module_tensors import Entry, computed_by, entries_of, unwrapped, without_ties
from seedbed.torch.own_initialization import Own, is_recorded, own_initialization, unknown_class
from seedbed.torch.weight_norm import direction_of

if TYPE_CHECKING:
    import numpy as np

    from seedbed.shapes import Shape

LAYERS = ("recorded", "default")
"""Values of the argument `layers`."""

Planned: TypeAlias = "tuple[str, Shape, np.dtype, Initializer, str, None, str | None]"
"""Arguments of a `PlannedTensor`: creating the object takes as long as all checks of a small tensor."""


@dataclass(slots=True)
class Choice:
    """What decides a tensor: its rule, or else its own initialization."""

    entry: Entry
    own: Own
    rule: NameRule | None
    """None if no rule selects the tensor."""


def decided(
    module: Any,
    rules: Rules | Plan | None,
    only: Selection,
    skip: Selection,
    prefix: str,
    unused: str,
    layers: str,
    *,
    for_file: bool = False,
) -> list[tuple[Entry, Planned]]:
    """Return the tensors of a module to initialize, each with its plan.

    Arguments:
        module: a module, which may be wrapped or sharded.
        rules: as for `initialize_`.
        only: as for `initialize_`.
        skip: as for `initialize_`.
        prefix: as for `initialize_`.
        unused: as for `initialize_`.
        layers: as for `initialize_`.
        for_file: omit buffers that a `state_dict` does not have, and accept tensors without memory.

    Raises:
        TypeError, ValueError: as `initialize_`.
    """
    check_unused(unused)
    if layers not in LAYERS:
        raise ValueError(f"layers must be one of {', '.join(map(repr, LAYERS))}. Received: layers={shortened(layers)}")
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a string. Received: prefix={shortened(prefix)}")
    entries = tensors_of(module, prefix)
    wanted = selected(entries, only, skip, unused)
    rules_of = _rules_of(entries, as_rules(rules), wanted, unused)
    own = own_initialization(unwrapped(module), entries)
    choices = [
        Choice(entry, own[id(entry.tensor)], rule)
        for entry, rule, want in zip(entries, rules_of, wanted, strict=True)
        if want and not (for_file and entry.is_buffer and not entry.persistent)
    ]
    computed = [choice for choice in choices if computed_by(choice.entry)]
    directions = _directions(choices, computed) if computed else {}
    others = [choice for choice in choices if id(choice) not in directions] if directions else choices
    _check_known(others, [choice for choice in computed if id(choice) not in directions], layers)
    return _planned(choices, directions, need_memory=not for_file)


def check_module(module: object) -> None:
    """Raise a TypeError if the object is not a module."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module. Received: {type(module).__name__}")


def _refuse(names: Sequence[str], rule: str) -> None:
    if names:
        raise ValueError(f"{rule}. Received: {counted(names)}")


def tensors_of(module: nn.Module, prefix: str) -> list[Entry]:
    """Return the tensors of a module, tied ones once.

    Raises:
        ValueError: if a tensor cannot be initialized: it is lazy, flattened by FSDP, or partitioned by DeepSpeed.
    """
    flattened = class_of("torch.distributed.fsdp", "FullyShardedDataParallel")
    layers = module.named_modules() if flattened else ()
    _refuse(
        [name or "the module itself" for name, layer in layers if isinstance(layer, flattened)],
        "parameters must have their own shapes: give them values before FullyShardedDataParallel flattens them, or use "
        "fully_shard",
    )
    entries = entries_of(module, prefix)
    _refuse(
        [entry.name for entry in entries if is_lazy(entry.tensor)],
        "a parameter must have a shape, which lazy modules have after their first call",
    )
    _refuse(
        [entry.name for entry in entries if hasattr(entry.tensor, "ds_shape") and _is_partitioned(entry.tensor)],
        "a parameter must be whole or a DTensor: gather those that DeepSpeed has partitioned, or fill each part by "
        "fill_(part, initializer, shape=..., offset=...)",
    )
    return without_ties(entries)


def _is_partitioned(tensor: Any) -> bool:
    return tuple(tensor.ds_shape) != tuple(tensor.shape)


def _rules_of(
    entries: Sequence[Entry], rules: list[NameRule | RuleSource], wanted: list[bool], unused: str
) -> list[NameRule | None]:
    """Return the rule that decides each entry, or None.

    A buffer is decided only by rules that select no parameter, and never by a scheme.
    """
    if not rules:
        return [None] * len(entries)
    parameters = [entry for entry in entries if not entry.is_buffer]
    buffers = entries[len(parameters) :]
    asked = [want and direction_of(entry) is None for entry, want in zip(parameters, wanted, strict=False)]
    chosen = decide(parameters, rules, asked)  # a magnitude has no role: it follows its direction
    used = {id(rule) for rule in chosen}
    written = [rule for rule in rules if isinstance(rule, NameRule) and id(rule) not in used]
    names = {entry.name for entry in parameters}
    free = [
        rule
        for rule in written
        if not (rule.selector.label in names if rule.selector.literal else any(map(rule.selector.selects, parameters)))
    ]
    chosen += decide(buffers, free)
    if unused == "error":
        check_used(rules, entries, chosen)
    return chosen


def _check_known(choices: Sequence[Choice], computed: Sequence[Choice], layers: str) -> None:
    """Raise a ValueError if no rule decides a tensor and its own initialization is not known.

    Arguments:
        choices: the choices of all tensors.
        computed: the choices of tensors from which a parametrization or a hook computes a weight.
        layers: as for `initialize_`.
    """
    undecided = [choice for choice in choices if choice.rule is None]
    unset = [
        choice
        for choice in computed
        if choice.rule is None and (choice.own.initializer is None or not is_recorded(choice.entry.places[0][0]))
    ]
    _refuse(
        [f"{choice.entry.name} ({computed_by(choice.entry)})" for choice in unset],
        "a weight that a parametrization or a hook computes is not initialized by its layer: apply the parametrization "
        "after initialize_, or build a layer with weight_norm within seedbed.torch.recording(), or give a rule to each "
        "tensor that the weight is computed from",
    )
    for choice in undecided:
        if choice.own.reason:
            same = [other.entry.name for other in undecided if other.own.reason == choice.own.reason]
            raise ValueError(f"{counted(same)}: {choice.own.reason}. Give a rule, or leave it as it is by skip=")
    if layers == "recorded":
        classes = {id(choice.entry.layers): choice.entry for choice in undecided}
        unknown_classes = {identity: unknown_class(entry) for identity, entry in classes.items()}
        unknown = [
            (choice.entry.name, cls)
            for choice in undecided
            if (cls := unknown_classes[id(choice.entry.layers)]) is not None
        ]
        _refuse(
            [f"{name} ({cls.__name__})" for name, cls in unknown],
            "the constructor of a class without reset_parameters, init_weights or the like cannot be run again: build "
            'the module within seedbed.torch.recording(), or pass layers="default" if the constructor leaves the '
            "default initialization of its layers unchanged, or give a rule",
        )
    missing = [choice.entry for choice in undecided if choice.own.initializer is None]
    _refuse(
        [entry.name for entry in missing if not entry.is_buffer],
        "a parameter that no method of its module initializes must have a rule, or its module must be built within "
        "seedbed.torch.recording()",
    )
    _refuse(
        [entry.name for entry in missing],
        "the values of a buffer must be known: build the module within seedbed.torch.recording(), give a rule to the "
        "buffer, or leave it as it is by skip=",
    )


def _directions(choices: Sequence[Choice], computed: Sequence[Choice]) -> dict[int, Choice]:
    """Return the directions v of the magnitudes g that are computed from them, by the identity of the choice of g.

    A magnitude is not computed if a rule of its own decides it, or if the direction's initialization is not known.
    """
    by_tensor = {id(choice.entry.tensor): choice for choice in choices}
    found = {}
    for choice in computed:
        direction = by_tensor.get(id(direction_of(choice.entry)))
        if direction is None:
            continue
        rule = choice.rule
        follows = rule is None or rule is direction.rule or isinstance(rule.initializer, Norms)
        known = direction.own.initializer is not None and is_recorded(direction.entry.places[0][0])
        if follows and (direction.rule is not None or known):
            found[id(choice)] = direction
    return found


def _planned(
    choices: Sequence[Choice], directions: Mapping[int, Choice], *, need_memory: bool
) -> list[tuple[Entry, Planned]]:
    ruled = [choice for choice in choices if choice.rule is not None]
    wide = _reaching_random(ruled)
    _check_norms(ruled, wide)
    dtypes: dict[tuple[int, Any, Any], Any] = {}  # Combinations that are checked already, and their NumPy dtype.
    planned: list[tuple[Entry, Planned]] = []
    for choice in choices:
        tensor = choice.entry.tensor
        shape = tuple(tensor.shape)
        direction = directions.get(id(choice))
        if direction is not None:
            made, decision = combined(direction.rule, direction.own.initializer, direction.own.source, wide)
            initializer: Initializer = Norms(made, tuple(direction.entry.tensor.shape), UNBOUND)
            seed_of: str | None = _seed_of(direction, decision) or direction.entry.name
            source = magnitudes.SOURCE
            _check_dtypes(choice, direction)
        else:
            initializer, source = combined(choice.rule, choice.own.initializer, choice.own.source, wide)
            seed_of = _seed_of(choice, source)
        key = (id(initializer), shape, tensor.dtype)
        try:
            check_target(tensor, need_memory=need_memory)
            if key not in dtypes:
                dtypes[key] = initializer.as_dtype(tensor.dtype)
                check_fans(initializer, shape)
                initializer.check(shape, dtypes[key])
            name = as_name(choice.entry.name)
        except (TypeError, ValueError) as error:
            with about(choice.entry.name):
                raise error from None
        planned.append((choice.entry, (name, shape, dtypes[key], initializer, source, None, seed_of)))
    return planned


def _seed_of(choice: Choice, source: str) -> str | None:
    """Return the name of the tensor whose seed a tensor has, if the rule that decides it gives it another one's."""
    return choice.rule.seed_of if choice.rule is not None and source == choice.rule.label else None


def _check_dtypes(magnitude: Choice, direction: Choice) -> None:
    """Raise a ValueError if a magnitude has another dtype than its direction, whose norms would be others."""
    dtypes = magnitude.entry.tensor.dtype, direction.entry.tensor.dtype
    if dtypes[0] != dtypes[1]:
        raise ValueError(
            f"{magnitude.entry.name}: the magnitude of a weight norm must have the dtype of its direction, "
            f"{dtypes[1]}. Received: {dtypes[0]}"
        )


def _reaching_random(choices: Sequence[Choice]) -> set[int]:
    """Return the identities of the random rules that decide a tensor whose own initialization is random too."""
    return {
        id(choice.rule)
        for choice in choices
        if choice.rule is not None and is_random(choice.rule.initializer) and not _is_constant(choice)
    }


def _is_constant(choice: Choice) -> bool:
    """Return whether a tensor's own initialization is constant, like the weight of a norm and most biases."""
    own = choice.own.initializer
    if own is not None:
        return not is_random(own)
    return _is_of_unknown_norm(choice.entry)


def _is_of_unknown_norm(entry: Entry) -> bool:
    """Return whether a tensor is a vector of a layer that is a norm by its class name."""
    return entry.tensor.ndim < 2 and "norm" in type(entry.layers[-1]).__name__.lower()


def _check_norms(choices: Sequence[Choice], wide: set[int]) -> None:
    """Raise a ValueError if a random rule for other layers decides a norm whose own initialization is not known."""
    norms = [
        choice
        for choice in choices
        if choice.rule is not None
        and id(choice.rule) in wide
        and choice.own.initializer is None
        and _is_constant(choice)
    ]
    _refuse(
        [f"{choice.entry.name} by the rule {choice.rule.label!r}" for choice in norms if choice.rule is not None],
        "a random rule for other layers must not decide the weight of a norm: put a rule for norms before it",
    )

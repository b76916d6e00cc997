"""What decides each tensor of a module: a rule, or the module's own initialization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import nn
from torch.nn.parameter import is_lazy

from seedbed.arguments import shortened
from seedbed.initializers import Initializer
from seedbed.plan import Part, Plan, PlannedTensor
from seedbed.plan.entries import about, as_name
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
from seedbed.torch.fill import check_fans
from seedbed.torch.memory import check_filled, check_memory, class_of, local_shard
from seedbed.torch.module_tensors import Entry, computed_by, entries_of, unwrapped, without_ties
from seedbed.torch.own_initialization import Own, is_recorded, own_initialization, unknown_class
from seedbed.torch.weight_norm import Normed, Norms, normed_by, norms_of

LAYERS = ("recorded", "default")
UNUSED = ("error", "ignore")


@dataclass(slots=True)
class Choice:
    """What decides a tensor."""

    entry: Entry
    own: Own
    rule: NameRule | None


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
) -> list[tuple[Entry, PlannedTensor]]:
    """The tensors of a module that are to be initialized, each with its plan."""
    for what, value, known in (("unused", unused, UNUSED), ("layers", layers, LAYERS)):
        if value not in known:
            raise ValueError(
                f"{what} must be one of {', '.join(map(repr, known))}. Received: {what}={shortened(value)}"
            )
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
    magnitudes = _magnitudes(choices, computed) if computed else {}
    others = [choice for choice in choices if id(choice) not in magnitudes] if magnitudes else choices
    _check_known(others, [choice for choice in computed if id(choice) not in magnitudes], layers)
    return _planned(choices, magnitudes, need_memory=not for_file)


def check_module(module: object) -> None:
    """Raise a TypeError if the object is not a module."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module. Received: {type(module).__name__}")


def _refuse(names: Sequence[str], rule: str) -> None:
    if names:
        raise ValueError(f"{rule}. Received: {counted(names)}")


def tensors_of(module: nn.Module, prefix: str) -> list[Entry]:
    """The tensors of a module, if they are such as can be initialized."""
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
    """The rule that decides each entry: a buffer has one only by a rule that selects no parameter, and of no scheme."""
    if not rules:
        return [None] * len(entries)
    parameters = [entry for entry in entries if not entry.is_buffer]
    buffers = entries[len(parameters) :]
    chosen = decide(parameters, rules, wanted)
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
        choices: what decides the tensors.
        computed: those of them from which a parametrization or a hook computes a weight.
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
            "what the constructor of a class did, which has no method to run again, is not known: build the module "
            'within seedbed.torch.recording(), or say layers="default" if its layers are initialized as they are by '
            "themselves, or give a rule",
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


Magnitude: TypeAlias = "tuple[Choice, Normed]"
"""The tensor v of a weight g v / |v|, of which g has the norms, and how."""


def _magnitudes(choices: Sequence[Choice], computed: Sequence[Choice]) -> dict[int, Magnitude]:
    """The magnitudes of weight norms that no rule decides by itself, by the identities of their choices."""
    by_tensor = {id(choice.entry.tensor): choice for choice in choices}
    found = {}
    for choice in computed:
        normed = normed_by(choice.entry)
        direction = None if normed is None else by_tensor.get(id(normed.direction))
        if normed is None or direction is None:
            continue
        rule = choice.rule
        follows = rule is None or rule is direction.rule or isinstance(rule.initializer, Norms)
        known = direction.own.initializer is not None and is_recorded(direction.entry.places[0][0])
        if follows and (direction.rule is not None or known):
            found[id(choice)] = (direction, normed)
    return found


def _planned(
    choices: Sequence[Choice], magnitudes: Mapping[int, Magnitude], *, need_memory: bool
) -> list[tuple[Entry, PlannedTensor]]:
    wide = _reaching_random(choices)
    _check_norms(choices, wide)
    dtypes: dict[tuple[int, Any, Any], Any] = {}  # of what is checked already
    planned = []
    for choice in choices:
        tensor = choice.entry.tensor
        shape = tuple(tensor.shape)
        if id(choice) in magnitudes:
            direction, normed = magnitudes[id(choice)]
            made, _ = combined(direction.rule, direction.own.initializer, direction.own.source, wide)
            initializer: Initializer = norms_of(made, normed)
            name = direction.entry.name
            source, part = f"norm of {name}", Part(name, shape, shape, (0,) * len(shape))
        else:
            initializer, source = combined(choice.rule, choice.own.initializer, choice.own.source, wide)
            part = None
        key = (id(initializer), shape, tensor.dtype)
        try:
            check_filled(tensor, meta=True)
            local, _ = local_shard(tensor)
            if need_memory and not tensor.is_meta:
                check_memory(local)
            if key not in dtypes:
                dtypes[key] = initializer.as_dtype(tensor.dtype)
                check_fans(initializer, shape)
                initializer.check(shape, dtypes[key])
            name = as_name(choice.entry.name)
        except (TypeError, ValueError) as error:
            with about(choice.entry.name):
                raise error from None
        planned.append((choice.entry, PlannedTensor(name, shape, dtypes[key], initializer, source, part)))
    return planned


def _reaching_random(choices: Sequence[Choice]) -> set[int]:
    """The random rules that decide tensors which by themselves are random too, by their identities."""
    return {
        id(choice.rule)
        for choice in choices
        if choice.rule is not None and is_random(choice.rule.initializer) and not _is_constant(choice)
    }


def _is_constant(choice: Choice) -> bool:
    """Whether a tensor is constant by itself: the weight of a norm, most biases."""
    own = choice.own.initializer
    if own is not None:
        return not is_random(own)
    return _is_of_unknown_norm(choice.entry)


def _is_of_unknown_norm(entry: Entry) -> bool:
    """Whether a vector belongs to a layer that by its name is a norm. How it begins is not known."""
    return entry.tensor.ndim < 2 and "norm" in type(entry.layers[-1]).__name__.lower()


def _check_norms(choices: Sequence[Choice], wide: set[int]) -> None:
    """Raise a ValueError if a random rule about other layers decides norms whose own initialization is not known."""
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
        "a random rule about other layers must not decide the weight of a norm: give norms a rule before it",
    )

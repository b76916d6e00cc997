"""Plans whose initializers are set by rules: change those of a plan, or plan tensors that have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from seedbed.initializers import Blocks, Norms
from seedbed.plan.entries import about, check_unused
from seedbed.plan.magnitudes import directions_of, is_magnitude, with_norms
from seedbed.plan.plan import Plan
from seedbed.plan.rules import NameRule, RuleSource, around_constants, check_used, counted, decide, is_random
from seedbed.plan.tensor import PlannedTensor

if TYPE_CHECKING:
    import numpy as np

    from seedbed.shapes import Shape


class Undecided(NamedTuple):
    """A tensor without an initializer."""

    name: str
    shape: Shape
    dtype: np.dtype


class _Named(NamedTuple):
    """A tensor as a `Candidate` for rules."""

    name: str
    tensor: Any
    layers: tuple[object, ...] = ()


def with_rules(plan: Plan, rules: Sequence[NameRule | RuleSource], unused: str = "error") -> Plan:
    """Return a plan with the initializers of rules. A tensor without a matching rule keeps its own initializer.

    A magnitude has the norms of its direction, unless a rule that does not decide the direction decides it.

    Raises:
        ValueError: if a rule decides no tensor and `unused` is "error", or an initializer does not support a tensor.
    """
    directions = directions_of(plan.tensors)
    chosen = dict(zip((tensor.name for tensor in plan.tensors), _decided(plan.tensors, rules, unused), strict=True))
    changed = {
        tensor.name: _changed(tensor, rule)
        for tensor in plan.tensors
        if (rule := chosen[tensor.name]) is not None
        and not _stays(tensor, rule)
        and not (tensor.name in directions and _follows(rule, chosen[directions[tensor.name].name]))
    }
    tensors = with_norms(plan.tensors, changed)
    for tensor in tensors:
        with about(tensor.name):
            tensor.initializer.check(tensor.whole_shape, tensor.dtype)
    return replace(plan, tensors=tuple(tensors))


def _stays(tensor: PlannedTensor, rule: NameRule) -> bool:
    """Return whether a rule keeps a tensor unchanged, such as the constant weight of a norm."""
    return rule.yields and not is_random(tensor.initializer)


def _follows(rule: NameRule, of_direction: NameRule | None) -> bool:
    """Return whether a rule that selects a magnitude leaves it the norms of its direction."""
    return rule is of_direction or isinstance(rule.initializer, Norms)


def _changed(tensor: PlannedTensor, rule: NameRule) -> PlannedTensor:
    """Return a tensor with the initializer of a rule. A scheme keeps constant regions, such as the row of padding."""
    initializer, own = rule.initializer, tensor.initializer
    if rule.origin is not None and isinstance(own, Blocks) and is_random(initializer):
        initializer = around_constants(own, initializer)
    return replace(tensor, initializer=initializer, source=rule.label, seed_of=rule.seed_of)


def plan_by_rules(tensors: Sequence[Undecided], rules: Sequence[NameRule | RuleSource], unused: str = "error") -> Plan:
    """Return the plan of tensors whose initializers are all set by rules.

    Raises:
        ValueError: as `with_rules`; or if no rule decides a tensor.
    """
    chosen = _decided(tensors, rules, unused)
    missing = [tensor.name for tensor, rule in zip(tensors, chosen, strict=True) if rule is None]
    if missing:
        raise ValueError(
            f"a rule must decide each tensor; the pattern * matches all. Received: no rule for {counted(missing)}"
        )
    planned = []
    for tensor, rule in zip(tensors, chosen, strict=True):
        assert rule is not None
        with about(tensor.name):
            rule.initializer.check(tensor.shape, tensor.dtype)
        planned.append(PlannedTensor(*tensor, rule.initializer, rule.label, seed_of=rule.seed_of))
    return Plan(tuple(planned))


def _decided(
    tensors: Sequence[PlannedTensor | Undecided], rules: Sequence[NameRule | RuleSource], unused: str
) -> list[NameRule | None]:
    check_unused(unused)
    candidates = [_Named(tensor.name, tensor) for tensor in tensors]
    asked = [not (isinstance(tensor, PlannedTensor) and is_magnitude(tensor)) for tensor in tensors]
    chosen = decide(candidates, rules, asked)  # a magnitude has no role: it follows its direction
    if unused == "error":
        check_used(rules, candidates, chosen)
    return chosen

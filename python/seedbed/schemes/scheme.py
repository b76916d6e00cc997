"""A scheme: how every weight of a model is initialized, by the weight's role."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy.typing as npt

from seedbed.dtypes import as_dtype
from seedbed.initializers import Initializer
from seedbed.plan.applied_rules import Undecided, plan_by_rules
from seedbed.plan.entries import as_initializer
from seedbed.plan.plan import Plan
from seedbed.plan.rules import Candidate, NameRule, RuleSource, Selector, counted
from seedbed.plan.table import lined_up
from seedbed.schemes import roles
from seedbed.schemes.formulas import Formula, Table
from seedbed.schemes.roles import Roles
from seedbed.schemes.weight import Weight
from seedbed.shapes import Shape

STACKS = ("any", "one", "two")


class Multipliers(NamedTuple):
    """What a parametrization multiplies, besides the initial values, for one weight."""

    output: float
    """The result of the layer, in the forward pass."""
    adam: float
    """The learning rate of Adam, and of optimizers like it."""
    sgd: float
    """The learning rate of SGD."""


@dataclass(frozen=True)
class Scaling:
    """The multipliers of the weights that have a role: formulas, for people, and a function of the weight."""

    output: str
    adam: str
    sgd: str
    make: Callable[[Weight], Multipliers]


@dataclass(frozen=True, eq=False)
class Scheme(RuleSource):
    """How every weight of a model is initialized, by its role. It is given wherever rules are.

    >>> import seedbed.schemes
    >>> scheme = seedbed.schemes.gpt2(layers=12)
    >>> scheme, scheme.table["down"].text
    (gpt2(layers=12, stddev=0.02), 'N(0, σ/√(2L))')
    """

    numbers: Mapping[str, Any]
    """The numbers of the model, and of the scheme, by name."""
    table: Table
    """The formula of each role. N(0, s) is the normal distribution with the standard deviation s."""
    stacks: str = "any"
    """"one" if the layers are those of an encoder or a decoder, "two" if there must be both, "any" otherwise."""
    needs: tuple[str, ...] = ()
    """Roles that a model must have for the scheme to apply."""
    scalings: Mapping[str, Scaling] = field(default_factory=dict)
    """The multipliers of each role, for parametrizations."""
    roles: Roles = field(default_factory=Roles)
    """The roles of names."""
    name: str = ""
    source: str = ""
    """The paper or the file that the formulas are from."""

    @property
    def label(self) -> str:
        return self.name

    def with_roles(self, patterns: Mapping[str, str] | Iterable[tuple[str, str]]) -> Scheme:
        """Return the scheme with roles for names that `seedbed.schemes.roles` does not know, or knows wrongly.

        Arguments:
            patterns: patterns of names, as rules have them, and roles. They come before those that there are.

        Raises:
            TypeError, ValueError: if a pattern is not a string, or there is no such role.

        >>> import seedbed.schemes
        >>> scheme = seedbed.schemes.gpt2(layers=12).with_roles({"*.mixer.last.weight": "attention_output"})
        """
        return replace(self, roles=Roles((*Roles(patterns).own, *self.roles.own)))

    def plan_of(self, shapes: Mapping[str, Shape], dtype: npt.DTypeLike = "float32") -> Plan:
        """Return the plan of the weights of these names and shapes.

        Arguments:
            shapes: the shape of each weight, by name.
            dtype: of all of them.

        Raises:
            ValueError: if the role of a weight is unknown or has no formula, or the scheme is not for such a model.

        >>> import seedbed.schemes
        >>> shapes = {"layers.0.mlp.up_proj.weight": (32, 8), "layers.0.mlp.down_proj.weight": (8, 32)}
        >>> plan = seedbed.schemes.small_init(width=8).plan_of(shapes)
        >>> plan.tensors[1].initializer, plan.tensors[1].source
        (RandomNormal(mean=0.0, stddev=0.22360679774997896), 'small_init: down')
        """
        tensors = [Undecided(name, tuple(shape), as_dtype(dtype)) for name, shape in shapes.items()]
        return plan_by_rules(tensors, [self])

    def rules_of(self, tensors: Sequence[Candidate]) -> list[NameRule | None]:
        weights = self.weights_of(tensors)
        made: dict[Any, Initializer] = {}
        return [self._rule(weight, made) for weight in weights]

    def weights_of(self, tensors: Iterable[Candidate]) -> list[Weight]:
        """Return the tensors as weights, with their roles.

        Raises:
            ValueError: if the role of a tensor is unknown, or the scheme is not for such a model.
        """
        weights = [self._weight(candidate) for candidate in tensors]
        unknown = [weight.name for weight in weights if not weight.role]
        if unknown:
            raise ValueError(
                f"{self.name}: a weight must have a name that says its role. Received: {counted(unknown)}. Give it a "
                "rule before the scheme, or a role by with_roles={...} (--role PATTERN=ROLE)"
            )
        self._check_stacks(weights)
        for role in self.needs:
            if not any(weight.role == role for weight in weights):
                raise ValueError(
                    f"{self.name}: a model must have weights of the role {role} ({roles.ROLES[role]}). Received: none"
                )
        return weights

    def multipliers(self, tensors: Any) -> dict[str, Multipliers]:
        """Return what a parametrization multiplies, for each weight: output, and learning rates of Adam and SGD.

        Arguments:
            tensors: a plan, or named shapes.

        Raises:
            ValueError: if the scheme is no parametrization, or as for rules.

        >>> import seedbed.schemes
        >>> scheme = seedbed.schemes.mup(width=512, base_width=128)
        >>> scheme.multipliers({"layers.0.mlp.up_proj.weight": (2048, 512), "lm_head.weight": (1000, 512)})
        {'layers.0.mlp.up_proj.weight': Multipliers(output=1.0, adam=0.25, sgd=1.0),
         'lm_head.weight': Multipliers(output=0.25, adam=1.0, sgd=4.0)}
        """
        if not self.scalings:
            raise ValueError(f"{self.name}: a scheme must be a parametrization to have multipliers, such as mup")
        named = tensors.items() if isinstance(tensors, Mapping) else ((t.name, t.shape) for t in tensors.tensors)
        candidates = [_Shaped(name, _Shape(tuple(shape))) for name, shape in named]
        return {weight.name: self.scalings[weight.role].make(weight) for weight in self.weights_of(candidates)}

    def __str__(self) -> str:
        """The formula of each role."""
        rows = [(role, self.table[role].text) for role in roles.ROLES if role in self.table]
        return f"{self!r}: {self.source}\n{lined_up(rows)}"

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={value!r}" for name, value in self.numbers.items() if value is not None)
        return f"{self.name}({numbers})"

    def _weight(self, candidate: Candidate) -> Weight:
        shape = tuple(candidate.tensor.shape)
        whole = tuple(getattr(candidate.tensor, "whole_shape", shape))
        return Weight(candidate.name, self.roles.of(candidate.name) or "", shape, self.numbers, whole)

    def _check_stacks(self, weights: Sequence[Weight]) -> None:
        sides = {weight.side for weight in weights if weight.number is not None}
        if self.stacks == "one" and {"encoder", "decoder"} <= sides:
            raise ValueError(
                f"{self.name}: layers must be those of one stack. Received: a model with an encoder and a decoder, and "
                f"layers={self.numbers.get('layers')}"
            )
        if self.stacks == "two" and not {"encoder", "decoder"} <= sides:
            found = " and ".join(sorted(filter(None, sides))) or "neither"
            raise ValueError(
                f"{self.name}: a scheme with encoder_layers and decoder_layers is for a model with both. "
                f"Received: {self!r} for a model with {found}"
            )
        for weight in weights:
            name = f"{weight.side}_layers" if self.stacks == "two" and weight.side else "layers"
            layers = self.numbers.get(name)
            if layers is not None and weight.number is not None and weight.number >= layers:
                raise ValueError(
                    f"{self.name}: {name} must be the number of layers, and {weight.name} is in layer {weight.number}, "
                    f"counted from 0. Received: {name}={layers}"
                )

    def _rule(self, weight: Weight, made: dict[Any, Initializer]) -> NameRule | None:
        formula: Formula | None = self.table.get(weight.role)
        if formula is None:
            return None
        name = weight.name if weight.role == roles.QKV else ""  # it says how queries, keys and values are packed
        key = (weight.role, weight.shape, weight.whole_shape, weight.number, weight.side, weight.is_cross, name)
        if key not in made:
            made[key] = as_initializer(formula.make(weight))
        return NameRule(
            Selector(weight.name, literal=True), made[key], f"{self.name}: {weight.role}", formula.yields, self
        )


class _Shape(NamedTuple):
    shape: tuple[int, ...]


class _Shaped(NamedTuple):
    name: str
    tensor: _Shape
    layers: tuple[object, ...] = ()

"""`Scheme`: the initialization of a model's weights by their roles."""

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
"""Values of `Scheme.stacks`."""


class Multipliers(NamedTuple):
    """Multipliers that a parametrization prescribes for one weight, in addition to its initial values.

    Arguments:
        output: factor of the layer's output, in the forward pass.
        adam: factor of the learning rate of Adam, and of optimizers like it.
        sgd: factor of the learning rate of SGD.

    >>> import seedbed.schemes
    >>> seedbed.schemes.mup(width=512, base_width=128).multipliers({"lm_head.weight": (1000, 512)})
    {'lm_head.weight': Multipliers(output=0.25, adam=1.0, sgd=4.0)}
    """

    output: float
    """Factor of the layer's output, in the forward pass."""
    adam: float
    """Factor of the learning rate of Adam, and of optimizers like it."""
    sgd: float
    """Factor of the learning rate of SGD."""


@dataclass(frozen=True)
class Scaling:
    """The multipliers of all weights of a role: their formulas as text, and a function from a weight to its numbers.

    Arguments:
        output: formula of the factor of the layer's output.
        adam: formula of the factor of Adam's learning rate.
        sgd: formula of the factor of SGD's learning rate.
        make: function that returns the `Multipliers` of a weight.

    >>> import seedbed.schemes
    >>> scaling = seedbed.schemes.mup(width=512, base_width=128).scalings["head"]
    >>> scaling.output, scaling.adam, scaling.sgd
    ('1/m', '1', 'm')
    """

    output: str
    """Formula of the factor of the layer's output."""
    adam: str
    """Formula of the factor of Adam's learning rate."""
    sgd: str
    """Formula of the factor of SGD's learning rate."""
    make: Callable[[Weight], Multipliers]
    """Return the multipliers of a weight."""


@dataclass(frozen=True, eq=False)
class Scheme(RuleSource):
    """The initialization of a model's weights by their roles. Pass it wherever rules are accepted.

    The functions of `seedbed.schemes` make schemes; the arguments are for schemes of your own.

    Arguments:
        numbers: numbers of the model and of the scheme, by name.
        table: formula of each role.
        stacks: "one" for models with an encoder or a decoder, "two" for models with both, "any" for all.
        needs: roles that a model must have.
        scalings: multipliers of each role, for parametrizations such as µP.
        roles: roles of names; by default those of `seedbed.schemes.roles`.
        name: name of the scheme, in errors and plans.
        source: paper or file with the formulas.

    >>> import seedbed.schemes
    >>> scheme = seedbed.schemes.gpt2(layers=12)
    >>> scheme, scheme.table["down"].text
    (gpt2(layers=12, stddev=0.02), 'N(0, σ/√(2L))')
    """

    numbers: Mapping[str, Any]
    """Numbers of the model and of the scheme, by name."""
    table: Table
    """Formula of each role. N(0, s) is the normal distribution with the standard deviation s."""
    stacks: str = "any"
    """"one" for models with an encoder or a decoder, "two" for models with both, "any" for all."""
    needs: tuple[str, ...] = ()
    """Roles that a model must have."""
    scalings: Mapping[str, Scaling] = field(default_factory=dict)
    """Multipliers of each role, for parametrizations such as µP."""
    roles: Roles = field(default_factory=Roles)
    """Roles of names."""
    name: str = ""
    """Name of the scheme, in errors and plans."""
    source: str = ""
    """Paper or file with the formulas."""

    @property
    def label(self) -> str:
        return self.name

    def with_roles(self, patterns: Mapping[str, str] | Iterable[tuple[str, str]]) -> Scheme:
        """Return the scheme with roles for more names, which take precedence over `seedbed.schemes.roles`.

        Arguments:
            patterns: a mapping from patterns of names (`fnmatch`) to roles, or pairs of them. They take precedence over
                the roles that the scheme already has.

        Raises:
            TypeError, ValueError: if a pattern is not a string, or a role is unknown.

        >>> import seedbed.schemes
        >>> scheme = seedbed.schemes.gpt2(layers=12).with_roles({"*.mixer.last.weight": "attention_output"})
        """
        return replace(self, roles=Roles((*Roles(patterns).own, *self.roles.own)))

    def plan_of(self, shapes: Mapping[str, Shape], dtype: npt.DTypeLike = "float32") -> Plan:
        """Return the plan of weights, given by their names and shapes.

        Arguments:
            shapes: the shape of each weight, by name.
            dtype: dtype of all weights.

        Raises:
            TypeError, ValueError: if the role of a weight is unknown or has no formula, or the scheme does not apply to
                the model.

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
            ValueError: if the role of a tensor is unknown, or the scheme does not apply to the model.
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
        """Return the multipliers of each weight: those of its layer's output, and of the learning rates.

        Arguments:
            tensors: a plan, or a mapping from names to shapes.

        Returns:
            A dict from names to `Multipliers`.

        Raises:
            ValueError: if the scheme is not a parametrization, if the role of a weight is unknown, or the scheme does
                not apply to the model.

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
        """Return the name, the numbers, the source, and the formula of each role, as a table."""
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
        name = (
            weight.name if weight.role == roles.QKV else ""
        )  # The name determines how queries, keys and values are packed.
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

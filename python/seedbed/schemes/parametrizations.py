"""Schemes with multipliers of outputs and learning rates: µP, u-µP and the spectral parametrization."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from seedbed.arguments import as_bool, one_of
from seedbed.plan import Plan
from seedbed.schemes import roles
from seedbed.schemes.formulas import EMBEDDINGS, EVERY, HIDDEN, normal, table, zeros
from seedbed.schemes.numbers import count, counts, positive
from seedbed.schemes.registry import scheme
from seedbed.schemes.scheme import Multipliers, Scaling, Scheme
from seedbed.schemes.weight import Weight
from seedbed.shapes import Shape

FORMS = ("table 8", "table 3")

BaseShapes: TypeAlias = Mapping[str, Sequence[int]]
"""Shape of each weight in the base model, by name."""

_VECTORS = (*EMBEDDINGS, roles.NORM, roles.BIAS, roles.GAIN)
"""Roles of weights with at most one axis that grows with the width, except the head."""


@scheme("Yang et al. 2022, Tensor Programs V, tables 3 and 8; microsoft/mup, mup/init.py, optim.py, layer.py")
def mup(
    *,
    width: int,
    base_width: int,
    base: Plan | BaseShapes | None = None,
    stddev: float = 0.02,
    form: str = "table 8",
    zero_head: bool = False,
    zero_query: bool = False,
) -> Scheme:
    """µP: weights between embeddings and head N(0, σ/√m), with m = fan_in / base fan_in; embeddings and head N(0, σ).

    The outputs of the head are divided by m, and learning rates have multipliers (`Scheme.multipliers`). At the base
    width, all weights are N(0, σ) and all multipliers are 1. The attention logits must be divided by h/√h₀ instead of
    √h, where h is the size of a head and h₀ that of the base model. A router is a weight between embeddings and head.

    Arguments:
        width: width of the model, d, a positive integer.
        base_width: width of the base model, d₀, a positive integer. Without `base`, all fans are assumed to grow with
            the width, and m = d/d₀.
        base: the base model, a plan or a mapping from names to shapes, if not all fans grow with the width. By default
            None.
        stddev: standard deviation σ in the base model, a positive number.
        form: "table 8", in which the head has an output multiplier, or "table 3", in which it has smaller values and
            learning rates instead.
        zero_head: True to initialize the head with zeros, as appendix D.2 recommends.
        zero_query: True to initialize the kernels of queries with zeros, as appendix D.2 recommends. Kernels that pack
            queries with keys and values are not changed.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive, or if `base` is not as described.
            When applied, ValueError, if `base` has no weight of a name.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (128, 32), "lm_head.weight": (50, 32)}
    >>> for tensor in seedbed.schemes.mup(width=32, base_width=8).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight RandomNormal(mean=0.0, stddev=0.01)
    lm_head.weight RandomNormal(mean=0.0, stddev=0.02)
    """
    numbers = counts(width=width, base_width=base_width) | {"stddev": positive("stddev", stddev)}
    numbers |= {"form": one_of("form", form, FORMS)}
    growth = _Growth(width / base_width, base_width, None if base is None else _shapes(base))
    in_values = form == "table 3"

    def vector(weight: Weight) -> Multipliers:
        return Multipliers(1.0, 1.0, growth.of_length(weight))

    def matrix(weight: Weight) -> Multipliers:
        fan_in, fan_out = growth.of_fans(weight)
        return Multipliers(1.0, 1 / fan_in, fan_out / fan_in)

    def head(weight: Weight) -> Multipliers:
        m, _ = growth.of_fans(weight)
        return Multipliers(1.0, 1 / m, 1 / m) if in_values else Multipliers(1 / m, 1.0, m)

    def hidden(weight: Weight) -> float:
        return stddev / math.sqrt(growth.of_fans(weight)[0])

    def small_head(weight: Weight) -> float:
        return stddev / growth.of_fans(weight)[0]

    values = normal("σ/m", small_head) if in_values else normal("σ", stddev)
    rows = table(
        (HIDDEN, normal("σ/√m", hidden)),
        (EMBEDDINGS, normal("σ", stddev)),
        (roles.HEAD, zeros() if as_bool("zero_head", zero_head) else values),
        *([(roles.QUERY, zeros())] if as_bool("zero_query", zero_query) else []),
    )
    scalings = _scalings(
        Scaling("1", "1", "d/d₀", vector),
        Scaling("1", "1/m", "(fan_out / base fan_out)/m", matrix),
        Scaling("1", "1/m", "1/m", head) if in_values else Scaling("1/m", "1", "m", head),
    )
    return Scheme(numbers, rows, scalings=scalings)


@scheme("Blake et al. 2024, u-muP, table 2; graphcore-research/unit-scaling, unit_scaling/optim.py")
def umup(*, width: int, layers: int | None = None) -> Scheme:
    """u-µP: all weights N(0, 1); multipliers of outputs and learning rates do the scaling.

    Apply the multipliers by `Scheme.multipliers`. Outputs of kernels have the multiplier fan_in^-½, those of the head
    1/fan_in. Adam's learning rate has fan_in^-½ for kernels, d^-½ for embeddings and 1 for the head, within layers
    times L^-½. The learning rate of SGD has the same multipliers, as in unit-scaling with unit-scaled losses.

    Arguments:
        width: width of the model, d, a positive integer.
        layers: number of layers, L, a positive integer; by default None, for no factor L^-½.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (64, 16)}
    >>> for tensor in seedbed.schemes.umup(width=16).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight RandomNormal(mean=0.0, stddev=1.0)
    """
    numbers = counts(width=width, layers=layers)

    def depth(weight: Weight) -> float:
        return 1.0 if layers is None or weight.number is None else math.pow(layers, -0.5)

    def embedding(weight: Weight) -> Multipliers:
        rate = depth(weight) * weight.shape[-1] ** -0.5
        return Multipliers(1.0, rate, rate)

    def vector(weight: Weight) -> Multipliers:
        return Multipliers(1.0, depth(weight), depth(weight))

    def matrix(weight: Weight) -> Multipliers:
        rate = weight.fans.fan_in**-0.5
        return Multipliers(rate, depth(weight) * rate, depth(weight) * rate)

    def head(weight: Weight) -> Multipliers:
        return Multipliers(1 / weight.fans.fan_in, depth(weight), depth(weight))

    scalings = _scalings(
        Scaling("1", "L^-½", "L^-½", vector),
        Scaling("fan_in^-½", "fan_in^-½ L^-½", "fan_in^-½ L^-½", matrix),
        Scaling("1/fan_in", "1", "1", head),
    )
    scalings |= dict.fromkeys(EMBEDDINGS, Scaling("1", "d^-½", "d^-½", embedding))
    return Scheme(numbers, table((EVERY, normal("1", 1.0))), scalings=scalings)


@scheme("Yang, Simon, Bernstein 2023, page 8, parametrization 1; nanotron, nanotron/scaling/parametrization.py")
def spectral(*, width: int, stddev: float = 1.0) -> Scheme:
    """Spectral parametrization: each kernel N(0, σ/√fan_in · min(1, √(fan_out/fan_in))); embeddings N(0, σ).

    The learning rates of kernels have the multiplier fan_out/fan_in (`Scheme.multipliers`).

    Arguments:
        width: width of the model, d, a positive integer.
        stddev: standard deviation σ, a positive number.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (64, 16), "layers.1.mlp.down_proj.weight": (16, 64)}
    >>> for tensor in seedbed.schemes.spectral(width=16).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight RandomNormal(mean=0.0, stddev=0.25)
    layers.1.mlp.down_proj.weight RandomNormal(mean=0.0, stddev=0.0625)
    """
    numbers = counts(width=width) | {"stddev": positive("stddev", stddev)}

    def deviation(weight: Weight) -> float:
        fan_in, fan_out = weight.fans
        return stddev / math.sqrt(fan_in) * min(1.0, math.sqrt(fan_out / fan_in))

    def matrix(weight: Weight) -> Multipliers:
        rate = weight.fans.fan_out / weight.fans.fan_in
        return Multipliers(1.0, rate, rate)

    rows = table(
        (EVERY, normal("σ/√fan_in · min(1, √(fan_out/fan_in))", deviation)),
        (EMBEDDINGS, normal("σ", stddev)),
    )
    kernel = Scaling("1", "fan_out/fan_in", "fan_out/fan_in", matrix)
    vector = Scaling("1", "1", "1", lambda weight: Multipliers(1.0, 1.0, 1.0))
    return Scheme(numbers, rows, scalings=_scalings(vector, kernel, kernel))


def _scalings(vector: Scaling, matrix: Scaling, head: Scaling) -> dict[str, Scaling]:
    """Return the scaling of each role."""
    found = dict.fromkeys(_VECTORS, vector) | dict.fromkeys((*HIDDEN, *roles.EXPERTS), matrix)
    return found | {roles.HEAD: head}


def _shapes(base: Plan | BaseShapes) -> dict[str, Shape]:
    if isinstance(base, Plan):
        return {tensor.name: tensor.shape for tensor in base.tensors}
    if not isinstance(base, Mapping):
        raise TypeError(f"base must be a plan, or shapes by name. Received: {type(base).__name__}")
    return {name: tuple(count("base", length) for length in shape) for name, shape in base.items()}


@dataclass(frozen=True)
class _Growth:
    """Quotients of the lengths of a weight and the lengths in the base model."""

    ratio: float
    """Quotient of the widths."""
    base_width: int
    """Width of the base model."""
    shapes: Mapping[str, Shape] | None
    """Shapes in the base model, by name; None if all lengths are proportional to the width."""

    def of_fans(self, weight: Weight) -> tuple[float, float]:
        """Return the quotients of the fan-ins and of the fan-outs."""
        if self.shapes is None:
            return self.ratio, 1.0 if weight.role == roles.HEAD else self.ratio
        base = self._base(weight)
        fans = replace(weight, shape=base, whole_shape=base, numbers={"width": self.base_width}).fans
        return weight.fans.fan_in / fans.fan_in, weight.fans.fan_out / fans.fan_out

    def of_length(self, weight: Weight) -> float:
        """Return the quotient of the lengths of the last axis, the only one that grows."""
        return self.ratio if self.shapes is None else weight.shape[-1] / self._base(weight)[-1]

    def _base(self, weight: Weight) -> Shape:
        base = (self.shapes or {}).get(weight.name)
        if base is None or len(base) != len(weight.shape):
            raise ValueError(
                f"{weight.name}: base must have a weight of this name with as many axes as {weight.shape}. "
                f"Received: {base}"
            )
        return base

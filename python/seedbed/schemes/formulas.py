"""Formulas of schemes: each is a text, and a function from a weight to its initializer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from seedbed.initializers import (
    Blocks,
    Initializer,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    Zeros,
)
from seedbed.schemes import roles
from seedbed.schemes.weight import Weight

Number: TypeAlias = "float | Callable[[Weight], float]"
"""A number, or a function that computes it from a weight."""


@dataclass(frozen=True)
class Formula:
    """The initializer of all weights of a role."""

    text: str
    """The formula as text, such as "N(0, σ)"."""
    make: Callable[[Weight], Initializer]
    """Return the initializer of a weight."""
    yields: bool = False
    """Whether a weight with a constant own initialization keeps that."""


Table: TypeAlias = Mapping[str, Formula]
"""The formula of each role. A weight of a role without a formula gets its own initialization."""

EMBEDDINGS = (roles.EMBEDDING, roles.POSITION)
"""Embeddings of all kinds."""
FEED_FORWARD_IN = (roles.GATE, roles.UP, roles.GATE_UP)
"""Input kernels of feed-forward layers."""
FEED_FORWARD = (*FEED_FORWARD_IN, roles.DOWN)
"""Kernels of feed-forward layers."""
QUERY_KEY = (roles.QUERY, roles.KEY)
"""Kernels that determine the attention logits."""
ATTENTION_IN = (*QUERY_KEY, roles.VALUE, roles.KEY_VALUE, roles.QKV)
"""Input kernels of attention layers."""
OUTPUTS = (roles.ATTENTION_OUTPUT, roles.DOWN)
"""Last kernels of residual branches: outputs of attention and feed-forward layers."""
HIDDEN = (*ATTENTION_IN, *FEED_FORWARD_IN, *OUTPUTS, roles.ROUTER, roles.PROJECTION)
"""Kernels between embeddings and head."""
EVERY = (*EMBEDDINGS, *HIDDEN, roles.HEAD)
"""All weights with random values. Experts are not listed: `table` gives them the formulas of feed-forward layers."""


def table(*entries: tuple[str | Iterable[str], Formula]) -> Table:
    """Return a table of formulas by role. A later entry for a role replaces an earlier one.

    Without an entry, experts have the formulas of feed-forward layers, norms are ones, and biases are zeros.
    """
    made = {roles.NORM: Formula("1", lambda weight: Ones(), yields=True), roles.BIAS: zeros()}
    for keys, formula in entries:
        made.update(dict.fromkeys([keys] if isinstance(keys, str) else keys, formula))
    for expert, dense in roles.EXPERTS.items():
        if dense in made:
            made.setdefault(expert, made[dense])
    return made


def zeros() -> Formula:
    """Return the formula of zeros."""
    return Formula("0", lambda weight: Zeros())


def normal(text: str, stddev: Number, cut: float | None = None) -> Formula:
    """Return the formula of a normal distribution of mean 0, truncated at +-cut times its standard deviation."""

    def make(weight: Weight) -> Initializer:
        sigma = _number(stddev, weight)
        return RandomNormal(stddev=sigma) if cut is None else TruncatedNormal(stddev=sigma, lower=-cut, upper=cut)

    return Formula(f"N(0, {text})" if cut is None else f"N(0, {text}), cut at {cut:g}", make)


def uniform(text: str, limit: Number) -> Formula:
    """Return the formula of a uniform distribution on [-limit, limit)."""

    def make(weight: Weight) -> Initializer:
        bound = _number(limit, weight)
        return RandomUniform(-bound, bound)

    return Formula(f"U(±{text})", make)


def glorot(gain: Number, text: str, distribution: str) -> Formula:
    """Return the formula of Glorot's distribution, normal or uniform: the variance is 2 gain² / (fan_in + fan_out)."""

    def make(weight: Weight) -> Initializer:
        deviation = _number(gain, weight) * math.sqrt(2 / sum(weight.fans))
        if distribution == "normal":
            return RandomNormal(stddev=deviation)
        limit = math.sqrt(3) * deviation
        return RandomUniform(-limit, limit)

    return Formula(f"Glorot {distribution}" + (f" × {text}" if text else ""), make)


def by_values(other: Formula, value: Formula) -> Formula:
    """Return the formula of packed queries, keys and values: `value` for the values, `other` for the rest.

    Each of the packed kernels has its own fans.
    """

    def make(weight: Weight) -> Initializer:
        regions = weight.value_regions()
        rows = [region[-1].stop - region[-1].start for region in regions]
        axis = len(regions[0]) - 1
        width = weight.shape[1 - axis]
        values = _separate(weight, roles.VALUE, (sum(rows), width))
        length = weight.shape[axis] - sum(rows)
        keys = sum(rows) if weight.role == roles.QKV else length
        blocks = []
        if weight.role == roles.QKV and length != 2 * keys:  # With fewer keys than queries, their fans differ.
            key = other.make(_separate(weight, roles.KEY, (keys, width)))
            count = rows[0]
            blocks = [((*region[:-1], slice(region[-1].start - count, region[-1].start)), key) for region in regions]
        default = other.make(_separate(weight, roles.QUERY, (length - keys or keys, width)))
        return Blocks(default, [*blocks, *((region, value.make(values)) for region in regions)])

    return Formula(f"values {value.text}; else {other.text}", make)


def _separate(weight: Weight, role: str, shape: tuple[int, int]) -> Weight:
    """Return one of the kernels of a packed kernel."""
    return Weight(weight.name, role, shape, weight.numbers, shape)


def orthogonal(text: str, gain: Number) -> Formula:
    """Return the formula of an orthogonal matrix, (out, in) or (in, out), times a gain; one matrix for each expert."""

    def make(weight: Weight) -> Initializer:
        if weight.is_part:
            raise ValueError(
                f"{weight.name}: an orthogonal matrix must be a whole tensor. Received: a part of a tensor "
                f"of the shape {weight.whole_shape}"
            )
        scale = _number(gain, weight)
        if weight.stacked > 1:
            return Blocks("zeros", [((np.s_[number],), Orthogonal(scale)) for number in range(weight.stacked)])
        if len(weight.shape) != 2 and weight.role != roles.PROJECTION:
            raise ValueError(
                f"{weight.name}: the kernel of an orthogonal matrix must have two axes. Received: {weight.shape}"
            )
        return Orthogonal(scale, column_axis=weight.output_axis)

    return Formula(f"orthogonal × {text}", make)


def _number(number: Number, weight: Weight) -> float:
    return number(weight) if callable(number) else number

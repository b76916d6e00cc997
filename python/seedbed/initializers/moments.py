"""Mean and standard deviation of the elements that an initializer makes, exact where its distribution has a formula."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from seedbed.initializers.base import TRUNCATED_STDDEV, Initializer, RandomInitializer
from seedbed.initializers.blocks import Blocks
from seedbed.initializers.identity import Dirac, Identity
from seedbed.initializers.orthogonal import ComputedInitializer, Orthogonal
from seedbed.initializers.sparse import Sparse
from seedbed.regions import as_slice
from seedbed.rules import Distribution, Repeated
from seedbed.shapes import Shape, ShapeLike, as_shape


class Moments(NamedTuple):
    """Mean and standard deviation of the elements of a tensor."""

    mean: float
    stddev: float


def moments_of(initializer: Initializer, shape: ShapeLike) -> Moments | None:
    """Return the mean and the standard deviation of the elements of a tensor, after truncation.

    Of numbers that are given they are those of the numbers, of blocks those of all elements together.

    Arguments:
        initializer: with or without a seed; nothing is drawn.
        shape: of the tensor.

    Returns:
        The moments; None for an initializer without a formula.

    Raises:
        ValueError: if there is no tensor of that shape.

    >>> import seedbed as sb
    >>> moments_of(sb.GlorotUniform(), (300, 300))
    Moments(mean=0.0, stddev=0.05773502691896258)
    >>> moments_of(sb.TruncatedNormal(stddev=0.02), (8,)).stddev == 0.02 * 0.87962566103423978
    True
    """
    dimensions = as_shape(shape)
    size = math.prod(dimensions)
    if isinstance(initializer, Blocks):
        return _of_blocks(initializer, dimensions)
    if isinstance(initializer, Sparse):
        zeros = min(1.0, math.ceil(initializer.sparsity * dimensions[0]) / max(1, dimensions[0]))
        return Moments(0.0, initializer.stddev * math.sqrt(1 - zeros))
    if isinstance(initializer, RandomInitializer):
        return _of_distribution(initializer.sampling(dimensions))
    if isinstance(initializer, Orthogonal):
        columns = dimensions[initializer.column_axis]
        return Moments(0.0, abs(initializer.gain) / math.sqrt(max(columns, size // max(1, columns), 1)))
    if isinstance(initializer, ComputedInitializer):
        return None
    if isinstance(initializer, (Identity, Dirac)):
        value = initializer.gain if isinstance(initializer, Identity) else 1.0
        share = _share_of_ones(initializer, dimensions) / max(1, size)
        return Moments(value * share, abs(value) * math.sqrt(share * (1 - share)))
    rule = initializer.rule(dimensions, np.dtype(np.float64))
    if not isinstance(rule, Repeated):
        return None
    return Moments(float(rule.value.mean()), float(rule.value.std())) if rule.value.size else Moments(0.0, 0.0)


def _share_of_ones(initializer: Identity | Dirac, shape: Shape) -> int:
    if isinstance(initializer, Identity):
        return min(shape)
    outputs, inputs = (shape[0], shape[1]) if initializer.layout == "torch" else (shape[-1], shape[-2])
    return initializer.groups * min(outputs // initializer.groups, inputs)


def _of_distribution(distribution: Distribution) -> Moments:
    name, (a, b, *bounds) = distribution
    if name == "uniform":
        return Moments((a + b) / 2, (b - a) / math.sqrt(12))
    if name == "normal":
        return Moments(a, b)
    if name == "truncated_normal":
        return Moments(a, b * TRUNCATED_STDDEV)
    mean, stddev = _truncated(*bounds)
    return Moments(a + b * mean, b * stddev)


def _truncated(low: float, high: float) -> tuple[float, float]:
    """Mean and standard deviation of a standard normal between two bounds, by Simpson's rule about its mode."""
    mode = min(max(low, 0.0), high)
    low, high = max(low, mode - _REACH), min(high, mode + _REACH)
    x = np.linspace(low, high, 20_001)
    weights = np.exp((mode - x) * (mode + x) / 2)
    weights[1:-1:2] *= 4
    weights[2:-1:2] *= 2
    mass = weights.sum()
    mean = float((weights * x).sum() / mass)
    return mean, math.sqrt(float((weights * (x - mean) ** 2).sum() / mass))


_REACH = 12.0
"""Distance from the mode beyond which a normal distribution has no mass to speak of, in standard deviations."""


def _of_blocks(initializer: Blocks, shape: Shape) -> Moments | None:
    """The moments of all elements, each counted with the last part that has it."""
    parts = initializer.parts(shape)
    owner = np.zeros(shape, np.int32) if math.prod(shape) <= _MAX_COUNTED else None
    counts = []
    if owner is None:
        counts = [math.prod(part.shape) for part in parts]  # blocks that overlap each other are counted twice
        counts[0] -= min(counts[0], sum(counts[1:]))
    else:
        for number, part in enumerate(parts):
            owner[tuple(as_slice(axis) for axis in part.axes)] = number
        counts = np.bincount(owner.reshape(-1), minlength=len(parts)).tolist()
    found = [
        moments_of(part.initializer, part.shape) if count else Moments(0.0, 0.0)
        for part, count in zip(parts, counts, strict=True)
    ]
    total = max(1, sum(counts))
    if any(moments is None for moments in found):
        return None
    known = [moments for moments in found if moments is not None]
    mean = sum(count * moments.mean for count, moments in zip(counts, known, strict=True)) / total
    square = (
        sum(count * (moments.stddev**2 + moments.mean**2) for count, moments in zip(counts, known, strict=True)) / total
    )
    return Moments(mean, math.sqrt(max(0.0, square - mean**2)))


_MAX_COUNTED = 1 << 24
"""Number of elements up to which those of overlapping blocks are counted one by one."""

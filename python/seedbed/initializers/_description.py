"""What the elements of a tensor are like: fans, mean, standard deviation and bounds, by exact formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from seedbed.rules import Distribution, compiled

TRUNCATED_STDDEV = 0.87962566103423978
"""The standard deviation of a standard normal truncated at +-2: sqrt(1 - 4 phi(2) / erf(sqrt(2)))."""


class Description(NamedTuple):
    """What `Initializer.describe` returns. None stands for what does not apply, is not bounded, or is not known.

    Mean and standard deviation are those of the elements before they are rounded to the dtype: of one that is picked at
    random, where elements have different distributions. Minimum and maximum are numbers of the dtype.
    """

    fan_in: int | None = None
    """Fan-in that the initializer counts in the shape."""

    fan_out: int | None = None
    """Fan-out that the initializer counts in the shape."""

    mean: Any = None
    """Mean of the elements."""

    stddev: float | None = None
    """Standard deviation of the elements, after any truncation. Of complex numbers, sqrt(E |w - mean|^2)."""

    minimum: Any = None
    """No element is less."""

    maximum: Any = None
    """No element is greater."""

    def __str__(self) -> str:
        width = max(map(len, self._fields))
        return "\n".join(f"{name:{width}}  {'-' if value is None else value}" for name, value in self._asdict().items())


def of_distribution(distribution: Distribution, dtype: np.dtype) -> Description:
    """Describe independent values of one distribution."""
    name, parameters = distribution
    mean, stddev = moments(name, *parameters)
    if stddev == 0:
        name, parameters = "uniform", (mean, mean)
    minimum, maximum = compiled(name, tuple(parameters), dtype).bounds
    return Description(mean=mean, stddev=stddev, minimum=minimum, maximum=maximum)


def of_values(values: np.ndarray, counts: np.ndarray | None = None) -> Description:
    """Describe given elements, each as often as its count says, or once."""
    if counts is not None:
        values, counts = values[counts > 0], counts[counts > 0]
    if not values.size:
        return Description()
    numbers = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
    mean = np.average(numbers, weights=counts)
    stddev = math.sqrt(np.average(abs(numbers - mean) ** 2, weights=counts))
    if values.dtype.kind == "c":
        return Description(mean=complex(mean), stddev=stddev)
    least, greatest = (values[chosen].item() for chosen in (numbers.argmin(), numbers.argmax()))
    return Description(mean=float(mean), stddev=stddev, minimum=least, maximum=greatest)


def mixture(parts: Sequence[tuple[Description, int]]) -> Description:
    """Describe elements of several kinds, of which there are so many each."""
    parts = [(part, count) for part, count in parts if count]
    minima, maxima = [part.minimum for part, _ in parts], [part.maximum for part, _ in parts]
    minimum = None if None in minima else min(minima, default=None)
    maximum = None if None in maxima else max(maxima, default=None)
    known = [
        (part.mean, part.stddev, count) for part, count in parts if part.mean is not None and part.stddev is not None
    ]
    if not parts or len(known) < len(parts):
        return Description(minimum=minimum, maximum=maximum)
    size = sum(count for *_, count in known)
    mean = sum(mean * (count / size) for mean, _, count in known)
    variance = sum((stddev**2 + abs(own - mean) ** 2) * (count / size) for own, stddev, count in known)
    return Description(mean=mean, stddev=math.sqrt(variance), minimum=minimum, maximum=maximum)


def moments(
    name: str, first: float, second: float, lower: float = -math.inf, upper: float = math.inf
) -> tuple[float, float]:
    """Return the mean and the standard deviation of a distribution with its parameters."""
    if name == "uniform":
        return first / 2 + second / 2, (second / 2 - first / 2) / math.sqrt(3)
    if name == "truncated_normal":
        return float(first), second * TRUNCATED_STDDEV
    mean, stddev = _moments_between(lower, upper) if name == "normal_between" else (0.0, 1.0)
    return first + second * mean, second * stddev


def _moments_between(lower: float, upper: float) -> tuple[float, float]:
    """Return the mean and the standard deviation of a standard normal between two bounds.

    Integrals by the rule of Gauss and Legendre, over the distance t from the mode, the point between the bounds that is
    nearest to 0. Relative to the mode the density is exp(-t (mode + t / 2)), which neither underflows nor cancels in a
    far tail.
    """
    from numpy.polynomial.legendre import leggauss

    mode = min(max(lower, 0.0), upper)
    reach = math.sqrt(mode * mode + 100) - abs(mode)  # there the density is exp(-50) of the greatest
    low, high = max(lower - mode, -reach), min(upper - mode, reach)
    panels = math.ceil((high - low) * max(1.0, abs(mode)))
    nodes, weights = leggauss(20)
    edges = np.linspace(low, high, panels + 1)
    half = (edges[1:] - edges[:-1])[:, None] / 2
    t = edges[:-1, None] + half * (nodes + 1)
    mass = half * weights * np.exp(-t * (mode + t / 2))
    mass /= mass.sum()
    mean = float((mass * t).sum())
    return mode + mean, math.sqrt(float((mass * (t - mean) ** 2).sum()))

"""`Description`: fans, mean, standard deviation and bounds of the elements of a tensor, by exact formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from seedbed.rules import Distribution, compiled

TRUNCATED_STDDEV = 0.87962566103423978
"""The standard deviation of a standard normal truncated at +-2: sqrt(1 - 4 phi(2) / erf(sqrt(2)))."""


class Description(NamedTuple):
    """Result of `Initializer.describe`. A field is None if it does not apply, is not bounded, or is not known.

    Mean and standard deviation are those before rounding to the dtype. If elements have different distributions, they
    are those of an element picked at random. Minimum and maximum are numbers of the dtype.

    Arguments:
        fan_in: fan-in that the initializer counts in the shape.
        fan_out: fan-out that the initializer counts in the shape.
        mean: mean of the elements.
        stddev: standard deviation of the elements, after any truncation. For complex numbers, sqrt(E |w - mean|^2).
        minimum: lower bound of the elements.
        maximum: upper bound of the elements.

    >>> import seedbed as sb
    >>> sb.RandomUniform(-1.0, 1.0).describe((3, 3)).stddev  # 1 / sqrt(3)
    0.5773502691896258
    """

    fan_in: int | None = None
    """Fan-in that the initializer counts in the shape."""

    fan_out: int | None = None
    """Fan-out that the initializer counts in the shape."""

    mean: Any = None
    """Mean of the elements."""

    stddev: float | None = None
    """Standard deviation of the elements, after any truncation. For complex numbers, sqrt(E |w - mean|^2)."""

    minimum: Any = None
    """Lower bound of the elements."""

    maximum: Any = None
    """Upper bound of the elements."""

    def __str__(self) -> str:
        width = max(map(len, self._fields))
        return "\n".join(f"{name:{width}}  {'-' if value is None else value}" for name, value in self._asdict().items())


def of_distribution(distribution: Distribution, dtype: np.dtype) -> Description:
    """Describe independent values of one distribution."""
    name, parameters = distribution
    mean, stddev = moments(name, *parameters)
    if name == "normal" and stddev == 0:
        name, parameters = "uniform", (mean, mean)
    minimum, maximum = compiled(name, tuple(parameters), dtype).bounds
    return Description(mean=mean, stddev=stddev, minimum=minimum, maximum=maximum)


def of_values(values: np.ndarray, counts: np.ndarray | None = None) -> Description:
    """Describe given elements. With counts, each element is repeated that many times."""
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
    """Describe elements of several kinds, each given by its description and its number of elements."""
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


def moments(name: str, *parameters: float) -> tuple[float, float]:
    """Return the mean and the standard deviation of a distribution with its parameters."""
    first, second, *more = parameters
    if name == "uniform":
        return first / 2 + second / 2, (second / 2 - first / 2) / math.sqrt(3)
    if name == "truncated_normal":
        return float(first), second * TRUNCATED_STDDEV
    if name in _CURVES:
        return _moments_of_curve(name, first, second, *more)
    mean, stddev = _moments_between(*more) if name == "normal_between" else (0.0, 1.0)
    return first + second * mean, second * stddev


_CURVES = ("log_uniform", "log_of_uniform", "inverse_softplus")

_NEGLIGIBLE = 60.0
"""Depth from which on exp(-depth) is less than a rounding error of the sum."""


def _moments_of_curve(name: str, minval: float, maxval: float, floor: float = 0.0) -> tuple[float, float]:
    """Return the mean and the standard deviation of a function of t, by integrals over y = log t."""
    start, end = (math.log(t) if t > 0 else -math.inf for t in (minval, maxval))
    if name == "log_of_uniform":
        if start == end:
            return end, 0.0
        y, mass = _quadrature(max(start, end - _NEGLIGIBLE), end)
        return _moments(y, mass * np.exp(y - end))
    if name == "log_uniform":
        y, mass = _quadrature(start, end) if start < end else (np.array([end]), np.ones(1))
        mean, stddev = _moments(np.exp(y - end), mass)
        return mean * maxval, stddev * maxval
    least = max(minval, floor)
    if floor >= maxval or start == end:
        return math.log(math.expm1(least)), 0.0
    y, mass = _quadrature(math.log(least), end)
    y, mass = np.append(y, math.log(least)), np.append(mass, math.log(least) - start)
    return _moments(np.log(np.expm1(np.exp(y))), mass)


def _moments_between(lower: float, upper: float) -> tuple[float, float]:
    """Return the mean and the standard deviation of a standard normal between two bounds.

    They are integrals over the distance t from the mode, the point between the bounds that is nearest to 0. The density
    relative to that at the mode is exp(-t (mode + t / 2)), which neither underflows nor cancels in a far tail.
    """
    mode = min(max(lower, 0.0), upper)
    reach = math.sqrt(mode * mode + 100) - abs(mode)  # The density there is exp(-50) times the greatest.
    t, mass = _quadrature(max(lower - mode, -reach), min(upper - mode, reach), max(1.0, abs(mode)))
    mean, stddev = _moments(t, mass * np.exp(-t * (mode + t / 2)))
    return mode + mean, stddev


def _moments(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation of weighted values."""
    weights = weights / weights.sum()
    mean = float((weights * values).sum())
    return mean, math.sqrt(float((weights * (values - mean) ** 2).sum()))


def _quadrature(low: float, high: float, density: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss-Legendre quadrature, with `density` panels per unit."""
    from numpy.polynomial.legendre import leggauss

    nodes, weights = leggauss(20)
    edges = np.linspace(low, high, math.ceil((high - low) * density) + 1)
    half = (edges[1:] - edges[:-1])[:, None] / 2
    return (edges[:-1, None] + half * (nodes + 1)).reshape(-1), (half * weights).reshape(-1)

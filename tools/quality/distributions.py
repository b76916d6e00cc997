"""The three standard distributions, and the exact distribution of their values in each dtype.

A value of 24 bits or fewer is a rounded number. Values of t or more come from all real numbers above an *edge*, half a
unit in the last place below t. So the probability of any set of rounded values is an integral of the continuous
distribution between edges. The figures here follow from the specification, not from the package.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import ml_dtypes
import numpy as np
from scipy import special

import seedbed as sb

DTYPES = ("float16", "bfloat16", "float32", "float64")
_NARROW = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
_WITHIN = math.erf(math.sqrt(2))  # probability of a standard normal within two standard deviations


@dataclass(frozen=True)
class Distribution:
    """A continuous distribution, symmetric about its centre."""

    name: str
    make: Callable[[int], sb.Initializer]  # from a seed
    center: float
    reach: float  # largest distance of a value from the centre
    excluded: bool  # whether the upper bound is excluded
    cell: float  # width of a cell for float32 and float64, a power of two: 2^16 cells cover the distribution
    tails: tuple[float, ...]  # distances from the centre
    upper: Callable[[np.ndarray], np.ndarray]  # P(X >= center + distance), distance >= 0
    moment: Callable[[int], float]  # r-th moment about the centre

    def mass(self, edges: np.ndarray) -> np.ndarray:
        """Return the probabilities between consecutive edges.

        Each is computed from the nearer tail, so that small ones are accurate.
        """
        distances = edges - self.center
        outer = self.upper(np.minimum(np.abs(distances), self.reach))
        right = distances >= 0
        masses: np.ndarray = np.where(right[1:] & ~right[:-1], 1 - outer[:-1] - outer[1:], np.abs(np.diff(outer)))
        return masses


def _normal_moment(r: int) -> float:
    return 0.0 if r % 2 else float(math.prod(range(1, r, 2)))


def _truncated_moment(r: int) -> float:
    if r % 2 or r == 0:
        return float(r == 0)
    density = math.exp(-2) / math.sqrt(2 * math.pi) / _WITHIN
    return (r - 1) * _truncated_moment(r - 2) - 2 * 2.0 ** (r - 1) * density


DISTRIBUTIONS = (
    Distribution(
        name="uniform on [0, 1)",
        make=lambda seed: sb.RandomUniform(0.0, 1.0, seed),
        center=0.5,
        reach=0.5,
        excluded=True,
        cell=2.0**-16,
        tails=tuple(0.5 - 2.0**-k for k in (12, 16, 20, 24)),
        upper=lambda distance: 0.5 - distance,
        moment=lambda r: 0.0 if r % 2 else 0.5**r / (r + 1),
    ),
    Distribution(
        name="normal",
        make=lambda seed: sb.RandomNormal(0.0, 1.0, seed),
        center=0.0,
        reach=9.25,
        excluded=False,
        cell=2.0**-12,
        tails=(3.0, 4.0, 5.0, 5.5, 6.0),
        upper=lambda distance: special.ndtr(-distance),
        moment=_normal_moment,
    ),
    Distribution(
        name="normal truncated at ±2",
        make=lambda seed: sb.TruncatedNormal(0.0, 1.0, seed),
        center=0.0,
        reach=2.0,
        excluded=False,
        cell=2.0**-14,
        tails=tuple(2 - 2.0**-k for k in (8, 12, 16, 20)),
        upper=lambda distance: (special.ndtr(-distance) - special.ndtr(-2.0)) / _WITHIN,
        moment=_truncated_moment,
    ),
)


def _edges_float32(values: np.ndarray) -> np.ndarray:
    """Return the lower edges of the intervals that round to these float32 numbers, in float64. Ties have no weight."""
    edges: np.ndarray = (np.nextafter(values, np.float32(-np.inf)).astype(float) + values.astype(float)) / 2
    return edges


def _narrow_values(dtype: str) -> np.ndarray:
    """Return the values of all 2^16 bit patterns of a 16-bit type."""
    with np.errstate(invalid="ignore"):  # some are NaN
        values: np.ndarray = np.arange(2**16, dtype=np.uint16).view(_NARROW[dtype]).astype(float)
    return values


@cache
def _narrow_numbers(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return all finite numbers of a 16-bit type in order, and the index of each of the 2^16 bit patterns in them."""
    words = _narrow_values(dtype)
    finite = np.isfinite(words)
    numbers = np.unique(words[finite])  # -0.0 is 0.0
    places = np.full(2**16, len(numbers))
    places[finite] = np.searchsorted(numbers, words[finite])
    return numbers, places


def _edges_narrow(dtype: str, values: np.ndarray) -> np.ndarray:
    """Return the lower edges for numbers of a 16-bit type: float32 numbers rounded to nearest, ties to even."""
    numbers, _ = _narrow_numbers(dtype)
    below = numbers[np.maximum(np.searchsorted(numbers, values) - 1, 0)]
    middles = ((below + values) / 2).astype(np.float32)  # exact
    odd = values.astype(_NARROW[dtype]).view(np.uint16) % 2 == 1  # a tie goes to the even number below
    return _edges_float32(np.where(odd, np.nextafter(middles, np.float32(np.inf)), middles))


class RoundedDistribution:
    """The exact distribution of values in one dtype, as probabilities of *cells*.

    A cell is a number of a 16-bit type, or for a wider type one of 2^16 intervals of equal width.
    """

    def __init__(self, distribution: Distribution, dtype: str) -> None:
        self.continuous, self.dtype = distribution, dtype
        self.least, self.greatest = distribution.center - distribution.reach, distribution.center + distribution.reach
        if distribution.excluded:
            self.greatest = float(self._before(np.array([self.greatest]))[0])
        if dtype in _NARROW:
            numbers, self._places = _narrow_numbers(dtype)
            kept = (numbers >= self.least) & (numbers <= self.greatest)
            self.starts = numbers[kept]
            first, last = int(np.flatnonzero(kept)[0]), len(self.starts) - 1
            self._places = np.clip(self._places - first, 0, last).astype(np.int32)
            self._values = _narrow_values(dtype)
        else:
            self._first = -(2**15) if distribution.center == 0 else 0
            self.starts = (self._first + np.arange(2**16)) * distribution.cell
        edges = self._edges(self.starts)
        self.probabilities = distribution.mass(np.array([-np.inf, *edges[1:], np.inf]))
        if dtype in _NARROW:
            self.mean = float(self.probabilities @ self.starts)
            offsets = self.starts - self.mean
            self.moments = [float(self.probabilities @ offsets**r) for r in range(9)]
        else:
            self.mean = distribution.center
            self.moments = [distribution.moment(r) for r in range(9)]

    def _before(self, values: np.ndarray) -> np.ndarray:
        if self.dtype in _NARROW:
            numbers, _ = _narrow_numbers(self.dtype)
            before: np.ndarray = numbers[np.searchsorted(numbers, values) - 1]
        else:
            before = np.nextafter(values.astype(self.dtype), np.dtype(self.dtype).type(-np.inf)).astype(float)
        return before

    def _edges(self, values: np.ndarray) -> np.ndarray:
        """Return the lower edges of the intervals that become these numbers: -inf at or below the least number."""
        if self.dtype in _NARROW:
            edges = _edges_narrow(self.dtype, values)
        elif self.dtype == "float32":
            edges = _edges_float32(values.astype(np.float32))
        else:
            edges = values
        return np.where(values <= self.least, -np.inf, np.where(values > self.greatest, np.inf, edges))

    def probability_from(self, value: float) -> float:
        """Return P(X >= value) for a number of the dtype."""
        return float(self.continuous.mass(np.array([self._edges(np.array([value]))[0], np.inf]))[0])

    def probability_below(self, value: float) -> float:
        """Return P(X < value) for a number of the dtype."""
        return float(self.continuous.mass(np.array([-np.inf, self._edges(np.array([value]))[0]]))[0])

    def has(self, value: float) -> bool:
        """Return whether the dtype represents a value exactly."""
        return self.dtype == "float64" or float(np.array(value).astype(_NARROW.get(self.dtype, np.float32))) == value

    def read(self, sample: np.ndarray) -> np.ndarray:
        """Return a sample as float64."""
        if self.dtype in _NARROW:
            return self._values[sample.view(np.uint16)]
        return sample.astype(float, copy=False)

    def cells(self, sample: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the cell of each value. A value outside of all cells (see `outside`) counts in the nearest one."""
        if self.dtype in _NARROW:
            return self._places[sample.view(np.uint16)]
        with np.errstate(invalid="ignore"):
            cells = np.floor(values * (1 / self.continuous.cell)).astype(np.int32)
        cells -= self._first
        return np.clip(cells, 0, 2**16 - 1, out=cells)

    def outside(self, values: np.ndarray) -> int:
        """Return how many values are NaN, or less than the least number, or greater than the greatest one."""
        return values.size - int(np.count_nonzero((values >= self.least) & (values <= self.greatest)))

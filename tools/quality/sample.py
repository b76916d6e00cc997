"""Count and sum a sample of any length in one pass, in constant memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .distributions import RoundedDistribution
from .fit import joined

LAGS = (1, 2, 3, 4, 8, 15, 16, 17, 64, 256, 1000, 1024, 4096, 10_000, 65_536, 100_000, 1_000_000)
CHUNK = 2**21
BLOCK = 2**15  # values of one summation step, which stay in the cache
GRID = 2**10

Source = Callable[[int, int], np.ndarray]
"""Elements `start`, ..., `start + count - 1` of a sample, in its dtype."""


class Tally:
    """Counts and sums of a sample.

    Attributes:
        n: number of values.
        outside: number of values outside of the bounds, NaN included.
        counts: number of values by cell.
        powers: sums of (x - mean)^r, r = 1 to 4.
        tails: for each tail, the number of values below its low place, and from its high place on.
        products: sums of (x[i] - mean) (x[i + lag] - mean), by lag.
        pairs: counts of (x[2i], x[2i + 1]) on a grid of at most 2^10 x 2^10 groups of cells.
        weights: probabilities of the groups.
    """

    def __init__(self, rounded: RoundedDistribution, source: Source, n: int) -> None:
        self.n, self.outside = n, 0
        self.counts = np.zeros(len(rounded.probabilities), np.int64)
        self.powers = np.zeros(4)
        self.tails = np.zeros((len(rounded.continuous.tails), 2), np.int64)
        self.products = {lag: 0.0 for lag in LAGS if lag < n}
        groups = joined(rounded.probabilities, 1 / GRID).astype(np.int32)
        self.weights = np.bincount(groups, rounded.probabilities)
        self.pairs = np.zeros(len(self.weights) ** 2, np.int64)

        history, chunk = max(self.products), min(CHUNK, n)
        offsets = np.zeros(history + chunk)  # x - mean; the zeros before the first add nothing to a sum of products
        cells = np.empty(chunk, np.intp)
        for start in range(0, n, chunk):
            sample = source(start, min(chunk, n - start))
            offsets[:history] = offsets[chunk:]
            for at in range(0, sample.size, BLOCK):
                block = sample[at : at + BLOCK]
                values = rounded.read(block)
                cells[at : at + values.size] = rounded.cells(block, values)
                self._count_far(rounded, values)
                new = slice(history + at, history + at + values.size)
                np.subtract(values, rounded.mean, out=offsets[new])
                self._sum(offsets, new)
            self.counts += np.bincount(cells[: sample.size], minlength=len(self.counts))
            group = groups[cells[: sample.size]]
            pairs = group[: sample.size // 2 * 2 : 2] * len(self.weights) + group[1::2]
            self.pairs += np.bincount(pairs, minlength=len(self.pairs))

    def _count_far(self, rounded: RoundedDistribution, values: np.ndarray) -> None:
        self.outside += rounded.outside(values)
        for i, (low, high) in enumerate(tail_places(rounded)):
            self.tails[i] += np.count_nonzero(values < low), np.count_nonzero(values >= high)

    def _sum(self, offsets: np.ndarray, new: slice) -> None:
        x = offsets[new]
        squares = x * x
        self.powers += x.sum(), squares.sum(), np.einsum("i,i", x, squares), np.einsum("i,i", squares, squares)
        for lag in self.products:
            self.products[lag] += np.einsum("i,i", x, offsets[new.start - lag : new.stop - lag])


def tail_places(rounded: RoundedDistribution) -> list[tuple[float, float]]:
    """Return `(low, high)` for each tail distance: the tails are the values below `low`, and from `high` on."""
    center = rounded.continuous.center
    return [(center - distance, center + distance) for distance in rounded.continuous.tails]

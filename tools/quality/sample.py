"""One pass over a sample of any length in constant memory, and what is counted and summed on the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .fit import joined
from .laws import DtypeLaw

LAGS = (1, 2, 3, 4, 8, 15, 16, 17, 64, 256, 1000, 1024, 4096, 10_000, 65_536, 100_000, 1_000_000)
CHUNK = 2**21
BLOCK = 2**15  # what the sums work on at a time: it stays in the cache
GRID = 2**10

Source = Callable[[int, int], np.ndarray]
"""Elements `start`, ..., `start + count - 1` of a sample, in its dtype."""


class Tally:
    """Counts and sums of a sample.

    Attributes:
        n: how many values.
        outside: how many that are no values of the law.
        counts: by cell.
        powers: sums of (x - mean)^r, r = 1 to 4.
        tails: counts below and from the places of the law's tails, as `(low, high)`.
        products: sums of (x[i] - mean) (x[i + lag] - mean), by lag.
        pairs: counts of (x[2i], x[2i + 1]) on a grid of at most 2^10 x 2^10 groups of cells.
        weights: the probabilities of the groups.
    """

    def __init__(self, law: DtypeLaw, source: Source, n: int) -> None:
        self.n, self.outside = n, 0
        self.counts = np.zeros(len(law.probabilities), np.int64)
        self.powers = np.zeros(4)
        self.tails = np.zeros((len(law.law.tails), 2), np.int64)
        self.products = {lag: 0.0 for lag in LAGS if lag < n}
        groups = joined(law.probabilities, 1 / GRID).astype(np.int32)
        self.weights = np.bincount(groups, law.probabilities)
        self.pairs = np.zeros(len(self.weights) ** 2, np.int64)

        history, chunk = max(self.products), min(CHUNK, n)
        offsets = np.zeros(history + chunk)  # x - mean; before the first, zeros that add nothing to a sum of products
        cells = np.empty(chunk, np.intp)
        for start in range(0, n, chunk):
            sample = source(start, min(chunk, n - start))
            offsets[:history] = offsets[chunk:]
            for at in range(0, sample.size, BLOCK):
                block = sample[at : at + BLOCK]
                values = law.read(block)
                cells[at : at + values.size] = law.cells(block, values)
                self._count_far(law, values)
                new = slice(history + at, history + at + values.size)
                np.subtract(values, law.mean, out=offsets[new])
                self._sum(offsets, new)
            self.counts += np.bincount(cells[: sample.size], minlength=len(self.counts))
            group = groups[cells[: sample.size]]
            pairs = group[: sample.size // 2 * 2 : 2] * len(self.weights) + group[1::2]
            self.pairs += np.bincount(pairs, minlength=len(self.pairs))

    def _count_far(self, law: DtypeLaw, values: np.ndarray) -> None:
        self.outside += law.outside(values)
        for i, (low, high) in enumerate(tail_places(law)):
            self.tails[i] += np.count_nonzero(values < low), np.count_nonzero(values >= high)

    def _sum(self, offsets: np.ndarray, new: slice) -> None:
        x = offsets[new]
        squares = x * x
        self.powers += x.sum(), squares.sum(), np.einsum("i,i", x, squares), np.einsum("i,i", squares, squares)
        for lag in self.products:
            self.products[lag] += np.einsum("i,i", x, offsets[new.start - lag : new.stop - lag])


def tail_places(law: DtypeLaw) -> list[tuple[float, float]]:
    """Where the tails begin: those below the first number, and those not below the second."""
    center = law.law.center
    return [(center - distance, center + distance) for distance in law.law.tails]

"""Initializers with many zeros: Sparse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, SupportsFloat, cast

import numpy as np
import numpy.typing as npt

from seedbed import seeds
from seedbed._float_state import in_default_state
from seedbed.arguments import as_finite
from seedbed.initializers._description import Description, of_distribution
from seedbed.initializers.base import RandomInitializer
from seedbed.regions import Axis, axes_of, indices
from seedbed.rules import Distribution, Rule, Sampled, compiled
from seedbed.shapes import Shape

if TYPE_CHECKING:
    from typing_extensions import Self

_RANKS = "seedbed.sparse"
"""Name of the child of the values' key from which the rows with zeros are drawn."""

_MAX_RANKS = 1 << 20
"""Maximum number of ranks in memory at a time, except for a single column of more rows."""


class Thinned(Rule):
    """A matrix of samples in which some rows of each column are 0.

    Each element has a rank: the standard uniform number, in float64, at its index in the child of the
    values' key. In each column the `zeros` elements of least rank are 0, of equal ranks those in upper rows.
    """

    __slots__ = ("values", "zeros")

    def __init__(self, values: Sampled, zeros: int) -> None:
        self.values = values
        self.zeros = zeros

    @property
    def needs_whole(self) -> bool:
        return True  # the choice takes all rows of a column

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        self.values.write(out, axes)
        rows, columns = axes_of(out.shape) if axes is None else axes
        matrix, wanted = out.reshape(rows[3], columns[3]), indices(rows)
        if not matrix.size or not self.zeros:
            return
        length, start, step, count = columns
        at_once = max(1, _MAX_RANKS // rows[0])
        for first in range(0, count, at_once):
            some = (length, start + step * first, step, min(at_once, count - first))
            zeroed = self._zeroed(rows[0], some)
            matrix[:, first : first + some[3]][zeroed[wanted]] = 0

    def _zeroed(self, rows: int, columns: Axis) -> npt.NDArray[np.bool_]:
        """Return which elements are 0, in all rows of some columns."""
        key, stream = self.values.address
        ranks = np.empty((rows, columns[3]), np.float64)
        address = seeds.Address(seeds.child_key(key, _RANKS), stream)
        Sampled(compiled("uniform", (-1.0, 1.0), ranks.dtype), address).write(ranks, [*axes_of((rows,)), columns])
        return least(ranks, self.zeros)


def least(ranks: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.bool_]:
    """Return which elements are the `count` smallest of their column. Of equal elements, the upper rows come first."""
    by_column = np.array(ranks.T, order="C")
    by_column.partition(count - 1, axis=1)
    chosen: npt.NDArray[np.bool_] = ranks <= by_column[:, count - 1]
    for column in np.flatnonzero(chosen.sum(axis=0) > count):
        chosen[:, column] = False
        chosen[np.argsort(ranks[:, column], kind="stable")[:count], column] = True
    return chosen


@in_default_state
def _zeros(sparsity: float, rows: int) -> int:
    """Return the number of zeros in a column."""
    return math.ceil(sparsity * rows)


class Sparse(RandomInitializer):
    """Matrices with a fraction of zeros in each column, and normal values elsewhere (Martens 2010).

    As in torch, the shape is (rows, columns), whatever the layout. Each column has exactly ceil(sparsity rows) zeros,
    with the product rounded to float64. The rows of the zeros are drawn from the seed too, and all choices are equally
    likely. The other elements are those of `RandomNormal(mean, stddev, seed)`.

    The cost of a slice includes the choice of zeros for its columns, in all rows.

    Arguments:
        sparsity: fraction of zeros, from 0 to 1.
        stddev: standard deviation of the other elements, a number that is not negative.
        seed: None, an integer or a `SeedGenerator`.
        mean: mean of the other elements.

    Raises:
        ValueError: if an argument is not as described; at the call, if the shape is not of rank 2, the dtype is not
            floating point, or values 9.25 standard deviations from the mean would exceed its largest finite number.

    >>> import seedbed as sb
    >>> w = sb.Sparse(0.9, seed=3)((20, 5))
    >>> (w == 0).sum(axis=0).tolist()
    [18, 18, 18, 18, 18]
    """

    parameters: ClassVar[tuple[str, ...]] = ("sparsity", "stddev", "seed", "mean")
    beyond_keras: ClassVar[Mapping[str, object]] = MappingProxyType({"mean": 0.0})

    def __init__(
        self,
        sparsity: SupportsFloat,
        stddev: SupportsFloat = 0.01,
        seed: seeds.SeedLike = None,
        mean: SupportsFloat = 0.0,
    ) -> None:
        super().__init__(seed)
        self.sparsity = as_finite("sparsity", sparsity)
        self.stddev = as_finite("stddev", stddev)
        self.mean = as_finite("mean", mean)
        if not 0 <= self.sparsity <= 1:
            raise ValueError(f"sparsity must be from 0 to 1. Received: sparsity={self.sparsity}")
        if self.stddev < 0:
            raise ValueError(f"stddev must not be negative. Received: stddev={self.stddev}")

    def sampling(self, shape: Shape) -> Distribution:
        return "normal", (self.mean, self.stddev)

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        if len(shape) != 2:
            raise ValueError(f"the shape of a sparse matrix must be of rank 2. Received: shape={shape}")
        values = cast(Sampled, super().rule(shape, dtype))
        return Thinned(values, _zeros(self.sparsity, shape[0]))

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        rows = max(1, shape[0])
        share = 1 - _zeros(self.sparsity, rows) / rows
        dense = super()._describe(shape, dtype)
        if share == 0:
            return of_distribution(("normal", (0.0, 0.0)), dtype)
        variance = share * (self.stddev**2 + (1 - share) * self.mean**2)
        return dense._replace(mean=share * self.mean, stddev=math.sqrt(variance))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        # The only argument without a default. Unknown keys were refused above.
        return super().from_config({"sparsity": None, **config} if isinstance(config, Mapping) else config)

"""`LazyArray`: a tensor of which only the indexed elements are evaluated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from seedbed._html import html_table
from seedbed.regions import Axis, Selector, axis_of, by_axis, is_list, selected, shape_of
from seedbed.rules import Rule
from seedbed.shapes import Shape

MAX_GAP = 4096
"""Maximum gap between indices that are evaluated together, in elements: a separate call takes longer."""

MAX_WASTE = 4
"""Maximum ratio of evaluated to selected elements. Above it, each selected place is evaluated separately."""


def _spans(
    indices: npt.NDArray[np.int64], length: int, gap: int
) -> Iterator[tuple[Axis, npt.NDArray[np.int64] | slice, slice]]:
    """Yield spans of sorted indices without gaps above `gap`: the span, the indices in it, and their positions."""
    cuts = [0, *(np.flatnonzero(np.diff(indices) - 1 > gap) + 1).tolist(), len(indices)]
    for first, end in pairwise(cuts):
        if first < end:
            start, last = int(indices[first]), int(indices[end - 1])
            taken = slice(None) if last - start == end - first - 1 else indices[first:end] - start
            yield (length, start, 1, last - start + 1), taken, slice(first, end)


class LazyArray:
    """A tensor of which only the indexed elements are evaluated. `Initializer.lazy` returns one.

    An index selects as in NumPy. It may contain integers, slices with any step, one Ellipsis, lists and arrays of
    integers, boolean masks, and the arrays of `numpy.ix_`. `numpy.asarray` evaluates all elements.

    The selected elements have the same bits as in the whole tensor. Their evaluation takes time and memory in
    proportion to their number. Only if every element depends on the whole tensor, as in an orthogonal one, each index
    takes as long as the whole tensor.

    Arguments:
        rule: how the elements get their values.
        shape: shape of the tensor.
        dtype: NumPy dtype of the elements.

    >>> import numpy as np, seedbed as sb
    >>> t = sb.GlorotNormal(seed=42).lazy((1_000_000, 4096))
    >>> t[500:600, ::2].shape
    (100, 2048)
    >>> bool((t[500:600, ::2] == t[500:600][:, ::2]).all())
    True
    >>> bool((t[[5, 17, 999_999]] == [t[5], t[17], t[-1]]).all())
    True
    """

    __slots__ = ("dtype", "rule", "shape")

    def __init__(self, rule: Rule, shape: Shape, dtype: np.dtype) -> None:
        self.rule = rule
        self.shape = shape
        self.dtype = dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Size of an element, in bytes."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Size of all elements once they are evaluated, in bytes."""
        return self.size * self.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over a 0-d tensor")
        rows = self[...] if self.rule.needs_whole else self
        return (rows[i] for i in range(self.shape[0]))

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickle slots under protocols 0 and 1 too."""
        return super().__reduce_ex__(max(int(protocol), 2))

    def __getitem__(self, index: Selector | tuple[Selector, ...]) -> Any:
        items: tuple[Any, ...] = index if isinstance(index, tuple) else (index,)
        if any(map(is_list, items)):
            return self._selected(by_axis(items, self.shape))
        axes, kept = selected(items, self.shape)
        out = np.empty([count for (_, _, _, count), keep in zip(axes, kept, strict=True) if keep], self.dtype)
        self.rule.write(out, axes)
        return out if out.ndim or Ellipsis in items else out[()]

    def _selected(self, items: Sequence[slice | npt.NDArray[np.int64]]) -> np.ndarray:
        """Evaluate the elements that an index with arrays selects, in NumPy's layout."""
        arrays = [item for item in items if isinstance(item, np.ndarray)]
        try:
            shape = np.broadcast_shapes(*(array.shape for array in arrays))
        except ValueError:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise IndexError(f"the arrays of an index must broadcast together. Received: shapes {shapes}") from None
        if self.rule.needs_whole:
            selected: np.ndarray = self[...][tuple(items)]
            return selected
        distinct = [np.unique(item) if isinstance(item, np.ndarray) else item for item in items]
        outer = math.prod(len(item) for item in distinct if isinstance(item, np.ndarray))
        if outer > MAX_WASTE * max(1, math.prod(shape)):
            return self._points(items, shape)
        placed = [
            np.searchsorted(own, item) if isinstance(own, np.ndarray) and isinstance(item, np.ndarray) else slice(None)
            for own, item in zip(distinct, items, strict=True)
        ]
        combinations = self._combinations(distinct)
        return combinations[tuple(placed)]

    def _combinations(self, items: Sequence[slice | npt.NDArray[np.int64]]) -> np.ndarray:
        """Evaluate all combinations of the indices of each axis, which must be distinct and sorted."""
        spans: list[list[tuple[Axis, npt.NDArray[np.int64] | slice, slice]]] = []
        counts, inner = [], 1
        for item, length in zip(reversed(items), reversed(self.shape), strict=True):
            if isinstance(item, slice):
                axis = axis_of(item, length, 0)
                spans.append([(axis, slice(None), slice(None))])
                counts.append(axis[3])
            else:
                spans.append(list(_spans(item, length, MAX_GAP // max(1, inner))))
                counts.append(len(item))
            inner *= counts[-1]
        out = np.empty(counts[::-1], self.dtype)
        for chosen in product(*reversed(spans)):
            region = [axis for axis, _, _ in chosen]
            values = np.empty(shape_of(region), self.dtype)
            self.rule.write(values, region)
            for number, (_, taken, _) in enumerate(chosen):
                values = values[(slice(None),) * number + (taken,)]
            out[tuple(place for _, _, place in chosen)] = values
        return out

    def _points(self, items: Sequence[slice | npt.NDArray[np.int64]], shape: Shape) -> np.ndarray:
        """Evaluate each place that the arrays of an index name together; their broadcast shape is `shape`."""
        places = [np.broadcast_to(item, shape).ravel() if isinstance(item, np.ndarray) else item for item in items]
        kept = [
            axis_of(item, length, 0) for item, length in zip(items, self.shape, strict=True) if isinstance(item, slice)
        ]
        out = np.empty((math.prod(shape), *shape_of(kept)), self.dtype)
        for point in range(len(out)):
            region = [
                (length, int(item[point]), 1, 1) if isinstance(item, np.ndarray) else axis_of(item, length, 0)
                for item, length in zip(places, self.shape, strict=True)
            ]
            self.rule.write(out[point : point + 1], region)
        # As in NumPy: adjacent array axes keep their position; otherwise they become the first axes.
        at = [number for number, item in enumerate(items) if isinstance(item, np.ndarray)]
        first = at[0] if at == list(range(at[0], at[0] + len(at))) else 0
        moved: np.ndarray = out.reshape((*shape, *shape_of(kept)))
        return np.moveaxis(moved, range(len(shape)), range(first, first + len(shape)))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("copy must not be False: a lazy array has no memory of its own. Received: copy=False")
        values: np.ndarray = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)

    def __dask_tokenize__(self) -> object:
        """Return the token for Dask's names: equal for equal tensors, in any process."""
        from dask.base import normalize_token

        return normalize_token(("seedbed.LazyArray", self.rule, self.shape, self.dtype.name))

    def __repr__(self) -> str:
        return f"LazyArray(shape={self.shape}, dtype={self.dtype.name})"

    def _repr_html_(self) -> str:
        rows = [
            ("shape", str(self.shape)),
            ("dtype", self.dtype.name),
            ("elements", f"{self.size:,}"),
            ("bytes, once evaluated", f"{self.nbytes:,}"),
            ("cost of an index", "that of the whole tensor" if self.rule.needs_whole else "that of its elements"),
        ]
        return html_table("LazyArray", rows)

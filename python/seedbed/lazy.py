"""LazyArray: a tensor that is evaluated where it is sliced."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from seedbed.regions import Index, selected
from seedbed.rules import Rule
from seedbed.shapes import Shape


class LazyArray:
    """A tensor that is evaluated where it is sliced. `Initializer.lazy` makes one.

    An index has integers, slices with any step, and at most one Ellipsis; `numpy.asarray` evaluates all elements. A
    slice has the bits that the whole tensor has there. It costs what its elements cost, except where every element
    depends on the whole, as in an orthogonal tensor: there each slice costs as much as the whole.

    >>> import numpy as np, seedbed as sb
    >>> t = sb.GlorotNormal(seed=42).lazy((1_000_000, 4096))
    >>> t[500:600, ::2].shape
    (100, 2048)
    >>> bool((t[500:600, ::2] == t[500:600][:, ::2]).all())
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

    def __getitem__(self, index: Index | tuple[Index, ...]) -> Any:
        items = index if isinstance(index, tuple) else (index,)
        axes, kept = selected(items, self.shape)
        out = np.empty([count for (_, _, _, count), keep in zip(axes, kept, strict=True) if keep], self.dtype)
        self.rule.write(out, axes)
        return out if out.ndim or Ellipsis in items else out[()]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a lazy array has no memory of its own. Received: copy=False")
        values: np.ndarray = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"LazyArray(shape={self.shape}, dtype={self.dtype.name})"

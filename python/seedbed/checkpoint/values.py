"""What stands in the bytes of a tensor: the one rule by which they are written, and compared with what is read."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from seedbed.initializers.sparse import Thinned
from seedbed.lazy import Axis, Computed, LazyArray, axes_of

if TYPE_CHECKING:
    from seedbed.plan import PlannedTensor
    from seedbed.seeds import SeedGenerator

WHOLE = (Computed, Thinned)
"""Rules of which a part costs as much as the whole."""


def values_of(tensor: PlannedTensor, root: SeedGenerator) -> LazyArray:
    """The tensor, bound to the child of `root` that has its name."""
    return tensor.initializer.with_seed(root.child(tensor.name)).lazy(tensor.shape, tensor.dtype)


def write_values(values: LazyArray, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
    """Write a region, or all, to `out` in the byte order of the format, which is little-endian."""
    values.rule.write(out, axes)
    if sys.byteorder == "big":
        out.byteswap(inplace=True)


def in_pieces(values: LazyArray, buffer: np.ndarray) -> Iterator[np.ndarray]:
    """The elements from the first to the last, in `buffer`, a piece at a time.

    A tensor of which a part costs as much as the whole is evaluated at once, in memory of its own.
    """
    most = buffer.nbytes // values.itemsize
    if isinstance(values.rule, WHOLE):
        whole = np.empty(values.shape, values.dtype)
        write_values(values, whole)
        for start in range(0, whole.size, most):
            yield whole.reshape(-1)[start : start + most]
        return
    for axes in runs(values.shape, most):
        piece = buffer[: values.itemsize * math.prod(count for *_, count in axes)].view(values.dtype)
        write_values(values, piece, axes)
        yield piece


def runs(shape: Sequence[int], most: int) -> Iterator[list[Axis]]:
    """Regions of at most `most` elements, each contiguous in C order, which follow one another and are the whole.

    >>> for axes in runs((2, 5), 3):
    ...     print([slice(start, start + count) for _, start, _, count in axes])
    [slice(0, 1, None), slice(0, 3, None)]
    [slice(0, 1, None), slice(3, 5, None)]
    [slice(1, 2, None), slice(0, 3, None)]
    [slice(1, 2, None), slice(3, 5, None)]
    """
    if 0 in shape:
        return
    whole = axes_of(tuple(shape))
    cut, below = len(shape), 1  # the axes from `cut` on are taken as they are: `below` elements
    while cut and below * shape[cut - 1] <= most:
        cut -= 1
        below *= shape[cut]
    if not cut:
        yield whole
        return
    length, step = shape[cut - 1], most // below
    for index in np.ndindex(*shape[: cut - 1]):
        outer = [(shape[axis], start, 1, 1) for axis, start in enumerate(index)]
        for start in range(0, length, step):
            yield [*outer, (length, start, 1, min(step, length - start)), *whole[cut:]]

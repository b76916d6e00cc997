"""What stands in the bytes of a tensor: the one rule by which they are written, and compared with what is read."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from seedbed.lazy import LazyArray
from seedbed.regions import Axis, pieces

if TYPE_CHECKING:
    from seedbed.plan import PlannedTensor
    from seedbed.seeds import SeedGenerator


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
    if values.rule.needs_whole:
        whole = np.empty(values.shape, values.dtype)
        write_values(values, whole)
        for start in range(0, whole.size, most):
            yield whole.reshape(-1)[start : start + most]
        return
    for axes in pieces(values.shape, most):
        piece = buffer[: values.itemsize * math.prod(count for *_, count in axes)].view(values.dtype)
        write_values(values, piece, axes)
        yield piece

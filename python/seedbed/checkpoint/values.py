"""The bytes of a tensor in a file: the one rule by which they are written, and compared with what is read."""

from __future__ import annotations

import sys
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from seedbed.lazy import LazyArray
from seedbed.regions import contiguous, shape_of
from seedbed.rules import Repeated

if TYPE_CHECKING:
    from seedbed.plan import PlannedTensor
    from seedbed.seeds import SeedGenerator


def values_of(tensor: PlannedTensor, root: SeedGenerator) -> LazyArray:
    """The tensor, bound to the child of `root` that has its name."""
    return tensor.initializer.with_seed(root.child(tensor.name)).lazy(tensor.shape, tensor.dtype)


def in_parts(values: LazyArray) -> LazyArray:
    """The same values, of which a part costs no more than the elements it has.

    A tensor of which every element depends on the whole is evaluated here, into memory of its own.
    """
    if not values.rule.needs_whole:
        return values
    whole = np.empty(values.shape, values.dtype)
    values.rule.write(whole)
    return LazyArray(Repeated(whole), values.shape, values.dtype)


def write_range(values: LazyArray, start: int, out: np.ndarray) -> None:
    """Write the elements from `start` on, in C order, to `out`: as many as it has, in the format's byte order."""
    done = 0
    for axes in contiguous(values.shape, start, start + out.size):
        count = prod(shape_of(axes))
        values.rule.write(out[done : done + count], axes)
        done += count
    if sys.byteorder == "big":  # the format is little-endian
        out.byteswap(inplace=True)

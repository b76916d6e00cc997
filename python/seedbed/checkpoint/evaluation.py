"""The bytes of a tensor in a file: the one rule by which they are written, and compared with what is read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from seedbed.lazy import LazyArray
from seedbed.regions import Axis, as_slice, axes_of, contiguous, part_of, shape_of
from seedbed.rules import Repeated, Rule

if TYPE_CHECKING:
    from seedbed.plan import PlannedTensor
    from seedbed.seeds import SeedGenerator


@dataclass(slots=True)
class TensorPart(Rule):
    """A part of a tensor that has another rule."""

    rule: Rule
    axes: list[Axis]
    """The part in the whole: each step is 1."""

    @property
    def needs_whole(self) -> bool:
        return self.rule.needs_whole

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        if axes is None:
            self.rule.write(out, self.axes)
            return
        shifted = [
            (length, begin + start, step, count)
            for (length, begin, *_), (_, start, step, count) in zip(self.axes, axes, strict=True)
        ]
        self.rule.write(out, shifted)


def values_of(tensor: PlannedTensor, root: SeedGenerator) -> LazyArray:
    """The tensor, bound to the child of `root` that has its name, or the name of the tensor it is a part of.

    The result has the elements of the tensor in C order, and the shape of the part where it is one.
    """
    if tensor.part is None:
        return tensor.initializer.with_seed(root.child(tensor.name)).lazy(tensor.shape, tensor.dtype)
    name, shape, count, offset = tensor.part
    whole = tensor.initializer.with_seed(root.child(name)).lazy(shape, tensor.dtype)
    return LazyArray(TensorPart(whole.rule, part_of(shape, count, offset)), count, tensor.dtype)


class Evaluator:
    """The values of one tensor after the other, of which a part costs no more than the elements it has."""

    def __init__(self, root: SeedGenerator) -> None:
        self._root = root
        self._whole: tuple[PlannedTensor, np.ndarray] | None = None

    def of(self, tensor: PlannedTensor) -> LazyArray:
        """Return the values of a tensor, as `values_of` does.

        A tensor of which every element depends on the whole is evaluated here, into memory of its own. That memory
        serves all tensors that are parts of it, if they follow one another.
        """
        values = values_of(tensor, self._root)
        if not values.rule.needs_whole:
            self._whole = None
            return values
        rule = values.rule
        axes = rule.axes if isinstance(rule, TensorPart) else axes_of(values.shape)
        if tensor.part is None or self._whole is None or not _same_whole(self._whole[0], tensor):
            self._whole = None  # before the next one, which may be as large
            whole = np.empty([length for length, *_ in axes], tensor.dtype)
            (rule.rule if isinstance(rule, TensorPart) else rule).write(whole)
            self._whole = tensor, whole
        part = self._whole[1][tuple(map(as_slice, axes))]
        return LazyArray(Repeated(part), values.shape, values.dtype)


def _same_whole(one: PlannedTensor, other: PlannedTensor) -> bool:
    """Whether two tensors are parts of the same one."""
    return (
        one.part is not None
        and other.part is not None
        and one.part[:2] == other.part[:2]
        and (one.dtype, one.initializer) == (other.dtype, other.initializer)
    )


def write_range(values: LazyArray, start: int, out: np.ndarray) -> None:
    """Write the elements from `start` on, in C order, to `out`: as many as it has, in the format's byte order."""
    done = 0
    for axes in contiguous(values.shape, start, start + out.size):
        count = prod(shape_of(axes))
        values.rule.write(out[done : done + count], axes)
        done += count
    if sys.byteorder == "big":  # the format is little-endian
        out.byteswap(inplace=True)

"""Evaluation of the bytes of planned tensors in a file. Writing and verification both use it."""

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
    """The rule of a tensor that is a part of another tensor."""

    rule: Rule
    """Rule of the whole tensor."""
    axes: list[Axis]
    """Region of the part in the whole tensor. Each step is 1."""

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
    """Return the values of a planned tensor, drawn from the child of `root` that has its name, or that of `seed_of`.

    A part draws from the child with the name of its whole tensor. Its result has the shape of the partition, and the
    elements of the tensor in C order.
    """
    whole = tensor.initializer.with_seed(root.child(tensor.seed_name)).lazy(tensor.whole_shape, tensor.dtype)
    if tensor.part is None:
        return whole
    _, shape, count, offset = tensor.part
    return LazyArray(TensorPart(whole.rule, part_of(shape, count, offset)), count, tensor.dtype)


class Evaluator:
    """Evaluation of one tensor after the other. Consecutive parts of one tensor share its evaluation."""

    def __init__(self, root: SeedGenerator) -> None:
        self._root = root
        self._whole: tuple[PlannedTensor, np.ndarray] | None = None

    def of(self, tensor: PlannedTensor) -> LazyArray:
        """Return the values of a tensor, as `values_of` does.

        If every element depends on the whole tensor, as in an orthogonal one, the whole tensor is evaluated here, into
        new memory. The memory is kept for the following tensors as long as they are parts of the same whole.
        """
        values = values_of(tensor, self._root)
        if not values.rule.needs_whole:
            self._whole = None
            return values
        rule = values.rule
        axes = rule.axes if isinstance(rule, TensorPart) else axes_of(values.shape)
        if tensor.part is None or self._whole is None or not _same_whole(self._whole[0], tensor):
            self._whole = None  # free it before the next allocation
            whole = np.empty([length for length, *_ in axes], tensor.dtype)
            (rule.rule if isinstance(rule, TensorPart) else rule).write(whole)
            self._whole = tensor, whole
        part = self._whole[1][tuple(map(as_slice, axes))]
        return LazyArray(Repeated(part), values.shape, values.dtype)


def _same_whole(one: PlannedTensor, other: PlannedTensor) -> bool:
    """Return whether two tensors are parts of the same whole tensor."""
    return (
        one.part is not None
        and other.part is not None
        and one.part[:2] == other.part[:2]
        and (one.dtype, one.initializer, one.seed_of) == (other.dtype, other.initializer, other.seed_of)
    )


def write_range(values: LazyArray, start: int, out: np.ndarray) -> None:
    """Write the elements from `start` on, in C order, to `out`, until it is full, in little-endian byte order."""
    done = 0
    for axes in contiguous(values.shape, start, start + out.size):
        count = prod(shape_of(axes))
        values.rule.write(out[done : done + count], axes)
        done += count
    if sys.byteorder == "big":  # safetensors is little-endian
        out.byteswap(inplace=True)

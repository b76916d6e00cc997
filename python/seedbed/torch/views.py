"""Views of memory as regions of a tensor: which elements of the whole a slice, a chunk or a transpose has.

Torch describes a view by a shape, strides and an offset into memory. A recording needs it as indices along the axes of
the tensor that the memory was made for. Each axis of the view then steps along one axis of the whole, or, where axes
were merged (`flatten`), along several as the digits of a number.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Indices: TypeAlias = "npt.NDArray[np.int64] | None"
"""Indices along an axis, ascending; None for all of them."""

Region: TypeAlias = "tuple[Indices, ...]"
"""The elements whose index along each axis is among the region's."""


class Layout(NamedTuple):
    """Where the elements of a tensor are in its memory, in elements."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


class Step(NamedTuple):
    """Indices start, start + stride, ... along an axis of the whole; the start is the view's."""

    axis: int
    stride: int
    length: int


class View(NamedTuple):
    """A view as steps along the axes of the whole."""

    whole: tuple[int, ...]
    """The shape of the whole."""
    start: tuple[int, ...]
    """The index of the view's first element, along each axis of the whole."""
    steps: tuple[tuple[Step, ...], ...]
    """For each axis of the view, its digits, the most significant first; none for an axis of length one."""

    def shape(self) -> tuple[int, ...]:
        """The shape of the view."""
        return tuple(math.prod(step.length for step in steps) for steps in self.steps)

    def region(self) -> Region:
        """The elements of the whole that the view has."""
        return self.outward((None,) * len(self.steps))  # type: ignore[return-value]

    def axes(self) -> list[int] | None:
        """The axis of the whole that each axis of the view is a part of, where there is one for each."""
        taken = [steps[0].axis if len(steps) == 1 else -1 for steps in self.steps]
        free = [axis for axis, length in enumerate(self.whole) if length == 1 and axis not in taken]
        for at, steps in enumerate(self.steps):
            if not steps:
                later = [axis for axis in free if axis > max(taken[:at], default=-1)]
                if not later:
                    return None
                taken[at] = later[0]
                free.remove(later[0])
        return taken if -1 not in taken and len(set(taken)) == len(taken) else None

    def outward(self, region: Region) -> Region | None:
        """A region of the view as a region of the whole; None where it is not one."""
        offsets: list[npt.NDArray[np.int64]] = [np.array([start]) for start in self.start]
        for steps, indices in zip(self.steps, region, strict=True):
            if indices is not None and not len(indices):
                return tuple(np.arange(0) for _ in self.whole)
            if indices is not None and len(steps) > 1:
                return None
            for axis, stride, count in steps:
                along = np.arange(count) if indices is None else indices
                offsets[axis] = np.add.outer(offsets[axis], along * stride).ravel()
        return tuple(
            None if len(indices) == length else np.sort(indices)
            for indices, length in zip(offsets, self.whole, strict=True)
        )

    def inward(self, region: Region) -> Region | None:
        """The part of a region of the whole that the view has, as a region of the view; None where it is not one.

        A region without elements has an axis without indices.
        """
        own = self.region()
        shared = intersection(own, region)
        if any(indices is not None and not len(indices) for indices in shared):
            return tuple(np.arange(0) for _ in self.steps)
        covered = [equal(a, b) for a, b in zip(shared, own, strict=True)]
        users = [sum(step.axis == axis for steps in self.steps for step in steps) for axis in range(len(self.whole))]
        found: list[Indices] = []
        for steps in self.steps:
            if all(covered[step.axis] for step in steps):
                found.append(None)
            elif len(steps) == 1 and users[steps[0].axis] == 1:
                axis, stride, _ = steps[0]
                indices = shared[axis]
                assert indices is not None
                found.append((indices - self.start[axis]) // stride)
            else:
                return None
        # An axis of the whole that no axis of the view steps along has one index, which `shared` has too.
        return tuple(found)


def layout_of(tensor: Any) -> Layout:
    """The layout of a tensor."""
    return Layout(tuple(tensor.shape), tuple(tensor.stride()), tensor.storage_offset())


def view_of(layout: Layout, whole: Layout) -> View | None:
    """A layout as a view of another in the same memory; None where its elements are no such steps.

    >>> view_of(Layout((2, 3), (12, 1), 3), Layout((4, 6), (6, 1), 0)).region()
    (array([0, 2]), array([3, 4, 5]))
    """
    axes = sorted(
        (stride, axis, length)
        for axis, (stride, length) in enumerate(zip(whole.strides, whole.shape, strict=True))
        if length > 1
    )
    if 0 in layout.shape:
        return None
    start, rest = [0] * len(whole.shape), layout.offset - whole.offset
    for stride, axis, length in reversed(axes):
        if stride < 1 or rest < 0:
            return None
        start[axis], rest = divmod(rest, stride)
        if start[axis] >= length:
            return None
    if rest:
        return None
    steps = []
    for count, stride in zip(layout.shape, layout.strides, strict=True):
        found = _digits(count, stride, axes, start)
        if found is None:
            return None
        steps.append(tuple(found))
    for _, axis, length in axes:
        reach = sum(step.stride * (step.length - 1) for digits in steps for step in digits if step.axis == axis)
        if start[axis] + reach >= length:
            return None
    return View(whole.shape, tuple(start), tuple(steps))


def _digits(count: int, stride: int, axes: list[tuple[int, int, int]], start: list[int]) -> list[Step] | None:
    """`count` steps of `stride` elements of memory, as steps along axes, the last axis first filled to its end."""
    found: list[Step] = []
    while count > 1:
        inner = [entry for entry in axes if entry[0] <= stride]
        if not inner or stride < 1:
            return None
        width, axis, length = inner[-1]
        step, rest = divmod(stride, width)
        if rest:
            return None
        if start[axis] + step * (count - 1) < length:
            return [Step(axis, step, count), *found]
        fitting, rest = divmod(length, step)
        if rest or count % fitting or start[axis] >= step or fitting < 2:
            return None
        found.insert(0, Step(axis, step, fitting))
        count, stride = count // fitting, width * length
    return found


def intersection(a: Region, b: Region) -> Region:
    """The elements that two regions share."""
    return tuple(
        y if x is None else x if y is None else np.intersect1d(x, y, assume_unique=True)
        for x, y in zip(a, b, strict=True)
    )


def is_empty(region: Region) -> bool:
    """Whether a region has no element."""
    return any(indices is not None and not len(indices) for indices in region)


def covers(outer: Region, inner: Region) -> bool:
    """Whether a region has all elements of another."""
    return all(
        x is None or (y is not None and len(y) <= len(x) and bool(np.isin(y, x, assume_unique=True).all()))
        for x, y in zip(outer, inner, strict=True)
    )


def equal(a: Indices, b: Indices) -> bool:
    """Whether two sets of indices along an axis are the same."""
    return a is b or (a is not None and b is not None and np.array_equal(a, b))

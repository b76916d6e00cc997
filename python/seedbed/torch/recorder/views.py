"""Views of a tensor, and the elements that they select: `IndexGrid`.

Torch describes a view (a slice, chunk or transpose) by shape, strides and offset into memory. A recording needs the
indices along the axes of the whole tensor. Each axis of the view steps along one axis of the whole; an axis that merges
several (`flatten`) steps along all of them, as a number of several digits counts.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Indices: TypeAlias = "npt.NDArray[np.int64] | None"
"""Ascending indices along an axis; None for all indices."""

IndexGrid: TypeAlias = "tuple[Indices, ...]"
"""Part of a tensor: the elements whose index along each axis is among the indices given for the axis.

As `numpy.ix_` selects them. `seedbed.regions` has evenly spaced indices only; these may be any.
"""


class Layout(NamedTuple):
    """Shape, strides and offset of a tensor in its storage, in elements."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


class Step(NamedTuple):
    """`length` indices along an axis of the whole, `stride` apart. The first index is in `View.start`."""

    axis: int
    stride: int
    length: int


class View(NamedTuple):
    """A view as steps along the axes of the whole."""

    whole: tuple[int, ...]
    """Shape of the whole."""
    start: tuple[int, ...]
    """Index of the view's first element along each axis of the whole."""
    steps: tuple[tuple[Step, ...], ...]
    """For each axis of the view, its steps, the slowest first; an axis of length one has no steps."""

    def shape(self) -> tuple[int, ...]:
        """Return the shape of the view."""
        return tuple(math.prod(step.length for step in steps) for steps in self.steps)

    def grid(self) -> IndexGrid:
        """Return the grid of the whole that the view selects."""
        return self.outward((None,) * len(self.steps))  # type: ignore[return-value]

    def axes(self) -> list[int] | None:
        """Return the axis of the whole for each axis of the view; None unless each has one of its own."""
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

    def outward(self, grid: IndexGrid) -> IndexGrid | None:
        """Convert a grid of the view to a grid of the whole; return None if the elements are not a grid there."""
        offsets: list[npt.NDArray[np.int64]] = [np.array([start]) for start in self.start]
        for steps, indices in zip(self.steps, grid, strict=True):
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

    def inward(self, grid: IndexGrid) -> IndexGrid | None:
        """Convert the visible part of a grid of the whole to a grid of the view; return None if it is not a grid there.

        An empty grid has an axis without indices.
        """
        own = self.grid()
        shared = intersection(own, grid)
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
        # Along every other axis of the whole the view has one index, and `shared` is not empty: the index is the same.
        return tuple(found)


def layout_of(tensor: Any) -> Layout:
    """Return the layout of a tensor."""
    return Layout(tuple(tensor.shape), tuple(tensor.stride()), tensor.storage_offset())


def view_of(layout: Layout, whole: Layout) -> View | None:
    """Return a layout as a view of another in the same storage; None if its elements are not steps along the axes.

    >>> view_of(Layout((2, 3), (12, 1), 3), Layout((4, 6), (6, 1), 0)).grid()
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
    """Convert `count` steps of `stride` elements of memory to steps along axes; the last axis varies fastest."""
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


def intersection(a: IndexGrid, b: IndexGrid) -> IndexGrid:
    """Return the elements that are in both grids."""
    return tuple(
        y if x is None else x if y is None else np.intersect1d(x, y, assume_unique=True)
        for x, y in zip(a, b, strict=True)
    )


def is_empty(grid: IndexGrid) -> bool:
    """Return whether a grid has no elements."""
    return any(indices is not None and not len(indices) for indices in grid)


def covers(outer: IndexGrid, inner: IndexGrid) -> bool:
    """Return whether a grid has all elements of another."""
    return all(
        x is None or (y is not None and len(y) <= len(x) and bool(np.isin(y, x, assume_unique=True).all()))
        for x, y in zip(outer, inner, strict=True)
    )


def equal(a: Indices, b: Indices) -> bool:
    """Return whether two sets of indices along an axis are the same."""
    return a is b or (a is not None and b is not None and np.array_equal(a, b))

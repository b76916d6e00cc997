"""Regions of a tensor: evenly spaced indices along each axis, from an index or a partition."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from types import EllipsisType
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from seedbed.arguments import as_integer, shortened
from seedbed.shapes import Shape, ShapeLike, as_shape

Axis: TypeAlias = tuple[int, int, int, int]
"""The indices of a region along one axis: (length of the axis, first index, step, number of indices)."""

Index: TypeAlias = SupportsIndex | slice | EllipsisType

Selector: TypeAlias = Index | Sequence[Any] | npt.NDArray[Any]
"""An item of an index, or a list or array of integers, or a boolean mask."""


def axes_of(shape: Shape) -> list[Axis]:
    """Return the region that is the whole tensor."""
    return [(length, 0, 1, length) for length in shape]


def shape_of(axes: Sequence[Axis]) -> Shape:
    """Return the shape of a region: the number of indices along each axis."""
    return tuple(count for *_, count in axes)


def indices(axis: Axis) -> npt.NDArray[np.int64]:
    """Return the indices of a region along an axis."""
    _, start, step, count = axis
    return start + step * np.arange(count, dtype=np.int64)


def as_slice(axis: Axis) -> slice:
    """Return the indices of a region along an axis as a slice."""
    _, start, step, count = axis
    stop = start + step * count
    return slice(start, stop if stop >= 0 else None, step)


def part_of(shape: Shape, part: ShapeLike, offset: ShapeLike | None) -> list[Axis]:
    """Return the region with shape `part` that starts at `offset`, or at the origin if `offset` is None.

    Raises:
        TypeError: if the shape or the offset is not a sequence of integers.
        ValueError: if the region is not within the tensor.

    >>> part_of((100, 8), (25, 8), (50, 0))
    [(100, 50, 1, 25), (8, 0, 1, 8)]
    """
    counts = as_shape(part, "partition_shape")
    starts = (0,) * len(shape) if offset is None else as_shape(offset, "partition_offset")
    within = len(counts) == len(starts) == len(shape) and all(
        start + count <= length for length, start, count in zip(shape, starts, counts, strict=True)
    )
    if not within:
        raise ValueError(
            "partition_offset and partition_shape must lie within the shape. "
            f"Received: shape={shape}, partition_shape={counts}, partition_offset={starts}"
        )
    return [(length, start, 1, count) for length, start, count in zip(shape, starts, counts, strict=True)]


def selected(items: tuple[Index, ...], shape: Shape) -> tuple[list[Axis], list[bool]]:
    """Return the region that an index selects, and for each axis whether the result keeps it.

    A slice keeps its axis; an integer removes it.

    Raises:
        IndexError: for more indices than axes, a second Ellipsis, an integer outside its axis, or another type.

    >>> selected((3, ..., slice(None, None, -2)), (5, 6, 7))
    ([(5, 3, 1, 1), (6, 0, 1, 6), (7, 6, -2, 4)], [False, True, True])
    """
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    missing = len(shape) - (len(items) - len(dots))
    if missing < 0:
        raise IndexError(f"too many indices: the tensor is {len(shape)}-dimensional, but {len(items)} were indexed")
    at = dots[0] if dots else len(items)
    full = items[:at] + (slice(None),) * missing + items[at + len(dots) :]
    axes = [axis_of(item, length, i) for i, (item, length) in enumerate(zip(full, shape, strict=True))]
    return axes, [isinstance(item, slice) for item in full]


def axis_of(item: Index, length: int, axis: int) -> Axis:
    """Return the indices that a slice or an integer selects along an axis of the given length."""
    if isinstance(item, slice):
        start, stop, step = item.indices(length)
        count = max(0, (stop - start + step - (1 if step > 0 else -1)) // step)
        return (length, start if count else 0, step if count > 1 else 1, count)
    try:
        index = as_integer(item)
    except TypeError:
        raise IndexError(
            f"only integers, slices and one ellipsis are valid indices. Received: {shortened(item)}"
        ) from None
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {length}")
    return (length, index % length, 1, 1)


def is_list(item: object) -> bool:
    """Return whether an item of an index is a list or an array of indices, or a mask."""
    return isinstance(item, list) or (isinstance(item, np.ndarray) and item.ndim > 0)


def by_axis(items: tuple[Any, ...], shape: Shape) -> list[slice | npt.NDArray[np.int64]]:
    """Return for each axis what an index selects: a slice, or an array of non-negative indices.

    A mask over several axes becomes the indices of its true elements along each of them.

    Raises:
        IndexError: as `selected`; if an array is neither of integers nor of bool; or if a mask has another shape than
            its axes.

    >>> by_axis(([True, False, True], slice(2)), (3, 4))
    [array([0, 2]), slice(None, 2, None)]
    """
    items = tuple(np.asarray(item) if isinstance(item, list) else item for item in items)
    ranks = [item.ndim if isinstance(item, np.ndarray) and item.dtype.kind == "b" else 1 for item in items]
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    missing = len(shape) - (sum(ranks) - len(dots))
    if missing < 0:
        raise IndexError(f"too many indices: the tensor is {len(shape)}-dimensional, but {sum(ranks)} were indexed")
    at = dots[0] if dots else len(items)
    found: list[slice | npt.NDArray[np.int64]] = []
    for item in items[:at] + (slice(None),) * missing + items[at + len(dots) :]:
        axis = len(found)
        if isinstance(item, slice):
            found.append(item)
        elif isinstance(item, np.ndarray) and item.dtype.kind == "b" and item.ndim:
            if item.shape != shape[axis : axis + item.ndim]:
                raise IndexError(
                    f"a mask must have the shape of its axes, {shape[axis : axis + item.ndim]}. Received: {item.shape}"
                )
            found += np.nonzero(item)
        elif isinstance(item, np.ndarray) and item.ndim:
            found.append(_indices_within(item, shape[axis], axis))
        else:
            found.append(np.array(axis_of(item, shape[axis], axis)[1]))
    return found


def _indices_within(array: npt.NDArray[Any], length: int, axis: int) -> npt.NDArray[np.int64]:
    if array.dtype.kind not in "iu" and array.size:
        raise IndexError(f"an array in an index must be of integers or bool. Received: dtype={array.dtype}")
    outside = (array < -length) | (array >= length)
    if outside.any():
        raise IndexError(f"index {array[outside].flat[0]} is out of bounds for axis {axis} with size {length}")
    whole = array.astype(np.int64)
    return np.where(whole < 0, whole + length, whole)


def within(axes: Sequence[Axis], inner: Sequence[Axis]) -> list[Axis]:
    """Return a region of a region as a region of the whole tensor. `inner` is relative to `axes`.

    >>> within([(100, 10, 2, 30)], [(30, 5, 1, 4)])
    [(100, 20, 2, 4)]
    """
    return [
        (length, start + step * first, step * stride, count)
        for (length, start, step, _), (_, first, stride, count) in zip(axes, inner, strict=True)
    ]


def contiguous(shape: Sequence[int], start: int, stop: int) -> Iterator[list[Axis]]:
    """Yield the elements from `start` to `stop`, counted in C order, as consecutive regions.

    There are at most 2n + 1 regions for n axes.

    >>> for axes in contiguous((3, 5), 2, 12):
    ...     print([as_slice(axis) for axis in axes])
    [slice(0, 1, 1), slice(2, 5, 1)]
    [slice(1, 2, 1), slice(0, 5, 1)]
    [slice(2, 3, 1), slice(0, 2, 1)]
    """
    if start >= stop:
        return
    if not shape:
        yield []
        return
    length, inner = shape[0], tuple(shape[1:])
    size = math.prod(inner)
    first, last = -(-start // size), stop // size  # the rows from `first` to `last` are complete
    if start < first * size:
        skipped = (first - 1) * size
        for axes in contiguous(inner, start - skipped, min(size, stop - skipped)):
            yield [(length, first - 1, 1, 1), *axes]
    if first < last:
        yield [(length, first, 1, last - first), *axes_of(inner)]
    if first <= last and last * size < stop:
        for axes in contiguous(inner, 0, stop - last * size):
            yield [(length, last, 1, 1), *axes]


def pieces(shape: Sequence[int], most: int) -> Iterator[list[Axis]]:
    """Divide a tensor into regions of at most `most` elements, contiguous in C order, and yield them in this order.

    >>> for axes in pieces((2, 5), 4):
    ...     print([as_slice(axis) for axis in axes])
    [slice(0, 1, 1), slice(0, 4, 1)]
    [slice(0, 1, 1), slice(4, 5, 1)]
    [slice(1, 2, 1), slice(0, 3, 1)]
    [slice(1, 2, 1), slice(3, 5, 1)]
    """
    size = math.prod(shape)
    for start in range(0, size, most):
        yield from contiguous(shape, start, min(size, start + most))

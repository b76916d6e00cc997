"""A tensor as a function: slicing it evaluates, and only what is sliced."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Any, NamedTuple, Protocol, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from seedbed import _core
from seedbed.arguments import as_integer
from seedbed.dtypes import COMPLEX, name_of
from seedbed.seeds import Address
from seedbed.shapes import Shape, ShapeLike, as_shape
from seedbed.threads import get_num_threads

Axis: TypeAlias = tuple[int, int, int, int]
"""The indices a region takes along an axis: (its length, start, step, count)."""

Distribution: TypeAlias = tuple[str, tuple[float, ...]]
"""Its name and its parameters."""

Index: TypeAlias = SupportsIndex | slice | EllipsisType


class Rule(Protocol):
    """What stands at each element of a tensor."""

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        """Write the elements of a region, of all where there are no axes, to `out`: contiguous, as many, in C order."""


class Sampled(NamedTuple):
    """A distribution, evaluated at addresses."""

    distribution: Distribution
    address: Address

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        if out.dtype.kind == "c":  # a real tensor with a last axis of 2
            out = out.reshape(-1).view(COMPLEX[name_of(out.dtype)])
            axes = None if axes is None else [*axes, (2, 0, 1, 2)]
        _core.fill(*stored(out), self.distribution, self.address, axes, get_num_threads())


class Repeated(NamedTuple):
    """A value, or an array repeated along leading axes and axes of length one as NumPy broadcasts."""

    value: npt.NDArray[Any]

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        if axes is None:
            out[...] = self.value
            return
        value = self.value.reshape((1,) * (len(axes) - self.value.ndim) + self.value.shape)
        wanted = (
            slice(0, 1) if length == 1 else _slice(start, step, count)
            for length, (_, start, step, count) in zip(value.shape, axes, strict=True)
        )
        out.reshape(shape_of(axes))[...] = value[tuple(wanted)]


class Computed(NamedTuple):
    """A tensor of which every element depends on the whole. A part is cut from the whole, and costs as much."""

    shape: Shape
    compute: Callable[[np.ndarray], None]
    """Writes the tensor to an array of its shape, contiguous and in C order."""

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        if out.size == 0:
            return
        if axes is None:
            self.compute(out)
            return
        whole = np.empty(self.shape, out.dtype)
        self.compute(whole)
        wanted = tuple(_slice(start, step, count) for _, start, step, count in axes)
        out.reshape(shape_of(axes))[...] = whole[wanted]


class LazyArray:
    """A tensor of which nothing is computed until it is sliced.

    A slice has the bits that the whole tensor has there, and costs what its elements cost; but of an orthogonal tensor,
    what the whole costs. Integers, slices with any step and one Ellipsis select; `numpy.asarray` evaluates all. Made by
    `Initializer.lazy`.

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
        """How many axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements, once evaluated."""
        return self.size * self.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __getitem__(self, index: Index | tuple[Index, ...]) -> Any:
        items = index if isinstance(index, tuple) else (index,)
        axes, kept = _region(items, self.shape)
        out = np.empty([count for (_, _, _, count), keep in zip(axes, kept, strict=True) if keep], self.dtype)
        self.rule.write(out, axes)
        return out if out.ndim or Ellipsis in items else out[()]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a lazy array has no memory of its own: it can't be had as an array without a copy")
        values: np.ndarray = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"LazyArray(shape={self.shape}, dtype={self.dtype.name})"


def stored(out: np.ndarray) -> tuple[np.ndarray, str]:
    """An array and its dtype's name, as the extension module takes them: of 16-bit floats, which it lacks, the bits."""
    return out.view(np.uint16) if out.itemsize == 2 else out, name_of(out.dtype)


def axes_of(shape: Shape) -> list[Axis]:
    """The region that is the whole."""
    return [(length, 0, 1, length) for length in shape]


def shape_of(axes: Sequence[Axis]) -> Shape:
    """How many indices a region takes along each axis."""
    return tuple(count for *_, count in axes)


def indices(axis: Axis) -> npt.NDArray[np.int64]:
    """What a region takes along an axis, one by one."""
    _, start, step, count = axis
    return start + step * np.arange(count, dtype=np.int64)


def checked_out(out: object, shape: Shape, dtype: np.dtype) -> np.ndarray:
    """`out`, where a tensor of that shape and dtype can be written to it.

    Raises:
        TypeError: where it is not a NumPy array.
        ValueError: where its shape, dtype or byte order is another, or it is read-only or not contiguous.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array. Received: {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out must have the shape of the result, {shape}. Received: out.shape={out.shape}")
    if out.dtype != dtype:
        raise ValueError(
            f"out must have the dtype of the result, {name_of(dtype)} in this machine's byte order. "
            f"Received: out.dtype={out.dtype.str if out.dtype.kind != 'V' else out.dtype.name}"
        )
    if not out.flags.writeable:
        raise ValueError("out must be writable. Received: a read-only array")
    if not (out.flags.c_contiguous and out.flags.aligned):
        raise ValueError(f"out must be contiguous in C order and aligned. Received: strides={out.strides}")
    return out


def part_of(shape: Shape, part: ShapeLike, offset: ShapeLike | None) -> list[Axis]:
    """The axes of the part of that shape that begins at an offset, at zeros where there is none.

    Raises:
        ValueError: where it does not lie within the whole.
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


def _region(items: tuple[Index, ...], shape: Shape) -> tuple[list[Axis], list[bool]]:
    """The axes of an index, and which of them are kept (those that a slice selects)."""
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    missing = len(shape) - (len(items) - len(dots))
    if missing < 0:
        raise IndexError(f"too many indices: the tensor is {len(shape)}-dimensional, but {len(items)} were indexed")
    at = dots[0] if dots else len(items)
    full = items[:at] + (slice(None),) * missing + items[at + len(dots) :]
    axes = [_axis(item, length, i) for i, (item, length) in enumerate(zip(full, shape, strict=True))]
    return axes, [isinstance(item, slice) for item in full]


def _axis(item: Index, length: int, axis: int) -> Axis:
    if isinstance(item, slice):
        start, stop, step = item.indices(length)
        count = max(0, (stop - start + step - (1 if step > 0 else -1)) // step)
        return (length, start if count else 0, step if count > 1 else 1, count)
    try:
        index = as_integer(item)
    except TypeError:
        raise IndexError(f"only integers, slices and one ellipsis are valid indices. Received: {item!r}") from None
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {length}")
    return (length, index % length, 1, 1)


def _slice(start: int, step: int, count: int) -> slice:
    stop = start + step * count
    return slice(start, stop if stop >= 0 else None, step)

"""Shapes: what a person, TensorFlow or R hands over, as a tuple of integers."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import SupportsIndex, TypeAlias

from seedbed import _core

Shape: TypeAlias = tuple[int, ...]
ShapeLike: TypeAlias = SupportsIndex | Iterable[SupportsIndex]

_MOST_ELEMENTS = 2**63 - 1
_MOST_DIMENSIONS = 64
"""Of a NumPy array."""


def as_shape(shape: ShapeLike, what: str = "shape") -> Shape:
    """The shape that an integer or a sequence of integers stands for; floats that are whole numbers count as such.

    Raises:
        ValueError: where a dimension is negative or no whole number, the elements would number 2**63 or more, or the
            dimensions more than 64.
        TypeError: where it is neither a number nor a sequence of numbers.

    >>> as_shape([2, 3.0]), as_shape(5)
    ((2, 3), (5,))
    """
    if type(shape) is tuple and len(shape) <= _MOST_DIMENSIONS and _is_plain(shape):
        return shape
    if isinstance(shape, (str, bytes)) or shape is None:
        raise TypeError(f"{what} must be an integer or a sequence of integers. Received: {what}={shape!r}")
    items = tuple(islice(shape, _MOST_DIMENSIONS + 1)) if isinstance(shape, Iterable) else (shape,)
    if len(items) > _MOST_DIMENSIONS:
        raise ValueError(f"{what} must have at most {_MOST_DIMENSIONS} dimensions. Received: more")
    dimensions = tuple(_dimension(item, shape, what) for item in items)
    if 0 not in dimensions and math.prod(dimensions) > _MOST_ELEMENTS:
        raise ValueError(f"a tensor must have fewer than 2**63 elements. Received: {what}={shape!r}")
    return dimensions


def _is_plain(shape: tuple[object, ...]) -> bool:
    """Whether a tuple is a shape as it stands: the usual case, told without detours."""
    elements = 1
    for item in shape:
        if type(item) is not int or item < 1:
            return False
        elements *= item
    return elements <= _MOST_ELEMENTS


def _dimension(item: object, shape: object, what: str) -> int:
    if type(item) is int and 0 <= item <= _MOST_ELEMENTS:
        return item
    try:
        if isinstance(item, bool):
            raise TypeError
        if isinstance(item, float) and item.is_integer():
            item = int(item)
        dimension = operator.index(item)  # type: ignore[arg-type]
    except TypeError:
        kind = ValueError if isinstance(item, float) else TypeError
        raise kind(f"each dimension of {what} must be an integer. Received: {what}={shape!r}") from None
    if not 0 <= dimension <= _MOST_ELEMENTS:
        raise ValueError(f"each dimension of {what} must be in [0, 2**63). Received: {what}={shape!r}")
    return dimension


def compute_fans(
    shape: ShapeLike, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """Fan-in and fan-out of a kernel.

    In the layout (..., in, out): (1, 1) for rank 0, (n, n) for rank 1, and from rank 2 on the last two dimensions, each
    times the receptive field, the product of the others. With axes: the products of the dimensions along them.

    Arguments:
        shape: of the kernel.
        input_axes: axes whose product is the fan-in; negative ones count from the end.
        output_axes: axes whose product is the fan-out; given if and only if `input_axes` is.

    Raises:
        ValueError: for a bad shape, an axis outside it, or one kind of axes without the other.
        OverflowError: where a fan is 2**64 or more.

    >>> compute_fans((3, 3, 64, 128))
    (576, 1152)
    >>> compute_fans((128, 64, 3, 3), input_axes=(1, 2, 3), output_axes=(0, 2, 3))
    (576, 1152)
    """
    return fans_of(as_shape(shape), *as_axes_pair(input_axes, output_axes))


def fans_of(shape: Shape, inputs: Shape | None, outputs: Shape | None) -> tuple[int, int]:
    """`compute_fans` of what has been checked but for the shape's having those axes."""
    if inputs is None or outputs is None:
        return _core.compute_fans(shape)
    rank = len(shape)
    for axis in inputs + outputs:
        if not -rank <= axis < rank:
            raise ValueError(
                f"input_axes and output_axes must be axes of the shape. Received: axis {axis}, shape={shape}"
            )
    return _core.compute_fans(shape, ([axis % rank for axis in inputs], [axis % rank for axis in outputs]))


def as_axes_pair(input_axes: object, output_axes: object) -> tuple[Shape | None, Shape | None]:
    """Both as tuples of integers, or both None.

    Raises:
        ValueError: where one is given without the other, or one is not a sequence of integers.
    """
    if (input_axes is None) != (output_axes is None):
        raise ValueError(
            "input_axes and output_axes must be given together. "
            f"Received: input_axes={input_axes!r}, output_axes={output_axes!r}"
        )
    return _as_axes("input_axes", input_axes), _as_axes("output_axes", output_axes)


def _as_axes(what: str, axes: object) -> Shape | None:
    if axes is None:
        return None
    try:
        if isinstance(axes, (str, bytes)):
            raise TypeError
        items = tuple(axes) if isinstance(axes, Iterable) else (axes,)
        if any(isinstance(axis, bool) for axis in items):
            raise TypeError
        return tuple(operator.index(axis) for axis in items)
    except TypeError:
        raise ValueError(f"{what} must be a sequence of integers. Received: {what}={axes!r}") from None

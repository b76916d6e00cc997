"""Conversion of shapes from Python, NumPy, TensorFlow and R to tuples of integers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from itertools import islice
from typing import Any, SupportsIndex, TypeAlias

import numpy as np

from seedbed.arguments import as_integer, shortened

Shape: TypeAlias = tuple[int, ...]
ShapeLike: TypeAlias = SupportsIndex | Iterable[SupportsIndex]

_MAX_ELEMENTS = 2**63 - 1
MAX_DIMENSIONS = 64
"""Maximum number of dimensions, as in NumPy."""


def as_shape(shape: ShapeLike, what: str = "shape") -> Shape:
    """Return a shape as a tuple of integers.

    Floats that are whole numbers are accepted, because the numbers of R are floats.

    Arguments:
        shape: an integer, or a sequence of integers. Sets and mappings are not sequences.
        what: name of the argument in errors.

    Raises:
        TypeError: if the shape is neither an integer nor a sequence of integers.
        ValueError: if a dimension is negative or not a whole number, if there are more than 64 dimensions, or if the
            product of the dimensions, without those of 0, is 2**63 or more.

    >>> as_shape([2, 3.0]), as_shape(5)
    ((2, 3), (5,))
    """
    if type(shape) is tuple and len(shape) <= MAX_DIMENSIONS:  # fast path for the usual case
        elements = 1
        for length in shape:
            if type(length) is not int or length < 1:
                break
            elements *= length
        else:
            if elements <= _MAX_ELEMENTS:
                return shape
    if isinstance(shape, (str, bytes, Set, Mapping)) or shape is None:
        raise TypeError(f"{what} must be an integer or a sequence of integers. Received: {what}={shortened(shape)}")
    several = isinstance(shape, Iterable) and getattr(shape, "ndim", 1) != 0  # an array without axes is one number
    items = tuple(islice(shape, MAX_DIMENSIONS + 1)) if several else (shape,)  # type: ignore[arg-type]
    if len(items) > MAX_DIMENSIONS:
        raise ValueError(f"{what} must have at most {MAX_DIMENSIONS} dimensions. Received: more dimensions")
    dimensions = tuple(_dimension(item, shape, what) for item in items)
    if math.prod(filter(None, dimensions)) > _MAX_ELEMENTS:
        raise ValueError(
            "a tensor must have fewer than 2**63 elements, without counting dimensions of 0. "
            f"Received: {what}={shortened(shape)}"
        )
    return dimensions


def _dimension(item: object, shape: object, what: str) -> int:
    if type(item) is int and 0 <= item <= _MAX_ELEMENTS:
        return item
    try:
        dimension = as_integer(whole(item))
    except TypeError:
        kind = ValueError if isinstance(item, (float, np.floating)) else TypeError
        raise kind(f"each dimension of {what} must be an integer. Received: {what}={shortened(shape)}") from None
    if not 0 <= dimension <= _MAX_ELEMENTS:
        raise ValueError(f"each dimension of {what} must be in [0, 2**63). Received: {what}={shortened(shape)}")
    return dimension


def whole(item: object) -> Any:
    """Return a float that is a whole number as an integer, and anything else unchanged."""
    return int(item) if isinstance(item, (float, np.floating)) and item.is_integer() else item

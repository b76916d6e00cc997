"""Shapes: what a person, TensorFlow or R hands over, as a tuple of integers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple, SupportsIndex, TypeAlias

import numpy as np

from seedbed import _core
from seedbed.arguments import as_count, as_integer, one_of

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
    several = isinstance(shape, Iterable) and getattr(shape, "ndim", 1) != 0  # an array of no axes is one number
    items = tuple(islice(shape, _MOST_DIMENSIONS + 1)) if several else (shape,)  # type: ignore[arg-type]
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
        dimension = as_integer(_whole(item))
    except TypeError:
        kind = ValueError if isinstance(item, (float, np.floating)) else TypeError
        raise kind(f"each dimension of {what} must be an integer. Received: {what}={shape!r}") from None
    if not 0 <= dimension <= _MOST_ELEMENTS:
        raise ValueError(f"each dimension of {what} must be in [0, 2**63). Received: {what}={shape!r}")
    return dimension


LAYOUTS = ("keras", "torch")
"""Where a kernel has its inputs and outputs: (..., in, out), as with Keras and JAX; (out, in, ...), as with torch."""

AXES_OF_LAYOUT = {"keras": ((-2,), (-1,)), "torch": ((1,), (0,))}
"""The axes of the inputs and of the outputs, from rank 2 on."""


class Fans(NamedTuple):
    """How many inputs a unit sees, and how many outputs an input feeds."""

    fan_in: int
    fan_out: int


def _whole(item: object) -> Any:
    """A float that is a whole number as an integer: R's numbers are doubles."""
    return int(item) if isinstance(item, (float, np.floating)) and item.is_integer() else item


def compute_fans(
    shape: ShapeLike,
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
    *,
    batch_axes: Sequence[int] | None = None,
    groups: int = 1,
    layout: str = "keras",
) -> tuple[int, int]:
    """Fan-in and fan-out of a kernel.

    By layout: (1, 1) for rank 0, (n, n) for rank 1, and from rank 2 on the dimensions of inputs and outputs, each times
    the receptive field, the product of the others. By axes: the products of the dimensions along them, as Keras has it.
    By axes with batch axes: those products times the receptive field, the product of the dimensions along all axes that
    are named nowhere, as JAX has it.

    Arguments:
        shape: of the kernel.
        input_axes: axes whose product is the fan-in; negative ones count from the end.
        output_axes: axes whose product is the fan-out; given if and only if `input_axes` is.
        batch_axes: axes along which one kernel stands beside the other, `()` for none; where they are given, each axis
            has one part, and without `input_axes` and `output_axes` those are the layout's.
        groups: into how many groups the outputs are divided, each of which sees inputs of its own. The kernel of a
            grouped convolution has in / groups inputs already, so this divides the fan-out.
        layout: `"keras"`, which is (..., in, out), or `"torch"`, (out, in, ...); not beside `input_axes`.

    Raises:
        ValueError: for a bad shape, an axis outside it, one kind of axes without the other, an axis of two parts beside
            batch axes, or groups that do not divide the outputs.
        OverflowError: where a fan is 2**64 or more.

    >>> compute_fans((3, 3, 64, 128))
    (576, 1152)
    >>> compute_fans((128, 64, 3, 3), input_axes=(1, 2, 3), output_axes=(0, 2, 3))
    (576, 1152)
    >>> compute_fans((128, 64, 3, 3), layout="torch")
    (576, 1152)

    Of a stack of ten kernels, of a convolution in 4 groups, and of a depthwise one, (..., in, multiplier):

    >>> compute_fans((10, 3, 3, 64, 128), batch_axes=(0,))
    (576, 1152)
    >>> compute_fans((3, 3, 64, 128), groups=4)
    (576, 288)
    >>> compute_fans((3, 3, 64, 2), input_axes=(), output_axes=(-1,), batch_axes=(-2,))
    (9, 18)
    """
    return as_fan_rule(input_axes, output_axes, batch_axes, groups, layout).of(as_shape(shape))


class FanRule(NamedTuple):
    """How the fans of a shape are counted: what `compute_fans` takes, checked but for the shape's having those axes."""

    input_axes: Shape | None
    output_axes: Shape | None
    batch_axes: Shape | None
    groups: int
    layout: str

    def of(self, shape: Shape) -> tuple[int, int]:
        """(fan-in, fan-out) of that shape.

        Raises:
            ValueError, OverflowError: as `compute_fans`.
        """
        inputs, outputs, batch = self.input_axes, self.output_axes, self.batch_axes
        if inputs is None or outputs is None:
            if batch is None and (self.layout == "keras" or len(shape) < 2):
                return _core.compute_fans(shape, None, self.groups)
            (inputs, outputs), batch = AXES_OF_LAYOUT[self.layout], batch or ()
        rank, named = len(shape), inputs + outputs + (batch or ())
        for axis in named:
            if not -rank <= axis < rank:
                raise ValueError(
                    "input_axes, output_axes and batch_axes must be axes of the shape. "
                    f"Received: axis {axis}, shape={shape}"
                )
        if batch is not None and len({axis % rank for axis in named}) < len(named):
            raise ValueError(
                "beside batch_axes an axis must be an input's, an output's or a batch's, and once. "
                f"Received: input_axes={inputs}, output_axes={outputs}, batch_axes={batch}, shape={shape}"
            )
        ins, outs, batches = ([axis % rank for axis in axes] for axes in (inputs, outputs, batch or ()))
        return _core.compute_fans(shape, (ins, outs, None if batch is None else batches), self.groups)


def as_fan_rule(input_axes: object, output_axes: object, batch_axes: object, groups: object, layout: object) -> FanRule:
    """The rule of `compute_fans` for these arguments.

    Raises:
        ValueError: where one is not what `compute_fans` says.
    """
    if (input_axes is None) != (output_axes is None):
        raise ValueError(
            "input_axes and output_axes must be given together. "
            f"Received: input_axes={input_axes!r}, output_axes={output_axes!r}"
        )
    rule = FanRule(
        _as_axes("input_axes", input_axes),
        _as_axes("output_axes", output_axes),
        _as_axes("batch_axes", batch_axes),
        as_count("groups", groups),
        one_of("layout", layout, LAYOUTS),
    )
    if rule.input_axes is not None and rule.layout != "keras":
        raise ValueError(
            f"layout must not stand beside input_axes and output_axes. Received: layout={layout!r}, "
            f"input_axes={input_axes!r}, output_axes={output_axes!r}"
        )
    return rule


def _as_axes(what: str, axes: object) -> Shape | None:
    if axes is None:
        return None
    try:
        if isinstance(axes, (str, bytes)):
            raise TypeError
        items = tuple(axes) if isinstance(axes, Iterable) else (axes,)
        return tuple(as_integer(_whole(axis)) for axis in items)
    except TypeError:
        raise ValueError(f"{what} must be a sequence of integers. Received: {what}={axes!r}") from None

"""Fan-in and fan-out of a kernel: the number of inputs of a unit, and the number of units that an input feeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from math import prod
from typing import NamedTuple, SupportsIndex

from seedbed.arguments import as_count, as_integer, one_of, shortened
from seedbed.shapes import MAX_DIMENSIONS, Shape, ShapeLike, as_shape, whole

AXES_OF_LAYOUT = {"keras": ((-2,), (-1,)), "torch": ((1,), (0,))}
"""Axes of the inputs and of the outputs of a kernel with two axes or more.

Keras and JAX have kernels (..., in, out), torch has (out, in, ...).
"""

LAYOUTS = tuple(AXES_OF_LAYOUT)
"""Values of the argument `layout`."""

_FAN_LIMIT = 2**64
"""Fans must be less than this number."""


class Fans(NamedTuple):
    """The fans of a kernel.

    Arguments:
        fan_in: number of inputs of a unit.
        fan_out: number of units that an input feeds.

    >>> import seedbed as sb
    >>> sb.HeNormal().fans((3, 3, 64, 128))
    Fans(fan_in=576, fan_out=1152)
    """

    fan_in: int
    """Number of inputs of a unit."""
    fan_out: int
    """Number of units that an input feeds."""


def compute_fans(
    shape: ShapeLike,
    input_axes: Iterable[SupportsIndex] | None = None,
    output_axes: Iterable[SupportsIndex] | None = None,
    *,
    batch_axes: Iterable[SupportsIndex] | None = None,
    groups: SupportsIndex = 1,
    layout: str = "keras",
) -> tuple[int, int]:
    """Return the fan-in and the fan-out of a kernel.

    - By layout: (1, 1) without axes, (n, n) for one axis. For more axes, the lengths of the input and of the output
      axis, each times the receptive field, which is the product of all other lengths.
    - By `input_axes` and `output_axes`, as in Keras: the products of the lengths of these axes.
    - With `batch_axes`, as in JAX: these products, times the product of the lengths of all axes that are not named.

    Arguments:
        shape: shape of the kernel.
        input_axes: axes whose lengths multiply to the fan-in. Negative axes count from the end.
        output_axes: axes whose lengths multiply to the fan-out. Give both or neither.
        batch_axes: axes along which independent kernels are stacked, `()` for none. If given, each axis may be named
            once, and without `input_axes` and `output_axes` the layout is that of the kernel without these axes.
        groups: number of groups of a grouped convolution. Each group feeds its own outputs, so this divides the
            fan-out; the kernel has in / groups inputs already.
        layout: `"keras"` for kernels (..., in, out), `"torch"` for (out, in, ...). Not together with `input_axes`.

    Raises:
        ValueError: for a bad shape, an axis outside it, only one of `input_axes` and `output_axes`, an axis that is
            named twice with `batch_axes`, or groups that do not divide the outputs.
        OverflowError: for a fan of 2**64 or more.

    >>> compute_fans((3, 3, 64, 128))
    (576, 1152)
    >>> compute_fans((128, 64, 3, 3), input_axes=(1, 2, 3), output_axes=(0, 2, 3))
    (576, 1152)
    >>> compute_fans((128, 64, 3, 3), layout="torch")
    (576, 1152)

    A stack of ten kernels, a convolution in 4 groups, and a depthwise convolution, (..., in, multiplier):

    >>> compute_fans((10, 3, 3, 64, 128), batch_axes=(0,)), compute_fans((10, 128, 64), batch_axes=(0,), layout="torch")
    ((576, 1152), (64, 128))
    >>> compute_fans((3, 3, 64, 128), groups=4)
    (576, 288)
    >>> compute_fans((3, 3, 64, 2), input_axes=(), output_axes=(-1,), batch_axes=(-2,))
    (9, 18)
    """
    return as_fan_options(input_axes, output_axes, batch_axes, groups, layout).fans(as_shape(shape))


class FanOptions(NamedTuple):
    """The arguments of `compute_fans`, checked as far as possible without the shape."""

    input_axes: Shape | None
    output_axes: Shape | None
    batch_axes: Shape | None
    groups: int
    layout: str

    def fans(self, shape: Shape) -> tuple[int, int]:
        """Return (fan-in, fan-out) of that shape.

        Raises:
            ValueError, OverflowError: for the same shapes as `compute_fans`.
        """
        inputs, outputs, batch = self.input_axes, self.output_axes, self.batch_axes
        if inputs is None or outputs is None:
            if len(shape) < 2 and batch is None:
                length = prod(shape)
                return _checked(length, length, self.groups, 1)
            (inputs, outputs), batch = self._axes_of_layout(shape), batch or ()
        rank, named = len(shape), inputs + outputs + (batch or ())
        for axis in named:
            if not -rank <= axis < rank:
                raise ValueError(
                    "input_axes, output_axes and batch_axes must be axes of the shape. "
                    f"Received: axis {axis}, shape={shape}"
                )
        receptive_field = 1
        if batch is not None:
            others = {axis % rank for axis in named}
            if len(others) < len(named):
                raise ValueError(
                    "with batch_axes, an axis must be named once: in input_axes, output_axes or batch_axes. "
                    f"Received: input_axes={inputs}, output_axes={outputs}, batch_axes={batch}, shape={shape}"
                )
            receptive_field = prod(length for axis, length in enumerate(shape) if axis not in others)
        fan_in, fan_out = (prod(shape[axis] for axis in axes) for axes in (inputs, outputs))
        return _checked(fan_in, fan_out, self.groups, receptive_field)

    def _axes_of_layout(self, shape: Shape) -> tuple[Shape, Shape]:
        """Return the axes of the inputs and of the outputs: those of the layout, among the axes of one kernel."""
        rank, batch = len(shape), self.batch_axes or ()
        stacked = {axis % rank for axis in batch if -rank <= axis < rank}
        kernel = [axis for axis in range(rank) if axis not in stacked]
        if len(kernel) < 2:
            raise ValueError(
                "with batch_axes, the shape must have two more axes, for inputs and outputs. "
                f"Received: batch_axes={batch}, shape={shape}"
            )
        (inputs,), (outputs,) = AXES_OF_LAYOUT[self.layout]
        return (kernel[inputs],), (kernel[outputs],)


def _checked(inputs: int, outputs: int, groups: int, receptive_field: int) -> tuple[int, int]:
    if outputs % groups:
        raise ValueError(f"groups must divide the outputs. Received: groups={groups}, outputs={outputs}")
    fan_in, fan_out = inputs * receptive_field, outputs // groups * receptive_field
    if fan_in >= _FAN_LIMIT or fan_out >= _FAN_LIMIT:
        raise OverflowError(f"fan_in and fan_out must be less than 2**64. Received: {fan_in} and {fan_out}")
    return fan_in, fan_out


def as_fan_options(
    input_axes: object, output_axes: object, batch_axes: object, groups: object, layout: object
) -> FanOptions:
    """Check the arguments of `compute_fans`, except whether the shape has the axes.

    Raises:
        TypeError, ValueError: if an argument is not what `compute_fans` accepts.
    """
    if (input_axes is None) != (output_axes is None):
        raise ValueError(
            "input_axes and output_axes must be given together. "
            f"Received: input_axes={shortened(input_axes)}, output_axes={shortened(output_axes)}"
        )
    options = FanOptions(
        _as_axes("input_axes", input_axes),
        _as_axes("output_axes", output_axes),
        _as_axes("batch_axes", batch_axes),
        as_count("groups", groups),
        one_of("layout", layout, LAYOUTS),
    )
    if options.input_axes is not None and options.layout != "keras":
        raise ValueError(
            f"layout must not be given with input_axes and output_axes. Received: layout={layout}, "
            f"input_axes={shortened(input_axes)}, output_axes={shortened(output_axes)}"
        )
    return options


def _as_axes(what: str, axes: object) -> Shape | None:
    if axes is None:
        return None
    try:
        if isinstance(axes, (str, bytes, Mapping)):
            raise TypeError
        items = tuple(islice(axes, MAX_DIMENSIONS + 1)) if isinstance(axes, Iterable) else (axes,)
        if len(items) > MAX_DIMENSIONS:
            raise ValueError(f"{what} must have at most {MAX_DIMENSIONS} axes. Received: more")
        return tuple(as_integer(whole(axis)) for axis in items)
    except TypeError:
        raise TypeError(f"{what} must be a sequence of integers. Received: {what}={shortened(axes)}") from None

"""Initializers of layers that hand on what they get: Identity for matrices, Dirac for convolutions.

Both are one rule: each output channel copies one input channel, at the centre of the receptive field.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seedbed._fans import AXES_OF_LAYOUT, LAYOUTS
from seedbed.arguments import as_count, as_finite, one_of
from seedbed.dtypes import checked_cast
from seedbed.initializers._description import Description, of_values
from seedbed.initializers.base import Initializer
from seedbed.regions import Axis, axes_of, indices, shape_of
from seedbed.rules import Rule
from seedbed.shapes import Shape


class Copies(Rule):
    """A value where output o meets input o mod `period` at the centre, length // 2, of all other axes; 0 elsewhere.

    Arguments:
        value: the value.
        inputs: the axis of the inputs.
        outputs: the axis of the outputs.
        period: number of outputs of a group.
    """

    __slots__ = ("inputs", "outputs", "period", "value")

    def __init__(self, value: npt.NDArray[Any], inputs: int, outputs: int, period: int) -> None:
        self.value = value
        self.inputs = inputs
        self.outputs = outputs
        self.period = period

    def count(self, shape: Shape) -> int:
        """Return the number of elements of that shape that have the value."""
        if 0 in shape:
            return 0
        periods, rest = divmod(shape[self.outputs], self.period)
        inputs = shape[self.inputs]
        return periods * min(self.period, inputs) + min(rest, inputs)

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        out[...] = 0
        axes = axes_of(out.shape) if axes is None else axes
        sources = indices(axes[self.outputs]) % max(1, self.period)
        taken, at = np.ones(sources.shape, bool), []
        for number, (length, start, step, count) in enumerate(axes):
            if number == self.outputs:
                at.append(np.arange(count))
                continue
            # What is wanted along this axis is the element `place` of those that the region takes, or none of them.
            wanted = sources if number == self.inputs else np.full_like(sources, length // 2)
            place, between = np.divmod(wanted - start, step)
            taken &= (between == 0) & (place >= 0) & (place < count)
            at.append(place)
        out.reshape(shape_of(axes))[tuple(places[taken] for places in at)] = self.value


class _Copying(Initializer):
    """An initializer whose rule is `Copies`."""

    @abstractmethod
    def rule(self, shape: Shape, dtype: np.dtype) -> Copies: ...

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        rule = self.rule(shape, dtype)
        count = rule.count(shape)
        return of_values(np.array([0, rule.value], dtype), np.array([math.prod(shape) - count, count]))


class Identity(_Copying):
    """gain times the identity matrix: gain where the row is the column, 0 elsewhere.

    The matrix need not be square: (rows, columns) has min(rows, columns) such elements.

    Arguments:
        gain: a finite number; a whole one for integer dtypes, 0 or 1 for bool.

    Raises:
        ValueError: where `gain` is not finite; at the call, where the shape is not of rank 2 or the dtype does not hold
            `gain`.

    >>> import seedbed as sb
    >>> sb.Identity(gain=2)((2, 3), "int32").tolist()
    [[2, 0, 0], [0, 2, 0]]
    """

    parameters: ClassVar[tuple[str, ...]] = ("gain",)

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = as_finite("gain", gain)

    def rule(self, shape: Shape, dtype: np.dtype) -> Copies:
        if len(shape) != 2:
            raise ValueError(f"the shape of an identity matrix must be of rank 2. Received: shape={shape}")
        return Copies(checked_cast("gain", np.array(self.gain), dtype), inputs=0, outputs=1, period=shape[1])


class Dirac(_Copying):
    """Kernels of convolutions that hand on their input channels, as many as there are outputs for (torch's `dirac_`).

    Within each group output channel d is input channel d: there the kernel is 1 at its centre, index length // 2 along
    each spatial axis, and 0 elsewhere; outputs beyond the inputs of their group are 0. With padding `"same"` and odd
    lengths such a convolution is the identity (Zagoruyko & Komodakis 2017, whose nets add it to other weights).

    Arguments:
        groups: of the convolution.
        layout: `"keras"` for kernels (..., in, out), `"torch"` for (out, in, ...).

    Raises:
        ValueError: where an argument is not as said; at the call, where the shape is not of rank 3 to 5, or its outputs
            are not in as many groups of one size.

    >>> import numpy as np, seedbed as sb
    >>> kernel = sb.Dirac()((3, 2, 2))
    >>> kernel[1].tolist(), float(kernel.sum())
    ([[1.0, 0.0], [0.0, 1.0]], 2.0)
    >>> np.argwhere(sb.Dirac(groups=2, layout="torch")((4, 2, 5))).tolist()
    [[0, 0, 2], [1, 1, 2], [2, 0, 2], [3, 1, 2]]
    """

    parameters: ClassVar[tuple[str, ...]] = ("groups", "layout")

    def __init__(self, groups: int = 1, layout: str = "keras") -> None:
        self.groups = as_count("groups", groups)
        self.layout = one_of("layout", layout, LAYOUTS)

    def rule(self, shape: Shape, dtype: np.dtype) -> Copies:
        if not 3 <= len(shape) <= 5:
            raise ValueError(f"the shape of a Dirac kernel must be of rank 3, 4 or 5. Received: shape={shape}")
        inputs, outputs = (axes[0] % len(shape) for axes in AXES_OF_LAYOUT[self.layout])
        period, rest = divmod(shape[outputs], self.groups)
        if rest:
            raise ValueError(f"groups must divide the outputs. Received: groups={self.groups}, shape={shape}")
        return Copies(np.ones((), dtype), inputs, outputs, period)

"""Initializers of layers that copy their input: Identity for matrices, Dirac for convolutions; and Bilinear.

The first two have one rule: each output channel copies one input channel, at the centre of the receptive field. Layers
with Bilinear kernels interpolate their input to a higher resolution.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, SupportsFloat, SupportsIndex

import numpy as np
import numpy.typing as npt

from seedbed import dtypes
from seedbed._fans import AXES_OF_LAYOUT, LAYOUTS
from seedbed._float_state import in_default_state
from seedbed.arguments import as_bool, as_count, as_finite, one_of
from seedbed.dtypes import checked_cast
from seedbed.initializers._description import Description, of_values
from seedbed.initializers.base import Initializer
from seedbed.regions import Axis, axes_of, indices, shape_of
from seedbed.rules import Rule
from seedbed.shapes import Shape


class Copies(Rule):
    """A value at output o, input o mod `period`, and the centre, length // 2, of all other axes; 0 elsewhere.

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
            # Along this axis, the element with the value is number `place` of the region, or is not in it.
            wanted = sources if number == self.inputs else np.full_like(sources, length // 2)
            place, between = np.divmod(wanted - start, step)
            taken &= (between == 0) & (place >= 0) & (place < count)
            at.append(place)
        out.reshape(shape_of(axes))[tuple(places[taken] for places in at)] = self.value


class Stacked(Rule):
    """The same matrix along all leading axes."""

    __slots__ = ("matrix",)

    def __init__(self, matrix: Copies) -> None:
        self.matrix = matrix

    def count(self, shape: Shape) -> int:
        """Return the number of elements of that shape that have the value."""
        return self.matrix.count(shape[-2:]) * math.prod(shape[:-2])

    @property
    def value(self) -> npt.NDArray[Any]:
        """The value."""
        return self.matrix.value

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        axes = axes_of(out.shape) if axes is None else axes
        matrix = np.empty(shape_of(axes[-2:]), out.dtype)
        self.matrix.write(matrix, axes[-2:])
        out.reshape(shape_of(axes))[...] = matrix


class _Copying(Initializer):
    """An initializer whose rule is `Copies`."""

    @abstractmethod
    def rule(self, shape: Shape, dtype: np.dtype) -> Copies | Stacked: ...

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        resolved = dtypes.as_dtype(dtype)
        if resolved.itemsize == 1:
            checked_cast("0", np.zeros(()), resolved)
        return resolved

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        rule = self.rule(shape, dtype)
        count = rule.count(shape)
        return of_values(np.array([0, rule.value], dtype), np.array([math.prod(shape) - count, count]))


class Identity(_Copying):
    """The identity matrix times gain: gain where row and column are equal, 0 elsewhere.

    The matrix need not be square: (rows, columns) has min(rows, columns) elements with the gain.

    Arguments:
        gain: factor of the matrix, a finite number: an integer for integer dtypes, 0 or 1 for bool.
        stacked: True to accept shapes of more than two axes, as stacks of matrices along the last two axes.

    Raises:
        ValueError: if an argument is not as described; at the call, if the shape is not of rank 2, or with `stacked` of
            rank 2 or more, or the dtype cannot represent `gain`.

    >>> import seedbed as sb
    >>> sb.Identity(gain=2)((2, 3), "int32").tolist()
    [[2, 0, 0], [0, 2, 0]]
    >>> sb.Identity(stacked=True)((5, 2, 2))[3].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    parameters: ClassVar[tuple[str, ...]] = ("gain", "stacked")
    beyond_keras: ClassVar[Mapping[str, object]] = MappingProxyType({"stacked": False})

    def __init__(self, gain: SupportsFloat = 1.0, *, stacked: bool | np.bool_ = False) -> None:
        self.gain = as_finite("gain", gain)
        self.stacked = as_bool("stacked", stacked)

    def rule(self, shape: Shape, dtype: np.dtype) -> Copies | Stacked:
        if len(shape) < 2 or (len(shape) > 2 and not self.stacked):
            more = " or more" if self.stacked else ", or more with stacked=True"
            raise ValueError(f"the shape of an identity matrix must be of rank 2{more}. Received: shape={shape}")
        gain = checked_cast("gain", np.array(self.gain), dtype)
        matrix = Copies(gain, inputs=0, outputs=1, period=shape[-1])
        return matrix if len(shape) == 2 else Stacked(matrix)


class Dirac(_Copying):
    """Kernels of convolutions that copy input channels to output channels (torch's `dirac_`).

    Within each group, output channel d is input channel d: the kernel is 1 at its centre, index length // 2 along each
    spatial axis, and 0 elsewhere. Outputs without a corresponding input are 0. With padding `"same"` and odd lengths,
    the convolution is the identity (Zagoruyko & Komodakis 2017 add it to other weights).

    Arguments:
        groups: number of groups of the convolution.
        layout: `"keras"` for kernels (..., in, out), `"torch"` for (out, in, ...).

    Raises:
        ValueError: if an argument is not as described; at the call, if the shape is not of rank 3 to 5, or its
            outputs are not in as many groups of one size.

    >>> import numpy as np, seedbed as sb
    >>> kernel = sb.Dirac()((3, 2, 2))
    >>> kernel[1].tolist(), float(kernel.sum())
    ([[1.0, 0.0], [0.0, 1.0]], 2.0)
    >>> np.argwhere(sb.Dirac(groups=2, layout="torch")((4, 2, 5))).tolist()
    [[0, 0, 2], [1, 1, 2], [2, 0, 2], [3, 1, 2]]
    """

    parameters: ClassVar[tuple[str, ...]] = ("groups", "layout")

    def __init__(self, groups: SupportsIndex = 1, layout: str = "keras") -> None:
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


class Interpolation(Rule):
    """Products of triangular weights along some axes, constant along all others.

    Arguments:
        spatial: the axes with triangular weights.
    """

    __slots__ = ("spatial",)

    def __init__(self, spatial: Sequence[int]) -> None:
        self.spatial = tuple(spatial)

    @in_default_state
    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        axes = axes_of(out.shape) if axes is None else axes
        kernel: npt.NDArray[Any] = np.ones((1,) * len(axes))
        for axis in self.spatial:
            weights = triangle(axes[axis][0])[indices(axes[axis])]
            kernel = kernel * weights.reshape([-1 if i == axis else 1 for i in range(len(axes))])
        # Narrow floats are always rounded from float32.
        out.reshape(shape_of(axes))[...] = kernel if out.itemsize == 8 else kernel.astype(np.float32)


def triangle(length: int) -> npt.NDArray[np.float64]:
    """Return the weights 1 - |i - (length - 1) / 2| / ceil(length / 2) of linear interpolation, each rounded once.

    >>> triangle(4).tolist(), triangle(3).tolist()
    ([0.25, 0.75, 0.75, 0.25], [0.5, 1.0, 0.5])
    """
    twice = 2 * ((length + 1) // 2)
    return (twice - abs(2 * np.arange(length) - length + 1)) / max(1, twice)


class Bilinear(Initializer):
    """Kernels of transposed convolutions that interpolate linearly, bilinearly along two axes (Long et al. 2015).

    With a factor f, the kernel of length 2 f - f mod 2 and the stride f raise the resolution f times. Along a spatial
    axis of length n the weight is 1 - |i - (n - 1) / 2| / ceil(n / 2), and an element is the product of those of its
    spatial axes, whatever its channels: a layer that interpolates each channel by itself has a group for each.

    Arguments:
        layout: `"keras"` for kernels (..., channels, channels), `"torch"` for (channels, channels, ...).

    Raises:
        ValueError: if the layout is another; at the call, if the shape is not of rank 3 to 5, or the dtype is not
            floating point.

    >>> import seedbed as sb
    >>> sb.Bilinear(layout="torch")((1, 1, 4, 4))[0, 0, 1].tolist()
    [0.1875, 0.5625, 0.5625, 0.1875]
    """

    parameters: ClassVar[tuple[str, ...]] = ("layout",)

    def __init__(self, layout: str = "keras") -> None:
        self.layout = one_of("layout", layout, LAYOUTS)

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        return dtypes.as_float_dtype(dtype)

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        if not 3 <= len(shape) <= 5:
            raise ValueError(f"the shape of a bilinear kernel must be of rank 3, 4 or 5. Received: shape={shape}")
        return Interpolation(self._spatial(len(shape)))

    def _spatial(self, rank: int) -> range:
        return range(rank - 2) if self.layout == "keras" else range(2, rank)

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        if 0 in shape:
            return Description()
        spatial = self._spatial(len(shape))
        kernel = [length if axis in spatial else 1 for axis, length in enumerate(shape)]
        return of_values(self(tuple(kernel), dtype).reshape(-1))

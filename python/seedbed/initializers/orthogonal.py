"""Initializers whose tensor is orthogonal as a whole: Orthogonal, DeltaOrthogonal, ConvolutionOrthogonal1D to 3D."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import ClassVar, SupportsFloat, SupportsIndex

import numpy as np
import numpy.typing as npt

from seedbed import _core, dtypes, seeds
from seedbed._float_state import in_default_state
from seedbed.arguments import as_finite, as_integer, shortened
from seedbed.initializers._description import Description
from seedbed.initializers.base import SeededInitializer
from seedbed.rules import Computed, Rule, Sampled, compiled, stored
from seedbed.saving import plain_name
from seedbed.shapes import Shape
from seedbed.threads import get_num_threads

MAX_SIZE = 2**12
"""Maximum length of the spatial axes of a ConvolutionOrthogonal kernel. The work grows as its square."""

_UNIT = _core.Orthogonal(1.0, "float64")
"""The recipe of the matrices that convolutions are made of."""


class ComputedInitializer(SeededInitializer):
    """Base class of initializers with a gain whose tensor is computed as a whole."""

    parameters: ClassVar[tuple[str, ...]] = ("gain", "seed")

    def __init__(self, gain: SupportsFloat = 1.0, seed: seeds.SeedLike = None) -> None:
        super().__init__(seed)
        self.gain = as_finite("gain", gain)

    @abstractmethod
    def check_shape(self, shape: Shape) -> None:
        """Raise a ValueError if there is no tensor of that shape."""

    @abstractmethod
    def computation(self, matrix: _core.Orthogonal) -> Callable[[seeds.Address, np.ndarray], None]:
        """Return a function that writes the tensor at an address to an array of its shape, which has elements.

        The function does not refer to the initializer: a lazy tensor does not change if attributes are assigned later.
        """

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        self.check_shape(shape)
        compute = self.computation(_core.Orthogonal(self.gain, dtypes.name_of(dtype)))
        return Computed(shape, partial(compute, self._draw()))

    @abstractmethod
    def mean_square(self, shape: Shape) -> float:
        """Return the expectation of the squares of the elements, for a gain of 1 and a shape that has elements."""

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        if 0 in shape:
            return Description()
        gain = abs(self.gain)
        bound = np.array(gain).astype(dtype).item()
        return Description(mean=0.0, stddev=gain * math.sqrt(self.mean_square(shape)), minimum=-bound, maximum=bound)


class Orthogonal(ComputedInitializer):
    """A random matrix with orthonormal columns, or rows if there are fewer rows, times gain (Saxe et al. 2014).

    The matrix is uniformly distributed (Haar measure), like the Q of a matrix of independent normal values. It is a
    product of random reflections (Stewart 1980). The tensor is the matrix, reshaped: one axis is its columns, all
    others are its rows. float16 and bfloat16 are computed in float32, and rounded at the end.

    The bits are the same on every CPU and for any number of threads. Every element depends on the whole matrix: a slice
    of a lazy tensor, or a partition, costs as much as the whole.

    In addition to the result, the computation needs memory: at most 16 MiB if the matrix has up to 32 columns, or rows
    if these are fewer; otherwise at most twice the size of the result, or 16 MiB if that is more. A column axis that is
    not the last one needs as much as the result in addition.

    Arguments:
        gain: factor of the matrix: a finite number, which may be negative or zero.
        seed: None, an integer or a `SeedGenerator`.
        column_axis: axis of the columns: the last one, as in Keras, or any other, as in JAX.

    Raises:
        ValueError: if an argument is not as described; at the call, if the shape has fewer than two axes or not that
            one, the dtype is not floating point, or the gain exceeds half of its largest number.
        MemoryError: at the call, if there is not enough memory.

    >>> import numpy as np, seedbed as sb
    >>> w = sb.Orthogonal(gain=2.0, seed=3)((3, 3, 64, 128))
    >>> rows = w.reshape(-1, 128)
    >>> bool(abs(rows.T @ rows - 4 * np.eye(128)).max() < 1e-5)
    True
    """

    parameters: ClassVar[tuple[str, ...]] = ("gain", "seed", "column_axis")
    beyond_keras: ClassVar[Mapping[str, object]] = MappingProxyType({"column_axis": -1})

    def __init__(self, gain: SupportsFloat = 1.0, seed: seeds.SeedLike = None, column_axis: SupportsIndex = -1) -> None:
        super().__init__(gain, seed)
        self.column_axis = _as_axis(column_axis)

    def check_shape(self, shape: Shape) -> None:
        if len(shape) < 2:
            raise ValueError(f"the shape of an orthogonal tensor must be at least two-dimensional. Received: {shape}")
        if not -len(shape) <= self.column_axis < len(shape):
            raise ValueError(
                f"column_axis must be an axis of the shape. Received: column_axis={self.column_axis}, shape={shape}"
            )

    def computation(self, matrix: _core.Orthogonal) -> Callable[[seeds.Address, np.ndarray], None]:
        return partial(_write_reshaped, matrix, self.column_axis)

    def mean_square(self, shape: Shape) -> float:
        columns = shape[self.column_axis]
        # The squares of a row or column, whichever is longer, sum to 1.
        return 1 / max(columns, math.prod(shape) // columns)


class _Convolution(ComputedInitializer):
    """Base class of convolutions that preserve norms: the squares of all elements sum to the number of inputs."""

    def mean_square(self, shape: Shape) -> float:
        return shape[-2] / math.prod(shape)


class DeltaOrthogonal(_Convolution):
    """A convolution that preserves norms: zero except for an orthogonal matrix in the centre (Xiao et al. 2018).

    The shape is (..., in, out) with in <= out and one to three spatial axes. The centre is at index (length - 1) // 2
    along each spatial axis. It has the values of `Orthogonal` with the same arguments for the shape (in, out).

    Arguments:
        gain: factor of the matrix: a finite number, which may be negative or zero.
        seed: None, an integer or a `SeedGenerator`.
        column_axis: the axis of the matrix that has its columns: -1 or 1 for the outputs, -2 or 0 for the inputs.

    Raises:
        ValueError: if an argument is not as described; at the call, if the shape has not 3 to 5 axes, or in > out,
            the dtype is not floating point, or the gain exceeds half of its largest number.

    >>> import seedbed as sb
    >>> kernel = sb.DeltaOrthogonal(seed=3)((3, 3, 16, 32))
    >>> bool((kernel[1, 1] == sb.Orthogonal(seed=3)((16, 32))).all()), int((kernel != 0).sum()) <= 16 * 32
    (True, True)
    """

    parameters: ClassVar[tuple[str, ...]] = ("gain", "seed", "column_axis")
    beyond_keras: ClassVar[Mapping[str, object]] = MappingProxyType({"column_axis": -1})

    def __init__(self, gain: SupportsFloat = 1.0, seed: seeds.SeedLike = None, column_axis: SupportsIndex = -1) -> None:
        super().__init__(gain, seed)
        self.column_axis = _as_axis(column_axis)
        if not -2 <= self.column_axis < 2:
            raise ValueError(f"column_axis must be an axis of the matrix, from -2 to 1. Received: {column_axis}")

    def check_shape(self, shape: Shape) -> None:
        if not 3 <= len(shape) <= 5:
            raise ValueError(f"the shape of a delta-orthogonal kernel must have 3 to 5 axes. Received: {shape}")
        _check_channels(shape)

    def computation(self, matrix: _core.Orthogonal) -> Callable[[seeds.Address, np.ndarray], None]:
        return partial(_write_centre, matrix, self.column_axis)


class ConvolutionOrthogonal(_Convolution):
    """A convolution kernel that keeps norms, with weight in all taps (Xiao et al. 2018, algorithm 1).

    A kernel of size 1 is an orthogonal matrix of shape (in, out). Each step to the next size convolves the kernel,
    along every spatial axis in turn, with two taps P and I - P, where P is an orthogonal projection in uniformly random
    directions; its rank is binomial (out, 1/2). So at every frequency the kernel is a matrix with orthonormal rows.
    Kernels are computed in float64 and rounded in the end. A slice is cut from the whole kernel.
    """

    spatial_axes: ClassVar[int]

    def check_shape(self, shape: Shape) -> None:
        axes = self.spatial_axes
        if len(shape) != axes + 2:
            raise ValueError(
                f"the shape of a {plain_name(type(self))} kernel must have {axes + 2} axes. Received: {shape}"
            )
        if len(set(shape[:axes])) > 1:
            raise ValueError(f"the spatial axes of the kernel must have equal lengths. Received: {shape}")
        if shape[0] > MAX_SIZE:
            raise ValueError(f"the spatial axes of the kernel must be at most {MAX_SIZE} long. Received: {shape}")
        _check_channels(shape)

    def computation(self, matrix: _core.Orthogonal) -> Callable[[seeds.Address, np.ndarray], None]:
        return partial(_write_convolution, matrix.gain)


class ConvolutionOrthogonal1D(ConvolutionOrthogonal):
    """A kernel along one axis whose matrix at every frequency has orthonormal rows, times gain.

    All taps have weight, unlike in `DeltaOrthogonal` (Xiao et al. 2018, algorithm 1). The kernel is computed in float64
    and rounded in the end. A slice of a lazy kernel, or a partition, is cut from the whole kernel.

    Arguments:
        gain: factor of the kernel: a finite number, which may be negative or zero.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        ValueError: if an argument is not as described; at the call, if the shape is not (size, in, out)
            with in <= out and a size of at most 4096, the dtype is not floating point, or the gain exceeds half of
            its largest number.

    >>> import numpy as np, seedbed as sb
    >>> kernel = sb.ConvolutionOrthogonal1D(seed=3)((3, 8, 16), "float64")
    >>> at_half = kernel[0] - kernel[1] + kernel[2]  # of a frequency of 1/2
    >>> bool(abs(at_half @ at_half.T - np.eye(8)).max() < 1e-14)
    True
    """

    spatial_axes = 1


class ConvolutionOrthogonal2D(ConvolutionOrthogonal):
    """A kernel along two axes whose matrix at every frequency has orthonormal rows, times gain.

    As `ConvolutionOrthogonal1D`, for kernels (size, size, in, out).

    Arguments:
        gain: factor of the kernel: a finite number, which may be negative or zero.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        TypeError, ValueError: as `ConvolutionOrthogonal1D`.

    >>> import numpy as np, seedbed as sb
    >>> kernel = sb.ConvolutionOrthogonal2D(gain=2.0, seed=3)((3, 3, 8, 8))
    >>> at_zero = kernel.sum(axis=(0, 1))
    >>> bool(abs(at_zero @ at_zero.T - 4 * np.eye(8)).max() < 1e-5)
    True
    """

    spatial_axes = 2


class ConvolutionOrthogonal3D(ConvolutionOrthogonal):
    """A kernel along three axes whose matrix at every frequency has orthonormal rows, times gain.

    As `ConvolutionOrthogonal1D`, for kernels (size, size, size, in, out).

    Arguments:
        gain: factor of the kernel: a finite number, which may be negative or zero.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        TypeError, ValueError: as `ConvolutionOrthogonal1D`.

    >>> import seedbed as sb
    >>> kernel = sb.ConvolutionOrthogonal3D(seed=3)((2, 2, 2, 4, 6))
    >>> round(float((kernel**2).sum()), 5)  # of 4 rows of norm 1
    4.0
    """

    spatial_axes = 3


def _as_axis(column_axis: object) -> int:
    try:
        return as_integer(column_axis)
    except TypeError:
        raise TypeError(f"column_axis must be an integer. Received: column_axis={shortened(column_axis)}") from None


def _check_channels(shape: Shape) -> None:
    if shape[-2] > shape[-1]:
        raise ValueError(f"a kernel (..., in, out) that keeps norms must have in <= out. Received: {shape}")


def _write(matrix: _core.Orthogonal, address: seeds.Address, out: np.ndarray) -> None:
    """Write a matrix to `out`, which has two axes and is contiguous in C order."""
    if out.itemsize == 1:
        values = np.empty(out.shape, np.float32)
        matrix.fill(values, out.shape, address, get_num_threads())
        _core.round_float8(stored(out).reshape(-1), values.reshape(-1), dtypes.name_of(out.dtype))
        return
    matrix.fill(stored(out), out.shape, address, get_num_threads())


def _write_reshaped(matrix: _core.Orthogonal, column_axis: int, address: seeds.Address, out: np.ndarray) -> None:
    axis = column_axis % out.ndim
    if axis == out.ndim - 1:
        _write(matrix, address, out.reshape(-1, out.shape[-1]))
        return
    columns_last = np.empty((*out.shape[:axis], *out.shape[axis + 1 :], out.shape[axis]), out.dtype)
    _write(matrix, address, columns_last.reshape(-1, out.shape[axis]))
    out[...] = np.moveaxis(columns_last, -1, axis)


def _write_centre(matrix: _core.Orthogonal, column_axis: int, address: seeds.Address, out: np.ndarray) -> None:
    out[...] = 0
    _write_reshaped(matrix, column_axis, address, out[tuple((size - 1) // 2 for size in out.shape[:-2])])


@in_default_state
def _write_convolution(gain: float, address: seeds.Address, out: np.ndarray) -> None:
    size, inputs, outputs = out.shape[-3:]
    spatial_axes, addresses = out.ndim - 2, _addresses(address)
    kernel: npt.NDArray[np.float64] = np.empty((1,) * spatial_axes + (inputs, outputs))
    _write(_UNIT, next(addresses), kernel.reshape(inputs, outputs))
    for _ in range(size - 1):
        for axis in range(spatial_axes):
            kernel = _convolve(kernel, _projection(outputs, next(addresses)), axis)
    scaled = kernel * gain
    # 16-bit numbers are rounded from float32.
    out[...] = scaled if out.itemsize > 2 else scaled.astype(np.float32)


def _addresses(address: seeds.Address) -> Iterator[seeds.Address]:
    """Yield addresses for the parts of a tensor, each independent of the others."""
    number = 0
    while True:
        yield seeds.Address(seeds.child_key(address.key, f"ConvolutionOrthogonal/{number}"), address.stream)
        number += 1


def _projection(n: int, address: seeds.Address) -> npt.NDArray[np.float64]:
    """Return the projection onto those columns of an orthogonal matrix whose extra normal is positive.

    The extra normals are the row that would follow those of the matrix.
    """
    directions, extra = np.empty((n, n)), np.empty(n)
    _write(_UNIT, address, directions)
    Sampled(compiled("normal", (0.0, 1.0), extra.dtype), address).write(extra, [(n * n + n, n * n, 1, n)])
    chosen = directions[:, extra > 0]
    return _product(chosen, chosen.T)


def _convolve(
    kernel: npt.NDArray[np.float64], projection: npt.NDArray[np.float64], axis: int
) -> npt.NDArray[np.float64]:
    """Return a kernel longer by one along the axis: the projected part of each tap stays, the rest moves by one."""
    staying = _product(kernel.reshape(-1, kernel.shape[-1]), projection).reshape(kernel.shape)
    longer = np.zeros([n + (i == axis) for i, n in enumerate(kernel.shape)])
    before = (slice(None),) * axis
    longer[(*before, slice(None, -1))] += staying
    longer[(*before, slice(1, None))] += np.subtract(kernel, staying, out=staying)
    return longer


def _product(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the product of two matrices. Each element is summed in the same order on every CPU."""
    out = np.empty((left.shape[0], right.shape[1]))
    _core.matmul(out, np.ascontiguousarray(left), np.ascontiguousarray(right), get_num_threads())
    return out

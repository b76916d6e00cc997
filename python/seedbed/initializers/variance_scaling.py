"""VarianceScaling, its named choices, each a row (scale, mode, distribution), and UniformUnitScaling of TF 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import ClassVar, SupportsFloat, SupportsIndex

import numpy as np

from seedbed import seeds
from seedbed._fans import FanOptions, Fans, as_fan_options
from seedbed._float_state import in_default_state
from seedbed.arguments import as_finite, one_of, shortened
from seedbed.initializers._description import TRUNCATED_STDDEV, Description
from seedbed.initializers.base import Initializer, RandomInitializer
from seedbed.rules import Distribution
from seedbed.shapes import Shape, ShapeLike, as_shape

MODES: Mapping[str, Callable[[int, int], float]] = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "fan_geo_avg": lambda fan_in, fan_out: math.sqrt(fan_in * fan_out),
    "spectral": lambda fan_in, fan_out: fan_in * max(1.0, fan_in / max(1, fan_out)),
}
"""The n of the variance scale / n, as a function of the fans."""

DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")

FAN_PARAMETERS = ("input_axes", "output_axes", "batch_axes", "groups", "layout")
"""The arguments that determine how fans are counted."""

_MAX_SCALE = 1e300
"""Maximum of the scale: 3 scale is still finite."""


class VarianceScaling(RandomInitializer):
    """Values of variance scale / n, where n is the fan-in, the fan-out or a mean of both (He et al. 2015, eq. 10).

    The variance is v = scale / max(1, n). For complex values it is E |w|^2, with a uniformly distributed phase.

    | distribution | real values | complex values |
    |---|---|---|
    | `"truncated_normal"` | normal, truncated at 2 sigma, of variance v *after* that | the same, abs(w) <= 2 sigma |
    | `"untruncated_normal"` | normal of variance v | complex normal of variance v |
    | `"uniform"` | uniform within +-sqrt(3 v) | uniform on the disk abs(w) <= sqrt(2 v) |

    A call returns an array of the given shape, in float16, bfloat16, float32, float64, complex64 or complex128.
    The methods `fans` and `describe` return the fans, and the standard deviation and bounds of the values.

    Arguments:
        scale: a positive number.
        mode: `"fan_in"`, `"fan_out"`, `"fan_avg"`, `"fan_geo_avg"` for the geometric mean, or `"spectral"` for
            n = fan_in max(1, fan_in / fan_out): the standard deviation is sqrt(scale / fan_in) min(1, sqrt(fan_out /
            fan_in)), and the spectral norm of a matrix of any shape is of the order of sqrt(scale fan_out / fan_in)
            (Yang, Simon & Bernstein 2023).
        distribution: a name of the table; `"normal"` is `"truncated_normal"`.
        seed: None, an integer or a `SeedGenerator`.
        input_axes: axes whose lengths multiply to the fan-in. By default the layout determines them.
        output_axes: axes whose lengths multiply to the fan-out. Give both or neither.
        batch_axes: axes along which independent kernels are stacked, `()` for none. If given, all axes that are not
            named form the receptive field, which multiplies both fans, as in JAX; see `compute_fans`.
        groups: number of groups of a grouped convolution, or of any layer whose units see one group of inputs each.
        layout: `"keras"` for kernels (..., in, out), `"torch"` for (out, in, ...). Not together with `input_axes`.

    Raises:
        ValueError: if an argument is not as described; at the call, if the dtype is another, the shape has no such axes
            or groups, or the dtype cannot represent the values.

    >>> import seedbed as sb
    >>> init = sb.VarianceScaling(2.0, "fan_out", "uniform", seed=1, input_axes=(1, 2), output_axes=(0,))
    >>> bool(abs(init((600, 5, 5))).max() <= (3 * 2 / 600) ** 0.5)
    True
    >>> init.fans((600, 5, 5))
    Fans(fan_in=25, fan_out=600)
    """

    parameters: ClassVar[tuple[str, ...]] = ("scale", "mode", "distribution", "seed", *FAN_PARAMETERS)
    beyond_keras: ClassVar[Mapping[str, object]] = MappingProxyType(
        {"batch_axes": None, "groups": 1, "layout": "keras"}
    )
    makes_complex = True

    def __init__(
        self,
        scale: SupportsFloat = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: seeds.SeedLike = None,
        input_axes: Iterable[SupportsIndex] | None = None,
        output_axes: Iterable[SupportsIndex] | None = None,
        *,
        batch_axes: Iterable[SupportsIndex] | None = None,
        groups: SupportsIndex = 1,
        layout: str = "keras",
    ) -> None:
        super().__init__(seed)
        self.scale = as_finite("scale", scale)
        if not 0 < self.scale <= _MAX_SCALE:
            raise ValueError(
                f"Argument `scale` must be positive float, and at most {_MAX_SCALE}. Received: scale={self.scale}"
            )
        self.mode = one_of("mode", mode, tuple(MODES))
        lowered = distribution.lower() if isinstance(distribution, str) else distribution
        self.distribution = one_of(
            "distribution", "truncated_normal" if lowered == "normal" else lowered, DISTRIBUTIONS
        )
        self._fan_options = as_fan_options(input_axes, output_axes, batch_axes, groups, layout)

    # Read-only, since their checks depend on each other.
    input_axes = property(attrgetter("_fan_options.input_axes"))
    output_axes = property(attrgetter("_fan_options.output_axes"))
    batch_axes = property(attrgetter("_fan_options.batch_axes"))
    groups = property(attrgetter("_fan_options.groups"))
    layout = property(attrgetter("_fan_options.layout"))

    def fans(self, shape: ShapeLike) -> Fans:
        """Return the fans that this initializer counts in a kernel of a shape.

        Raises:
            TypeError, ValueError, OverflowError: for the same shapes as `compute_fans`.
        """
        return Fans(*self._fan_options.fans(as_shape(shape)))

    def sampling(self, shape: Shape) -> Distribution:
        return _scaled(self.scale, self.mode, self.distribution, self._fan_options, shape)

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        return super()._describe(shape, dtype)._replace(**self.fans(shape)._asdict())


@lru_cache(maxsize=1024)  # a pure function: a cached result never becomes stale
@in_default_state
def _scaled(scale: float, mode: str, distribution: str, fan_options: FanOptions, shape: Shape) -> Distribution:
    variance = scale / max(1.0, MODES[mode](*fan_options.fans(shape)))
    if distribution == "uniform":
        limit = math.sqrt(3.0 * variance)
        return "uniform", (-limit, limit)
    if distribution == "untruncated_normal":
        return "normal", (0.0, math.sqrt(variance))
    return "truncated_normal", (0.0, math.sqrt(variance) / TRUNCATED_STDDEV)


def fans(initializer: Initializer, shape: ShapeLike) -> Fans:
    """Return the fans that an initializer counts in a kernel of a shape.

    Arguments:
        initializer: a `VarianceScaling` or an object of a subclass, such as `HeNormal`.
        shape: shape of the kernel.

    Returns:
        The named tuple (fan_in, fan_out).

    Raises:
        TypeError: if the initializer is not a `VarianceScaling`.
        TypeError, ValueError, OverflowError: for the same shapes as `compute_fans`.

    >>> import seedbed as sb
    >>> sb.fans(sb.HeNormal(), (3, 3, 64, 128))
    Fans(fan_in=576, fan_out=1152)
    >>> sb.fans(sb.KaimingNormal(layout="torch"), (128, 64, 3, 3))
    Fans(fan_in=576, fan_out=1152)
    """
    if not isinstance(initializer, VarianceScaling):
        raise TypeError(f"initializer must be a VarianceScaling to have fans. Received: {shortened(initializer)}")
    return initializer.fans(shape)


class _Named(VarianceScaling):
    """Base class of named choices of scale, mode and distribution."""

    parameters: ClassVar[tuple[str, ...]] = ("seed", *FAN_PARAMETERS)
    choice: ClassVar[tuple[float, str, str]]

    def __init__(
        self,
        seed: seeds.SeedLike = None,
        input_axes: Iterable[SupportsIndex] | None = None,
        output_axes: Iterable[SupportsIndex] | None = None,
        *,
        batch_axes: Iterable[SupportsIndex] | None = None,
        groups: SupportsIndex = 1,
        layout: str = "keras",
    ) -> None:
        super().__init__(
            *self.choice, seed, input_axes, output_axes, batch_axes=batch_axes, groups=groups, layout=layout
        )


class GlorotNormal(_Named):
    """Truncated normal of standard deviation sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: axes whose lengths multiply to the fan-in. By default the layout determines them.
        output_axes: axes whose lengths multiply to the fan-out. Give both or neither.
        batch_axes: axes along which independent kernels are stacked, `()` for none; see `compute_fans`.
        groups: number of groups of a grouped convolution.
        layout: `"keras"` for kernels (..., in, out), `"torch"` for (out, in, ...). Not together with `input_axes`.

    A call returns an array of the given shape, in float16, bfloat16, float32, float64, complex64 or complex128.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if an argument is not as described; at the call, if the dtype is another, the shape has no such axes
            or groups, or the dtype cannot represent the values.

    >>> import seedbed as sb
    >>> sb.GlorotNormal(seed=42)((4, 2)).dtype
    dtype('float32')
    """

    choice = (1.0, "fan_avg", "truncated_normal")


class GlorotUniform(_Named):
    """Uniform within +-sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: axes whose lengths multiply to the fan-in. By default the layout determines them.
        output_axes: axes whose lengths multiply to the fan-out. Give both or neither.
        batch_axes: axes along which independent kernels are stacked, `()` for none; see `compute_fans`.
        groups: number of groups of a grouped convolution.
        layout: `"keras"` for kernels (..., in, out), `"torch"` for (out, in, ...). Not together with `input_axes`.

    A call returns an array of the given shape, in float16, bfloat16, float32, float64, complex64 or complex128.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if an argument is not as described; at the call, if the dtype is another, the shape has no such axes
            or groups, or the dtype cannot represent the values.

    >>> import seedbed as sb
    >>> bool(abs(sb.GlorotUniform(seed=42)((400, 200))).max() <= (6 / 600) ** 0.5)
    True
    """

    choice = (1.0, "fan_avg", "uniform")


class HeNormal(_Named):
    """Truncated normal of standard deviation sqrt(2 / fan_in) (He et al. 2015, eq. 10).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: axes whose lengths multiply to the fan-in. By default the layout determines them.
        output_axes: axes whose lengths multiply to the fan-out. Give both or neither.
        batch_axes: axes along which independent kernels are stacked, `()` for none; see `compute_fans`.
        groups: number of groups of a grouped convolution.
        layout: `"keras"` for kernels (..., in, out), `"torch"` for (out, in, ...). Not together with `input_axes`.

    A call returns an array of the given shape, in float16, bfloat16, float32, float64, complex64 or complex128.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if an argument is not as described; at the call, if the dtype is another, the shape has no such axes
            or groups, or the dtype cannot represent the values.

    >>> import seedbed as sb
    >>> round(float(sb.HeNormal(seed=42)((800, 1000)).std()), 3)
    0.05
    """

    choice = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Named):
    """Uniform within +-sqrt(6 / fan_in) (He et al. 2015, eq. 10).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: axes whose lengths multiply to the fan-in. By default the layout determines them.
        output_axes: axes whose lengths multiply to the fan-out. Give both or neither.
        batch_axes: axes along which independent kernels are stacked, `()` for none; see `compute_fans`.
        groups: number of groups of a grouped convolution.
        layout: `"keras"` for kernels (..., in, out), `"torch"` for (out, in, ...). Not together with `input_axes`.

    A call returns an array of the given shape, in float16, bfloat16, float32, float64, complex64 or complex128.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if an argument is not as described; at the call, if the dtype is another, the shape has no such axes
            or groups, or the dtype cannot represent the values.

    >>> import seedbed as sb
    >>> bool(abs(sb.HeUniform(seed=42)((600, 200))).max() <= (6 / 600) ** 0.5)
    True
    """

    choice = (2.0, "fan_in", "uniform")


class LecunNormal(_Named):
    """Truncated normal of standard deviation sqrt(1 / fan_in) (LeCun et al. 1998, eq. 16).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: axes whose lengths multiply to the fan-in. By default the layout determines them.
        output_axes: axes whose lengths multiply to the fan-out. Give both or neither.
        batch_axes: axes along which independent kernels are stacked, `()` for none; see `compute_fans`.
        groups: number of groups of a grouped convolution.
        layout: `"keras"` for kernels (..., in, out), `"torch"` for (out, in, ...). Not together with `input_axes`.

    A call returns an array of the given shape, in float16, bfloat16, float32, float64, complex64 or complex128.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if an argument is not as described; at the call, if the dtype is another, the shape has no such axes
            or groups, or the dtype cannot represent the values.

    >>> import seedbed as sb
    >>> round(float(sb.LecunNormal(seed=42)((400, 1000)).std()), 3)
    0.05
    """

    choice = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Named):
    """Uniform within +-sqrt(3 / fan_in) (LeCun et al. 1998, eq. 16).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: axes whose lengths multiply to the fan-in. By default the layout determines them.
        output_axes: axes whose lengths multiply to the fan-out. Give both or neither.
        batch_axes: axes along which independent kernels are stacked, `()` for none; see `compute_fans`.
        groups: number of groups of a grouped convolution.
        layout: `"keras"` for kernels (..., in, out), `"torch"` for (out, in, ...). Not together with `input_axes`.

    A call returns an array of the given shape, in float16, bfloat16, float32, float64, complex64 or complex128.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if an argument is not as described; at the call, if the dtype is another, the shape has no such axes
            or groups, or the dtype cannot represent the values.

    >>> import seedbed as sb
    >>> bool(abs(sb.LecunUniform(seed=42)((300, 200))).max() <= 0.1)
    True
    """

    choice = (1.0, "fan_in", "uniform")


class UniformUnitScaling(VarianceScaling):
    """Uniform within +-factor sqrt(3 / n), where n is the product of all lengths except the last, at least 1.

    As in TensorFlow 1; Sussillo & Abbott (2014) give factors for nonlinearities. For two axes or more, n is the fan-in
    of a kernel (..., in, out), and with a factor of 1 the values are those of `LecunUniform`. For a vector, n is 1.

    Arguments:
        factor: factor of the bounds, from 1e-150 to 1e150.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        ValueError: if an argument is not as described; at the call, if the dtype is not floating point.

    >>> import seedbed as sb
    >>> bool(abs(sb.UniformUnitScaling(1.43, seed=42)((300, 200))).max() <= 1.43 * 0.1)
    True
    """

    parameters: ClassVar[tuple[str, ...]] = ("factor", "seed")
    beyond_keras: ClassVar[Mapping[str, object]] = MappingProxyType({})

    def __init__(self, factor: SupportsFloat = 1.0, seed: seeds.SeedLike = None) -> None:
        self.factor, scale = squared("factor", factor)
        super().__init__(scale, "fan_in", "uniform", seed)

    def fans(self, shape: ShapeLike) -> Fans:
        return super().fans(_as_matrix(as_shape(shape)))

    def sampling(self, shape: Shape) -> Distribution:
        return super().sampling(_as_matrix(shape))


def _as_matrix(shape: Shape) -> Shape:
    """Return the shape of a vector as that of a row, which has a fan-in of 1."""
    return (1, *shape) if len(shape) == 1 else shape


@in_default_state
def squared(what: str, factor: object) -> tuple[float, float]:
    """Return a factor of the values as a float, and its square, the scale.

    Raises:
        TypeError, ValueError: if it is not a number from 1e-150 to 1e150, for which the square is a normal float.
    """
    number = as_finite(what, factor)
    if not 1e-150 <= number <= 1e150:
        raise ValueError(f"{what} must be positive, from 1e-150 to 1e150. Received: {what}={number}")
    return number, number * number

"""Initializers with a given distribution: RandomUniform, RandomNormal, TruncatedNormal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, SupportsFloat, TypeAlias

import numpy as np
import numpy.typing as npt

from seedbed import _core, seeds
from seedbed._float_state import in_default_state
from seedbed.arguments import as_finite, as_real
from seedbed.initializers._description import Description
from seedbed.initializers.base import RandomInitializer
from seedbed.regions import Axis
from seedbed.rules import Distribution, Rule, Sampled
from seedbed.shapes import Shape

MeanLike: TypeAlias = "SupportsFloat | complex | np.complexfloating[Any, Any] | Mapping[str, Any]"
"""A number, or the configuration of a complex one."""


class RandomUniform(RandomInitializer):
    """Independent values of the uniform distribution on [minval, maxval).

    Values are rounded to nearest in the dtype, but never to a number outside of the interval.

    Arguments:
        minval: lower bound, a finite number.
        maxval: upper bound, a finite number that no value reaches. If it equals `minval`, every value is this number.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        ValueError: if a bound is not finite, or `minval > maxval`; at the call, if the dtype is not floating
            point or has no number in the interval.

    >>> import seedbed as sb
    >>> w = sb.RandomUniform(1.0, 1.1, seed=3)((1000,), "float16")
    >>> bool((w >= 1).all() and (w < 1.1).all())
    True
    """

    parameters: ClassVar[tuple[str, ...]] = ("minval", "maxval", "seed")

    def __init__(
        self, minval: SupportsFloat = -0.05, maxval: SupportsFloat = 0.05, seed: seeds.SeedLike = None
    ) -> None:
        super().__init__(seed)
        self.minval = as_finite("minval", minval)
        self.maxval = as_finite("maxval", maxval)
        if self.minval > self.maxval:
            raise ValueError(f"minval must not exceed maxval. Received: minval={self.minval}, maxval={self.maxval}")

    def sampling(self, shape: Shape) -> Distribution:
        return "uniform", (self.minval, self.maxval)


class RandomNormal(RandomInitializer):
    """Independent values of the normal distribution N(mean, stddev^2), without bounds.

    Complex values have the variance E |w - mean|^2 = stddev^2, half of it in each of the real and the imaginary part.

    Arguments:
        mean: mean of the distribution, a finite number; it may be complex for complex dtypes.
        stddev: standard deviation, a finite number that is not negative.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        ValueError: if a parameter is not finite or `stddev` is negative; at the call, if the dtype is neither
            floating point nor complex, values 9.25 standard deviations from the mean would exceed its largest
            finite number, or the mean is complex and the dtype is not.

    >>> import seedbed as sb
    >>> w = sb.RandomNormal(stddev=0.02, seed=3)((1000, 1000))
    >>> round(float(w.std()), 4)
    0.02
    """

    parameters: ClassVar[tuple[str, ...]] = ("mean", "stddev", "seed")
    makes_complex = True

    def __init__(
        self,
        mean: MeanLike = 0.0,
        stddev: SupportsFloat = 0.05,
        seed: seeds.SeedLike = None,
    ) -> None:
        super().__init__(seed)
        self.mean: Any = _as_mean(mean)
        self.stddev = as_finite("stddev", stddev)
        if self.stddev < 0:
            raise ValueError(f"stddev must not be negative. Received: stddev={self.stddev}")

    def sampling(self, shape: Shape) -> Distribution:
        if isinstance(self.mean, complex):
            raise ValueError(f"mean must be real for a dtype that is not complex. Received: mean={self.mean}")
        return "normal", (self.mean, self.stddev)

    def complex_sampling(self, shape: Shape) -> Distribution:
        """Return the distribution of complex values minus their mean."""
        return "normal", (0.0, self.stddev)

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        if dtype.kind != "c":
            return super().rule(shape, dtype)
        mean = self.mean
        largest, reach = float(np.finfo(dtype).max), abs(mean) + _REACH * self.stddev
        if not reach <= largest:
            raise ValueError(
                f"the values must be within the finite {dtype.name} numbers. Received: values up to {reach}"
            )
        values = self._sampled(self.complex_sampling(shape), shape, dtype)
        return Shifted(values, np.array(mean, dtype)) if mean else values

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        if dtype.kind != "c":
            return super()._describe(shape, dtype)
        return Description(mean=complex(self.mean), stddev=self.stddev * self._complex_stddev())

    def _complex_stddev(self) -> float:
        """Return the standard deviation of complex values for a `stddev` of 1."""
        return 1.0

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if isinstance(self.mean, complex):
            config["mean"] = {"real": self.mean.real, "imag": self.mean.imag}
        return config


_REACH = 9.25
"""Maximum distance of a normal value from the mean, in standard deviations."""

_COMPLEX_TRUNCATED_STDDEV = 0.96196182800821351
"""The standard deviation of a complex normal of variance 1 truncated at 2: sqrt(1 - 4 exp(-4) / (1 - exp(-4)))."""


class Shifted(Rule):
    """Complex values plus a number, with one rounding of each part."""

    __slots__ = ("mean", "values")

    def __init__(self, values: Sampled, mean: npt.NDArray[Any]) -> None:
        self.values = values
        self.mean = mean

    @in_default_state
    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        self.values.write(out, axes)
        np.add(out, self.mean, out=out)


class TruncatedNormal(RandomNormal):
    """Independent values of N(mean, stddev^2), truncated to [mean + lower stddev, mean + upper stddev].

    As in Keras, `stddev` is the standard deviation before the truncation. With the default bounds, two standard
    deviations to both sides, that of the values is 0.87962566103423978 stddev. As in JAX, bounds are in standard
    deviations. Values are quantiles, computed from the nearer end of the distribution: no value is clamped to a bound,
    and a far tail is as accurate as the centre.

    Complex values are complex normals of variance stddev^2, truncated to abs(w - mean) <= 2 stddev; other bounds are an
    error. Their standard deviation, sqrt(E |w - mean|^2), is 0.96196182800821351 stddev.

    Arguments:
        mean: mean before the truncation, a finite number; it may be complex for complex dtypes.
        stddev: standard deviation before the truncation, a finite number that is not negative.
        seed: None, an integer or a `SeedGenerator`.
        lower: lower bound, in standard deviations from the mean; None or -inf for no bound.
        upper: upper bound, in standard deviations from the mean; None or inf for no bound. Without any bound, the
            values are those of `RandomNormal`.

    Raises:
        ValueError: if a parameter is not finite, `stddev` is negative, `lower` is not less than `upper`, or all that
            is between them is more than 37 standard deviations from the mean; at the call, if the dtype is neither
            floating point nor complex, the values exceed its finite numbers, it has no number between the bounds,
            or it is complex and the bounds are neither -2 and 2 nor None.

    >>> import seedbed as sb
    >>> w = sb.TruncatedNormal(stddev=0.5, seed=3)((1000, 1000))
    >>> bool(abs(w).max() <= 1), round(float(w.std()), 3)
    (True, 0.44)
    >>> w = sb.TruncatedNormal(0.0, 1.0, seed=3, lower=6, upper=7)((1000, 1000))  # exactly: 6.157...
    >>> float(w.min()) >= 6, float(w.max()) <= 7, round(float(w.mean(dtype=float)), 3)
    (True, True, 6.157)
    """

    parameters: ClassVar[tuple[str, ...]] = ("mean", "stddev", "seed", "lower", "upper")
    beyond_keras: ClassVar[Mapping[str, object]] = MappingProxyType({"lower": -2.0, "upper": 2.0})

    def __init__(
        self,
        mean: MeanLike = 0.0,
        stddev: SupportsFloat = 0.05,
        seed: seeds.SeedLike = None,
        lower: SupportsFloat | None = -2.0,
        upper: SupportsFloat | None = 2.0,
    ) -> None:
        super().__init__(mean, stddev, seed)
        self.lower = _as_bound("lower", lower, -math.inf)
        self.upper = _as_bound("upper", upper, math.inf)
        low, high = self._bounds()
        if not low < high:
            raise ValueError(f"lower must be less than upper. Received: lower={lower!r}, upper={upper!r}")
        if low > _core.MAX_BOUND or high < -_core.MAX_BOUND:
            raise ValueError(
                f"the nearer of lower and upper to 0 must be within {_core.MAX_BOUND:.0f} standard deviations. "
                f"Received: lower={lower!r}, upper={upper!r}"
            )

    def _bounds(self) -> tuple[float, float]:
        return (-math.inf if self.lower is None else self.lower, math.inf if self.upper is None else self.upper)

    def sampling(self, shape: Shape) -> Distribution:
        _, normal = super().sampling(shape)
        if self.lower == -2 and self.upper == 2:
            return "truncated_normal", normal
        return "normal_between", (*normal, *self._bounds())

    def complex_sampling(self, shape: Shape) -> Distribution:
        if self.lower is None and self.upper is None:
            return super().complex_sampling(shape)
        if self.lower != -2 or self.upper != 2:
            raise ValueError(
                "lower and upper must be -2 and 2, or None, for complex values: the bounds limit "
                f"their distance from the mean. Received: lower={self.lower}, upper={self.upper}"
            )
        return "complex_truncated_normal", (self.stddev,)

    def _complex_stddev(self) -> float:
        return 1.0 if self.lower is None else _COMPLEX_TRUNCATED_STDDEV


def _as_mean(mean: object) -> float | complex:
    """Return a finite number, from a number or from the configuration of a complex one."""
    if isinstance(mean, Mapping) and mean.keys() == {"real", "imag"}:
        mean = complex(as_finite("mean", mean["real"]), as_finite("mean", mean["imag"]))
    if not isinstance(mean, (complex, np.complexfloating)):
        return as_finite("mean", mean)
    number = complex(as_finite("mean", mean.real), as_finite("mean", mean.imag))
    return number if number.imag else number.real


def _as_bound(what: str, value: object, none: float) -> float | None:
    """Return a bound as a float; None for the infinity that means no bound."""
    if value is None:
        return None
    try:
        unbounded = as_real(value) == none
    except TypeError:
        unbounded = False
    return None if unbounded else as_finite(what, value)

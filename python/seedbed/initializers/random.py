"""Initializers with a distribution of their own: RandomUniform, RandomNormal, TruncatedNormal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from seedbed import _core, seeds
from seedbed.arguments import as_finite, as_real
from seedbed.initializers.base import RandomInitializer
from seedbed.rules import Distribution
from seedbed.shapes import Shape


class RandomUniform(RandomInitializer):
    """Uniform on the half-open interval [minval, maxval).

    In each dtype the values are rounded to nearest, but never past a bound.

    Arguments:
        minval: the lower bound.
        maxval: the upper bound; where it equals `minval`, that is the value everywhere.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        ValueError: where a bound is not finite, or `minval > maxval`; at the call, where the dtype is not floating
            point or has no number in the interval.

    >>> import seedbed as sb
    >>> w = sb.RandomUniform(1.0, 1.1, seed=3)((1000,), "float16")
    >>> bool((w >= 1).all() and (w < 1.1).all())
    True
    """

    parameters: ClassVar[tuple[str, ...]] = ("minval", "maxval", "seed")

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: seeds.SeedLike = None) -> None:
        super().__init__(seed)
        self.minval = as_finite("minval", minval)
        self.maxval = as_finite("maxval", maxval)
        if self.minval > self.maxval:
            raise ValueError(f"minval must not exceed maxval. Received: minval={self.minval}, maxval={self.maxval}")

    def sampling(self, shape: Shape) -> Distribution:
        return "uniform", (self.minval, self.maxval)


class RandomNormal(RandomInitializer):
    """Normal, without bounds. Complex values have the variance E |w|^2 = stddev^2, half of it in each part.

    Arguments:
        mean: of the distribution; 0 for complex values.
        stddev: its standard deviation, 0 or more.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        ValueError: where a parameter is not finite or `stddev` is negative; at the call, where the dtype is neither
            floating point nor complex, values 9.25 standard deviations from the mean would be beyond its finite
            numbers, or it is complex and the mean is not 0.

    >>> import seedbed as sb
    >>> w = sb.RandomNormal(stddev=0.02, seed=3)((1000, 1000))
    >>> round(float(w.std()), 4)
    0.02
    """

    parameters: ClassVar[tuple[str, ...]] = ("mean", "stddev", "seed")
    makes_complex = True

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: seeds.SeedLike = None) -> None:
        super().__init__(seed)
        self.mean = as_finite("mean", mean)
        self.stddev = as_finite("stddev", stddev)
        if self.stddev < 0:
            raise ValueError(f"stddev must not be negative. Received: stddev={self.stddev}")

    def sampling(self, shape: Shape) -> Distribution:
        return "normal", (self.mean, self.stddev)


class TruncatedNormal(RandomNormal):
    """Normal, conditioned on lying between two bounds: mean + lower stddev <= x <= mean + upper stddev.

    As in Keras `stddev` is that of the normal before the truncation; the values' own is 0.87962566103423978 times that
    where the bounds are those of Keras, two standard deviations to both sides. As in JAX bounds are in standard
    deviations. Values are quantiles, computed from the nearer end of the distribution: none is clamped to a bound, and
    a far tail is as accurate as the centre.

    Arguments:
        mean: of the normal that is truncated.
        stddev: of the normal that is truncated, 0 or more.
        seed: None, an integer or a `SeedGenerator`.
        lower: the lower bound, in standard deviations from the mean; None or -inf where there is none.
        upper: the upper bound likewise; None or inf where there is none. Without any bound the values are those of
            `RandomNormal`.

    Raises:
        ValueError: where a parameter is not finite, `stddev` is negative, `lower` is not less than `upper`, or all that
            is between them is more than 37 standard deviations from the mean; at the call, where the dtype is not
            floating point, the values are beyond its finite numbers, or it has no number between the bounds.

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
    makes_complex = False

    def __init__(
        self,
        mean: float = 0.0,
        stddev: float = 0.05,
        seed: seeds.SeedLike = None,
        lower: float | None = -2.0,
        upper: float | None = 2.0,
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
        if self.lower == -2 and self.upper == 2:
            return "truncated_normal", (self.mean, self.stddev)
        return "normal_between", (self.mean, self.stddev, *self._bounds())


def _as_bound(what: str, value: object, none: float) -> float | None:
    """A bound as a float, and None where it is the infinity that bounds nothing."""
    return None if value is None or as_real(value) == none else as_finite(what, value)

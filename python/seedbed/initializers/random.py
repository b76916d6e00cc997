"""Initializers with a distribution of their own: RandomUniform, RandomNormal, TruncatedNormal."""

from __future__ import annotations

from typing import ClassVar

from seedbed import seeds
from seedbed.initializers.base import RandomInitializer, as_finite
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

    def sampling(self, shape: Shape) -> tuple[str, tuple[float, float]]:
        return "uniform", (self.minval, self.maxval)


class RandomNormal(RandomInitializer):
    """Normal, without bounds.

    Arguments:
        mean: of the distribution.
        stddev: its standard deviation, 0 or more.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        ValueError: where a parameter is not finite or `stddev` is negative; at the call, where the dtype is not
            floating point, or values 9.25 standard deviations from the mean would be beyond its finite numbers.

    >>> import seedbed as sb
    >>> w = sb.RandomNormal(stddev=0.02, seed=3)((1000, 1000))
    >>> round(float(w.std()), 4)
    0.02
    """

    parameters: ClassVar[tuple[str, ...]] = ("mean", "stddev", "seed")
    kind: ClassVar[str] = "normal"

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: seeds.SeedLike = None) -> None:
        super().__init__(seed)
        self.mean = as_finite("mean", mean)
        self.stddev = as_finite("stddev", stddev)
        if self.stddev < 0:
            raise ValueError(f"stddev must not be negative. Received: stddev={self.stddev}")

    def sampling(self, shape: Shape) -> tuple[str, tuple[float, float]]:
        return self.kind, (self.mean, self.stddev)


class TruncatedNormal(RandomNormal):
    """Normal, conditioned on lying within two standard deviations of the mean: mean - 2 stddev <= x <= mean + 2 stddev.

    As in Keras `stddev` is that of the normal before the truncation; the values' own is 0.87962566103423978 times that.

    Arguments:
        mean: of the distribution.
        stddev: of the normal that is truncated, 0 or more.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        ValueError: where a parameter is not finite or `stddev` is negative; at the call, where the dtype is not
            floating point, the bounds are beyond its finite numbers, or it has no number between them.

    >>> import seedbed as sb
    >>> w = sb.TruncatedNormal(stddev=0.5, seed=3)((1000, 1000))
    >>> bool(abs(w).max() <= 1), round(float(w.std()), 3)
    (True, 0.44)
    """

    kind = "truncated_normal"

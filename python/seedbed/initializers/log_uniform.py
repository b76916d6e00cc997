"""Initializers of the parameters of state-space models: LogUniform, LogOfUniform, InverseSoftplus."""

from __future__ import annotations

import sys
from typing import ClassVar, SupportsFloat

from seedbed import _core, seeds
from seedbed.arguments import as_finite
from seedbed.initializers.base import RandomInitializer
from seedbed.rules import Distribution
from seedbed.shapes import Shape


class _Between(RandomInitializer):
    """Base class of initializers with two bounds, both between `least` and `greatest`."""

    parameters: ClassVar[tuple[str, ...]] = ("minval", "maxval", "seed")
    least: ClassVar[float] = sys.float_info.min
    greatest: ClassVar[float] = sys.float_info.max

    def __init__(self, minval: SupportsFloat, maxval: SupportsFloat, seed: seeds.SeedLike = None) -> None:
        super().__init__(seed)
        self.minval = as_finite("minval", minval)
        self.maxval = as_finite("maxval", maxval)
        if not self.least <= self.minval <= self.maxval <= self.greatest:
            raise ValueError(
                f"minval and maxval must be from {self.least} to {self.greatest}, and minval must not exceed maxval. "
                f"Received: minval={self.minval}, maxval={self.maxval}"
            )


class LogUniform(_Between):
    """Log-uniform: the logarithm of the values is uniform from log minval to log maxval.

    It is used for step sizes of state-space models, scales and rates: each factor of 10 is equally likely. Both bounds
    are possible values, and no value is outside of them in any dtype.

    Arguments:
        minval: lower bound, a positive number.
        maxval: upper bound. If it equals `minval`, every value is this number.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        ValueError: if a bound is not a positive normal number, or `minval > maxval`; at the call, if the dtype is not
            floating point or has no number between the bounds.

    >>> import numpy as np, seedbed as sb
    >>> dt = sb.LogUniform(0.001, 0.1, seed=3)((100_000,))
    >>> bool((dt >= 0.001).all() and (dt <= np.float32(0.1)).all()), round(float(np.median(dt)), 3)
    (True, 0.01)
    """

    def __init__(self, minval: SupportsFloat = 0.001, maxval: SupportsFloat = 0.1, seed: seeds.SeedLike = None) -> None:
        super().__init__(minval, maxval, seed)

    def sampling(self, shape: Shape) -> Distribution:
        return "log_uniform", (self.minval, self.maxval)


class LogOfUniform(_Between):
    """The logarithm of values that are uniform from minval to maxval.

    The defaults, log U(1, 16), are those of `A_log` in Mamba 2 (Dao & Gu 2024), whose rates are -exp(A_log).

    Arguments:
        minval: lower bound of the uniform distribution, 0 or more. The logarithm of 0 itself is never drawn.
        maxval: upper bound of the uniform distribution. If it equals `minval`, every value is its logarithm.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        ValueError: if a bound is not finite, `minval` is negative or exceeds `maxval`, or `maxval` is less than 1e-280;
            at the call, if the dtype is not floating point.

    >>> import numpy as np, seedbed as sb
    >>> a_log = sb.LogOfUniform(1.0, 16.0, seed=3)((100_000,))
    >>> bool(a_log.min() >= 0), round(float(np.exp(a_log).mean()), 1)
    (True, 8.5)
    """

    least = 0.0

    def __init__(self, minval: SupportsFloat = 1.0, maxval: SupportsFloat = 16.0, seed: seeds.SeedLike = None) -> None:
        super().__init__(minval, maxval, seed)
        if self.maxval < _core.MIN_OF_LOG:
            raise ValueError(f"maxval must be at least {_core.MIN_OF_LOG}. Received: maxval={self.maxval}")

    def sampling(self, shape: Shape) -> Distribution:
        return "log_of_uniform", (self.minval, self.maxval)


class InverseSoftplus(_Between):
    """The inverse softplus log(exp(t) - 1) of a log-uniform t: softplus of the values, log(1 + exp(x)), is t.

    The defaults are those of `dt_bias` in Mamba (Gu & Dao 2023). The step sizes t, the softplus of the values, are
    log-uniform from minval to maxval, and at least `floor`.

    Arguments:
        minval: lower bound of t, a positive number.
        maxval: upper bound of t, at most 700.
        seed: None, an integer or a `SeedGenerator`.
        floor: minimum of t, from 0 to 700: a smaller t is replaced by it. 0 for no minimum.

    Raises:
        ValueError: if an argument is not as described; at the call, if the dtype is not floating point.

    >>> import numpy as np, seedbed as sb
    >>> dt = np.log1p(np.exp(sb.InverseSoftplus(0.001, 0.1, seed=3)((100_000,), "float64")))
    >>> bool((dt > 0.000999).all() and (dt < 0.1001).all()), round(float(np.median(dt)), 3)
    (True, 0.01)
    """

    parameters: ClassVar[tuple[str, ...]] = ("minval", "maxval", "seed", "floor")
    greatest = _core.MAX_SOFTPLUS

    def __init__(
        self,
        minval: SupportsFloat = 0.001,
        maxval: SupportsFloat = 0.1,
        seed: seeds.SeedLike = None,
        floor: SupportsFloat = 0.0001,
    ) -> None:
        super().__init__(minval, maxval, seed)
        self.floor = as_finite("floor", floor)
        if not 0 <= self.floor <= _core.MAX_SOFTPLUS:
            raise ValueError(f"floor must be from 0 to {_core.MAX_SOFTPLUS}. Received: floor={self.floor}")

    def sampling(self, shape: Shape) -> Distribution:
        return "inverse_softplus", (self.minval, self.maxval, self.floor)

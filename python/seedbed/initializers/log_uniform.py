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
    """An initializer with two ends, from `least` to `greatest`."""

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

    Step sizes of state-space models, scales and rates are drawn so: each factor of 10 is as likely as any other. Both
    bounds are included, and hold in every dtype.

    Arguments:
        minval: the lower bound, positive.
        maxval: the upper bound; if it equals `minval`, that is the value everywhere.
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
    """The logarithm of a value that is uniform from minval to maxval.

    With the defaults, log U(1, 16), these are the `A_log` of Mamba 2 (Dao & Gu 2024), whose rates are -exp(A_log).

    Arguments:
        minval: the lower bound of the uniform, 0 or more. The logarithm of 0 itself is never drawn.
        maxval: the upper bound of the uniform; if it equals `minval`, its logarithm is the value everywhere.
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

    With the defaults these are the `dt_bias` of Mamba (Gu & Dao 2023): the step sizes t that the layer makes of them
    are log-uniform from minval to maxval, and at least `floor`.

    Arguments:
        minval: the lower bound of t, positive.
        maxval: the upper bound of t, at most 700.
        seed: None, an integer or a `SeedGenerator`.
        floor: what replaces each t that is less, from 0 to 700; 0 for no floor.

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

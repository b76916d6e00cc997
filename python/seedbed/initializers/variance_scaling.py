"""VarianceScaling and its named choices: each a row (scale, mode, distribution)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from seedbed import seeds
from seedbed.initializers.base import TRUNCATED_STDDEV, RandomInitializer, as_finite
from seedbed.shapes import Shape, as_axes_pair, fans_of

MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")

_LARGEST_SCALE = 1e300
"""Beyond it 3 scale is no finite number."""


class VarianceScaling(RandomInitializer):
    """Values of variance scale / n, where n is the fan-in, the fan-out or their mean (He et al. 2015, eq. 10).

    With v = scale / max(1, n): a normal truncated at two standard deviations that has the variance v *after* the
    truncation, an untruncated normal of variance v, or uniform within +-sqrt(3 v). Complex values, of no preferred
    direction, have E |w|^2 = v: a complex normal truncated at two standard deviations, an untruncated one, or uniform
    on the disk |w| <= sqrt(2 v).

    Arguments:
        scale: a positive number.
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`.
        distribution: `"truncated_normal"` (or `"normal"`, the same), `"untruncated_normal"` or `"uniform"`.
        seed: None, an integer or a `SeedGenerator`.
        input_axes: the axes whose dimensions multiply to the fan-in; the layout (..., in, out) where there are none.
        output_axes: likewise for the fan-out; given if and only if `input_axes` is.

    Raises:
        ValueError: where an argument is not as said; at the call, where the dtype is neither floating point nor
            complex.

    >>> import seedbed as sb
    >>> init = sb.VarianceScaling(2.0, "fan_out", "uniform", seed=1, input_axes=(1, 2), output_axes=(0,))
    >>> bool(abs(init((600, 5, 5))).max() <= (3 * 2 / 600) ** 0.5)
    True
    """

    parameters: ClassVar[tuple[str, ...]] = ("scale", "mode", "distribution", "seed", "input_axes", "output_axes")
    makes_complex = True

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: seeds.SeedLike = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        self.scale = as_finite("scale", scale)
        if not 0 < self.scale <= _LARGEST_SCALE:
            raise ValueError(f"scale must be positive, and at most {_LARGEST_SCALE}. Received: scale={self.scale}")
        self.mode = _one_of("mode", mode, MODES)
        lowered = distribution.lower() if isinstance(distribution, str) else distribution
        self.distribution = _one_of(
            "distribution", "truncated_normal" if lowered == "normal" else lowered, DISTRIBUTIONS
        )
        self.input_axes, self.output_axes = as_axes_pair(input_axes, output_axes)

    def sampling(self, shape: Shape) -> tuple[str, tuple[float, float]]:
        variance = self.scale / max(1.0, self._fan(shape))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return "uniform", (-limit, limit)
        if self.distribution == "untruncated_normal":
            return "normal", (0.0, math.sqrt(variance))
        return "truncated_normal", (0.0, math.sqrt(variance) / TRUNCATED_STDDEV)

    def _fan(self, shape: Shape) -> float:
        fan_in, fan_out = fans_of(shape, self.input_axes, self.output_axes)
        if self.mode == "fan_avg":
            return (fan_in + fan_out) / 2
        return fan_in if self.mode == "fan_in" else fan_out


def _one_of(what: str, value: object, accepted: Sequence[str]) -> str:
    if value not in accepted:
        raise ValueError(f"{what} must be one of {', '.join(accepted)}. Received: {what}={value!r}")
    return str(value)


class _Named(VarianceScaling):
    """A choice of scale, mode and distribution."""

    parameters: ClassVar[tuple[str, ...]] = ("seed", "input_axes", "output_axes")
    choice: ClassVar[tuple[float, str, str]]

    def __init__(
        self,
        seed: seeds.SeedLike = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.choice, seed, input_axes, output_axes)


class GlorotNormal(_Named):
    """Truncated normal of standard deviation sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: as for `VarianceScaling`.
        output_axes: as for `VarianceScaling`.

    >>> import seedbed as sb
    >>> sb.GlorotNormal(seed=42)((4, 2)).dtype
    dtype('float32')
    """

    choice = (1.0, "fan_avg", "truncated_normal")


class GlorotUniform(_Named):
    """Uniform within +-sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: as for `VarianceScaling`.
        output_axes: as for `VarianceScaling`.

    >>> import seedbed as sb
    >>> bool(abs(sb.GlorotUniform(seed=42)((400, 200))).max() <= (6 / 600) ** 0.5)
    True
    """

    choice = (1.0, "fan_avg", "uniform")


class HeNormal(_Named):
    """Truncated normal of standard deviation sqrt(2 / fan_in) (He et al. 2015, eq. 10).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: as for `VarianceScaling`.
        output_axes: as for `VarianceScaling`.

    >>> import seedbed as sb
    >>> round(float(sb.HeNormal(seed=42)((800, 1000)).std()), 3)
    0.05
    """

    choice = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Named):
    """Uniform within +-sqrt(6 / fan_in) (He et al. 2015, eq. 10).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: as for `VarianceScaling`.
        output_axes: as for `VarianceScaling`.

    >>> import seedbed as sb
    >>> bool(abs(sb.HeUniform(seed=42)((600, 200))).max() <= (6 / 600) ** 0.5)
    True
    """

    choice = (2.0, "fan_in", "uniform")


class LecunNormal(_Named):
    """Truncated normal of standard deviation sqrt(1 / fan_in) (LeCun et al. 1998, eq. 16).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: as for `VarianceScaling`.
        output_axes: as for `VarianceScaling`.

    >>> import seedbed as sb
    >>> round(float(sb.LecunNormal(seed=42)((400, 1000)).std()), 3)
    0.05
    """

    choice = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Named):
    """Uniform within +-sqrt(3 / fan_in) (LeCun et al. 1998, eq. 16).

    Arguments:
        seed: None, an integer or a `SeedGenerator`.
        input_axes: as for `VarianceScaling`.
        output_axes: as for `VarianceScaling`.

    >>> import seedbed as sb
    >>> bool(abs(sb.LecunUniform(seed=42)((300, 200))).max() <= 0.1)
    True
    """

    choice = (1.0, "fan_in", "uniform")

"""The initializers that torch calls Xavier and Kaiming: VarianceScaling with a gain, not truncated; `calculate_gain`.

| class | scale | n | distribution |
|---|---|---|---|
| XavierUniform, XavierNormal | gain^2 | (fan_in + fan_out) / 2 | uniform, untruncated normal |
| KaimingUniform, KaimingNormal | calculate_gain(nonlinearity, a)^2 | fan_in or fan_out | uniform, untruncated normal |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar, SupportsFloat, SupportsIndex

from seedbed import seeds
from seedbed._float_state import in_default_state
from seedbed.arguments import as_finite, one_of, shortened
from seedbed.initializers.variance_scaling import FAN_PARAMETERS, VarianceScaling, squared

_CONVOLUTIONS = tuple(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3))

_SQUARED_GAINS: Mapping[str, float] = {
    **dict.fromkeys(("linear", *_CONVOLUTIONS, "sigmoid"), 1.0),
    "tanh": 25 / 9,
    "relu": 2.0,
    "selu": 9 / 16,
    "gelu": 2.3517156140733729,
    "silu": 2.8107611240744711,
}
"""Squares of gains without a parameter. For gelu and silu, 1 / E f(z)^2 with a standard normal z."""

NONLINEARITIES = (*_SQUARED_GAINS, "leaky_relu", "elu")

_ELU = 0.14494541749292386
"""E (e^z - 1)^2 over z < 0, z standard normal: e^2 Phi(-2) - 2 sqrt(e) Phi(-1) + 1/2."""

_MAX_SLOPE = 1e150
"""Maximum parameter, whose square is still finite."""


@in_default_state
def calculate_gain(nonlinearity: str, param: SupportsFloat | None = None) -> float:
    """Return the gain of a nonlinearity: the factor of the weights before it, as in torch, with three more names.

    | nonlinearity | gain |
    |---|---|
    | `linear`, `sigmoid`, `conv1d`, `conv2d`, `conv3d`, `conv_transpose1d`, ... `3d` | 1 |
    | `tanh` | 5 / 3 |
    | `relu` | sqrt(2) |
    | `leaky_relu` | sqrt(2 / (1 + slope^2)) |
    | `selu` | 3 / 4 |
    | `gelu` | 1.533530441... |
    | `silu` | 1.676532470... |
    | `elu` | 1 / sqrt(1/2 + 0.144945417... alpha^2), for alpha = 1 1.245198300... |

    The gains of `relu` and `leaky_relu` are from He et al. 2015, eq. 10 and 15; those of `tanh` and `selu` are torch's.
    The gains of `gelu` (z Phi(z)), `silu` (z / (1 + exp(-z))) and `elu`, which torch lacks, are defined like those of
    the rectifiers: 1 / sqrt(E f(z)^2) for a standard normal z, so that the mean square of the outputs is the variance
    of the inputs.

    Arguments:
        nonlinearity: a name of the table.
        param: negative slope of `leaky_relu`, by default 0.01; alpha of `elu`, by default 1. It must be None for all
            other names.

    Raises:
        ValueError: for another name, or a param that is not finite or of a nonlinearity that has none.

    >>> calculate_gain("tanh"), calculate_gain("leaky_relu", 1)
    (1.6666666666666667, 1.0)
    """
    default = _PARAMETERS.get(nonlinearity) if isinstance(nonlinearity, str) else None
    if default is None and param is not None:
        one_of("nonlinearity", nonlinearity, NONLINEARITIES)
        raise ValueError(
            "param must be None except for leaky_relu and elu. "
            f"Received: {shortened(nonlinearity)}, param={shortened(param)}"
        )
    return math.sqrt(_squared_gain(nonlinearity, default or 0.0 if param is None else as_finite("param", param)))


_PARAMETERS: Mapping[str, float] = {"leaky_relu": 0.01, "elu": 1.0}
"""Default parameter of each nonlinearity with a parameter."""


@in_default_state
def _squared_gain(nonlinearity: str, param: float) -> float:
    if one_of("nonlinearity", nonlinearity, NONLINEARITIES) in _SQUARED_GAINS:
        return _SQUARED_GAINS[nonlinearity]
    if abs(param) > _MAX_SLOPE:
        raise ValueError(f"the parameter of {nonlinearity} must be within +-{_MAX_SLOPE}. Received: {param}")
    if nonlinearity == "elu":
        return 1.0 / (0.5 + _ELU * (param * param))
    return 2.0 / (1.0 + param * param)


class _Xavier(VarianceScaling):
    """Base class of XavierUniform and XavierNormal."""

    parameters: ClassVar[tuple[str, ...]] = ("gain", "seed", *FAN_PARAMETERS)
    kind: ClassVar[str]

    def __init__(
        self,
        gain: SupportsFloat = 1.0,
        seed: seeds.SeedLike = None,
        input_axes: Iterable[SupportsIndex] | None = None,
        output_axes: Iterable[SupportsIndex] | None = None,
        *,
        batch_axes: Iterable[SupportsIndex] | None = None,
        groups: SupportsIndex = 1,
        layout: str = "keras",
    ) -> None:
        self.gain, scale = squared("gain", gain)
        super().__init__(
            scale,
            "fan_avg",
            self.kind,
            seed,
            input_axes,
            output_axes,
            batch_axes=batch_axes,
            groups=groups,
            layout=layout,
        )


class XavierUniform(_Xavier):
    """Uniform within +-gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16, times the gain).

    With a gain of 1 it is `GlorotUniform`.

    Arguments:
        gain: a factor of all values, positive, such as `calculate_gain` gives.
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
    >>> init = sb.XavierUniform(sb.calculate_gain("tanh"), seed=42)
    >>> bool(abs(init((400, 200))).max() <= 5 / 3 * (6 / 600) ** 0.5)
    True
    """

    kind = "uniform"


class XavierNormal(_Xavier):
    """Normal, *not* truncated, of standard deviation gain sqrt(2 / (fan_in + fan_out)).

    Glorot & Bengio 2010, eq. 16, times the gain. `GlorotNormal` has the same standard deviation, but is truncated.

    Arguments:
        gain: a factor of all values, positive, such as `calculate_gain` gives.
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
    >>> round(float(sb.XavierNormal(3.0, seed=42)((800, 1000)).std()), 2)
    0.1
    """

    kind = "untruncated_normal"


class _Kaiming(VarianceScaling):
    """Base class of KaimingUniform and KaimingNormal."""

    parameters: ClassVar[tuple[str, ...]] = ("a", "mode", "nonlinearity", "seed", *FAN_PARAMETERS)
    kind: ClassVar[str]

    def __init__(
        self,
        a: SupportsFloat = 0.0,
        mode: str = "fan_in",
        nonlinearity: str = "leaky_relu",
        seed: seeds.SeedLike = None,
        input_axes: Iterable[SupportsIndex] | None = None,
        output_axes: Iterable[SupportsIndex] | None = None,
        *,
        batch_axes: Iterable[SupportsIndex] | None = None,
        groups: SupportsIndex = 1,
        layout: str = "keras",
    ) -> None:
        self.a = as_finite("a", a)
        scale = _squared_gain(nonlinearity, 1.0 if nonlinearity == "elu" else self.a)
        self.nonlinearity = nonlinearity
        if self.a != 0 and nonlinearity != "leaky_relu":
            raise ValueError(
                f"a must be 0 except for leaky_relu. Received: a={shortened(a)}, nonlinearity={shortened(nonlinearity)}"
            )
        super().__init__(
            scale,
            one_of("mode", mode.lower() if isinstance(mode, str) else mode, ("fan_in", "fan_out")),
            self.kind,
            seed,
            input_axes,
            output_axes,
            batch_axes=batch_axes,
            groups=groups,
            layout=layout,
        )


class KaimingUniform(_Kaiming):
    """Uniform within +-gain sqrt(3 / n), where n is the fan-in or the fan-out (He et al. 2015, eq. 15).

    The gain is `calculate_gain(nonlinearity, a)`, for elu with alpha = 1. With the defaults it is `HeUniform`.

    Arguments:
        a: negative slope of the leaky rectifier after the layer. It must be 0 for all other nonlinearities.
        mode: `"fan_in"` to preserve the variance of activations, or `"fan_out"` to preserve that of gradients.
        nonlinearity: name of a nonlinearity, as for `calculate_gain`.
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

    The default of torch's linear layers, ±sqrt(1 / fan_in):

    >>> import seedbed as sb
    >>> w = sb.KaimingUniform(a=5**0.5, seed=42, layout="torch")((200, 400))
    >>> bool(abs(w).max() <= 0.05), bool(abs(w).max() > 0.0499)
    (True, True)
    """

    kind = "uniform"


class KaimingNormal(_Kaiming):
    """Normal, *not* truncated, of standard deviation gain / sqrt(n), where n is the fan-in or the fan-out.

    He et al. 2015, eq. 15. The gain is `calculate_gain(nonlinearity, a)`. `HeNormal` has the standard deviation of the
    defaults, but is truncated.

    Arguments:
        a: negative slope of the leaky rectifier after the layer. It must be 0 for all other nonlinearities.
        mode: `"fan_in"` to preserve the variance of activations, or `"fan_out"` to preserve that of gradients.
        nonlinearity: name of a nonlinearity, as for `calculate_gain`.
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
    >>> round(float(sb.KaimingNormal(mode="fan_out", nonlinearity="relu", seed=42)((1000, 800)).std()), 3)
    0.05
    """

    kind = "untruncated_normal"

"""Distribution of the result of an operation of torch on random values.

| operation | resulting distribution |
|---|---|
| `add`, `sub`, `rsub`, `mul`, `div`, `neg` with a number | the same, shifted and scaled |
| `erfinv` of a uniform distribution | a truncated normal one; many libraries draw it so |
| `clamp` outside the bounds of the distribution | the same, as it changes no value |
| `exp`, `expm1`, `log` of a uniform distribution, and these operations after them | a chain of functions |
| the sum of such values t and log(-expm1(-t)) | the chain of t, followed by the inverse of softplus |

The result of every other operation on random values has no initializer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch

import seedbed as sb
from seedbed.torch.recorder.contents import Composed, Distribution, Normal, Structured, Uniform


class Operation(NamedTuple):
    """Properties of an operator of torch that a recording needs."""

    name: str
    """Name without the underscore of an operation in place."""
    shown: str
    """Name in errors."""
    is_random: bool
    is_pointwise: bool
    """Whether each element of the result depends only on the elements of the arguments at the same index."""
    changes_layout: bool
    """Whether it changes the layout of a tensor in place (`transpose_`), not its values."""
    makes_tensors: bool
    """Whether a result is a tensor."""
    targets: tuple[int | str, ...]
    """Positions or keywords of the arguments to which it writes."""


@cache
def operation_of(function: Any) -> Operation:
    """Return the description of an operator."""
    shown = function.overloadpacket.__name__
    tags = function.tags
    arguments = function._schema.arguments
    written = [(number, argument) for number, argument in enumerate(arguments) if argument.is_write]
    return Operation(
        shown.removesuffix("_"),
        shown,
        torch.Tag.nondeterministic_seeded in tags,
        torch.Tag.pointwise in tags,
        torch.Tag.inplace_view in tags,
        any("Tensor" in str(result.type) for result in function._schema.returns),
        tuple(argument.name if argument.kwarg_only else number for number, argument in written),
    )


ALLOCATIONS: Mapping[str, Callable[[Sequence[Any]], Any] | None] = {
    **dict.fromkeys(("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted")),
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros"), lambda args: 0),
    **dict.fromkeys(("ones", "ones_like", "new_ones"), lambda args: 1),
    "scalar_tensor": lambda args: args[0],
    "full": lambda args: args[1],
    "full_like": lambda args: args[1],
    "new_full": lambda args: args[2],
}
"""Operations whose result does not depend on the values of tensors, and the number that fills it; None for unset."""


COPIES = ("clone", "_to_copy")
"""Operations whose result has the values of the first argument."""


def drawn_by(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Distribution | None:
    """Return the distribution of a random operation; None if seedbed has no name for it."""
    numbers = [value for value in args if isinstance(value, (int, float))]
    if operation.shown == "normal_" or (operation.name == "normal" and len(numbers) == 2):
        mean, stddev = _arguments(numbers, kwargs, mean=0.0, std=1.0)
        return Normal(mean, stddev)
    if operation.shown == "uniform_":
        low, high = _arguments(numbers, kwargs, **{"from": 0.0, "to": 1.0})
        return Uniform(low, high)
    if operation.name in ("randn", "randn_like"):
        return Normal(0.0, 1.0)
    if operation.name in ("rand", "rand_like"):
        return Uniform(0.0, 1.0)
    return None


def _arguments(numbers: Sequence[float], kwargs: Mapping[str, Any], **defaults: float) -> list[float]:
    given = dict(zip(defaults, numbers, strict=False))
    return [float(given.get(name, kwargs.get(name, default))) for name, default in defaults.items()]


def transformed(
    operation: Operation,
    distribution: Distribution,
    at: int,
    numbers: Sequence[float | None],
    kwargs: Mapping[str, Any],
) -> Distribution | None:
    """Return the distribution of the result of a pointwise operation with one random argument.

    Arguments:
        operation: the operation.
        distribution: distribution of the random argument.
        at: position of that argument.
        numbers: the arguments by position; None for those that are not one number.
        kwargs: the arguments by keyword.

    Returns:
        The distribution; None if seedbed has no name for it.
    """
    change = _CHANGES.get(operation.name)
    if change is None:
        return None
    changed: Distribution | None = change(distribution, at, (*numbers[:at], *numbers[at + 1 :]), kwargs)
    return changed


def _affine(distribution: Distribution, factor: float, shift: float) -> Distribution | None:
    """Return the distribution of factor x + shift, where x has the given one; None if seedbed has no name for it."""
    if not (math.isfinite(factor) and math.isfinite(shift)):
        return None
    if isinstance(distribution, Structured):
        if shift:
            return None
        made = _scaled(distribution.initializer, factor)
        return None if made is None else Structured(made, distribution.axes)
    if factor == 1.0 and shift == 0.0:
        return distribution
    if isinstance(distribution, Composed):
        scaled = distribution if factor == 1.0 else _then(distribution, "mul", factor)
        return scaled if shift == 0.0 else _then(scaled, "add", shift)
    if isinstance(distribution, Uniform):
        low, high = sorted((distribution.low * factor + shift, distribution.high * factor + shift))
        return Uniform(low, high)
    mean, stddev, low, high = distribution
    if factor == 0.0:
        return Normal(shift, 0.0)
    low, high = sorted((low * factor + shift, high * factor + shift))
    return Normal(mean * factor + shift, stddev * abs(factor), low, high)


def _then(distribution: Uniform | Composed, name: str, number: float = 0.0) -> Composed:
    """Append a function to a chain of functions of uniform values."""
    steps = distribution.steps if isinstance(distribution, Composed) else ()
    return Composed(distribution.low, distribution.high, (*steps, (name, number)))


def _function(operation: str) -> Callable[..., Any]:
    """Return a change that appends an operation without operand to a chain of functions of uniform values."""

    def change(distribution: Distribution, at: int, others: Sequence[float | None], kwargs: Mapping[str, Any]) -> Any:
        return _then(distribution, operation) if isinstance(distribution, (Uniform, Composed)) else None

    return change


def summed(one: Distribution, other: Distribution) -> Distribution | None:
    """Return the distribution of the sum of two functions of the same values; None if seedbed has no name for it.

    t + log(-expm1(-t)) is log(exp(t) - 1), the inverse of softplus.
    """
    if not (isinstance(one, Composed) and isinstance(other, Composed)):
        return None
    shorter, longer = sorted((one, other), key=lambda distribution: len(distribution.steps))
    added = (("mul", -1.0), ("expm1", 0.0), ("mul", -1.0), ("log", 0.0))
    return _then(shorter, INVERSE_SOFTPLUS) if longer.steps == (*shorter.steps, *added) else None


INVERSE_SOFTPLUS = "inverse_softplus"
"""Name of the function log(exp(t) - 1), for which torch has no operation."""


def _scaled(initializer: sb.initializers.Initializer, factor: float) -> sb.initializers.Initializer | None:
    config = initializer.get_config()
    if factor == 1.0:
        return initializer
    if isinstance(initializer, (sb.Orthogonal, sb.Identity)):
        return type(initializer).from_config({**config, "gain": initializer.gain * factor})
    if isinstance(initializer, sb.Sparse):
        return type(initializer).from_config({**config, "stddev": initializer.stddev * abs(factor)})
    return None


def _add(distribution: Distribution, at: int, others: Sequence[float | None], kwargs: Mapping[str, Any]) -> Any:
    (other,), alpha = others, kwargs.get("alpha", 1)
    if other is None:
        return None
    return _affine(distribution, 1.0, other * alpha) if at == 0 else _affine(distribution, alpha, other)


def _sub(distribution: Distribution, at: int, others: Sequence[float | None], kwargs: Mapping[str, Any]) -> Any:
    return _add(distribution, at, others, {"alpha": -kwargs.get("alpha", 1)})


def _rsub(distribution: Distribution, at: int, others: Sequence[float | None], kwargs: Mapping[str, Any]) -> Any:
    return _sub(distribution, 1 - at, others[:1], {"alpha": others[1] if len(others) > 1 else kwargs.get("alpha", 1)})


def _mul(distribution: Distribution, at: int, others: Sequence[float | None], kwargs: Mapping[str, Any]) -> Any:
    (other,) = others
    return None if other is None else _affine(distribution, other, 0.0)


def _div(distribution: Distribution, at: int, others: Sequence[float | None], kwargs: Mapping[str, Any]) -> Any:
    (other,) = others
    if at or not other or kwargs.get("rounding_mode") is not None:
        return None
    if isinstance(distribution, (Structured, Composed)):
        return _affine(distribution, 1.0 / other, 0.0)
    # Divide each number, as torch divides each value: multiplying by 1 / other would round twice.
    bounds = [value / other for value in distribution]
    if isinstance(distribution, Uniform):
        return Uniform(*sorted(bounds))
    mean, stddev, *ends = bounds
    return Normal(mean, abs(stddev), *sorted(ends))


def _neg(distribution: Distribution, at: int, others: Sequence[float | None], kwargs: Mapping[str, Any]) -> Any:
    return _affine(distribution, -1.0, 0.0)


def _erfinv(distribution: Distribution, at: int, others: Sequence[float | None], kwargs: Mapping[str, Any]) -> Any:
    """If u is uniform on [a, b), sqrt(2) erfinv(u) is standard normal, truncated to its values at a and b."""
    if not isinstance(distribution, Uniform) or not -1.0 <= distribution.low < distribution.high <= 1.0:
        return None
    low, high = torch.erfinv(torch.tensor(distribution, dtype=torch.float64, device="cpu")).tolist()
    return Normal(0.0, math.sqrt(0.5), low, high)


def _clamp(distribution: Distribution, at: int, others: Sequence[float | None], kwargs: Mapping[str, Any]) -> Any:
    low, high = _clamping_bounds(others, kwargs)
    if at or isinstance(distribution, Structured):
        return None
    if isinstance(distribution, Composed):
        return _then(distribution, "floor", low) if math.isfinite(low) and high == math.inf else None
    *_, least, greatest = distribution
    if isinstance(distribution, Normal):
        mean, stddev, *_ = distribution
        least, greatest = max(least, mean - MAX_DEVIATION * stddev), min(greatest, mean + MAX_DEVIATION * stddev)
        slack = CLAMP_SLACK * stddev
    else:
        slack = CLAMP_SLACK * (greatest - least)
    return distribution if least >= low - slack and greatest <= high + slack else None


MAX_DEVIATION = 9.3
"""Upper limit of the distance of a drawn normal value from the mean, in standard deviations."""

CLAMP_SLACK = 1e-3
"""Distance by which a clamp may cut into the bounds of a distribution and still be ignored.

In standard deviations of a normal, or as a fraction of the interval of a uniform distribution. Bounds that code
converts to probabilities and back differ from the given ones by rounding.
"""


def _clamping_bounds(others: Sequence[float | None], kwargs: Mapping[str, Any]) -> tuple[float, float]:
    low, high = (*others, None, None)[:2]
    low, high = kwargs.get("min", low), kwargs.get("max", high)
    return (-math.inf if low is None else float(low)), (math.inf if high is None else float(high))


def _same(distribution: Distribution, at: int, others: Sequence[float | None], kwargs: Mapping[str, Any]) -> Any:
    return distribution


_CHANGES: Mapping[str, Callable[[Distribution, int, Sequence[float | None], Mapping[str, Any]], Any]] = {
    "add": _add,
    "sub": _sub,
    "rsub": _rsub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "erfinv": _erfinv,
    "exp": _function("exp"),
    "expm1": _function("expm1"),
    "log": _function("log"),
    "clamp": _clamp,
    "clamp_min": lambda d, at, others, kwargs: _clamp(d, at, (*others, None), {}),
    "clamp_max": lambda d, at, others, kwargs: _clamp(d, at, (None, *others), {}),
    "positive": _same,
}

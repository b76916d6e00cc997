"""What an argument must be. Each check gives it back as a plain value, or says the rule and what was received."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import numpy as np

_REAL_KINDS = "iufVO"
"""Kinds of NumPy's real numbers: integers, floats, those of ml_dtypes, objects."""


def as_integer(value: object) -> int:
    """`operator.index`, but that a bool is no integer.

    Raises:
        TypeError: where the value is none. What was expected of it, the caller says.
    """
    if isinstance(value, (bool, np.bool_)):
        raise TypeError
    return operator.index(value)  # type: ignore[arg-type]


def as_count(what: str, count: object) -> int:
    """A positive integer of less than 64 bits.

    Raises:
        ValueError: where it is none.
    """
    try:
        number = as_integer(count)
    except TypeError:
        number = 0
    if not 1 <= number < 2**63:
        raise ValueError(f"{what} must be a positive integer. Received: {what}={count!r}")
    return number


def as_real(value: object) -> float:
    """Return a real number as a float, and NaN for anything else.

    `float` takes more: text, True, a duration, the real part of one of NumPy's complex numbers.
    """
    kind = value.dtype.kind if isinstance(value, (np.generic, np.ndarray)) else "O"
    if isinstance(value, (str, bytes, bool)) or kind not in _REAL_KINDS or _is_masked(value):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def as_finite(what: str, value: object) -> float:
    """Return a finite real number as a float.

    Raises:
        ValueError: if it is not one.
    """
    number = as_real(value)
    if not math.isfinite(number):
        raise ValueError(f"{what} must be a finite number. Received: {what}={value!r}")
    return number


def _is_masked(value: object) -> bool:
    """Whether an array has masked elements. `numpy.ma` is not asked, which NumPy imports at its first use."""
    return isinstance(value, np.ndarray) and bool(np.any(getattr(value, "mask", False)))


def as_numbers(value: object) -> np.ndarray:
    """Return a new array of a number or nested numbers: what NumPy has as objects (`Fraction`) or ml_dtypes as float64.

    Raises:
        TypeError, ValueError: if it is no array: a ragged list, or one with masked values.
    """
    if _is_masked(value):
        raise TypeError
    array = np.array(value)
    if array.dtype.kind == "O":
        return np.array([as_real(item) for item in array.flat], np.float64).reshape(array.shape)
    of_ml_dtypes = array.dtype.kind == "V" and not array.dtype.name.startswith("void")
    return array.astype(np.float64) if of_ml_dtypes else array


def as_bool(what: str, value: object) -> bool:
    """True or False.

    Raises:
        ValueError: where it is neither, nor NumPy's.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{what} must be True or False. Received: {what}={value!r}")
    return bool(value)


def one_of(what: str, value: object, accepted: Sequence[str]) -> str:
    """A word that is one of those accepted.

    Raises:
        ValueError: where it is none of them.
    """
    if value not in accepted:
        raise ValueError(f"{what} must be one of {', '.join(accepted)}. Received: {what}={value!r}")
    return str(value)


def checked_out(out: object, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return `out` if a tensor of that shape and dtype can be written to it.

    Raises:
        TypeError: if it is not a NumPy array.
        ValueError: if its shape, dtype or byte order differs, or it is read-only or contiguous in neither order.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array. Received: {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out must have the shape of the result, {shape}. Received: out.shape={out.shape}")
    if out.dtype != dtype:
        raise ValueError(
            f"out must have the dtype of the result, {dtype.name} in this machine's byte order. "
            f"Received: out.dtype={out.dtype.str if out.dtype.kind != 'V' else out.dtype.name}"
        )
    if not out.flags.writeable:
        raise ValueError("out must be writable. Received: a read-only array")
    if not (out.flags.forc and out.flags.aligned):
        raise ValueError(f"out must be contiguous in C or Fortran order, and aligned. Received: strides={out.strides}")
    return out

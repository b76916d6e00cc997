"""Checks of arguments. Each returns a plain value, or raises an error with the rule and the received value.

A value of a wrong type is a TypeError. A wrong value of the right type is a ValueError.
"""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

MAX_SHOWN = 100
"""Maximum length of a value in the text of an error, in characters."""


class _Shortener(reprlib.Repr):
    """Representations of at most about `MAX_SHOWN` characters, in one line."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = MAX_SHOWN
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 10

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write integers of more than 4300 digits in decimal.
        return super().repr_int(x, level) if x.bit_length() < 4096 else f"<an integer of {x.bit_length()} bits>"

    def repr_instance(self, x: Any, level: int) -> str:
        return " ".join(super().repr_instance(x, level).split())


shortened = _Shortener().repr
"""Function that returns the representation of a value for an error, cut if it is long."""


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return the question "Did you mean" with the most similar known name, for the end of an error, or an empty text.

    >>> did_you_mean("glorot_unifrom", ["glorot_uniform", "zeros"]), did_you_mean("x", ["zeros"])
    (" Did you mean 'glorot_uniform'?", '')
    """
    near = nearest(name, known, 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def nearest(name: object, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the known names that are most similar to a wrong one. The case of letters is ignored."""
    from difflib import get_close_matches  # imported here because only errors need it

    if not isinstance(name, str) or len(name) > 1000:
        return []
    spellings: dict[str, str] = {}
    for spelling in known:
        spellings.setdefault(spelling.lower(), spelling)
    return [spellings[lowered] for lowered in get_close_matches(name.lower(), spellings, most)]


_REAL_KINDS = "iufVO"
"""Kinds of NumPy dtypes that real numbers may have: integers, floats, those of ml_dtypes, objects."""


def as_integer(value: object) -> int:
    """Return an integer as `operator.index` does, but refuse bools.

    Raises:
        TypeError: if the value is not an integer; the caller names the argument in the message.
    """
    if isinstance(value, (bool, np.bool_)):
        raise TypeError
    return operator.index(value)  # type: ignore[arg-type]


def as_count(what: str, count: object) -> int:
    """Return a positive integer of less than 64 bits.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is out of range.
    """
    try:
        number = as_integer(count)
    except TypeError:
        number = None
    if number is None or not 1 <= number < 2**63:
        kind = TypeError if number is None else ValueError
        raise kind(f"{what} must be a positive integer. Received: {what}={shortened(count)}")
    return number


def as_real(value: object) -> float:
    """Return a real number as a float, and NaN for one that a float cannot represent.

    Unlike `float`, this refuses text, bools, durations and complex numbers.

    Raises:
        TypeError: if the value is not a real number.
    """
    kind = value.dtype.kind if isinstance(value, (np.generic, np.ndarray)) else "O"
    if isinstance(value, (str, bytes, bool)) or kind not in _REAL_KINDS or is_masked(value):
        raise TypeError
    try:
        return float(value)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return math.nan


def as_finite(what: str, value: object) -> float:
    """Return a finite real number as a float.

    Raises:
        TypeError: if the value is not a real number.
        ValueError: if it is infinite, NaN, or too large for a float.
    """
    try:
        number = as_real(value)
    except TypeError:
        raise TypeError(f"{what} must be a finite number. Received: {what}={shortened(value)}") from None
    if not math.isfinite(number):
        raise ValueError(f"{what} must be a finite number. Received: {what}={shortened(value)}")
    return number


def is_masked(value: object) -> bool:
    """Return whether an array has masked elements. `numpy.ma` is not imported."""
    return isinstance(value, np.ndarray) and bool(np.any(getattr(value, "mask", False)))


def as_numbers(value: object) -> np.ndarray:
    """Return a new array from a number or nested numbers. Objects such as `Fraction`, and ml_dtypes, become float64.

    Raises:
        TypeError: if an element is not a number, or is masked.
        ValueError: if the lists are ragged.
    """
    if is_masked(value):
        raise TypeError
    array = np.array(value)
    if array.dtype.kind == "O":
        return np.array([as_real(item) for item in array.flat], np.float64).reshape(array.shape)
    of_ml_dtypes = array.dtype.kind == "V" and not array.dtype.name.startswith("void")
    return array.astype(np.float64) if of_ml_dtypes else array


def as_bool(what: str, value: object) -> bool:
    """Return a bool of Python or NumPy as a Python bool.

    Raises:
        TypeError: if the value is not a bool.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{what} must be True or False. Received: {what}={shortened(value)}")
    return bool(value)


def one_of(what: str, value: object, accepted: Sequence[str]) -> str:
    """Return a word if it is an accepted one.

    Raises:
        ValueError: if it is not an accepted word; as in Keras, for any type.
    """
    if not isinstance(value, str) or value not in accepted:
        raise ValueError(
            f"Invalid `{what}` argument: {what} must be one of {', '.join(accepted)}. "
            f"Received: {what}={shortened(value)}.{did_you_mean(value, accepted)}"
        )
    return str(value)


def checked_out(out: object, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return `out` if a tensor of this shape and dtype can be written to it.

    Raises:
        TypeError: if it is not a NumPy array.
        ValueError: if its shape, dtype or byte order differs, or if it is read-only, unaligned or not contiguous.
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

"""The engine's tables of the float32 normal and truncated normal, as arrays of NumPy."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seedbed import _core


class Rows(NamedTuple):
    """Half of a quantile function: a polynomial for each row, chosen by the bits of the rest."""

    offset: float
    """Number that is added to the rest before its bits choose a row."""
    shift: int
    """Mantissa bits below those that choose the row."""
    origin: npt.NDArray[np.uint32]
    """Origin of each row."""
    coefficients: npt.NDArray[np.float32]
    """Coefficients by power and row, the constants first."""


class Tail(NamedTuple):
    """The tails of the normal."""

    below: int
    """Lower limit of the rests that are not in a tail."""
    outer: int
    """Lower limit of the rests that do not need their low word."""
    shift: int
    """Mantissa bits below those that choose the row."""
    first: int
    """Index of the first row."""
    coefficients: npt.NDArray[np.float32]
    """Coefficients by power and row, the constants first."""


@lru_cache(maxsize=1)
def _tables() -> dict[str, Any]:
    return _core.float32_tables()


@lru_cache(maxsize=2)
def rows(kind: str) -> Rows:
    """Return the table of "normal" or "truncated_normal"."""
    offset, shift, origin, coefficients = _tables()[kind]
    return Rows(offset, shift, np.array(origin, np.int32).view(np.uint32), np.array(coefficients, np.float32))


@lru_cache(maxsize=1)
def tail() -> Tail:
    """Return the tables of the tails of "normal"."""
    below, outer, shift, first, coefficients = _tables()["normal_tail"]
    return Tail(below, outer, shift, first, np.ascontiguousarray(np.array(coefficients, np.float32).T))

"""Windows of `scipy.signal.get_window`, by name.

| window | value at t; m is the number of points of a periodic window, 1 less of a symmetric one |
|---|---|
| hann, hamming, blackman, nuttall, blackmanharris, flattop | a0 - a1 cos(2 pi t / m) + a2 cos(4 pi t / m) - ... |
| general_cosine, general_hamming | the same with given coefficients |
| boxcar | 1 |
| bartlett | 2 min(t, m - t) / m |
| triang | the same without zeros at its ends |
| cosine | sin(pi (t + 1/2) / (m + 1)) |
| parzen | cubic in the distance from the centre |

These are computed with correctly rounded cosines and no other functions, and are the same on every machine. SciPy
computes all other windows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seedbed.arguments import shortened
from seedbed.initializers._cosine import cosines

Named: TypeAlias = "str | tuple[Any, ...]"
"""A name, or a name and parameters."""

Numbers: TypeAlias = "npt.NDArray[np.float64]"
Indices: TypeAlias = "npt.NDArray[np.int64]"

COEFFICIENTS: Mapping[str, tuple[float, ...]] = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.50, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}
"""Coefficients of the sums of cosines."""

_OTHER_NAMES = {
    "boxcar": ("box", "ones", "rect", "rectangular"),
    "bartlett": ("bart", "brt"),
    "triang": ("triangle", "tri"),
    "cosine": ("halfcosine",),
    "parzen": ("parz", "par"),
    "hann": ("han",),
    "hamming": ("hamm", "ham"),
    "blackman": ("black", "blk"),
    "nuttall": ("nutl", "nut"),
    "blackmanharris": ("blackharr", "bkh"),
    "flattop": ("flat", "flt"),
}

_NAMES = {name: own for own, others in _OTHER_NAMES.items() for name in (own, *others)}


def _boxcar(t: Indices, m: int) -> Numbers:
    return np.ones(t.shape)


def _bartlett(t: Indices, m: int) -> Numbers:
    quotients: Numbers = 2 * np.minimum(t, m - t) / m
    return quotients


def _triang(t: Indices, m: int) -> Numbers:
    place = 2 * (np.minimum(t, m - t) + 1)
    quotients: Numbers = place / (m + 2) if m % 2 == 0 else (place - 1) / (m + 1)
    return quotients


def _cosine(t: Indices, m: int) -> Numbers:
    return cosines(2 * t - m, 4 * (m + 1))


def _parzen(t: Indices, m: int) -> Numbers:
    distance = abs(2 * t - m)
    x = distance / (m + 1)
    inner, outer = 1 - 6 * (x * x) + 6 * (x * x * x), 2 * ((1 - x) * (1 - x) * (1 - x))
    return np.where(2 * distance <= m, inner, outer)


_SHAPES: Mapping[str, Callable[[Indices, int], Numbers]] = {
    "boxcar": _boxcar,
    "bartlett": _bartlett,
    "triang": _triang,
    "cosine": _cosine,
    "parzen": _parzen,
}


def is_portable(window: Named) -> bool:
    """Return whether a window is the same on every machine."""
    return _coefficients(window) is not None or _NAMES.get(_name(window)) in _SHAPES


def check(window: Named) -> None:
    """Raise an error unless there is such a window.

    Raises:
        ValueError: if SciPy knows none of that name and these parameters.
        ImportError: if it is a window that needs SciPy, which is not installed.
    """
    if not is_portable(window):
        _of_scipy(window, 8, True)


def numbers(window: Named, periodic: bool, times: int, at: Indices) -> Numbers:
    """Return some numbers of a window of the given length."""
    if times == 1:
        return np.ones(at.shape)
    m = times if periodic else times - 1
    coefficients = _coefficients(window)
    if coefficients is not None:
        total = np.full(at.shape, coefficients[0])
        for k, coefficient in enumerate(coefficients[1:], 1):
            term = coefficient * cosines(k * at, m)
            total = total - term if k % 2 else total + term
        return total
    shape = _SHAPES.get(_NAMES.get(_name(window), ""))
    return _of_scipy(window, times, periodic)[at] if shape is None else shape(at, m)


def _name(window: Named) -> str:
    return window if isinstance(window, str) else str(window[0]) if len(window) == 1 else ""


def _coefficients(window: Named) -> tuple[float, ...] | None:
    """Return the coefficients of a window that is a sum of cosines; None for other windows."""
    if _NAMES.get(_name(window)) in COEFFICIENTS:
        return COEFFICIENTS[_NAMES[_name(window)]]
    if isinstance(window, str) or len(window) != 2:
        return None
    name, given = window[0].replace(" ", "_"), window[1]
    if name == "general_hamming" and isinstance(given, float):
        return given, 1.0 - given
    if name == "general_cosine" and isinstance(given, tuple) and given and all(type(a) is float for a in given):
        return given
    return None


@lru_cache(maxsize=16)
def _of_scipy(window: Named, times: int, periodic: bool) -> Numbers:
    try:
        from scipy.signal import get_window
    except ModuleNotFoundError:
        raise ImportError(f"the window {window!r} needs the package scipy, which is not installed") from None
    try:
        values: Numbers = np.asarray(get_window(window, times, fftbins=periodic), np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"window must be one that scipy.signal.get_window knows. Received: window={shortened(window)}: {error}"
        ) from error
    values.flags.writeable = False
    return values

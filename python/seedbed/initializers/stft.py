"""STFT: kernels of convolutions that are Fourier transforms of windows of a signal."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from seedbed import dtypes
from seedbed._float_state import in_default_state
from seedbed.arguments import as_bool, as_finite, as_numbers, one_of, shortened
from seedbed.dtypes import checked_cast
from seedbed.initializers._cosine import MAX_DENOMINATOR, cosines
from seedbed.initializers._description import Description, of_values
from seedbed.initializers._windows import check, is_portable, numbers
from seedbed.initializers.base import Initializer
from seedbed.regions import Axis, axes_of, indices, shape_of
from seedbed.rules import Repeated, Rule
from seedbed.shapes import Shape

if TYPE_CHECKING:
    from typing import TypeGuard

Window: TypeAlias = str | tuple[Any, ...]
"""Name of a window, a tuple of its name and parameters, or its numbers."""

MAX_FREQUENCIES = MAX_DENOMINATOR // 8
"""Maximum number of frequencies. The denominator of the imaginary side is 8 times as large."""

MAX_SCALED_TIMES = 2**20
"""Maximum length of a named window with a scaling. The scaling needs the sum of all its numbers, about a second."""

MAX_DESCRIBED = 2**22
"""Maximum number of elements of a channel that are evaluated to describe them."""

_MAX_VALUES = 1 << 18
"""Maximum number of float64 values in memory at a time, except for a single row of more."""


class STFT(Initializer):
    """The real or imaginary part of a short-time Fourier transform, as a kernel of shape (time, channels, frequencies).

    With n = 2 (frequencies - 1), the length of the transform, the element at (t, channel, f) is::

        cos(2 pi t f / n) w(t) / s,     or for the imaginary side     -sin(2 pi t f / n) w(t) / s

    for every channel, so that the convolution sums the transforms of the channels. w is the window, or 1 without one. s
    is sqrt(sum of w^2) for `"density"`, the sum of |w| for `"spectrum"`, and 1 without scaling or window. The formulas
    are those of Keras; for the scalings see Heinzel, Ruediger & Schilling 2002. The cosines are correctly rounded. The
    cost of a slice is proportional to its elements, plus the length of the window for s.

    Arguments:
        side: `"real"` or `"imag"`.
        window: name of a window of `scipy.signal.get_window`, a tuple of a name and parameters, one number for each
            time of the kernel, or None. The following windows do not need SciPy and are the same on every machine:
            hann, hamming, blackman, nuttall, blackmanharris, flattop, general_cosine, general_hamming, boxcar,
            bartlett, triang, cosine, parzen. SciPy computes the others.
        scaling: `"density"`, `"spectrum"` or None: the scaling of the window. It has no effect without a window.
        periodic: True for a periodic window, False for a symmetric one. It has no effect on a window of numbers.

    Raises:
        ValueError: if an argument is not as described; at the call, if the dtype is not floating point, the shape is
            not of rank 3, has a single frequency or more than 2**33, has other times than the window, or more than
            2**36 for a window that is named, 2**20 if it is scaled too or SciPy's, or the window is 0 and to be scaled.
        ImportError: for a window that needs SciPy, if that is not installed.

    >>> import seedbed as sb
    >>> sb.STFT("imag", window=None)((4, 1, 3))[:, 0].tolist()
    [[0.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """

    parameters: ClassVar[tuple[str, ...]] = ("side", "window", "scaling", "periodic")

    def __init__(
        self,
        side: str = "real",
        window: str | npt.ArrayLike | None = "hann",
        scaling: str | None = "density",
        periodic: bool | np.bool_ = False,
    ) -> None:
        self.side = one_of("side", side, ("real", "imag"))
        self._window = window if window is None else _as_window(window)
        self.scaling = scaling if scaling is None else one_of("scaling", scaling, ("density", "spectrum"))
        self.periodic = as_bool("periodic", periodic)

    @property
    def window(self) -> str | list[Any] | None:
        """The window as given, with arrays and tuples as lists."""
        return self._window if self._window is None or isinstance(self._window, str) else _as_list(self._window)

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        return dtypes.as_float_dtype(dtype)

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        if len(shape) != 3:
            raise ValueError(
                f"the shape of an STFT kernel must be (time, channels, frequencies). Received: shape={shape}"
            )
        times, _, frequencies = shape
        if _is_numbers(self._window) and len(self._window) != times:
            raise ValueError(
                "window must have as many numbers as the shape has times. "
                f"Received: {len(self._window)} numbers, shape={shape}"
            )
        if frequencies == 1 or frequencies > MAX_FREQUENCIES:
            raise ValueError(
                f"the frequencies of an STFT kernel must be 2 or more, and at most {MAX_FREQUENCIES}. "
                f"Received: shape={shape}"
            )
        self._check_times(times)
        if 0 in shape:
            return Repeated(np.zeros((), dtype))
        if _is_numbers(self._window) or times < 3:  # Longer named windows pass.
            checked_cast("window", self.factors(times, np.arange(times)), dtype)
        # Copied, so that later assignments have no effect.
        return Transform(copy.copy(self), times, 2 * (frequencies - 1))

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        channel = (shape[0], 1, shape[2])
        if 0 in shape or math.prod(channel) > MAX_DESCRIBED:
            return Description()
        return of_values(self.lazy(channel, dtype)[...].reshape(-1))

    def _check_times(self, times: int) -> None:
        """Raise a ValueError if a named window has too many times to compute a number, or its scale, quickly."""
        if self._window is not None and not _is_numbers(self._window):
            most = MAX_DENOMINATOR if self.scaling is None and is_portable(self._window) else MAX_SCALED_TIMES
            if times > most:
                raise ValueError(
                    f"the times of an STFT kernel with window={self._window!r} and scaling={self.scaling!r} must be at "
                    f"most {most}. Received: {times} times"
                )

    @in_default_state
    def factors(self, times: int, at: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return w(t) / s at some of the times of a window of the given length."""
        if self._window is None:
            return np.ones(at.shape)
        values = _numbers(self._window, self.periodic, times, at)
        if self.scaling is None:
            return values
        scale = _scale(self._window, self.scaling, self.periodic, times)
        if not 0 < scale < math.inf:
            raise ValueError(f"window must have a scale that is positive and finite. Received: {scale} for {self!r}")
        return values / scale


def _numbers(window: Window, periodic: bool, times: int, at: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the numbers of a window of the given length at some of its indices."""
    return np.array(window)[at] if _is_numbers(window) else numbers(window, periodic, times, at)


@lru_cache(maxsize=16)  # Each slice needs it.
def _scale(window: Window, scaling: str, periodic: bool, times: int) -> float:
    """Return s. It is 0, infinite or not a number if the window cannot be scaled."""
    values = _numbers(window, periodic, times, np.arange(times))
    with np.errstate(all="ignore"):
        terms = np.abs(values) if scaling == "spectrum" else values * values
    try:
        total = math.fsum(terms)  # Rounded once, independent of the order.
    except OverflowError:
        total = math.inf
    return total if scaling == "spectrum" else math.sqrt(total)


class Transform(Rule):
    """Rule of an STFT kernel, for a number of times and a length of the transform."""

    __slots__ = ("initializer", "length", "times")

    def __init__(self, initializer: STFT, times: int, length: int) -> None:
        self.initializer = initializer
        self.times = times
        self.length = length

    @in_default_state
    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        axes = axes_of(out.shape) if axes is None else axes
        kernel = out.reshape(shape_of(axes))
        times, _, frequencies = (indices(axis) for axis in axes)
        factors = self.initializer.factors(self.times, times)
        at_once = max(1, _MAX_VALUES // max(1, frequencies.size))
        for first in range(0, times.size, at_once):
            some = slice(first, first + at_once)
            values = self._waves(times[some, None] * frequencies % self.length) * factors[some, None]
            # Narrow floats are always rounded from float32.
            kernel[some] = (values if out.itemsize == 8 else values.astype(np.float32))[:, None]

    def _waves(self, phases: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Cos or -sin of 2 pi phase / length."""
        if phases.size > self.length:
            return self._waves(np.arange(self.length))[phases]
        if self.initializer.side == "real":
            return cosines(phases, self.length)
        return cosines(4 * phases + self.length, 4 * self.length)  # A quarter of a turn more.


def _is_numbers(window: Window | None) -> TypeGuard[tuple[float, ...]]:
    return isinstance(window, tuple) and not (window and isinstance(window[0], str))


def _as_list(value: object) -> Any:
    """Convert tuples to lists, recursively."""
    return [_as_list(item) for item in value] if isinstance(value, tuple) else value


def _as_parameter(value: object) -> Any:
    """A parameter of a window that can be hashed: numbers as floats, None and bools as they are, several in a tuple."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim):
        return tuple(map(_as_parameter, value))
    if isinstance(value, (int, np.integer)):
        return int(value)
    return as_finite("a parameter of window", value)


def _as_window(window: object) -> Window:
    if isinstance(window, str) or (isinstance(window, (list, tuple)) and window and isinstance(window[0], str)):
        named = window if isinstance(window, str) else tuple(map(_as_parameter, window))
        if isinstance(named, tuple) and str(named[0]).replace(" ", "_") in ("general_hamming", "general_cosine"):
            named = (named[0], *map(_as_floats, named[1:]))
        check(named)
        return named
    try:
        array = as_numbers(window)
        kind = ValueError if array.ndim and array.dtype.kind in "iuf" else TypeError
        valid = kind is ValueError and array.ndim == 1 and np.isfinite(array.astype(np.float64)).all()
    except (TypeError, ValueError) as error:  # not an array, or a ragged one
        valid, kind = False, TypeError if isinstance(error, TypeError) else ValueError
    if not valid:
        raise kind(
            "window must be a name, a tuple of a name and parameters, a sequence of finite numbers or None. "
            f"Received: window={shortened(window)}"
        )
    return tuple(array.astype(np.float64).tolist())


def _as_floats(value: Any) -> Any:
    return tuple(map(_as_floats, value)) if isinstance(value, tuple) else as_finite("a parameter of window", value)

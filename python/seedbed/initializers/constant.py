"""Initializers of given numbers: Zeros, Ones, Constant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, SupportsFloat, cast

import numpy as np
import numpy.typing as npt

from seedbed.arguments import as_numbers, shortened
from seedbed.dtypes import checked_cast
from seedbed.initializers._description import Description, of_values
from seedbed.initializers.base import Initializer
from seedbed.rules import Repeated, Rule
from seedbed.saving import register_where_imported
from seedbed.shapes import Shape, as_shape


class _Given(Initializer):
    """An initializer whose rule repeats given numbers."""

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        repeated = cast(Repeated, self.rule(shape, dtype))
        return of_values(repeated.value.reshape(-1)) if 0 not in shape else Description()


class Zeros(_Given):
    """The number 0 in every element, in any numeric dtype or bool.

    >>> import seedbed as sb
    >>> sb.Zeros()((2, 2), "int32").tolist()
    [[0, 0], [0, 0]]
    """

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        return Repeated(checked_cast("0", np.zeros(()), dtype) if dtype.itemsize == 1 else np.zeros((), dtype))


class Ones(_Given):
    """The number 1 in every element, in any numeric dtype or bool.

    >>> import seedbed as sb
    >>> sb.Ones()((3,)).tolist()
    [1.0, 1.0, 1.0]
    """

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        return Repeated(np.ones((), dtype))


class Constant(_Given):
    """One number in every element, or the elements of an array.

    Arguments:
        value: a finite number, or an array or nested lists of finite numbers that broadcast to the shape as in NumPy:
            along missing leading axes, and along axes of length 1.

    Raises:
        TypeError: if `value` is not numbers.
        ValueError: if `value` is not finite; at the call, if it does not broadcast to the shape, or the dtype cannot
            represent it: a fraction in an integer dtype, an imaginary part in a real one, or a number that is too
            large.

    >>> import seedbed as sb
    >>> sb.Constant([1, 2])((2, 2)).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    >>> sb.Constant([[1, 2], [3, 4]]).lazy((5, 2, 2), "int8")[4, :, 1].tolist()
    [2, 4]
    """

    parameters: ClassVar[tuple[str, ...]] = ("value",)

    def __init__(self, value: complex | SupportsFloat | npt.ArrayLike | Mapping[str, Any] = 0.0) -> None:
        try:
            self._value = _as_array(value)
            finite = self._value.dtype.kind in "biufc" and bool(np.isfinite(self._value).all())
            kind = ValueError if self._value.dtype.kind in "biufc" else TypeError
        except (TypeError, ValueError, RuntimeError) as error:  # a ragged list, a symbolic tensor, one with a gradient
            finite, kind = False, TypeError if isinstance(error, TypeError) else ValueError
        if not finite:
            raise kind(
                f"value must be a finite number or an array of finite numbers. Received: value={shortened(value)}"
            )
        self._value.flags.writeable = False

    @property
    def value(self) -> Any:
        """The number, or nested lists of numbers; for an array without elements the array, as lists lose its shape."""
        lists = self._value.tolist()
        return lists if np.shape(lists) == self._value.shape else self._value

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        self._check_shape(shape)
        return Repeated(checked_cast("value", self._value, dtype))

    def _check_shape(self, shape: Shape) -> None:
        own = self._value.shape  # np.broadcast_shapes supports at most 32 axes.
        if len(own) > len(shape) or any(
            n not in (1, length) for n, length in zip(own[::-1], shape[::-1], strict=False)
        ):
            raise ValueError(f"value must broadcast to the shape {shape}. Received: value of shape {self._value.shape}")

    def get_config(self) -> dict[str, Any]:
        register_where_imported()
        value = self.value
        if value is self._value:
            return {"value": {"shape": list(value.shape)}}
        if self._value.dtype.kind == "c":
            return {"value": {"real": self._value.real.tolist(), "imag": self._value.imag.tolist()}}
        return {"value": value}


def _as_array(value: object) -> np.ndarray:
    """Return a new array of a constructor's argument, also in the form of configurations for values that JSON lacks."""
    if isinstance(value, Mapping):
        return _without_elements(value) if value.keys() == {"shape"} else _complex(value)
    array = as_numbers(value)
    wide = {"f": np.float64, "c": np.complex128}.get(array.dtype.kind, array.dtype)
    with np.errstate(over="ignore"):
        # Configurations have float64 and complex128.
        return array.astype(wide) if array.itemsize > np.dtype(wide).itemsize else array


def _without_elements(value: Mapping[str, Any]) -> np.ndarray:
    shape = as_shape(value["shape"])
    if 0 not in shape:
        raise ValueError
    return np.empty(shape)


def _complex(value: Mapping[str, Any]) -> np.ndarray:
    if value.keys() != {"real", "imag"}:
        raise TypeError
    real, imag = np.array(value["real"]), np.array(value["imag"])
    if real.shape != imag.shape or not {real.dtype.kind, imag.dtype.kind} <= set("biuf"):
        raise TypeError
    array = np.empty(real.shape, np.complex128)
    array.real, array.imag = real, imag
    return array

"""Initializers that draw nothing: Zeros, Ones, Constant."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seedbed.initializers.base import Initializer
from seedbed.lazy import Repeated, Rule
from seedbed.shapes import Shape


class Zeros(Initializer):
    """0 everywhere, in any numeric dtype or bool.

    >>> import seedbed as sb
    >>> sb.Zeros()((2, 2), "int32").tolist()
    [[0, 0], [0, 0]]
    """

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        return Repeated(np.zeros((), dtype))


class Ones(Initializer):
    """1 everywhere, in any numeric dtype or bool.

    >>> import seedbed as sb
    >>> sb.Ones()((3,)).tolist()
    [1.0, 1.0, 1.0]
    """

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        return Repeated(np.ones((), dtype))


class Constant(Initializer):
    """A number everywhere, or an array.

    Arguments:
        value: a finite number, or an array of such that has the shape asked for or broadcasts to it.

    Raises:
        ValueError: where `value` is not that, does not broadcast to the shape, or is beyond what the dtype holds.

    >>> import seedbed as sb
    >>> sb.Constant([1, 2])((2, 2)).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """

    parameters: ClassVar[tuple[str, ...]] = ("value",)

    def __init__(self, value: complex | npt.ArrayLike = 0.0) -> None:
        try:
            self._value = np.array(value)
            finite = self._value.dtype.kind in "biufc" and bool(np.isfinite(self._value).all())
        except ValueError:  # ragged
            finite = False
        if not finite:
            raise ValueError(f"value must be a finite number or an array of such. Received: value={value!r}")
        self.value = self._value.tolist()

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        self._check_shape(shape)
        with np.errstate(all="ignore"):
            value = self._value.astype(dtype)
            kept = np.isfinite(value) if dtype.kind not in "biu" else value == self._value
        if not kept.all():
            raise ValueError(f"value must be one that {dtype.name} holds. Received: value={self.value!r}")
        return Repeated(value)

    def _check_shape(self, shape: Shape) -> None:
        try:
            fits = np.broadcast_shapes(self._value.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"value must broadcast to the shape {shape}. Received: value of shape {self._value.shape}")

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeAlias, TypeVar, final

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

__all__ = [
    "MAX_BOUND",
    "MAX_SOFTPLUS",
    "MIN_OF_LOG",
    "Counter",
    "Orthogonal",
    "Recipe",
    "__version__",
    "available_cpus",
    "backend",
    "float32_tables",
    "in_default_state",
    "matmul",
    "round_float8",
    "set_xla_threads",
    "words",
    "xla_evaluated",
    "xla_handler",
]

__version__: str

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Address: TypeAlias = tuple[bytes, int]
"""Key and stream."""

_Axis: TypeAlias = tuple[int, int, int, int]
_Out: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64] | npt.NDArray[np.uint16] | npt.NDArray[np.uint8]

MAX_BOUND: float
"""Maximum of the nearer bound of a truncated normal, in standard deviations from the mean."""

MAX_SOFTPLUS: float
"""Maximum argument of the inverse of softplus: its exponential is finite."""

MIN_OF_LOG: float
"""Minimum of the upper end of an interval whose values are arguments of the logarithm."""

@final
class Counter:
    def __new__(cls, start: int) -> Counter: ...
    @property
    def next(self) -> int: ...
    def take(self) -> int: ...

@final
class Recipe:
    def __new__(cls, distribution: str, parameters: Sequence[float], dtype: str) -> Self: ...
    @property
    def bounds(self) -> tuple[float | None, float | None]: ...
    @property
    def placement(self) -> tuple[str, list[float]] | None: ...
    def fill(self, out: _Out, address: _Address, axes: Sequence[_Axis] | None, threads: int) -> None: ...
    def fill_each(self, outs: Sequence[_Out], keys: Sequence[bytes], threads: int) -> None: ...
    def __reduce__(self) -> tuple[type[Self], tuple[str, list[float], str]]: ...

@final
class Orthogonal:
    def __new__(cls, gain: float, dtype: str) -> Self: ...
    @property
    def gain(self) -> float: ...
    def fill(self, out: _Out, shape: tuple[int, int], address: _Address, threads: int) -> None: ...
    def __reduce__(self) -> tuple[type[Self], tuple[float, str]]: ...

def available_cpus() -> int: ...
def backend() -> str: ...
def float32_tables() -> dict[str, Any]: ...
def in_default_state(function: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
def matmul(
    out: npt.NDArray[np.float64], left: npt.NDArray[np.float64], right: npt.NDArray[np.float64], threads: int
) -> None: ...
def round_float8(out: npt.NDArray[np.uint8], values: npt.NDArray[np.float32], dtype: str) -> None: ...
def set_xla_threads(threads: int) -> None: ...
def words(out: npt.NDArray[np.uint32], address: _Address, start: int) -> None: ...
def xla_evaluated() -> int: ...
def xla_handler() -> int: ...

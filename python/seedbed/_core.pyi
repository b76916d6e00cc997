from collections.abc import Sequence
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Counter",
    "__version__",
    "backend",
    "check",
    "check_gain",
    "fill",
    "matmul",
    "orthogonal",
    "words",
]

__version__: str

_Distribution: TypeAlias = tuple[str, tuple[float, ...]]
_KeyAndStream: TypeAlias = tuple[bytes, int]
_Axis: TypeAlias = tuple[int, int, int, int]
_Out: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64] | npt.NDArray[np.uint16]

@final
class Counter:
    def __new__(cls, start: int) -> Counter: ...
    @property
    def next(self) -> int: ...
    def take(self) -> int: ...

def backend() -> str: ...
def check(named: _Distribution, dtype: str) -> None: ...
def fill(
    out: _Out,
    dtype: str,
    named: _Distribution,
    key_and_stream: _KeyAndStream,
    axes: Sequence[_Axis] | None,
    threads: int,
) -> None: ...
def check_gain(gain: float, dtype: str) -> None: ...
def orthogonal(
    out: _Out, dtype: str, shape: tuple[int, int], gain: float, key_and_stream: _KeyAndStream, threads: int
) -> None: ...
def matmul(
    out: npt.NDArray[np.float64], left: npt.NDArray[np.float64], right: npt.NDArray[np.float64], threads: int
) -> None: ...
def words(out: npt.NDArray[np.uint32], key_and_stream: _KeyAndStream, start: int) -> None: ...

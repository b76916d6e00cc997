from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["__version__", "backend", "check", "compute_fans", "fill", "words"]

__version__: str

_Distribution: TypeAlias = tuple[str, tuple[float, ...]]
_KeyAndStream: TypeAlias = tuple[bytes, int]
_Axis: TypeAlias = tuple[int, int, int, int]

def backend() -> str: ...
def check(named: _Distribution, dtype: str) -> None: ...
def fill(
    out: npt.NDArray[np.float32] | npt.NDArray[np.float64] | npt.NDArray[np.uint16],
    dtype: str,
    named: _Distribution,
    key_and_stream: _KeyAndStream,
    axes: Sequence[_Axis] | None,
    threads: int,
) -> None: ...
def compute_fans(shape: Sequence[int], axes: tuple[Sequence[int], Sequence[int]] | None = None) -> tuple[int, int]: ...
def words(out: npt.NDArray[np.uint32], key_and_stream: _KeyAndStream, start: int) -> None: ...

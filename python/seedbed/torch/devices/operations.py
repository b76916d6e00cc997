"""Operations of torch on words (int32) and numbers (float32) that any device has."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

_TOP = -(1 << 31)


class Operations:
    """`seedbed.accelerators.arithmetic.Operations` on tensors of a device. Each operation is one kernel."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def word(self, value: int) -> int:
        return value - (1 << 32) if value >> 31 else value

    def shift_right(self, words: Any, bits: Any) -> Any:
        if isinstance(bits, int):
            return (words >> bits) & ((1 << (32 - bits)) - 1) if bits else words
        return (words >> bits) & ~((-1 << (31 - bits)) << 1)

    def less(self, one: Any, other: Any) -> Any:
        return (one ^ _TOP) < (other ^ _TOP)

    def flag(self, condition: Any) -> Any:
        return condition.to(torch.int32)

    def where(self, condition: Any, one: Any, other: Any) -> Any:
        return torch.where(condition, one, other)

    def number(self, words: Any) -> Any:
        return words.to(torch.float32)

    def bits(self, numbers: Any) -> Any:
        return numbers.view(torch.int32)

    def of_bits(self, words: Any) -> Any:
        return words.view(torch.float32)

    def times(self, one: Any, other: Any) -> Any:
        return one * other

    def plus(self, one: Any, other: Any) -> Any:
        return one + other

    def lookup(self, table: npt.NDArray[Any], rows: Any) -> Any:
        return _on_device(table.dtype.kind, table.tobytes(), self.device)[rows]

    def clamp(self, numbers: Any, least: float, greatest: float) -> Any:
        return numbers.clamp(least, greatest)

    def find(self, condition: Any) -> Any:
        return condition.nonzero()[:, 0]

    def pick(self, array: Any, places: Any) -> Any:
        return array[places]

    def put(self, array: Any, places: Any, values: Any) -> Any:
        return array.index_copy_(0, places, values)


@lru_cache(maxsize=256)
def _on_device(kind: str, table: bytes, device: torch.device) -> Any:
    """Return a table in the memory of a device."""
    numbers = np.frombuffer(table, np.float32 if kind == "f" else np.int32).copy()
    return torch.from_numpy(numbers).to(device)

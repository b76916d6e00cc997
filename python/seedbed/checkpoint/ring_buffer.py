"""Memory that is used in turn: a block is filled or read while those before it are hashed, written or compared."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np

from seedbed.checkpoint.direct_io import ALIGNMENT

BLOCK_BYTES = 1 << 24
"""Bytes of a block: at a gigabyte a second 16 ms of work, so that what a block costs by itself does not count."""

BLOCKS = 8
"""The most blocks, 128 MiB in all: the disk, the hash and the fill may be so far apart."""


class Block(NamedTuple):
    """A part of the memory, and the tasks that use it."""

    memory: np.ndarray
    tasks: list[Future[Any]]


class RingBuffer:
    """Blocks of memory, used in turn."""

    def __init__(self, total: int, most: int = BLOCKS) -> None:
        """Allocate memory for a stream of `total` bytes: blocks for all of it, or `most`.

        Raises:
            MemoryError: the system has not as much.
        """
        self.count = count = min(most, max(1, -(-total // BLOCK_BYTES)))
        size = min(BLOCK_BYTES, max(ALIGNMENT, -(-total // ALIGNMENT) * ALIGNMENT))
        memory = np.empty(count * size + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        self._blocks = deque(
            Block(memory[start + index * size : start + (index + 1) * size], []) for index in range(count)
        )

    def take(self) -> Block:
        """Return the block that was taken longest ago, as soon as its tasks are done, without tasks.

        Raises:
            BaseException: what one of its tasks raised.
        """
        block = self._blocks.popleft()
        self._blocks.append(block)
        for task in block.tasks:
            task.result()
        block.tasks.clear()
        return block

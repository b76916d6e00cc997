"""A ring buffer of memory blocks: one block is filled while worker threads hash, write or compare earlier ones."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np

from seedbed.checkpoint.direct_io import ALIGNMENT

BLOCK_BYTES = 1 << 24
"""Length of a block, in bytes. At 1 GB/s it is 16 ms of work, so that the overhead per block is negligible."""

BLOCKS = 8
"""Maximum number of blocks, 128 MiB in all: how far the fill may be ahead of the hash and the disk."""


class Block(NamedTuple):
    """A block of memory, and the running tasks that use it."""

    memory: np.ndarray
    tasks: list[Future[Any]]


class RingBuffer:
    """Blocks of memory that are reused in turn."""

    def __init__(self, total: int, most: int = BLOCKS) -> None:
        """Allocate the blocks for a stream of `total` bytes, at most `most` blocks.

        Raises:
            MemoryError: if the system does not have enough memory.
        """
        self.count = count = min(most, max(1, -(-total // BLOCK_BYTES)))
        size = min(BLOCK_BYTES, max(ALIGNMENT, -(-total // ALIGNMENT) * ALIGNMENT))
        memory = np.empty(count * size + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        self._blocks = deque(
            Block(memory[start + index * size : start + (index + 1) * size], []) for index in range(count)
        )

    def take(self) -> Block:
        """Wait for the tasks of the least recently taken block, and return the block without tasks.

        Raises:
            BaseException: the exception of one of its tasks.
        """
        block = self._blocks.popleft()
        self._blocks.append(block)
        for task in block.tasks:
            task.result()
        block.tasks.clear()
        return block

"""A pipeline that evaluates, hashes and writes files, one block after the other.

The calling thread evaluates tensors into the blocks of a ring buffer. For each file one worker thread hashes the full
blocks, and another one writes them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seedbed.checkpoint.evaluation import Evaluator, write_range
from seedbed.checkpoint.ring_buffer import BLOCKS, Block, RingBuffer
from seedbed.checkpoint.round_robin import Task, files_at_once, take_turns
from seedbed.checkpoint.worker_thread import Worker
from seedbed.lazy import LazyArray
from seedbed.rules import Repeated

if TYPE_CHECKING:
    from seedbed.checkpoint.destination import Destination
    from seedbed.checkpoint.layout import Layout
    from seedbed.plan import PlannedTensor
    from seedbed.seeds import SeedGenerator

Progress = Callable[["PlannedTensor"], None]


class Output(NamedTuple):
    """A file to write: its layout and its destination."""

    layout: Layout
    destination: Destination


class CompletedFile(NamedTuple):
    """The result for a written file: its SHA-256, and the time of the evaluation of its tensors, in seconds."""

    sha256: str
    fill_seconds: float


def make_files(
    outputs: Sequence[Output], root: SeedGenerator, progress: Progress, blocks: int = BLOCKS
) -> list[CompletedFile]:
    """Evaluate and write files, several of them at a time.

    If the work ends early, for whatever reason, incomplete files are discarded.

    Arguments:
        outputs: the files.
        root: generator of the seeds. Each tensor draws from the child of its name.
        progress: function that is called after each tensor, in the calling thread.
        blocks: maximum number of memory blocks.

    Returns:
        The results in the order of `outputs`.

    Raises:
        OSError: if a destination cannot be written.
        MemoryError: if there is no memory for the blocks, or for a tensor that is computed as a whole.
    """
    ring = RingBuffer(sum(output.layout.size for output in outputs), blocks)
    return take_turns([_make(*output, ring, root, progress) for output in outputs], files_at_once())


def _make(
    layout: Layout, destination: Destination, ring: RingBuffer, root: SeedGenerator, progress: Progress
) -> Task[CompletedFile]:
    sha256 = hashlib.sha256()
    hasher, writer = Worker(), Worker()
    try:
        destination.open()
        contents = _Contents(layout, root, progress)
        for block, used in contents.fill(ring):
            filled = block.memory[:used]
            block.tasks.append(hasher.submit(sha256.update, filled))
            block.tasks.append(writer.submit(destination.write, filled))
            yield False
        hashed, finished = hasher.submit(sha256.hexdigest), writer.submit(destination.finish)
        yield True
        finished.result()
        return CompletedFile(hashed.result(), contents.seconds)
    finally:
        hasher.cancel()
        writer.cancel()
        try:
            hasher.join()
            if destination.interruptible:
                writer.join()
        finally:
            destination.discard()


class _Contents:
    """The bytes of a file in order. `seconds` is the time that their evaluation has taken so far."""

    def __init__(self, layout: Layout, root: SeedGenerator, progress: Progress) -> None:
        self._layout = layout
        self._values = Evaluator(root)
        self._progress = progress
        self.seconds = 0.0

    def fill(self, ring: RingBuffer) -> Iterator[tuple[Block, int]]:
        """Yield each filled block and the number of its bytes in use: all of them, except in the last block."""
        block, used = ring.take(), 0
        for values, tensor in self._parts():
            done = 0
            while done < values.size:
                if used == block.memory.size:
                    yield block, used
                    block, used = ring.take(), 0
                count = min(values.size - done, (block.memory.size - used) // values.itemsize)
                stop = used + count * values.itemsize
                start = time.perf_counter()
                write_range(values, done, block.memory[used:stop].view(values.dtype))
                self.seconds += time.perf_counter() - start
                done += count
                used = stop
            del values  # free the memory of a tensor that was computed as a whole before the next one is
            if tensor is not None:
                self._progress(tensor)
        yield block, used

    def _parts(self) -> Iterator[tuple[LazyArray, PlannedTensor | None]]:
        """Yield the bytes of the header, and then each tensor with its values."""
        header = np.frombuffer(self._layout.header, np.uint8)
        yield LazyArray(Repeated(header), header.shape, header.dtype), None
        for tensor, _ in self._layout.places:
            start = time.perf_counter()
            values = self._values.of(tensor)
            self.seconds += time.perf_counter() - start
            yield values, tensor
            del values

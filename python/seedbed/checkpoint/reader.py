"""A file that is read from its beginning to its end, and hashed, ahead of whoever compares it.

It is not mapped: where a file becomes shorter while it is read, a map ends in a signal, a read in an error.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from io import UnsupportedOperation
from typing import IO

import numpy as np

from seedbed.checkpoint.direct_io import ALIGNMENT, DIRECT_BYTES, is_cached, set_direct
from seedbed.checkpoint.header import Header, read_header
from seedbed.checkpoint.object_store import is_local, open_remote, path_of
from seedbed.checkpoint.other_formats import RECOGNIZED_BYTES, recognized_format
from seedbed.checkpoint.ring_buffer import Block, RingBuffer
from seedbed.checkpoint.worker_thread import Worker

_CHANGED = "a checkpoint must stay as it is while it is verified. Received:"


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[IO[bytes], int]]:
    """Open an ordinary file, or an object at a URL, and return its size. No device is opened, no pipe waited for."""

    def checked(status: os.stat_result) -> int:
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not an ordinary file")
        return status.st_size

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # should a pipe take the place of what was looked at

    place = path_of(path)
    if not is_local(place):
        with open_remote(place) as remote:
            yield remote, size_of(remote)
        return
    checked(place.stat())
    with open(path, "rb", buffering=0, opener=opener) as file:
        yield file, checked(os.fstat(file.fileno()))


def descriptor_of(file: IO[bytes]) -> int | None:
    """Return the descriptor of a file of this machine; None for an object."""
    try:
        return file.fileno()
    except (AttributeError, UnsupportedOperation):
        return None


def size_of(file: IO[bytes]) -> int:
    """Return the size that an open file has now; an object keeps its size."""
    descriptor = descriptor_of(file)
    if descriptor is not None:
        return os.fstat(descriptor).st_size
    place = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(place)
    return size


def read_bytes(file: IO[bytes], count: int) -> bytes:
    """Return the next bytes of a file.

    Raises:
        ValueError: the file ends before.
    """
    content = bytearray()
    while len(content) < count:
        received = file.read(count - len(content))
        if not received:
            raise ValueError(f"{_CHANGED} one that became shorter")
        content += received
    return bytes(content)


def read_checkpoint_header(file: IO[bytes], size: int) -> Header:
    """Read the header of an open file.

    Raises:
        ValueError: the file is no safetensors file; the message says what it looks like.
    """
    try:
        return read_header(partial(read_bytes, file), size)
    except ValueError:
        file.seek(0)
        kind = recognized_format(read_bytes(file, min(size, RECOGNIZED_BYTES)))
        if kind is None:
            raise
        raise ValueError(f"a checkpoint must be a safetensors file. Received: {kind}") from None


class HashingReader:
    """The bytes of an open file from its beginning to its end, read in advance and hashed by other threads."""

    def __init__(self, file: IO[bytes], size: int, ring: RingBuffer) -> None:
        """Begin to read a file of `size` bytes into the blocks of `ring`, which nothing else uses."""
        file.seek(0)
        descriptor = descriptor_of(file)
        self._direct = (
            descriptor is not None
            and size >= DIRECT_BYTES
            and not is_cached(descriptor, size)
            and set_direct(descriptor, True)
        )
        self._file = file
        self._size = size
        self._left = size  # bytes for which no block is taken yet
        self._ring = ring
        self._sha256 = hashlib.sha256()
        self._reader, self._hasher = Worker(), Worker()
        self._ahead: deque[tuple[np.ndarray, Block, Future[None]]] = deque()
        self._current = np.empty(0, np.uint8)
        self.available = 0
        """Bytes of the current block that are not yet read."""

    def read(self, count: int) -> np.ndarray:
        """Return the next bytes, which later calls overwrite.

        Raises:
            ValueError: the file has become shorter.
        """
        if not self.available:
            self._advance()
        if count <= self.available:
            start = self._current.size - self.available
            self.available -= count
            return self._current[start : start + count]
        head = self.read(self.available).copy()
        return np.concatenate([head, self.read(count - head.size)])

    def skip(self, count: int) -> Iterator[None]:
        """Pass over the next bytes, and yield after each block."""
        while count:
            count -= self.read(min(count, self.available or ALIGNMENT)).size
            yield

    def hexdigest(self) -> str:
        """Return the SHA-256 of the file, all of which is read.

        Raises:
            ValueError: the file has another size than it had.
        """
        size = size_of(self._file)
        if size != self._size:
            raise ValueError(f"{_CHANGED} one that became {'shorter' if size < self._size else 'longer'}")
        return self._hasher.submit(self._sha256.hexdigest).result()

    def close(self) -> None:
        """End the threads."""
        self._reader.cancel()
        self._hasher.cancel()
        self._reader.join()
        self._hasher.join()

    def _advance(self) -> None:
        while self._left and len(self._ahead) <= self._ring.count // 2:
            block = self._ring.take()
            memory = block.memory[: self._left]
            self._left -= memory.size
            self._ahead.append((memory, block, self._reader.submit(self._read_block, block.memory, memory.size)))
        memory, block, read = self._ahead.popleft()
        read.result()
        block.tasks.append(self._hasher.submit(self._sha256.update, memory))
        self._current, self.available = memory, memory.size

    def _read_block(self, memory: np.ndarray, count: int) -> None:
        """Read the next `count` bytes to the beginning of a memory; direct I/O needs all of it."""
        view = memory.data if self._direct else memory.data[:count]
        done = 0
        while done < count:
            try:
                received = self._file.readinto(view[done:])  # type: ignore[attr-defined]  # each binary file has it
            except OSError as error:
                if not self._direct or error.errno != errno.EINVAL:
                    raise
                self._direct = set_direct(self._file.fileno(), False)  # this file system only seemed to agree
                continue
            if not received:
                raise ValueError(f"{_CHANGED} one that became shorter")
            done += received
        if done > count:
            raise ValueError(f"{_CHANGED} one that became longer")

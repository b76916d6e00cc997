"""Reading of a checkpoint file: open it safely, parse its header, and read and hash it ahead of its consumer.

Files are read, not mapped: if a file is truncated meanwhile, a read ends with an error, but a map with a signal.
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

_CHANGED = "a checkpoint must not change while it is verified. Received: a file"


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[IO[bytes], int]]:
    """Open a regular file, or an object at a URL, and return it with its size. Refuse devices and pipes."""

    def checked(status: os.stat_result) -> int:
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return status.st_size

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # in case a pipe has replaced the checked file

    place = path_of(path)
    if not is_local(place):
        with open_remote(place) as remote:
            yield remote, size_of(remote)
        return
    checked(place.stat())
    with open(path, "rb", buffering=0, opener=opener) as file:
        yield file, checked(os.fstat(file.fileno()))


def descriptor_of(file: IO[bytes]) -> int | None:
    """Return the descriptor of a local file, or None for an object."""
    try:
        return file.fileno()
    except (AttributeError, UnsupportedOperation):
        return None


def size_of(file: IO[bytes]) -> int:
    """Return the current size of an open file, in bytes."""
    descriptor = descriptor_of(file)
    if descriptor is not None:
        return os.fstat(descriptor).st_size
    place = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(place)
    return size


def read_bytes(file: IO[bytes], count: int) -> bytes:
    """Return the next `count` bytes of a file.

    Raises:
        ValueError: if the file ends before.
    """
    content = bytearray()
    while len(content) < count:
        received = file.read(count - len(content))
        if not received:
            raise ValueError(f"{_CHANGED} that became shorter")
        content += received
    return bytes(content)


def read_checkpoint_header(file: IO[bytes], size: int) -> Header:
    """Read the header of an open file.

    Raises:
        ValueError: if the file is not a safetensors file. The message names its format, if that is known.
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
    """The bytes of an open file, in order. Worker threads read them ahead and hash them."""

    def __init__(self, file: IO[bytes], size: int, ring: RingBuffer) -> None:
        """Start to read a file of `size` bytes into the blocks of a ring buffer, which must have no other user."""
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
        self._left = size  # bytes without a block so far
        self._ring = ring
        self._sha256 = hashlib.sha256()
        self._reader, self._hasher = Worker(), Worker()
        self._ahead: deque[tuple[np.ndarray, Block, Future[None]]] = deque()
        self._current = np.empty(0, np.uint8)
        self.available = 0
        """Number of unread bytes in the current block."""

    def read(self, count: int) -> np.ndarray:
        """Return the next `count` bytes. Later calls may overwrite them.

        Raises:
            ValueError: if the file was truncated meanwhile.
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
        """Skip the next `count` bytes, and yield after each block."""
        while count:
            count -= self.read(min(count, self.available or ALIGNMENT)).size
            yield

    def hexdigest(self) -> str:
        """Return the SHA-256 of the file, after its last byte was read.

        Raises:
            ValueError: if the size of the file has changed.
        """
        size = size_of(self._file)
        if size != self._size:
            raise ValueError(f"{_CHANGED} that became {'shorter' if size < self._size else 'longer'}")
        return self._hasher.submit(self._sha256.hexdigest).result()

    def close(self) -> None:
        """End the worker threads."""
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
        """Read the next `count` bytes into a block. Direct I/O needs the whole block, a multiple of the alignment."""
        view = memory.data if self._direct else memory.data[:count]
        done = 0
        while done < count:
            try:
                received = self._file.readinto(view[done:])  # type: ignore[attr-defined]  # each binary file has it
            except OSError as error:
                if not self._direct or error.errno != errno.EINVAL:
                    raise
                self._direct = set_direct(self._file.fileno(), False)  # this file system accepts the flag only
                continue
            if not received:
                raise ValueError(f"{_CHANGED} that became shorter")
            done += received
        if done > count:
            raise ValueError(f"{_CHANGED} that became longer")

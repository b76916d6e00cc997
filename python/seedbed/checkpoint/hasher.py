"""SHA-256 of what is written or read, while the next is."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

HASHED_AT_ONCE = 1 << 26
"""Bytes between two chances to stop hashing."""


class Hasher:
    """SHA-256 in a thread of its own, some bytes behind, but not more than `max_behind`.

    Where the system has no thread to give, in the calling one. What is handed over must stay as it is until it is
    hashed, which nobody is told of.
    """

    def __init__(self, max_behind: int) -> None:
        self._digest = hashlib.sha256()
        self._max_behind = max_behind
        self._behind: deque[tuple[int, Future[None]]] = deque()
        self._bytes_behind = 0
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(max_workers=1)
        try:
            self._thread.submit(bool)
        except RuntimeError:
            self._thread = None

    def __enter__(self) -> Hasher:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=kind is not None)

    def update(self, data: bytes | memoryview) -> None:
        """Hash these bytes after those before them."""
        for start in range(0, len(data), HASHED_AT_ONCE):
            self._update(memoryview(data)[start : start + HASHED_AT_ONCE])

    def _update(self, piece: memoryview) -> None:
        if self._thread is None:
            self._digest.update(piece)
            return
        self._behind.append((len(piece), self._thread.submit(self._digest.update, piece)))
        self._bytes_behind += len(piece)
        while self._behind and (self._behind[0][1].done() or self._bytes_behind > self._max_behind):
            size, hashed = self._behind.popleft()
            hashed.result()
            self._bytes_behind -= size

    def hexdigest(self) -> str:
        """The hash of all that was handed over."""
        for _, hashed in self._behind:
            hashed.result()
        return self._digest.hexdigest()

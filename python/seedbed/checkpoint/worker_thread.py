"""A thread that runs its tasks in order, next to the caller's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """A thread that runs one task after the other. Where the system refuses a thread, the caller runs them.

    After a task that raised an exception none is run: the exception is that of all later tasks too. A file whose block
    was not written is not completed.

    The thread is a daemon, unlike those of `concurrent.futures`: a task that waits for ever, such as a write to a pipe
    that nobody reads, does not keep the process from ending.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._cancelled = False
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = threading.Thread(target=self._run, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None

    def submit(self, task: Callable[..., T], *arguments: object) -> Future[T]:
        """Run `task(*arguments)` after all tasks before it. The future has its result, or its exception."""
        future: Future[T] = Future()
        entry = (future, lambda: task(*arguments))
        if self._thread is None:
            self._complete(*entry)
        else:
            self._tasks.put(entry)
        return future

    def cancel(self) -> None:
        """Run no other task than the one that runs now. The futures of the others never have a result."""
        self._cancelled = True

    def join(self) -> None:
        """Wait until the thread has ended: after its tasks, or after the one at hand where they are cancelled."""
        self._tasks.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (entry := self._tasks.get()) is not None and not self._cancelled:
            self._complete(*entry)
            del entry  # it refers to memory that may be large

    def _complete(self, future: Future[T], task: Callable[[], T]) -> None:
        try:
            if self._failure is not None:
                raise self._failure
            future.set_result(task())
        except BaseException as error:
            self._failure = error
            future.set_exception(error)

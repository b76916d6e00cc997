"""A worker thread that runs its tasks in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """A thread that runs one task after the other. If the system refuses a thread, the calling thread runs them.

    After a task has raised an exception, later tasks are not run, and raise the same exception. So a file is never
    finished after one of its blocks was not written.

    The thread is a daemon, unlike those of `concurrent.futures`: a task that waits forever, such as a write to a pipe
    without a reader, does not prevent the end of the process.
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
        """Run `task(*arguments)` after all earlier tasks. Return the future of its result or exception."""
        future: Future[T] = Future()
        entry = (future, lambda: task(*arguments))
        if self._thread is None:
            self._complete(*entry)
        else:
            self._tasks.put(entry)
        return future

    def cancel(self) -> None:
        """Run no further task after the current one. The futures of the cancelled tasks never get a result."""
        self._cancelled = True

    def join(self) -> None:
        """Wait for the end of the thread: after its last task, or after the current one if `cancel` was called."""
        self._tasks.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (entry := self._tasks.get()) is not None and not self._cancelled:
            self._complete(*entry)
            del entry  # it refers to a memory block

    def _complete(self, future: Future[T], task: Callable[[], T]) -> None:
        try:
            if self._failure is not None:
                raise self._failure
            future.set_result(task())
        except BaseException as error:
            self._failure = error
            future.set_exception(error)

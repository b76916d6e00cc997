"""Round-robin execution of several tasks in one thread, such as the evaluation of several files."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from typing import TypeAlias, TypeVar

from seedbed.threads import get_num_threads

T = TypeVar("T")

Task: TypeAlias = Generator[bool, None, T]
"""A generator that yields after each step: False while it computes, True when it only waits for worker threads."""

MAX_AT_ONCE = 4
"""Maximum number of files that are processed at once: together they are hashed about as fast as a disk writes."""


def files_at_once() -> int:
    """Return the number of files to process at once: half the number of threads.

    Hashing a file is sequential, so that it uses one core. One other core evaluates about as many bytes per second.
    """
    return max(1, min(MAX_AT_ONCE, get_num_threads() // 2))


def take_turns(tasks: Sequence[Task[T]], at_once: int) -> list[T]:
    """Run tasks, one step of each in turn, and return their results in the order of the tasks.

    At most `at_once` tasks compute at the same time. Tasks that only wait for worker threads are resumed when more than
    `at_once` of them wait, or when no task computes. On an exception all tasks are closed.
    """
    results: dict[int, T] = {}
    waiting = deque(enumerate(tasks))
    computing: deque[tuple[int, Task[T]]] = deque()
    ending: deque[tuple[int, Task[T]]] = deque()
    try:
        while waiting or computing or ending:
            while waiting and len(computing) < at_once:
                computing.append(waiting.popleft())
            queue = computing if computing and len(ending) <= at_once else ending
            index, task = queue[0]
            try:
                last = next(task)
            except StopIteration as end:
                results[index] = end.value
                queue.popleft()
                continue
            queue.popleft()
            (ending if last else computing).append((index, task))
    finally:
        for task in tasks:
            task.close()
    return [results[index] for index in range(len(tasks))]

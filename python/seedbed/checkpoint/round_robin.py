"""Tasks that take turns: several files under way in one thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from typing import TypeAlias, TypeVar

from seedbed.threads import get_num_threads

T = TypeVar("T")

Task: TypeAlias = Generator[bool, None, T]
"""A function that yields after each step: True after the last one that computes, when it only has to wait."""

MAX_AT_ONCE = 4
"""The most files under way at once: together they hash about as much as a fast disk writes."""


def files_at_once() -> int:
    """The number of files to have under way at once.

    A hash goes from block to block and so uses one core, while another core evaluates about as many bytes a second.
    With so many files half of the cores hash.
    """
    return max(1, min(MAX_AT_ONCE, get_num_threads() // 2))


def take_turns(tasks: Sequence[Task[T]], at_once: int) -> list[T]:
    """Run tasks, `at_once` of them a step each in turn, and return what they return.

    A task that only has to wait gets its last turn when as many others have come to their ends too. Whatever ends the
    work before that closes all tasks.
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

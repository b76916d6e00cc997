"""How many threads a fill may use. It changes the speed, never a bit."""

from __future__ import annotations

import os

from seedbed.arguments import as_integer

_chosen: int | None = None


def set_num_threads(n: int) -> None:
    """Let fills use up to `n` threads, the calling one among them.

    Raises:
        ValueError: where `n` is not a positive integer.
    """
    global _chosen
    _chosen = _positive("the number of threads", n)


def get_num_threads() -> int:
    """The threads a fill may use: as set, else SEEDBED_NUM_THREADS, else the CPUs this process may run on.

    Raises:
        ValueError: where SEEDBED_NUM_THREADS is asked for and is not a positive integer.
    """
    global _chosen
    if _chosen is None:
        asked = os.environ.get("SEEDBED_NUM_THREADS")
        _chosen = _cpus() if asked is None else _positive("SEEDBED_NUM_THREADS", asked)
    return _chosen


def _positive(what: str, n: object) -> int:
    try:
        number = int(n, 10) if isinstance(n, str) else as_integer(n)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise ValueError(f"{what} must be a positive integer. Received: {n!r}")
    return min(number, 2**16)


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

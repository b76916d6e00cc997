"""The number of threads of a fill. It changes the speed, and no bit."""

from __future__ import annotations

import os

from seedbed import _core
from seedbed.arguments import as_integer

MAX_THREADS = 2**16

_chosen: int | None = None


def set_num_threads(n: int) -> None:
    """Set the number of threads that a fill may use, the calling thread included.

    Raises:
        ValueError: if `n` is not a positive integer.
    """
    _choose(_positive("the number of threads", n))


def get_num_threads() -> int:
    """Return the number of threads that a fill may use, the calling thread included.

    It is what `set_num_threads` set, or else the environment variable `SEEDBED_NUM_THREADS` at the first use. Without
    either, it is the number of CPUs that the process may use, by its affinity and by the CPU quotas of its control
    groups (as containers have them), and at most `OMP_NUM_THREADS`, which joblib and Dask set for their workers.

    Raises:
        ValueError: if SEEDBED_NUM_THREADS is needed, and is neither empty nor a positive integer.
    """
    if _chosen is None:
        asked = os.environ.get("SEEDBED_NUM_THREADS")
        return _choose(_positive("SEEDBED_NUM_THREADS", asked) if asked else _default())
    return _chosen


def _choose(n: int) -> int:
    global _chosen
    _chosen = n
    _core.set_xla_threads(n)  # which calls the engine without Python
    return n


def _positive(what: str, n: object) -> int:
    try:
        number = int(n, 10) if isinstance(n, str) else as_integer(n)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise ValueError(f"{what} must be a positive integer. Received: {n!r}")
    return min(number, MAX_THREADS)


def _default() -> int:
    # A list has one number for each level of nested parallelism.
    outermost = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    try:
        return min(_core.available_cpus(), _positive("OMP_NUM_THREADS", outermost))
    except ValueError:  # OpenMP ignores it too
        return _core.available_cpus()

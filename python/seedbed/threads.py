"""The number of threads of a fill. It changes the speed, but no bit."""

from __future__ import annotations

import os

from seedbed import _core
from seedbed.arguments import as_count, shortened

MAX_THREADS = 2**16
"""Maximum number of threads. A larger number is reduced to it."""

_chosen: int | None = None


def set_num_threads(n: int) -> None:
    """Set the number of threads that a fill may use, the calling thread included.

    Arguments:
        n: a positive integer.

    Raises:
        TypeError: if `n` is not an integer.
        ValueError: if it is not positive.

    >>> import seedbed as sb
    >>> before = sb.get_num_threads()
    >>> sb.set_num_threads(1)
    >>> sb.get_num_threads()
    1
    >>> sb.set_num_threads(before)
    """
    _choose(min(as_count("n", n), MAX_THREADS))


def get_num_threads() -> int:
    """Return the number of threads that a fill may use, the calling thread included.

    `set_num_threads` sets it. Otherwise the environment variable `SEEDBED_NUM_THREADS` sets it at the first use.
    Without either, it is the number of CPUs that the process may use, according to its affinity and the CPU quotas of
    its control groups (in a container), and at most `OMP_NUM_THREADS`, which joblib and Dask set for their workers.

    Raises:
        ValueError: if `SEEDBED_NUM_THREADS` is used, and is not a positive integer.

    >>> import seedbed as sb
    >>> sb.get_num_threads() >= 1
    True
    """
    if _chosen is None:
        asked = os.environ.get("SEEDBED_NUM_THREADS")
        return _choose(_from_environment("SEEDBED_NUM_THREADS", asked) if asked else _default())
    return _chosen


def _choose(n: int) -> int:
    global _chosen
    _chosen = n
    _core.set_xla_threads(n)  # XLA calls the engine without Python
    return n


def _from_environment(variable: str, text: str) -> int:
    number = int(text) if text.strip().isdecimal() else 0
    if number < 1:
        raise ValueError(f"{variable} must be a positive integer. Received: {shortened(text)}")
    return min(number, MAX_THREADS)


def _default() -> int:
    # OMP_NUM_THREADS may be a list, with one number for each level of nested parallelism.
    outermost = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    try:
        return min(_core.available_cpus(), _from_environment("OMP_NUM_THREADS", outermost))
    except ValueError:  # OpenMP ignores it too
        return _core.available_cpus()

"""Python arithmetic that does not depend on the floating-point state of the thread.

Some hosts flush subnormal numbers to zero, or set another rounding mode. Python and NumPy then compute other numbers.
The extension module sets the default state for its own work. This module does so for the few numbers that Python
computes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from seedbed import _core

P = ParamSpec("P")
R = TypeVar("R")


def in_default_state(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to run in the default floating-point state. The state of the caller is restored."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return _core.in_default_state(function, *args, **kwargs)

    return run

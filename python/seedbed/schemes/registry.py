"""The schemes by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ParamSpec

from seedbed.arguments import did_you_mean, shortened
from seedbed.schemes.scheme import Scheme

P = ParamSpec("P")


@dataclass(frozen=True)
class Known:
    """A function that makes a scheme."""

    function: Callable[..., Scheme]
    source: str
    """The paper or the file that its formulas are from."""

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return inspect.cleandoc(self.function.__doc__ or "").partition("\n")[0]

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the numbers that it must get."""
        return tuple(name for name, each in self._parameters.items() if each.default is each.empty)

    @property
    def optional(self) -> tuple[str, ...]:
        """The names of the numbers that it may get."""
        return tuple(name for name, each in self._parameters.items() if each.default is not each.empty)

    def fields(self) -> dict[str, Any]:
        """Return what there is to say of it, for a script."""
        return {
            "summary": self.summary,
            "needs": list(self.required),
            "takes": list(self.optional),
            "source": self.source,
        }

    @property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.function).parameters


SCHEMES: dict[str, Known] = {}
"""The functions that make schemes, by name."""


def scheme(source: str) -> Callable[[Callable[P, Scheme]], Callable[P, Scheme]]:
    """Decorate a function that makes a scheme: the scheme gets its name and its source, and is listed.

    Arguments:
        source: the paper or the file that the formulas are from.
    """

    def decorate(function: Callable[P, Scheme]) -> Callable[P, Scheme]:
        @functools.wraps(function)
        def made(*args: P.args, **kwargs: P.kwargs) -> Scheme:
            return replace(function(*args, **kwargs), name=function.__name__, source=source)

        SCHEMES[function.__name__] = Known(made, source)
        return made

    return decorate


def named_scheme(name: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> Scheme:
    """Return the scheme of a name.

    Arguments:
        name: its name.
        given: numbers that it must take.
        known: numbers that it gets where it takes them and they are not given: those of a plan.

    Raises:
        TypeError, ValueError: if there is no such scheme, it takes no such number, needs one that is missing, or one is
            wrong.

    >>> named_scheme("gpt2", {}, {"layers": 12, "width": 768})
    gpt2(layers=12, stddev=0.02)
    """
    if name not in SCHEMES:
        hint = did_you_mean(name, SCHEMES) or f" The schemes are {', '.join(sorted(SCHEMES))}"
        raise ValueError(f"unknown scheme {shortened(name)}.{hint}")
    entry = SCHEMES[name]
    takes = (*entry.required, *entry.optional)
    for number in given:
        if number not in takes:
            raise ValueError(f"{name} takes {', '.join(takes)}. Received: {number}={shortened(given[number])}")
    numbers = {number: value for number, value in known.items() if number in takes} | dict(given)
    missing = [number for number in entry.required if number not in numbers]
    if missing:
        raise ValueError(f"{name} needs {', '.join(entry.required)}. Received: no {' and no '.join(missing)}")
    return entry.function(**numbers)

"""The schemes, by name."""

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
    """The paper or file with the formulas."""

    @property
    def summary(self) -> str:
        """First line of its docstring."""
        return inspect.cleandoc(self.function.__doc__ or "").partition("\n")[0]

    @property
    def required(self) -> tuple[str, ...]:
        """Names of its arguments without a default."""
        return tuple(name for name, each in self._parameters.items() if each.default is each.empty)

    @property
    def optional(self) -> tuple[str, ...]:
        """Names of its arguments with a default."""
        return tuple(name for name, each in self._parameters.items() if each.default is not each.empty)

    def fields(self) -> dict[str, Any]:
        """Return summary, arguments and source as JSON values, for scripts."""
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
    """Decorate a function that makes a scheme: register it, and add its source to the scheme and to the docstring.

    Arguments:
        source: the paper or file with the formulas.
    """

    def decorate(function: Callable[P, Scheme]) -> Callable[P, Scheme]:
        @functools.wraps(function)
        def made(*args: P.args, **kwargs: P.kwargs) -> Scheme:
            return replace(function(*args, **kwargs), name=function.__name__, source=source)

        if made.__doc__:  # None under python -OO
            made.__doc__ = _with_source(made.__doc__, source)
        SCHEMES[function.__name__] = Known(made, source)
        return made

    return decorate


def _with_source(doc: str, source: str) -> str:
    """Return a docstring with the source inserted before the arguments."""
    head, start, rest = inspect.cleandoc(doc).partition("\n\nArguments:")
    notation = "N(0, s) is the normal distribution with the standard deviation s, before any cut."
    return f"{head}\n\n{notation}\n\nSource: {source}.{start}{rest}"


def named_scheme(name: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> Scheme:
    """Return a scheme by its name.

    Arguments:
        name: name of a function of this module, such as "gpt2".
        given: arguments of the function, by name. One that the function does not have is an error.
        known: numbers of a model, by name, as `numbers_of` returns them. They are used for arguments that are not in
            `given`; others are ignored.

    Raises:
        TypeError, ValueError: if there is no such scheme, or an argument is unknown, missing or invalid.

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

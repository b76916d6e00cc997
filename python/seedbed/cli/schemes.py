"""Schemes as they are chosen on the command line."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seedbed.cli.rules import parse_call, parse_role
from seedbed.schemes import Scheme, named_scheme, numbers_of
from seedbed.schemes.roles import Roles

NUMBERS = ("layers", "width", "base_width", "stddev")
"""Numbers that have an option of their own. A call, such as mup(base_width=256), takes them all."""


@dataclass(frozen=True)
class SchemeChoice:
    """A scheme, the numbers that were given, and the user's own roles."""

    name: str
    given: Mapping[str, Any]
    roles: Sequence[tuple[str, str]]

    def scheme(self, tensors: Sequence[Any], config: Mapping[str, Any] | None = None) -> Scheme:
        """Return the scheme for a model; numbers that were not given are those of the model.

        Raises:
            TypeError, ValueError: if there is no such scheme, or a number is wrong or missing.
        """
        known = numbers_of(tensors, config, Roles(self.roles))
        return named_scheme(self.name, self.given, known).with_roles(self.roles)


def chosen_scheme(arguments: Namespace) -> SchemeChoice | None:
    """Return the scheme that the arguments of a command name, if they name one.

    Raises:
        ValueError: if an option of schemes is given without one, or is wrong.
    """
    given = {name: getattr(arguments, name) for name in NUMBERS if getattr(arguments, name) is not None}
    if arguments.scheme is None:
        for option in (*given, *(["role"] if arguments.role else [])):
            raise ValueError(f"--{option.replace('_', '-')} is for schemes, and needs --scheme")
        return None
    name, numbers = parse_call(arguments.scheme, "a scheme must be a name, or a call", "mup(base_width=256)")
    return SchemeChoice(name, numbers | given, [parse_role(text) for text in arguments.role])

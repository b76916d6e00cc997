"""The scheme that the arguments of a command choose."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seedbed.cli.rules import parse_call, parse_role
from seedbed.schemes import Scheme, named_scheme, numbers_of
from seedbed.schemes.roles import Roles

NUMBERS = ("layers", "width", "base_width", "stddev")
"""Numbers with an option of their own. A call, such as mup(base_width=256), accepts all numbers of a scheme."""


@dataclass(frozen=True)
class SchemeChoice:
    """The arguments for a scheme: its name, the given numbers, and pairs of a pattern and a role."""

    name: str
    given: Mapping[str, Any]
    roles: Sequence[tuple[str, str]]

    def scheme(self, tensors: Sequence[Any], config: Mapping[str, Any] | None = None) -> Scheme:
        """Return the scheme for a model. Numbers that were not given are taken from the model.

        Arguments:
            tensors: tensors of the model.
            config: configuration of the model, or None.

        Raises:
            TypeError: if a number has a wrong type.
            ValueError: if there is no such scheme, or a number is out of range or missing.
        """
        known = numbers_of(tensors, config, Roles(self.roles))
        return named_scheme(self.name, self.given, known).with_roles(self.roles)


def chosen_scheme(arguments: Namespace) -> SchemeChoice | None:
    """Return the scheme that the arguments of a command choose, or None.

    Raises:
        ValueError: if an option of schemes is given without a scheme, or is wrong.
    """
    given = {name: getattr(arguments, name) for name in NUMBERS if getattr(arguments, name) is not None}
    if arguments.scheme is None:
        for option in (*given, *(["role"] if arguments.role else [])):
            raise ValueError(f"--{option.replace('_', '-')} needs --scheme")
        return None
    name, numbers = parse_call(arguments.scheme, "a scheme must be a name, or a call", "mup(base_width=256)")
    return SchemeChoice(name, numbers | given, [parse_role(text) for text in arguments.role])

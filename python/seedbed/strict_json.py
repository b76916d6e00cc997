"""Strict reading of JSON from other programs: unique keys, short integers, finite numbers.

Each error states the broken rule and the received value.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeVar

MAX_DIGITS = 20
"""Maximum length of an integer with its sign, in characters: each 64-bit integer fits."""

T = TypeVar("T")


def decode(text: str, what: str) -> object:
    """Return the value of a JSON text. Errors call the text `what`.

    Raises:
        ValueError: if the text is not JSON, or breaks a rule of this module.
        RecursionError: if it is nested too deep.

    >>> decode('{"shape": [2, 3]}', "an entry")
    {'shape': [2, 3]}
    """
    try:
        if text.startswith("\ufeff"):
            raise json.JSONDecodeError("Unexpected UTF-8 BOM", text, 0)
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{what} must be JSON. Received: invalid JSON: {error}") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique: dict[str, Any] = {}
    for key, value in pairs:
        if key in unique:
            raise ValueError(f"an object must have each key once. Received: {shown(key)} again after {shown(unique)}")
        unique[key] = value
    return unique


def _short_integer(literal: str) -> int:
    if len(literal) > MAX_DIGITS:
        raise ValueError(f"an integer must have at most {MAX_DIGITS} digits. Received: {literal[:MAX_DIGITS]}...")
    return int(literal)


def _finite_float(literal: str) -> float:
    value = float(literal)
    return value if math.isfinite(value) else _not_a_number(literal)


def _not_a_number(literal: str) -> NoReturn:
    raise ValueError(f"a number must be finite. Received: {literal[:80]}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys,
    parse_int=_short_integer,
    parse_float=_finite_float,
    parse_constant=_not_a_number,
)


def members(value: object, what: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Check that a value is an object with all required keys, and no others except optional ones. Return it.

    Raises:
        TypeError: if the value is not an object.
        ValueError: if a key is missing or unknown.
    """
    found: dict[str, Any] = typed(value, dict, f"{what} must be an object")
    known = ", ".join(required + optional)
    for key in found:
        if key not in required + optional:
            raise ValueError(f"the keys of {what} must be among {known}. Received: {shown(key)}")
    for key in required:
        if key not in found:
            raise ValueError(f'{what} must have the key "{key}". Received: {shown(value)}')
    return found


def integers(value: object, what: str) -> list[int]:
    """Check that a value is a list of integers, and return it.

    Raises:
        TypeError: if the value is not a list of integers.
    """
    rule = f"{what} must be a list of integers"
    numbers: list[Any] = typed(value, list, rule)
    if any(type(number) is not int for number in numbers):  # bool is an int to isinstance
        raise TypeError(f"{rule}. Received: {shown(value)}")
    return numbers


def typed(value: object, kind: type[T], rule: str) -> T:
    """Check that a value is an instance of `kind`, and return it. The error starts with `rule`.

    Raises:
        TypeError: if the value has another type.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{rule}. Received: {shown(value)}")
    return value


def shown(value: object) -> str:
    """Return a value as JSON for the text of an error: in ASCII, at most 80 characters."""
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."

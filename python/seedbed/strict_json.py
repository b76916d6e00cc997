"""JSON that others wrote, read strictly: each key once, short integers, finite numbers.

An error says which rule was broken, and shows what was received.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeVar

MAX_DIGITS = 20
"""The longest integer, sign included: every 64-bit one fits."""

T = TypeVar("T")


def decode(text: str, what: str) -> object:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON, or breaks a rule.
        RecursionError: it is too deep.
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
    """The members of an object that has all the required keys, and no others except optional ones.

    Raises:
        TypeError: it is not an object.
        ValueError: it has other keys.
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
    """A list of integers.

    Raises:
        TypeError: it is not one.
    """
    rule = f"{what} must be a list of integers"
    numbers: list[Any] = typed(value, list, rule)
    if any(type(number) is not int for number in numbers):  # bool is an int to isinstance
        raise TypeError(f"{rule}. Received: {shown(value)}")
    return numbers


def typed(value: object, kind: type[T], rule: str) -> T:
    """The value, where it is of that kind.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{rule}. Received: {shown(value)}")
    return value


def shown(value: object) -> str:
    """The value as JSON, in ASCII and cut where it is long, for the text of an error."""
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."

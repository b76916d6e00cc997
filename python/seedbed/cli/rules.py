"""Parse rules, roles, and calls with named numbers from the command line."""

from __future__ import annotations

import ast
from typing import Any

from seedbed.strict_json import decode


def parse_rule(text: str) -> tuple[str, str | dict[str, Any]]:
    """Parse a rule, ``PATTERN=INITIALIZER``.

    Raises:
        ValueError: if the text is not a rule.

    >>> parse_rule("*.weight=RandomNormal(stddev=0.02)")
    ('*.weight', {'class_name': 'RandomNormal', 'config': {'stddev': 0.02}})
    """
    pattern, equals, initializer = text.partition("=")
    if not (pattern and equals and initializer):
        raise ValueError(f"a rule must be PATTERN=INITIALIZER, such as '*.bias=zeros'. Received: {text!r}")
    return pattern, parse_initializer(initializer)


def parse_initializer(text: str) -> str | dict[str, Any]:
    """Parse an initializer: a name, a JSON configuration, or a call as in Python.

    Raises:
        ValueError: if the text is not one of these.

    >>> parse_initializer("zeros"), parse_initializer('{"class_name": "Zeros"}')
    ('zeros', {'class_name': 'Zeros'})
    """
    if text.startswith("{"):
        document = decode(text, "an initializer")
        assert isinstance(document, dict)
        return document
    if "(" not in text:
        return text
    name, config = parse_call(text, "an initializer must be a name, JSON, or a call", "RandomNormal(stddev=0.02)")
    return {"class_name": name, "config": config}


def parse_call(text: str, what: str, example: str) -> tuple[str, dict[str, Any]]:
    """Parse a name, or a call with named numbers.

    Arguments:
        text: the text.
        what: start of the error, with the rule.
        example: example in the error.

    Raises:
        ValueError: if the text is neither a name nor such a call.

    >>> parse_call("mup(base_width=256)", "", ""), parse_call("olmo", "", "")
    (('mup', {'base_width': 256}), ('olmo', {}))
    """
    if "(" not in text:
        return text, {}
    try:
        call = ast.parse(text, mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args):
            raise ValueError
        if any(keyword.arg is None for keyword in call.keywords):
            raise ValueError
        config = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{what} with named numbers, such as {example!r}. Received: {text!r}") from None
    return call.func.id, config


def parse_role(text: str) -> tuple[str, str]:
    """Parse the role of weights, ``PATTERN=ROLE``.

    Raises:
        ValueError: if the text has another form.
    """
    pattern, equals, role = text.partition("=")
    if not (pattern and equals and role):
        raise ValueError(f"a role must be PATTERN=ROLE, such as '*.last.weight=down'. Received: {text!r}")
    return pattern, role

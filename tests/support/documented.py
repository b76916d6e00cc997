"""The text of `help` for the public classes and functions of a module."""

import inspect
import re
import sys
from importlib import import_module

FIELDS_BELOW = ("seedbed.plan", "seedbed.checkpoint")
"""Modules whose records document each field where it is declared."""

SHOWN_TOGETHER = {"seedbed.dask.verify_checkpoint": "write_checkpoint"}
"""Functions that the example of another one calls."""


def arguments_of(made):
    arguments = inspect.signature(made).parameters.values()
    return [
        argument.name for argument in arguments if argument.kind not in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL)
    ]


def documented(made):
    """Return the documentation of each argument."""
    section = re.search(r"^Arguments:\n((?:    .*\n?|\n)*)", inspect.getdoc(made) or "", re.MULTILINE)
    entries = re.split(r"^    (?=\S)", section[1], flags=re.MULTILINE)[1:] if section else []
    return {name: " ".join(text.split()) for name, _, text in (entry.partition(": ") for entry in entries)}


def public(module):
    """Return the public classes and functions of a module, by name."""
    found = {}
    for name in import_module(module).__all__:
        made = getattr(import_module(module), name)
        is_record = hasattr(made, "__dataclass_fields__") or hasattr(made, "_fields")
        is_own = getattr(made, "__module__", "").startswith("seedbed")  # Keras' serialize is not
        if callable(made) and is_own and not (is_record and module in FIELDS_BELOW):
            found[name] = made
    return found


def undocumented(module, name, made):
    """Return what the docstring lacks: arguments by name, and "an example"."""
    missing = [argument for argument in arguments_of(made) if argument not in documented(made)]
    shown = inspect.getdoc(made) or ""
    if f"{module}.{name}" in SHOWN_TOGETHER:
        shown = inspect.getdoc(getattr(import_module(module), SHOWN_TOGETHER[f"{module}.{name}"]))
        return missing if f"{module}.{name}(" in shown else [*missing, "an example"]
    return missing if ">>> " in shown else [*missing, "an example"]


if __name__ == "__main__":
    names = public(sys.argv[1])
    print(len(names), {name: lacks for name, made in names.items() if (lacks := undocumented(sys.argv[1], name, made))})

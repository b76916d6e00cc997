"""Convert docstrings to Markdown for the site: an extension of griffe, the reader of docstrings.

Docstrings are written for `help()`: examples have no fences, powers have no escapes, and formulas are indented. Classes
of `seedbed.compat` get their docstrings completed at import, so theirs are read from the imported module.
"""

import importlib
import inspect
import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^( *)>>> .*?(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_CODE_OR_POWER = re.compile(r"(`[^`]*`)|(?<=[\w)])\*\*(?=[\w(-])")


def as_markdown(text: str) -> str:
    r"""Return a text with a fence around each example, up to the next blank line, and with escaped powers.

    >>> as_markdown("At most 2**20, as `2**3`.\n\n>>> 1 + 1\n2").splitlines()
    ['At most 2\\*\\*20, as `2**3`.', '', '```pycon', '>>> 1 + 1', '2', '```']
    """
    done = []
    end = 0
    for found in _EXAMPLE.finditer(text):
        done += [_escaped(text[end : found.start()]), f"{found[1]}```pycon\n{found[0]}\n{found[1]}```"]
        end = found.end()
    return "".join([*done, _escaped(text[end:])])


def _escaped(text: str) -> str:
    return _CODE_OR_POWER.sub(lambda found: found[1] or r"\*\*", text).replace("::\n", ":\n")


class Docstrings(griffe.Extension):  # type: ignore[misc]  # griffe is installed only to build the site
    """Translate every docstring once."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            text = obj.docstring.value
            if obj.is_class and obj.module.path.startswith("seedbed.compat."):
                text = inspect.getdoc(getattr(importlib.import_module(obj.module.path), obj.name))
            obj.docstring.value = as_markdown(text)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        if pkg.docstring and "```" not in pkg.docstring.value:
            pkg.docstring.value = as_markdown(pkg.docstring.value)

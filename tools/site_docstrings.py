"""An extension of griffe, which reads docstrings for the site: it turns their text into Markdown.

Docstrings are written for `help()`: an example has no fence there, a power no escape, and a formula is indented.
"""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^( *)>>> .*?(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_CODE_OR_POWER = re.compile(r"(`[^`]*`)|(?<=[\w)])\*\*(?=[\w(-])")


def as_markdown(text: str) -> str:
    r"""The text with a fence around each example, which a blank line ends, and with escaped powers.

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


class Docstrings(griffe.Extension):  # type: ignore[misc]  # griffe is there where the site is built
    """Translate every docstring once."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        if pkg.docstring and "```" not in pkg.docstring.value:
            pkg.docstring.value = as_markdown(pkg.docstring.value)

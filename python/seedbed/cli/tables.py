"""Print result tables: drawn by rich on a terminal if it is installed, otherwise as plain lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence

from seedbed.cli.console import has_rich, print_stdout


def print_table(
    rows: Sequence[tuple[str, ...]], heads: Sequence[str] = (), write: Callable[[str], None] = print_stdout
) -> None:
    """Write rows of texts with aligned columns.

    Arguments:
        rows: rows of the same length. Without heads, the first text of each row is the name of the row.
        heads: names of the columns, or nothing.
        write: `print_stdout` for the standard output, or `seedbed.cli.console.print_stderr` for the standard error.
    """
    rows = [tuple(map(printable, row)) for row in rows]
    if write is print_stdout and sys.stdout.isatty() and has_rich():
        _draw(rows, heads)
        return
    lines = [tuple(heads), *rows] if heads else rows
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        write("  ".join(f"{text:{width}}" for text, width in zip(line, widths, strict=True)).rstrip())


def _draw(rows: Sequence[tuple[str, ...]], heads: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=box.SIMPLE_HEAD) if heads else Table.grid("", "", padding=(0, 2))
    for row in rows:
        first = Text(row[0], style="" if heads else "bold")
        table.add_row(first, *map(Text, row[1:]))  # as plain text, because rich would read brackets in a name as markup
    Console().print(table)


def printable(text: str) -> str:
    """Return a text, or its JSON if it has control characters that a terminal might obey."""
    return text if text.isprintable() else json.dumps(text)

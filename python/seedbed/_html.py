"""HTML tables for notebooks, which call `_repr_html_` to show an object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def html_table(caption: str, rows: Iterable[Sequence[str]], heads: Sequence[str] = ()) -> str:
    """Return an HTML table of texts. Without heads, the first text of each row is the name of the row.

    >>> html_table("Zeros", [("shape", "(2, 3)")])
    '<table><caption>Zeros</caption><tr><th>shape</th><td>(2, 3)</td></tr></table>'
    """
    from html import escape  # imported here because only notebooks need it

    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    lines = [f"<tr>{head}</tr>"] if heads else []
    for first, *others in rows:
        tag = "td" if heads else "th"
        cells = "".join(f"<td>{escape(text)}</td>" for text in others)
        lines.append(f"<tr><{tag}>{escape(first)}</{tag}>{cells}</tr>")
    return f"<table><caption>{escape(caption)}</caption>{''.join(lines)}</table>"

"""Ranges in names: ``h.{0..11}.mlp.c_fc.weight`` stands for twelve names.

A range ``{first..last}`` contains the integers from `first` to `last`, both included. Consecutive entries that agree up
to the end of their first range are repeated together: ``h.{0..1}.a`` followed by ``h.{0..1}.b`` gives ``h.0.a``,
``h.0.b``, ``h.1.a``, ``h.1.b``, the order of the layers of a model. A brace that is not part of a range is doubled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import NamedTuple, TypeAlias, TypeVar

from seedbed.plan.limits import MAX_RANGES

P = TypeVar("P")

_RANGE = re.compile(r"\{(0|[1-9]\d{0,9})\.\.(0|[1-9]\d{0,9})\}", re.ASCII)
_TOKEN = re.compile(rf"\{{\{{|\}}\}}|{_RANGE.pattern}|\{{(\d)\}}|[{{}}]|[^{{}}]+", re.ASCII)
_NUMBER = re.compile(r"(?<![0-9])(?:0|[1-9][0-9]{0,9})(?![0-9])", re.ASCII)


class Template(NamedTuple):
    """A name with ranges. There is one range between each two texts."""

    texts: tuple[str, ...]
    ranges: tuple[range, ...]

    @property
    def names(self) -> int:
        """The number of names."""
        return math.prod(map(len, self.ranges))


def parse(text: str) -> Template:
    """Parse a name with ranges.

    Raises:
        ValueError: if a brace is neither part of a range nor doubled, a range is empty, or there are too many ranges.

    >>> parse("h.{0..11}.bias")
    Template(texts=('h.', '.bias'), ranges=(range(0, 12),))
    """
    texts, ranges = [""], []
    for token in _TOKEN.finditer(text):
        found = _RANGE.fullmatch(token[0])
        if found is not None:
            ranges.append(range(int(found[1]), int(found[2]) + 1))
            texts.append("")
        elif token[0] in ("{{", "}}"):
            texts[-1] += token[0][0]
        elif token[0][0] in "{}":
            raise ValueError(
                "a brace in a name must be part of a range, such as {0..11}, or doubled. "
                f"Received: {token[0]} at character {token.start()}"
            )
        else:
            texts[-1] += token[0]
    if any(not numbers for numbers in ranges):
        raise ValueError(f"a range in a name must not be empty. Received: {text!r}")
    if len(ranges) > MAX_RANGES:
        raise ValueError(f"a name must have at most {MAX_RANGES} ranges. Received: {len(ranges)}")
    return Template(tuple(texts), tuple(ranges))


def expand(templates: Sequence[Template]) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    """Yield the names of templates in order: the index of the template, the name, and the number of each range."""
    yield from _expand([(index, template) for index, template in enumerate(templates)], "", ())


def _expand(
    entries: Sequence[tuple[int, Template]], prefix: str, numbers: tuple[int, ...]
) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    for (text, *first), group in groupby(entries, key=lambda entry: (entry[1].texts[0], *entry[1].ranges[:1])):
        together = list(group)
        if not first:
            for index, _ in together:
                yield index, prefix + text, numbers
            continue
        rests = [(index, Template(rest.texts[1:], rest.ranges[1:])) for index, rest in together]
        for number in first[0]:
            yield from _expand(rests, f"{prefix}{text}{number}", (*numbers, number))


def resolve(text: str, numbers: Sequence[int]) -> str:
    """Replace ``{1}`` by the number of the first range of a name, ``{2}`` by that of the second, and so on.

    Raises:
        ValueError: if there is no such range, or a brace is neither part of a reference nor doubled.

    >>> resolve("h.{1}.experts", (3, 7))
    'h.3.experts'
    """
    parts = []
    for token in _TOKEN.finditer(text):
        if token[3] is not None and 1 <= int(token[3]) <= len(numbers):
            parts.append(str(numbers[int(token[3]) - 1]))
        elif token[0] in ("{{", "}}"):
            parts.append(token[0][0])
        elif token[0][0] in "{}":
            raise ValueError(
                f"a brace here must refer to a range, by a number from 1 to {len(numbers)}, or be doubled. "
                f"Received: {token[0]} at character {token.start()}"
            )
        else:
            parts.append(token[0])
    return "".join(parts)


def escape(text: str) -> str:
    """Double the braces of a text."""
    return text.replace("{", "{{").replace("}", "}}")


Variants: TypeAlias = Callable[[P, int, str], Sequence[P]]
"""Function that returns variants of an entry for the case that a number in its name becomes a range.

Arguments: the entry without its name; the number; and the text of a reference to the range. The number of variants is
the same for every entry. The first variant that covers the longest run of entries is used.
"""

_Items: TypeAlias = list[tuple[str, P]]
_Key: TypeAlias = tuple[str, "int | None"]


def compress(items: Sequence[tuple[str, P]], variants: Variants[P]) -> list[tuple[str, P]]:
    """Replace repeated entries by entries with ranges. `expand` restores the same names in the same order.

    >>> names = ["a", *(f"h.{i}.{name}" for i in range(3) for name in ("x", "y")), "z"]
    >>> [name for name, _ in compress([(name, None) for name in names], lambda entry, *_: [entry])]
    ['a', 'h.{0..2}.x', 'h.{0..2}.y', 'z']
    """
    return _compress(list(items), variants, 0, 0)


def _compress(items: _Items[P], variants: Variants[P], ranges: int, level: int) -> _Items[P]:
    """Compress the ends of names that share a beginning with `level` numbers, of which `ranges` became ranges."""
    if level == MAX_RANGES:
        return [(escape(name), entry) for name, entry in items]
    groups = [(key, list(group)) for key, group in groupby(items, key=lambda item: _split(item[0]))]

    def inner(at: int, ranges: int) -> _Items[P]:
        (text, number), members = groups[at]
        prefix = f"{text}{number}"
        return _compress([(name[len(prefix) :], entry) for name, entry in members], variants, ranges, level + 1)

    @cache
    def repeated(at: int) -> list[_Items[P]]:
        """Return the entries of a group as part of a run, for each variant."""
        entries = inner(at, ranges + 1)
        number = groups[at][0][1]
        assert number is not None
        changed = [variants(entry, number, f"{{{ranges + 1}}}") for _, entry in entries]
        return [
            [(rest, entry) for (rest, _), entry in zip(entries, column, strict=True)]
            for column in zip(*changed, strict=True)
        ]

    written: _Items[P] = []
    last: tuple[str, int, int] | None = None  # the first range of the last written name
    at = 0
    while at < len(groups):
        (text, number), members = groups[at]
        if number is None:
            written += [(escape(name), entry) for name, entry in members]
            last, at = None, at + 1
            continue
        end, variant = max((_run_end(groups, repeated, at, v), -v) for v in range(len(repeated(at))))
        head = text, number, number + end - at - 1
        if end - at > 1 and head != last:
            written += [(f"{escape(text)}{{{head[1]}..{head[2]}}}{rest}", e) for rest, e in repeated(at)[-variant]]
            last, at = head, end
        else:
            written += [(f"{escape(text)}{number}{rest}", entry) for rest, entry in inner(at, ranges)]
            last, at = None, at + 1
    return written


def _split(name: str) -> _Key:
    """Return the first number of a name and the text before it, or the name if it has no number."""
    found = _NUMBER.search(name)
    return (name, None) if found is None else (name[: found.start()], int(found[0]))


def _run_end(
    groups: Sequence[tuple[_Key, object]], repeated: Callable[[int], list[_Items[P]]], at: int, variant: int
) -> int:
    """Return the end of the run of groups that repeat the group at `at` with consecutive numbers."""
    (text, number), _ = groups[at]
    assert number is not None
    end = at + 1
    while (
        end < len(groups)
        and groups[end][0] == (text, number + end - at)
        and repeated(end)[variant] == repeated(at)[variant]
    ):
        end += 1
    return end

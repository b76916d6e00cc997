"""A plan as a table to read: name, shape, dtype, initializer, standard deviation, and what decided it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from seedbed.dtypes import name_of

if TYPE_CHECKING:
    from seedbed.initializers import Initializer
    from seedbed.plan.tensor import PlannedTensor

COLUMNS = ("name", "shape", "dtype", "initializer", "stddev", "source")

MAX_WIDTH = 72
"""Number of characters of an initializer."""

_NUMBER = re.compile(r"\d+\.\d{6,}(e-?\d+)?")


def table(tensors: Iterable[PlannedTensor]) -> str:
    """Return the table of tensors, a line each."""
    return lined_up([COLUMNS, *(row(tensor) for tensor in tensors)])


def row(tensor: PlannedTensor) -> Sequence[str]:
    """Return a tensor's line of the table."""
    stddev = tensor.initializer.describe(tensor.whole_shape, tensor.dtype).stddev
    shown = "" if stddev is None else f"{stddev:.4g}"
    return tensor.name, str(tensor.shape), name_of(tensor.dtype), brief(tensor.initializer), shown, tensor.source


def brief(initializer: Initializer) -> str:
    """Return an initializer as a table has it: with six digits of its numbers, and not all of a long list."""
    text = _NUMBER.sub(lambda found: f"{float(found[0]):.6g}", repr(initializer))
    return text if len(text) <= MAX_WIDTH else f"{text[: MAX_WIDTH - 4]}...)"


def lined_up(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of texts with their columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)

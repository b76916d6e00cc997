"""A plan as a text table: name, shape, dtype, initializer, standard deviation, and source of the initializer."""

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
"""Maximum width of the column of initializers, in characters."""

_NUMBER = re.compile(r"\d+\.\d{6,}(e-?\d+)?")


def table(tensors: Iterable[PlannedTensor]) -> str:
    """Return the table of tensors, with one line for each tensor."""
    return lined_up([COLUMNS, *(row(tensor) for tensor in tensors)])


def row(tensor: PlannedTensor) -> Sequence[str]:
    """Return the row of a tensor."""
    stddev = tensor.initializer.describe(tensor.whole_shape, tensor.dtype).stddev
    shown = "" if stddev is None else f"{stddev:.4g}"
    return tensor.name, str(tensor.shape), name_of(tensor.dtype), brief(tensor.initializer), shown, tensor.source


def brief(initializer: Initializer) -> str:
    """Return a short representation of an initializer: numbers with six digits, long texts cut."""
    text = _NUMBER.sub(lambda found: f"{float(found[0]):.6g}", repr(initializer))
    return text if len(text) <= MAX_WIDTH else f"{text[: MAX_WIDTH - 4]}...)"


def lined_up(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines of text with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)

"""`Plan`: the planned tensors of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from seedbed._html import html_table
from seedbed.plan.json_writer import to_json
from seedbed.plan.magnitudes import check_norms
from seedbed.plan.table import COLUMNS, row, table
from seedbed.plan.tensor import PlannedTensor
from seedbed.strict_json import shown

MAX_ROWS = 200
"""Maximum number of rows of the table in a notebook."""


@dataclass(frozen=True, repr=False)
class Plan:
    """The planned tensors of a model, in order. `load_plan` and `parse_plan` make valid plans.

    >>> from seedbed.plan import load_plan
    >>> load_plan("gpt2")
    <Plan of 148 tensors, 124,439,808 parameters, 497,759,232 bytes>
    """

    tensors: tuple[PlannedTensor, ...]
    config: Mapping[str, Any] | None = field(default=None, hash=False)
    """Configuration of the model for other programs, the content of ``config.json`` next to a checkpoint; or None."""

    def __post_init__(self) -> None:
        """Check the tensors.

        Raises:
            TypeError: if they are not a tuple of planned tensors.
            ValueError: if two of them have the same name, or a magnitude does not have the norms of its direction.
        """
        if not isinstance(self.tensors, tuple):
            raise TypeError(f"the tensors of a plan must be a tuple. Received: {type(self.tensors).__name__}")
        names = set()
        for tensor in self.tensors:
            if not isinstance(tensor, PlannedTensor):
                raise TypeError(f"a tensor of a plan must be a PlannedTensor. Received: {type(tensor).__name__}")
            if tensor.name in names:
                raise ValueError(f"a name must occur once in a plan. Received: {shown(tensor.name)} again")
            names.add(tensor.name)
        check_norms(self.tensors)

    @cached_property
    def parameters(self) -> int:
        """The number of elements of all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    @cached_property
    def nbytes(self) -> int:
        """The number of bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def __str__(self) -> str:
        """Return a table: name, shape, dtype, initializer, standard deviation, and source of the initializer."""
        return table(self.tensors)

    def __repr__(self) -> str:
        return f"<Plan of {len(self.tensors)} tensors, {self.parameters:,} parameters, {self.nbytes:,} bytes>"

    def _repr_html_(self) -> str:
        shown = self.tensors[:MAX_ROWS]
        more = [(f"{len(self.tensors) - MAX_ROWS:,} more", *("" for _ in COLUMNS[1:]))]
        return html_table(repr(self)[1:-1], [*map(row, shown), *more[: len(self.tensors) > MAX_ROWS]], COLUMNS)

    def to_json(self) -> str:
        """Return the plan as JSON for `parse_plan`. Repeated entries are written once, with ranges in their names.

        Raises:
            ValueError: if an initializer has no configuration, or `config` is not JSON.

        >>> from seedbed.plan import parse_plan
        >>> names = [f"h.{i}.bias" for i in range(3)]
        >>> plan = parse_plan(str({"tensors": [{"name": n, "shape": [8], "initializer": "zeros"} for n in names]})
        ...     .replace("'", '"'))
        >>> print(plan.to_json(), end="")
        {
          "dtype": "float32",
          "tensors": [
            {"name": "h.{0..2}.bias", "shape": [8], "initializer": "Zeros"}
          ]
        }
        >>> parse_plan(plan.to_json()) == plan
        True
        """
        return to_json(self.tensors, self.config)


def check_plan(plan: object) -> None:
    """Check that an argument is a plan, not its name or path.

    Raises:
        TypeError: if it is not a plan.
    """
    if not isinstance(plan, Plan):
        raise TypeError(f"plan must be a Plan, as load_plan returns it. Received: {type(plan).__name__}")

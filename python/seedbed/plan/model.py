"""A plan: the tensors of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from seedbed.plan.tensor import PlannedTensor
from seedbed.plan.writing import to_json


@dataclass(frozen=True)
class Plan:
    """The tensors of a model, in the plan's order. `load_plan` and `parse_plan` make valid ones.

    `config` is the configuration with which other programs build the model, or None: what a file ``config.json`` next
    to its checkpoint holds.
    """

    tensors: tuple[PlannedTensor, ...]
    config: Mapping[str, Any] | None = None

    @cached_property
    def parameters(self) -> int:
        """The number of elements of all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    @cached_property
    def nbytes(self) -> int:
        """The number of bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def to_json(self) -> str:
        """Write the plan as JSON, which `parse_plan` reads: each tensor has its own entry, or is in that of a range.

        Raises:
            ValueError: an initializer is none of those that have a configuration, or `config` is no JSON.

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

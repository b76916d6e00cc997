"""`recorded_rules`: a module's own initialization as an object that outlives the module's code."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.initializers import Initializer
from seedbed.plan import Plan, PlannedTensor, load_plan
from seedbed.plan.entries import about, as_initializer
from seedbed.plan.rules import InitializerLike, nearest_selectors
from seedbed.torch.fill import check_fans

if TYPE_CHECKING:
    import numpy as np

    from seedbed.shapes import Shape

CHANGED = "changed"
"""The source of an initializer that was put in the place of a recorded one."""


@dataclass(frozen=True)
class Undecided:
    """A tensor without an initializer."""

    name: str
    shape: Shape
    dtype: np.dtype
    reason: str


class RecordedRules(MutableMapping[str, Initializer]):
    """The initializer of each parameter and buffer of a module, by name, to read, change, save and load.

    Printed, it is a table. It is given to `initialize_` and `plan_of` in the place of rules. `plan` is the same as a
    `seedbed.plan.Plan`. A pattern in the place of a name changes, or deletes, all tensors that it matches; what is
    deleted is left to other rules.

    Arguments:
        tensors: the planned tensors, and those for which nothing decides. `recorded_rules` makes them.

    >>> import torch, seedbed.torch
    >>> rules = seedbed.torch.recorded_rules(torch.nn.Linear(4, 3, device="meta"))
    >>> rules["bias"] = "zeros"
    >>> print(rules)
    name    shape   dtype    initializer                             stddev  source
    weight  (3, 4)  float32  RandomUniform(minval=-0.5, maxval=0.5)  0.2887  layer default
    bias    (3,)    float32  Zeros()                                 0       changed
    """

    def __init__(self, tensors: Iterable[PlannedTensor | Undecided]) -> None:
        self._tensors = {tensor.name: tensor for tensor in tensors}

    @property
    def plan(self) -> Plan:
        """The plan of the tensors that have an initializer."""
        return Plan(tuple(tensor for tensor in self._tensors.values() if isinstance(tensor, PlannedTensor)))

    @property
    def undecided(self) -> dict[str, str]:
        """Why there is no initializer, for each tensor that has none."""
        return {name: tensor.reason for name, tensor in self._tensors.items() if isinstance(tensor, Undecided)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the rules to a file, as a plan in JSON.

        Raises:
            ValueError: if a tensor has no initializer, or one that JSON cannot express.
        """
        for name, reason in self.undecided.items():
            raise ValueError(f"each tensor must have an initializer. Received: {name}, which has none: {reason}")
        Path(path).write_text(self.plan.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RecordedRules:
        """Read rules from a file that `save` wrote, or from another plan."""
        return cls(load_plan(path).tensors)

    def __getitem__(self, name: str) -> Initializer:
        tensor = self._tensors[name]
        if isinstance(tensor, Undecided):
            raise KeyError(f"{name} has no initializer: {tensor.reason}")
        return tensor.initializer

    def __setitem__(self, selector: str, initializer: InitializerLike) -> None:
        made = as_initializer(initializer)
        for name in self._selected(selector):
            tensor = self._tensors[name]
            with about(name):
                check_fans(made, tensor.shape)
                made.check(tensor.shape, tensor.dtype)
            self._tensors[name] = PlannedTensor(name, tensor.shape, tensor.dtype, made, CHANGED)

    def __delitem__(self, selector: str) -> None:
        for name in self._selected(selector):
            del self._tensors[name]

    def _selected(self, selector: str) -> list[str]:
        names = [selector] if selector in self._tensors else fnmatch.filter(self._tensors, selector)
        if not names:
            near = ", ".join(map(repr, nearest_selectors(selector, [*self])))
            raise KeyError(
                f"{selector!r} is the name of no tensor, and matches none" + (f" (near it: {near})" if near else "")
            )
        return names

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __str__(self) -> str:
        return "\n".join([str(self.plan), *(f"{name}: {reason}" for name, reason in self.undecided.items())])

    def __repr__(self) -> str:
        return f"RecordedRules({len(self)} tensors)"

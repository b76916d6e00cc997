"""`RecordedRules`: a module's own initialization as a mapping that can be changed, saved and loaded."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.initializers import Initializer, Norms
from seedbed.plan import Plan, PlannedTensor, load_plan
from seedbed.plan.entries import about, as_initializer
from seedbed.plan.magnitudes import SOURCE, norms_of
from seedbed.plan.rules import InitializerLike, nearest_selectors
from seedbed.torch.fill import check_fans

if TYPE_CHECKING:
    import numpy as np

    from seedbed.shapes import Shape

CHANGED = "changed"
"""Source, in plans, of an initializer that replaced a recorded one."""


@dataclass(frozen=True)
class Undecided:
    """A tensor without an initializer."""

    name: str
    shape: Shape
    dtype: np.dtype
    reason: str
    seed_of: str | None = None
    """The name of the direction, if the tensor is the magnitude of a weight norm."""


def magnitude(tensor: PlannedTensor | Undecided, direction: PlannedTensor | Undecided) -> PlannedTensor | Undecided:
    """Return the magnitude of a weight norm, with the norms of its direction."""
    name, shape, dtype = tensor.name, tensor.shape, tensor.dtype
    if isinstance(direction, Undecided):
        return Undecided(name, shape, dtype, direction.reason, direction.name)
    norms = norms_of(direction.initializer, direction)
    return PlannedTensor(name, shape, dtype, norms, SOURCE, seed_of=direction.name)


class RecordedRules(MutableMapping[str, Initializer]):
    """A mapping from the name of each parameter and buffer of a module to its initializer.

    `recorded_rules` makes one. Pass it as `rules` to `initialize_` and `plan_of`. Printed, it is a table; `plan` is the
    same as a `seedbed.plan.Plan`. Assigning to, or deleting, a pattern (`fnmatch`) changes all tensors that it matches.
    Other rules decide deleted tensors. The magnitude of a weight norm has the norms of its direction, also after a
    change of the direction, unless it is assigned alone.

    Arguments:
        tensors: `PlannedTensor` objects, and `Undecided` ones for tensors without an initializer.

    Raises:
        KeyError: at indexing, if no tensor has the name or matches the pattern, or if it has no initializer.
        TypeError, ValueError: at assignment, if the initializer does not make the tensor.

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
        """Plan of the tensors that have an initializer."""
        return Plan(tuple(tensor for tensor in self._tensors.values() if isinstance(tensor, PlannedTensor)))

    @property
    def undecided(self) -> dict[str, str]:
        """The names of the tensors without an initializer, and the reason for each."""
        return {name: tensor.reason for name, tensor in self._tensors.items() if isinstance(tensor, Undecided)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the rules to a file, as a plan in JSON.

        Arguments:
            path: path of the file, which is overwritten.

        Raises:
            ValueError: if a tensor has no initializer, or one that JSON cannot express.
        """
        for name, reason in self.undecided.items():
            raise ValueError(f"each tensor must have an initializer. Received: {name}, without one: {reason}")
        Path(path).write_text(self.plan.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RecordedRules:
        """Read rules from a file that `save` wrote, or from another plan.

        Arguments:
            path: path of the file.
        """
        return cls(load_plan(path).tensors)

    def __getitem__(self, name: str) -> Initializer:
        tensor = self._tensors[name]
        if isinstance(tensor, Undecided):
            raise KeyError(f"{name} has no initializer: {tensor.reason}")
        return tensor.initializer

    def __setitem__(self, selector: str, initializer: InitializerLike) -> None:
        made = as_initializer(initializer)
        names = self._selected(selector)
        directions = {name: direction for name in self._tensors if (direction := self._direction(name)) is not None}
        for name in names:
            if directions.get(name) not in names:
                tensor = self._tensors[name]
                with about(name):
                    check_fans(made, tensor.shape)
                    made.check(tensor.shape, tensor.dtype)
                self._tensors[name] = PlannedTensor(name, tensor.shape, tensor.dtype, made, CHANGED)
        for name, direction in directions.items():
            if direction in names and self._direction(name) is not None:
                self._tensors[name] = magnitude(self._tensors[name], self._tensors[direction])

    def __delitem__(self, selector: str) -> None:
        for name in self._selected(selector):
            del self._tensors[name]

    def _direction(self, name: str) -> str | None:
        """The name of the direction whose norms a tensor has, if it is here."""
        tensor = self._tensors[name]
        of_norms = isinstance(tensor, Undecided) or isinstance(tensor.initializer, Norms)
        return tensor.seed_of if of_norms and tensor.seed_of in self._tensors else None

    def _selected(self, selector: str) -> list[str]:
        names = [selector] if selector in self._tensors else fnmatch.filter(self._tensors, selector)
        if not names:
            near = ", ".join(map(repr, nearest_selectors(selector, [*self])))
            raise KeyError(
                f"{selector!r} is not the name of a tensor, and does not match one"
                + (f" (near it: {near})" if near else "")
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

"""A plan, and a tensor of one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from seedbed.initializers import Initializer

OWN_ENTRY = "own entry"
"""The source of a tensor whose initializer its own entry names."""


@dataclass(frozen=True)
class PlannedTensor:
    """One tensor of a plan. Its initializer has no seed yet: the caller that evaluates it binds it to the name.

    `source` says what decided the initializer: the pattern of a default, or ``"own entry"``. It is a remark: tensors
    that differ in nothing else are equal.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    initializer: Initializer
    source: str = field(default=OWN_ENTRY, compare=False)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes of all elements."""
        return self.size * self.dtype.itemsize


@dataclass(frozen=True)
class Plan:
    """The tensors of a model, in the plan's order. `load_plan` and `parse_plan` make valid ones."""

    tensors: tuple[PlannedTensor, ...]

    @cached_property
    def parameters(self) -> int:
        """The number of elements of all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    @cached_property
    def nbytes(self) -> int:
        """The number of bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors)

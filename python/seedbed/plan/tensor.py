"""`PlannedTensor` and `Part`: one tensor of a plan, and its place in a larger tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from seedbed.initializers import Initializer
    from seedbed.shapes import Shape

OWN_ENTRY = "own entry"
"""Source of an initializer that the entry of the tensor names."""


class Part(NamedTuple):
    """The region of a larger tensor whose values a planned tensor has, in C order.

    A file may divide a parameter of the model: the experts of a layer can be one parameter in the model, but one tensor
    each in the file. If the part is the whole tensor, only the name differs.
    """

    name: str
    """Name of the whole tensor. The values are drawn from the child of the seed that has this name, or that in
    `PlannedTensor.seed_of`."""
    shape: Shape
    """Shape of the whole tensor."""
    partition_shape: Shape
    """Length of the part along each axis of the whole tensor."""
    partition_offset: Shape
    """First index of the part along each axis of the whole tensor."""


@dataclass(frozen=True)
class PlannedTensor:
    """One tensor of a plan."""

    name: str
    shape: Shape
    dtype: np.dtype
    initializer: Initializer
    """The initializer, without a seed: the tensor draws from the child of the checkpoint's seed that has its name."""
    source: str = field(default=OWN_ENTRY, compare=False)
    """Source of the initializer, for reports: the pattern of a default, or ``"own entry"``. Comparisons ignore it."""
    part: Part | None = None
    """The region of a larger tensor whose values this tensor has, or None."""
    seed_of: str | None = None
    """Name of another tensor, from whose child of the seed this tensor draws too, or None."""

    @property
    def seed_name(self) -> str:
        """Name of the child of the seed from which the values are drawn."""
        if self.seed_of is not None:
            return self.seed_of
        return self.name if self.part is None else self.part.name

    @property
    def whole_shape(self) -> Shape:
        """Shape in which the values are drawn: that of the tensor, or that of the whole if it is a part."""
        return self.shape if self.part is None else self.part.shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of all elements, in bytes."""
        return self.size * self.dtype.itemsize

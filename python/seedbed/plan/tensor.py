"""A tensor of a plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from seedbed.initializers import Initializer
    from seedbed.shapes import Shape

OWN_ENTRY = "own entry"
"""The source of a tensor whose initializer its own entry names."""


class Part(NamedTuple):
    """A tensor that is a part of another one, whose values it has there, in C order.

    Files divide what a model keeps as one: the experts of a layer are one parameter, and a tensor each in a file. Where
    the part is the whole, only the name differs.
    """

    name: str
    """Of the whole tensor: its values are drawn from the child of the seed that has this name, unless `seed_of` says
    another one."""
    shape: Shape
    """Of the whole tensor."""
    partition_shape: Shape
    """How many indices the part has along each axis of the whole."""
    partition_offset: Shape
    """The index along each axis of the whole at which the part begins."""


@dataclass(frozen=True)
class PlannedTensor:
    """One tensor of a plan. Its initializer has no seed yet: the caller that evaluates it binds it to the name.

    `source` says what decided the initializer: the pattern of a default, or ``"own entry"``. It is a remark: tensors
    that differ in nothing else are equal. `part` is None, or says of which tensor this is a part. `seed_of` is None, or
    the name of another tensor, whose child of the seed this one draws from too.
    """

    name: str
    shape: Shape
    dtype: np.dtype
    initializer: Initializer
    source: str = field(default=OWN_ENTRY, compare=False)
    part: Part | None = None
    seed_of: str | None = None

    @property
    def seed_name(self) -> str:
        """The name of the child of the seed that the values are drawn from."""
        if self.seed_of is not None:
            return self.seed_of
        return self.name if self.part is None else self.part.name

    @property
    def whole_shape(self) -> Shape:
        """The shape in which the values are drawn: that of the tensor, or of the whole of which it is a part."""
        return self.shape if self.part is None else self.part.shape

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes of all elements."""
        return self.size * self.dtype.itemsize

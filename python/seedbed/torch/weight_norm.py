"""Weight normalization: a weight is g v / |v|, and the magnitude g is initialized with the norms of v.

For `torch.nn.utils.parametrizations.weight_norm` and the older `torch.nn.utils.weight_norm`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from torch.nn.utils import parametrize
from torch.nn.utils.weight_norm import WeightNorm

from seedbed.initializers import Initializer
from seedbed.initializers.base import SeededInitializer
from seedbed.rules import Computed, Rule
from seedbed.seeds import UNBOUND, SeedLike
from seedbed.shapes import Shape, as_shape
from seedbed.torch.module_tensors import Entry


class Norms(SeededInitializer):
    """Euclidean norms of a tensor that another initializer makes.

    The squares are summed in float64, in an order that depends only on the shape: the result has the same bits on every
    machine.

    Arguments:
        initializer: the initializer of the tensor, without a seed.
        shape: the shape of the tensor.
        axis: the axis with one norm for each index; None for one norm of the whole tensor.
        seed: the seed of the tensor.

    >>> import seedbed as sb
    >>> Norms(sb.Constant(2.0), (3, 4), 0)((3, 1)).tolist()
    [[4.0], [4.0], [4.0]]
    """

    parameters: ClassVar[tuple[str, ...]] = ("initializer", "shape", "axis", "seed")

    def __init__(self, initializer: Initializer, shape: Sequence[int], axis: int | None, seed: SeedLike = None) -> None:
        super().__init__(seed)
        self.initializer = initializer
        self.shape = as_shape(shape)
        self.axis = axis

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        kept = tuple(length if axis == self.axis else 1 for axis, length in enumerate(self.shape))
        if shape != (() if self.axis is None else kept):
            raise ValueError(f"norms of a tensor of shape {self.shape} must have the shape {kept}. Received: {shape}")
        values = self.initializer.with_seed(self.seed).lazy(self.shape, dtype).rule
        return Computed(shape, partial(_write_norms, values, self.shape, self.axis))


def _write_norms(values: Rule, shape: Shape, axis: int | None, out: np.ndarray) -> None:
    """Write the norms of a tensor of that shape to an array."""
    tensor = np.empty(shape, out.dtype)
    values.write(tensor)
    norms = np.sqrt(_sums_of_squares(tensor[None] if axis is None else np.moveaxis(tensor, axis, 0)))
    out[...] = norms.reshape(out.shape).astype(out.dtype if out.itemsize > 4 else np.float32)


def _sums_of_squares(rows: np.ndarray) -> np.ndarray:
    """Return the sum of squares of each row, adding halves: NumPy's order of summation differs between machines."""
    terms = rows.reshape(len(rows), math.prod(rows.shape[1:])).astype(np.float64) ** 2
    while terms.shape[1] > 1:
        half = terms.shape[1] // 2
        rest = terms[:, 2 * half :]
        terms = terms[:, :half] + terms[:, half : 2 * half]
        if rest.size:
            terms[:, :1] += rest
    sums: np.ndarray = terms.sum(1)
    return sums


class Normed(NamedTuple):
    """The direction v whose norms a magnitude g has."""

    direction: Any
    """The tensor v."""
    axis: int | None
    """As in `Norms`."""


def normed_by(entry: Entry) -> Normed | None:
    """Return the direction and axis of a tensor that is the magnitude of a weight norm; None for other tensors."""
    owner, key = entry.places[0]
    if isinstance(owner, parametrize.ParametrizationList):
        (part, *more) = owner
        is_weight_norm = type(part).__module__ == "torch.nn.utils.parametrizations" and hasattr(part, "dim")
        if key == "original0" and is_weight_norm and type(part).__name__ == "_WeightNorm" and not more:
            return Normed(owner.original1, None if part.dim == -1 else part.dim)
        return None
    for hook in owner._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm) and key == f"{hook.name}_g":
            return Normed(owner._parameters.get(f"{hook.name}_v"), None if hook.dim == -1 else hook.dim)
    return None


def norms_of(initializer: Initializer, normed: Normed) -> Norms:
    """Return the initializer of the magnitude of a weight norm, from that of the direction."""
    return Norms(initializer, tuple(normed.direction.shape), normed.axis, UNBOUND)

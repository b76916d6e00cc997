"""Norms: the norms of a tensor that another initializer makes, as the magnitudes of weight normalization are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seedbed import seeds
from seedbed._float_state import in_default_state
from seedbed.dtypes import name_of
from seedbed.initializers._description import Description
from seedbed.initializers._nested import InitializerLike, as_nested, nested_config
from seedbed.initializers.base import Initializer, SeededInitializer
from seedbed.regions import Axis, axes_of, pieces, shape_of, within
from seedbed.rules import Repeated, Rule
from seedbed.shapes import Shape, ShapeLike, as_shape

PIECE_ELEMENTS = 1 << 20
"""Maximum number of elements whose squares are in memory at a time, except for a single norm of more."""


class Norms(SeededInitializer):
    """The Euclidean norms of a tensor that another initializer makes: the magnitudes g of a weight g v / |v|.

    With the seed of v, g has the norms of v, so that the weight is initialized with v (weight normalization, Salimans &
    Kingma 2016). The shape of a call broadcasts to that of v, and a norm is taken over the axes along which it has a
    length of 1, or that it does not have: for v of shape (6, 5, 3), g of shape (6, 1, 1) has a norm for each index of
    the first axis, g of shape (3,) for each index of the last one, and g of shape () the norm of all of v.

    The norms are those of the values that v has in the dtype, summed in float64 in an order that depends only on the
    shape, and rounded in the end. A slice takes as long as the elements of v under its norms. The work takes 16 MiB, or
    12 bytes for each element of v under one norm if that is more (16 in float64); if v is computed as a whole, such as
    by `Orthogonal`, as much as v in addition.

    Arguments:
        initializer: makes v: an object, a name or a configuration, without a seed.
        shape: shape of v.
        seed: None, an integer or a `SeedGenerator`: the seed of v.

    Raises:
        TypeError, ValueError: if an argument is not as described; at the call, if its shape does not broadcast to that
            of v, the initializer does not make v, the dtype is not floating point, or a norm exceeds its numbers.
        MemoryError: at the call, if there is no memory for the work.

    >>> import numpy as np, seedbed as sb
    >>> sb.Norms(sb.Constant(2.0), (3, 4))((3, 1)).tolist()
    [[4.0], [4.0], [4.0]]
    >>> v = sb.HeNormal(seed=1)((64, 32))
    >>> g = sb.Norms(sb.HeNormal(), (64, 32), seed=1)((32,))
    >>> bool(np.allclose(g, np.linalg.norm(v, axis=0), rtol=1e-6))
    True
    """

    parameters: ClassVar[tuple[str, ...]] = ("initializer", "shape", "seed")

    def __init__(self, initializer: InitializerLike, shape: ShapeLike, seed: seeds.SeedLike = None) -> None:
        super().__init__(seed)
        self.initializer: Initializer = as_nested("the initializer of a tensor that has norms", initializer)
        self.shape = as_shape(shape)

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        element = super().as_dtype(dtype)
        self.initializer.as_dtype(element)
        return element

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        missing = len(self.shape) - len(shape)
        lengths = (1,) * missing + shape
        if missing < 0 or any(length not in (1, whole) for length, whole in zip(lengths, self.shape, strict=True)):
            raise ValueError(
                f"the shape of norms must broadcast to that of the tensor, {self.shape}, with length 1 along each "
                f"axis that a norm covers. Received: {shape}"
            )
        self.initializer.check(self.shape, dtype)  # before a draw is taken
        source = seeds.generator_at(self._draw())
        return NormsOf(self.initializer.with_seed(source).rule_of(self.shape, dtype), self.shape, lengths)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initializer": nested_config(self.initializer)}

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        return Description() if 0 in shape else Description(minimum=0.0)


class NormsOf(Rule):
    """The norms of a tensor that has another rule."""

    __slots__ = ("lengths", "rule", "shape")

    def __init__(self, rule: Rule, shape: Shape, lengths: Shape) -> None:
        self.rule = rule
        self.shape = shape
        """Of the tensor."""
        self.lengths = lengths
        """Number of norms along each axis of the tensor."""

    @property
    def needs_whole(self) -> bool:
        return self.rule.needs_whole

    @in_default_state
    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        if out.size == 0:
            return
        rule = self.rule
        if rule.needs_whole:
            whole = np.empty(self.shape, out.dtype)
            rule.write(whole)
            rule = Repeated(whole)
        given = axes_of(self.lengths) if axes is None else axes
        region = [*axes_of(self.lengths[: len(self.lengths) - len(given)]), *given]
        under = [axis for axis, length in enumerate(self.shape) if self.lengths[axis] != length]
        count = math.prod(self.shape[axis] for axis in under)
        norms, done = out.reshape(-1), 0
        for piece in pieces(shape_of(region), max(1, PIECE_ELEMENTS // max(1, count))):
            box = within(region, piece)
            size = math.prod(shape_of(box))
            for axis in under:
                box[axis] = (self.shape[axis], 0, 1, self.shape[axis])
            values = np.empty(shape_of(box), out.dtype)
            rule.write(values, box)
            terms = np.moveaxis(values, under, range(values.ndim - len(under), values.ndim)).astype(np.float64, "C")
            del values
            _write_norms(terms.reshape(size, count), norms[done : done + size])
            done += size


def _write_norms(terms: npt.NDArray[np.float64], out: np.ndarray) -> None:
    """Write the norm of each row of elements, which is overwritten."""
    with np.errstate(all="ignore"):
        norms = np.sqrt(_sums_of_squares(terms))
        out[...] = norms if out.itemsize == 8 else norms.astype(np.float32)  # the narrow floats, from float32
        finite = np.isfinite(out.astype(np.float64))
    if not finite.all():
        raise ValueError(f"a norm must be a finite number of {name_of(out.dtype)}. Received: {norms[~finite][0]}")


def _sums_of_squares(terms: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The sum of the squares of each row, by halves: NumPy's own order of summation differs between machines."""
    length = terms.shape[1]
    if length == 0:
        return np.zeros(len(terms))
    terms *= terms
    while length > 1:
        half = length // 2
        terms[:, :half] += terms[:, half : 2 * half]
        if length % 2:
            terms[:, 0] += terms[:, length - 1]
        length = half
    return terms[:, 0]

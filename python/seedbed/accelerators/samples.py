"""The input of an evaluation on a device: a distribution, the words of an address, the runs of a region."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seedbed import _core
from seedbed.regions import Axis
from seedbed.seeds import Address

BLOCK = 16
"""Number of words of a block of the keystream."""

LOW_PLANE = 1 << 63
"""Index of the block with the low words of the first elements."""

LEAST = 1e-20
"""The least scale, and the least absolute center and bound except 0. From here on, no step of the arithmetic gives a
subnormal number, which a device may flush to 0. The least standard values are about 2^-32, and a sum keeps 24 bits
below the smaller term."""


class Sample(NamedTuple):
    """A distribution whose values are computed in float32 arithmetic, and then narrowed to the dtype."""

    kind: str
    """The standard distribution: "uniform", "normal" or "truncated_normal"."""
    center: float
    scale: float
    least: float
    """Lower bound of the values, a number of the dtype. Unused for "normal"."""
    greatest: float
    """Upper bound of the values, a number of the dtype. Unused for "normal"."""
    dtype: str
    """The element type: "float32", "bfloat16" or "float16"."""

    @property
    def bounded(self) -> bool:
        """Whether values are clamped to `least` and `greatest`."""
        return self.kind != "normal"


def sample_of(recipe: _core.Recipe) -> Sample | None:
    """Return the sample that a device evaluates for a recipe; None if only the engine can evaluate it.

    The engine alone makes float64, complex and eight-bit values, normals between other bounds than ±2, and functions of
    a uniform; and values that could be subnormal numbers, or 0 by their scale.

    >>> from seedbed._core import Recipe
    >>> sample_of(Recipe("normal", [0.0, 0.02], "bfloat16"))
    Sample(kind='normal', center=0.0, scale=0.02, least=-0.185, greatest=0.185, dtype='bfloat16')
    >>> sample_of(Recipe("normal", [0.0, 1e-37], "float32"))
    """
    placement = recipe.placement
    if placement is None:
        return None
    kind, (center, scale, least, greatest) = placement
    if scale < LEAST or any(0 < abs(number) < LEAST for number in (center, least, greatest)):
        return None
    *_, dtype = recipe.__reduce__()[1]
    return Sample(kind, center, scale, least, greatest, dtype)


def forced() -> bool:
    """Whether the environment variable SEEDBED_DEVICE has the host evaluate all values.

    Raises:
        ValueError: if it is neither empty nor "host".
    """
    asked = os.environ.get("SEEDBED_DEVICE", "")
    if asked not in ("", "host"):
        raise ValueError(f'SEEDBED_DEVICE must be "host", or not be set. Received: {asked!r}')
    return bool(asked)


def key_words(address: Address) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Return the eight words of a key and the two words of a stream, the lowest word first."""
    key, stream = address
    return tuple(np.frombuffer(key, "<u4").tolist()), (stream & 0xFFFFFFFF, stream >> 32)


class Runs(NamedTuple):
    """A region as runs of consecutive elements of equal length."""

    firsts: npt.NDArray[np.uint64]
    """Index of the first element of each run, in the order of the region's elements."""
    length: int
    """Number of elements of each run."""


def runs_of(axes: Sequence[Axis]) -> Runs:
    """Return the runs of a region.

    Axes that the region has whole are one run with the axis before them.

    >>> runs_of([(4, 1, 1, 2), (6, 0, 1, 6)])
    Runs(firsts=array([6], dtype=uint64), length=12)
    >>> runs_of([(4, 1, 1, 2), (6, 2, 1, 3)])
    Runs(firsts=array([ 8, 14], dtype=uint64), length=3)
    """
    length, inner = 1, len(axes)
    while inner:
        size, _, step, count = axes[inner - 1]
        if step != 1 and count > 1:
            break
        inner -= 1
        length *= count
        if count != size:
            break
    stride = math.prod(size for size, *_ in axes[inner + 1 :])
    firsts = np.zeros(1, np.uint64)
    if inner < len(axes):
        firsts += np.uint64(axes[inner][1] * stride)
        stride *= axes[inner][0]
    for size, start, step, count in reversed(axes[:inner]):
        places = np.uint64(start * stride) + (np.arange(count, dtype=np.int64) * (step * stride)).view(np.uint64)
        firsts = (places[:, None] + firsts).ravel()
        stride *= size
    return Runs(firsts, length)

"""Rules: how the elements of a tensor get their values.

| rule | value of an element |
|---|---|
| `Sampled` | the quantile of a distribution at the element's address |
| `Repeated` | the element of a given array, broadcast |
| `Computed` | the element of a tensor that is computed as a whole |

Initializers with other rules define them in their own modules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from seedbed import _core
from seedbed.dtypes import COMPLEX, name_of
from seedbed.regions import Axis, as_slice, shape_of
from seedbed.seeds import Address
from seedbed.shapes import Shape
from seedbed.threads import get_num_threads

Distribution: TypeAlias = tuple[str, tuple[float, ...]]
"""The name of a distribution and its parameters."""


class Rule(ABC):
    """How the elements of one tensor get their values. A region has the bits that the whole tensor has there."""

    __slots__ = ()

    @property
    def needs_whole(self) -> bool:
        """Whether a region costs about as much as the whole tensor, so that the whole is best evaluated once."""
        return False

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickle slots under protocols 0 and 1 too."""
        return super().__reduce_ex__(max(int(protocol), 2))

    @abstractmethod
    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        """Write the elements of a region, or of the whole tensor, to `out`.

        Arguments:
            out: contiguous in C order, of any shape, with as many elements as the region.
            axes: the region; the whole tensor without them.
        """


@dataclass(slots=True)
class Sampled(Rule):
    """Independent values of one distribution, each evaluated at its own address."""

    distribution: Distribution
    address: Address

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        if out.dtype.kind == "c":  # a real tensor with a last axis of 2
            out = out.reshape(-1).view(COMPLEX[name_of(out.dtype)])
            axes = None if axes is None else [*axes, (2, 0, 1, 2)]
        _core.fill(*stored(out), self.distribution, self.address, axes, get_num_threads())


@dataclass(slots=True)
class Repeated(Rule):
    """A number, or an array that is broadcast: along leading axes, and along axes where its length is 1."""

    value: npt.NDArray[Any]

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        if axes is None:
            out[...] = self.value
            return
        value = self.value.reshape((1,) * (len(axes) - self.value.ndim) + self.value.shape)
        selection = (
            slice(0, 1) if length == 1 else as_slice(axis) for length, axis in zip(value.shape, axes, strict=True)
        )
        out.reshape(shape_of(axes))[...] = value[tuple(selection)]


@dataclass(slots=True)
class Computed(Rule):
    """A tensor of which every element depends on the whole. A region is cut from the whole."""

    shape: Shape
    compute: Callable[[np.ndarray], None]
    """Writes the tensor to an array of its shape, contiguous in C order."""

    @property
    def needs_whole(self) -> bool:
        return True

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        if out.size == 0:
            return
        if axes is None:
            self.compute(out)
            return
        whole = np.empty(self.shape, out.dtype)
        self.compute(whole)
        out.reshape(shape_of(axes))[...] = whole[tuple(as_slice(axis) for axis in axes)]


def stored(out: np.ndarray) -> tuple[np.ndarray, str]:
    """Return an array as the extension module takes it, and the name of its dtype.

    The extension module has no 16-bit floats: it gets their bits.
    """
    return out.view(np.uint16) if out.itemsize == 2 else out, name_of(out.dtype)

"""Rules: the values of the elements of one tensor.

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
from functools import lru_cache
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
    """The values of the elements of one tensor. A region has the same bits as in the whole tensor."""

    __slots__ = ()

    @property
    def needs_whole(self) -> bool:
        """Whether the evaluation of any region takes as long as that of the whole tensor."""
        return False

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickle slots under protocols 0 and 1 too."""
        return super().__reduce_ex__(max(int(protocol), 2))

    def __dask_tokenize__(self) -> object:
        """Return the token for Dask's names. By default Dask hashes the pickle, which differs between processes."""
        from dask.base import normalize_token

        return normalize_token((type(self).__qualname__, self.__reduce_ex__(2)[2]))

    @abstractmethod
    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        """Write the elements of a region, or of the whole tensor, to `out`.

        Arguments:
            out: contiguous in C order, of any shape, with as many elements as the region.
            axes: the region; None for the whole tensor.
        """


@lru_cache(maxsize=1024)
def compiled(distribution: str, parameters: tuple[float, ...], dtype: np.dtype) -> _core.Recipe:
    """Return the recipe of a distribution for a dtype.

    The recipe of equal arguments is compiled once. It depends on nothing else, so that it never becomes stale.

    Raises:
        ValueError: if the parameters are invalid for the distribution, or a value is not representable in the dtype.
    """
    return _core.Recipe(distribution, parameters, name_of(dtype))


class Sampled(Rule):
    """Independent values of one distribution, each evaluated at its own address."""

    __slots__ = ("address", "recipe")

    def __init__(self, recipe: _core.Recipe, address: Address) -> None:
        self.recipe = recipe
        self.address = address

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        self.recipe.fill(stored(out), self.address, axes, get_num_threads())


class Repeated(Rule):
    """A number or an array, broadcast along leading axes and along axes of length 1."""

    __slots__ = ("value",)

    def __init__(self, value: npt.NDArray[Any]) -> None:
        self.value = value

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        if axes is None:
            out[...] = self.value
            return
        value = self.value.reshape((1,) * (len(axes) - self.value.ndim) + self.value.shape)
        selection = (
            slice(0, 1) if length == 1 else as_slice(axis) for length, axis in zip(value.shape, axes, strict=True)
        )
        out.reshape(shape_of(axes))[...] = value[tuple(selection)]


class Computed(Rule):
    """A tensor whose elements all depend on the whole tensor. A region is cut from the whole tensor.

    Arguments:
        shape: shape of the tensor.
        compute: a function that writes the tensor to an array of its shape, contiguous in C order.
    """

    __slots__ = ("compute", "shape")

    def __init__(self, shape: Shape, compute: Callable[[np.ndarray], None]) -> None:
        self.shape = shape
        self.compute = compute

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


def stored(out: np.ndarray) -> np.ndarray:
    """Return a view for the extension module: floats of 16 or 8 bits as integers, complex numbers as pairs."""
    if out.itemsize <= 2:
        return out.view(f"u{out.itemsize}")
    if out.dtype.kind == "c":
        return out.reshape(-1).view(COMPLEX[name_of(out.dtype)])
    return out

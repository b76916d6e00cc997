"""Contents of recorded storages: unset memory, numbers, values of a distribution, or values without an initializer.

A storage has a list of contents, each for a grid of elements; a later one replaces earlier ones on the elements that
they share. Numbers are computed on demand, by replaying the recorded operations on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from seedbed.initializers import Initializer
from seedbed.torch.recorder.views import IndexGrid, Layout, covers, intersection, is_empty, layout_of

MAX_CONTENTS = 64
"""Number of contents of a storage above which those that are all numbers are merged into one `Known`."""


class Normal(NamedTuple):
    """A normal distribution, truncated to [low, high]. The mean and standard deviation are those before truncation."""

    mean: float
    stddev: float
    low: float = -math.inf
    high: float = math.inf


class Uniform(NamedTuple):
    """A uniform distribution on [low, high)."""

    low: float
    high: float


class Composed(NamedTuple):
    """A chain of functions, applied to values that are uniform on [low, high)."""

    low: float
    high: float
    steps: tuple[tuple[str, float], ...]
    """Name and operand of each function: `mul` has a factor, `add` a summand, `floor` a bound; others ignore theirs."""


class Structured(NamedTuple):
    """A tensor whose elements depend on their indices or on each other, such as an orthogonal matrix."""

    initializer: Initializer
    axes: tuple[int, ...]
    """For each axis of the initializer's tensor, the corresponding axis of the recorded tensor."""


Distribution: TypeAlias = "Normal | Uniform | Composed | Structured"


class Unset(NamedTuple):
    """Memory to which nothing was written."""


class Filled(NamedTuple):
    """The same number in every element."""

    number: torch.Tensor
    """A tensor without axes, on the CPU."""


class Known(NamedTuple):
    """Numbers that do not depend on a random operation."""


class Drawn(NamedTuple):
    """Random values."""

    distribution: Distribution
    call: int
    """Ordinal of the call that drew them."""
    origins: tuple[tuple[int, IndexGrid], ...] = ()
    """Each storage that the values were copied from, in order: its number, and the grid of elements there."""
    copied_by: str | None = None
    """Name of the operation that copied them last."""
    in_place: bool = True
    """Whether each value is at the index at which it was drawn. False after a write or read through a view."""


class Unknown(NamedTuple):
    """Values for which there is no initializer."""

    reason: str
    """The cause, as errors name it: an operation, or a description of the elements."""


Content: TypeAlias = "Unset | Filled | Known | Drawn | Unknown"
Contents: TypeAlias = "list[tuple[IndexGrid, Content]]"

TARGET = object()
"""Placeholder, among recorded arguments, for the tensor that the operation changes in place."""


class Write(NamedTuple):
    """An operation that wrote numbers to a storage."""

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    """In `args` and `kwargs`, tensors are replaced by references, or by `TARGET`."""
    layout: Layout
    """Layout of the tensor that was written."""
    dtype: torch.dtype
    """Dtype of that tensor."""
    result: int | None
    """Position of that tensor among the results of the operation; None if it is changed in place."""


class Storage:
    """The recorded contents of one storage."""

    __slots__ = ("contents", "dtype", "layout", "number", "replayed", "torch_storage", "writes")

    def __init__(self, tensor: Any, number: int) -> None:
        self.number = number
        """Ordinal of the storage in its recording."""
        self.torch_storage = tensor.untyped_storage()
        """The storage itself. The reference keeps its address from being reused."""
        self.layout = layout_of(tensor)
        """Layout of the tensor that the storage was made for. Grids are indices into this tensor, the whole."""
        self.dtype: torch.dtype = tensor.dtype
        self.contents: Contents = [(self.whole, Unset())]
        self.writes: list[Write] = []
        self.replayed: tuple[torch.Tensor, int] | None = None

    @property
    def whole(self) -> IndexGrid:
        """The grid of all elements of the whole."""
        return (None,) * len(self.layout.shape)

    def put(self, grid: IndexGrid, content: Content) -> None:
        """Replace the contents of a grid."""
        self.contents = [entry for entry in self.contents if not covers(grid, entry[0])]
        self.contents.append((grid, content))
        if len(self.contents) > MAX_CONTENTS:
            self.contents = visible(self.contents, self.layout.shape)
            if len(self.contents) > MAX_CONTENTS and is_known(self.contents):
                self.contents = [(self.whole, Known())]

    def within(self, grid: IndexGrid) -> Contents:
        """Return the visible contents of a grid: those that no later content replaced."""
        shared = [_part(own, content, grid) for own, content in self.contents]
        return visible([entry for entry in shared if not is_empty(entry[0])], self.layout.shape)

    def replay(self, version: int) -> torch.Tensor:
        """Return the bytes after the first `version` writes. Bytes of random values are arbitrary."""
        memory, done = self.replayed or (torch.empty(0), version + 1)
        if done > version:
            # np.zeros maps memory without touching it: only the pages that the writes reach take memory.
            memory, done = torch.from_numpy(np.zeros(self.torch_storage.nbytes(), np.uint8)), 0
        for write in self.writes[done:version]:
            target = _as(memory, write.layout, write.dtype)
            results = write.function(*_evaluated(write.args, target), **_evaluated(write.kwargs, target))
            if write.result is not None:
                target.copy_(results if isinstance(results, torch.Tensor) else results[write.result])
        self.replayed = memory, version
        return memory


class Reference(NamedTuple):
    """A tensor at a point in the recording."""

    storage: Storage
    version: int
    """Number of writes to its storage before that point."""
    layout: Layout
    dtype: torch.dtype

    def evaluate(self) -> torch.Tensor:
        """Return the numbers in a new tensor on the CPU."""
        with torch.no_grad():
            return _as(self.storage.replay(self.version), self.layout, self.dtype).clone()


def _as(memory: torch.Tensor, layout: Layout, dtype: torch.dtype) -> torch.Tensor:
    """Return a view of bytes as a tensor of a layout and dtype."""
    tensor = torch.empty(0, dtype=dtype, device="cpu")
    return tensor.set_(memory.untyped_storage(), layout.offset, layout.shape, layout.strides)


def _evaluated(value: Any, target: torch.Tensor) -> Any:
    """Replace references among arguments by tensors of numbers, and `TARGET` by the target."""
    if value is TARGET:
        return target
    if isinstance(value, Reference):
        return value.evaluate()
    if isinstance(value, dict):
        return {key: _evaluated(item, target) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_evaluated(item, target) for item in value)
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _part(own: IndexGrid, content: Content, grid: IndexGrid) -> tuple[IndexGrid, Content]:
    """Return the elements of `own` in a grid, and their content."""
    part = intersection(own, grid)
    if isinstance(content, Drawn) and isinstance(content.distribution, Structured) and not covers(grid, own):
        content = Unknown("part of a tensor that is drawn as a whole")
    return part, content


def is_known(contents: Iterable[tuple[IndexGrid, Content]]) -> bool:
    """Return whether all contents are numbers."""
    return all(isinstance(content, (Filled, Known)) for _, content in contents)


def visible(contents: Contents, shape: Sequence[int]) -> Contents:
    """Return the contents that later ones do not replace completely."""
    if len(contents) < 2:
        return contents
    groups, counts = [], []  # Along each axis, the indices that belong to the same contents form a group.
    for axis, length in enumerate(shape):
        present = np.zeros((len(contents), length), bool)
        for number, (grid, _) in enumerate(contents):
            present[number, slice(None) if grid[axis] is None else grid[axis]] = True
        _, group = np.unique(present, axis=1, return_inverse=True)
        groups.append(group.reshape(-1))
        counts.append(int(groups[-1].max(initial=-1)) + 1)
    latest = np.full(counts, -1, np.int64)
    for number, (grid, _) in enumerate(contents):
        cells = [np.unique(group if own is None else group[own]) for own, group in zip(grid, groups, strict=True)]
        latest[np.ix_(*cells)] = number
    return [contents[number] for number in np.unique(latest) if number >= 0]

"""What the elements of a recorded tensor are: numbers, values drawn from a distribution, or neither.

A storage has a list of contents, each with its region. A later one covers what earlier ones say of the same elements.
The numbers themselves are computed when they are asked for, from the operations that were recorded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from seedbed.initializers import Initializer
from seedbed.torch.views import Layout, Region, covers, intersection, is_empty, layout_of

MAX_CONTENTS = 64
"""Maximum number of contents of a storage for which numbers are distinguished."""


class Normal(NamedTuple):
    """A normal distribution, truncated to [low, high]."""

    mean: float
    stddev: float
    low: float = -math.inf
    high: float = math.inf


class Uniform(NamedTuple):
    """A uniform distribution on [low, high)."""

    low: float
    high: float


class Composed(NamedTuple):
    """Functions of values that are uniform on [low, high), one after the other."""

    low: float
    high: float
    steps: tuple[tuple[str, float], ...]
    """Of each function the name, and its number: the factor of `mul`, the summand of `add`, the bound of `floor`."""


class Structured(NamedTuple):
    """A tensor whose elements depend on their places or on each other, such as an orthogonal matrix."""

    initializer: Initializer
    axes: tuple[int, ...]
    """For each axis of the initializer's tensor, the axis of the whole that it is a part of."""


Distribution: TypeAlias = "Normal | Uniform | Composed | Structured"


class Unset(NamedTuple):
    """Memory that nothing was written to."""


class Filled(NamedTuple):
    """One number everywhere."""

    number: torch.Tensor
    """Without axes, on the CPU."""


class Known(NamedTuple):
    """Numbers that no random operation went into."""


class Drawn(NamedTuple):
    """Random values."""

    distribution: Distribution
    call: int
    """Number of the call that drew them."""
    origins: tuple[tuple[int, Region], ...] = ()
    """The numbers of the storages from which they were copied, one after the other, and the region in each."""
    copied_by: str | None = None
    """The operation that copied them last."""
    in_place: bool = True
    """Whether each value is at the index at which it was drawn: no view came between."""


class Unknown(NamedTuple):
    """Values that no initializer is known for."""

    reason: str


Content: TypeAlias = "Unset | Filled | Known | Drawn | Unknown"
Contents: TypeAlias = "list[tuple[Region, Content]]"

TARGET = object()
"""Stands for the tensor that an operation changes, among its arguments."""


class Write(NamedTuple):
    """An operation that wrote numbers to a storage."""

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    """Tensors among the arguments are references, or `TARGET`."""
    layout: Layout
    """Of the tensor that it wrote."""
    dtype: torch.dtype
    result: int | None
    """Which of its results that tensor is; None if the operation changes it in place."""


class Memory:
    """The recorded contents of one storage."""

    __slots__ = ("contents", "dtype", "layout", "number", "replayed", "storage", "writes")

    def __init__(self, tensor: Any, number: int) -> None:
        self.number = number
        self.storage = tensor.untyped_storage()
        """Kept, so that no other storage gets its address."""
        self.layout = layout_of(tensor)
        """Of the tensor that the memory was made for: the whole, of which the regions are."""
        self.dtype: torch.dtype = tensor.dtype
        self.contents: Contents = [(self.whole, Unset())]
        self.writes: list[Write] = []
        self.replayed: tuple[torch.Tensor, int] | None = None

    @property
    def whole(self) -> Region:
        """The region of all elements."""
        return (None,) * len(self.layout.shape)

    def put(self, region: Region, content: Content) -> None:
        """Cover a region."""
        self.contents = [entry for entry in self.contents if not covers(region, entry[0])]
        self.contents.append((region, content))
        if len(self.contents) > MAX_CONTENTS:
            self.contents = visible(self.contents, self.layout.shape)
            if len(self.contents) > MAX_CONTENTS and is_known(self.contents):
                self.contents = [(self.whole, Known())]

    def within(self, region: Region) -> Contents:
        """The contents of a region, as far as later ones do not cover them."""
        shared = [_part(own, content, region) for own, content in self.contents]
        return visible([entry for entry in shared if not is_empty(entry[0])], self.layout.shape)

    def replay(self, version: int) -> torch.Tensor:
        """The bytes after so many of the writes. Where values were drawn, they are arbitrary."""
        memory, done = self.replayed or (torch.empty(0), version + 1)
        if done > version:
            # NumPy leaves zeros to the system, which gives memory to pages that are written.
            memory, done = torch.from_numpy(np.zeros(self.storage.nbytes(), np.uint8)), 0
        for write in self.writes[done:version]:
            target = _as(memory, write.layout, write.dtype)
            results = write.function(*_evaluated(write.args, target), **_evaluated(write.kwargs, target))
            if write.result is not None:
                target.copy_(results if isinstance(results, torch.Tensor) else results[write.result])
        self.replayed = memory, version
        return memory


class Reference(NamedTuple):
    """A tensor as it was at some time."""

    memory: Memory
    version: int
    """Number of writes before that time."""
    layout: Layout
    dtype: torch.dtype

    def evaluate(self) -> torch.Tensor:
        """The numbers, in memory of their own on the CPU."""
        with torch.no_grad():
            return _as(self.memory.replay(self.version), self.layout, self.dtype).clone()


def _as(memory: torch.Tensor, layout: Layout, dtype: torch.dtype) -> torch.Tensor:
    """Bytes as a tensor of that layout."""
    tensor = torch.empty(0, dtype=dtype, device="cpu")
    return tensor.set_(memory.untyped_storage(), layout.offset, layout.shape, layout.strides)


def _evaluated(value: Any, target: torch.Tensor) -> Any:
    """Arguments with tensors of numbers instead of references."""
    if value is TARGET:
        return target
    if isinstance(value, Reference):
        return value.evaluate()
    if isinstance(value, dict):
        return {key: _evaluated(item, target) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_evaluated(item, target) for item in value)
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _part(own: Region, content: Content, region: Region) -> tuple[Region, Content]:
    """The part of a content in a region."""
    part = intersection(own, region)
    if isinstance(content, Drawn) and isinstance(content.distribution, Structured) and not covers(region, own):
        content = Unknown("part of a tensor that is drawn as a whole")
    return part, content


def is_known(contents: Iterable[tuple[Region, Content]]) -> bool:
    """Whether all contents are numbers."""
    return all(isinstance(content, (Filled, Known)) for _, content in contents)


def visible(contents: Contents, shape: Sequence[int]) -> Contents:
    """The contents that later ones do not cover."""
    if len(contents) < 2:
        return contents
    groups, counts = [], []  # of indices along each axis that the same contents have
    for axis, length in enumerate(shape):
        present = np.zeros((len(contents), length), bool)
        for number, (region, _) in enumerate(contents):
            present[number, slice(None) if region[axis] is None else region[axis]] = True
        _, group = np.unique(present, axis=1, return_inverse=True)
        groups.append(group.reshape(-1))
        counts.append(int(groups[-1].max(initial=-1)) + 1)
    latest = np.full(counts, -1, np.int64)
    for number, (region, _) in enumerate(contents):
        cells = [np.unique(group if own is None else group[own]) for own, group in zip(region, groups, strict=True)]
        latest[np.ix_(*cells)] = number
    return [contents[number] for number in np.unique(latest) if number >= 0]

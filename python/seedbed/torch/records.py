"""Records: what is known of the tensors of a recording, by their memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from seedbed.torch.contents import (
    Content,
    Contents,
    Distribution,
    Drawn,
    Filled,
    Known,
    Memory,
    Reference,
    Structured,
    Unknown,
    Write,
    is_known,
)
from seedbed.torch.views import Region, View, layout_of, view_of

MAX_COMPARED = 1 << 20
"""Number of elements up to which a tensor is looked at for being one number everywhere."""

NO_REGION = "a part of random values that is no region of their tensor"
_NO_PART = "a part of a tensor that is drawn as a whole"


class RecordingError(RuntimeError):
    """Initialization code asked for a number that is not known while it is recorded."""


class Records:
    """The contents of every storage that operations were recorded of."""

    def __init__(self) -> None:
        self._memories: dict[int, Memory] = {}  # by the address of the storage
        self._calls = 0

    def has(self, tensor: Any) -> bool:
        """Whether anything was recorded of a tensor's storage."""
        return tensor.untyped_storage()._cdata in self._memories

    def memory_of(self, tensor: Any) -> Memory:
        """The record of a tensor's storage; a new one if there is none."""
        memory = self._memories.get(tensor.untyped_storage()._cdata)
        if memory is None:
            memory = Memory(tensor, len(self._memories))
            self._memories[memory.storage._cdata] = memory
            if not tensor.is_meta:
                self.keep(memory, tensor)
        return memory

    def keep(self, memory: Memory, numbers: torch.Tensor) -> None:
        """Record that memory has given numbers."""
        copied = numbers.detach().cpu().clone()
        memory.writes.append(Write(torch.clone, (copied,), {}, memory.layout, memory.dtype, 0))
        memory.contents = [(memory.whole, Known())]

    def contents_of(self, tensor: Any) -> Contents:
        """What a tensor has, by regions of it."""
        whole: Region = (None,) * tensor.ndim
        if not tensor.is_meta and not self.has(tensor):
            return [(whole, Known())]
        memory = self.memory_of(tensor)
        if not tensor.numel():
            return []
        if len(memory.contents) == 1 and not isinstance(memory.contents[0][1], Drawn):
            return [(whole, memory.contents[0][1])]
        if is_whole(tensor, memory):
            is_one = len(memory.contents) == 1 and all(indices is None for indices in memory.contents[0][0])
            return memory.contents if is_one else memory.within(whole)
        view = view_in(tensor, memory)
        if view is None:
            return [(whole, Known() if is_known(memory.contents) else Unknown(NO_REGION))]
        found: Contents = []
        contents = memory.within(view.region())
        for region, content in contents:
            inward = view.inward(region)
            if inward is None:
                return [(whole, Known() if is_known(contents) else Unknown(NO_REGION))]
            found.append((inward, seen(content, view)))
        return found

    def numbers_of(self, tensor: Any) -> torch.Tensor:
        """The numbers in a tensor, on the CPU.

        Raises:
            RecordingError: if they are random, or not set.
        """
        if not tensor.is_meta and not self.has(tensor):
            return tensor
        if not is_known(self.contents_of(tensor)):
            raise RecordingError(
                "initialization code must not depend on random numbers: a recording does not draw them"
            )
        return self.replayed(tensor)

    def replayed(self, tensor: Any) -> torch.Tensor:
        """The numbers in a recorded tensor, on the CPU; arbitrary ones where it has none."""
        return self.reference(tensor).evaluate()

    def number_of(self, value: Any) -> torch.Tensor | None:
        """The number that a tensor has everywhere, without axes; None if it is not known to be one."""
        contents = self.contents_of(value)
        if len(contents) == 1 and isinstance(contents[0][1], Filled):
            return contents[0][1].number
        if not 0 < value.numel() <= MAX_COMPARED or not is_known(contents):
            return None
        numbers = self.numbers_of(value).reshape(-1)
        return numbers[0].clone() if bool((numbers == numbers[0]).all()) else None

    def as_float(self, value: Any) -> float | None:
        """An argument of an operation as a number; None if it is not one."""
        if isinstance(value, (int, float)):
            return float(value)
        number = self.number_of(value) if isinstance(value, torch.Tensor) else None
        return None if number is None or number.is_complex() else float(number)

    def reference(self, tensor: Any) -> Reference:
        """The tensor as it is now, for a later evaluation."""
        memory = self.memory_of(tensor)
        return Reference(memory, len(memory.writes), layout_of(tensor), tensor.dtype)

    def draw(self, tensor: Any, distribution: Distribution | None, operation: str) -> None:
        """Record that an operation fills a tensor with random values; None for a distribution without a name."""
        memory = self.memory_of(tensor)
        if not tensor.numel():
            return
        content = self.drawn(distribution, operation)
        if is_whole(tensor, memory):
            memory.contents = [(memory.whole, content)]
            return
        view = view_in(tensor, memory)
        if view is None:
            memory.put(memory.whole, Unknown(f"{operation} of {NO_REGION}"))
        else:
            memory.put(view.region(), written(content, view))

    def drawn(self, distribution: Distribution | None, operation: str) -> Content:
        """The content that a call of a random operation makes."""
        self._calls += 1
        return Unknown(operation) if distribution is None else Drawn(distribution, self._calls)

    def copied(self, source: Any, operation: str, memory: Memory, view: View | None) -> Contents:
        """The contents of new memory, or of a view of memory, that gets those of another tensor."""
        region = memory.whole if view is None else view.region()
        contents = self.contents_of(source)
        if is_known(contents):
            if len(contents) == 1 and isinstance(contents[0][1], Filled):
                return [(region, Filled(contents[0][1].number.to(memory.dtype)))]
            if len(contents) == 1 or source.numel() == 1:
                return [(region, Known())]
        shape = memory.layout.shape if view is None else view.shape()
        if tuple(source.shape) != shape:
            return [(region, Unknown(f"{operation} of random values to several places"))]
        from_memory = self.memory_of(source)
        from_view = view_in(source, from_memory)
        moved: Contents = []
        for own, content in contents:
            if isinstance(content, Drawn):
                outward = None if from_view is None else from_view.outward(own)
                origin = (from_memory.number, from_memory.whole if outward is None else outward)
                content = content._replace(origins=(*content.origins, origin), copied_by=operation)
            moved.append((own, content))
        return moved if view is None else outwards(moved, view)


def is_whole(tensor: Any, memory: Memory) -> bool:
    """Whether a tensor is the one that the memory was made for."""
    layout = memory.layout
    return bool(
        tensor.shape == layout.shape
        and tensor.stride() == layout.strides
        and tensor.storage_offset() == layout.offset
        and tensor.dtype == memory.dtype
    )


def view_in(tensor: Any, memory: Memory) -> View | None:
    """A tensor as a view of the one that its memory was made for; None if its elements are no region of that."""
    return view_of(layout_of(tensor), memory.layout) if tensor.dtype == memory.dtype else None


def seen(content: Content, view: View) -> Content:
    """A content of memory, as a view has it."""

    def inner(axes: list[int], own: tuple[int, ...]) -> tuple[int, ...] | None:
        return tuple(axes.index(axis) for axis in own) if set(own) <= set(axes) else None

    return _with_axes(content, view, inner)


def written(content: Content, view: View) -> Content:
    """A content of a view, as its memory has it."""
    return _with_axes(content, view, lambda axes, own: tuple(axes[axis] for axis in own))


def _with_axes(
    content: Content, view: View, change: Callable[[list[int], tuple[int, ...]], tuple[int, ...] | None]
) -> Content:
    if not isinstance(content, Drawn):
        return content
    content = content._replace(in_place=False)
    if not isinstance(content.distribution, Structured):
        return content
    axes = view.axes()
    changed = None if axes is None else change(axes, content.distribution.axes)
    if changed is None:
        return Unknown(_NO_PART)
    return content._replace(distribution=content.distribution._replace(axes=changed))


def with_axis(content: Content, axis: int) -> Content:
    """A content of a tensor, as a stack along a new axis has it."""
    if not isinstance(content, Drawn):
        return content
    distribution = content.distribution
    if isinstance(distribution, Structured):
        distribution = distribution._replace(axes=tuple(own + (own >= axis) for own in distribution.axes))
    return content._replace(distribution=distribution, in_place=False)


def outwards(contents: Contents, view: View) -> Contents:
    """Contents of a view, as contents of its memory."""
    found: Contents = []
    for region, content in contents:
        outward = view.outward(region)
        if outward is None:
            return [(view.region(), Unknown(f"a copy of {NO_REGION}"))]
        found.append((outward, written(content, view)))
    return found


def tensors_in(values: Any) -> Iterator[Any]:
    """The tensors among arguments, and in lists of them."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)


def mapped(change: Callable[[Any], Any], values: Any) -> Any:
    """Arguments changed one by one, in lists, tuples and dicts too."""
    if isinstance(values, dict):
        return {name: mapped(change, value) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        return type(values)(mapped(change, value) for value in values)
    return change(values)

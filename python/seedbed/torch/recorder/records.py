"""`Records`: the contents of recorded tensors, found by their storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from seedbed.torch.recorder.contents import (
    Content,
    Contents,
    Distribution,
    Drawn,
    Filled,
    Known,
    Reference,
    Storage,
    Structured,
    Unknown,
    Write,
    is_known,
)
from seedbed.torch.recorder.views import IndexGrid, View, layout_of, view_of

MAX_COMPARED = 1 << 20
"""Maximum number of elements of a tensor for which `number_of` compares all elements."""

NO_GRID = "a view of random values that is not a grid of indices"
_NO_PART = "a part of a tensor that is drawn as a whole"


class RecordingError(RuntimeError):
    """Initialization code needs a random number, or changes a removed tensor, and so cannot be recorded."""


class Records:
    """The contents of every storage of a recording."""

    def __init__(self) -> None:
        self._storages: dict[int, Storage] = {}  # by the address of the storage
        self._calls = 0

    def has(self, tensor: Any) -> bool:
        """Return whether the recording has contents for a tensor's storage."""
        return tensor.untyped_storage()._cdata in self._storages

    def storage_of(self, tensor: Any) -> Storage:
        """Return the record of a tensor's storage; make one at the first call."""
        storage = self._storages.get(tensor.untyped_storage()._cdata)
        if storage is None:
            storage = Storage(tensor, len(self._storages))
            self._storages[storage.torch_storage._cdata] = storage
            if not tensor.is_meta:
                self.keep(storage, tensor)
        return storage

    def keep(self, storage: Storage, numbers: torch.Tensor) -> None:
        """Record that a storage has given numbers."""
        copied = numbers.detach().cpu().clone()
        storage.writes.append(Write(torch.clone, (copied,), {}, storage.layout, storage.dtype, 0))
        storage.contents = [(storage.whole, Known())]

    def contents_of(self, tensor: Any) -> Contents:
        """Return the contents of a tensor, each with its grid in the tensor."""
        whole: IndexGrid = (None,) * tensor.ndim
        if not tensor.is_meta and not self.has(tensor):
            return [(whole, Known())]
        storage = self.storage_of(tensor)
        if not tensor.numel():
            return []
        if len(storage.contents) == 1 and not isinstance(storage.contents[0][1], Drawn):
            return [(whole, storage.contents[0][1])]
        if is_whole(tensor, storage):
            is_one = len(storage.contents) == 1 and all(indices is None for indices in storage.contents[0][0])
            return storage.contents if is_one else storage.within(whole)
        view = view_in(tensor, storage)
        if view is None:
            return [(whole, Known() if is_known(storage.contents) else Unknown(NO_GRID))]
        found: Contents = []
        contents = storage.within(view.grid())
        for grid, content in contents:
            inward = view.inward(grid)
            if inward is None:
                return [(whole, Known() if is_known(contents) else Unknown(NO_GRID))]
            found.append((inward, seen(content, view)))
        return found

    def numbers_of(self, tensor: Any) -> torch.Tensor:
        """Return the numbers in a tensor, on the CPU.

        Raises:
            RecordingError: if they are random or unset.
        """
        if not tensor.is_meta and not self.has(tensor):
            return tensor
        if not is_known(self.contents_of(tensor)):
            raise RecordingError(
                "initialization code must not depend on random numbers: a recording does not draw them"
            )
        return self.replayed(tensor)

    def replayed(self, tensor: Any) -> torch.Tensor:
        """Return the numbers in a recorded tensor, on the CPU. Random and unset elements are arbitrary."""
        return self.reference(tensor).evaluate()

    def number_of(self, value: Any) -> torch.Tensor | None:
        """Return the number in every element of a tensor, as a tensor without axes; None if there is no such number."""
        contents = self.contents_of(value)
        if len(contents) == 1 and isinstance(contents[0][1], Filled):
            return contents[0][1].number
        if not 0 < value.numel() <= MAX_COMPARED or not is_known(contents):
            return None
        numbers = self.numbers_of(value).reshape(-1)
        return numbers[0].clone() if bool((numbers == numbers[0]).all()) else None

    def as_float(self, value: Any) -> float | None:
        """Return an argument of an operation as a float; None if it is not one real number."""
        if isinstance(value, (int, float)):
            return float(value)
        number = self.number_of(value) if isinstance(value, torch.Tensor) else None
        return None if number is None or number.is_complex() else float(number)

    def reference(self, tensor: Any) -> Reference:
        """Return a reference to the present state of a tensor, for a later evaluation."""
        storage = self.storage_of(tensor)
        return Reference(storage, len(storage.writes), layout_of(tensor), tensor.dtype)

    def draw(self, tensor: Any, distribution: Distribution | None, operation: str) -> None:
        """Record that an operation fills a tensor with random values.

        Arguments:
            tensor: the tensor, which may be a view.
            distribution: of the values; None if seedbed has no name for it.
            operation: name of the operation, for errors.
        """
        storage = self.storage_of(tensor)
        if not tensor.numel():
            return
        content = self.drawn(distribution, operation)
        if is_whole(tensor, storage):
            storage.contents = [(storage.whole, content)]
            return
        view = view_in(tensor, storage)
        if view is None:
            storage.put(storage.whole, Unknown(f"{operation} of {NO_GRID}"))
        else:
            storage.put(view.grid(), written(content, view))

    def drawn(self, distribution: Distribution | None, operation: str) -> Content:
        """Return the content made by a new call of a random operation."""
        self._calls += 1
        return Unknown(operation) if distribution is None else Drawn(distribution, self._calls)

    def copied(self, source: Any, operation: str, storage: Storage, view: View | None) -> Contents:
        """Return the contents of a storage, or of a view of it, after `source` is copied there."""
        grid = storage.whole if view is None else view.grid()
        contents = self.contents_of(source)
        if is_known(contents):
            if len(contents) == 1 and isinstance(contents[0][1], Filled):
                return [(grid, Filled(contents[0][1].number.to(storage.dtype)))]
            if len(contents) == 1 or source.numel() == 1:
                return [(grid, Known())]
        shape = storage.layout.shape if view is None else view.shape()
        if tuple(source.shape) != shape:
            return [(grid, Unknown(f"{operation} of random values to several places"))]
        from_storage = self.storage_of(source)
        from_view = view_in(source, from_storage)
        moved: Contents = []
        for own, content in contents:
            if isinstance(content, Drawn):
                outward = None if from_view is None else from_view.outward(own)
                origin = (from_storage.number, from_storage.whole if outward is None else outward)
                content = content._replace(origins=(*content.origins, origin), copied_by=operation)
            moved.append((own, content))
        return moved if view is None else outwards(moved, view)


def is_whole(tensor: Any, storage: Storage) -> bool:
    """Return whether a tensor has all elements of the tensor that the storage was made for, in the same layout."""
    layout = storage.layout
    return bool(
        tensor.shape == layout.shape
        and tensor.stride() == layout.strides
        and tensor.storage_offset() == layout.offset
        and tensor.dtype == storage.dtype
    )


def view_in(tensor: Any, storage: Storage) -> View | None:
    """Return a tensor as a view of the one that its storage was made for; None if its elements are not a grid there."""
    return view_of(layout_of(tensor), storage.layout) if tensor.dtype == storage.dtype else None


def seen(content: Content, view: View) -> Content:
    """Return a content of a storage as content of a view."""

    def inner(axes: list[int], own: tuple[int, ...]) -> tuple[int, ...] | None:
        return tuple(axes.index(axis) for axis in own) if set(own) <= set(axes) else None

    return _with_axes(content, view, inner)


def written(content: Content, view: View) -> Content:
    """Return a content of a view as content of its storage."""
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
    """Return a content of a tensor as content of a stack along a new axis."""
    if not isinstance(content, Drawn):
        return content
    distribution = content.distribution
    if isinstance(distribution, Structured):
        distribution = distribution._replace(axes=tuple(own + (own >= axis) for own in distribution.axes))
    return content._replace(distribution=distribution, in_place=False)


def outwards(contents: Contents, view: View) -> Contents:
    """Return contents of a view as contents of its storage."""
    found: Contents = []
    for grid, content in contents:
        outward = view.outward(grid)
        if outward is None:
            return [(view.grid(), Unknown(f"a copy of {NO_GRID}"))]
        found.append((outward, written(content, view)))
    return found


def tensors_in(values: Any) -> Iterator[Any]:
    """Yield the tensors among arguments, and in nested lists and tuples."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)


def mapped(change: Callable[[Any], Any], values: Any) -> Any:
    """Apply a function to each argument, and to each item of nested lists, tuples and dicts."""
    if isinstance(values, dict):
        return {name: mapped(change, value) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        return type(values)(mapped(change, value) for value in values)
    return change(values)

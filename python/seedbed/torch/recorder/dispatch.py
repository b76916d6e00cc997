"""`Recorder`: sees each operation of initialization code, and records what it writes to each tensor.

The tensors are on the meta device, and take no memory. Random operations are not executed, so torch's random state does
not change. Operations on numbers are recorded, and executed on the CPU only if the code reads a number, or if the
result is part of a parameter or a buffer.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from seedbed.torch.recorder.contents import (
    TARGET,
    Content,
    Contents,
    Drawn,
    Filled,
    Known,
    Storage,
    Unknown,
    Unset,
    Write,
    is_known,
)
from seedbed.torch.recorder.operations import (
    ALLOCATIONS,
    COPIES,
    Operation,
    drawn_by,
    operation_of,
    summed,
    transformed,
)
from seedbed.torch.recorder.records import (
    NO_GRID,
    RecordingError,
    Records,
    is_whole,
    mapped,
    outwards,
    tensors_in,
    view_in,
    with_axis,
)
from seedbed.torch.recorder.views import View, layout_of

_META = torch.device("meta")
_CPU = torch.device("cpu")


class Recorder(TorchDispatchMode):  # type: ignore[misc]
    """Dispatch mode that records writes to tensors on the meta device, and random operations on any device."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # Otherwise torch imports its compiler at the first operation, which takes seconds.

    def __init__(self) -> None:
        super().__init__()
        self.records = Records()
        self.guarded: Set[int | None] = frozenset()
        """Addresses of storages to which operations must not write."""

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        operation = operation_of(function)
        tensors = [*tensors_in(args), *tensors_in(kwargs.values())]
        if operation.targets and self.guarded:
            self._check_targets(operation, args, kwargs)
        if not (
            operation.is_random
            or kwargs.get("device") == _META
            or any(tensor.is_meta or self.records.has(tensor) for tensor in tensors)
        ):
            return function(*args, **kwargs)
        if operation.changes_layout or function.is_view or any(map(_is_foreign, tensors)):
            return function(*args, **kwargs)
        if operation.targets:
            return self._write(function, operation, tensors, args, kwargs)
        if not operation.makes_tensors:
            return function(*mapped(self._evaluated, args), **mapped(self._evaluated, kwargs))
        return self._make(function, operation, tensors, args, kwargs)

    def _check_targets(self, operation: Operation, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        for target in _targets(operation, args, kwargs):
            if target.untyped_storage()._cdata in self.guarded:
                raise RecordingError(
                    f"{operation.shown} writes to a tensor that is no longer a parameter or buffer of its module"
                )

    # Operations that make tensors

    def _make(self, function: Any, operation: Operation, tensors: list[Any], args: Any, kwargs: Any) -> Any:
        if ALLOCATIONS.get(operation.name, operation) is None:
            made = function(*mapped(_on_meta, args), **mapped(_on_meta, kwargs))
            self.records.storage_of(made)  # Register the storage with this tensor as its whole, not with a later view.
            return made
        known = not operation.is_random and all(is_known(self.records.contents_of(tensor)) for tensor in tensors)
        if known and operation.name == "_to_copy" and kwargs.get("device") == _CPU:
            return function(self.records.numbers_of(args[0]), **kwargs)
        meta_args, meta_kwargs = mapped(_on_meta, args), mapped(_on_meta, kwargs)
        try:
            results = function(*meta_args, **meta_kwargs)
        except (NotImplementedError, RuntimeError) as error:
            if not known and isinstance(error, NotImplementedError):  # Some code catches it, and continues.
                raise RecordingError(
                    f"{operation.shown} of random numbers cannot be recorded: what needs it, such as a "
                    "parametrization, must come after initialize_"
                ) from error
            if not known:
                raise
            # The shape of the result depends on numbers, as with nonzero: compute them now.
            return mapped(self.adopted, function(*mapped(self._evaluated, args), **mapped(self._evaluated, kwargs)))
        storages = {
            tensor.untyped_storage()._cdata for tensor in (*tensors_in(meta_args), *tensors_in(meta_kwargs.values()))
        }
        for number, result in enumerate((results,) if isinstance(results, torch.Tensor) else results):
            if isinstance(result, torch.Tensor) and result.untyped_storage()._cdata not in storages:
                storage = self.records.storage_of(result)
                storage.contents = self._made(function, operation, storage, known, args, kwargs)
                if any(isinstance(content, (Filled, Known)) for _, content in storage.contents):
                    storage.writes.append(self._creation(function, operation, storage, args, kwargs, number))
        return results

    def _creation(
        self, function: Any, operation: Operation, storage: Storage, args: Any, kwargs: Any, number: int
    ) -> Write:
        """Return the write that makes the numbers of a new tensor."""
        content = storage.contents[0][1]
        if operation.name in ALLOCATIONS and isinstance(content, Filled):
            # The result does not depend on the values of the arguments (`zeros_like`): do not keep them.
            function, args, kwargs = torch.full, (storage.layout.shape, content.number), {"dtype": storage.dtype}
        referred_args, referred_kwargs = mapped(self._referred, args), mapped(self._referred, kwargs)
        return Write(function, referred_args, referred_kwargs, storage.layout, storage.dtype, number)

    def _made(
        self, function: Any, operation: Operation, storage: Storage, known: bool, args: Any, kwargs: Any
    ) -> Contents:
        """Return the contents of a new tensor."""
        if operation.name in ALLOCATIONS:
            value = ALLOCATIONS[operation.name]
            content: Content = Unset() if value is None else _filled(value(args), storage)
        elif operation.is_random:
            content = self.records.drawn(drawn_by(operation, args, kwargs), operation.shown)
        elif operation.name in COPIES:
            return self.records.copied(args[0], operation.shown, storage, None)
        elif known:
            number = self._everywhere(function, operation, args, kwargs)
            content = Known() if number is None else Filled(number)
        elif operation.name in ("cat", "stack"):
            axis = args[1] if len(args) > 1 else kwargs.get("dim", 0)
            return self._joined(operation, args[0], axis, storage)
        else:
            random = self._random(args)
            if len(random) == 2 and operation.name == "add" and kwargs.get("alpha", 1) == 1:
                return [(storage.whole, self._summed(operation, args[0], args[1], storage))]
            if len(random) != 1 or not operation.is_pointwise or tuple(args[random[0]].shape) != storage.layout.shape:
                return [(storage.whole, Unknown(operation.shown))]
            return self._changed(operation, random[0], args, kwargs, self.records.contents_of(args[random[0]]))
        return [(storage.whole, content)]

    def _summed(self, operation: Operation, one: Any, other: Any, storage: Storage) -> Content:
        """Return the content of the sum of two random tensors."""
        unknown = Unknown(operation.shown)
        if not one.shape == other.shape == storage.layout.shape:
            return unknown
        (_, first), *more = [*self.records.contents_of(one), *self.records.contents_of(other)]
        second = more[0][1]
        same = len(more) == 1 and isinstance(first, Drawn) and isinstance(second, Drawn) and first.call == second.call
        if not (same and isinstance(first, Drawn) and isinstance(second, Drawn) and first.in_place and second.in_place):
            return unknown
        distribution = summed(first.distribution, second.distribution)
        return unknown if distribution is None else first._replace(distribution=distribution)

    def _joined(self, operation: Operation, parts: Sequence[Any], axis: int, storage: Storage) -> Contents:
        """Return the contents of a concatenation or stack of tensors."""
        random = [part for part in parts if not is_known(self.records.contents_of(part))]
        if len({(self.records.storage_of(part).number, layout_of(part)) for part in random}) < len(random):
            return [(storage.whole, Unknown(f"{operation.shown} of the same random values"))]
        joined: Contents = []
        rank, is_stack = len(storage.layout.shape), operation.name == "stack"
        axis, start = axis % rank, 0
        for part in parts:
            if part.ndim < rank and not is_stack:
                continue  # torch.cat accepts an empty tensor of one axis next to tensors of more axes.
            for grid, content in self.records.contents_of(part):
                if is_stack:
                    joined.append(((*grid[:axis], np.array([start]), *grid[axis:]), with_axis(content, axis)))
                else:
                    along = grid[axis]
                    indices = start + (np.arange(part.shape[axis]) if along is None else along)
                    joined.append(((*grid[:axis], indices, *grid[axis + 1 :]), content))
            start += 1 if is_stack else part.shape[axis]
        return joined

    # Operations that change tensors in place

    def _write(self, function: Any, operation: Operation, tensors: list[Any], args: Any, kwargs: Any) -> Any:
        targets = _targets(operation, args, kwargs)
        if len(targets) > 1 or isinstance(operation.targets[0], str):
            results = function(
                *mapped(_on_meta, args), **mapped(_on_meta, kwargs)
            )  # Resizes `out` to the shape of the result.
            if len(targets) > 1:
                for target in targets:
                    self.records.draw(target, None, operation.shown)
                return results
        (target,) = targets
        if operation.is_random:
            self.records.draw(target, drawn_by(operation, args, kwargs), operation.shown)
            return target
        storage = self.records.storage_of(target)
        if not target.numel() or (operation.name == "copy" and _is_same(target, args[1])):
            return target
        others = [tensor for tensor in tensors if tensor is not target]
        steady = all(is_known(self.records.contents_of(other)) for other in others)
        if operation.name in ("zero", "fill") and is_whole(target, storage):
            after = self._filled(operation, args, storage.whole, storage)
        elif (view := view_in(target, storage)) is not None:
            after = self._changes(function, operation, target, storage, view, steady, args, kwargs)
        else:
            known = steady and is_known(storage.contents)
            after = [(storage.whole, Known() if known else Unknown(f"{operation.shown} of {NO_GRID}"))]
        if any(isinstance(content, (Filled, Known)) for _, content in after):

            def referred(value: Any) -> Any:
                return TARGET if value is target else self._referred(value)

            changed_args, changed_kwargs = mapped(referred, args), mapped(referred, kwargs)
            storage.writes.append(Write(function, changed_args, changed_kwargs, layout_of(target), target.dtype, None))
        for grid, content in after:
            storage.put(grid, content)
        return target

    def _filled(self, operation: Operation, args: Any, grid: Any, storage: Storage) -> Contents:
        number = 0.0 if operation.name == "zero" else self.records.as_float(args[1])
        return [(grid, Known() if number is None else _filled(number, storage))]

    def _changes(
        self,
        function: Any,
        operation: Operation,
        target: Any,
        storage: Storage,
        view: View,
        steady: bool,
        args: Any,
        kwargs: Any,
    ) -> Contents:
        """Return the contents of a tensor's grid after an operation that changes it in place."""
        grid = view.grid()
        if operation.name in ("zero", "fill"):
            return self._filled(operation, args, grid, storage)
        if operation.name == "copy":
            return self.records.copied(args[1], operation.shown, storage, view)
        before = storage.within(grid)
        if steady and (is_known(before) or isinstance(operation.targets[0], str)):  # `out` is overwritten.
            number = self._everywhere(function, operation, args, kwargs)
            return [(grid, Known() if number is None else Filled(number))]
        random = self._random(args)
        if not operation.is_pointwise or len(random) != 1 or args[random[0]].shape != target.shape:
            return [(grid, Unknown(operation.shown))]
        if random == [0]:
            return self._changed(operation, 0, args, kwargs, before)
        contents = self.records.contents_of(args[random[0]])
        return outwards(self._changed(operation, random[0], args, kwargs, contents), view)

    # Arguments

    def _random(self, args: Sequence[Any]) -> list[int]:
        """Return the positions of the arguments that are random, unset or unknown."""
        return [
            number
            for number, arg in enumerate(args)
            if isinstance(arg, torch.Tensor) and not is_known(self.records.contents_of(arg))
        ]

    def _changed(self, operation: Operation, at: int, args: Any, kwargs: Any, contents: Contents) -> Contents:
        """Return the contents of the result of a pointwise operation on `contents`, argument `at`, and numbers."""
        numbers = [None if number == at else self.records.as_float(arg) for number, arg in enumerate(args)]
        return [(grid, _changed(content, operation, at, numbers, kwargs)) for grid, content in contents]

    def _everywhere(self, function: Any, operation: Operation, args: Any, kwargs: Any) -> torch.Tensor | None:
        """Return the number in every element of the result; None unless each argument has one number everywhere."""
        if not operation.is_pointwise or any(isinstance(value, torch.Tensor) for value in kwargs.values()):
            return None
        numbers = []
        for arg in args:
            if isinstance(arg, torch.Tensor):
                contents = self.records.contents_of(arg)
                if len(contents) != 1 or not isinstance(contents[0][1], Filled):
                    return None
                arg = contents[0][1].number.clone()
            numbers.append(arg)
        result = function(*numbers, **kwargs)
        return result if isinstance(result, torch.Tensor) else None

    def _evaluated(self, value: Any) -> Any:
        """Return an argument with its numbers, on the CPU."""
        if isinstance(value, torch.device):
            return _CPU
        return self.records.numbers_of(value) if isinstance(value, torch.Tensor) else value

    def _referred(self, value: Any) -> Any:
        """Return a reference for a tensor; other arguments unchanged."""
        return self.records.reference(value) if isinstance(value, torch.Tensor) else value

    def adopted(self, value: Any) -> Any:
        """Return a recorded tensor on the meta device for one with numbers; other values unchanged."""
        if not isinstance(value, torch.Tensor):
            return value
        made = torch.empty(value.shape, dtype=value.dtype, device=_META)
        self.records.keep(self.records.storage_of(made), value)
        return made


def _targets(operation: Operation, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    """Return the tensors to which an operation writes."""
    found = (args[key] if isinstance(key, int) else kwargs.get(key) for key in operation.targets)
    return [target for target in found if isinstance(target, torch.Tensor)]


def _filled(number: Any, storage: Storage) -> Content:
    return Filled(torch.full((), number, dtype=storage.dtype, device=_CPU))


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two tensors are the same elements of one storage, as in the copy that ends `x[i] += 1`."""
    return (
        one.untyped_storage()._cdata == other.untyped_storage()._cdata
        and layout_of(one) == layout_of(other)
        and one.dtype == other.dtype
    )


def _on_meta(value: Any) -> Any:
    """Return an argument on the meta device, to compute the shape of the result."""
    if isinstance(value, torch.device):
        return _META
    if not isinstance(value, torch.Tensor) or value.is_meta:
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=_META)


def _is_foreign(tensor: Any) -> bool:
    """Return whether a tensor's class dispatches operations itself: the recorder then sees the inner operations."""
    return type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__


def _changed(content: Content, operation: Operation, at: int, numbers: Sequence[float | None], kwargs: Any) -> Content:
    """Return the content after a pointwise operation."""
    if isinstance(content, (Filled, Known)):
        return Known()
    if isinstance(content, Unknown):
        return content
    if isinstance(content, Drawn):
        distribution = transformed(operation, content.distribution, at, numbers, kwargs)
        return Unknown(operation.shown) if distribution is None else content._replace(distribution=distribution)
    return Unknown(f"{operation.shown} of memory that is not set")

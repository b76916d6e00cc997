"""Translation of the contents of a recorded tensor to an initializer of seedbed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch

import seedbed as sb
from seedbed.initializers import Constant, Initializer
from seedbed.rules import Repeated, Rule
from seedbed.seeds import UNBOUND
from seedbed.shapes import Shape
from seedbed.torch.recorder.contents import (
    Composed,
    Content,
    Contents,
    Distribution,
    Drawn,
    Filled,
    Known,
    Normal,
    Structured,
    Uniform,
    Unknown,
    Unset,
    is_known,
    visible,
)
from seedbed.torch.recorder.operations import INVERSE_SOFTPLUS, MAX_DEVIATION
from seedbed.torch.recorder.records import Records
from seedbed.torch.recorder.views import IndexGrid, Indices, intersection, is_empty

MAX_BLOCKS = 4096
"""Maximum number of blocks of a tensor."""


class Untranslated(Exception):  # noqa: N818
    """No initializer makes the recorded values. The message names the cause."""


class NotSet(Untranslated):
    """Nothing was written to the tensor, or to a part of it."""


class Given(Constant):
    """Numbers that were computed during a recording. Unlike `Constant`, it allows infinities, as masks need them."""

    def __init__(self, value: Any) -> None:
        self._value = np.array(value)
        self._value.flags.writeable = False

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        self._check_shape(shape)
        return Repeated(self._value.astype(dtype))


def translated(records: Records, tensor: Any) -> Initializer:
    """Return the initializer that makes the recorded contents of a tensor.

    Raises:
        Untranslated: if no initializer makes them.
    """
    contents = records.contents_of(tensor)
    if len(contents) > 1:
        contents = visible(contents, tensor.shape)
    if not contents:
        return sb.Zeros()
    for _, content in contents:
        if isinstance(content, Unset):
            raise NotSet("nothing is written to it" if len(contents) == 1 else "nothing is written to a part of it")
        if isinstance(content, Unknown):
            raise Untranslated(content.reason)
    if is_known(contents) and any(isinstance(content, Known) for _, content in contents):
        return constant(records.replayed(tensor))
    if len(contents) == 1:
        return _initializer(contents[0][1], tensor.ndim, tensor.ndim)
    return _blocks(records, tensor, contents)


def _blocks(records: Records, tensor: Any, contents: Contents) -> Initializer:
    """Return several contents as blocks. The first content is the default if it is given for the whole tensor."""
    whole = all(indices is None for indices in contents[0][0]) and not isinstance(contents[0][1], Known)
    default = _initializer(contents[0][1], tensor.ndim, tensor.ndim) if whole else sb.Zeros()
    blocks: list[tuple[Any, Initializer]] = []
    for grid, content in contents[1 if whole else 0 :]:
        boxes = list(product(*(_slices(indices) for indices in grid)))
        if len(blocks) + len(boxes) > MAX_BLOCKS:
            raise Untranslated(f"more than {MAX_BLOCKS} blocks")
        for box in boxes:
            index: tuple[Any, ...] = tuple(box)
            if isinstance(content, Known):
                blocks.append((index, constant(records.replayed(tensor)[index])))
                continue
            if isinstance(content, Drawn) and isinstance(content.distribution, Structured):
                if len(boxes) > 1:
                    raise Untranslated("a tensor that is drawn as a whole, in several parts")
                own = content.distribution.axes
                index = tuple(item if axis in own else item.start for axis, item in enumerate(index))
                made = _initializer(content, tensor.ndim, len(own))
            else:
                index = tuple(
                    item.start if item.stop is not None and item.stop - item.start == 1 else item for item in index
                )
                made = _initializer(content, tensor.ndim, tensor.ndim)
            blocks.append((index, made))
    return sb.Blocks(default, [(_shortened(index), made) for index, made in blocks], UNBOUND)


def _shortened(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return an index without full slices at its end."""
    items = list(index)
    while items and items[-1] == slice(None):
        items.pop()
    return tuple(items) or (Ellipsis,)


def _slices(indices: Indices) -> list[slice]:
    """Return indices along an axis as slices: one for each run of evenly spaced indices."""
    if indices is None:
        return [slice(None)]
    found, start = [], 0
    steps = np.diff(indices)
    while start < len(indices):
        end = start + 1
        if end < len(indices):
            changes = np.flatnonzero(steps[start:] != steps[start])
            end = start + 1 + (int(changes[0]) if len(changes) else len(steps) - start)
        first, last = int(indices[start]), int(indices[end - 1])
        step = int(steps[start]) if end - start > 1 else 1
        found.append(slice(first, last + 1, None if step == 1 else step))
        start = end
    return found


def _initializer(content: Content, rank: int, own_rank: int) -> Initializer:
    if isinstance(content, Filled):
        return constant(content.number)
    assert isinstance(content, Drawn)
    if isinstance(content.distribution, Structured):
        initializer, axes = content.distribution
        ascending = list(axes) == sorted(axes)
        if not ascending and not (len(axes) == 2 and isinstance(initializer, sb.Orthogonal)):
            raise Untranslated("a tensor that is drawn as a whole, with its axes in another order")
        return initializer.with_seed(UNBOUND)
    return _of_distribution(content.distribution)


@lru_cache(maxsize=1024)
def _of_distribution(distribution: Distribution) -> Initializer:
    try:
        if isinstance(distribution, Uniform):
            return sb.RandomUniform(distribution.low, distribution.high, seed=UNBOUND)
        if isinstance(distribution, Composed):
            return _of_functions(distribution)
        assert isinstance(distribution, Normal)
        mean, stddev, low, high = distribution
        if stddev == 0:
            return sb.Constant(mean)
        # Omit a bound that no value reaches.
        lower, upper = (None if abs(z) > MAX_DEVIATION else z for z in ((low - mean) / stddev, (high - mean) / stddev))
        if lower is None and upper is None:
            return sb.RandomNormal(mean, stddev, seed=UNBOUND)
        return sb.TruncatedNormal(mean, stddev, seed=UNBOUND, lower=lower, upper=upper)
    except ValueError as error:
        raise Untranslated(str(error)) from error


def _of_functions(distribution: Composed) -> Initializer:
    """Return the initializer of a chain of functions of uniform values.

    Raises:
        Untranslated: if no initializer makes it.
    """
    names = [name for name, _ in distribution.steps]
    if names == ["log"]:
        return sb.LogOfUniform(distribution.low, distribution.high, seed=UNBOUND)
    factor, floor, at = 1.0, 0.0, 1
    while names[0] == "exp" and at < len(names) and names[at] in ("mul", "floor"):
        number = distribution.steps[at][1]
        if names[at] == "floor":
            floor = max(floor, number)
        elif number > 0:
            factor, floor = factor * number, floor * number
        else:
            break
        at += 1
    rest = [step if step[0] == "add" else step[0] for step in distribution.steps[at:]]
    if names[0] == "exp":
        minval, maxval = (_shortest(factor * math.exp(end)) for end in (distribution.low, distribution.high))
        if not rest and floor <= minval:
            return sb.LogUniform(minval, maxval, seed=UNBOUND)
        if rest in ([INVERSE_SOFTPLUS], ["expm1", "log"], ["exp", ("add", -1.0), "log"]):
            return sb.InverseSoftplus(minval, maxval, seed=UNBOUND, floor=floor)
    raise Untranslated(" and ".join(names))


def _shortest(number: float) -> float:
    """Round off the error of a logarithm and an exponential: 0.001, not 0.0010000000000000002."""
    return float(f"{number:.13g}")


def constant(numbers: torch.Tensor) -> Initializer:
    """Return the most specific initializer that makes given numbers: Zeros, Identity, Constant and so on."""
    if numbers.is_floating_point() and numbers.dtype not in (torch.float32, torch.float64):
        numbers = numbers.float()
    values = numbers.resolve_conj().resolve_neg().numpy()
    if not values.size:
        return sb.Zeros()
    first = values.reshape(-1)[0]
    with np.errstate(invalid="ignore"):
        if bool((values == first).all()):
            if first in (0, 1):
                return sb.Ones() if first else sb.Zeros()
            # The shortest decimal that rounds to this number in its dtype: 0.1, not 0.10000000149011612.
            number = float(str(first)) if values.dtype == np.float32 else first.item()
            return sb.Constant(number) if np.isfinite(first) else Given(first)
    if values.ndim == 2 and first and bool((values == sb.Identity(float(first.real))(values.shape, "float64")).all()):
        return sb.Identity(float(first.real))
    if 3 <= values.ndim <= 5 and bool((values == sb.Dirac(layout="torch")(values.shape, "float64")).all()):
        return sb.Dirac(layout="torch")
    return sb.Constant(_without_repeats(values)) if bool(np.isfinite(values).all()) else Given(values)


def _without_repeats(values: np.ndarray) -> np.ndarray:
    """Return the smallest array that broadcasts to the given one: one index of each axis along which values repeat."""
    for axis in range(values.ndim):
        first = values.take([0], axis)
        if bool((values == first).all()):
            values = first
    return values


def shared(drawn: Mapping[str, tuple[int, Contents]]) -> dict[str, tuple[str, str]]:
    """Find tensors whose random values were copied from an earlier tensor, or from the same source.

    Arguments:
        drawn: for each name, the number of its storage and its contents.

    Returns:
        For each name that has such values, the name of the earlier tensor and the operation that copied them.
    """
    seen: dict[int, list[tuple[str, int, dict[int, IndexGrid], str | None]]] = {}
    found: dict[str, tuple[str, str]] = {}
    for name, (storage, contents) in drawn.items():
        for grid, content in contents:
            if isinstance(content, Drawn):
                places = {**dict(content.origins), storage: grid}
                for other, of_other, others, copied_by in seen.get(content.call, ()):
                    if of_other != storage and _overlap(places, others):  # in one storage they are tied, not copied
                        found.setdefault(name, (other, content.copied_by or copied_by or "copy_"))
                seen.setdefault(content.call, []).append((name, storage, places, content.copied_by))
    return found


def _overlap(places: Mapping[int, IndexGrid], others: Mapping[int, IndexGrid]) -> bool:
    """Return whether values may come from the same elements of the last storage that both were copied through."""
    common = [storage for storage in places if storage in others]
    return bool(common) and not is_empty(intersection(places[common[-1]], others[common[-1]]))

"""Blocks: a tensor whose regions have different initializers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations, islice
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from seedbed import seeds
from seedbed.arguments import as_integer, shortened
from seedbed.initializers._description import Description, mixture
from seedbed.initializers._nested import InitializerLike, as_nested, nested_config
from seedbed.initializers.base import Initializer, RandomInitializer, SeededInitializer
from seedbed.initializers.orthogonal import Orthogonal
from seedbed.regions import Axis, Index, as_slice, axes_of, pieces, selected, shape_of, within
from seedbed.rules import Rule, Sampled
from seedbed.saving import plain_name
from seedbed.shapes import Shape

T = TypeVar("T")

PIECE_BYTES = 1 << 24
"""Memory for a piece of a block that is not contiguous in the result, in bytes."""

MAX_BLOCKS = 2**16
"""Maximum number of blocks."""

MAX_COMPARED = 64
"""Maximum number of blocks for which the code checks whether they leave elements to the default."""

MAX_DESCRIBED = 256
"""Maximum number of blocks for which the elements of each are counted, by comparing it with all later ones."""


class Blocks(SeededInitializer):
    """A tensor whose regions have different initializers: packed kernels, gates of a bias, a stack of experts.

    A block is the region that an index selects, as in `tensor[index] = ...`: integers, slices, an Ellipsis. If blocks
    overlap, the later one decides. Each block is initialized as a tensor of its own shape: its fans are those of the
    block, and an integer in the index removes the axis. Each element has its address in the whole tensor, so that
    blocks with the same distribution differ, and a slice has the same bits as in the whole. An initializer that needs
    the whole tensor, such as `Orthogonal`, gets a different seed in each block.

    Arguments:
        default: initializer of the elements outside of all blocks, with the shape of the whole tensor.
        blocks: pairs of an index and an initializer: an object without a seed, a name, or a configuration. In a
            configuration, an index is a list of an integer, `[start, stop]`, `[start, stop, step]` or `"..."` for each
            axis.
        seed: None, an integer or a `SeedGenerator`: the seed of all blocks.

    Raises:
        TypeError, ValueError: if an argument is not as described; at the call, if an index does not fit the shape, or
            an initializer does not make the shape of its block or the dtype.

    The bias of a recurrent layer, with ones for the forget gate; a packed kernel for query, key and value:

    >>> import numpy as np, seedbed as sb
    >>> sb.Blocks("zeros", [(np.s_[2:4], "ones")])((8,)).tolist()
    [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    >>> packed = sb.Blocks("zeros", [(np.s_[:, at : at + 64], "glorot_uniform") for at in (0, 64, 128)], seed=42)
    >>> bool(0.21 < abs(packed((64, 192))).max() <= (6 / 128) ** 0.5)
    True
    """

    parameters: ClassVar[tuple[str, ...]] = ("default", "blocks", "seed")

    def __init__(
        self, default: InitializerLike, blocks: Iterable[tuple[Any, InitializerLike]] = (), seed: seeds.SeedLike = None
    ) -> None:
        super().__init__(seed)
        self.default = _as_part(default)
        self.blocks = _as_blocks(blocks)

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        for _, part in self.blocks:
            part.as_dtype(dtype)
        return self.default.as_dtype(dtype)

    def parts(self, shape: Shape) -> list[Part]:
        """Return the parts of a tensor of that shape: the default, which is the whole, and the blocks.

        Raises:
            ValueError: if the index of a block does not fit the shape.
        """
        found = [Part(axes_of(shape), [True] * len(shape), self.default)]
        for index, part in self.blocks:
            try:
                found.append(Part(*selected(index, shape), part))
            except IndexError as error:
                raise ValueError(f"the index of a block must fit the shape {shape}: {error}") from None
        return found

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        parts = self.parts(shape)
        for part in parts:
            part.initializer.check(part.shape, dtype)  # Before a draw is taken.
        address = self._draw()
        return Patched(shape, [_patch(number, part, address, dtype) for number, part in enumerate(parts)])

    def __repr__(self) -> str:
        blocks = ", ".join(f"(np.s_[{', '.join(map(_written, index))}], {part!r})" for index, part in self.blocks)
        seed = f", seed={shown['seed']!r}" if "seed" in (shown := self._shown()) else ""
        return f"{plain_name(type(self))}({self.default!r}, [{blocks}]{seed})"

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        parts = self.parts(shape)
        described, regions = [], [tuple(part.axes) for part in parts]
        for number, part in enumerate(parts):
            size = math.prod(part.shape)
            count = _uncovered(regions[number], regions[number + 1 :]) if len(parts) <= MAX_DESCRIBED else None
            if count != 0:
                description = part.initializer.describe(part.shape, dtype)
                alike = isinstance(part.initializer, (RandomInitializer, Orthogonal)) or description.stddev == 0
                if count is None or not (count == size or alike):  # The elements that are left are not known.
                    description = description._replace(mean=None, stddev=None)
                described.append((description, size if count is None else count))
        return mixture(described)

    def get_config(self) -> dict[str, Any]:
        blocks = [[[_plain(item) for item in index], nested_config(part)] for index, part in self.blocks]
        return {**super().get_config(), "default": nested_config(self.default), "blocks": blocks}


class _At(seeds.SeedGenerator):
    """A generator that returns the same address at each draw."""

    def __init__(self, address: seeds.Address) -> None:
        self.address = address

    def next(self) -> seeds.Address:
        return self.address


class Part(NamedTuple):
    """A block of a tensor, and its initializer."""

    axes: list[Axis]
    """The block, as a region of the whole tensor."""
    kept: list[bool]
    """Whether the block has each axis of the whole."""
    initializer: Initializer

    @property
    def shape(self) -> Shape:
        """The shape of the block."""
        return _kept(shape_of(self.axes), self.kept)


class Patch(NamedTuple):
    """The rule of a block."""

    axes: list[Axis]
    """The block, as a region of the whole tensor."""
    kept: list[bool]
    """Whether the block has each axis of the whole."""
    rule: Rule
    elementwise: bool
    """Whether the rule takes regions of the whole tensor, as its addresses are there; otherwise, of the block."""

    def write(self, out: np.ndarray, axes: Sequence[Axis]) -> None:
        """Write a region of the whole tensor that lies in the block."""
        if self.elementwise:
            self.rule.write(out, axes)
            return
        own = [
            (count, (first - start) // step, stride // step if many > 1 else 1, many)
            for (_, first, stride, many), (_, start, step, count) in zip(axes, self.axes, strict=True)
        ]
        self.rule.write(out, _kept(own, self.kept))


def _patch(number: int, part: Part, address: seeds.Address, dtype: np.dtype) -> Patch:
    """Return the rule of a part of a tensor at an address."""
    rule = part.initializer.with_seed(_At(address)).rule_of(part.shape, dtype)
    elementwise = isinstance(rule, Sampled)
    if not elementwise:
        own = seeds.Address(seeds.child_key(address.key, f"Blocks/{number}"), address.stream)
        rule = part.initializer.with_seed(_At(own)).rule_of(part.shape, dtype)
    return Patch(part.axes, part.kept, rule, elementwise)


class Patched(Rule):
    """Rule of blocks. Later blocks overwrite earlier ones; the first block is the whole tensor."""

    __slots__ = ("patches", "shape")

    def __init__(self, shape: Shape, patches: list[Patch]) -> None:
        self.shape = shape
        self.patches = patches

    @property
    def needs_whole(self) -> bool:
        return any(patch.rule.needs_whole for patch in self.patches)

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        axes = axes_of(self.shape) if axes is None else axes
        target = out.reshape(shape_of(axes))
        places = [[_shared(axis, own) for axis, own in zip(axes, patch.axes, strict=True)] for patch in self.patches]
        first = 1 if _fill(places[1:], target.size) else 0
        for patch, place in zip(self.patches[first:], places[first:], strict=True):
            if all(shape_of(place)):
                _write(patch, target, axes, place)


def _write(patch: Patch, target: np.ndarray, axes: Sequence[Axis], place: Sequence[Axis]) -> None:
    """Write the elements of a block that are in a region to the array of the region.

    Arguments:
        patch: the block.
        target: the array.
        axes: region of the array in the whole tensor.
        place: region of the block in the array.
    """
    view = target[tuple(as_slice(axis) for axis in place)]
    if view.flags.c_contiguous:
        patch.write(view, within(axes, place))
        return
    most = view.size if patch.rule.needs_whole else max(1, PIECE_BYTES // view.itemsize)
    for piece in pieces(view.shape, most):
        buffer = np.empty(shape_of(piece), view.dtype)
        patch.write(buffer, within(axes, within(place, piece)))
        view[tuple(as_slice(axis) for axis in piece)] = buffer


def _shared(axis: Axis, other: Axis) -> Axis:
    """Return the indices along an axis that another region has too, as positions in the first region.

    >>> _shared((100, 10, 3, 20), (100, 0, 2, 30))  # 10, 13, 16, ... 67 and 0, 2, ... 58
    (20, 0, 2, 9)
    """
    _, start, step, count = axis
    _, begin, pitch, many = other
    none = (count, 0, 1, 0)
    if not count or not many:
        return none
    low, high = sorted((begin, begin + pitch * (many - 1)))
    near, far = (low, high) if step > 0 else (high, low)
    first, last = max(0, -((start - near) // step)), min(count - 1, (far - start) // step)
    common = math.gcd(step, pitch)
    if (begin - start) % common:
        return none
    stride = abs(pitch) // common
    # Positions i with start + step i = begin modulo the pitch.
    residue = (begin - start) // common * pow(step // common, -1, stride) % stride if stride > 1 else 0
    first += (residue - first) % stride
    return (count, first, stride, (last - first) // stride + 1) if first <= last else none


def _uncovered(region: tuple[Axis, ...], others: Sequence[tuple[Axis, ...]]) -> int | None:
    """Return the number of elements of a region that no other region has, or None if that is too much work.

    The method is inclusion and exclusion: it adds and subtracts intersections, and counts equal ones together.
    """
    terms = Counter({region: 1})
    for other in others:
        shared: Counter[tuple[Axis, ...]] = Counter()
        for axes, times in terms.items():
            place = [_shared(axis, own) for axis, own in zip(axes, other, strict=True)]
            if all(shape_of(place)):
                shared[tuple(within(axes, place))] += times
        terms.subtract(shared)
        terms = Counter({axes: times for axes, times in terms.items() if times})
        if len(terms) > 16 * MAX_DESCRIBED:
            return None
    return sum(times * math.prod(shape_of(axes)) for axes, times in terms.items())


def _fill(places: Sequence[Sequence[Axis]], size: int) -> bool:
    """Return whether blocks cover a region. It may return False for a covered one, to bound its cost."""
    places = [place for place in places if all(shape_of(place))]
    if len(places) > MAX_COMPARED or sum(math.prod(shape_of(place)) for place in places) != size:
        return False
    return not any(
        all(_shared(*axes)[3] for axes in zip(one, two, strict=True)) for one, two in combinations(places, 2)
    )


def _kept(items: Sequence[T], kept: Sequence[bool]) -> tuple[T, ...]:
    return tuple(item for item, keep in zip(items, kept, strict=True) if keep)


def _as_blocks(blocks: object) -> tuple[tuple[tuple[Index, ...], Initializer], ...]:
    if not isinstance(blocks, Iterable):
        raise TypeError(f"blocks must be pairs of an index and an initializer. Received: blocks={shortened(blocks)}")
    pairs = tuple(islice(blocks, MAX_BLOCKS + 1))
    if len(pairs) > MAX_BLOCKS:
        raise ValueError(f"blocks must be at most {MAX_BLOCKS}. Received: more")
    return tuple(map(_as_block, pairs))


def _as_block(block: Any) -> tuple[tuple[Index, ...], Initializer]:
    try:
        index, part = block
    except (TypeError, ValueError):
        raise TypeError(
            f"a block must be a pair of an index and an initializer. Received: {shortened(block)}"
        ) from None
    return _as_index(index), _as_part(part)


def _as_index(index: Any) -> tuple[Index, ...]:
    return tuple(map(_as_item, index if isinstance(index, (tuple, list)) else (index,)))


def _as_item(item: Any) -> Index:
    try:
        if isinstance(item, (list, slice)):
            bounds = [item.start, item.stop, item.step] if isinstance(item, slice) else item
            start, stop, step = (None if bound is None else as_integer(bound) for bound in (*bounds, None, None)[:3])
            if len(bounds) in (2, 3) and step != 0:
                return slice(start, stop, step)
            raise TypeError
        return Ellipsis if item is Ellipsis or item == "..." else as_integer(item)
    except TypeError:
        raise TypeError(
            f"the index of a block must have integers, slices and at most one Ellipsis. Received: {shortened(item)}"
        ) from None


def _written(item: Index) -> str:
    """Return an item of an index as Python code."""
    if isinstance(item, slice):
        start, stop, step = ("" if bound is None else str(bound) for bound in (item.start, item.stop, item.step))
        return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"
    return "..." if item is Ellipsis else str(item)


def _plain(item: Index) -> Any:
    """Return an item of an index for a configuration."""
    if isinstance(item, slice):
        return [item.start, item.stop] if item.step is None else [item.start, item.stop, item.step]
    return "..." if item is Ellipsis else item


def _as_part(part: Any) -> Initializer:
    return as_nested("the initializer of a block", part, Blocks)

"""Comparison of one safetensors file with the tensors of a plan, bit by bit.

The file is read once, in order. Worker threads read it ahead and hash it, while the calling thread evaluates the values
again and compares them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from seedbed.checkpoint.evaluation import Evaluator, write_range
from seedbed.checkpoint.header import DTYPE_NAMES, dtype_of
from seedbed.checkpoint.reader import HashingReader, opened, read_checkpoint_header
from seedbed.checkpoint.ring_buffer import RingBuffer
from seedbed.checkpoint.round_robin import Task
from seedbed.seeds import SeedGenerator
from seedbed.strict_json import shown

if TYPE_CHECKING:
    from seedbed.checkpoint.header import Entry, Header
    from seedbed.lazy import LazyArray
    from seedbed.plan import PlannedTensor

PIECE_BYTES = 1 << 22
"""Length of the piece that is evaluated and compared at a time, in bytes: about the size of a core's L2 cache."""

MAX_SHOWN = 20
"""Maximum number of differences whose details are kept."""

_WORDS = {
    "missing": "is missing",
    "unexpected": "is not in the plan",
    "form": "",
    "values": "",
    "place": "is elsewhere: ",
}


@dataclass(frozen=True)
class Difference:
    """A difference between a checkpoint and its plan, in one tensor or one file.

    | `kind` | the difference | `expected` and `found` |
    |---|---|---|
    | ``"missing"`` | the checkpoint lacks the tensor or file | empty |
    | ``"unexpected"`` | the plan lacks the tensor | empty |
    | ``"form"`` | another dtype or shape | dtype and shape |
    | ``"values"`` | `count` of the `size` elements differ, the first at `index` | the first element, and its bits |
    | ``"place"`` | the tensor is in another file than the index says | file names |

    ``str(difference)`` is one line for a person.

    >>> from seedbed.checkpoint import Difference
    >>> print(Difference("lm_head.weight", "missing"))
    "lm_head.weight" is missing
    """

    name: str
    kind: Literal["missing", "unexpected", "form", "values", "place"]
    expected: str = ""
    found: str = ""
    count: int = 0
    size: int = 0
    index: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return one line for a person, in ASCII even if the name is not."""
        what = _WORDS[self.kind]
        if self.kind == "values":
            what = f"differs in {self.count:,} of {self.size:,} elements, first at {list(self.index)}: "
        if self.expected:
            what += f"expected {self.expected}, found {self.found}"
        return f"{shown(self.name)} {what}"


class FileComparison(NamedTuple):
    """The result of the comparison of one file."""

    size: int
    """Length of the file, in bytes."""
    sha256: str
    names: frozenset[str]
    """Names of the tensors in the file."""
    aliases: frozenset[str]
    """Names of tied tensors, which the metadata maps to a tensor in the file."""
    differences: list[Difference]
    """The first `MAX_SHOWN` differences."""
    different: int
    """Number of all differences."""


def compare(
    path: Path,
    tensors: Mapping[str, PlannedTensor],
    seed_of: Callable[[Header], int],
    blocks: int,
    progress: Callable[[PlannedTensor], None],
) -> Task[FileComparison]:
    """Compare each tensor of a file with the tensor of the same name in a plan.

    Arguments:
        path: path of the file.
        tensors: tensors of the plan, by name. Tensors that the file lacks are left to the caller.
        seed_of: function that returns the seed for the header of the file.
        blocks: maximum number of memory blocks.
        progress: function that is called after each tensor that is in both.

    Returns:
        A task for `take_turns`, which ends with the result.

    Raises:
        ValueError: if the file is not a safetensors file, or changes during the comparison.
        OSError: if the file cannot be read, or is not a regular file.
    """
    with opened(path) as (file, size):
        header = read_checkpoint_header(file, size)
        root = SeedGenerator(seed_of(header))
        aliases = _aliases(header, tensors)
        differences: list[Difference] = []
        different = 0
        with closing(HashingReader(file, size, RingBuffer(size, blocks))) as source:
            for difference in _differences(source, header, aliases, tensors, root, progress):
                if difference is not None:
                    different += 1
                    differences += [difference] * (different <= MAX_SHOWN)
                yield False
            names = frozenset(entry.name for entry in header.entries)
            tied = frozenset().union(*aliases.values())
            return FileComparison(size, source.hexdigest(), names, tied, differences, different)


def _aliases(header: Header, tensors: Mapping[str, PlannedTensor]) -> dict[str, list[str]]:
    """Return the names of tied tensors in the plan, by the name of the tensor that the file has.

    `safetensors.torch.save_model` writes only one of several tied tensors, and the names of the others to the metadata.
    """
    present = {entry.name for entry in header.entries}
    aliases: dict[str, list[str]] = {}
    for name, kept in header.metadata.items():
        if name in tensors and name not in present and kept in present:
            aliases.setdefault(kept, []).append(name)
    return aliases


def _differences(
    source: HashingReader,
    header: Header,
    aliases: Mapping[str, list[str]],
    tensors: Mapping[str, PlannedTensor],
    root: SeedGenerator,
    progress: Callable[[PlannedTensor], None],
) -> Iterator[Difference | None]:
    """Yield each difference, and None after each piece."""
    yield from source.skip(header.start)
    buffer = bytearray(PIECE_BYTES)
    values = Evaluator(root)
    for entry in header.entries:
        planned = [tensors[name] for name in (entry.name, *aliases.get(entry.name, ())) if name in tensors]
        same: list[PlannedTensor] = []
        others: list[PlannedTensor] = []
        for tensor in planned:
            (same if (dtype_of(tensor), tensor.shape) == (entry.dtype, entry.shape) else others).append(tensor)
        if same:
            yield from _differing_values(source, [(tensor, values.of(tensor)) for tensor in same], buffer)
        else:
            yield from source.skip(entry.stop - entry.start)
        for tensor in others:
            yield Difference(tensor.name, "form", f"{tensor.dtype.name} {list(tensor.shape)}", _form(entry))
        for tensor in planned:
            progress(tensor)
        if not planned:
            yield Difference(entry.name, "unexpected")


def _form(entry: Entry) -> str:
    dtype = next((name for name, known in DTYPE_NAMES.items() if known == entry.dtype), entry.dtype)
    return f"{dtype} {shown(entry.shape)}"


def _differing_values(
    source: HashingReader, planned: list[tuple[PlannedTensor, LazyArray]], buffer: bytearray
) -> Iterator[Difference | None]:
    """Compare the next tensor of a file with the values of one planned tensor, or of several tied ones."""
    comparisons = [_TensorComparison(tensor, values) for tensor, values in planned]
    size, itemsize = planned[0][0].size, planned[0][0].dtype.itemsize
    done = 0
    while done < size:
        count = min(size - done, len(buffer) // itemsize, max(1, source.available // itemsize))
        found = source.read(count * itemsize)
        for comparison in comparisons:
            comparison.add(done, found, buffer)
        done += count
        yield None
    for comparison in comparisons:
        yield comparison.difference()


class _TensorComparison:
    """The differing elements of one tensor: their number and the first one."""

    def __init__(self, tensor: PlannedTensor, values: LazyArray) -> None:
        self._tensor = tensor
        self._values = values
        self._count = 0
        self._first: tuple[int, int, int] | None = None

    def add(self, start: int, found: np.ndarray, buffer: bytearray) -> None:
        """Compare the bytes of elements from `start` on. The expected values are evaluated into `buffer`."""
        evaluated = np.frombuffer(buffer, np.uint8, found.size)
        write_range(self._values, start, evaluated.view(self._values.dtype))
        bits = f"u{self._values.itemsize}"
        expected, received = evaluated.view(bits), found.view(bits)
        # Comparing the whole buffer is one memcmp, which is twice as fast as NumPy.
        if buffer == found.data if len(buffer) == found.size else np.array_equal(expected, received):
            return
        differing = expected != received
        if self._first is None:
            at = int(differing.argmax())
            self._first = start + at, int(expected[at]), int(received[at])
        self._count += int(np.count_nonzero(differing))

    def difference(self) -> Difference | None:
        """Return the difference, or None if all elements are equal."""
        if self._first is None:
            return None
        at, expected, found = self._first
        index = tuple(int(i) for i in np.unravel_index(at, self._tensor.shape))
        wanted, there = (_element(bits, self._values.dtype) for bits in (expected, found))
        return Difference(self._tensor.name, "values", wanted, there, self._count, self._tensor.size, index)


def _element(bits: int, dtype: np.dtype) -> str:
    """Return a number and its bits as text. A big-endian machine has read the little-endian bytes in reverse."""
    stored = np.array(bits, f"u{dtype.itemsize}")
    if sys.byteorder == "big":
        stored = stored.byteswap()
    return f"{stored.view(dtype)[()]!s} ({int(stored):#0{2 + 2 * dtype.itemsize}x})"

"""A safetensors file held against a plan: whether it has the bits that the plan and a seed say.

The file is read once, from its beginning to its end, in pieces: each is handed to the hash, which is some pieces
behind, and compared with the same piece evaluated anew. It is not mapped: where a file becomes shorter while it is
read, a map ends in a signal, a read in an error.
"""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from seedbed import ALGORITHM
from seedbed.checkpoint.header import ALGORITHM_KEY, DTYPE_NAMES, SEED_KEY, dtype_of, read_header
from seedbed.checkpoint.ring import Ring
from seedbed.checkpoint.source import Source, opened, read_bytes
from seedbed.checkpoint.values import Values, write_range
from seedbed.seeds import SeedGenerator, as_seed
from seedbed.strict_json import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from seedbed.checkpoint.header import Entry, Header
    from seedbed.lazy import LazyArray
    from seedbed.plan import Plan, PlannedTensor

PIECE_BYTES = 1 << 22
"""What is evaluated, read and compared at a time: what a core's own cache may hold."""

MAX_BYTES_BEHIND = 1 << 26
"""How far the hash may be behind: the pieces that are kept for it."""

MAX_SHOWN = 20
"""How many differences are told one by one."""

_SEED = re.compile(r"0|-?[1-9][0-9]{0,76}")


@dataclass(frozen=True)
class Difference:
    """A tensor that is in the file not what it is in the plan.

    `kind` tells how: ``"missing"`` in the file, ``"unexpected"`` there, of another ``"form"`` (dtype or shape), or of
    other ``"values"``. `expected` and `found` are then the two forms, or the two elements, with their bits, at `index`,
    the first of `count` of all `size` that differ.
    """

    name: str
    kind: Literal["missing", "unexpected", "form", "values"]
    expected: str = ""
    found: str = ""
    count: int = 0
    size: int = 0
    index: tuple[int, ...] = ()

    def __str__(self) -> str:
        """A line for a person, in ASCII whatever the name holds."""
        what = {"missing": "is missing", "unexpected": "is not in the plan", "form": "", "values": ""}[self.kind]
        if self.kind == "values":
            what = f"differs in {self.count:,} of {self.size:,} elements, first at {list(self.index)}: "
        if self.expected:
            what += f"expected {self.expected}, found {self.found}"
        return f"{shown(self.name)} {what}"


@dataclass(frozen=True)
class Verification:
    """What was found: the tensors and parameters of the plan, the bytes of the file, its SHA-256, and the time.

    `seed` is the one that was asked for, or else the one that the file tells, which is `seed_told` (None where it tells
    none). `different` is the number of tensors that differ, `differences` tells of the first 20, in the order of the
    file and then of the plan.
    """

    tensors: int
    parameters: int
    bytes: int
    seconds: float
    sha256: str
    seed: int
    seed_told: int | None
    different: int
    differences: tuple[Difference, ...]


def verify_checkpoint(
    plan: Plan,
    path: str | os.PathLike[str],
    *,
    seed: int | None = None,
    progress: Callable[[PlannedTensor], None] = lambda tensor: None,
) -> Verification:
    """Compare every bit of every tensor of the safetensors file at `path` with what `write_checkpoint` writes.

    Who wrote the file is all the same, and so is the order of its tensors. Bits are compared, not numbers: -0.0 is not
    0.0, and NaNs are not all alike. Some pieces of 4 MiB stand in memory; but a tensor of which a part costs as much as
    the whole, orthogonal or sparse, as one.

    Arguments:
        plan: what the file should hold.
        path: an ordinary file, or a link to one.
        seed: an integer in [-2**255, 2**255). None takes the seed that the file's metadata tells. Where both are there
            and differ, the values are compared with those of this one, and the result tells of both.
        progress: called after each tensor of the plan that is in the file, in the file's order.

    Raises:
        ValueError: the seed is none, or there is none; the plan does not fit into a safetensors file; the file is not
            one, is cut short, or tells of another algorithm than this version's.
        OSError: the file cannot be read, or is not an ordinary one.

    >>> import tempfile
    >>> from seedbed.checkpoint import verify_checkpoint, write_checkpoint
    >>> from seedbed.plan import parse_plan
    >>> plan = parse_plan('{"tensors": [{"name": "w", "shape": [10, 5], "initializer": "he_normal"}]}')
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = write_checkpoint(plan, f"{folder}/model.safetensors", seed=7)
    ...     same = verify_checkpoint(plan, f"{folder}/model.safetensors")
    ...     other = verify_checkpoint(plan, f"{folder}/model.safetensors", seed=8)
    >>> same.seed, same.different, same.sha256 == summary.sha256
    (7, 0, True)
    >>> other.seed, other.seed_told, other.different
    (8, 7, 1)
    >>> print(other.differences[0])
    "w" differs in 50 of 50 elements, first at [0, 0]:
        expected 0.4413386 (0x3ee1f722), found -0.109347925 (0xbddff1ce)
    """
    asked = None if seed is None else as_seed(seed)
    for tensor in plan.tensors:
        dtype_of(tensor)
    began = time.perf_counter()
    try:
        with opened(path) as (file, size):
            header = read_header(partial(read_bytes, file), size)
            told = _seed_told(header.metadata)
            seed = told if asked is None else asked
            if seed is None:
                raise ValueError(
                    "a seed must be given where a checkpoint's metadata tells none. "
                    f"Received: seed=None, and {shown(sorted(header.metadata))} in the metadata"
                )
            first: list[Difference] = []
            different = 0
            with closing(Source(file, size, Ring(size))) as source:
                for difference in _differences(source, header, plan, SeedGenerator(seed), progress):
                    if difference is not None:
                        different += 1
                        if different <= MAX_SHOWN:
                            first.append(difference)
                sha256 = source.hexdigest()
    except OSError as error:  # tell it of the name that the caller knows
        raise OSError(error.errno, f"cannot read the checkpoint: {error.strerror}", os.fspath(path)) from error
    seconds = time.perf_counter() - began
    return Verification(len(plan.tensors), plan.parameters, size, seconds, sha256, seed, told, different, tuple(first))


def _seed_told(metadata: Mapping[str, str]) -> int | None:
    algorithm = metadata.get(ALGORITHM_KEY, ALGORITHM)
    if algorithm != ALGORITHM:
        raise ValueError(
            f"the algorithm of a checkpoint must be {ALGORITHM}, the one of this version of seedbed. "
            f"Received: {ALGORITHM_KEY}={shown(algorithm)}"
        )
    text = metadata.get(SEED_KEY)
    if text is None:
        return None
    if not _SEED.fullmatch(text):
        raise ValueError(f"{SEED_KEY} must be an integer in [-2**255, 2**255). Received: {shown(text)}")
    return as_seed(int(text))


def _differences(
    source: Source, header: Header, plan: Plan, root: SeedGenerator, progress: Callable[[PlannedTensor], None]
) -> Iterator[Difference | None]:
    """Compare the tensors of a file with those of a plan: return what differs, and None after each piece."""
    yield from source.skip(header.start)
    buffer = np.empty(PIECE_BYTES, np.uint8)
    values = Values(root)
    missing = {tensor.name: tensor for tensor in plan.tensors}
    for entry in header.entries:
        tensor = missing.pop(entry.name, None)
        if tensor is None:
            yield from source.skip(entry.stop - entry.start)
            yield Difference(entry.name, "unexpected")
            continue
        if (dtype_of(tensor), tensor.shape) == (entry.dtype, entry.shape):
            yield from _differing_values(source, tensor, values.of(tensor), buffer)
        else:
            yield from source.skip(entry.stop - entry.start)
            yield Difference(entry.name, "form", f"{tensor.dtype.name} {list(tensor.shape)}", _form(entry))
        progress(tensor)
    for name in missing:
        yield Difference(name, "missing")


def _form(entry: Entry) -> str:
    dtype = next((name for name, known in DTYPE_NAMES.items() if known == entry.dtype), entry.dtype)
    return f"{dtype} {shown(entry.shape)}"


def _differing_values(
    source: Source, tensor: PlannedTensor, values: LazyArray, buffer: np.ndarray
) -> Iterator[Difference | None]:
    bits = f"u{values.itemsize}"
    done = count = 0
    first: tuple[int, int, int] | None = None
    while done < values.size:
        size = min(values.size - done, buffer.size // values.itemsize, max(1, source.available // values.itemsize))
        piece = buffer[: size * values.itemsize]
        write_range(values, done, piece.view(values.dtype))
        expected, found = piece.view(bits), source.read(piece.size).view(bits)
        if not np.array_equal(expected, found):
            differing = expected != found
            if first is None:
                at = int(differing.argmax())
                first = done + at, int(expected[at]), int(found[at])
            count += int(np.count_nonzero(differing))
        done += size
        yield None
    if first is not None:
        at, wanted, there = first
        index = tuple(int(i) for i in np.unravel_index(at, tensor.shape))
        dtype = values.dtype
        yield Difference(tensor.name, "values", _element(wanted, dtype), _element(there, dtype), count, done, index)


def _element(bits: int, dtype: np.dtype) -> str:
    """A number and its bits, which a big-endian machine has read the wrong way round."""
    stored = np.array(bits, f"u{dtype.itemsize}")
    if sys.byteorder == "big":
        stored = stored.byteswap()
    return f"{stored.view(dtype)[()]!s} ({int(stored):#0{2 + 2 * dtype.itemsize}x})"

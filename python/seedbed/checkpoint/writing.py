"""A plan evaluated into a safetensors file.

The file is made under a temporary name in the target's folder. Its space is taken before anything is evaluated: a
store into the map of a file that the disk cannot back is a signal, not an exception. Each tensor is then evaluated
where it belongs in the map, and hashed by a thread of its own while the next ones are evaluated. What is whole and on
the disk takes the final name in one step; whatever ends the work before that leaves the final name as it was. (Only a
process that is killed leaves the temporary file behind, ``.seedbed-*.part``.)
"""

from __future__ import annotations

import errno
import mmap
import os
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from seedbed import ALGORITHM
from seedbed.checkpoint.hasher import Hasher
from seedbed.checkpoint.header import ALGORITHM_KEY, SEED_KEY, Entry, Header, dtype_of, encode_header
from seedbed.checkpoint.values import values_of, write_values
from seedbed.seeds import SeedGenerator, as_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seedbed.plan import Plan, PlannedTensor

MAX_BYTES_BEHIND = 1 << 30
"""How far the hash may be behind the evaluation: about a second, in which nothing leaves the page cache."""

MAX_DATA_BYTES = 1 << 62
"""The most bytes of all tensors. (What a disk can hold, it says itself.)"""


@dataclass(frozen=True)
class Summary:
    """What was written: the number of tensors, of their elements, and of the file's bytes, its SHA-256, and the time.

    `fill_seconds` is the evaluation of all tensors into the pages of the file; `seconds` is everything, until the file
    is hashed and stands on the disk under its final name.
    """

    tensors: int
    parameters: int
    bytes: int
    fill_seconds: float
    seconds: float
    sha256: str


def write_checkpoint(
    plan: Plan,
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    progress: Callable[[PlannedTensor], None] = lambda tensor: None,
) -> Summary:
    """Evaluate `plan` into a safetensors file at `path`; a file that is there is replaced.

    The tensor called `name` is ``initializer.with_seed(SeedGenerator(seed).child(name))(shape, dtype)``.

    Arguments:
        plan: what to write.
        path: the final name. Links are followed.
        seed: an integer in [-2**255, 2**255).
        progress: called after each tensor, in the order of the file.

    Raises:
        TypeError, ValueError: the seed is not one, or the plan does not fit into a safetensors file.
        OSError: the file cannot be written, or the disk is full.

    >>> import tempfile
    >>> from seedbed.checkpoint import write_checkpoint
    >>> from seedbed.plan import parse_plan
    >>> plan = parse_plan('{"tensors": [{"name": "scale", "shape": [10], "initializer": "ones"}]}')
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = write_checkpoint(plan, f"{folder}/model.safetensors")
    >>> summary.tensors, summary.parameters, summary.bytes
    (1, 10, 232)
    """
    seed = as_seed(seed)  # no generator: the draws of one are no part of a file
    places = _laid_out(plan)
    metadata = {"format": "pt", ALGORITHM_KEY: ALGORITHM, SEED_KEY: str(seed)}
    header = encode_header(Header(metadata, tuple(entry for _, entry in places)))
    size = len(header) + plan.nbytes
    began = time.perf_counter()
    try:
        with _new_file(Path(os.path.realpath(path))) as file:
            _reserve(file, size)
            sha256, fill_seconds = _fill(file, size, header, places, SeedGenerator(seed), progress)
    except OSError as error:  # tell it of the name that the caller knows
        raise OSError(error.errno, f"cannot write the checkpoint: {error.strerror}", os.fspath(path)) from error
    seconds = time.perf_counter() - began
    return Summary(len(places), plan.parameters, size, fill_seconds, seconds, sha256)


def _laid_out(plan: Plan) -> list[tuple[PlannedTensor, Entry]]:
    if plan.nbytes > MAX_DATA_BYTES:
        raise ValueError(
            f"the tensors of a checkpoint must have at most {MAX_DATA_BYTES} bytes. Received: {plan.nbytes}"
        )
    places = []
    start = 0
    for tensor in sorted(plan.tensors, key=lambda tensor: -tensor.dtype.itemsize):
        stop = start + tensor.nbytes
        places.append((tensor, Entry(tensor.name, dtype_of(tensor), tensor.shape, start, stop)))
        start = stop
    return places


@contextmanager
def _new_file(target: Path) -> Iterator[BinaryIO]:
    """Open a new file, which takes the name `target` when the block ends well and vanishes when it does not."""
    if target.exists() and not target.is_file():  # a folder; or a device, which os.replace would do away with
        raise OSError(errno.EINVAL, "not an ordinary file")
    temporary = target.with_name(f".seedbed-{secrets.token_hex(8)}.part")
    try:
        with temporary.open("x+b") as file:
            yield file
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reserve(file: BinaryIO, size: int) -> None:
    """Give `file` its `size` and the space on disk for it, or raise OSError."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):  # not every file system can
                raise
        else:
            return
    zeros = bytes(1 << 20)
    for start in range(0, size, len(zeros)):
        file.write(zeros[: size - start])
    file.flush()


def _fill(
    file: BinaryIO,
    size: int,
    header: bytes,
    places: list[tuple[PlannedTensor, Entry]],
    root: SeedGenerator,
    progress: Callable[[PlannedTensor], None],
) -> tuple[str, float]:
    """Evaluate every tensor into its place; return the SHA-256 of the whole, and the seconds spent on evaluation."""
    # Nobody closes the map: that fails while an array looks into it, and a traceback may hold one. It goes with them.
    pages = mmap.mmap(file.fileno(), size)
    pages[: len(header)] = header
    data = memoryview(pages)[len(header) :]
    fill_seconds = 0.0
    with Hasher(MAX_BYTES_BEHIND) as hasher:
        hasher.update(header)
        for tensor, entry in places:
            piece = data[entry.start : entry.stop]
            began = time.perf_counter()
            write_values(values_of(tensor, root), np.ndarray(tensor.shape, tensor.dtype, buffer=piece))
            fill_seconds += time.perf_counter() - began
            hasher.update(piece)
            progress(tensor)
        os.fsync(file.fileno())  # while the hash catches up; the flush, which holds the GIL, finds little left to do
    pages.flush()
    return hasher.hexdigest(), fill_seconds

"""Checkpoints: a plan evaluated into a safetensors file, without a tensor of it ever standing in memory of its own.

The file is the format's, byte for byte determined by the plan and the seed::

    length of the header, 8 bytes, little-endian
    header: JSON, name -> dtype, shape, first and last byte; spaces up to a multiple of 64 bytes
    the tensors, one behind the other, by falling item size and then in the plan's order

so that every tensor is aligned to its items. ``__metadata__`` tells the algorithm and the seed, and not the version of
seedbed: the SHA-256 is to change when a value does, and at no other time.

The file is made under a temporary name in the target's folder. Its space is taken before anything is evaluated: a
store into the map of a file that the disk cannot back is a signal, not an exception. Each tensor is then evaluated
where it belongs in the map, and hashed by a thread of its own while the next ones are evaluated. What is whole and on
the disk takes the final name in one step; whatever ends the work before that leaves the final name as it was. (Only a
process that is killed leaves the temporary file behind, ``.seedbed-*.part``.)
"""

from __future__ import annotations

import errno
import hashlib
import json
import mmap
import os
import secrets
import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from seedbed import ALGORITHM
from seedbed.seeds import SeedGenerator, as_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seedbed.plan import Plan, PlannedTensor

__all__ = ["Summary", "write_checkpoint"]

ALIGNMENT = 64
"""The data begin at a multiple of this many bytes: a cache line, and the widest SIMD load."""

MAX_BYTES_BEHIND = 1 << 30
"""How far the hash may be behind the evaluation: about a second."""

HASHED_AT_ONCE = 1 << 26
"""Bytes between two chances to stop hashing."""

MAX_HEADER_BYTES = 100_000_000
"""The longest header that the safetensors library reads."""

MAX_DATA_BYTES = 1 << 62
"""The most bytes of all tensors. (What a disk can hold, it says itself.)"""

DTYPE_NAMES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64", "bool": "BOOL"}
DTYPE_NAMES |= {f"{kind}{bits}": f"{kind[0].upper()}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
"""What safetensors calls the dtypes that it shares with NumPy."""


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


@dataclass(frozen=True)
class _Place:
    """A tensor and the bytes that are its own, counted from the beginning of the file's data."""

    tensor: PlannedTensor
    start: int
    stop: int


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
    >>> from seedbed.plan import parse_plan
    >>> plan = parse_plan('{"tensors": [{"name": "scale", "shape": [10], "initializer": "ones"}]}')
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = write_checkpoint(plan, f"{folder}/model.safetensors")
    >>> summary.tensors, summary.parameters, summary.bytes
    (1, 10, 232)
    """
    seed = as_seed(seed)  # no generator: the draws of one are no part of a file
    places = _places(plan)
    header = _header(places, seed)
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


def _places(plan: Plan) -> list[_Place]:
    if plan.nbytes > MAX_DATA_BYTES:
        raise ValueError(
            f"the tensors of a checkpoint must have at most {MAX_DATA_BYTES} bytes. Received: {plan.nbytes}"
        )
    places = []
    start = 0
    for tensor in sorted(plan.tensors, key=lambda tensor: -tensor.dtype.itemsize):
        places.append(_Place(tensor, start, start + tensor.nbytes))
        start += tensor.nbytes
    return places


def _header(places: list[_Place], seed: int) -> bytes:
    entries: dict[str, object] = {
        "__metadata__": {"format": "pt", "seedbed.algorithm": ALGORITHM, "seedbed.seed": str(seed)}
    }
    for place in places:
        tensor = place.tensor
        if tensor.dtype.name not in DTYPE_NAMES:
            known = ", ".join(DTYPE_NAMES)
            raise ValueError(
                f"{tensor.name!r}: a dtype in a checkpoint must be one of {known}. Received: {tensor.dtype}"
            )
        entries[tensor.name] = {
            "dtype": DTYPE_NAMES[tensor.dtype.name],
            "shape": tensor.shape,
            "data_offsets": (place.start, place.stop),
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(
            f"the header of a checkpoint must have at most {MAX_HEADER_BYTES} bytes. Received: {len(text)}"
        )
    return len(text).to_bytes(8, "little") + text


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
    places: list[_Place],
    root: SeedGenerator,
    progress: Callable[[PlannedTensor], None],
) -> tuple[str, float]:
    """Evaluate every tensor into its place; return the SHA-256 of the whole, and the seconds spent on evaluation."""
    # Nobody closes the map: that fails while an array looks into it, and a traceback may hold one. It goes with them.
    pages = mmap.mmap(file.fileno(), size)
    pages[: len(header)] = header
    data = memoryview(pages)[len(header) :]
    fill_seconds = 0.0
    with _Hasher() as hasher:
        hasher.update(header)
        for place in places:
            piece = data[place.start : place.stop]
            began = time.perf_counter()
            _evaluate(place.tensor, root, piece)
            fill_seconds += time.perf_counter() - began
            hasher.update(piece)
            progress(place.tensor)
        os.fsync(file.fileno())  # while the hash catches up; the flush, which holds the GIL, finds little left to do
    pages.flush()
    return hasher.hexdigest(), fill_seconds


def _evaluate(tensor: PlannedTensor, root: SeedGenerator, piece: memoryview) -> None:
    out: np.ndarray = np.ndarray(tensor.shape, tensor.dtype, buffer=piece)
    tensor.initializer.with_seed(root.child(tensor.name))(tensor.shape, tensor.dtype, out=out)
    if sys.byteorder == "big":  # the format is little-endian
        out.byteswap(inplace=True)


class _Hasher:
    """SHA-256 in a thread of its own, some bytes behind, but not so many that they have left the page cache.

    Where the system has no thread to give, in the calling one.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._behind: deque[tuple[int, Future[None]]] = deque()
        self._bytes_behind = 0
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(max_workers=1)
        try:
            self._thread.submit(bool)
        except RuntimeError:
            self._thread = None

    def __enter__(self) -> _Hasher:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=kind is not None)

    def update(self, data: bytes | memoryview) -> None:
        for start in range(0, len(data), HASHED_AT_ONCE):
            self._update(memoryview(data)[start : start + HASHED_AT_ONCE])

    def _update(self, piece: memoryview) -> None:
        if self._thread is None:
            self._digest.update(piece)
            return
        self._behind.append((len(piece), self._thread.submit(self._digest.update, piece)))
        self._bytes_behind += len(piece)
        while self._behind and (self._behind[0][1].done() or self._bytes_behind > MAX_BYTES_BEHIND):
            size, hashed = self._behind.popleft()
            hashed.result()
            self._bytes_behind -= size

    def hexdigest(self) -> str:
        for _, hashed in self._behind:
            hashed.result()
        return self._digest.hexdigest()

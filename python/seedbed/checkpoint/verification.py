"""`verify_checkpoint`: compare a file, a directory of shards, or one shard of a directory with a plan."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed import ALGORITHM
from seedbed.checkpoint.comparison import MAX_SHOWN, Difference, FileComparison, compare
from seedbed.checkpoint.errors import read_errors
from seedbed.checkpoint.file_writer import WrittenFile
from seedbed.checkpoint.header import ALGORITHM_KEY, SEED_KEY, dtype_of
from seedbed.checkpoint.index import INDEX_SUFFIX, shards_of
from seedbed.checkpoint.layout import INDEX_NAME, shard_layouts
from seedbed.checkpoint.manifest import manifest_of, seed_of_text
from seedbed.checkpoint.object_store import is_local, path_of
from seedbed.checkpoint.parts import Part, as_part, positions_of
from seedbed.checkpoint.ring_buffer import BLOCKS
from seedbed.checkpoint.round_robin import Task, files_at_once, take_turns
from seedbed.plan.plan import check_plan
from seedbed.seeds import as_seed
from seedbed.strict_json import shown

if TYPE_CHECKING:
    from seedbed.checkpoint.header import Header
    from seedbed.plan import Plan, PlannedTensor

_NUMBERED = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.safetensors")


@dataclass(frozen=True)
class Verification:
    """The result of `verify_checkpoint`. The checkpoint is right if `different` is 0."""

    tensors: int
    """Number of tensors of the plan; of a part, only its own tensors."""
    parameters: int
    """Number of elements of the tensors."""
    bytes: int
    """Length of all files."""
    seconds: float
    """Time of the verification."""
    seed: int
    """The seed of the expected values: the argument, or else the recorded seed."""
    seed_recorded: int | None
    """The seed that the files record, or None."""
    different: int
    """Number of differences."""
    differences: tuple[Difference, ...]
    """The first 20 differences, in the order of the files and then of the plan."""
    files: tuple[WrittenFile, ...]
    """The files with their SHA-256."""

    @property
    def seed_told(self) -> int | None:
        """The former name of `seed_recorded`."""
        return self.seed_recorded

    @property
    def sha256(self) -> str:
        """The SHA-256 of the only file.

        Raises:
            ValueError: if the number of files is not one.
        """
        if len(self.files) != 1:
            raise ValueError(f"sha256 needs a single file; use files. Received: {len(self.files)} files")
        return self.files[0].sha256


def verify_checkpoint(
    plan: Plan | None,
    path: str | os.PathLike[str],
    *,
    seed: int | None = None,
    part: Part | None = None,
    progress: Callable[[PlannedTensor], None] = lambda tensor: None,
) -> Verification:
    """Compare every bit of every tensor of a checkpoint with the values of a plan and a seed.

    Any program may have written the checkpoint, with its tensors in any order. Bits are compared, not numbers: -0.0
    differs from 0.0, and NaNs may differ from each other. If tensors are tied, the file may have only one of them, and
    the names of the others in its metadata, as `safetensors.torch.save_model` writes it.

    The verification takes at most 200 MB of memory, plus the size of a tensor that is computed as a whole, such as an
    orthogonal one.

    Arguments:
        plan: the plan. None: the plan in the manifest that `write_directory` has written to the directory.
        path: path or URL of a regular file, a directory, or an index, whose name ends with
            ``.safetensors.index.json``. If the name is that of one of several shards, such as
            ``model-00002-of-00004.safetensors``, the file need not have all tensors of the plan.
        seed: an integer in [-2**255, 2**255). None: the seed that the files record. If the files record another seed
            than this argument, the argument counts; the result has both.
        part: ``(3, 16)`` verifies only the shards of the third of 16 parts of a directory, and that the index exists.
            The shards are divided as in `write_directory`; without a manifest, by their sizes on the disk.
        progress: function that is called after each tensor of the plan that is in a file, in the order of the file.

    Returns:
        A `Verification`: the number of differences, the first differences, and the files with their SHA-256.

    Raises:
        TypeError: if an argument, or a value in an index or a manifest, has a wrong type.
        ValueError: if the seed or the part is out of range; if `seed` is None and the files record no seed, or several;
            if the plan does not fit into a safetensors file; if a file is not a safetensors file, is truncated, or has
            another algorithm than this version of seedbed; or if an index is invalid or names a file outside its
            directory.
        OSError: if no file exists, or a file cannot be read or is not a regular file.

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
    >>> other.seed, other.seed_recorded, other.different
    (8, 7, 1)
    >>> print(other.differences[0])
    "w" differs in 50 of 50 elements, first at [0, 0]:
        expected 0.4413386 (0x3ee1f722), found -0.109347925 (0xbddff1ce)
    """
    start = time.perf_counter()
    seeds = Seeds(None if seed is None else as_seed(seed))
    with read_errors(path):
        expected = expected_of(plan, path, part)
        files = expected.present()
        at_once = files_at_once()
        tensors = {tensor.name: tensor for tensor in expected.tensors}
        tasks = [
            compared_file(file, len(expected.files) > 1, tensors, seeds, BLOCKS // at_once, progress) for file in files
        ]
        compared = dict(zip(files, take_turns(tasks, at_once), strict=True))
    return verification_of(expected, compared, seeds, start)


def compared_file(
    file: Path,
    several: bool,
    tensors: Mapping[str, PlannedTensor],
    seeds: Seeds,
    blocks: int,
    progress: Callable[[PlannedTensor], None],
) -> Task[FileComparison]:
    """Compare one file, as `compare` does. If there are several files, an error names the file."""
    try:
        return (yield from compare(file, tensors, seeds.of, blocks, progress))
    except ValueError as error:
        if not several:
            raise
        raise ValueError(f"{file.name}: {error}") from error
    except OSError as error:
        error.filename = error.filename or str(file)
        raise


def verification_of(
    expected: Expected, compared: Mapping[Path, FileComparison], seeds: Seeds, start: float
) -> Verification:
    """Return the result for the compared files, plus missing ones; `start` is a time of `time.perf_counter`."""
    by_name = {file.name: found for file, found in compared.items()}
    others = [*_places(expected, by_name), *_missing(expected, by_name)]
    differences = [difference for found in compared.values() for difference in found.differences]
    return Verification(
        len(expected.counted),
        sum(tensor.size for tensor in expected.counted),
        sum(found.size for found in compared.values()),
        time.perf_counter() - start,
        seeds.used(expected.seed),
        seeds.recorded,
        sum(found.different for found in compared.values()) + len(others),
        (*differences, *others)[:MAX_SHOWN],
        tuple(WrittenFile(str(file), found.size, found.sha256) for file, found in compared.items()),
    )


@dataclass(frozen=True)
class Expected:
    """The expected contents of a checkpoint."""

    tensors: tuple[PlannedTensor, ...]
    """Tensors that the files may have."""
    files: tuple[Path, ...]
    """Files that should exist."""
    required: tuple[PlannedTensor, ...]
    """Tensors that the files must have."""
    index: Path | None = None
    """Path of the index that should exist, or None."""
    weight_map: Mapping[str, str] | None = None
    """Contents of the index: the name of the file of each tensor. None if there is no index."""
    seed: int | None = None
    """Seed of the manifest, or None."""
    absence: str = "the directory has no safetensors file"
    """Text of the error if no file exists."""
    is_part: bool = False
    """Whether the files are those of a part of a directory. A part may have no files."""

    @property
    def counted(self) -> tuple[PlannedTensor, ...]:
        """The tensors that the result counts."""
        return self.required if self.is_part else self.tensors

    def present(self) -> list[Path]:
        """Return the existing files.

        Raises:
            FileNotFoundError: if no file exists, unless the files are those of a part.
        """
        files = [file for file in self.files if file.exists()]
        if not files and not self.is_part:
            raise FileNotFoundError(errno.ENOENT, self.absence)
        return files


def expected_of(plan: Plan | None, path: str | os.PathLike[str], part: object = None) -> Expected:
    """Return the expected contents of a checkpoint. Arguments and errors are those of `verify_checkpoint`."""
    place = path_of(path)
    expected = _expected(plan, place, None if part is None else as_part(part))
    for tensor in expected.tensors:
        dtype_of(tensor)
    if is_local(place):
        os.stat(path)  # noqa: PTH116  # `Path` would read an empty name as the current directory, and `file/` as a file
    return expected


def _expected(plan: Plan | None, path: Path, part: Part | None) -> Expected:
    is_directory = path.is_dir() or path.name.endswith(INDEX_SUFFIX)
    if part is not None and not is_directory:
        raise ValueError(f"part needs a directory or an index. Received: {str(path)!r}")
    if plan is None:
        return _by_manifest(path, is_directory, part)
    check_plan(plan)
    if not is_directory:
        required = () if _NUMBERED.fullmatch(path.name) else plan.tensors
        return Expected(plan.tensors, (path,), required, absence=os.strerror(errno.ENOENT))
    expected = _by_names(plan, path)
    return expected if part is None else _part_of(expected, part)


def _by_names(plan: Plan, path: Path) -> Expected:
    """Return the expected contents of a directory, from its index or from the numbers in the names of its shards."""
    shards = shards_of(path)
    numbered = next((found for file in shards.files if (found := _NUMBERED.fullmatch(file.name))), None)
    if shards.index is not None or numbered is None:
        return Expected(plan.tensors, shards.files, plan.tensors, shards.index, shards.weight_map)
    prefix, _, count = numbered.groups()
    names = [f"{prefix}-{number:05}-of-{count}.safetensors" for number in range(1, int(count) + 1)]
    return Expected(plan.tensors, tuple(path / name for name in names), plan.tensors, path / f"{prefix}{INDEX_SUFFIX}")


def _part_of(expected: Expected, part: Part) -> Expected:
    """Return the expected contents of a part of a directory that another program has written."""
    sizes = [file.stat().st_size if file.exists() else 0 for file in expected.files]
    files = tuple(expected.files[position] for position in positions_of(sizes, part))
    names = {None, *(file.name for file in files)}  # a tensor that the index lacks is missing in each part
    weight_map = expected.weight_map
    required = () if weight_map is None else tuple(t for t in expected.tensors if weight_map.get(t.name) in names)
    return replace(expected, files=files, required=required, is_part=True)


def _by_manifest(path: Path, is_directory: bool, part: Part | None) -> Expected:
    manifest = manifest_of(path)
    directory = path if path.is_dir() else path.parent
    layouts = shard_layouts(*manifest)
    if not is_directory:
        own = next((layout for layout in layouts if layout.name == path.name), None)
        tensors = manifest.plan.tensors if own is None else tuple(tensor for tensor, _ in own.places)
        return Expected(tensors, (path,), tensors, absence=os.strerror(errno.ENOENT))
    index = directory / INDEX_NAME if len(layouts) > 1 else None
    weight_map = shards_of(index).weight_map if index is not None and index.exists() else None
    positions = positions_of([layout.size for layout in layouts], part or (1, 1))
    return Expected(
        manifest.plan.tensors,
        tuple(directory / layouts[position].name for position in positions),
        tuple(tensor for position in positions for tensor, _ in layouts[position].places),
        index,
        weight_map,
        manifest.seed,
        is_part=part is not None,
    )


class Seeds:
    """The seed of a verification: the argument `seed`, or else the seed that all files record."""

    def __init__(self, asked: int | None) -> None:
        self.asked = asked
        self.recorded: int | None = None
        """The seed that the files record, or None."""

    def used(self, of_manifest: int | None = None) -> int:
        """Return the seed in use: the argument, the recorded seed, or the one of the manifest if there are no files.

        Raises:
            ValueError: if there is no seed.
        """
        for seed in (self.asked, self.recorded, of_manifest):
            if seed is not None:
                return seed
        raise ValueError("a seed must be given if a part has no files. Received: seed=None")

    def of(self, header: Header) -> int:
        """Return the seed for a file.

        Raises:
            ValueError: if there is no seed, if an earlier file records another seed, or if the algorithm differs.
        """
        recorded = _seed_recorded(header.metadata)
        if self.asked is None and recorded is None:
            raise ValueError(
                "a seed must be given if the metadata of a checkpoint has no seed. "
                f"Received: seed=None, and the metadata keys {shown(sorted(header.metadata))}"
            )
        self.add(recorded)
        return self.used()

    def add(self, recorded: int | None) -> None:
        """Add the seed that a file records.

        Raises:
            ValueError: if an earlier file records another seed, and there is no argument `seed`.
        """
        if self.asked is None and self.recorded not in (None, recorded):
            raise ValueError(
                f"the files of a checkpoint must all record the same seed. Received: {self.recorded} and {recorded}"
            )
        self.recorded = recorded if self.recorded is None else self.recorded


def _seed_recorded(metadata: Mapping[str, str]) -> int | None:
    algorithm = metadata.get(ALGORITHM_KEY, ALGORITHM)
    if algorithm != ALGORITHM:
        raise ValueError(
            f"the algorithm of a checkpoint must be {ALGORITHM}, as in this version of seedbed. "
            f"Received: {ALGORITHM_KEY}={shown(algorithm)}"
        )
    return seed_of_text(metadata[SEED_KEY]) if SEED_KEY in metadata else None


def _places(expected: Expected, compared: Mapping[str, FileComparison]) -> Iterator[Difference]:
    """Yield the tensors that are in several files, or in another file than the index says."""
    places: dict[str, str] = {}
    for file, found in compared.items():
        for name in found.names:
            if name in places:
                yield Difference(name, "place", "one file", f"{places[name]} and {file}")
            places.setdefault(name, file)
    if expected.weight_map is None:
        return
    for name, file in expected.weight_map.items():
        if file in compared and name not in compared[file].names:
            yield Difference(name, "place", f"{file}, as in the index", places.get(name, "no file that has it"))
    for name, file in places.items():
        if name not in expected.weight_map:
            yield Difference(name, "place", "an entry in the index", f"only the tensor in {file}")


def _missing(expected: Expected, compared: Mapping[str, FileComparison]) -> Iterator[Difference]:
    """Yield the missing files, and the missing tensors of the other files."""
    absent = {file.name for file in expected.files if file.name not in compared}
    for name in sorted(absent):
        yield Difference(name, "missing")
    if expected.index is not None and expected.weight_map is None:
        yield Difference(expected.index.name, "missing")
    present = frozenset().union(*(found.names | found.aliases for found in compared.values()))
    for tensor in expected.required:
        if tensor.name not in present and (expected.weight_map or {}).get(tensor.name) not in absent:
            yield Difference(tensor.name, "missing")

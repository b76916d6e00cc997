"""A checkpoint compared with a plan: a file, a directory of shards, or one shard of a directory."""

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
    """What was found: the tensors and parameters of the plan, the bytes of the files, the time, and the files.

    `seed` is the one that was asked for, or else the one that the files record, which is `seed_told` (None where they
    record none). `different` is the number of differences, `differences` has the first 20, in the order of the files
    and then of the plan.
    """

    tensors: int
    parameters: int
    bytes: int
    seconds: float
    seed: int
    seed_told: int | None
    different: int
    differences: tuple[Difference, ...]
    files: tuple[WrittenFile, ...]

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file.

        Raises:
            ValueError: there are several files, or none.
        """
        if len(self.files) != 1:
            raise ValueError(f"the SHA-256 of one file must be asked for. Received: a directory of {len(self.files)}")
        return self.files[0].sha256


def verify_checkpoint(
    plan: Plan | None,
    path: str | os.PathLike[str],
    *,
    seed: int | None = None,
    part: Part | None = None,
    progress: Callable[[PlannedTensor], None] = lambda tensor: None,
) -> Verification:
    """Compare every bit of every tensor of a checkpoint with what `write_checkpoint` writes.

    The checkpoint may come from any program, and have its tensors in any order. Bits are compared, not numbers: -0.0 is
    not 0.0, and NaNs are not all alike. Of tied tensors one is enough where the metadata has the names of the others,
    as `safetensors.torch.save_model` writes them. It takes at most 200 MB of memory, and that of a tensor where one is
    computed as a whole, orthogonal or sparse.

    Arguments:
        plan: what the checkpoint should have. None takes the plan that `write_directory` left in the directory.
        path: an ordinary file, a link to one, a directory, or its index, a file whose name ends with
            ``.safetensors.index.json``. Of a file with a name such as ``model-00002-of-00004.safetensors`` those
            tensors are compared that it has.
        seed: an integer in [-2**255, 2**255). None takes the seed that the files record. Where both are there and
            differ, the values are compared with those of this one, and the result has both.
        part: ``(3, 16)`` verifies the shards of the third of sixteen parts of a directory, and looks for the index.
            `write_directory` has the rule; without a manifest the shards' sizes are those on the disk.
        progress: called after each tensor of the plan that is in a file, in the file's order.

    Raises:
        TypeError, ValueError: the seed or the part is not one; there is no seed, or there are several; the plan does
            not fit into a safetensors file; a file is not one, is cut short, or was written with another algorithm than
            that of this version; an index is none, or names files outside its directory.
        OSError: a file cannot be read, or is not an ordinary one; there is none.

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
    """Compare one file, as `compare` does; an error in one of several files names the file."""
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
    """What was found in the files that are there, and what is not there, since `start` of `time.perf_counter`."""
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
    """What should be there."""

    tensors: tuple[PlannedTensor, ...]
    """The tensors that may be in the files."""
    files: tuple[Path, ...]
    required: tuple[PlannedTensor, ...]
    """Those of them that must be there."""
    index: Path | None = None
    """The index, where there should be one."""
    weight_map: Mapping[str, str] | None = None
    """The name of the file that should have a tensor, as the index says it."""
    seed: int | None = None
    """The seed that the manifest has."""
    absence: str = "there is no safetensors file in the directory"
    """What is said where there is no file."""
    is_part: bool = False
    """Whether they are the files of a part of a directory, which may have none."""

    @property
    def counted(self) -> tuple[PlannedTensor, ...]:
        """The tensors whose number is part of the result."""
        return self.required if self.is_part else self.tensors

    def present(self) -> list[Path]:
        """Return the files that are there.

        Raises:
            FileNotFoundError: there is none.
        """
        files = [file for file in self.files if file.exists()]
        if not files and not self.is_part:
            raise FileNotFoundError(errno.ENOENT, self.absence)
        return files


def expected_of(plan: Plan | None, path: str | os.PathLike[str], part: object = None) -> Expected:
    """Return what `verify_checkpoint` expects, which has the arguments and what is raised."""
    place = path_of(path)
    expected = _expected(plan, place, None if part is None else as_part(part))
    for tensor in expected.tensors:
        dtype_of(tensor)
    if is_local(place):
        os.stat(path)  # noqa: PTH116  # `Path` takes an empty name for the current directory, and `file/` for a file
    return expected


def _expected(plan: Plan | None, path: Path, part: Part | None) -> Expected:
    is_directory = path.is_dir() or path.name.endswith(INDEX_SUFFIX)
    if part is not None and not is_directory:
        raise ValueError(f"a part must be that of a directory or an index. Received: {str(path)!r}")
    if plan is None:
        return _by_manifest(path, is_directory, part)
    check_plan(plan)
    if not is_directory:
        required = () if _NUMBERED.fullmatch(path.name) else plan.tensors
        return Expected(plan.tensors, (path,), required, absence=os.strerror(errno.ENOENT))
    expected = _by_names(plan, path)
    return expected if part is None else _part_of(expected, part)


def _by_names(plan: Plan, path: Path) -> Expected:
    """What a directory should have, by its index or the numbers in the names of its shards."""
    shards = shards_of(path)
    numbered = next((found for file in shards.files if (found := _NUMBERED.fullmatch(file.name))), None)
    if shards.index is not None or numbered is None:
        return Expected(plan.tensors, shards.files, plan.tensors, shards.index, shards.weight_map)
    begin, _, count = numbered.groups()
    names = [f"{begin}-{number:05}-of-{count}.safetensors" for number in range(1, int(count) + 1)]
    return Expected(plan.tensors, tuple(path / name for name in names), plan.tensors, path / f"{begin}{INDEX_SUFFIX}")


def _part_of(expected: Expected, part: Part) -> Expected:
    """The part of a directory that was written by another program."""
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
    """The seed of a verification: the one that was asked for, or the one that all files record."""

    def __init__(self, asked: int | None) -> None:
        self.asked = asked
        self.recorded: int | None = None
        """What the files record."""

    def used(self, of_manifest: int | None = None) -> int:
        """The seed in use, once all files are read; that of the manifest if there are none.

        Raises:
            ValueError: there is none.
        """
        for seed in (self.asked, self.recorded, of_manifest):
            if seed is not None:
                return seed
        raise ValueError("a seed must be given where a part has no files. Received: seed=None")

    def of(self, header: Header) -> int:
        """Return the seed of a file.

        Raises:
            ValueError: there is none, or another than that of the files before, or the file has another algorithm.
        """
        recorded = _seed_recorded(header.metadata)
        if self.asked is None and recorded is None:
            raise ValueError(
                "a seed must be given where a checkpoint's metadata has none. "
                f"Received: seed=None, and {shown(sorted(header.metadata))} in the metadata"
            )
        self.add(recorded)
        return self.used()

    def add(self, recorded: int | None) -> None:
        """Take note of the seed that a file records.

        Raises:
            ValueError: it is another than that of the files before, and none was asked for.
        """
        if self.asked is None and self.recorded not in (None, recorded):
            raise ValueError(
                f"the files of a checkpoint must record one seed. Received: {self.recorded} and {recorded}"
            )
        self.recorded = recorded if self.recorded is None else self.recorded


def _seed_recorded(metadata: Mapping[str, str]) -> int | None:
    algorithm = metadata.get(ALGORITHM_KEY, ALGORITHM)
    if algorithm != ALGORITHM:
        raise ValueError(
            f"the algorithm of a checkpoint must be {ALGORITHM}, the one of this version of seedbed. "
            f"Received: {ALGORITHM_KEY}={shown(algorithm)}"
        )
    return seed_of_text(metadata[SEED_KEY]) if SEED_KEY in metadata else None


def _places(expected: Expected, compared: Mapping[str, FileComparison]) -> Iterator[Difference]:
    """Tensors that are in several files, or in another one than the index says."""
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
    """Files that are missing, and tensors that are in none of the others."""
    absent = {file.name for file in expected.files if file.name not in compared}
    for name in sorted(absent):
        yield Difference(name, "missing")
    if expected.index is not None and expected.weight_map is None:
        yield Difference(expected.index.name, "missing")
    present = frozenset().union(*(found.names | found.aliases for found in compared.values()))
    for tensor in expected.required:
        if tensor.name not in present and (expected.weight_map or {}).get(tensor.name) not in absent:
            yield Difference(tensor.name, "missing")

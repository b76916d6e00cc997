"""A plan evaluated into a directory of shards, as the Hugging Face hub has them.

The manifest comes first, then the configuration files, the shards, and at last the index. Each of them has its final
name only when it is whole, so that whatever ends the work leaves whole files, and a directory that can be completed.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.checkpoint.comparison import compare
from seedbed.checkpoint.destination import destination_of, sync_folder, write_file
from seedbed.checkpoint.errors import write_errors
from seedbed.checkpoint.file_writer import DRY_RUN_FILE, Summary, summary_of
from seedbed.checkpoint.index import INDEX_SUFFIX
from seedbed.checkpoint.layout import DEFAULT_SHARD_SIZE, INDEX_NAME, Layout, as_size, index_text, shard_layouts
from seedbed.checkpoint.manifest import MANIFEST_NAME, Manifest, read_manifest
from seedbed.checkpoint.object_store import is_local, names_in, path_of
from seedbed.checkpoint.parts import Part, as_part, positions_of
from seedbed.checkpoint.pipeline import CompletedFile, Output, make_files
from seedbed.checkpoint.reader import opened, read_bytes
from seedbed.checkpoint.ring_buffer import BLOCKS
from seedbed.checkpoint.round_robin import Task, files_at_once, take_turns
from seedbed.dtypes import FLOATS, name_of
from seedbed.plan.plan import check_plan
from seedbed.seeds import SeedGenerator, as_seed
from seedbed.strict_json import shown

if TYPE_CHECKING:
    from seedbed.checkpoint.destination import Destination
    from seedbed.plan import Plan, PlannedTensor

CONFIG_NAME = "config.json"


def write_directory(
    plan: Plan,
    directory: str | os.PathLike[str],
    *,
    seed: int = 0,
    max_shard_size: int | str = DEFAULT_SHARD_SIZE,
    part: Part | None = None,
    resume: bool = False,
    dry_run: bool = False,
    files: Mapping[str, bytes] | None = None,
    progress: Callable[[PlannedTensor], None] = lambda tensor: None,
) -> Summary:
    """Evaluate `plan` into shards in a directory, with their index, a manifest and configuration files.

    The tensors have the values that `write_checkpoint` gives them. The manifest, ``seedbed.json``, has the plan and the
    seed, with which `verify_checkpoint` verifies the directory and an interrupted run is resumed.

    Arguments:
        plan: what to write.
        directory: is made where it is missing, in a directory that exists. There must be no checkpoint in it, except
            that of the same run with `resume`.
        seed: an integer in [-2**255, 2**255).
        max_shard_size: the most bytes of tensors in a shard, except where one tensor has more: an integer, or a text
            with one of the decimal units KB, MB, GB and TB.
        part: ``(3, 16)`` writes the shards of the third of sixteen parts and nothing else. Which shards these are
            follows from the plan alone, so that parts run on any machines, in any order, again, or at the same time.
            The part that completes the directory writes the index. There may be shards of the same run in the
            directory; those of the part are written again, unless `resume` keeps them.
        resume: keep the shards of the same plan, seed and `max_shard_size` that are there and right: every bit is
            compared. Others are written anew.
        dry_run: only check, and write nothing. The summary then has no SHA-256.
        files: what else to write, by name: the configuration of a tokenizer, say. The plan's configuration becomes
            ``config.json``.
        progress: called after each tensor that is written, or compared.

    Raises:
        TypeError, ValueError: the seed, `max_shard_size` or `part` is not one; the plan does not fit into safetensors
            files, or has an initializer that has no configuration.
        FileExistsError: there is another checkpoint in the directory, or a file of the same name and other content.
        OSError: the directory cannot be made, a file cannot be written, or the disk is full.

    >>> import os, tempfile
    >>> from seedbed.checkpoint import verify_checkpoint, write_directory
    >>> from seedbed.plan import parse_plan
    >>> plan = parse_plan('{"tensors": [{"name": "{0..2}", "shape": [50], "initializer": "he_normal"}]}')
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = write_directory(plan, folder, seed=7, max_shard_size="0.5KB")
    ...     names = sorted(os.listdir(folder))
    ...     verify_checkpoint(None, folder).different
    0
    >>> names[:2], names[2:]
    (['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'],
     ['model.safetensors.index.json', 'seedbed.json'])
    """
    start = time.perf_counter()
    run = DirectoryRun(plan, directory, seed=seed, max_shard_size=max_shard_size, part=part, files=files)
    with write_errors(run.name):
        if dry_run:
            run.check(resume)
            return run.summary([DRY_RUN_FILE] * len(run.layouts), start, ())
        run.prepare(resume)
        kept = run.kept(progress) if resume else {}
        missing = [layout for layout in run.layouts if layout.name not in kept]
        outputs = [Output(layout, run.destination(layout)) for layout in missing]
        made = dict(zip((layout.name for layout in missing), make_files(outputs, run.root, progress), strict=True))
        to_come = run.complete()
    return run.summary([{**kept, **made}[layout.name] for layout in run.layouts], start, to_come)


class DirectoryRun:
    """A plan that is evaluated into a directory: what is written there, in which order, and what must not be there.

    First come the manifest and the configuration files (`prepare`), then the shards, in any order and by any process,
    and at last the index (`complete`). A run with a part has the shards of the part, and what all parts have in common
    is written by the first that comes: the same bytes, whichever it is.
    """

    def __init__(
        self,
        plan: Plan,
        directory: str | os.PathLike[str],
        *,
        seed: int,
        max_shard_size: int | str,
        part: Part | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Check all that can be checked without looking at the directory; `write_directory` has the arguments."""
        check_plan(plan)
        self.plan = plan
        self.manifest = Manifest(plan, as_seed(seed), as_size(max_shard_size))
        self.root = SeedGenerator(self.manifest.seed)
        self.name = os.fspath(directory)
        self.all_layouts = shard_layouts(*self.manifest)
        self.is_part = part is not None
        own = positions_of([layout.size for layout in self.all_layouts], (1, 1) if part is None else as_part(part))
        self.layouts = [self.all_layouts[position] for position in own]
        """The shards of the part."""
        self._folder = path_of(directory)
        _check_names(files or {})
        self._others = {MANIFEST_NAME: self.manifest.text().encode(), **_config_files(plan), **(files or {})}
        several = len(self.all_layouts) > 1
        self._index = {INDEX_NAME: index_text(plan, self.all_layouts).encode()} if several else {}

    def check(self, resume: bool) -> None:
        """Refuse a directory that cannot be written to, or that has another checkpoint.

        Without `resume`, and unless this is a part, a checkpoint of the same run is another one too.
        """
        if not self.name:  # to `Path` it is the current directory
            raise FileNotFoundError(errno.ENOENT, "a directory must have a name")
        _check_place(self._folder)
        if self._folder.exists():
            own = {layout.name for layout in self.all_layouts}
            contents = {**self._others, **self._index}
            _check(self._folder, self.manifest, own, contents, resume or self.is_part)

    def prepare(self, resume: bool) -> None:
        """Check the directory, make it, and write what comes before the shards."""
        self.check(resume)
        if is_local(self._folder):  # elsewhere a directory is there once something is in it
            self._folder.mkdir(exist_ok=True)
            sync_folder(self._folder.parent)
        for name, content in self._others.items():
            _write(self._folder / name, content)

    def kept(self, progress: Callable[[PlannedTensor], None]) -> dict[str, CompletedFile]:
        """Compare the shards of the part that are there; return those that are right, with their SHA-256."""
        present = [layout for layout in self.layouts if (self._folder / layout.name).exists()]
        at_once = files_at_once()
        tasks = [
            compared_shard(self._folder / layout.name, layout, self.root, BLOCKS // at_once, progress)
            for layout in present
        ]
        found = zip(present, take_turns(tasks, at_once), strict=True)
        return {layout.name: CompletedFile(sha256, 0.0) for layout, sha256 in found if sha256 is not None}

    def destination(self, layout: Layout) -> Destination:
        """Where a shard is written."""
        return destination_of(self._folder / layout.name, layout.size)

    def complete(self) -> tuple[str, ...]:
        """Write the index if all shards are there, whoever wrote them; else return the names of the others.

        A shard has its name only when it is whole. It counts if it has the size that it must have.

        Raises:
            FileExistsError: meanwhile there is another manifest in the directory.
        """
        to_come = tuple(layout.name for layout in self.all_layouts if not self._is_there(layout))
        if not to_come:
            for name, content in {MANIFEST_NAME: self._others[MANIFEST_NAME], **self._index}.items():
                _write(self._folder / name, content)
        return to_come

    def summary(self, made: list[CompletedFile], start: float, to_come: tuple[str, ...]) -> Summary:
        """The summary of the shards of the part."""
        tensors = [tensor for layout in self.layouts for tensor, _ in layout.places]
        return summary_of(tensors, self.layouts, made, start, self.name, to_come)

    def _is_there(self, layout: Layout) -> bool:
        try:
            return (self._folder / layout.name).stat().st_size == layout.size
        except FileNotFoundError:
            return False


def config_of(plan: Plan) -> dict[str, Any] | None:
    """The configuration that is written next to a plan's tensors: with the dtype that these have.

    >>> from seedbed.plan import parse_plan
    >>> tensor = '{"name": "a", "shape": [2], "initializer": "zeros"}'
    >>> text = f'{{"config": {{"dtype": "float32", "layers": 2}}, "tensors": [{tensor}]}}'
    >>> config_of(parse_plan(text, dtype="float16"))
    {'dtype': 'float16', 'layers': 2}
    """
    if plan.config is None:
        return None
    dtypes = Counter(name_of(tensor.dtype) for tensor in plan.tensors if name_of(tensor.dtype) in FLOATS)
    own = {key: dtypes.most_common(1)[0][0] for key in ("dtype", "torch_dtype") if dtypes and key in plan.config}
    return {**plan.config, **own}


def _config_files(plan: Plan) -> dict[str, bytes]:
    config = config_of(plan)
    return {} if config is None else {CONFIG_NAME: (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()}


def _check_names(files: Mapping[str, bytes]) -> None:
    for name in files:
        if (
            not name
            or Path(name).name != name
            or name == MANIFEST_NAME
            or name.endswith((".safetensors", INDEX_SUFFIX))
        ):
            raise ValueError(f"a file must have a name of its own, without a directory. Received: {shown(name)}")


def _check_place(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "there is a file of this name")
    if is_local(folder) and not folder.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no directory {os.fspath(folder.parent)!r}")


def _check(folder: Path, manifest: Manifest, own: set[str], contents: Mapping[str, bytes], resume: bool) -> None:
    """Refuse a directory that has another checkpoint, or another file of the name of one that is to be written."""
    present = names_in(folder)
    checkpoint = [name for name in present if name.endswith((".safetensors", INDEX_SUFFIX))]
    if checkpoint and not resume:
        raise FileExistsError(
            errno.EEXIST,
            f"there is a checkpoint in the directory, {checkpoint[0]!r}: resume the run, if it is the same",
        )
    if checkpoint or (resume and MANIFEST_NAME in present):
        _check_run(folder, manifest)
    for name in checkpoint:
        if name not in own and name not in contents:
            raise FileExistsError(errno.EEXIST, f"there is another checkpoint in the directory, {name!r}")
    for name in present:
        path = folder / name
        if name in contents and not (path.is_file() and path.read_bytes() == contents[name]):
            raise FileExistsError(errno.EEXIST, f"there is another {name!r} in the directory")


def _check_run(folder: Path, manifest: Manifest) -> None:
    """Check that a directory is one of the same run."""
    try:
        found = read_manifest(folder)
    except FileNotFoundError:
        raise FileExistsError(errno.EEXIST, f"there are shards in the directory, but no {MANIFEST_NAME}") from None
    except (TypeError, ValueError) as error:
        raise FileExistsError(errno.EEXIST, f"there is another {MANIFEST_NAME} in the directory: {error}") from None
    for what, there, here in (
        ("seed", found.seed, manifest.seed),
        ("max_shard_size", found.max_shard_size, manifest.max_shard_size),
    ):
        if there != here:
            raise FileExistsError(errno.EEXIST, f"the directory has another run, with {what} {there}, not {here}")
    if found.plan.tensors != manifest.plan.tensors:
        raise FileExistsError(errno.EEXIST, "the directory has another run, with another plan")


def write_shard(folder: Path, layout: Layout, seed: int, resume: bool, blocks: int) -> CompletedFile:
    """Write one shard of a directory that is prepared; with `resume` keep it, if it is there and right.

    Raises:
        OSError: as `make_files`.
    """
    root, path = SeedGenerator(seed), folder / layout.name
    if resume and path.exists():
        [sha256] = take_turns([compared_shard(path, layout, root, blocks, lambda tensor: None)], 1)
        if sha256 is not None:
            return CompletedFile(sha256, 0.0)
    [made] = make_files([Output(layout, destination_of(path, layout.size))], root, lambda tensor: None, blocks)
    return made


def compared_shard(
    path: Path, layout: Layout, root: SeedGenerator, blocks: int, progress: Callable[[PlannedTensor], None]
) -> Task[str | None]:
    """The SHA-256 of a shard; None where it is not that of the layout, bit for bit."""
    with opened(path) as (file, size):
        if size != layout.size or read_bytes(file, len(layout.header)) != layout.header:
            return None
    tensors = {tensor.name: tensor for tensor, _ in layout.places}
    found = yield from compare(path, tensors, lambda header: root.seed, blocks, progress)
    return found.sha256 if found.different == 0 else None


def _write(path: Path, content: bytes) -> None:
    """Write a file unless it is there. Of several processes that do so at once one writes it, and all compare."""
    if not path.exists():
        if is_local(path):
            with suppress(FileExistsError):
                write_file(path, content, replaces=False)
        else:
            write_file(path, content)
    if path.read_bytes() != content:
        raise FileExistsError(errno.EEXIST, f"there is another {path.name!r} in the directory")

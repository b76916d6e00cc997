"""`write_directory`: evaluate a plan into a directory of shards, in the layout of the Hugging Face hub.

The manifest is written first, then the configuration files, the shards, and last the index. Each file gets its final
name only when it is complete. So an interrupted run leaves complete files, and can be resumed.
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

from seedbed.arguments import shortened
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
    """Evaluate a plan into a directory of safetensors shards, with index, manifest and configuration files.

    The tensors have the same values as in `write_checkpoint`. The manifest, ``seedbed.json``, records the plan and the
    seed: `verify_checkpoint` needs nothing else to verify the directory, nor does an interrupted run to be resumed.

    Arguments:
        plan: the plan.
        directory: path or URL of the directory. It is created if only its parent exists. It must not contain a
            checkpoint, except one of the same run with `resume` or `part`.
        seed: an integer in [-2**255, 2**255).
        max_shard_size: maximum size of the tensors of a shard: a number of bytes, or a string with one of the decimal
            units KB, MB, GB and TB. A larger tensor has a shard of its own.
        part: ``(3, 16)`` writes only the shards of the third of 16 parts. The plan alone determines which shards these
            are, so that parts can run on different machines, at the same time, in any order, and repeatedly. The part
            that completes the directory writes the index. Existing shards of the part are written again, unless
            `resume` keeps them.
        resume: keep existing shards of the same plan, seed and `max_shard_size` if every bit is right. The others are
            written again.
        dry_run: check everything, but write nothing. The SHA-256 in the summary is then empty.
        files: contents of further files, by name, such as the configuration of a tokenizer. The configuration of the
            plan is written to ``config.json``.
        progress: function that is called after each tensor that is written or compared.

    Returns:
        A `Summary`: the files with their SHA-256, sizes and seconds.

    Raises:
        TypeError: if an argument has a wrong type.
        ValueError: if the seed, `max_shard_size` or `part` is out of range; if the plan does not fit into safetensors
            files; or if an initializer has no configuration, which the manifest needs.
        FileExistsError: if the directory contains another checkpoint, or a file of the same name with other content.
        OSError: if the directory cannot be created, a file cannot be written, or the disk is full.

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
    """One evaluation of a plan into a directory, or of a part of it: the files, and the checks before each step.

    `prepare` writes the manifest and the configuration files. Then any process writes the shards, in any order. Finally
    `complete` writes the index. If several parts run, the first one writes the common files; all write the same bytes.
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
        """Check the arguments, which are those of `write_directory`, without a look at the directory."""
        check_plan(plan)
        self.plan = plan
        self.manifest = Manifest(plan, as_seed(seed), as_size(max_shard_size))
        self.root = SeedGenerator(self.manifest.seed)
        self.name = os.fspath(directory)
        self.all_layouts = shard_layouts(*self.manifest)
        self.is_part = part is not None
        own = positions_of([layout.size for layout in self.all_layouts], (1, 1) if part is None else as_part(part))
        self.layouts = [self.all_layouts[position] for position in own]
        """Layouts of the shards of the part."""
        self._folder = path_of(directory)
        _check_files(files or {})
        self._others = {MANIFEST_NAME: self.manifest.text().encode(), **_config_files(plan), **(files or {})}
        several = len(self.all_layouts) > 1
        self._index = {INDEX_NAME: index_text(plan, self.all_layouts).encode()} if several else {}

    def check(self, resume: bool) -> None:
        """Check that the run may write to the directory. Write nothing.

        Raises:
            FileExistsError: if the directory contains another checkpoint; or one of the same run, unless the run is
                resumed or is a part.
            OSError: if the directory cannot be created or read.
        """
        if not self.name:  # `Path` would take it for the current directory
            raise FileNotFoundError(errno.ENOENT, "the name of a directory must not be empty")
        _check_place(self._folder)
        if self._folder.exists():
            own = {layout.name for layout in self.all_layouts}
            contents = {**self._others, **self._index}
            _check(self._folder, self.manifest, own, contents, resume or self.is_part)

    def prepare(self, resume: bool) -> None:
        """Check the directory, create it, and write the manifest and the configuration files."""
        self.check(resume)
        if is_local(self._folder):  # a directory of an object store exists once it contains an object
            self._folder.mkdir(exist_ok=True)
            sync_folder(self._folder.parent)
        for name, content in self._others.items():
            _write(self._folder / name, content)

    def kept(self, progress: Callable[[PlannedTensor], None]) -> dict[str, CompletedFile]:
        """Compare the existing shards of the part. Return the correct ones, with their SHA-256, by name."""
        present = [layout for layout in self.layouts if (self._folder / layout.name).exists()]
        at_once = files_at_once()
        tasks = [
            compared_shard(self._folder / layout.name, layout, self.root, BLOCKS // at_once, progress)
            for layout in present
        ]
        found = zip(present, take_turns(tasks, at_once), strict=True)
        return {layout.name: CompletedFile(sha256, 0.0) for layout, sha256 in found if sha256 is not None}

    def destination(self, layout: Layout) -> Destination:
        """Return the destination of a shard."""
        return destination_of(self._folder / layout.name, layout.size)

    def complete(self) -> tuple[str, ...]:
        """Write the index if all shards exist. Otherwise return the names of the missing shards.

        A shard of the right size is complete, since it gets its name only after its last byte.

        Raises:
            FileExistsError: if another run has replaced the manifest meanwhile.
        """
        to_come = tuple(layout.name for layout in self.all_layouts if not self._is_there(layout))
        if not to_come:
            for name, content in {MANIFEST_NAME: self._others[MANIFEST_NAME], **self._index}.items():
                _write(self._folder / name, content)
        return to_come

    def summary(self, made: list[CompletedFile], start: float, to_come: tuple[str, ...]) -> Summary:
        """Return the summary of the shards of the part; `start` is a time of `time.perf_counter`."""
        tensors = [tensor for layout in self.layouts for tensor, _ in layout.places]
        return summary_of(tensors, self.layouts, made, start, self.name, to_come)

    def _is_there(self, layout: Layout) -> bool:
        try:
            return (self._folder / layout.name).stat().st_size == layout.size
        except FileNotFoundError:
            return False


def config_of(plan: Plan) -> dict[str, Any] | None:
    """Return the configuration of a plan, with the most frequent dtype of its tensors, or None.

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


def _check_files(files: Mapping[str, bytes]) -> None:
    if not isinstance(files, Mapping):
        raise TypeError(f"files must be a mapping of names to bytes. Received: {type(files).__name__}")
    for name, content in files.items():
        if not (isinstance(name, str) and isinstance(content, bytes)):
            raise TypeError(
                "files must be a mapping of names to bytes. "
                f"Received: {type(content).__name__} for the name {shortened(name)}"
            )
        if (
            not name
            or Path(name).name != name
            or name == MANIFEST_NAME
            or name.endswith((".safetensors", INDEX_SUFFIX))
        ):
            raise ValueError(
                "the name of a further file must have no directory, and must not be that of a file of the checkpoint. "
                f"Received: {shown(name)}"
            )


def _check_place(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a file of this name exists")
    if is_local(folder) and not folder.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no directory {os.fspath(folder.parent)!r}")


def _check(folder: Path, manifest: Manifest, own: set[str], contents: Mapping[str, bytes], resume: bool) -> None:
    """Check that a directory has no other checkpoint, and no other content in the files that will be written."""
    present = names_in(folder)
    checkpoint = [name for name in present if name.endswith((".safetensors", INDEX_SUFFIX))]
    if checkpoint and not resume:
        raise FileExistsError(
            errno.EEXIST,
            f"the directory contains a checkpoint, {checkpoint[0]!r}: resume it if it is of the same run",
        )
    if checkpoint or (resume and MANIFEST_NAME in present):
        _check_run(folder, manifest)
    for name in checkpoint:
        if name not in own and name not in contents:
            raise FileExistsError(errno.EEXIST, f"the directory contains another checkpoint, {name!r}")
    for name in present:
        path = folder / name
        if name in contents and not (path.is_file() and path.read_bytes() == contents[name]):
            raise FileExistsError(errno.EEXIST, f"the directory contains another {name!r}")


def _check_run(folder: Path, manifest: Manifest) -> None:
    """Check that the checkpoint in a directory is of the same run."""
    try:
        found = read_manifest(folder)
    except FileNotFoundError:
        raise FileExistsError(errno.EEXIST, f"the directory contains shards, but no {MANIFEST_NAME}") from None
    except (TypeError, ValueError) as error:
        raise FileExistsError(errno.EEXIST, f"the directory contains another {MANIFEST_NAME}: {error}") from None
    for what, there, here in (
        ("seed", found.seed, manifest.seed),
        ("max_shard_size", found.max_shard_size, manifest.max_shard_size),
    ):
        if there != here:
            raise FileExistsError(errno.EEXIST, f"the directory contains another run, with {what} {there}, not {here}")
    if found.plan.tensors != manifest.plan.tensors:
        raise FileExistsError(errno.EEXIST, "the directory contains another run, with another plan")


def write_shard(folder: Path, layout: Layout, seed: int, resume: bool, blocks: int) -> CompletedFile:
    """Write one shard to a prepared directory. With `resume`, keep it if it exists and every bit is right.

    Raises:
        OSError: if the shard cannot be written.
        MemoryError: as `make_files`.
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
    """Compare a shard with its layout. The task ends with its SHA-256, or with None if a bit differs."""
    with opened(path) as (file, size):
        if size != layout.size or read_bytes(file, len(layout.header)) != layout.header:
            return None
    tensors = {tensor.name: tensor for tensor, _ in layout.places}
    found = yield from compare(path, tensors, lambda header: root.seed, blocks, progress)
    return found.sha256 if found.different == 0 else None


def _write(path: Path, content: bytes) -> None:
    """Write a file unless it exists, and check its content: another process may write it at the same time."""
    if not path.exists():
        if is_local(path):
            with suppress(FileExistsError):
                write_file(path, content, replaces=False)
        else:
            write_file(path, content)
    if path.read_bytes() != content:
        raise FileExistsError(errno.EEXIST, f"the directory contains another {path.name!r}")

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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.checkpoint.comparing import compare
from seedbed.checkpoint.destination import NewFile, sync_folder, write_file
from seedbed.checkpoint.index import INDEX_SUFFIX
from seedbed.checkpoint.layout import INDEX_NAME, MAX_SHARD_SIZE, Layout, as_size, index_text, shard_layouts
from seedbed.checkpoint.making import Made, Output, make_files
from seedbed.checkpoint.manifest import MANIFEST_NAME, Manifest, read_manifest
from seedbed.checkpoint.ring import BLOCKS
from seedbed.checkpoint.source import opened, read_bytes
from seedbed.checkpoint.turns import Task, files_at_once, take_turns
from seedbed.checkpoint.writing import NOT_MADE, Summary, naming, summary_of
from seedbed.dtypes import FLOATS, name_of
from seedbed.plan.model import check_plan
from seedbed.seeds import SeedGenerator, as_seed
from seedbed.strict_json import shown

if TYPE_CHECKING:
    from seedbed.plan import Plan, PlannedTensor

CONFIG_NAME = "config.json"


def write_directory(
    plan: Plan,
    directory: str | os.PathLike[str],
    *,
    seed: int = 0,
    max_shard_size: int | str = MAX_SHARD_SIZE,
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
        resume: keep the shards of the same plan, seed and `max_shard_size` that are there and right: every bit is
            compared. Others are written anew.
        dry_run: only check, and write nothing. The summary then has no SHA-256.
        files: what else to write, by name: the configuration of a tokenizer, say. The plan's configuration becomes
            ``config.json``.
        progress: called after each tensor that is written, or compared.

    Raises:
        TypeError, ValueError: the seed or `max_shard_size` is not one; the plan does not fit into safetensors files, or
            has an initializer that has no configuration.
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
    check_plan(plan)
    start = time.perf_counter()
    manifest = Manifest(plan, as_seed(seed), as_size(max_shard_size))
    layouts = shard_layouts(*manifest)
    index = {INDEX_NAME: index_text(plan, layouts).encode()} if len(layouts) > 1 else {}
    _check_names(files or {})
    others = {MANIFEST_NAME: manifest.text().encode(), **_config_files(plan), **(files or {})}
    folder = Path(directory)
    root = SeedGenerator(manifest.seed)
    with naming(os.fspath(directory)):
        if not os.fspath(directory):  # to `Path` it is the current directory
            raise FileNotFoundError(errno.ENOENT, "a directory must have a name")
        _check_place(folder)
        if not dry_run:
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)
        if folder.exists():
            _check(folder, manifest, layouts, {**others, **index}, resume)
        if dry_run:
            return summary_of(plan, layouts, [NOT_MADE] * len(layouts), start, os.fspath(directory))
        for name, content in others.items():
            _write(folder / name, content)
        kept = _kept(folder, layouts, root, progress) if resume else {}
        missing = [layout for layout in layouts if layout.name not in kept]
        outputs = [Output(layout, NewFile(folder / layout.name, layout.size)) for layout in missing]
        made = dict(zip((layout.name for layout in missing), make_files(outputs, root, progress), strict=True))
        for name, content in index.items():
            _write(folder / name, content)
    return summary_of(plan, layouts, [{**kept, **made}[layout.name] for layout in layouts], start, os.fspath(directory))


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
    if not folder.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no directory {os.fspath(folder.parent)!r}")


def _check(
    folder: Path, manifest: Manifest, layouts: list[Layout], contents: Mapping[str, bytes], resume: bool
) -> None:
    """Refuse a directory that has another checkpoint, or another file of the name of one that is to be written."""
    present = sorted(os.listdir(folder))  # noqa: PTH208  # names, not paths
    own = {layout.name for layout in layouts}
    checkpoint = [name for name in present if name.endswith((".safetensors", INDEX_SUFFIX))]
    for name in checkpoint:
        if not resume:
            raise FileExistsError(
                errno.EEXIST, f"there is a checkpoint in the directory, {name!r}: resume the run, if it is the same"
            )
        if name not in own and name not in contents:
            raise FileExistsError(errno.EEXIST, f"there is another checkpoint in the directory, {name!r}")
    if resume and (checkpoint or MANIFEST_NAME in present):
        _check_run(folder, manifest)
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


def _kept(
    folder: Path, layouts: list[Layout], root: SeedGenerator, progress: Callable[[PlannedTensor], None]
) -> dict[str, Made]:
    """The shards that are there and right: their SHA-256."""
    present = [layout for layout in layouts if (folder / layout.name).exists()]
    at_once = files_at_once()
    tasks = [_compared(folder / layout.name, layout, root, BLOCKS // at_once, progress) for layout in present]
    found = zip(present, take_turns(tasks, at_once), strict=True)
    return {layout.name: Made(sha256, 0.0) for layout, sha256 in found if sha256 is not None}


def _compared(
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
    if not path.exists():
        write_file(path, content)

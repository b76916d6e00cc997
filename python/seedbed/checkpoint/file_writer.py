"""`write_checkpoint`: evaluate a plan into one safetensors file. Summaries of written files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seedbed.checkpoint.destination import Pipe, destination_of
from seedbed.checkpoint.errors import write_errors
from seedbed.checkpoint.layout import Layout, file_layout
from seedbed.checkpoint.pipeline import CompletedFile, Output, make_files
from seedbed.plan.plan import check_plan
from seedbed.seeds import SeedGenerator, as_seed

if TYPE_CHECKING:
    from seedbed.plan import Plan, PlannedTensor


@dataclass(frozen=True)
class WrittenFile:
    """A written or verified file: its path, its length in bytes, and its SHA-256 (empty after a dry run)."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Summary:
    """The result of `write_checkpoint` or `write_directory`. For a part of a directory it covers only the part."""

    tensors: int
    """Number of written tensors."""
    parameters: int
    """Number of elements of the tensors."""
    bytes: int
    """Length of all files."""
    fill_seconds: float
    """Time of the evaluation of the tensors."""
    seconds: float
    """Time of the whole run, until the files are on the disk under their final names."""
    files: tuple[WrittenFile, ...]
    """The files: one for each shard."""
    to_come: tuple[str, ...] = ()
    """Names of the shards that other parts have not written yet. If it is empty, the index is written."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of the only file.

        Raises:
            ValueError: if the number of files is not one.
        """
        if len(self.files) != 1:
            raise ValueError(f"sha256 needs a single file; use files. Received: {len(self.files)} files")
        return self.files[0].sha256


def write_checkpoint(
    plan: Plan,
    path: str | os.PathLike[str] | int,
    *,
    seed: int = 0,
    dry_run: bool = False,
    progress: Callable[[PlannedTensor], None] = lambda tensor: None,
) -> Summary:
    """Evaluate a plan into a safetensors file. An existing file is replaced.

    The tensor called `name` is ``initializer.with_seed(SeedGenerator(seed).child(name))(shape, dtype)``.

    Arguments:
        plan: the plan.
        path: path or URL of the file; symbolic links are followed. Or the descriptor, an integer, of a pipe or another
            open file that is written in order.
        seed: an integer in [-2**255, 2**255).
        dry_run: check everything, but write nothing. The SHA-256 in the summary is then empty.
        progress: function that is called after each tensor, in the order of the file.

    Returns:
        A `Summary`: the file with its SHA-256, sizes and seconds.

    Raises:
        TypeError: if `plan` is not a plan.
        ValueError: if the seed is not an integer in range, or the plan does not fit into a safetensors file.
        OSError: if the file cannot be written, or the disk is full.

    >>> import tempfile
    >>> from seedbed.checkpoint import write_checkpoint
    >>> from seedbed.plan import parse_plan
    >>> plan = parse_plan('{"tensors": [{"name": "scale", "shape": [10], "initializer": "ones"}]}')
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = write_checkpoint(plan, f"{folder}/model.safetensors")
    >>> summary.tensors, summary.parameters, summary.bytes
    (1, 10, 232)
    """
    check_plan(plan)
    seed = as_seed(seed)  # a SeedGenerator is refused: a file records a seed, not a number of draws
    start = time.perf_counter()
    if isinstance(path, bool):  # an int to isinstance, and to the system the descriptor 0 or 1
        raise TypeError(f"path must be a path, a URL or a descriptor. Received: {path}")
    name = f"descriptor {path}" if isinstance(path, int) else os.fspath(path)
    layout = file_layout(name, plan.tensors, seed)
    destination = Pipe(path) if isinstance(path, int) else destination_of(name, layout.size)
    with write_errors(name):
        if dry_run:
            destination.check()
            made = [DRY_RUN_FILE]
        else:
            made = make_files([Output(layout, destination)], SeedGenerator(seed), progress)
    return summary_of(plan.tensors, [layout], made, start)


DRY_RUN_FILE = CompletedFile("", 0.0)
"""The result for a file of a dry run."""


def summary_of(
    tensors: Sequence[PlannedTensor],
    layouts: list[Layout],
    made: list[CompletedFile],
    start: float,
    folder: str = "",
    to_come: tuple[str, ...] = (),
) -> Summary:
    """Return the summary of files that were written to a folder since `start`, a time of `time.perf_counter`."""
    return Summary(
        len(tensors),
        sum(tensor.size for tensor in tensors),
        sum(layout.size for layout in layouts),
        sum(file.fill_seconds for file in made),
        time.perf_counter() - start,
        tuple(
            WrittenFile(os.path.join(folder, layout.name), layout.size, file.sha256)  # noqa: PTH118  # a string
            for layout, file in zip(layouts, made, strict=True)
        ),
        to_come,
    )

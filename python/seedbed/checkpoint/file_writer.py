"""A plan evaluated into a safetensors file, or into a directory of them."""

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
    """A file that was written: its path, its number of bytes, and its SHA-256 (empty after a dry run)."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Summary:
    """What was written: the numbers of tensors, of their elements and of the files' bytes, the time, and the files.

    `fill_seconds` is the evaluation of all tensors; `seconds` is everything, until the files are hashed, on the disk
    and under their final names. Of one part of a directory all this is what the part has, and `to_come` has the names
    of the shards that other parts have yet to write; when there is none, the index is written.
    """

    tensors: int
    parameters: int
    bytes: int
    fill_seconds: float
    seconds: float
    files: tuple[WrittenFile, ...]
    to_come: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file.

        Raises:
            ValueError: there are several files, or none.
        """
        if len(self.files) != 1:
            raise ValueError(f"one file must have been written. Received: {len(self.files)} files")
        return self.files[0].sha256


def write_checkpoint(
    plan: Plan,
    path: str | os.PathLike[str] | int,
    *,
    seed: int = 0,
    dry_run: bool = False,
    progress: Callable[[PlannedTensor], None] = lambda tensor: None,
) -> Summary:
    """Evaluate `plan` into a safetensors file at `path`; a file that is there is replaced.

    The tensor called `name` is ``initializer.with_seed(SeedGenerator(seed).child(name))(shape, dtype)``.

    Arguments:
        plan: what to write.
        path: the final name; symbolic links are followed. Or an integer: a descriptor, open for writing, of a pipe or
            anything else that takes bytes in their order.
        seed: an integer in [-2**255, 2**255).
        dry_run: only check, and write nothing. The summary then has no SHA-256.
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
    check_plan(plan)
    seed = as_seed(seed)  # no generator: the draws of one are no part of a file
    start = time.perf_counter()
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
"""A file of a dry run."""


def summary_of(
    tensors: Sequence[PlannedTensor],
    layouts: list[Layout],
    made: list[CompletedFile],
    start: float,
    folder: str = "",
    to_come: tuple[str, ...] = (),
) -> Summary:
    """The summary of files that were made in a folder since `start`, a time of `time.perf_counter`."""
    return Summary(
        len(tensors),
        sum(tensor.size for tensor in tensors),
        sum(layout.size for layout in layouts),
        sum(file.fill_seconds for file in made),
        time.perf_counter() - start,
        tuple(
            WrittenFile(os.path.join(folder, layout.name), layout.size, file.sha256)  # noqa: PTH118  # a text
            for layout, file in zip(layouts, made, strict=True)
        ),
        to_come,
    )

"""Progress on the standard error: a bar on a terminal if rich is installed, otherwise plain lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from seedbed.cli.console import has_rich, print_stderr
from seedbed.plan import Plan, PlannedTensor

Progress: TypeAlias = Callable[[PlannedTensor], None]


@contextmanager
def shown_progress(plan: Plan, verb: str, quiet: bool) -> Iterator[Progress]:
    """Show progress within a block, and yield the function to call after each tensor."""
    if quiet:
        yield lambda tensor: None
    elif sys.stderr.isatty() and has_rich():
        with _bar(plan) as progress:
            yield progress
    else:
        yield _lines(plan, verb)


@contextmanager
def _bar(plan: Plan) -> Iterator[Progress]:
    from rich import progress as rich_progress
    from rich.console import Console

    with rich_progress.Progress(
        rich_progress.BarColumn(),
        rich_progress.DownloadColumn(),
        rich_progress.TransferSpeedColumn(),
        rich_progress.TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("", total=plan.nbytes)
        yield lambda tensor: bar.advance(task, tensor.nbytes)


def _lines(plan: Plan, verb: str) -> Progress:
    """Write a line now. Return a function that writes a line after each tenth of the bytes."""
    print_stderr(f"{verb} {len(plan.tensors):,} tensors, {plan.parameters:,} parameters")
    done = tenths = 0

    def progress(tensor: PlannedTensor) -> None:
        nonlocal done, tenths
        done += tensor.nbytes
        if plan.nbytes and done * 10 // plan.nbytes > tenths:
            tenths = done * 10 // plan.nbytes
            print_stderr(f"{tenths * 10:3} %")

    return progress

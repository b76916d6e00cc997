"""The command ``seedbed``.

``seedbed init PLAN -o FILE`` evaluates a plan (`seedbed.plan`) into a safetensors file (`seedbed.checkpoint`), and
``seedbed verify PLAN FILE`` compares every bit of one with what ``init`` writes. Progress goes to the standard error,
the table of what was written or read to the standard output: drawn by rich where that is a terminal, plain lines where
it is not. Where a file differs, a line for each tensor, of 20 at most, takes the table's place.

Exit status: 0 when the file is written, or has the right bits; 1 when the machine is in the way (no such file, no
space, no memory); 2 when the command or the plan is wrong, or what is to be verified is no safetensors file; 3 when it
is one, and differs from what the plan and the seed say; 130 after Ctrl-C. An error is one line on the standard error.
Where a standard stream is closed or breaks, the command goes on without it (`seedbed.console`); an output that cannot
be written, but for a pipe that nobody reads any more, makes a status of 0 one of 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import NoReturn, TypeAlias

import seedbed
from seedbed.checkpoint import Summary, Verification, verify_checkpoint, write_checkpoint
from seedbed.console import lenient_streams
from seedbed.plan import Plan, PlannedTensor, load_plan

__all__ = ["main"]

Progress: TypeAlias = Callable[[PlannedTensor], None]


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are reported as all other errors are."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the arguments `argv` (those of the process, when None) and return its exit status."""
    with lenient_streams() as output:
        status = _status(argv)
        output.flush()
        if output.error is not None and not isinstance(output.error, BrokenPipeError):  # a reader may have enough
            status = _fail(f"cannot write to the standard output: {output.error.strerror}", status or 1)
    return status


def _status(argv: Sequence[str] | None) -> int:
    try:
        arguments = _parser().parse_args(argv)
        run: Callable[[argparse.Namespace], int] = arguments.run
        return run(arguments)
    except SystemExit as end:  # after --help and --version
        return int(end.code or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except MemoryError:
        return _fail("out of memory", 1)
    except OSError as error:
        return _fail(str(error) if error.filename is None else f"{error.strerror}: {error.filename!r}", 1)
    except (ImportError, TypeError, ValueError) as error:
        return _fail(str(error), 2)


def _fail(reason: str, status: int) -> int:
    print(f"seedbed: error: {reason}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="seedbed", description="Initial weights of neural networks: the same bits everywhere.")
    version = f"seedbed {seedbed.__version__}, algorithm {seedbed.ALGORITHM}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shared = _Parser(add_help=False)
    shared.add_argument("plan", metavar="PLAN", help="a JSON file, or the name of a plan that ships with seedbed: gpt2")
    shared.add_argument("--dtype", metavar="D", help="of all tensors to which the plan gives none of their own")
    shared.add_argument("--threads", metavar="N", type=int, help="how many to use; changes the speed and nothing else")

    summary = "write the initial weights of a model to a safetensors file"
    init = commands.add_parser("init", parents=[shared], help=summary)
    init.add_argument("-o", "--output", metavar="FILE", required=True, help="the file to write, or to replace")
    init.add_argument("--seed", metavar="N", type=int, default=0, help="from -2**255 to 2**255 - 1 (default: 0)")
    init.set_defaults(run=_init)

    summary = "compare every bit of a safetensors file with what init writes; exit status 3 where one differs"
    verify = commands.add_parser("verify", parents=[shared], help=summary)
    verify.add_argument("file", metavar="FILE", help="the file to read, whoever wrote it")
    verify.add_argument("--seed", metavar="N", type=int, help="the one of init (default: the one that the file tells)")
    verify.set_defaults(run=_verify)
    return parser


def _init(arguments: argparse.Namespace) -> int:
    with _planned(arguments, "writing") as (plan, progress):
        written = write_checkpoint(plan, arguments.output, seed=arguments.seed, progress=progress)
    filling = [("fill seconds", f"{written.fill_seconds:.2f}"), ("fill GB/s", _rate(written, written.fill_seconds))]
    _print_table(_rows(written, filling))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    with _planned(arguments, "verifying") as (plan, progress):
        found = verify_checkpoint(plan, arguments.file, seed=arguments.seed, progress=progress)
    seed = str(found.seed)
    if found.seed_told not in (None, found.seed):
        seed += f" (the file tells {found.seed_told})"
    if not found.different:
        _print_table(_rows(found, [("seed", seed)]))
        return 0
    for difference in found.differences:
        print(difference)
    if found.different > len(found.differences):
        print(f"and {found.different - len(found.differences):,} more")
    what = "1 tensor differs" if found.different == 1 else f"{found.different:,} tensors differ"
    return _fail(f"{what} from what the plan says with seed {seed}: {arguments.file!r}", 3)


@contextmanager
def _planned(arguments: argparse.Namespace, verb: str) -> Iterator[tuple[Plan, Progress]]:
    """The plan, and what to call after each of its tensors."""
    if (sys.stderr.isatty() or sys.stdout.isatty()) and find_spec("rich") is None:
        raise ImportError("on a terminal the command needs rich, which is not installed: pip install 'seedbed[cli]'")
    if arguments.threads is not None:
        seedbed.set_num_threads(arguments.threads)
    plan = load_plan(arguments.plan, dtype=arguments.dtype)
    with _bar(plan) if sys.stderr.isatty() else _lines(plan, verb) as progress:
        yield plan, progress


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


@contextmanager
def _lines(plan: Plan, verb: str) -> Iterator[Progress]:
    """Print a line at the start, and one for each tenth of the bytes."""
    print(f"{verb} {len(plan.tensors):,} tensors, {plan.parameters:,} parameters", file=sys.stderr, flush=True)
    done = tenths = 0

    def progress(tensor: PlannedTensor) -> None:
        nonlocal done, tenths
        done += tensor.nbytes
        if plan.nbytes and done * 10 // plan.nbytes > tenths:
            tenths = done * 10 // plan.nbytes
            print(f"{tenths * 10:3} %", file=sys.stderr, flush=True)

    yield progress


def _rows(summary: Summary | Verification, others: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        ("tensors", f"{summary.tensors:,}"),
        ("parameters", f"{summary.parameters:,}"),
        ("bytes", f"{summary.bytes:,}"),
        *others,
        ("seconds", f"{summary.seconds:.2f}"),
        ("GB/s", _rate(summary, summary.seconds)),
        ("SHA-256", summary.sha256),
    ]


def _rate(summary: Summary | Verification, seconds: float) -> str:
    return f"{summary.bytes / seconds / 1e9:.2f}" if seconds else "-"


def _print_table(rows: list[tuple[str, str]]) -> None:
    if not sys.stdout.isatty():
        width = max(len(label) for label, _ in rows)
        for label, value in rows:
            print(f"{label:{width}}  {value}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table.grid("", "", padding=(0, 2))
    for label, value in rows:
        table.add_row(f"[bold]{label}[/bold]", value)
    Console().print(table)

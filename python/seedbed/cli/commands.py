"""The commands: one function for each, which returns the exit status."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import seedbed
from seedbed.checkpoint import Summary, Verification, write_checkpoint
from seedbed.checkpoint.destination import write_file
from seedbed.checkpoint.errors import write_errors
from seedbed.checkpoint.layout import DEFAULT_SHARD_SIZE, as_size
from seedbed.checkpoint.manifest import manifest_of
from seedbed.checkpoint.object_store import path_of
from seedbed.checkpoint.parts import Part
from seedbed.cli import exit_status
from seedbed.cli.cluster import verifier, writer
from seedbed.cli.console import LenientStream, print_json, print_stderr, print_stdout
from seedbed.cli.launchers import find_part
from seedbed.cli.plan_display import heads_of, multipliers_of, objects_of, plot, rows_of, totals_of
from seedbed.cli.progress import shown_progress
from seedbed.cli.rules import parse_call
from seedbed.cli.schemes import NUMBERS, chosen_scheme
from seedbed.cli.signals import Terminated
from seedbed.cli.sources import Source, load_source
from seedbed.cli.tables import print_table
from seedbed.plan import Plan, load_plan
from seedbed.plan.json_reader import shipped_plans
from seedbed.schemes import ROLES, SCHEMES, Multipliers, Scheme, named_scheme
from seedbed.seeds import as_seed

STANDARD_OUTPUT = "-"


def plans(arguments: Namespace) -> int:
    """List the shipped plans."""
    shipped = [(name, load_plan(name)) for name in shipped_plans()]
    if arguments.json:
        print_json({"plans": [{"name": name, **totals_of(plan)} for name, plan in shipped]})
    else:
        rows = [(name, *(f"{number:,}" for number in totals_of(plan).values())) for name, plan in shipped]
        print_table(rows, ("plan", "tensors", "parameters", "bytes"))
    return exit_status.OK


def schemes(arguments: Namespace) -> int:
    """List the schemes, or show the formulas of one."""
    if arguments.scheme is None:
        known = sorted(SCHEMES.items())
        if arguments.json:
            print_json({"schemes": [{"name": name, **each.fields()} for name, each in known]})
        else:
            rows = [(name, ", ".join(each.required), ", ".join(each.optional), each.source) for name, each in known]
            print_table(rows, ("scheme", "needs", "takes", "source"))
        return exit_status.OK
    scheme = named_scheme(*parse_call(arguments.scheme, "a scheme must be a name, or a call", "gpt2(layers=12)"), {})
    if arguments.json:
        numbers = {name: value for name, value in scheme.numbers.items() if value is not None}
        print_json({"name": scheme.name, "numbers": numbers, "source": scheme.source, "roles": _formulas(scheme)})
        return exit_status.OK
    print_stdout(f"{scheme!r}: {scheme.source}")
    formulas = [(*fields.values(), ROLES[role]) for role, fields in _formulas(scheme).items()]
    print_table(formulas, ("role", "values", *(Multipliers._fields if scheme.scalings else ()), "what has it"))
    return exit_status.OK


def _formulas(scheme: Scheme) -> dict[str, dict[str, str]]:
    """Return the formulas of each role, as fields by role."""
    found = {role: {"role": role, "values": scheme.table[role].text} for role in ROLES if role in scheme.table}
    for role, scaling in scheme.scalings.items():
        if role in found:
            found[role] |= {name: getattr(scaling, name) for name in Multipliers._fields}
    return found


def plan(arguments: Namespace) -> int:
    """Write a source as a JSON plan."""
    source = _source(arguments)
    text = source.plan.to_json()
    if arguments.output == STANDARD_OUTPUT:
        print_stdout(text.rstrip("\n"))
        return exit_status.OK
    _check_other(arguments.output, source)
    with write_errors(arguments.output, "the plan"):
        write_file(arguments.output, text.encode())
    return exit_status.OK


def show(arguments: Namespace) -> int:
    """Show the tensors of a plan."""
    source = _source(arguments)
    if arguments.plot is not None:
        _check_other(arguments.plot, source)
        with write_errors(arguments.plot, "the picture"):
            plot(source.plan, arguments.plot, arguments.seed)
    multipliers = multipliers_of(source.plan, source.scheme)
    if arguments.json:
        print_json({**totals_of(source.plan), "tensors": objects_of(source.plan, multipliers)})
        return exit_status.OK
    print_table(rows_of(source.plan, multipliers), heads_of(multipliers))
    print_stdout("")
    print_table([(label, f"{number:,}") for label, number in totals_of(source.plan).items()])
    return exit_status.OK


def init(arguments: Namespace) -> int:
    """Write a checkpoint."""
    source = _source(arguments)
    output = arguments.output
    to_pipe = output == STANDARD_OUTPUT
    is_directory = not to_pipe and not _is_file(output)
    _check_pipe() if to_pipe else _check_other(output, source)
    for option in ("resume", "max_shard_size", "part", "dask"):
        if not is_directory and getattr(arguments, option) not in (None, False):
            raise ValueError(f"--{option.replace('_', '-')} is for directories. Received: -o {output}")
    part = _part(arguments)
    # Options are checked before the first line of progress says that the work starts.
    seed = as_seed(arguments.seed)
    max_shard_size = as_size(DEFAULT_SHARD_SIZE if arguments.max_shard_size is None else arguments.max_shard_size)
    options: dict[str, Any] = {"seed": seed}
    if is_directory:
        options |= {"max_shard_size": max_shard_size, "resume": arguments.resume, "files": source.files}
        writing: AbstractContextManager[Callable[..., Summary]] = writer(arguments.dask, part, arguments.dry_run)
    else:
        writing = nullcontext(partial(write_checkpoint, dry_run=arguments.dry_run))
    with (
        writing as write,
        shown_progress(source.plan, "writing", arguments.quiet or arguments.dry_run) as progress,
        _remains(output, is_directory),
    ):
        written = write(source.plan, 1 if to_pipe else output, progress=progress, **options)
    print_result = print_stderr if to_pipe else print_stdout  # the standard output has the file
    if arguments.json:
        to_come = {} if part is None else {"to_come": list(written.to_come)}
        print_json({**_result(written), **to_come}, print_result)
    elif not arguments.quiet:
        rows = _planned_rows(written) if arguments.dry_run else _rows(written, _filling(written))
        print_table([*_part_rows(part, written), *rows], write=print_result)
    return exit_status.OK


def verify(arguments: Namespace) -> int:
    """Compare a checkpoint with a plan."""
    _use_threads(arguments)
    part = _part(arguments)
    expected = _expected(arguments)
    seed = None if arguments.seed is None else as_seed(arguments.seed)
    shown = manifest_of(path_of(arguments.path)).plan if expected is None else expected
    with (
        verifier(arguments.dask, part) as verify_checkpoint,
        shown_progress(shown, "verifying", arguments.quiet) as progress,
    ):
        found = verify_checkpoint(expected, arguments.path, seed=seed, progress=progress)
    if arguments.json:
        lines = [{"name": each.name, "kind": each.kind, "text": str(each)} for each in found.differences]
        print_json({**_result(found), "seed": found.seed, "different": found.different, "differences": lines})
    elif found.different:
        for difference in found.differences:
            print_stdout(str(difference))
        if found.different > len(found.differences):
            print_stdout(f"and {found.different - len(found.differences):,} more")
    elif not arguments.quiet:
        print_table(_rows(found, [("seed", _seed(found))]))
    if not found.different:
        return exit_status.OK
    what = "1 difference from" if found.different == 1 else f"{found.different:,} differences from"
    print_stderr(f"seedbed: error: {what} what the plan says with seed {_seed(found)}: {arguments.path!r}")
    return exit_status.DIFFERENT


def _source(arguments: Namespace) -> Source:
    _use_threads(arguments)
    return load_source(
        arguments.source,
        dtype=arguments.dtype,
        rules=arguments.rule,
        scheme=chosen_scheme(arguments),
        unused=arguments.unused,
    )


def _part(arguments: Namespace) -> Part | None:
    """Return the part that the arguments name, or None. Report the part if the environment determines it."""
    if arguments.part is None:
        return None
    part, variables = find_part(arguments.part, os.environ)
    if variables and not arguments.quiet:
        print_stderr(f"part {part[0]}/{part[1]}, from {variables}")
    return part


def _use_threads(arguments: Namespace) -> None:
    if getattr(arguments, "threads", None) is not None:
        seedbed.set_num_threads(arguments.threads)


def _expected(arguments: Namespace) -> Plan | None:
    if arguments.source is not None:
        return _source(arguments).plan
    for option in ("dtype", "rule", "scheme", "role", *NUMBERS):
        if getattr(arguments, option) not in (None, []):
            raise ValueError(
                f"--{option.replace('_', '-')} changes a plan, so it needs a SOURCE before {arguments.path!r}"
            )
    return None


def _is_file(output: str) -> bool:
    """Return whether the output is one file: its name ends with .safetensors, or a file of this name exists."""
    path = path_of(output)
    return not path.is_dir() and (output.endswith(".safetensors") or path.exists())


def _check_other(output: str, source: Source) -> None:
    """Check that the output does not overwrite the source of the plan."""
    if source.path is None:
        return
    places = {source.path, source.path.parent} if source.in_directory else {source.path}
    if any(place.exists() and Path(output).exists() and place.samefile(output) for place in places):
        raise ValueError(f"the output must not be the source. Received: -o {output}")


def _check_pipe() -> None:
    if isinstance(sys.stdout, LenientStream) and sys.stdout.is_closed:
        raise ValueError("-o - needs an open standard output. Received: a closed one")
    if sys.stdout.isatty():
        raise ValueError("-o - needs a pipe or a file as standard output. Received: a terminal; redirect it")


@contextmanager
def _remains(output: str, is_directory: bool) -> Iterator[None]:
    """Add the remaining files to the message of an interruption."""
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stop:
        if is_directory and Path(output).is_dir():
            complete = sum(1 for _ in Path(output).glob("*.safetensors"))
            files = "1 complete file remains" if complete == 1 else f"{complete} complete files remain"
            stop.remains = f"{files} in {output!r}; --resume writes the others"  # type: ignore[union-attr]
        elif not is_directory and output != STANDARD_OUTPUT:
            stop.remains = "the partial file is removed"  # type: ignore[union-attr]
        raise


def _result(done: Summary | Verification) -> dict[str, object]:
    """Return the result of `init` or `verify` as JSON fields."""
    return {
        "tensors": done.tensors,
        "parameters": done.parameters,
        "bytes": done.bytes,
        "seconds": done.seconds,
        "files": [{**asdict(file), "sha256": file.sha256 or None} for file in done.files],
    }


def _rows(done: Summary | Verification, others: list[tuple[str, str]]) -> list[tuple[str, str]]:
    hashes = [(f"SHA-256 of {Path(file.path).name}", file.sha256) for file in done.files]
    return [
        ("tensors", f"{done.tensors:,}"),
        ("parameters", f"{done.parameters:,}"),
        ("bytes", f"{done.bytes:,}"),
        *others,
        ("seconds", f"{done.seconds:.2f}"),
        ("GB/s", _rate(done, done.seconds)),
        *([("SHA-256", done.files[0].sha256)] if len(done.files) == 1 else hashes),
    ]


def _part_rows(part: Part | None, written: Summary) -> list[tuple[str, str]]:
    """Return the row that names the written part and the number of missing shards of other parts."""
    if part is None:
        return []
    number, count = part
    to_come = len(written.to_come)
    others = f"; {to_come:,} shards of other parts are missing" if to_come else ""
    return [("part", f"{number}/{count}, {len(written.files):,} shards{others}")]


def _filling(written: Summary) -> list[tuple[str, str]]:
    return [
        ("fill seconds", f"{written.fill_seconds:.2f}"),
        ("fill GB/s", _rate(written, written.fill_seconds)),
    ]


def _planned_rows(written: Summary) -> list[tuple[str, str]]:
    """Return the rows of a dry run: the files that would be written."""
    return [
        ("tensors", f"{written.tensors:,}"),
        ("parameters", f"{written.parameters:,}"),
        *((Path(file.path).name, f"{file.bytes:,} bytes") for file in written.files),
        ("bytes", f"{written.bytes:,}"),
    ]


def _rate(done: Summary | Verification, seconds: float) -> str:
    return f"{done.bytes / seconds / 1e9:.2f}" if seconds else "-"


def _seed(found: Verification) -> str:
    recorded = found.seed_recorded
    return str(found.seed) if recorded in (None, found.seed) else f"{found.seed} (the file records {recorded})"

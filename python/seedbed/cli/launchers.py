"""The part of a process: from its arguments, or from the environment variables of its launcher."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from seedbed.checkpoint.parts import Part, as_part

LAUNCHERS = {
    "torchrun": ("RANK", "WORLD_SIZE"),
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "PMI": ("PMI_RANK", "PMI_SIZE"),
    "srun": ("SLURM_PROCID", "SLURM_NTASKS"),
    "Kubernetes": ("JOB_COMPLETION_INDEX", None),
}
"""Names of the variables with the number of a process, counted from 0, and with the number of processes.

The first launcher with a variable in the environment counts: torchrun and mpirun may run inside a SLURM allocation or a
Kubernetes pod, and are the inner launchers.
"""

ARRAY_TASK = "SLURM_ARRAY_TASK_ID"
"""Name of the variable with the number of a task in an sbatch array. The other variables have the same prefix."""

_PART = re.compile(r"(?:(\d{1,18})|auto)/(\d{1,18})|auto", re.ASCII)


class Found(NamedTuple):
    """A part, and its origin."""

    part: Part
    variables: str = ""
    """The environment variables with their values; empty if the arguments name the part."""


def find_part(text: str, environment: Mapping[str, str]) -> Found:
    """Return the part of a process.

    Arguments:
        text: ``3/16``; or ``auto`` or ``auto/16``, for a part that the environment determines.
        environment: environment variables by name.

    Raises:
        ValueError: if the text is not a part, or the environment determines no valid part, or another number of parts.

    >>> find_part("auto", {"RANK": "2", "WORLD_SIZE": "16"})
    Found(part=(3, 16), variables='RANK=2, WORLD_SIZE=16')
    """
    found = _PART.fullmatch(text)
    if found is None:
        raise ValueError(
            f"--part must be K/N, such as 3/16 for the third of sixteen parts, or auto, or auto/N. Received: {text!r}"
        )
    number, count = found.groups()
    if number is not None:
        return Found(as_part((int(number), int(count))))
    return _launched(environment, None if count is None else int(count))


class _Position(NamedTuple):
    """The number of a process, counted from 0, the number of processes, and the variables with these numbers."""

    number: int
    processes: int
    variables: str


def _launched(environment: Mapping[str, str], count: int | None) -> Found:
    launcher = next((variables for variables in LAUNCHERS.values() if variables[0] in environment), None)
    positions = []
    if ARRAY_TASK in environment and launcher in (None, LAUNCHERS["srun"]):
        positions.append(_array_position(environment))
    if launcher is not None:
        positions.append(_position(environment, *launcher, count, within_array=bool(positions)))
    if not positions:
        known = ", ".join([*(rank for rank, _ in LAUNCHERS.values()), ARRAY_TASK])
        raise ValueError(f"--part auto needs one of the variables {known}. Received: none of them; use --part K/N")
    number, total = 0, 1
    for position in positions:
        number, total = number * position.processes + position.number, total * position.processes
    variables = ", ".join(position.variables for position in positions)
    if count not in (None, total):
        raise ValueError(
            f"the N of --part auto/N must be that of the launcher. Received: auto/{count}, and {variables}"
        )
    return Found(as_part((number + 1, total)), variables)


def _position(
    environment: Mapping[str, str], rank: str, size: str | None, count: int | None, within_array: bool
) -> _Position:
    number, variables = _integer(environment, rank), f"{rank}={environment[rank]}"
    if size is None:
        if count is None:
            raise ValueError(f"--part auto needs the number of parts. Received: {rank} without one; use --part auto/N")
        total = count
    elif within_array and size not in environment:  # sbatch sets it only if --ntasks was given
        total = 1
    else:
        total, variables = _integer(environment, size), f"{variables}, {size}={environment[size]}"
    if number >= total:
        raise ValueError(
            f"the index of a process must be less than the number of processes. Received: {variables}, {total}"
        )
    return _Position(number, total, variables)


def _array_position(environment: Mapping[str, str]) -> _Position:
    base = ARRAY_TASK.removesuffix("ID")
    task, least, greatest, count = (_integer(environment, base + name) for name in ("ID", "MIN", "MAX", "COUNT"))
    step = _integer({f"{base}STEP": "1", **environment}, f"{base}STEP")
    if not (least <= task <= greatest and (greatest - least) // max(step, 1) + 1 == count):
        raise ValueError(
            "--part auto needs an array of evenly spaced tasks, such as --array=1-16; otherwise use --part K/N. "
            f"Received: task {task} of {count} from {least} to {greatest}"
        )
    return _Position((task - least) // max(step, 1), count, f"{ARRAY_TASK}={task}, {base}COUNT={count}")


def _integer(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name)
    if text is None:
        raise ValueError(f"--part auto needs the variable {name} too. Received: no such variable; use --part K/N")
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise ValueError(f"{name} must be a number, counted from 0. Received: {text!r}")
    return int(text)

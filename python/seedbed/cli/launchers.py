"""Which part a process has: as its arguments say, or as the program that launched it says in the environment."""

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
"""The variables that have the number of a process, counted from 0, and the number of processes.

The first that is there counts: torchrun and mpirun run within allocations of SLURM and in pods of Kubernetes.
"""

ARRAY_TASK = "SLURM_ARRAY_TASK_ID"
"""The number of a task of an sbatch array. The others of its variables have the rest of the name."""

_PART = re.compile(r"(?:(\d{1,18})|auto)/(\d{1,18})|auto", re.ASCII)


class Found(NamedTuple):
    """A part, and what said so."""

    part: Part
    said: str = ""
    """The variables and their values; empty where the arguments have the part."""


def find_part(text: str, environment: Mapping[str, str]) -> Found:
    """Return the part that a text names: ``3/16``, or ``auto`` or ``auto/16`` for what the environment says.

    Raises:
        ValueError: it names none; the environment says nothing, something else, or nonsense.

    >>> find_part("auto", {"RANK": "2", "WORLD_SIZE": "16"})
    Found(part=(3, 16), said='RANK=2, WORLD_SIZE=16')
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
    """The number of a process among several, counted from 0; how many they are; and what said so."""

    number: int
    processes: int
    said: str


def _launched(environment: Mapping[str, str], count: int | None) -> Found:
    launcher = next((variables for variables in LAUNCHERS.values() if variables[0] in environment), None)
    positions = []
    if ARRAY_TASK in environment and launcher in (None, LAUNCHERS["srun"]):
        positions.append(_array_position(environment))
    if launcher is not None:
        positions.append(_position(environment, *launcher, count, within_array=bool(positions)))
    if not positions:
        known = ", ".join([*(rank for rank, _ in LAUNCHERS.values()), ARRAY_TASK])
        raise ValueError(f"--part auto needs one of the variables {known}. Received: none of them; say --part K/N")
    number, total = 0, 1
    for position in positions:
        number, total = number * position.processes + position.number, total * position.processes
    said = ", ".join(position.said for position in positions)
    if count not in (None, total):
        raise ValueError(f"--part auto/N must have the N of the launcher. Received: auto/{count}, and {said}")
    return Found(as_part((number + 1, total)), said)


def _position(
    environment: Mapping[str, str], rank: str, size: str | None, count: int | None, within_array: bool
) -> _Position:
    number, said = _integer(environment, rank), f"{rank}={environment[rank]}"
    if size is None:
        if count is None:
            raise ValueError(f"{rank} comes without the number of parts: say --part auto/N. Received: --part auto")
        total = count
    elif within_array and size not in environment:  # sbatch sets it only if its caller gave a number
        total = 1
    else:
        total, said = _integer(environment, size), f"{said}, {size}={environment[size]}"
    if number >= total:
        raise ValueError(f"the number of a process must be less than that of all processes. Received: {said}, {total}")
    return _Position(number, total, said)


def _array_position(environment: Mapping[str, str]) -> _Position:
    base = ARRAY_TASK.removesuffix("ID")
    task, least, greatest, count = (_integer(environment, base + name) for name in ("ID", "MIN", "MAX", "COUNT"))
    step = _integer({f"{base}STEP": "1", **environment}, f"{base}STEP")
    if not (least <= task <= greatest and (greatest - least) // max(step, 1) + 1 == count):
        raise ValueError(
            "--part auto needs an array of evenly spaced tasks, such as --array=1-16: say --part K/N. "
            f"Received: task {task} of {count} from {least} to {greatest}"
        )
    return _Position((task - least) // max(step, 1), count, f"{ARRAY_TASK}={task}, {base}COUNT={count}")


def _integer(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name)
    if text is None:
        raise ValueError(f"--part auto needs the variable {name} too. Received: none; say --part K/N")
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise ValueError(f"{name} must be a number, counted from 0. Received: {text!r}")
    return int(text)

"""Run the battery dieharder (R. G. Brown and others; a Debian package) on the raw keystream.

Each test reads its own stream from the first word, so that its figures are the same on every machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from shutil import which

SEED = 0
LAGS = (0, 1, 2, 4, 8, 16, 32)
"""Lags of the lagged sums. `dieharder -a` runs all of 0 to 32; one lag reads 4 * 10^8 (lag + 1) bytes."""

SINGLE = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 100, 101, 102, 204, 205, 206, 207, 208, 209)
"""Tests that choose their own parameters. dieharder itself says not to use 14, so it is left out."""

BY_TUPLE = {200: range(1, 13), 201: range(2, 6), 202: range(2, 6), 203: LAGS}
"""Tests that run once for each of these tuple lengths, as in `dieharder -a`."""

_LINE = re.compile(r"^\s*(\w+)\|\s*(\d+)\|\s*(\d+)\|\s*(\d+)\|\s*([\d.]+)\|\s*(PASSED|WEAK|FAILED)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Assessment:
    """One line of dieharder's report."""

    name: str
    ntuple: int
    p: float
    verdict: str


def plan() -> Iterator[tuple[int, int]]:
    """Yield the tests, each as its number and its tuple length; the length is 0 for tests without tuples."""
    for test in (*SINGLE, *BY_TUPLE):
        for length in BY_TUPLE.get(test, (0,)):
            yield test, length


def command(test: int, length: int) -> str:
    """Return the shell command that runs one test."""
    tuples = f" -n {length}" if test in BY_TUPLE else ""
    return f"python -m tools.quality.keystream {SEED} {100 * test + length} | dieharder -g 200 -d {test}{tuples}"


def run(test: int, length: int) -> list[Assessment]:
    """Run one test.

    Raises:
        RuntimeError: if dieharder is not installed or reports nothing.
    """
    if which("dieharder") is None:
        raise RuntimeError("the battery needs dieharder: apt-get install dieharder")
    words, tested = command(test, length).split(" | ")
    source = subprocess.Popen([sys.executable, *words.split()[1:]], stdout=subprocess.PIPE)
    try:
        report = subprocess.run(tested.split(), stdin=source.stdout, capture_output=True, text=True, check=False).stdout
    finally:
        source.kill()
        source.wait()
    found = parse(report)
    if not found:
        raise RuntimeError(f"dieharder reported nothing: {command(test, length)}\n{report}")
    return found


def parse(report: str) -> list[Assessment]:
    """Return the assessments in a report."""
    return [Assessment(name, int(n), float(p), verdict) for name, n, _, _, p, verdict in _LINE.findall(report)]

"""Start the rivals' processes, and run the rounds in which they take turns."""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cases import ORTHOGONAL, Case
from results import Results
from rivals import Rival

PLAIN = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
"""Environment of every rival: all make arrays in the CPU's memory."""

PAUSE = 0.005
"""Seconds between two turns: the threads of some libraries spin for a while after their work."""


class Pace(NamedTuple):
    """Numbers of calls and turns."""

    turn: float  # seconds of a turn; shorter calls are repeated within it
    total: float  # seconds of all turns together, within these limits:
    least: int  # least number of turns
    least_slow: int  # least number of turns if a call takes more than 2 seconds
    most: int  # greatest number of turns
    starts: int  # number of Python processes that time an import

    def calls(self, seconds: float) -> int:
        """Return the number of calls in a turn, for a call that takes about this many seconds."""
        return max(1, min(2000, int(self.turn / seconds)))

    def turns(self, seconds: float) -> int:
        """Return the number of turns, for a call that takes about this many seconds."""
        least = self.least_slow if seconds > 2 else self.least
        return max(least, min(self.most, int(self.total / max(seconds, self.turn))))


FULL_PACE = Pace(turn=0.02, total=1.5, least=5, least_slow=3, most=15, starts=60)
QUICK_PACE = Pace(turn=0.0001, total=0.001, least=2, least_slow=2, most=3, starts=2)


class RefusedError(Exception):
    """A rival cannot do something; the message says why."""


class Process:
    """A rival's process; `close` ends it."""

    def __init__(self, rival: Rival) -> None:
        self.rival = rival
        self.popen = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("worker.py"), rival.name],
            env={**os.environ, **PLAIN, **rival.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer.

        Raises:
            RefusedError: if the process has ended, or answers with an error.
        """
        assert self.popen.stdout is not None  # a pipe
        try:
            print(json.dumps({"do": do, **request}), file=self.popen.stdin, flush=True)
            line = self.popen.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RefusedError(f"its process ended with status {self.popen.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RefusedError(answer["error"])
        return answer

    def close(self) -> None:
        self.popen.communicate()


class Turn(NamedTuple):
    """The case and the number of calls of a process in a round, and the number of rounds."""

    process: Process
    case: Case
    calls: int
    rounds: int


class Rounds:
    """All processes of a run, and their results."""

    def __init__(self, results: Results, pace: Pace, processes: Sequence[Process], recomputed: Process) -> None:
        self.results, self.pace = results, pace
        self.processes = [process for process in processes if self._starts(process)]
        self.recomputed = recomputed
        self.digests: dict[Case, str] = {}

    def measure_peaks(self, small: Case, large: Case) -> None:
        """Measure the memory of the first large call in each process."""
        for process in self.processes:
            try:
                process.ask("prepare", **self._request(small))
                self.results.peaks[process.rival.name] = process.ask("peak", **self._request(large))["bytes"]
            except RefusedError as reason:
                self._leave_out(process, "memory", reason)

    def measure(self, group: Sequence[Case]) -> None:
        """Measure the medians of a group of cases."""
        turns = [turn for case in group for process in self.processes if (turn := self._prepare(process, case))]
        found: dict[Turn, list[float]] = defaultdict(list)
        for number in range(max((turn.rounds for turn in turns), default=0)):
            due = [turn for turn in turns if number < turn.rounds]
            for turn in random.sample(due, len(due)):
                try:
                    found[turn].append(self._take(turn, last=number == turn.rounds - 1))
                except RefusedError as reason:
                    self._leave_out(turn.process, turn.case, reason)
                    turns.remove(turn)
                    found.pop(turn, None)
        for turn, seconds in found.items():
            self.results.seconds.setdefault(str(turn.case), {})[turn.process.rival.name] = statistics.median(seconds)

    def _starts(self, process: Process) -> bool:
        try:
            self.results.versions.update(process.ask("versions")["versions"])
        except RefusedError as reason:
            self._leave_out(process, "", reason)
            return False
        return True

    def _prepare(self, process: Process, case: Case) -> Turn | None:
        """Warm up and return the turn of a case, or None if the rival does not make it."""
        rival = process.rival
        if case.dtype not in rival.dtypes or (case.part and not rival.is_ours):
            return None
        if case.kind == ORTHOGONAL and not rival.makes_orthogonal:
            return None
        try:
            seconds = process.ask("prepare", **self._request(case))["seconds"]
        except RefusedError as reason:
            self._leave_out(process, case, reason)
            return None
        return Turn(process, case, self.pace.calls(seconds), self.pace.turns(seconds))

    def _take(self, turn: Turn, last: bool) -> float:
        """Return the seconds of a call in this turn. The tensor of seedbed's last turn is compared."""
        time.sleep(PAUSE)
        compared = last and turn.process.rival.is_ours
        answer = turn.process.ask("time", case=str(turn.case), calls=turn.calls, digest=compared)
        if compared:
            self._compare(turn, answer["digest"])
        seconds: float = answer["seconds"]
        return seconds

    def _compare(self, turn: Turn, digest: str) -> None:
        """Compare with values made in slices, on other threads, by the portable backend: a fast wrong kernel fails."""
        if turn.case not in self.digests:
            self.digests[turn.case] = self.recomputed.ask("digest", **self._request(turn.case))["digest"]
        if digest != self.digests[turn.case]:
            raise SystemExit(f"{turn.process.rival.name} made wrong values: {turn.case}")
        self.results.compared += 1

    def _request(self, case: Case) -> dict[str, Any]:
        return {"case": str(case), "tensors": self.results.sizes.tensors(case)}

    def _leave_out(self, process: Process, what: object, reason: RefusedError) -> None:
        key = f"{process.rival.name}: {what}" if what else process.rival.name
        self.results.left_out[key] = str(reason)
        print(f"left out: {key}: {reason}", file=sys.stderr)


IMPORTS = """
import sys, time
for module in sys.argv[1:]:
    start = time.perf_counter()
    __import__(module)
    print(time.perf_counter() - start)
"""


def import_seconds(modules: Sequence[str], starts: int) -> dict[str, float]:
    """Return the median seconds that each module's import adds, one after the other in one process.

    The modules are loaded from bytecode, like installed modules.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    spent = []
    for _ in range(starts + 1):
        command = [sys.executable, "-c", IMPORTS, *modules]
        run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        spent.append([float(seconds) for seconds in run.stdout.split()])
    return dict(zip(modules, map(statistics.median, zip(*spent[1:], strict=True)), strict=True))


def command_seconds(counts: Sequence[int], turns: int) -> dict[str, dict[str, float]]:
    """Return the median processor seconds of `seedbed init` and `verify`, by the number of tensors of shape 4 x 4."""
    spent: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            tensors = [{"name": f"layers.{i}", "shape": [4, 4], "initializer": "he_normal"} for i in range(count)]
            Path(folder, f"{count}.json").write_text(json.dumps({"tensors": tensors}))
        for _ in range(turns):
            for count in counts:
                plan, file = f"{folder}/{count}.json", f"{folder}/{count}.safetensors"
                for verb, arguments in (("init", [plan, "-o", file]), ("verify", [plan, file])):
                    command = [sys.executable, "-m", "seedbed", verb, *arguments]
                    start = processor_seconds()
                    subprocess.run(command, check=True, capture_output=True)
                    spent[verb][str(count)].append(processor_seconds() - start)
    return {verb: {count: statistics.median(s) for count, s in times.items()} for verb, times in spent.items()}


def processor_seconds() -> float:
    """Return the processor seconds of all ended child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime

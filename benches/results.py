"""The results of a run, the machine that it ran on, and the form of both on disk."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from cases import FULL, QUICK, Case, Sizes
from makers import backend

import seedbed


@dataclass
class Results:
    """Medians by case and rival, and all other figures of the report."""

    quick: bool
    whole: bool
    command: str
    machine: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    imports: dict[str, float] = field(default_factory=dict)
    commands: dict[str, dict[str, float]] = field(default_factory=dict)
    """Processor seconds by verb and number of tensors."""
    compared: int = 0
    minutes: float = 0.0

    @property
    def sizes(self) -> Sizes:
        return QUICK if self.quick else FULL

    def of(self, rival: str, case: Case) -> float | None:
        """Return the median seconds of a call, or None if it was not measured."""
        return self.seconds.get(str(case), {}).get(rival)

    def ratio(self, rival: str, case: Case, base: str, base_case: Case | None = None) -> float | None:
        """Return the rival's seconds divided by the base's."""
        seconds, of = self.of(rival, case), self.of(base, base_case or case)
        return seconds / of if seconds and of else None

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Results:
        return cls(**json.loads(path.read_text()))


def machine() -> dict[str, str]:
    """Return the properties of this machine and its software on which the figures depend."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "CPU": cpu(),
        "cores": str(cpus),
        "seedbed": f"{seedbed.__version__}, values {seedbed.ALGORITHM}, backend {backend()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "transparent huge pages": chosen_in("/sys/kernel/mm/transparent_hugepage/enabled"),
        "Python": platform.python_version(),
        "date": date.today().isoformat(),
    }


def cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    model = f"family {facts.get('cpu family')}, model {facts.get('model')}"
    return f"{facts.get('model name', platform.machine())} ({model})"


def chosen_in(path: str) -> str:
    """Return the word in brackets in a file of the kernel."""
    try:
        return Path(path).read_text().partition("[")[2].partition("]")[0]
    except OSError:
        return "unknown"

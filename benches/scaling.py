"""Measure how checkpoints scale: rates of this machine, several processes, and a prediction for many machines.

    PYTHONPATH=python python benches/scaling.py [DIRECTORY]

Prints the tables of docs/scaling.md. The directory, by default the current one, is on the disk to be measured.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np

import seedbed as sb
from seedbed.checkpoint.destination import NewFile
from seedbed.checkpoint.parts import positions_of
from seedbed.checkpoint.reader import HashingReader, opened
from seedbed.checkpoint.ring_buffer import BLOCK_BYTES, BLOCKS, RingBuffer

SIZE = 1 << 30
"""Size of the file that measures the disk, in bytes."""

MODELS = {"8B": 8e9, "70B": 70e9, "405B": 405e9, "2T": 2e12}
MACHINES = (1, 16, 256)
PROCESSES = (1, 2, 4)
SHARD_BYTES = 5e9
ITEM_BYTES = 2  # bfloat16


class Rates(NamedTuple):
    """Bytes a second: evaluated by a core, hashed by a core, written to the disk, and read from the disk."""

    evaluate: float
    hash: float
    write: float
    read: float


class Predicted(NamedTuple):
    """Seconds, and the resource that needs them: the cores, a hash or the disk."""

    seconds: float
    bound: str


class NoHash:
    """Replaces a hash, so that only the disk is measured."""

    def update(self, piece: np.ndarray) -> None:
        pass


def best(function: Callable[[], object], rounds: int = 3) -> float:
    """Return the least seconds of several calls."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measured_rates(folder: Path) -> Rates:
    sb.set_num_threads(1)
    values = np.empty(1 << 24, ml_dtypes.bfloat16)
    evaluate = values.nbytes / best(
        lambda: sb.RandomNormal(stddev=0.02, seed=1)(values.shape, values.dtype, out=values)
    )
    content = np.frombuffer(np.random.default_rng(1).bytes(BLOCK_BYTES), np.uint8)
    hashing = content.size / best(lambda: hashlib.sha256(content.data).digest())
    path = folder / "disk"

    def write() -> None:
        file = NewFile(path, SIZE)
        file.open()
        memory = RingBuffer(BLOCK_BYTES, 1).take().memory
        memory[:] = content
        for _ in range(SIZE // BLOCK_BYTES):
            file.write(memory)
        file.finish()

    def read() -> None:
        with opened(path) as (file, size):
            source = HashingReader(file, size, RingBuffer(size, BLOCKS))
            source._sha256 = NoHash()  # type: ignore[assignment]
            for _ in source.skip(size):
                pass
            source.close()

    rates = Rates(evaluate, hashing, SIZE / best(write), SIZE / best(read))
    path.unlink()
    return rates


def measured_curve(folder: Path) -> Iterator[tuple[int, float, float]]:
    """Yield the seconds of several single-threaded processes that each write a part of one directory."""
    tensors = [{"name": f"w{i}", "shape": [8192, 4096], "initializer": "he_normal"} for i in range(64)]
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"dtype": "bfloat16", "tensors": tensors}))
    for count in PROCESSES:
        best_of = float("inf")
        for attempt in range(2):
            out = folder / f"out-{count}-{attempt}"
            command: list[str | Path] = [
                sys.executable,
                "-m",
                "seedbed",
                "init",
                plan,
                "-o",
                out,
                "--max-shard-size",
                "68MB",
                "--quiet",
            ]
            environment = {**os.environ, "SEEDBED_NUM_THREADS": "1"}
            start = time.perf_counter()
            running = [
                subprocess.Popen([*command, "--part", f"{number}/{count}"], env=environment)
                for number in range(1, count + 1)
            ]
            assert all(process.wait() == 0 for process in running)
            best_of = min(best_of, time.perf_counter() - start)
            size = sum(path.stat().st_size for path in out.glob("*.safetensors"))
            for path in out.iterdir():
                path.unlink()
        yield count, best_of, size / best_of


def most_bytes(total: float, machines: int) -> int:
    """Return the bytes of the machine with the most bytes, if `--part` divides the shards."""
    whole, rest = divmod(int(total), int(SHARD_BYTES))
    sizes = [int(SHARD_BYTES)] * whole + [rest] * (rest > 0)
    return max(sum(sizes[i] for i in positions_of(sizes, (number, machines))) for number in range(1, machines + 1))


def predicted(total: float, machines: int, rates: Rates, cores: int, disk: float) -> Predicted:
    """Return the time of the machine with the most bytes: that of its slowest resource."""
    size = most_bytes(total, machines)
    streams = streams_of(size, cores)
    times = {
        "cores": size * (1 / rates.evaluate + 1 / rates.hash) / cores,
        "hash": size / rates.hash / streams,
        "disk": size / disk,
    }
    bound = max(times, key=lambda name: times[name])
    return Predicted(times[bound], bound)


def streams_of(size: int, cores: int) -> int:
    """Return the number of files that are written at the same time."""
    return max(1, min(4, cores // 2, round(size / SHARD_BYTES)))


def simulated(total: float, machines: int, rates: Rates, cores: int, disk: float) -> float:
    """Return the time of the same machine, simulated block by block.

    A block is evaluated while earlier blocks, at most `BLOCKS`, are hashed and written. A hash occupies a core while it
    has work; the evaluation uses the other cores.
    """
    size = most_bytes(total, machines)
    streams = streams_of(size, cores)
    evaluated = written = 0.0
    hashed = [0.0] * streams
    done = [0.0] * BLOCKS
    for number in range(-(-size // BLOCK_BYTES)):
        stream = number % streams
        start = max(evaluated, done[number % BLOCKS])
        work = BLOCK_BYTES / rates.evaluate
        for end in sorted(hashed):  # hashes end and free their cores one after the other
            free = cores - sum(each > start for each in hashed)
            if end <= start or work <= 0:
                continue
            seconds = min(end - start, work / max(free, 0.5))
            work -= seconds * max(free, 0.5)
            start += seconds
        evaluated = start + max(work, 0) / cores
        hashed[stream] = max(hashed[stream], evaluated) + BLOCK_BYTES / rates.hash
        written = max(written, evaluated) + BLOCK_BYTES / disk
        done[number % BLOCKS] = max(hashed[stream], written)
    return max(*hashed, written)


def shown(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else ".") as name:
        folder = Path(name)
        rates, cores = measured_rates(folder), len(os.sched_getaffinity(0))
        print(f"{cores} cores. Rates:\n\n| | |\n|---|---|")
        print(f"| evaluated by a core | {rates.evaluate / ITEM_BYTES / 1e9:.2f} G values/s of bfloat16 |")
        for what, rate in zip(
            ("hashed by a core", "written to the disk", "read from the disk"), rates[1:], strict=True
        ):
            print(f"| {what} | {rate / 1e9:.2f} GB/s |")
        print("\n| processes | seconds | GB/s |\n|---|---|---|", flush=True)
        for count, seconds, rate in measured_curve(folder):
            print(f"| {count} | {seconds:.2f} | {rate / 1e9:.2f} |", flush=True)
        print("\n| parameters | machines | init | bound by | simulated | verify | bound by | simulated |")
        print("|---|---|---|---|---|---|---|---|")
        for model, parameters in MODELS.items():
            for machines in MACHINES:
                cells = [model, str(machines)]
                for disk in (rates.write, rates.read):
                    case = parameters * ITEM_BYTES, machines, rates, cores, disk
                    prediction, simulation = predicted(*case), simulated(*case)
                    cells += [shown(prediction.seconds), prediction.bound, shown(simulation)]
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

"""Measure the values, and write docs/quality.md.

    python -m tools.quality                        everything: `make quality`; the page says how long it takes
    python -m tools.quality --quick                a trial run: a hundredth of the values, and no battery
    python -m tools.quality --only statistics      one part: statistics, battery, exactness or orthogonality
    python -m tools.quality --render               measure nothing; write the page from the figures of the last runs

The figures are kept in build/quality, one file for each figure or table, and the page is written from these files. All
seeds are fixed. The memory that a run takes does not depend on the number of values.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import battery, cases, exactness, last_bits, orthogonality, relations, report

ROOT = Path(__file__).parents[2]
PARTS = ("statistics", "battery", "exactness", "orthogonality")

Task = tuple[str, Callable[..., Any], tuple[Any, ...]]
"""Name of a file, the function that measures its contents, and the arguments of that function."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tools.quality", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a hundredth of the values, and no battery")
    parser.add_argument("--values", type=int, metavar="N", help="of each sample; 2^30, or 10^7 with --quick")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts alone")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "quality", metavar="FOLDER")
    options = parser.parse_args(arguments)
    options.values = options.values or (10**7 if options.quick else 2**30)
    if options.quick and options.only is PARTS:
        options.only = ("statistics", "exactness")
    return options


def tasks(parts: tuple[str, ...], values: int) -> Iterator[Task]:
    """Yield the measurements to run, the longest first."""
    if "battery" in parts:
        for test, length in battery.plan():
            yield f"battery-{test}-{length}", run_battery, (test, length)
    if "statistics" in parts:
        for number in range(len(cases.CASES)):
            yield f"case-{number}", cases.measure, (number, values)
        for number, name in enumerate(relations.RELATIONS):
            yield f"relation-{number}", cases.relate, (name, values)
        for number in range(len(last_bits.CASES)):
            yield f"last-bit-{number}", run_last_bits, (number, values)
    if "exactness" in parts:
        for number, (distribution, dtype) in enumerate(exactness.MEASURED):
            yield f"error-{number}", run_exactness, (distribution, dtype, values)
        yield "rust", exactness.printed_by_rust, ()
    if "orthogonality" in parts:
        for number, (shape, dtype) in enumerate(orthogonality.MEASURED):
            yield f"distance-{number}", run_orthogonality, (shape, dtype)


def run_battery(test: int, length: int) -> dict[str, Any]:
    return {"test": test, "length": length, "found": [asdict(found) for found in battery.run(test, length)]}


def run_exactness(distribution: str, dtype: str, values: int) -> dict[str, Any]:
    return {"n": values, **asdict(exactness.measure(distribution, dtype, exactness.sample(values)))}


def run_last_bits(number: int, values: int) -> dict[str, Any]:
    return asdict(last_bits.measure(number, values))


def run_orthogonality(shape: tuple[int, ...], dtype: str) -> dict[str, Any]:
    return asdict(orthogonality.measure(shape, dtype))


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    if not options.render:
        os.environ["SEEDBED_NUM_THREADS"] = "1"  # the processes are enough
        with ProcessPoolExecutor(options.jobs) as pool:
            running = {pool.submit(make, *given): name for name, make, given in tasks(options.only, options.values)}
            for done in as_completed(running):
                name = running[done]
                (options.output / f"{name}.json").write_text(json.dumps(done.result(), indent=1), "utf-8")
                print(name, flush=True)
    whole = not options.quick and options.values >= 10**9
    path = ROOT / "docs" / "quality.md" if whole else options.output / "quality.md"
    path.write_text(report.document(options.output), "utf-8")
    print(path)


if __name__ == "__main__":
    main()

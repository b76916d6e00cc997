"""Compare seedbed with every installed rival: docs/benchmarks.md and docs/benchmarks.png.

    python benches/bench.py                      everything, in about a quarter of an hour: `make bench`
    python benches/bench.py --quick              a trial run with small shapes and few rounds
    python benches/bench.py --only 8192x8192 --rivals NumPy torch
    python benches/bench.py --render             measure nothing; write the report of the last run again

Each rival has its own process during the whole run. The processes take turns: in each round, every rival makes every
tensor of a group once, in a new order, so that other work of the machine affects all rivals equally. The first call of
each is dropped, and the report has the median of the rounds. Only a whole run writes to docs/.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import plot
import report
from cases import Case
from results import Results, machine
from rivals import RECOMPUTED, RIVALS
from rounds import FULL_PACE, QUICK_PACE, Process, Rounds, command_seconds, import_seconds

ROOT = Path(__file__).parents[1]


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a trial run with small shapes and few rounds")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases with this text in their names")
    parser.add_argument("--rivals", nargs="+", metavar="NAME", help="of: " + "; ".join(r.name for r in RIVALS))
    parser.add_argument("--render", action="store_true", help="measure nothing: report the last run")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench", metavar="FOLDER")
    options = parser.parse_args(arguments)
    unknown = set(options.rivals or ()) - {rival.name for rival in RIVALS}
    if unknown:
        parser.error(f"there is no rival called {', '.join(sorted(unknown))}")
    return options


def run(options: argparse.Namespace, command: str) -> Results:
    """Measure the requested cases and rivals. seedbed's configurations are always measured."""
    whole = not (options.quick or options.only or options.rivals)
    results = Results(options.quick, whole, "make bench" if whole else command, machine())
    sizes, pace = results.sizes, QUICK_PACE if options.quick else FULL_PACE
    start = time.monotonic()
    results.imports = import_seconds(("numpy", "seedbed"), pace.starts)
    results.commands = command_seconds(sizes.plans, pace.least_slow)
    chosen = [rival for rival in RIVALS if rival.is_ours or not options.rivals or rival.name in options.rivals]
    with ExitStack() as stack:
        *processes, recomputed = (stack.enter_context(closing(Process(rival))) for rival in [*chosen, RECOMPUTED])
        rounds = Rounds(results, pace, processes, recomputed)
        rounds.measure_peaks(*(Case("truncated normal", shape) for shape in (sizes.small, sizes.large)))
        for group in sizes.groups():
            rounds.measure([case for case in group if options.only in str(case)])
            print(f"{(time.monotonic() - start) / 60:5.1f} min: {group[0]}", file=sys.stderr)
    results.minutes = (time.monotonic() - start) / 60
    return results


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    figures = options.output / "benchmarks.json"
    results = Results.load(figures) if options.render else run(options, " ".join(["benches/bench.py", *arguments]))
    results.save(figures)
    for folder in [options.output, ROOT / "docs"] if results.whole else [options.output]:
        (folder / "benchmarks.md").write_text(report.page(results), encoding="utf-8")
        plot.draw(results, folder / "benchmarks.png")
        print(f"written: {folder / 'benchmarks.md'}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])

"""The page docs/benchmarks.md, from what a run found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import goals
from cases import GPT2, KINDS, ORTHOGONAL, Case
from results import Results
from rivals import BY_NAME, OURS, RIVALS

TITLES = {
    "uniform": "Uniform: GlorotUniform",
    "truncated normal": "Truncated normal: GlorotNormal",
    "normal": "Normal: RandomNormal",
    ORTHOGONAL: "Orthogonal",
}
NOTHING = "-"

PAGE = """# Benchmarks

`{command}` wrote this page on {machine[date]}, on {machine[cores]} cores of {machine[CPU]}.

{warning}![Elements a second: seedbed and its rivals](benchmarks.png)

## How many times as long the rivals take

The time of each, divided by seedbed's. **Bold**: faster than seedbed. `np.full` is the cost of the memory itself.

{ratios}

### The {tensors} tensors of GPT-2 small, float32

{gpt2}

## Goals

For the shape {large}, in float32 and on all cores, where it doesn't say otherwise. What has no goal is there to be
seen.

{goals}

## Times

The median of a call.

{times}

## Memory

By how much a process grows at the peak of its first large call, GlorotNormal {large} in float32, beyond the
result.

{peaks}

## Machine and versions

{machine_table}

{versions}

## Method

Each rival has a process of its own for as long as the run takes, {minutes:.0f} minutes. They take turns: in a round
every rival makes every tensor of one distribution and shape, in a new order, so that whatever else the machine does
hits all alike. A turn repeats a short call for 20 ms. The first call is dropped; the median is that of 5 to 15 rounds,
of 3 where a call takes more than 2 seconds. A call makes fresh arrays, as an initializer does; freeing them isn't
timed, nor is compilation. Rivals use as many threads as they do by themselves, where the name doesn't say otherwise.

Every rival's shape, dtype, bounds and standard deviation were looked at. What seedbed made was compared {compared}
times, by SHA-256, with the same tensor put together from lazy slices, on another number of threads, by the portable
backend.

- NumPy: `Generator.random` and `standard_normal` in float32, scaled in place; `uniform` and `normal` in float64.
  Threaded: each thread fills its part from a generator of its own. mkl_random has float64 alone: the rest is cast.
- NumPy and mkl_random have no truncated normal: what lies beyond the bounds is drawn again. They have no bfloat16: it
  is cast.
- torch: `torch.nn.init`. JAX: `jax.nn.initializers`, compiled. TensorFlow: `tf.random.stateless_*`. Keras 3: its
  initializers on each backend.
- Orthogonal: NumPy does what the other rivals do, the QR decomposition of a normal matrix with the signs of R's
  diagonal.

{left_out}
"""


def page(results: Results) -> str:
    model = Case(GPT2)
    return PAGE.format(
        command=results.command,
        machine=results.machine,
        warning=""
        if results.whole
        else "**It is a part of the whole, to try the bench: its figures are worth nothing.**\n\n",
        ratios=sections(results, lambda name, case: ratio(results, name, case)),
        tensors=len(results.sizes.tensors(model)),
        gpt2=gpt2_table(results, model),
        large=name_of(results.sizes.large),
        goals=goals_table(results),
        times=sections(results, lambda name, case: duration(results.of(name, case))),
        peaks=peaks_table(results),
        machine_table=table(["", ""], results.machine.items(), align="---"),
        versions=table(["", "version"], sorted(results.versions.items()), align="---"),
        minutes=results.minutes,
        compared=results.compared,
        left_out=left_out(results),
    )


def sections(results: Results, cell: Callable[[str, Case], str]) -> str:
    """A table for each kind of distribution: rivals by shapes and dtypes."""
    tables = []
    for kind in (*KINDS, ORTHOGONAL):
        measured = [case for case in results.sizes.cases(kind) if results.of(OURS, case)]
        if measured:
            tables.append(f"### {TITLES[kind]}\n\n{kind_table(results, measured, cell)}")
    return "\n\n".join(tables)


def kind_table(results: Results, cases: Sequence[Case], cell: Callable[[str, Case], str]) -> str:
    heads = [f"{name_of(case.shape)} {case.dtype}" for case in cases]
    rows = [[name, *(cell(name, case) for case in cases)] for name in ranked(results, cases[0])]
    return table(["", *heads], rows)


def gpt2_table(results: Results, case: Case) -> str:
    names = ranked(results, case)
    rows = [[name, ratio(results, name, case), duration(results.of(name, case))] for name in names]
    return table(["", "ratio", "time"], rows)


def goals_table(results: Results) -> str:
    rows = [[row.what, row.figure, row.goal, row.shown, row.verdict] for row in goals.rows(results)]
    return table(["what", "figure", "goal", "measured", ""], rows, align="---")


def peaks_table(results: Results) -> str:
    measured = {name: goals.beyond_result(results, name) for name in results.peaks}
    beyond = {name: peak for name, peak in measured.items() if peak is not None}
    return table(["", "MiB"], [[name, f"{round(beyond[name]):,}"] for name in sorted(beyond, key=beyond.__getitem__)])


def left_out(results: Results) -> str:
    if not results.left_out:
        return "Nothing was left out."
    return table(["left out", "because"], results.left_out.items(), align="---")


def ranked(results: Results, case: Case) -> list[str]:
    """Who was measured: ours in their order, then the others, the fastest first."""
    measured = {rival.name: seconds for rival in RIVALS if (seconds := results.of(rival.name, case)) is not None}
    ours = [rival.name for rival in RIVALS if rival.is_ours and rival.name in measured]
    return [*ours, *sorted(measured.keys() - {*ours}, key=measured.__getitem__)]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], align: str = "---:") -> str:
    lines = [heads, ["---"] + [align] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def name_of(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def significant(x: float) -> str:
    """With two or three digits."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def ratio(results: Results, name: str, case: Case) -> str:
    times = results.ratio(name, case, OURS)
    if times is None:
        return NOTHING
    return f"**{significant(times)}**" if times < 1 and not BY_NAME[name].is_ours else significant(times)


def duration(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    unit, size = next((u, s) for u, s in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)) if seconds >= s or u == "µs")
    return f"{significant(seconds / size)} {unit}"

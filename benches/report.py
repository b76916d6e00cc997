"""Write the page docs/benchmarks.md from the results of a run."""

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

## Times of the rivals, relative to seedbed

The tables have the time of each rival, divided by seedbed's time. **Bold** means faster than seedbed. `np.full` shows
the cost of the memory itself.

{ratios}

### The {tensors} tensors of GPT-2 small, float32

{gpt2}

## Goals

The figures are for the shape {large}, in float32 and on all cores, unless the row says otherwise. A row without a goal
is for information.

{goals}

## Times

The tables have the median time of a call.

{times}

## Memory

The table has the peak of memory of a process in its first large call, GlorotNormal {large} in float32, minus the memory
before the call and minus the result.

{peaks}

## Machine and versions

{machine_table}

{versions}

## Method

Each rival has its own process during the whole run of {minutes:.0f} minutes. The processes take turns: in each round,
every rival makes every tensor of one distribution and shape, in a new order, so that other work of the machine affects
all rivals equally. A turn repeats a short call for 20 ms. The first call is dropped. The median is that of 5 to 15
rounds, or of 3 rounds if a call takes more than 2 seconds. A call makes new arrays, as an initializer does. The time to
free them and to compile is not included. Rivals use their default number of threads, unless the name says otherwise.

Shape, dtype, bounds and standard deviation of every rival's tensors were checked. seedbed's tensors were compared
{compared} times, by SHA-256, with the same tensors made from lazy slices, on another number of threads, by the portable
backend.

- NumPy: `Generator.random` and `standard_normal` in float32, scaled in place; `uniform` and `normal` in float64.
  Threaded: each thread fills its part from its own generator. mkl_random has only float64; other dtypes are cast.
- NumPy and mkl_random have no truncated normal: values outside of the bounds are drawn again. They have no bfloat16:
  values are cast.
- torch: `torch.nn.init`. JAX: `jax.nn.initializers`, compiled. TensorFlow: `tf.random.stateless_*`. Keras 3: its
  initializers on each backend.
- Orthogonal: NumPy computes the same as the other rivals, the QR decomposition of a normal matrix with the signs of R's
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
        else "**This was only a trial run of a part of the benchmarks: ignore its figures.**\n\n",
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
    """Return a table for each kind of distribution: rivals by shapes and dtypes."""
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
    measured = {name: goals.extra_memory(results, name) for name in results.peaks}
    peaks = {name: peak for name, peak in measured.items() if peak is not None}
    return table(["", "MiB"], [[name, f"{round(peaks[name]):,}"] for name in sorted(peaks, key=peaks.__getitem__)])


def left_out(results: Results) -> str:
    if not results.left_out:
        return "Nothing was left out."
    return table(["left out", "reason"], results.left_out.items(), align="---")


def ranked(results: Results, case: Case) -> list[str]:
    """Return the measured names: seedbed's in their order, then the others, the fastest first."""
    measured = {rival.name: seconds for rival in RIVALS if (seconds := results.of(rival.name, case)) is not None}
    ours = [rival.name for rival in RIVALS if rival.is_ours and rival.name in measured]
    return [*ours, *sorted(measured.keys() - {*ours}, key=measured.__getitem__)]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], align: str = "---:") -> str:
    lines = [heads, ["---"] + [align] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def name_of(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def significant(x: float) -> str:
    """Return a number as text with two or three digits."""
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

"""Draw docs/benchmarks.png: elements a second, of seedbed and of the rivals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from cases import KINDS, Case
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, NullFormatter
from report import name_of, significant
from results import Results
from rivals import FULL, ONE_THREAD, OURS, RIVALS

TITLES = {"uniform": "GlorotUniform", "truncated normal": "GlorotNormal", "normal": "RandomNormal"}
INK, PALE, FAINT, RED = "#2b2f36", "#8a929d", "#e4e7eb", "#c8102e"


def draw(results: Results, path: Path) -> None:
    """Write the picture: a panel for each distribution, a line for each rival, the fastest on top."""
    cases = [Case(kind, results.sizes.large) for kind in KINDS]
    names = ranked(results, cases)
    figure, panels = plt.subplots(
        1, len(cases), figsize=(12, 1.2 + 0.3 * len(names)), sharex=True, sharey=True, layout="constrained"
    )
    panels[0].set(xscale="log", ylim=(len(names) - 0.4, -0.9))
    for panel, case in zip(panels, cases, strict=True):
        draw_panel(panel, results, case, names)
    panels[0].set_yticks(range(len(names)), names)
    for label in panels[0].get_yticklabels()[:2]:
        label.set(color=RED, weight="bold")
    figure.supxlabel(
        f"elements a second, {name_of(results.sizes.large)} float32, {results.machine['cores']} cores   ·   "
        f"12x: it takes 12 times as long as {OURS}",
        fontsize=9,
        color=INK,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)


def ranked(results: Results, cases: list[Case]) -> list[str]:
    """Return seedbed's names, then those of the rivals, the fastest in all cases together first."""
    rivals = [rival.name for rival in RIVALS if not rival.is_ours and rival.name != FULL]
    totals = {name: [results.of(name, case) for case in cases] for name in rivals}
    complete = {name: sum(filter(None, seconds)) for name, seconds in totals.items() if all(seconds)}
    return [OURS, ONE_THREAD, *sorted(complete, key=complete.__getitem__)]


def draw_panel(panel: Axes, results: Results, case: Case, names: list[str]) -> None:
    elements = results.sizes.elements(case)
    panel.set_title(TITLES[case.kind], fontsize=11, color=INK, weight="bold", pad=18)
    draw_memory(panel, results.of(FULL, case), elements)
    for y, name in enumerate(names):
        if seconds := results.of(name, case):
            draw_dot(panel, elements / seconds, y, results.ratio(name, case, OURS), name in (OURS, ONE_THREAD))
    panel.margins(x=0.2)
    panel.grid(axis="y", color=FAINT)
    panel.tick_params(which="both", length=0, labelcolor=INK, labelsize=9)
    panel.xaxis.set_major_formatter(EngFormatter(sep=" "))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.spines[:].set_visible(False)


def draw_dot(panel: Axes, speed: float, y: int, ratio: float | None, is_ours: bool) -> None:
    colour = RED if is_ours else INK
    panel.plot(speed, y, "o", markersize=7, color=colour, zorder=4)
    others = "" if ratio is None else f"{ratio:.2g}x" if ratio < 10 else f"{ratio:.0f}x"
    text = f"{significant(speed / 1e9)} G/s" if ratio == 1 else others
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    place: dict[str, Any] = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
    panel.annotate(text, (speed, y), **place, fontsize=8, color=colour if is_ours else PALE, bbox=box, zorder=3)


def draw_memory(panel: Axes, seconds: float | None, elements: int) -> None:
    """Draw a line at the rate of `np.full`, the cost of a new array's memory."""
    if seconds:
        panel.axvline(elements / seconds, ymax=0.99, color=PALE, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        panel.text(elements / seconds, -1, FULL, ha="center", va="bottom", fontsize=8, color=PALE)

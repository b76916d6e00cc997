"""Compare the measured figures with the goals."""

from __future__ import annotations

import math
from typing import NamedTuple

from cases import DTYPES, KINDS, ORTHOGONAL, PARTS, Case
from results import Results
from rivals import AVX2, FULL, ONE_THREAD, OURS, RIVALS, TORCH, TORCH_ONE_THREAD

MIB = 2**20


class Row(NamedTuple):
    """A figure with its goal, if it has one."""

    what: str
    figure: str
    unit: str
    measured: float | None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def goal(self) -> str:
        if self.at_most is not None:
            return f"at most {self.at_most:g} {self.unit}"
        return "" if self.at_least is None else f"at least {self.at_least:g} {self.unit}"

    @property
    def shown(self) -> str:
        return "-" if self.measured is None else f"{self.measured:.3g} {self.unit}"

    @property
    def verdict(self) -> str:
        if self.measured is None or not self.goal:
            return ""
        least, most = self.at_least or 0.0, math.inf if self.at_most is None else self.at_most
        met = least <= self.measured <= most
        return "met" if met else "**not met**"


def rows(results: Results) -> list[Row]:
    sizes = results.sizes
    uniform, truncated, normal = (Case(kind, sizes.large) for kind in KINDS)
    small = Case("uniform", sizes.small)
    square = sizes.cases(ORTHOGONAL)[0]
    small_seconds = results.of(OURS, small)
    ratio = results.ratio
    bfloat16, float64 = (ratio(OURS, truncated, OURS, truncated._replace(dtype=dtype)) for dtype in DTYPES[1:])
    return [
        Row("GlorotUniform", "time, relative to np.full", "x", ratio(OURS, uniform, FULL), at_most=1.0),
        Row("GlorotUniform, one thread", "time, relative to np.full", "x", ratio(ONE_THREAD, uniform, FULL)),
        Row("GlorotNormal", "time, relative to np.full", "x", ratio(OURS, truncated, FULL), at_most=1.0),
        Row(
            "GlorotNormal, one thread",
            "time, relative to np.full",
            "x",
            ratio(ONE_THREAD, truncated, FULL),
            at_most=1.5,
        ),
        fastest(results, "GlorotUniform", uniform, at_least=6),
        fastest(results, "GlorotNormal", truncated, at_least=20),
        Row("RandomNormal", "torch's time, relative to ours", "x", ratio(TORCH, normal, OURS), at_least=4),
        Row("GlorotNormal in bfloat16", "elements/s, relative to float32", "x", bfloat16, at_least=0.9),
        Row("GlorotNormal in float64", "elements/s, relative to float32", "x", float64, at_least=0.4),
        Row(
            "GlorotNormal with AVX2",
            "elements/s, relative to the default",
            "x",
            ratio(OURS, truncated, AVX2),
            at_least=0.4,
        ),
        Row(f"GlorotUniform {sizes.small}", "time of a call", "µs", small_seconds and small_seconds * 1e6, at_most=6),
        Row(
            f"Orthogonal {square.shape}", "torch's time, relative to ours", "x", ratio(TORCH, square, OURS), at_least=3
        ),
        Row(
            f"Orthogonal {square.shape}, one thread",
            "torch's time on one thread, relative to ours",
            "x",
            ratio(TORCH_ONE_THREAD, square, ONE_THREAD),
            at_least=3,
        ),
        *slices(results),
        Row("GlorotNormal", "peak of memory, minus the result", "MiB", extra_memory(results, OURS), at_most=16),
        *commands(results),
        Row("import seedbed", "time after import numpy", "ms", import_after_numpy(results), at_most=20),
    ]


def fastest(results: Results, what: str, case: Case, at_least: float) -> Row:
    found = {rival.name: results.ratio(rival.name, case, OURS) for rival in RIVALS if rival.is_framework}
    measured = {name: ratio for name, ratio in found.items() if ratio}
    name = min(measured, key=measured.__getitem__, default="none")
    figure = f"time of the fastest framework ({name}), relative to ours"
    return Row(what, figure, "x", measured.get(name), at_least=at_least)


def slices(results: Results) -> list[Row]:
    whole, *parts = (Case("truncated normal", results.sizes.large, part=part) for part in PARTS)
    limits = {"1 % of the rows": 2, "1 % of the columns": 2}
    measured = [(part.part, results.ratio(OURS, part, OURS, whole)) for part in parts]
    return [
        Row(
            f"lazy GlorotNormal: {part}",
            "time, relative to the whole",
            "%",
            ratio and 100 * ratio,
            at_most=limits.get(part),
        )
        for part, ratio in measured
    ]


def commands(results: Results) -> list[Row]:
    """Compare the growth of a command's processor time with that of the number of tensors."""
    few, many = results.sizes.plans
    rows = []
    for verb in ("init", "verify"):
        seconds = results.commands.get(verb)
        ratio = seconds[str(many)] / seconds[str(few)] if seconds else None
        what, limit = f"seedbed {verb}, {many:,} small tensors", 1.2 * many / few
        rows.append(Row(what, f"processor time, relative to that for {few:,}", "x", ratio, at_most=limit))
    return rows


def extra_memory(results: Results, rival: str) -> float | None:
    """Return the MiB of memory at the peak, minus those before the call and those of the result."""
    large = results.sizes.elements(Case("truncated normal", results.sizes.large))
    return (results.peaks[rival] - 4 * large) / MIB if rival in results.peaks else None


def import_after_numpy(results: Results) -> float | None:
    """Return the milliseconds of `import seedbed` after NumPy is imported."""
    return results.imports["seedbed"] * 1000 if results.imports else None

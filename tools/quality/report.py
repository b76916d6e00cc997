"""Write docs/quality.md from the measurements."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from . import battery, cases, exactness, fit, last_bits, orthogonality, relations
from .distributions import DISTRIBUTIONS, DTYPES
from .findings import decimals

FAMILY_ALPHA = 0.01
"""Probability that values without a fault fall below the level in at least one check."""

PAGE = Path(__file__).with_name("page.md")

Record = dict[str, Any]


def document(folder: Path) -> str:
    """Return the page, from the measurements in a folder.

    Raises:
        ValueError: if the folder has no statistics.
    """
    measured = [record for i in range(len(cases.CASES)) if (record := read(folder / f"case-{i}.json"))]
    related = [record for i in range(len(relations.RELATIONS)) if (record := read(folder / f"relation-{i}.json"))]
    tested = [record for t, n in battery.plan() if (record := read(folder / f"battery-{t}-{n}.json"))]
    errors = [record for i in range(len(exactness.MEASURED)) if (record := read(folder / f"error-{i}.json"))]
    last = [record for i in range(len(last_bits.CASES)) if (record := read(folder / f"last-bit-{i}.json"))]
    distances = [record for i in range(len(orthogonality.MEASURED)) if (record := read(folder / f"distance-{i}.json"))]
    printed: list[str] = read(folder / "rust.json") or []
    findings = [(record, finding) for record in (*measured, *related) for finding in record["findings"]]
    if not findings:
        raise ValueError(f"the folder must have statistics (case-*.json). Received: {folder}")
    level = FAMILY_ALPHA / len(findings)
    return PAGE.read_text("utf-8").format(
        **verdict(findings, level),
        n=size(measured),
        first_seed=cases.FIRST_SEED,
        last_seed=cases.FIRST_SEED + len(cases.CASES) - 1,
        distributions="\n\n".join(
            distribution_table(name, [record for record in measured if record["name"] == name], level)
            for name in (distribution.name for distribution in DISTRIBUTIONS)
        ),
        n_related=size(related),
        related_seed=relations.SEED,
        relations=relation_table(related, level),
        example=battery.command(202, 3),
        lags=", ".join(map(str, battery.LAGS)),
        assessed=assessed(tested),
        battery=battery_table(tested),
        rust=" ".join(exactness.CARGO),
        printed="\n".join(f"- {line}" for line in printed),
        per_order=f"{exactness.PER_ORDER:,}",
        n_errors=size(errors),
        error_seed=exactness.SEED,
        errors=error_table(errors),
        n_last_bits=size(last),
        least_share=f"1/{1 / last_bits.LEAST_SHARE:.0f}",
        last_bits=last_bit_table(last),
        orthogonality=distance_table(distances),
        distance_seeds=orthogonality.SEEDS,
        distance_few=f"{orthogonality.FEW:,}",
    )


def read(path: Path) -> Any:
    """Return the contents of a JSON file, or None if there is no such file."""
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def size(records: Sequence[Record]) -> str:
    """Return the number of values of each sample, as text."""
    sizes = sorted({record["n"] for record in records})
    return ", ".join(f"2^{n.bit_length() - 1} = {n:,}" if n & (n - 1) == 0 else f"{n:,}" for n in sizes)


def verdict(findings: Sequence[tuple[Record, Record]], level: float) -> dict[str, str]:
    """Return the parts of the page's verdict."""
    record, least = min(findings, key=lambda pair: float(pair[1]["p"]))
    below = sum(finding["p"] < level for _, finding in findings)
    return {
        "count": str(len(findings)),
        "alpha": str(FAMILY_ALPHA),
        "level": f"{level:.2g}",
        "below": "No check is" if below == 0 else f"{below} {'is' if below == 1 else 'are'}",
        "least": decimals(least["p"]),
        "where": ", ".join(filter(None, [least["check"], record["name"], record["dtype"]])),
        "chance": decimals(fit.largest(least["p"], len(findings))),
        "hundredth": str(sum(finding["p"] < 0.01 for _, finding in findings)),
        "expected": f"{len(findings) * 0.01:.1f}",
    }


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def marked(finding: Record | None, level: float) -> str:
    """Return what a check measured, in bold if its p-value is below the level."""
    if finding is None:
        return "-"
    return f"**{finding['shown']}**" if finding["p"] < level else str(finding["shown"])


def distribution_table(name: str, records: Sequence[Record], level: float) -> str:
    """Return the checks of a distribution, one column for each dtype."""
    by_dtype = {r["dtype"]: {finding["check"]: finding for finding in r["findings"]} for r in records}
    dtypes = [dtype for dtype in DTYPES if dtype in by_dtype]
    if not dtypes:
        return ""
    most = max((by_dtype[dtype] for dtype in dtypes), key=len)
    rows = [[check, *(marked(by_dtype[dtype].get(check), level) for dtype in dtypes)] for check in most]
    return f"### {name[0].upper()}{name[1:]}\n\n" + table([name, *dtypes], rows)


def relation_table(records: Sequence[Record], level: float) -> str:
    """Return the checks of pairs of tensors."""
    if not records:
        return ""
    checks = [finding["check"] for finding in records[0]["findings"]]
    rows = [[record["name"], *(marked(finding, level) for finding in record["findings"])] for record in records]
    return table(["float32 normals of", *checks], rows)


def assessed(tested: Sequence[Record]) -> str:
    """Return the number of assessments by verdict, as text."""
    verdicts = Counter(found["verdict"] for record in tested for found in record["found"])
    missing = sum(1 for _ in battery.plan()) - len(tested)
    text = ", ".join(f"{verdicts[verdict]} {verdict.lower()}" for verdict in ("PASSED", "WEAK", "FAILED"))
    return text + (f" ({missing} {'test was' if missing == 1 else 'tests were'} not run)" if missing else "")


def battery_table(tested: Sequence[Record]) -> str:
    """Return a row for each test. Many p-values are shown as the least and the greatest."""
    rows = []
    by_name: dict[str, list[Record]] = {}
    for record in tested:
        for found in record["found"]:
            by_name.setdefault(found["name"], []).append(found)
    for name, found in by_name.items():
        values = sorted(one["p"] for one in found)
        spread = f"{values[0]:.4f}" if len(values) == 1 else f"{values[0]:.4f} … {values[-1]:.4f}"
        verdicts = Counter(one["verdict"] for one in found)
        counts = [f"{verdicts[verdict] or ''}" for verdict in ("PASSED", "WEAK", "FAILED")]
        weak = ", ".join(f"{one['p']:.8f} (n = {one['ntuple']})" for one in found if one["verdict"] != "PASSED")
        rows.append([name, spread, *counts, weak])
    return table(["test", "p", "passed", "weak", "failed", "weak or failed ones"], rows) if rows else ""


def error_table(errors: Sequence[Record]) -> str:
    """Return the table of errors against mpmath."""
    rows = []
    for error in errors:
        value = exactness.element(error["distribution"], error["dtype"], error["at"])
        worst = [f"{error['worst']:.2f}", f"{value:.3g}", f"{error['relative']:.2g}", f"{error['elements']:,}"]
        rows.append([error["distribution"], error["dtype"], *worst])
    return table(
        ["standard", "dtype", "largest error, ulp", "at the value", "largest relative error", "elements"], rows
    )


def last_bit_table(records: Sequence[Record]) -> str:
    """Return the shares of values with the last bit set, a row for each distribution and a column for each dtype."""
    by_name: dict[str, dict[str, str]] = {}
    for record in records:
        shown = f"{100 * record['share']:.1f} ({100 * record['farthest']:.1f} at 2^{record['order']})"
        by_name.setdefault(record["name"], {})[record["dtype"]] = shown
    rows = [[name, *(shown.get(dtype, "-") for dtype in DTYPES)] for name, shown in by_name.items()]
    return table(["last bit set, %", *DTYPES], rows) if rows else ""


def distance_table(distances: Sequence[Record]) -> str:
    """Return a row for each shape and dtype and a column for each maker, with the smallest distance in bold."""
    if not distances:
        return ""
    makers = [name for name in orthogonality.MAKERS if any(name in record["figures"] for record in distances)]
    rows = []
    for record in distances:
        figures = record["figures"]
        nearest = min(figures.values())
        shown = {name: f"**{x:.2g}**" if x == nearest else f"{x:.2g}" for name, x in figures.items()}
        shape = " x ".join(f"{length:,}" for length in record["shape"])
        rows.append([shape, record["dtype"], *(shown.get(name, "-") for name in makers)])
    return table(["shape", "dtype", *makers], rows)

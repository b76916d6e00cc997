"""A plan to look at: a row for each tensor, and histograms of the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seedbed.checkpoint.evaluation import values_of, write_range
from seedbed.dtypes import name_of
from seedbed.plan.json_writer import initializer_config
from seedbed.plan.table import brief
from seedbed.saving import plain_name
from seedbed.seeds import SeedGenerator

if TYPE_CHECKING:
    from seedbed.plan import Plan, PlannedTensor
    from seedbed.schemes import Multipliers, Scheme

HEADS = ("name", "shape", "dtype", "initializer", "stddev", "bytes", "source")

MAX_PANELS = 12
"""The most histograms of a picture: those of most parameters."""

MAX_SAMPLED = 1 << 17
"""The most values of a tensor of which a histogram is made."""

MAX_TENSORS = 16
"""The most tensors of which a histogram is made."""


def totals_of(plan: Plan) -> dict[str, int]:
    """The numbers of a plan."""
    return {"tensors": len(plan.tensors), "parameters": plan.parameters, "bytes": plan.nbytes}


def multipliers_of(plan: Plan, scheme: Scheme | None) -> Mapping[str, Multipliers]:
    """What a scheme multiplies besides, if it is a parametrization, for the tensors whose roles it knows."""
    if scheme is None or not scheme.scalings:
        return {}
    return scheme.multipliers({t.name: t.shape for t in plan.tensors if scheme.roles.of(t.name) is not None})


def objects_of(plan: Plan, multipliers: Mapping[str, Multipliers]) -> list[dict[str, Any]]:
    """A plan's tensors for a script."""
    return [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "dtype": name_of(tensor.dtype),
            "initializer": initializer_config(tensor),
            "stddev": stddev_of(tensor),
            "bytes": tensor.nbytes,
            "source": tensor.source,
            **({"multipliers": multipliers[tensor.name]._asdict()} if tensor.name in multipliers else {}),
        }
        for tensor in plan.tensors
    ]


def rows_of(plan: Plan, multipliers: Mapping[str, Multipliers]) -> list[tuple[str, ...]]:
    """A plan's tensors for a person."""
    rows: list[tuple[str, ...]] = []
    for tensor in plan.tensors:
        stddev = stddev_of(tensor)
        rows.append(
            (
                tensor.name,
                str(tensor.shape),
                name_of(tensor.dtype),
                brief(tensor.initializer),
                "-" if stddev is None else f"{stddev:.4g}",
                f"{tensor.nbytes:,}",
                *([_shown(multipliers.get(tensor.name))] if multipliers else []),
                tensor.source,
            )
        )
    return rows


def heads_of(multipliers: Mapping[str, Multipliers]) -> tuple[str, ...]:
    """The names of the columns."""
    return (*HEADS[:-1], "output, adam, sgd", HEADS[-1]) if multipliers else HEADS


def _shown(multipliers: Multipliers | None) -> str:
    return "-" if multipliers is None else ", ".join(f"× {number:.4g}" for number in multipliers)


def stddev_of(tensor: PlannedTensor) -> float | None:
    """The standard deviation of a tensor's elements, after truncation; None where there is no formula for it."""
    return tensor.initializer.describe(tensor.whole_shape, tensor.dtype).stddev


def plot(plan: Plan, path: str, seed: int) -> None:
    """Draw histograms of a plan's values: one for tensors of the same initializer and standard deviation.

    Raises:
        ImportError: matplotlib is not installed.
        OSError, ValueError: the picture cannot be written, or has another format than matplotlib knows.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "--plot needs the package matplotlib, which is not installed: pip install 'seedbed[plot]'"
        ) from None
    panels = _panels(plan)
    columns = min(3, max(1, len(panels)))
    lines = -(-len(panels) // columns) or 1
    figure = Figure(figsize=(4.2 * columns, 2.8 * lines), layout="constrained")
    root = SeedGenerator(seed)
    for axes, (title, tensors) in zip(figure.subplots(lines, columns, squeeze=False).flat, panels, strict=False):
        values = np.concatenate([_sample(tensor, root) for tensor in tensors[:MAX_TENSORS]])
        axes.hist(values, bins=100)
        size = sum(tensor.size for tensor in tensors)
        axes.set_title(f"{title}\n{len(tensors):,} tensors, {size:,} parameters", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_yticks([])
    for axes in figure.axes[len(panels) :]:
        axes.remove()
    figure.savefig(path, dpi=150)


def _panels(plan: Plan) -> Sequence[tuple[str, list[PlannedTensor]]]:
    """Tensors with the same initializer and standard deviation, those of most parameters first."""
    groups: dict[str, list[PlannedTensor]] = {}
    for tensor in plan.tensors:
        stddev = stddev_of(tensor)
        if tensor.size:
            spread = "" if stddev is None else f", stddev {stddev:.4g}"
            groups.setdefault(f"{plain_name(type(tensor.initializer))}{spread}", []).append(tensor)
    return sorted(groups.items(), key=lambda group: -sum(tensor.size for tensor in group[1]))[:MAX_PANELS]


def _sample(tensor: PlannedTensor, root: SeedGenerator) -> np.ndarray:
    """The first values of a tensor."""
    values = values_of(tensor, root)
    out = np.empty(min(MAX_SAMPLED, tensor.size), tensor.dtype)
    write_range(values, 0, out)
    return out.astype(np.float64)

"""The contents of `seedbed show`: table rows, JSON objects, and histograms of the values."""

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
"""Maximum number of histograms. Those with the most parameters are drawn."""

MAX_SAMPLED = 1 << 17
"""Maximum number of values of one tensor in a histogram."""

MAX_TENSORS = 16
"""Maximum number of tensors in a histogram."""


def totals_of(plan: Plan) -> dict[str, int]:
    """Return the number of tensors, of parameters and of bytes of a plan."""
    return {"tensors": len(plan.tensors), "parameters": plan.parameters, "bytes": plan.nbytes}


def multipliers_of(plan: Plan, scheme: Scheme | None) -> Mapping[str, Multipliers]:
    """Return the multipliers of a parametrization for the tensors with a known role, by name."""
    if scheme is None or not scheme.scalings:
        return {}
    return scheme.multipliers({t.name: t.shape for t in plan.tensors if scheme.roles.of(t.name) is not None})


def objects_of(plan: Plan, multipliers: Mapping[str, Multipliers]) -> list[dict[str, Any]]:
    """Return the tensors of a plan as JSON objects."""
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
    """Return the tensors of a plan as table rows."""
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
    """Return the names of the columns of `rows_of`."""
    return (*HEADS[:-1], "output, adam, sgd", HEADS[-1]) if multipliers else HEADS


def _shown(multipliers: Multipliers | None) -> str:
    return "-" if multipliers is None else ", ".join(f"× {number:.4g}" for number in multipliers)


def stddev_of(tensor: PlannedTensor) -> float | None:
    """Return the standard deviation of a tensor's elements after truncation, or None if there is no formula for it."""
    return tensor.initializer.describe(tensor.whole_shape, tensor.dtype).stddev


def plot(plan: Plan, path: str, seed: int) -> None:
    """Draw histograms of the values of a plan, one for all tensors with the same initializer and standard deviation.

    Raises:
        ImportError: if matplotlib is not installed.
        OSError: if the picture cannot be written.
        ValueError: if matplotlib does not know the format of the picture.
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
    """Return groups of tensors with the same initializer and standard deviation, those of most parameters first."""
    groups: dict[str, list[PlannedTensor]] = {}
    for tensor in plan.tensors:
        stddev = stddev_of(tensor)
        if tensor.size:
            spread = "" if stddev is None else f", stddev {stddev:.4g}"
            groups.setdefault(f"{plain_name(type(tensor.initializer))}{spread}", []).append(tensor)
    return sorted(groups.items(), key=lambda group: -sum(tensor.size for tensor in group[1]))[:MAX_PANELS]


def _sample(tensor: PlannedTensor, root: SeedGenerator) -> np.ndarray:
    """Return the first values of a tensor."""
    values = values_of(tensor, root)
    out = np.empty(min(MAX_SAMPLED, tensor.size), tensor.dtype)
    write_range(values, 0, out)
    return out.astype(np.float64)

"""Draw docs/slices.png: a tensor as a whole, and the same tensor in parts, each made separately.

python tools/picture.py docs/slices.png
"""

from __future__ import annotations

import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

import seedbed as sb

SHAPE = (14, 28)
GAP = 1.6
PARTS = [  # index, dtype, shift of the drawing in cells, label
    (np.s_[:5, :], "float32", (0, 0), "init.lazy(shape)[:5, :]   on one machine"),
    (np.s_[5:, :12], "bfloat16", (0, GAP), "[5:, :12]   on another, in bfloat16"),
    (np.s_[5:, 12:22], "float32", (GAP, GAP), "[5:, 12:22]   on 7 threads"),
    (np.s_[5:, 27:21:-1], "float64", (2 * GAP, GAP), "[5:, 27:21:-1]   in float64"),
]


def main(path: str) -> None:
    init = sb.GlorotNormal(seed=42)
    whole = init(SHAPE)
    limit = float(abs(whole).max())
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 3.6), width_ratios=[28, 28 + 2 * GAP], layout="constrained")

    def draw(axes: Any, values: np.ndarray, x: float, y: float) -> None:
        height, width = values.shape
        extent = (x, x + width, y + height, y)
        axes.imshow(
            values.astype(np.float64), "RdBu_r", vmin=-limit, vmax=limit, extent=extent, interpolation="nearest"
        )

    draw(left, whole, 0, 0)
    left.set(xlim=(-0.2, 28.2), ylim=(14 + GAP + 0.2, -1.2))
    left.text(0, -0.4, "init = GlorotNormal(seed=42);   init(shape)", family="monospace", fontsize=8)
    for index, dtype, (dx, dy), label in PARTS:
        part = init.lazy(SHAPE, dtype)[index]
        rows, columns = (np.arange(n)[i] for n, i in zip(SHAPE, index, strict=True))
        part = part[:, np.argsort(columns)]
        if dtype != "float64":
            assert np.array_equal(part, whole[np.ix_(rows, np.sort(columns))].astype(part.dtype)), (
                "a part differs from the whole"
            )
        draw(right, part, columns.min() + dx, rows.min() + dy)
        right.text(columns.min() + dx, rows.min() + dy - 0.4, label, family="monospace", fontsize=8 if dy == 0 else 6)
    right.set(xlim=(-0.2, 28.2 + 2 * GAP), ylim=(14 + GAP + 0.2, -1.2))
    for axes in (left, right):
        axes.set_axis_off()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1])

"""Draw the distributions: python tools/densities.py docs/densities.png.

Each panel has a histogram of 2^20 values, and the exact density as a line, in standard deviations.
"""

import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import seedbed as sb

SHAPE = (1024, 1024)
CUT = stats.truncnorm(-2, 2)
PANELS = [
    ("*Uniform", sb.GlorotUniform(seed=1), stats.uniform(-(3**0.5), 2 * 3**0.5)),
    ("*Normal of Keras, TruncatedNormal", sb.GlorotNormal(seed=1), stats.truncnorm(-2, 2, scale=1 / CUT.std())),
    ("RandomNormal, XavierNormal, KaimingNormal", sb.RandomNormal(stddev=0.02, seed=1), stats.norm()),
    ("Orthogonal: one element", sb.Orthogonal(seed=1), stats.norm()),
]


def panel(axes: Any, title: str, values: np.ndarray[Any, np.dtype[np.float64]], density: Any) -> None:
    """Draw a histogram of values divided by their standard deviation, and the exact density of these."""
    axes.hist(values.ravel() / values.std(), bins=200, density=True, color="#9db8e8")
    x = np.linspace(-4, 4, 2001)
    axes.plot(x, density.pdf(x), color="#1f3b73", linewidth=1.2)
    axes.set(title=title, xlim=(-4, 4), yticks=[], xlabel="standard deviations")
    axes.title.set_size(9)
    axes.spines[["left", "top", "right"]].set_visible(False)


def main() -> None:
    """Draw all panels into the file that the command names."""
    figure, all_axes = plt.subplots(1, len(PANELS), figsize=(12, 2.3), layout="constrained")
    for axes, (title, init, density) in zip(all_axes, PANELS, strict=True):
        values = init(SHAPE if not isinstance(init, sb.Orthogonal) else (512, 512))
        panel(axes, title, values.astype(np.float64), density)
    figure.savefig(sys.argv[1], dpi=130, facecolor="white")


if __name__ == "__main__":
    main()

"""Measure the error of the values against the exact quantile in mpmath, and run the exhaustive Rust tests."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mpmath as mp
import numpy as np

import seedbed as sb

ROOT = Path(__file__).parents[2]
CLASSES: dict[str, Callable[..., sb.Initializer]] = {
    "normal": sb.RandomNormal,
    "normal truncated at ±2": sb.TruncatedNormal,
}

SEED = 42
CARGO = ("cargo", "test", "--lib", "--", "--nocapture", "--test-threads=1", "word_and", "16_bit")
PER_ORDER = 2000
"""Number of measured elements of each binary order."""

MEASURED = tuple((distribution, dtype) for distribution in CLASSES for dtype in ("float32", "float64"))
LOW_WORDS = 2**67
"""Offset of the low words, in words: element i has high word i and low word 2^67 + i."""


@dataclass(frozen=True)
class Error:
    """The largest error of a sample.

    Attributes:
        distribution: name of the distribution.
        dtype: float32 or float64.
        elements: number of measured elements.
        worst: largest error, in units in the last place of the exact value.
        relative: largest relative error.
        at: index of the element with the error `worst`.
    """

    distribution: str
    dtype: str
    elements: int
    worst: float
    relative: float
    at: int


def sample(n: int, per_order: int = PER_ORDER) -> np.ndarray:
    """Return elements below n: the first `per_order` elements of each binary order.

    The order is that of the distance of an element's high word from the nearer end of its range.
    """
    found: dict[int, list[int]] = {order: [] for order in range(32)}
    size = 2**20
    for start in range(0, n, size):
        high = sb.random_words(SEED, min(size, n - start), start=start)
        rest = np.minimum(high, ~high)
        wanted = {order: per_order - len(kept) for order, kept in found.items() if len(kept) < per_order}
        candidates = np.flatnonzero(rest < 2.0 ** max(wanted, default=-1))  # few, once the frequent orders are complete
        orders = np.frexp(rest[candidates].astype(float))[1]
        for order, count in wanted.items():
            found[order] += (candidates[orders == order][:count] + start).tolist()
    return np.array(sorted(element for kept in found.values() for element in kept))


def measure(distribution: str, dtype: str, elements: np.ndarray) -> Error:
    """Return the largest error of these elements of a standard distribution."""
    worst, relative, at = 0.0, 0.0, -1
    for number in elements.tolist():
        made = element(distribution, dtype, number)
        exact = exact_quantile(distribution, dtype, number, made)
        spacing = float(np.spacing(np.dtype(dtype).type(abs(float(exact)))))
        error = float(abs(made - exact))
        relative = max(relative, error / abs(float(exact)))
        if error / spacing > worst:
            worst, at = error / spacing, number
    return Error(distribution, dtype, len(elements), worst, relative, at)


def element(distribution: str, dtype: str, number: int) -> float:
    """Return one element of a standard distribution."""
    return float(CLASSES[distribution](0.0, 1.0, seed=SEED).lazy((number + 1,), dtype)[number])


def exact_quantile(distribution: str, dtype: str, number: int, near: float) -> mp.mpf:
    """Return the quantile at the middle of an element's word: two Newton steps from a near value, in 50 digits."""
    high, low = (int(sb.random_words(SEED, 1, start=start)[0]) for start in (number, LOW_WORDS + number))
    rest = high if high < 2**31 else 2**32 - 1 - high
    with mp.workdps(50):
        if dtype == "float64" or (distribution == "normal" and rest < 2**16):
            low = low if high < 2**31 else 2**32 - 1 - low
            tail = (mp.mpf(2**32 * rest + low) + mp.mpf(1) / 2) / 2**64
        else:
            tail = (mp.mpf(rest) + mp.mpf(1) / 2) / 2**32
        if distribution != "normal":  # the mass between the bounds, plus the tail outside of them
            within = mp.erf(mp.sqrt(2))
            tail = tail * within + (1 - within) / 2
        x = mp.mpf(abs(near))
        for _ in range(2):  # each step squares the error, which is at most 1e-6
            x += (mp.erfc(x / mp.sqrt(2)) / 2 - tail) / mp.npdf(x)
        return x if high >= 2**31 else -x


def printed_by_rust() -> list[str]:
    """Return the lines that the engine's exhaustive tests print.

    Raises:
        subprocess.CalledProcessError: if a test fails.
    """
    output = subprocess.run(CARGO, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines = re.findall(r"^(?:test .* \.\.\. )?(\S.*: .*\d.*)$", output, re.MULTILINE)
    return sorted(line for line in lines if not line.startswith("test result"))

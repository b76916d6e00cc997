"""Measure the share of values with the last mantissa bit set. It is one half if the bit is fair.

No statistic of the values depends on it, but a program that takes random bits from values does. A rounding is fair only
if it rounds from enough digits: a sum of two numbers of the dtype may have ties, which go to even numbers, or no digits
to round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import ml_dtypes
import numpy as np

import seedbed as sb

SEED = 4000
"""Seed of the first case. Case i has this seed plus i."""

CHUNK = 2**21
MAX_VALUES = 3 * 2**24
"""Most values of a sample, which give the share to 0.007 %. The number is divisible by 3 and by 6."""

LEAST_SHARE = 1 / 64
"""Smallest share of all values for which a binary order is measured by itself."""

MANTISSA_BITS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}

Make: TypeAlias = Callable[[int], sb.Initializer]
"""Makes an initializer from a seed."""

REAL: dict[str, Make] = {
    "uniform on [0, 1)": lambda seed: sb.RandomUniform(0.0, 1.0, seed=seed),
    "uniform on [-1, 1)": lambda seed: sb.RandomUniform(-1.0, 1.0, seed=seed),
    "uniform on [-0.05, 0.05)": lambda seed: sb.RandomUniform(seed=seed),
    "normal": lambda seed: sb.RandomNormal(0.0, 1.0, seed=seed),
    "normal, stddev 0.02": lambda seed: sb.RandomNormal(0.0, 0.02, seed=seed),
    "normal, mean 1": lambda seed: sb.RandomNormal(1.0, 1.0, seed=seed),
    "normal truncated at ±2": lambda seed: sb.TruncatedNormal(0.0, 1.0, seed=seed),
    "normal truncated at ±2, stddev 0.02": lambda seed: sb.TruncatedNormal(0.0, 0.02, seed=seed),
    "normal truncated at -1 and 3": lambda seed: sb.TruncatedNormal(0.0, 1.0, seed=seed, lower=-1.0, upper=3.0),
    "normal above 0": lambda seed: sb.TruncatedNormal(0.0, 1.0, seed=seed, lower=0.0, upper=None),
}

COMPLEX: dict[str, Make] = {
    "parts of a complex uniform": lambda seed: sb.VarianceScaling(1.0, "fan_in", "uniform", seed=seed),
    "parts of a complex truncated normal": lambda seed: sb.VarianceScaling(1.0, "fan_in", seed=seed),
}

CASES = tuple((name, dtype) for name in REAL for dtype in MANTISSA_BITS) + tuple(
    (name, dtype) for name in COMPLEX for dtype in ("float32", "float64")
)


@dataclass(frozen=True)
class Shares:
    """Shares of values with the last bit set.

    Attributes:
        name: name of the distribution.
        dtype: dtype of the values, or of the parts of complex values.
        n: number of values.
        share: share of all values.
        farthest: of the shares of the binary orders with enough values, the one farthest from one half.
        order: binary order of `farthest`: magnitudes from 2**order to 2**(order + 1).
    """

    name: str
    dtype: str
    n: int
    share: float
    farthest: float
    order: int


def measure(number: int, n: int) -> Shares:
    """Return the shares of a case, in a sample of n values but at most `MAX_VALUES`."""
    name, dtype = CASES[number]
    n = min(n, MAX_VALUES)
    made = {**REAL, **COMPLEX}[name](SEED + number)
    if name in REAL:
        tensor = made.lazy((n,), dtype)
    else:  # a fan-in of 3 gives a scale that is not a power of two
        tensor = made.lazy((3, n // 6), "complex64" if dtype == "float32" else "complex128")
    columns = tensor.shape[-1]
    parts = (np.ravel(tensor[..., start : start + CHUNK]).view(dtype_of(dtype)) for start in range(0, columns, CHUNK))
    return shares(name, dtype, parts)


def dtype_of(name: str) -> np.dtype:
    """Return the dtype of this name."""
    return np.dtype(getattr(ml_dtypes, name, name))


def shares(name: str, dtype: str, chunks: Iterable[np.ndarray]) -> Shares:
    """Return the shares of a sample that is given in chunks, arrays of this dtype."""
    bits = MANTISSA_BITS[dtype]
    words = np.dtype(f"u{dtype_of(dtype).itemsize}")
    orders = 1 << (8 * words.itemsize - 1 - bits)
    counts, ones = np.zeros(orders, np.int64), np.zeros(orders, np.int64)
    for chunk in chunks:
        word = chunk.view(words)
        order = ((word >> words.type(bits)) & words.type(orders - 1)).astype(np.intp)
        counts += np.bincount(order, minlength=orders)
        ones += np.bincount(order[(word & words.type(1)).astype(bool)], minlength=orders)
    n = int(counts.sum())
    frequent = np.flatnonzero(counts >= n * LEAST_SHARE)
    by_order = ones[frequent] / counts[frequent]
    at = int(np.abs(by_order - 0.5).argmax())
    order = int(frequent[at]) - (orders // 2 - 1)
    return Shares(name, dtype, n, float(ones.sum() / n), float(by_order[at]), order)

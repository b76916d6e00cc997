"""Compare pairs of tensors that must be independent: seeds one bit apart, consecutive streams, children."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

import seedbed as sb

from . import fit
from .findings import Finding, decimals

PAIRS = 256
SEED = 0

Draw = tuple[sb.SeedGenerator, int]
"""The origin of a tensor: a generator, and the number of draws before this one."""

Make = Callable[[Draw, int], np.ndarray]


def seeds() -> Iterator[tuple[Draw, Draw]]:
    """Yield a seed with each seed that differs from it in one of the 256 bits of the key. The last bit is the sign."""
    for bit in range(PAIRS):
        other = SEED ^ (1 << bit) if bit < 255 else SEED - 2**255
        yield (sb.SeedGenerator(SEED), 0), (sb.SeedGenerator(other), 0)


def streams() -> Iterator[tuple[Draw, Draw]]:
    """Yield each draw with the next one."""
    for stream in range(PAIRS):
        yield (sb.SeedGenerator(SEED), stream), (sb.SeedGenerator(SEED), stream + 1)


def children() -> Iterator[tuple[Draw, Draw]]:
    """Yield pairs of children with consecutive numbers in their names."""
    root = sb.SeedGenerator(SEED)
    for i in range(PAIRS):
        yield (root.child(f"layer{i}"), 0), (root.child(f"layer{i + 1}"), 0)


RELATIONS: dict[str, Callable[[], Iterator[tuple[Draw, Draw]]]] = {
    "seeds that differ in one bit, each of 256": seeds,
    "256 pairs of consecutive streams": streams,
    "256 pairs of children, of consecutive names": children,
}


def normals(draw: Draw, n: int) -> np.ndarray:
    """Return the first float32 normals of a draw."""
    generator, draws = draw
    generator.draws = draws
    return sb.RandomNormal(0.0, 1.0, seed=generator)((n,), "float32")


def words(draw: Draw, n: int) -> np.ndarray:
    """Return the first words of a draw."""
    generator, stream = draw
    return sb.random_words(generator, n, stream)


def findings(pairs: Iterator[tuple[Draw, Draw]], n: int, values: Make = normals, bits: Make = words) -> list[Finding]:
    """Check the correlations of n elements of each pair, all and the largest, and the bytes of one xor the other."""
    z, bytes_ = [], np.zeros(256, np.int64)
    for one, other in pairs:
        z.append(float(np.einsum("i,i", values(one, n), values(other, n), dtype=float)) / math.sqrt(n))
        bytes_ += np.bincount((bits(one, n) ^ bits(other, n)).view(np.uint8), minlength=256)
    total = float(np.square(z).sum())
    p_total = fit.either_side(stats.chi2.cdf(total, len(z)), stats.chi2.sf(total, len(z)))
    most = max(z, key=abs)
    p_most = fit.largest(fit.two_sided(most), len(z))
    p_bytes, freedom = fit.chi_square(bytes_, np.full(256, 1 / 256))
    return [
        Finding("all correlations", f"{decimals(p_total)} ({len(z)} df)", p_total),
        Finding("largest correlation", f"{most:+.2f}", p_most),
        Finding("bytes of words, one xor the other", f"{decimals(p_bytes)} ({freedom} df)", p_bytes),
    ]

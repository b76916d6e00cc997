"""Turn statistics into p-values. A two-sided p-value is small also if the fit is too good."""

from __future__ import annotations

import math

import numpy as np
from scipy import integrate, special, stats


def two_sided(z: float) -> float:
    """Return the two-sided p-value of a standard normal value."""
    return float(2 * stats.norm.sf(abs(z)))


def either_side(below: float, above: float) -> float:
    """Return the two-sided p-value of a statistic.

    `below` is the probability of a statistic at or below this one, and `above` that of one at or above it.
    """
    return min(1.0, 2 * float(min(below, above)))


def largest(smallest_p: float, tests: int) -> float:
    """Return the p-value of the smallest p-value of this many tests."""
    return float(-special.expm1(tests * special.log1p(-smallest_p)))


def chi_square(counts: np.ndarray, probabilities: np.ndarray, least: float = 10.0) -> tuple[float, int]:
    """Return the two-sided p-value and the degrees of freedom.

    Neighbouring cells are joined until at least `least` values are expected in each.
    """
    n = counts.sum()
    groups = joined(probabilities, least / n)
    expected = n * np.bincount(groups, probabilities)
    observed = np.bincount(groups, counts)
    freedom = len(expected) - 1
    if freedom == 0:
        return 1.0, 0
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return either_side(stats.chi2.cdf(statistic, freedom), stats.chi2.sf(statistic, freedom)), freedom


def joined(probabilities: np.ndarray, least: float) -> np.ndarray:
    """Return the group number of each cell. Groups are runs of cells, and each has at least the probability `least`."""
    if probabilities.min() >= least:
        return np.arange(len(probabilities))
    groups = np.empty(len(probabilities), np.int64)
    group, weight = 0, 0.0
    for i, probability in enumerate(probabilities.tolist()):
        groups[i] = group
        weight += probability
        if weight >= least:
            group, weight = group + 1, 0.0
    if weight < least:  # the cells left over at the end join the last group
        groups[groups == group] = max(group - 1, 0)
    return groups


def kolmogorov_smirnov(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the p-value of the largest distance between the two cumulative functions at the edges of cells."""
    n = counts.sum()
    distance = np.abs(np.cumsum(counts) / n - np.cumsum(probabilities))[:-1].max(initial=0.0)
    return float(stats.kstwobign.sf(distance * math.sqrt(n)))


def anderson_darling(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the p-value of the Anderson-Darling statistic, which gives weight to the tails.

    The statistic is that for cells (Choulakian, Lockhart and Stephens, 1994). The p-value is that of the continuous
    statistic, the limit for small cells.
    """
    n = counts.sum()
    excess = np.cumsum(counts - n * probabilities)[:-1]
    below = np.cumsum(probabilities)[:-1]
    above = np.cumsum(probabilities[::-1])[::-1][1:]
    weights = (probabilities[1:] + probabilities[:-1]) / 2
    variance = below * above
    some = variance > 0
    return anderson_darling_p(float((excess[some] ** 2 * weights[some] / variance[some]).sum() / n))


def anderson_darling_p(statistic: float) -> float:
    """Return P(A^2 > statistic), by the series of Anderson and Darling (1954) for large samples."""
    if statistic > 30:  # the probability is below 1e-13, less than the rounding errors of the sum
        return 0.0

    def integral(j: int) -> float:
        a = (4 * j + 1) ** 2 * math.pi**2 / (8 * statistic)
        value, _ = integrate.quad(
            lambda w: math.exp(statistic / (8 * (w * w + 1)) - a * (w * w + 1)), 0, np.inf, epsabs=0, epsrel=1e-10
        )
        return float(value)

    total = 0.0
    for j in range(40):
        factor = special.gamma(j + 0.5) / (special.gamma(0.5) * special.factorial(j)) * (4 * j + 1)
        term = (-1) ** j * factor * integral(j)
        total += term
        if abs(term) < 1e-14:
            break
    return min(1.0, max(0.0, 1 - math.sqrt(2 * math.pi) / statistic * total))


def poisson(count: int, expected: float) -> float:
    """Return the two-sided p-value of a count of rare values."""
    if expected == 0:
        return float(count == 0)
    return either_side(stats.poisson.cdf(count, expected), stats.poisson.sf(count - 1, expected))

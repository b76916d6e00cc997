"""Turn tallies into findings. A finding is a named check with its measurement and its p-value."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import fit
from .distributions import RoundedDistribution
from .sample import Tally, tail_places


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
        check: name of the check.
        shown: the measurement as text.
        p: probability of this measurement, or of a less likely one, if the values have no fault.
    """

    check: str
    shown: str
    p: float


def of_fit(rounded: RoundedDistribution, tally: Tally) -> list[Finding]:
    """Check the counts against the exact distribution."""
    p_square, freedom = fit.chi_square(tally.counts, rounded.probabilities)
    p_distance = fit.kolmogorov_smirnov(tally.counts, rounded.probabilities)
    p_weighted = fit.anderson_darling(tally.counts, rounded.probabilities)
    return [
        Finding("outside of the bounds", str(tally.outside), fit.poisson(tally.outside, 0.0)),
        Finding("chi-square", f"{decimals(p_square)} ({freedom:,} df)", p_square),
        Finding("Kolmogorov-Smirnov", decimals(p_distance), p_distance),
        Finding("Anderson-Darling", decimals(p_weighted), p_weighted),
    ]


def of_moments(rounded: RoundedDistribution, tally: Tally) -> list[Finding]:
    """Check the first four moments about the exact mean, each in its own standard deviations."""
    found = []
    for r, name in enumerate(("mean", "second moment", "third moment", "fourth moment"), start=1):
        deviation = math.sqrt((rounded.moments[2 * r] - rounded.moments[r] ** 2) / tally.n)
        found.append(of_normal(name, (tally.powers[r - 1] / tally.n - rounded.moments[r]) / deviation))
    return found


def of_tails(rounded: RoundedDistribution, tally: Tally) -> list[Finding]:
    """Check the counts of rare values. Places that the dtype cannot represent are left out."""
    found = []
    for distance, (low, high), (below, above) in zip(
        rounded.continuous.tails, tail_places(rounded), tally.tails, strict=True
    ):
        if not (rounded.has(low) and rounded.has(high)):
            continue
        sides = [
            ("below", low, below, rounded.probability_below(low)),
            ("from", high, above, rounded.probability_from(high)),
        ]
        if rounded.continuous.center == 0:
            sides = [("beyond ±", distance, below + above, sides[0][3] + sides[1][3])]
        for side, place, count, probability in sides:
            expected = tally.n * probability
            if count or expected > 0.5:
                shown = f"{count:,} of {expected:,.1f}"
                found.append(
                    Finding(f"{side}{place_name(rounded, side, place)}", shown, fit.poisson(int(count), expected))
                )
    return found


def place_name(rounded: RoundedDistribution, side: str, place: float) -> str:
    """Return the place at which a tail starts, as an exact text."""
    end = rounded.continuous.center + rounded.continuous.reach
    if side == "below":
        return f" 2^{math.log2(place):.0f}"
    if math.log2(end - place).is_integer() and end < 3:
        return f"{' ' if side == 'from' else ''}({end:g} - 2^{math.log2(end - place):.0f})"
    return f"{place:g}"


def of_lags(rounded: RoundedDistribution, tally: Tally) -> list[Finding]:
    """Check the serial correlations, each in its own standard deviations."""
    return [
        of_normal(f"lag {lag:,}", total / (rounded.moments[2] * math.sqrt(tally.n - lag)))
        for lag, total in tally.products.items()
    ]


def of_pairs(tally: Tally) -> list[Finding]:
    """Check the counts of neighbouring pairs against the product of the distribution with itself."""
    p, freedom = fit.chi_square(tally.pairs, np.outer(tally.weights, tally.weights).ravel())
    return [Finding("pairs in the plane", f"{decimals(p)} ({freedom:,} df)", p)]


def of_tally(rounded: RoundedDistribution, tally: Tally) -> list[Finding]:
    """Return the findings of all checks."""
    return [
        *of_fit(rounded, tally),
        *of_moments(rounded, tally),
        *of_tails(rounded, tally),
        *of_lags(rounded, tally),
        *of_pairs(tally),
    ]


def of_normal(check: str, z: float) -> Finding:
    """Return the finding of a check that measures a number of standard deviations."""
    return Finding(check, f"{z:+.2f}", fit.two_sided(z))


def decimals(p: float) -> str:
    """Return a p-value as text."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"

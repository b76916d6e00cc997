"""Tallies to findings: each a named check with what it measured and a p-value."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import fit
from .laws import DtypeLaw
from .sample import Tally, tail_places


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
        check: its name.
        shown: what was measured, in words.
        p: the probability of that, or of less likely ones, where all is as it should be.
    """

    check: str
    shown: str
    p: float


def of_fit(law: DtypeLaw, tally: Tally) -> list[Finding]:
    """Whether the values have the distribution that they should."""
    p_square, freedom = fit.chi_square(tally.counts, law.probabilities)
    p_distance = fit.kolmogorov_smirnov(tally.counts, law.probabilities)
    p_weighted = fit.anderson_darling(tally.counts, law.probabilities)
    return [
        Finding("outside of the bounds", str(tally.outside), fit.poisson(tally.outside, 0.0)),
        Finding("chi-square", f"{decimals(p_square)} ({freedom:,} df)", p_square),
        Finding("Kolmogorov-Smirnov", decimals(p_distance), p_distance),
        Finding("Anderson-Darling", decimals(p_weighted), p_weighted),
    ]


def of_moments(law: DtypeLaw, tally: Tally) -> list[Finding]:
    """The first four moments about the mean of the law, in standard deviations of their own."""
    found = []
    for r, name in enumerate(("mean", "second moment", "third moment", "fourth moment"), start=1):
        deviation = math.sqrt((law.moments[2 * r] - law.moments[r] ** 2) / tally.n)
        found.append(of_normal(name, (tally.powers[r - 1] / tally.n - law.moments[r]) / deviation))
    return found


def of_tails(law: DtypeLaw, tally: Tally) -> list[Finding]:
    """Rare values: as many as there should be? Places that are no numbers of the dtype are left out."""
    found = []
    for distance, (low, high), (below, beyond) in zip(law.law.tails, tail_places(law), tally.tails, strict=True):
        if not (law.has(low) and law.has(high)):
            continue
        sides = [("below", low, below, law.probability_below(low)), ("from", high, beyond, law.probability_from(high))]
        if law.law.center == 0:
            sides = [("beyond ±", distance, below + beyond, sides[0][3] + sides[1][3])]
        for side, place, count, probability in sides:
            expected = tally.n * probability
            if count or expected > 0.5:
                shown = f"{count:,} of {expected:,.1f}"
                found.append(Finding(f"{side}{place_name(law, side, place)}", shown, fit.poisson(int(count), expected)))
    return found


def place_name(law: DtypeLaw, side: str, place: float) -> str:
    """The place of a tail, exactly."""
    end = law.law.center + law.law.reach
    if side == "below":
        return f" 2^{math.log2(place):.0f}"
    if math.log2(end - place).is_integer() and end < 3:
        return f"{' ' if side == 'from' else ''}({end:g} - 2^{math.log2(end - place):.0f})"
    return f"{place:g}"


def of_lags(law: DtypeLaw, tally: Tally) -> list[Finding]:
    """Serial correlations, in standard deviations of their own."""
    return [
        of_normal(f"lag {lag:,}", total / (law.moments[2] * math.sqrt(tally.n - lag)))
        for lag, total in tally.products.items()
    ]


def of_pairs(tally: Tally) -> list[Finding]:
    """Whether pairs of neighbours fill the plane as the product of the law with itself."""
    p, freedom = fit.chi_square(tally.pairs, np.outer(tally.weights, tally.weights).ravel())
    return [Finding("pairs in the plane", f"{decimals(p)} ({freedom:,} df)", p)]


def of_tally(law: DtypeLaw, tally: Tally) -> list[Finding]:
    """All of them."""
    return [
        *of_fit(law, tally),
        *of_moments(law, tally),
        *of_tails(law, tally),
        *of_lags(law, tally),
        *of_pairs(tally),
    ]


def of_normal(check: str, z: float) -> Finding:
    """A finding of a number of standard deviations."""
    return Finding(check, f"{z:+.2f}", fit.two_sided(z))


def decimals(p: float) -> str:
    """A p-value to be read."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"

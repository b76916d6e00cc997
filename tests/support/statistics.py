"""Test whether two samples have the same distribution."""

import math

import numpy as np

ALPHA = 1e-6
"""Probability that two samples of one distribution are found to differ."""


def distance(one, other):
    """Return the two-sample Kolmogorov-Smirnov statistic, divided by its critical value at ALPHA."""
    pooled = np.concatenate([one, other])
    steps = [np.searchsorted(np.sort(sample), pooled, side="right") / len(sample) for sample in (one, other)]
    critical = math.sqrt(-math.log(ALPHA / 2) / 2 * (1 / len(one) + 1 / len(other)))
    return np.abs(steps[0] - steps[1]).max() / critical

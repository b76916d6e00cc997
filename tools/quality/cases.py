"""The measured cases: each distribution in each dtype, and pairs of related tensors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from . import relations
from .distributions import DISTRIBUTIONS, DTYPES, RoundedDistribution
from .findings import Finding, of_tally
from .sample import Tally

FIRST_SEED = 1000
"""Seed of the first case. Case i has this seed plus i."""

CASES = tuple((distribution, dtype) for distribution in DISTRIBUTIONS for dtype in DTYPES)


def measure(number: int, n: int) -> dict[str, Any]:
    """Return the findings of a case as a JSON object."""
    distribution, dtype = CASES[number]
    tensor = distribution.make(FIRST_SEED + number).lazy((n,), dtype)

    def source(start: int, count: int) -> np.ndarray:
        part: np.ndarray = tensor[start : start + count]
        return part

    exact = RoundedDistribution(distribution, dtype)
    return _record(distribution.name, dtype, n, of_tally(exact, Tally(exact, source, n)))


def relate(name: str, n: int) -> dict[str, Any]:
    """Return the findings of 256 pairs of tensors with n elements in all."""
    return _record(name, "", n, relations.findings(relations.RELATIONS[name](), n // relations.PAIRS))


def _record(name: str, dtype: str, n: int, findings: list[Finding]) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "n": n, "findings": [asdict(finding) for finding in findings]}

"""What is measured: each distribution in each dtype, and related tensors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from . import relations
from .findings import Finding, of_tally
from .laws import DTYPES, LAWS, DtypeLaw
from .sample import Tally

FIRST_SEED = 1000
"""The case with number i has this seed plus i."""

CASES = tuple((law, dtype) for law in LAWS for dtype in DTYPES)


def measure(number: int, n: int) -> dict[str, Any]:
    """The findings of a case, as JSON has them."""
    law, dtype = CASES[number]
    tensor = law.make(FIRST_SEED + number).lazy((n,), dtype)

    def source(start: int, count: int) -> np.ndarray:
        part: np.ndarray = tensor[start : start + count]
        return part

    exact = DtypeLaw(law, dtype)
    return _record(law.name, dtype, n, of_tally(exact, Tally(exact, source, n)))


def relate(name: str, n: int) -> dict[str, Any]:
    """The findings of 256 pairs of tensors, n elements in all."""
    return _record(name, "", n, relations.findings(relations.RELATIONS[name](), n // relations.PAIRS))


def _record(name: str, dtype: str, n: int, findings: list[Finding]) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "n": n, "findings": [asdict(finding) for finding in findings]}

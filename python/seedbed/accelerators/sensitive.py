"""Addresses whose values change if a device fuses, flushes or rounds.

At the first use of a device, its values there are compared with the engine's. `tools/sensitive_addresses.py` found the
addresses. Their values change if products are fused with sums, if integers are rounded to floats in another way, if the
uniform is computed in float32 arithmetic, or if low words are wrong; or they are in a tail, or so near 0 that they are
subnormal in float16. Some element indices are above 2^32, or at 2^61.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from seedbed import _core
from seedbed.accelerators.samples import Runs, Sample, sample_of
from seedbed.rules import stored
from seedbed.seeds import address_of

ADDRESS = address_of(0)

LENGTH = 1 << 62
"""Length of the tensor with these elements."""

ELEMENTS = {
    "uniform": (
        0,
        5,
        9,
        13,
        17,
        26,
        27,
        28,
        34,
        40,
        54,
        62,
        74,
        76,
        80,
        87,
        45900,
        69305,
        103498,
        140137,
        151781,
        237257,
        289692,
        296804,
        405162,
        408067,
        485170,
        510152,
        624969,
        664900,
        722300,
        725704,
        728389,
        1184807,
        1350298,
        1724643,
        2113358,
        2189850,
        2408078,
        2423385,
        2454987,
        2648272,
        3075398,
        3135045,
        3310890,
        3421249,
        4101341,
        4122360,
        4294934530,
        4294934531,
        4294934535,
        4294934542,
        4294940541,
        4294974719,
        4294981432,
        4294986430,
        2305843009213693946,
        2305843009213693947,
        2305843009213693951,
        2305843009213693952,
        2305843009213700907,
        2305843009213714973,
        2305843009213715708,
        2305843009213722582,
    ),
    "truncated_normal": (
        1,
        2,
        10,
        15,
        17,
        18,
        20,
        22,
        23,
        26,
        27,
        34,
        49,
        85,
        87,
        114,
        117,
        124,
        137,
        138,
        218,
        224,
        234,
        284,
        45900,
        69305,
        103498,
        140137,
        151781,
        237257,
        289692,
        296804,
        405162,
        408067,
        485170,
        510152,
        624969,
        1184807,
        1350298,
        1724643,
        2189850,
        2408078,
        2454987,
        2648272,
        3075398,
        3310890,
        3421249,
        4101341,
        4294934528,
        4294934529,
        4294934532,
        4294934536,
        4294934540,
        4294974719,
        4294981432,
        4294986430,
        2305843009213693943,
        2305843009213693945,
        2305843009213693947,
        2305843009213693958,
        2305843009213693965,
        2305843009213700907,
        2305843009213714973,
        2305843009213722582,
    ),
    "normal": (
        1,
        2,
        7,
        9,
        10,
        14,
        15,
        16,
        17,
        23,
        25,
        26,
        27,
        29,
        32,
        35,
        55,
        64,
        69,
        78,
        80,
        84,
        365,
        894,
        903,
        971,
        990,
        1295,
        45900,
        69305,
        103498,
        140137,
        151781,
        237257,
        296804,
        405162,
        408067,
        485170,
        510152,
        1184807,
        1350298,
        1724643,
        2408078,
        2454987,
        2648272,
        3075398,
        3421249,
        4101341,
        4294934528,
        4294934529,
        4294934542,
        4294934869,
        4294934994,
        4294974719,
        4294981432,
        4294986430,
        2305843009213693943,
        2305843009213693944,
        2305843009213693954,
        2305843009213693982,
        2305843009213694109,
        2305843009213694347,
        2305843009213700907,
        2305843009213722582,
    ),
}
"""The elements, by standard distribution: 64 each."""

PARAMETERS = {
    "uniform": ((0.3, 1.1), (-0.05, 0.05)),
    "truncated_normal": ((0.3, 1.1), (0.0, 0.0001)),
    "normal": ((0.3, 1.1), (0.0, 0.0001)),
}
"""Parameters of the compared distributions: one with a center other than 0, and one with many values that are subnormal
in float16."""

WIDTHS = {"float32": np.uint32, "bfloat16": np.uint16, "float16": np.uint16}
"""The element types, and the types of their bits."""


class Comparison(NamedTuple):
    """How the values of a device compare with the engine's."""

    compared: int
    """Number of values."""
    differing: tuple[str, ...]
    """What differed: distributions and element types, and an example of each."""


def compare(evaluate: Callable[[list[tuple[Sample, Runs]]], list[np.ndarray]]) -> Comparison:
    """Compare values with the engine's.

    Arguments:
        evaluate: a function that returns the bits of the elements of runs, at `ADDRESS`, for each sample.
    """
    compared, differing, cases = 0, [], [*_cases()]
    evaluated = evaluate([(sample, runs) for _, sample, runs in cases])
    for (recipe, _, runs), own in zip(cases, evaluated, strict=True):
        right = _expected(recipe, runs, own.dtype)
        compared += own.size
        if (wrong := np.flatnonzero(own != right)).size:
            at = int(wrong[0])
            element = int(runs.firsts[at // runs.length]) + at % runs.length
            differing.append(
                f"{wrong.size} of {own.size} values of {recipe!r}, such as element {element}: {int(own[at]):#x} instead"
                f" of {int(right[at]):#x}"
            )
    return Comparison(compared, tuple(differing))


def _cases() -> Iterator[tuple[_core.Recipe, Sample, Runs]]:
    for kind, elements in ELEMENTS.items():
        for parameters in PARAMETERS[kind]:
            for dtype in WIDTHS:
                recipe = _core.Recipe(kind, parameters, dtype)
                sample = sample_of(recipe)
                assert sample is not None
                yield recipe, sample, Runs(np.array(elements, np.uint64), 1)


def _expected(recipe: _core.Recipe, runs: Runs, bits: np.dtype[Any]) -> np.ndarray:
    """Return the bits of the engine's values."""
    out = np.empty((len(runs.firsts), runs.length), bits)
    for row, first in zip(out, runs.firsts.tolist(), strict=True):
        recipe.fill(
            stored(row.view(np.float32) if bits == np.uint32 else row), ADDRESS, [(LENGTH, first, 1, runs.length)], 1
        )
    return out.ravel()

"""Cases in which evaluation on devices is compared with the engine, bit for bit."""

import os

import numpy as np

from seedbed import _core
from seedbed.accelerators.samples import key_words, runs_of, sample_of
from seedbed.seeds import Address

COUNT = int(os.environ.get("SEEDBED_COMPARED", "4096"))
"""Number of values of each of the 240 cases."""

DISTRIBUTIONS = [
    ("uniform", (0.0, 1.0)),
    ("uniform", (-0.05, 0.05)),
    ("uniform", (-0.3, 1.1)),
    ("uniform", (1.0, 1.1)),
    ("uniform", (-1.0, 1e-9)),
    ("truncated_normal", (0.0, 0.05)),
    ("truncated_normal", (0.3, 0.1)),
    ("normal", (0.0, 0.05)),
    ("normal", (0.0, 1e-6)),
    ("normal", (-3.0, 0.1)),
]

WIDTHS = {"float32": np.uint32, "bfloat16": np.uint16, "float16": np.uint16}

STARTS = [
    0,
    7,
    (1 << 32) - 1001,
    (1 << 36) - 777,
    10**12 + 3,
    (1 << 60) + 5,
    (1 << 61) - 333,
    (1 << 62) - (1 << 25) - 1,
]
"""Indices of first elements: most are within a block, some just before a power of two at which a word carries."""

CASES = [
    (distribution, parameters, dtype, start)
    for distribution, parameters in DISTRIBUTIONS
    for dtype in WIDTHS
    for start in STARTS
]

ADDRESS = Address(bytes(range(7, 39)), 5 + (1 << 40))


def cases(chosen, count):
    """Yield samples, the words of the address, runs, and the bits that the engine gives."""
    for distribution, parameters, dtype, start in chosen:
        recipe = _core.Recipe(distribution, parameters, dtype)
        axes = [(1 << 62, start, 1, count)]
        expected = np.empty(count, np.float32 if dtype == "float32" else np.uint16)
        recipe.fill(expected, ADDRESS, axes, 1)
        yield sample_of(recipe), key_words(ADDRESS), runs_of(axes), expected.view(WIDTHS[dtype])


def differing(evaluate, chosen=CASES, count=COUNT):
    """Return the number of values that a function evaluates, and how many of them differ from the engine's.

    Arguments:
        evaluate: a function of a sample, the words of the key and of the stream, and runs, which returns bits.
        chosen: cases.
        count: number of values of each case.
    """
    compared = differ = 0
    for sample, (key, stream), runs, expected in cases(chosen, count):
        own = evaluate(sample, key, stream, runs)
        assert own.dtype == expected.dtype
        compared += own.size
        differ += int((own != expected).sum())
    return compared, differ

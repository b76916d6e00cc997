"""Cosines of fractions of a turn, each the float64 number nearest to the exact one.

Those of NumPy and of the C library differ from machine to machine. These are integers, rotated:

1. The symmetries of the cosine, applied to integers, map each fraction of a turn to one in the first eighth, and its
   cosine to the cosine or sine of that. Equal and opposite cosines are therefore exactly so, and 0, 1 and -1 are exact.
2. Steps of the fraction are rotations by a fixed angle. With i = a size + b, the rotation by i steps is one of a table
   of coarse rotations times one of a table of fine ones, both in fixed point of 192 bits.
3. Python rounds the quotient of two integers correctly.

The tables have about sqrt(denominator / 2) entries, and their errors are below 2^-150. Only a cosine that is so near to
the middle of two float64 numbers could be rounded wrong.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Rotation: TypeAlias = tuple[int, int]
"""Cosine and sine in fixed point."""

BITS = 192
ONE = 1 << BITS
PI = 0x3_243F6A88_85A308D3_13198A2E_03707344_A4093822_299F31D0
"""floor(2^192 pi)"""

MAX_DENOMINATOR = 2**36
"""Maximum denominator, with tables of 2^18 entries."""


def cosines(numerators: npt.NDArray[np.int64], denominator: int) -> npt.NDArray[np.float64]:
    """cos(2 pi n / denominator) for each numerator n.

    Arguments:
        numerators: any integers.
        denominator: from 1 to `MAX_DENOMINATOR`.

    >>> cosines(np.arange(7), 6).tolist()
    [1.0, 0.5, -0.5, -1.0, -0.5, 0.5, 1.0]
    """
    # An angle is `steps` times a quarter of a turn divided by the denominator.
    steps = 4 * np.minimum(numerators % denominator, -numerators % denominator)
    negative = steps > denominator
    steps = np.where(negative, 2 * denominator - steps, steps)
    swapped = 2 * steps > denominator
    steps = np.where(swapped, denominator - steps, steps)
    codes, places = np.unique(2 * steps + swapped, return_inverse=True)
    values = np.array([_nearest(code, denominator) for code in codes.tolist()], np.float64)
    found = values[places.reshape(numerators.shape)]
    return np.where(negative, -found, found)


def _nearest(code: int, denominator: int) -> float:
    steps, sine = divmod(code, 2)
    size, coarse, fine = _tables(denominator)
    return _rotate(coarse[steps // size], fine[steps % size])[sine] / ONE


@lru_cache(maxsize=4)
def _tables(denominator: int) -> tuple[int, list[Rotation], list[Rotation]]:
    """Return the rotations by multiples of `size` steps, and those by single steps; together half a denominator."""
    size = math.isqrt(denominator // 2) + 1
    fine = _multiples(_rotation(PI // (2 * denominator)), size + 1)
    return size, _multiples(fine[size], size), fine


def _multiples(rotation: Rotation, count: int) -> list[Rotation]:
    multiples = [(ONE, 0)]
    while len(multiples) < count:
        multiples.append(_rotate(multiples[-1], rotation))
    return multiples


def _rotate(first: Rotation, second: Rotation) -> Rotation:
    return (
        (first[0] * second[0] - first[1] * second[1]) >> BITS,
        (first[1] * second[0] + first[0] * second[1]) >> BITS,
    )


def _rotation(angle: int) -> Rotation:
    """Return a rotation by Taylor's series. The angle, in fixed point, is at most pi / 2."""
    cosine = sine = 0
    term, power = ONE, 0
    while term:
        if power % 2:
            sine += term if power % 4 == 1 else -term
        else:
            cosine += term if power % 4 == 0 else -term
        power += 1
        term = term * angle // (power << BITS)
    return cosine, sine

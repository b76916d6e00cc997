"""Parts of a checkpoint: which shards are written or verified by which of several processes that never talk.

Part K of N is decided by the sizes of the shards alone. Shards go from the largest to the smallest to the part that has
the fewest bytes so far, so that parts differ by at most one shard.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TypeAlias

from seedbed.arguments import as_integer

Part: TypeAlias = tuple[int, int]
"""The number of a part, counted from 1, and the number of all parts."""


def as_part(part: object) -> Part:
    """Return a part, checked.

    Raises:
        TypeError, ValueError: it is not a pair (K, N) of integers with 1 <= K <= N.

    >>> as_part((3, 16))
    (3, 16)
    """
    try:
        number, count = map(as_integer, part)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise TypeError(
            f"a part must be a pair of integers, such as (3, 16) for the third of sixteen. Received: {part!r}"
        ) from None
    if not 1 <= number <= count:
        raise ValueError(f"part K/N must have K from 1 to N. Received: {number}/{count}")
    return number, count


def positions_of(sizes: Sequence[int], part: Part) -> list[int]:
    """Return which of several shards belong to a part.

    >>> [positions_of([10, 40, 20, 30, 5], (number, 2)) for number in (1, 2)]
    [[0, 1, 4], [2, 3]]
    """
    number, count = part
    loads = [(0, other) for other in range(1, min(count, len(sizes)) + 1)]  # further parts stay empty
    own = []
    for position in sorted(range(len(sizes)), key=lambda position: (-sizes[position], position)):
        load, other = loads[0]
        heapq.heapreplace(loads, (load + sizes[position], other))
        if other == number:
            own.append(position)
    return sorted(own)

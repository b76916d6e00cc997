"""Parts of a checkpoint: division of its shards among several processes that do not communicate.

Part K of N depends only on the sizes of the shards. The shards are assigned from the largest to the smallest, each to
the part with the fewest bytes so far. So the sizes of two parts differ by at most one shard.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TypeAlias

from seedbed.arguments import as_integer

Part: TypeAlias = tuple[int, int]
"""A pair: the number of a part, counted from 1, and the number of parts."""


def as_part(part: object) -> Part:
    """Check a part and return it as two plain integers.

    Raises:
        TypeError: if the part is not a pair of integers.
        ValueError: if it is not a part K of N with 1 <= K <= N.

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
    """Return the positions of the shards of a part in the sequence of all shard sizes.

    >>> [positions_of([10, 40, 20, 30, 5], (number, 2)) for number in (1, 2)]
    [[0, 1, 4], [2, 3]]
    """
    number, count = part
    loads = [
        (0, other) for other in range(1, min(count, len(sizes)) + 1)
    ]  # parts beyond the number of shards are empty
    own = []
    for position in sorted(range(len(sizes)), key=lambda position: (-sizes[position], position)):
        load, other = loads[0]
        heapq.heapreplace(loads, (load + sizes[position], other))
        if other == number:
            own.append(position)
    return sorted(own)

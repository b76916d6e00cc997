"""Evaluation of a region by operations of torch, one kernel each, on any device.

The work is done in chunks, within a custom operator: a compiler of torch does not see inside, and so does not fuse
multiplications with additions, which would change bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from seedbed.accelerators.arithmetic import CONSTANTS, ROUNDS, narrowed, rotate, values
from seedbed.accelerators.samples import BLOCK, LOW_PLANE, Runs, Sample
from seedbed.accelerators.uniform import by_integers
from seedbed.torch.devices.operations import Operations
from seedbed.torch.devices.operators import call, register, sample_for

CHUNK = {"cpu": 1 << 15}
"""Length of a chunk in elements, by device type. The chunks of a CPU fit into its caches."""

CHUNK_OF_DEVICES = 1 << 21
"""Length of a chunk on all other devices: a launch takes microseconds there, and a chunk about 80 bytes an element."""


def evaluate(out: Any, sample: Sample, key: Sequence[int], stream: Sequence[int], runs: Runs) -> None:
    """Write the elements of runs to memory.

    Arguments:
        out: contiguous tensor on any device, of any shape, with as many elements as the runs.
        sample: distribution of the values.
        key: words of the key.
        stream: words of the stream.
        runs: indices of the elements in the whole tensor, flattened.
    """
    call("evaluate_", out, sample, key, stream, runs)


def _evaluate(
    out: torch.Tensor,
    kind: str,
    numbers: Sequence[float],
    key: Sequence[int],
    stream: Sequence[int],
    firsts: Sequence[int],
    length: int,
) -> None:
    sample = sample_for(out, kind, numbers)
    ops = Operations(out.device)
    state = (*CONSTANTS, *key), (*stream,)
    chunk = CHUNK.get(out.device.type, CHUNK_OF_DEVICES)
    flat = out.view(-1)
    if length >= chunk:
        for run, first in enumerate(firsts):
            for at in range(0, length, chunk):
                count = min(chunk, length - at)
                part = flat.narrow(0, run * length + at, count)
                _write(ops, sample, state, np.array([first + at]), count, part)
        return
    rows = max(1, chunk // max(1, length))
    for run in range(0, len(firsts), rows):
        some = np.array(firsts[run : run + rows])
        _write(ops, sample, state, some, length, flat.narrow(0, run * length, len(some) * length))


def _write(ops: Operations, sample: Sample, state: Any, firsts: Any, length: int, out: Any) -> None:
    """Write the elements of some runs."""
    high = _words(ops, state, firsts, length)

    def low(places: Any) -> Any:
        """Return the low words of elements. Only few elements, far in a tail, need theirs."""
        numbers = torch.from_numpy(firsts).to(ops.device)[places // length] + places % length
        blocks = numbers >> 4
        made = _blocks(ops, state, blocks.to(torch.int32), (blocks >> 32).to(torch.int32) | ops.word(LOW_PLANE >> 32))
        return made.gather(1, (numbers & (BLOCK - 1))[:, None])[:, 0]

    made = values(ops, sample, high, low, partial(_uniform(ops.device), ops))
    if sample.dtype == "float32":
        out.copy_(made)
    else:
        bits = narrowed(ops, sample.dtype, made)
        out.view(torch.int16).copy_((bits << 16) >> 16)


def _words(ops: Operations, state: Any, firsts: Any, length: int) -> Any:
    """Return the high words of runs of elements."""
    skipped = firsts & (BLOCK - 1)
    count = -(-(int(skipped.max()) + length) // BLOCK)
    first = firsts >> 4
    low = torch.from_numpy(first.astype(np.int32)).to(ops.device)[:, None]
    high = torch.from_numpy((first >> 32).astype(np.int32)).to(ops.device)[:, None]
    each = low + torch.arange(count, dtype=torch.int32, device=ops.device)
    carried = high + ops.flag(ops.less(each, low))
    words = _blocks(ops, state, each.view(-1), carried.view(-1)).view(len(firsts), count * BLOCK)
    if len(firsts) == 1 or not skipped.any():
        return words[:, skipped[0] : skipped[0] + length].reshape(-1)
    places = torch.from_numpy(skipped).to(ops.device)[:, None] + torch.arange(length, device=ops.device)
    return words.gather(1, places).view(-1)


def _blocks(ops: Operations, state: Any, low: Any, high: Any) -> Any:
    """Return the words of blocks, a row for each, by the two words of their numbers."""
    (start, stream), size = state, len(low)
    constant = torch.tensor([ops.word(word) for word in start], dtype=torch.int32, device=ops.device)[:, None]
    ends = torch.tensor([ops.word(word) for word in stream], dtype=torch.int32, device=ops.device)[:, None]
    last = torch.cat([torch.stack([low, high]), ends.expand(2, size)])
    before = [*constant.view(3, 4, 1), last]
    a, b, c, d = (row.expand(4, size).clone() for row in before)
    for turn in range(ROUNDS):
        a += b
        d = rotate(ops, d.bitwise_xor_(a), 16)
        c += d
        b = rotate(ops, b.bitwise_xor_(c), 12)
        a += b
        d = rotate(ops, d.bitwise_xor_(a), 8)
        c += d
        b = rotate(ops, b.bitwise_xor_(c), 7)
        # Odd rounds mix the diagonals: rotate the rows before one, and back after it.
        way = -1 if turn % 2 == 0 else 1
        b, c, d = b.roll(way, 0), c.roll(2 * way, 0), d.roll(3 * way, 0)
    after = torch.cat([row + start for row, start in zip((a, b, c, d), before, strict=True)])
    return after.T.contiguous()


register("evaluate_", _evaluate)


@lru_cache(maxsize=64)
def _uniform(device: torch.device) -> Callable[[Operations, Sample, Any], Any]:
    """Return the function for uniform values: in float64 if the device has it, otherwise in integers."""
    try:
        torch.ones(1, dtype=torch.float64, device=device)
    except (RuntimeError, TypeError):
        return by_integers
    return _by_doubles


def _by_doubles(ops: Operations, sample: Sample, high: Any) -> Any:
    """Return center + scale x of the standard uniform x, in float64, rounded to float32."""
    x = (high ^ ops.word(1 << 31)).to(torch.float64)
    return x.add_(0.5).mul_(sample.scale * 2.0**-31).add_(sample.center).to(torch.float32)

"""Find the addresses of `seedbed.accelerators.sensitive`: `python tools/sensitive_addresses.py` prints them.

They are elements of stream 0 of seed 0. Their values change if a device fuses multiplications with additions, rounds
conversions in another way, uses a wrong low word, or loses small numbers.
"""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seedbed import _core
from seedbed.accelerators.arithmetic import values
from seedbed.accelerators.samples import Sample, sample_of
from seedbed.accelerators.tables import tail
from seedbed.seeds import random_words
from seedbed.torch.devices.operations import Operations

RANGES = (
    range(1 << 22),
    range((1 << 32) - (1 << 15), (1 << 32) + (1 << 15)),
    range((1 << 61) - 9, (1 << 61) + (1 << 15)),
)
COUNTS = (48, 8, 8)
"""Number of elements of each range."""

LOW = 1 << 67
"""Index of the low word of element 0."""


class Fused(Operations):
    """Operations of a compiler that fuses each product with the next sum."""

    def times(self, one: Any, other: Any) -> Any:
        return one.to(torch.float64) * other  # exact

    def plus(self, one: Any, other: Any) -> Any:
        other = other.to(torch.float64) if isinstance(other, torch.Tensor) else other
        return (one.to(torch.float64) + other).to(torch.float32)


class Truncating(Operations):
    """Operations of a device that converts integers to float32 by rounding towards 0."""

    def number(self, words: Any) -> Any:
        nearest = words.to(torch.float32)
        rounded_up = nearest.to(torch.float64).abs() > words.to(torch.float64).abs()
        return torch.where(rounded_up, torch.nextafter(nearest, torch.zeros(())), nearest)


def single(ops: Operations, sample: Sample, high: Any) -> Any:
    """Return the uniform in float32 arithmetic, which is wrong."""
    x = (high ^ ops.word(1 << 31)).to(torch.float32) * 2.0**-31
    return x * float(np.float32(sample.scale)) + float(np.float32(sample.center))


def double(ops: Operations, sample: Sample, high: Any) -> Any:
    """Return the uniform in float64 arithmetic, as specified."""
    x = (high ^ ops.word(1 << 31)).to(torch.float64) + 0.5
    return (x * (sample.scale * 2.0**-31) + sample.center).to(torch.float32)


def tensor(words: npt.NDArray[np.uint32]) -> Any:
    return torch.from_numpy(words.view(np.int32))


def sensitive(kind: str, numbers: range, count: int) -> list[int]:
    """Return `count` elements of a range, in turn from each kind of sensitive elements."""
    sample = sample_of(_core.Recipe(kind, (0.3, 1.1), "float32"))
    assert sample is not None
    high = random_words(0, len(numbers), start=numbers.start)
    low = random_words(0, len(numbers), start=LOW + numbers.start)

    def made(ops: Operations, uniform: Any = double, of_low: npt.NDArray[np.uint32] = low) -> npt.NDArray[Any]:
        x = values(ops, sample, tensor(high), lambda places: tensor(of_low)[places], lambda *of: uniform(ops, *of))
        array: npt.NDArray[Any] = x.numpy()
        return array

    cpu = torch.device("cpu")
    right = made(Operations(cpu))
    rest = np.where(high >> 31, ~high, high)
    small = np.argsort(rest)[::-1][:64]
    changed = [made(Fused(cpu)) != right, made(Truncating(cpu)) != right, made(Operations(cpu), single) != right]
    changed += [
        made(Operations(cpu), of_low=~low) != right,
        rest < tail().below if kind == "normal" else rest < 1 << 16,
    ]
    sorts = [small, *(np.flatnonzero(where) for where in changed)]
    chosen: list[int] = []
    for place in range(len(numbers)):
        for sort in sorts:
            if place < len(sort) and sort[place] not in chosen and len(chosen) < count:
                chosen.append(int(sort[place]))
    return [numbers.start + at for at in chosen]


def main() -> None:
    for kind in ("uniform", "truncated_normal", "normal"):
        found = sorted(
            element
            for numbers, count in zip(RANGES, COUNTS, strict=True)
            for element in sensitive(kind, numbers, count)
        )
        print(textwrap.fill(f'"{kind}": {tuple(found)},', 120, initial_indent="    ", subsequent_indent=" " * 8))


if __name__ == "__main__":
    main()

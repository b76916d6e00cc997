"""The arithmetic of the values as CUDA C: its source, with the engine's tables, and the arguments of its kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seedbed.accelerators import tables
from seedbed.accelerators.samples import BLOCK, Sample

GROUP = 128
"""Number of threads of a group, and number of blocks that a group evaluates."""


@lru_cache(maxsize=1)
def source() -> str:
    """Return the source of the kernels. `kernel_of` returns their names."""
    tail = tables.tail()
    normal, truncated = tables.rows("normal"), tables.rows("truncated_normal")
    lines = [
        f"#define MAX_COEFFICIENTS {max(len(normal.coefficients), len(truncated.coefficients))}",
        f"#define TAIL_BELOW {tail.below}u",
        f"#define TAIL_OUTER {tail.outer}u",
        f"#define TAIL_SHIFT {tail.shift}",
        f"#define TAIL_FIRST {tail.first}u",
        f"#define TAIL_DEGREE {len(tail.coefficients) - 1}",
        f"#define TAIL_ROWS {tail.coefficients.shape[1]}",
        _array("TAIL_COEFFICIENTS", tail.coefficients.view(np.uint32)),
    ]
    for name, rows in (("NORMAL", normal), ("TRUNCATED", truncated)):
        lines += [
            f"#define {name}_OFFSET {rows.offset!r}f",
            f"#define {name}_SHIFT {rows.shift}",
            f"#define {name}_DEGREE {len(rows.coefficients) - 1}",
            _array(f"{name}_ORIGIN", rows.origin),
            _array(f"{name}_COEFFICIENTS", rows.coefficients.view(np.uint32)),
        ]
    return "\n".join([*lines, Path(__file__).with_name("kernel.cu").read_text(encoding="utf-8")])


def _array(name: str, words: npt.NDArray[np.uint32]) -> str:
    """Return the declaration of an array of words. Floats are declared by their bits."""
    return f"__device__ const unsigned int {name}[] = {{{', '.join(f'{word:#x}' for word in words.ravel().tolist())}}};"


def kernel_of(sample: Sample) -> str:
    """Return the name of the kernel of a sample."""
    return f"{sample.kind}_{sample.dtype}"


class Arguments(ctypes.Structure):
    """The argument of a kernel that is the same for all elements."""

    _fields_ = (
        ("key", ctypes.c_uint32 * 8),
        ("stream", ctypes.c_uint32 * 2),
        ("center", ctypes.c_double),
        ("scale", ctypes.c_double),
        ("least", ctypes.c_float),
        ("greatest", ctypes.c_float),
        ("length", ctypes.c_uint64),
        ("blocks", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
    )


def arguments_of(sample: Sample, key: Sequence[int], stream: Sequence[int], runs: int, length: int) -> Arguments:
    """Return the argument for a number of runs of some length."""
    blocks = -(-(length + BLOCK - 1) // BLOCK)
    return Arguments(
        (ctypes.c_uint32 * 8)(*key),
        (ctypes.c_uint32 * 2)(*stream),
        sample.center,
        sample.scale,
        sample.least,
        sample.greatest,
        length,
        blocks,
        blocks * runs,
    )


def groups_of(arguments: Arguments) -> int:
    """Return the number of groups of threads."""
    return -(-int(arguments.count) // GROUP)

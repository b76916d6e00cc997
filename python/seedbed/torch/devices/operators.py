"""Registration of evaluations as custom operators of torch: a compiler does not see inside, and so fuses nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from seedbed.accelerators.samples import Runs, Sample

# Not `torch.library.custom_op`: it imports the compilers at the first call, which takes seconds.
_LIBRARY = torch.library.Library("seedbed", "DEF")


def register(name: str, evaluate: Callable[..., None]) -> None:
    """Register an operator that writes the elements of runs to its first argument."""
    _LIBRARY.define(
        f"{name}(Tensor(a!) out, str kind, float[] numbers, int[] key, int[] stream, int[] firsts, int length) -> ()"
    )
    _LIBRARY.impl(name, evaluate, "CompositeExplicitAutograd")
    _LIBRARY.impl(name, lambda *_: None, "Meta")


def call(name: str, out: Any, sample: Sample, key: Sequence[int], stream: Sequence[int], runs: Runs) -> None:
    """Call an operator; the arguments are those of `plain.evaluate`."""
    kind, *numbers, _ = sample
    firsts = runs.firsts.view(np.int64).tolist()
    getattr(torch.ops.seedbed, name)(out, kind, numbers, [*key], [*stream], firsts, runs.length)


def sample_for(out: torch.Tensor, kind: str, numbers: Sequence[float]) -> Sample:
    """Return the sample that an operator was called with."""
    center, scale, least, greatest = numbers
    return Sample(kind, center, scale, least, greatest, str(out.dtype).removeprefix("torch."))

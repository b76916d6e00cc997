"""Replacements of the functions of `torch.nn.init` that do nothing to a tensor on the meta device.

During a recording, the code object of each function is replaced: callers that imported the function under any name then
run the replacement. The replacement runs with the globals of `torch.nn.init`, and therefore imports what it needs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import nn

import seedbed as sb
from seedbed.torch.recorder.contents import Normal, Structured
from seedbed.torch.recorder.dispatch import Recorder


def trunc_normal_(
    tensor: Any, mean: Any = 0.0, std: Any = 1.0, a: Any = -2.0, b: Any = 2.0, generator: Any = None
) -> Any:
    """Replace the function of `torch.nn.init` of this name."""
    from seedbed.torch.recorder.init_functions import instead_of

    return instead_of("trunc_normal_", tensor, mean, std, a, b, generator=generator)


def orthogonal_(tensor: Any, gain: Any = 1, generator: Any = None) -> Any:
    """Replace the function of `torch.nn.init` of this name."""
    from seedbed.torch.recorder.init_functions import instead_of

    return instead_of("orthogonal_", tensor, gain, generator=generator)


def sparse_(tensor: Any, sparsity: Any, std: Any = 0.01, generator: Any = None) -> Any:
    """Replace the function of `torch.nn.init` of this name."""
    from seedbed.torch.recorder.init_functions import instead_of

    return instead_of("sparse_", tensor, sparsity, std, generator=generator)


def dirac_(tensor: Any, groups: Any = 1) -> Any:
    """Replace the function of `torch.nn.init` of this name."""
    from seedbed.torch.recorder.init_functions import instead_of

    return instead_of("dirac_", tensor, groups)


_CODES: Mapping[str, CodeType] = {
    function.__name__: function.__code__ for function in (trunc_normal_, orthogonal_, sparse_, dirac_)
}
_originals: dict[str, FunctionType] = {}
_threads = threading.local()
_changing = threading.Lock()
_depth = 0


@contextmanager
def intercepted(recorder: Recorder) -> Iterator[None]:
    """Make the functions record what they would draw, in this thread."""
    global _depth
    with _changing:
        if not _depth:
            for name, code in _CODES.items():
                function = getattr(nn.init, name)
                _originals[name] = FunctionType(
                    function.__code__, function.__globals__, name, function.__defaults__, function.__closure__
                )
                function.__code__ = code
        _depth += 1
    before, _threads.recorder = getattr(_threads, "recorder", None), recorder
    try:
        yield
    finally:
        _threads.recorder = before
        with _changing:
            _depth -= 1
            if not _depth:
                for name, original in _originals.items():
                    getattr(nn.init, name).__code__ = original.__code__


def instead_of(name: str, tensor: Any, *args: Any, **kwargs: Any) -> Any:
    """Record what a function of `torch.nn.init` would draw; call the original if this thread records nothing."""
    recorder: Recorder | None = getattr(_threads, "recorder", None)
    original = _originals[name]
    rank = tensor.ndim
    if (
        recorder is None
        or not tensor.numel()
        or (name == "orthogonal_" and rank < 2)
        or (name == "sparse_" and rank != 2)
    ):
        return original(tensor, *args, **kwargs)
    if name == "trunc_normal_":
        recorder.records.draw(tensor, Normal(*map(float, args)), name)
    elif name == "orthogonal_":
        # The rows of torch's matrix are the first axis, its columns all other axes.
        recorder.records.draw(
            tensor, Structured(sb.Orthogonal(float(args[0]), 0, column_axis=0), tuple(range(rank))), name
        )
    elif name == "sparse_":
        recorder.records.draw(tensor, Structured(sb.Sparse(float(args[0]), float(args[1]), 0), (0, 1)), name)
    else:
        with torch.no_grad():
            tensor.copy_(original(torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu"), *args))
    return tensor

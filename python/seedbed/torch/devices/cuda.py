"""Evaluation of a region by a kernel in CUDA C.

NVRTC compiles the kernels at the first use of a device, in about a second, and the driver launches them on torch's
current stream. Both are called through `cuda.bindings`, on which torch's packages for CUDA depend.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch

from seedbed.accelerators.cuda import GROUP, arguments_of, groups_of, kernel_of, source
from seedbed.accelerators.samples import Runs, Sample
from seedbed.torch.devices.operators import call, register, sample_for

MAX_GROUPS = 2**31 - 1
"""Maximum number of groups of threads in a launch."""


def evaluate(out: Any, sample: Sample, key: Sequence[int], stream: Sequence[int], runs: Runs) -> None:
    """Write the elements of runs to memory; the arguments are those of `plain.evaluate`.

    Raises:
        ImportError: if `cuda.bindings` is not installed.
        RuntimeError: if there are too many elements for a launch, or NVRTC or the driver reports an error.
    """
    call("evaluate_by_kernel_", out, sample, key, stream, runs)


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
    arguments = arguments_of(sample, key, stream, len(firsts), length)
    groups = groups_of(arguments)
    if groups > MAX_GROUPS:
        raise RuntimeError(f"a launch must have at most {MAX_GROUPS} groups of threads. Received: {groups}")
    with torch.cuda.device(out.device):
        there = torch.tensor(firsts, dtype=torch.int64, device=out.device)
        function = _function(out.device.index, kernel_of(sample))
        pointers = ctypes.c_void_p(out.data_ptr()), ctypes.c_void_p(there.data_ptr())
        launch(function, groups, torch.cuda.current_stream().cuda_stream, *pointers, arguments)


register("evaluate_by_kernel_", _evaluate)


def launch(function: Any, groups: int, stream: int, *arguments: Any) -> None:
    """Launch groups of threads on a stream. The arguments are objects of `ctypes`, the same for all threads."""
    from cuda.bindings import driver

    addresses = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
    _checked(driver.cuLaunchKernel(function, groups, 1, 1, GROUP, 1, 1, 0, stream, ctypes.addressof(addresses), 0))


@lru_cache(maxsize=256)
def _function(index: int, name: str) -> Any:
    """Return a kernel for the current device."""
    from cuda.bindings import driver

    return _checked(driver.cuModuleGetFunction(_module(index), name.encode()))


@lru_cache(maxsize=32)
def _module(index: int) -> Any:
    """Return the kernels for the current device."""
    from cuda.bindings import driver

    major, minor = torch.cuda.get_device_capability(index)
    return _checked(driver.cuModuleLoadData(compiled(f"sm_{major}{minor}")))


@lru_cache(maxsize=8)
def compiled(architecture: str) -> bytes:
    """Return the machine code of the kernels for an architecture such as "sm_90".

    Raises:
        ImportError: if `cuda.bindings` is not installed.
        RuntimeError: if NVRTC does not compile for the architecture.
    """
    from cuda.bindings import nvrtc

    program = _checked(nvrtc.nvrtcCreateProgram(source().encode(), b"seedbed.cu", 0, [], []))
    try:
        options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
        _checked(nvrtc.nvrtcCompileProgram(program, len(options), options))
        # A virtual architecture such as "compute_90" has PTX instead of machine code.
        virtual = architecture.startswith("compute")
        size = _checked(nvrtc.nvrtcGetPTXSize(program) if virtual else nvrtc.nvrtcGetCUBINSize(program))
        code = bytes(size)
        _checked(nvrtc.nvrtcGetPTX(program, code) if virtual else nvrtc.nvrtcGetCUBIN(program, code))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return code


def _checked(result: tuple[Any, ...]) -> Any:
    """Return the result of a function of NVRTC or of the driver, without its status.

    Raises:
        RuntimeError: if the status is an error.
    """
    status, *values = result
    if status != 0:
        raise RuntimeError(f"CUDA must not report an error. Received: {status.name}")
    return values[0] if values else None

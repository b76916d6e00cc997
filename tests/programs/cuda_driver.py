"""Compare values that a driver of CUDA launches with the engine's. The driver runs its kernels on the CPU.

Its argument is a directory for the driver. It prints how many values were compared, and how many differ.
"""

import contextlib
import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from support.cuda import driver
from support.devices import CASES, WIDTHS, differing

from seedbed.accelerators.sensitive import compare
from seedbed.torch.devices import cuda, ways

CPU = torch.device("cpu")

code = cuda.compiled("sm_90")  # NVRTC asks the driver for functions that this one lacks
ctypes.CDLL(str(driver(Path(sys.argv[1]))), ctypes.RTLD_GLOBAL)
torch.cuda.device = lambda device: contextlib.nullcontext()
torch.cuda.current_stream = lambda: SimpleNamespace(cuda_stream=0)
torch.cuda.get_device_capability = lambda index: (9, 0)
assert cuda.compiled("sm_90") is code

guarded = compare(lambda cases: ways._bits(cuda.evaluate, CPU, cases))
assert guarded.differing == ()


def evaluate(sample, key, stream, runs):
    out = torch.empty(len(runs.firsts) * runs.length, dtype=getattr(torch, sample.dtype))
    cuda.evaluate(out, sample, key, stream, runs)
    return out.view(ways.BITS[sample.dtype]).numpy().view(WIDTHS[sample.dtype])


print(*np.add(differing(evaluate, CASES[::7]), (guarded.compared, 0)))

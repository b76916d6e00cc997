"""The process of one rival: each line of stdin is a request, and each line of stdout its answer, in JSON.

python benches/worker.py NAME
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from cases import ORTHOGONAL, Tensor
from makers import Make
from rivals import BY_NAME, FULL, Rival

ENOUGH = 4096
"""Number of values with a standard deviation that is within a tenth of the distribution's."""


class Worker:
    """The cases of one rival, with a method for each request."""

    def __init__(self, rival: Rival) -> None:
        self.rival = rival
        self.maker = rival.load()
        self.makes: dict[str, Make] = {}

    def versions(self) -> dict[str, Any]:
        return {"versions": {package: version(package) for package in self.rival.packages}}

    def prepare(self, case: str, tensors: list[list[Any]]) -> dict[str, Any]:
        """Compile, warm up, check the tensors, and return about how long a call takes."""
        self.makes[case] = make = self._make(tensors)
        start = time.perf_counter()
        arrays = make()
        seconds = time.perf_counter() - start
        if self.rival.name != FULL:
            for tensor, array in zip(as_tensors(tensors), as_list(arrays), strict=True):
                check(tensor, array)
        del arrays
        return {"seconds": seconds} if seconds > 0.5 else self.time(case, 1)

    def time(self, case: str, calls: int, digest: bool = False) -> dict[str, Any]:
        """Return the mean seconds of a call. Each call makes new arrays; the time to free them is not included."""
        make, clock, spent = self.makes[case], time.perf_counter, 0.0
        for _ in range(calls):
            arrays = None
            start = clock()
            arrays = make()
            spent += clock() - start
        return {"seconds": spent / calls, "digest": digest_of(as_list(arrays)) if digest else None}

    def peak(self, case: str, tensors: list[list[Any]]) -> dict[str, Any]:
        """Return the bytes of memory at the peak of the first call, minus those before it."""
        make = self._make(tensors)
        before = memory("VmRSS")
        make()
        return {"bytes": memory("VmHWM") - before}

    def digest(self, case: str, tensors: list[list[Any]]) -> dict[str, Any]:
        return {"digest": digest_of(as_list(self._make(tensors)()))}

    def _make(self, tensors: list[list[Any]]) -> Make:
        makes = [self.maker(tensor) for tensor in as_tensors(tensors)]
        return makes[0] if len(makes) == 1 else lambda: [make() for make in makes]


def as_tensors(tensors: list[list[Any]]) -> list[Tensor]:
    """Return the tensors that a JSON request describes."""
    return [Tensor(kind, tuple(shape), *rest) for kind, shape, *rest in tensors]


def as_list(arrays: Any) -> list[Any]:
    return arrays if isinstance(arrays, list) else [arrays]


def check(tensor: Tensor, array: Any) -> None:
    """Check shape, dtype, bound and standard deviation, so that every rival does the whole work."""
    if not tensor.part and tuple(array.shape) != tensor.shape:
        raise ValueError(f"the shape is {tuple(array.shape)}, not {tensor.shape}")
    if tensor.dtype not in str(array.dtype):
        raise ValueError(f"the dtype is {array.dtype}, not {tensor.dtype}")
    sample = array[:64]
    values = np.asarray(sample.double() if hasattr(sample, "double") else sample).astype(np.float64)
    if np.abs(values).max() > tensor.bound * 1.01:
        raise ValueError(f"{np.abs(values).max()} is greater than the bound, {tensor.bound}")
    if tensor.kind == ORTHOGONAL and np.abs(values @ values.T - np.eye(len(values))).max() > 1e-3:
        raise ValueError("rows are not orthonormal")
    if values.size >= ENOUGH and abs(values.std() - tensor.stddev) > 0.1 * tensor.stddev:
        raise ValueError(f"the standard deviation is {values.std()}, not {tensor.stddev}")


def digest_of(arrays: list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def memory(field: str) -> int:
    """Return a figure of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def main(name: str) -> None:
    # The output of libraries goes to stderr, so that only answers are on stdout.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            worker = worker or Worker(BY_NAME[name])
            answer = getattr(worker, request.pop("do"))(**request)
        except Exception as error:  # the other rivals continue
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])

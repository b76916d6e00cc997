"""The choice of how a device evaluates values, after a comparison with the engine; `device_report`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from seedbed.accelerators.samples import Runs, Sample, forced, key_words, runs_of, sample_of
from seedbed.accelerators.sensitive import ADDRESS, WIDTHS, compare
from seedbed.regions import Axis, as_slice, pieces, within
from seedbed.rules import Rule, Sampled
from seedbed.torch.devices import cuda, plain

Evaluate: TypeAlias = Callable[[Any, Sample, Sequence[int], Sequence[int], Runs], None]

HOSTS = {"cpu", "meta"}
"""Device types for which the host evaluates directly, or nothing is evaluated."""

PIECE = 1 << 22
"""Length of a piece for memory that is not contiguous, in elements."""

BITS = {"float32": torch.int32, "bfloat16": torch.int16, "float16": torch.int16}
"""Integer dtype of the same size, for each dtype that devices evaluate."""


class Way(NamedTuple):
    """How a device gets its values."""

    name: str
    """"a kernel in CUDA C", "operations of torch", or "host": evaluated by the engine and copied."""
    evaluate: Evaluate | None
    """Function that evaluates runs on the device; None for the host."""
    compared: int = 0
    """Number of values that were compared with the engine's; none differed."""
    refused: tuple[str, ...] = ()
    """The ways that failed the comparison, each with what differed."""


def ways(device: torch.device) -> list[tuple[str, Evaluate]]:
    """Return the name and function of each way that a device may take, the fastest first."""
    found: list[tuple[str, Evaluate]] = [("operations of torch", plain.evaluate)]
    if device.type == "cuda" and torch.version.cuda is not None and _has_bindings():
        found.insert(0, ("a kernel in CUDA C", cuda.evaluate))
    return found


def _has_bindings() -> bool:
    """Return whether `cuda.bindings` is installed."""
    return find_spec("cuda") is not None and find_spec("cuda.bindings") is not None


@lru_cache(maxsize=64)
def way_of(device: torch.device) -> Way:
    """Return the way of a device: the first whose values are those of the engine.

    The comparison is made once for each device. A way that fails it is not taken, and a warning says what differed.
    """
    refused: list[str] = []
    for name, evaluate in ways(device):
        try:
            compared, differing = compare(partial(_bits, evaluate, device))
        except Exception as error:  # Devices, drivers and compilers raise errors of many classes.
            differing = (f"{type(error).__name__}: {error}",)
        if not differing:
            return Way(name, evaluate, compared, tuple(refused))
        refused.append(f"{name}: {'; '.join(differing)}")
        warnings.warn(
            f"{name} on {device} must give the bits of the engine, and another way is taken. Received: {refused[-1]}",
            RuntimeWarning,
            stacklevel=2,
        )
    return Way("host", None, 0, tuple(refused))


def _bits(evaluate: Evaluate, device: torch.device, cases: list[tuple[Sample, Runs]]) -> list[np.ndarray]:
    """Return the bits of the elements of runs at `ADDRESS`, as a device evaluates them."""
    made = []
    for sample, runs in cases:
        out = torch.empty(len(runs.firsts) * runs.length, dtype=getattr(torch, sample.dtype), device=device)
        evaluate(out, sample, *key_words(ADDRESS), runs)
        made.append(out.view(BITS[sample.dtype]).cpu().numpy().view(WIDTHS[sample.dtype]))
    return made


def write_there(tensor: Any, rule: Rule, axes: Sequence[Axis]) -> bool:
    """Evaluate a region on the device of a tensor; return False if the host has to evaluate it.

    Arguments:
        tensor: tensor of the region's shape, of a class that leaves all operations to torch.
        rule: the rule of the elements.
        axes: the region, along each axis.
    """
    if tensor.device.type in HOSTS or type(rule) is not Sampled or forced():
        return False
    sample = sample_of(rule.recipe)
    if sample is None or not tensor.numel():
        return False
    evaluate = way_of(tensor.device).evaluate
    if evaluate is None:
        return False
    out, (key, stream) = tensor.detach(), key_words(rule.address)
    if out.is_contiguous() and not out.is_neg():
        evaluate(out, sample, key, stream, runs_of(axes))
        return True
    for piece in pieces(out.shape, PIECE):
        part = out[tuple(as_slice(axis) for axis in piece)]
        memory = torch.empty(part.shape, dtype=out.dtype, device=out.device)
        evaluate(memory, sample, key, stream, runs_of(within(axes, piece)))
        part.copy_(memory)
    return True


class DeviceReport(NamedTuple):
    """How the tensors of a device get their values. `device_report` returns one.

    Arguments:
        device: the device, such as "cuda:0".
        hardware: name of the hardware, from torch.
        way: "engine", "a kernel in CUDA C", "operations of torch", or "host": evaluated by the engine and copied.
        compared: number of values that were compared with the engine's; none differed.
        note: refused ways, and limits of the comparison.

    >>> import seedbed.torch
    >>> seedbed.torch.device_report("cpu").way
    'engine'
    """

    device: str
    """The device, such as "cuda:0"."""
    hardware: str
    """Name of the hardware, from torch."""
    way: str
    """"engine", "a kernel in CUDA C", "operations of torch", or "host": evaluated by the engine and copied."""
    compared: int
    """Number of values that were compared with the engine's; none differed."""
    note: str
    """Refused ways, and limits of the comparison."""

    def __str__(self) -> str:
        return f"{self.device} ({self.hardware}): {self.way}; {self.compared} values compared, 0 differ. {self.note}"


UNTRIED = (
    "No way of a device has been run on hardware by the authors: the same operations were compared with the engine on "
    "CPUs, and the values above on this device."
)


def device_report(device: torch.device | str | None = None) -> DeviceReport:
    """Return how the tensors of a device get their values.

    At the first use of a device, its values are compared with those of the engine.

    Arguments:
        device: a device; by default torch's current accelerator, or the CPU on a machine without one.

    Returns:
        A `DeviceReport`.

    >>> import seedbed.torch
    >>> print(seedbed.torch.device_report("cpu"))
    cpu (CPU): engine; 0 values compared, 0 differ. The engine is what other devices are compared with.
    """
    if device is None:  # a build of torch for CUDA names it as its accelerator on any machine
        present = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        found = present or torch.device("cpu")
    else:
        found = torch.device(device)
    if found.type in HOSTS:
        return DeviceReport(
            str(found), found.type.upper(), "engine", 0, "The engine is what other devices are compared with."
        )
    found = torch.empty(0, device=found).device  # with its index
    hardware = _hardware(found)
    if forced():
        return DeviceReport(str(found), hardware, "host", 0, "SEEDBED_DEVICE has the host evaluate all values.")
    way = way_of(found)
    return DeviceReport(str(found), hardware, way.name, way.compared, " ".join((*way.refused, UNTRIED)))


def _hardware(device: torch.device) -> str:
    named = getattr(getattr(torch, device.type, None), "get_device_name", None)
    return str(named(device)) if named is not None else device.type.upper()

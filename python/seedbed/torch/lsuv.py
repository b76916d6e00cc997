"""`lsuv_`: orthogonal kernels, scaled so that each layer's outputs on a batch have variance 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from seedbed.arguments import as_count, as_finite, shortened
from seedbed.initializers import Orthogonal
from seedbed.plan.rules import Selection, counted, selected
from seedbed.seeds import SeedGenerator
from seedbed.torch.initialize import initialize_
from seedbed.torch.memory import is_distributed
from seedbed.torch.module_tensors import Entry
from seedbed.torch.rules import check_module, tensors_of

LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
"""Layers whose outputs are proportional to their weights, if their biases are zeros."""


class Measured(NamedTuple):
    """Measurement of a layer by `lsuv_`."""

    scale: float
    """Factor by which the orthogonal kernel was multiplied."""
    variance: float
    """Variance of the layer's outputs with the scaled kernel."""
    calls: int
    """Number of calls of the layer that were needed."""


def lsuv_(
    module: nn.Module,
    batch: Any,
    *,
    seed: int | SeedGenerator,
    tolerance: float = 0.1,
    max_calls: int = 10,
    only: Selection = None,
    skip: Selection = None,
) -> dict[str, Measured]:
    """Layer-sequential unit variance: give each layer an orthogonal kernel, scaled so that its outputs have variance 1.

    The weights of linear and convolutional layers become orthogonal matrices of shape (out, rest), their biases zeros.
    Then the module is called on the batch, in its present mode and without gradients. At the first call of each layer,
    its weight is divided by the standard deviation of its outputs until their variance is within the tolerance of 1;
    the next layers get the new outputs (Mishkin & Matas 2016, algorithm 1). Other parameters do not change.

    The orthogonal matrices have the bits of `initialize_`. The scales are measured, and depend on the order in which
    the device sums.

    Arguments:
        module: a model with memory that is not sharded.
        batch: arguments of the module: a tensor, a tuple of arguments, or a mapping of keyword arguments.
        seed: an integer in [-2**255, 2**255), or a generator. A generator is not advanced: its children are used.
        tolerance: maximum of abs(variance - 1), a positive number.
        max_calls: maximum number of calls of a layer. A layer that needs more keeps a variance outside the tolerance.
        only: a selector of weights, or several, as for `initialize_`: initialize only the layers of these weights.
        skip: a selector of weights, or several: leave the layers of these weights unchanged.

    Returns:
        A `Measured` for each weight, by its name, in the order of the layers' first calls.

    Raises:
        TypeError, ValueError: if an argument is not as described; if a weight is on the meta device or sharded; if the
            variance of a layer's outputs is zero or not finite; or if a layer is not called, like `out_proj` of
            `nn.MultiheadAttention`, whose weight is used without calling it.

    >>> import torch, seedbed.torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.Tanh(), torch.nn.Linear(256, 10))
    >>> measured = seedbed.torch.lsuv_(model, torch.ones(1, 64).cumsum(1) / 32, seed=42, tolerance=0.01)
    >>> list(measured), all(abs(each.variance - 1) < 0.01 for each in measured.values())
    (['0.weight', '2.weight'], True)
    """
    check_module(module)
    limit, most = as_finite("tolerance", tolerance), as_count("max_calls", max_calls)
    if limit <= 0:
        raise ValueError(f"tolerance must be positive. Received: tolerance={shortened(tolerance)}")
    weights = _weights(module, only, skip)
    names = [entry.name for entry in weights.values()]
    biases = [name for name in (_bias_of(layer, entry) for layer, entry in weights.items()) if name]
    rules = [(_is(name), Orthogonal(column_axis=0)) for name in names]
    initialize_(module, [*rules, *((_is(name), "zeros") for name in biases)], seed=seed, only=_is(*names, *biases))
    measured: dict[str, Measured] = {}
    hooks = [
        layer.register_forward_hook(_scaler(entry.name, measured, limit, most), with_kwargs=True)
        for layer, entry in weights.items()
    ]
    try:
        with torch.no_grad():
            _call(module, batch)
    finally:
        for hook in hooks:
            hook.remove()
    missing = [name for name in names if name not in measured]
    if missing:
        raise ValueError(
            f"a call of the module must call each layer; exclude others by skip=. Received: {counted(missing)}"
        )
    return measured


def _weights(module: nn.Module, only: Selection, skip: Selection) -> dict[nn.Module, Entry]:
    """Return the layers to initialize, each with its weight."""
    entries = [
        entry
        for entry in tensors_of(module, "")
        if isinstance(entry.layers[-1], LAYERS) and entry.tensor is entry.layers[-1].weight
    ]
    chosen = [entry for entry, want in zip(entries, selected(entries, only, skip), strict=True) if want]
    if not chosen:
        raise ValueError("a module must have a linear or convolutional layer to initialize. Received: none")
    bad = [entry.name for entry in chosen if entry.tensor.is_meta or is_distributed(entry.tensor)]
    if bad:
        raise ValueError(f"a weight must have memory, and must not be sharded. Received: {counted(bad)}")
    return {entry.layers[-1]: entry for entry in chosen}


def _bias_of(layer: nn.Module, entry: Entry) -> str | None:
    if layer.bias is None:
        return None
    return entry.name.removesuffix("weight") + "bias"


def _is(*names: str) -> Callable[[str, Any], bool]:
    """Return a selector of exact names; patterns would interpret characters such as `*`."""
    known = frozenset(names)

    def is_named(name: str, tensor: Any) -> bool:
        return name in known

    return is_named


def _scaler(name: str, measured: dict[str, Measured], tolerance: float, most: int) -> Callable[..., Any]:
    """Return a hook that scales the weight of a layer at its first call, and returns the new outputs."""

    def scale(layer: Any, inputs: Any, named: Any, outputs: Any) -> Any:
        if name in measured:
            return None
        total, calls = 1.0, 1
        while True:
            variance = outputs.double().var(correction=0).item()
            if not (math.isfinite(variance) and variance > 0):
                raise ValueError(
                    f"{name}: the outputs of a layer must have a variance that is positive and finite. "
                    f"Received: {variance} on this batch"
                )
            if abs(variance - 1) < tolerance or calls >= most:
                break
            layer.weight.div_(math.sqrt(variance))
            total /= math.sqrt(variance)
            outputs, calls = layer.forward(*inputs, **named), calls + 1
        measured[name] = Measured(total, variance, calls)
        return outputs

    return scale


def _call(module: nn.Module, batch: Any) -> None:
    if isinstance(batch, Mapping):
        module(**batch)
    elif isinstance(batch, tuple):
        module(*batch)
    else:
        module(batch)

"""`lsuv_`: orthogonal kernels, scaled by what a model's activations are on a batch."""

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
from seedbed.torch.deciding import check_module, tensors_of
from seedbed.torch.initialize import initialize_
from seedbed.torch.memory import is_distributed
from seedbed.torch.module_tensors import Entry

LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
"""Layers whose outputs are in proportion to their weights, if their biases are zeros."""


class Measured(NamedTuple):
    """What was measured of a layer, and done to its weight."""

    scale: float
    """What the orthogonal kernel was multiplied by."""
    variance: float
    """The variance of the layer's outputs after that."""
    calls: int
    """How often the layer was called to measure it."""


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

    The weights of linear and convolutional layers become orthogonal matrices of (out, rest), their biases zeros. Then
    the module is called on the batch, in its present mode, without gradients: as each layer is reached, its weight is
    divided by the standard deviation of its outputs until their variance is within the tolerance of 1, and the layers
    after it get the new outputs (Mishkin & Matas 2016, algorithm 1). All other parameters stay as they are.

    The orthogonal matrices have the bits of `initialize_`; the numbers that scale them are measured, and depend on how
    the device sums.

    Arguments:
        module: a model with memory, whose weights are whole.
        batch: what the module is called with: a tensor, a tuple of arguments, or a mapping of named ones.
        seed: an integer in [-2**255, 2**255), or a generator, from which only children are taken.
        tolerance: how far from 1 the variance may be.
        max_calls: the most calls of a layer; what is then outside the tolerance stays so.
        only: a selector of weights, or several, as for `initialize_`: no other layer is initialized.
        skip: a selector, or several: layers that stay as they are.

    Returns:
        What was measured, by the names of the weights, in the order of the layers' first calls.

    Raises:
        TypeError, ValueError: if an argument is not as described; a weight is on the meta device or sharded; the
            outputs of a layer have no variance; or a layer is not called, as `out_proj` of `nn.MultiheadAttention`,
            which computes its outputs without it.

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
            f"a layer must be called when the module is; skip= leaves others as they are. Received: {counted(missing)}"
        )
    return measured


def _weights(module: nn.Module, only: Selection, skip: Selection) -> dict[nn.Module, Entry]:
    """The layers that are initialized, and their weights."""
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
        raise ValueError(f"a weight must have memory, and be whole. Received: {counted(bad)}, which is not so")
    return {entry.layers[-1]: entry for entry in chosen}


def _bias_of(layer: nn.Module, entry: Entry) -> str | None:
    if layer.bias is None:
        return None
    return entry.name.removesuffix("weight") + "bias"


def _is(*names: str) -> Callable[[str, Any], bool]:
    """A selector of names, whatever characters they have."""
    known = frozenset(names)

    def is_named(name: str, tensor: Any) -> bool:
        return name in known

    return is_named


def _scaler(name: str, measured: dict[str, Measured], tolerance: float, most: int) -> Callable[..., Any]:
    """A hook that scales the weight of a layer at its first call, and returns the new outputs."""

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

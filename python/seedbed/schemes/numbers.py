"""The numbers of a model: checked where a scheme gets them, and read from the tensors of a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from seedbed.arguments import as_count, as_finite, shortened
from seedbed.plan import Plan
from seedbed.schemes import roles
from seedbed.schemes.roles import Roles
from seedbed.shapes import Shape

count = as_count
"""A positive integer, or a ValueError that names the number."""

_CONFIG = {
    "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads"),
    "kv_heads": ("num_key_value_heads", "n_kv_heads"),
}


def counts(**numbers: int | None) -> dict[str, Any]:
    """Return numbers that must be positive integers; None is a number that is not given.

    Raises:
        ValueError: if one is not, which the error names.
    """
    return {what: None if number is None else count(what, number) for what, number in numbers.items()}


def positive(what: str, value: object) -> float:
    """Return a positive finite number as a float.

    Raises:
        ValueError: if it is not one.
    """
    number = as_finite(what, value)
    if number <= 0:
        raise ValueError(f"{what} must be positive. Received: {what}={shortened(value)}")
    return number


class _Tensor(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> Shape: ...


def numbers_of(
    tensors: Plan | Sequence[_Tensor], config: Mapping[str, Any] | None = None, known: Roles | None = None
) -> Mapping[str, int]:
    """Return the numbers of a model, as far as names, shapes and a configuration say them.

    Arguments:
        tensors: a plan, or anything with names and shapes.
        config: the configuration of a plan that has none of its own.
        known: the roles of names; by default those of `seedbed.schemes.roles`.

    Returns:
        ``width``; ``layers``, or ``encoder_layers`` and ``decoder_layers`` where there are both; ``heads`` and
        ``kv_heads`` where the configuration has them.

    >>> from seedbed.plan import load_plan
    >>> numbers_of(load_plan("llama-3-8b"))
    {'layers': 32, 'width': 4096, 'heads': 32, 'kv_heads': 8}
    """
    if isinstance(tensors, Plan):
        return numbers_of(tensors.tensors, tensors.config, known)
    known = known or Roles()
    found: dict[str, int] = {}
    layers: dict[str, int] = {}
    widths: Counter[int] = Counter()
    for tensor in tensors:
        layer = roles.layer_of(tensor.name)
        if layer is not None:
            side = roles.side_of(tensor.name)
            layers[side] = max(layers.get(side, 0), layer + 1)
        role = known.of(tensor.name)
        if role == roles.EMBEDDING and len(tensor.shape) == 2:
            widths[tensor.shape[-1]] += len(tensors)
        elif role == roles.NORM and tensor.shape:
            widths[tensor.shape[-1]] += 1
    if {"encoder", "decoder"} <= layers.keys():
        found |= {"encoder_layers": layers["encoder"], "decoder_layers": layers["decoder"]}
    elif layers:
        found["layers"] = max(layers.values())
    if widths:
        found["width"] = widths.most_common(1)[0][0]
    for name, keys in _CONFIG.items():
        values = [config[key] for key in keys if config and type(config.get(key)) is int]
        if values:
            found[name] = values[0]
    return found

"""The numbers of a model, such as its width: checks of them, and `numbers_of`, which reads them from a plan."""

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
"""Return a positive integer, or raise an error that names the number."""

_CONFIG = {
    "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads"),
    "kv_heads": ("num_key_value_heads", "n_kv_heads"),
}
"""Keys of a Hugging Face configuration for a number, the first one found counts."""


def counts(**numbers: int | None) -> dict[str, Any]:
    """Return numbers by name, each a positive integer, or None if it is not given.

    Raises:
        TypeError, ValueError: if one is not a positive integer; the error names it.
    """
    return {what: None if number is None else count(what, number) for what, number in numbers.items()}


def positive(what: str, value: object) -> float:
    """Return a positive finite number as a float.

    Raises:
        TypeError, ValueError: if it is not one.
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
    """Return the numbers of a model that its names, shapes and configuration determine.

    Arguments:
        tensors: a plan, or a sequence of objects with `name` and `shape`.
        config: a Hugging Face configuration as a mapping, for a sequence. A plan has its own.
        known: the roles of names; by default those of `seedbed.schemes.roles`.

    Returns:
        A dict with those that are known of ``width``; ``layers``, or ``encoder_layers`` and ``decoder_layers`` for a
        model with both; ``heads`` and ``kv_heads``, from the configuration.

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

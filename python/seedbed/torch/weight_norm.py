"""Weight normalization: a weight is g v / |v|, and its magnitude g is initialized with the norms of its direction v.

For `torch.nn.utils.parametrizations.weight_norm` and the older `torch.nn.utils.weight_norm`.
"""

from __future__ import annotations

from typing import Any

from torch.nn.utils import parametrize
from torch.nn.utils.weight_norm import WeightNorm

from seedbed.torch.module_tensors import Entry


def direction_of(entry: Entry) -> Any:
    """Return the direction of a weight norm whose magnitude a tensor is; None for any other tensor."""
    owner, key = entry.places[0]
    if isinstance(owner, parametrize.ParametrizationList):
        (part, *more) = owner
        is_weight_norm = type(part).__module__ == "torch.nn.utils.parametrizations" and hasattr(part, "dim")
        if key == "original0" and is_weight_norm and type(part).__name__ == "_WeightNorm" and not more:
            return owner.original1
        return None
    for hook in owner._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm) and key == f"{hook.name}_g":
            return owner._parameters.get(f"{hook.name}_v")
    return None

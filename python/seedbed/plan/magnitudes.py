"""Magnitudes of weight normalization in a plan: tensors that have the norms of another one, their direction.

A magnitude has the initializer `Norms`, and `seed_of` names the seed that its direction draws from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from seedbed.dtypes import name_of
from seedbed.initializers import Initializer, Norms
from seedbed.plan.tensor import PlannedTensor
from seedbed.seeds import UNBOUND
from seedbed.strict_json import shown

SOURCE = "norms of its direction"
"""The source of a magnitude."""


def is_magnitude(tensor: PlannedTensor) -> bool:
    """Whether a tensor has the norms of another one."""
    return tensor.seed_of is not None and isinstance(tensor.initializer, Norms)


def directions_of(tensors: Iterable[PlannedTensor]) -> dict[str, PlannedTensor]:
    """Return the direction of each magnitude, by the name of the magnitude, if it is among the tensors."""
    known = tuple(tensors)
    magnitudes = [tensor for tensor in known if is_magnitude(tensor)]
    if not magnitudes:
        return {}
    own = {tensor.seed_name: tensor for tensor in known if tensor.seed_of is None}
    return {tensor.name: own[name] for tensor in magnitudes if (name := tensor.seed_name) in own}


def norms_of(initializer: Initializer, direction: PlannedTensor) -> Norms:
    """Return the initializer of a magnitude whose direction has an initializer."""
    return Norms(initializer, direction.whole_shape, UNBOUND)


def with_norms(tensors: Iterable[PlannedTensor], changed: Mapping[str, PlannedTensor]) -> list[PlannedTensor]:
    """Return the tensors after some of them have changed.

    A magnitude that has not changed gets the norms of its changed direction.
    """
    known = tuple(tensors)
    directions = directions_of(known)
    made = []
    for tensor in known:
        now = changed.get(tensor.name, tensor)
        direction = directions.get(tensor.name)
        if direction is not None and now is tensor and direction.name in changed:
            now = replace(tensor, initializer=norms_of(changed[direction.name].initializer, direction))
        made.append(now)
    return made


def check_norms(tensors: Iterable[PlannedTensor]) -> None:
    """Raise a ValueError if a magnitude does not have the norms of its direction."""
    known = {tensor.name: tensor for tensor in tensors}
    for name, direction in directions_of(known.values()).items():
        tensor = known[name]
        if tensor.initializer != norms_of(direction.initializer, direction):
            raise ValueError(
                f"{shown(name)}: a tensor with the seed of {shown(direction.name)} must have the norms of that tensor, "
                f"{norms_of(direction.initializer, direction)}. Received: {tensor.initializer}"
            )
        if tensor.dtype != direction.dtype:
            raise ValueError(
                f"{shown(name)}: norms must have the dtype of the tensor, {name_of(direction.dtype)} of "
                f"{shown(direction.name)}. Received: {name_of(tensor.dtype)}"
            )

"""`Weight`: the properties of a weight that the formulas of schemes use, such as its role, layer and fans."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from seedbed.schemes import roles
from seedbed.shapes import Shape

FROM_WIDTH = frozenset(
    {
        *(roles.QUERY, roles.KEY, roles.VALUE, roles.KEY_VALUE, roles.QKV, roles.ROUTER, roles.HEAD),
        *(roles.GATE, roles.UP, roles.GATE_UP, roles.EXPERT_GATE, roles.EXPERT_UP, roles.EXPERT_GATE_UP),
    }
)
"""Roles of kernels whose input has the width of the model."""

TO_WIDTH = frozenset({roles.ATTENTION_OUTPUT, roles.DOWN, roles.EXPERT_DOWN})
"""Roles of kernels whose output has the width of the model."""

PACKED: Mapping[str, int] = {roles.KEY_VALUE: 2, roles.GATE_UP: 2, roles.EXPERT_GATE_UP: 2}
"""Roles of kernels that pack several kernels of the same shape, and the number of these."""


class Fans(NamedTuple):
    """The fans of a kernel."""

    fan_in: int
    fan_out: int


@dataclass(frozen=True)
class Weight:
    """A weight of a model."""

    name: str
    role: str
    shape: Shape
    numbers: Mapping[str, Any]
    """The numbers of the scheme, such as layers and width, by name."""
    whole_shape: Shape
    """Shape of the tensor of which the weight is a part, or its own shape."""

    @property
    def is_part(self) -> bool:
        """Whether the weight is a part of another tensor, and gets the values at its position in that."""
        return self.whole_shape != self.shape

    @cached_property
    def number(self) -> int | None:
        """Number of its layer, counted from 0; None for a weight outside of layers."""
        return roles.layer_of(self.name)

    @property
    def layer(self) -> int:
        """Number of its layer, counted from 0.

        Raises:
            ValueError: if its name has no number of a layer.
        """
        if self.number is None:
            raise ValueError(
                f"{self.name}: the scheme needs the number of the layer, which a name such as layers.3.mlp.weight has. "
                "Received: a name without one"
            )
        return self.number

    @cached_property
    def side(self) -> str:
        """Its stack, "encoder" or "decoder"; an empty string if its name has neither."""
        return roles.side_of(self.name)

    @cached_property
    def is_cross(self) -> bool:
        """Whether it belongs to an attention layer of a decoder that attends to an encoder."""
        return roles.is_cross(self.name)

    @cached_property
    def stacked(self) -> int:
        """Number of kernels stacked along the first axis, one for each expert; otherwise 1."""
        return self.shape[0] if self.role in roles.EXPERTS and len(self.shape) == 3 else 1

    @cached_property
    def fans(self) -> Fans:
        """The fans of the kernel. For packed kernels, those of one; for packed queries, keys and values, those of all.

        The axis with the width of the model is the input or the output, depending on the role, in any layout. A kernel
        of a role without the width is (in, out) if it is named ``kernel`` or ``w``, otherwise (out, in, ...).

        Raises:
            ValueError: if the weight is not a kernel, or the width is not the length of one of its axes.
        """
        if len(self.shape) < 2:
            raise ValueError(f"{self.name}: a kernel must have two axes or more. Received: the shape {self.shape}")
        if self.role in (roles.EMBEDDING, roles.POSITION):
            return Fans(math.prod(self.shape[:-1]), self.shape[-1])
        each = math.prod(self.shape) // self.stacked // PACKED.get(self.role, 1)
        width = self.numbers.get("width")
        if width is None or self.role not in FROM_WIDTH | TO_WIDTH:
            return self._fans_by_layout()
        if width not in self.shape or each % width:
            raise ValueError(
                f"{self.name}: width must be the length of an axis of {self.shape}. Received: width={width}"
            )
        return Fans(width, each // width) if self.role in FROM_WIDTH else Fans(each // width, width)

    @property
    def output_axis(self) -> int:
        """The axis of the outputs: the last one if the name ends in ``kernel`` or ``w``, otherwise the first one."""
        return -1 if roles.plain(self.name).rpartition(".")[2] in ("kernel", "w") else 0

    def _fans_by_layout(self) -> Fans:
        kernel = self.shape[1:] if self.stacked > 1 else self.shape
        if self.output_axis == -1:
            *receptive, fan_in, fan_out = kernel
        else:
            fan_out, fan_in, *receptive = kernel
        field = math.prod(receptive)
        return Fans(fan_in * field, fan_out * field // PACKED.get(self.role, 1))

    def value_regions(self) -> list[tuple[Any, ...]]:
        """Return the indices of the values in a kernel that packs queries, keys and values, or keys and values.

        Kernels named ``query_key_value`` and ``linear_qkv`` are packed head by head, as in gpt-neox and Megatron: for
        each group of heads its queries, its key and its value. All others have all queries, then all keys, then all
        values.

        Raises:
            ValueError: if the number of heads is needed and unknown, or does not match the shape.
        """
        axis = self._packed_axis()
        length = self.shape[axis]
        heads, groups = self.numbers.get("heads"), self.numbers.get("kv_heads") or self.numbers.get("heads")
        width = self.numbers["width"]
        if self.role == roles.KEY_VALUE:
            starts, count = [length // 2], length // 2
        elif length == 3 * width and not self._is_interleaved:
            starts, count = [2 * width], width
        elif heads is None or groups is None:
            raise ValueError(
                f"{self.name}: heads must be the number of heads, and kv_heads that of keys, to find the values in a "
                f"kernel of queries, keys and values. Received: heads={heads}, kv_heads={groups}"
            )
        else:
            size, rest = divmod(length, heads + 2 * groups)
            if rest or heads % groups:
                raise ValueError(
                    f"{self.name}: heads + 2 kv_heads must divide {length}, and kv_heads divide heads. "
                    f"Received: heads={heads}, kv_heads={groups}"
                )
            if self._is_interleaved:
                group = (heads // groups + 2) * size
                starts, count = [(number + 1) * group - size for number in range(groups)], size
            else:
                starts, count = [(heads + groups) * size], groups * size
        before = (slice(None),) * axis
        return [(*before, slice(start, start + count)) for start in starts]

    @property
    def _is_interleaved(self) -> bool:
        return any(part in roles.plain(self.name) for part in ("query_key_value", "linear_qkv"))

    def _packed_axis(self) -> int:
        if len(self.shape) != 2:
            raise ValueError(
                f"{self.name}: a kernel of queries, keys and values must have two axes. Received: {self.shape}"
            )
        width = self.numbers.get("width")
        if self.shape[0] == width != self.shape[1]:
            return 1
        if width not in self.shape:
            raise ValueError(
                f"{self.name}: width must be the length of an axis of {self.shape}. Received: width={width}"
            )
        return 0

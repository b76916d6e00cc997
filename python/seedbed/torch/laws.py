"""What torch's own layers begin as: their laws, in a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any, ClassVar, TypeAlias

import numpy as np
from torch import nn

import seedbed as sb
from seedbed.initializers import Initializer
from seedbed.regions import Axis, axes_of
from seedbed.rules import Rule
from seedbed.shapes import Shape


@dataclass(slots=True)
class _Padded(Rule):
    """Another rule, but for a row of zeros."""

    rule: Rule
    shape: Shape
    row: int

    @property
    def needs_whole(self) -> bool:
        return self.rule.needs_whole

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        self.rule.write(out, axes)
        _, start, step, count = (axes_of(self.shape) if axes is None else axes)[0]
        index, rest = divmod(self.row - start, step)
        if not rest and 0 <= index < count:
            out.reshape(count, -1)[index] = 0


class _PaddedNormal(sb.RandomNormal):
    """A standard normal, but for the row of zeros that stands for padding."""

    parameters: ClassVar[tuple[str, ...]] = ("padding_idx", "seed")

    def __init__(self, padding_idx: int, seed: Any = None) -> None:
        super().__init__(0.0, 1.0, seed)
        self.padding_idx = padding_idx

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        return _Padded(super().rule(shape, dtype), shape, self.padding_idx)


def _within_root(size: int) -> Initializer:
    bound = 1 / math.sqrt(size) if size else 0.0
    return sb.RandomUniform(-bound, bound, seed=NO_SEED)


def _by_fan_in(layer: Any, tensor: Any) -> Initializer:
    return _within_root(math.prod(layer.weight.shape[1:]))


def _by_first_input(layer: Any, tensor: Any) -> Initializer:
    return _within_root(layer.in1_features)


def _by_hidden_size(layer: Any, tensor: Any) -> Initializer:
    return _within_root(layer.hidden_size)


def _embedded(layer: Any, tensor: Any) -> Initializer:
    if layer.padding_idx is None:
        return sb.RandomNormal(0.0, 1.0, seed=NO_SEED)
    return _PaddedNormal(layer.padding_idx, seed=NO_SEED)


def _slope(layer: Any, tensor: Any) -> Initializer:
    return sb.Constant(layer.init)


def _if_matrix(layer: Any, tensor: Any) -> Initializer | None:
    return _XAVIER_UNIFORM if tensor.ndim > 1 else None


_Law: TypeAlias = "Initializer | Callable[[Any, Any], Initializer | None]"
"""What a tensor of a layer begins as; or a function of both that tells, None where the law does not speak of it."""

NO_SEED = 0
"""Each tensor gets its own. Without one, an initializer would draw it here, from Python's `random`."""

_ZEROS, _ONES = sb.Zeros(), sb.Ones()
_KAIMING_UNIFORM = sb.KaimingUniform(math.sqrt(5), seed=NO_SEED, layout="torch")
_XAVIER_UNIFORM = sb.XavierUniform(seed=NO_SEED, layout="torch")
_XAVIER_NORMAL = sb.XavierNormal(seed=NO_SEED, layout="torch")

_KERNEL: Mapping[str, _Law] = {"weight": _KAIMING_UNIFORM, "bias": _by_fan_in}
_NORM: Mapping[str, _Law] = {"weight": _ONES, "bias": _ZEROS}
_RECURRENT: Mapping[str, _Law] = {  # not the parts, _g and _v, into which `weight_norm` divides a weight
    "weight_*[!gv]": _by_hidden_size,
    "bias_*": _by_hidden_size,
}

_LAWS: Mapping[type, Mapping[str, _Law]] = {
    nn.Linear: _KERNEL,
    nn.modules.conv._ConvNd: _KERNEL,
    nn.Bilinear: {"weight": _by_first_input, "bias": _by_first_input},
    nn.Embedding: {"weight": _embedded},
    nn.EmbeddingBag: {"weight": _embedded},
    nn.LayerNorm: _NORM,
    nn.GroupNorm: _NORM,
    nn.RMSNorm: _NORM,
    nn.modules.batchnorm._NormBase: {
        **_NORM,
        "running_mean": _ZEROS,
        "running_var": _ONES,
        "num_batches_tracked": _ZEROS,
    },
    nn.PReLU: {"weight": _slope},
    nn.RNNBase: _RECURRENT,
    nn.RNNCellBase: _RECURRENT,
    nn.MultiheadAttention: {
        "in_proj_weight": _XAVIER_UNIFORM,
        "[qkv]_proj_weight": _XAVIER_UNIFORM,
        "in_proj_bias": _ZEROS,
        "out_proj.bias": _ZEROS,
        "bias_[kv]": _XAVIER_NORMAL,
    },
    nn.Transformer: {"*": _if_matrix},
}
"""By class and name pattern, what torch's own `reset_parameters` makes. A layer speaks of the tensors of its parts too,
and before they do."""


def laws_of(module: nn.Module) -> dict[int, Initializer]:
    """What the layers of a module say of its tensors, by the tensors' identities; of a shared one, the first layer."""
    laws: dict[int, Initializer] = {}
    for layer in module.modules():  # each before its parts
        rows = _rows(type(layer))
        for name, tensor in chain(layer.named_parameters(), layer.named_buffers()) if rows else ():
            law = next((law for pattern, law in rows.items() if fnmatchcase(name, pattern)), None)
            made = law if law is None or isinstance(law, Initializer) else law(layer, tensor)
            if made is not None:
                laws.setdefault(id(tensor), made)
    return laws


def _rows(cls: type) -> Mapping[str, _Law]:
    """The laws of a class, or of the one that it derives from without a reset of its own."""
    base = next((base for base in cls.__mro__ if base in _LAWS), cls)
    resets = ("reset_parameters", "_reset_parameters", "reset_running_stats")
    same = all(getattr(cls, reset, None) is getattr(base, reset, None) for reset in resets)
    return _LAWS.get(base, {}) if same else {}

"""Schemes of GPT-NeoX and MPT, most of them functions of the width: small init, Wang, scaled orthogonal."""

from __future__ import annotations

import math

from seedbed.schemes import roles
from seedbed.schemes.formulas import EMBEDDINGS, EVERY, HIDDEN, OUTPUTS, normal, orthogonal, table
from seedbed.schemes.numbers import count, counts, positive
from seedbed.schemes.registry import scheme
from seedbed.schemes.scheme import Scheme

_NEOX = "gpt-neox, megatron/model/init_functions.py"
_MPT = "llm-foundry, llmfoundry/models/utils/param_init_fns.py"


@scheme(f"Nguyen & Salazar 2019; {_NEOX}, small_init")
def small_init(*, width: int) -> Scheme:
    """Small initialization: all weights N(0, √(2/(5d))).

    Arguments:
        width: width of the model, d, a positive integer.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (160, 40)}
    >>> for tensor in seedbed.schemes.small_init(width=40).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight RandomNormal(mean=0.0, stddev=0.1)
    """
    numbers = counts(width=width)
    return Scheme(numbers, table((EVERY, normal("√(2/(5d))", _small(width)))))


@scheme(f"Black et al. 2022, GPT-NeoX-20B, section 2.3.1; {_NEOX}, small_init and wang_init")
def wang(*, layers: int, width: int) -> Scheme:
    """GPT-NeoX-20B: all weights N(0, √(2/(5d))), outputs of attention and feed-forward layers N(0, 2/(L√d)).

    Arguments:
        layers: number of layers, L, a positive integer.
        width: width of the model, d, a positive integer.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (64, 16), "layers.1.mlp.down_proj.weight": (16, 64)}
    >>> for tensor in seedbed.schemes.wang(layers=8, width=16).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight RandomNormal(mean=0.0, stddev=0.15811388300841897)
    layers.1.mlp.down_proj.weight RandomNormal(mean=0.0, stddev=0.0625)
    """
    numbers = counts(layers=layers, width=width)
    rows = table(
        (EVERY, normal("√(2/(5d))", _small(width))),
        (OUTPUTS, normal("2/(L√d)", 2 / (layers * math.sqrt(width)))),
    )
    return Scheme(numbers, rows, stacks="one")


@scheme(f"{_NEOX}, scaled_orthogonal")
def scaled_orthogonal(*, layers: int, stddev: float = 0.02) -> Scheme:
    """Kernels are orthogonal matrices times √(2/L); embeddings and the head are N(0, σ).

    Arguments:
        layers: number of layers, L, a positive integer.
        stddev: standard deviation σ of embeddings and head, a positive number.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive. When applied, ValueError, if a
            kernel is a part of another tensor.

    >>> import seedbed.schemes
    >>> shapes = {"embed_tokens.weight": (50, 8), "layers.0.mlp.up_proj.weight": (32, 8)}
    >>> for tensor in seedbed.schemes.scaled_orthogonal(layers=8).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    embed_tokens.weight RandomNormal(mean=0.0, stddev=0.02)
    layers.0.mlp.up_proj.weight Orthogonal(gain=0.5, column_axis=0)
    """
    numbers = counts(layers=layers) | {"stddev": positive("stddev", stddev)}
    rows = table(
        ((*EMBEDDINGS, roles.HEAD), normal("σ", stddev)),
        (HIDDEN, orthogonal("√(2/L)", math.sqrt(2 / layers))),
    )
    return Scheme(numbers, rows, stacks="one")


@scheme(f"{_MPT}, small_param_init_fn_")
def mpt_small(*, layers: int, width: int, embedding_stddev: float | None = None) -> Scheme:
    """MPT's "small_init_": all weights N(0, √(2/(5d))), outputs of branches N(0, √(2/(5d))/√(2L)).

    The outputs of branches are those of attention and feed-forward layers.

    Arguments:
        layers: number of layers, L, a positive integer.
        width: width of the model, d, a positive integer.
        embedding_stddev: standard deviation of embeddings, a positive number; by default that of other weights.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (160, 40), "layers.1.mlp.down_proj.weight": (40, 160)}
    >>> for tensor in seedbed.schemes.mpt_small(layers=8, width=40).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight RandomNormal(mean=0.0, stddev=0.1)
    layers.1.mlp.down_proj.weight RandomNormal(mean=0.0, stddev=0.025)
    """
    return _mpt(layers, width, embedding_stddev, "√(2L)", math.sqrt(2 * count("layers", layers)))


@scheme(f"{_MPT}, neox_param_init_fn_")
def mpt_neox(*, layers: int, width: int, embedding_stddev: float | None = None) -> Scheme:
    """MPT's "neox_init_": all weights N(0, √(2/(5d))), outputs of branches N(0, √(2/(5d))√10/L).

    The outputs of branches are those of attention and feed-forward layers. They have the standard deviation of `wang`,
    2/(L√d).

    Arguments:
        layers: number of layers, L, a positive integer.
        width: width of the model, d, a positive integer.
        embedding_stddev: standard deviation of embeddings, a positive number; by default that of other weights.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (160, 40), "layers.1.mlp.down_proj.weight": (40, 160)}
    >>> for tensor in seedbed.schemes.mpt_neox(layers=8, width=40).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight RandomNormal(mean=0.0, stddev=0.1)
    layers.1.mlp.down_proj.weight RandomNormal(mean=0.0, stddev=0.03952847075210474)
    """
    return _mpt(layers, width, embedding_stddev, "(L/√10)", count("layers", layers) / math.sqrt(10))


def _mpt(layers: int, width: int, embedding_stddev: float | None, text: str, divisor: float) -> Scheme:
    numbers = counts(layers=layers, width=width)
    sigma = _small(width)
    embedding = sigma if embedding_stddev is None else positive("embedding_stddev", embedding_stddev)
    rows = table(
        (EVERY, normal("√(2/(5d))", sigma)),
        (OUTPUTS, normal(f"√(2/(5d))/{text}", sigma / divisor)),
        (roles.EMBEDDING, normal("√(2/(5d))" if embedding_stddev is None else "σ_embedding", embedding)),
        (roles.POSITION, normal("√(2/(5d))" if embedding_stddev is None else "σ_embedding", embedding)),
    )
    return Scheme(numbers | {"embedding_stddev": embedding_stddev}, rows, stacks="one")


def _small(width: int) -> float:
    return math.sqrt(2 / (5 * width))

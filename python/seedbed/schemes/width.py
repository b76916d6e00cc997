"""Schemes whose standard deviations are functions of the width: small init, Wang, scaled orthogonal, MPT's."""

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
    """All weights N(0, √(2/(5d))).

    Arguments:
        width: width of the model, d.

    Raises:
        ValueError: if a number is not positive.
    """
    numbers = counts(width=width)
    return Scheme(numbers, table((EVERY, normal("√(2/(5d))", _small(width)))))


@scheme(f"Black et al. 2022, GPT-NeoX-20B, section 2.3.1; {_NEOX}, small_init and wang_init")
def wang(*, layers: int, width: int) -> Scheme:
    """GPT-NeoX-20B's: all N(0, √(2/(5d))), outputs of attention and feed-forward layers N(0, 2/(L√d)).

    Arguments:
        layers: number of layers, L.
        width: width of the model, d.

    Raises:
        ValueError: if a number is not positive.
    """
    numbers = counts(layers=layers, width=width)
    rows = table(
        (EVERY, normal("√(2/(5d))", _small(width))),
        (OUTPUTS, normal("2/(L√d)", 2 / (layers * math.sqrt(width)))),
    )
    return Scheme(numbers, rows, stacks="one")


@scheme(f"{_NEOX}, scaled_orthogonal")
def scaled_orthogonal(*, layers: int, stddev: float = 0.02) -> Scheme:
    """Kernels orthogonal, times √(2/L); embeddings and head N(0, σ).

    Arguments:
        layers: number of layers, L.
        stddev: σ.

    Raises:
        ValueError: if a number is not positive; for a kernel that is a part of another tensor.
    """
    numbers = counts(layers=layers) | {"stddev": positive("stddev", stddev)}
    rows = table(
        ((*EMBEDDINGS, roles.HEAD), normal("σ", stddev)),
        (HIDDEN, orthogonal("√(2/L)", math.sqrt(2 / layers))),
    )
    return Scheme(numbers, rows, stacks="one")


@scheme(f"{_MPT}, small_param_init_fn_")
def mpt_small(*, layers: int, width: int, embedding_stddev: float | None = None) -> Scheme:
    """All weights N(0, √(2/(5d))), outputs of attention and feed-forward layers ÷ √(2L).

    Arguments:
        layers: number of layers, L.
        width: width of the model, d.
        embedding_stddev: standard deviation of embeddings; that of all others by default.

    Raises:
        ValueError: if a number is not positive.
    """
    return _mpt(layers, width, embedding_stddev, "√(2L)", math.sqrt(2 * count("layers", layers)))


@scheme(f"{_MPT}, neox_param_init_fn_")
def mpt_neox(*, layers: int, width: int, embedding_stddev: float | None = None) -> Scheme:
    """All weights N(0, √(2/(5d))), outputs of attention and feed-forward layers ÷ (L/√10), which is Wang's.

    Arguments:
        layers: number of layers, L.
        width: width of the model, d.
        embedding_stddev: standard deviation of embeddings; that of all others by default.

    Raises:
        ValueError: if a number is not positive.
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

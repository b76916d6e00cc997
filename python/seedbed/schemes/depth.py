"""Schemes of decoders whose residual outputs shrink with depth: GPT-2, Megatron, torchtitan, OLMo, Mitchell."""

from __future__ import annotations

import math

from seedbed.schemes import roles
from seedbed.schemes.formulas import EMBEDDINGS, EVERY, HIDDEN, OUTPUTS, Formula, Table, normal, table
from seedbed.schemes.numbers import counts, positive
from seedbed.schemes.registry import scheme
from seedbed.schemes.scheme import Scheme
from seedbed.schemes.weight import Weight


@scheme("Radford et al. 2019, section 2.3; transformers, modeling_gpt2.py")
def gpt2(*, layers: int, stddev: float = 0.02) -> Scheme:
    """All weights N(0, σ); outputs of attention and feed-forward layers N(0, σ/√(2L)).

    Arguments:
        layers: number of layers, L.
        stddev: σ.

    Raises:
        ValueError: if a number is not positive.
    """
    numbers = counts(layers=layers) | {"stddev": positive("stddev", stddev)}
    rows = table(
        (EVERY, normal("σ", stddev)),
        (OUTPUTS, normal("σ/√(2L)", stddev / math.sqrt(2 * layers))),
    )
    return Scheme(numbers, rows, stacks="one")


@scheme("Megatron-LM, megatron/core/utils.py and transformer/transformer_config.py")
def megatron(
    *,
    layers: int,
    stddev: float = 0.02,
    embedding_stddev: float | None = None,
    width: int | None = None,
    base_width: int | None = None,
) -> Scheme:
    """GPT-2's, with σ of its own for embeddings; with base_width the µP form: hidden weights ÷ √(width/base_width).

    Arguments:
        layers: number of layers, L.
        stddev: σ.
        embedding_stddev: standard deviation of embeddings, and of the head in the µP form; σ by default.
        width: width of the model, d; needed with `base_width`.
        base_width: width of the model at which µP changes nothing.

    Raises:
        ValueError: if a number is not positive, or `base_width` is given without `width`.
    """
    numbers = counts(layers=layers) | {"stddev": positive("stddev", stddev)}
    embedding = stddev if embedding_stddev is None else positive("embedding_stddev", embedding_stddev)
    numbers |= {"embedding_stddev": embedding}
    factor, text = 1.0, "σ"
    if base_width is not None:
        if width is None:
            raise ValueError("megatron: width must come with base_width. Received: width=None")
        numbers |= counts(width=width, base_width=base_width)
        factor, text = math.sqrt(width / base_width), "σ/√(d/d₀)"
    rows = table(
        (EVERY, normal(text, stddev / factor)),
        (OUTPUTS, normal(f"{text}/√(2L)", stddev / factor / math.sqrt(2 * layers))),
        (EMBEDDINGS, normal("σ_embedding", embedding)),
        (roles.HEAD, normal("σ", stddev) if base_width is None else normal("σ_embedding", embedding)),
    )
    return Scheme(numbers, rows, stacks="one")


@scheme("torchtitan, torchtitan/models/llama3/__init__.py and common/param_init.py")
def torchtitan(*, width: int, layers: int | None = None, stddev: float = 0.02) -> Scheme:
    """Llama 3's: embeddings N(0, 1); outputs and the up projection σ/√(2(l+1)), or σ/√(2L); head d^-½ cut at 3.

    torchtitan cuts σ at ±2, which is 100 standard deviations away: that is no cut.

    Arguments:
        width: width of the model, d.
        layers: number of layers, L, for /√(2L); None for /√(2(l+1)) with the number l of the layer, from 0.
        stddev: σ.

    Raises:
        ValueError: if a number is not positive.
    """
    numbers = counts(width=width, layers=layers) | {"stddev": positive("stddev", stddev)}
    deep = _by_depth(stddev, layers, None)
    rows = table(
        (HIDDEN, normal("σ", stddev)),
        ((*OUTPUTS, roles.UP), deep),
        (EMBEDDINGS, normal("1", 1.0)),
        (roles.HEAD, normal("d^-½", width**-0.5, 3)),
        (roles.ROUTER, deep),
    )
    return Scheme(numbers, rows, stacks="one")


_OLMO = "OLMo-core, olmo_core/nn/transformer/init.py and nn/attention/__init__.py"


@scheme(f"{_OLMO}, InitMethod.normal")
def olmo(*, stddev: float = 0.02) -> Scheme:
    """All weights N(0, σ), cut at 3.

    Arguments:
        stddev: σ.

    Raises:
        ValueError: if a number is not positive.
    """
    return Scheme({"stddev": positive("stddev", stddev)}, table((EVERY, normal("σ", stddev, 3))))


@scheme(f"{_OLMO}, InitMethod.llama")
def llama(*, layers: int, width: int, stddev: float = 0.02) -> Scheme:
    """Embeddings N(0, 1); attention outputs, up and down σ/√(2L) cut at 3; head d^-½.

    Arguments:
        layers: number of layers, L.
        width: width of the model, d.
        stddev: σ.

    Raises:
        ValueError: if a number is not positive.
    """
    numbers = counts(layers=layers, width=width) | {"stddev": positive("stddev", stddev)}
    return Scheme(numbers, _llama_table(width, stddev, _by_depth(stddev, layers, 3)), stacks="one")


@scheme(f"{_OLMO}, InitMethod.llama_depth")
def llama_depth(*, width: int, layers: int | None = None, stddev: float = 0.02) -> Scheme:
    """Embeddings N(0, 1); attention outputs, up and down σ/√(2(l+1)) cut at 3; head d^-½.

    Arguments:
        width: width of the model, d.
        layers: number of layers, to check the numbers of layers, l, in the names.
        stddev: σ.

    Raises:
        ValueError: if a number is not positive.
    """
    numbers = counts(width=width, layers=layers) | {"stddev": positive("stddev", stddev)}
    return Scheme(numbers, _llama_table(width, stddev, _by_depth(stddev, None, 3)), stacks="one")


@scheme(f"{_OLMO}, InitMethod.normalized; Loshchilov et al. 2024, nGPT")
def normalized(*, layers: int, width: int, stddev: float = 0.02) -> Scheme:
    """nGPT's: all d^-½ cut at 3, outputs d^-½/√(2L); embeddings d^-½ without a cut.

    Arguments:
        layers: number of layers, L.
        width: width of the model, d.
        stddev: standard deviation of experts and routers, which OLMo leaves at it.

    Raises:
        ValueError: if a number is not positive.
    """
    numbers = counts(layers=layers, width=width) | {"stddev": positive("stddev", stddev)}
    sigma = width**-0.5
    rows = table(
        (EVERY, normal("d^-½", sigma, 3)),
        (OUTPUTS, normal("d^-½/√(2L)", sigma / math.sqrt(2 * layers), 3)),
        (EMBEDDINGS, normal("d^-½", sigma)),
        ((*roles.EXPERTS, roles.ROUTER), normal("σ", stddev, 3)),
    )
    return Scheme(numbers, rows, stacks="one")


@scheme(f"{_OLMO}, InitMethod.fan_in")
def fan_in(*, width: int) -> Scheme:
    """Each weight fan_in^-½, cut at 3; embeddings N(0, 1).

    Arguments:
        width: width of the model, d.

    Raises:
        ValueError: if a number is not positive.
    """
    rows = table(
        (EVERY, normal("fan_in^-½", lambda weight: weight.fans.fan_in**-0.5, 3)),
        (EMBEDDINGS, normal("1", 1.0)),
    )
    return Scheme(counts(width=width), rows)


@scheme("OLMo, olmo/model.py and olmo/initialization.py, InitFnType.mitchell")
def mitchell(*, width: int, layers: int | None = None) -> Scheme:
    """All d^-½ cut at 3; attention outputs 1/√(2d(l+1)); feed-forward outputs 1/√(2 fan_in (l+1)).

    Arguments:
        width: width of the model, d.
        layers: number of layers, to check the numbers of layers, l, in the names.

    Raises:
        ValueError: if a number is not positive.
    """
    numbers = counts(width=width, layers=layers)
    rows = table(
        (EVERY, normal("d^-½", width**-0.5, 3)),
        (
            roles.ATTENTION_OUTPUT,
            normal("1/√(2d(l+1))", lambda weight: 1 / math.sqrt(2 * width * (weight.layer + 1)), 3),
        ),
        (
            roles.DOWN,
            normal("1/√(2 fan_in (l+1))", lambda weight: 1 / math.sqrt(2 * weight.fans.fan_in * (weight.layer + 1)), 3),
        ),
    )
    return Scheme(numbers, rows, stacks="one")


def _llama_table(width: int, stddev: float, deep: Formula) -> Table:
    return table(
        (EVERY, normal("σ", stddev, 3)),
        ((*OUTPUTS, roles.UP, *roles.EXPERTS, roles.ROUTER), deep),
        (EMBEDDINGS, normal("1", 1.0)),
        (roles.HEAD, normal("d^-½", width**-0.5, 3)),
    )


def _by_depth(stddev: float, layers: int | None, cut: float | None) -> Formula:
    """σ/√(2L), or σ/√(2(l+1)) without a number of layers."""
    if layers is not None:
        return normal("σ/√(2L)", stddev / math.sqrt(2 * layers), cut)

    def deviation(weight: Weight) -> float:
        return stddev / math.sqrt(2 * (weight.layer + 1))

    return normal("σ/√(2(l+1))", deviation, cut)

"""Schemes of very deep residual networks: DeepNorm, SubLN, T-Fixup, Fixup, ReZero, SkipInit."""

from __future__ import annotations

import math

from seedbed.arguments import as_finite, one_of
from seedbed.initializers import Constant
from seedbed.schemes import roles
from seedbed.schemes.formulas import (
    EMBEDDINGS,
    EVERY,
    FEED_FORWARD,
    HIDDEN,
    OUTPUTS,
    Formula,
    Number,
    Table,
    by_values,
    glorot,
    normal,
    table,
    uniform,
    zeros,
)
from seedbed.schemes.numbers import counts
from seedbed.schemes.registry import scheme
from seedbed.schemes.scheme import Scheme
from seedbed.schemes.weight import Weight

FORMS = ("paper", "torchscale")


@scheme("Wang et al. 2022, DeepNet, figure 2; torchscale, torchscale/architecture/decoder.py and encoder.py")
def deepnorm(
    *,
    width: int,
    layers: int | None = None,
    encoder_layers: int | None = None,
    decoder_layers: int | None = None,
    heads: int | None = None,
    kv_heads: int | None = None,
    form: str = "paper",
) -> Scheme:
    """Glorot's; values, outputs and feed-forward layers × β = (8L)^-¼; for models that multiply residuals by (2L)^¼.

    With an encoder of N and a decoder of M layers: β = 0.87 (N⁴M)^-1/16 and (12M)^-¼.

    Arguments:
        width: width of the model, d.
        layers: number of layers, L, of an encoder or a decoder alone.
        encoder_layers: number of layers of the encoder, N, where there is a decoder too.
        decoder_layers: number of layers of the decoder, M, likewise.
        heads: number of heads, where one kernel has queries, keys and values, and a scheme must find the values in it.
        kv_heads: number of heads of keys, if it is another one.
        form: "paper", or "torchscale", as its code does: U(±1/√fan_in) and U(±β/√fan_in), which are torch's, and × 1.15
            in the place of × 0.87. It scales biases too, which begin as zeros here.

    Raises:
        ValueError: if a number is not positive, or neither `layers` nor both of the others are given.
    """
    numbers = _numbers(width, layers, encoder_layers, decoder_layers, heads, kv_heads)
    is_paper = one_of("form", form, FORMS) == "paper"

    def beta(weight: Weight) -> float:
        if layers is not None:
            return math.pow(8 * layers, -0.25)
        assert encoder_layers is not None
        assert decoder_layers is not None
        if weight.side == "decoder":
            return math.pow(12 * decoder_layers, -0.25)
        scale = math.pow(encoder_layers**4 * decoder_layers, -0.0625)
        return scale * (0.87 if is_paper else 1.15)

    return Scheme(numbers | {"form": form}, _scaled(beta, "β", width, is_paper), stacks=_stacks(layers))


@scheme("Wang et al. 2022, Magneto, figure 2; torchscale, torchscale/architecture/decoder.py and encoder.py")
def subln(
    *,
    width: int,
    layers: int | None = None,
    encoder_layers: int | None = None,
    decoder_layers: int | None = None,
    heads: int | None = None,
    kv_heads: int | None = None,
    form: str = "paper",
) -> Scheme:
    """Glorot's; values, outputs and feed-forward layers × γ = √ln(2L); for models with norms within their branches.

    With an encoder of N and a decoder of M layers: γ = √(ln(3M) ln(2N) / 3) and √ln(3M), but not for attention of the
    decoder to the encoder.

    Arguments:
        width: width of the model, d.
        layers: number of layers, L, of an encoder or a decoder alone.
        encoder_layers: number of layers of the encoder, N, where there is a decoder too.
        decoder_layers: number of layers of the decoder, M, likewise.
        heads: number of heads, where one kernel has queries, keys and values, and a scheme must find the values in it.
        kv_heads: number of heads of keys, if it is another one.
        form: "paper", or "torchscale", as for `deepnorm`.

    Raises:
        ValueError: if a number is not positive, or neither `layers` nor both of the others are given.
    """
    numbers = _numbers(width, layers, encoder_layers, decoder_layers, heads, kv_heads)
    is_paper = one_of("form", form, FORMS) == "paper"

    def gamma(weight: Weight) -> float:
        if layers is not None:
            return math.sqrt(math.log(2 * layers))
        assert encoder_layers is not None
        assert decoder_layers is not None
        if weight.side == "decoder":
            return 1.0 if weight.is_cross else math.sqrt(math.log(3 * decoder_layers))
        return math.sqrt(math.log(3 * decoder_layers) * math.log(2 * encoder_layers) / 3)

    return Scheme(numbers | {"form": form}, _scaled(gamma, "γ", width, is_paper), stacks=_stacks(layers))


@scheme("Huang et al. 2020, T-Fixup, section 4; layer6ai-labs/T-Fixup, fairseq/modules/transformer_layer.py")
def tfixup(
    *, width: int, encoder_layers: int, decoder_layers: int, heads: int | None = None, kv_heads: int | None = None
) -> Scheme:
    """Glorot's; values, outputs and feed-forward layers × (9M)^-¼ in decoders, × 0.67 N^-¼ in encoders of N layers.

    Embeddings are N(0, d^-½), × (9M)^-¼; those of an encoder of its own × (9N)^-¼. For encoders with decoders and
    without norms.

    Arguments:
        width: width of the model, d.
        encoder_layers: number of layers of the encoder, N.
        decoder_layers: number of layers of the decoder, M.
        heads: number of heads, where one kernel has queries, keys and values, and a scheme must find the values in it.
        kv_heads: number of heads of keys, if it is another one.

    Raises:
        ValueError: if a number is not positive.
    """
    numbers = _numbers(width, None, encoder_layers, decoder_layers, heads, kv_heads)

    def gain(weight: Weight) -> float:
        return (
            math.pow(9 * decoder_layers, -0.25) if weight.side == "decoder" else 0.67 * math.pow(encoder_layers, -0.25)
        )

    def embedding(weight: Weight) -> float:
        layers = encoder_layers if weight.side == "encoder" else decoder_layers
        return math.pow(width, -0.5) * math.pow(9 * layers, -0.25)

    rows = table(
        *_glorot_table(gain, "(9M)^-¼ or 0.67 N^-¼", "uniform").items(),
        (roles.EMBEDDING, normal("d^-½ (9M)^-¼", embedding)),
    )
    return Scheme(numbers, rows, stacks="two")


@scheme("Zhang et al. 2019, Fixup, section 3")
def fixup(*, layers: int, width: int, branch_layers: int = 2) -> Scheme:
    """He's × (2L)^(-1/(2m-2)) in residual branches of m layers; the last layer of each branch, and the head, zeros.

    For models without norms. Multipliers and biases that the paper adds begin as ones and zeros by themselves.

    Arguments:
        layers: number of layers, L, of two residual branches each.
        width: width of the model, d.
        branch_layers: number of layers of a residual branch, m.

    Raises:
        ValueError: if a number is not positive, or `branch_layers` is 1.
    """
    numbers = counts(layers=layers, width=width, branch_layers=branch_layers)
    if branch_layers < 2:
        raise ValueError(f"branch_layers must be at least 2. Received: branch_layers={branch_layers}")
    scale = (2 * layers) ** (-1 / (2 * branch_layers - 2))
    rows = table(
        (EMBEDDINGS, normal("d^-½", width**-0.5)),
        (HIDDEN, normal("√(2/fan_in) (2L)^(-1/(2m-2))", lambda weight: scale * _he(weight))),
        (roles.PROJECTION, normal("√(2/fan_in)", _he)),
        ((*OUTPUTS, roles.HEAD), zeros()),
    )
    return Scheme(numbers, rows, stacks="one")


@scheme("Bachlechner et al. 2020, ReZero, section 3")
def rezero(*, width: int) -> Scheme:
    """Glorot uniform; the gain of each residual branch is initialized with zero. Embeddings N(0, d^-½).

    Arguments:
        width: width of the model, d.

    Raises:
        ValueError: if a number is not positive; for a model without residual gains.
    """
    rows = table(
        (EMBEDDINGS, normal("d^-½", width**-0.5)),
        ((*HIDDEN, roles.HEAD), glorot(1.0, "", "uniform")),
        (roles.GAIN, zeros()),
    )
    return Scheme(counts(width=width), rows, needs=(roles.GAIN,))


@scheme("De & Smith 2020, SkipInit, section 4")
def skipinit(*, width: int, gain: float = 0.0) -> Scheme:
    """He's, N(0, √(2/fan_in)); the gain of each residual branch is initialized with `gain`. Embeddings N(0, d^-½).

    Arguments:
        width: width of the model, d.
        gain: 0, or, as the paper also finds good, the number of residual branches to the power of -½.

    Raises:
        ValueError: if a number is not positive or not finite; for a model without residual gains.
    """
    value = as_finite("gain", gain)
    rows = table(
        (EMBEDDINGS, normal("d^-½", width**-0.5)),
        ((*HIDDEN, roles.HEAD), normal("√(2/fan_in)", _he)),
        (roles.GAIN, Formula("gain", lambda weight: Constant(value))),
    )
    return Scheme(counts(width=width) | {"gain": value}, rows, needs=(roles.GAIN,))


def _he(weight: Weight) -> float:
    return math.sqrt(2 / weight.fans.fan_in)


def _stacks(layers: int | None) -> str:
    return "two" if layers is None else "one"


def _numbers(
    width: int,
    layers: int | None,
    encoder_layers: int | None,
    decoder_layers: int | None,
    heads: int | None,
    kv_heads: int | None,
) -> dict[str, int | None]:
    both = (encoder_layers, decoder_layers)
    if (layers is None) == (both == (None, None)) or (layers is None and None in both):
        raise ValueError(
            "either layers, or encoder_layers and decoder_layers, must be given. "
            f"Received: {layers=}, {encoder_layers=}, {decoder_layers=}"
        )
    found = counts(width=width, layers=layers, encoder_layers=encoder_layers, decoder_layers=decoder_layers)
    return found | counts(heads=heads, kv_heads=kv_heads)


def _glorot_table(gain: Number, text: str, distribution: str) -> Table:
    """Glorot's, with a gain for values, outputs and feed-forward layers."""
    plain, scaled = glorot(1.0, "", distribution), glorot(gain, text, distribution)
    return table(
        (EVERY, plain),
        ((roles.VALUE, *OUTPUTS, *FEED_FORWARD), scaled),
        ((roles.QKV, roles.KEY_VALUE), by_values(plain, scaled)),
    )


def _scaled(gain: Number, text: str, width: int, is_paper: bool) -> Table:
    """The table of DeepNorm and SubLN."""
    ends = (roles.EMBEDDING, roles.HEAD)
    if is_paper:
        rows = _glorot_table(gain, text, "normal")
        return table(*rows.items(), ((*EMBEDDINGS, roles.HEAD), normal("d^-½", width**-0.5)))

    def limit(weight: Weight) -> float:
        return (gain(weight) if callable(gain) else gain) / math.sqrt(weight.fans.fan_in)

    plain = uniform("1/√fan_in", lambda weight: 1 / math.sqrt(weight.fans.fan_in))
    scaled = uniform(f"{text}/√fan_in", limit)
    return table(
        (EVERY, plain),
        ((roles.VALUE, *OUTPUTS, *FEED_FORWARD), scaled),
        ((roles.QKV, roles.KEY_VALUE), by_values(plain, scaled)),
        (ends, normal("d^-½", width**-0.5)),
        (roles.POSITION, normal("1", 1.0)),
    )

"""Schemes for very deep residual networks: DeepNorm, SubLN, T-Fixup, Fixup, ReZero, SkipInit."""

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
    """DeepNorm: Glorot's values, multiplied by β = (8L)^-¼ for values, attention outputs and feed-forward layers.

    For models that multiply the residual stream by (2L)^¼. With an encoder of N and a decoder of M layers, β is 0.87
    (N⁴M)^-1/16 in the encoder and (12M)^-¼ in the decoder. Embeddings and the head are N(0, d^-½).

    Arguments:
        width: width of the model, d, a positive integer.
        layers: number of layers, L, of a model with one stack. Give either this or both of the next two.
        encoder_layers: number of layers of the encoder, N, of a model with two stacks.
        decoder_layers: number of layers of the decoder, M, of a model with two stacks.
        heads: number of attention heads. Needed only to find the values in a kernel that packs queries, keys and
            values.
        kv_heads: number of heads of the keys and values; by default `heads`.
        form: "paper", or "torchscale" for the distributions of its code: U(±1/√fan_in) and U(±β/√fan_in), with 1.15
            instead of 0.87 in β. torchscale draws biases too; they are zeros here.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive. ValueError, unless either
            `layers` or both of the others are given.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.attn.q_proj.weight": (8, 8), "layers.0.attn.v_proj.weight": (8, 8)}
    >>> for tensor in seedbed.schemes.deepnorm(width=8, layers=2).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.attn.q_proj.weight RandomNormal(mean=0.0, stddev=0.3535533905932738)
    layers.0.attn.v_proj.weight RandomNormal(mean=0.0, stddev=0.1767766952966369)
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
    """SubLN, of Magneto: Glorot's values, in some layers multiplied by γ = √ln(2L).

    The layers with γ are values, attention outputs and feed-forward layers. For models with norms within their residual
    branches. With an encoder of N and a decoder of M layers, γ is √(ln(3M) ln(2N) / 3) in the encoder and √ln(3M) in
    the decoder, except 1 in attention of the decoder to the encoder. Embeddings and the head are N(0, d^-½).

    Arguments:
        width: width of the model, d, a positive integer.
        layers: number of layers, L, of a model with one stack. Give either this or both of the next two.
        encoder_layers: number of layers of the encoder, N, of a model with two stacks.
        decoder_layers: number of layers of the decoder, M, of a model with two stacks.
        heads: number of attention heads. Needed only to find the values in a kernel that packs queries, keys and
            values.
        kv_heads: number of heads of the keys and values; by default `heads`.
        form: "paper", or "torchscale" for the distributions of its code: U(±1/√fan_in) and U(±γ/√fan_in).

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive. ValueError, unless either
            `layers` or both of the others are given.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.attn.q_proj.weight": (8, 8), "layers.0.attn.v_proj.weight": (8, 8)}
    >>> for tensor in seedbed.schemes.subln(width=8, layers=4).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.attn.q_proj.weight RandomNormal(mean=0.0, stddev=0.3535533905932738)
    layers.0.attn.v_proj.weight RandomNormal(mean=0.0, stddev=0.5098334950844045)
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
    """T-Fixup: Glorot's values, in some layers multiplied by (9M)^-¼ in the decoder, 0.67 N^-¼ in the encoder.

    The layers with a factor are values, attention outputs and feed-forward layers. Embeddings are N(0, d^-½) times
    (9M)^-¼, or times (9N)^-¼ for separate embeddings of the encoder. For models with an encoder of N and a decoder of M
    layers, without norms.

    Arguments:
        width: width of the model, d, a positive integer.
        encoder_layers: number of layers of the encoder, N, a positive integer.
        decoder_layers: number of layers of the decoder, M, a positive integer.
        heads: number of attention heads. Needed only to find the values in a kernel that packs queries, keys and
            values.
        kv_heads: number of heads of the keys and values; by default `heads`.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"encoder.layers.0.fc1.weight": (32, 8), "decoder.layers.0.fc1.weight": (32, 8)}
    >>> for tensor in seedbed.schemes.tfixup(width=8, encoder_layers=2, decoder_layers=9).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    encoder.layers.0.fc1.weight RandomUniform(minval=-0.21820411341493123, maxval=0.21820411341493123)
    decoder.layers.0.fc1.weight RandomUniform(minval=-0.12909944487358055, maxval=0.12909944487358055)
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
    """Fixup: He's values times (2L)^(-1/(2m-2)) in residual branches; zeros where a branch ends, and for the head.

    For models without norms. A branch has m layers, and each of the L layers of the model has two branches. Other
    kernels have He's N(0, √(2/fan_in)), and embeddings N(0, d^-½). Biases are zeros.

    Arguments:
        layers: number of layers, L, a positive integer.
        width: width of the model, d, a positive integer.
        branch_layers: number of layers of a residual branch, m, an integer of at least 2.

    Raises:
        TypeError, ValueError: if a number does not have this type, is not positive, or `branch_layers` is 1.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (32, 8), "layers.1.mlp.down_proj.weight": (8, 32)}
    >>> for tensor in seedbed.schemes.fixup(layers=8, width=8).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight RandomNormal(mean=0.0, stddev=0.125)
    layers.1.mlp.down_proj.weight Zeros()
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
    """ReZero: Glorot uniform kernels; the gain of each residual branch is 0. Embeddings are N(0, d^-½).

    A model must have such gains: parameters named like `resweight` that multiply residual branches.

    Arguments:
        width: width of the model, d, a positive integer.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive. When applied, ValueError, if the
            model has no residual gains.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (32, 8), "layers.0.resweight": (1,)}
    >>> for tensor in seedbed.schemes.rezero(width=8).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight RandomUniform(minval=-0.38729833462074165, maxval=0.38729833462074165)
    layers.0.resweight Zeros()
    """
    rows = table(
        (EMBEDDINGS, normal("d^-½", width**-0.5)),
        ((*HIDDEN, roles.HEAD), glorot(1.0, "", "uniform")),
        (roles.GAIN, zeros()),
    )
    return Scheme(counts(width=width), rows, needs=(roles.GAIN,))


@scheme("De & Smith 2020, SkipInit, section 4")
def skipinit(*, width: int, gain: float = 0.0) -> Scheme:
    """SkipInit: He's kernels, N(0, √(2/fan_in)); the gain of each residual branch is `gain`. Embeddings are N(0, d^-½).

    A model must have such gains: parameters named like `skip_gain` that multiply residual branches.

    Arguments:
        width: width of the model, d, a positive integer.
        gain: value of the gains, a finite number: 0, or n^-½ for n residual branches, which the paper finds to work
            too.

    Raises:
        TypeError, ValueError: if a number does not have this type, `width` is not positive, or `gain` is not finite.
            When applied, ValueError, if the model has no residual gains.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (32, 8), "layers.0.skip_gain": (1,)}
    >>> for tensor in seedbed.schemes.skipinit(width=8).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight RandomNormal(mean=0.0, stddev=0.5)
    layers.0.skip_gain Constant(value=0.0)
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
    """Return a table of Glorot's values, with a gain for values, attention outputs and feed-forward layers."""
    plain, scaled = glorot(1.0, "", distribution), glorot(gain, text, distribution)
    return table(
        (EVERY, plain),
        ((roles.VALUE, *OUTPUTS, *FEED_FORWARD), scaled),
        ((roles.QKV, roles.KEY_VALUE), by_values(plain, scaled)),
    )


def _scaled(gain: Number, text: str, width: int, is_paper: bool) -> Table:
    """Return the table of DeepNorm and SubLN."""
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

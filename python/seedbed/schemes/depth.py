"""Schemes that depend on the number of layers, and others of OLMo: GPT-2, Megatron, torchtitan, OLMo, Mitchell."""

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
    """GPT-2: all weights N(0, σ), except the outputs of attention and feed-forward layers, N(0, σ/√(2L)).

    Arguments:
        layers: number of layers, L, a positive integer.
        stddev: standard deviation σ, a positive number.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (32, 8), "layers.1.mlp.down_proj.weight": (8, 32)}
    >>> for tensor in seedbed.schemes.gpt2(layers=8).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight RandomNormal(mean=0.0, stddev=0.02)
    layers.1.mlp.down_proj.weight RandomNormal(mean=0.0, stddev=0.005)
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
    """Megatron-LM: weights N(0, σ), outputs of branches N(0, σ/√(2L)), embeddings with a σ of their own.

    The outputs of branches are those of attention and feed-forward layers. With `base_width`, Megatron-LM's µP form: σ
    of all weights except embeddings, head, norms and biases is divided by √(width / base_width), and the head has the
    standard deviation of the embeddings.

    Arguments:
        layers: number of layers, L, a positive integer.
        stddev: standard deviation σ, a positive number.
        embedding_stddev: standard deviation of embeddings, and of the head in the µP form, a positive number; by
            default `stddev`.
        width: width of the model, d, a positive integer. Needed with `base_width`.
        base_width: width d₀ at which the µP form is the ordinary form, a positive integer. By default, the ordinary
            form.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive. ValueError, if `base_width` is
            given without `width`.

    >>> import seedbed.schemes
    >>> shapes = {"embed_tokens.weight": (50, 8), "layers.1.mlp.down_proj.weight": (8, 32)}
    >>> for tensor in seedbed.schemes.megatron(layers=8, embedding_stddev=0.01).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    embed_tokens.weight RandomNormal(mean=0.0, stddev=0.01)
    layers.1.mlp.down_proj.weight RandomNormal(mean=0.0, stddev=0.005)
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
    """Torchtitan's Llama 3: embeddings N(0, 1), kernels N(0, σ), some of them N(0, σ/√(2(l+1))).

    Outputs of attention and feed-forward layers, up projections and routers have σ/√(2(l+1)) in layer l, counted from
    0, or σ/√(2L) if `layers` is given. The head is N(0, d^-½), cut at three standard deviations. torchtitan also cuts
    all kernels at ±2, an absolute bound of 100 standard deviations for σ = 0.02, which no value reaches.

    Arguments:
        width: width of the model, d, a positive integer.
        layers: number of layers, L, for σ/√(2L); by default None, for σ/√(2(l+1)).
        stddev: standard deviation σ, a positive number.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.attn.q_proj.weight": (8, 8), "layers.1.mlp.down_proj.weight": (8, 32)}
    >>> for tensor in seedbed.schemes.torchtitan(width=8).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.attn.q_proj.weight RandomNormal(mean=0.0, stddev=0.02)
    layers.1.mlp.down_proj.weight RandomNormal(mean=0.0, stddev=0.01)
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
    """OLMo's "normal": all weights N(0, σ), cut at three standard deviations.

    Arguments:
        stddev: standard deviation σ, a positive number.

    Raises:
        TypeError, ValueError: if `stddev` is not a positive number.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (32, 8)}
    >>> for tensor in seedbed.schemes.olmo(stddev=0.02).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight TruncatedNormal(mean=0.0, stddev=0.02, lower=-3.0, upper=3.0)
    """
    return Scheme({"stddev": positive("stddev", stddev)}, table((EVERY, normal("σ", stddev, 3))))


@scheme(f"{_OLMO}, InitMethod.llama")
def llama(*, layers: int, width: int, stddev: float = 0.02) -> Scheme:
    """OLMo's "llama": embeddings N(0, 1), kernels N(0, σ), some of them N(0, σ/√(2L)).

    Outputs of attention and feed-forward layers, up projections, experts and routers have σ/√(2L). Kernels are cut at
    three standard deviations. The head is N(0, d^-½) with the same cut.

    Arguments:
        layers: number of layers, L, a positive integer.
        width: width of the model, d, a positive integer.
        stddev: standard deviation σ, a positive number.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.attn.q_proj.weight": (16, 16), "layers.1.mlp.down_proj.weight": (16, 64)}
    >>> for tensor in seedbed.schemes.llama(layers=8, width=16).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.attn.q_proj.weight TruncatedNormal(mean=0.0, stddev=0.02, lower=-3.0, upper=3.0)
    layers.1.mlp.down_proj.weight TruncatedNormal(mean=0.0, stddev=0.005, lower=-3.0, upper=3.0)
    """
    numbers = counts(layers=layers, width=width) | {"stddev": positive("stddev", stddev)}
    return Scheme(numbers, _llama_table(width, stddev, _by_depth(stddev, layers, 3)), stacks="one")


@scheme(f"{_OLMO}, InitMethod.llama_depth")
def llama_depth(*, width: int, layers: int | None = None, stddev: float = 0.02) -> Scheme:
    """OLMo's "llama_depth": as `llama`, with σ/√(2(l+1)) in layer l, counted from 0, instead of σ/√(2L).

    Embeddings are N(0, 1) and kernels N(0, σ); outputs, up projections, experts and routers have the smaller σ of their
    layer. Kernels are cut at three standard deviations. The head is N(0, d^-½) with the same cut.

    Arguments:
        width: width of the model, d, a positive integer.
        layers: number of layers, a positive integer. Only used to check the numbers of layers in the names. By default,
            they are not checked.
        stddev: standard deviation σ, a positive number.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.attn.q_proj.weight": (8, 8), "layers.1.mlp.down_proj.weight": (8, 32)}
    >>> for tensor in seedbed.schemes.llama_depth(width=8).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.attn.q_proj.weight TruncatedNormal(mean=0.0, stddev=0.02, lower=-3.0, upper=3.0)
    layers.1.mlp.down_proj.weight TruncatedNormal(mean=0.0, stddev=0.01, lower=-3.0, upper=3.0)
    """
    numbers = counts(width=width, layers=layers) | {"stddev": positive("stddev", stddev)}
    return Scheme(numbers, _llama_table(width, stddev, _by_depth(stddev, None, 3)), stacks="one")


@scheme(f"{_OLMO}, InitMethod.normalized; Loshchilov et al. 2024, nGPT")
def normalized(*, layers: int, width: int, stddev: float = 0.02) -> Scheme:
    """nGPT, as in OLMo: all weights N(0, d^-½), outputs of attention and feed-forward layers N(0, d^-½/√(2L)).

    Values are cut at three standard deviations, except those of embeddings. Experts and routers are N(0, σ) with the
    cut.

    Arguments:
        layers: number of layers, L, a positive integer.
        width: width of the model, d, a positive integer.
        stddev: standard deviation σ of experts and routers, a positive number.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (64, 16), "layers.1.mlp.down_proj.weight": (16, 64)}
    >>> for tensor in seedbed.schemes.normalized(layers=8, width=16).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight TruncatedNormal(mean=0.0, stddev=0.25, lower=-3.0, upper=3.0)
    layers.1.mlp.down_proj.weight TruncatedNormal(mean=0.0, stddev=0.0625, lower=-3.0, upper=3.0)
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
    """OLMo's "fan_in": embeddings N(0, 1), all other weights N(0, fan_in^-½), cut at three standard deviations.

    The fan-in is the number of inputs of a kernel; the width of the model distinguishes it from the fan-out.

    Arguments:
        width: width of the model, d, a positive integer.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (64, 16), "layers.1.mlp.down_proj.weight": (16, 64)}
    >>> for tensor in seedbed.schemes.fan_in(width=16).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight TruncatedNormal(mean=0.0, stddev=0.25, lower=-3.0, upper=3.0)
    layers.1.mlp.down_proj.weight TruncatedNormal(mean=0.0, stddev=0.125, lower=-3.0, upper=3.0)
    """
    rows = table(
        (EVERY, normal("fan_in^-½", lambda weight: weight.fans.fan_in**-0.5, 3)),
        (EMBEDDINGS, normal("1", 1.0)),
    )
    return Scheme(counts(width=width), rows)


@scheme("OLMo, olmo/model.py and olmo/initialization.py, InitFnType.mitchell")
def mitchell(*, width: int, layers: int | None = None) -> Scheme:
    """OLMo's "mitchell": all weights N(0, d^-½), outputs of branches less by the depth of their layer.

    In layer l, counted from 0, outputs of attention are N(0, 1/√(2d(l+1))), and outputs of feed-forward layers N(0,
    1/√(2 fan_in (l+1))). All values are cut at three standard deviations.

    Arguments:
        width: width of the model, d, a positive integer.
        layers: number of layers, a positive integer. Only used to check the numbers of layers in the names. By default,
            they are not checked.

    Raises:
        TypeError, ValueError: if a number does not have this type or is not positive.

    >>> import seedbed.schemes
    >>> shapes = {"layers.0.mlp.up_proj.weight": (64, 16), "layers.1.mlp.down_proj.weight": (16, 64)}
    >>> for tensor in seedbed.schemes.mitchell(width=16).plan_of(shapes).tensors:
    ...     print(tensor.name, tensor.initializer)
    layers.0.mlp.up_proj.weight TruncatedNormal(mean=0.0, stddev=0.25, lower=-3.0, upper=3.0)
    layers.1.mlp.down_proj.weight TruncatedNormal(mean=0.0, stddev=0.0625, lower=-3.0, upper=3.0)
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
    """Return the formula N(0, σ/√(2L)); without a number of layers, N(0, σ/√(2(l+1)))."""
    if layers is not None:
        return normal("σ/√(2L)", stddev / math.sqrt(2 * layers), cut)

    def deviation(weight: Weight) -> float:
        return stddev / math.sqrt(2 * (weight.layer + 1))

    return normal("σ/√(2(l+1))", deviation, cut)

"""Schemes of single papers: DeepNet, Sub-LN, T-Fixup, Fixup, ReZero, SkipInit, and values in packed kernels."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from support.schemes import BETA, RECTANGLE, SQUARE, WIDE, decided, decoder, spread, stddev, translator

import seedbed as sb
from seedbed import schemes


def test_deepnorm_of_encoders_with_decoders():
    # DeepNet, figure 2: 0.87 (N^4 M)^(-1/16) for the encoder, (12 M)^(-1/4) for the decoder
    scheme = schemes.deepnorm(encoder_layers=2, decoder_layers=3, width=8)
    encoder, decoder = 0.87 * (2**4 * 3) ** (-1 / 16), 36**-0.25
    shapes = translator()
    assert spread(scheme, shapes, "encoder.layers.1.ffn.fc1.weight") == pytest.approx(encoder * RECTANGLE)
    assert spread(scheme, shapes, "decoder.layers.1.ffn.fc1.weight") == pytest.approx(decoder * RECTANGLE)
    assert spread(scheme, shapes, "decoder.layers.1.encoder_attn.v_proj.weight") == pytest.approx(decoder * SQUARE)
    assert spread(scheme, shapes, "decoder.layers.1.encoder_attn.q_proj.weight") == pytest.approx(SQUARE)


def test_subln_of_encoders_with_decoders():
    # torchscale, encoder.py line 256 and decoder.py line 302, which leaves out encoder_attn
    scheme = schemes.subln(encoder_layers=2, decoder_layers=3, width=8)
    encoder, decoder = math.sqrt(math.log(9) * math.log(4) / 3), math.sqrt(math.log(9))
    shapes = translator()
    assert spread(scheme, shapes, "encoder.layers.1.ffn.fc1.weight") == pytest.approx(encoder * RECTANGLE)
    assert spread(scheme, shapes, "decoder.layers.1.self_attn.v_proj.weight") == pytest.approx(decoder * SQUARE)
    assert spread(scheme, shapes, "decoder.layers.1.encoder_attn.v_proj.weight") == pytest.approx(SQUARE)


def test_tfixup():
    # T-Fixup, section 4: (9N)^(-1/4) in decoders and for embeddings, 0.67 N^(-1/4) in encoders; Glorot uniform
    scheme = schemes.tfixup(encoder_layers=2, decoder_layers=3, width=8)
    encoder, decoder = 0.67 * 2**-0.25, 27**-0.25
    shapes = translator()
    assert spread(scheme, shapes, "encoder.layers.1.ffn.fc2.weight") == pytest.approx(encoder * RECTANGLE)
    assert spread(scheme, shapes, "decoder.layers.1.self_attn.out_proj.weight") == pytest.approx(decoder * SQUARE)
    assert spread(scheme, shapes, "decoder.layers.1.self_attn.k_proj.weight") == pytest.approx(SQUARE)
    assert spread(scheme, shapes, "decoder.embed_tokens.weight") == pytest.approx(WIDE * decoder)
    assert spread(scheme, shapes, "encoder.embed_tokens.weight") == pytest.approx(WIDE * 18**-0.25)
    made = decided(scheme, shapes)["decoder.layers.1.self_attn.k_proj.weight"].initializer
    assert made.maxval == pytest.approx((6 / 16) ** 0.5)


def test_torchscale_form():
    scheme = schemes.deepnorm(layers=3, width=8, form="torchscale")
    shapes = {name.replace("model.", "decoder."): shape for name, shape in decoder().items()}
    layer = "decoder.layers.1"
    limits = {
        "self_attn.q_proj": 8**-0.5,
        "self_attn.v_proj": BETA * 8**-0.5,
        "self_attn.o_proj": BETA * 8**-0.5,
        "mlp.up_proj": BETA * 8**-0.5,
        "mlp.down_proj": BETA * 24**-0.5,
    }
    made = decided(scheme, shapes)
    found = {name: made[f"{layer}.{name}.weight"].initializer.maxval for name in limits}
    assert found == pytest.approx(limits)


def test_rezero_and_skipinit():
    gains = {f"model.layers.{number}.resweight": (1,) for number in range(3)}
    made = decided(schemes.rezero(width=8), decoder() | gains)
    assert all(made[name].initializer == sb.Zeros() for name in gains)
    assert made["model.layers.0.mlp.up_proj.weight"].initializer.maxval == pytest.approx((6 / 32) ** 0.5)
    made = decided(schemes.skipinit(width=8, gain=0.25), decoder() | gains)
    assert all(made[name].initializer == sb.Constant(0.25) for name in gains)
    assert stddev(made["model.layers.0.mlp.down_proj.weight"].initializer) == pytest.approx((2 / 24) ** 0.5)


def test_fixup_has_zeros_at_the_ends_of_branches():
    made = decided(schemes.fixup(layers=3, width=8), decoder())
    zeros = {name for name, tensor in made.items() if tensor.initializer == sb.Zeros() and "bias" not in name}
    ends = ("self_attn.o_proj", "mlp.down_proj")
    assert zeros == {"lm_head.weight", *(f"model.layers.{number}.{end}.weight" for number in range(3) for end in ends)}


def test_scaled_orthogonal():
    shapes = decoder() | {"model.layers.0.mlp.experts.up_proj": (3, 24, 8)}
    made = decided(schemes.scaled_orthogonal(layers=3), shapes)
    for name in ("model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.down_proj.weight"):
        matrix = made[name].initializer.with_seed(1)(shapes[name], "float64")
        assert matrix @ matrix.T == pytest.approx(2 / 3 * np.eye(8), abs=1e-12)
    experts = made["model.layers.0.mlp.experts.up_proj"].initializer.with_seed(1)((3, 24, 8), "float64")
    for expert in experts:
        assert expert.T @ expert == pytest.approx(2 / 3 * np.eye(8), abs=1e-12)
    assert abs(experts[0] - experts[1]).max() > 0.1
    patches = {"patch_embed.proj.weight": (8, 3, 4, 4)}
    kernel = decided(schemes.scaled_orthogonal(layers=1), patches)["patch_embed.proj.weight"].initializer
    rows = kernel.with_seed(1)((8, 3, 4, 4), "float64").reshape(8, 48)
    assert rows @ rows.T == pytest.approx(2 * np.eye(8), abs=1e-12)


PACKED = {  # name, shape, heads, heads of keys: slice of the values in the kernel with outputs first
    "transformers' Conv1D": ("h.0.attn.c_attn.weight", (64, 192), None, None, np.s_[128:192]),
    "MPT": ("blocks.0.attn.Wqkv.weight", (192, 64), None, None, np.s_[128:192]),
    "MPT, grouped": ("blocks.0.attn.Wqkv.weight", (96, 64), 4, 1, np.s_[80:96]),
    "gpt-neox": ("layers.0.attention.query_key_value.weight", (192, 64), 4, 4, np.r_[32:48, 80:96, 128:144, 176:192]),
    "Megatron, grouped": ("layers.0.self_attention.linear_qkv.weight", (128, 64), 4, 2, np.r_[48:64, 112:128]),
    "keys and values": ("layers.0.attn.kv_proj.weight", (128, 64), None, None, np.s_[64:128]),
}


@pytest.mark.parametrize("case", PACKED)
def test_values_within_a_packed_kernel(case):
    name, shape, heads, kv_heads, rows = PACKED[case]
    scheme = schemes.deepnorm(layers=200, width=64, heads=heads, kv_heads=kv_heads)
    kernel = decided(scheme, {name: shape})[name].initializer.with_seed(5)(shape, "float64")
    kernel = kernel.T if "c_attn" in name else kernel
    values = np.zeros(len(kernel), bool)
    values[rows] = True
    outputs = values.sum()
    beta = 1600**-0.25
    assert kernel[values].std() == pytest.approx(beta * math.sqrt(2 / (64 + outputs)), rel=0.06)
    queries = 64 if "kv_proj" not in name else outputs
    rest = np.flatnonzero(~values)
    if outputs == queries:
        assert kernel[rest].std() == pytest.approx(math.sqrt(2 / 128), rel=0.06)
    else:  # the keys are as many as the values, and precede them
        keys = np.flatnonzero(values) - (outputs if case == "MPT, grouped" else 16)
        assert kernel[keys].std() == pytest.approx(math.sqrt(2 / (64 + outputs)), rel=0.06)
        others = np.setdiff1d(rest, keys)
        assert kernel[others].std() == pytest.approx(math.sqrt(2 / 128), rel=0.06)


KERNELS = {  # the same kernel in several layouts: fans of 16 and 64
    "layers.0.mlp.down_proj.weight": ((16, 64), (64, 16)),
    "layers.0.mlp.up_proj.weight": ((64, 16), (16, 64)),
    "h.0.mlp.c_fc.weight": ((16, 64), (16, 64)),  # transformers' Conv1D
    "params/layers_0/mlp/wo/kernel": ((64, 16), (64, 16)),
    "params/layers_0/self_attention/query/kernel": ((16, 4, 8), (16, 32)),
    "params/layers_0/self_attention/out/kernel": ((4, 8, 16), (32, 16)),
    "layers.0.mlp.experts.gate_up_proj": ((3, 128, 16), (16, 64)),
    "layers.0.moe.experts.w2_EDF": ((3, 16, 64), (64, 16)),
    "patch_embed.proj.weight": ((16, 3, 4, 4), (48, 256)),
    "params/embedding/kernel": ((4, 4, 3, 16), (48, 256)),
    "embed_tokens.weight": ((50, 16), (50, 16)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_fans_are_those_of_each_kernel(name):
    shape, fans = KERNELS[name]
    (weight,) = schemes.spectral(width=16).weights_of(
        [SimpleNamespace(name=name, tensor=SimpleNamespace(shape=shape), layers=())]
    )
    assert weight.fans == fans

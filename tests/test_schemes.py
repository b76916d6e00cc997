"""Schemes: the standard deviation of every weight, computed by hand from the named papers and files."""

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from schemes.page import CHECKED, page

import seedbed as sb
from seedbed import schemes
from seedbed.cli import main
from seedbed.plan import load_plan, parse_plan
from seedbed.plan.applied_rules import Undecided, plan_by_rules, with_rules
from seedbed.plan.json_reader import shipped_plans
from seedbed.plan.rules import as_rules
from seedbed.schemes.roles import ROLES, Roles, layer_of, side_of

STYLES = {
    "llama of transformers": {
        "model.embed_tokens.weight": "embedding",
        "model.layers.3.self_attn.q_proj.weight": "query",
        "model.layers.3.self_attn.q_proj.bias": "bias",
        "model.layers.3.self_attn.o_proj.weight": "attention_output",
        "model.layers.3.mlp.gate_proj.weight": "gate",
        "model.layers.3.mlp.experts.gate_up_proj": "expert_gate_up",
        "model.layers.3.mlp.experts.7.down_proj.weight": "expert_down",
        "model.layers.3.mlp.shared_expert.down_proj.weight": "down",
        "model.layers.3.block_sparse_moe.gate.weight": "router",
        "model.layers.3.self_attn.kv_b_proj.weight": "projection",
        "model.layers.3.input_layernorm.weight": "norm",
        "lm_head.weight": "head",
    },
    "torchtitan": {
        "tok_embeddings.weight": "embedding",
        "layers.3.attention.wq.weight": "query",
        "layers.3.attention.qkv_linear.wqkv.weight": "query_key_value",
        "layers.3.attention.wo.weight": "attention_output",
        "layers.3.feed_forward.w1.weight": "gate",
        "layers.3.feed_forward.w3.weight": "up",
        "layers.3.feed_forward.w2.weight": "down",
        "layers.3.moe.experts.w2_EDF": "expert_down",
        "layers.3.moe.shared_experts.w2.weight": "down",
        "layers.3.moe.router.gate.weight": "router",
        "layers.3.ffn_norm.weight": "norm",
        "output.weight": "head",
    },
    "OLMo": {
        "embeddings.weight": "embedding",
        "blocks.3.attention.w_q.weight": "query",
        "blocks.3.attention.q_norm.weight": "norm",
        "blocks.3.attention.w_out.weight": "attention_output",
        "blocks.3.feed_forward.w1.weight": "gate",
        "blocks.3.feed_forward_moe.experts.mlp.w1": "expert_gate",
        "blocks.3.feed_forward_moe.router.weight": "router",
        "lm_head.w_out.weight": "head",
        "lm_head.norm.weight": "norm",
        "transformer.blocks.3.att_proj.weight": "query_key_value",
        "transformer.blocks.3.ff_proj.weight": "up",
        "transformer.blocks.3.ff_out.weight": "down",
        "transformer.blocks.3.attn_out.weight": "attention_output",
        "transformer.ff_out.weight": "head",
    },
    "Flax": {
        "params/Transformer/encoderblock_3/MultiHeadDotProductAttention_1/query/kernel": "query",
        "params/Transformer/encoderblock_3/MultiHeadDotProductAttention_1/out/kernel": "attention_output",
        "params/Transformer/encoderblock_3/MlpBlock_3/Dense_0/kernel": "up",
        "params/Transformer/encoderblock_3/MlpBlock_3/Dense_1/kernel": "down",
        "params/Transformer/encoderblock_3/MlpBlock_3/Dense_1/bias": "bias",
        "params/Transformer/encoderblock_3/LayerNorm_0/scale": "norm",
        "params/decoder/layers_3/mlp/wi_0/kernel": "gate",
        "params/decoder/layers_3/mlp/wo/kernel": "down",
        "params/decoder/layers_3/self_attention/out/kernel": "attention_output",
        "transformer/layer_3/attn/kv_einsum/w": "key_value",
        "transformer/layer_3/mlp/gating_einsum": "gate_up",
        "['Block_3']['attention']['key']['kernel'].value": "key",
    },
    "Keras": {
        "transformer_decoder_3/self_attention/query/kernel": "query",
        "transformer_layer_3/self_attention_layer/attention_output/kernel": "attention_output",
        "transformer_layer_3/self_attention_layer/attention_output/bias": "bias",
        "transformer_layer_3/feedforward_intermediate_dense/kernel": "up",
        "transformer_layer_3/feedforward_gate_dense/kernel": "gate",
        "transformer_layer_3/feedforward_output_dense/kernel": "down",
        "transformer_layer_3/feedforward_layer_norm/gamma": "norm",
        "transformer_layer_3/feedforward_layer_norm/beta": "bias",
        "token_embedding/embeddings": "embedding",
    },
    "Megatron, gpt-neox, MPT, torchscale, timm": {
        "decoder.layers.3.self_attention.linear_qkv.weight": "query_key_value",
        "decoder.layers.3.self_attention.linear_qkv.layer_norm_weight": "norm",
        "decoder.layers.3.self_attention.linear_proj.weight": "attention_output",
        "decoder.layers.3.mlp.linear_fc2.weight": "down",
        "gpt_neox.layers.3.attention.query_key_value.weight": "query_key_value",
        "gpt_neox.layers.3.attention.dense.weight": "attention_output",
        "transformer.blocks.3.attn.Wqkv.weight": "query_key_value",
        "transformer.blocks.3.ffn.down_proj.weight": "down",
        "decoder.layers.3.encoder_attn.v_proj.weight": "value",
        "decoder.layers.3.self_attn.inner_attn_ln.weight": "norm",
        "blocks.3.attn.proj.weight": "attention_output",
        "blocks.3.ls1.gamma": "residual_gain",
        "layers.3.resweight": "residual_gain",
    },
}


def decided(scheme, shapes):
    """Return the initializer of each tensor under a scheme alone."""
    tensors = [Undecided(name, shape, sb.dtypes.as_dtype("float32")) for name, shape in shapes.items()]
    return {tensor.name: tensor for tensor in plan_by_rules(tensors, as_rules(scheme)).tensors}


def stddev(initializer):
    """Return the parameter `stddev`, which is the standard deviation before truncation."""
    return initializer.stddev


def decoder(layers=3, width=8, hidden=24, names="model.layers.{}"):
    shapes = {"model.embed_tokens.weight": (50, width), "lm_head.weight": (50, width), "model.norm.weight": (width,)}
    for number in range(layers):
        layer = names.format(number)
        shapes |= {f"{layer}.self_attn.{name}_proj.weight": (width, width) for name in "qkvo"}
        shapes |= {f"{layer}.mlp.{name}_proj.weight": (hidden, width) for name in ("gate", "up")}
        shapes |= {f"{layer}.mlp.down_proj.weight": (width, hidden), f"{layer}.input_layernorm.weight": (width,)}
        shapes |= {f"{layer}.mlp.down_proj.bias": (width,)}
    return shapes


def translator(width=8, layers=3):
    """Return a transformer with torchscale's names: an encoder of two layers and a decoder of three."""
    shapes = {"decoder.embed_tokens.weight": (50, width), "encoder.embed_tokens.weight": (50, width)}
    for side, count in (("encoder", 2), ("decoder", layers)):
        for number in range(count):
            layer = f"{side}.layers.{number}"
            for attention in ("self_attn", "encoder_attn")[: 1 + (side == "decoder")]:
                shapes |= {f"{layer}.{attention}.{name}_proj.weight": (width, width) for name in ("q", "k", "v", "out")}
            shapes |= {f"{layer}.ffn.fc1.weight": (24, width), f"{layer}.ffn.fc2.weight": (width, 24)}
    return shapes


@pytest.mark.parametrize("style", STYLES)
def test_roles_of_names(style):
    assert {name: Roles().of(name) for name in STYLES[style]} == STYLES[style]
    assert {layer_of(name) for name in STYLES[style]} <= {None, 3}


@pytest.mark.parametrize("name", shipped_plans())
def test_every_weight_of_the_shipped_plans_has_a_role(name):
    roles = {tensor.name: Roles().of(tensor.name) for tensor in load_plan(name).tensors}
    assert set(roles.values()) <= set(ROLES)
    for tensor in load_plan(name).tensors:
        constant = tensor.initializer.describe(tensor.whole_shape).stddev == 0
        assert (roles[tensor.name] in ("norm", "bias", "position")) >= constant
        assert (roles[tensor.name] == "bias") == tensor.name.endswith("bias")


def test_users_patterns_come_first():
    roles = Roles({"*.mixer.last.weight": "down", "lm_head.weight": "projection"})
    assert roles.of("layers.0.mixer.last.weight") == "down"
    assert roles.of("lm_head.weight") == "projection"
    assert Roles().of("layers.0.mixer.last.weight") is None
    with pytest.raises(ValueError, match=r"a role must be one of embedding, .* Received: 'output' for 'a'"):
        Roles({"a": "output"})


def test_layers_and_stacks():
    assert layer_of("decoder.block.11.layer.2.DenseReluDense.wi.weight") == 11
    assert layer_of("model.layers.3.mlp.experts.7.up_proj.weight") == 3
    assert layer_of("h.5.attn.c_attn.weight") == 5
    assert layer_of("classifier.0.weight") is None
    assert [side_of(f"model.{name}.layers.0.w") for name in ("encoder", "decoder", "stack")] == [
        "encoder",
        "decoder",
        "",
    ]


def test_numbers_of_plans():
    assert schemes.numbers_of(load_plan("gpt2")) == {"layers": 12, "width": 768, "heads": 12}
    assert schemes.numbers_of(load_plan("qwen3-30b-a3b")) == {"layers": 48, "width": 2048, "heads": 32, "kv_heads": 4}
    assert schemes.numbers_of(load_plan("t5-base")) == {
        "encoder_layers": 12,
        "decoder_layers": 12,
        "width": 768,
        "heads": 12,
    }


def test_gpt2_agrees_with_transformers():
    plan = load_plan("gpt2")
    assert with_rules(plan, as_rules(schemes.gpt2(layers=12))) == plan


def test_megatron():
    # transformer_config.py: init_method_std 0.02; output layers ÷ sqrt(2 * 3); with use_mup both ÷ sqrt(8 / 2)
    plain = decided(schemes.megatron(layers=3), decoder())
    assert stddev(plain["model.layers.1.mlp.up_proj.weight"].initializer) == 0.02
    assert stddev(plain["model.layers.1.mlp.down_proj.weight"].initializer) == pytest.approx(0.02 / math.sqrt(6))
    mup = decided(schemes.megatron(layers=3, width=8, base_width=2, embedding_stddev=0.1), decoder())
    assert stddev(mup["model.layers.1.mlp.up_proj.weight"].initializer) == pytest.approx(0.01)
    assert stddev(mup["model.layers.1.self_attn.o_proj.weight"].initializer) == pytest.approx(0.01 / math.sqrt(6))
    assert stddev(mup["model.embed_tokens.weight"].initializer) == 0.1
    assert stddev(mup["lm_head.weight"].initializer) == 0.1  # gpt_model.py: embedding_init_method if use_mup


def cuts(tensors):
    """Return the standard deviation of each tensor before truncation, and the bound."""
    found = {}
    for name, tensor in tensors.items():
        made = tensor.initializer
        if "stddev" in made.parameters:
            found[name] = (round(made.stddev, 10), getattr(made, "upper", None))
    return found


def expected(layers=3, **rules):
    """Return the same by the last part of the name. A function in the table takes the number of the layer."""
    found = {}
    for name in decoder(layers):
        key = name.split(".")[-2]
        if key in rules and not name.endswith("bias"):
            value, cut = rules[key]
            number = layer_of(name)
            found[name] = (round(value(number) if callable(value) else value, 10), cut)
    return found


def same(value, *keys):
    return dict.fromkeys(keys, value)


WIDE = 8**-0.5
SMALL = (2 / 40) ** 0.5
SQUARE = (2 / 16) ** 0.5
"""Glorot's standard deviation of a kernel of 8 inputs and 8 outputs."""
RECTANGLE = (2 / 32) ** 0.5
"""The same for 8 and 24."""
BETA = 24**-0.25
GAMMA = math.log(6) ** 0.5
IN = ("q_proj", "k_proj", "v_proj", "gate_proj")
CASES = {  # for d = 8, L = 3, feed-forward width 24
    "torchtitan": (
        schemes.torchtitan(width=8),
        same((0.02, None), *IN)
        | same((lambda n: 0.02 / math.sqrt(2 * (n + 1)), None), "up_proj", "o_proj", "down_proj")
        | {"embed_tokens": (1, None), "lm_head": (WIDE, 3)},
    ),
    "torchtitan by L": (
        schemes.torchtitan(width=8, layers=3),
        same((0.02, None), *IN)
        | same((0.02 / math.sqrt(6), None), "up_proj", "o_proj", "down_proj")
        | {"embed_tokens": (1, None), "lm_head": (WIDE, 3)},
    ),
    "olmo": (
        schemes.olmo(),
        same((0.02, 3), *IN, "up_proj", "o_proj", "down_proj", "embed_tokens", "lm_head"),
    ),
    "llama": (
        schemes.llama(layers=3, width=8),
        same((0.02, 3), *IN)
        | same((0.02 / math.sqrt(6), 3), "up_proj", "o_proj", "down_proj")
        | {"embed_tokens": (1, None), "lm_head": (WIDE, 3)},
    ),
    "llama_depth": (
        schemes.llama_depth(width=8),
        same((0.02, 3), *IN)
        | same((lambda n: 0.02 / math.sqrt(2 * (n + 1)), 3), "up_proj", "o_proj", "down_proj")
        | {"embed_tokens": (1, None), "lm_head": (WIDE, 3)},
    ),
    "normalized": (
        schemes.normalized(layers=3, width=8),
        same((WIDE, 3), *IN, "up_proj", "lm_head")
        | same((WIDE / math.sqrt(6), 3), "o_proj", "down_proj")
        | {"embed_tokens": (WIDE, None)},
    ),
    "fan_in": (
        schemes.fan_in(width=8),
        same((WIDE, 3), *IN, "up_proj", "o_proj", "lm_head") | {"down_proj": (24**-0.5, 3), "embed_tokens": (1, None)},
    ),
    "mitchell": (
        schemes.mitchell(width=8),
        same((WIDE, 3), *IN, "up_proj", "embed_tokens", "lm_head")
        | {
            "o_proj": (lambda n: 1 / math.sqrt(2 * 8 * (n + 1)), 3),
            "down_proj": (lambda n: 1 / math.sqrt(2 * 24 * (n + 1)), 3),
        },
    ),
    "small_init": (
        schemes.small_init(width=8),
        same((SMALL, None), *IN, "up_proj", "o_proj", "down_proj", "embed_tokens", "lm_head"),
    ),
    "wang": (
        schemes.wang(layers=3, width=8),
        same((SMALL, None), *IN, "up_proj", "embed_tokens", "lm_head")
        | same((2 / (3 * 8**0.5), None), "o_proj", "down_proj"),
    ),
    "mpt_small": (
        schemes.mpt_small(layers=3, width=8, embedding_stddev=0.1),
        same((SMALL, None), *IN, "up_proj", "lm_head")
        | same((SMALL / 6**0.5, None), "o_proj", "down_proj")
        | {"embed_tokens": (0.1, None)},
    ),
    "mpt_neox": (
        schemes.mpt_neox(layers=3, width=8),
        same((SMALL, None), *IN, "up_proj", "embed_tokens", "lm_head")
        | same((SMALL / (3 / 10**0.5), None), "o_proj", "down_proj"),
    ),
    "deepnorm": (
        schemes.deepnorm(layers=3, width=8),
        same((SQUARE, None), "q_proj", "k_proj")
        | same((BETA * SQUARE, None), "v_proj", "o_proj")
        | same((BETA * RECTANGLE, None), "gate_proj", "up_proj", "down_proj")
        | same((WIDE, None), "embed_tokens", "lm_head"),
    ),
    "subln": (
        schemes.subln(layers=3, width=8),
        same((SQUARE, None), "q_proj", "k_proj")
        | same((GAMMA * SQUARE, None), "v_proj", "o_proj")
        | same((GAMMA * RECTANGLE, None), "gate_proj", "up_proj", "down_proj")
        | same((WIDE, None), "embed_tokens", "lm_head"),
    ),
    "fixup": (
        schemes.fixup(layers=3, width=8),
        same((0.5 / 6**0.5, None), *IN, "up_proj") | {"embed_tokens": (WIDE, None)},
    ),
    "fixup of branches of three layers": (
        schemes.fixup(layers=3, width=8, branch_layers=3),
        same((0.5 / 6**0.25, None), *IN, "up_proj") | {"embed_tokens": (WIDE, None)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_standard_deviations_and_cuts(case):
    scheme, rules = CASES[case]
    tensors = decided(scheme, decoder())
    assert cuts(tensors) == expected(**rules)
    assert tensors["model.norm.weight"].initializer == sb.Ones()
    assert tensors["model.layers.0.mlp.down_proj.bias"].initializer == sb.Zeros()


def test_a_scheme_leaves_the_constants_of_norms_and_of_padding():
    entries = [
        {"name": "layers.0.norm.weight", "shape": [8], "initializer": "zeros"},  # Gemma adds one to its weights
        {
            "name": "embed_tokens.weight",
            "shape": [9, 8],
            "initializer": {
                "class_name": "Blocks",
                "config": {"default": "random_normal", "blocks": [[[0], {"class_name": "Zeros", "config": {}}]]},
            },
        },
    ]
    plan = with_rules(parse_plan(json.dumps({"tensors": entries})), as_rules(schemes.gpt2(layers=1)))
    assert plan.tensors[0].initializer == sb.Zeros()
    values = plan.tensors[1].initializer.with_seed(1)((9, 8))
    assert not values[0].any()
    assert values[1:].all()


def test_a_plan_with_a_scheme_needs_nothing_else():
    plan = with_rules(load_plan("llama-3-8b"), as_rules(schemes.mitchell(width=4096)))
    again = parse_plan(plan.to_json())
    assert again == plan
    assert again.tensors[-1].source.startswith("mitchell: ")


def test_rules_before_a_scheme_decide_and_others_follow():
    rules = [("lm_head.weight", "zeros"), schemes.gpt2(layers=3)]
    tensors = decided(rules, decoder())
    assert tensors["lm_head.weight"].source == "lm_head.weight"
    assert tensors["model.layers.2.mlp.down_proj.weight"].source == "gpt2: down"


def test_parts_of_a_tensor_are_drawn_in_its_shape():
    plan = with_rules(load_plan("qwen3-30b-a3b"), as_rules(schemes.fan_in(width=2048)))
    tensor = next(t for t in plan.tensors if t.name == "model.layers.0.mlp.experts.5.down_proj.weight")
    assert stddev(tensor.initializer) == 768**-0.5
    assert tensor.part.partition_offset == (5, 0, 0)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: schemes.gpt2(layers=0), ValueError, "layers must be a positive integer. Received: layers=0"),
        (lambda: schemes.gpt2(layers=2.5), TypeError, r"layers must be a positive integer. Received: layers=2\.5"),
        (lambda: schemes.gpt2(layers=True), TypeError, "layers must be a positive integer"),
        (lambda: schemes.gpt2(layers=12, stddev=-1), ValueError, "stddev must be positive. Received: stddev=-1"),
        (lambda: schemes.mitchell(width=0), ValueError, "width must be a positive integer. Received: width=0"),
        (
            lambda: schemes.megatron(layers=2, width=8, base_width=0),
            ValueError,
            "base_width must be a positive integer",
        ),
        (lambda: schemes.megatron(layers=2, base_width=8), ValueError, "width must come with base_width"),
        (
            lambda: schemes.deepnorm(width=8),
            ValueError,
            "either layers, or encoder_layers and decoder_layers, must be given",
        ),
        (
            lambda: schemes.subln(width=8, encoder_layers=2),
            ValueError,
            "either layers, or encoder_layers and decoder_layers",
        ),
        (lambda: schemes.deepnorm(width=8, layers=2, form="x"), ValueError, "form must be one of paper, torchscale"),
        (lambda: schemes.fixup(width=8, layers=2, branch_layers=1), ValueError, "branch_layers must be at least 2"),
        (lambda: schemes.skipinit(width=8, gain=math.nan), ValueError, "gain must be a finite number"),
        (
            lambda: schemes.named_scheme("mitchel", {}, {}),
            ValueError,
            "unknown scheme .mitchel.\\. Did you mean .mitchell.",
        ),
        (lambda: schemes.named_scheme("gpt2", {}, {}), ValueError, "gpt2 needs layers. Received: no layers"),
        (
            lambda: schemes.named_scheme("gpt2", {"heads": 3}, {}),
            ValueError,
            "gpt2 takes layers, stddev. Received: heads=3",
        ),
    ],
)
def test_bad_numbers(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize(
    ("scheme", "shapes", "message"),
    [
        (
            schemes.gpt2(layers=2),
            {"layers.0.mamba.A_log": (4, 4)},
            "name that says its role. Received: layers.0.mamba.A_log",
        ),
        (schemes.gpt2(layers=2), decoder(), "layers must be the number of layers, and .* is in layer 2, .*: layers=2"),
        (schemes.mitchell(width=9), decoder(), r"width must be the length of an axis of \(8, 24\). Received: width=9"),
        (schemes.mitchell(width=8), {"mlp.down_proj.weight": (8, 24)}, "the scheme needs the number of the layer"),
        (
            schemes.tfixup(encoder_layers=3, decoder_layers=3, width=8),
            decoder(),
            r"for a model with both. Received: tfixup\(.*encoder_layers=3, decoder_layers=3\) for a model with neither",
        ),
        (
            schemes.deepnorm(encoder_layers=2, decoder_layers=2, width=8),
            translator(),
            "decoder_layers must be the number of layers, .* in layer 2, .*: decoder_layers=2",
        ),
        (schemes.rezero(width=8), decoder(), "a model must have weights of the role residual_gain .* Received: none"),
        (
            schemes.deepnorm(layers=1, width=8),
            {"layers.0.self_attention.linear_qkv.weight": (24, 8)},
            "heads must be the number of heads, .* Received: heads=None",
        ),
        (
            schemes.deepnorm(layers=1, width=8, heads=3, kv_heads=2),
            {"layers.0.self_attention.linear_qkv.weight": (28, 8)},
            "heads . 2 kv_heads must divide 28, and kv_heads divide heads",
        ),
        (
            schemes.scaled_orthogonal(layers=1),
            {"params/layers_0/self_attention/query/kernel": (8, 2, 4)},
            r"the kernel of an orthogonal matrix must have two axes. Received: \(8, 2, 4\)",
        ),
        (
            schemes.gpt2(layers=2),
            {f"{side}.layers.0.mlp.fc1.weight": (8, 8) for side in ("encoder", "decoder")},
            "layers must be those of one stack. Received: a model with an encoder and a decoder, and layers=2",
        ),
    ],
)
def test_a_scheme_refuses_unsuitable_models(scheme, shapes, message):
    with pytest.raises(ValueError, match=message):
        decided(scheme, shapes)


def test_a_scheme_that_decides_nothing_is_an_error():
    with pytest.raises(ValueError, match="'gpt2', for which earlier rules leave no tensor"):
        decided([("*", "zeros"), schemes.gpt2(layers=3)], decoder())


def test_the_page_describes_every_scheme():
    assert set(CHECKED) == set(schemes.SCHEMES)
    assert (Path(__file__).parents[1] / "docs" / "schemes.md").read_text("utf-8") == page()


def spread(scheme, shapes, name):
    """Return the standard deviation of a tensor, by `describe`."""
    return decided(scheme, shapes)[name].initializer.describe(shapes[name]).stddev


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


TABLE_8 = {  # for m = d / d0 = 4: standard deviation, multiplier, Adam, SGD
    "embed_tokens.weight": (0.02, (1, 1, 4)),
    "layers.0.self_attn.q_proj.weight": (0.01, (1, 1 / 4, 1)),
    "layers.0.self_attn.o_proj.weight": (0.01, (1, 1 / 4, 1)),
    "layers.0.mlp.down_proj.weight": (0.01, (1, 1 / 4, 1)),
    "layers.0.mlp.down_proj.bias": (None, (1, 1, 4)),
    "layers.0.norm.weight": (None, (1, 1, 4)),
    "lm_head.weight": (0.02, (1 / 4, 1, 4)),
}


def small(width, hidden):
    return {
        "embed_tokens.weight": (50, width),
        "layers.0.self_attn.q_proj.weight": (width, width),
        "layers.0.self_attn.o_proj.weight": (width, width),
        "layers.0.mlp.down_proj.weight": (width, hidden),
        "layers.0.mlp.down_proj.bias": (width,),
        "layers.0.norm.weight": (width,),
        "lm_head.weight": (50, width),
    }


@pytest.mark.parametrize("form", ["table 8", "table 3"])
@pytest.mark.parametrize("hidden", [(64, 16), (96, 16)])
def test_mup(form, hidden):
    # Tensor Programs V, tables 8 and 3
    base = small(4, hidden[1])
    scheme = schemes.mup(width=16, base_width=4, base=base, form=form)
    expected = dict(TABLE_8)
    if form == "table 3":
        expected["lm_head.weight"] = (0.02 / 4, (1, 1 / 4, 1 / 4))
    if hidden[0] == 96:  # the feed-forward layer is six times as wide as that of the base model
        expected["layers.0.mlp.down_proj.weight"] = (0.02 / math.sqrt(6), (1, 1 / 6, 4 / 6))
    shapes = small(16, hidden[0])
    tensors = decided(scheme, shapes)
    found = {
        name: (getattr(tensors[name].initializer, "stddev", None), tuple(multipliers))
        for name, multipliers in scheme.multipliers(shapes).items()
    }
    assert found == {name: (value, pytest.approx(rates)) for name, (value, rates) in expected.items()}
    if hidden[0] == 64:
        plain = schemes.mup(width=16, base_width=4, form=form)
        assert plain.multipliers(shapes) == scheme.multipliers(shapes)
        assert decided(plain, shapes) == tensors


def test_mup_at_the_base_width_changes_nothing():
    scheme = schemes.mup(width=8, base_width=8)
    assert {value for value, _ in cuts(decided(scheme, decoder())).values()} == {0.02}
    assert set(scheme.multipliers(decoder()).values()) == {(1, 1, 1)}


def test_mup_with_zeros():
    tensors = decided(schemes.mup(width=8, base_width=4, zero_head=True, zero_query=True), decoder())
    zeros = {name for name, tensor in tensors.items() if tensor.initializer == sb.Zeros() and "bias" not in name}
    assert zeros == {"lm_head.weight", *(f"model.layers.{number}.self_attn.q_proj.weight" for number in range(3))}


def test_umup():
    # u-muP, table 2: everything N(0, 1); 1/sqrt(fan_in), 1/fan_in for the head; Adam 1/sqrt(fan_in), depth 1/sqrt(L)
    scheme = schemes.umup(width=16, layers=9)
    shapes = small(16, 64)
    assert {value for value, _ in cuts(decided(scheme, shapes)).values()} == {1}
    found = scheme.multipliers(shapes)
    assert found["embed_tokens.weight"][:2] == (1, 1 / 4)
    assert found["layers.0.self_attn.q_proj.weight"][:2] == (1 / 4, pytest.approx(1 / 12))
    assert found["layers.0.mlp.down_proj.weight"][:2] == (1 / 8, pytest.approx(1 / 24))
    assert found["layers.0.norm.weight"][:2] == (1, pytest.approx(1 / 3))
    assert found["lm_head.weight"][:2] == (1 / 16, 1)


def test_spectral():
    # Yang, Simon, Bernstein 2023, page 8: 1/sqrt(n_in) min(1, sqrt(n_out / n_in)); learning rates n_out / n_in
    scheme = schemes.spectral(width=16)
    shapes = small(16, 64)
    found = {name: value for name, (value, _) in cuts(decided(scheme, shapes)).items()}
    assert found["layers.0.self_attn.q_proj.weight"] == 1 / 4
    assert found["layers.0.mlp.down_proj.weight"] == pytest.approx(1 / 8 * 1 / 2)
    assert found["lm_head.weight"] == 1 / 4
    assert scheme.multipliers(shapes)["layers.0.mlp.down_proj.weight"] == (1, 1 / 4, 1 / 4)


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (8, 8), (2, 8)])
def test_spectral_is_the_mode_of_that_name(shape):
    own = sb.VarianceScaling(1.0, "spectral", "untruncated_normal", layout="torch").describe(shape).stddev
    found = schemes.spectral(width=8).plan_of({"pooler.dense.weight": shape}).tensors[0]
    assert found.initializer.stddev == pytest.approx(own)


def test_multipliers_are_of_parametrizations():
    with pytest.raises(ValueError, match="gpt2: a scheme must be a parametrization to have multipliers"):
        schemes.gpt2(layers=3).multipliers(decoder())
    with pytest.raises(ValueError, match=r"q_proj.weight: base must have a weight of this name .* Received: None"):
        decided(schemes.mup(width=16, base_width=4, base={"a": (3, 4)}), small(16, 64))


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


def run(*arguments, capsys):
    status = main([*arguments])
    return status, *capsys.readouterr()


def test_seedbed_schemes(capsys):
    status, out, _ = run("schemes", capsys=capsys)
    assert status == 0
    assert {line.split()[0] for line in out.splitlines()[1:]} == set(schemes.SCHEMES)
    status, out, _ = run("schemes", "--json", capsys=capsys)
    listed = {entry["name"]: entry for entry in json.loads(out)["schemes"]}
    assert listed["gpt2"]["needs"] == ["layers"]
    assert all(entry["source"] and entry["summary"] for entry in listed.values())
    status, out, _ = run("schemes", "gpt2(layers=12)", capsys=capsys)
    assert re.search(r"^down +N\(0, σ/√\(2L\)\)", out, re.MULTILINE)
    status, out, _ = run("schemes", "mup(width=8, base_width=4)", "--json", capsys=capsys)
    shown = json.loads(out)
    assert shown["numbers"] == {"width": 8, "base_width": 4, "stddev": 0.02, "form": "table 8"}
    assert shown["roles"]["head"] == {"role": "head", "values": "N(0, σ)", "output": "1/m", "adam": "1", "sgd": "m"}
    _, out, _ = run("schemes", "mup(width=8, base_width=4)", capsys=capsys)
    assert re.search(r"^head +N\(0, σ\) +1/m +1 +m +kernel of the logits$", out, re.MULTILINE)
    status, _, err = run("schemes", "mup(width=8)", capsys=capsys)
    assert (status, err) == (2, "seedbed: error: mup needs width, base_width. Received: no base_width\n")


def test_seedbed_init_with_a_scheme(capsys, tmp_path):
    path = tmp_path / "gpt2.safetensors"
    source = ("gpt2", "--scheme", "llama_depth", "--rule", "wpe.weight=zeros")
    assert run("init", *source, "-o", str(path), "--quiet", "--dry-run", capsys=capsys)[0] == 0
    status, out, _ = run("show", *source, "--json", capsys=capsys)
    assert status == 0
    shown = {tensor["name"]: tensor for tensor in json.loads(out)["tensors"]}
    assert shown["h.3.attn.c_proj.weight"]["initializer"]["config"]["stddev"] == 0.02 / math.sqrt(8)
    assert shown["h.3.attn.c_proj.weight"]["source"] == "llama_depth: attention_output"
    assert shown["wpe.weight"]["source"] == "wpe.weight"


def test_numbers_of_a_scheme_on_the_command_line(capsys):
    status, out, _ = run("show", "gpt2", "--scheme", "gpt2(stddev=0.5)", "--json", capsys=capsys)
    shown = {tensor["name"]: tensor for tensor in json.loads(out)["tensors"]}
    assert shown["wte.weight"]["stddev"] == 0.5
    assert shown["h.0.mlp.c_proj.weight"]["stddev"] == pytest.approx(0.5 / math.sqrt(24))
    status, _, err = run("show", "gpt2", "--scheme", "gpt2", "--layers", "6", capsys=capsys)
    assert status == 2
    assert "layers must be the number of layers" in err
    status, _, err = run("show", "gpt2", "--base-width", "64", capsys=capsys)
    assert status == 2
    assert "--base-width is for schemes" in err
    status, _, err = run("show", "t5-base", "--scheme", "gpt2", capsys=capsys)
    assert status == 2
    assert "gpt2 needs layers" in err
    status, out, _ = run(
        "show", "gpt2", "--scheme", "gpt2", "--role", "wpe.weight=attention_output", "--json", capsys=capsys
    )
    shown = {tensor["name"]: tensor for tensor in json.loads(out)["tensors"]}
    assert shown["wpe.weight"]["source"] == "gpt2: attention_output"


def test_multipliers_are_shown(capsys):
    mup = ("show", "gpt2", "--scheme", "mup", "--base-width", "256")
    status, out, _ = run(*mup, "--json", capsys=capsys)
    assert status == 0
    shown = {tensor["name"]: tensor for tensor in json.loads(out)["tensors"]}
    assert shown["h.0.mlp.c_fc.weight"]["multipliers"] == {"output": 1, "adam": pytest.approx(1 / 3), "sgd": 1}
    assert shown["h.0.mlp.c_fc.weight"]["stddev"] == pytest.approx(0.02 / math.sqrt(3))
    _, out, _ = run(*mup, capsys=capsys)
    assert "output, adam, sgd" in out.splitlines()[0]
    assert "× 1, × 0.3333, × 1" in out
    status, _, err = run("show", "gpt2", "--scheme", "mup", capsys=capsys)
    assert (status, err) == (2, "seedbed: error: mup needs width, base_width. Received: no base_width\n")


@pytest.mark.parametrize("option", [("--scheme", "gpt2"), ("--layers", "3"), ("--role", "a=down"), ("--stddev", "1")])
def test_verify_without_a_source_takes_no_scheme(option, capsys):
    status, _, err = run("verify", *option, "x.safetensors", capsys=capsys)
    assert status == 2
    assert f"{option[0]} changes a plan, so it needs a SOURCE" in err

"""Schemes: roles of weights, standard deviations by hand from papers and files, refused arguments."""

import json
import math
from pathlib import Path

import pytest
from schemes.page import CHECKED, page
from support.schemes import BETA, RECTANGLE, SQUARE, WIDE, cuts, decided, decoder, expected, stddev, translator

import seedbed as sb
from seedbed import schemes
from seedbed.plan import load_plan, parse_plan
from seedbed.plan.applied_rules import with_rules
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


def same(value, *keys):
    return dict.fromkeys(keys, value)


SMALL = (2 / 40) ** 0.5
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

"""Schemes compared with the frameworks that they are from: small models, initialized by the framework's own code.

Each test skips where its framework is not installed. A tensor of the framework must have the standard deviation that
the scheme's initializer describes, within six of its standard errors, and keep within its bounds.
"""

import importlib
import json
import math
import warnings
from unittest import mock

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import seedbed as sb  # noqa: E402
import seedbed.torch  # noqa: E402
from seedbed import dtypes, schemes  # noqa: E402
from seedbed.cli import main  # noqa: E402
from seedbed.plan import load_plan  # noqa: E402
from seedbed.plan.applied_rules import Undecided, plan_by_rules, with_rules  # noqa: E402
from seedbed.plan.rules import as_rules  # noqa: E402

WIDTH = 128


def imported(name):
    """Import a module of a framework without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError as error:
            return pytest.skip(f"{name} is not installed: {error}")


def made(make):
    """Call a function of a framework with a fixed seed and without its warnings."""
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def compare(module, scheme, but=()):
    """Compare each parameter of a module with the initializer of a scheme, except names with the suffixes `but`."""
    parameters = {name: tensor for name, tensor in module.named_parameters() if not name.endswith(tuple(but))}
    tensors = [Undecided(name, tuple(t.shape), dtypes.as_dtype("float32")) for name, t in parameters.items()]
    plan = plan_by_rules(tensors, as_rules(scheme))
    for tensor in plan.tensors:
        values = parameters[tensor.name].detach().double().numpy()
        described = tensor.initializer.describe(tensor.shape)
        error = described.stddev / math.sqrt(2 * values.size)
        assert values.std() == pytest.approx(described.stddev, abs=6 * error), tensor.name
        if described.maximum is not None:
            assert np.abs(values).max() <= described.maximum * (1 + 1e-6), tensor.name
        elif values.size > 10_000:  # some of so many normal values would exceed a cut at three standard deviations
            assert np.abs(values).max() > 3.2 * described.stddev, tensor.name
    return len(plan.tensors)


def recorded(name, **options):
    """A small model of transformers on the meta device, and its configuration."""
    transformers = imported("transformers")
    config = getattr(transformers, f"{name}Config")(vocab_size=100, num_hidden_layers=3, **SIZES, **options)
    with seedbed.torch.recording():
        return made(lambda: getattr(transformers, f"{name}ForCausalLM")(config)), config


SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2}


def test_a_module_of_torch_by_a_scheme():
    model, _ = recorded("Llama", pad_token_id=3)
    rules = [("lm_head.weight", "zeros"), schemes.llama_depth(width=64)]
    sources = {tensor.name: tensor.source for tensor in seedbed.torch.plan_of(model, rules).tensors}
    assert sources["lm_head.weight"] == "lm_head.weight"
    assert sources["model.layers.2.mlp.down_proj.weight"] == "llama_depth: down"
    assert sources["model.norm.weight"] == "recorded"
    seedbed.torch.initialize_(model, rules, seed=42)
    seed = sb.SeedGenerator(42).child("model.layers.2.self_attn.o_proj.weight")
    expected = sb.TruncatedNormal(0, 0.02 / math.sqrt(6), seed, -3, 3)((64, 64))
    assert (model.model.layers[2].self_attn.o_proj.weight.detach().numpy() == expected).all()
    embedding = model.model.embed_tokens.weight.detach()
    assert not embedding[3].any()  # the padding row
    assert embedding[4].any()
    assert model.model.rotary_emb.inv_freq[0] == 1  # a buffer keeps its values


def test_a_scheme_gives_a_plan_and_a_module_the_same_values():
    of_transformers = imported("seedbed.transformers")
    model, config = recorded("Llama", architectures=["LlamaForCausalLM"], pad_token_id=3)
    scheme = schemes.mitchell(width=64)
    plan = with_rules(of_transformers.plan_of(config.to_dict()), as_rules(scheme))
    own = seedbed.torch.plan_of(model, scheme)
    assert {tensor.name: tensor for tensor in plan.tensors} == {tensor.name: tensor for tensor in own.tensors}


def test_a_scheme_is_not_called_for_skipped_tensors():
    model = torch.nn.ModuleDict(
        {"tower": torch.nn.Linear(8, 8), "layers": torch.nn.ModuleList([torch.nn.ModuleDict()])}
    )
    model["layers"][0]["fc2"] = torch.nn.Linear(8, 8)
    before = model["tower"].weight.clone()
    for options in ({"only": "layers.*"}, {"skip": "tower.*"}):
        seedbed.torch.initialize_(model, schemes.gpt2(layers=1, stddev=1e-3), seed=1, **options)
        assert torch.equal(model["tower"].weight, before)
        assert model["layers"][0]["fc2"].weight.abs().max() < 0.01
    with pytest.raises(ValueError, match=r"Received: tower.weight"):
        seedbed.torch.plan_of(model, schemes.gpt2(layers=1))


def test_a_configuration_of_transformers_with_a_scheme(tmp_path, capsys):
    imported("transformers")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 3, **SIZES}
    (tmp_path / "config.json").write_text(json.dumps({**config, "vocab_size": 100}), "utf-8")
    path = tmp_path / "plan.json"
    command = ["plan", str(tmp_path), "-o", str(path), "--scheme", "mup", "--base-width", "16"]
    assert main(command) == 0, capsys.readouterr().err
    stddevs = {tensor.name: tensor.initializer.describe(tensor.shape).stddev for tensor in load_plan(path).tensors}
    assert stddevs["model.embed_tokens.weight"] == 0.02
    assert stddevs["model.layers.1.mlp.down_proj.weight"] == 0.01


def test_growth_with_depth():
    imported("matplotlib.figure")
    from schemes import depth

    with mock.patch.multiple(depth, LAYERS=16, WIDTH=64, TOKENS=32):
        growing, level = depth.sizes(schemes.small_init(width=64)), depth.sizes(schemes.llama_depth(width=64))
    assert [len(each) for each in (*growing, *level)] == [16] * 4
    assert growing[0][-1] > 2 * growing[0][0]  # activations grow, and gradients shrink
    assert growing[1][-1] < growing[1][0] / 2
    for sizes in level:
        assert sizes.max() < 1.05 * sizes.min()


def test_norms_initialized_with_zeros_stay_zero():
    model, _ = recorded("Gemma2", head_dim=16)
    plan = seedbed.torch.plan_of(model, schemes.gpt2(layers=3))
    norms = [tensor for tensor in plan.tensors if "norm" in tensor.name]
    assert len(norms) == 13
    assert {tensor.initializer.describe(tensor.shape).maximum for tensor in norms} == {0}


def test_a_weight_without_a_role_is_an_error_that_names_it():
    model = torch.nn.Sequential(torch.nn.Linear(64, 64))
    with pytest.raises(ValueError, match=r"must have a name that says its role. Received: 0.weight"):
        seedbed.torch.initialize_(model, schemes.gpt2(layers=1), seed=1)
    scheme = schemes.gpt2(layers=1).with_roles({"0.weight": "down"})
    seedbed.torch.initialize_(model, scheme, seed=1)
    assert model[0].weight.std().item() == pytest.approx(0.02 / math.sqrt(2), rel=0.1)


@pytest.mark.parametrize(
    ("method", "scheme"),
    [
        ("normal", schemes.olmo()),
        ("llama", schemes.llama(layers=3, width=WIDTH)),
        ("llama_depth", schemes.llama_depth(width=WIDTH)),
        ("normalized", schemes.normalized(layers=3, width=WIDTH)),
        ("fan_in", schemes.fan_in(width=WIDTH)),
    ],
)
def test_olmo_core(method, scheme):
    olmo = imported("olmo_core.nn.transformer")

    def make():
        config = olmo.TransformerConfig.llama_like(
            d_model=WIDTH, vocab_size=500, n_layers=3, n_heads=4, n_kv_heads=2, init_method=olmo.InitMethod(method)
        )
        model = config.build(init_device="cpu")
        model.init_weights(device=torch.device("cpu"))
        return model

    assert compare(made(make), scheme) == 30


def test_torchtitan():
    titan = imported("torchtitan.models.llama3")

    def make():
        model = titan.llama3_configs["debugmodel"](attn_backend="flex").build()
        model.init_states()
        return model

    assert compare(made(make), schemes.torchtitan(width=256)) > 30


def torchscale_model(**options):
    architecture = imported("torchscale.architecture.encoder_decoder")
    config = imported("torchscale.architecture.config")
    embedding = imported("torchscale.component.embedding").TextEmbedding
    sizes = {f"{side}_embed_dim": WIDTH for side in ("encoder", "decoder")}
    sizes |= {f"{side}_attention_heads": 4 for side in ("encoder", "decoder")}
    sizes |= {f"{side}_ffn_embed_dim": 3 * WIDTH for side in ("encoder", "decoder")}

    def make(arguments, cls, *names):
        made_config = arguments(vocab_size=500, encoder_layers=2, decoder_layers=3, **sizes, **options)
        return cls(made_config, **{name: embedding(500, WIDTH) for name in names})

    return (
        made(lambda: make(config.DecoderConfig, architecture.Decoder, "embed_tokens")),
        made(lambda: make(config.EncoderConfig, architecture.Encoder, "embed_tokens")),
        made(
            lambda: make(
                config.EncoderDecoderConfig,
                architecture.EncoderDecoder,
                "encoder_embed_tokens",
                "decoder_embed_tokens",
            )
        ),
    )


@pytest.mark.parametrize(
    ("make", "options"),
    [(schemes.deepnorm, {"deepnorm": True, "subln": False}), (schemes.subln, {"deepnorm": False, "subln": True})],
)
def test_torchscale(make, options):
    decoder, encoder, both = torchscale_model(**options)
    form = {"width": WIDTH, "form": "torchscale"}
    compare(decoder, make(layers=3, **form), but=["bias"])
    compare(encoder, make(layers=2, **form), but=["bias"])
    compare(both, make(encoder_layers=2, decoder_layers=3, **form), but=["bias"])


def test_megatron_core():
    config = imported("megatron.core.transformer.transformer_config")
    found = made(
        lambda: config.TransformerConfig(num_layers=3, hidden_size=WIDTH, num_attention_heads=4, init_method_std=0.03)
    )
    rows = schemes.megatron(layers=3, stddev=0.03).table
    weight = schemes.weight.Weight("layers.0.mlp.linear_fc2.weight", "down", (WIDTH, WIDTH), {}, (WIDTH, WIDTH))
    pairs = {"embedding": found.embedding_init_method, "up": found.init_method, "down": found.output_layer_init_method}
    for role, method in pairs.items():
        assert method.func is torch.nn.init.normal_
        assert method.keywords == {"mean": 0.0, "std": rows[role].make(weight).stddev}


def test_unit_scaling():
    scaling = imported("unit_scaling")
    rate = imported("unit_scaling.optim").lr_scale_func_adam
    model = made(lambda: scaling.TransformerDecoder(WIDTH, 500, layers=3, heads=4))
    scheme = schemes.umup(width=WIDTH, layers=3)
    assert compare(model, scheme) == 17
    shapes = {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}
    found = {name: each.adam for name, each in scheme.multipliers(shapes).items()}
    assert found == pytest.approx({name: rate(tensor) for name, tensor in model.named_parameters()})


def mup_model(width, hidden, readout):
    """Return a small model with the parameter names of transformers."""
    layer = torch.nn.ModuleDict(
        {
            "self_attn": torch.nn.ModuleDict({f"{n}_proj": torch.nn.Linear(width, width) for n in ("q", "v", "o")}),
            "mlp": torch.nn.ModuleDict(
                {"up_proj": torch.nn.Linear(width, hidden), "down_proj": torch.nn.Linear(hidden, width)}
            ),
            "norm": torch.nn.LayerNorm(width),
        }
    )
    return torch.nn.ModuleDict(
        {
            "embed_tokens": torch.nn.Embedding(500, width),
            "layers": torch.nn.ModuleList([layer]),
            "lm_head": readout(width, 500, bias=False),
        }
    )


@pytest.mark.parametrize("hidden", [4 * WIDTH, 6 * WIDTH])
def test_mup(hidden):
    mup = imported("mup")
    base, delta = mup_model(32, 128, mup.MuReadout), mup_model(64, 256, mup.MuReadout)
    model = made(lambda: mup_model(WIDTH, hidden, mup.MuReadout))
    made(lambda: mup.set_base_shapes(model, base, delta=delta))
    for tensor in model.parameters():
        if tensor.ndim > 1:
            mup.init.normal_(tensor, std=0.02)
    scheme = schemes.mup(
        width=WIDTH, base_width=32, base={name: tuple(tensor.shape) for name, tensor in base.named_parameters()}
    )
    assert compare(model, scheme, but=["bias"]) == 8
    shapes = {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}
    found = scheme.multipliers(shapes)
    assert found["lm_head.weight"].output == 1 / model["lm_head"].width_mult()
    for optimizer, column in ((mup.MuAdam, "adam"), (mup.MuSGD, "sgd")):
        rates = {
            id(tensor): group["lr"]
            for group in optimizer(model.parameters(), lr=1.0).param_groups
            for tensor in group["params"]
        }
        expected = {name: rates[id(tensor)] for name, tensor in model.named_parameters()}
        assert {name: getattr(each, column) for name, each in found.items()} == pytest.approx(expected)

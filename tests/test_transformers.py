"""From a config.json to a directory that transformers loads: each architecture of the shipped plans, in small size."""

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import seedbed
from seedbed import cli
from seedbed.checkpoint import verify_checkpoint, write_directory
from seedbed.plan import load_plan, parse_plan
from seedbed.plan.json_reader import shipped_plans
from seedbed.seeds import UNBOUND

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import seedbed.torch  # noqa: E402
import seedbed.transformers  # noqa: E402

CONFIGS = Path(__file__).parents[1] / "tools" / "plans"

DECODER = {
    "vocab_size": 99,
    "hidden_size": 32,
    "intermediate_size": 56,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ENCODER = {"hidden_size": 32, "intermediate_size": 56, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL = {
    "gpt2": {"vocab_size": 99, "n_positions": 64, "n_embd": 32, "n_layer": 3, "n_head": 4},
    "llama-3-8b": DECODER,
    "mistral-7b": DECODER,
    "qwen3-8b": {**DECODER, "head_dim": 8},
    "qwen3-30b-a3b": {
        **DECODER,
        "head_dim": 8,
        "moe_intermediate_size": 24,
        "num_experts": 4,
        "num_experts_per_tok": 2,
    },
    "bert-base": {**ENCODER, "vocab_size": 99, "max_position_embeddings": 64},
    "vit-base-patch16-224": {**ENCODER, "image_size": 32, "patch_size": 8, "num_labels": 10},
    "t5-base": {
        "vocab_size": 99,
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 56,
        "num_layers": 2,
        "num_decoder_layers": 2,
        "num_heads": 4,
    },
}
OTHERS = {
    "tied Llama": ("llama-3-8b", {**DECODER, "tie_word_embeddings": True}),
    "GPT-2 with a head": ("gpt2", {**SMALL["gpt2"], "architectures": ["GPT2LMHeadModel"]}),
    "float16": ("mistral-7b", {**DECODER, "dtype": "float16"}),
}
CASES = {**{name: (name, small) for name, small in SMALL.items()}, **OTHERS}


def config_of(name, changes):
    return {**json.loads((CONFIGS / f"{name}.json").read_text()), **changes}


@pytest.fixture(params=CASES)
def config(request):
    return config_of(*CASES[request.param])


@pytest.fixture
def source(config, tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "config.json").write_text(json.dumps(config))
    return tmp_path / "source"


def class_of(config):
    return getattr(transformers, config["architectures"][0])


def initialized(config, seed):
    parsed = transformers.AutoConfig.for_model(**config)
    with seedbed.torch.recording():
        model = class_of(config)._from_config(parsed)
    return seedbed.torch.initialize_(model, seed=seed)


def inputs_of(config):
    if config["model_type"] == "vit":
        return {"pixel_values": torch.ones(1, 3, 32, 32)}
    ids = torch.arange(1, 9).reshape(1, 8)
    return {"input_ids": ids, "decoder_input_ids": ids} if config["model_type"] == "t5" else {"input_ids": ids}


def run(*arguments):
    assert cli.main([str(argument) for argument in arguments]) == 0


def test_from_pretrained_loads_the_files_of_init(config, source, tmp_path):
    run("init", source, "-o", tmp_path / "out", "--seed", "42", "--quiet")
    run("verify", tmp_path / "out", "--quiet")
    model, info = class_of(config).from_pretrained(tmp_path / "out", output_loading_info=True)
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        assert not info.get(key), key
    expected = initialized(config, 42)
    values = {**dict(expected.named_parameters()), **dict(expected.named_buffers())}
    found = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    assert found.keys() == values.keys()
    for name, tensor in found.items():
        assert tensor.dtype == values[name].dtype, name
        assert torch.equal(tensor, values[name]), name
    assert {str(p.dtype) for p in model.parameters()} == {f"torch.{config['dtype']}"}
    with torch.no_grad():
        output = model.eval().float()(**inputs_of(config))
    assert torch.isfinite(output[0]).all()


@pytest.mark.parametrize("size", [20_000, "1GB"])
def test_save_pretrained_writes_the_same_tensors_and_index(config, tmp_path, size):
    plan = seedbed.transformers.plan_of(config)
    write_directory(plan, tmp_path / "ours", seed=7, max_shard_size=size)
    initialized(config, 7).save_pretrained(tmp_path / "theirs", max_shard_size=size)
    names = {path.name for path in (tmp_path / "theirs").glob("*.safetensors*")}
    assert {path.name for path in (tmp_path / "ours").glob("*.safetensors*")} == names
    assert ("model.safetensors.index.json" in names) == (size != "1GB")
    # transformers keeps experts that are views of one parameter in one file, as if they were one tensor.
    for name in names & {"model.safetensors.index.json"} if config["model_type"] != "qwen3_moe" else ():
        assert (tmp_path / "ours" / name).read_text() == (tmp_path / "theirs" / name).read_text()
    found = verify_checkpoint(plan, tmp_path / "theirs", seed=7)
    assert found.different == 0, found.differences
    assert verify_checkpoint(plan, tmp_path / "theirs", seed=8).different > 0


def test_a_json_plan_makes_the_same_checkpoint(tmp_path):
    config = config_of(*CASES["qwen3-30b-a3b"])
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text(json.dumps(config))
    run("plan", source, "-o", tmp_path / "plan.json")
    run("init", source, "-o", tmp_path / "a", "--quiet")
    program = (
        "import sys\n"
        "for name in ('torch', 'transformers'): sys.modules[name] = None\n"
        "from seedbed import cli\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "init", tmp_path / "plan.json", "-o", tmp_path / "b", "--quiet"]
    subprocess.run(command, check=True)
    for name in ("model.safetensors", "seedbed.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    for folder in ("a", "b"):
        assert json.loads((tmp_path / folder / "config.json").read_text()) == config
    assert (tmp_path / "a" / "config.json").read_bytes() == (source / "config.json").read_bytes()


def test_the_requested_dtype_is_written_to_the_config(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config_of(*CASES["gpt2"])))
    run("init", tmp_path, "-o", tmp_path / "out", "--dtype", "float16", "--quiet")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float16"


class TestShippedPlans:
    def test_are_made_from_the_configurations(self):
        assert shipped_plans() == sorted(path.stem for path in CONFIGS.glob("*.json"))

    @pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.json")))
    def test_are_what_the_command_prints(self, name):
        shipped = resources.files("seedbed").joinpath(f"plans/{name}.json").read_text(encoding="utf-8")
        made = seedbed.transformers.plan_of(CONFIGS / f"{name}.json")
        assert parse_plan(shipped) == made
        assert shipped == made.to_json()

    def test_have_the_parameters_that_are_published(self):
        published = {
            "gpt2": 124_439_808,
            "gpt2-medium": 354_823_168,
            "gpt2-large": 774_030_080,
            "gpt2-xl": 1_557_611_200,
            "llama-3-8b": 8_030_261_248,
            "llama-3-70b": 70_553_706_496,
            "mistral-7b": 7_241_732_096,
            "qwen3-8b": 8_190_735_360,
            "qwen3-30b-a3b": 30_532_122_624,
            "vit-base-patch16-224": 86_567_656,
            "t5-base": 222_903_552,
        }
        assert {name: load_plan(name).parameters for name in published} == published


class TestBadConfigurations:
    CONFIG = config_of("llama-3-8b", DECODER)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"architectures": None},
                r'a configuration must name its class, as in "architectures": \["LlamaForCausalLM"\]',
            ),
            ({"architectures": []}, "must name its class"),
            ({"architectures": "LlamaForCausalLM"}, "must name its class"),
            ({"architectures": ["A", "B"]}, "must name its class"),
            (
                {"architectures": ["LlamaForCasualLM"]},
                'nearest name is LlamaForCausalLM. Received: "LlamaForCasualLM"',
            ),
            ({"architectures": ["LlamaConfig"]}, "an architecture must be a model of transformers"),
            ({"architectures": ["__doc__"]}, "an architecture must be a model of transformers"),
            (
                {"model_type": "lama"},
                'model_type must be one that transformers has; the nearest name is llama. Received: "lama"',
            ),
            ({"model_type": None}, "model_type must be one that transformers has"),
            ({"auto_map": {"AutoModel": "modeling.Evil"}}, "code of its own, which is never run"),
            ({"quantization_config": {"bits": 4}}, "quantized weights, which have no initial values"),
            (
                {"num_hidden_layers": 10**9},
                "a model must have at most 262144 tensors. Received: num_hidden_layers=1000000000",
            ),
            ({"hidden_size": 2**62}, "LlamaForCausalLM must be built from its configuration. Received: "),
            ({"hidden_size": "many"}, "LlamaForCausalLM must be built from its configuration. Received: "),
            (
                {"model_type": "gpt2"},
                'LlamaForCausalLM must be built from its configuration, with "model_type": "llama". Received: ',
            ),
            (
                {"architectures": ["LlamaPreTrainedModel"]},
                "an architecture must have parameters. Received: LlamaPreTrainedModel, an abstract base class",
            ),
            ({"num_attention_heads": 0}, "LlamaForCausalLM must be built from its configuration. Received: "),
        ],
    )
    def test_are_refused(self, changes, message):
        with pytest.raises(ValueError, match=message):
            seedbed.transformers.plan_of({**self.CONFIG, **changes})

    def test_are_an_error_of_the_command_in_one_line(self, tmp_path, capsys):
        (tmp_path / "config.json").write_text(json.dumps({**self.CONFIG, "architectures": None}))
        assert cli.main(["init", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
        err = capsys.readouterr().err
        assert err.startswith("seedbed: error: a configuration must name its class")
        assert err.count("\n") == 1
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("safe", ["", "1"])
    def test_run_no_code_of_their_own(self, tmp_path, safe):
        (tmp_path / "modeling.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
        (tmp_path / "torch.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
        config = {**self.CONFIG, "auto_map": {"AutoModelForCausalLM": "modeling.Evil"}}
        (tmp_path / "config.json").write_text(json.dumps(config))
        program = [sys.executable, "-m", "seedbed", "plan", "config.json"]
        done = subprocess.run(
            program,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONSAFEPATH": safe},
        )
        assert done.returncode == 2
        assert "never run" in done.stderr
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        ("content", "kind"),
        [
            (b"", ValueError),
            (b"[]", TypeError),
            (b"\xff", ValueError),
            (b"[" * 10**5, ValueError),
            (b" " * ((1 << 24) + 1), ValueError),
        ],
        ids=["empty", "a list", "no Unicode", "too deep", "too long"],
    )
    def test_outside_json_are_refused(self, tmp_path, content, kind):
        (tmp_path / "config.json").write_bytes(content)
        with pytest.raises(kind, match="a configuration must"):
            seedbed.transformers.plan_of(tmp_path)


def test_a_model_of_two_dtypes_has_those_of_save_pretrained(tmp_path):
    """XLNet makes parameters of attention in float32, whatever the dtype of the configuration is."""
    sizes = {"vocab_size": 99, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 40}
    config = {"model_type": "xlnet", "architectures": ["XLNetLMHeadModel"], "dtype": "bfloat16", **sizes}
    plan = seedbed.transformers.plan_of(config)
    assert parse_plan(plan.to_json()) == plan
    assert {tensor.dtype.name for tensor in plan.tensors} == {"bfloat16", "float32"}
    write_directory(plan, tmp_path / "ours", seed=7)
    initialized(config, 7).save_pretrained(tmp_path / "theirs")
    assert verify_checkpoint(plan, tmp_path / "theirs", seed=7).different == 0
    dtypes = [json.loads((tmp_path / name / "config.json").read_text())["dtype"] for name in ("ours", "theirs")]
    assert dtypes == ["float32", "float32"]
    model = transformers.XLNetLMHeadModel.from_pretrained(tmp_path / "ours")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


SPEECH = {
    **ENCODER,
    "vocab_size": 12,
    "conv_dim": [8, 8],
    "conv_kernel": [4, 3],
    "conv_stride": [2, 2],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
WEIGHT_NORMS = {
    "Wav2Vec2Model": ("wav2vec2", SPEECH),
    "HubertForCTC": ("hubert", SPEECH),
    "WavLMModel": ("wavlm", SPEECH),
    "UniSpeechModel": ("unispeech", SPEECH),
    "UniSpeechSatModel": ("unispeech-sat", SPEECH),
    "Wav2Vec2ConformerModel": ("wav2vec2-conformer", SPEECH),
    "SEWModel": ("sew", {**SPEECH, "squeeze_factor": 2}),
    "SEWDModel": ("sew-d", {**SPEECH, "squeeze_factor": 2, "position_buckets": 8, "max_position_embeddings": 16}),
    "VitsModel": (
        "vits",
        {
            "vocab_size": 12,
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "ffn_dim": 16,
            "flow_size": 8,
            "spectrogram_bins": 9,
            "upsample_initial_channel": 16,
            "upsample_rates": [2, 2],
            "upsample_kernel_sizes": [4, 4],
            "resblock_kernel_sizes": [3],
            "resblock_dilation_sizes": [[1, 2]],
            "wavenet_kernel_size": 3,
            "prior_encoder_num_flows": 2,
            "prior_encoder_num_wavenet_layers": 2,
            "posterior_encoder_num_wavenet_layers": 2,
            "duration_predictor_filter_channels": 16,
            "duration_predictor_num_flows": 1,
        },
    ),
    "EncodecModel": (
        "encodec",
        {
            "num_filters": 4,
            "hidden_size": 16,
            "codebook_dim": 16,
            "codebook_size": 16,
            "upsampling_ratios": [4, 2],
            "num_lstm_layers": 1,
            "sampling_rate": 8000,
            "target_bandwidths": [8.0],
        },
    ),
}


class TestWeightNorm:
    """Models with magnitudes and directions, under the names `parametrizations.weight.original0` and `original1`."""

    @pytest.mark.parametrize("name", WEIGHT_NORMS)
    def test_from_pretrained_loads_the_files_of_the_plan(self, name, tmp_path):
        kind, sizes = WEIGHT_NORMS[name]
        config = {"model_type": kind, "architectures": [name], **sizes}
        plan = seedbed.transformers.plan_of(config)
        assert parse_plan(plan.to_json()) == plan
        magnitudes = {tensor.name: tensor.seed_of for tensor in plan.tensors if tensor.seed_of is not None}
        assert magnitudes
        assert all(of == f"{name.removesuffix('0')}1" for name, of in magnitudes.items())
        write_directory(plan, tmp_path / "ours", seed=42)
        model, info = class_of(config).from_pretrained(tmp_path / "ours", output_loading_info=True)
        for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
            assert not info.get(key), key
        expected = initialized(config, 42)
        found = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        for key, tensor in [*expected.named_parameters(), *expected.named_buffers()]:
            assert torch.equal(found[key], tensor), key
        with torch.no_grad():
            if name == "VitsModel":
                output = model.eval()(input_ids=torch.arange(1, 9).reshape(1, 8)).waveform
            elif name == "EncodecModel":
                output = model.eval()(torch.ones(1, 1, 800)).audio_values
            else:
                output = model.eval()(torch.linspace(-1, 1, 400)[None])[0]
        assert torch.isfinite(output).all()
        expected.save_pretrained(tmp_path / "theirs")
        assert verify_checkpoint(plan, tmp_path / "theirs", seed=42).different == 0
        assert verify_checkpoint(plan, tmp_path / "theirs", seed=43).different > len(magnitudes)

    def test_the_command_makes_and_verifies_them(self, tmp_path, capsys):
        (tmp_path / "config.json").write_text(
            json.dumps({"model_type": "wav2vec2", "architectures": ["Wav2Vec2Model"], **SPEECH})
        )
        out = tmp_path / "out"
        run("init", tmp_path, "-o", out, "--seed", "42", "--dtype", "bfloat16", "--max-shard-size", "8KB", "--quiet")
        run("verify", out, "--quiet")
        for part in ("1/3", "2/3", "3/3"):
            run(
                "init",
                out,
                "-o",
                tmp_path / "parts",
                "--seed",
                "42",
                "--max-shard-size",
                "8KB",
                "--part",
                part,
                "--quiet",
            )
        for path in out.glob("*.safetensors"):
            assert path.read_bytes() == (tmp_path / "parts" / path.name).read_bytes()
        rule = "*.conv.parametrizations.weight.original1=RandomNormal(stddev=0.5)"
        run("init", out, "-o", tmp_path / "other", "--seed", "42", "--rule", rule, "--quiet")
        model = transformers.Wav2Vec2Model.from_pretrained(tmp_path / "other", dtype=torch.float32)
        magnitude, direction = model.encoder.pos_conv_embed.conv.parametrizations.weight.parameters()
        assert direction.std().item() == pytest.approx(0.5, rel=0.1)
        assert torch.allclose(magnitude, direction.norm(dim=(0, 1), keepdim=True), rtol=1e-2)
        run("show", tmp_path / "other")
        assert "norms of its direction" in capsys.readouterr().out


@pytest.mark.parametrize("limit", ["Infinity", '{"__float__": "Infinity"}'])
def test_configurations_may_have_infinite_numbers(tmp_path, limit):
    """As in Mamba 2: transformers 5 writes an object, older versions a word outside JSON."""
    sizes = '"num_heads": 8, "head_dim": 8, "n_groups": 1, "hidden_size": 32, "num_hidden_layers": 1, "state_size": 4'
    names = '"architectures": ["Mamba2ForCausalLM"], "model_type": "mamba2", "vocab_size": 9'
    (tmp_path / "config.json").write_text(f'{{{names}, {sizes}, "time_step_limit": [0.0, {limit}]}}')
    run("init", tmp_path, "-o", tmp_path / "out", "--quiet")
    run("verify", tmp_path / "out", "--quiet")
    model = transformers.Mamba2ForCausalLM.from_pretrained(tmp_path / "out")
    assert list(model.config.time_step_limit) == [0.0, float("inf")]


@pytest.mark.parametrize(("name", "bias"), [("mamba", "mixer.dt_proj.bias"), ("mamba2", "mixer.dt_bias")])
def test_state_space_models_are_recorded(name, bias):
    """Their step sizes are log-uniform, and A_log a constant without repetitions."""
    sizes = {"num_heads": 8, "head_dim": 16, "n_groups": 2} if name == "mamba2" else {}
    config = transformers.AutoConfig.for_model(
        name, num_hidden_layers=1, vocab_size=50, hidden_size=64, state_size=8, **sizes
    )
    with seedbed.torch.recording():
        model = transformers.AutoModel.from_config(config)
    rules = seedbed.torch.recorded_rules(model)
    assert rules[f"layers.0.{bias}"] == seedbed.InverseSoftplus(0.001, 0.1, seed=UNBOUND, floor=0.0001)
    assert torch.tensor(rules["layers.0.mixer.A_log"].value).shape == ((1, 8) if name == "mamba" else (8,))
    seedbed.torch.initialize_(model, seed=42)
    with_steps = torch.nn.functional.softplus(dict(model.named_parameters())[f"layers.0.{bias}"])
    assert bool((with_steps > 0.0009).all() and (with_steps < 0.11).all())

"""Modules of torch: the same bits in parameters and files, sharded or not."""

import doctest
import importlib
import json
import math
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import seedbed as sb
from seedbed.checkpoint import verify_checkpoint, write_checkpoint
from seedbed.plan import parse_plan

ROOT = Path(__file__).parents[1]

torch = pytest.importorskip("torch")
nn = torch.nn
st = importlib.import_module("seedbed.torch")

from support.torch_tensors import DTYPES, NORMAL, Tiny, bits  # noqa: E402

RULES = {"body.0.*": sb.TruncatedNormal(stddev=0.02), "*.bias": "ones"}


class TestInitialize:
    @pytest.mark.parametrize("meta", [False, True])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_each_parameter_draws_by_its_name(self, dtype, meta):
        with torch.device("meta" if meta else "cpu"):
            model = Tiny(getattr(torch, dtype))
        assert st.initialize_(model, RULES, seed=42, layers="default") is model
        root = sb.SeedGenerator(42)
        bound = math.sqrt(3.0) * (nn.init.calculate_gain("leaky_relu", math.sqrt(5)) / math.sqrt(8))
        torchs = sb.RandomUniform(-bound, bound, seed=root.child("body.2.weight"))
        normal = sb.RandomNormal(0, 1, seed=root.child("embed.weight"))((11, 6), dtype)
        normal[2] = 0
        for name, expected in {
            "embed.weight": normal,
            "head.weight": normal,
            "body.0.weight": sb.TruncatedNormal(stddev=0.02, seed=root.child("body.0.weight"))((8, 6), dtype),
            "body.0.bias": sb.TruncatedNormal(stddev=0.02, seed=root.child("body.0.bias"))((8,), dtype),
            "body.1.weight": np.ones(8, normal.dtype),
            "body.1.bias": np.ones(8, normal.dtype),
            "body.1.running_var": np.ones(8, normal.dtype),
            "body.1.running_mean": np.zeros(8, normal.dtype),
            "body.1.num_batches_tracked": np.zeros((), np.int64),
            "body.2.weight": torchs((6, 8), dtype),
            "body.2.bias": np.ones(6, normal.dtype),
        }.items():
            assert bits(model.state_dict()[name]) == expected.tobytes(), name

    def test_values_do_not_depend_on_other_parameters(self):
        one = st.initialize_(nn.Sequential(nn.Linear(3, 4)), seed=1)
        two = st.initialize_(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4)), seed=1)
        assert bits(one[0].weight) == bits(two[0].weight)
        assert bits(two[0].bias) != bits(two[1].bias)

    def test_a_generator_may_be_the_seed(self):
        root = sb.SeedGenerator(7)
        model = st.initialize_(nn.Linear(3, 4), seed=root.child("encoder"))
        bound = 1 / math.sqrt(3)
        expected = sb.RandomUniform(-bound, bound, seed=root.child("encoder").child("weight"))((4, 3))
        assert bits(model.weight) == expected.tobytes()
        assert root.draws == 0

    def test_rules_may_be_pairs_and_the_first_match_applies(self):
        rules = [("B*", "ones"), ("w?ight", "zeros"), ("*", "ones")]
        model = st.initialize_(nn.Linear(3, 4), rules, seed=1, unused="ignore")
        assert not model.weight.any()
        assert (model.bias == 1).all()

    def test_tied_parameters_have_the_values_of_the_first_name(self):
        with torch.device("meta"):
            model = Tiny()
            model.again = model.body
        st.initialize_(model, {"head.weight": "zeros"}, seed=1, unused="ignore", layers="default")
        assert model.head.weight is model.embed.weight
        assert model.again[0].weight is model.body[0].weight
        assert model.embed.weight.any()

    @pytest.mark.parametrize("meta", [False, True])
    def test_parameters_keep_their_class_and_attributes(self, meta):
        class Marked(nn.Parameter):
            pass

        with torch.device("meta" if meta else "cpu"):
            model = nn.Linear(3, 4)
            model.weight = Marked(torch.empty(4, 3), requires_grad=False)
        model.weight.decay = False
        model.register_buffer("kept", torch.arange(3.0, device="cpu"), persistent=False)
        before = model.weight
        st.initialize_(model, seed=1, skip="kept")
        assert type(model.weight) is Marked
        assert not model.weight.requires_grad
        assert model.weight.decay is False
        assert type(model.bias) is nn.Parameter
        assert model.bias.requires_grad
        assert model.bias.is_leaf
        assert (model.weight is before) != meta
        assert model.kept.tolist() == [0, 1, 2]
        model(torch.ones(2, 3)).sum().backward()
        assert model.bias.grad is not None

    def test_strides_are_kept(self):
        conv = nn.Conv2d(4, 6, 3, device="meta").to(memory_format=torch.channels_last)
        st.initialize_(conv, seed=1)
        assert conv.weight.is_contiguous(memory_format=torch.channels_last)
        assert bits(conv.weight) == bits(st.initialize_(nn.Conv2d(4, 6, 3), seed=1).weight)

    def test_a_recurrent_layer_uses_its_new_parameters(self):
        args = {"num_layers": 2, "bidirectional": True, "batch_first": True}
        lstm, whole = nn.LSTM(4, 5, device="meta", **args), nn.LSTM(4, 5, **args)
        st.initialize_(lstm, seed=1)
        st.initialize_(whole, seed=1)
        x = torch.ones(2, 3, 4)
        assert (lstm(x)[0] == whole(x)[0]).all()

    def test_no_random_state_moves(self):
        states = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
        with torch.device("meta"):
            model = Tiny()
        st.initialize_(model, {"body.0.*": RULES["body.0.*"]}, seed=42, layers="default")
        with st.recording():
            nn.init.orthogonal_(nn.TransformerEncoderLayer(8, 2).linear1.weight)
        st.fill_(torch.zeros(5, 7).t(), NORMAL)
        st.plan_of(nn.Transformer(8, 2, 1, 1, 8, batch_first=True, device="meta"))
        assert torch.equal(torch.random.get_rng_state(), states[0])
        assert random.getstate() == states[1]
        assert np.random.get_state()[1].tolist() == states[2]

    @pytest.mark.parametrize(
        ("make", "rules", "error", "message"),
        [
            (lambda: 3, None, TypeError, "module must be a torch.nn.Module. Received: int"),
            (lambda: nn.Linear(3, 4), 3, TypeError, "rules must be a mapping, or pairs"),
            (lambda: nn.Linear(3, 4), ["weight"], TypeError, "rules must be a mapping, or pairs"),
            (lambda: nn.Linear(3, 4), {"weight": sb.HeNormal}, TypeError, "the rule 'weight' must have an initializer"),
            (lambda: nn.Linear(3, 4), {"w*": sb.RandomNormal(seed=3)}, ValueError, "the rule 'w.*must have no seed"),
            (lambda: nn.Linear(3, 4), {"*": "no_such"}, ValueError, r"the rule '\*': unknown initializer"),
            (lambda: nn.Linear(3, 4), {"weight": "he_normal"}, ValueError, 'weight: .* must have layout="torch"'),
            (lambda: nn.Linear(3, 4), {"bias": sb.Constant([1, 2])}, ValueError, "bias: value must broadcast"),
            (lambda: nn.Linear(3, 4), {"bias": sb.Orthogonal()}, ValueError, "bias: "),
            (lambda: nn.LazyLinear(4), None, ValueError, "a parameter must have a shape.* Received: 2: weight, bias"),
            (lambda: Own(), None, ValueError, r"run again: build the module within .* Received: scale \(Own\)$"),
            (lambda: nn.Sequential(OwnReset(3, 4)), None, ValueError, "must have a rule.* Received: 0.bias"),
            (lambda: divided(), None, ValueError, r"computes is not .* 2: weight_hh_l0_g \(WeightNorm\), weight_hh"),
            (lambda: Rotary(), None, ValueError, "the values of a buffer must be known.* Received: angles$"),
            (lambda: partitioned(), None, ValueError, "a parameter must be whole or a DTensor.* Received: weight$"),
            (
                lambda: nn.ModuleList(Own() for _ in range(7)),
                None,
                ValueError,
                r"Received: 7: .*, 4.scale \(Own\) and 2 more",
            ),
            (lambda: shared(), None, ValueError, "bias: the elements of a tensor must not share memory"),
        ],
    )
    def test_errors_come_before_anything_changes(self, make, rules, error, message):
        module = make()
        parameters = list(module.parameters()) if isinstance(module, nn.Module) else []
        before = [None if nn.parameter.is_lazy(p) or p.is_meta else bits(p) for p in parameters]
        with pytest.raises(error, match=message):
            st.initialize_(module, rules, seed=1)
        assert before == [None if nn.parameter.is_lazy(p) or p.is_meta else bits(p) for p in parameters]
        if isinstance(module, nn.Module):
            assert all(a is b for a, b in zip(parameters, module.parameters(), strict=True))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"seed": None}, "a seed must be an integer"),
            ({"seed": 1.5}, "a seed must be an integer"),
            ({"seed": 1, "device": "meta"}, "device must have memory"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            st.initialize_(nn.Linear(3, 4, device="meta"), **arguments)

    def test_fans_equal_in_both_layouts_are_accepted(self):
        for init in (sb.GlorotUniform(), sb.HeNormal(input_axes=(1,), output_axes=(0,)), sb.Orthogonal()):
            st.initialize_(nn.Linear(3, 4), {"weight": init}, seed=1)
        for init in (sb.GlorotUniform(), sb.Dirac()):
            with pytest.raises(ValueError, match='must have layout="torch"'):
                st.initialize_(nn.Conv1d(3, 4, 3), {"weight": init}, seed=1)

    @pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is counted in KiB on Linux")
    def test_a_model_on_the_meta_device_is_made_in_its_own_memory(self):
        program = """
import resource, torch, seedbed.torch
from torch import nn
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
seedbed.torch.initialize_(nn.Linear(64, 64, device="meta"), seed=1)
with torch.device("meta"):
    model = nn.ModuleList([*(nn.Linear(4096, 2048) for _ in range(8)), nn.Embedding(9999, 512, 3)])
size = sum(p.nbytes for p in model.parameters())
before = peak()
seedbed.torch.initialize_(model, seed=1)
print(peak() - before, size)
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr[-4000:]
        more, size = map(int, done.stdout.split())
        assert size > 2**28
        assert more <= size + 2**24


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))


class OwnReset(nn.Linear):
    def reset_parameters(self):
        nn.init.zeros_(self.weight)


class Rotary(nn.Linear):
    def __init__(self):
        super().__init__(3, 4, device="meta")
        self.register_buffer("angles", torch.empty(3, device="meta"), persistent=False)


def partitioned():
    """Return a parameter like those that DeepSpeed has partitioned."""
    model = nn.Linear(3, 4)
    model.weight = nn.Parameter(torch.empty(0))
    model.weight.ds_shape = torch.Size((4, 3))
    return model


def divided():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(nn.GRU(3, 4), "weight_hh_l0")


def shared():
    model = nn.Linear(3, 4)
    model.bias = nn.Parameter(torch.zeros(1).expand(4))
    return model


class TestPlan:
    def test_a_file_has_the_values_in_memory(self, tmp_path):
        load_file = pytest.importorskip("safetensors.torch").load_file
        with torch.device("meta"):
            model = nn.ModuleDict({"a": Tiny(torch.bfloat16), "b": nn.MultiheadAttention(6, 2), "c": nn.LSTM(3, 4)})
        rules = {f"a.{name}" if name[0] == "b" else name: init for name, init in RULES.items()}
        plan = st.plan_of(model, rules, layers="default")
        assert all(parameter.is_meta for parameter in model.parameters())
        write_checkpoint(plan, tmp_path / "model.safetensors", seed=42)
        state = st.initialize_(model, rules, seed=42, layers="default").state_dict()
        file = load_file(tmp_path / "model.safetensors")
        assert {*state} - {*file} == {"a.head.weight"}
        for name, tensor in file.items():
            assert tensor.dtype == state[name].dtype
            assert tensor.shape == state[name].shape
            assert bits(tensor) == bits(state[name]), name

    def test_a_file_of_torch_is_verified(self, tmp_path):
        save_file = pytest.importorskip("safetensors.torch").save_file
        model = st.initialize_(nn.Sequential(nn.Embedding(300, 20, 7), nn.Linear(20, 30)), seed=42)
        plan = st.plan_of(model)
        save_file(model.state_dict(), tmp_path / "model.safetensors")
        assert not verify_checkpoint(plan, tmp_path / "model.safetensors", seed=42).different
        with torch.no_grad():
            model[0].weight[7, 3] = 1.0
        save_file(model.state_dict(), tmp_path / "model.safetensors")
        found = verify_checkpoint(plan, tmp_path / "model.safetensors", seed=42)
        assert found.different == 1
        assert "0.weight" in str(found.differences[0])

    def test_rules_are_the_defaults_of_a_plan(self, tmp_path):
        normal = {"class_name": "RandomNormal", "config": {"stddev": 0.02}}
        rules = {"[!1]*.weight": normal, "*.weight": "ones", "*": "zeros"}
        model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 5))
        written = {
            "defaults": [{"pattern": pattern, "initializer": init} for pattern, init in rules.items()],
            "tensors": [{"name": name, "shape": [*tensor.shape]} for name, tensor in model.named_parameters()],
        }
        plans = parse_plan(json.dumps(written)), st.plan_of(model, rules)
        hashes = [write_checkpoint(plan, tmp_path / "plan.safetensors", seed=9).sha256 for plan in plans]
        assert hashes[0] == hashes[1]

    def test_slices_of_an_embedding_keep_its_row_of_zeros(self):
        (tensor,) = st.plan_of(nn.Embedding(9, 4, padding_idx=5, device="meta")).tensors
        values = tensor.initializer.with_seed(1).lazy(tensor.shape, tensor.dtype)
        whole = values[...]
        assert not whole[5].any()
        assert whole.any(axis=1).sum() == 8
        for index in np.s_[
            2:, ::-1, ::-2, 5, 6:, 1::4, 2::5, (5, 1), (slice(4, 6), 2), 0:0, (slice(None), slice(0, 0))
        ]:
            assert (values[index] == whole[index]).all(), index


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no distributed")
@pytest.mark.parametrize("world", [1, 2, 4])
def test_shards_have_the_bits_of_the_whole(world, tmp_path):
    """DTensors of all placements, and FSDP2 from the meta device, as `programs/torch_processes.py` has them."""
    program = [
        sys.executable,
        str(ROOT / "tests" / "programs" / "torch_processes.py"),
        str(world),
        str(tmp_path / "store"),
    ]
    environment = {**os.environ, "SEEDBED_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines()[-1] == "the same bits"


def test_the_examples_of_the_documentation_run():
    root = Path(st.__file__).parent
    paths = [path.relative_to(root).with_suffix("") for path in root.rglob("[a-z]*.py")]
    modules = [importlib.import_module(".".join(("seedbed.torch", *path.parts))) for path in paths]
    done = [doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE) for module in modules]
    assert sum(result.attempted for result in done) > 20
    assert not sum(result.failed for result in done)

"""Modules are initialized as their authors intended, and every deviation is an error."""

import copy
import math
import warnings

import numpy as np
import pytest
from support.statistics import distance

import seedbed as sb
import seedbed.schemes
from seedbed.checkpoint import write_checkpoint
from seedbed.plan import parse_plan
from seedbed.plan.rules import Selector
from seedbed.seeds import UNBOUND

torch = pytest.importorskip("torch")
import seedbed.torch as st  # noqa: E402

nn = torch.nn
F = nn.functional


def bits(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def rows(plan):
    return {tensor.name: (tensor.initializer, tensor.source) for tensor in plan.tensors}


class Scale(nn.Module):
    """A user-written norm without a method that sets its weight."""

    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return x * self.weight


class RootMeanSquareNorm(Scale):
    pass


class Block(nn.Module):
    def __init__(self, norm=nn.LayerNorm):
        super().__init__()
        self.norm = norm(8)
        self.up = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8)
        for layer in (self.up, self.down):  # only a recording detects it
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)


class Model(nn.Module):
    """A model as in torchtitan: its method calls those of its parts."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8, padding_idx=3)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.register_buffer("angles", torch.empty(4), persistent=False)
        self.register_buffer("scale", torch.ones(4))
        self.init_weights()

    def init_weights(self, buffer_device=None):
        nn.init.normal_(self.embed.weight, std=0.5)
        for number, block in enumerate(self.blocks):
            nn.init.trunc_normal_(block.up.weight, std=0.02)
            nn.init.normal_(block.down.weight, std=0.02 / (number + 1))
            nn.init.zeros_(block.up.bias)
            nn.init.zeros_(block.down.bias)
        self.angles = 1.0 / (10000.0 ** (torch.arange(4.0) / 4))
        nn.init.ones_(self.scale)


def on_meta(make):
    with torch.device("meta"):
        return make()


class TestNorms:
    SNIPPET = {"*.bias": "zeros", "*.weight": sb.RandomNormal(stddev=0.02)}  # noqa: RUF012

    @pytest.mark.parametrize("norm", [nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d, lambda n: nn.GroupNorm(2, n), Scale])
    def test_a_random_rule_for_all_weights_leaves_norms(self, norm):
        with st.recording():
            model = nn.Sequential(Block(norm), Block(norm))
        plan = st.plan_of(model, self.SNIPPET)
        assert rows(plan)["0.norm.weight"][1] == "recorded, not '*.weight'"
        st.initialize_(model, self.SNIPPET, seed=1)
        assert (model[0].norm.weight == 1).all()
        expected = sb.RandomNormal(stddev=0.02, seed=sb.SeedGenerator(1).child("1.up.weight"))((16, 8))
        assert bits(model[1].up.weight) == expected.tobytes()

    def test_a_rule_for_norms_only_decides_them(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        rules = {"1.weight": sb.RandomNormal(1.0, 0.02), "0.weight": sb.RandomNormal(stddev=0.02)}
        st.initialize_(model, rules, seed=1)
        assert 0 < (model[1].weight - 1).abs().max() < 0.2
        rules = [(nn.BatchNorm2d, sb.RandomNormal(1.0, 0.02)), ("*", sb.RandomNormal(stddev=0.02))]
        st.initialize_(model, rules, seed=1)
        assert model[1].weight.std() > 0

    def test_a_rule_of_blocks_decides_every_element(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
        st.initialize_(model, {"*.weight": sb.Blocks(sb.RandomNormal(stddev=0.02)), "*.bias": "zeros"}, seed=1)
        assert model[1].weight.std() > 0

    def test_unknown_norms_need_a_rule(self):
        model = Block(RootMeanSquareNorm)
        message = r"must not decide the weight of a norm.* Received: norm.weight by the rule '\*.weight'"
        with pytest.raises(ValueError, match=message):
            st.initialize_(model, self.SNIPPET, seed=1)
        st.initialize_(model, {"norm.weight": "ones", **self.SNIPPET}, seed=1)
        assert (model.norm.weight == 1).all()

    def test_random_rules_leave_other_constants_too(self):
        class Scaled(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.full((8,), 1e-6))
                self.out = nn.Linear(8, 8)
                nn.init.zeros_(self.out.weight)
                self.into = nn.Linear(8, 8)

        with st.recording():
            model = Scaled()
        st.initialize_(model, {"*weight": sb.RandomNormal(stddev=0.02)}, seed=1)
        assert (model.weight == 1e-6).all()
        assert not model.out.weight.any()
        assert model.into.weight.any()


class TestRules:
    @pytest.mark.parametrize(
        ("rules", "message"),
        [
            ({"*.wieght": "zeros"}, r"'\*.wieght', which selects nothing \(near it: '\*.weight'\)"),
            ({"*.weight": "zeros", "0.weight": "ones"}, r"'0.weight', whose tensors '\*.weight'"),
            ({"1.running_maen": "zeros"}, r"near it: '1.running_mean'"),
        ],
    )
    def test_a_rule_that_decides_nothing_is_an_error(self, rules, message):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        before = bits(model[0].weight)
        with pytest.raises(ValueError, match=message):
            st.initialize_(model, rules, seed=1)
        assert bits(model[0].weight) == before
        st.initialize_(model, rules, seed=1, unused="ignore")

    def test_a_plan_with_many_buffers_is_compared_with_no_parameter(self, monkeypatch):
        model = nn.Sequential(*(nn.BatchNorm1d(2) for _ in range(30)))
        plan = st.plan_of(model)
        asked = []
        matches = Selector.__init__

        def counting(self, *args, **kwargs):
            matches(self, *args, **kwargs)
            selects = self.selects
            self.selects = lambda candidate: (asked.append(candidate), selects(candidate))[1]

        monkeypatch.setattr(Selector, "__init__", counting)
        st.initialize_(model, plan, seed=1)
        assert len(asked) <= len(plan.tensors)

    def test_a_rule_decides_a_buffer_if_it_selects_no_parameter(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        st.initialize_(model, {"1.running_mean": "ones"}, seed=1)
        assert (model[1].running_mean == 1).all()
        st.initialize_(model, {"*": sb.RandomNormal()}, seed=1)
        assert not model[1].running_mean.any()
        assert rows(st.plan_of(model, {"*.running_var": "zeros"}))["1.running_var"] == (sb.Zeros(), "*.running_var")

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"unused": "no"}, ValueError, "unused must be one of 'error', 'ignore'"),
            ({"layers": "all"}, ValueError, "layers must be one of 'recorded', 'default'"),
            ({"prefix": 3}, TypeError, "prefix must be a string"),
            ({"only": 3}, TypeError, "a pattern of names, a class of layers, or a function"),
            ({"only": "2.*"}, ValueError, r"only must select a tensor. Received: '2.\*'"),
        ],
    )
    def test_bad_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            st.plan_of(nn.Sequential(nn.Linear(3, 4)), **arguments)

    def test_errors_count_the_parameters(self):
        with pytest.raises(ValueError, match=r"Received: 42: 0.norm.weight \(Block\), .* and 37 more$"):
            st.plan_of(nn.Sequential(*(Block() for _ in range(7))))


class TestFans:
    def test_fill_has_the_guard_of_initialize(self):
        for init in (sb.KaimingNormal(seed=1), sb.GlorotUniform(seed=1), sb.UniformUnitScaling(seed=1)):
            shape = (256, 1024, 3) if isinstance(init, sb.GlorotUniform) else (256, 1024)
            with pytest.raises(ValueError, match='must have layout="torch"'):
                st.fill_(torch.empty(shape), init)
        made = st.fill_(torch.empty(256, 1024), sb.KaimingNormal(seed=1, layout="torch"))
        assert made.std() == pytest.approx(math.sqrt(2 / 1024), rel=0.01)
        st.fill_(torch.empty(256, 1024), sb.GlorotUniform(seed=1))  # has the same fans in both layouts
        blocks = sb.Blocks("zeros", [(np.s_[:8], sb.HeNormal())], seed=1)
        with pytest.raises(ValueError, match='must have layout="torch"'):
            st.fill_(torch.empty(16, 9), blocks)

    @pytest.mark.parametrize("shape", [(), (7,)])
    def test_fans_need_two_axes(self, shape):
        with pytest.raises(ValueError, match="a shape of two axes or more"):
            st.fill_(torch.empty(shape), sb.KaimingNormal(seed=1, layout="torch"))
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        with pytest.raises(ValueError, match=r"1.weight: .* a shape of two axes or more"):
            st.initialize_(model, {"1.weight": sb.KaimingNormal(layout="torch")}, seed=1)
        st.initialize_(model, {"*.weight": sb.KaimingNormal(layout="torch")}, seed=1)
        assert (model[1].weight == 1).all()

    def test_a_stack_of_experts_counts_each_as_out_in(self):
        made = st.fill_(torch.empty(8, 300, 200), sb.HeNormal(layout="torch", batch_axes=(0,), seed=1))
        assert made.std() == pytest.approx(math.sqrt(2 / 200), rel=0.01)


class TestOwnInitialization:
    def test_a_constructor_is_known_if_it_was_recorded(self):
        with st.recording():
            model = nn.Sequential(Block(), Block())
        plan = rows(st.plan_of(model))
        assert plan["0.up.weight"] == (sb.RandomNormal(0.0, 0.02, seed=sb.seeds.UNBOUND), "recorded")
        st.initialize_(model, seed=1)
        assert model[0].up.weight.std().item() == pytest.approx(0.02, rel=0.2)

    @pytest.mark.parametrize("make", [Block, lambda: nn.Sequential(Block()), lambda: on_meta(Block)])
    def test_an_unrecorded_constructor_is_an_error_with_remedies(self, make):
        message = r"build the module within seedbed.torch.recording\(\), or pass layers=\"default\".*weight \(Block\)"
        with pytest.raises(ValueError, match=message):
            st.initialize_(make(), seed=1)
        model = st.initialize_(make(), seed=1, layers="default")
        assert {source for _, source in rows(st.plan_of(model, layers="default")).values()} == {"layer default"}
        st.initialize_(make(), [("*norm.weight", "ones"), ("*", "zeros")], seed=1)

    @pytest.mark.parametrize("make", [Model, lambda: on_meta(Model), lambda: on_meta(Model).to_empty(device="cpu")])
    def test_the_method_of_a_model_is_run_again(self, make):
        model = make()
        before = {name: tensor for name, tensor in model.state_dict(keep_vars=True).items() if not tensor.is_meta}
        plan = rows(st.plan_of(model))
        assert plan["embed.weight"] == (sb.RandomNormal(0.0, 0.5, seed=sb.seeds.UNBOUND), "recorded")
        assert plan["blocks.1.down.weight"][0] == sb.RandomNormal(0.0, 0.01, seed=sb.seeds.UNBOUND)
        assert plan["blocks.1.norm.weight"] == (sb.Ones(), "layer default")
        for name, tensor in before.items():  # nothing changed
            assert model.state_dict(keep_vars=True)[name] is tensor
        st.initialize_(model, seed=1)
        assert torch.equal(model.angles, Model().angles)
        assert (model.scale == 1).all()

    def test_methods_of_transformers_and_others_are_run(self):
        class Applied(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 4)

            def _init_weights(self, module):
                if isinstance(module, nn.Linear):
                    nn.init.constant_(module.weight, 0.5)

        class Needing(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 4)

            def init_weights(self, std):
                nn.init.normal_(self.layer.weight, std=std)

        plan = rows(st.plan_of(Applied()))
        assert plan["layer.weight"] == (sb.Constant(0.5), "recorded")
        assert plan["layer.bias"][1] == "layer default"
        with pytest.raises(ValueError, match=r"layer.weight \(Needing\)"):
            st.plan_of(Needing())

    def test_the_reset_of_a_foreign_layer_is_run(self):
        class Doubled(nn.Linear):
            def reset_parameters(self):
                super().reset_parameters()
                with torch.no_grad():
                    self.weight.mul_(2)

        plan = rows(st.plan_of(nn.Sequential(Doubled(4, 3))))
        assert plan["0.weight"][1] == "recorded"
        assert plan["0.weight"][0].maxval == pytest.approx(1.0)
        assert plan["0.bias"][0].maxval == pytest.approx(0.5)

    def test_failing_code_is_named(self):
        class Failing(nn.Linear):
            def reset_parameters(self):
                if getattr(self, "made", False):
                    raise KeyError("gone")
                self.made = True

        model = Failing(3, 4)
        message = r"2: weight, bias: Failing.reset_parameters cannot be run again: KeyError: 'gone'"
        with pytest.raises(ValueError, match=message):
            st.initialize_(model, seed=1)
        st.initialize_(model, {"*": "zeros"}, seed=1)

    def test_code_that_keeps_tensors_elsewhere_changes_nothing(self):
        class Elsewhere(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.full((3,), 7.0))
                self.all = [self.weight]

            def reset_parameters(self):
                with torch.no_grad():
                    for weight in self.all:
                        weight.zero_()

        model = Elsewhere()
        with pytest.raises(ValueError, match="zero_ writes to a tensor that is no longer a parameter or buffer"):
            st.plan_of(model)
        assert (model.weight == 7).all()

    def test_the_attributes_of_a_module_are_restored(self):
        class Counting(nn.Linear):
            def reset_parameters(self):
                super().reset_parameters()
                self.calls = getattr(self, "calls", 0) + 1
                self.register_buffer("extra", torch.zeros(3))

        model = Counting(3, 4)
        state = dict(vars(model))
        st.plan_of(model, skip="extra")
        assert model.calls == 1
        assert vars(model) == state
        assert model._parameters is state["_parameters"]

    def test_a_head_added_later_gets_its_default_initialization(self):
        with st.recording():
            model = Block()
        model.head = on_meta(lambda: nn.Linear(8, 3))
        assert rows(st.plan_of(model))["head.weight"][1] == "layer default"
        model.head = Scale(3)
        with pytest.raises(ValueError, match=r"head.weight \(Scale\)$"):
            st.plan_of(model)

    def test_copies_of_a_recorded_layer_are_recorded(self):
        with st.recording():
            layer = nn.Sequential(Block())
            model = nn.ModuleList(copy.deepcopy(layer) for _ in range(2))
        initializer, source = rows(st.plan_of(model))["1.0.up.weight"]
        assert repr(initializer) == "RandomNormal(mean=0.0, stddev=0.02)"
        assert source == "recorded as 0.up.weight, with values of its own"
        st.initialize_(model, seed=1)
        assert bits(model[0][0].up.weight) != bits(model[1][0].up.weight)

    def test_layers_of_equal_configuration_are_run_once(self, monkeypatch):
        calls = []
        reset = nn.Linear.reset_parameters
        model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(5)), nn.Linear(3, 3, bias=False), nn.Linear(3, 4))
        st.plan_of(model)
        monkeypatch.setattr(nn.Linear, "reset_parameters", lambda self: (calls.append(self), reset(self)))
        st.plan_of(model)
        assert len(calls) == 3


class TestBuffers:
    def test_buffers_are_computed_after_to_empty(self):
        with st.recording():
            model = Model()
        model.to_empty(device="cpu")
        for buffer in (model.angles, model.scale):
            buffer.fill_(float("nan"))
        st.initialize_(model, seed=1)
        assert torch.equal(model.angles, Model().angles)
        assert (model.scale == 1).all()

    def test_a_buffer_that_no_code_sets_is_an_error(self):
        model = Block()
        model.register_buffer("kept", torch.arange(3.0))
        for call in (lambda **options: st.initialize_(model, seed=1, **options), lambda **o: st.plan_of(model, **o)):
            with pytest.raises(ValueError, match=r"the values of a buffer must be known.* Received: kept$"):
                call(layers="default")
            call(layers="default", skip="kept")
            call(rules={"kept": sb.Constant([0, 1, 2])}, layers="default")
        assert model.kept.tolist() == [0, 1, 2]

    def test_persistent_buffers_are_in_the_file(self, tmp_path):
        load_file = pytest.importorskip("safetensors.torch").load_file
        with st.recording():
            model = Model()
        plan = st.plan_of(model)
        write_checkpoint(plan, tmp_path / "model.safetensors", seed=1)
        other = Model()
        other.load_state_dict(load_file(tmp_path / "model.safetensors"))
        assert {tensor.name for tensor in plan.tensors} == set(other.state_dict())
        for name, tensor in st.initialize_(model, seed=1).state_dict().items():
            assert bits(tensor) == bits(other.state_dict()[name]), name


class TestTies:
    @pytest.mark.parametrize("meta", [False, True])
    def test_tensors_sharing_memory_are_one(self, meta):
        with torch.device("meta" if meta else "cpu"):
            model = nn.ModuleDict({"a": nn.Linear(3, 4, bias=False), "b": nn.Linear(3, 4, bias=False)})
        model.b.weight.data = model.a.weight.data
        assert list(rows(st.plan_of(model))) == ["a.weight"]
        st.initialize_(model, seed=1)
        assert model.a.weight is not model.b.weight
        assert model.a.weight.data_ptr() == model.b.weight.data_ptr()
        assert bits(model.a.weight) == bits(st.initialize_(nn.ModuleDict({"a": nn.Linear(3, 4)}), seed=1).a.weight)

    def test_a_buffer_in_the_memory_of_a_parameter_is_tied_to_it(self):
        with st.recording():
            model = nn.Sequential(nn.Linear(3, 4))
            model.register_buffer("view", model[0].weight.detach())
        st.initialize_(model, seed=1)
        assert model.view.data_ptr() == model[0].weight.data_ptr()
        expected = sb.RandomUniform(-(3**-0.5), 3**-0.5, seed=sb.SeedGenerator(1).child("0.weight"))((4, 3))
        assert bits(model.view) == expected.tobytes()

    @pytest.mark.parametrize("part", [lambda w: w.t(), lambda w: w[1:], lambda w: w[:, :2].t()])
    def test_partly_shared_memory_is_an_error(self, part):
        model = nn.ModuleDict({"a": nn.Linear(4, 4, bias=False)})
        model.b = nn.Module()
        model.b.weight = nn.Parameter(part(model.a.weight.data))
        for call in (st.plan_of, lambda module: st.initialize_(module, seed=1)):
            with pytest.raises(ValueError, match=r"memory of their own.* Received: a.weight and b.weight"):
                call(model)

    def test_disjoint_parts_of_one_memory_are_separate_tensors(self):
        flat = torch.zeros(4, 6)
        model = nn.Module()
        model.a, model.b = nn.Parameter(flat[:, :3]), nn.Parameter(flat[:, 3:])
        st.initialize_(model, {"a": "ones", "b": sb.Constant(2.0)}, seed=1)
        assert flat.tolist() == [[1, 1, 1, 2, 2, 2]] * 4


class TestComputedWeights:
    def make(self, name, layer):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            where = nn.utils.parametrizations if name.startswith("new") else nn.utils
            return getattr(where, name.split()[-1])(layer)

    @pytest.mark.parametrize("name", ["new spectral_norm", "spectral_norm", "new weight_norm", "weight_norm"])
    def test_a_parametrized_layer_is_an_error_that_names_it(self, name):
        model = nn.Sequential(self.make(name, nn.Linear(8, 6)))
        kind = "SpectralNorm" if "spectral" in name else "WeightNorm"
        state = torch.random.get_rng_state()
        with pytest.raises(ValueError, match=rf"a weight that a parametrization or a hook computes.*{kind}"):
            st.initialize_(model, seed=1)
        assert torch.equal(torch.random.get_rng_state(), state)

    @pytest.mark.parametrize("name", ["new spectral_norm"])
    def test_it_is_an_error_within_a_recording_too(self, name):
        with st.recording():
            model = nn.Sequential(self.make(name, nn.Linear(8, 6)))
        with pytest.raises(ValueError, match=r"0.parametrizations.weight"):
            st.initialize_(model, seed=1)

    def test_the_layer_can_be_initialized_before_parametrization(self):
        layer = st.initialize_(nn.Linear(8, 6), seed=1)
        model = self.make("new spectral_norm", layer)
        for _ in range(50):
            model(torch.ones(1, 8))
        assert torch.linalg.matrix_norm(model.weight, 2).item() == pytest.approx(1, rel=1e-3)

    def test_rules_can_set_what_the_weight_is_computed_from(self):
        model = self.make("new weight_norm", nn.Linear(8, 6))
        rules = {"*.original0": "ones", "*.original1": sb.RandomNormal()}
        st.initialize_(model, rules, seed=1)
        assert model.weight.norm(dim=1).tolist() == pytest.approx([1] * 6, rel=1e-5)

    def test_parametrizations_that_need_values_are_an_error(self):
        with (
            pytest.raises(RuntimeError, match=r"geqrf of random numbers .* must come after initialize_"),
            st.recording(),
        ):
            nn.utils.parametrizations.orthogonal(nn.Linear(8, 6), use_trivialization=False)

    @pytest.mark.parametrize("name", ["new weight_norm", "weight_norm", "new spectral_norm"])
    def test_fill_refuses_a_computed_weight(self, name):
        layer = self.make(name, nn.Linear(8, 6))
        for make in (lambda: layer.weight, lambda: layer.weight[0], lambda: layer.weight * 2):
            with pytest.raises(ValueError, match=r"must not be computed from others.* weight_g and weight_v"):
                st.fill_(make(), sb.RandomNormal(seed=1))

    def test_fill_takes_parts_of_a_parameter(self):
        weight = nn.Parameter(torch.zeros(3, 4))
        st.fill_(weight[1], sb.RandomNormal(seed=1))
        st.fill_(weight.t()[:, 0], sb.Ones())
        assert (weight != 0).all(dim=1).tolist() == [True, True, False]


UNBOUND_NORMAL = sb.RandomNormal(stddev=0.5).with_seed(UNBOUND)
WEIGHT_NORMS = {
    "new": (
        nn.utils.parametrizations.weight_norm,
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    ),
    "old": (nn.utils.weight_norm, "weight_g", "weight_v"),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", WEIGHT_NORMS)
class TestWeightNorm:
    @pytest.mark.parametrize("dim", [0, 1, 2, None])
    def test_magnitudes_are_the_norms_of_the_directions(self, kind, dim, tmp_path):
        norm, magnitude, direction = WEIGHT_NORMS[kind]
        with st.recording():
            model = nn.Sequential(norm(nn.Conv1d(5, 6, 3), dim=dim))
        plan = st.plan_of(model)
        assert rows(plan)[f"0.{magnitude}"][1] == "norms of its direction"
        assert parse_plan(plan.to_json()) == plan
        st.initialize_(model, seed=1)
        tensors = dict(model[0].named_parameters())
        expected = sb.RandomUniform(-(15**-0.5), 15**-0.5, seed=sb.SeedGenerator(1).child(f"0.{direction}"))((6, 5, 3))
        assert np.allclose(tensors[direction].detach().numpy(), expected, rtol=1e-6)
        of_torch = torch.norm_except_dim(tensors[direction], 2, -1 if dim is None else dim)
        assert tensors[magnitude].shape == of_torch.shape
        assert torch.allclose(tensors[magnitude], of_torch, rtol=1e-6)
        write_checkpoint(plan, tmp_path / "model.safetensors", seed=1)
        written = pytest.importorskip("safetensors.torch").load_file(tmp_path / "model.safetensors")
        assert all(torch.equal(written[f"0.{name}"], tensors[name]) for name in tensors)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
    def test_dtypes(self, kind, dtype):
        norm, magnitude, direction = WEIGHT_NORMS[kind]
        with st.recording():
            model = norm(nn.Linear(40, 6, dtype=dtype))
        tensors = dict(st.initialize_(model, seed=1).named_parameters())
        expected = tensors[direction].double().norm(dim=1, keepdim=True).to(dtype)
        assert torch.allclose(tensors[magnitude], expected, rtol=2e-16 if dtype == torch.float64 else 0)

    @pytest.mark.parametrize("pattern", ["*", "*weight*"])
    def test_a_rule_for_both_applies_to_the_direction(self, kind, pattern):
        norm, magnitude, direction = WEIGHT_NORMS[kind]
        model = norm(nn.Linear(40, 6))  # built elsewhere
        rules = {"bias": "zeros", pattern: sb.RandomNormal(stddev=0.02)}
        tensors = dict(st.initialize_(model, rules, seed=1).named_parameters())
        assert torch.allclose(tensors[magnitude], tensors[direction].norm(dim=1, keepdim=True), rtol=1e-6)
        st.initialize_(model, st.plan_of(model, rules), seed=1)
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in model.named_parameters())

    def test_recorded_rules_apply_to_the_direction(self, kind, tmp_path):
        norm, magnitude, direction = WEIGHT_NORMS[kind]
        with st.recording():
            model = norm(nn.Linear(40, 6))
        rules = st.recorded_rules(model)
        assert set(rules) == {"bias", magnitude, direction}
        assert not rules.undecided
        rules.save(tmp_path / "rules.json")
        st.initialize_(model, seed=1)
        other = norm(nn.Linear(40, 6))
        st.initialize_(other, st.RecordedRules.load(tmp_path / "rules.json"), seed=1)
        for name in (magnitude, direction):
            assert torch.equal(dict(other.named_parameters())[name], dict(model.named_parameters())[name])

    def test_a_changed_direction_changes_the_recorded_magnitude(self, kind):
        norm, magnitude, direction = WEIGHT_NORMS[kind]
        with st.recording():
            model = norm(nn.Linear(40, 6))
        for selector in (direction, "*weight*"):
            rules = st.recorded_rules(model)
            rules[selector] = sb.RandomNormal(stddev=0.5)
            assert rules[magnitude].initializer == rules[direction] == UNBOUND_NORMAL
            st.initialize_(model, rules, seed=1)
            tensors = dict(model.named_parameters())
            assert tensors[direction].std().item() == pytest.approx(0.5, rel=0.2)
            assert torch.allclose(tensors[magnitude], tensors[direction].norm(dim=1, keepdim=True), rtol=1e-6)
        rules[magnitude] = "ones"
        rules[direction] = "zeros"
        assert rules[magnitude] == sb.Ones()

    def test_an_undecided_direction_decides_the_magnitude(self, kind):
        norm, magnitude, direction = WEIGHT_NORMS[kind]
        rules = st.recorded_rules(norm(nn.Linear(40, 6)))  # built elsewhere
        assert {magnitude, direction} <= set(rules.undecided)
        rules["*"] = sb.RandomNormal(stddev=0.5)
        assert rules[magnitude].initializer == rules[direction]
        assert not rules.undecided

    def test_a_magnitude_of_another_dtype_is_an_error(self, kind):
        norm, magnitude, _ = WEIGHT_NORMS[kind]
        with st.recording():
            model = norm(nn.Linear(40, 6))
        layer, _, name = magnitude.rpartition(".")
        setattr(model.get_submodule(layer), name, nn.Parameter(torch.ones(6, 1, dtype=torch.float64, device="meta")))
        with pytest.raises(ValueError, match=f"{magnitude}: the magnitude of a weight norm must have the dtype"):
            st.plan_of(model)

    def test_a_scheme_leaves_the_magnitude_to_the_direction(self, kind):
        norm, magnitude, direction = WEIGHT_NORMS[kind]
        with st.recording():
            model = norm(nn.Linear(40, 6))
        scheme = seedbed.schemes.gpt2(layers=1).with_roles({direction: "up", "bias": "bias"})
        plan = {tensor.name: tensor for tensor in st.plan_of(model, scheme).tensors}
        assert plan[magnitude].initializer.initializer == plan[direction].initializer
        assert plan[direction].source == "gpt2: up"

    def test_a_rule_for_the_magnitude_alone_decides_it(self, kind):
        norm, magnitude, _ = WEIGHT_NORMS[kind]
        with st.recording():
            model = norm(nn.Linear(40, 6))
        st.initialize_(model, {magnitude: "ones"}, seed=1)
        assert (dict(model.named_parameters())[magnitude] == 1).all()

    def test_a_layer_that_was_not_recorded_needs_a_rule(self, kind):
        norm, magnitude, direction = WEIGHT_NORMS[kind]
        model = norm(nn.Linear(40, 6))
        with pytest.raises(ValueError, match=rf"within seedbed.torch.recording\(\).*: 2: {magnitude} .*, {direction} "):
            st.initialize_(model, seed=1)


class TestWrappers:
    @pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel, lambda m: torch.compile(nn.DataParallel(m))])
    def test_a_wrapped_model_has_the_bits_of_the_model(self, wrap):
        plain = st.initialize_(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), seed=1)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        wrapped = wrap(model)
        assert st.initialize_(wrapped, {"1.bias": "zeros"}, seed=1) is wrapped
        for name, tensor in plain.state_dict().items():
            assert bits(model.state_dict()[name]) == bits(tensor), name
        assert list(rows(st.plan_of(wrapped))) == list(plain.state_dict())

    def test_wrapped_layers_have_the_names_of_the_layers(self):
        from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

        model = nn.Sequential(torch.compile(nn.Linear(3, 4)), checkpoint_wrapper(nn.Linear(4, 3)))
        assert list(rows(st.plan_of(model))) == ["0.weight", "0.bias", "1.weight", "1.bias"]


class TestPadding:
    def test_a_rule_leaves_the_row_of_zeros(self):
        model = nn.Sequential(nn.Embedding(9, 4, padding_idx=5))
        st.initialize_(model, {"0.weight": sb.RandomNormal(stddev=0.02)}, seed=1)
        assert not model[0].weight[5].any()
        assert (
            bits(model[0].weight[6])
            == sb.RandomNormal(stddev=0.02, seed=sb.SeedGenerator(1).child("0.weight"))((9, 4))[6].tobytes()
        )

    def test_a_rule_may_set_the_row_of_zeros(self):
        model = nn.Sequential(nn.Embedding(9, 4, padding_idx=5))
        st.initialize_(model, {"*": sb.Blocks(sb.RandomNormal(stddev=0.02))}, seed=1)
        assert model[0].weight[5].any()


class TestParts:
    def test_a_new_head_on_an_existing_model(self):
        model = nn.ModuleDict({"body": nn.Linear(3, 4), "head": nn.Linear(4, 2)})
        body = bits(model.body.weight)
        for only in ("head.*", lambda name, tensor: name.startswith("head"), ["head.weight", "head.bias"]):
            st.initialize_(model, seed=1, only=only)
            assert bits(model.body.weight) == body
        st.initialize_(model, {"*.weight": "zeros", "body.bias": "ones"}, seed=1, skip="body.*")
        assert bits(model.body.weight) == body
        assert not model.head.weight.any()

    def test_layers_of_a_class(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
        before = bits(model[0].weight)
        with torch.no_grad():
            model[1].weight.zero_()
        st.initialize_(model, seed=1, only=nn.LayerNorm)
        assert bits(model[0].weight) == before
        assert (model[1].weight == 1).all()
        assert list(rows(st.plan_of(model, skip=(nn.LayerNorm, nn.Conv1d), unused="ignore"))) == ["0.weight", "0.bias"]

    def test_the_stages_of_a_pipeline_have_the_bits_of_the_whole(self):
        whole = nn.Sequential(*(nn.Linear(3, 3) for _ in range(4)))
        rules = {"0.*": "ones", "3.weight": sb.RandomNormal()}
        st.initialize_(whole, rules, seed=1)
        for first in (0, 2):
            stage = nn.ModuleDict({str(first + n): nn.Linear(3, 3) for n in range(2)})
            st.initialize_(stage, rules, seed=1, unused="ignore")
            alone = nn.Linear(3, 3)
            st.initialize_(alone, rules, seed=1, prefix=f"{first}.", unused="ignore")
            for name, tensor in stage.state_dict().items():
                assert bits(tensor) == bits(whole.state_dict()[name])
            assert bits(alone.weight) == bits(whole[first].weight)

    def test_two_heads_of_one_shape_differ_by_their_prefix(self):
        one, two = (st.initialize_(nn.Linear(3, 4), seed=1, prefix=prefix) for prefix in ("one.", "two."))
        assert bits(one.weight) != bits(two.weight)
        assert list(rows(st.plan_of(nn.Linear(3, 4), prefix="one."))) == ["one.weight", "one.bias"]


class TestRecordedRules:
    def make(self):
        with st.recording():
            return Model()

    def test_rules_are_printed_changed_saved_and_loaded(self, tmp_path):
        rules = st.recorded_rules(self.make())
        assert rules["embed.weight"] == sb.RandomNormal(0.0, 0.5).with_seed(sb.seeds.UNBOUND)
        assert "blocks.1.down.weight  (8, 16)  float32  RandomNormal(mean=0.0, stddev=0.01)" in str(rules)
        rules["*.bias"] = "ones"
        rules["embed.weight"] = sb.RandomNormal(stddev=0.1)
        assert rules["blocks.0.up.bias"] == sb.Ones()
        rules.save(tmp_path / "rules.json")
        loaded = st.RecordedRules.load(tmp_path / "rules.json")
        assert dict(loaded) == dict(rules)

        class Stranger(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed = nn.Embedding(20, 8)
                self.blocks = nn.ModuleList(Stranger.block() for _ in range(2))
                self.register_buffer("scale", torch.empty(4))
                self.register_buffer("angles", torch.empty(4), persistent=False)

            @staticmethod
            def block():
                return nn.ModuleDict({"norm": nn.LayerNorm(8), "up": nn.Linear(8, 16), "down": nn.Linear(16, 8)})

        other = st.initialize_(on_meta(Stranger), loaded, seed=1)
        assert torch.equal(other.angles, Model().angles)
        model = st.initialize_(self.make(), rules, seed=1)
        for name, tensor in other.state_dict().items():
            assert bits(tensor) == bits(model.state_dict()[name]), name
        assert (model.blocks[0].up.bias == 1).all()

    def test_unknown_initializers_are_printed_and_can_be_set(self):
        rules = st.recorded_rules(Block())
        assert set(rules.undecided) == set(rules)
        assert "what Block does is not known" in str(rules)
        with pytest.raises(KeyError, match=r"up.weight has no initializer"):
            rules["up.weight"]
        with pytest.raises(ValueError, match=r"each tensor must have an initializer. Received: norm.weight"):
            rules.save("nowhere")
        rules["*"] = "zeros"
        assert not rules.undecided
        assert not st.initialize_(Block(), rules, seed=1).up.weight.any()

    def test_bad_changes(self):
        rules = st.recorded_rules(self.make())
        with pytest.raises(KeyError, match=r"near it: 'embed.weight'"):
            rules["embed.wieght"] = "zeros"
        with pytest.raises(ValueError, match=r'embed.weight: .*layout="torch"'):
            rules["embed.weight"] = "he_normal"
        with pytest.raises(ValueError, match="must have no seed"):
            rules["embed.weight"] = sb.RandomNormal(seed=1)
        del rules["blocks.*"]
        assert list(rules) == ["embed.weight", "angles", "scale"]


def test_a_plan_is_shown_with_the_source_of_each_tensor():
    with st.recording():
        model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    model.append(nn.Linear(3, 3))
    assert str(st.plan_of(model, {"*.bias": "zeros", "*.weight": sb.TruncatedNormal(stddev=0.02)})).splitlines() == [
        "name      shape   dtype    initializer                             stddev   source",
        "0.weight  (3, 4)  float32  TruncatedNormal(mean=0.0, stddev=0.02)  0.01759  *.weight",
        "0.bias    (3,)    float32  Zeros()                                 0        *.bias",
        "1.weight  (3,)    float32  Ones()                                  0        recorded, not '*.weight'",
        "1.bias    (3,)    float32  Zeros()                                 0        *.bias",
        "2.weight  (3, 3)  float32  TruncatedNormal(mean=0.0, stddev=0.02)  0.01759  *.weight",
        "2.bias    (3,)    float32  Zeros()                                 0        *.bias",
    ]


def test_drawn_seeds_are_not_shown():
    for message in (repr(sb.HeNormal()), str(st.plan_of(nn.Linear(3, 4))), repr(sb.Blocks(sb.HeNormal()))):
        assert "seed" not in message
    with pytest.raises(ValueError, match=r'layout="torch".* Received: HeNormal\(input_axes=None, output_axes=None\)'):
        st.fill_(torch.empty(3, 4), sb.HeNormal())


def test_foreign_layers_have_the_distribution_of_their_reset():
    class Wavy(nn.Linear):
        def reset_parameters(self):
            bound = math.sqrt(6 / self.in_features) / 30
            nn.init.uniform_(self.weight, -bound, bound)
            nn.init.normal_(self.bias, std=0.1)

    torch.manual_seed(1)
    theirs = Wavy(100, 200)
    ours = st.initialize_(copy.deepcopy(theirs).to("meta"), seed=1)
    for name, tensor in theirs.named_parameters():
        a, b = (t.detach().double().numpy().ravel() for t in (ours.get_parameter(name), tensor))
        assert distance(a, b) < 1


def test_an_interrupted_model_has_no_parameter_of_unset_memory(monkeypatch):
    """A parameter has its values, or is on the meta device as before."""
    made = []

    def interrupted(tensor, device, materialised=st.initialize.materialised):
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(tensor)
        return materialised(tensor, device)

    with st.recording():
        model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(4)], nn.LayerNorm(4))
    whole = copy.deepcopy(model)
    monkeypatch.setattr(st.initialize, "materialised", interrupted)
    with pytest.raises(KeyboardInterrupt):
        st.initialize_(model, {"3.weight": "orthogonal"}, seed=1)
    monkeypatch.undo()
    st.initialize_(whole, {"3.weight": "orthogonal"}, seed=1)
    for given, meant in zip(model.parameters(), whole.parameters(), strict=True):
        assert given.is_meta or bits(given) == bits(meant)
    assert bits(st.initialize_(model, {"3.weight": "orthogonal"}, seed=1)[2].weight) == bits(whole[2].weight)

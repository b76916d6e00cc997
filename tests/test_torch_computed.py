"""Weights that torch computes from other parameters: parametrizations and weight norm."""

import warnings

import numpy as np
import pytest

import seedbed as sb
import seedbed.schemes
from seedbed.checkpoint import write_checkpoint
from seedbed.plan import parse_plan
from seedbed.seeds import UNBOUND

torch = pytest.importorskip("torch")
import seedbed.torch as st  # noqa: E402

nn = torch.nn

from support.torch_modules import rows  # noqa: E402


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

"""The own initialization of a module and its buffers is kept, or an error says why not."""

import copy
import math

import pytest
from support.statistics import distance

import seedbed as sb
import seedbed.schemes
from seedbed.checkpoint import write_checkpoint

torch = pytest.importorskip("torch")
import seedbed.torch as st  # noqa: E402

nn = torch.nn

from support.torch_modules import Block, Model, Scale, bits, on_meta, rows  # noqa: E402


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

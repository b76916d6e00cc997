"""Ties, wrappers and parts of modules keep the bits of the model."""

import pytest

import seedbed as sb
import seedbed.schemes

torch = pytest.importorskip("torch")
import seedbed.torch as st  # noqa: E402

nn = torch.nn

from support.torch_modules import bits, rows  # noqa: E402


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

"""Rules for a module of torch: norms, constants, fans, padding, and recorded rules."""

import math

import numpy as np
import pytest

import seedbed as sb
import seedbed.schemes
from seedbed.plan.rules import Selector

torch = pytest.importorskip("torch")
import seedbed.torch as st  # noqa: E402

nn = torch.nn

from support.torch_modules import Block, Model, Scale, bits, on_meta, rows  # noqa: E402


class RootMeanSquareNorm(Scale):
    pass


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

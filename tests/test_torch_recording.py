"""Recording translates the operations of torch on a tensor to an initializer, or raises an error."""

import copy
import math
import pickle
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
from support.statistics import distance

import seedbed as sb

torch = pytest.importorskip("torch")
import seedbed.torch as st  # noqa: E402
from seedbed.torch.recorder.initializers import Given  # noqa: E402

nn = torch.nn
init = nn.init


class Holder(nn.Module):
    """A module with one parameter or buffer, which a function makes."""

    def __init__(self, make):
        super().__init__()
        made = make()
        if isinstance(made, nn.Parameter):
            self.weight = made
        else:
            self.register_buffer("weight", made)


def recorded(make):
    """Return the recorded initializer of a tensor that a function makes."""
    with st.recording():
        holder = Holder(make)
    assert holder.weight.is_meta
    return st.recorded_rules(holder)["weight"]


def empty(*shape):
    return nn.Parameter(torch.empty(*shape))


def written(shape, *changes):
    """Return a function that makes a parameter of a shape and changes it in place."""

    def make():
        weight = empty(*shape)
        with torch.no_grad():
            for change in changes:
                change(weight)
        return weight

    return make


def timms_truncated_normal(weight, mean=0.0, std=0.02, a=-0.04, b=0.02):
    """The code of timm and many others, and of `torch.nn.init` before 2.12."""
    low, high = ((1 + math.erf((bound - mean) / std / math.sqrt(2))) / 2 for bound in (a, b))
    weight.uniform_(2 * low - 1, 2 * high - 1)
    weight.erfinv_()
    weight.mul_(std * math.sqrt(2.0))
    weight.add_(mean)
    weight.clamp_(min=a, max=b)


def scaled_by_a_tensor(weight):
    weight.copy_(torch.randn(60, 80) * torch.tensor(3.0).rsqrt())


def mambas_dt_bias():
    """The code of the Mamba models of transformers."""
    dt = torch.exp(torch.rand(60, 80) * (math.log(0.1) - math.log(0.001)) + math.log(0.001)).clamp(min=1e-4)
    bias = empty(60, 80)
    with torch.no_grad():
        bias.copy_(dt + torch.log(-torch.expm1(-dt)))
    return bias


def sum_of_others():
    """Return a sum of two draws."""
    dt = torch.exp(torch.rand(3, 3))
    return nn.Parameter(dt + torch.log(-torch.expm1(-dt.t())))


ONE = {
    "normal_": (written((60, 80), lambda w: w.normal_(1, 2)), sb.RandomNormal(1.0, 2.0)),
    "uniform_": (written((60, 80), lambda w: w.uniform_(-1, 3)), sb.RandomUniform(-1, 3)),
    "init.normal_": (written((60, 80), lambda w: init.normal_(w, std=0.02)), sb.RandomNormal(0.0, 0.02)),
    "init.trunc_normal_": (
        written((60, 80), lambda w: init.trunc_normal_(w, 0.5, 0.5, a=0.0, b=2.0)),
        sb.TruncatedNormal(0.5, 0.5, lower=-1.0, upper=3.0),
    ),
    "bounds that are far away": (
        written((60, 80), lambda w: init.trunc_normal_(w, std=0.02)),
        sb.RandomNormal(0.0, 0.02),
    ),
    "one bound": (
        written((60, 80), lambda w: init.trunc_normal_(w, std=0.5, a=0.0, b=50.0)),
        sb.TruncatedNormal(0.0, 0.5, lower=0.0, upper=None),
    ),
    "init.kaiming_normal_": (
        written((60, 80), lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu")),
        sb.RandomNormal(0.0, math.sqrt(2.0) / math.sqrt(60)),
    ),
    "init.orthogonal_": (
        written((60, 80), lambda w: init.orthogonal_(w, 2.0)),
        sb.Orthogonal(2.0, column_axis=0),
    ),
    "init.sparse_": (written((60, 80), lambda w: init.sparse_(w, 0.3, 2.0)), sb.Sparse(0.3, 2.0)),
    "init.eye_": (written((60, 80), init.eye_), sb.Identity()),
    "init.dirac_": (written((6, 8, 3), init.dirac_), sb.Dirac(layout="torch")),
    "init.ones_": (written((60, 80), init.ones_), sb.Ones()),
    "init.constant_": (written((60, 80), lambda w: init.constant_(w, 0.1)), sb.Constant(0.1)),
    "zero_": (written((60, 80), lambda w: w.zero_()), sb.Zeros()),
    "the last one counts": (
        written((60, 80), lambda w: w.fill_(3), lambda w: w.uniform_(), lambda w: w.normal_()),
        sb.RandomNormal(0.0, 1.0),
    ),
    "scaled and shifted": (
        written((60, 80), lambda w: w.normal_(), lambda w: w.mul_(0.5), lambda w: w.add_(3), lambda w: w.div_(-4)),
        sb.RandomNormal(-0.75, 0.125),
    ),
    "a uniform turned around": (
        written((60, 80), lambda w: w.uniform_(1, 2), lambda w: w.neg_(), lambda w: w.sub_(1, alpha=2)),
        sb.RandomUniform(-4.0, -3.0),
    ),
    "log of a uniform": (
        written((60, 80), lambda w: w.uniform_(1, 16), lambda w: w.log_()),
        sb.LogOfUniform(1.0, 16.0),
    ),
    "exponential of a uniform": (
        lambda: nn.Parameter(2 * torch.exp(torch.rand(60, 80) * math.log(100) + math.log(0.001))),
        sb.LogUniform(0.002, 0.2),
    ),
    "Mamba's dt_bias": (mambas_dt_bias, sb.InverseSoftplus(0.001, 0.1, floor=0.0001)),
    "dt_bias by log of expm1": (
        lambda: nn.Parameter((torch.rand(60, 80) * math.log(2)).exp().clamp_min(1.5).expm1().log()),
        sb.InverseSoftplus(1.0, 2.0, floor=1.5),
    ),
    "dt_bias by log of exp": (
        lambda: nn.Parameter(torch.log(torch.exp(torch.exp(torch.rand(60, 80) * math.log(2))) - 1)),
        sb.InverseSoftplus(1.0, 2.0, floor=0.0),
    ),
    "randn": (lambda: nn.Parameter(torch.randn(60, 80) * 0.02 + 1), sb.RandomNormal(1.0, 0.02)),
    "rand": (lambda: nn.Parameter(2 * torch.rand(60, 80) - 1), sb.RandomUniform(-1.0, 1.0)),
    "one minus rand": (lambda: nn.Parameter(1 - torch.rand(60, 80)), sb.RandomUniform(0.0, 1.0)),
    "ones plus noise": (
        lambda: nn.Parameter(torch.ones(60, 80) + 0.1 * torch.randn(60, 80)),
        sb.RandomNormal(1.0, 0.1),
    ),
    "torch.normal": (lambda: nn.Parameter(torch.normal(1.0, 2.0, (60, 80))), sb.RandomNormal(1.0, 2.0)),
    "randn_like": (lambda: nn.Parameter(torch.randn_like(torch.zeros(60, 80))), sb.RandomNormal(0.0, 1.0)),
    "on the CPU": (lambda: nn.Parameter(torch.randn(60, 80, device="cpu")), sb.RandomNormal(0.0, 1.0)),
    "in another dtype": (
        lambda: nn.Parameter(torch.randn(60, 80).to(torch.bfloat16)),
        sb.RandomNormal(0.0, 1.0),
    ),
    "copied": (written((60, 80), lambda w: w.copy_(torch.randn(80, 60).t() * 0.5)), sb.RandomNormal(0.0, 0.5)),
    "by a number in a tensor": (written((60, 80), scaled_by_a_tensor), sb.RandomNormal(0.0, 0.5773502588272095)),
    "through data": (written((60, 80), lambda w: w.data.normal_(std=0.5)), sb.RandomNormal(0.0, 0.5)),
    "a reshaped tensor": (lambda: nn.Parameter(torch.randn(4800).view(60, 80)), sb.RandomNormal(0.0, 1.0)),
    "a transposed parameter": (lambda: nn.Parameter(torch.empty(80, 60).uniform_(0, 2).t()), sb.RandomUniform(0, 2)),
    "a generator": (
        written((60, 80), lambda w: w.normal_(generator=torch.Generator(device="cpu"))),
        sb.RandomNormal(0.0, 1.0),
    ),
}

NORMAL, ZEROS, ONES = sb.RandomNormal(0.0, 1.0), sb.Zeros(), sb.Ones()


def gate(weight):
    return weight.chunk(4)[1]


PARTS = {
    "padding": (
        written((50, 80), lambda w: w.normal_(), lambda w: w[7].zero_()),
        sb.Blocks(NORMAL, [(7, ZEROS)]),
    ),
    "gates of a bias": (
        written((320,), lambda w: w.zero_(), lambda w: gate(w).fill_(1)),
        sb.Blocks(ZEROS, [(np.s_[80:160], ONES)]),
    ),
    "columns": (
        written((50, 80), lambda w: w.normal_(), lambda w: w[:, 1::2].uniform_(0, 2)),
        sb.Blocks(NORMAL, [(np.s_[:, 1:80:2], sb.RandomUniform(0.0, 2.0))]),
    ),
    "packed query, key and value": (
        written((150, 80), *(lambda w, n=n: init.normal_(w[50 * n : 50 * n + 50], std=n + 1.0) for n in range(3))),
        sb.Blocks(ZEROS, [(np.s_[50 * n : 50 * n + 50], sb.RandomNormal(0.0, n + 1.0)) for n in range(3)]),
    ),
    "orthogonal gates": (
        written((100, 25), *(lambda w, n=n: init.orthogonal_(w[25 * n : 25 * n + 25]) for n in range(4))),
        sb.Blocks(ZEROS, [(np.s_[25 * n : 25 * n + 25], sb.Orthogonal(column_axis=0)) for n in range(4)]),
    ),
    "experts": (
        written((3, 40, 30), *(lambda w, n=n: init.orthogonal_(w[n], n + 1.0) for n in range(3))),
        sb.Blocks(ZEROS, [(n, sb.Orthogonal(n + 1.0, column_axis=0)) for n in range(3)]),
    ),
    "a part scaled": (
        written((50, 80), lambda w: w.normal_(), lambda w: w[20:].mul_(3)),
        sb.Blocks(NORMAL, [(np.s_[20:50], sb.RandomNormal(0.0, 3.0))]),
    ),
    "heads of a packed kernel": (
        written((60, 80), lambda w: w.normal_(), lambda w: w.view(2, 3, 10, 80)[:, 1].zero_()),
        sb.Blocks(NORMAL, [(np.s_[10:20], ZEROS), (np.s_[40:50], ZEROS)]),
    ),
    "through a transpose": (
        written((50, 80), lambda w: w.uniform_(), lambda w: w.t()[3:5].zero_()),
        sb.Blocks(sb.RandomUniform(0.0, 1.0), [(np.s_[:, 3:5], ZEROS)]),
    ),
    "numbers in a part": (
        written((50, 3), lambda w: w.normal_(), lambda w: w[1:3].copy_(torch.arange(6.0).view(2, 3))),
        sb.Blocks(NORMAL, [(np.s_[1:3], sb.Constant([[0, 1, 2], [3, 4, 5]]))]),
    ),
    "concatenated": (
        lambda: nn.Parameter(torch.cat([torch.randn(20, 80), torch.zeros(5, 80), torch.rand(25, 80)])),
        sb.Blocks(ZEROS, [(np.s_[0:20], NORMAL), (np.s_[20:25], ZEROS), (np.s_[25:50], sb.RandomUniform(0.0, 1.0))]),
    ),
    "stacked": (
        lambda: nn.Parameter(torch.stack([init.normal_(empty(50, 80), std=2.0), torch.zeros(50, 80)], dim=1)),
        sb.Blocks(ZEROS, [(np.s_[:, 0], sb.RandomNormal(0.0, 2.0)), (np.s_[:, 1], ZEROS)]),
    ),
    "stacked experts": (
        lambda: nn.Parameter(torch.stack([init.orthogonal_(empty(40, 30), n + 1.0) for n in range(3)])),
        sb.Blocks(ZEROS, [(n, sb.Orthogonal(n + 1.0, column_axis=0)) for n in range(3)]),
    ),
    "copied with its parts": (
        lambda: nn.Parameter(written((50, 80), lambda w: w.normal_(), lambda w: w[7].zero_())().detach().clone()),
        sb.Blocks(NORMAL, [(7, ZEROS)]),
    ),
    "one element": (
        written((50, 80), lambda w: w.normal_(), lambda w: w.__setitem__((3, 4), 9.0)),
        sb.Blocks(NORMAL, [((3, 4), sb.Constant(9.0))]),
    ),
}


@pytest.mark.parametrize("case", [*ONE, *PARTS])
def test_operations_are_translated(case):
    make, expected = {**ONE, **PARTS}[case]
    found = recorded(make)
    assert found == expected.with_seed(sb.seeds.UNBOUND)
    assert "seed" not in repr(found)


@pytest.mark.parametrize("case", [*ONE, *PARTS])
def test_values_have_torchs_distribution(case):
    """n is up to 4800 elements a region, alpha 10^-6; numbers are equal, element by element."""
    make, _ = {**ONE, **PARTS}[case]
    torch.manual_seed(3)
    with torch.no_grad():
        theirs = make().detach().float().numpy()
    with st.recording():
        holder = Holder(make)
    ours = st.initialize_(holder, seed=5).weight.detach().float().numpy()
    assert ours.shape == theirs.shape
    same = ours == theirs
    if case == "init.sparse_":
        assert ((ours == 0).sum(axis=0) == (theirs == 0).sum(axis=0)).all()
    elif not same.all():
        assert distance(ours[~same], theirs[~same]) < 1
        rows = (~same).any(axis=tuple(range(1, same.ndim)))
        assert distance(ours[rows].ravel(), theirs[rows].ravel()) < 1


def test_hand_written_truncated_normals_are_recognized():
    found = recorded(written((60, 80), timms_truncated_normal))
    assert isinstance(found, sb.TruncatedNormal)
    assert found.mean == 0
    assert found.stddev == pytest.approx(0.02, rel=1e-12)
    assert (found.lower, found.upper) == pytest.approx((-2.0, 1.0), rel=1e-9)
    unbound = recorded(written((6, 8), lambda w: timms_truncated_normal(w, std=0.02, a=-2.0, b=2.0)))
    assert type(unbound) is sb.RandomNormal


NUMBERS = {
    "arange": lambda: torch.arange(6).expand(1, -1),
    "rotary": lambda: 1.0 / (10000.0 ** (torch.arange(0, 16, 2, dtype=torch.int64).float() / 16)),
    "log of arange": lambda: nn.Parameter(torch.log(torch.arange(1, 17).float()).repeat(4, 1)),
    "a causal mask": lambda: torch.full((5, 5), float("-inf")).triu(1),
    "a table written in parts": lambda: table(),
    "data": lambda: torch.tensor([[1.5, 2.0], [3.0, -1.0]]),
    "data on a device": lambda: torch.tensor([1.5, 2.0], device=torch.empty(1).device),
    "new data": lambda: torch.empty(2, dtype=torch.float64).new_tensor([1, 2]),
    "NumPy's": lambda: torch.from_numpy(np.arange(6.0).reshape(2, 3)),
    "linspace": lambda: torch.linspace(0, 1, 7)[::2].clone(),
    "complex": lambda: torch.polar(torch.ones(4), torch.arange(4.0)),
    "bool": lambda: torch.arange(7) > 3,
    "where": lambda: torch.where(torch.arange(7) > 3, torch.ones(7), 2.0),
    "masked": lambda: torch.zeros(7).masked_fill(torch.arange(7) % 2 == 0, 5),
    "indexed": lambda: torch.arange(10.0)[torch.tensor([3, 1, 4])],
    "index put": lambda: torch.zeros(5).index_put((torch.tensor([3, 1]),), torch.tensor(2.0)),
    "a shape that depends on numbers": lambda: torch.nonzero(torch.arange(5) % 2),
    "a scalar": lambda: nn.Parameter(torch.tensor(2.6592)),
    "bfloat16": lambda: torch.linspace(0, 1, 7).to(torch.bfloat16),
    "empty": lambda: torch.zeros(0, 3),
}


def table():
    made = torch.zeros(6, 8)
    angles = torch.arange(6.0)[:, None] * torch.exp(torch.arange(0, 8, 2.0) * -0.3)
    made[:, 0::2] = torch.sin(angles)
    made[:, 1::2] = torch.cos(angles)
    return made


@pytest.mark.parametrize("case", NUMBERS)
def test_deterministic_values_are_computed(case):
    expected = NUMBERS[case]().detach()
    with st.recording():
        holder = Holder(NUMBERS[case])
    assert holder.weight.is_meta
    made = st.initialize_(holder, seed=1).weight.detach()
    assert made.dtype == expected.dtype
    assert torch.equal(made, expected)


def test_code_may_read_deterministic_values():
    with st.recording():
        rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
        assert rates == pytest.approx([0, 0.05, 0.1])
        assert torch.arange(3).tolist() == [0, 1, 2]
        assert torch.arange(3).numpy().sum() == 3
        assert np.asarray(torch.ones(2)).sum() == 2
        assert bool((torch.arange(3) > 1).any())
        assert torch.arange(3).to("cpu").device.type == "cpu"
        assert torch.equal(torch.ones(2), torch.ones(2))
        assert int(torch.tensor([4])) == 4


@pytest.mark.parametrize(
    "ask", [lambda: torch.rand(1).item(), lambda: torch.randn(3).tolist(), lambda: bool(torch.randn(2).sum() > 0)]
)
def test_code_must_not_read_random_values(ask):
    with pytest.raises(RuntimeError, match="must not depend on random numbers"), st.recording():
        ask()


WITHOUT = {
    "a sum with the transposed values": (sum_of_others, "add"),
    "a sum of two draws": (lambda: nn.Parameter(torch.rand(3).exp() + torch.rand(3).exp()), "add"),
    "functions without a name": (lambda: nn.Parameter(torch.rand(3).exp().expm1()), "exp and expm1"),
    "exp": (lambda: nn.Parameter(torch.randn(3).exp()), "exp"),
    "a square": (lambda: nn.Parameter(torch.randn(3) ** 2), "pow"),
    "a clipped normal": (written((3,), lambda w: w.normal_().clamp_(-1, 1)), "clamp_"),
    "a sum of random values": (lambda: nn.Parameter(torch.randn(3) + torch.rand(3)), "add"),
    "a product of matrices": (lambda: nn.Parameter(torch.randn(3, 3) @ torch.randn(3, 3)), "mm"),
    "a norm": (lambda: nn.Parameter(torch.randn(3, 3).norm(dim=0)), "norm"),
    "exponential_": (written((3,), lambda w: w.exponential_()), "exponential_"),
    "randint": (lambda: torch.randint(0, 5, (3,)), "randint"),
    "random indices": (lambda: torch.arange(5)[torch.randperm(5)], "index"),
    "a scale for each row": (
        lambda: nn.Parameter(torch.randn(3, 2) * torch.tensor([[1.0], [2.0], [3.0]])),
        "mul",
    ),
    "a row for all": (written((3, 2), lambda w: w.copy_(torch.randn(2))), "copy_ of random values to several places"),
    "a stack of the same": (lambda: nn.Parameter(torch.stack([torch.randn(3)] * 2)), "stack of the same random values"),
    "joined with itself": (lambda: nn.Parameter(torch.cat([torch.randn(3)] * 2)), "cat of the same random values"),
    "memory that is not set": (lambda: nn.Parameter(torch.empty(3) * 2), "mul of memory that is not set"),
    "a part of an orthogonal matrix": (
        written((8, 8), init.orthogonal_, lambda w: w[:3].mul_(2)),
        "part of a tensor that is drawn as a whole",
    ),
    "a diagonal": (written((8, 8), lambda w: w.normal_(), lambda w: w.diagonal().zero_()), "zero_ of a view"),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_untranslatable_operations_are_errors_that_name_them(case):
    make, operation = WITHOUT[case]
    with st.recording():
        holder = Holder(make)
    with pytest.raises(ValueError, match=rf"^weight: no initializer gives the values that it gets from .*{operation}"):
        st.initialize_(holder, seed=1)
    assert operation in st.recorded_rules(holder).undecided["weight"]
    assert not st.initialize_(holder, {"weight": "zeros"}, seed=1).weight.any()


def test_unset_parameters_need_a_rule():
    with st.recording():
        holder = Holder(lambda: empty(3))
    with pytest.raises(ValueError, match=r"a parameter that no method of its module initializes.* Received: weight"):
        st.plan_of(holder)
    with st.recording():
        holder = Holder(written((4,), lambda w: w[:2].zero_()))
    with pytest.raises(ValueError, match="weight: nothing is written to a part of it"):
        st.plan_of(holder)


class TestRecording:
    def test_recording_draws_nothing_and_allocates_nothing(self):
        program = """
import resource, torch, seedbed.torch
from torch import nn
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
def build():
    with seedbed.torch.recording():
        layer = nn.TransformerEncoderLayer(8192, 8)
        table = nn.Embedding(100_000, 8192, padding_idx=3)
        layer.extra = nn.Parameter(torch.ones(8192, 8192) * 0.5 + 1)
    return layer
with seedbed.torch.recording(): nn.Embedding(3, 4, padding_idx=1); torch.arange(3).tolist()
before = peak()
build()
print(peak() - before)
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert int(done.stdout) < 2**24

    def test_recording_imports_no_slow_modules(self):
        program = """
import sys, torch, seedbed.torch
before = {*sys.modules}
with seedbed.torch.recording():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
seedbed.torch.initialize_(model, seed=1)
seedbed.torch.initialize_(torch.nn.LSTM(3, 4), seed=1)
print(*{name for name in {*sys.modules} - before if name in ("sympy", "torch._dynamo", "torch._refs")})
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.split() == []

    def test_no_random_state_moves(self):
        states = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
        with st.recording():
            nn.LSTM(3, 4)
            torch.randn(3)
            torch.zeros(3, device="cpu").normal_()
            torch.nn.functional.dropout(torch.ones(3), 0.5)
            init.trunc_normal_(torch.empty(3))
        assert torch.equal(torch.random.get_rng_state(), states[0])
        assert random.getstate() == states[1]
        assert np.random.get_state()[1].tolist() == states[2]

    def test_torch_is_restored_afterwards(self):
        codes = [getattr(init, name).__code__ for name in ("trunc_normal_", "orthogonal_", "sparse_", "dirac_")]
        with pytest.raises(ZeroDivisionError), st.recording(), st.recording():
            raise ZeroDivisionError
        assert codes == [getattr(init, name).__code__ for name in ("trunc_normal_", "orthogonal_", "sparse_", "dirac_")]
        assert torch.empty(1).device.type == "cpu"
        assert init.orthogonal_(torch.empty(4, 4)).det().abs() == pytest.approx(1, rel=1e-5)

    def test_functions_imported_under_other_names_are_recorded_too(self):
        kept = {"f": init.orthogonal_}
        assert recorded(written((6, 8), lambda w: kept["f"](w, gain=2.0))) == sb.Orthogonal(
            2.0, sb.seeds.UNBOUND, column_axis=0
        )

    def test_other_threads_are_not_recorded(self):
        made = []
        with st.recording():
            thread = threading.Thread(target=lambda: made.append(init.trunc_normal_(torch.empty(100))))
            thread.start()
            thread.join()
        assert made[0].device.type == "cpu"
        assert 0.5 < made[0].std() < 1.2

    def test_modules_survive_copying_pickling_and_conversion(self):
        with st.recording():
            model = nn.Sequential(nn.Linear(4, 3), nn.Embedding(5, 4, padding_idx=0))
        expected = st.plan_of(model)
        assert st.plan_of(copy.deepcopy(model)) == expected
        assert st.plan_of(pickle.loads(pickle.dumps(model))) == expected
        assert st.plan_of(model.to_empty(device="cpu")) == expected
        assert {tensor.dtype.name for tensor in st.plan_of(model.bfloat16()).tensors} == {"bfloat16"}

    def test_a_layer_whose_shape_changed_is_not_recorded(self):
        with st.recording():
            model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 4))
            init.normal_(model[0].weight)
        with torch.device("meta"):
            model[0] = nn.Linear(4, 5)
        assert isinstance(st.recorded_rules(model)["0.weight"], sb.RandomUniform)

    def test_copies_of_a_layer_draw_separately_with_a_warning(self):
        with st.recording():
            encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8), 2, enable_nested_tensor=False)
        plan = {tensor.name: tensor for tensor in st.plan_of(encoder).tensors}
        first, second = (plan[f"layers.{n}.linear1.weight"] for n in (0, 1))
        assert first.initializer == second.initializer
        assert second.source == "recorded as layers.0.linear1.weight, with values of its own"
        st.initialize_(encoder, seed=1)
        assert (encoder.layers[0].linear1.weight != encoder.layers[1].linear1.weight).any()

    def test_copying_another_parameters_values_is_an_error(self):
        with st.recording():
            student, teacher = nn.Linear(4, 3), nn.Linear(4, 3)
            teacher.load_state_dict(student.state_dict())
            model = nn.ModuleDict({"student": student, "teacher": teacher})
        with pytest.raises(ValueError, match=r"^teacher.weight: copy_ gives it the random values of student.weight"):
            st.initialize_(model, seed=1)
        st.initialize_(model, seed=1, skip="teacher.*")

    def test_halves_of_one_draw_are_not_copies(self):
        class Split(nn.Module):
            def __init__(self):
                super().__init__()
                whole = torch.randn(6, 4)
                self.a, self.b = empty(3, 4), empty(3, 4)
                with torch.no_grad():
                    self.a.copy_(whole[:3])
                    self.b.copy_(whole[3:])

        with st.recording():
            model = Split()
        st.initialize_(model, seed=1)
        assert (model.a != model.b).any()

    def test_infinities_are_kept_but_not_written_as_json(self):
        with st.recording():
            holder = Holder(NUMBERS["a causal mask"])
        rules = st.recorded_rules(holder)
        assert isinstance(rules["weight"], Given)
        with pytest.raises(ValueError, match="weight"):
            rules.plan.to_json()

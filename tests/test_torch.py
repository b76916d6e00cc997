"""seedbed in torch: the same bits in tensors and modules, sharded or not, and the distributions of torch's layers."""

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
from support.statistics import distance

import seedbed as sb
from seedbed import rules
from seedbed.checkpoint import verify_checkpoint, write_checkpoint
from seedbed.initializers import sparse
from seedbed.plan import parse_plan

ROOT = Path(__file__).parents[1]

torch = pytest.importorskip("torch")
nn = torch.nn
st = importlib.import_module("seedbed.torch")

NORMAL = sb.RandomNormal(seed=3)
DTYPES = ("float16", "bfloat16", "float32", "float64")
KINDS = {
    "normal": NORMAL,
    "uniform": sb.RandomUniform(seed=3),
    "kaiming": sb.KaimingUniform(seed=3, layout="torch"),
    "orthogonal": sb.Orthogonal(seed=3),
    "sparse": sb.Sparse(0.4, seed=3),
    "identity": sb.Identity(0.5),
    "array": sb.Constant([1, 2, 3, 4, 5]),
}
STRIDED = {
    "transposed": lambda dtype: torch.zeros(5, 7, dtype=dtype).t(),
    "every second": lambda dtype: torch.zeros(14, 15, dtype=dtype)[::2, 2::3],
    "channels last": lambda dtype: torch.zeros(7, 5, dtype=dtype)[:, :, None, None].to(
        memory_format=torch.channels_last
    )[:, :, 0, 0],
    "a view within": lambda dtype: torch.zeros(9, 5, dtype=dtype)[1:8],
    "columns": lambda dtype: torch.zeros(7, 8, dtype=dtype)[:, 1:6],
}


def bits(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


class TestFill:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_bits_are_those_of_numpy(self, kind, dtype):
        tensor = torch.zeros(7, 5, dtype=getattr(torch, dtype))
        assert st.fill_(tensor, KINDS[kind]) is tensor
        assert bits(tensor) == KINDS[kind]((7, 5), dtype).tobytes()

    @pytest.mark.parametrize("dtype", ["complex64", "complex128"])
    def test_complex_tensors(self, dtype):
        tensor = torch.zeros(7, 5, dtype=getattr(torch, dtype))
        assert bits(st.fill_(tensor, NORMAL)) == NORMAL((7, 5), dtype).tobytes()
        conjugate = torch.zeros_like(tensor).conj()
        assert bits(st.fill_(conjugate, NORMAL).resolve_conj()) == bits(tensor)
        assert bits(st.fill_(conjugate.imag, NORMAL).resolve_neg()) == NORMAL((7, 5), conjugate.imag.dtype).tobytes()

    @pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 1, 3)])
    def test_shapes_with_few_or_no_elements(self, shape):
        tensor = st.fill_(torch.zeros(shape), NORMAL)
        assert bits(tensor) == NORMAL(shape).tobytes()

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("kind", ["normal", "orthogonal", "array"])
    @pytest.mark.parametrize("strides", STRIDED)
    def test_memory_with_strides(self, strides, kind, dtype):
        tensor = STRIDED[strides](getattr(torch, dtype))
        st.fill_(tensor, KINDS[kind])
        assert bits(tensor) == KINDS[kind]((7, 5), dtype).tobytes()
        base = tensor._base
        if base is not None and strides in ("every second", "columns", "a view within"):  # and nothing else
            assert base.count_nonzero() == tensor.count_nonzero()

    def test_memory_with_strides_is_filled_in_pieces(self, monkeypatch):
        monkeypatch.setattr(st.memory, "PIECE_BYTES", 40)
        tensor = st.fill_(torch.zeros(5, 7).t(), NORMAL)
        assert bits(tensor) == NORMAL((7, 5)).tobytes()
        computed = []  # once, if a part costs as much as the whole
        for rule in (rules.Computed, sparse.Thinned):
            write = rule.write
            monkeypatch.setattr(rule, "write", lambda *args, write=write: (computed.append(1), write(*args)))
        for kind in ("orthogonal", "sparse"):
            computed.clear()
            tensor = st.fill_(torch.zeros(5, 7).t(), KINDS[kind])
            assert len(computed) == 1
            assert bits(tensor) == KINDS[kind]((7, 5)).tobytes()
        tensor = st.fill_(torch.zeros(3, 4, 6, 2, dtype=torch.bfloat16).permute(2, 0, 3, 1), NORMAL)
        assert bits(tensor) == NORMAL((6, 3, 2, 4), "bfloat16").tobytes()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_other_devices_are_filled_by_pieces(self, dtype, monkeypatch):
        """The CPU is filled like another device, since its memory is declared inaccessible."""
        monkeypatch.setattr(st.memory, "is_plain", lambda tensor: False)
        monkeypatch.setattr(st.memory, "PIECE_BYTES", 24)
        for init in KINDS.values():
            assert bits(st.fill_(torch.zeros(7, 5, dtype=getattr(torch, dtype)), init)) == init((7, 5), dtype).tobytes()
        for shape in ((), (0,), (3, 0, 2), (2, 1, 3)):
            tensor = st.fill_(torch.zeros(shape, dtype=getattr(torch, dtype)), NORMAL)
            assert bits(tensor) == NORMAL(shape, dtype).tobytes()
        for kind in ("int64", "bool", "int16", "uint8"):
            tensor = st.fill_(torch.zeros(3, 3, dtype=getattr(torch, kind)), sb.Identity())
            assert bits(tensor) == sb.Identity()((3, 3), kind).tobytes()

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_a_gpu(self, dtype):
        for init in KINDS.values():
            tensor = st.fill_(torch.zeros(7, 5, dtype=getattr(torch, dtype), device="cuda"), init)
            assert bits(tensor.cpu()) == init((7, 5), dtype).tobytes()
        with torch.device("meta"):
            model = Tiny(getattr(torch, dtype))
        st.initialize_(model, seed=1, device="cuda")
        whole = st.initialize_(Tiny(getattr(torch, dtype)), seed=1).state_dict()
        for name, tensor in model.state_dict().items():
            assert tensor.is_cuda
            assert bits(tensor.cpu()) == bits(whole[name])

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("transposed", [False, True])
    def test_a_part_of_a_whole(self, kind, transposed):
        whole = KINDS[kind]((7, 5))
        shape, offset = (3, 2), (2, 3)
        part = torch.zeros(shape[::-1]).t() if transposed else torch.zeros(shape)
        st.fill_(part, KINDS[kind], shape=(7, 5), offset=offset)
        assert bits(part) == whole[2:5, 3:].tobytes()
        assert bits(st.fill_(torch.zeros(4, 5), KINDS[kind], shape=(7, 5))) == whole[:4].tobytes()

    def test_a_generator_draws_once(self):
        root = sb.SeedGenerator(5)
        init = sb.RandomNormal(seed=root)
        made = [st.fill_(torch.zeros(4), init) for _ in range(2)]
        again = sb.RandomNormal(seed=sb.SeedGenerator(5))
        assert [bits(tensor) for tensor in made] == [again((4,)).tobytes() for _ in range(2)]
        with pytest.raises(ValueError, match="meta device"):
            st.fill_(torch.zeros(4, device="meta"), init)
        assert root.draws == 2

    def test_autograd_detects_the_change(self):
        weight = nn.Parameter(torch.ones(3, 5))
        for tensor in (weight, weight.detach().clone().t()):
            version = tensor._version
            assert st.fill_(tensor, NORMAL) is tensor
            assert tensor._version > version
        assert weight.requires_grad
        assert weight.is_leaf
        assert weight.grad_fn is None
        loss = (weight * weight).sum()
        st.fill_(weight, NORMAL)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()

    def test_inference_mode(self):
        with torch.inference_mode():
            assert bits(st.fill_(torch.zeros(3), NORMAL)) == NORMAL((3,)).tobytes()

    def test_default_device_and_modes_of_torch_have_no_effect(self):
        with torch.device("meta"):
            assert bits(st.fill_(torch.zeros(5, 7, device="cpu").t(), NORMAL)) == NORMAL((7, 5)).tobytes()

    @pytest.mark.parametrize(
        ("make", "error", "message"),
        [
            (lambda: np.zeros(3), TypeError, "tensor must be a torch.Tensor. Received: ndarray"),
            (lambda: torch.zeros(3, device="meta"), ValueError, "a tensor must have memory: give a module"),
            (lambda: torch.zeros(1).expand(3), ValueError, "the elements of a tensor must not share memory"),
            (lambda: torch.zeros(4, 4).unfold(1, 2, 1), ValueError, "the elements of a tensor must not share memory"),
            (lambda: torch.zeros(3).to_sparse(), ValueError, "a tensor must be dense. Received: layout=torch.sparse"),
            (lambda: torch.zeros(3, dtype=torch.int32), ValueError, "dtype must be a floating point"),
            (lambda: torch.zeros(3, dtype=torch.float8_e8m0fnu), ValueError, "dtype must have a zero"),
            (lambda: emptied(torch.zeros(3)), ValueError, r"a tensor must have memory for its elements. Received: 0"),
            (nn.UninitializedParameter, ValueError, "a parameter must have a shape, which a lazy one gets"),
        ],
    )
    def test_unsuitable_tensors_are_refused(self, make, error, message):
        with pytest.raises(error, match=message):
            st.fill_(make(), NORMAL)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"initializer": "normal"}, TypeError, "initializer must be one of seedbed's. Received: str"),
            ({"offset": (0, 0)}, ValueError, "offset must come with shape"),
            ({"shape": (7, 4)}, ValueError, "must lie within the shape"),
            ({"shape": (7, 9), "offset": (0, 5)}, ValueError, "must lie within the shape"),
        ],
    )
    def test_bad_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            st.fill_(torch.zeros(7, 5), **{"initializer": NORMAL, **arguments})


def emptied(tensor):
    tensor.untyped_storage().resize_(0)
    return tensor


class Tiny(nn.Module):
    """A tied head, a buffer, and a norm with buffers."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.embed = nn.Embedding(11, 6, padding_idx=2, dtype=dtype)
        self.body = nn.Sequential(
            nn.Linear(6, 8, dtype=dtype), nn.BatchNorm1d(8, dtype=dtype), nn.Linear(8, 6, dtype=dtype)
        )
        self.head = nn.Linear(6, 11, bias=False, dtype=dtype)
        self.head.weight = self.embed.weight


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
            ({"seed": 1, "device": "meta"}, "device must be one that has memory"),
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


LAYERS = {
    "linear": lambda: nn.Linear(301, 2000),
    "conv1d": lambda: nn.Conv1d(12, 600, 5, groups=3),
    "conv2d": lambda: nn.Conv2d(8, 600, (3, 2)),
    "conv3d": lambda: nn.Conv3d(4, 600, 2),
    "conv transpose 1d": lambda: nn.ConvTranspose1d(60, 600, 5, groups=3),
    "conv transpose 2d": lambda: nn.ConvTranspose2d(8, 600, (3, 2)),
    "conv transpose 3d": lambda: nn.ConvTranspose3d(4, 600, 2),
    "bilinear": lambda: nn.Bilinear(17, 9, 600),
    "embedding": lambda: nn.Embedding(600, 30, padding_idx=-2),
    "embedding without padding": lambda: nn.Embedding(600, 30),
    "embedding bag": lambda: nn.EmbeddingBag(600, 30, padding_idx=5),
    "layer norm": lambda: nn.LayerNorm((30, 4)),
    "layer norm without bias": lambda: nn.LayerNorm(30, bias=False),
    "group norm": lambda: nn.GroupNorm(3, 30),
    "rms norm": lambda: nn.RMSNorm(30),
    "batch norm": lambda: nn.BatchNorm2d(30),
    "sync batch norm": lambda: nn.SyncBatchNorm(30),
    "instance norm": lambda: nn.InstanceNorm1d(30, affine=True, track_running_stats=True),
    "prelu": lambda: nn.PReLU(30, init=0.1),
    "rnn": lambda: nn.RNN(60, 80, num_layers=2),
    "lstm": lambda: nn.LSTM(60, 80, bidirectional=True, proj_size=50),
    "gru": lambda: nn.GRU(60, 80),
    "rnn cell": lambda: nn.RNNCell(60, 500),
    "lstm cell": lambda: nn.LSTMCell(60, 80),
    "gru cell": lambda: nn.GRUCell(60, 80),
    "attention": lambda: nn.MultiheadAttention(800, 4, add_bias_kv=True),
    "attention of others": lambda: nn.MultiheadAttention(80, 4, kdim=60, vdim=50),
    "attention without bias": lambda: nn.MultiheadAttention(80, 4, bias=False),
    "transformer": lambda: nn.Transformer(80, 4, 1, 1, 600, batch_first=True),
    "encoder layer": lambda: nn.TransformerEncoderLayer(80, 4, 600),
    "adaptive softmax": lambda: nn.AdaptiveLogSoftmaxWithLoss(60, 900, [200, 500]),
    "scale norm in a subclass": lambda: type("Norm", (nn.LayerNorm,), {})(30),
}


class TestLaws:
    @pytest.mark.parametrize("layer", LAYERS)
    def test_values_have_the_distribution_of_torchs_reset(self, layer):
        """n is the number of elements of each, up to 20 000; alpha is 10^-6. Constants are equal, element by element,
        and no value of a uniform is beyond the bound that torch's largest tells, which n values miss by more than
        20 / n of it with a probability of e^-20."""
        torch.manual_seed(1)
        theirs = LAYERS[layer]()
        ours = st.initialize_(LAYERS[layer]().to("meta"), seed=5)
        kinds = {tensor.name: tensor.initializer for tensor in st.plan_of(theirs).tensors}
        assert kinds.keys() == theirs.state_dict().keys()
        for name, expected in theirs.state_dict().items():
            a, b = (t.detach().double().numpy().ravel() for t in (ours.state_dict()[name], expected))
            if (b == b[0]).all():
                assert (a == b).all(), name
                continue
            assert "seed" in kinds[name].parameters, name
            assert ((a == 0) == (b == 0)).all(), name
            assert len(b) >= 80, name
            assert distance(a[:20000], b[:20000]) < 1, name
            if not isinstance(kinds[name], (sb.RandomNormal, sb.XavierNormal)):
                assert abs(a).max() <= abs(b).max() / (1 - 20 / len(b)), name

    def test_the_statistic_detects_other_distributions(self):
        bound = 1 / math.sqrt(301)
        theirs = nn.Linear(301, 2000).weight.detach().numpy().ravel()[:20000]
        assert distance(sb.RandomUniform(-bound, bound, seed=1)((20000,)), theirs) < 1
        for other in (
            sb.RandomUniform(-1.1 * bound, 1.1 * bound, seed=1),
            sb.RandomNormal(stddev=bound / 3**0.5, seed=1),
        ):
            assert distance(other((20000,)), theirs) > 1

    @pytest.mark.filterwarnings("ignore:Initializing zero-element tensors is a no-op")
    def test_layers_that_torch_leaves_empty(self):
        for layer in (nn.Linear(0, 3), nn.Embedding(0, 3)):
            st.initialize_(layer, seed=1)
        assert not st.initialize_(nn.Linear(0, 3), seed=1).bias.any()


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

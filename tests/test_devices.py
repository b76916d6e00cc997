"""Values evaluated on devices have the bits of the engine. Here the CPU acts as another device."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import reference
from support.devices import CASES, COUNT, WIDTHS, differing

import seedbed as sb
from seedbed import _core
from seedbed.accelerators import tables
from seedbed.accelerators.arithmetic import narrowed
from seedbed.accelerators.samples import Runs, runs_of, sample_of
from seedbed.accelerators.sensitive import ELEMENTS, compare
from seedbed.accelerators.uniform import by_integers

torch = pytest.importorskip("torch")
st = importlib.import_module("seedbed.torch")
plain = importlib.import_module("seedbed.torch.devices.plain")
ways = importlib.import_module("seedbed.torch.devices.ways")
Operations = importlib.import_module("seedbed.torch.devices.operations").Operations

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
NUMBERS = {"float32": torch.int32, "bfloat16": torch.int16, "float16": torch.int16}


def bits_of(evaluate):
    """Wrap a function that evaluates samples, so that it returns bits."""

    def evaluated(sample, key, stream, runs):
        out = torch.empty(len(runs.firsts) * runs.length, dtype=getattr(torch, sample.dtype))
        evaluate(out, sample, key, stream, runs)
        return out.view(NUMBERS[sample.dtype]).numpy().view(WIDTHS[sample.dtype])

    return evaluated


class NoDoubles(torch.utils._python_dispatch.TorchDispatchMode):
    """A device without float64."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves((args, kwargs, made)):
            if isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float64:
                raise TypeError("this device has no float64")
        return made


@pytest.fixture
def as_device(monkeypatch):
    """Treat the CPU as a device. Return the list of the calls that it evaluates."""
    evaluated = []

    def counted(*of):
        evaluated.append(of[1])
        plain.evaluate(*of)

    monkeypatch.setattr(ways, "HOSTS", ways.HOSTS)
    monkeypatch.setattr(ways, "ways", lambda device: [("operations of torch", counted)])
    ways.HOSTS.discard("cpu")
    ways.way_of.cache_clear()
    ways.way_of(CPU)
    evaluated.clear()
    yield evaluated
    ways.HOSTS.add("cpu")
    ways.way_of.cache_clear()


class TestTables:
    @pytest.mark.parametrize(("kind", "name"), [("normal", "NORMAL_F32"), ("truncated_normal", "TRUNCATED_F32")])
    def test_are_those_of_the_engine(self, kind, name):
        own, right = tables.rows(kind), reference.table(name)
        assert own.offset == right.offset
        assert own.shift == right.shift
        assert own.origin.view(np.int32).tolist() == right.origins
        assert np.array_equal(own.coefficients, np.array(right.coefficients, np.float32))

    def test_of_tails_are_those_of_the_engine(self):
        assert np.array_equal(
            tables.tail().coefficients.T, np.array(reference.tail_rows("NORMAL_TAIL_F32"), np.float32)
        )


class TestRuns:
    @pytest.mark.parametrize(
        "index", [np.s_[:], np.s_[1:3], np.s_[:, 2:4], np.s_[2:3, :, 1:], np.s_[::-2, 1:, ::3], np.s_[:0]]
    )
    def test_are_the_elements_of_a_region_in_order(self, index):
        shape = (4, 5, 7)
        numbers = np.arange(140).reshape(shape)[index]
        items = (*(index if isinstance(index, tuple) else (index,)), *[slice(None)] * 3)[:3]
        runs = runs_of([sb.regions.axis_of(item, length, 0) for item, length in zip(items, shape, strict=True)])
        assert (
            runs.firsts[:, None] + np.arange(runs.length, dtype=np.uint64)
        ).ravel().tolist() == numbers.ravel().tolist()

    def test_a_scalar_is_one_element(self):
        assert runs_of([]) == Runs(np.zeros(1, np.uint64), 1)


class TestSamples:
    @pytest.mark.parametrize(
        ("distribution", "parameters", "dtype"),
        [
            ("uniform", (0.0, 1.0), "float64"),
            ("normal", (0.0, 1.0), "complex64"),
            ("uniform", (0.0, 1.0), "float8_e4m3fn"),
            ("normal_between", (0.0, 1.0, -1.0, 2.0), "float32"),
            ("log_uniform", (0.1, 1.0), "float32"),
            ("normal", (0.0, 0.0), "float32"),
            ("normal", (0.0, 1e-30), "float32"),
            ("normal", (1e-39, 1.0), "float32"),
            ("uniform", (1e-40, 1.0), "float32"),
        ],
    )
    def test_other_distributions_and_dtypes_are_left_to_the_host(self, distribution, parameters, dtype):
        assert sample_of(_core.Recipe(distribution, parameters, dtype)) is None

    def test_bounds_of_two_deviations_are_the_truncated_normal(self):
        assert sample_of(_core.Recipe("normal_between", (0.0, 1.0, -2.0, 2.0), "float32")).kind == "truncated_normal"


class TestPlain:
    def test_all_cases_have_the_bits_of_the_engine(self):
        assert differing(bits_of(plain.evaluate)) == (len(CASES) * COUNT, 0)

    def test_values_without_float64_have_the_same_bits(self, monkeypatch):
        monkeypatch.setattr(plain, "_uniform", lambda device: by_integers)
        monkeypatch.setattr(
            torch.ops.seedbed, "evaluate_", plain._evaluate
        )  # dispatch modes do not see the inside of an operator
        chosen = CASES if "SEEDBED_COMPARED" in os.environ else CASES[::5]
        with NoDoubles():
            assert differing(bits_of(plain.evaluate), chosen) == (len(chosen) * COUNT, 0)

    def test_a_device_without_float64_gets_integers(self):
        plain._uniform.cache_clear()
        with NoDoubles():
            assert plain._uniform(CPU) is by_integers
        plain._uniform.cache_clear()

    @pytest.mark.parametrize("length", [1, 5, 16, 100, (1 << 15) - 1, (1 << 15) + 1])
    def test_runs_are_cut_into_chunks(self, length):
        recipe = _core.Recipe("normal", (0.0, 1.0), "float32")
        rows = 3 if length > 1000 else 5000
        axes = [(rows, 0, 1, rows), (length + 9, 4, 1, length)]
        expected, out = np.empty((rows, length), np.float32), torch.empty(rows, length)
        address = sb.seeds.address_of(42)
        recipe.fill(expected, address, axes, 1)
        plain.evaluate(out, sample_of(recipe), *sb.accelerators.samples.key_words(address), runs_of(axes))
        assert np.array_equal(out.numpy(), expected)

    def test_the_integers_are_exact_where_the_sum_cancels(self):
        words = np.random.default_rng(0).integers(1 << 32, size=200_000, dtype=np.uint32)
        for minval, maxval in [(-1.0, 1.0 + 2**-30), (-1e-3, 5.0), (0.5, 0.5 + 2**-20), (-7e19, 3e19), (1e-19, 3e-18)]:
            sample = sample_of(_core.Recipe("uniform", (minval, maxval), "float32"))
            high = torch.from_numpy(words.view(np.int32))
            ops = Operations(CPU)
            own, right = by_integers(ops, sample, high), plain._by_doubles(ops, sample, high)
            assert torch.equal(own.view(torch.int32), right.view(torch.int32))

    def test_narrow_values_are_rounded_to_nearest_even(self):
        ends = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)  # all finite float16 numbers
        middle = (ends[:-1] + ends[1:]) / 2
        numbers = np.concatenate([ends, middle, np.nextafter(middle, 0), np.nextafter(middle, np.float32(1e6))])
        numbers = np.concatenate([numbers, -numbers])
        for dtype in ("float16", "bfloat16"):
            own = narrowed(Operations(CPU), dtype, torch.from_numpy(numbers)) & 0xFFFF
            right = numbers.astype(sb.dtypes.as_dtype(dtype)).view(np.uint16)
            assert np.array_equal(own.numpy(), right)

    def test_the_compiler_treats_it_as_one_operator(self):
        recipe = _core.Recipe("truncated_normal", (0.3, 0.1), "float32")
        runs = Runs(np.array([7], np.uint64), 5000)
        key, stream = sb.accelerators.samples.key_words(sb.seeds.address_of(3))
        kind, *numbers, _ = sample_of(recipe)

        @torch.compile(fullgraph=True)
        def compiled(x):
            out = torch.empty_like(x)
            torch.ops.seedbed.evaluate_(out, kind, numbers, key, stream, [7], 5000)
            return out * 2.0

        expected = torch.empty(5000)
        plain.evaluate(expected, sample_of(recipe), key, stream, runs)
        assert torch.equal(compiled(torch.zeros(5000)), expected * 2.0)


class TestEntryPoints:
    @pytest.mark.parametrize("dtype", WIDTHS)
    @pytest.mark.parametrize("init", [sb.RandomNormal(seed=3), sb.TruncatedNormal(seed=3), sb.RandomUniform(seed=3)])
    def test_fill_evaluates_on_the_device(self, as_device, init, dtype):
        tensor = st.fill_(torch.zeros(30, 21, dtype=getattr(torch, dtype)), init)
        assert np.array_equal(tensor.view(NUMBERS[dtype]).numpy(), init((30, 21), dtype).view(f"i{tensor.itemsize}"))
        assert len(as_device) == 1

    def test_fill_works_within_a_compiled_function(self, as_device):
        init = sb.RandomNormal(seed=3)

        @torch.compile(backend="eager")
        def compiled(x):
            return st.fill_(x, init) * 2.0

        assert np.array_equal(compiled(torch.zeros(8, 33)).numpy(), init((8, 33)) * 2)
        assert len(as_device) == 1

    def test_a_part_has_the_bits_of_the_whole(self, as_device):
        init = sb.KaimingUniform(seed=3, layout="torch")
        part = st.fill_(torch.zeros(10, 7, 5), init, shape=(30, 9, 5), offset=(11, 2, 0))
        assert np.array_equal(part.numpy(), init((30, 9, 5))[11:21, 2:])
        assert len(as_device) == 1

    def test_memory_of_any_strides_is_written(self, as_device, monkeypatch):
        monkeypatch.setattr(ways, "PIECE", 13)
        init = sb.RandomNormal(seed=3)
        tensor = st.fill_(torch.zeros(21, 30).t()[::2], init, shape=(20, 25), offset=(3, 2))
        assert np.array_equal(tensor.numpy(), init((20, 25))[3:18, 2:23])
        assert as_device

    def test_a_parameter_that_takes_gradients_is_written(self, as_device):
        parameter = torch.nn.Parameter(torch.zeros(4, 5))
        before = parameter._version
        st.fill_(parameter, sb.RandomNormal(seed=3))
        assert parameter.requires_grad
        assert parameter._version > before
        assert np.array_equal(parameter.detach().numpy(), sb.RandomNormal(seed=3)((4, 5)))

    def test_a_model_has_the_bits_of_the_host(self, as_device):
        def model():
            return torch.nn.Sequential(torch.nn.Linear(9, 8), torch.nn.LayerNorm(8), torch.nn.Embedding(7, 8))

        own = st.initialize_(model(), seed=42).state_dict()
        assert len(as_device) == 3
        ways.HOSTS.add("cpu")
        right = st.initialize_(model(), seed=42).state_dict()
        assert all(torch.equal(own[name], right[name]) for name in right)

    @pytest.mark.parametrize(
        "init", [sb.Orthogonal(seed=3), sb.Sparse(0.4, seed=3), sb.RandomNormal(stddev=1e-38, seed=3), sb.Ones()]
    )
    def test_everything_else_is_left_to_the_host(self, as_device, init):
        assert np.array_equal(st.fill_(torch.zeros(7, 5), init).numpy(), init((7, 5)))
        assert not as_device

    def test_an_empty_tensor_is_filled(self, as_device):
        assert st.fill_(torch.zeros(0, 5), sb.RandomNormal(seed=3)).shape == (0, 5)

    def test_an_environment_variable_makes_the_host_evaluate(self, as_device, monkeypatch):
        monkeypatch.setenv("SEEDBED_DEVICE", "host")
        st.fill_(torch.zeros(7, 5), sb.RandomNormal(seed=3))
        assert not as_device
        assert st.device_report("cpu").way == "host"
        monkeypatch.setenv("SEEDBED_DEVICE", "gpu")
        with pytest.raises(ValueError, match=r"SEEDBED_DEVICE must be \"host\", or not be set. Received: 'gpu'"):
            st.fill_(torch.zeros(7, 5), sb.RandomNormal(seed=3))

    def test_parts_of_distributed_tensors_are_evaluated_on_the_device(self):
        program = ROOT / "tests" / "programs" / "torch_device_parts.py"
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(
            [sys.executable, str(program), "0", "6"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout == "same\n", done.stderr[-4000:]


class Fused(Operations):
    def times(self, one, other):
        return one.to(torch.float64) * other

    def plus(self, one, other):
        return (one.to(torch.float64) + other).to(torch.float32)


class Truncating(Operations):
    def number(self, words):
        near = words.to(torch.float32)
        beyond = near.to(torch.float64).abs() > words.to(torch.float64).abs()
        return torch.where(beyond, torch.nextafter(near, torch.zeros(())), near)


class Flushing(Operations):
    """Flushes float16 numbers below 2^-14 to 0, as some conversions do."""

    def where(self, condition, one, other):
        return torch.where(condition, one & 0 if torch.is_tensor(one) and one is not other else one, other)


class TestGuard:
    def test_each_distribution_has_64_addresses(self):
        assert [len({*elements}) for elements in ELEMENTS.values()] == [64, 64, 64]

    def test_plain_torch_operations_pass(self):
        compared, wrong = compare(lambda cases: ways._bits(plain.evaluate, CPU, cases))
        assert (compared, wrong) == (3 * 2 * 3 * 64, ())

    @pytest.mark.parametrize("broken", [Fused, Truncating, Flushing])
    def test_broken_arithmetic_falls_back_to_the_host_with_a_warning(self, as_device, monkeypatch, broken):
        monkeypatch.setattr(plain, "Operations", broken)
        ways.way_of.cache_clear()
        with pytest.warns(RuntimeWarning, match=r"must give the bits of the engine.*\n?.*values of Recipe\("):
            tensor = st.fill_(torch.zeros(7, 5), sb.RandomNormal(seed=3))
        assert np.array_equal(tensor.numpy(), sb.RandomNormal(seed=3)((7, 5)))
        report = st.device_report("cpu")
        assert report.way == "host"
        assert "such as element" in report.note

    def test_a_uniform_of_float32_arithmetic_falls_back(self, as_device, monkeypatch):
        def single(ops, sample, high):
            x = (high ^ ops.word(1 << 31)).to(torch.float32) * 2.0**-31
            return x * sample.scale + sample.center

        monkeypatch.setattr(plain, "_uniform", lambda device: single)
        ways.way_of.cache_clear()
        with pytest.warns(RuntimeWarning, match="values of Recipe"):
            assert ways.way_of(CPU).evaluate is None

    def test_an_error_of_a_device_falls_back(self, as_device, monkeypatch):
        def failing(*of):
            raise NotImplementedError("no such kernel")

        monkeypatch.setattr(ways, "ways", lambda device: [("failing", failing), ("plain", plain.evaluate)])
        ways.way_of.cache_clear()
        with pytest.warns(RuntimeWarning, match="NotImplementedError: no such kernel"):
            assert ways.way_of(CPU).name == "plain"

    def test_the_kernel_is_tried_first_on_cuda_only(self, monkeypatch):
        monkeypatch.setattr(ways, "_has_bindings", lambda: True)
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        cuda, names = torch.device("cuda:0"), ["a kernel in CUDA C", "operations of torch"]
        assert [name for name, _ in ways.ways(cuda)] == names
        assert [name for name, _ in ways.ways(torch.device("mps"))] == names[1:]
        monkeypatch.setattr(torch.version, "cuda", None)  # as in ROCm builds
        assert [name for name, _ in ways.ways(cuda)] == names[1:]

    def test_the_report_states_the_comparison(self, as_device):
        report = st.device_report("cpu")
        assert (report.way, report.compared) == ("operations of torch", 1152)
        assert "No way of a device has been run on hardware" in str(report)


def test_the_report_without_an_accelerator_is_about_the_cpu(monkeypatch):
    """A build of torch for CUDA names CUDA as its accelerator on machines without one."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    assert st.device_report() == st.device_report("cpu")

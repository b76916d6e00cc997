"""The kernels in CUDA C: as C++ on the CPU they give the bits of the engine; no compiler fuses their operations."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.cuda import compiled, evaluated_by
from support.devices import CASES, COUNT, differing

from seedbed import _core
from seedbed.accelerators.cuda import source
from seedbed.accelerators.samples import key_words, runs_of, sample_of
from seedbed.seeds import address_of

ROOT = Path(__file__).parents[1]
REAL = ("sm_75", "sm_80", "sm_90", "sm_120")
VIRTUAL = tuple(f"compute_{number}" for number in (75, 86, 89, 100))

compiles_cpp = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")


def has_nvrtc():
    return importlib.util.find_spec("cuda") is not None and importlib.util.find_spec("cuda.bindings") is not None


compiles_cuda = pytest.mark.skipif(not has_nvrtc(), reason="cuda.bindings is not installed")


def machine_code(architecture):
    pytest.importorskip("torch")
    return importlib.import_module("seedbed.torch.devices.cuda").compiled(architecture)


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory):
    return evaluated_by(compiled(tmp_path_factory.mktemp("kernels"), "-ffp-contract=off"))


@compiles_cpp
class TestOnTheCpu:
    def test_all_cases_have_the_bits_of_the_engine(self, evaluate):
        compared, wrong = differing(evaluate, count=8 * COUNT)
        assert (compared, wrong) == (8 * len(CASES) * COUNT, 0)

    @pytest.mark.skipif("fma" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"), reason="the CPU fuses nothing")
    def test_the_bits_differ_if_the_compiler_fuses(self, tmp_path):
        compared, wrong = differing(evaluated_by(compiled(tmp_path, "-ffp-contract=fast", "-mfma")))
        assert wrong > 0.002 * compared

    @pytest.mark.parametrize("length", [1, 3, 16, 17, 100, 2047, 2049, 5000])
    def test_runs_of_any_length_are_written_and_nothing_else(self, evaluate, length):
        recipe = _core.Recipe("normal", (0.0, 1.0), "float32")
        axes, address = [(9, 2, 1, 5), ((1 << 40) + 13, 77, 1, length)], address_of(42)
        expected = np.empty((5, length), np.float32)
        recipe.fill(expected, address, axes, 1)
        own = evaluate(sample_of(recipe), *key_words(address), runs_of(axes))
        assert np.array_equal(own, expected.view(np.uint32).ravel())

    def test_the_driver_gets_what_it_launches(self, tmp_path):
        if not has_nvrtc():
            pytest.skip("cuda.bindings is not installed")
        program = [sys.executable, str(ROOT / "tests" / "programs" / "cuda_driver.py"), str(tmp_path)]
        done = subprocess.run(program, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
        assert done.returncode == 0, done.stderr[-4000:]
        compared, wrong = map(int, done.stdout.split())
        assert compared == 1152 + len(CASES[::7]) * COUNT
        assert wrong == 0


@compiles_cuda
class TestCompiled:
    @pytest.mark.parametrize("architecture", VIRTUAL)
    def test_no_operation_is_fused_or_flushes_subnormals(self, architecture):
        text = machine_code(architecture).decode()
        assert not re.search(r"\bfma\.|\bmad\.\w*\.?f\d|\.ftz|\b(mul|add|sub)\.f(32|64)", text)
        assert len(re.findall(r"\bmul\.rn\.f32", text)) > 100
        assert {
            f"{kind}_{dtype}" for kind in ("uniform", "truncated_normal", "normal") for dtype in ("float32", "float16")
        } <= {*re.findall(r"\.entry (\w+)", text)}

    def test_plain_operators_would_be_fused(self, monkeypatch):
        pytest.importorskip("torch")
        cuda = importlib.import_module("seedbed.torch.devices.cuda")
        plain = re.sub(r"__fadd_rn\(__fmul_rn\(x, f\), (.*?)\);", r"x * f + \1;", source())
        monkeypatch.setattr(cuda, "source", lambda: plain)
        text = cuda.compiled.__wrapped__("compute_90").decode()
        assert len(re.findall(r"\bfma\.rn\.f32", text)) > 100

    @pytest.mark.parametrize("architecture", REAL)
    def test_the_machine_code_fuses_nothing(self, architecture, tmp_path):
        path = tmp_path / "kernels.cubin"
        path.write_bytes(machine_code(architecture))
        text = subprocess.run([disassembler(), str(path)], capture_output=True, text=True, check=True).stdout
        assert not re.search(r"\b(FFMA|DFMA)", text)
        assert {*re.findall(r"\bHFMA2\S* \w+, (\S+, \S+), ", text)} <= {"-RZ, RZ"}  # loads a constant
        assert {*re.findall(r"\b(\w+)\S*\.FTZ", text)} <= {"F2I"}  # divides integers
        assert len(re.findall(r"\bFMUL", text)) > 100


def disassembler():
    found = shutil.which("nvdisasm")
    spec = importlib.util.find_spec("nvidia")
    for place in spec.submodule_search_locations if spec else ():
        found = found or next((str(path) for path in Path(place).glob("*/bin/nvdisasm")), None)
    return found or pytest.skip("nvidia-cuda-nvdisasm is not installed")

"""Models of transformers, torchvision and timm: recorded, on the meta device, after construction, and sharded."""

import math
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "torch-models.md"

torch = pytest.importorskip("torch")
for name in ("transformers", "torchvision", "timm"):
    pytest.importorskip(name)

import seedbed.torch as st  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLE = runpy.run_path(str(ROOT / "examples" / "torch_models.py"))
MODELS = EXAMPLE["MODELS"]
OF_TRANSFORMERS = ("Llama", "GPT-2", "BERT", "Qwen2-MoE", "T5", "ViT")


@pytest.mark.parametrize("title", MODELS)
def test_each_parameter_has_its_models_distribution(title):
    """n is the number of elements of each; six standard errors, of the mean and of the standard deviation."""
    assert EXAMPLE["check"](*MODELS[title]) > 20


@pytest.mark.parametrize("title", OF_TRANSFORMERS)
@pytest.mark.parametrize("device", ["meta", "cpu", "emptied"])
def test_every_way_of_building_gives_the_same_bits(title, device):
    make, _ = MODELS[title]
    expected = EXAMPLE["recorded"](make)
    with torch.device("meta" if device == "emptied" else device):
        model = make()
    if device == "emptied":
        model.to_empty(device="cpu")
        for buffer in model.buffers():
            buffer.fill_(7)
        model.tie_weights()
    st.initialize_(model, seed=42)
    found, state = (dict([*m.named_parameters(), *m.named_buffers()]) for m in (model, expected))
    assert list(found) == list(state)
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor), name


def test_a_torchvision_constructor_must_be_recorded():
    make, _ = MODELS["ResNet-18"]
    with pytest.raises(ValueError, match=r'recording\(\), or pass layers="default".* conv1.weight \(ResNet\)'):
        st.initialize_(make(), seed=42)
    plan = {tensor.name: tensor for tensor in st.plan_of(EXAMPLE["recorded"](make)).tensors}
    assert plan["conv1.weight"].initializer.stddev == pytest.approx(math.sqrt(2 / (64 * 49)), rel=1e-6)
    assert plan["conv1.weight"].source == "recorded"


def test_the_page_of_standard_deviations_is_up_to_date():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "examples/torch_models.py", "--markdown"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    number = re.compile(r"\d+\.\d+(e-\d+)?")
    page = PAGE.read_text("utf-8")
    assert number.sub("0", done.stdout) == number.sub("0", page)
    for line in page.splitlines():
        if line.startswith("| ") and line[-3].isdigit():
            theirs, ours = (float(cell) for cell in line.split("|")[3:5])
            assert ours == pytest.approx(theirs, rel=0.3, abs=1e-12)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no distributed")
def test_two_processes_have_the_bits_of_one(tmp_path):
    program = [sys.executable, str(ROOT / "tests" / "programs" / "torch_models.py"), str(tmp_path / "store")]
    environment = {**os.environ, "SEEDBED_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines()[-1] == "the same bits"


def test_the_bench_of_models_runs():
    command = [sys.executable, ROOT / "benches" / "torch_models.py", "--cases", "tiny", "--rounds", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "| 0.2 | `LlamaForCausalLM(config)` |" in done.stdout

"""Examples of the pages of docs/ that need a framework or R, each page in its own process."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDS = {
    "dask": ("dask", "distributed"),
    "jax": ("flax", "jax", "safetensors"),
    "keras": ("keras", "torch"),
    "recipes": ("jax", "torch"),
    "torch": ("torch",),
    "transformers": ("torch", "transformers"),
}
"""Pages that pytest does not collect, and the modules that each imports."""

PROGRAM = """
import doctest, sys
done = doctest.testfile(sys.argv[1], module_relative=False, encoding="utf-8", optionflags=doctest.NORMALIZE_WHITESPACE)
print(done.attempted, done.failed)
"""


def test_every_page_is_run_by_pytest_or_here():
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    assert sorted(NEEDS) == sorted(re.findall(r"--ignore=docs/(\w+)\.md", settings))


@pytest.mark.parametrize("page", NEEDS)
def test_the_examples_of_a_page_run(page):
    for module in NEEDS[page]:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    environment = os.environ | {"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", PROGRAM, str(ROOT / "docs" / f"{page}.md")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    attempted, failed = map(int, done.stdout.splitlines()[-1].split())
    assert not failed, done.stdout
    assert attempted >= 5


def test_the_example_of_the_page_of_r_runs():
    if shutil.which("Rscript") is None or importlib.util.find_spec("keras") is None:
        pytest.skip("R or Keras is not installed")
    program = "\n".join(re.findall(r"^```r\n(.*?)^```", (ROOT / "docs" / "r.md").read_text("utf-8"), re.M | re.S))
    expected = re.findall(r"^#> (.*)$", program, re.M)
    environment = os.environ | {"RETICULATE_PYTHON": sys.executable, "KERAS_BACKEND": "numpy"}
    command = ["Rscript", "--vanilla", "-e", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300)
    if "there is no package called" in done.stderr:
        pytest.skip("reticulate is not installed")
    assert done.returncode == 0, done.stderr
    assert len(expected) > 2
    assert [line.rstrip() for line in done.stdout.splitlines() if line.strip()] == expected

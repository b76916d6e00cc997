"""The text of `help`: each argument of each public class and function, and an example."""

import inspect
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.documented import documented, public, undocumented

import seedbed as sb
from seedbed.initializers.variance_scaling import FAN_PARAMETERS

MODULES = ["", "compat.v1", "compat.v2", "plan", "checkpoint", "schemes", "jax", "torch"]

ELSEWHERE = {"keras": ("keras",), "dask": ("dask", "distributed")}
"""Adapters that are imported in another process, as Keras' backend cannot be changed here, and what they need."""


def cases():
    for module in MODULES:
        if module not in ("jax", "torch") or find_spec(module):
            full = f"seedbed.{module}".rstrip(".")
            yield from (pytest.param(full, name, made, id=f"{full}.{name}") for name, made in public(full).items())


@pytest.mark.parametrize(("module", "name", "made"), [*cases()])
def test_help_has_each_argument_and_an_example(module, name, made):
    assert undocumented(module, name, made) == []


@pytest.mark.parametrize("adapter", ELSEWHERE)
def test_help_of_an_adapter_has_each_argument_and_an_example(adapter):
    if not all(map(find_spec, ELSEWHERE[adapter])):
        pytest.skip(f"{adapter} is not installed")
    program = Path(__file__).parent / "support" / "documented.py"
    done = subprocess.run(
        [sys.executable, str(program), f"seedbed.{adapter}"],
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": "numpy"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    count, missing = done.stdout.splitlines()[-1].split(" ", 1)
    assert int(count) >= 3
    assert missing == "{}"


@pytest.mark.parametrize("cls", [cls for cls in vars(sb).values() if inspect.isclass(cls) and hasattr(cls, "choice")])
def test_named_initializers_document_fans_alike(cls):
    for name in FAN_PARAMETERS:
        assert documented(cls)[name] == documented(sb.GlorotNormal)[name]
        assert documented(cls)[name].partition(",")[0].partition(".")[0] in documented(sb.VarianceScaling)[name]

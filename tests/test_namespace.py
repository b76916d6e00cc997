"""Names that `dir` lists for the modules of the package, and submodules that are imported on first use."""

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import pytest
from test_architecture import ADAPTERS, LAZY

import seedbed as sb


def skip_without(name):
    if name in ADAPTERS and find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


def run(program):
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", ["compat.v1", "compat.v2", "initializers"])
def test_a_module_lists_only_its_public_names(name):
    module = import_module(f"seedbed.{name}")
    assert dir(module) == sorted(module.__all__)


def test_the_package_lists_public_names_and_light_submodules():
    program = "import seedbed as sb; print(sorted(set(dir(sb)) - set(sb.__all__)))"
    assert run(program) == "['checkpoint', 'compat', 'plan', 'schemes']\n"


def test_the_package_lists_adapters_of_loaded_frameworks():
    skip_without("torch")
    assert run("import torch, seedbed; print([n for n in dir(seedbed) if n in ('jax', 'torch')])") == "['torch']\n"


FIRST_USE = """
import sys, seedbed as sb
assert "seedbed.NAME" not in sys.modules
module = sb.NAME
assert module is sys.modules["seedbed.NAME"]
assert dir(module) == sorted(module.__all__)
assert all(hasattr(module, public) for public in module.__all__)
"""


@pytest.mark.parametrize("name", sorted(LAZY))
def test_a_submodule_is_imported_on_first_use(name):
    skip_without(name)
    run(FIRST_USE.replace("NAME", name))


def test_help_and_completion_import_no_framework():
    program = "import sys, pydoc, rlcompleter, seedbed as sb; pydoc.plain(pydoc.render_doc(sb));"
    program += "rlcompleter.Completer({'sb': sb}).complete('sb.', 0);"
    program += f"print([name for name in {sorted(ADAPTERS)} if f'seedbed.{{name}}' in sys.modules])"
    assert run(program) == "[]\n"


def test_an_unknown_attribute_is_an_error():
    with pytest.raises(AttributeError, match="module 'seedbed' has no attribute 'tirch'"):
        _ = sb.tirch

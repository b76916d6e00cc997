"""Docstrings: each public function documents its arguments and has an example."""

import inspect
import re
from importlib import import_module
from importlib.util import find_spec

import pytest

import seedbed as sb
from seedbed.initializers.variance_scaling import FAN_PARAMETERS

MODULES = [
    "seedbed",
    "seedbed.compat.v1",
    "seedbed.compat.v2",
    "seedbed.dask",
    "seedbed.jax",
    "seedbed.keras",
    "seedbed.plan",
    "seedbed.checkpoint",
    "seedbed.schemes",
    "seedbed.torch",
]

FRAMEWORKS = {"dask": ("dask", "distributed"), "jax": ("jax",), "keras": ("keras",), "torch": ("torch",)}

FIELDS_BELOW = ("seedbed.plan", "seedbed.checkpoint")
"""Modules whose records document each field where it is declared."""

SHOWN_TOGETHER = {"seedbed.dask.verify_checkpoint": "write_checkpoint"}
"""Functions that the example of another one calls."""


def arguments_of(made):
    arguments = inspect.signature(made).parameters.values()
    return [
        argument.name for argument in arguments if argument.kind not in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL)
    ]


def documented(made):
    """Return the documentation of each argument."""
    section = re.search(r"^Arguments:\n((?:    .*\n?|\n)*)", inspect.getdoc(made) or "", re.MULTILINE)
    entries = re.split(r"^    (?=\S)", section[1], flags=re.MULTILINE)[1:] if section else []
    return {name: " ".join(text.split()) for name, _, text in (entry.partition(": ") for entry in entries)}


def public():
    for module in MODULES:
        if not all(find_spec(name) for name in FRAMEWORKS.get(module.removeprefix("seedbed."), ())):
            continue
        for name in import_module(module).__all__:
            made = getattr(import_module(module), name)
            is_record = hasattr(made, "__dataclass_fields__") or hasattr(made, "_fields")
            is_own = getattr(made, "__module__", "").startswith("seedbed")  # Keras' serialize is not
            if callable(made) and is_own and not (is_record and module in FIELDS_BELOW):
                yield pytest.param(made, id=f"{module}.{name}")


@pytest.mark.parametrize("made", [*public()])
def test_each_argument_is_documented_by_itself(made):
    assert [name for name in arguments_of(made) if name not in documented(made)] == []


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in public()])
def test_every_public_class_and_function_has_an_example(case):
    (made,) = case.values
    if case.id in SHOWN_TOGETHER:
        module, _, name = case.id.rpartition(".")
        assert f"{module}.{name}(" in getattr(import_module(module), SHOWN_TOGETHER[case.id]).__doc__
    else:
        assert ">>> " in inspect.getdoc(made)


@pytest.mark.parametrize("cls", [cls for cls in vars(sb).values() if inspect.isclass(cls) and hasattr(cls, "choice")])
def test_named_initializers_document_fans_alike(cls):
    for name in FAN_PARAMETERS:
        assert documented(cls)[name] == documented(sb.GlorotNormal)[name]
        assert documented(cls)[name].partition(",")[0].partition(".")[0] in documented(sb.VarianceScaling)[name]

"""Objects saved in one process load in another that imports the adapter, and fail with a clear error in others."""

import functools
import tempfile
from pathlib import Path

import pytest
from support.tensorflow import facts_of

PROGRAM = Path(__file__).with_name("programs") / "saving.py"
NEEDED = {"keras": ("keras", "h5py"), "tf_keras": ("tensorflow", "tf_keras")}
FRAMEWORKS = pytest.mark.parametrize("framework", NEEDED)


@functools.cache
def folder(framework):
    """Return a folder for saved models that exists until this process ends."""
    return tempfile.TemporaryDirectory(prefix=framework)


@functools.cache
def outcomes(framework, step):
    if step != "save":
        outcomes(framework, "save")
    program = f"""
import runpy, sys
sys.argv = [{str(PROGRAM)!r}, {step!r}, {framework!r}, {folder(framework).name!r}]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    return facts_of(program, *NEEDED[framework], KERAS_BACKEND="numpy", TF_USE_LEGACY_KERAS="1")


@FRAMEWORKS
def test_a_clone_has_the_values_of_the_original(framework):
    made = outcomes(framework, "save")
    assert len(made) == {"keras": 22, "tf_keras": 18}[framework]
    for name, kinds in made.items():
        assert kinds == {"clone": True, "copies": True}, name


@FRAMEWORKS
def test_saved_objects_load_if_the_adapter_is_imported(framework):
    read = outcomes(framework, "load")
    assert read.keys() == outcomes(framework, "save").keys()
    for name, formats in read.items():
        assert formats == {"keras": True, "h5": True, "json": True}, name


@FRAMEWORKS
def test_loading_without_the_adapter_names_the_class(framework):
    read = outcomes(framework, "forget")
    assert read.keys() == outcomes(framework, "save").keys()
    for name, formats in read.items():
        for form, text in formats.items():
            assert not text.startswith("loaded"), (name, form)
            assert "seedbed" in text, (name, form, text)
            assert ">" in text, (name, form, text)

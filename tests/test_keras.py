"""seedbed in Keras 3: the checks of `programs/keras_backend.py` on each installed backend, and the same bits on all."""

import functools
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "tests" / "programs" / "keras_backend.py"
BACKENDS = ["numpy", "jax", "torch", "tensorflow"]
"""The backends of Keras. Each is named after the module that it needs."""

INSTALLED = [backend for backend in BACKENDS if importlib.util.find_spec(backend)]


def _has_keras():
    try:
        major, minor = importlib.metadata.version("keras").split(".")[:2]
    except importlib.metadata.PackageNotFoundError:
        return False
    return (int(major), int(minor)) >= (3, 15)


pytestmark = pytest.mark.skipif(not _has_keras(), reason="Keras 3.15 or newer is not installed")


@functools.cache
def folder():
    """Return a folder for saved models that exists until this process ends."""
    return tempfile.TemporaryDirectory()


def python(arguments, backend):
    """Return the output of a new Python process, with Keras on a backend."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@functools.cache
def result(backend):
    """Return the report of the program for a backend, after those that save the models it loads."""
    for earlier in INSTALLED[: INSTALLED.index(backend)]:
        result(earlier)
    return json.loads(python([str(PROGRAM), folder().name], backend).splitlines()[-1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_check_passes(backend):
    if backend not in INSTALLED:
        pytest.skip(f"{backend} is not installed")
    raised = result(backend)["raised"]
    assert len(raised) > 20
    failed = {check: error for check, error in raised.items() if error is not None}
    assert not failed, "\n".join(f"{check}: {error}" for check, error in failed.items())


def test_the_bits_are_the_same_on_every_backend():
    hashes = {backend: result(backend)["hashes"] for backend in INSTALLED}
    assert len(hashes["numpy"]) > 100
    assert "weights of the model" in hashes["numpy"]
    for backend in INSTALLED:
        assert hashes[backend] == hashes["numpy"]


def test_every_saved_model_was_loaded_by_all_later_processes():
    assert result(INSTALLED[-1])["loaded"] == sorted(INSTALLED[:-1])


def test_the_example_runs():
    output = python([str(ROOT / "examples" / "in_keras.py")], "numpy")
    assert "the same bits as seedbed" in output


def test_saving_depends_on_the_adapter_as_documented():
    program = """
import sys, seedbed as sb
sb.get("he_normal")((3, 3))
print("keras" in sys.modules)
import keras
def refused():
    try:
        sb.HeNormal(seed=keras.random.SeedGenerator(1))
    except ValueError as error:
        return str(error)[:43]
print(refused())
def cloned():
    dense = keras.layers.Dense(3, kernel_initializer=sb.HeNormal(seed=1))
    again = keras.models.clone_model(keras.Sequential([keras.Input((2,)), dense])).layers[0]
    return type(again.kernel_initializer).__module__
print(cloned())
import seedbed.keras
print(cloned())
print(refused())
made = seedbed.keras.HeNormal(seed=keras.random.SeedGenerator(1))((3, 3))
print((made == sb.HeNormal(seed=1)((3, 3))).all())
"""
    assert python(["-c", program], "numpy").splitlines() == [
        "False",
        "a seed must be an integer. Received: seed=<",
        "seedbed.keras",
        "seedbed.keras",
        "a seed must be an integer. Received: seed=<",
        "True",
    ]

"""Facts about the installed TensorFlow and Keras, each from its own process. Without them, tests skip."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PACKAGE = Path(__file__).parents[2] / "python"


def facts_of(program, *needed, **environment):
    """Return what a program prints as JSON in its last line. Skip the test if a module that it needs is missing."""
    for module in needed:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(PACKAGE)}
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, **quiet, **environment},
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout.splitlines()[-1])


def outcome(expression, names):
    """Evaluate an expression; return the dtype and shape of an array, the config of an initializer, or "refused"."""
    try:
        result = eval(expression, {"__builtins__": {}}, names)
    except Exception:
        return "refused"
    if hasattr(result, "get_config"):
        return result.get_config()
    return [str(getattr(result.dtype, "name", result.dtype)), [int(n) for n in result.shape]]


def moments(make):
    """Return mean, standard deviation and largest magnitude of 180,000 values of an initializer."""
    values = np.asarray(make(seed=1)((3, 3, 100, 200)), "float64")
    return [values.mean(), values.std(), abs(values).max()]


def assert_alike(ours, theirs, bounded):
    """Seeds are fixed: 0.01 standard deviations are 3 standard errors of a difference, alpha 0.003."""
    assert abs(ours[0] - theirs[0]) < 0.01 * ours[1]
    assert ours[1] == pytest.approx(theirs[1], rel=0.01)
    assert ours[2] == pytest.approx(theirs[2], rel=1e-3 if bounded else 0.2)

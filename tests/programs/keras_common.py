"""Code that the checks of `keras_backend.py` share. Import it before Keras: it sets the environment of the backend."""

import inspect
import os
import sys
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np

from seedbed import config

K = keras.initializers
BACKEND = keras.config.backend()
SHARED = config.IN_KERAS
RANDOM = [name for name in SHARED if "seed" in config.CLASSES[name].parameters]
SCALED = [name for name in SHARED if "input_axes" in config.CLASSES[name].parameters]
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()

CHECKS = {}
HASHES = {}
LOADED = []


def check(*backends):
    """Register a check for these backends, or for all backends if none is given."""

    def register(function):
        if not backends or BACKEND in backends:
            CHECKS[function.__name__] = function
        return function

    return register


def array(tensor):
    """Return a tensor or variable as a NumPy array, bfloat16 as float32, which is exact."""
    tensor = getattr(tensor, "value", tensor)
    if keras.utils.standardize_dtype(tensor.dtype) == "bfloat16":
        tensor = keras.ops.cast(tensor, "float32")
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def same(tensor, values):
    values = values.astype("float32") if values.dtype.name == "bfloat16" else values
    made = array(tensor)
    assert made.dtype == values.dtype, (made.dtype, values.dtype)
    assert made.shape == values.shape, (made.shape, values.shape)
    assert made.tobytes() == values.tobytes()


def refused(make, message="", kind=ValueError):
    text = None
    try:
        made = make()
    except kind as error:
        text = str(error)
    assert text is not None, f"not refused: {made!r}"
    assert message in text, text


def of_each_class(module):
    """Yield the name and an initializer of each class that needs no arguments except a seed."""
    for name, cls in config.CLASSES.items():
        required = [p for p in inspect.signature(cls).parameters.values() if p.default is p.empty]
        if not required and hasattr(module, name):
            yield name, getattr(module, name)(**({"seed": 42} if "seed" in cls.parameters else {}))

"""Save models with Keras 3 or tf_keras, or load them. test_saving.py runs each step in its own process.

    KERAS_BACKEND=numpy python tests/programs/saving.py (save | load | forget) (keras | tf_keras) FOLDER

`save` imports no adapter before it has saved the classes of seedbed and seedbed.compat. `load` imports the adapter,
`forget` does not. Each step prints the outcome for each initializer and format as JSON.
"""

import copy
import importlib
import json
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np

import seedbed as sb
from seedbed.compat import v1, v2

STEP, FRAMEWORK, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])
keras = importlib.import_module(FRAMEWORK)
FORMATS = ("keras", "h5", "json")


def child():
    return sb.SeedGenerator(1).child("a")


PLAIN = {
    "a child": lambda: sb.HeNormal(seed=child()),
    "a large seed": lambda: sb.HeNormal(seed=2**40),
    "a negative seed": lambda: sb.GlorotUniform(seed=-(2**255)),
    "a small seed": lambda: sb.HeNormal(seed=1),
    "a layout": lambda: sb.HeNormal(seed=1, layout="torch"),
    "a class that Keras does not have": lambda: sb.KaimingNormal(seed=1),
    "bounds": lambda: sb.TruncatedNormal(seed=1, lower=-1.0),
    "an array": lambda: sb.Constant(np.arange(12.0).reshape(4, 3)),
    "a gain": lambda: sb.Identity(2.0),
    "blocks": lambda: sb.Blocks("zeros", [(0, sb.HeNormal())], seed=4),
    "norms": lambda: sb.Norms(sb.Orthogonal(), (4, 3), seed=child()),
    "a sparse one": lambda: sb.Sparse(0.5, seed=child()),
    "v1": lambda: v1.glorot_normal(seed=1, dtype="float32"),
    "v1, a name of TensorFlow": lambda: v1.random_normal_initializer(seed=3),
    "v1, a child": lambda: v1.RandomUniform(seed=child()),
    "v2": lambda: v2.GlorotNormal(seed=1),
    "v2, a list": lambda: v2.Constant([1.0, 2.0, 3.0, 4.0] * 3),
    "v2, a child": lambda: v2.VarianceScaling(seed=child()),
}


def adapted():
    """Return the same initializers of seedbed.keras."""
    sk = importlib.import_module("seedbed.keras")
    return {
        "adapted, a child": lambda: sk.HeNormal(seed=child()),
        "adapted": lambda: sk.GlorotUniform(seed=1),
        "adapted, a class that Keras does not have": lambda: sk.KaimingNormal(seed=1),
        "adapted, a generator of Keras": lambda: sk.HeNormal(keras.random.SeedGenerator(3)),
    }


def cases():
    yield from PLAIN.items()
    if FRAMEWORK == "keras" and STEP != "forget":
        yield from adapted().items()


def model(initializer):
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(3, kernel_initializer=initializer)(inputs))


def kernel(model):
    weights = model.layers[-1].kernel
    return np.asarray(keras.ops.convert_to_numpy(weights) if FRAMEWORK == "keras" else weights.numpy())


def same(one, other):
    return bool((kernel(one) == kernel(other)).all())


def save(name, make):
    made = model(make())
    for form in FORMATS:
        path = FOLDER / f"{name}.{form}"
        if form == "json":
            path.write_text(made.to_json())
        else:
            made.save(path)
    copies = []
    if "generator of Keras" not in name:  # Keras itself can neither pickle nor copy it
        copies = [copy.deepcopy(make()), *(pickle.loads(pickle.dumps(make(), n)) for n in range(6))]
    return {
        "clone": same(keras.models.clone_model(made), made),
        "copies": all(one.get_config() == make().get_config() for one in copies),
    }


def load(name, make):
    expected = model(make())
    return {form: same(keras.models.clone_model(loaded(name, form)), expected) for form in FORMATS}


def loaded(name, form):
    path = FOLDER / f"{name}.{form}"
    return keras.models.model_from_json(path.read_text()) if form == "json" else keras.models.load_model(path)


def forget(name, make):
    outcomes = {}
    for form in FORMATS:
        try:
            outcomes[form] = f"loaded {loaded(name, form).layers[-1].kernel_initializer}"
        except Exception as error:
            outcomes[form] = str(error)
    return outcomes


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # formats that Keras calls legacy
    if STEP == "load":
        importlib.import_module({"keras": "seedbed.keras", "tf_keras": "seedbed.tf_keras"}[FRAMEWORK])
    step = {"save": save, "load": load, "forget": forget}[STEP]
    if STEP == "forget":
        saved = {path.stem: None for path in sorted(FOLDER.iterdir())}
        print(json.dumps({name: step(name, None) for name in saved}))
    else:
        print(json.dumps({name: step(name, make) for name, make in cases()}))

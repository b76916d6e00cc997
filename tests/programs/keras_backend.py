"""Checks of seedbed with Keras on one backend. test_keras.py runs this program once for each backend.

    KERAS_BACKEND=jax python tests/programs/keras_backend.py FOLDER

prints JSON: the traceback of each check (null if it passed), the SHA-256 hashes of the values of all initializers, and
the backends of the loaded models. The program saves a model to FOLDER, and loads the models that are there already.
"""

import importlib
import json
import traceback

from keras_common import CHECKS, HASHES, LOADED

# Each registers its checks, which run in this order.
for _part in ("keras_values", "keras_saving", "keras_compatibility", "keras_models"):
    importlib.import_module(_part)


def main():
    raised = {}
    for name, function in CHECKS.items():
        try:
            function()
        except Exception:
            raised[name] = traceback.format_exc()
        else:
            raised[name] = None
    print(json.dumps({"raised": raised, "hashes": HASHES, "loaded": LOADED}))


if __name__ == "__main__":
    main()

"""Register the initializers with tf_keras at import, so that it saves, loads and clones models that use them.

    import seedbed.tf_keras
    model = tf_keras.models.load_model("model.keras")

The classes of `seedbed`, `seedbed.compat.v1` and `seedbed.compat.v2` load as themselves, from `.keras` and `.h5` files
and from JSON. A program that loads such a model must import this module; a program that saves it need not.
"""

from __future__ import annotations

import tf_keras

from seedbed import config, saving
from seedbed.compat import v1, v2
from seedbed.seeds import SeedGenerator

_decorator = tf_keras.saving.register_keras_serializable
for _cls in (*config.CLASSES.values(), SeedGenerator):
    saving.register(_cls, "seedbed", _decorator)
for _module in (v1, v2):
    for _cls in _module.classes():
        saving.register(_cls, _module.__name__, _decorator)

__all__: list[str] = []


def __dir__() -> list[str]:
    return __all__

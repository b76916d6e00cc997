"""Use seedbed in a Keras model, as in Keras' documentation, with the same weights on every backend.

KERAS_BACKEND=jax python examples/in_keras.py
"""

import hashlib
import tempfile
from pathlib import Path

import keras
import numpy as np

import seedbed as sb
from seedbed.keras import GlorotNormal, HeUniform, RandomNormal

# The example of Keras' documentation.
initializer = GlorotNormal()
values = initializer(shape=(2, 2))
layer = keras.layers.Dense(3, kernel_initializer=initializer)

# One seed for a model: each layer draws from a child with its name, so a new layer does not change the others.
root = sb.SeedGenerator(42)
inputs = keras.Input((32, 48))
x = keras.layers.EinsumDense("btc,cd->btd", (32, 64), kernel_initializer=HeUniform(root.child("mix")))(inputs)
x = keras.layers.GlobalAveragePooling1D()(keras.ops.relu(x))
outputs = keras.layers.Dense(10, kernel_initializer=RandomNormal(stddev=0.02, seed=root.child("head")))(x)
model = keras.Model(inputs, outputs)

kernel = np.asarray(keras.ops.convert_to_numpy(model.layers[-1].kernel))
plain = sb.RandomNormal(stddev=0.02, seed=sb.SeedGenerator(42).child("head"))((64, 10))
print("the same bits as seedbed:", (kernel == plain).all())

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
print("loaded:", again.layers[-1].kernel_initializer)

weights = b"".join(np.asarray(keras.ops.convert_to_numpy(weight)).tobytes() for weight in model.get_weights())
print(f"Keras {keras.__version__} on {keras.config.backend()}, SHA-256 {hashlib.sha256(weights).hexdigest()[:16]}")

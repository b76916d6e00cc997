"""`initializer`: functions of a key and a shape, the protocol of `jax.nn.initializers`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from seedbed.initializers import Initializer
from seedbed.jax.arrays import array, element_of
from seedbed.jax.traced import called_back, constrained, traced
from seedbed.plan.entries import as_initializer
from seedbed.plan.rules import InitializerLike
from seedbed.rules import Repeated
from seedbed.seeds import SeedGenerator
from seedbed.shapes import Shape, ShapeLike, as_shape

WORD_BITS = 32
"""Size of a word of a key, in bits."""

MAX_WORDS = 7
"""Maximum number of words of a key: with one more, the integer might exceed the range of seeds."""


def seed_of(key: Any) -> int:
    """Return the seed of a key of JAX: the integer with the words of the key, the most significant word first.

    Raises:
        TypeError: if it is not one key.

    >>> import jax
    >>> seed_of(jax.random.key(42)), seed_of(jax.random.PRNGKey(42))
    (42, 42)
    """
    words = np.asarray(words_of(key))
    return sum(int(word) << WORD_BITS * place for place, word in enumerate(reversed(words)))


def words_of(key: Any) -> Any:
    """Return the words of one key, typed or raw.

    Raises:
        TypeError: if it is not a key, or several.
    """
    if isinstance(key, (jax.Array, np.ndarray)):
        if jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key):
            if key.ndim == 0:
                return jax.random.key_data(key)
        elif key.dtype == np.uint32 and key.ndim == 1 and 0 < key.size <= MAX_WORDS:
            return jax.lax.bitwise_or(key, np.uint32(0))  # Makes JAX trace a constant key.
        received = f"an array of shape {key.shape} and dtype {key.dtype}"
    else:
        received = repr(key)
    raise TypeError(f"key must be one key, such as jax.random.key(42) or its words. Received: {received}")


@dataclass(frozen=True, repr=False)
class Function:
    """Result of `initializer`. Functions with equal arguments are equal, so that JAX compiles once for all of them."""

    initializer: Initializer
    path: str | None
    """Name of a parameter, from which the seed is derived; None if the key is the seed."""

    def __call__(self, key: Any, shape: ShapeLike, dtype: Any = None, out_sharding: Any = None) -> jax.Array:
        """Return the tensor of a key.

        Arguments:
            key: one key of JAX, typed or raw.
            shape: shape of the tensor: an integer or a sequence of integers.
            dtype: dtype of the elements; by default JAX's default float.
            out_sharding: sharding of the result, as for `array`. Under `jit`, one that `jax.sharding.reshard` accepts.

        Raises:
            TypeError: if `key` is not one key.
            TypeError, ValueError: for the same shapes, dtypes and shardings as `array`.
        """
        words = words_of(key)
        dimensions = as_shape(shape)
        element = element_of(self.initializer, dtype)
        if not isinstance(words, jax.core.Tracer):
            return array(self._seeded(words), dimensions, element, sharding=out_sharding)
        made = self._traced(words, dimensions, element)
        return made if out_sharding is None else constrained(made, out_sharding)

    def _seeded(self, words: Any) -> Initializer:
        seed = seed_of(words)
        return self.initializer.with_seed(seed if self.path is None else SeedGenerator(seed).child(self.path))

    def _traced(self, words: jax.Array, shape: Shape, element: np.dtype) -> jax.Array:
        def evaluate(given: Any) -> np.ndarray:
            return self._seeded(np.asarray(given))(shape, element)

        rule = self.initializer.with_seed(0).rule_of(shape, element)
        if self.path is not None and not isinstance(rule, Repeated):  # The engine's key is a hash of the path.
            return called_back(shape, element, words, evaluate)
        return traced(rule, shape, element, words, evaluate)

    def __repr__(self) -> str:
        path = "" if self.path is None else f", path={self.path!r}"
        return f"seedbed.jax.initializer({self.initializer!r}{path})"


def initializer(initializer: InitializerLike, *, path: str | None = None) -> Function:
    """Return a function `(key, shape, dtype=None, out_sharding=None)`, the protocol of `jax.nn.initializers`.

    Flax, Equinox, Haiku and MaxText accept such functions. The seed is the integer with the words of the key, the most
    significant word first: `jax.random.key(42)` gives the values of `seed=42`. Keys from `jax.random.split` and
    `jax.random.fold_in` give layers different values. Outside of `jit`, nothing is compiled.

    Arguments:
        initializer: an initializer without a seed, a name, or a configuration.
        path: name of a parameter, to derive its seed by `SeedGenerator(seed).child(path)`, as `initialize` does. One
            key then serves all parameters. By default, the seed of the key is used.

    Raises:
        TypeError, ValueError: if it is not an initializer, or has a seed; if `path` is not a name.

    >>> import jax, numpy as np, seedbed as sb, seedbed.jax
    >>> function = seedbed.jax.initializer(sb.GlorotNormal())
    >>> kernel = function(jax.random.key(42), (3, 4))
    >>> bool((np.asarray(kernel) == sb.GlorotNormal(seed=42)((3, 4))).all())
    True
    """
    if path is not None:
        SeedGenerator(0).child(path)  # Raises an error if it is not a name.
    return Function(as_initializer(initializer), path)

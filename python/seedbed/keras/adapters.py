"""The classes of `seedbed.keras`: each derives from the class of `seedbed` and the class of Keras of its name."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras.src.backend import in_stateless_scope  # There is no public name.

from seedbed import config, saving, seeds
from seedbed.arguments import shortened
from seedbed.compat import v1, v2
from seedbed.initializers import Initializer
from seedbed.initializers.base import evaluates_rule
from seedbed.lazy import LazyArray
from seedbed.rules import Rule
from seedbed.seeds import Address, SeedGenerator
from seedbed.shapes import Shape, ShapeLike, as_shape

_WORD = 2**32
"""Number of values of a word."""


class _InKeras:
    """Call and seeds of Keras. It comes before the class of `seedbed` in the bases of each class."""

    if TYPE_CHECKING:
        seed: Any

        def rule(self, shape: Shape, dtype: np.dtype) -> Rule: ...

        def as_dtype(self, dtype: Any) -> np.dtype: ...

    def _as_seed(self, seed: Any) -> Any:
        return seed if isinstance(seed, keras.random.SeedGenerator) else super()._as_seed(seed)  # type: ignore[misc]

    def _draw(self) -> Address:
        if isinstance(self.seed, keras.random.SeedGenerator):
            return _draw(self.seed)
        return super()._draw()  # type: ignore[misc,no-any-return]

    @evaluates_rule
    def __call__(self, shape: ShapeLike, dtype: Any = None, layout: Any = None) -> Any:
        """Return the tensor, as a tensor of the backend on its default device.

        In a `keras.StatelessScope`, in which Keras infers shapes, a call does not advance a generator.

        Arguments:
            shape: shape of the tensor: an integer or a sequence of integers.
            dtype: dtype of the elements, by its name in Keras; by default `keras.config.floatx()`.
            layout: on the backend JAX, the distribution of the tensor over devices, a
                `keras.distribution.TensorLayout` or a `jax.sharding.Sharding`. Each process evaluates only its own
                shards, which have the same bits as in the whole tensor.

        Raises:
            TypeError, ValueError: for an invalid shape or dtype, for parameters that the dtype cannot represent, or for
                a layout on another backend.
        """
        name, backend = keras.utils.standardize_dtype(dtype), keras.config.backend()
        if layout is not None and backend != "jax":
            raise ValueError(f"layout must be None on the backend {backend}. Received: layout={shortened(layout)}")
        dimensions, element = as_shape(shape), self.as_dtype(name)
        source = _without_draw(self) if in_stateless_scope() else self
        tensor = LazyArray(source.rule(dimensions, element), dimensions, element)
        return keras.ops.convert_to_tensor(tensor[...], name) if layout is None else spread(tensor, layout)

    def _as_array(self, made: Any) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(made))


def _without_draw(initializer: Any) -> Any:
    """Return a copy of an initializer that does not advance the generator of the original."""
    seed = getattr(initializer, "seed", None)
    if isinstance(seed, keras.random.SeedGenerator):  # In such a scope, its state may have no value.
        seed = seed.get_config()["seed"] or 0
    elif isinstance(seed, SeedGenerator):
        seed = copy.copy(seed)
    else:
        return initializer
    initializer = copy.copy(initializer)
    initializer.seed = seed
    return initializer


def spread(tensor: LazyArray, layout: Any) -> Any:
    """Return a JAX array on the devices of a layout. Each shard is evaluated once, by itself."""
    from seedbed.jax import arrays

    sharding = layout.backend_layout if isinstance(layout, keras.distribution.TensorLayout) else layout
    return arrays.spread(tensor, arrays.as_sharding(sharding))


def _draw(generator: Any) -> Address:
    """Return the next address of a generator of Keras, whose state is a seed and a counter.

    On most backends, the state has words of 32 bits. If the first word is the lowest word of the generator's seed, that
    seed is used, since it may have more than 32 bits; otherwise the state was changed, and the word is used.
    """
    word, count = (int(number) for number in keras.ops.convert_to_numpy(generator.next()))
    seed = generator.get_config()["seed"]
    if seed is None or (seed - word) % _WORD:
        seed = word % _WORD
    return Address(seeds.key_of(seeds.as_seed(int(seed))), count % _WORD)


def _keras_base(name: str, cls: type[Initializer]) -> Any:
    """Return the base class from Keras: that of the same name, or VarianceScaling for a class with axes of fans."""
    if name in config.IN_KERAS:
        return getattr(keras.initializers, name, keras.initializers.Initializer)
    takes_axes = {"input_axes", "output_axes"} <= {*cls.parameters}
    return keras.initializers.VarianceScaling if takes_axes else keras.initializers.Initializer


def _adapted(name: str, cls: type[Initializer]) -> Any:
    saving.register(cls, "seedbed", _register)  # Keras saves it under the name of the adapter.
    attributes = {"__module__": "seedbed.keras", "__qualname__": name, "__doc__": cls.__doc__}
    adapter = type(name, (_InKeras, cls, _keras_base(name, cls)), attributes)
    saving.register(adapter, "seedbed", _register)
    return adapter


def get(identifier: Any) -> Any:
    """Return the initializer for an identifier, like `keras.initializers.get`, with the classes of this module.

    Arguments:
        identifier: a name or a configuration, for a new initializer of this module; or a class, a callable, an array or
            None, as for `keras.initializers.get`.

    Raises:
        TypeError, ValueError: if it is something else, or not a valid name or configuration.

    >>> import seedbed.keras
    >>> seedbed.keras.get("he_normal")
    HeNormal(input_axes=None, output_axes=None)
    """
    known = isinstance(identifier, (str, Mapping))
    return config.build(identifier, None, NAMES) if known else keras.initializers.get(identifier)


def deserialize(configuration: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return a new initializer from a configuration, like `seedbed.deserialize`, of a class of this module.

    Arguments:
        configuration: a dict from `serialize`, its short form with class name and config, a name, or None for None.
        custom_objects: more classes and functions, by the names that the configuration has for them. By default, none.

    Raises:
        TypeError, ValueError: for an unknown name or key, or an invalid value.

    >>> import seedbed.keras
    >>> seedbed.keras.deserialize({"class_name": "HeNormal", "config": {"seed": 1}})
    HeNormal(seed=1, input_axes=None, output_axes=None)
    """
    return None if configuration is None else config.build(configuration, custom_objects, NAMES)


serialize = keras.initializers.serialize

_register = keras.saving.register_keras_serializable
saving.register(SeedGenerator, "seedbed", _register)
for _module in (v1, v2):
    for _cls in _module.classes():
        saving.register(_cls, _module.__name__, _register)
ADAPTED = {cls: _adapted(name, cls) for name, cls in config.CLASSES.items()}
NAMES = {name: ADAPTED[cls] for name, cls in config.NAMES.items()}
PUBLIC = [name for name in NAMES if name in {*config.CLASSES, *config.ALIASES} or hasattr(keras.initializers, name)]
"""Names of the classes that `seedbed.keras` exports."""

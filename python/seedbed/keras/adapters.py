"""The classes: each is at once the class of `seedbed` and the class of Keras of that name."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras.src.backend import in_stateless_scope  # Keras has no public name for it

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


class _InKeras:
    """The call as Keras has it, of an initializer of seedbed that is one of Keras too."""

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
        """The tensor, on the device where Keras makes tensors.

        While Keras only infers shapes, in a `keras.StatelessScope`, a call takes no draw from a generator.

        Arguments:
            shape: of the tensor: an integer or integers.
            dtype: dtype of its elements, as Keras names them, by default `keras.config.floatx()`.
            layout: on JAX, how to spread the tensor over devices: a `keras.distribution.TensorLayout` or a
                `jax.sharding.Sharding`. Only the parts that this process holds are evaluated, each by itself, with
                the bits of the whole.

        Raises:
            ValueError: for a bad shape or dtype, parameters that this dtype has no numbers for, or a layout on another
                backend.
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
    """The same, with a generator of its own in the place of the one that others draw from."""
    seed = getattr(initializer, "seed", None)
    if isinstance(seed, keras.random.SeedGenerator):  # its state may have no value in such a scope
        seed = seed.get_config()["seed"] or 0
    elif isinstance(seed, SeedGenerator):
        seed = copy.copy(seed)
    else:
        return initializer
    initializer = copy.copy(initializer)
    initializer.seed = seed
    return initializer


def spread(tensor: LazyArray, layout: Any) -> Any:
    """A JAX array on the devices of a layout, of which each part is evaluated alone, and once."""
    from seedbed.jax import arrays

    sharding = layout.backend_layout if isinstance(layout, keras.distribution.TensorLayout) else layout
    return arrays.spread(tensor, arrays.as_sharding(sharding))


def _draw(generator: Any) -> Address:
    """The next address of a generator of Keras, whose state is a seed and a counter.

    The state's words have 32 bits on most backends. Where the first is still that of the generator's own seed, it is
    this seed that counts, which may be any integer.
    """
    word, count = (int(number) for number in keras.ops.convert_to_numpy(generator.next()))
    seed = generator.get_config()["seed"]
    if seed is None or (seed - word) % _WORD:
        seed = word % _WORD
    return Address(seeds.key_of(seeds.as_seed(int(seed))), count % _WORD)


def _keras_base(name: str, cls: type[Initializer]) -> Any:
    """The class of Keras that `isinstance` is to find: of the same name, or the nearest by what it takes."""
    if name in config.IN_KERAS:
        return getattr(keras.initializers, name, keras.initializers.Initializer)
    takes_axes = {"input_axes", "output_axes"} <= {*cls.parameters}
    return keras.initializers.VarianceScaling if takes_axes else keras.initializers.Initializer


def _adapted(name: str, cls: type[Initializer]) -> Any:
    saving.register(cls, "seedbed", _register)  # is saved under the name under which the adapter is loaded
    attributes = {"__module__": "seedbed.keras", "__qualname__": name, "__doc__": cls.__doc__}
    adapter = type(name, (_InKeras, cls, _keras_base(name, cls)), attributes)
    saving.register(adapter, "seedbed", _register)
    return adapter


def get(identifier: Any) -> Any:
    """Return the initializer that an identifier names or is, as `keras.initializers.get`. Names mean the classes here.

    Arguments:
        identifier: a name, a configuration, a class, a callable, an array or None.

    Raises:
        ValueError: if it is something else.
    """
    known = isinstance(identifier, (str, Mapping))
    return config.build(identifier, None, NAMES) if known else keras.initializers.get(identifier)


def deserialize(configuration: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer of a configuration: `seedbed.deserialize`, whose names mean the classes here.

    Arguments:
        configuration: a dict as Keras writes it, its short form, a name or None.
        custom_objects: classes and functions by the names that the configuration may have for them.

    Raises:
        ValueError: for an unknown name or key, or a bad value.
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
"""The names that the package has as attributes."""

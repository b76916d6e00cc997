"""The registry of initializers: `get`, `serialize` and `deserialize`.

A configuration can name only the initializers of this module and the custom objects of the caller. It cannot name a
module, a file or a callable. The forms of Keras 3 and Keras 2, and a short form, are read. The keys of a class are
defined in the class, by its `parameters`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, overload

import numpy as np

from seedbed import dtypes, initializers, seeds
from seedbed.arguments import did_you_mean, is_masked, shortened
from seedbed.initializers import Initializer
from seedbed.saving import plain_name
from seedbed.shapes import ShapeLike, as_shape

Table: TypeAlias = Mapping[str, type[Initializer]]
"""Initializer classes by name."""

MAX_DEPTH = 32
"""Maximum nesting of a configuration, in levels."""

MAX_VALUES = 2**22
"""Maximum number of values in a configuration."""

CLASSES: Table = {
    name: getattr(initializers, name)
    for name in initializers.__all__
    if not inspect.isabstract(getattr(initializers, name))
}
"""The initializer classes of this package, by class name."""

_VARIANCE_SCALING = ("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform")

_IN_KERAS_2 = (
    *("Constant", "Identity", "Ones", "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal"),
    *("VarianceScaling", "Zeros", *_VARIANCE_SCALING),
)

IN_KERAS = (*_IN_KERAS_2, "STFT")
"""Names of the classes that Keras 3 has too."""


def snake_case(name: str) -> str:
    """Return the name of a class in snake case, as Keras spells it.

    >>> snake_case("GlorotNormal"), snake_case("STFT"), snake_case("ConvolutionOrthogonal1D")
    ('glorot_normal', 'stft', 'convolution_orthogonal_1d')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", "_", name).lower()


_OTHER_NAMES: dict[str, str] = {
    "normal": "RandomNormal",
    "one": "Ones",
    "uniform": "RandomUniform",
    "zero": "Zeros",
    **{f"{name}Initializer": name for name in ("Identity", "Orthogonal", "STFT")},
    **{f"{name}V2": name for name in _IN_KERAS_2},
    **{f"{snake_case(name)}V2": name for name in _VARIANCE_SCALING},
    **{f"convolutional_orthogonal_{n}d": f"ConvolutionOrthogonal{n}D" for n in (1, 2, 3)},
    "convolutional_delta_orthogonal": "DeltaOrthogonal",
}
"""Further names of classes in Keras 3, tf-keras and TensorFlow 1, and the class names here."""

ALIASES: Table = {snake_case(name): cls for name, cls in CLASSES.items()}
"""The initializer classes, by name in snake case."""

NAMES: Table = {
    **CLASSES,
    **ALIASES,
    **{name: CLASSES[of] for name, of in _OTHER_NAMES.items()},
}
"""The initializer classes, by each accepted name."""

_KEYS = ("module", "class_name", "config", "registered_name", "shared_object_id")
_MODULE = re.compile(r"(keras|tf_keras)(\.src)?\.initializers(\.\w+)?|seedbed(\.\w+)*", re.ASCII)
_ARRAYS = ("__numpy__", "__tensor__")
_PLAIN = frozenset([float, int, str, bool, type(None)])


def serialize(initializer: Initializer | str | None) -> dict[str, Any] | str | None:
    """Return the configuration of an initializer in the form of Keras 3. A name and None are returned unchanged.

    Arguments:
        initializer: an initializer from the top level of this package, a name, or None.

    Returns:
        The configuration, a dict for JSON.

    Raises:
        ValueError: for any other value, as in Keras.

    >>> import seedbed as sb
    >>> sb.serialize(sb.RandomUniform(0, 1, seed=3))["config"]
    {'minval': 0.0, 'maxval': 1.0, 'seed': 3}
    """
    if initializer is None or isinstance(initializer, str):
        return initializer
    name = plain_name(type(initializer))
    cls = CLASSES.get(name)
    if (
        cls is None
        or not isinstance(initializer, cls)
        or not {*initializer.parameters} <= {*cls.parameters}
        or not type(initializer).__module__.startswith("seedbed.")  # a derived class of a user with the same name
    ):
        raise ValueError(
            "only initializers from the top level of this package can be serialized. "
            f"Received: {shortened(initializer)}"
        )
    return {
        "module": "keras.initializers" if name in IN_KERAS else "seedbed",
        "class_name": name,
        "config": initializer.get_config(),
        "registered_name": None,
    }


@overload
def deserialize(config: None, custom_objects: Mapping[str, Any] | None = None) -> None: ...


@overload
def deserialize(config: Mapping[str, Any] | str, custom_objects: None = None) -> Initializer: ...


@overload
def deserialize(config: Mapping[str, Any] | str, custom_objects: Mapping[str, Any]) -> Any: ...


def deserialize(config: Mapping[str, Any] | str | None, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the initializer of a configuration.

    The short form of a configuration is `{"class_name": ..., "config": ...}`. The key `dtype` of Keras 2 has no effect,
    but must be a valid dtype. Arrays are read in the form in which Keras writes them.

    Arguments:
        config: a dict in the form of Keras 3 or Keras 2, or in the short form; or a name. None is returned as None.
        custom_objects: further classes and functions, by the names that configurations may use.

    Returns:
        The initializer, or a custom object.

    Raises:
        TypeError: if an argument has a wrong type.
        ValueError: for an unknown name or key, or an invalid value.

    >>> import seedbed as sb
    >>> sb.deserialize({"class_name": "HeNormal", "config": {"seed": 3}})
    HeNormal(seed=3, input_axes=None, output_axes=None)
    """
    return None if config is None else build(config, custom_objects, NAMES)


def get(identifier: object) -> Initializer | Callable[..., Any] | None:
    """Return the initializer of an identifier.

    Arguments:
        identifier: a name, a configuration, a class, an initializer or another callable, None, or an array. The
            initializer of an array returns that array, and accepts only its shape.

    Returns:
        The initializer, or None for None.

    Raises:
        ValueError: for any other value, as in Keras.

    >>> import seedbed as sb
    >>> sb.get("he_normal") == sb.get(sb.HeNormal)  # each has drawn a seed of its own
    False
    >>> sb.get({"class_name": "he_normal", "config": {"seed": 1}}) == sb.HeNormal(seed=1)
    True
    """
    if identifier is None:
        return None
    if isinstance(identifier, (str, Mapping)):
        return deserialize(identifier)
    if isinstance(identifier, type):
        return _instance(identifier)
    if callable(identifier):
        return identifier
    if hasattr(identifier, "__array__"):
        return _giving(identifier)
    raise ValueError(
        "Could not interpret initializer identifier: an initializer must be a name, a configuration, a class, a "
        f"callable or an array. Received: {shortened(identifier)}"
    )


def deserialize_unbound(config: Mapping[str, Any] | str) -> Initializer:
    """Return the initializer of a configuration, with the seed `UNBOUND` if the configuration has no seed.

    Unlike `deserialize`, it draws no seed: the state of Python's `random` stays as it is.

    Raises:
        ValueError: as `deserialize`.
    """
    initializer: Initializer = build(config, None, NAMES, seeds.UNBOUND)
    return initializer


def build(
    config: Mapping[str, Any] | str,
    custom_objects: Mapping[str, Any] | None,
    names: Table,
    seed: seeds.SeedLike = None,
) -> Any:
    """Deserialize a configuration with a given table of names. `seed` is used if the configuration has no seed."""
    custom = _as_custom_objects(custom_objects)
    if isinstance(config, str):
        config = {"class_name": config}
    if not isinstance(config, Mapping):
        raise TypeError(f"a configuration must be a dict or a name. Received: {shortened(config)}")
    check_size(config)
    unknown = [key for key in config if key not in _KEYS]
    if unknown or "class_name" not in config:
        raise ValueError(
            f"a configuration must have the key class_name, and only keys among {', '.join(_KEYS)}. "
            f"Received: {shortened(list(config))}"
        )
    name, arguments = config["class_name"], config.get("config")
    arguments = {} if arguments is None or arguments == [] else arguments  # R writes an empty dict as an empty list
    for key in (config.get("registered_name"), name, arguments):
        if isinstance(key, str) and key in custom:
            return _made(custom[key], arguments)
    if isinstance(name, str):
        name = name.removeprefix("seedbed>")  # the registered name of a class
    _check_origin(name, config)
    found = names.get(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError(unknown_name(name, names))
    return _made(found, arguments, seed)


def unknown_name(name: object, names: Table) -> str:
    """Return the text of the error for an unknown name of an initializer."""
    hint = did_you_mean(name, sorted(names)) or " Use the name of a class, such as GlorotUniform or glorot_uniform"
    return f"unknown initializer {shortened(name)}.{hint}"


def _made(target: Any, arguments: object, seed: seeds.SeedLike = None) -> Any:
    """Return an instance of a class with the given arguments. A function is returned unchanged."""
    if not isinstance(target, type):
        return target
    if not isinstance(arguments, Mapping):
        raise ValueError(f"config must be a dict. Received: config={shortened(arguments)}")
    if not issubclass(target, Initializer):
        return target.from_config(dict(arguments)) if hasattr(target, "from_config") else target(**arguments)
    decoded = {key: _decoded(value) for key, value in arguments.items()}
    if "dtype" in decoded and "dtype" not in inspect.signature(target).parameters:
        _check_dtype(decoded.pop("dtype"))
    if seed is not None and decoded.get("seed") is None and "seed" in target.parameters:
        decoded["seed"] = seed
    try:
        return target.from_config(decoded)
    except TypeError as error:
        raise ValueError(f"this is no configuration of {plain_name(target)}: {error}") from error


def _instance(cls: type) -> Callable[..., Any]:
    instance: object = None if inspect.isabstract(cls) else cls()
    if not callable(instance):
        raise ValueError(f"a class must be one whose instances are initializers. Received: {shortened(cls)}")
    return instance


def _giving(given: Any) -> Callable[..., np.ndarray]:
    """Return an initializer that returns a given array."""
    if is_masked(given):
        raise ValueError("an array as initializer must have no masked elements. Received: a masked array")
    array = np.asarray(given)
    if array.dtype.kind not in "biufc" and array.dtype.name not in dtypes.OF_ML_DTYPES:
        raise ValueError(f"an array as initializer must be of numbers. Received: dtype={array.dtype}")

    def initialize(shape: ShapeLike, dtype: Any = None) -> np.ndarray:
        if as_shape(shape) != array.shape:
            raise ValueError(
                f"Expected `shape` to be {array.shape}, the shape of the array. Received: shape={shortened(shape)}"
            )
        return array.astype(dtypes.as_dtype(dtype))

    return initialize


def _as_custom_objects(custom_objects: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if custom_objects is None:
        return {}
    if not isinstance(custom_objects, Mapping) or not all(callable(value) for value in custom_objects.values()):
        raise TypeError(
            "custom_objects must be a dict of classes and functions by name. "
            f"Received: custom_objects={shortened(custom_objects)}"
        )
    return custom_objects


def check_size(config: Mapping[str, Any]) -> int:
    """Return the number of values in a configuration. They are counted level by level, so that a cycle ends too.

    Raises:
        ValueError: if the configuration is nested too deep or is too large.
    """
    level: list[Any] = [config]
    values = 0
    for _ in range(MAX_DEPTH):
        containers = [item for item in level if type(item) not in _PLAIN and isinstance(item, (Mapping, list, tuple))]
        if not containers:
            return values
        values += sum(map(len, containers))
        if values > MAX_VALUES:
            raise ValueError(f"a configuration must have at most {MAX_VALUES} values. Received: more values")
        level = [value for items in containers for value in (items.values() if isinstance(items, Mapping) else items)]
    raise ValueError(f"a configuration must be nested at most {MAX_DEPTH - 1} levels deep. Received: a deeper one")


def _check_origin(name: object, config: Mapping[str, Any]) -> None:
    """Check that the module and the registered name are of an initializer of Keras or seedbed. Import nothing."""
    module, registered = config.get("module"), config.get("registered_name")
    if not (
        (module is None or (isinstance(module, str) and _MODULE.fullmatch(module)))
        and (registered is None or registered in (name, f"seedbed>{name}"))
    ):
        raise ValueError(
            "a configuration must be that of an initializer of Keras or seedbed. "
            f"Received: module={shortened(module)}, registered_name={shortened(registered)}"
        )


def _decoded(value: Any) -> Any:
    """Return a value of a configuration, with an array decoded from the form in which Keras writes it."""
    if not isinstance(value, Mapping) or value.get("class_name") not in _ARRAYS:
        return value
    encoded = value.get("config")
    if not isinstance(encoded, Mapping) or set(encoded) != {"value", "dtype"}:
        raise ValueError(
            f"the config of an encoded array must have exactly the keys value and dtype. Received: {shortened(value)}"
        )
    dtype = dtypes.as_dtype("float32" if encoded["dtype"] in dtypes.OF_ML_DTYPES else encoded["dtype"])
    try:
        array = np.array(encoded["value"])
    except ValueError:  # ragged
        array = np.array(None)
    if array.dtype.kind not in ("biufc" if dtype.kind == "c" else "biuf"):
        raise ValueError(f"an encoded array must be of numbers. Received: {shortened(encoded['value'])}")
    with np.errstate(all="ignore"):
        array = array.astype(dtype)
    return array if array.ndim else array.item()


def _check_dtype(dtype: object) -> None:
    if dtype is not None and dtype not in dtypes.FLOATS:
        dtypes.as_dtype(dtype)  # type: ignore[arg-type]

"""The registry: names and configurations to initializers, and back.

A configuration can name the initializers of this table and nothing else: no module, no file, no callable.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from seedbed import initializers
from seedbed.initializers import Initializer

_CLASSES: dict[str, type[Initializer]] = {
    name: getattr(initializers, name)
    for name in initializers.__all__
    if not inspect.isabstract(getattr(initializers, name))
}

_SNAKE: dict[str, str] = {re.sub(r"(?<!^)(?<!\d)(?=[A-Z\d])", "_", name).lower(): name for name in _CLASSES}

_OTHER_NAMES = {"normal": "RandomNormal", "one": "Ones", "uniform": "RandomUniform", "zero": "Zeros"}

ALIASES: dict[str, type[Initializer]] = {name: _CLASSES[of] for name, of in _SNAKE.items()}
"""The snake-case names, which are the classes themselves."""

_NAMES: dict[str, type[Initializer]] = {
    **_CLASSES,
    **ALIASES,
    **{name: _CLASSES[of] for name, of in _OTHER_NAMES.items()},
}

_KEYS = ("module", "class_name", "config", "registered_name")
_MODULES = ("keras.initializers", "keras.src.initializers", "seedbed", None)


def serialize(initializer: Initializer | str | None) -> dict[str, Any] | str | None:
    """The configuration of an initializer, in Keras 3's form; a name and None are their own.

    Raises:
        ValueError: where it is none of these.

    >>> import seedbed as sb
    >>> sb.serialize(sb.RandomUniform(0, 1, seed=3))["config"]
    {'minval': 0.0, 'maxval': 1.0, 'seed': 3}
    """
    if initializer is None or isinstance(initializer, str):
        return initializer
    if not isinstance(initializer, Initializer) or type(initializer).__name__ not in _CLASSES:
        raise ValueError(f"only initializers of this package can be serialized. Received: {initializer!r}")
    return {
        "module": "keras.initializers",
        "class_name": type(initializer).__name__,
        "config": initializer.get_config(),
        "registered_name": None,
    }


def deserialize(config: Mapping[str, Any] | str) -> Initializer:
    """The initializer of a configuration: a dict in Keras 3's form, `{"class_name": ..., "config": ...}`, or a name.

    Raises:
        ValueError: for an unknown name or key, or a bad value.

    >>> import seedbed as sb
    >>> sb.deserialize({"class_name": "HeNormal", "config": {"seed": 3}})
    HeNormal(seed=3, input_axes=None, output_axes=None)
    """
    if isinstance(config, str):
        return _class_of(config)()
    if not isinstance(config, Mapping):
        raise ValueError(f"a configuration must be a dict or a name. Received: {config!r}")
    unknown = [key for key in config if key not in _KEYS]
    if unknown or "class_name" not in config:
        raise ValueError(f"a configuration has class_name, and may have {', '.join(_KEYS)}. Received: {list(config)}")
    if config.get("module") not in _MODULES or config.get("registered_name") is not None:
        raise ValueError(
            "a configuration must be of an initializer of Keras or of this package. "
            f"Received: module={config.get('module')!r}, registered_name={config.get('registered_name')!r}"
        )
    arguments = config.get("config", {})
    if not isinstance(arguments, Mapping):
        raise ValueError(f"config must be a dict. Received: config={arguments!r}")
    return _class_of(config["class_name"]).from_config(arguments)


def get(identifier: object) -> Initializer | Callable[..., Any] | None:
    """The initializer that an identifier stands for.

    Arguments:
        identifier: a name, a configuration, an initializer's class, an initializer or another callable, or None.

    Raises:
        ValueError: where it stands for none.

    >>> import seedbed as sb
    >>> sb.get("he_normal") == sb.get(sb.HeNormal)  # each drew a seed of its own
    False
    >>> sb.get({"class_name": "he_normal", "config": {"seed": 1}}) == sb.HeNormal(seed=1)
    True
    """
    if identifier is None:
        return None
    if isinstance(identifier, (str, Mapping)):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"an initializer must be a name, a configuration or a callable. Received: {identifier!r}")


def _class_of(name: object) -> type[Initializer]:
    found = _NAMES.get(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"the names of initializers are {', '.join(sorted(_NAMES))}. Received: {name!r}")
    return found

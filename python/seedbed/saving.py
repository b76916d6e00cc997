"""Registration of the classes with Keras 3 and tf_keras, under the names that saved models have.

Keras looks up a saved class among the registered classes, and otherwise among its own classes by `__name__`. A class
called HeNormal would then silently load as Keras' own HeNormal. So the `__name__` of a registered class is its
registered name, "seedbed>HeNormal". Without `import seedbed.keras` (or `seedbed.tf_keras`) such a model does not load,
and the error of Keras shows the name. `__qualname__` is unchanged, for pickle and for the `repr` of the class.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

ADAPTERS = {"keras": "seedbed.keras", "tf_keras": "seedbed.tf_keras"}
"""The module that registers the classes with each framework that saves initializers."""

_tried: set[str] = set()


def register_where_imported() -> None:
    """Register the classes with each framework that this process has imported.

    `get_config` calls this, because a framework may be about to save an initializer. A framework in a version that its
    adapter does not support is skipped.
    """
    for framework, adapter in ADAPTERS.items():
        if framework in sys.modules and adapter not in sys.modules and adapter not in _tried:
            _tried.add(adapter)
            try:
                import_module(adapter)
            except ImportError:  # another version of the framework
                continue


def plain_name(cls: type) -> str:
    """Return the name of a class without the prefix of a registered name."""
    return cls.__name__.rpartition(">")[2]


def register(cls: type, package: str, decorator: Callable[..., Any]) -> None:
    """Register a class with a framework.

    Arguments:
        cls: the class.
        package: prefix of the registered name.
        decorator: `register_keras_serializable` of the framework.
    """
    decorator(package, cls.__qualname__)(cls)
    cls.__name__ = f"{package}>{cls.__qualname__}"

"""Names under which Keras 3 and tf_keras save the classes of this package.

Keras looks a saved class up among those that are registered, and, if it is not, among its own by the `__name__` of the
class. A class called HeNormal would then load as Keras' own HeNormal, without a word. So a registered class has its
registered name, "seedbed>HeNormal", as its `__name__`: without `import seedbed.keras` (or `seedbed.tf_keras`) such a
model does not load, and Keras' error shows the name. `__qualname__` stays, for pickle and for `repr` of the class.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

ADAPTERS = {"keras": "seedbed.keras", "tf_keras": "seedbed.tf_keras"}
"""Frameworks that save initializers, and the module that registers the classes with each."""

_tried: set[str] = set()


def register_where_imported() -> None:
    """Register the classes with the frameworks that this process has imported: Keras is about to save one.

    A configuration calls this. A framework that its adapter does not support is left alone.
    """
    for framework, adapter in ADAPTERS.items():
        if framework in sys.modules and adapter not in sys.modules and adapter not in _tried:
            _tried.add(adapter)
            try:
                import_module(adapter)
            except ImportError:  # another version of the framework
                continue


def plain_name(cls: type) -> str:
    """The name of a class, registered or not, without the package that it is registered under."""
    return cls.__name__.rpartition(">")[2]


def register(cls: type, package: str, decorator: Callable[..., Any]) -> None:
    """Register a class.

    Arguments:
        cls: the class.
        package: the first part of the name.
        decorator: `register_keras_serializable` of a framework.
    """
    decorator(package, cls.__qualname__)(cls)
    cls.__name__ = f"{package}>{cls.__qualname__}"

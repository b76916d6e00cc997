"""Initializers that are arguments of another one: without a seed of their own, and with a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from seedbed import seeds
from seedbed.arguments import shortened
from seedbed.initializers.base import Initializer
from seedbed.saving import plain_name

InitializerLike: TypeAlias = "Initializer | str | Mapping[str, Any]"
"""An initializer, its name or its configuration."""


def as_nested(what: str, initializer: Any, refused: type[Initializer] | None = None) -> Initializer:
    """Return an initializer that is an argument of another one, which has the seed of both.

    Arguments:
        what: what errors call the argument.
        initializer: an object, a name or a configuration, without a seed.
        refused: a class that it must not have.

    Raises:
        TypeError: if it is not an initializer of seedbed, or has the class that is refused.
        ValueError: if it has a seed, or as for `seedbed.deserialize`.
    """
    if isinstance(initializer, (str, Mapping)):
        from seedbed.config import deserialize_unbound  # a configuration has configurations in it

        initializer = deserialize_unbound(initializer)
    if not isinstance(initializer, Initializer) or (refused is not None and isinstance(initializer, refused)):
        unlike = f", and not {plain_name(refused).lower()}" if refused is not None else ""
        raise TypeError(f"{what} must be one of seedbed's{unlike}. Received: {shortened(initializer)}")
    if initializer.get_config().get("seed") is not None:
        raise ValueError(f"{what} must have no seed: the whole tensor has one. Received: {shortened(initializer)}")
    return initializer.with_seed(seeds.UNBOUND)


def nested_config(initializer: Initializer) -> dict[str, Any]:
    """Return the configuration of an initializer that is an argument of another one."""
    config = initializer.get_config()
    config.pop("seed", None)
    return {"class_name": plain_name(type(initializer)), "config": config}

"""The arrays of a tree: their names, and the modules and boxes around them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax

BOXES = (("flax.core.meta", "AxisMetadata"), ("flax.nnx", "Variable"))
"""Classes of Flax that wrap an array, and do not appear in its name."""

SEPARATOR = "/"
"""Separator of the parts of a name."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf of a tree."""

    name: str
    """Its path, such as "params/Dense_0/kernel"."""
    tensor: Any
    """The leaf: an array, a `jax.ShapeDtypeStruct`, or anything else."""
    layers: tuple[object, ...]
    """The nodes around it, from the root: modules of Equinox, or variables of Flax NNX."""

    @property
    def is_array(self) -> bool:
        """Whether it has a shape and a dtype."""
        return hasattr(self.tensor, "shape") and hasattr(self.tensor, "dtype")


def leaves_of(tree: Any) -> list[Leaf]:
    """Return all leaves of a tree, in JAX's order.

    Raises:
        ValueError: if two arrays have the same name.
    """
    leaves = list(_leaves(tree, (), (), _boxes()))
    names: set[str] = set()
    for leaf in leaves:
        if leaf.is_array and leaf.name in names:
            raise ValueError(f"a name must belong to one array. Received: {leaf.name!r} twice")
        names.add(leaf.name)
    return leaves


def _boxes() -> tuple[type, ...]:
    modules = ((sys.modules.get(module), name) for module, name in BOXES)
    return tuple(getattr(module, name) for module, name in modules if module is not None)


def _leaves(node: Any, parts: tuple[str, ...], layers: tuple[object, ...], boxes: tuple[type, ...]) -> Iterator[Leaf]:
    children, _ = jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda other: other is not node)
    for path, child in children:
        if not path:  # The node is a leaf.
            yield Leaf(SEPARATOR.join(parts), node, layers)
        else:
            own = () if isinstance(node, boxes) else (jax.tree_util.keystr(path, simple=True),)
            yield from _leaves(child, (*parts, *own), (*layers, node), boxes)

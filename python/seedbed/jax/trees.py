"""`initialize` and `plan_of`: initialize all arrays of a tree."""

from __future__ import annotations

from typing import Any, TypeVar

import jax
from jax.sharding import Sharding

from seedbed.checkpoint.evaluation import values_of
from seedbed.jax.arrays import as_sharding, element_of, spread
from seedbed.jax.leaves import Leaf, leaves_of
from seedbed.plan import Plan, PlannedTensor
from seedbed.plan.entries import about, as_name, check_unused
from seedbed.plan.rules import Rules, Selection, as_rules, check_used, counted, decide, selected
from seedbed.seeds import SeedGenerator, as_seed

T = TypeVar("T", bound=Any)


def initialize(
    tree: T,
    rules: Rules | Plan,
    *,
    seed: int | SeedGenerator,
    shardings: Any = None,
    only: Selection = None,
    skip: Selection = None,
    unused: str = "error",
) -> T:
    """Return a tree like `tree` with all arrays initialized.

    The array called `name` gets the values of `initializer.with_seed(SeedGenerator(seed).child(name))`, which `seedbed
    init` writes for a plan of these names too. A name is the path in the tree, with "/" between its parts.

    Nothing is compiled. Each process evaluates the shards of its own devices, each distinct shard once.

    Arguments:
        tree: the result of `jax.eval_shape`, `flax.nnx.eval_shape` or `equinox.filter_eval_shape`, or any tree of
            arrays or `jax.ShapeDtypeStruct`. Leaves without a shape and a dtype, such as functions, are returned
            unchanged.
        rules: a mapping from selectors to initializers, or pairs of them; or a plan, or a scheme of `seedbed.schemes`,
            which may also be one of the pairs. A selector is a pattern of names (`fnmatch.fnmatchcase`), a class of
            Equinox modules or Flax NNX variables, or a function of a name and a leaf. The first rule that selects an
            array decides it. An initializer is an object without a seed, a name, or a configuration.
        seed: an integer in [-2**255, 2**255), or a generator. A generator is not advanced: its children are used.
        shardings: a sharding for all arrays, as for `array`, or a tree of shardings with the structure of `tree` or a
            prefix of it, in which None means the leaf's own sharding. By default, each leaf's own sharding: that
            of an array that is committed to devices, or of a `jax.ShapeDtypeStruct` that has one. A leaf without one
            is placed as by `array`.
        only: a selector, or several: initialize only the arrays that they select. By default, all.
        skip: a selector, or several: return the arrays that they select unchanged. By default, none.
        unused: "error" to raise an error for a rule, `only` or `skip` that selects nothing; "ignore" to allow it.

    Returns:
        A tree with the structure of `tree`, and a `jax.Array` for each initialized array.

    Raises:
        TypeError, ValueError: before anything is evaluated: if an argument is not as described; if a rule decides
            nothing; if no rule decides an array; if an initializer does not make an array's shape and dtype, or its
            sharding does not divide its shape.

    >>> import jax, seedbed as sb, seedbed.jax
    >>> kernel, bias = jax.ShapeDtypeStruct((3, 2), "float32"), jax.ShapeDtypeStruct((2,), "float32")
    >>> tree = {"dense": {"kernel": kernel, "bias": bias}}
    >>> params = seedbed.jax.initialize(tree, {"*/bias": "zeros", "*": sb.GlorotNormal()}, seed=42)
    >>> seed = sb.SeedGenerator(42).child("dense/kernel")
    >>> bool((params["dense"]["kernel"] == sb.GlorotNormal(seed=seed)((3, 2))).all())
    True
    """
    root = seed if isinstance(seed, SeedGenerator) else SeedGenerator(as_seed(seed))
    leaves = leaves_of(tree)
    planned = _decided(leaves, rules, only, skip, unused)
    given = _given(shardings, tree, leaves)
    places: list[Sharding | None] = [None] * len(leaves)
    for at, (leaf, tensor) in enumerate(zip(leaves, planned, strict=True)):
        if tensor is not None:
            with about(f"shardings: {leaf.name}"):
                places[at] = sharding = as_sharding(_own_sharding(leaf.tensor) if given[at] is None else given[at])
                if sharding is not None:
                    sharding.shard_shape(tensor.shape)  # Raises an error if it does not divide the shape.
    made = [
        leaf.tensor if tensor is None else spread(values_of(tensor, root), sharding)
        for leaf, tensor, sharding in zip(leaves, planned, places, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(tree), made)  # type: ignore[no-any-return]


def plan_of(
    tree: Any, rules: Rules | Plan, *, only: Selection = None, skip: Selection = None, unused: str = "error"
) -> Plan:
    """Return the plan of a tree: name, shape, dtype and initializer of each array that `initialize` would make.

    `seedbed.checkpoint` writes a plan to files, and verifies files with it. Nothing is evaluated. Printed, the plan is
    a table; its last column is the rule that decided the array.

    Arguments:
        tree: a tree of arrays or `jax.ShapeDtypeStruct`, as for `initialize`.
        rules: a mapping from selectors to initializers, pairs of them, a plan, or a scheme, as for `initialize`.
        only: a selector, or several: plan only the arrays that they select. By default, all.
        skip: a selector, or several: omit the arrays that they select. By default, none.
        unused: "error", or "ignore" to allow rules, `only` and `skip` that select nothing.

    Returns:
        A `seedbed.plan.Plan`.

    Raises:
        TypeError, ValueError: for the same arguments and trees as `initialize`.

    >>> import jax, seedbed.jax
    >>> kernel, bias = jax.ShapeDtypeStruct((3, 2), "float32"), jax.ShapeDtypeStruct((2,), "float32")
    >>> tree = {"dense": {"kernel": kernel, "bias": bias}}
    >>> print(seedbed.jax.plan_of(tree, {"*/bias": "zeros", "*": "glorot_uniform"}))
    name          shape   dtype    initializer                                       stddev  source
    dense/bias    (2,)    float32  Zeros()                                           0       */bias
    dense/kernel  (3, 2)  float32  GlorotUniform(input_axes=None, output_axes=None)  0.6325  *
    """
    planned = _decided(leaves_of(tree), rules, only, skip, unused)
    return Plan(tuple(tensor for tensor in planned if tensor is not None))


def _decided(
    leaves: list[Leaf], rules: Rules | Plan, only: Selection, skip: Selection, unused: str
) -> list[PlannedTensor | None]:
    """Return the plan of each leaf; None for a leaf that is not initialized."""
    check_unused(unused)
    arrays = [leaf for leaf in leaves if leaf.is_array]
    if not arrays:
        raise ValueError("a tree must have arrays, or jax.ShapeDtypeStruct. Received: a tree without them")
    wanted = selected(arrays, only, skip, unused)
    made = as_rules(rules)
    chosen = decide(arrays, made, wanted)
    if unused == "error":
        check_used(made, arrays, chosen)
    missing = [leaf.name for leaf, rule, want in zip(arrays, chosen, wanted, strict=True) if want and rule is None]
    if missing:
        raise ValueError(
            "a rule must decide each array; the pattern * matches all, and skip= leaves arrays as they are. "
            f"Received: none for {counted(missing)}"
        )
    planned: dict[int, PlannedTensor] = {}
    for leaf, rule, want in zip(arrays, chosen, wanted, strict=True):
        if want and rule is not None:
            with about(leaf.name):
                shape, dtype = tuple(leaf.tensor.shape), element_of(rule.initializer, leaf.tensor.dtype)
                rule.initializer.check(shape, dtype)
                name = as_name(leaf.name)
            planned[id(leaf)] = PlannedTensor(name, shape, dtype, rule.initializer, rule.label, seed_of=rule.seed_of)
    return [planned.get(id(leaf)) for leaf in leaves]


def _given(shardings: Any, tree: Any, leaves: list[Leaf]) -> list[Any]:
    """Return the given sharding of each leaf; None for the leaf's own sharding."""
    if shardings is None:
        return [None] * len(leaves)
    with about("shardings"):
        whole = jax.tree.broadcast(shardings, tree, is_leaf=_is_none)
    return jax.tree.leaves(whole, is_leaf=_is_none)  # type: ignore[no-any-return]


def _is_none(node: Any) -> bool:
    return node is None


def _own_sharding(tensor: Any) -> Sharding | None:
    """Return the sharding of an array that is committed to devices, or of a shape that has one."""
    own: Sharding | None = getattr(tensor, "sharding", None)
    return own if getattr(tensor, "committed", True) else None

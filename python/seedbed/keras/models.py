"""`initialize` and `plan_of`: initialize whole Keras models."""

from __future__ import annotations

from typing import Any, TypeVar

import keras

from seedbed.checkpoint.evaluation import values_of
from seedbed.keras.adapters import spread
from seedbed.keras.weights import Weight, plain, weights_of, with_axes
from seedbed.plan import Plan, PlannedTensor
from seedbed.plan.entries import about, as_name, check_unused
from seedbed.plan.rules import (
    Rules,
    Selection,
    as_rules,
    check_used,
    combined,
    counted,
    decide,
    is_random,
    selected,
)
from seedbed.seeds import SeedGenerator, as_seed

T = TypeVar("T", bound=Any)


def initialize(
    model: T,
    rules: Rules | Plan | None = None,
    *,
    seed: int | SeedGenerator,
    only: Selection = None,
    skip: Selection = None,
    unused: str = "error",
) -> T:
    """Give every weight of a built model its initial values, in place.

    A weight that a rule selects gets the rule's initializer. Every other weight gets the distribution of the
    initializer of its layer, whatever its seed. The weight with the path `name` gets the values of
    `initializer.with_seed(SeedGenerator(seed).child(name))` on any backend, which `seedbed init` writes for a plan of
    these names too. Give names to layers and models: Keras numbers unnamed ones in the order of their construction.

    On the backend JAX, a weight that a `keras.distribution` shards stays sharded, and each process evaluates its own
    shards.

    Arguments:
        model: a model or a layer that is built.
        rules: a mapping from selectors to initializers, or pairs of them; or a plan or a scheme. A selector is a
            pattern of paths (`fnmatch.fnmatchcase`), a class of layers, or a function of a path and a variable. The
            first rule that selects a weight decides it. An initializer is an object without a seed, a name, or a
            configuration. A random initializer does not change weights whose layer has a constant initializer for
            them, such as most biases, unless the rule decides only such weights, or is `Blocks`. In an EinsumDense, it
            counts fans by the axes of the equation.
        seed: an integer in [-2**255, 2**255), or a generator. A generator is not advanced: its children are used.
        only: a selector, or several: initialize only the weights that they select. By default, all.
        skip: a selector, or several: leave the weights that they select unchanged. By default, none.
        unused: "error" to raise an error for a rule, `only` or `skip` that selects nothing; "ignore" to allow it.

    Returns:
        `model`.

    Raises:
        TypeError, ValueError: before anything is changed: if an argument is not as described; if the model is not
            built; if a rule decides nothing; if no rule decides a weight and its layer has no initializer for it, or
            one that is neither of seedbed nor of Keras; if an initializer does not make the weight's shape and dtype.

    >>> import keras, seedbed as sb, seedbed.keras
    >>> layer = keras.layers.Dense(3, name="dense")
    >>> layer.build((None, 4))
    >>> layer = seedbed.keras.initialize(layer, seed=42)
    >>> kernel = sb.GlorotUniform(seed=sb.SeedGenerator(42).child("dense/kernel"))((4, 3))
    >>> bool(keras.ops.all(keras.ops.equal(layer.kernel, kernel)))
    True
    """
    root = seed if isinstance(seed, SeedGenerator) else SeedGenerator(as_seed(seed))
    for weight, planned in _decided(model, rules, only, skip, unused):
        values, variable = values_of(planned, root), weight.tensor
        name = keras.utils.standardize_dtype(variable.dtype)
        sharding = getattr(variable.value, "sharding", None)  # Only variables of JAX have one.
        if sharding is not None and len(sharding.device_set) > 1:
            variable.assign(spread(values, sharding))
        else:
            variable.assign(keras.ops.convert_to_tensor(values[...], name))
    return model


def plan_of(
    model: Any,
    rules: Rules | Plan | None = None,
    *,
    only: Selection = None,
    skip: Selection = None,
    unused: str = "error",
) -> Plan:
    """Return the plan of a model: path, shape, dtype and initializer of each weight that `initialize` would fill.

    `seedbed.checkpoint` writes a plan to files, and verifies files with it. Nothing is evaluated. Printed, the plan is
    a table; its last column is what decided the weight: the rule, or "layer" for the initializer of its layer.

    Arguments:
        model: a model or a layer that is built.
        rules: a mapping from selectors to initializers, pairs of them, a plan or a scheme, as for `initialize`. By
            default, no rules: the initializers of the layers.
        only: a selector, or several: plan only the weights that they select. By default, all.
        skip: a selector, or several: omit the weights that they select. By default, none.
        unused: "error", or "ignore" to allow rules, `only` and `skip` that select nothing.

    Returns:
        A `seedbed.plan.Plan`.

    Raises:
        TypeError, ValueError: for the same arguments and models as `initialize`.

    >>> import keras, seedbed.keras
    >>> layer = keras.layers.Dense(3, name="dense")
    >>> layer.build((None, 4))
    >>> print(seedbed.keras.plan_of(layer, {"*/bias": "ones"}))
    name          shape   dtype    initializer                                       stddev  source
    dense/kernel  (4, 3)  float32  GlorotUniform(input_axes=None, output_axes=None)  0.5345  layer
    dense/bias    (3,)    float32  Ones()                                            0       */bias
    """
    return Plan(tuple(planned for _, planned in _decided(model, rules, only, skip, unused)))


def _decided(
    model: Any, rules: Rules | Plan | None, only: Selection, skip: Selection, unused: str
) -> list[tuple[Weight, PlannedTensor]]:
    """Return the weights to initialize, each with its plan."""
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(f"model must be a model or a layer of Keras. Received: {type(model).__name__}")
    check_unused(unused)
    weights = weights_of(model)
    wanted = selected(weights, only, skip, unused)
    made = as_rules(rules)
    chosen = decide(weights, made)
    if unused == "error":
        check_used(made, weights, chosen)
    choices = [(weight, rule) for weight, rule, want in zip(weights, chosen, wanted, strict=True) if want]
    for weight, rule in choices:
        if rule is None and weight.own is None:
            same = [other.name for other, by in choices if by is None and other.reason == weight.reason]
            raise ValueError(f"{counted(same)}: {weight.reason}. Give a rule, or leave it as it is by skip=")
    wide = {
        id(rule)
        for weight, rule in choices
        if rule is not None and is_random(rule.initializer) and (weight.own is None or is_random(weight.own))
    }
    planned = []
    for weight, rule in choices:
        initializer, source = combined(rule, weight.own, "layer", wide)
        if rule is not None and initializer is not weight.own:
            initializer = with_axes(plain(initializer), weight.layers[-1])
        shape = tuple(weight.tensor.shape)
        with about(weight.name):
            dtype = initializer.as_dtype(keras.utils.standardize_dtype(weight.tensor.dtype))
            initializer.check(shape, dtype)
            seed_of = None if rule is None or source != rule.label else rule.seed_of
            name = as_name(weight.name)
            planned.append((weight, PlannedTensor(name, shape, dtype, initializer, source, seed_of=seed_of)))
    return planned

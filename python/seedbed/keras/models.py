"""`initialize` and `plan_of`: every weight of a built Keras model."""

from __future__ import annotations

from typing import Any, TypeVar

import keras

from seedbed.arguments import shortened
from seedbed.checkpoint.evaluation import values_of
from seedbed.keras.adapters import spread
from seedbed.keras.weights import Weight, plain, weights_of, with_axes
from seedbed.plan import Plan, PlannedTensor
from seedbed.plan.entries import about, as_name
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

    What a rule decides is initialized by the rule, all else by the distribution of the initializer that its layer has
    for it, whatever seed that has. The weight with the path `name` gets the values of
    `initializer.with_seed(SeedGenerator(seed).child(name))`, on any backend: what `seedbed init` writes for a plan of
    these names. Name layers and models: Keras numbers those without a name as they are made.

    On JAX, a weight that a `keras.distribution` spreads over devices stays so, and each process evaluates its own part.

    Arguments:
        model: a model or a layer that is built.
        rules: a mapping, or pairs, of selectors and initializers; or a plan. A selector is a pattern of paths
            (`fnmatch.fnmatchcase`), a class of layers, or a function of a path and a variable. The first rule that
            selects a weight decides it. An initializer is an object without a seed, a name or a configuration. A random
            one does not reach what is constant by its own initializer, such as the bias of most layers, unless the rule
            decides nothing else, or is `Blocks`. In an EinsumDense it counts fans by the axes of the equation.
        seed: an integer in [-2**255, 2**255), or a generator, from which only children are taken.
        only: a selector, or several: nothing else is initialized.
        skip: a selector, or several: what they select stays as it is.
        unused: "error", or "ignore" if rules, `only` and `skip` may select nothing.

    Returns:
        `model`.

    Raises:
        TypeError, ValueError: before anything is changed: if an argument is not as described; if the model is not
            built; if a rule decides nothing; if no rule decides a weight and its layer has no initializer for it, or
            one that is neither of seedbed nor of Keras; if an initializer does not make the weight's shape and dtype.
    """
    root = seed if isinstance(seed, SeedGenerator) else SeedGenerator(as_seed(seed))
    for weight, planned in _decided(model, rules, only, skip, unused):
        values, variable = values_of(planned, root), weight.tensor
        name = keras.utils.standardize_dtype(variable.dtype)
        sharding = getattr(variable.value, "sharding", None)  # of JAX
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
    """The plan of a model: what `initialize` makes of it, for `seedbed.checkpoint` to write to a file, or to verify.

    Nothing is evaluated. Printed, the plan is a table that says what decided each weight: the rule, or "layer" for the
    initializer that its layer has.

    Arguments:
        model: a model that is built.
        rules: as for `initialize`, and so are all others.
        only: as above.
        skip: as above.
        unused: as above.

    Raises:
        TypeError, ValueError: as `initialize`.
    """
    return Plan(tuple(planned for _, planned in _decided(model, rules, only, skip, unused)))


def _decided(
    model: Any, rules: Rules | Plan | None, only: Selection, skip: Selection, unused: str
) -> list[tuple[Weight, PlannedTensor]]:
    """The weights that are to be initialized, each with its plan."""
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(f"model must be a model or a layer of Keras. Received: {type(model).__name__}")
    if unused not in ("error", "ignore"):
        raise ValueError(f"unused must be one of 'error', 'ignore'. Received: unused={shortened(unused)}")
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

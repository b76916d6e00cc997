"""The weights of a built Keras model, their layers, and the initializers that the layers have for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import keras
import numpy as np

from seedbed import config
from seedbed.initializers import (
    Blocks,
    Constant,
    GlorotUniform,
    Initializer,
    Ones,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
from seedbed.keras.adapters import ADAPTED
from seedbed.seeds import UNBOUND

ALIASES: Mapping[str, tuple[str, ...]] = {
    "kernel": ("depthwise",),
    "reverse_embeddings": ("embeddings",),
    **{f"{name}_kernel": (name,) for name in ("recurrent", "depthwise", "pointwise")},
}
"""Names of weights, and the other names that arguments `..._initializer` of Keras' layers use for them."""

FIXED: Mapping[tuple[str, str], Callable[[], Initializer]] = {
    ("AdditiveAttention", "scale"): lambda: GlorotUniform(UNBOUND),
    ("Attention", "scale"): Ones,
    ("Attention", "concat_score_weight"): Ones,
    ("RMSNormalization", "scale"): Ones,
    ("Normalization", "mean"): Zeros,
    ("Normalization", "variance"): Ones,
    ("Normalization", "count"): Zeros,
    ("SpectralNormalization", "vector_u"): lambda: TruncatedNormal(stddev=0.02, seed=UNBOUND),
}
"""Initializers of weights for which a layer of Keras has no argument, by class of layer and name of weight."""


@dataclass(slots=True)
class Weight:
    """A weight of a model."""

    name: str
    """Its path, such as "dense/kernel"."""
    tensor: Any
    """The variable."""
    layers: tuple[Any, ...]
    """The layers around it, from the model to the layer that made it."""
    own: Initializer | None = None
    """The initializer that its layer has for it; None if it is not known."""
    reason: str = ""
    """Why the initializer is not known."""


def weights_of(model: Any) -> list[Weight]:
    """Return all weights of a model, in the order of its layers, each once.

    Raises:
        ValueError: if a layer is not built, or two weights have the same path.
    """
    weights: dict[int, Weight] = {}
    unbuilt = []
    for layer, layers in _layers(model, (), set()):
        if not layer.built:
            unbuilt.append(layer.path or layer.name)
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
            weight = weights.setdefault(id(variable), Weight(variable.path, variable, layers))
            weight.layers = max(weight.layers, layers, key=len)  # The wrapper of a layer has its weights too.
    if unbuilt or not weights:
        raise ValueError(
            "a model must be built, so that its weights have shapes: call model.build(shape), or the model on data. "
            f"Received: {', '.join(unbuilt[:5]) or 'a model without weights'}"
        )
    names: set[str] = set()
    for weight in weights.values():
        if weight.name in names:
            raise ValueError(f"a path must belong to one weight: give layers names. Received: {weight.name!r} twice")
        names.add(weight.name)
        _find_own(weight)
    return [*weights.values()]


def _layers(layer: Any, above: tuple[Any, ...], seen: set[int]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield each layer, parents first, with the layers around it."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    layers = (*above, layer)
    yield layer, layers
    for inner in layer._layers:
        yield from _layers(inner, layers, seen)


def _find_own(weight: Weight) -> None:
    layer, name = weight.layers[-1], weight.tensor.name
    kind = type(layer).__name__
    if (kind, name) in FIXED:
        weight.own = FIXED[kind, name]()
        return
    places = (f"{stem}_initializer" for stem in (name, *ALIASES.get(name, ())))
    given = next((found for place in places if (found := getattr(layer, place, None)) is not None), None)
    if given is None:
        weight.reason = f"its layer {kind} has no {name}_initializer"
        return
    weight.own = _translated(given)
    if weight.own is None:
        weight.reason = f"its initializer is neither of seedbed nor of Keras: {type(given).__qualname__}"
    elif name == "bias" and getattr(layer, "unit_forget_bias", False):
        width = weight.tensor.shape[0] // 4
        gates: list[Any] = [(np.s_[width : 2 * width], Ones())]
        if isinstance(weight.own, VarianceScaling):  # Keras calls it for each part, with the fans of the part.
            gates += [(np.s_[:width], weight.own), (np.s_[2 * width :], weight.own)]
        weight.own = Blocks(weight.own, gates, UNBOUND)
    elif isinstance(given, keras.initializers.VarianceScaling):
        weight.own = with_axes(weight.own, layer)


def _translated(given: Any) -> Initializer | None:
    """Return the initializer of seedbed with the same distribution, without a seed; None if there is none."""
    if isinstance(given, Initializer):
        return plain(given)
    if type(given).__module__.startswith("keras.") and isinstance(given, keras.initializers.Initializer):
        if isinstance(given, keras.initializers.Constant):
            return Constant(
                keras.ops.convert_to_numpy(given.value) if keras.ops.is_tensor(given.value) else given.value
            )
        arguments = {key: value for key, value in given.get_config().items() if key != "seed"}
        if isinstance(given, keras.initializers.Identity):
            arguments["gain"] = given.gain  # Keras omits it from the configuration.
        return config.deserialize_unbound({"class_name": type(given).__name__, "config": arguments})
    return None


def plain(initializer: Initializer) -> Initializer:
    """Return an initializer without a seed; one of `seedbed.keras` becomes one of `seedbed`."""
    cls = type(initializer)
    if cls not in ADAPTED.values():
        return initializer.with_seed(UNBOUND)
    arguments = {key: value for key, value in initializer.get_config().items() if key != "seed"}
    return config.deserialize_unbound({"class_name": cls.__qualname__, "config": arguments})


def with_axes(initializer: Initializer, layer: Any) -> Initializer:
    """Return the initializer for the kernel of a layer. For EinsumDense, it gets the axes from the equation."""
    if not isinstance(layer, keras.layers.EinsumDense) or not isinstance(initializer, VarianceScaling):
        return initializer
    if not {"input_axes", "output_axes"} <= {*signature(type(initializer)).parameters}:  # A user's class.
        return initializer
    arguments = initializer.get_config()
    if arguments.get("input_axes") is not None or {*arguments} & {*initializer.beyond_keras}:
        return initializer
    letters, outputs = layer.equation.split(",")[1].split("->")
    axes = {
        "output_axes": [i for i, letter in enumerate(letters) if letter in outputs],
        "input_axes": [i for i, letter in enumerate(letters) if letter not in outputs],
    }
    return type(initializer).from_config({**arguments, **axes, "seed": 0}).with_seed(UNBOUND)

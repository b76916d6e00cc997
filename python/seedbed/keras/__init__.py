"""The initializers of seedbed as initializers of Keras 3, on any of its backends, with the same bits on each.

    layer = keras.layers.Dense(3, kernel_initializer=seedbed.keras.GlorotNormal(seed=42))

Each class is at once the class of `seedbed` and the class of Keras of that name. From the first it has what it makes,
its arguments and its configuration; by the second it is known to layers which ask for Keras' own class, as EinsumDense
and the attention layers do to tell it their axes. A call gives a tensor of the backend.

All are registered with Keras under `seedbed>`: models that use them are saved, loaded and cloned in any process that
has imported this module. So are the classes of `seedbed` itself, which Keras then loads as these. Snake-case names are
the classes, and `get`, `serialize` and `deserialize` do what those of Keras do.

A seed may be a `keras.random.SeedGenerator`: each call is one draw, from the stream that its counter says, of the key
that its seed says. So its draws are those of a `seedbed.SeedGenerator` of that seed.

Reuse: Keras makes all weights of an initializer with an integer seed the same, and its attention layers clone the
initializer for query, key and value, so that these begin equal, with an integer seed and with a generator. This module
does as Keras does. Seeds by name, `seedbed.SeedGenerator(42).child("block3/attn")`, tell layers apart;
`docs/compatibility.md` says how the parts of one attention layer get different values.

A whole model, every weight bound to its path, so that layers can come and go:

    model = seedbed.keras.initialize(model, {"*bias": "zeros"}, seed=42)
    print(seedbed.keras.plan_of(model))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seedbed.keras.adapters import NAMES, PUBLIC, deserialize, get, serialize
from seedbed.keras.models import initialize, plan_of
from seedbed.seeds import SeedGenerator

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # the classes, which are made from a table


globals().update({name: NAMES[name] for name in PUBLIC})

__all__ = [*PUBLIC, "SeedGenerator", "deserialize", "get", "initialize", "plan_of", "serialize"]


def __dir__() -> list[str]:
    return __all__

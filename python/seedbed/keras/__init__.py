"""Adapter of Keras 3: the initializers of seedbed for layers and whole models, with the same bits on any backend.

    layer = keras.layers.Dense(3, kernel_initializer=seedbed.keras.GlorotNormal(seed=42))

Each class derives from the class of `seedbed` and from the class of Keras with the same name. Values, arguments and
configuration are those of the class of `seedbed`. The class of Keras is a base because EinsumDense and the attention
layers set the axes of its instances only. A call returns a tensor of the backend.

The classes are registered with Keras under `seedbed>`: any process that has imported this module can save, load and
clone models that use them. Models that use the classes of `seedbed` itself load with these classes. Snake-case names
are other names of the classes, and `get`, `serialize` and `deserialize` do what those of Keras do.

A seed may be a `keras.random.SeedGenerator`. Each call takes one draw, and the draws are those of a
`seedbed.SeedGenerator` with the same seed.

As with the initializers of Keras, all weights of one initializer with an integer seed are equal. The attention layers
clone their initializer, so that query, key and value are equal too, with an integer seed or a generator. Seeds by name,
such as `seedbed.SeedGenerator(42).child("block3/attn")`, give layers different values; `docs/compatibility.md` shows
how the parts of one attention layer get different values.

`initialize` initializes a whole model. It derives the seed of each weight from its path, so that adding or removing a
layer does not change the others:

    model = seedbed.keras.initialize(model, {"*bias": "zeros"}, seed=42)
    print(seedbed.keras.plan_of(model))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seedbed.keras.adapters import NAMES, PUBLIC, deserialize, get, serialize
from seedbed.keras.models import initialize, plan_of
from seedbed.seeds import SeedGenerator

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # The classes are made from a table.


globals().update({name: NAMES[name] for name in PUBLIC})

__all__ = ["SeedGenerator", "deserialize", "get", "initialize", "plan_of", "serialize"]
__all__.extend(PUBLIC)  # not in the list above: griffe, which builds the API pages, reads only strings there


def __dir__() -> list[str]:
    return __all__

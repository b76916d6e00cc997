"""The initializers of seedbed in JAX: arrays on any mesh, Flax, Equinox and Haiku, with the bits that one machine gets.

    model = jax.eval_shape(model.init, jax.random.key(0), batch)    # shapes: nothing is drawn or compiled
    params = seedbed.jax.initialize(model, {"*bias": "zeros", "*": sb.GlorotNormal()}, seed=42, shardings=shardings)

| | |
|---|---|
| `array` | one tensor, as a `jax.Array` of any sharding |
| `initializer` | a function `(key, shape, dtype)`, as `jax.nn.initializers` has them |
| `initialize` | every array of a tree, such as the parameters of a model, by rules |
| `plan_of` | the same as a plan, for a table, a file without the model, or a check of one |

Nothing is compiled. Each process evaluates the shards of its own devices, each distinct shard once, with the bits that
the whole tensor has there, and talks to no other process.
"""

from seedbed.jax.arrays import array
from seedbed.jax.functions import initializer
from seedbed.jax.trees import initialize, plan_of

__all__ = ["array", "initialize", "initializer", "plan_of"]


def __dir__() -> list[str]:
    return __all__

"""Adapter of JAX: arrays on any mesh, and initializers for Flax, Equinox and Haiku, with the same bits on each.

    model = jax.eval_shape(model.init, jax.random.key(0), batch)    # Shapes only.
    params = seedbed.jax.initialize(model, {"*bias": "zeros", "*": sb.GlorotNormal()}, seed=42, shardings=shardings)

| function | returns |
|---|---|
| `array` | one tensor, as a `jax.Array` of any sharding |
| `initializer` | a function `(key, shape, dtype)`, the protocol of `jax.nn.initializers` |
| `initialize` | a tree, such as the parameters of a model, with all arrays initialized by rules |
| `plan_of` | the same as a plan: a table, or what `seedbed.checkpoint` writes and verifies without the model |

Outside of `jit`, nothing is compiled. Each process evaluates the shards of its own devices without communication, each
distinct shard once. A shard has the same bits as in the whole tensor.
"""

from seedbed.jax.arrays import array
from seedbed.jax.functions import initializer
from seedbed.jax.trees import initialize, plan_of

__all__ = ["array", "initialize", "initializer", "plan_of"]


def __dir__() -> list[str]:
    return __all__

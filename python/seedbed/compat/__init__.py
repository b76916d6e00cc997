"""The names of TensorFlow's own Keras, by generation: `v1` is that of TF 1, `v2` that of TF 2.2 to 2.15.

Arguments, defaults, calls and configurations are those of the generation; the values are this package's, the same bits
as those of the top-level classes. `docs/compatibility-tensorflow.md` lists the differences.

>>> from seedbed import compat
>>> compat.v1.glorot_normal(seed=1, dtype="float64").get_config()
{'seed': 1, 'dtype': 'float64'}
>>> compat.v2.glorot_normal(seed=1).get_config()
{'seed': 1}
"""

from seedbed.compat import v1, v2

__all__ = ["v1", "v2"]


def __dir__() -> list[str]:
    return __all__

"""`tf.keras.initializers` as it was from TF 2.2 to 2.15: class names, and snake-case names that are the same classes.

Each is called `(shape, dtype=None, **kwargs)`. `dtype` is by default `seedbed.floatx()`. The keywords are
`partition_shape` and `partition_offset` (and this package's `out`): the part of the tensor `shape` that has this shape
and begins there, in the bits that the whole has there.

An integer seed gives the same values at each call, and they are those of the top-level class. An initializer that was
given no seed gives new values at each call, from a seed that it draws then: `seedbed.set_random_seed` sets these, also
after the initializer was made.

>>> from seedbed.compat import v2
>>> initializer = v2.GlorotNormal(seed=1)
>>> whole = initializer(shape=(100, 8))
>>> part = initializer((100, 8), partition_shape=(25, 8), partition_offset=(50, 0))
>>> bool((part == whole[50:75]).all())
True
>>> initializer((100, 8), shard=2)
Traceback (most recent call last):
    ...
TypeError: the keywords of a call are partition_shape, partition_offset and out. Received: ['shard']
>>> unseeded = v2.LecunNormal()
>>> bool((unseeded(shape=(2, 2)) == unseeded(shape=(2, 2))).any())
False
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from seedbed import dtypes, initializers
from seedbed.compat import _generation
from seedbed.initializers import Initializer
from seedbed.initializers.base import evaluates_rule
from seedbed.seeds import Address, SeedGenerator, SeedLike, key_of, random_seed
from seedbed.shapes import ShapeLike

if TYPE_CHECKING:
    from typing_extensions import Self

_KEYWORDS = ("partition_shape", "partition_offset", "out")


class _Unseeded(SeedGenerator):
    """Draws a seed at each call from where `seedbed.set_random_seed` has set, also after this was made."""

    def next(self) -> Address:
        return Address(key_of(random_seed()), 0)


class _V2(_generation.Generation):
    """The call and the configurations of TF 2."""

    def _unseeded(self) -> SeedGenerator:
        return _Unseeded(random_seed())

    @evaluates_rule
    def __call__(self, shape: ShapeLike, dtype: npt.DTypeLike | None = None, **kwargs: Any) -> np.ndarray:
        """The tensor, or a part of it.

        Arguments:
            shape: of the whole tensor: an integer or integers.
            dtype: dtype of its elements, by default `floatx()`.
            kwargs: `partition_shape` and `partition_offset` for a part, `out` for where to write.

        Raises:
            TypeError: for any other keyword.
            ValueError: for a bad shape, dtype, part or `out`.
        """
        unknown = [name for name in kwargs if name not in _KEYWORDS]
        if unknown:
            raise TypeError(
                f"the keywords of a call are partition_shape, partition_offset and out. Received: {unknown}"
            )
        return super().__call__(shape, dtype, **kwargs)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The initializer of a configuration, or of one of TF 1, whose `dtype` is of no effect.

        Raises:
            ValueError: for an unknown key or a bad value, that of `dtype` included.

        >>> RandomNormal.from_config({"stddev": 1.0, "seed": 3, "dtype": "float32"})
        RandomNormal(mean=0.0, stddev=1.0, seed=3)
        """
        if "dtype" in config:
            dtypes.as_dtype(config["dtype"])
        return super().from_config({key: value for key, value in config.items() if key != "dtype"})


class _Drawless(_V2):
    """What is given nothing."""

    floating = False

    def __init__(self) -> None:
        super().__init__()


class Zeros(_Drawless, initializers.Zeros):
    """0 everywhere, in any numeric dtype or bool."""


class Ones(_Drawless, initializers.Ones):
    """1 everywhere, in any numeric dtype or bool."""


class Constant(_V2, _generation.Constant):
    """A number everywhere; or an array with as many elements as the tensor, reshaped in C order.

    Arguments:
        value: a finite number, or an array of such.

    Raises:
        ValueError: where `value` is not that; at the call, where it has another number of elements, or is beyond what
            the dtype holds.

    >>> Constant([1, 2, 3, 4])((2, 2)).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """

    def __init__(self, value: complex | npt.ArrayLike = 0) -> None:
        super().__init__(value=value)


class constant_initializer(Constant):  # noqa: N801  # a class in TF as well
    """`Constant` as TensorFlow's own: tensors and variables are refused.

    Raises:
        TypeError: where `value` is neither a number nor an array, list or tuple.
        ValueError: as `Constant`.
    """

    def __init__(self, value: complex | npt.ArrayLike = 0) -> None:
        _generation.check_constant(value)
        super().__init__(value)


class RandomUniform(_V2, _generation.RandomUniform):
    """`seedbed.RandomUniform`, and uniform integers in int32 and int64.

    Arguments:
        minval: the lower bound.
        maxval: the upper bound, which is never reached.
        seed: None, an integer or a `SeedGenerator`.

    Raises:
        ValueError: for bounds that are not finite or not in order; at the call, for any other dtype, and for bounds
            that are no integers where the dtype is one of integers.

    >>> sorted(set(RandomUniform(0, 4, seed=1)((100,), "int32").tolist()))
    [0, 1, 2, 3]
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: SeedLike = None) -> None:
        super().__init__(minval=minval, maxval=maxval, seed=seed)


class _Normal(_V2):
    """What is given a mean, a standard deviation and a seed."""

    parameters: ClassVar[tuple[str, ...]] = ("mean", "stddev", "seed")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: SeedLike = None) -> None:
        super().__init__(mean=mean, stddev=stddev, seed=seed)


class RandomNormal(_Normal, initializers.RandomNormal):
    """`seedbed.RandomNormal`: normal, without bounds."""


class TruncatedNormal(_Normal, initializers.TruncatedNormal):
    """`seedbed.TruncatedNormal`: normal, within two standard deviations of the mean."""


class VarianceScaling(_V2, _generation.VarianceScaling):
    """`seedbed.VarianceScaling`: variance scale / n, where n is a fan of the layout (..., in, out)."""

    parameters = ("scale", "mode", "distribution", "seed")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: SeedLike = None,
    ) -> None:
        super().__init__(scale=scale, mode=mode, distribution=distribution, seed=seed)


class _Seeded(_V2):
    """What is given a seed and nothing else."""

    parameters: ClassVar[tuple[str, ...]] = ("seed",)

    def __init__(self, seed: SeedLike = None) -> None:
        super().__init__(seed=seed)


class GlorotNormal(_Seeded, initializers.GlorotNormal):
    """`seedbed.GlorotNormal`: truncated normal of standard deviation sqrt(2 / (fan_in + fan_out))."""


class GlorotUniform(_Seeded, initializers.GlorotUniform):
    """`seedbed.GlorotUniform`: uniform within +-sqrt(6 / (fan_in + fan_out))."""


class HeNormal(_Seeded, initializers.HeNormal):
    """`seedbed.HeNormal`: truncated normal of standard deviation sqrt(2 / fan_in)."""


class HeUniform(_Seeded, initializers.HeUniform):
    """`seedbed.HeUniform`: uniform within +-sqrt(6 / fan_in)."""


class LecunNormal(_Seeded, initializers.LecunNormal):
    """`seedbed.LecunNormal`: truncated normal of standard deviation sqrt(1 / fan_in)."""


class LecunUniform(_Seeded, initializers.LecunUniform):
    """`seedbed.LecunUniform`: uniform within +-sqrt(3 / fan_in)."""


class Orthogonal(_V2, initializers.Orthogonal):
    """`seedbed.Orthogonal`: a matrix with orthonormal columns, or rows where there are fewer, times the gain."""

    parameters = ("gain", "seed")

    def __init__(self, gain: float = 1.0, seed: SeedLike = None) -> None:
        super().__init__(gain=gain, seed=seed)


class Identity(_V2, initializers.Identity):
    """`seedbed.Identity`, in a floating point dtype."""

    parameters = ("gain",)

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__(gain=gain)


constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = ones_initializer = Ones
orthogonal = Orthogonal
random_normal = random_normal_initializer = RandomNormal
random_uniform = random_uniform_initializer = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = zeros_initializer = Zeros

_registry = _generation.Registry(_V2, globals(), normal=RandomNormal, one=Ones, uniform=RandomUniform, zero=Zeros)
get, serialize, deserialize = _registry.get, _registry.serialize, _registry.deserialize
classes = _registry.classes
__all__ = ["Initializer", "deserialize", "get", "serialize"]
__all__ += sorted({*_registry.names} & {*globals()})


def __dir__() -> list[str]:
    return __all__

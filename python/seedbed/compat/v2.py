"""`tf.keras.initializers` as in TF 2.2 to 2.15: classes, and snake-case names for the same classes.

An initializer is called `(shape, dtype=None, **kwargs)`. `dtype` is by default `seedbed.floatx()`. The keywords
`partition_shape` and `partition_offset` select a part of the tensor: its shape, and the index of its first element. A
part has the same bits as in the whole. The keyword `out`, an array to write to, is an addition of seedbed.

An integer seed gives the same values at each call: those of the top-level class with this seed. Without a seed, each
call draws a new seed, from the generator that `seedbed.set_random_seed` sets, even if it is set later.

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
    """Generator that draws each seed from the generator that `seedbed.set_random_seed` sets, even if set later."""

    def next(self) -> Address:
        return Address(key_of(random_seed()), 0)


class _V2(_generation.Generation):
    """Call and configurations of TF 2."""

    result = (
        "A call `(shape, dtype=None, partition_shape=None, partition_offset=None)` returns a NumPy array of the shape, "
        "or of the part, in {dtypes}; by default in `seedbed.floatx()`."
    )

    def _unseeded(self) -> SeedGenerator:
        return _Unseeded(random_seed())

    @evaluates_rule
    def __call__(self, shape: ShapeLike, dtype: npt.DTypeLike | None = None, **kwargs: Any) -> np.ndarray:
        """Return the tensor, or a part of it.

        Arguments:
            shape: shape of the whole tensor: an integer or a sequence of integers.
            dtype: dtype of the elements, by default that of `out`, or `floatx()`.
            kwargs: `partition_shape` and `partition_offset` for a part of the tensor: its shape, and the index of its
                first element; `out` for a writable array of the result's shape and dtype.

        Raises:
            TypeError: for any other keyword, or an argument of the wrong type.
            ValueError: for an invalid shape, dtype, part or `out`.
        """
        unknown = [name for name in kwargs if name not in _KEYWORDS]
        if unknown:
            raise TypeError(
                f"the keywords of a call are partition_shape, partition_offset and out. Received: {unknown}"
            )
        return super().__call__(shape, dtype, **kwargs)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return an initializer from a configuration of TF 2, or of TF 1, whose `dtype` is checked and ignored.

        Arguments:
            config: a dict of constructor arguments.

        Raises:
            TypeError, ValueError: for an unknown key, or an invalid value, also of `dtype`.

        >>> RandomNormal.from_config({"stddev": 1.0, "seed": 3, "dtype": "float32"})
        RandomNormal(mean=0.0, stddev=1.0, seed=3)
        """
        if "dtype" in config:
            dtypes.as_dtype(config["dtype"])
        return super().from_config({key: value for key, value in config.items() if key != "dtype"})


class _Drawless(_V2):
    """A class whose constructor has no arguments."""

    floating = False

    def __init__(self) -> None:
        super().__init__()


class Zeros(_Drawless, initializers.Zeros):
    """The number 0 in every element.

    >>> from seedbed.compat import v2
    >>> v2.Zeros()((2, 3)).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """


class Ones(_Drawless, initializers.Ones):
    """The number 1 in every element.

    >>> from seedbed.compat import v2
    >>> v2.Ones()((2, 3), "int32").tolist()
    [[1, 1, 1], [1, 1, 1]]
    """


class Constant(_V2, _generation.Constant):
    """One number in every element; or an array with as many elements as the tensor, reshaped in C order.

    Raises:
        ValueError: if `value` is not finite numbers; at the call, if it has another number of elements than the tensor,
            or the dtype cannot represent it.

    >>> from seedbed.compat import v2
    >>> v2.Constant(0.5)((2, 2)).tolist(), v2.Constant([1, 2, 3, 4])((2, 2)).tolist()
    ([[0.5, 0.5], [0.5, 0.5]], [[1.0, 2.0], [3.0, 4.0]])
    """

    def __init__(self, value: complex | npt.ArrayLike = 0) -> None:
        super().__init__(value=value)


class constant_initializer(Constant):  # noqa: N801  # a class in TF as well
    """`Constant` that refuses tensors and variables, like `tf.constant_initializer`.

    Raises:
        TypeError: if `value` is not a number, array, list or tuple.
        ValueError: if `value` is not finite numbers; at the call, if it has another number of elements than the tensor,
            or the dtype cannot represent it.

    >>> from seedbed.compat import v2
    >>> v2.constant_initializer([1, 2, 3, 4])((2, 2)).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """

    def __init__(self, value: complex | npt.ArrayLike = 0) -> None:
        _generation.check_constant(value)
        super().__init__(value)


class RandomUniform(_V2, _generation.RandomUniform):
    """Independent values of the uniform distribution on [minval, maxval), or uniform integers in this interval.

    Floats have the bits of `seedbed.RandomUniform` with the same seed. Integers are the float64 values, rounded down.

    Arguments:
        maxval: upper bound, a finite number. No value reaches it.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if a bound is not finite, or `minval` exceeds `maxval`; at the call, if the dtype is another, the
            shape or the part is invalid, or the dtype is an integer one and the bounds are not different integers.

    >>> from seedbed.compat import v2
    >>> sorted(set(v2.RandomUniform(0, 4, seed=1)((100,), "int32").tolist()))
    [0, 1, 2, 3]
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: SeedLike = None) -> None:
        super().__init__(minval=minval, maxval=maxval, seed=seed)


class _Normal(_V2):
    """A class whose constructor has the arguments mean, stddev and seed."""

    parameters: ClassVar[tuple[str, ...]] = ("mean", "stddev", "seed")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: SeedLike = None) -> None:
        super().__init__(mean=mean, stddev=stddev, seed=seed)


class RandomNormal(_Normal, initializers.RandomNormal):
    """Independent values of the normal distribution N(mean, stddev^2), without bounds.

    The values have the bits of `seedbed.RandomNormal` with the same seed.

    >>> from seedbed.compat import v2
    >>> round(float(v2.RandomNormal(stddev=0.02, seed=1)((1000, 1000)).std()), 4)
    0.02
    """


class TruncatedNormal(_Normal, initializers.TruncatedNormal):
    """Independent values of N(mean, stddev^2), truncated to [mean - 2 stddev, mean + 2 stddev].

    The standard deviation of the truncated values is 0.8796 stddev. The values have the bits of
    `seedbed.TruncatedNormal` with the same seed.

    Arguments:
        stddev: standard deviation before the truncation, a finite number that is not negative.

    >>> from seedbed.compat import v2
    >>> w = v2.TruncatedNormal(stddev=1.0, seed=1)((1000, 1000))
    >>> bool(abs(w).max() <= 2), round(float(w.std()), 2)
    (True, 0.88)
    """


class VarianceScaling(_V2, _generation.VarianceScaling):
    """Values of variance scale / n, where n is the fan-in, the fan-out or their mean (He et al. 2015, eq. 10).

    With v = scale / max(1, n): `"truncated_normal"` is truncated at two standard deviations and has the variance v
    after that, `"untruncated_normal"` has the variance v, and `"uniform"` is uniform on [-a, a), a = sqrt(3 v). The
    values have the bits of `seedbed.VarianceScaling` with the same arguments.

    >>> from seedbed.compat import v2
    >>> init = v2.VarianceScaling(3.0, "fan_avg", "uniform", seed=1)
    >>> bool(abs(init((800, 1000))).max() <= 0.1)  # sqrt(3 * 3 / 900)
    True
    """

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
    """A class whose constructor has the argument seed."""

    parameters: ClassVar[tuple[str, ...]] = ("seed",)

    def __init__(self, seed: SeedLike = None) -> None:
        super().__init__(seed=seed)


class GlorotNormal(_Seeded, initializers.GlorotNormal):
    """Truncated normal of standard deviation sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16).

    The standard deviation is that after the truncation at two standard deviations. The values have the bits of
    `seedbed.GlorotNormal` with the same seed.

    >>> from seedbed.compat import v2
    >>> round(float(v2.GlorotNormal(seed=1)((300, 500)).std()), 3)  # sqrt(2 / 800)
    0.05
    """


class GlorotUniform(_Seeded, initializers.GlorotUniform):
    """Uniform on [-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16).

    The values have the bits of `seedbed.GlorotUniform` with the same seed.

    >>> from seedbed.compat import v2
    >>> bool(abs(v2.GlorotUniform(seed=1)((400, 200))).max() <= 0.1)  # sqrt(6 / 600)
    True
    """


class HeNormal(_Seeded, initializers.HeNormal):
    """Truncated normal of standard deviation sqrt(2 / fan_in) (He et al. 2015, eq. 10).

    The standard deviation is that after the truncation at two standard deviations. The values have the bits of
    `seedbed.HeNormal` with the same seed.

    >>> from seedbed.compat import v2
    >>> round(float(v2.HeNormal(seed=1)((800, 500)).std()), 3)  # sqrt(2 / 800)
    0.05
    """


class HeUniform(_Seeded, initializers.HeUniform):
    """Uniform on [-a, a), a = sqrt(6 / fan_in) (He et al. 2015, eq. 10).

    The values have the bits of `seedbed.HeUniform` with the same seed.

    >>> from seedbed.compat import v2
    >>> bool(abs(v2.HeUniform(seed=1)((600, 200))).max() <= 0.1)  # sqrt(6 / 600)
    True
    """


class LecunNormal(_Seeded, initializers.LecunNormal):
    """Truncated normal of standard deviation sqrt(1 / fan_in) (LeCun et al. 1998, eq. 16).

    The standard deviation is that after the truncation at two standard deviations. The values have the bits of
    `seedbed.LecunNormal` with the same seed.

    >>> from seedbed.compat import v2
    >>> round(float(v2.LecunNormal(seed=1)((400, 500)).std()), 3)  # sqrt(1 / 400)
    0.05
    """


class LecunUniform(_Seeded, initializers.LecunUniform):
    """Uniform on [-a, a), a = sqrt(3 / fan_in) (LeCun et al. 1998, eq. 16).

    The values have the bits of `seedbed.LecunUniform` with the same seed.

    >>> from seedbed.compat import v2
    >>> bool(abs(v2.LecunUniform(seed=1)((300, 200))).max() <= 0.1)  # sqrt(3 / 300)
    True
    """


class Orthogonal(_V2, initializers.Orthogonal):
    """A random matrix with orthonormal columns, or rows if there are fewer rows, times gain (Saxe et al. 2014).

    The last axis is the columns, all others are the rows; the shape has two axes or more. The values have the bits of
    `seedbed.Orthogonal` with the same seed.

    >>> from seedbed.compat import v2
    >>> import numpy as np
    >>> w = v2.Orthogonal(gain=2.0, seed=1)((6, 4), "float64")
    >>> bool(np.allclose(w.T @ w, 4 * np.eye(4)))
    True
    """

    parameters = ("gain", "seed")

    def __init__(self, gain: float = 1.0, seed: SeedLike = None) -> None:
        super().__init__(gain=gain, seed=seed)


class Identity(_V2, initializers.Identity):
    """The identity matrix times gain: gain where row and column are equal, 0 elsewhere.

    The shape has two axes, whose lengths may differ.

    >>> from seedbed.compat import v2
    >>> v2.Identity(gain=2.0)((2, 3)).tolist()
    [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """

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

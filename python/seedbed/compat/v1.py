"""TF 1's initializers: `tf.keras.initializers` and `tf.compat.v1` of the first generation, in one module.

Names that end in `_initializer` are those of TensorFlow itself, with its defaults; all others are those of its Keras,
with Keras' defaults. They differ in three:

| TensorFlow, `tf.*_initializer`, `tf.initializers.*` | Keras, `tf.keras.initializers.*` |
|---|---|
| `random_normal_initializer`: stddev 1 | `RandomNormal`, `random_normal`, `normal`: stddev 0.05 |
| `truncated_normal_initializer`: stddev 1 | `TruncatedNormal`, `truncated_normal`: stddev 0.05 |
| `random_uniform_initializer`: [0, 1) | `RandomUniform`, `random_uniform`, `uniform`: [-0.05, 0.05) |

Each is called `(shape, dtype=None, partition_info=None)`. `dtype` is by default that of the constructor.
`partition_info` is anything with `full_shape` and `var_offset`, such as a `PartitionInfo`: `shape` is then that of the
slice of `full_shape` that begins at `var_offset`, and its bits are those that the whole has there.

>>> from seedbed.compat import v1
>>> initializer = v1.glorot_normal(seed=1, dtype="float32")
>>> whole = initializer((100, 8))
>>> part = initializer((25, 8), partition_info=v1.PartitionInfo([100, 8], [50, 0]))
>>> bool((part == whole[50:75]).all())
True

An initializer's own seed and the global one of `set_random_seed` make a pair, which says where the values come from
when it is called:

| own seed | global seed | values |
|---|---|---|
| n | none | at each call those of the top-level class with the seed n |
| n | g | at each call the same, those of the seed `SeedGenerator(g).child("compat.v1").child(str(n))` |
| none | g | new at each call: the next draw of `SeedGenerator(g).child("compat.v1")`, which all initializers share |
| none | none | new at each call: the next draw of a generator of its own, with the seed `seed.seed` |

>>> v1.set_random_seed(7)
>>> first, second = v1.glorot_normal()((2, 3)), v1.glorot_normal()((2, 3))
>>> v1.set_random_seed(7)
>>> again = v1.glorot_normal()((2, 3))
>>> bool((again == first).all()), bool((second == first).any())
(True, False)
>>> v1.set_random_seed(None)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, SupportsIndex

import numpy as np
import numpy.typing as npt

from seedbed import dtypes, initializers
from seedbed.arguments import as_bool, shortened
from seedbed.compat import _generation
from seedbed.initializers import Initializer
from seedbed.initializers.base import evaluates_rule
from seedbed.rules import Rule
from seedbed.seeds import Address, SeedGenerator, SeedLike, Unbound
from seedbed.shapes import Shape, ShapeLike, as_shape

_global: SeedGenerator | None = None


def set_random_seed(seed: SupportsIndex | None) -> None:
    """Set the global seed, and begin its draws anew; with None there is no global seed, as at first.

    It is that of this module alone: what the top level has is `seedbed.set_random_seed`.

    Arguments:
        seed: an integer in [-2**255, 2**255), or None.

    Raises:
        ValueError: for any other seed.
    """
    global _global
    _global = None if seed is None else SeedGenerator(seed).child("compat.v1")


@dataclass(frozen=True)
class PartitionInfo:
    """Where a slice of a variable lies.

    Arguments:
        full_shape: a tuple or list: the shape of the whole variable.
        var_offset: a tuple or list: where the slice begins, along each axis.

    Raises:
        TypeError: where one is neither a tuple nor a list.
        ValueError: where they differ in length, or an offset is not in [0, dimension).

    >>> PartitionInfo((100, 8), (100, 0))
    Traceback (most recent call last):
        ...
    ValueError: var_offset must lie within full_shape. Received: full_shape=(100, 8), var_offset=(100, 0)
    """

    full_shape: Sequence[int]
    var_offset: Sequence[int]

    def __post_init__(self) -> None:
        for what in ("full_shape", "var_offset"):
            given = getattr(self, what)
            if not isinstance(given, (tuple, list)):
                raise TypeError(f"{what} must be a tuple or a list. Received: {what}={shortened(given)}")
            object.__setattr__(self, what, as_shape(given, what))
        if len(self.full_shape) != len(self.var_offset) or any(
            offset >= length for offset, length in zip(self.var_offset, self.full_shape, strict=True)
        ):
            raise ValueError(
                "var_offset must lie within full_shape. "
                f"Received: full_shape={self.full_shape}, var_offset={self.var_offset}"
            )


class _V1(_generation.Generation):
    """The call, the seeds and the configurations of TF 1."""

    dtype: str
    """The name of the dtype of a result where a call says none."""

    _given_seed: Any
    _as_given: Mapping[str, object] = {}
    """Arguments that the configuration has in another form than the class of the values."""

    def __init__(self, *, dtype: npt.DTypeLike = "float32", **arguments: Any) -> None:
        super().__init__(**arguments)
        if dtype is None:
            raise ValueError("dtype must name an element type, such as float32. Received: dtype=None")
        self.dtype = dtypes.name_of(self.as_dtype(dtype))

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        return super().as_dtype(self.dtype if dtype is None else dtype)

    @evaluates_rule
    def __call__(  # type: ignore[override]  # TF 1 has one word for the part, and `shape` is then that of the part
        self,
        shape: ShapeLike,
        dtype: npt.DTypeLike | None = None,
        partition_info: Any = None,
        *,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """The tensor, or a part of it.

        Arguments:
            shape: of the result: an integer or integers.
            dtype: dtype of its elements, by default that of `out`, or of the constructor.
            partition_info: anything with `full_shape` and `var_offset`: of which tensor the result is a part, and where
                it begins.
            out: where to write: an array of the result's shape and dtype, writable and contiguous in C order.

        Raises:
            TypeError: where `partition_info` has no such attributes, or they are neither tuples nor lists.
            ValueError: for a bad shape, dtype, part or `out`.
        """
        if partition_info is None:
            return super().__call__(shape, dtype, out=out)
        try:
            part = PartitionInfo(partition_info.full_shape, partition_info.var_offset)
        except AttributeError:
            raise TypeError(
                f"partition_info must have full_shape and var_offset. "
                f"Received: partition_info={shortened(partition_info)}"
            ) from None
        return super().__call__(
            part.full_shape, dtype, out=out, partition_shape=shape, partition_offset=part.var_offset
        )

    def _draw(self) -> Address:
        own = self._given_seed
        if _global is None or isinstance(own, (SeedGenerator, Unbound)):
            return super()._draw()  # type: ignore[misc,no-any-return]  # a class of values follows
        return (_global if own is None else _global.child(str(own))).next()

    def _arguments(self) -> dict[str, Any]:
        return {**super()._arguments(), **self._as_given}


class _Drawless(_V1):
    """What is given a dtype and nothing else."""

    parameters: ClassVar[tuple[str, ...]] = ("dtype",)
    floating = False

    def __init__(self, dtype: npt.DTypeLike = "float32") -> None:
        super().__init__(dtype=dtype)


class Zeros(_Drawless, initializers.Zeros):
    """0 everywhere, in any numeric dtype or bool."""


class Ones(_Drawless, initializers.Ones):
    """1 everywhere, in any numeric dtype or bool."""


class Constant(_V1, _generation.Constant):
    """A number everywhere; or an array with as many elements as the tensor, reshaped in C order.

    Arguments:
        value: a finite number, or an array, list or tuple of such.
        dtype: the name of a numeric dtype or bool, or the dtype.
        verify_shape: whether an array must have the tensor's shape, and is not reshaped. A call can say otherwise.

    Raises:
        TypeError: where `value` is neither a number nor an array; at the call, where the shape is verified and another.
        ValueError: where `value` is not finite; at the call, where it has another number of elements, or is beyond what
            the dtype holds.

    >>> Constant([1, 2, 3, 4])((2, 2)).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    >>> Constant([1, 2, 3, 4])((2, 2), verify_shape=True)
    Traceback (most recent call last):
        ...
    TypeError: value must have the shape of the tensor, (2, 2). Received: value of shape (4,)
    """

    parameters = ("value", "dtype", "verify_shape")
    beyond_keras = MappingProxyType({"verify_shape": False})  # TF leaves it out always

    def __init__(
        self, value: complex | npt.ArrayLike = 0, dtype: npt.DTypeLike = "float32", verify_shape: bool = False
    ) -> None:
        _generation.check_constant(value)
        super().__init__(value=value, dtype=dtype)
        self.verify_shape = as_bool("verify_shape", verify_shape)

    @evaluates_rule
    def __call__(  # type: ignore[override]
        self,
        shape: ShapeLike,
        dtype: npt.DTypeLike | None = None,
        partition_info: Any = None,
        verify_shape: bool | None = None,
        *,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        if verify_shape is not None and as_bool("verify_shape", verify_shape) != self.verify_shape:
            return Constant(self.value, self.dtype, verify_shape)(shape, dtype, partition_info, out=out)
        return super().__call__(shape, dtype, partition_info, out=out)

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        given = self._value.shape
        if self.verify_shape and given != shape:
            raise TypeError(f"value must have the shape of the tensor, {shape}. Received: value of shape {given}")
        return super().rule(shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {**self._arguments(), **super().get_config()}


class RandomUniform(_V1, _generation.RandomUniform):
    """`seedbed.RandomUniform`, and uniform integers in int32 and int64.

    Arguments:
        minval: the lower bound.
        maxval: the upper bound, which is never reached; where it is None, that is 1 for floating point dtypes.
        seed: None, an integer or a `SeedGenerator`.
        dtype: the name of a floating point dtype, int32 or int64, or the dtype.

    Raises:
        ValueError: for another dtype, bounds that are not finite or not in order, and for bounds that are no integers
            where the dtype is one of integers.

    >>> sorted(set(RandomUniform(0, 4, seed=1, dtype="int32")((100,)).tolist()))
    [0, 1, 2, 3]
    """

    parameters = ("minval", "maxval", "seed", "dtype")

    def __init__(
        self,
        minval: float = -0.05,
        maxval: float | None = 0.05,
        seed: SeedLike = None,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        if maxval is None:
            self._as_given = {"maxval": None}
        super().__init__(minval=minval, maxval=1.0 if maxval is None else maxval, seed=seed, dtype=dtype)
        if self.dtype in _generation.INTEGERS:
            self._as_given = {"minval": int(self.minval), "maxval": int(self.maxval)}

    def _check_integers(self, dtype: np.dtype) -> None:
        if self._as_given.get("maxval", self.maxval) is None:
            raise ValueError(f"maxval must be given where the dtype is {dtype.name}. Received: maxval=None")
        super()._check_integers(dtype)


class _Normal(_V1):
    """What is given a mean, a standard deviation, a seed and a dtype."""

    parameters: ClassVar[tuple[str, ...]] = ("mean", "stddev", "seed", "dtype")

    def __init__(
        self, mean: float = 0.0, stddev: float = 0.05, seed: SeedLike = None, dtype: npt.DTypeLike = "float32"
    ) -> None:
        super().__init__(mean=mean, stddev=stddev, seed=seed, dtype=dtype)


class RandomNormal(_Normal, initializers.RandomNormal):
    """`seedbed.RandomNormal`: normal, without bounds."""


class TruncatedNormal(_Normal, initializers.TruncatedNormal):
    """`seedbed.TruncatedNormal`: normal, within two standard deviations of the mean."""


class random_uniform_initializer(RandomUniform):  # noqa: N801  # a class in TF as well
    """`RandomUniform` with TensorFlow's own defaults: the values are in [0, 1) where no bounds are given."""

    def __init__(
        self,
        minval: float = 0.0,
        maxval: float | None = None,
        seed: SeedLike = None,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        super().__init__(minval, maxval, seed, dtype)


class random_normal_initializer(RandomNormal):  # noqa: N801
    """`RandomNormal` with TensorFlow's own default, a standard deviation of 1."""

    def __init__(
        self, mean: float = 0.0, stddev: float = 1.0, seed: SeedLike = None, dtype: npt.DTypeLike = "float32"
    ) -> None:
        super().__init__(mean, stddev, seed, dtype)


class truncated_normal_initializer(TruncatedNormal):  # noqa: N801
    """`TruncatedNormal` with TensorFlow's own default, a standard deviation of 1 before the truncation."""

    def __init__(
        self, mean: float = 0.0, stddev: float = 1.0, seed: SeedLike = None, dtype: npt.DTypeLike = "float32"
    ) -> None:
        super().__init__(mean, stddev, seed, dtype)


class VarianceScaling(_V1, _generation.VarianceScaling):
    """`seedbed.VarianceScaling` in the layout (..., in, out).

    The distribution `"normal"` is the truncated one, and stays in the configuration as it was given.
    """

    parameters = ("scale", "mode", "distribution", "seed", "dtype")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: SeedLike = None,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        super().__init__(scale=scale, mode=mode, distribution=distribution, seed=seed, dtype=dtype)
        if distribution.lower() == "normal":
            self._as_given = {"distribution": "normal"}


class _Glorot(_V1):
    """What is given a seed and a dtype."""

    parameters: ClassVar[tuple[str, ...]] = ("seed", "dtype")

    def __init__(self, seed: SeedLike = None, dtype: npt.DTypeLike = "float32") -> None:
        super().__init__(seed=seed, dtype=dtype)


class GlorotNormal(_Glorot, initializers.GlorotNormal):
    """`seedbed.GlorotNormal`: truncated normal of standard deviation sqrt(2 / (fan_in + fan_out))."""


class GlorotUniform(_Glorot, initializers.GlorotUniform):
    """`seedbed.GlorotUniform`: uniform within +-sqrt(6 / (fan_in + fan_out))."""


class _Seeded(_V1):
    """What is given a seed and nothing else; the dtype is float32 where a call says none."""

    parameters: ClassVar[tuple[str, ...]] = ("seed",)

    def __init__(self, seed: SeedLike = None) -> None:
        super().__init__(seed=seed)


class HeNormal(_Seeded, initializers.HeNormal):
    """`seedbed.HeNormal`: truncated normal of standard deviation sqrt(2 / fan_in)."""


class HeUniform(_Seeded, initializers.HeUniform):
    """`seedbed.HeUniform`: uniform within +-sqrt(6 / fan_in)."""


class LecunNormal(_Seeded, initializers.LecunNormal):
    """`seedbed.LecunNormal`: truncated normal of standard deviation sqrt(1 / fan_in)."""


class LecunUniform(_Seeded, initializers.LecunUniform):
    """`seedbed.LecunUniform`: uniform within +-sqrt(3 / fan_in)."""


def he_normal(seed: SeedLike = None) -> VarianceScaling:
    """The values of `HeNormal`, as the `VarianceScaling` that TF 1 returns here."""
    return VarianceScaling(2.0, "fan_in", "truncated_normal", seed)


def he_uniform(seed: SeedLike = None) -> VarianceScaling:
    """The values of `HeUniform`, as the `VarianceScaling` that TF 1 returns here."""
    return VarianceScaling(2.0, "fan_in", "uniform", seed)


def lecun_normal(seed: SeedLike = None) -> VarianceScaling:
    """The values of `LecunNormal`, as the `VarianceScaling` that TF 1 returns here."""
    return VarianceScaling(1.0, "fan_in", "truncated_normal", seed)


def lecun_uniform(seed: SeedLike = None) -> VarianceScaling:
    """The values of `LecunUniform`, as the `VarianceScaling` that TF 1 returns here."""
    return VarianceScaling(1.0, "fan_in", "uniform", seed)


class Identity(_V1, initializers.Identity):
    """`seedbed.Identity`, in a floating point dtype."""

    parameters = ("gain", "dtype")

    def __init__(self, gain: float = 1.0, dtype: npt.DTypeLike = "float32") -> None:
        super().__init__(gain=gain, dtype=dtype)


class UniformUnitScaling(_V1, initializers.UniformUnitScaling):
    """`seedbed.UniformUnitScaling`: uniform within +-factor sqrt(3 / n), where n is the fan-in, and 1 for a vector."""

    parameters = ("factor", "seed", "dtype")

    def __init__(self, factor: float = 1.0, seed: SeedLike = None, dtype: npt.DTypeLike = "float32") -> None:
        super().__init__(factor=factor, seed=seed, dtype=dtype)


class _Gained(_V1):
    """What is given a gain, a seed and a dtype."""

    parameters: ClassVar[tuple[str, ...]] = ("gain", "seed", "dtype")

    def __init__(self, gain: float = 1.0, seed: SeedLike = None, dtype: npt.DTypeLike = "float32") -> None:
        super().__init__(gain=gain, seed=seed, dtype=dtype)


class Orthogonal(_Gained, initializers.Orthogonal):
    """`seedbed.Orthogonal`: a matrix with orthonormal columns, or rows where there are fewer, times the gain."""


class ConvolutionDeltaOrthogonal(_Gained, initializers.DeltaOrthogonal):
    """`seedbed.DeltaOrthogonal`: zero except in the centre, which is an orthogonal matrix."""


class ConvolutionOrthogonal1D(_Gained, initializers.ConvolutionOrthogonal1D):
    """`seedbed.ConvolutionOrthogonal1D`: along one axis, at every frequency a matrix with orthonormal rows."""


class ConvolutionOrthogonal2D(_Gained, initializers.ConvolutionOrthogonal2D):
    """`seedbed.ConvolutionOrthogonal2D`: along two axes, at every frequency a matrix with orthonormal rows."""


class ConvolutionOrthogonal3D(_Gained, initializers.ConvolutionOrthogonal3D):
    """`seedbed.ConvolutionOrthogonal3D`: along three axes, at every frequency a matrix with orthonormal rows."""


constant = constant_initializer = Constant
convolutional_delta_orthogonal = ConvolutionDeltaOrthogonal
convolutional_orthogonal_1d = ConvolutionOrthogonal1D
convolutional_orthogonal_2d = ConvolutionOrthogonal2D
convolutional_orthogonal_3d = ConvolutionOrthogonal3D
glorot_normal = glorot_normal_initializer = GlorotNormal
glorot_uniform = glorot_uniform_initializer = GlorotUniform
identity = identity_initializer = Identity
normal = random_normal = RandomNormal
ones = ones_initializer = Ones
orthogonal = orthogonal_initializer = Orthogonal
truncated_normal = TruncatedNormal
uniform = random_uniform = RandomUniform
uniform_unit_scaling = uniform_unit_scaling_initializer = UniformUnitScaling
variance_scaling = variance_scaling_initializer = VarianceScaling
zeros = zeros_initializer = Zeros

_registry = _generation.Registry(
    _V1,
    globals(),
    he_normal=HeNormal,
    he_uniform=HeUniform,
    lecun_normal=LecunNormal,
    lecun_uniform=LecunUniform,
    one=Ones,
    zero=Zeros,
)
get, serialize, deserialize = _registry.get, _registry.serialize, _registry.deserialize
classes = _registry.classes
__all__ = ["Initializer", "PartitionInfo", "deserialize", "get", "serialize", "set_random_seed"]
__all__ += sorted({*_registry.names} & {*globals()})


def __dir__() -> list[str]:
    return __all__

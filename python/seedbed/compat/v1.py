"""Initializers of TF 1: those of `tf.keras.initializers` and of `tf.compat.v1`, in one module.

Names that end in `_initializer` are those of TensorFlow itself; all others are those of its Keras. They have different
defaults in three cases:

| TensorFlow, `tf.*_initializer`, `tf.initializers.*` | Keras, `tf.keras.initializers.*` |
|---|---|
| `random_normal_initializer`: stddev 1 | `RandomNormal`, `random_normal`, `normal`: stddev 0.05 |
| `truncated_normal_initializer`: stddev 1 | `TruncatedNormal`, `truncated_normal`: stddev 0.05 |
| `random_uniform_initializer`: [0, 1) | `RandomUniform`, `random_uniform`, `uniform`: [-0.05, 0.05) |

An initializer is called `(shape, dtype=None, partition_info=None)`. `dtype` is by default that of the constructor.
`partition_info` selects a part of a tensor. It is an object with `full_shape`, the shape of the whole tensor, and
`var_offset`, the index of the part's first element, such as a `PartitionInfo`; `shape` is then the shape of the part. A
part has the same bits as in the whole.

>>> from seedbed.compat import v1
>>> initializer = v1.glorot_normal(seed=1, dtype="float32")
>>> whole = initializer((100, 8))
>>> part = initializer((25, 8), partition_info=v1.PartitionInfo([100, 8], [50, 0]))
>>> bool((part == whole[50:75]).all())
True

The seed of the initializer and the global seed of `set_random_seed` determine the values of a call:

| seed | global seed | values |
|---|---|---|
| n | None | the same at each call: those of the top-level class with the seed n |
| n | g | the same at each call: those of the seed `SeedGenerator(g).child("compat.v1").child(str(n))` |
| None | g | new at each call: the next draw of `SeedGenerator(g).child("compat.v1")`, shared by all initializers |
| None | None | new at each call: the next draw of the initializer's own generator, its attribute `seed` |

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
    """Set or remove the global seed of this module, and restart its draws.

    The global seed of the rest of the package is set by `seedbed.set_random_seed`.

    Arguments:
        seed: an integer in [-2**255, 2**255), or None for no global seed, which is the state after import.

    Raises:
        TypeError: if the seed is not an integer or None.
        ValueError: if the seed is out of range.

    >>> from seedbed.compat import v1
    >>> v1.set_random_seed(7)
    >>> first = v1.glorot_normal()((2, 3))
    >>> v1.set_random_seed(7)
    >>> bool((v1.glorot_normal()((2, 3)) == first).all())
    True
    >>> v1.set_random_seed(None)
    """
    global _global
    _global = None if seed is None else SeedGenerator(seed).child("compat.v1")


@dataclass(frozen=True)
class PartitionInfo:
    """The position of a part in a whole variable.

    Arguments:
        full_shape: shape of the whole variable, a tuple or list.
        var_offset: index of the part's first element along each axis, a tuple or list.

    Raises:
        TypeError: if an argument is not a tuple or list.
        ValueError: if they differ in length, or an offset is not in [0, length of the axis).

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
    """Call, seeds and configurations of TF 1."""

    result = (
        "A call `(shape, dtype=None, partition_info=None)` returns a NumPy array of the shape, in {dtypes}; by default "
        "in the dtype of the constructor."
    )

    dtype: str
    """Name of the dtype of a result if the call names none."""

    _given_seed: Any
    _as_given: Mapping[str, object] = {}
    """Arguments as the configuration has them, where the class of the values changes them."""

    def __init__(self, *, dtype: npt.DTypeLike = "float32", **arguments: Any) -> None:
        super().__init__(**arguments)
        if dtype is None:
            raise ValueError("dtype must name an element type, such as float32. Received: dtype=None")
        self.dtype = dtypes.name_of(self.as_dtype(dtype))

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        return super().as_dtype(self.dtype if dtype is None else dtype)

    @evaluates_rule
    def __call__(  # type: ignore[override]  # In TF 1, `shape` is the shape of the part.
        self,
        shape: ShapeLike,
        dtype: npt.DTypeLike | None = None,
        partition_info: Any = None,
        *,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the tensor, or a part of it.

        Arguments:
            shape: shape of the result: an integer or a sequence of integers.
            dtype: dtype of the elements, by default that of `out`, or of the constructor.
            partition_info: object with `full_shape`, the shape of the whole tensor, and `var_offset`, the index of the
                part's first element. By default the result is the whole tensor.
            out: array to write to, of the result's shape and dtype, writable, and contiguous in C or Fortran order.

        Raises:
            TypeError: if `partition_info` lacks these attributes, or they are not tuples or lists; if an argument has
                the wrong type.
            ValueError: for an invalid shape, dtype, part or `out`.
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
            return super()._draw()  # type: ignore[misc,no-any-return]  # The class of the values is a later base.
        return (_global if own is None else _global.child(str(own))).next()

    def _arguments(self) -> dict[str, Any]:
        return {**super()._arguments(), **self._as_given}


class _Drawless(_V1):
    """A class whose constructor has the argument dtype."""

    parameters: ClassVar[tuple[str, ...]] = ("dtype",)
    floating = False

    def __init__(self, dtype: npt.DTypeLike = "float32") -> None:
        super().__init__(dtype=dtype)


class Zeros(_Drawless, initializers.Zeros):
    """The number 0 in every element.

    >>> from seedbed.compat import v1
    >>> v1.Zeros()((2, 3)).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """


class Ones(_Drawless, initializers.Ones):
    """The number 1 in every element.

    >>> from seedbed.compat import v1
    >>> v1.Ones()((2, 3), "int32").tolist()
    [[1, 1, 1], [1, 1, 1]]
    """


class Constant(_V1, _generation.Constant):
    """One number in every element; or an array with as many elements as the tensor, reshaped in C order.

    Raises:
        TypeError: if `value` is not a number, array, list or tuple; at the call, if the shape is verified and differs.
        ValueError: if `value` is not finite numbers; at the call, if it has another number of elements than the tensor,
            or the dtype cannot represent it.

    >>> from seedbed.compat import v1
    >>> v1.Constant([1, 2, 3, 4])((2, 2)).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    >>> v1.Constant([1, 2, 3, 4])((2, 2), verify_shape=True)
    Traceback (most recent call last):
        ...
    TypeError: value must have the shape of the tensor, (2, 2). Received: value of shape (4,)
    """

    parameters = ("value", "dtype", "verify_shape")
    beyond_keras = MappingProxyType({"verify_shape": False})  # TF never has it in a configuration.

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
    """Independent values of the uniform distribution on [minval, maxval), or uniform integers in this interval.

    Floats have the bits of `seedbed.RandomUniform` with the same seed. Integers are the float64 values, rounded down.

    Arguments:
        maxval: upper bound, a finite number. No value reaches it. None is 1 for floats, and an error for integers.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if a bound is not finite, or `minval` exceeds `maxval`; if the dtype is another; or if the dtype is
            an integer one and the bounds are not different integers. At the call also if the shape or the part is
            invalid.

    >>> from seedbed.compat import v1
    >>> sorted(set(v1.RandomUniform(0, 4, seed=1, dtype="int32")((100,)).tolist()))
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
            raise ValueError(f"maxval must be given if the dtype is {dtype.name}. Received: maxval=None")
        super()._check_integers(dtype)


class _Normal(_V1):
    """A class whose constructor has the arguments mean, stddev, seed and dtype."""

    parameters: ClassVar[tuple[str, ...]] = ("mean", "stddev", "seed", "dtype")

    def __init__(
        self, mean: float = 0.0, stddev: float = 0.05, seed: SeedLike = None, dtype: npt.DTypeLike = "float32"
    ) -> None:
        super().__init__(mean=mean, stddev=stddev, seed=seed, dtype=dtype)


class RandomNormal(_Normal, initializers.RandomNormal):
    """Independent values of the normal distribution N(mean, stddev^2), without bounds.

    The values have the bits of `seedbed.RandomNormal` with the same seed.

    >>> from seedbed.compat import v1
    >>> round(float(v1.RandomNormal(stddev=0.02, seed=1)((1000, 1000)).std()), 4)
    0.02
    """


class TruncatedNormal(_Normal, initializers.TruncatedNormal):
    """Independent values of N(mean, stddev^2), truncated to [mean - 2 stddev, mean + 2 stddev].

    The standard deviation of the truncated values is 0.8796 stddev. The values have the bits of
    `seedbed.TruncatedNormal` with the same seed.

    Arguments:
        stddev: standard deviation before the truncation, a finite number that is not negative.

    >>> from seedbed.compat import v1
    >>> w = v1.TruncatedNormal(stddev=1.0, seed=1)((1000, 1000))
    >>> bool(abs(w).max() <= 2), round(float(w.std()), 2)
    (True, 0.88)
    """


class random_uniform_initializer(RandomUniform):  # noqa: N801  # a class in TF as well
    """`RandomUniform` with the defaults of `tf.random_uniform_initializer`: uniform on [0, 1).

    Arguments:
        maxval: upper bound, a finite number. No value reaches it. None is 1 for floats, and an error for integers.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if a bound is not finite, or `minval` exceeds `maxval`; if the dtype is another; or if the dtype is
            an integer one and the bounds are not different integers. At the call also if the shape or the part is
            invalid.

    >>> from seedbed.compat import v1
    >>> w = v1.random_uniform_initializer(seed=1)((1000,))
    >>> bool(0 <= w.min() and w.max() < 1)
    True
    """

    def __init__(
        self,
        minval: float = 0.0,
        maxval: float | None = None,
        seed: SeedLike = None,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        super().__init__(minval, maxval, seed, dtype)


class random_normal_initializer(RandomNormal):  # noqa: N801
    """`RandomNormal` with the default of `tf.random_normal_initializer`, a standard deviation of 1.

    >>> from seedbed.compat import v1
    >>> round(float(v1.random_normal_initializer(seed=1)((1000, 1000)).std()), 2)
    1.0
    """

    def __init__(
        self, mean: float = 0.0, stddev: float = 1.0, seed: SeedLike = None, dtype: npt.DTypeLike = "float32"
    ) -> None:
        super().__init__(mean, stddev, seed, dtype)


class truncated_normal_initializer(TruncatedNormal):  # noqa: N801
    """`TruncatedNormal` with the default of `tf.truncated_normal_initializer`, a standard deviation of 1.

    The standard deviation of the truncated values is 0.8796 stddev.

    Arguments:
        stddev: standard deviation before the truncation, a finite number that is not negative.

    >>> from seedbed.compat import v1
    >>> bool(abs(v1.truncated_normal_initializer(seed=1)((1000, 1000))).max() <= 2)
    True
    """

    def __init__(
        self, mean: float = 0.0, stddev: float = 1.0, seed: SeedLike = None, dtype: npt.DTypeLike = "float32"
    ) -> None:
        super().__init__(mean, stddev, seed, dtype)


class VarianceScaling(_V1, _generation.VarianceScaling):
    """Values of variance scale / n, where n is the fan-in, the fan-out or their mean (He et al. 2015, eq. 10).

    With v = scale / max(1, n): `"truncated_normal"` is truncated at two standard deviations and has the variance v
    after that, `"untruncated_normal"` has the variance v, and `"uniform"` is uniform on [-a, a), a = sqrt(3 v). The
    values have the bits of `seedbed.VarianceScaling` with the same arguments. A configuration keeps the name
    `"normal"`.

    >>> from seedbed.compat import v1
    >>> init = v1.VarianceScaling(3.0, "fan_avg", "uniform", seed=1)
    >>> bool(abs(init((800, 1000))).max() <= 0.1)  # sqrt(3 * 3 / 900)
    True
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
    """A class whose constructor has the arguments seed and dtype."""

    parameters: ClassVar[tuple[str, ...]] = ("seed", "dtype")

    def __init__(self, seed: SeedLike = None, dtype: npt.DTypeLike = "float32") -> None:
        super().__init__(seed=seed, dtype=dtype)


class GlorotNormal(_Glorot, initializers.GlorotNormal):
    """Truncated normal of standard deviation sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16).

    The standard deviation is that after the truncation at two standard deviations. The values have the bits of
    `seedbed.GlorotNormal` with the same seed.

    >>> from seedbed.compat import v1
    >>> round(float(v1.GlorotNormal(seed=1)((300, 500)).std()), 3)  # sqrt(2 / 800)
    0.05
    """


class GlorotUniform(_Glorot, initializers.GlorotUniform):
    """Uniform on [-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16).

    The values have the bits of `seedbed.GlorotUniform` with the same seed.

    >>> from seedbed.compat import v1
    >>> bool(abs(v1.GlorotUniform(seed=1)((400, 200))).max() <= 0.1)  # sqrt(6 / 600)
    True
    """


class _Seeded(_V1):
    """A class whose constructor has the argument seed. Results are float32 by default."""

    result = (
        "A call `(shape, dtype=None, partition_info=None)` returns a NumPy array of the shape, in {dtypes}; by default "
        "in float32."
    )

    parameters: ClassVar[tuple[str, ...]] = ("seed",)

    def __init__(self, seed: SeedLike = None) -> None:
        super().__init__(seed=seed)


class HeNormal(_Seeded, initializers.HeNormal):
    """Truncated normal of standard deviation sqrt(2 / fan_in) (He et al. 2015, eq. 10).

    The standard deviation is that after the truncation at two standard deviations. The values have the bits of
    `seedbed.HeNormal` with the same seed.

    >>> from seedbed.compat import v1
    >>> round(float(v1.HeNormal(seed=1)((800, 500)).std()), 3)  # sqrt(2 / 800)
    0.05
    """


class HeUniform(_Seeded, initializers.HeUniform):
    """Uniform on [-a, a), a = sqrt(6 / fan_in) (He et al. 2015, eq. 10).

    The values have the bits of `seedbed.HeUniform` with the same seed.

    >>> from seedbed.compat import v1
    >>> bool(abs(v1.HeUniform(seed=1)((600, 200))).max() <= 0.1)  # sqrt(6 / 600)
    True
    """


class LecunNormal(_Seeded, initializers.LecunNormal):
    """Truncated normal of standard deviation sqrt(1 / fan_in) (LeCun et al. 1998, eq. 16).

    The standard deviation is that after the truncation at two standard deviations. The values have the bits of
    `seedbed.LecunNormal` with the same seed.

    >>> from seedbed.compat import v1
    >>> round(float(v1.LecunNormal(seed=1)((400, 500)).std()), 3)  # sqrt(1 / 400)
    0.05
    """


class LecunUniform(_Seeded, initializers.LecunUniform):
    """Uniform on [-a, a), a = sqrt(3 / fan_in) (LeCun et al. 1998, eq. 16).

    The values have the bits of `seedbed.LecunUniform` with the same seed.

    >>> from seedbed.compat import v1
    >>> bool(abs(v1.LecunUniform(seed=1)((300, 200))).max() <= 0.1)  # sqrt(3 / 300)
    True
    """


def he_normal(seed: SeedLike = None) -> VarianceScaling:
    """Truncated normal of standard deviation sqrt(2 / fan_in) (He et al. 2015, eq. 10), as a `VarianceScaling`.

    The values are those of `HeNormal`; the configuration is that of `VarianceScaling`, as in TF 1.

    Arguments:
        seed: None for new values at each call, an integer in [-2**255, 2**255) for the same values at each call, or a
            `SeedGenerator` for its next values at each call. Default: None.

    Raises:
        TypeError, ValueError: if the seed is not one of these.

    >>> from seedbed.compat import v1
    >>> v1.he_normal(seed=1)
    VarianceScaling(scale=2.0, mode='fan_in', distribution='truncated_normal', seed=1, dtype='float32')
    """
    return VarianceScaling(2.0, "fan_in", "truncated_normal", seed)


def he_uniform(seed: SeedLike = None) -> VarianceScaling:
    """Uniform on [-a, a), a = sqrt(6 / fan_in) (He et al. 2015, eq. 10), as a `VarianceScaling`.

    The values are those of `HeUniform`; the configuration is that of `VarianceScaling`, as in TF 1.

    Arguments:
        seed: None for new values at each call, an integer in [-2**255, 2**255) for the same values at each call, or a
            `SeedGenerator` for its next values at each call. Default: None.

    Raises:
        TypeError, ValueError: if the seed is not one of these.

    >>> from seedbed.compat import v1
    >>> v1.he_uniform(seed=1)
    VarianceScaling(scale=2.0, mode='fan_in', distribution='uniform', seed=1, dtype='float32')
    """
    return VarianceScaling(2.0, "fan_in", "uniform", seed)


def lecun_normal(seed: SeedLike = None) -> VarianceScaling:
    """Truncated normal of standard deviation sqrt(1 / fan_in) (LeCun et al. 1998, eq. 16), as a `VarianceScaling`.

    The values are those of `LecunNormal`; the configuration is that of `VarianceScaling`, as in TF 1.

    Arguments:
        seed: None for new values at each call, an integer in [-2**255, 2**255) for the same values at each call, or a
            `SeedGenerator` for its next values at each call. Default: None.

    Raises:
        TypeError, ValueError: if the seed is not one of these.

    >>> from seedbed.compat import v1
    >>> v1.lecun_normal(seed=1)
    VarianceScaling(scale=1.0, mode='fan_in', distribution='truncated_normal', seed=1, dtype='float32')
    """
    return VarianceScaling(1.0, "fan_in", "truncated_normal", seed)


def lecun_uniform(seed: SeedLike = None) -> VarianceScaling:
    """Uniform on [-a, a), a = sqrt(3 / fan_in) (LeCun et al. 1998, eq. 16), as a `VarianceScaling`.

    The values are those of `LecunUniform`; the configuration is that of `VarianceScaling`, as in TF 1.

    Arguments:
        seed: None for new values at each call, an integer in [-2**255, 2**255) for the same values at each call, or a
            `SeedGenerator` for its next values at each call. Default: None.

    Raises:
        TypeError, ValueError: if the seed is not one of these.

    >>> from seedbed.compat import v1
    >>> v1.lecun_uniform(seed=1)
    VarianceScaling(scale=1.0, mode='fan_in', distribution='uniform', seed=1, dtype='float32')
    """
    return VarianceScaling(1.0, "fan_in", "uniform", seed)


class Identity(_V1, initializers.Identity):
    """The identity matrix times gain: gain where row and column are equal, 0 elsewhere.

    The shape has two axes, whose lengths may differ.

    >>> from seedbed.compat import v1
    >>> v1.Identity(gain=2.0)((2, 3)).tolist()
    [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """

    parameters = ("gain", "dtype")

    def __init__(self, gain: float = 1.0, dtype: npt.DTypeLike = "float32") -> None:
        super().__init__(gain=gain, dtype=dtype)


class UniformUnitScaling(_V1, initializers.UniformUnitScaling):
    """Uniform on [-a, a), a = factor sqrt(3 / n), where n is the product of all lengths except the last.

    For two axes or more, n is the fan-in of a kernel (..., in, out); for a vector n is 1. Sussillo & Abbott (2014) give
    factors for nonlinearities: 1.15 for tanh, 1.43 for ReLU. The values have the bits of `seedbed.UniformUnitScaling`
    with the same seed.

    >>> from seedbed.compat import v1
    >>> bool(abs(v1.UniformUnitScaling(1.43, seed=1)((300, 200))).max() <= 0.143)  # 1.43 sqrt(3 / 300)
    True
    """

    parameters = ("factor", "seed", "dtype")

    def __init__(self, factor: float = 1.0, seed: SeedLike = None, dtype: npt.DTypeLike = "float32") -> None:
        super().__init__(factor=factor, seed=seed, dtype=dtype)


class _Gained(_V1):
    """A class whose constructor has the arguments gain, seed and dtype."""

    parameters: ClassVar[tuple[str, ...]] = ("gain", "seed", "dtype")

    def __init__(self, gain: float = 1.0, seed: SeedLike = None, dtype: npt.DTypeLike = "float32") -> None:
        super().__init__(gain=gain, seed=seed, dtype=dtype)


class Orthogonal(_Gained, initializers.Orthogonal):
    """A random matrix with orthonormal columns, or rows if there are fewer rows, times gain (Saxe et al. 2014).

    The last axis is the columns, all others are the rows; the shape has two axes or more. The values have the bits of
    `seedbed.Orthogonal` with the same seed.

    >>> from seedbed.compat import v1
    >>> import numpy as np
    >>> w = v1.Orthogonal(gain=2.0, seed=1)((6, 4), "float64")
    >>> bool(np.allclose(w.T @ w, 4 * np.eye(4)))
    True
    """


class ConvolutionDeltaOrthogonal(_Gained, initializers.DeltaOrthogonal):
    """A kernel that is zero except in the centre, a random orthogonal matrix times gain (Xiao et al. 2018).

    The shape is (..., in, out) with one to three spatial axes and in <= out; the centre is at (length - 1) // 2 along
    each spatial axis. The values have the bits of `seedbed.DeltaOrthogonal` with the same seed.

    >>> from seedbed.compat import v1
    >>> kernel = v1.ConvolutionDeltaOrthogonal(seed=1)((3, 3, 4, 8))
    >>> bool((kernel[1, 1] == v1.Orthogonal(seed=1)((4, 8))).all()), int((kernel != 0).sum())
    (True, 32)
    """


class ConvolutionOrthogonal1D(_Gained, initializers.ConvolutionOrthogonal1D):
    """A kernel along one axis whose matrix at every frequency has orthonormal rows, times gain (Xiao et al. 2018).

    The shape is (size, in, out) with in <= out. The values have the bits of `seedbed.ConvolutionOrthogonal1D` with the
    same seed.

    >>> import numpy as np
    >>> from seedbed.compat import v1
    >>> at_zero = v1.ConvolutionOrthogonal1D(seed=1)((3, 4, 8), "float64").sum(axis=0)  # frequency zero
    >>> bool(np.allclose(at_zero @ at_zero.T, np.eye(4)))
    True
    """


class ConvolutionOrthogonal2D(_Gained, initializers.ConvolutionOrthogonal2D):
    """A kernel along two axes whose matrix at every frequency has orthonormal rows, times gain (Xiao et al. 2018).

    The shape is (size, size, in, out) with in <= out. The values have the bits of `seedbed.ConvolutionOrthogonal2D`
    with the same seed.

    >>> import numpy as np
    >>> from seedbed.compat import v1
    >>> at_zero = v1.ConvolutionOrthogonal2D(seed=1)((3, 3, 4, 8), "float64").sum(axis=(0, 1))  # frequency zero
    >>> bool(np.allclose(at_zero @ at_zero.T, np.eye(4)))
    True
    """


class ConvolutionOrthogonal3D(_Gained, initializers.ConvolutionOrthogonal3D):
    """A kernel along three axes whose matrix at every frequency has orthonormal rows, times gain (Xiao et al. 2018).

    The shape is (size, size, size, in, out) with in <= out. The values have the bits of
    `seedbed.ConvolutionOrthogonal3D` with the same seed.

    >>> import numpy as np
    >>> from seedbed.compat import v1
    >>> at_zero = v1.ConvolutionOrthogonal3D(seed=1)((3, 3, 3, 4, 8), "float64").sum(axis=(0, 1, 2))  # frequency zero
    >>> bool(np.allclose(at_zero @ at_zero.T, np.eye(4)))
    True
    """


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

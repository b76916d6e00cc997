"""Base classes of initializers: the call, the configuration, the seed."""

from __future__ import annotations

import copy
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from seedbed import dtypes, seeds
from seedbed._html import html_table
from seedbed.arguments import checked_out, did_you_mean, shortened
from seedbed.initializers._description import Description, of_distribution
from seedbed.lazy import LazyArray
from seedbed.regions import Axis, as_slice, axes_of, part_of, pieces, shape_of
from seedbed.rules import Computed, Distribution, Rule, Sampled, compiled
from seedbed.saving import plain_name, register_where_imported
from seedbed.shapes import Shape, ShapeLike, as_shape

if TYPE_CHECKING:
    from typing_extensions import Self

F = TypeVar("F", bound=Callable[..., Any])


def evaluates_rule(call: F) -> F:
    """Mark a `__call__` that evaluates `rule`. Without the mark, `__call__` itself defines the values of its class.

    The mark is an attribute of the function, so that a subclass without a `__call__` inherits it.
    """
    call.evaluates_rule = True  # type: ignore[attr-defined]
    return call


def not_rewritten(function: F) -> F:
    """Mark a function so that TensorFlow's AutoGraph calls it without rewriting its code."""
    function.autograph_info__ = None  # type: ignore[attr-defined]
    return function


class Initializer(ABC):
    """Base class of initializers: `initializer(shape, dtype)` returns a tensor.

    To write an initializer, derive from this class, name the arguments of the constructor in `parameters`, keep them as
    attributes of these names, and return from `rule` how elements get their values. The cost of slices, shards and
    files is then proportional to their elements.

    The conventions of Keras work too. A subclass may override `__call__(shape, dtype=None)`: lazy tensors, plans, torch
    and Dask then evaluate the whole tensor by a call, and slice it. A subclass may also override `get_config`.

    >>> import numpy as np, seedbed as sb
    >>> from seedbed.rules import Repeated
    >>> class Ramp(sb.Initializer):
    ...     def rule(self, shape, dtype):
    ...         return Repeated(np.linspace(0, 1, shape[-1]).astype(dtype))
    >>> Ramp()((2, 3)).tolist()
    [[0.0, 0.5, 1.0], [0.0, 0.5, 1.0]]
    """

    autograph_info__: ClassVar[None] = None
    """Mark of `not_rewritten`, for calls of instances."""

    parameters: ClassVar[tuple[str, ...]] = ()
    """Names of the constructor's arguments, which are the keys of the configuration."""

    beyond_keras: ClassVar[Mapping[str, object]] = MappingProxyType({})
    """Arguments that Keras does not have, with their defaults. Each is omitted from the configuration at its default,
    so that Keras can load it."""

    @abstractmethod
    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        """Return how the elements of a tensor get their values. A random initializer draws here, once for the tensor.

        Raises:
            ValueError: if there is no such tensor.
        """

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        """Return the dtype of a result.

        Raises:
            ValueError: if this initializer does not make the dtype.
        """
        return dtypes.as_dtype(dtype)

    @not_rewritten
    def lazy(self, shape: ShapeLike, dtype: npt.DTypeLike | None = None) -> LazyArray:
        """Return the tensor, unevaluated: indexing evaluates the elements that it selects.

        Arguments:
            shape: shape of the tensor: an integer or a sequence of integers.
            dtype: dtype of its elements, by default `floatx()`.

        Raises:
            ValueError: for an invalid shape or dtype, or parameters that the dtype cannot represent.
        """
        dimensions, element = as_shape(shape), self.as_dtype(dtype)
        return LazyArray(self.rule_of(dimensions, element), dimensions, element)

    def rule_of(self, shape: Shape, dtype: np.dtype) -> Rule:
        """Return the rule of the result of a call: `rule`, or for a class with its own `__call__`, the result itself.

        Raises:
            ValueError: if there is no such tensor.
        """
        if self._follows_rule():
            return self.rule(shape, dtype)
        bound = self._bound()  # Copied for each evaluation, as a call may advance it.
        return Computed(shape, lambda out: copy.deepcopy(bound)._write_call(out))

    def _follows_rule(self) -> bool:
        return getattr(type(self).__call__, "evaluates_rule", False)

    def _bound(self) -> Self:
        """Return an initializer whose calls all give the next tensor of this one. It takes one draw."""
        return self

    def _write_call(self, out: np.ndarray) -> None:
        """Write the result of a call."""
        values = self._as_array(self(out.shape, out.dtype.name))
        if values.shape != out.shape:
            raise ValueError(
                f"__call__ of {plain_name(type(self))} must return the shape that it is given, {out.shape}. "
                f"Received: {values.shape}"
            )
        out[...] = values

    def _as_array(self, made: Any) -> np.ndarray:
        """Return the result of a call as a NumPy array."""
        return np.asarray(made)

    @evaluates_rule
    def __call__(
        self,
        shape: ShapeLike,
        dtype: npt.DTypeLike | None = None,
        *,
        out: np.ndarray | None = None,
        partition_shape: ShapeLike | None = None,
        partition_offset: ShapeLike | None = None,
    ) -> np.ndarray:
        """Return the tensor, or a part of it.

        Arguments:
            shape: shape of the whole tensor: an integer or a sequence of integers.
            dtype: dtype of its elements, by default that of `out`, or `floatx()`.
            out: array to write to, of the result's shape and dtype, writable, and contiguous in C or Fortran
                order.
            partition_shape: shape of a part of the tensor. By default the whole tensor is returned.
            partition_offset: index of the first element of the part along each axis, by default 0.

        Returns:
            `out`, or a new array. A part has the same bits as in the whole tensor.

        Raises:
            TypeError, ValueError: for an invalid shape, dtype, part or `out`, or parameters that the dtype cannot
                represent.

        >>> import seedbed as sb
        >>> init = sb.HeUniform(seed=1)
        >>> part = init((1000, 64), partition_shape=(10, 64), partition_offset=(500, 0))
        >>> bool((part == init((1000, 64))[500:510]).all())
        True
        """
        if out is not None and dtype is None and isinstance(out, np.ndarray):
            dtype = out.dtype
        dimensions, element = as_shape(shape), self.as_dtype(dtype)
        axes, counts = None, dimensions
        if partition_shape is not None:
            axes = part_of(dimensions, partition_shape, partition_offset)
            counts = shape_of(axes)
        elif partition_offset is not None:
            raise ValueError(
                "partition_offset must come with partition_shape. "
                f"Received: partition_offset={shortened(partition_offset)}"
            )
        result = np.empty(counts, element) if out is None else checked_out(out, counts, element)
        rule = self.rule(dimensions, element)
        if result.flags.c_contiguous:
            rule.write(result, axes)
        else:
            _write_by_pieces(result, rule, axes or axes_of(dimensions))
        return result

    @not_rewritten
    def describe(self, shape: ShapeLike, dtype: npt.DTypeLike | None = None) -> Description:
        """Describe the elements of a tensor without making it: fans, mean, standard deviation after truncation, bounds.

        No draw is taken. Results are exact, up to rounding. For a class of your own they are None, unless it derives
        from `RandomInitializer`, or overrides this method.

        Arguments:
            shape: as in a call.
            dtype: as in a call. Bounds are numbers of this dtype.

        Returns:
            A named tuple (fan_in, fan_out, mean, stddev, minimum, maximum).

        Raises:
            TypeError, ValueError: for the same shapes and dtypes as a call.

        >>> import seedbed as sb
        >>> print(sb.GlorotNormal(seed=42).describe((64, 192)))
        fan_in   64
        fan_out  192
        mean     0.0
        stddev   0.08838834764831845
        minimum  -0.20096808671951294
        maximum  0.20096808671951294
        >>> round(sb.TruncatedNormal(stddev=1.0, lower=0, upper=None).describe((3,)).stddev, 12)  # sqrt(1 - 2 / pi)
        0.602810274989
        """
        dimensions = as_shape(shape)
        self.check(dimensions, dtype)
        return self._describe(dimensions, self.as_dtype(dtype)) if self._follows_rule() else Description()

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        """Describe a tensor of a checked shape and dtype."""
        return Description()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, in types that JSON can express."""
        register_where_imported()
        return {name: list(value) if type(value) is tuple else value for name, value in self._arguments().items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the initializer of a configuration.

        Raises:
            ValueError: for an unknown key or a bad value.

        >>> import seedbed as sb
        >>> sb.RandomNormal.from_config({"stddev": 0.02, "seed": 7})
        RandomNormal(mean=0.0, stddev=0.02, seed=7)
        """
        if not isinstance(config, Mapping):
            raise TypeError(f"the config of a {plain_name(cls)} must be a dict. Received: {shortened(config)}")
        accepted = _keywords(cls)
        if accepted is None:
            return cls(**config)
        unknown = [key for key in config if key not in accepted and key not in cls.parameters]
        if unknown:
            listed = ", ".join(accepted) or "none"
            raise ValueError(
                f"the keys of a {plain_name(cls)} config are: {listed}. Received: {shortened(unknown)}."
                f"{did_you_mean(unknown[0], accepted)}"
            )
        # A subclass may omit arguments of its base from the constructor; its configuration then has them as None.
        return cls(**{key: value for key, value in config.items() if key in accepted or value is not None})

    def clone(self) -> Self:
        """Return a new initializer of the same configuration."""
        return type(self).from_config(self.get_config())

    def with_seed(self, seed: seeds.SeedLike) -> Self:
        """Return the same initializer with another seed, or this one if it has no seed."""
        if "seed" not in self.parameters:
            return self
        return type(self).from_config({**self.get_config(), "seed": seed})

    def check(self, shape: ShapeLike, dtype: npt.DTypeLike | None = None) -> None:
        """Raise the error of a call with this shape and dtype, if any. No draw is taken."""
        self.with_seed(0).lazy(shape, dtype)

    def _arguments(self) -> dict[str, Any]:
        arguments = {name: getattr(self, name) for name in self.parameters}
        for name, default in self.beyond_keras.items():
            if arguments[name] == default:
                del arguments[name]
        return arguments

    def _identity(self) -> dict[str, Any]:
        return self.get_config()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Initializer):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((type(self), _hashable(self._identity())))

    def _shown(self) -> dict[str, Any]:
        """Return the arguments that `repr` shows."""
        return self._arguments()

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self._shown().items())
        return f"{plain_name(type(self))}({arguments})"

    def _repr_html_(self) -> str:
        rows = [(name, shortened(value)) for name, value in self._shown().items()]
        return html_table(plain_name(type(self)), rows)


@lru_cache(maxsize=1024)
def _keywords(cls: type[Initializer]) -> tuple[str, ...] | None:
    """Return the names of a class' arguments; None for a constructor that accepts any keyword."""
    arguments = inspect.signature(cls).parameters.values()
    takes_any = any(argument.kind is argument.VAR_KEYWORD for argument in arguments)
    return None if takes_any else tuple(argument.name for argument in arguments)


PIECE_BYTES = 1 << 22
"""Size of the buffer for writing a tensor to an array that is not contiguous in C order, in bytes."""


def _write_by_pieces(out: np.ndarray, rule: Rule, axes: Sequence[Axis]) -> None:
    """Write a region to an array of any order, piece by piece; at once if a part costs as much as the whole."""
    most = out.size if rule.needs_whole else max(1, PIECE_BYTES // out.itemsize)
    for piece in pieces(out.shape, most):
        region = [
            (whole[0], whole[1] + part[1] * whole[2], whole[2], part[3])
            for whole, part in zip(axes, piece, strict=True)
        ]
        values = np.empty(shape_of(piece), out.dtype)
        rule.write(values, region)
        out[tuple(map(as_slice, piece))] = values


def _hashable(value: object) -> object:
    """Return a hashable value that is equal for equal values. Numbers are kept, since 0.0 == -0.0 == False."""
    if isinstance(value, Mapping):
        return frozenset((key, _hashable(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_hashable, value))
    return value if isinstance(value, Hashable) else None


class SeededInitializer(Initializer):
    """An initializer with a seed.

    An integer seed gives the same values at each call: two layers that share the initializer have equal weights. So
    it is without a seed, as the initializer draws one at its construction. A `SeedGenerator` gives new values
    at each call, and its `child(name)` gives each layer different values. `seed` is the integer or the generator.
    """

    parameters: ClassVar[tuple[str, ...]] = ("seed",)

    def __init__(self, seed: seeds.SeedLike = None) -> None:
        self._given_seed = self._as_seed(seed)
        self.seed = self._unseeded() if self._given_seed is None else self._given_seed

    def with_seed(self, seed: seeds.SeedLike) -> Self:
        given = self._as_seed(seed)
        made = object.__new__(type(self))
        vars(made).update(vars(self), _given_seed=given)
        made.seed = made._unseeded() if given is None else given
        return made

    def _bound(self) -> Self:
        return self if isinstance(self.seed, int) else self.with_seed(seeds.generator_at(self._draw()))

    def _as_seed(self, seed: seeds.SeedLike) -> int | seeds.SeedGenerator | seeds.Unbound | None:
        """Check the `seed` argument."""
        return seeds.as_seed_source(seed)

    def _unseeded(self) -> int | seeds.SeedGenerator:
        """Return the seed of an initializer that was constructed without one."""
        return seeds.random_seed()

    def _draw(self) -> seeds.Address:
        """Return the address of the next tensor. Call it last in a rule, so that an error does not take a draw."""
        return seeds.draw(self.seed)

    def _shown(self) -> dict[str, Any]:
        # Omit a seed that the user did not give: it differs from run to run.
        given = self._given_seed is not None and not isinstance(self._given_seed, seeds.Unbound)
        return {name: value for name, value in super()._shown().items() if name != "seed" or given}

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        return dtypes.as_float_dtype(dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": seeds.serialize_seed(self._given_seed)}

    def _identity(self) -> dict[str, Any]:
        # Initializers that drew their own seeds differ, though their configurations are equal.
        seed = self.seed
        return {
            **self.get_config(),
            "seed": repr(seed) if isinstance(seed, seeds.SeedGenerator) else seeds.serialize_seed(seed),
        }


class RandomInitializer(SeededInitializer):
    """An initializer of independent values from one distribution, which `sampling` returns.

    Arguments:
        seed: None, an integer or a `SeedGenerator`.

    >>> import seedbed as sb
    >>> class Unit(sb.RandomInitializer):
    ...     def sampling(self, shape):
    ...         return "uniform", (0.0, 1.0)
    >>> w = Unit(seed=1)((100, 100))
    >>> bool(0 <= w.min() and w.max() < 1)
    True
    """

    makes_complex: ClassVar[bool] = False
    """Whether the class makes complex tensors too, with the same variance: `sampling` must then have the mean 0."""

    @abstractmethod
    def sampling(self, shape: Shape) -> Distribution:
        """Return the distribution of the values, by name and parameters, such as `("uniform", (low, high))`."""

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        return dtypes.as_float_dtype(dtype, or_complex=self.makes_complex)

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        return self._sampled(self.sampling(shape), shape, dtype)

    def _sampled(self, distribution: Distribution, shape: Shape, dtype: np.dtype) -> Sampled:
        name, parameters = distribution
        recipe = compiled(name, tuple(parameters), dtype)
        if dtype.kind == "c" and math.prod(shape) >= 2**62:
            raise ValueError(f"a complex tensor must have fewer than 2**62 elements. Received: shape={shape}")
        return Sampled(recipe, self._draw())

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        return of_distribution(self.sampling(shape), dtype)

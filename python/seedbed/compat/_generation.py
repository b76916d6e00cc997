"""What both generations of TensorFlow share, and the top level has otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seedbed import dtypes, initializers
from seedbed._float_state import in_default_state
from seedbed.arguments import one_of, shortened
from seedbed.config import check_size, unknown_name
from seedbed.initializers import Initializer
from seedbed.initializers._description import Description
from seedbed.regions import Axis
from seedbed.rules import Rule
from seedbed.saving import plain_name
from seedbed.seeds import SeedGenerator, random_seed
from seedbed.shapes import Shape

INTEGERS = ("int32", "int64")
"""The integer types that TensorFlow draws uniforms in."""

MODES = ("fan_in", "fan_out", "fan_avg")

_EXACT = 2**53


class Generation(Initializer):
    """An initializer as a generation of TensorFlow has it: to be derived from before the class of the values."""

    beyond_keras: ClassVar[Mapping[str, object]] = MappingProxyType({})
    floating: ClassVar[bool] = True
    """Whether only floating point dtypes are made."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)

    def _unseeded(self) -> SeedGenerator:
        """Not an integer as at the top level: calls of an unseeded initializer differ."""
        return SeedGenerator(random_seed())

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        return dtypes.as_float_dtype(dtype) if self.floating else super().as_dtype(dtype)


class Constant(Generation, initializers.Constant):
    """A number everywhere; or an array, reshaped in C order where it has as many elements as the tensor."""

    floating = False

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        value = self._value
        if value.size == 1:
            value = value.reshape(())
        elif value.size == np.prod(shape, dtype=object):
            value = value.reshape(shape)
        else:
            raise ValueError(
                "value must be a number, or as many as the tensor has elements. "
                f"Received: shape={shape}, value of shape {value.shape}"
            )
        return initializers.Constant(value).rule(shape, dtype)


def check_constant(value: object) -> None:
    """Raise a TypeError for what TensorFlow's own `constant_initializer` refuses: tensors and variables among it."""
    if not (np.isscalar(value) or isinstance(value, (list, tuple, np.ndarray, Mapping))):
        raise TypeError(f"value must be a number, an array, a list or a tuple. Received: value={shortened(value)}")


class RandomUniform(Generation, initializers.RandomUniform):
    """Uniform on [minval, maxval), also in int32 and int64: the float64 values of the same addresses, rounded down."""

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        resolved = dtypes.as_dtype(dtype)
        name = dtypes.name_of(resolved)
        if name in INTEGERS:
            self._check_integers(resolved)
        elif name not in dtypes.FLOATS:
            accepted = ", ".join(dtypes.FLOATS + INTEGERS)
            raise ValueError(f"dtype must be a floating point or integer type: one of {accepted}. Received: {name}")
        return resolved

    def _check_integers(self, dtype: np.dtype) -> None:
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        for what, bound in (("minval", self.minval), ("maxval", self.maxval)):
            if int(bound) != bound or not max(least, -_EXACT) <= bound <= min(most, _EXACT):
                raise ValueError(
                    f"{what} must be an integer that {dtype.name} holds, of at most 2**53 in magnitude, "
                    f"for an integer dtype. Received: {what}={bound}"
                )
        if self.minval == self.maxval:
            raise ValueError(
                "minval must be less than maxval for an integer dtype. "
                f"Received: minval={self.minval}, maxval={self.maxval}"
            )

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        if dtypes.name_of(dtype) not in INTEGERS:
            return super().rule(shape, dtype)
        return RoundedDown(super().rule(shape, np.dtype(np.float64)))

    def _describe(self, shape: Shape, dtype: np.dtype) -> Description:
        if dtypes.name_of(dtype) not in INTEGERS:
            return super()._describe(shape, dtype)
        least, greatest = int(self.minval), int(self.maxval) - 1
        stddev = math.sqrt(((greatest - least + 1) ** 2 - 1) / 12)
        return Description(mean=(least + greatest) / 2, stddev=stddev, minimum=least, maximum=greatest)


@dataclass(slots=True)
class RoundedDown(Rule):
    """The float64 values of a rule, rounded down to integers."""

    values: Rule

    @property
    def needs_whole(self) -> bool:
        return self.values.needs_whole

    @in_default_state
    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        exact = np.empty(out.shape, np.float64)
        self.values.write(exact, axes)
        out[...] = np.floor(exact, out=exact)


class VarianceScaling(Generation, initializers.VarianceScaling):
    """Values of variance scale / n, of the modes that TensorFlow has."""

    def __init__(self, *, mode: str, **arguments: Any) -> None:
        super().__init__(mode=one_of("mode", mode, MODES), **arguments)


class Registry:
    """A generation's names, and configurations in its form: `{"class_name": ..., "config": ...}`."""

    def __init__(self, generation: type, module: Mapping[str, Any], **others: type[Initializer]) -> None:
        own = {name for name, made in module.items() if generation in getattr(made, "__mro__", ())}
        self.names: dict[str, type[Initializer]] = {
            **others,
            **{name: module[name] for name in own if not name.startswith("_")},
        }

    def classes(self) -> list[type[Initializer]]:
        """The classes of the generation, each once, in a fixed order."""
        return sorted(set(self.names.values()), key=lambda cls: plain_name(cls))

    def serialize(self, initializer: Initializer | str | None) -> dict[str, Any] | str | None:
        """The configuration of an initializer, in TensorFlow's form; a name and None are their own.

        Raises:
            ValueError: if it is something else, or an initializer of another module.
        """
        if initializer is None or isinstance(initializer, str):
            return initializer
        if not isinstance(initializer, Initializer) or type(initializer) not in self.names.values():
            raise ValueError(f"only initializers of this module can be serialized. Received: {shortened(initializer)}")
        # `random_normal_initializer` and the like are the class after which TensorFlow names both.
        of = next(plain_name(cls) for cls in type(initializer).__mro__ if plain_name(cls)[0].isupper())
        return {"class_name": of, "config": initializer.get_config()}

    def deserialize(self, config: Mapping[str, Any] | str) -> Initializer:
        """The initializer of a configuration, or of a name.

        Raises:
            ValueError: for an unknown name or key, or a bad value.
        """
        if isinstance(config, str):
            return self._named(config)()
        if isinstance(config, Mapping):
            check_size(config)
        if not isinstance(config, Mapping) or not {"class_name"} <= set(config) <= {"class_name", "config"}:
            raise ValueError(f"a configuration must be a name, or class_name and config. Received: {shortened(config)}")
        arguments = config.get("config", {})
        if not isinstance(arguments, Mapping):
            raise ValueError(f"config must be a dict. Received: config={shortened(arguments)}")
        return self._named(config["class_name"]).from_config(arguments)

    def get(self, identifier: object) -> Initializer | Callable[..., Any] | None:
        """Return the initializer that an identifier names, describes or is.

        Arguments:
            identifier: a name, a configuration, a class of this module, an initializer or another callable, or None.

        Raises:
            ValueError: if it is something else.
        """
        if identifier is None:
            return None
        if isinstance(identifier, (str, Mapping)):
            return self.deserialize(identifier)
        if isinstance(identifier, type) and issubclass(identifier, Initializer):
            return identifier()
        if callable(identifier):
            return identifier
        raise ValueError(
            "Could not interpret initializer identifier: an initializer must be a name, a configuration or a callable. "
            f"Received: {shortened(identifier)}"
        )

    def _named(self, name: object) -> type[Initializer]:
        found = self.names.get(name) if isinstance(name, str) else None
        if found is None:
            raise ValueError(unknown_name(name, self.names))
        return found

"""Code that `v1` and `v2` share: dtypes, integer uniforms, names, configurations, and the text of `help()`.

A class of `v1` or `v2` documents only what is its own: formula, source and example. `completed` inserts the rest.
"""

from __future__ import annotations

import inspect
import math
import re
import textwrap
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
"""Integer dtypes in which TensorFlow draws uniform values."""

MODES = ("fan_in", "fan_out", "fan_avg")
"""Modes of TensorFlow's VarianceScaling."""

_EXACT = 2**53
"""Maximum magnitude of a bound of integer values: float64 represents all integers up to it."""

ARGUMENTS: Mapping[str, str] = {
    "distribution": '`"truncated_normal"`, or `"normal"` for the same; `"untruncated_normal"`; or `"uniform"`.',
    "dtype": 'dtype of a result if the call names none: a name such as `"float32"`, or a NumPy dtype.',
    "factor": "number by which the bounds are multiplied, from 1e-150 to 1e150.",
    "gain": "number by which the elements are multiplied: finite, and possibly negative or zero.",
    "maxval": "upper bound, a finite number. No value reaches it.",
    "mean": "mean of the distribution, a finite number.",
    "minval": "lower bound, a finite number.",
    "mode": 'n in the variance scale / n: `"fan_in"`, `"fan_out"`, or `"fan_avg"` for the mean of both.',
    "scale": "positive number, scale in the variance scale / n.",
    "seed": "None for new values at each call, an integer in [-2**255, 2**255) for the same values at each call, or a "
    "`SeedGenerator` for its next values at each call.",
    "stddev": "standard deviation of the distribution, a finite number that is not negative.",
    "value": "finite number, or an array, list or tuple of them.",
    "verify_shape": "True to refuse an array whose shape is not the tensor's, False to reshape it. A call may override "
    "it.",
}
"""Explanation of each constructor argument, for `help()`. A class docstring may override an entry."""

_FANS = (
    "The fans are those of a kernel of shape (..., in, out): in or out, times the product of the leading lengths. A "
    "vector has both fans equal to its length."
)

_ERRORS = """\
    TypeError: if an argument has the wrong type.
    ValueError: if an argument is not as described; at the call, if the dtype is another, the shape or the part is
        invalid, or the dtype cannot represent the values.
"""


class Generation(Initializer):
    """Base of the classes of `v1` and `v2`. It comes before the class of the values in their bases."""

    beyond_keras: ClassVar[Mapping[str, object]] = MappingProxyType({})
    floating: ClassVar[bool] = True
    """Whether the dtype of a result must be a floating point one."""

    result: ClassVar[str] = ""
    """Sentence about the result of a call, with a placeholder `{dtypes}`, for `help()`."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)

    def _unseeded(self) -> SeedGenerator:
        """Return a generator, unlike the top level's integer: each call of an unseeded initializer gives new values."""
        return SeedGenerator(random_seed())

    def as_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype:
        return dtypes.as_float_dtype(dtype) if self.floating else super().as_dtype(dtype)


class Constant(Generation, initializers.Constant):
    """One number in every element; or an array with as many elements as the tensor, reshaped in C order."""

    floating = False

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        value = self._value
        if value.size == 1:
            value = value.reshape(())
        elif value.size == np.prod(shape, dtype=object):
            value = value.reshape(shape)
        else:
            raise ValueError(
                "value must be one number, or have as many elements as the tensor. "
                f"Received: shape={shape}, value of shape {value.shape}"
            )
        return initializers.Constant(value).rule(shape, dtype)


def check_constant(value: object) -> None:
    """Raise a TypeError for values that TensorFlow's `constant_initializer` refuses, such as tensors and variables."""
    if not (np.isscalar(value) or isinstance(value, (list, tuple, np.ndarray, Mapping))):
        raise TypeError(f"value must be a number, an array, a list or a tuple. Received: value={shortened(value)}")


class RandomUniform(Generation, initializers.RandomUniform):
    """Uniform on [minval, maxval). Integers are the float64 values at the same addresses, rounded down."""

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
                    f"{what} must be an integer that {dtype.name} can represent, of at most 2**53 in magnitude, "
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
    """The float64 values of another rule, rounded down to integers."""

    values: Rule
    """The other rule."""

    @property
    def needs_whole(self) -> bool:
        return self.values.needs_whole

    @in_default_state
    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        exact = np.empty(out.shape, np.float64)
        self.values.write(exact, axes)
        out[...] = np.floor(exact, out=exact)


class VarianceScaling(Generation, initializers.VarianceScaling):
    """Values of variance scale / n, with the modes of TensorFlow."""

    def __init__(self, *, mode: str, **arguments: Any) -> None:
        super().__init__(mode=one_of("mode", mode, MODES), **arguments)


class Registry:
    """Names of a generation, and configurations in its form: `{"class_name": ..., "config": ...}`."""

    def __init__(self, generation: type, module: Mapping[str, Any], **others: type[Initializer]) -> None:
        own = {name for name, made in module.items() if generation in getattr(made, "__mro__", ())}
        self.names: dict[str, type[Initializer]] = {
            **others,
            **{name: module[name] for name in own if not name.startswith("_")},
        }
        for cls in self.classes():
            if cls.__doc__:  # None under python -OO
                cls.__doc__ = completed(cls)

    def classes(self) -> list[type[Initializer]]:
        """Return the classes of the generation, each once, ordered by name."""
        return sorted(set(self.names.values()), key=lambda cls: plain_name(cls))

    def serialize(self, initializer: Initializer | str | None) -> dict[str, Any] | str | None:
        """Return the configuration of an initializer, in TensorFlow's form.

        Arguments:
            initializer: an initializer of this module; a name or None is returned unchanged.

        Returns:
            A dict with the class name and the arguments, which JSON can express.

        Raises:
            ValueError: if the argument is something else, or an initializer of another module.

        >>> from seedbed.compat import v1
        >>> v1.serialize(v1.RandomNormal(stddev=0.02, seed=1))
        {'class_name': 'RandomNormal', 'config': {'mean': 0.0, 'stddev': 0.02, 'seed': 1, 'dtype': 'float32'}}
        """
        if initializer is None or isinstance(initializer, str):
            return initializer
        if not isinstance(initializer, Initializer) or type(initializer) not in self.names.values():
            raise ValueError(f"only initializers of this module can be serialized. Received: {shortened(initializer)}")
        # TensorFlow serializes `random_normal_initializer` under the name of its base class, RandomNormal.
        of = next(plain_name(cls) for cls in type(initializer).__mro__ if plain_name(cls)[0].isupper())
        return {"class_name": of, "config": initializer.get_config()}

    def deserialize(self, config: Mapping[str, Any] | str) -> Initializer:
        """Return a new initializer from a configuration or a name.

        Arguments:
            config: a dict that `serialize` returned, or the name of a class of this module, which then gets its
                default arguments.

        Raises:
            TypeError, ValueError: for an unknown name or key, or an invalid argument in the configuration.

        >>> from seedbed.compat import v2
        >>> v2.deserialize({"class_name": "HeNormal", "config": {"seed": 1}})
        HeNormal(seed=1)
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
        """Return the initializer for an identifier.

        Arguments:
            identifier: a name, a configuration, or a class of this module, for a new initializer; an initializer or
                another callable, which is returned unchanged; or None, for None.

        Raises:
            TypeError, ValueError: if it is something else, or not a valid name or configuration.

        >>> from seedbed.compat import v2
        >>> v2.get("zeros"), v2.get(v2.Ones), v2.get(None)
        (Zeros(), Ones(), None)
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


def completed(cls: type[Initializer]) -> str:
    """Return the docstring of a class with arguments, result and errors inserted before its example."""
    text, start, example = inspect.cleandoc(cls.__doc__ or "").partition("\n\n>>> ")
    text, _, raises = text.partition("\n\nRaises:\n")
    head, _, own = text.partition("\n\nArguments:\n")
    parts = [head]
    if issubclass(cls, initializers.VarianceScaling) and not issubclass(cls, initializers.UniformUnitScaling):
        parts.append(textwrap.fill(_FANS, 112))
    explained = {**ARGUMENTS, **_entries(own)}
    arguments = [
        _entry(parameter, explained[parameter.name]) for parameter in inspect.signature(cls).parameters.values()
    ]
    if arguments:
        parts.append("\n".join(["Arguments:", *arguments]))
    assert issubclass(cls, Generation)
    parts.append(textwrap.fill(cls.result.format(dtypes=_dtypes_of(cls)), 112))
    parts.append("Raises:\n" + (raises or _ERRORS).rstrip())
    return "\n\n".join(parts) + start + example


def _entries(section: str) -> dict[str, str]:
    """Return the entries of an `Arguments:` section, by name."""
    found = (entry.partition(": ") for entry in re.split(r"^    (?=\S)", section, flags=re.MULTILINE)[1:])
    return {name: " ".join(text.split()) for name, _, text in found}


def _entry(parameter: inspect.Parameter, explanation: str) -> str:
    text = f"{parameter.name}: {explanation} Default: {parameter.default!r}."
    return textwrap.fill(text, 112, initial_indent=" " * 4, subsequent_indent=" " * 8)


def _dtypes_of(cls: type[Generation]) -> str:
    if issubclass(cls, RandomUniform):
        return "float16, bfloat16, float32, float64, int32 or int64"
    if cls.floating:
        return "float16, bfloat16, float32, float64 or an 8-bit float of ml_dtypes"
    return "any numeric dtype or bool"

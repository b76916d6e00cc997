"""Plans read from their JSON texts, and refused where these break a rule of the format."""

from __future__ import annotations

import errno
import math
import os
import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

from seedbed.config import check_size, deserialize
from seedbed.dtypes import as_dtype
from seedbed.initializers import Initializer
from seedbed.plan.limits import (
    MAX_COMPARED,
    MAX_HELD,
    MAX_MATCHES,
    MAX_PATTERN,
    MAX_PATTERNS,
    MAX_PLAN_BYTES,
    MAX_RANK,
    MAX_TENSOR_BYTES,
    MAX_TENSORS,
)
from seedbed.plan.model import OWN_ENTRY, Plan, PlannedTensor
from seedbed.seeds import UNBOUND
from seedbed.strict_json import decode, integers, members, shown, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

T = TypeVar("T")


@dataclass(frozen=True)
class Default:
    """What tensors have whose names match a pattern, and that say nothing else."""

    pattern: str
    initializer: Initializer
    dtype: np.dtype | None

    @cached_property
    def matches(self) -> Callable[[str], object]:
        """Tells whether a name does."""
        return re.compile(translate(self.pattern)).match


def match(name: str, defaults: Iterable[Default]) -> Default | None:
    """The default that serves a name: the first whose pattern matches it."""
    return next((default for default in defaults if default.matches(name)), None)


def load_plan(source: str | os.PathLike[str], *, dtype: str | None = None) -> Plan:
    """Read the plan that ships with seedbed under the name `source`, or else the file at the path `source`.

    Arguments:
        source: ``"gpt2"``, or the path of a JSON file. (A file of yours that is called gpt2 is ``./gpt2``.)
        dtype: the dtype of every tensor for which neither its own entry nor its default has one.

    Raises:
        OSError: the file cannot be read.
        TypeError, ValueError: it breaks a rule of the format, which `seedbed.plan` states.

    >>> plan = load_plan("gpt2", dtype="float16")
    >>> len(plan.tensors), plan.parameters, plan.nbytes
    (148, 124439808, 248879616)
    """
    return parse_plan(_read(os.fspath(source)), dtype=dtype)


def parse_plan(text: str, *, dtype: str | None = None) -> Plan:
    """Read a plan from its JSON text; `load_plan` says what `dtype` is for and what is raised.

    >>> plan = parse_plan('{"tensors": [{"name": "bias", "shape": [3], "initializer": "zeros"}]}')
    >>> plan.tensors[0].shape, plan.tensors[0].dtype.name
    ((3,), 'float32')
    >>> parse_plan('{"tensors": [{"name": "bias", "shape": 3, "initializer": "zeros"}]}')
    Traceback (most recent call last):
    TypeError: tensors[0] "bias": a shape must be a list of integers. Received: 3
    """
    try:
        return _plan(decode(text, "a plan"), dtype)
    except RecursionError:
        raise ValueError("a plan must be a few levels deep at most. Received: one too deep to be read") from None


def _read(source: str) -> str:
    shipped = resources.files("seedbed").joinpath("plans")
    names = sorted(entry.name.removesuffix(".json") for entry in shipped.iterdir())
    if source in names:
        return shipped.joinpath(f"{source}.json").read_text(encoding="utf-8")
    try:
        with open(source, "rb") as file:  # noqa: PTH123  # `Path` drops a separator at the end
            content = file.read(MAX_PLAN_BYTES + 1)
    except FileNotFoundError:
        known = ", ".join(names)
        reason = f"there is no such file, and the plans of seedbed are [{known}]"
        raise FileNotFoundError(errno.ENOENT, reason, source) from None
    if len(content) > MAX_PLAN_BYTES:
        raise ValueError(f"a plan must have at most {MAX_PLAN_BYTES} bytes. Received: more")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"a plan must be UTF-8. Received: {content[error.start]:#04x} at byte {error.start}") from None


def _plan(document: object, asked: str | None) -> Plan:
    fields = members(document, "a plan", required=("tensors",), optional=("dtype", "defaults"))
    fallback = _dtype(fields.get("dtype", "float32"))
    if asked is not None:
        fallback = as_dtype(asked)
    names, patterns = (
        len(typed(fields.get(key, []), list, f'"{key}" must be a list')) for key in ("tensors", "defaults")
    )
    if names > MAX_TENSORS:
        raise ValueError(f"a plan must have at most {MAX_TENSORS} tensors. Received: {names}")
    if names * patterns > MAX_MATCHES:
        raise ValueError(
            f"tensors times defaults must be at most {MAX_MATCHES}. Received: {names} tensors, {patterns} defaults"
        )
    _check_patterns(fields)
    defaults = _each(fields, "defaults", "pattern", lambda entry: _default(entry, names))
    tensors = _each(fields, "tensors", "name", lambda entry: _tensor(entry, defaults, fallback))
    first: dict[str, int] = {}
    for index, tensor in enumerate(tensors):
        if first.setdefault(tensor.name, index) != index:
            place = f"tensors[{index}] {shown(tensor.name)}"
            raise ValueError(f"{place}: a name must occur once. Received: the name of tensors[{first[tensor.name]}]")
    return Plan(tuple(tensors))


def _check_patterns(fields: dict[str, Any]) -> None:
    """That patterns are not too long to be compiled and held against the names; what is no text has no length."""
    names, patterns = (
        sum(
            len(entry[label])
            for entry in fields.get(key, [])
            if isinstance(entry, dict) and isinstance(entry.get(label), str)
        )
        for key, label in (("tensors", "name"), ("defaults", "pattern"))
    )
    if patterns > MAX_PATTERNS:
        raise ValueError(f"patterns must have at most {MAX_PATTERNS} characters in all. Received: {patterns}")
    if names * patterns > MAX_COMPARED:
        raise ValueError(
            f"the characters of all names times those of all patterns must be at most {MAX_COMPARED}. "
            f"Received: {names} in names, {patterns} in patterns"
        )


def _each(fields: dict[str, Any], key: str, label: str, parse: Callable[[object], T]) -> list[T]:
    """Parse the entries of the list `fields[key]`. An error says which entry it is about."""
    parsed = []
    for index, entry in enumerate(fields.get(key, [])):
        try:
            parsed.append(parse(entry))
        except (TypeError, ValueError) as error:
            named = f" {shown(entry[label])}" if isinstance(entry, dict) and label in entry else ""
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{key}[{index}]{named}: {error}") from error
    return parsed


def _default(entry: object, names: int) -> Default:
    fields = members(entry, "a default", required=("pattern", "initializer"), optional=("dtype",))
    pattern = typed(fields["pattern"], str, "a pattern must be a string")
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern must have at most {MAX_PATTERN} characters. Received: {len(pattern)}")
    dtype = _dtype(fields["dtype"]) if "dtype" in fields else None
    initializer = as_initializer(fields["initializer"])
    values = check_size(fields["initializer"]) if isinstance(fields["initializer"], dict) else 0
    if names * values > MAX_HELD:
        raise ValueError(
            f"tensors times the values of a configuration must be at most {MAX_HELD}. "
            f"Received: {names} tensors, {values} values"
        )
    return Default(pattern, initializer, dtype)


def _tensor(entry: object, defaults: list[Default], fallback: np.dtype) -> PlannedTensor:
    fields = members(entry, "a tensor", required=("name", "shape"), optional=("dtype", "initializer"))
    name = as_name(fields["name"])
    default = match(name, defaults)
    if "initializer" in fields:
        initializer, source = as_initializer(fields["initializer"]), OWN_ENTRY
    elif default is not None:
        initializer, source = default.initializer, default.pattern
    else:
        raise ValueError("a tensor must have an initializer, its own or by a default's pattern. Received: neither")
    if "dtype" in fields:
        dtype = _dtype(fields["dtype"])
    elif default is not None and default.dtype is not None:
        dtype = default.dtype
    else:
        dtype = fallback
    shape = _shape(fields["shape"], dtype)
    initializer.check(shape, dtype)
    return PlannedTensor(name, shape, dtype, initializer, source)


def as_name(value: object) -> str:
    """The name of a tensor, where it is one that a plan and a safetensors file may have."""
    name = typed(value, str, "a name must be a string")
    if name in ("", "__metadata__"):
        raise ValueError(f'a name must be neither empty nor "__metadata__". Received: {shown(name)}')
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"a name must be Unicode without lone surrogates. Received: {shown(name)}")
    return name


def _shape(value: object, dtype: np.dtype) -> tuple[int, ...]:
    dimensions = integers(value, "a shape")
    if len(dimensions) > MAX_RANK:
        raise ValueError(f"a shape must have at most {MAX_RANK} dimensions. Received: {len(dimensions)}")
    if any(dimension < 0 for dimension in dimensions):
        raise ValueError(f"a dimension must not be negative. Received: {shown(value)}")
    if math.prod(filter(None, dimensions)) * dtype.itemsize > MAX_TENSOR_BYTES:
        raise ValueError(f"a tensor must have at most {MAX_TENSOR_BYTES} bytes. Received: {shown(value)} of {dtype}")
    return tuple(dimensions)


def _dtype(value: object) -> np.dtype:
    return as_dtype(typed(value, str, "a dtype must be a string"))


def as_initializer(value: object) -> Initializer:
    """The initializer of an entry: a name, a configuration, or, from a program, the object; without a seed."""
    if isinstance(value, Initializer):
        config: object = value.get_config()
    elif isinstance(value, (str, dict)):
        config = value.get("config") if isinstance(value, dict) else None
    else:
        raise TypeError(f"an initializer must be a string or an object. Received: {shown(value)}")
    if isinstance(config, dict) and config.get("seed") is not None:
        raise ValueError(
            "an initializer must have no seed here: each tensor draws from a child of one seed, by its name. "
            f"Received: seed={shown(config['seed'])}"
        )
    return (value if isinstance(value, Initializer) else deserialize(value)).with_seed(UNBOUND)

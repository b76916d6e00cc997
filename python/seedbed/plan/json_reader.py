"""Plans read from their JSON texts, and refused where these break a rule of the format."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

from seedbed.arguments import nearest
from seedbed.config import check_size
from seedbed.dtypes import as_dtype
from seedbed.plan.entries import Entry, about, as_initializer, as_name, each, entry_dtype, entry_shape, parse_entry
from seedbed.plan.limits import (
    MAX_COMPARED,
    MAX_DEFAULT_VALUES,
    MAX_MATCHES,
    MAX_NAMES,
    MAX_PATTERN,
    MAX_PATTERNS,
    MAX_PLAN_BYTES,
    MAX_TENSORS,
)
from seedbed.plan.plan import Plan
from seedbed.plan.ranges import expand, resolve
from seedbed.plan.rules import nearest_selectors
from seedbed.plan.tensor import PlannedTensor
from seedbed.strict_json import decode, members, shown, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np

    from seedbed.initializers import Initializer

MAX_COMPARED_NEAR = 1 << 10
"""The most names that a misspelt pattern is compared with."""

_SHIPPED = resources.files("seedbed").joinpath("plans")


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


def load_plan(source: str | os.PathLike[str], *, dtype: str | None = None, unused: str = "error") -> Plan:
    """Read the plan that ships with seedbed under the name `source`, or else the file at the path `source`.

    Arguments:
        source: ``"gpt2"``, or the path of a JSON file. (A file of yours that is called gpt2 is ``./gpt2``.)
        dtype: the dtype of every tensor for which neither its own entry nor its default has one.
        unused: ``"error"``, or ``"ignore"`` if defaults may serve no tensor.

    Raises:
        OSError: the file cannot be read.
        TypeError, ValueError: it breaks a rule of the format, which `seedbed.plan` states.

    >>> plan = load_plan("gpt2", dtype="float16")
    >>> len(plan.tensors), plan.parameters, plan.nbytes
    (148, 124439808, 248879616)
    """
    return parse_plan(_read(os.fspath(source)), dtype=dtype, unused=unused)


def parse_plan(text: str, *, dtype: str | None = None, unused: str = "error") -> Plan:
    """Read a plan from its JSON text.

    Arguments:
        text: the JSON.
        dtype: the dtype of every tensor for which neither its own entry nor its default has one.
        unused: ``"error"``, or ``"ignore"`` if defaults may match no tensor.

    Raises:
        TypeError, ValueError: it breaks a rule of the format, which `seedbed.plan` states.

    >>> plan = parse_plan('{"tensors": [{"name": "bias", "shape": [3], "initializer": "zeros"}]}')
    >>> plan.tensors[0].shape, plan.tensors[0].dtype.name
    ((3,), 'float32')
    >>> parse_plan('{"tensors": [{"name": "bias", "shape": 3, "initializer": "zeros"}]}')
    Traceback (most recent call last):
    TypeError: tensors[0] "bias": a shape must be a list of integers. Received: 3
    """
    if not isinstance(text, str):
        raise TypeError(f"a plan must be text. Received: {type(text).__name__}")
    try:
        return plan_of_document(decode(text, "a plan"), dtype, unused)
    except RecursionError:
        raise ValueError("a plan must be nested a few levels deep at most. Received: a deeper one") from None


def shipped_plans() -> list[str]:
    """Return the names of the plans that ship, in alphabetical order."""
    return sorted(entry.name.removesuffix(".json") for entry in _SHIPPED.iterdir() if entry.name.endswith(".json"))


def _read(source: str) -> str:
    if source in shipped_plans():
        return _SHIPPED.joinpath(f"{source}.json").read_text(encoding="utf-8")
    try:
        with open(source, "rb") as file:  # noqa: PTH123  # `Path` drops a separator at the end
            content = file.read(MAX_PLAN_BYTES + 1)
    except FileNotFoundError:
        near = nearest(source, shipped_plans(), 1)
        hint = f"the nearest name of one is {near[0]!r}" if near else "`seedbed plans` lists them"
        reason = f"there is no such file, and no plan of this name that ships; {hint}"
        raise FileNotFoundError(errno.ENOENT, reason, source) from None
    if len(content) > MAX_PLAN_BYTES:
        raise ValueError(f"a plan must have at most {MAX_PLAN_BYTES} bytes. Received: a longer one")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"a plan must be UTF-8. Received: {content[error.start]:#04x} at byte {error.start}") from None


def plan_of_document(document: object, asked: str | None = None, unused: str = "error") -> Plan:
    """Read a plan from what its JSON says; `asked` is the dtype that `load_plan` takes.

    Raises:
        TypeError, ValueError: it breaks a rule of the format.
    """
    fields = members(document, "a plan", required=("tensors",), optional=("$schema", "dtype", "config", "defaults"))
    typed(fields.get("$schema", ""), str, '"$schema" must be a string')
    config = None if "config" not in fields else typed(fields["config"], dict, '"config" must be an object')
    fallback = entry_dtype(fields.get("dtype", "float32"))
    if asked is not None:
        fallback = as_dtype(asked)
    names, patterns = (
        len(typed(fields.get(key, []), list, f'"{key}" must be a list')) for key in ("tensors", "defaults")
    )
    _check_counts(names, patterns)
    entries = each(fields, "tensors", "name", parse_entry)
    names = sum(entry.template.names for entry in entries)
    _check_counts(names, patterns)
    _check_characters(fields, entries)
    defaults = each(fields, "defaults", "pattern", lambda entry: _default(entry, names))
    used: set[int] = set()
    tensors = tuple(_tensors(entries, defaults, fallback, used))
    if unused == "error" and tensors:
        _check_used(defaults, used, [tensor.name for tensor in tensors])
    return Plan(tensors, config)


def _check_used(defaults: list[Default], used: set[int], names: list[str]) -> None:
    """Refuse a default that serves no tensor: a name was misspelt, or the default is behind a wider one."""
    for index, default in enumerate(defaults):
        if id(default) not in used:
            near = (
                []
                if any(map(default.matches, names))
                else nearest_selectors(default.pattern, names[:MAX_COMPARED_NEAR])
            )
            hint = f" (near it: {', '.join(map(repr, near))})" if near else ""
            raise ValueError(
                f"defaults[{index}] {shown(default.pattern)}: a pattern must be the first that matches some name; "
                f'unused="ignore" (of a command: --unused ignore) lets defaults be unused. '
                f"Received: one that is not{hint}"
            )


def _check_counts(names: int, patterns: int) -> None:
    if names > MAX_TENSORS:
        raise ValueError(f"a plan must have at most {MAX_TENSORS} tensors. Received: {names}")
    if names * patterns > MAX_MATCHES:
        raise ValueError(
            f"tensors times defaults must be at most {MAX_MATCHES}. Received: {names} tensors, {patterns} defaults"
        )


def _check_characters(fields: dict[str, Any], entries: list[Entry]) -> None:
    """Check that names and patterns are short enough to be expanded, compiled and compared."""
    names = sum(entry.template.names * len(entry.label) for entry in entries)
    patterns = sum(
        len(entry["pattern"])
        for entry in fields.get("defaults", [])
        if isinstance(entry, dict) and isinstance(entry.get("pattern"), str)
    )
    if names > MAX_NAMES:
        raise ValueError(f"names must have at most {MAX_NAMES} characters in all. Received: {names}")
    if patterns > MAX_PATTERNS:
        raise ValueError(f"patterns must have at most {MAX_PATTERNS} characters in all. Received: {patterns}")
    if names * patterns > MAX_COMPARED:
        raise ValueError(
            f"the characters of all names times those of all patterns must be at most {MAX_COMPARED}. "
            f"Received: {names} in names, {patterns} in patterns"
        )


def _tensors(
    entries: list[Entry], defaults: list[Default], fallback: np.dtype, used: set[int]
) -> Iterator[PlannedTensor]:
    """Yield the tensors of entries; `used` gets the identities of the defaults that serve some of them."""
    first: dict[str, int] = {}
    for index, name, numbers in expand([entry.template for entry in entries]):
        entry = entries[index]
        with about(f"tensors[{index}] {shown(entry.label)}"):
            if name in first:
                where = f"the name of tensors[{first[name]}]"
                raise ValueError(f"a name must occur once. Received: {f'{shown(name)}, ' * bool(numbers)}{where}")
            first[name] = index
            default = match(name, defaults)
            used.add(id(default))
            yield _tensor(entry, as_name(name), numbers, default, fallback)


def _tensor(
    entry: Entry, name: str, numbers: tuple[int, ...], default: Default | None, fallback: np.dtype
) -> PlannedTensor:
    if entry.initializer is not None:
        initializer, source = entry.initializer, entry.source
    elif default is not None:
        initializer, source = default.initializer, default.pattern
    else:
        raise ValueError("a tensor must have an initializer, its own or by a default's pattern. Received: neither")
    dtype = entry.dtype or (default and default.dtype) or fallback
    shape = entry_shape(entry.shape, dtype)
    part = None if entry.part is None else entry.part.part(shape, dtype, numbers)
    initializer.check(shape if part is None else part.shape, dtype)
    seed_of = None if entry.seed_of is None else as_name(resolve(entry.seed_of, numbers))
    return PlannedTensor(name, shape, dtype, initializer, source, part, seed_of)


def _default(entry: object, names: int) -> Default:
    fields = members(entry, "a default", required=("pattern", "initializer"), optional=("dtype",))
    pattern = typed(fields["pattern"], str, "a pattern must be a string")
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern must have at most {MAX_PATTERN} characters. Received: {len(pattern)}")
    dtype = entry_dtype(fields["dtype"]) if "dtype" in fields else None
    initializer = as_initializer(fields["initializer"])
    values = check_size(fields["initializer"]) if isinstance(fields["initializer"], dict) else 0
    if names * values > MAX_DEFAULT_VALUES:
        raise ValueError(
            f"tensors times the values of a configuration must be at most {MAX_DEFAULT_VALUES}. "
            f"Received: {names} tensors, {values} values"
        )
    return Default(pattern, initializer, dtype)

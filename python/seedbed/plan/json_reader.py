"""`load_plan` and `parse_plan`: read a plan from JSON, and refuse it if it breaks a rule of the format."""

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
from seedbed.plan.entries import (
    Entry,
    about,
    as_initializer,
    as_name,
    check_unused,
    each,
    entry_dtype,
    entry_shape,
    parse_entry,
)
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
"""Maximum number of names that a misspelt pattern is compared with."""

_SHIPPED = resources.files("seedbed").joinpath("plans")


@dataclass(frozen=True)
class Default:
    """The initializer and dtype of tensors whose names match a pattern and whose entries have no own ones."""

    pattern: str
    initializer: Initializer
    dtype: np.dtype | None

    @cached_property
    def matches(self) -> Callable[[str], object]:
        """Function that tests whether a name matches."""
        return re.compile(translate(self.pattern)).match


def match(name: str, defaults: Iterable[Default]) -> Default | None:
    """Return the first default whose pattern matches a name, or None."""
    return next((default for default in defaults if default.matches(name)), None)


def load_plan(source: str | os.PathLike[str], *, dtype: str | None = None, unused: str = "error") -> Plan:
    """Load a plan that ships with seedbed, by name, or a JSON file.

    Arguments:
        source: the name of a shipped plan, such as ``"gpt2"``, or the path of a JSON file. (A file of your own that is
            called gpt2 is ``./gpt2``.)
        dtype: the dtype of each tensor whose entry and default have no dtype.
        unused: ``"error"``, or ``"ignore"`` to allow defaults that match no tensor.

    Returns:
        The plan.

    Raises:
        OSError: if the file cannot be read.
        TypeError: if a value in the plan has a wrong type.
        ValueError: if the plan breaks another rule of the format, which ``docs/plans.md`` describes.

    >>> plan = load_plan("gpt2", dtype="float16")
    >>> len(plan.tensors), plan.parameters, plan.nbytes
    (148, 124439808, 248879616)
    """
    return parse_plan(_read(os.fspath(source)), dtype=dtype, unused=unused)


def parse_plan(text: str, *, dtype: str | None = None, unused: str = "error") -> Plan:
    """Parse the JSON text of a plan.

    Arguments:
        text: the JSON text.
        dtype: the dtype of each tensor whose entry and default have no dtype.
        unused: ``"error"``, or ``"ignore"`` to allow defaults that match no tensor.

    Returns:
        The plan.

    Raises:
        TypeError: if `text` is not a string, or a value in the plan has a wrong type.
        ValueError: if the plan breaks another rule of the format, which ``docs/plans.md`` describes; or if `dtype` or
            `unused` is invalid.

    >>> plan = parse_plan('{"tensors": [{"name": "bias", "shape": [3], "initializer": "zeros"}]}')
    >>> plan.tensors[0].shape, plan.tensors[0].dtype.name
    ((3,), 'float32')
    >>> parse_plan('{"tensors": [{"name": "bias", "shape": 3, "initializer": "zeros"}]}')
    Traceback (most recent call last):
    TypeError: tensors[0] "bias": a shape must be a list of integers. Received: 3
    """
    check_unused(unused)
    if not isinstance(text, str):
        raise TypeError(f"text must be the JSON of a plan, a string. Received: {type(text).__name__}")
    try:
        return plan_of_document(decode(text, "a plan"), dtype, unused)
    except RecursionError:
        raise ValueError("a plan must be nested a few levels deep at most. Received: a deeper one") from None


def shipped_plans() -> list[str]:
    """Return the names of the plans that ship with seedbed, in alphabetical order."""
    return sorted(entry.name.removesuffix(".json") for entry in _SHIPPED.iterdir() if entry.name.endswith(".json"))


def _read(source: str) -> str:
    if source in shipped_plans():
        return _SHIPPED.joinpath(f"{source}.json").read_text(encoding="utf-8")
    try:
        with open(source, "rb") as file:  # noqa: PTH123  # `Path` drops a trailing separator
            content = file.read(MAX_PLAN_BYTES + 1)
    except FileNotFoundError:
        near = nearest(source, shipped_plans(), 1)
        hint = f"the nearest name is {near[0]!r}" if near else "`seedbed plans` lists them"
        reason = f"there is no such file, and no shipped plan of this name; {hint}"
        raise FileNotFoundError(errno.ENOENT, reason, source) from None
    if len(content) > MAX_PLAN_BYTES:
        raise ValueError(f"a plan must have at most {MAX_PLAN_BYTES} bytes. Received: a longer one")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"a plan must be UTF-8. Received: {content[error.start]:#04x} at byte {error.start}") from None


def plan_of_document(document: object, asked: str | None = None, unused: str = "error") -> Plan:
    """Read a plan from its decoded JSON. The arguments and errors are those of `parse_plan`; `asked` is its `dtype`."""
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
    """Check that each default serves a tensor. Otherwise its pattern is misspelt, or an earlier default covers it."""
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
                f'unused="ignore" (--unused ignore of a command) allows unused defaults. '
                f"Received: a pattern that is not{hint}"
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
    """Yield the tensors of entries, and add the ids of the defaults that serve them to `used`."""
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
        raise ValueError(
            "a tensor must have an initializer, in its entry or by the pattern of a default. Received: neither"
        )
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

"""Parse the entries of tensors in a plan. The ranges in their names are expanded later."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from seedbed import regions
from seedbed.arguments import shortened
from seedbed.config import deserialize_unbound
from seedbed.dtypes import as_dtype
from seedbed.initializers import Initializer
from seedbed.plan.limits import MAX_RANK, MAX_TENSOR_BYTES
from seedbed.plan.ranges import Template, parse, resolve
from seedbed.plan.tensor import OWN_ENTRY, Part
from seedbed.seeds import UNBOUND
from seedbed.strict_json import integers, members, shown, typed

if TYPE_CHECKING:
    import numpy as np

    from seedbed.shapes import Shape

T = TypeVar("T")


class PartEntry(NamedTuple):
    """The value of `part_of` in an entry. It may refer to the ranges in the name of the entry."""

    name: str
    shape: object
    partition_shape: object
    partition_offset: object

    def part(self, shape: Shape, dtype: np.dtype, numbers: tuple[int, ...]) -> Part:
        """Return the part for one tensor.

        Arguments:
            shape: shape of the tensor.
            dtype: dtype of the tensor.
            numbers: number of each range in the name of the tensor.

        Raises:
            TypeError: if a value has a wrong type.
            ValueError: if the part is outside the whole tensor, or has another number of elements than the tensor.
        """
        whole = shape if self.shape is None else entry_shape(self.shape, dtype)
        counts = whole if self.partition_shape is None else tuple(integers(self.partition_shape, "partition_shape"))
        offset = (0,) * len(whole) if self.partition_offset is None else _offset(self.partition_offset, numbers)
        regions.part_of(whole, counts, offset)
        if math.prod(counts) != math.prod(shape):
            raise ValueError(
                "a part must have as many elements as the tensor. "
                f"Received: partition_shape={counts} for a tensor of shape {shape}"
            )
        return Part(as_name(resolve(self.name, numbers)), whole, counts, offset)


class Entry(NamedTuple):
    """An entry of a tensor or of a range of tensors. A field is None if the defaults of the plan decide it."""

    label: str
    """The name with its ranges, for errors."""
    template: Template
    shape: object
    dtype: np.dtype | None
    initializer: Initializer | None
    source: str
    part: PartEntry | None
    seed_of: str | None
    """The name of another tensor, with references to the ranges of the entry's own name."""


def parse_entry(value: object) -> Entry:
    """Parse the entry of a tensor, or of a range of tensors.

    Raises:
        TypeError: if a value has a wrong type.
        ValueError: if the entry breaks another rule of the format.
    """
    optional = ("dtype", "initializer", "source", "part_of", "seed_of")
    fields = members(value, "a tensor", required=("name", "shape"), optional=optional)
    label = typed(fields["name"], str, "a name must be a string")
    return Entry(
        label,
        parse(label),
        fields["shape"],
        entry_dtype(fields["dtype"]) if "dtype" in fields else None,
        as_initializer(fields["initializer"]) if "initializer" in fields else None,
        typed(fields.get("source", OWN_ENTRY), str, "a source must be a string"),
        _part(fields["part_of"]) if "part_of" in fields else None,
        typed(fields["seed_of"], str, "seed_of must be a string") if "seed_of" in fields else None,
    )


def _part(value: object) -> PartEntry:
    optional = ("shape", "partition_shape", "partition_offset")
    fields = members(value, "part_of", required=("name",), optional=optional)
    return PartEntry(typed(fields["name"], str, "a name must be a string"), *map(fields.get, optional))


def _offset(value: object, numbers: tuple[int, ...]) -> Shape:
    """Return the numbers of a partition_offset, with its references to ranges resolved."""
    given: list[Any] = typed(value, list, "partition_offset must be a list")
    resolved = (resolve(number, numbers) if isinstance(number, str) else number for number in given)
    return tuple(
        integers(
            [int(number) if isinstance(number, str) and number.isdecimal() else number for number in resolved],
            "partition_offset",
        )
    )


def as_name(value: object) -> str:
    """Check the name of a tensor: plans and safetensors files must both accept it.

    Raises:
        TypeError: if the name is not a string.
        ValueError: if it is empty, reserved, or not valid Unicode.
    """
    name: str = value if type(value) is str else typed(value, str, "a name must be a string")
    if name in ("", "__metadata__"):
        raise ValueError(f'a name must be neither empty nor "__metadata__". Received: {shown(name)}')
    if not name.isascii() and any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"a name must be Unicode without lone surrogates. Received: {shown(name)}")
    return name


def entry_shape(value: object, dtype: np.dtype) -> Shape:
    """Check the shape of a tensor and return it as a tuple.

    Raises:
        TypeError: if the shape is not a list of integers.
        ValueError: if a dimension is negative, or a tensor of this shape and dtype is too large.
    """
    dimensions = integers(value, "a shape")
    if len(dimensions) > MAX_RANK:
        raise ValueError(f"a shape must have at most {MAX_RANK} dimensions. Received: {len(dimensions)}")
    if any(dimension < 0 for dimension in dimensions):
        raise ValueError(f"a dimension must not be negative. Received: {shown(value)}")
    if math.prod(filter(None, dimensions)) * dtype.itemsize > MAX_TENSOR_BYTES:
        raise ValueError(f"a tensor must have at most {MAX_TENSOR_BYTES} bytes. Received: {shown(value)} of {dtype}")
    return tuple(dimensions)


def entry_dtype(value: object) -> np.dtype:
    """Return the dtype of a name.

    Raises:
        TypeError: if the name is not a string.
        ValueError: if there is no dtype of this name.
    """
    return as_dtype(typed(value, str, "a dtype must be a string"))


def as_initializer(value: object) -> Initializer:
    """Return the initializer of an entry, without a seed.

    Arguments:
        value: a name or a configuration; from a program also an initializer.

    Raises:
        TypeError: if the value has another type.
        ValueError: if the name or the configuration is invalid, or has a seed.
    """
    if isinstance(value, Initializer):
        config: object = value.get_config()
    elif isinstance(value, (str, dict)):
        config = value.get("config") if isinstance(value, dict) else None
    else:
        raise TypeError(f"an initializer must be a string or an object. Received: {shown(value)}")
    if isinstance(config, dict) and config.get("seed") is not None:
        raise ValueError(
            "an initializer must have no seed here: each tensor draws from the child of one seed that has its name. "
            f"Received: seed={shown(config['seed'])}"
        )
    return value.with_seed(UNBOUND) if isinstance(value, Initializer) else deserialize_unbound(value)


def each(fields: dict[str, Any], key: str, label: str, parse: Callable[[object], T]) -> list[T]:
    """Parse the entries of the list `fields[key]`. An error names the entry by its index and its field `label`."""
    parsed = []
    for index, entry in enumerate(fields.get(key, [])):
        with about(f"{key}[{index}]{f' {shown(entry[label])}' if isinstance(entry, dict) and label in entry else ''}"):
            parsed.append(parse(entry))
    return parsed


def check_unused(unused: object) -> None:
    """Check an argument `unused`, which is "error" or "ignore".

    Raises:
        ValueError: if it has another value, of any type.
    """
    if unused not in ("error", "ignore"):
        raise ValueError(f"unused must be one of 'error', 'ignore'. Received: unused={shortened(unused)}")


@contextmanager
def about(place: str) -> Iterator[None]:
    """Put a place in front of the message of each TypeError and ValueError of the block."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{place}: {error}") from error

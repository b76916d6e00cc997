"""Plans written as JSON: `seedbed.plan.parse_plan` reads the same plan from the text."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from seedbed.config import serialize
from seedbed.dtypes import name_of
from seedbed.plan.ranges import compress, escape
from seedbed.plan.tensor import OWN_ENTRY, PlannedTensor

PartFields: TypeAlias = tuple[str, Sequence[int], Sequence[int], Sequence["int | str"]]
"""Of a part: the name and the shape of the whole, the partition's shape and its offset."""

Fields: TypeAlias = tuple[str, "str | None", "PartFields | None"]
"""An entry without its name: the JSON of its other fields, what it has the seed of, and what it is a part of."""


def to_json(tensors: Sequence[PlannedTensor], config: Mapping[str, Any] | None) -> str:
    """Write a plan: an entry a line, with ranges where entries repeat.

    Raises:
        ValueError: an initializer has no configuration.
    """
    dtypes = Counter(name_of(tensor.dtype) for tensor in tensors)
    common = max(dtypes, key=lambda name: dtypes[name], default="float32")
    entries = compress([(tensor.name, _fields(tensor, common)) for tensor in tensors], _variants)
    parts = [f'  "dtype": {json.dumps(common)}']
    if config is not None:
        text = json.dumps(config, indent=2, allow_nan=False).replace("\n", "\n  ")
        parts.append(f'  "config": {text}')
    lines = ",\n".join(f"    {_line(name, fields)}" for name, fields in entries)
    parts.append(f'  "tensors": [\n{lines}\n  ]' if lines else '  "tensors": []')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def initializer_config(tensor: PlannedTensor) -> str | dict[str, Any]:
    """Return the configuration of a tensor's initializer, without a seed: a name where there is nothing else.

    Raises:
        ValueError: the initializer has no configuration.
    """
    try:
        serialized: Any = serialize(tensor.initializer)
    except ValueError as error:
        raise ValueError(f"{tensor.name!r}: {error}") from error
    config = {key: value for key, value in serialized["config"].items() if key != "seed"}
    return {"class_name": serialized["class_name"], "config": config} if config else serialized["class_name"]


def _fields(tensor: PlannedTensor, common: str) -> Fields:
    fields: dict[str, Any] = {"shape": tensor.shape}
    if name_of(tensor.dtype) != common:
        fields["dtype"] = name_of(tensor.dtype)
    fields["initializer"] = initializer_config(tensor)
    if tensor.source != OWN_ENTRY:
        fields["source"] = tensor.source
    part = tensor.part
    seed_of = None if tensor.seed_of is None else escape(tensor.seed_of)
    return json.dumps(fields), seed_of, None if part is None else (escape(part.name), *part[1:])


def _line(name: str, fields: Fields) -> str:
    text, seed_of, part = fields
    line = f'{{"name": {json.dumps(name)}, {text[1:-1]}'
    if seed_of is not None:
        line += f', "seed_of": {json.dumps(seed_of)}'
    if part is not None:
        line += f', "part_of": {json.dumps(_part_fields(part, json.loads(text)["shape"]))}'
    return line + "}"


def _part_fields(part: PartFields, shape: Sequence[int]) -> dict[str, Any]:
    """What an entry says of the whole: not what is so by default."""
    name, whole, count, offset = part
    fields: dict[str, Any] = {"name": name}
    if list(whole) != list(shape):
        fields["shape"] = whole
    if list(count) != list(whole):
        fields |= {"partition_shape": count, "partition_offset": offset}
    return fields


def _variants(fields: Fields, number: int, reference: str) -> Sequence[Fields]:
    """The entry with or without references in the names of other tensors, and in the offset along the first axis."""
    text, seed_of, part = fields

    def renamed(name: str) -> str:
        return re.sub(rf"(?<![0-9{{]){number}(?![0-9}}])", lambda found: reference, name, count=1)

    seeds = (seed_of, seed_of if seed_of is None else renamed(seed_of))
    if part is None:
        return [(text, of, None) for of in seeds for _ in range(2)]
    name, shape, count, offset = part
    names = zip(seeds, (name, renamed(name)), strict=True)
    moved = (reference, *offset[1:]) if offset and offset[0] == number else offset
    return [(text, of, (n, shape, count, o)) for of, n in names for o in (offset, moved)]

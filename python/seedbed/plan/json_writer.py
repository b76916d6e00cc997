"""Write a plan as JSON. `seedbed.plan.parse_plan` reads the same plan from the text."""

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
"""Fields of a part: name and shape of the whole tensor, partition_shape and partition_offset."""

Fields: TypeAlias = tuple[str, "str | None", "PartFields | None"]
"""An entry without its name: the JSON of its other fields, the name in `seed_of`, and the fields of its part."""


def to_json(tensors: Sequence[PlannedTensor], config: Mapping[str, Any] | None) -> str:
    """Return a plan as JSON, with one line for each entry, and ranges for repeated entries.

    Raises:
        ValueError: if an initializer has no configuration, or `config` is not JSON.
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
    """Return the configuration of a tensor's initializer without a seed, or only its name if nothing else is left.

    Raises:
        ValueError: if the initializer has no configuration.
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
    """Return the value of `part_of` in an entry, without fields that have their default."""
    name, whole, count, offset = part
    fields: dict[str, Any] = {"name": name}
    if list(whole) != list(shape):
        fields["shape"] = whole
    if list(count) != list(whole):
        fields |= {"partition_shape": count, "partition_offset": offset}
    return fields


def _variants(fields: Fields, number: int, reference: str) -> Sequence[Fields]:
    """Return an entry with and without references to a range, in names of other tensors and in its first offset."""
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

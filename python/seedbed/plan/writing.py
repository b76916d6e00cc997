"""Plans written as JSON: `seedbed.plan.parse_plan` reads the same plan from the text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from seedbed.config import serialize
from seedbed.dtypes import name_of
from seedbed.plan.ranges import compress, escape
from seedbed.plan.tensor import OWN_ENTRY, PlannedTensor

Fields = tuple[str, "tuple[str, Sequence[int], Sequence[int], Sequence[int | str]] | None"]
"""An entry without its name: the JSON of its other fields, and of what it is a part of."""


def to_json(tensors: Sequence[PlannedTensor], config: Mapping[str, Any] | None) -> str:
    """Write a plan: an entry a line, with ranges where entries repeat.

    Raises:
        ValueError: an initializer is none of those that have a configuration.
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
        ValueError: the initializer is none of those that have a configuration.
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
    return json.dumps(fields), None if part is None else (escape(part.name), *part[1:])


def _line(name: str, fields: Fields) -> str:
    text, part = fields
    line = f'{{"name": {json.dumps(name)}, {text[1:-1]}'
    if part is not None:
        keys = ("name", "shape", "partition_shape", "partition_offset")
        line += f', "part_of": {json.dumps(dict(zip(keys, part, strict=True)))}'
    return line + "}"


def _variants(fields: Fields, begin: str, number: int, reference: str) -> Sequence[Fields]:
    """The entry; with a reference in the name of the whole; and with another in the offset along the first axis."""
    text, part = fields
    if part is None:
        return fields, fields, fields
    name, shape, count, offset = part
    own = f"{escape(begin)}{number}"
    if name.startswith(own) and not name[len(own) :][:1].isdigit():
        name = escape(begin) + reference + name[len(own) :]
    renamed = text, (name, shape, count, offset)
    if offset and offset[0] == number:
        offset = (reference, *offset[1:])
    return fields, renamed, (text, (name, shape, count, offset))

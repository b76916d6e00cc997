"""A plan for a directory of shards, and names of the files."""

import json

from seedbed.plan import parse_plan

NORMAL = {"class_name": "RandomNormal", "config": {"mean": 0.5, "stddev": 0.02}}


def plan_of(*entries, **fields):
    document = {"tensors": entries, "defaults": [{"pattern": "*", "initializer": NORMAL}], **fields}
    return parse_plan(json.dumps(document))


PLAN = plan_of(
    *({"name": name, "shape": [size]} for name, size in zip("abcdef", (60, 60, 20, 300, 20, 20), strict=True))
)

SHARDS = {1: ["a"], 2: ["d"], 3: ["b", "c", "e"], 4: ["f"]}
"""A plan for shards of 400 bytes: d exceeds one, and is written before the shard that is not yet full."""


def name_of(number, count=4):
    return f"model-{number:05}-of-{count:05}.safetensors"


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}

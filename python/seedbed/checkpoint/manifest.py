"""The manifest of a directory of shards: its plan, its seed, and the size limit of its shards.

It is written before the first shard. With it, an interrupted run is resumed and a finished one is verified without the
source of the plan.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from seedbed import ALGORITHM
from seedbed.checkpoint.layout import as_size
from seedbed.plan import Plan
from seedbed.plan.json_reader import plan_of_document
from seedbed.plan.limits import MAX_PLAN_BYTES
from seedbed.seeds import as_seed
from seedbed.strict_json import decode, members, shown, typed

MANIFEST_NAME = "seedbed.json"

SEED_TEXT = re.compile(r"0|-?[1-9][0-9]{0,76}")
"""Pattern of a seed in a file. It is a string, because many JSON parsers round integers of more than 53 bits."""


class Manifest(NamedTuple):
    """The contents of a manifest. `max_shard_size` is in bytes."""

    plan: Plan
    seed: int
    max_shard_size: int

    def text(self) -> str:
        """Return the manifest as JSON, without the configuration of the model, which has a file of its own.

        Raises:
            ValueError: if an initializer of the plan has no configuration.
        """
        plan = replace(self.plan, config=None).to_json().rstrip().replace("\n", "\n  ")
        return (
            f'{{\n  "algorithm": "{ALGORITHM}",\n  "seed": "{self.seed}",\n'
            f'  "max_shard_size": {self.max_shard_size},\n  "plan": {plan}\n}}\n'
        )


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest of a directory.

    Raises:
        OSError: if it does not exist or cannot be read.
        TypeError: if a value in it has a wrong type.
        ValueError: if it is invalid, or of another algorithm than this version of seedbed.
    """
    path = directory / MANIFEST_NAME
    with path.open("rb") as file:
        content = file.read(2 * MAX_PLAN_BYTES + 1)
    if len(content) > 2 * MAX_PLAN_BYTES:
        raise ValueError(f"{MANIFEST_NAME} must have at most {2 * MAX_PLAN_BYTES} bytes. Received: a longer one")
    try:
        document = decode(content.decode("utf-8", "replace"), MANIFEST_NAME)
        fields = members(document, MANIFEST_NAME, required=("algorithm", "seed", "max_shard_size", "plan"))
        plan = plan_of_document(fields["plan"])
    except RecursionError:
        raise ValueError(f"{MANIFEST_NAME} must be nested a few levels deep at most. Received: a deeper one") from None
    if fields["algorithm"] != ALGORITHM:
        raise ValueError(
            f"the algorithm of a checkpoint must be {ALGORITHM}, as in this version of seedbed. "
            f"Received: {shown(fields['algorithm'])} in {MANIFEST_NAME}"
        )
    size = typed(fields["max_shard_size"], int, "max_shard_size must be an integer")
    return Manifest(plan, seed_of_text(fields["seed"]), as_size(size))


def manifest_of(path: Path) -> Manifest:
    """Read the manifest of a directory, or of the directory of a file.

    Raises:
        OSError: if it cannot be read.
        TypeError: if a value in it has a wrong type.
        ValueError: if it does not exist or is invalid.
    """
    try:
        return read_manifest(path if path.is_dir() else path.parent)
    except FileNotFoundError:
        raise ValueError(
            f"a plan must be given if the directory of the checkpoint has no {MANIFEST_NAME}. Received: {str(path)!r}"
        ) from None


def seed_of_text(text: object) -> int:
    """Return the seed that a file records.

    Raises:
        ValueError: if the text is not a seed.
    """
    if not isinstance(text, str) or not SEED_TEXT.fullmatch(text):
        raise ValueError(f"the seed in a file must be an integer in [-2**255, 2**255). Received: {shown(text)}")
    return as_seed(int(text))

"""The manifest of a directory of shards: which plan is evaluated there, from which seed, in shards of which size.

It is written before the first shard. An interrupted run goes on by it, and a finished one is verified by it, without
the source of the plan.
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
"""A seed as files have it: a text, since it may have more digits than a number of JSON."""


class Manifest(NamedTuple):
    """The plan of a directory, its seed, and the limit of its shards in bytes."""

    plan: Plan
    seed: int
    max_shard_size: int

    def text(self) -> str:
        """The manifest as JSON. The plan is without a configuration, which has a file of its own.

        Raises:
            ValueError: an initializer of the plan has no configuration.
        """
        plan = replace(self.plan, config=None).to_json().rstrip().replace("\n", "\n  ")
        return (
            f'{{\n  "algorithm": "{ALGORITHM}",\n  "seed": "{self.seed}",\n'
            f'  "max_shard_size": {self.max_shard_size},\n  "plan": {plan}\n}}\n'
        )


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest of a directory.

    Raises:
        OSError: there is none, or it cannot be read.
        TypeError, ValueError: it is none, or of another algorithm than that of this version.
    """
    path = directory / MANIFEST_NAME
    with path.open("rb") as file:
        content = file.read(2 * MAX_PLAN_BYTES + 1)
    if len(content) > 2 * MAX_PLAN_BYTES:
        raise ValueError(f"{MANIFEST_NAME} must have at most {2 * MAX_PLAN_BYTES} bytes. Received: more")
    try:
        document = decode(content.decode("utf-8", "replace"), MANIFEST_NAME)
        fields = members(document, MANIFEST_NAME, required=("algorithm", "seed", "max_shard_size", "plan"))
        plan = plan_of_document(fields["plan"])
    except RecursionError:
        raise ValueError(f"{MANIFEST_NAME} must be a few levels deep at most. Received: a deeper one") from None
    if fields["algorithm"] != ALGORITHM:
        raise ValueError(
            f"the algorithm of a checkpoint must be {ALGORITHM}, the one of this version of seedbed. "
            f"Received: {shown(fields['algorithm'])} in {MANIFEST_NAME}"
        )
    size = typed(fields["max_shard_size"], int, "max_shard_size must be an integer")
    return Manifest(plan, seed_of_text(fields["seed"]), as_size(size))


def manifest_of(path: Path) -> Manifest:
    """Read the manifest next to a file, or that of a directory.

    Raises:
        OSError: it cannot be read.
        TypeError, ValueError: there is none, or it is not valid.
    """
    try:
        return read_manifest(path if path.is_dir() else path.parent)
    except FileNotFoundError:
        raise ValueError(
            f"a plan must be given for a checkpoint in whose directory there is no {MANIFEST_NAME}. "
            f"Received: {str(path)!r}"
        ) from None


def seed_of_text(text: object) -> int:
    """The seed that a file records.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(text, str) or not SEED_TEXT.fullmatch(text):
        raise ValueError(f"the seed of a file must be an integer in [-2**255, 2**255). Received: {shown(text)}")
    return as_seed(int(text))

"""Where a plan comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from seedbed.checkpoint.directory import CONFIG_NAME, config_of
from seedbed.checkpoint.manifest import MANIFEST_NAME, read_manifest
from seedbed.plan import Plan, load_plan, parse_plan
from seedbed.plan.reading import shipped_plans
from seedbed.strict_json import decode, typed

MAX_FILE_BYTES = 1 << 28
"""The largest configuration file that is copied: tokenizers have tens of megabytes."""

_CONFIG_SUFFIXES = (".json", ".jinja", ".model", ".txt")
"""Files of these kinds configure a model or its tokenizer. Code and weights are never copied."""


@dataclass(frozen=True)
class Source:
    """A plan, and what came with it."""

    plan: Plan
    path: Path | None = None
    """Where it was read; None for a plan that ships."""
    in_directory: bool = False
    """Whether the directory of `path` belongs to the source too."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """The other configuration files of the source, by name."""


def load_source(text: str, dtype: str | None) -> Source:
    """Load the plan that an argument names.

    Raises:
        OSError: there is no plan of this name, and no file; or it cannot be read.
        TypeError, ValueError: the source is no plan.
    """
    path = Path(text)
    if text in shipped_plans():
        return Source(load_plan(text, dtype=dtype))
    if (path / MANIFEST_NAME).is_file():
        return _from_directory(path, dtype)
    return Source(load_plan(text, dtype=dtype), path)


def _from_directory(directory: Path, dtype: str | None) -> Source:
    """The plan of a directory that `seedbed init` wrote."""
    plan = read_manifest(directory).plan
    files = config_files(directory)
    if CONFIG_NAME in files:
        config = decode(files[CONFIG_NAME].decode(), CONFIG_NAME)
        plan = replace(plan, config=typed(config, dict, f"{CONFIG_NAME} must be an object"))
    return from_files(with_dtype(plan, dtype), directory / MANIFEST_NAME, files)


def from_files(plan: Plan, path: Path, files: dict[str, bytes]) -> Source:
    """A source with the configuration files of its directory."""
    if CONFIG_NAME in files and decode(files[CONFIG_NAME].decode(), CONFIG_NAME) != config_of(plan):
        del files[CONFIG_NAME]  # it has another dtype: the plan's configuration is written in its place
    return Source(plan, path, in_directory=True, files=files)


def with_dtype(plan: Plan, dtype: str | None) -> Plan:
    """The plan with another dtype, for tensors that have the one that most of its tensors have."""
    return plan if dtype is None else parse_plan(plan.to_json(), dtype=dtype)


def config_files(directory: Path) -> dict[str, bytes]:
    """The configuration files of a directory, by name."""
    found = {}
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        name = entry.name
        is_own = name == MANIFEST_NAME or name.endswith(".index.json")
        is_config = name.endswith(_CONFIG_SUFFIXES) and not is_own and not name.startswith(".")
        if is_config and entry.is_file() and entry.stat().st_size <= MAX_FILE_BYTES:
            found[name] = Path(entry.path).read_bytes()
    return found

"""Load a plan from each kind of SOURCE: a shipped plan, a JSON plan, a configuration, a checkpoint or a manifest."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seedbed.checkpoint.directory_writer import CONFIG_NAME, config_of
from seedbed.checkpoint.index import INDEX_SUFFIX
from seedbed.checkpoint.listing import tensors_of
from seedbed.checkpoint.manifest import MANIFEST_NAME, read_manifest
from seedbed.cli.rules import parse_rule
from seedbed.cli.schemes import SchemeChoice
from seedbed.plan import Plan, load_plan, parse_plan
from seedbed.plan.applied_rules import plan_by_rules, with_rules
from seedbed.plan.json_reader import shipped_plans
from seedbed.plan.rules import as_rules
from seedbed.schemes import Scheme
from seedbed.strict_json import decode, typed

MAX_FILE_BYTES = 1 << 28
"""Maximum length of a configuration file that is copied, in bytes. A tokenizer has tens of megabytes."""

_CONFIG_SUFFIXES = (".json", ".jinja", ".model", ".txt")
"""Suffixes of files that configure a model or its tokenizer. Code and weights are never copied."""

_CHILD = (
    "import sys; sys.path = list(filter(None, sys.path)); from seedbed import transformers as t; t.main(sys.argv[1])"
)
"""Program that prints the plan of a configuration. It imports nothing from the working directory."""


@dataclass(frozen=True)
class Source:
    """A plan, its path, and the files that accompany it."""

    plan: Plan
    path: Path | None = None
    """Path of the source, or None for a shipped plan."""
    in_directory: bool = False
    """Whether the source is the whole directory of `path`."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Contents of the other configuration files of the source, by name."""
    scheme: Scheme | None = None
    """The scheme for tensors without a rule, or None."""


def load_source(
    text: str,
    *,
    dtype: str | None = None,
    rules: Sequence[str] = (),
    scheme: SchemeChoice | None = None,
    unused: str = "error",
) -> Source:
    """Load the plan of a source, with the initializers of rules and of a scheme.

    Arguments:
        text: the name of a shipped plan, or a path.
        dtype: dtype of all tensors without a dtype of their own in the plan.
        rules: rules ``PATTERN=INITIALIZER``. The first rule that matches a name decides, and overrides the plan.
        scheme: scheme for tensors without a rule, or None.
        unused: ``"error"``, or ``"ignore"`` to allow rules that decide no tensor.

    Raises:
        OSError: if there is neither a shipped plan nor a file of this name, or the file cannot be read.
        ImportError: if a Hugging Face configuration needs packages that are not installed.
        TypeError: if a value in the source has a wrong type.
        ValueError: if the source has no plan, a rule is wrong or unused, or a tensor gets no initializer.
    """
    named = as_rules([parse_rule(rule) for rule in rules])
    path = Path(text)
    if text not in shipped_plans() and _is_checkpoint(path):
        tensors = tensors_of(path)
        made = None if scheme is None else scheme.scheme(tensors)
        plan = with_dtype(plan_by_rules(tensors, [*named, *([made] if made else [])], unused), dtype)
        is_directory = path.is_dir() or path.name.endswith(INDEX_SUFFIX)
        return Source(plan, path, in_directory=is_directory, scheme=made)
    source = _planned(text, path, dtype, unused)
    made = None if scheme is None else scheme.scheme(source.plan.tensors, source.plan.config)
    if made is not None:
        named = [*named, made]
    return replace(source, plan=with_rules(source.plan, named, unused), scheme=made) if named else source


def _planned(text: str, path: Path, dtype: str | None, unused: str) -> Source:
    """Load a source that has the initializers of its tensors."""
    if text in shipped_plans():
        return Source(load_plan(text, dtype=dtype))
    if (path / MANIFEST_NAME).is_file():
        plan = read_manifest(path).plan
        files = config_files(path)
        if CONFIG_NAME in files:
            config = decode(files[CONFIG_NAME].decode(), CONFIG_NAME)
            plan = replace(plan, config=typed(config, dict, f"{CONFIG_NAME} must be an object"))
        return _with_files(with_dtype(plan, dtype), path / MANIFEST_NAME, files)
    if (path / CONFIG_NAME).is_file():
        return _with_files(_recorded(path / CONFIG_NAME, dtype), path / CONFIG_NAME, config_files(path))
    if path.is_dir():
        what = f"neither {MANIFEST_NAME} nor {CONFIG_NAME} nor a safetensors file"
        raise FileNotFoundError(errno.ENOENT, f"the directory has {what}", text)
    if path.is_file() and _is_configuration(path):
        return Source(_recorded(path, dtype), path)
    return Source(load_plan(text, dtype=dtype, unused=unused), path)


def _is_checkpoint(path: Path) -> bool:
    """Return whether a path is that of safetensors files without a manifest and without a configuration."""
    if not path.is_dir():
        return path.name.endswith((".safetensors", INDEX_SUFFIX))
    has_plan = any((path / name).is_file() for name in (MANIFEST_NAME, CONFIG_NAME))
    return not has_plan and any(name.endswith((".safetensors", INDEX_SUFFIX)) for name in os.listdir(path))  # noqa: PTH208


def _is_configuration(path: Path) -> bool:
    """Return whether a JSON file is a Hugging Face configuration, not a plan."""
    try:
        document: Any = json.loads(path.read_bytes()[: 1 << 24])
    except (ValueError, RecursionError):
        return False
    keys = {"model_type", "architectures"}
    return isinstance(document, dict) and "tensors" not in document and bool(keys & document.keys())


def _recorded(path: Path, dtype: str | None) -> Plan:
    """Return the plan of a configuration. A child process makes it, so that the memory of frameworks is freed."""
    command = [sys.executable, "-c", _CHILD, os.fspath(path.absolute())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        result = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise ValueError(f"cannot make the plan of {os.fspath(path)!r}: {last}") from None
    if "os_error" in result:
        raise OSError(*result["os_error"])
    if "error" in result:
        raise ValueError(result["error"])
    return parse_plan(result["plan"], dtype=dtype)


def _with_files(plan: Plan, path: Path, files: dict[str, bytes]) -> Source:
    """Return a source with the configuration files of its directory."""
    if CONFIG_NAME in files and json.loads(files[CONFIG_NAME]) != config_of(plan):
        del files[CONFIG_NAME]  # another dtype, or not strict JSON: the configuration of the plan replaces it
    return Source(plan, path, in_directory=True, files=files)


def with_dtype(plan: Plan, dtype: str | None) -> Plan:
    """Return a plan with another dtype for all tensors that have its most frequent dtype."""
    return plan if dtype is None else parse_plan(plan.to_json(), dtype=dtype)


def config_files(directory: Path) -> dict[str, bytes]:
    """Return the contents of the configuration files of a directory, by name."""
    found = {}
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        name = entry.name
        is_own = name == MANIFEST_NAME or name.endswith(".index.json")
        is_config = name.endswith(_CONFIG_SUFFIXES) and not is_own and not name.startswith(".")
        if is_config and entry.is_file() and entry.stat().st_size <= MAX_FILE_BYTES:
            found[name] = Path(entry.path).read_bytes()
    return found

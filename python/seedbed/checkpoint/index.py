"""The index of a directory of shards: read it, and refuse an invalid or hostile one of another program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seedbed.checkpoint.header import MAX_KEYS
from seedbed.checkpoint.layout import INDEX_NAME
from seedbed.checkpoint.object_store import is_local, names_in
from seedbed.strict_json import decode, shown, typed

INDEX_SUFFIX = ".safetensors.index.json"

MAX_INDEX_BYTES = 1 << 25
"""Maximum length of an index, in bytes: twice that of the model with the most experts."""

MAX_FILES = 1 << 16
"""Maximum number of shards of a directory."""


@dataclass(frozen=True)
class Shards:
    """The safetensors files of a directory, and the contents of its index."""

    files: tuple[Path, ...]
    index: Path | None
    weight_map: Mapping[str, str] | None
    """Name of the file of each tensor, by the name of the tensor; None if there is no index."""


def shards_of(path: Path) -> Shards:
    """Return the shards of a directory, or of an index.

    Arguments:
        path: path of the directory or of the index.

    Raises:
        OSError: if the directory or the index cannot be read.
        TypeError: if a value in the index has a wrong type.
        ValueError: if the directory has several indexes, or the index is invalid or names a file outside its directory.
    """
    if not path.is_dir():
        return _indexed(path)
    names = names_in(path)
    indexes = [name for name in names if name.endswith(INDEX_SUFFIX)]
    if INDEX_NAME in indexes:
        return _indexed(path / INDEX_NAME)
    if len(indexes) > 1:
        raise ValueError(
            f"a directory must have one index. Received: {', '.join(indexes)}; give the path of one of them"
        )
    if indexes:
        return _indexed(path / indexes[0])
    return Shards(tuple(path / name for name in names if name.endswith(".safetensors")), None, None)


def _indexed(path: Path) -> Shards:
    with path.open("rb") as file:
        content = file.read(MAX_INDEX_BYTES + 1)
    if len(content) > MAX_INDEX_BYTES:
        raise ValueError(f"an index must have at most {MAX_INDEX_BYTES} bytes. Received: a longer one")
    try:
        document = decode(content.decode("utf-8"), "an index")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"an index must be UTF-8. Received: {content[error.start]:#04x} at byte {error.start}"
        ) from None
    except RecursionError:
        raise ValueError("an index must be nested a few levels deep at most. Received: a deeper one") from None
    fields = typed(document, dict, "an index must be an object")
    if "weight_map" not in fields:
        raise ValueError(f'an index must have the key "weight_map". Received: {shown(list(fields))}')
    weight_map = typed(fields["weight_map"], dict, '"weight_map" must be an object')
    if len(weight_map) > MAX_KEYS:
        raise ValueError(f"an index must have at most {MAX_KEYS} tensors. Received: {len(weight_map)}")
    for name, file_name in weight_map.items():
        typed(file_name, str, f"{shown(name)}: a file of an index must be a string")
    names = sorted(set(weight_map.values()))
    if len(names) > MAX_FILES:
        raise ValueError(f"an index must have at most {MAX_FILES} files. Received: {len(names)}")
    _check_within(path.parent, names)
    return Shards(tuple(path.parent / name for name in names), path, weight_map)


def _check_within(directory: Path, names: list[str]) -> None:
    """Check that each name is that of a file in the directory, not a path or link to another place."""
    inside = os.path.realpath(directory) if is_local(directory) else None
    for name in names:
        if name in ("", ".", "..") or "\0" in name or {"/", "\\", ":"} & set(name):
            raise ValueError(f"a file name in an index must have no directory. Received: {shown(name)}")
        if inside is not None and os.path.dirname(os.path.realpath(directory / name)) != inside:  # noqa: PTH120
            raise ValueError(
                "a file of an index must be in its directory, not a symbolic link to another directory. "
                f"Received: {shown(name)}, a link to {shown(os.path.realpath(directory / name))}"
            )

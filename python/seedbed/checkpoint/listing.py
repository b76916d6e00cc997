"""List the tensors of a checkpoint: their names, shapes and dtypes, without their values."""

from __future__ import annotations

import errno
import os

from seedbed.checkpoint.errors import read_errors
from seedbed.checkpoint.header import DTYPE_NAMES
from seedbed.checkpoint.index import INDEX_SUFFIX, shards_of
from seedbed.checkpoint.object_store import path_of
from seedbed.checkpoint.reader import opened, read_checkpoint_header
from seedbed.dtypes import as_dtype
from seedbed.plan.applied_rules import Undecided
from seedbed.plan.entries import as_name
from seedbed.strict_json import shown

_DTYPES = {name: dtype for dtype, name in DTYPE_NAMES.items()}


def tensors_of(path: str | os.PathLike[str]) -> list[Undecided]:
    """Return the tensors of a safetensors file, an index or a directory, in the order of the files.

    Raises:
        OSError: if a file cannot be read, or the directory has no safetensors file.
        TypeError: if a value in an index has a wrong type.
        ValueError: if a file is not a safetensors file or has a dtype that a plan cannot have, or if two files have the
            same tensor.
    """
    place = path_of(path)
    tensors: dict[str, Undecided] = {}
    with read_errors(path):
        files = shards_of(place).files if place.is_dir() or place.name.endswith(INDEX_SUFFIX) else (place,)
        if not files:
            raise FileNotFoundError(errno.ENOENT, "the directory has no safetensors file")
        for file_path in files:
            with opened(file_path) as (file, size):
                entries = read_checkpoint_header(file, size).entries
            for entry in entries:
                if entry.name in tensors:
                    raise ValueError(
                        f"a tensor must be in only one file. Received: {shown(entry.name)} in several files"
                    )
                if entry.dtype not in _DTYPES:
                    known = ", ".join(_DTYPES)
                    raise ValueError(f"{entry.name!r}: a dtype must be one of {known}. Received: {entry.dtype}")
                dtype = as_dtype(_DTYPES[entry.dtype])
                tensors[entry.name] = Undecided(as_name(entry.name), entry.shape, dtype)
    return list(tensors.values())

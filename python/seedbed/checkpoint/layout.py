"""The layout of a checkpoint: the shard of each tensor, and its offsets in the file.

The shards are the same as those of `huggingface_hub`: tensors are added to a shard in the order of the plan until the
next one would exceed the size limit, and a tensor above the limit gets a shard of its own. A single shard is called
``model.safetensors``; several are called ``model-00001-of-00004.safetensors`` and so on, and have an index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seedbed import ALGORITHM
from seedbed.arguments import as_integer
from seedbed.checkpoint.header import ALGORITHM_KEY, SEED_KEY, Entry, Header, dtype_of, encode_header

if TYPE_CHECKING:
    from seedbed.plan import Plan, PlannedTensor

DEFAULT_SHARD_SIZE = "50GB"
"""Default maximum size of the tensors of a shard, as in `save_pretrained` of transformers 5."""

MAX_DATA_BYTES = 1 << 62
"""Maximum size of all tensors of a file, in bytes. (A file system has a lower limit of its own.)"""

MAX_SHARDS = 99_999
"""Maximum number of shards: the number in a file name has five digits."""

INDEX_NAME = "model.safetensors.index.json"

_SIZE = re.compile(r"\s*(\d{1,20}(?:\.\d{1,20})?)\s*(KB|MB|GB|TB)?\s*", re.ASCII | re.IGNORECASE)
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class Layout:
    """The layout of one file."""

    name: str
    header: bytes
    """The bytes before the data."""
    places: tuple[tuple[PlannedTensor, Entry], ...]
    """The tensors and their entries in the header, in the order of the data."""

    @property
    def size(self) -> int:
        """Length of the file, in bytes."""
        return len(self.header) + (self.places[-1][1].stop if self.places else 0)


def file_layout(name: str, tensors: Iterable[PlannedTensor], seed: int) -> Layout:
    """Return the layout of a file.

    Tensors are sorted by item size, the largest first, so that each tensor is aligned. Otherwise they keep their order.

    Raises:
        ValueError: if safetensors has no such dtype, or the tensors or their header are too large.
    """
    places = []
    start = 0
    for tensor in sorted(tensors, key=lambda tensor: -tensor.dtype.itemsize):
        stop = start + tensor.nbytes
        places.append((tensor, Entry(tensor.name, dtype_of(tensor), tensor.shape, start, stop)))
        start = stop
    if start > MAX_DATA_BYTES:
        raise ValueError(f"the tensors of a checkpoint must have at most {MAX_DATA_BYTES} bytes. Received: {start}")
    metadata = {"format": "pt", ALGORITHM_KEY: ALGORITHM, SEED_KEY: str(seed)}
    return Layout(name, encode_header(Header(metadata, tuple(entry for _, entry in places))), tuple(places))


def shard_layouts(plan: Plan, seed: int, max_shard_size: int | str = DEFAULT_SHARD_SIZE) -> list[Layout]:
    """Return the layouts of the shards of a directory.

    Raises:
        TypeError: if `max_shard_size` is neither an integer nor a string.
        ValueError: if `max_shard_size` is not a positive size, or there would be more than `MAX_SHARDS` shards; and as
            `file_layout`.
    """
    shards = _shards(plan.tensors, as_size(max_shard_size))
    if len(shards) > MAX_SHARDS:
        raise ValueError(
            f"a directory must have at most {MAX_SHARDS} shards. "
            f"Received: max_shard_size={max_shard_size!r}, which needs {len(shards)}"
        )
    if len(shards) <= 1:
        return [file_layout("model.safetensors", plan.tensors, seed)]
    return [
        file_layout(f"model-{number:05}-of-{len(shards):05}.safetensors", tensors, seed)
        for number, tensors in enumerate(shards, 1)
    ]


def _shards(tensors: Iterable[PlannedTensor], limit: int) -> list[list[PlannedTensor]]:
    """Divide tensors into shards, in the order of `huggingface_hub.split_torch_state_dict_into_shards`."""
    shards: list[list[PlannedTensor]] = []
    shard: list[PlannedTensor] = []
    size = 0
    for tensor in tensors:
        if tensor.nbytes > limit:
            shards.append([tensor])  # before the shard that is still being filled, as in huggingface_hub
            continue
        if size + tensor.nbytes > limit:
            shards.append(shard)
            shard, size = [], 0
        shard.append(tensor)
        size += tensor.nbytes
    return [*shards, shard] if shard else shards


def index_text(plan: Plan, layouts: Sequence[Layout]) -> str:
    """Return the text of the index of a directory of shards, as transformers writes it."""
    weight_map = {entry.name: layout.name for layout in layouts for _, entry in layout.places}
    metadata = {"total_parameters": plan.parameters, "total_size": plan.nbytes}
    return json.dumps({"metadata": metadata, "weight_map": weight_map}, indent=2, sort_keys=True) + "\n"


def as_size(size: int | str) -> int:
    """Return a size in bytes. A string is a number, with one of the decimal units KB, MB, GB and TB or without.

    Raises:
        TypeError: if the size is neither an integer nor a string.
        ValueError: if a string is not a size, or the size is less than 1 byte.

    >>> as_size("5GB"), as_size("1.5 MB"), as_size(4096)
    (5000000000, 1500000, 4096)
    """
    try:
        text = size if isinstance(size, str) else str(as_integer(size))
    except TypeError:
        text = None
    found = None if text is None else _SIZE.fullmatch(text)
    if found is None:
        raise (TypeError if text is None else ValueError)(
            "max_shard_size must be a positive number of bytes, or a string with one of the units KB, MB, GB and TB, "
            f"such as '5GB'. Received: {size!r}"
        )
    whole, _, fraction = found[1].partition(".")
    scaled: int = int(whole + fraction) * _UNITS.get((found[2] or "").upper(), 1) // 10 ** len(fraction)
    if scaled < 1:
        raise ValueError(f"max_shard_size must be at least 1 byte. Received: {size!r}")
    return scaled

"""Which tensor is where: in which shard of a directory, and at which bytes of its file.

The shards are those that the Hugging Face hub's programs make: tensors go into a shard in the plan's order until the
next one would take it over the limit; a tensor over the limit by itself has a shard of its own. One shard is called
``model.safetensors``, several ``model-00001-of-00004.safetensors`` and so on, with an index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seedbed import ALGORITHM
from seedbed.checkpoint.header import ALGORITHM_KEY, SEED_KEY, Entry, Header, dtype_of, encode_header

if TYPE_CHECKING:
    from seedbed.plan import Plan, PlannedTensor

DEFAULT_SHARD_SIZE = "50GB"
"""The limit of a shard where none is asked for: that of `save_pretrained` in transformers 5."""

MAX_DATA_BYTES = 1 << 62
"""The most bytes of all tensors. (The disk itself refuses what it cannot hold.)"""

MAX_SHARDS = 99_999
"""The most shards: a shard's number has five digits."""

INDEX_NAME = "model.safetensors.index.json"

_SIZE = re.compile(r"\s*(\d{1,20}(?:\.\d{1,20})?)\s*(KB|MB|GB|TB)?\s*", re.ASCII | re.IGNORECASE)
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class Layout:
    """A file: its name, the bytes before the tensors, and the tensors in the order of the file."""

    name: str
    header: bytes
    places: tuple[tuple[PlannedTensor, Entry], ...]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.header) + (self.places[-1][1].stop if self.places else 0)


def file_layout(name: str, tensors: Iterable[PlannedTensor], seed: int) -> Layout:
    """Return the layout of a file: tensors by falling item size, so that each is aligned, and then in their order.

    Raises:
        ValueError: the format has no name for a dtype, or the tensors or their header are too large.
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
    """Return the layouts of the shards of a directory; `file_layout` says what is raised."""
    shards = _shards(plan.tensors, as_size(max_shard_size))
    if len(shards) > MAX_SHARDS:
        raise ValueError(
            f"a directory must have at most {MAX_SHARDS} shards. "
            f"Received: max_shard_size={max_shard_size!r}, which makes {len(shards)}"
        )
    if len(shards) <= 1:
        return [file_layout("model.safetensors", plan.tensors, seed)]
    return [
        file_layout(f"model-{number:05}-of-{len(shards):05}.safetensors", tensors, seed)
        for number, tensors in enumerate(shards, 1)
    ]


def _shards(tensors: Iterable[PlannedTensor], limit: int) -> list[list[PlannedTensor]]:
    """Divide tensors as `huggingface_hub.split_torch_state_dict_into_shards` does, in its order of shards."""
    shards: list[list[PlannedTensor]] = []
    shard: list[PlannedTensor] = []
    size = 0
    for tensor in tensors:
        if tensor.nbytes > limit:
            shards.append([tensor])  # before the shard that others are still added to
            continue
        if size + tensor.nbytes > limit:
            shards.append(shard)
            shard, size = [], 0
        shard.append(tensor)
        size += tensor.nbytes
    return [*shards, shard] if shard else shards


def index_text(plan: Plan, layouts: Sequence[Layout]) -> str:
    """Return the index of a directory of shards, as transformers writes it."""
    weight_map = {entry.name: layout.name for layout in layouts for _, entry in layout.places}
    metadata = {"total_parameters": plan.parameters, "total_size": plan.nbytes}
    return json.dumps({"metadata": metadata, "weight_map": weight_map}, indent=2, sort_keys=True) + "\n"


def as_size(size: int | str) -> int:
    """The bytes of a size: an integer, or a number with one of the decimal units KB, MB, GB and TB.

    Raises:
        TypeError, ValueError: it is neither, or not at least 1.

    >>> as_size("5GB"), as_size("1.5 MB"), as_size(4096)
    (5000000000, 1500000, 4096)
    """
    found = _SIZE.fullmatch(str(size)) if type(size) in (int, str) else None
    if found is None:
        raise (ValueError if type(size) in (int, str) else TypeError)(
            "max_shard_size must be a number of bytes, or a number with one of the units KB, MB, GB and TB, such as "
            f"'5GB'. Received: {size!r}"
        )
    whole, _, fraction = found[1].partition(".")
    scaled: int = int(whole + fraction) * _UNITS.get((found[2] or "").upper(), 1) // 10 ** len(fraction)
    if scaled < 1:
        raise ValueError(f"max_shard_size must be at least 1 byte. Received: {size!r}")
    return scaled

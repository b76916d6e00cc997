"""What a file is that is no safetensors file, by its first bytes."""

from __future__ import annotations

import re

_MAGIC = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, which stands for a file that is still to be fetched: git lfs pull",
    ),
    (b"PK\x03\x04", "a zip archive, such as torch.save and Keras write"),
    (b"\x80", "a pickle, such as torch.save wrote before version 1.6"),
    (b"GGUF", "a GGUF file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a file that is compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "a file that is compressed with zstd"),
)
_WEB_PAGE = re.compile(rb"\s*<(!doctype|html|head|\?xml)", re.IGNORECASE)
_INDEX = re.compile(rb'\s*\{.*"(weight_map|total_size)"', re.DOTALL)
_JSON = re.compile(rb"\s*[\[{]")

RECOGNIZED_BYTES = 4096
"""How many bytes of a file tell what it is."""


def recognized_format(beginning: bytes) -> str | None:
    """Return what a file looks like that begins with these bytes; None for a safetensors file and what is unknown.

    >>> description(b"<!DOCTYPE html>")
    'a web page, such as a server sends with an error or a login'
    """
    if not beginning:
        return "an empty file"
    for magic, kind in _MAGIC:
        if beginning.startswith(magic) and beginning[8:9] != b"{":
            return kind
    if _WEB_PAGE.match(beginning):
        return "a web page, such as a server sends with an error or a login"
    if _INDEX.match(beginning):
        return "an index of shards: verify the directory, or a file whose name ends with .index.json"
    if _JSON.match(beginning) and beginning[8:9] != b"{":
        return "a JSON file"
    return None

"""Recognition of other file formats by their first bytes, for the error about a file that is not safetensors."""

from __future__ import annotations

import re

_MAGIC = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer to a file that is not fetched yet: run git lfs pull",
    ),
    (b"PK\x03\x04", "a zip archive, as torch.save and Keras write"),
    (b"\x80", "a pickle, as torch.save wrote before version 1.6"),
    (b"GGUF", "a GGUF file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a file compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "a file compressed with zstd"),
)
_WEB_PAGE = re.compile(rb"\s*<(!doctype|html|head|\?xml)", re.IGNORECASE)
_INDEX = re.compile(rb'\s*\{.*"(weight_map|total_size)"', re.DOTALL)
_JSON = re.compile(rb"\s*[\[{]")

RECOGNIZED_BYTES = 4096
"""Length of the start of a file that is examined, in bytes."""


def recognized_format(start: bytes) -> str | None:
    """Describe the format of a file by its first bytes. Return None for safetensors and for unknown formats.

    >>> recognized_format(b"<!DOCTYPE html>")
    'a web page, as a server sends with an error or a login'
    """
    if not start:
        return "an empty file"
    for magic, kind in _MAGIC:
        if start.startswith(magic) and start[8:9] != b"{":
            return kind
    if _WEB_PAGE.match(start):
        return "a web page, as a server sends with an error or a login"
    if _INDEX.match(start):
        return "an index of shards: give the directory, or a name that ends with .index.json"
    if _JSON.match(start) and start[8:9] != b"{":
        return "a JSON file"
    return None

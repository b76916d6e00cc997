"""The header of a safetensors file: encode it, and parse it strictly.

The file format::

    8 bytes: length of the header, little-endian
    header: a JSON object, name -> dtype, shape and data_offsets; padded with spaces to a multiple of 64 bytes
    the data of the tensors, without gaps

A header of another program must obey the format exactly: ``__metadata__`` is an object of strings, and the entries
cover each byte of the data once. The safetensors library does not check this: it exposes no offsets, and silently
accepts duplicate names. It also maps the file, and reading a map of a truncated file kills the process by a signal.

A general JSON parser is not used either, because nested lists would take twenty times their length in memory. This
parser takes a small multiple of the length of any header.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from seedbed.plan import PlannedTensor
from seedbed.plan.limits import MAX_TENSORS
from seedbed.strict_json import decode, integers, members, shown, typed

ALIGNMENT = 64
"""Alignment of the data in the file, in bytes: a cache line, and the widest SIMD load."""

LENGTH_BYTES = 8
"""Size of the field with the length of the header, in bytes."""

MAX_HEADER_BYTES = 100_000_000
"""Maximum length of a header, in bytes, as in the safetensors library."""

MAX_KEYS = MAX_TENSORS + 1
"""Maximum number of keys of an object: the tensors of the largest plan, and the metadata."""

MAX_ENTRY = 4096
"""Maximum length of one entry without its name, in characters: 64 dimensions take half of it."""

METADATA = "__metadata__"
ALGORITHM_KEY = "seedbed.algorithm"
SEED_KEY = "seedbed.seed"

DTYPE_NAMES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64", "bool": "BOOL"}
DTYPE_NAMES |= {f"{kind}{bits}": f"{kind[0].upper()}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
"""Names in safetensors of the dtypes that seedbed writes, by their NumPy names."""

_FLOAT8 = {
    "float8_e4m3fn": "F8_E4M3",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2": "F8_E5M2",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
}

BITS = {name: 8 if name == "BOOL" else int(name.lstrip("BFIU")) for name in DTYPE_NAMES.values()}
BITS |= {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64, **dict.fromkeys(_FLOAT8.values(), 8)}
"""Size of an element in bits, by the safetensors name of its dtype, for all dtypes of the format."""

DTYPE_NAMES |= _FLOAT8

_BLANK = re.compile(r"[ \t\n\r]*")
_ENTRY = re.compile(rf"\{{[^{{}}]{{0,{MAX_ENTRY}}}\}}")
_TEXT = json.JSONDecoder()


class Entry(NamedTuple):
    """The entry of a tensor in a header. `start` and `stop` are offsets from the start of the data, in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """A header: the metadata of the file, and the entries of its tensors in the order of their data."""

    metadata: Mapping[str, str]
    entries: tuple[Entry, ...]
    start: int = field(default=0, compare=False)
    """Offset of the data in the file, in bytes, if the header was read from a file."""


def dtype_of(tensor: PlannedTensor) -> str:
    """Return the safetensors name of the dtype of a tensor.

    Raises:
        ValueError: if the format has no such dtype.
    """
    if tensor.dtype.name not in DTYPE_NAMES:
        known = ", ".join(DTYPE_NAMES)
        raise ValueError(f"{tensor.name!r}: a dtype in a checkpoint must be one of {known}. Received: {tensor.dtype}")
    return DTYPE_NAMES[tensor.dtype.name]


def encode_header(header: Header) -> bytes:
    """Return the bytes of a file before its data.

    Raises:
        ValueError: if the header is longer than `MAX_HEADER_BYTES`.
    """
    document: dict[str, object] = {METADATA: header.metadata}
    for name, dtype, shape, start, stop in header.entries:
        document[name] = {"dtype": dtype, "shape": shape, "data_offsets": (start, stop)}
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-(LENGTH_BYTES + len(text)) % ALIGNMENT)
    return _checked_length(len(text)).to_bytes(LENGTH_BYTES, "little") + text


def read_header(read: Callable[[int], bytes], size: int) -> Header:
    """Read the header of a file.

    Arguments:
        read: function that returns the next n bytes of the file, from its start.
        size: length of the file, in bytes.

    Raises:
        ValueError: if the file is not a safetensors file, is truncated, or has bytes after its tensors.
    """
    if size < LENGTH_BYTES:
        raise ValueError(
            f"a checkpoint must start with the length of its header, in {LENGTH_BYTES} bytes. "
            f"Received: {size} bytes; the file is empty or truncated"
        )
    length = _checked_length(int.from_bytes(read(LENGTH_BYTES), "little"))
    data_bytes = size - LENGTH_BYTES - length
    if data_bytes < 0:
        raise ValueError(
            f"a header must end within its file. Received: a header of {length} bytes in a file of {size} bytes; "
            "the file is truncated"
        )
    content = read(length)
    try:
        header = _Reader(content.decode("utf-8")).header()
    except UnicodeDecodeError as error:
        found = f"{content[error.start]:#04x} at byte {error.start}"
        raise ValueError(f"a header must be UTF-8. Received: {found}") from None
    _check_places(header.entries, data_bytes)
    return replace(header, start=LENGTH_BYTES + length)


def _checked_length(length: int) -> int:
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"the header of a checkpoint must have at most {MAX_HEADER_BYTES} bytes. Received: {length}")
    return length


def _check_places(entries: Iterable[Entry], data_bytes: int) -> None:
    end = 0
    for entry in entries:
        if entry.start != end:
            raise ValueError(
                "each tensor of a checkpoint must start at the end of the previous one. "
                f"Received: {shown(entry.name)} at byte {entry.start} instead of {end}"
            )
        end = entry.stop
    if end != data_bytes:
        raise ValueError(
            f"the tensors of a checkpoint must end at the end of the file. Received: {end} bytes of tensors, "
            f"and {data_bytes} in the file{', which is truncated' * (data_bytes < end)}"
        )


class _Reader:
    """A parser of the text of a header."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def header(self) -> Header:
        if not self._text.startswith("{"):
            raise ValueError(f"a header must be a JSON object. Received: {self._next()}")
        metadata: dict[str, str] = {}
        entries: list[Entry] = []
        for name in self._keys():
            if name == METADATA:
                metadata = {key: self._string() for key in self._keys()}
            else:
                entries.append(self._entry(name))
        self._skip_blank()
        if self._at < len(self._text):
            raise ValueError(f"a header must end with its object. Received: {self._next()}")
        return Header(metadata, tuple(sorted(entries, key=lambda entry: (entry.start, entry.stop))))

    def _keys(self) -> Iterator[str]:
        """Yield the keys of the next object. The caller reads the value of each key before it takes the next key."""
        keys: set[str] = set()
        self._take("{")
        self._skip_blank()
        if self._text.startswith("}", self._at):
            self._at += 1
            return
        mark = ","
        while mark == ",":
            key = self._string()
            if key in keys:
                raise ValueError(f"an object must have each key once. Received: {shown(key)} again")
            keys.add(key)
            if len(keys) > MAX_KEYS:
                raise ValueError(f"an object in a header must have at most {MAX_KEYS} keys. Received: more keys")
            self._take(":")
            yield key
            mark = self._take(",", "}")

    def _entry(self, name: str) -> Entry:
        self._skip_blank()
        found = _ENTRY.match(self._text, self._at)
        if found is None:
            raise ValueError(
                f"{shown(name)}: the entry of a tensor must be an object of dtype, shape and data_offsets, of at most "
                f"{MAX_ENTRY} characters. Received: {self._next()}"
            )
        self._at = found.end()
        try:
            return _entry(name, decode(found[0], "the entry of a tensor"))
        except RecursionError:
            raise ValueError(f"{shown(name)}: a shape must be a list of integers. Received: nested lists") from None
        except (TypeError, ValueError) as error:
            raise ValueError(f"{shown(name)}: {error}") from None

    def _string(self) -> str:
        self._take('"')
        try:
            text: str
            text, self._at = _TEXT.raw_decode(self._text, self._at - 1)
        except json.JSONDecodeError as error:
            raise ValueError(f"a header must be JSON. Received: invalid JSON: {error}") from None
        return text

    def _take(self, *marks: str) -> str:
        """Read the next character, which must be one of these marks."""
        self._skip_blank()
        mark = self._text[self._at : self._at + 1]
        if mark not in marks:
            expected = " or ".join(marks)
            raise ValueError(
                f"a header must be JSON, an object of objects. Received: {self._next()} instead of {expected}"
            )
        self._at += 1
        return mark

    def _skip_blank(self) -> None:
        self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]  # it always matches

    def _next(self) -> str:
        rest = self._text[self._at : self._at + 20]
        return f"{shown(rest)} at character {self._at}" if rest else f"the end of the header at character {self._at}"


def _entry(name: str, document: object) -> Entry:
    fields = members(document, "the entry of a tensor", required=("dtype", "shape", "data_offsets"))
    dtype = typed(fields["dtype"], str, "a dtype must be a string")
    if dtype not in BITS:
        raise ValueError(f"a dtype must be one of {', '.join(BITS)}. Received: {shown(dtype)}")
    shape, offsets = integers(fields["shape"], "a shape"), integers(fields["data_offsets"], "data_offsets")
    if any(number < 0 for number in shape + offsets):
        raise ValueError(f"shape and data_offsets must not be negative. Received: {shown(shape)} and {shown(offsets)}")
    bits = math.prod(shape) * BITS[dtype]
    if len(offsets) != 2 or (offsets[1] - offsets[0]) * 8 != bits:
        raise ValueError(
            "data_offsets must be two offsets whose difference is the size of the tensor in bytes. "
            f"Received: {shown(offsets)} for {dtype} {shown(shape)}"
        )
    return Entry(name, dtype, tuple(shape), *offsets)

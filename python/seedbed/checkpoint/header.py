"""The header of a safetensors file, made and read.

::

    length of the header, 8 bytes, little-endian
    header: JSON, name -> dtype, shape, first and last byte; spaces up to a multiple of 64 bytes
    the tensors, one behind the other

What another program wrote is read by the letter of the format: an object of texts under ``__metadata__``, and of
entries that take up the rest of the file, each byte once. It is read here and not by the safetensors library, which has
no offsets to tell, takes one of two entries of the same name, and maps the file: where one becomes shorter, reading a
map ends in a signal. Nor is it read as JSON of any kind: 100 MB can be lists of lists, in twenty times the memory. This
takes a few times the header's bytes, whatever they are.
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
"""The data begin at a multiple of this many bytes: a cache line, and the widest SIMD load."""

LENGTH_BYTES = 8
"""The bytes that tell the length of the header, at the beginning of the file."""

MAX_HEADER_BYTES = 100_000_000
"""The longest header that the safetensors library reads."""

MAX_KEYS = MAX_TENSORS + 1
"""The most keys of an object: as many tensors as a plan may have, and the metadata."""

MAX_ENTRY = 4096
"""The longest text of one entry, its name aside: 64 dimensions take half of it."""

METADATA = "__metadata__"
ALGORITHM_KEY = "seedbed.algorithm"
SEED_KEY = "seedbed.seed"

DTYPE_NAMES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64", "bool": "BOOL"}
DTYPE_NAMES |= {f"{kind}{bits}": f"{kind[0].upper()}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
"""What safetensors calls the dtypes that it shares with NumPy and that seedbed writes."""

_FLOAT8 = {
    "float8_e4m3fn": "F8_E4M3",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2": "F8_E5M2",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
}

BITS = {name: 8 if name == "BOOL" else int(name.lstrip("BFIU")) for name in DTYPE_NAMES.values()}
BITS |= {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64, **dict.fromkeys(_FLOAT8.values(), 8)}
"""All dtypes of safetensors, and the bits of an element."""

DTYPE_NAMES |= _FLOAT8

_BLANK = re.compile(r"[ \t\n\r]*")
_ENTRY = re.compile(rf"\{{[^{{}}]{{0,{MAX_ENTRY}}}\}}")
_TEXT = json.JSONDecoder()


class Entry(NamedTuple):
    """What a header says of a tensor: its name, dtype and shape, and its bytes, counted from where the data begin."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """What is said of the file, and its tensors in the order in which they stand there."""

    metadata: Mapping[str, str]
    entries: tuple[Entry, ...]
    start: int = field(default=0, compare=False)
    """Bytes of the file before the data, where it is read from one."""


def dtype_of(tensor: PlannedTensor) -> str:
    """What the format calls the dtype of a tensor.

    Raises:
        ValueError: where it has no name for it.
    """
    if tensor.dtype.name not in DTYPE_NAMES:
        known = ", ".join(DTYPE_NAMES)
        raise ValueError(f"{tensor.name!r}: a dtype in a checkpoint must be one of {known}. Received: {tensor.dtype}")
    return DTYPE_NAMES[tensor.dtype.name]


def encode_header(header: Header) -> bytes:
    """The bytes of a file before its data.

    Raises:
        ValueError: where there are more than a header may have.
    """
    document: dict[str, object] = {METADATA: header.metadata}
    for name, dtype, shape, start, stop in header.entries:
        document[name] = {"dtype": dtype, "shape": shape, "data_offsets": (start, stop)}
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-(LENGTH_BYTES + len(text)) % ALIGNMENT)
    return _checked_length(len(text)).to_bytes(LENGTH_BYTES, "little") + text


def read_header(read: Callable[[int], bytes], size: int) -> Header:
    """The header of a file.

    Arguments:
        read: returns as many bytes as it is asked for, the next ones of the file, from its beginning.
        size: of the file.

    Raises:
        ValueError: where the file is no safetensors file, or is cut short, or has more behind its tensors.
    """
    if size < LENGTH_BYTES:
        raise ValueError(
            f"a checkpoint must begin with the length of its header, in {LENGTH_BYTES} bytes. "
            f"Received: {size} bytes; the file is empty or cut short"
        )
    length = _checked_length(int.from_bytes(read(LENGTH_BYTES), "little"))
    data_bytes = size - LENGTH_BYTES - length
    if data_bytes < 0:
        raise ValueError(
            f"a header must end within its file. Received: one of {length} bytes in a file of {size}; it is cut short"
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
                "each tensor of a checkpoint must begin where the one before it ends. "
                f"Received: {shown(entry.name)} at byte {entry.start}, where those before it end at {end}"
            )
        end = entry.stop
    if end != data_bytes:
        raise ValueError(
            f"the tensors of a checkpoint must end where the file does. Received: {end} bytes of tensors, "
            f"and {data_bytes} in the file{', which is cut short' * (data_bytes < end)}"
        )


class _Reader:
    """A header's text, and how far it is read."""

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
        """The keys of the object that comes next. The value under each is to be read before the next key."""
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
                raise ValueError(f"an object in a header must have at most {MAX_KEYS} keys. Received: more")
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
            raise ValueError(f"{shown(name)}: a shape must be a list of integers. Received: a deeper one") from None
        except (TypeError, ValueError) as error:
            raise ValueError(f"{shown(name)}: {error}") from None

    def _string(self) -> str:
        self._take('"')
        try:
            text: str
            text, self._at = _TEXT.raw_decode(self._text, self._at - 1)
        except json.JSONDecodeError as error:
            raise ValueError(f"a header must be JSON. Received: something else, {error}") from None
        return text

    def _take(self, *marks: str) -> str:
        """Read what has to come next: one of these characters."""
        self._skip_blank()
        mark = self._text[self._at : self._at + 1]
        if mark not in marks:
            expected = " or ".join(marks)
            raise ValueError(f"a header must be JSON, an object of objects. Received: {self._next()} for {expected}")
        self._at += 1
        return mark

    def _skip_blank(self) -> None:
        self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]  # it always matches

    def _next(self) -> str:
        rest = self._text[self._at : self._at + 20]
        return f"{shown(rest)} at character {self._at}" if rest else f"its end at character {self._at}"


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
            "data_offsets must be two, as far apart as a tensor of the dtype and shape has bytes. "
            f"Received: {shown(offsets)} for {dtype} {shown(shape)}"
        )
    return Entry(name, dtype, tuple(shape), *offsets)

"""Direct I/O: between the disk and the blocks of a ring, past the page cache."""

from __future__ import annotations

import os

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

DIRECT_BYTES = 1 << 20
"""A file shorter than this is read and written through the page cache: direct I/O does not pay."""

ALIGNMENT = 4096
"""Addresses, offsets and lengths are multiples of this many bytes, a page, whatever the disk."""


def set_direct(descriptor: int, direct: bool) -> bool:
    """Turn direct I/O on or off; return whether it is on."""
    if fcntl is None or not hasattr(os, "O_DIRECT"):
        return False
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if direct else flags & ~os.O_DIRECT)
    except OSError:
        return False
    return direct


def is_cached(descriptor: int, size: int) -> bool:
    """Whether a file is in the page cache, by a few samples: reading it there is faster than from most disks."""
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    byte = bytearray(1)
    try:
        return all(os.preadv(descriptor, [byte], size * part // 16, os.RWF_NOWAIT) for part in range(16))
    except OSError:  # EAGAIN: it is not
        return False

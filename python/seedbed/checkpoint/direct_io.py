"""Direct I/O between the disk and memory, past the page cache."""

from __future__ import annotations

import os

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

DIRECT_BYTES = 1 << 20
"""Minimum file length for direct I/O, in bytes. For a shorter file the page cache is faster."""

ALIGNMENT = 4096
"""Alignment of memory addresses, file offsets and lengths, in bytes: a page, which satisfies every disk."""


def set_direct(descriptor: int, direct: bool) -> bool:
    """Turn direct I/O on or off for a descriptor. Return whether it is on now."""
    if fcntl is None or not hasattr(os, "O_DIRECT"):
        return False
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if direct else flags & ~os.O_DIRECT)
    except OSError:
        return False
    return direct


def is_cached(descriptor: int, size: int) -> bool:
    """Return whether a file seems to be in the page cache, by 16 samples. Reading from there beats most disks."""
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    byte = bytearray(1)
    try:
        return all(os.preadv(descriptor, [byte], size * part // 16, os.RWF_NOWAIT) for part in range(16))
    except OSError:  # EAGAIN: a sample is not in the page cache
        return False

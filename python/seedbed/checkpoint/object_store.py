"""Local paths, and URLs of directories and objects in an object store, by fsspec.

A `UPath` of universal_pathlib represents a URL and has the methods of a `Path`. An object is uploaded in parts, and
exists only after the last step of the upload.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

T = TypeVar("T")

PART_BYTES = 1 << 24
"""Minimum size of a part of an upload, in bytes. Parts are larger if there would be more than `MAX_PARTS`."""

MAX_PARTS = 9_000
"""Maximum number of parts of an upload. S3 accepts 10,000."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(path: object) -> bool:
    """Return whether a path is a URL.

    >>> is_url("s3://bucket/model"), is_url("models/gpt2")
    (True, False)
    """
    return isinstance(path, str) and _URL.match(path) is not None


def path_of(path: str | os.PathLike[str]) -> Path:
    """Return a `Path` for a local path, and a `UPath`, which has the same methods, for a URL.

    Raises:
        TypeError: if the path is neither a string nor a path.
        ImportError: if the path is a URL, and fsspec or universal_pathlib is not installed.
        ValueError: if fsspec does not know the protocol of the URL.
    """
    if not is_url(path):
        if isinstance(path, (str, os.PathLike)):
            return Path(path)  # a TypeError for bytes
        if not hasattr(path, "fs"):  # a UPath, which is not PathLike, has one
            raise TypeError(f"a path must be a string or a path. Received: {type(path).__name__}")
        return path
    try:
        from upath import UPath
    except ImportError:
        raise ImportError(f"{path!r} needs fsspec and universal_pathlib: pip install 'seedbed[storage]'") from None
    found: Path = UPath(path, use_listings_cache=False)  # other processes write there too
    return found


def is_local(path: Path) -> bool:
    """Return whether a path is a local one, not a URL."""
    return isinstance(path, Path)


def names_in(path: Path) -> list[str]:
    """Return the sorted names in a directory. In an object store, a directory without objects does not exist."""
    if is_local(path):
        return sorted(os.listdir(path))  # noqa: PTH208  # names, not paths
    return sorted(each.name for each in _calling(lambda: list(path.iterdir()) if path.exists() else []))


def open_remote(path: Path) -> IO[bytes]:
    """Open an object for reading, without a cache: it is read once, in order.

    Raises:
        OSError: if the object does not exist or cannot be read.
    """
    remote: Any = path
    opened: IO[bytes] = _calling(lambda: remote.fs.open(remote.path, "rb", cache_type="none"))
    return opened


class Upload:
    """A `Destination`: the upload of an object of known size. It may replace an existing object."""

    interruptible = True

    def __init__(self, path: Path, size: int) -> None:
        """Prepare for an object of `size` bytes. Nothing is sent before `write`."""
        self._path: Any = path
        self._size = size
        self._file: Any = None

    def check(self) -> None:
        """Check that the URL names an object.

        Raises:
            OSError: if the URL ends with a separator, or the store cannot be reached.
        """
        if not self._path.name:
            raise IsADirectoryError(errno.EISDIR, "the name of an object must not be empty or end with a separator")

    def open(self) -> None:
        """Start the upload."""
        self.check()
        part = max(PART_BYTES, -(-self._size // MAX_PARTS))
        fs, path = self._path.fs, self._path.path
        self._file = _calling(lambda: fs.open(path, "wb", block_size=part, autocommit=False))

    def write(self, block: np.ndarray) -> None:
        """Add the next block, and send each full part."""
        _calling(lambda: self._file.write(block.data))

    def finish(self) -> None:
        """Complete the upload, so that the object exists.

        Raises:
            OSError: if the store refuses.
        """
        _calling(self._file.close)
        _calling(self._file.commit)
        self._file = None

    def discard(self) -> None:
        """Abort an unfinished upload, so that the store deletes its parts."""
        file, self._file = self._file, None
        if file is not None:
            # `close` would send the remaining bytes as a last part.
            file.closed = True
            _calling(file.discard)


def _calling(function: Callable[[], T]) -> T:
    """Call a function of a store, and raise its own errors, such as those of botocore, as an OSError."""
    try:
        return function()
    except OSError as error:
        if error.errno is not None:
            raise
        raise OSError(errno.EIO, str(error)) from error
    except (ImportError, TypeError, MemoryError):
        raise
    except Exception as error:
        raise OSError(errno.EIO, f"{type(error).__name__}: {error}") from error

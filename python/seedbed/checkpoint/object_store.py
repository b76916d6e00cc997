"""Places that are URLs: directories and files of an object store, by fsspec.

A `UPath` of universal_pathlib has the methods of a `Path`. An object appears under its name when its upload is
complete: the parts go up one after the other, and until the last step they have no name.
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
"""The least bytes of a part of an upload, as long as the upload has no more than `MAX_PARTS`."""

MAX_PARTS = 9_000
"""The most parts of an upload: S3 takes 10,000."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(path: object) -> bool:
    """Whether a path is the URL of a place that fsspec knows.

    >>> is_url("s3://bucket/model"), is_url("models/gpt2")
    (True, False)
    """
    return isinstance(path, str) and _URL.match(path) is not None


def path_of(path: str | os.PathLike[str]) -> Path:
    """Return the `Path` of a local file or directory, and for a URL a `UPath`, which has the same methods.

    Raises:
        ImportError: the URL needs packages that are not installed.
        ValueError: fsspec does not know the protocol.
    """
    if not is_url(path):
        return Path(path) if isinstance(path, (str, os.PathLike)) else path  # a UPath is not PathLike
    try:
        from upath import UPath
    except ImportError:
        raise ImportError(f"{path!r} needs fsspec and universal_pathlib: pip install 'seedbed[storage]'") from None
    found: Path = UPath(path, use_listings_cache=False)  # others write there too
    return found


def is_local(path: Path) -> bool:
    """Whether a path is one of this machine's file systems."""
    return isinstance(path, Path)


def names_in(path: Path) -> list[str]:
    """Return the names in a directory, sorted. A directory of an object store is there once something is in it."""
    if is_local(path):
        return sorted(os.listdir(path))  # noqa: PTH208  # names, not paths
    return sorted(each.name for each in _calling(lambda: list(path.iterdir()) if path.exists() else []))


def open_remote(path: Path) -> IO[bytes]:
    """Open an object for reading, without a cache: it is read once, from its beginning to its end.

    Raises:
        OSError: there is none.
    """
    remote: Any = path
    opened: IO[bytes] = _calling(lambda: remote.fs.open(remote.path, "rb", cache_type="none"))
    return opened


class Upload:
    """An object of known size that takes the place of another, or of none. A `Destination`."""

    interruptible = True

    def __init__(self, path: Path, size: int) -> None:
        """Prepare for an object of `size` bytes; nothing is sent before `write`."""
        self._path: Any = path
        self._size = size
        self._file: Any = None

    def check(self) -> None:
        """Refuse a URL that is no name of an object.

        Raises:
            OSError: it has no name, or the store cannot be reached.
        """
        if not self._path.name:
            raise IsADirectoryError(errno.EISDIR, "an object must have a name, which does not end with a separator")

    def open(self) -> None:
        """Begin the upload."""
        self.check()
        part = max(PART_BYTES, -(-self._size // MAX_PARTS))
        fs, path = self._path.fs, self._path.path
        self._file = _calling(lambda: fs.open(path, "wb", block_size=part, autocommit=False))

    def write(self, block: np.ndarray) -> None:
        """Send the next bytes, as soon as they make a part."""
        _calling(lambda: self._file.write(block.data))

    def finish(self) -> None:
        """Give the object its name.

        Raises:
            OSError: the store refuses.
        """
        _calling(self._file.close)
        _calling(self._file.commit)
        self._file = None

    def discard(self) -> None:
        """Abort the upload, where there is one, so that the store drops its parts."""
        file, self._file = self._file, None
        if file is not None:
            # Closing would send what is left as a last part.
            file.closed = True
            _calling(file.discard)


def _calling(function: Callable[[], T]) -> T:
    """Call a function of a store: an error that is none of the system, such as those of botocore, becomes one."""
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

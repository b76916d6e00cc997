"""Operating system errors that name the path that the user gave, whatever file the system names."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def write_errors(path: str, what: str = "the checkpoint") -> Iterator[None]:
    """Raise each OSError of the block as one that says that `what` cannot be written to `path`."""
    try:
        yield
    except OSError as error:
        number, reason = _reason_of(error)
        raise OSError(number, f"cannot write {what}: {reason}", path) from error


@contextmanager
def read_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise each OSError of the block as one that says that the checkpoint cannot be read.

    It names the file that the error names, such as a shard, or else `path`.
    """
    try:
        yield
    except OSError as error:
        number, reason = _reason_of(error)
        raise OSError(number, f"cannot read the checkpoint: {reason}", error.filename or os.fspath(path)) from error


def _reason_of(error: OSError) -> tuple[int, str]:
    """Return the number and the text of an error. Errors of fsspec often have no number."""
    number = error.errno or (errno.ENOENT if isinstance(error, FileNotFoundError) else errno.EIO)
    return number, error.strerror or str(error)

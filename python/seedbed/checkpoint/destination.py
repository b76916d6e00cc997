"""Destinations of a file that is written block by block, in order, without seeking.

A `Destination` is a new file, a pipe, or the upload of an object (`seedbed.checkpoint.object_store`). A new file first
has a random temporary name in its final directory. It is renamed to its final name only when all of its bytes are on
the disk. If the work ends before that, the file of the final name is unchanged.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np

from seedbed.checkpoint.direct_io import ALIGNMENT, DIRECT_BYTES, set_direct
from seedbed.checkpoint.object_store import Upload, is_local, path_of

COPY_BYTES = 1 << 24
"""Length of the piece that is copied at a time, in bytes."""


class Destination(Protocol):
    """An output that takes the bytes of a file in order. Any thread may call its methods, one at a time."""

    interruptible: bool
    """Whether `write` always returns soon. A write to a pipe waits for its reader."""

    def check(self) -> None:
        """Raise an error if the destination cannot be written. Create nothing."""

    def open(self) -> None:
        """Prepare to write. Raise an error if the destination cannot be written."""

    def write(self, block: np.ndarray) -> None:
        """Write all bytes of the next block."""

    def finish(self) -> None:
        """Make the file permanent, after the last block."""

    def discard(self) -> None:
        """Remove the written bytes, unless `finish` has succeeded."""


class NewFile:
    """A new file of known size. It may replace an existing file.

    It gets the permissions of the file that it replaces, and its owner and group if the process may set them. Symbolic
    links are followed. If the file system allows it, disk space is reserved on opening and the page cache is bypassed.
    Otherwise each block is flushed to the disk and dropped from the page cache before the next one is written.
    """

    interruptible = True

    def __init__(self, path: str | os.PathLike[str], size: int, replaces: bool = True) -> None:
        """Prepare for a file of `size` bytes. Nothing is created before `open`.

        If `replaces` is false, `finish` raises an error if the file exists by then. (A file system without hard links
        cannot check this, and the file is replaced.)
        """
        self._path = os.fspath(path)  # a string: a `Path` drops a trailing separator
        self._size = size
        self._replaces = replaces
        self._descriptor: int | None = None
        self._temporary: Path | None = None

    def check(self) -> None:
        """Raise the errors of `open` that can be found without creating a file.

        Raises:
            OSError: if the directory does not exist; if the destination exists and is not a regular file; if the path
                ends with a separator; or if symbolic links form a loop.
        """
        self._replaced = self._status()
        self._target = _target_of(self._path)

    def open(self) -> None:
        """Create the temporary file.

        Raises:
            OSError: as `check`; or if the disk does not have enough space.
        """
        self.check()
        self._renames = self._replaced is None or not _is_mount_point(self._target)
        temporary = self._target.with_name(f".seedbed-{secrets.token_hex(16)}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(temporary, flags, 0o666 if self._replaced is None else 0o600)
        self._temporary = temporary
        _reserve(self._descriptor, self._size)
        self._direct = self._size >= DIRECT_BYTES and set_direct(self._descriptor, True)

    def write(self, block: np.ndarray) -> None:
        """Write all bytes of the next block. Those of a large file do not stay in the page cache."""
        assert self._descriptor is not None
        view = block.data
        while view:
            length = len(view) - len(view) % ALIGNMENT if self._direct else len(view)
            try:
                written = os.write(self._descriptor, view[:length]) if length else 0
            except OSError as error:
                if not self._direct or error.errno != errno.EINVAL:
                    raise
                written = 0  # some file systems accept the flag for direct I/O, but no direct write
            view = view[written:]
            if self._direct and (not written or written % ALIGNMENT):  # the rest is shorter than a page
                self._direct = False
                set_direct(self._descriptor, False)
        if not self._direct and self._size >= DIRECT_BYTES:
            _flush(self._descriptor)

    def finish(self) -> None:
        """Flush the file to the disk and give it its final name.

        A file that is a mount point cannot be replaced by a rename: the bytes are copied into it instead.

        Raises:
            FileExistsError: if the file has come to exist, and must not be replaced.
            OSError: if the disk or the directory refuses. If a copy fails, the error names the temporary file, which
                is kept.
        """
        assert self._descriptor is not None
        assert self._temporary is not None
        if self._replaced is not None and self._renames:
            _set_owner(self._descriptor, self._replaced)
        os.fsync(self._descriptor)
        self._close()
        if not self._replaces and self._linked():
            self.discard()
        elif self._renames:
            self._temporary.replace(self._target)
            self._temporary = None
        else:
            self._copy()
        sync_folder(self._target.parent)

    def discard(self) -> None:
        """Remove the temporary file, if it exists."""
        self._close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def _status(self) -> os.stat_result | None:
        try:
            status = os.stat(self._path)  # noqa: PTH116  # `Path` drops a trailing separator
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):  # a directory; or a device, which a rename would delete
            raise OSError(errno.EINVAL, "not a regular file")
        return status

    def _linked(self) -> bool:
        """Give the file its final name by a hard link. Return False if the file system has no hard links."""
        assert self._temporary is not None
        try:
            os.link(self._temporary, self._target)  # unlike a rename, this fails if the name exists
        except FileExistsError:
            raise
        except OSError:
            return False
        return True

    def _copy(self) -> None:
        """Copy the temporary file into the existing destination, and remove the temporary file."""
        temporary, self._temporary = (
            self._temporary,
            None,
        )  # from here on it is the only complete copy: `discard` must keep it
        assert temporary is not None
        try:
            with temporary.open("rb") as source, self._target.open("r+b") as copy:
                copy.truncate(0)
                while piece := source.read(COPY_BYTES):
                    copy.write(piece)
                copy.flush()
                os.fsync(copy.fileno())
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; the whole file is kept as {str(temporary)!r}") from error
        temporary.unlink()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Pipe:
    """An open descriptor, such as a pipe, a socket or a terminal. It is written to, but not closed."""

    interruptible = False

    def __init__(self, descriptor: int) -> None:
        """Prepare to write to `descriptor`."""
        self._descriptor = descriptor

    def check(self) -> None:
        """Do nothing: the descriptor is open."""

    def open(self) -> None:
        """Do nothing: the descriptor is open."""

    def write(self, block: np.ndarray) -> None:
        """Write all bytes of the next block. This waits for the reader."""
        view = block.data
        while view:
            view = view[os.write(self._descriptor, view) :]

    def finish(self) -> None:
        """Do nothing: the caller closes the descriptor."""

    def discard(self) -> None:
        """Do nothing: written bytes cannot be taken back."""


def destination_of(path: str | os.PathLike[str], size: int, replaces: bool = True) -> Destination:
    """Return the destination of a file of `size` bytes: a new local file, or the upload of an object at a URL."""
    place = path_of(path)
    return NewFile(path, size, replaces) if is_local(place) else Upload(place, size)


def write_file(path: str | os.PathLike[str], content: bytes, replaces: bool = True) -> None:
    """Write a small file in one step, so that it never exists in part.

    Raises:
        FileExistsError: if the file exists and `replaces` is false.
        OSError: if the file cannot be written.
    """
    file = destination_of(path, len(content), replaces)
    try:
        file.open()
        file.write(np.frombuffer(content, np.uint8))
        file.finish()
    finally:
        file.discard()


def _target_of(path: str) -> Path:
    """Return the absolute path of a file, with symbolic links followed.

    Raises:
        IsADirectoryError: if the path, or the target of a link, ends with a separator, as in `new/`.
        FileNotFoundError: if the directory of the file does not exist.
    """
    while True:
        folder, name = os.path.split(path)
        if name in ("", os.curdir, os.pardir):
            raise IsADirectoryError(errno.EISDIR, "the name of a file must not be empty or end with a separator")
        place = Path(folder, name)
        if not place.is_symlink():
            break
        path = os.path.join(folder, os.readlink(place))  # noqa: PTH115, PTH118  # `Path` drops a trailing separator
    if not place.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no directory {folder!r}")
    return place.parent.resolve() / name


def _reserve(descriptor: int, size: int) -> None:
    """Reserve disk space for a file, if the file system supports it, so that a full disk is found before the work.

    `os.posix_fallocate` is unsuitable: on a file system without support, the C library writes to each block instead.
    """
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_long) != 8 or size == 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "fallocate"):
        return
    while libc.fallocate(descriptor, 0, ctypes.c_int64(0), ctypes.c_int64(size)):
        number = ctypes.get_errno()
        if number in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def _flush(descriptor: int) -> None:
    """Flush a file to the disk and drop it from the page cache: a full page cache slows writes down."""
    getattr(os, "fdatasync", os.fsync)(descriptor)
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _set_owner(descriptor: int, status: os.stat_result) -> None:
    """Give a file the owner, group and permissions of another file, as far as the process may."""
    if not hasattr(os, "fchown"):
        return
    for owner, group in ((status.st_uid, -1), (-1, status.st_gid)):
        with suppress(PermissionError):
            os.fchown(descriptor, owner, group)
    os.fchmod(descriptor, status.st_mode & 0o777)


def _is_mount_point(path: Path) -> bool:
    """Return whether a file is a mount point. Containers mount single files; a rename cannot replace these."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    escaped = os.fsencode(path)
    for character in (b"\\", b" ", b"\t", b"\n"):
        escaped = escaped.replace(character, b"\\%03o" % ord(character))
    return any(line.split(b" ")[4] == escaped for line in lines)


def sync_folder(folder: Path) -> None:
    """Flush the names in a directory to the disk."""
    if os.name != "posix":  # Windows cannot open a directory
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

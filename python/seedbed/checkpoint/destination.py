"""Where a file is written: block by block, from its beginning to its end, without seeking.

A `Destination` is a new file, a pipe, or the upload of an object (`seedbed.checkpoint.object_store`). A new file has a
temporary name in the folder of its final one, which nobody can guess and no file had, until it is whole and on the
disk. Then it takes the final name in one step. Whatever ends the work before that leaves the final name as it was.
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
"""Bytes that are copied at a time."""


class Destination(Protocol):
    """What takes the bytes of a file in their order. Its methods may be called from any thread, one at a time."""

    interruptible: bool
    """Whether `write` returns in reasonable time, whatever others do."""

    def check(self) -> None:
        """Refuse what can be refused without making anything."""

    def open(self) -> None:
        """Prepare to write, and refuse what can be refused before any work is done."""

    def write(self, block: np.ndarray) -> None:
        """Write the next bytes, all of them."""

    def finish(self) -> None:
        """Make the file last: all of its bytes are written."""

    def discard(self) -> None:
        """Remove what was written, unless `finish` is through."""


class NewFile:
    """A file of known size that takes the place of another, or of none.

    The permissions are those of the file it replaces, and owner and group too where the process may set them. Symbolic
    links are followed. Where the file system allows it, the space is reserved when the file is opened, and the page
    cache is bypassed; elsewhere each block leaves the page cache for the disk before the next one enters it.
    """

    interruptible = True

    def __init__(self, path: str | os.PathLike[str], size: int, replaces: bool = True) -> None:
        """Prepare for a file of `size` bytes; nothing is made before `open`.

        Without `replaces`, `finish` refuses if there is a file by then, where the file system has hard links.
        """
        self._path = os.fspath(path)  # a text: a `Path` has lost a separator at its end
        self._size = size
        self._replaces = replaces
        self._descriptor: int | None = None
        self._temporary: Path | None = None

    def check(self) -> None:
        """Refuse a destination that `open` refuses, without making anything.

        Raises:
            OSError: there is no such folder; the destination is no ordinary file, or has the name of a folder; links
                lead in a circle.
        """
        self._replaced = self._status()
        self._target = _target_of(self._path)

    def open(self) -> None:
        """Make the temporary file.

        Raises:
            OSError: as `check` does; or there is no space.
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
        """Write the next bytes, and begin to move them to the disk."""
        assert self._descriptor is not None
        view = block.data
        while view:
            length = len(view) - len(view) % ALIGNMENT if self._direct else len(view)
            try:
                written = os.write(self._descriptor, view[:length]) if length else 0
            except OSError as error:
                if not self._direct or error.errno != errno.EINVAL:
                    raise
                written = 0  # this file system only seemed to agree to direct I/O
            view = view[written:]
            if self._direct and (not written or written % ALIGNMENT):  # the last bytes: the rest goes the other way
                self._direct = False
                set_direct(self._descriptor, False)
        if not self._direct and self._size >= DIRECT_BYTES:
            _flush(self._descriptor)

    def finish(self) -> None:
        """Give the file its final name, once it is on the disk.

        Raises:
            FileExistsError: there is a file now, and the new one must not replace it.
            OSError: the disk or the folder refuses. A destination that is mounted by itself cannot be renamed to: the
                bytes are copied to it, and the error names the temporary file if that fails half way.
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
        """Remove the temporary file, where there is one."""
        self._close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def _status(self) -> os.stat_result | None:
        try:
            status = os.stat(self._path)  # noqa: PTH116  # `Path` drops a separator at the end
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):  # a folder; or a device, which a rename would do away with
            raise OSError(errno.EINVAL, "not an ordinary file")
        return status

    def _linked(self) -> bool:
        """Give the file its final name as a second one; return whether the file system has such names."""
        assert self._temporary is not None
        try:
            os.link(self._temporary, self._target)  # unlike a rename, it refuses a name that is taken
        except FileExistsError:
            raise
        except OSError:
            return False
        return True

    def _copy(self) -> None:
        """Write the temporary file's bytes over those of the destination, and remove it."""
        temporary, self._temporary = self._temporary, None  # from here on it is the only whole copy
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
    """A descriptor that is written to and not closed: a pipe, a socket or a terminal."""

    interruptible = False

    def __init__(self, descriptor: int) -> None:
        """Prepare to write to `descriptor`."""
        self._descriptor = descriptor

    def check(self) -> None:
        """Do nothing: it is open."""

    def open(self) -> None:
        """Do nothing: it is open."""

    def write(self, block: np.ndarray) -> None:
        """Write the next bytes, as fast as the reader takes them."""
        view = block.data
        while view:
            view = view[os.write(self._descriptor, view) :]

    def finish(self) -> None:
        """Do nothing: it is the caller's to close."""

    def discard(self) -> None:
        """Do nothing: what is written is gone."""


def destination_of(path: str | os.PathLike[str], size: int, replaces: bool = True) -> Destination:
    """Return what a file of `size` bytes is written to: a new file, or the upload of an object at a URL."""
    place = path_of(path)
    return NewFile(path, size, replaces) if is_local(place) else Upload(place, size)


def write_file(path: str | os.PathLike[str], content: bytes, replaces: bool = True) -> None:
    """Write a small file as a new one, in one step; without `replaces`, refuse if there is one."""
    file = destination_of(path, len(content), replaces)
    try:
        file.open()
        file.write(np.frombuffer(content, np.uint8))
        file.finish()
    finally:
        file.discard()


def _target_of(path: str) -> Path:
    """Return the absolute path of the file that `open` would make or replace: links are followed, its folder exists.

    Raises:
        IsADirectoryError: the path, or what a link says, is the name of a folder: `new/`.
        FileNotFoundError: there is no such folder.
    """
    while True:
        folder, name = os.path.split(path)
        if name in ("", os.curdir, os.pardir):
            raise IsADirectoryError(errno.EISDIR, "a file must have a name, which does not end with a separator")
        place = Path(folder, name)
        if not place.is_symlink():
            break
        path = os.path.join(folder, os.readlink(place))  # noqa: PTH115, PTH118  # `Path` drops a separator at the end
    if not place.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no directory {folder!r}")
    return place.parent.resolve() / name


def _reserve(descriptor: int, size: int) -> None:
    """Reserve the file's space where the file system can; where it cannot, a full disk is noticed when it is full.

    `os.posix_fallocate` would not do: where the file system refuses, the C library writes to every block.
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
    """Wait until all is on the disk, and drop it from the page cache: a full one is several times as slow."""
    getattr(os, "fdatasync", os.fsync)(descriptor)
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _set_owner(descriptor: int, status: os.stat_result) -> None:
    """Give a file owner, group and permissions of another, as far as the process may."""
    if not hasattr(os, "fchown"):
        return
    for owner, group in ((status.st_uid, -1), (-1, status.st_gid)):
        with suppress(PermissionError):
            os.fchown(descriptor, owner, group)
    os.fchmod(descriptor, status.st_mode & 0o777)


def _is_mount_point(path: Path) -> bool:
    """Whether a file is mounted by itself, as containers mount single files: such a name cannot be renamed to."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    escaped = os.fsencode(path)
    for character in (b"\\", b" ", b"\t", b"\n"):
        escaped = escaped.replace(character, b"\\%03o" % ord(character))
    return any(line.split(b" ")[4] == escaped for line in lines)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

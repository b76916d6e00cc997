"""The standard streams of a command. Any of them may be closed, full, or a pipe without a reader.

In these cases the output is lost, but the command does its work, and its exit status reports the result.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any, TextIO, TypeVar, cast

T = TypeVar("T")


def print_stderr(text: str) -> None:
    """Write a line to the standard error."""
    print(text, file=sys.stderr, flush=True)


def print_stdout(text: str) -> None:
    """Write a line of the result to the standard output."""
    print(text, flush=True)


def print_json(result: dict[str, Any], write: Callable[[str], None] = print_stdout) -> None:
    """Write a result as JSON, an object in one line."""
    write(json.dumps(result))


def has_rich() -> bool:
    """Return whether rich is installed, which draws tables and bars. Plain lines have the same contents."""
    return find_spec("rich") is not None


class LenientStream:
    """A text stream whose writes always succeed: text that cannot be written is dropped.

    `error` is the first error of a write, or None. It stays None for a stream that was closed before the start of the
    command, because the user closed it on purpose.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """Wrap a stream. None is a closed one, as in `sys.stdout`."""
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write `text`, or drop it."""
        self._attempt(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, or drop it."""
        self._attempt(lambda stream: stream.flush())

    @property
    def is_closed(self) -> bool:
        """Whether the stream was or is now closed."""
        return self._stream is None

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return bool(self._attempt(lambda stream: stream.isatty()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, work: Callable[[TextIO], T]) -> T | None:
        if self._stream is None:
            return None
        try:
            return work(self._stream)
        except OSError as error:
            self.error = error
            # Python flushes the stream once more at its exit, and would print the error.
            with suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, self._stream.fileno())
                os.close(null)
        except ValueError:  # a program that calls `main` has closed it
            pass
        self._stream = None
        return None


@contextmanager
def lenient_streams() -> Iterator[LenientStream]:
    """Replace the standard output and error by lenient streams within a block, and yield the standard output."""
    _occupy_descriptors()
    streams = sys.stdout, sys.stderr
    for stream in streams:
        with suppress(AttributeError, ValueError):  # write characters that the encoding lacks as escapes
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    output, errors = (LenientStream(stream) for stream in streams)
    sys.stdout, sys.stderr = cast("TextIO", output), cast("TextIO", errors)
    try:
        yield output
    finally:
        output.flush()
        errors.flush()
        sys.stdout, sys.stderr = streams


def _occupy_descriptors() -> None:
    """Open the null device for each standard stream that is closed.

    Otherwise the next opened file would get the number of that stream, and libraries that write to the standard error
    would write into the file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one

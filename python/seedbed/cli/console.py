"""The standard streams of a command, any of which may be closed, full, or a pipe that nobody reads.

What the command prints is then lost. What it does is done all the same, and its exit status says how that went.
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


def say(text: str) -> None:
    """Write a line to the standard error."""
    print(text, file=sys.stderr, flush=True)


def tell(text: str) -> None:
    """Write a line of the result to the standard output."""
    print(text, flush=True)


def tell_json(result: dict[str, Any], write: Callable[[str], None] = tell) -> None:
    """Write the result for a script, an object in one line."""
    write(json.dumps(result))


def has_rich() -> bool:
    """Whether tables and bars can be drawn; plain lines say the same."""
    return find_spec("rich") is not None


class LenientStream:
    """A text stream to which writing always succeeds: what cannot be written is dropped.

    `error` is the reason, of the first time. A stream that was closed before the command began has none: its user
    wanted it so.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """Wrap a stream; None is what Python has for one that is closed."""
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
        """Whether nothing can be written any more."""
        return self._stream is None

    def isatty(self) -> bool:
        """Whether it is a terminal."""
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
            # Python flushes the stream once more when it ends, and would complain.
            with suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, self._stream.fileno())
                os.close(null)
        except ValueError:  # closed meanwhile, by a program that calls the command
            pass
        self._stream = None
        return None


@contextmanager
def lenient_streams() -> Iterator[LenientStream]:
    """Make the standard output and the standard error lenient within a block, and yield the standard output."""
    _occupy_descriptors()
    streams = sys.stdout, sys.stderr
    for stream in streams:
        with suppress(AttributeError, ValueError):  # what an encoding lacks is written as an escape
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

    The next file that is opened would get the number of its descriptor, and what libraries write to the standard error
    would go into that file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one

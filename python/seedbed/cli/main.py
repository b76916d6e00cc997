"""The entry point: run a command, and turn errors and signals into messages and exit statuses."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from seedbed.cli import exit_status
from seedbed.cli.console import lenient_streams, print_stderr
from seedbed.cli.parser import parse
from seedbed.cli.signals import Terminated, terminable


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the arguments `argv`, or those of the process, and return its exit status."""
    with lenient_streams() as output:
        found = _status(argv)
        output.flush()
        if output.error is not None and not isinstance(output.error, BrokenPipeError):  # a reader may stop early
            reason = f"cannot write to the standard output: {output.error.strerror}"
            found = _fail(reason, found or exit_status.MACHINE)
    return found


def _status(argv: Sequence[str] | None) -> int:
    with terminable():
        try:
            arguments = parse(argv)
            run: Callable[..., int] = arguments.run
            return run(arguments)
        except SystemExit as end:  # after --help and --version
            return int(end.code or 0)
        except KeyboardInterrupt as stop:
            return _fail(_interrupted("interrupted", stop), exit_status.SIGNAL + signal.SIGINT)
        except Terminated as stop:
            return _fail(_interrupted(f"ended by {stop.args[0]}", stop), exit_status.SIGNAL + stop.number)
        except MemoryError:
            return _fail("out of memory", exit_status.MACHINE)
        except OSError as error:
            return _fail(
                str(error) if error.filename is None else f"{error.strerror}: {error.filename!r}", exit_status.MACHINE
            )
        except (ImportError, TypeError, ValueError) as error:
            return _fail(str(error), exit_status.USAGE)


def _fail(reason: str, number: int) -> int:
    print_stderr(f"seedbed: error: {reason}")
    return number


def _interrupted(what: str, stop: BaseException) -> str:
    notes = getattr(stop, "remains", None)
    return f"{what}; {notes}" if notes else what

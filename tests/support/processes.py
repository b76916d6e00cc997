"""Programs that run in their own process. One that hangs is killed and fails its test, not the run."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork as POSIX has them")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits as Linux has them")


def run(program, *arguments, seconds=300):
    """Run a program, and kill it and its children if it does not end in time."""
    program = textwrap.dedent(program)
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()
        out, err = process.communicate()
        pytest.fail(f"hangs\n{out}\n{err}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def succeeds(program, *arguments):
    done = run(program, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout

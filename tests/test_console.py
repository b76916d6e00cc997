"""Every command on every kind of standard stream: it does its work, reports the result, and prints no other error."""

import hashlib
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from seedbed import cli

pytestmark = pytest.mark.skipif(os.name != "posix", reason="streams as POSIX has them")

KINDS = ["a pipe", "a terminal", "a file", "closed", "a pipe that nobody reads", "a full device", "the null device"]

MISSING, WRONG = "nowhere.json", "wrong.json"

COMMANDS = {
    "init": (["init", "plan.json", "-o", "new.safetensors"], 0),
    "verify, same": (["verify", "plan.json", "model.safetensors"], 0),
    "verify, different": (["verify", WRONG, "model.safetensors"], 3),
    "verify, no such plan": (["verify", MISSING, "model.safetensors"], 1),
    "version": (["--version"], 0),
}


@pytest.fixture
def folder(tmp_path, capsys):
    for name, shape in (("plan.json", [500]), (WRONG, [501])):
        tensors = [{"name": letter, "shape": shape, "initializer": "he_normal"} for letter in "abcdefghijklmnop"]
        (tmp_path / name).write_text(json.dumps({"tensors": tensors}))
    assert cli.main(["init", str(tmp_path / "plan.json"), "-o", str(tmp_path / "model.safetensors")]) == 0
    capsys.readouterr()
    return tmp_path


def run(folder, arguments, streams):
    """Run the command and return its status and the text of each stream that can be read."""
    program = (
        "import os, sys\n"
        "for number in sys.argv[1].split():\n"
        "    os.close(int(number))\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'seedbed', *sys.argv[2:]])\n"
    )
    with ExitStack() as stack:
        files, readers, closed = [], [], []
        for number, kind in enumerate(streams, start=1):
            file, reader = open_stream(kind, folder / f"stream{number}")
            files.append(file)
            readers.append(reader)
            stack.callback(os.close, file)
            if kind == "closed":
                closed.append(str(number))
        command = [sys.executable, "-c", program, " ".join(closed), *arguments]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        process = subprocess.Popen(command, cwd=folder, stdout=files[0], stderr=files[1], env=environment)
    shown = [read_all(reader) for reader in readers]
    return process.wait(300), shown


def open_stream(kind, path):
    """Return a descriptor to write to, and one or a path to read from."""
    if kind == "a terminal":
        screen, terminal = pytest.importorskip("pty").openpty()
        return terminal, screen
    if kind.startswith("a pipe"):
        reader, writer = os.pipe()
        if kind != "a pipe":
            os.close(reader)
            return writer, None
        return writer, reader
    if kind == "a file":
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), path
    return os.open("/dev/full" if kind == "a full device" else os.devnull, os.O_WRONLY), None


def read_all(source):
    if source is None or isinstance(source, Path):
        return source
    content = b""
    try:
        while chunk := os.read(source, 1 << 16):
            content += chunk
    except OSError:  # Linux's error if the other end of a terminal is closed
        pass
    os.close(source)
    return content.decode()


OUTPUTS = [(kind, "a pipe") for kind in KINDS]
ERRORS = [("a pipe", kind) for kind in KINDS]
BOTH = [("a terminal", "a terminal"), ("closed", "closed"), ("a full device", "a full device")]


@pytest.mark.parametrize("streams", [*OUTPUTS, *ERRORS, *BOTH], ids=" and ".join)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_its_work_with_any_streams(command, streams, folder):
    if "a full device" in streams and not Path("/dev/full").exists():
        pytest.skip("no full device here")
    arguments, status = COMMANDS[command]
    found, shown = run(folder, arguments, streams)
    shown = [text.read_text() if isinstance(text, Path) else text for text in shown]
    prints = command != "verify, no such plan"
    unwritten = streams[0] == "a full device" and prints
    assert found == (status or 1 if unwritten else status)
    for text in shown:
        assert text is None or not any(word in text for word in ("Traceback", "Exception ignored", "None"))
    output, errors = shown
    if output is not None:
        assert bool(output) == prints
        assert "seedbed: error" not in output
    if errors is not None and unwritten:
        assert "seedbed: error: cannot write to the standard output: No space left on device" in errors
    elif errors is not None:
        assert ("seedbed: error" in errors) == (status != 0)
    if command == "init":
        made, model = (hashlib.sha256((folder / f"{n}.safetensors").read_bytes()).digest() for n in ("new", "model"))
        assert made == model


def test_a_closed_terminal_does_not_end_the_work(folder):
    """The reader of the progress closes the terminal in the middle of it."""
    (folder / "large.json").write_text(
        json.dumps({"tensors": [{"name": f"{i}", "shape": [50_000], "initializer": "he_normal"} for i in range(400)]})
    )
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "seedbed", "init", "large.json", "-o", "large.safetensors"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=writer)
    os.close(writer)
    assert os.read(reader, 7) == b"writing"
    os.close(reader)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert hashlib.sha256((folder / "large.safetensors").read_bytes()).hexdigest() in output.decode()


def test_the_callers_streams_are_restored(folder, capsys):
    before = sys.stdout, sys.stderr
    for arguments in (["--version"], ["bogus"], ["verify", str(folder / WRONG), str(folder / "model.safetensors")]):
        cli.main(arguments)
        assert (sys.stdout, sys.stderr) == before

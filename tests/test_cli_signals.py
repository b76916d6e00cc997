"""Signals end a command, which removes its partial file."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seedbed import cli

SLOW = """
import signal, sys, time
from seedbed import cli
from seedbed.cli import cluster, commands

class SlowStream:
    text = ""
    def isatty(self):
        return False
    def write(self, text):
        self.text += text
    def flush(self):
        text, self.text = self.text, ""
        print(text, end="", file=sys.__stderr__, flush=True)
        if "%" in text:
            time.sleep(600)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have ignored it
sys.stderr = SlowStream()
status = cli.main(sys.argv[1:])
sys.stderr.flush()
sys.exit(status)
"""


def interrupted(command, first, last):
    """Return the files next to the plan in the middle of a command, and interrupt the command."""
    with subprocess.Popen([sys.executable, "-c", SLOW, *command], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == first
        assert process.stderr.readline() == " 20 %\n"
        there = {entry.suffix for entry in Path(command[1]).parent.iterdir()} - {".json"}
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == f"seedbed: error: {last}\n"
    assert process.returncode == 130
    return there


def test_ctrl_c_in_the_middle_leaves_nothing_behind(plan, output):
    assert interrupted(
        ["init", plan, "-o", str(output)],
        "writing 4 tensors, 400 parameters\n",
        "interrupted; the partial file is removed",
    ) == {".part"}
    assert [entry.name for entry in output.parent.iterdir()] == ["plan.json"]


def test_ctrl_c_ends_a_verification(plan, output):
    assert cli.main(["init", plan, "-o", str(output)]) == 0
    assert interrupted(["verify", plan, str(output)], "verifying 4 tensors, 400 parameters\n", "interrupted") == {
        ".safetensors"
    }


SLOW_PROGRESS = """
import sys, time
from seedbed import cli
from seedbed.cli import progress, signals

def lines(plan, verb):
    def pause(tensor):
        print(tensor.name, file=sys.stderr, flush=True)
        time.sleep(600 if tensor.name == "c" else 0)
    return pause

progress._lines = lines
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
class TestSignals:
    def run(self, number, *arguments):
        # nohup starts processes with SIGHUP ignored.
        program = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n" + SLOW_PROGRESS
        command = [sys.executable, "-c", program, *map(str, arguments)]
        environment = {**os.environ, "SEEDBED_NUM_THREADS": "1"}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            assert [process.stderr.readline() for _ in "abc"] == ["a\n", "b\n", "c\n"]
            process.send_signal(number)
            return process.wait(300), process.stderr.read()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_remove_the_partial_file(self, plan, output, number):
        status, err = self.run(number, "init", plan, "-o", output)
        assert (status, err) == (
            128 + number,
            f"seedbed: error: ended by {number.name}; the partial file is removed\n",
        )
        assert [path.name for path in output.parent.iterdir()] == ["plan.json"]

    def test_leave_the_old_file(self, plan, output):
        output.write_text("old")
        assert self.run(signal.SIGTERM, "init", plan, "-o", output)[0] == 143
        assert output.read_text() == "old"

    def test_keep_whole_files_of_a_directory_to_be_resumed(self, plan, tmp_path):
        command = ["init", plan, "-o", tmp_path / "out", "--max-shard-size", "0.5KB"]
        status, err = self.run(signal.SIGTERM, *command)
        assert status == 143
        assert re.search(
            r"ended by SIGTERM; \d complete files? remains? in .*; --resume writes the others$", err.strip()
        )
        assert not list((tmp_path / "out").glob("*.part"))
        assert cli.main([*map(str, command), "--resume"]) == 0
        assert cli.main(["verify", str(tmp_path / "out")]) == 0

    def test_stay_ignored_if_they_were(self, plan, output):
        program = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + SLOW_PROGRESS.replace("600", "0.5")
        command = [sys.executable, "-c", program, "init", plan, "-o", str(output)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert [process.stderr.readline() for _ in "abc"] == ["a\n", "b\n", "c\n"]
            process.send_signal(signal.SIGHUP)
            assert process.wait(300) == 0

"""The command on terminals, pipes and closed streams."""

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from support.commands import table_of

from seedbed import cli


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_terminal_without_rich_shows_plain_lines(plan, output, monkeypatch, capsys, stream):
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True)
    assert cli.main(["init", plan, "-o", str(output)]) == 0
    out, err = capsys.readouterr()
    assert table_of(out)["SHA-256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert err.splitlines() == ["writing 4 tensors, 400 parameters", " 20 %", " 50 %", " 70 %", "100 %"]


@pytest.mark.parametrize("command", ["init", "verify"])
def test_a_terminal_shows_a_bar_and_the_same_table(plan, output, command):
    pty = pytest.importorskip("pty", reason="terminals of POSIX")
    if command == "verify":
        assert cli.main(["init", plan, "-o", str(output)]) == 0
    terminal, screen = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    arguments = {"init": ["-o", str(output)], "verify": [str(output)]}[command]
    command = [sys.executable, "-m", "seedbed", command, plan, *arguments]
    with subprocess.Popen(command, stdin=screen, stdout=screen, stderr=screen, env=environment) as process:
        os.close(screen)
        shown = b""
        try:
            while chunk := os.read(terminal, 1 << 16):
                shown += chunk
        except OSError:  # Linux's error if the other end is closed
            pass
        os.close(terminal)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "━━━━ 1.6/1.6 kB" in text
    assert re.search(rf"SHA-256 +{hashlib.sha256(output.read_bytes()).hexdigest()}", text)


class TestStreams:
    """Closed streams, pipes without a reader, and the file in a pipe."""

    def run(self, command, redirect="", **options):
        line = f"{shlex.join([sys.executable, '-m', 'seedbed', *map(str, command)])} {redirect}"
        return subprocess.run(["bash", "-c", line], capture_output=True, timeout=300, check=False, **options)

    def test_a_file_goes_to_a_pipe(self, plan, output):
        assert cli.main(["init", plan, "-o", str(output), "--seed", "3"]) == 0
        done = self.run(["init", plan, "-o", "-", "--seed", "3"])
        assert done.returncode == 0
        assert done.stdout == output.read_bytes()
        assert re.search(rb"SHA-256 +[0-9a-f]{64}", done.stderr)
        done = self.run(["init", plan, "-o", "-", "--seed", "3", "--quiet"], "| cat")
        assert (done.stdout, done.stderr) == (output.read_bytes(), b"")

    def test_with_the_file_in_a_pipe_results_go_to_standard_error(self, plan):
        done = self.run(["init", plan, "-o", "-", "--json", "--quiet"])
        result = json.loads(done.stderr)
        assert result["files"][0]["sha256"] == hashlib.sha256(done.stdout).hexdigest()

    def test_a_file_is_not_shown_on_a_terminal(self, plan, monkeypatch, capsys):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert cli.main(["init", plan, "-o", "-"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "Received: a terminal; redirect it" in err

    def test_a_reader_that_closes_the_pipe_is_an_error(self, tmp_path):
        (tmp_path / "large.json").write_text(
            json.dumps({"tensors": [{"name": "a", "shape": [10**6], "initializer": "ones"}]})
        )
        done = self.run(["init", tmp_path / "large.json", "-o", "-"], '| head -c 10; echo "${PIPESTATUS[0]}"')
        assert done.stdout.endswith(b"1\n")
        assert b"cannot write the checkpoint: Broken pipe" in done.stderr
        assert b"Traceback" not in done.stderr

    @pytest.mark.parametrize("redirect", ["| true", ">&-", "2>&-", ">&- 2>&-", "2>&1 | true", "> /dev/null"])
    def test_an_unread_report_is_not_a_failure(self, plan, output, redirect):
        for command in (["init", plan, "-o", output], ["verify", plan, output], ["plans"], ["plan", plan]):
            done = self.run(command, f'{redirect}; exit "${{PIPESTATUS[0]}}"')
            assert (done.returncode, b"rror" in done.stderr) == (0, False), done
        assert load_file(output).keys() == set("abcd")

    def test_a_closed_standard_output_gets_no_file(self, plan):
        done = self.run(["init", plan, "-o", "-"], ">&-")
        assert done.returncode == 2
        assert b"an open standard output. Received: a closed one" in done.stderr

    def test_a_full_disk_for_the_report_is_an_error(self, plan, output):
        if not Path("/dev/full").exists():
            pytest.skip("no such device here")
        done = self.run(["init", plan, "-o", output], "> /dev/full")
        assert done.returncode == 1
        assert b"No space left on device" in done.stderr
        assert output.exists()

    def test_names_are_printed_in_any_encoding(self, tmp_path, output):
        tensors = [{"name": "\x1b[31mgröße", "shape": [2], "initializer": "ones"}]
        (tmp_path / "plan.json").write_text(json.dumps({"tensors": tensors}))
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        assert self.run(["init", tmp_path / "plan.json", "-o", output], env=environment).returncode == 0
        (tmp_path / "none.json").write_text('{"tensors": []}')
        done = self.run(["verify", tmp_path / "none.json", output], env=environment)
        assert done.returncode == 3
        assert b"\x1b" not in done.stdout

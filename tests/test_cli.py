import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

import seedbed
from seedbed import cli

ONES = {"tensors": [{"name": name, "shape": [100], "initializer": "ones"} for name in "abcd"]}


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(ONES))
    return str(path)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "model.safetensors"


def table_of(text):
    return dict(re.split(r"  +", line, maxsplit=1) for line in text.splitlines())


def test_init_writes_the_file_and_a_table_of_it(plan, output, capsys):
    assert cli.main(["init", plan, "-o", str(output), "--dtype", "float16"]) == 0
    out, _ = capsys.readouterr()
    table = table_of(out)
    assert list(table) == ["tensors", "parameters", "bytes", "fill seconds", "fill GB/s", "seconds", "GB/s", "SHA-256"]
    assert (table["tensors"], table["parameters"]) == ("4", "400")
    assert table["bytes"] == f"{output.stat().st_size:,}"
    assert table["SHA-256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert load_file(output)["a"].dtype == "float16"


def test_progress_is_plain_lines_where_there_is_no_terminal(plan, output, capsys):
    assert cli.main(["init", plan, "-o", str(output)]) == 0
    _, err = capsys.readouterr()
    assert err.splitlines() == ["writing 4 tensors, 400 parameters", " 20 %", " 50 %", " 70 %", "100 %"]


def test_a_plan_of_no_tensors_is_written(tmp_path, output, capsys):
    (tmp_path / "empty.json").write_text('{"tensors": []}')
    assert cli.main(["init", str(tmp_path / "empty.json"), "-o", str(output)]) == 0
    assert load_file(output) == {}


def test_the_seed_is_0_unless_it_is_said(tmp_path, output, capsys):
    (tmp_path / "plan.json").write_text('{"tensors": [{"name": "a", "shape": [9], "initializer": "he_normal"}]}')
    digests = []
    for seed in ([], ["--seed", "0"], ["--seed", "-1"], ["--seed", str(2**255 - 1)]):
        assert cli.main(["init", str(tmp_path / "plan.json"), "-o", str(output), *seed]) == 0
        digests.append(table_of(capsys.readouterr().out)["SHA-256"])
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_threads_are_those_asked_for(plan, output):
    before = seedbed.get_num_threads()
    try:
        assert cli.main(["init", plan, "-o", str(output), "--threads", "3"]) == 0
        assert seedbed.get_num_threads() == 3
        assert cli.main(["verify", plan, str(output), "--threads", "2"]) == 0
        assert seedbed.get_num_threads() == 2
    finally:
        seedbed.set_num_threads(before)


class TestVerify:
    @pytest.fixture
    def plan(self, tmp_path):
        path = tmp_path / "plan.json"
        path.write_text(json.dumps({"tensors": [dict(t, initializer="he_normal") for t in ONES["tensors"]]}))
        return str(path)

    @pytest.fixture
    def file(self, plan, output, capsys):
        assert cli.main(["init", plan, "-o", str(output), "--seed", "7", "--dtype", "bfloat16"]) == 0
        capsys.readouterr()
        return str(output)

    def test_prints_the_table_of_a_file_that_is_right(self, plan, file, output, capsys):
        for seed in ([], ["--seed", "7"]):
            assert cli.main(["verify", plan, file, "--dtype", "bfloat16", *seed]) == 0
            out, err = capsys.readouterr()
            table = table_of(out)
            assert list(table) == ["tensors", "parameters", "bytes", "seed", "seconds", "GB/s", "SHA-256"]
            assert (table["tensors"], table["parameters"], table["seed"]) == ("4", "400", "7")
            assert table["bytes"] == f"{output.stat().st_size:,}"
            assert table["SHA-256"] == hashlib.sha256(output.read_bytes()).hexdigest()
            assert err.splitlines() == ["verifying 4 tensors, 400 parameters", " 20 %", " 50 %", " 70 %", "100 %"]

    def test_prints_a_line_for_each_tensor_that_differs(self, plan, file, output, capsys):
        content = bytearray(output.read_bytes())
        content[-1] ^= 0x80
        output.write_bytes(content)
        assert cli.main(["verify", plan, file, "--dtype", "bfloat16"]) == 3
        out, err = capsys.readouterr()
        number = re.fullmatch(
            r'"d" differs in 1 of 100 elements, first at \[99\]: '
            r"expected (\S+) \(0x(....)\), found (\S+) \(0x(....)\)\n",
            out,
        )
        assert float(number[1]) == -float(number[3])
        assert int(number[2], 16) ^ int(number[4], 16) == 0x8000
        message = "1 tensor differs from what the plan says with seed 7"
        assert err.splitlines()[-1] == f"seedbed: error: {message}: {file!r}"

    def test_says_which_seed_decides(self, plan, file, tmp_path, capsys):
        assert cli.main(["verify", plan, file, "--dtype", "bfloat16", "--seed", "8"]) == 3
        out, err = capsys.readouterr()
        assert out.count("differs in") == 4
        assert "4 tensors differ from what the plan says with seed 8 (the file tells 7): " in err
        (tmp_path / "ones.json").write_text(json.dumps(ONES))
        assert cli.main(["init", str(tmp_path / "ones.json"), "-o", file, "--seed", "7"]) == 0
        assert cli.main(["verify", str(tmp_path / "ones.json"), file, "--seed", "8"]) == 0
        assert table_of(capsys.readouterr().out)["seed"] == "8 (the file tells 7)"

    def test_tells_twenty_tensors_and_counts_the_others(self, tmp_path, output, capsys):
        tensors = [{"name": str(i), "shape": [2], "initializer": "he_normal"} for i in range(1030)]
        (tmp_path / "plan.json").write_text(json.dumps({"tensors": tensors}))
        assert cli.main(["init", str(tmp_path / "plan.json"), "-o", str(output)]) == 0
        capsys.readouterr()
        assert cli.main(["verify", str(tmp_path / "plan.json"), str(output), "--dtype", "float16"]) == 3
        out, err = capsys.readouterr()
        lines = out.splitlines()
        assert lines[0] == '"0" expected float16 [2], found float32 [2]'
        assert (len(lines), lines[-1]) == (21, "and 1,010 more")
        assert "1,030 tensors differ" in err

    def test_reads_what_another_program_wrote(self, plan, output, capsys):
        root = seedbed.SeedGenerator(3)
        save_file({n: seedbed.HeNormal(seed=root.child(n))(100) for n in "dcab"}, output)
        assert cli.main(["verify", plan, str(output)]) == 2
        assert "a seed must be given where a checkpoint's metadata has none" in capsys.readouterr().err
        assert cli.main(["verify", plan, str(output), "--seed", "3"]) == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "the following arguments are required: COMMAND"),
        (["grow"], 2, "argument COMMAND: invalid choice: 'grow'"),
        (["init", "gpt2"], 2, "the following arguments are required: -o/--output"),
        (["init", "gpt2", "-o", "x", "--seed", "1.5"], 2, "argument --seed: invalid int value: '1.5'"),
        (["init", "gpt2", "-o", "x", "--seed", str(2**255)], 2, str(2**255)),
        (["init", "gpt2", "-o", "x", "--threads", "0"], 2, "0"),
        (["init", "gpt2", "-o", "x", "--threads", "two"], 2, "argument --threads: invalid int value: 'two'"),
        (["init", "gpt2", "-o", "x", "--dtype", "float33"], 2, "float33"),
        (["init", "gpt2", "-o", "x", "--dtype", "int32"], 2, "int32"),
        (["init", "broken.json", "-o", "x"], 2, "a plan must be JSON. Received: something else, Expecting value"),
        (
            ["init", "nowhere.json", "-o", "x"],
            1,
            "there is no such file, and the plans of seedbed are [gpt2]: 'nowhere.json'",
        ),
        (["init", ".", "-o", "x"], 1, "Is a directory: '.'"),
        (["init", "gpt2", "-o", "no/x"], 1, "cannot write the checkpoint: there is no directory 'no': 'no/x'"),
        (["init", "gpt2", "-o", "."], 1, "not an ordinary file: '.'"),
        (["verify", "gpt2"], 2, "the following arguments are required: FILE"),
        (["verify", "gpt2", "x", "--seed", "1.5"], 2, "argument --seed: invalid int value: '1.5'"),
        (["verify", "gpt2", "x", "--seed", str(2**255)], 2, str(2**255)),
        (["verify", "gpt2", "no/x"], 1, "cannot read the checkpoint: No such file or directory: 'no/x'"),
        (["verify", "gpt2", "."], 1, "cannot read the checkpoint: there is no safetensors file in the directory: '.'"),
        (["verify", "gpt2", "broken.json"], 2, "a checkpoint must be a safetensors file. Received: an empty file"),
        (["verify", "broken.json", "x"], 2, "a plan must be JSON. Received: something else, Expecting value"),
    ],
)
def test_an_error_is_one_line_and_a_status(arguments, status, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").touch()
    assert cli.main(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("seedbed: error: ")
    assert message in err.splitlines()[-1]
    assert err.count("\n") == 1 or err.startswith(("writing 148 tensors", "verifying 148 tensors"))
    assert {entry.name for entry in tmp_path.iterdir()} == {"broken.json"}


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError("3 GiB"), 1, "out of memory"),
        (OSError(28, "No space left on device", "x"), 1, "No space left on device: 'x'"),
        (BrokenPipeError(32, "Broken pipe"), 1, "[Errno 32] Broken pipe"),
        (ImportError("bfloat16 needs ml_dtypes"), 2, "bfloat16 needs ml_dtypes"),
    ],
)
def test_what_stops_the_work_is_told_without_a_traceback(error, status, line, plan, output, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(cli, "write_checkpoint", fail)
    monkeypatch.setattr(cli, "verify_checkpoint", fail)
    for command in ["init", plan, "-o", str(output)], ["verify", plan, str(output)]:
        assert cli.main(command) == status
        assert capsys.readouterr().err.splitlines()[-1] == f"seedbed: error: {line}"


def test_help_and_version_are_answered(capsys):
    for arguments, answer in (
        (["--help"], "usage: seedbed"),
        (["init", "--help"], "PLAN"),
        (["verify", "--help"], "FILE"),
        (["--version"], "v1"),
    ):
        assert cli.main(arguments) == 0
        assert answer in capsys.readouterr().out


def test_on_a_terminal_without_rich_the_extra_is_named(plan, output, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert cli.main(["init", plan, "-o", str(output)]) == 2
    assert "pip install 'seedbed[cli]'" in capsys.readouterr().err
    assert not output.exists()


def test_without_a_terminal_rich_is_not_needed(plan, output, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    assert cli.main(["init", plan, "-o", str(output)]) == 0


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
        except OSError:  # what Linux says when nobody holds the other end any more
            pass
        os.close(terminal)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "━━━━ 1.6/1.6 kB" in text
    assert re.search(rf"SHA-256 +{hashlib.sha256(output.read_bytes()).hexdigest()}", text)


SLOW = """
import signal, sys, time
from seedbed import cli

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
            time.sleep(60)

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
sys.stderr = SlowStream()
status = cli.main(sys.argv[1:])
sys.stderr.flush()
sys.exit(status)
"""


def interrupted(command, first):
    """The files beside the plan in the middle of a command that is then interrupted."""
    with subprocess.Popen([sys.executable, "-c", SLOW, *command], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == first
        assert process.stderr.readline() == " 20 %\n"
        there = {entry.suffix for entry in Path(command[1]).parent.iterdir()} - {".json"}
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "seedbed: error: interrupted\n"
    assert process.returncode == 130
    return there


def test_ctrl_c_in_the_middle_leaves_nothing_behind(plan, output):
    assert interrupted(["init", plan, "-o", str(output)], "writing 4 tensors, 400 parameters\n") == {".part"}
    assert [entry.name for entry in output.parent.iterdir()] == ["plan.json"]


def test_ctrl_c_ends_a_verification(plan, output):
    assert cli.main(["init", plan, "-o", str(output)]) == 0
    assert interrupted(["verify", plan, str(output)], "verifying 4 tensors, 400 parameters\n") == {".safetensors"}

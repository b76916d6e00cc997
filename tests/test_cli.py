"""The command: init, verify and plans, their output, errors and directories."""

import hashlib
import json
import os
import re
import subprocess
import sys

import pytest
from safetensors.numpy import load_file, save_file
from support.commands import ONES, table_of

import seedbed
from seedbed import cli
from seedbed.cli import cluster, commands
from seedbed.plan import load_plan, parse_plan


def test_init_writes_the_file_and_a_table_of_it(plan, output, capsys):
    assert cli.main(["init", plan, "-o", str(output), "--dtype", "float16"]) == 0
    out, _ = capsys.readouterr()
    table = table_of(out)
    assert list(table) == ["tensors", "parameters", "bytes", "fill seconds", "fill GB/s", "seconds", "GB/s", "SHA-256"]
    assert (table["tensors"], table["parameters"]) == ("4", "400")
    assert table["bytes"] == f"{output.stat().st_size:,}"
    assert table["SHA-256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert load_file(output)["a"].dtype == "float16"


def test_progress_is_plain_lines_without_a_terminal(plan, output, capsys):
    assert cli.main(["init", plan, "-o", str(output)]) == 0
    _, err = capsys.readouterr()
    assert err.splitlines() == ["writing 4 tensors, 400 parameters", " 20 %", " 50 %", " 70 %", "100 %"]


def test_a_plan_without_tensors_is_written(tmp_path, output, capsys):
    (tmp_path / "empty.json").write_text('{"tensors": []}')
    assert cli.main(["init", str(tmp_path / "empty.json"), "-o", str(output)]) == 0
    assert load_file(output) == {}


def test_the_default_seed_is_0(tmp_path, output, capsys):
    (tmp_path / "plan.json").write_text('{"tensors": [{"name": "a", "shape": [9], "initializer": "he_normal"}]}')
    digests = []
    for seed in ([], ["--seed", "0"], ["--seed", "-1"], ["--seed", str(2**255 - 1)]):
        assert cli.main(["init", str(tmp_path / "plan.json"), "-o", str(output), *seed]) == 0
        digests.append(table_of(capsys.readouterr().out)["SHA-256"])
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_the_number_of_threads_is_the_requested_one(plan, output):
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
        message = "1 difference from what the plan says with seed 7"
        assert err.splitlines()[-1] == f"seedbed: error: {message}: {file!r}"

    def test_says_which_seed_decides(self, plan, file, tmp_path, capsys):
        assert cli.main(["verify", plan, file, "--dtype", "bfloat16", "--seed", "8"]) == 3
        out, err = capsys.readouterr()
        assert out.count("differs in") == 4
        assert "4 differences from what the plan says with seed 8 (the file records 7): " in err
        (tmp_path / "ones.json").write_text(json.dumps(ONES))
        assert cli.main(["init", str(tmp_path / "ones.json"), "-o", file, "--seed", "7"]) == 0
        assert cli.main(["verify", str(tmp_path / "ones.json"), file, "--seed", "8"]) == 0
        assert table_of(capsys.readouterr().out)["seed"] == "8 (the file records 7)"

    def test_lists_twenty_tensors_and_counts_the_others(self, tmp_path, output, capsys):
        tensors = [{"name": str(i), "shape": [2], "initializer": "he_normal"} for i in range(1030)]
        (tmp_path / "plan.json").write_text(json.dumps({"tensors": tensors}))
        assert cli.main(["init", str(tmp_path / "plan.json"), "-o", str(output)]) == 0
        capsys.readouterr()
        assert cli.main(["verify", str(tmp_path / "plan.json"), str(output), "--dtype", "float16"]) == 3
        out, err = capsys.readouterr()
        lines = out.splitlines()
        assert lines[0] == '"0" expected float16 [2], found float32 [2]'
        assert (len(lines), lines[-1]) == (21, "and 1,010 more")
        assert "1,030 differences" in err

    def test_reads_what_another_program_wrote(self, plan, output, capsys):
        root = seedbed.SeedGenerator(3)
        save_file({n: seedbed.HeNormal(seed=root.child(n))(100) for n in "dcab"}, output)
        assert cli.main(["verify", plan, str(output)]) == 2
        assert "a seed must be given if the metadata of a checkpoint has no seed" in capsys.readouterr().err
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
        (["init", "broken.json", "-o", "x"], 2, "a plan must be JSON. Received: invalid JSON: Expecting value"),
        (
            ["init", "nowhere.json", "-o", "x"],
            1,
            "there is no such file, and no shipped plan of this name; `seedbed plans` lists them: 'nowhere.json'",
        ),
        (["init", ".", "-o", "x"], 1, "the directory has neither seedbed.json nor config.json nor a safetensors file"),
        (["init", "gpt2", "-o", "no/x"], 1, "cannot write the checkpoint: there is no directory 'no': 'no/x'"),
        (["init", "gpt", "-o", "x"], 1, "the nearest name is 'gpt2': 'gpt'"),
        (["init", "gpt2", "-o", "/dev/null"], 1, "not a regular file: '/dev/null'"),
        (["init", "gpt2", "-o", "x", "--max-shard-size", "0"], 2, "max_shard_size must be at least 1 byte"),
        (["init", "gpt2", "-o", "x", "--max-shard-size", "5 parsecs"], 2, "KB, MB, GB and TB, such as '5GB'"),
        (["init", "gpt2", "-o", "x.safetensors", "--resume"], 2, "--resume is for directories"),
        (["init", "gpt2", "-o", "-", "--max-shard-size", "1GB"], 2, "--max-shard-size is for directories"),
        (["init", "broken.json", "-o", "broken.json"], 2, "a plan must be JSON"),
        (["verify"], 2, "the following arguments are required: PATH"),
        (["verify", "x"], 2, "a plan must be given if the directory of the checkpoint has no seedbed.json"),
        (["verify", "x", "--dtype", "float16"], 2, "--dtype changes a plan, so it needs a SOURCE before 'x'"),
        (["plan", "nowhere"], 1, "there is no such file"),
        (["plan", "gpt2", "-o", "no/x"], 1, "cannot write the plan: there is no directory 'no': 'no/x'"),
        (["verify", "gpt2", "x", "--seed", "1.5"], 2, "argument --seed: invalid int value: '1.5'"),
        (["verify", "gpt2", "x", "--seed", str(2**255)], 2, str(2**255)),
        (["verify", "gpt2", "no/x"], 1, "cannot read the checkpoint: No such file or directory: 'no/x'"),
        (["verify", "gpt2", "."], 1, "cannot read the checkpoint: the directory has no safetensors file: '.'"),
        (["verify", "gpt2", "broken.json"], 2, "a checkpoint must be a safetensors file. Received: an empty file"),
        (["verify", "broken.json", "x"], 2, "a plan must be JSON. Received: invalid JSON: Expecting value"),
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
    if {"--seed", "--max-shard-size"}.isdisjoint(arguments):
        assert err.count("\n") == 1 or err.startswith(("writing 148 tensors", "verifying 148 tensors"))
    else:  # a wrong option is refused before progress says that the work starts
        assert err.count("\n") == 1
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
def test_failures_are_reported_without_a_traceback(error, status, line, plan, output, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(commands, "write_checkpoint", fail)
    monkeypatch.setattr(cluster, "verify_checkpoint", fail)
    for command in ["init", plan, "-o", str(output)], ["verify", plan, str(output)]:
        assert cli.main(command) == status
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"seedbed: error: {line}")


def test_help_and_version_are_answered(capsys):
    for arguments, answer in (
        (["--help"], "usage: seedbed"),
        (["init", "--help"], "SOURCE"),
        (["verify", "--help"], "PATH"),
        (["--version"], "v1"),
    ):
        assert cli.main(arguments) == 0
        assert answer in capsys.readouterr().out


class TestDirectory:
    def run(self, capsys, *arguments):
        status = cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    def test_is_written_if_the_output_has_no_safetensors_suffix(self, plan, tmp_path, capsys):
        for name in ("out", "new/", "v1.0"):
            status, out, _ = self.run(capsys, "init", plan, "-o", tmp_path / name, "--max-shard-size", "0.5KB")
            assert status == 0
            folder = tmp_path / name.rstrip("/")
            assert len(list(folder.glob("*.safetensors"))) == 4
            for path in folder.glob("*.safetensors"):
                assert f"SHA-256 of {path.name}  {hashlib.sha256(path.read_bytes()).hexdigest()}" in out
            assert self.run(capsys, "verify", folder)[0] == 0
            assert self.run(capsys, "verify", plan, folder)[0] == 0
            assert self.run(capsys, "verify", folder / "model-00002-of-00004.safetensors")[0] == 0

    def test_keeps_the_kind_of_an_existing_output(self, plan, tmp_path, capsys):
        (tmp_path / "d.safetensors").mkdir()
        (tmp_path / "f").touch()
        assert self.run(capsys, "init", plan, "-o", tmp_path / "d.safetensors")[0] == 0
        assert self.run(capsys, "init", plan, "-o", tmp_path / "f")[0] == 0
        assert (tmp_path / "d.safetensors" / "model.safetensors").is_file()
        assert (tmp_path / "f").is_file()

    def test_is_resumed(self, plan, tmp_path, capsys):
        command = ["init", plan, "-o", tmp_path / "out", "--max-shard-size", "0.5KB"]
        assert self.run(capsys, *command)[0] == 0
        (tmp_path / "out" / "model-00002-of-00004.safetensors").unlink()
        status, _, err = self.run(capsys, *command)
        assert status == 1
        assert "the directory contains a checkpoint, 'model-00001-of-00004.safetensors': resume it if" in err
        assert self.run(capsys, *command, "--resume")[0] == 0
        assert self.run(capsys, "verify", tmp_path / "out")[0] == 0
        assert self.run(capsys, *command, "--resume", "--seed", "1")[0] == 1

    def test_is_itself_a_source(self, tmp_path, capsys):
        config = {"dtype": "float32", "layers": 4}
        text = json.dumps({**ONES, "config": config})
        (tmp_path / "plan.json").write_text(text)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "tokenizer.json").write_text("{}")
        (tmp_path / "out" / "code.py").write_text("")
        assert self.run(capsys, "init", tmp_path / "plan.json", "-o", tmp_path / "out")[0] == 0
        assert self.run(capsys, "init", tmp_path / "out", "-o", tmp_path / "again", "--dtype", "float16")[0] == 0
        assert sorted(path.name for path in (tmp_path / "again").iterdir()) == [
            "config.json",
            "model.safetensors",
            "seedbed.json",
            "tokenizer.json",
        ]
        assert json.loads((tmp_path / "again" / "config.json").read_text()) == {"dtype": "float16", "layers": 4}
        assert load_file(tmp_path / "again" / "model.safetensors")["a"].dtype == "float16"
        status, _, err = self.run(capsys, "init", tmp_path / "out", "-o", tmp_path / "out", "--resume")
        assert (status, "the output must not be the source" in err) == (2, True)

    def test_is_only_checked_in_a_dry_run(self, plan, tmp_path, capsys):
        status, out, err = self.run(
            capsys, "init", plan, "-o", tmp_path / "out", "--dry-run", "--max-shard-size", "1KB"
        )
        assert (status, err) == (0, "")
        assert table_of(out) == {
            "tensors": "4",
            "parameters": "400",
            "model-00001-of-00002.safetensors": "1,056 bytes",
            "model-00002-of-00002.safetensors": "1,056 bytes",
            "bytes": "2,112",
        }
        assert self.run(capsys, "init", plan, "-o", tmp_path / "x.safetensors", "--dry-run")[0] == 0
        for place in ("no/out", "no/x.safetensors"):
            assert self.run(capsys, "init", plan, "-o", tmp_path / place, "--dry-run")[0] == 1
        assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


class TestJson:
    def result(self, capsys, *arguments, status=0):
        assert cli.main([str(argument) for argument in arguments]) == status
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == 1
        return json.loads(out), err

    def test_of_init_has_the_files(self, plan, output, capsys):
        result, err = self.result(capsys, "init", plan, "-o", output, "--json")
        content = output.read_bytes()
        assert result.pop("seconds") > 0
        assert result == {
            "tensors": 4,
            "parameters": 400,
            "bytes": len(content),
            "files": [{"path": str(output), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}],
        }
        assert err.startswith("writing")

    def test_of_a_dry_run_has_no_hash(self, plan, output, capsys):
        result, err = self.result(capsys, "init", plan, "-o", output, "--json", "--dry-run")
        assert result["files"] == [{"path": str(output), "bytes": 1984, "sha256": None}]
        assert err == ""

    def test_of_verify_has_the_differences(self, plan, output, tmp_path, capsys):
        assert cli.main(["init", plan, "-o", str(output)]) == 0
        capsys.readouterr()
        result, err = self.result(capsys, "verify", plan, output, "--json", "--quiet")
        assert (result["seed"], result["different"], result["differences"], err) == (0, 0, [], "")
        (tmp_path / "other.json").write_text(json.dumps({"tensors": ONES["tensors"][:3]}))
        result, err = self.result(capsys, "verify", tmp_path / "other.json", output, "--json", "--quiet", status=3)
        assert result["differences"] == [{"name": "d", "kind": "unexpected", "text": '"d" is not in the plan'}]
        assert err.startswith("seedbed: error: 1 difference")

    def test_of_plans_has_their_numbers(self, capsys):
        result, _ = self.result(capsys, "plans", "--json")
        gpt2 = next(plan for plan in result["plans"] if plan["name"] == "gpt2")
        assert gpt2 == {"name": "gpt2", "tensors": 148, "parameters": 124439808, "bytes": 497759232}


def test_quiet_prints_nothing(plan, output, capsys):
    assert cli.main(["init", plan, "-o", str(output), "--quiet"]) == 0
    assert cli.main(["verify", plan, str(output), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_plans_are_listed(capsys):
    assert cli.main(["plans"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["plan", "tensors", "parameters", "bytes"]
    assert ["gpt2", "148", "124,439,808", "497,759,232"] in [line.split() for line in lines]


def test_a_plan_is_written_as_json(plan, tmp_path, capsys):
    assert cli.main(["plan", plan]) == 0
    text = capsys.readouterr().out
    assert parse_plan(text) == load_plan(plan)
    (tmp_path / "new.json").write_text("old")
    assert cli.main(["plan", plan, "-o", str(tmp_path / "new.json"), "--dtype", "float16"]) == 0
    assert (tmp_path / "new.json").read_text() == text.replace("float32", "float16")
    assert cli.main(["plan", plan, "-o", plan]) == 2
    assert "the output must not be the source" in capsys.readouterr().err


PEAK = """
import os, subprocess, sys
process = subprocess.Popen([sys.executable, "-m", "seedbed", *sys.argv[1:]])
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Program of a small process that starts the command, since a process inherits the peak memory of its parent."""


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the memory of a process, as POSIX has it")
@pytest.mark.parametrize("output", ["model.safetensors", "directory"])
def test_init_and_verify_take_less_than_300_mb(tmp_path, output):
    normal = {"class_name": "RandomNormal", "config": {"stddev": 0.02}}
    tensors = [{"name": "{0..9}", "shape": [5000, 5000], "dtype": "bfloat16", "initializer": normal}]
    (tmp_path / "plan.json").write_text(json.dumps({"tensors": tensors}))
    shards = ["--max-shard-size", "150MB"] if output == "directory" else []  # so that several are in flight
    for arguments in (
        ["init", "plan.json", "-o", output, *shards, "--quiet"],
        ["verify", "plan.json", output, "--quiet"],
    ):
        command = [sys.executable, "-c", PEAK, *arguments]
        peak = int(subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, check=True).stdout)
        assert peak * (1 if sys.platform == "darwin" else 1024) < 300e6

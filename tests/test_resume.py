"""Runs that write a directory of shards are resumed after they are killed or fill the disk."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from support.directories import PLAN, files_in, name_of, plan_of

from seedbed.checkpoint import verify_checkpoint, write_directory


def can_mount():
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") and subprocess.run(command, capture_output=True, check=False).returncode == 0


class TestResume:
    @pytest.fixture
    def whole(self, folder, written):
        return files_in(folder)

    def resume(self, folder, **changes):
        return write_directory(PLAN, folder, **{"seed": 7, "max_shard_size": 400, "resume": True, **changes})

    def test_of_a_whole_directory_changes_no_file(self, folder, written, whole):
        times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        summary = self.resume(folder)
        assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == times
        assert summary.files == written.files

    @pytest.mark.parametrize("missing", [[1], [4], [1, 2, 3, 4], []])
    def test_writes_what_is_missing(self, folder, written, whole, missing):
        for number in missing:
            (folder / name_of(number)).unlink()
        (folder / "model.safetensors.index.json").unlink()
        kept = {path.name: path.stat().st_ino for path in folder.iterdir()}
        assert self.resume(folder).files == written.files
        assert files_in(folder) == whole
        assert {name: (folder / name).stat().st_ino for name in kept} == kept

    @pytest.mark.parametrize("damage", ["bit", "short", "long", "empty", "header", "other"])
    def test_checks_the_existing_shards(self, folder, written, whole, damage):
        shard = folder / name_of(3)
        content = bytearray(shard.read_bytes())
        if damage == "bit":
            content[-1] ^= 1
        elif damage == "header":
            content[content.index(b"seedbed.seed")] ^= 1
        elif damage == "other":
            content[:] = whole[name_of(2)]
        else:
            content = {"short": content[:-1], "long": content + b"x", "empty": b""}[damage]
        shard.write_bytes(content)
        assert self.resume(folder).files == written.files
        assert files_in(folder) == whole

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"seed": 8}, "the directory contains another run, with seed 7, not 8"),
            (
                {"max_shard_size": 500},
                "contains another checkpoint|contains another run, with max_shard_size 400, not 500",
            ),
            ({"max_shard_size": 399}, "the directory contains another run, with max_shard_size 400, not 399"),
        ],
    )
    def test_of_another_run_is_refused(self, folder, whole, changes, message):
        with pytest.raises(FileExistsError, match=message):
            self.resume(folder, **changes)
        assert files_in(folder) == whole

    def test_of_another_plan_is_refused(self, folder, whole):
        other = plan_of(*({"name": t.name, "shape": t.shape, "initializer": "ones"} for t in PLAN.tensors))
        with pytest.raises(FileExistsError, match="the directory contains another run, with another plan"):
            write_directory(other, folder, seed=7, max_shard_size=400, resume=True)
        assert files_in(folder) == whole

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{}",
            b"[" * 10**5,
            b"\xff",
            b'{"algorithm": "v0", "seed": "7", "max_shard_size": 400, "plan": {"tensors": []}}',
        ],
    )
    def test_with_another_manifest_is_refused(self, folder, whole, content):
        (folder / "seedbed.json").write_bytes(content)
        with pytest.raises(FileExistsError, match=r"the directory contains another seedbed.json"):
            self.resume(folder)

    def test_without_a_manifest_is_refused(self, folder, whole):
        (folder / "seedbed.json").unlink()
        with pytest.raises(FileExistsError, match=r"the directory contains shards, but no seedbed.json"):
            self.resume(folder)

    def test_into_a_new_directory_is_a_run(self, folder):
        assert self.resume(folder).tensors == 6


RUN = """
import json, sys, time
from seedbed.checkpoint import write_directory
from seedbed.plan import parse_plan

def pause(tensor):
    print(tensor.name, flush=True)
    time.sleep(600 if tensor.name == sys.argv[2] else 0)

tensors = [{"name": name, "shape": [1 << 18], "initializer": "glorot_normal"} for name in "abcd"]
plan = parse_plan(json.dumps({"tensors": tensors}))
write_directory(plan, sys.argv[1], max_shard_size="1.1MB", resume=True, progress=pause)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT] if os.name == "posix" else [])
def test_a_run_that_is_killed_in_the_middle_of_a_shard_is_resumed(folder, sent):
    environment = {**os.environ, "SEEDBED_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "import signal; signal.signal(2, signal.default_int_handler)\n" + RUN, folder]
    with subprocess.Popen([*command, "c"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        for name in (b"a\n", b"b\n", b"c\n"):
            assert process.stdout.readline() == name
        process.send_signal(sent)
        process.communicate(timeout=300)
    assert {path.name for path in folder.glob("*.safetensors")} <= {name_of(1), name_of(2)}
    assert len(list(folder.glob("*.part"))) <= (sent == signal.SIGKILL) * 2
    assert not (folder / "model.safetensors.index.json").exists()
    done = subprocess.run([*command, "none"], capture_output=True, check=True, env=environment)
    assert done.stdout.split() == [b"a", b"b", b"c", b"d"]
    assert verify_checkpoint(None, folder).different == 0
    assert len(verify_checkpoint(None, folder).files) == 4


FULL = """
import sys
from seedbed.checkpoint import verify_checkpoint
sys.argv[2:] = ["none"]
try:
    exec(RUN)
except OSError as error:
    print(error.errno, error.filename, flush=True)
else:
    print(verify_checkpoint(None, sys.argv[1]).different, flush=True)
"""


@pytest.mark.skipif(not can_mount(), reason="mounting a small disk needs root on Linux")
@pytest.mark.parametrize("reserve", [True, False])
def test_a_run_that_fills_the_disk_is_resumed_on_a_larger_one(tmp_path, reserve):
    """Complete shards remain, partial files do not, and the error names the directory."""
    prepare = "" if reserve else "from seedbed.checkpoint import destination\ndestination._reserve = lambda *_: None\n"
    program = f"{prepare}RUN = {RUN!r}\n{FULL}"
    script = (
        'mount -t tmpfs -o size=3m tmpfs "$1"; python="$2"; "$python" -c "$3" "$1/out"; ls -A "$1/out"; '
        'mount -o remount,size=30m "$1"; "$python" -c "$3" "$1/out"'
    )
    command = ["unshare", "--mount", "sh", "-c", script, "sh", tmp_path, sys.executable, program]
    environment = {**os.environ, "SEEDBED_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    lines = [line for line in done.stdout.split("\n") if line not in ("a", "b", "c", "d", "")]
    error, *files, different = lines
    assert error == f"28 {tmp_path}/out"
    assert files == [name_of(1), name_of(2), "seedbed.json"]
    assert different == "0"

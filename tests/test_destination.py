"""Destinations of checkpoints: existing files, links, file systems and pipes."""

import errno
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from seedbed.checkpoint import destination, write_checkpoint
from seedbed.checkpoint.destination import NewFile
from seedbed.checkpoint.direct_io import DIRECT_BYTES, set_direct
from seedbed.checkpoint.worker_thread import Worker
from seedbed.plan import parse_plan

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")


def plan_of(size, name="a"):
    tensor = {"name": name, "shape": [size], "initializer": "he_normal"}
    return parse_plan(json.dumps({"tensors": [tensor]}))


SMALL, LARGE = plan_of(100), plan_of(1_000_003)  # the large one uses direct I/O, and has an odd length


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class TestPermissions:
    @posix
    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o777, 0o400])
    def test_are_taken_from_the_replaced_file(self, path, mode):
        path.touch()
        path.chmod(mode)
        write_checkpoint(SMALL, path)
        assert stat.S_IMODE(path.stat().st_mode) == mode

    @posix
    @as_root
    def test_include_owner_and_group_if_the_process_may_set_them(self, path):
        path.touch()
        os.chown(path, 12345, 23456)
        path.chmod(0o640)
        write_checkpoint(SMALL, path)
        status = path.stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 23456, 0o640)

    @posix
    def test_the_file_is_written_even_if_its_owner_may_not_be_set(self, path, monkeypatch):
        def refuse(*_):
            raise PermissionError(errno.EPERM, "refused")

        path.touch(0o600)
        monkeypatch.setattr(os, "fchown", refuse)
        summary = write_checkpoint(SMALL, path)
        assert digest(path) == summary.sha256
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @posix
    def test_of_the_temporary_file_are_no_wider(self, path):
        path.touch(0o600)
        modes = []

        def look(tensor):
            modes.extend(stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.glob(".seedbed-*.part"))

        write_checkpoint(SMALL, path, progress=look)
        assert modes == [0o600]


class TestSymbolicLink:
    @posix
    def test_is_followed(self, tmp_path):
        (tmp_path / "there").mkdir()
        link = tmp_path / "link"
        link.symlink_to("there/model")
        for _ in range(2):  # to a missing file, then to an existing one
            write_checkpoint(SMALL, link)
            assert link.is_symlink()
            assert (tmp_path / "there" / "model").is_file()
        assert {entry.name for entry in tmp_path.iterdir()} == {"there", "link"}

    @posix
    def test_that_is_circular_is_refused(self, tmp_path):
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(OSError, match="cannot write the checkpoint") as caught:
            write_checkpoint(SMALL, tmp_path / "a")
        assert caught.value.errno == errno.ELOOP
        assert {entry.name for entry in tmp_path.iterdir()} == {"a", "b"}

    @posix
    def test_to_the_name_of_a_folder_is_refused(self, tmp_path):
        (tmp_path / "link").symlink_to("new/")
        with pytest.raises(IsADirectoryError):
            write_checkpoint(SMALL, tmp_path / "link")
        assert {entry.name for entry in tmp_path.iterdir()} == {"link"}

    @posix
    def test_is_resolved_relative_to_its_own_folder(self, tmp_path):
        for folder in ("a", "b", "c"):
            (tmp_path / folder).mkdir()
        (tmp_path / "a" / "link").symlink_to("../b/link")
        (tmp_path / "b" / "link").symlink_to("../c/model")
        write_checkpoint(SMALL, tmp_path / "a" / "link")
        assert (tmp_path / "c" / "model").is_file()
        (tmp_path / "a" / "lost").symlink_to("../d/model")
        with pytest.raises(FileNotFoundError, match=r"there is no directory .*/a/\.\./d"):
            write_checkpoint(SMALL, tmp_path / "a" / "lost")

    @posix
    def test_under_the_temporary_name_is_not_followed(self, tmp_path, monkeypatch):
        (tmp_path / "victim").write_text("mine")
        (tmp_path / ".seedbed-guessed.part").symlink_to("victim")
        monkeypatch.setattr("secrets.token_hex", lambda size: "guessed")
        with pytest.raises(FileExistsError):
            write_checkpoint(SMALL, tmp_path / "model")
        assert (tmp_path / "victim").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["", "new/", "new//", "new/.", "new/..", "file/", "file/.", "folder", "folder/", "folder/..", "x" * 300]
)
def test_names_that_open_refuses_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_text("mine")
    with pytest.raises(OSError):  # noqa: PT011  # which one, depends on the system
        os.open(name, os.O_RDWR)
    with pytest.raises(OSError, match="cannot write the checkpoint"):
        write_checkpoint(SMALL, name)
    assert {entry.name for entry in tmp_path.rglob("*")} == {"folder", "file"}
    assert Path("file").read_text() == "mine"


@pytest.mark.parametrize("name", ["new", "./new", "folder/../new", "folder/./new", "folder//new", "~", "new.", " "])
def test_names_mean_the_file_that_open_would_make(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path(name).touch()
    before = set(tmp_path.rglob("*"))
    write_checkpoint(SMALL, name)
    assert set(tmp_path.rglob("*")) == before
    assert Path(name).stat().st_size > 400


def test_the_temporary_name_has_128_random_bits(path):
    names = set()
    for _ in range(3):
        write_checkpoint(SMALL, path, progress=lambda _: names.update(p.name for p in path.parent.glob(".seedbed-*")))
    assert len(names) == 3
    assert {len(name) for name in names} == {len(".seedbed-.part") + 32}


class TestFileSystem:
    """The bytes are the same on file systems without some features."""

    @pytest.fixture
    def expected(self, tmp_path):
        return write_checkpoint(LARGE, tmp_path / "expected").sha256

    def test_without_direct_io(self, path, expected, monkeypatch):
        monkeypatch.setattr(destination, "set_direct", lambda descriptor, direct: False)
        assert write_checkpoint(LARGE, path).sha256 == digest(path) == expected

    def test_that_accepts_the_direct_io_flag_but_not_the_write(self, path, expected, monkeypatch):
        """Opening with the flag succeeds, and the first write fails."""
        write, refused = os.write, []

        def refuse(descriptor, view):
            if not refused and len(view) > DIRECT_BYTES:
                refused.append(len(view))
                raise OSError(errno.EINVAL, "refused")
            return write(descriptor, view)

        monkeypatch.setattr(os, "write", refuse)
        assert write_checkpoint(LARGE, path).sha256 == digest(path) == expected
        assert refused

    @pytest.mark.parametrize("most", [1 << 12, 100_001])
    def test_that_writes_less_than_requested(self, path, expected, monkeypatch, most):
        write = os.write
        monkeypatch.setattr(os, "write", lambda descriptor, view: write(descriptor, view[:most]))
        assert write_checkpoint(LARGE, path).sha256 == digest(path) == expected

    def test_that_cannot_reserve_space(self, path, expected, monkeypatch):
        monkeypatch.setattr(destination, "_reserve", lambda descriptor, size: None)
        assert write_checkpoint(LARGE, path).sha256 == digest(path) == expected

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reserves with fallocate")
    def test_reserves_space_before_a_value_is_evaluated(self, path):
        sizes = []
        plan = parse_plan(
            json.dumps({"tensors": [{"name": n, "shape": [1 << 20], "initializer": "zeros"} for n in "ab"]})
        )
        write_checkpoint(
            plan, path, progress=lambda _: sizes.extend(p.stat().st_blocks * 512 for p in path.parent.glob("*.part"))
        )
        assert min(sizes) >= plan.nbytes

    @pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="direct I/O of Linux")
    def test_gets_blocks_that_direct_io_accepts(self, tmp_path):
        with (tmp_path / "probe").open("wb") as probe:
            if not set_direct(probe.fileno(), True):
                pytest.skip("this file system has no direct I/O")
        kinds = []
        file = NewFile(tmp_path / "file", DIRECT_BYTES * 2)
        file.open()
        kinds.append(file._direct)
        memory = np.zeros(DIRECT_BYTES + 4096, np.uint8)
        start = -memory.ctypes.data % 4096
        file.write(memory[start : start + DIRECT_BYTES])
        kinds.append(file._direct)
        file.discard()
        assert kinds == [True, True]


def can_bind():
    command = ["unshare", "--mount", "sh", "-c", "touch /tmp/.a /tmp/.b && mount --bind /tmp/.a /tmp/.b; e=$?; exit $e"]
    return shutil.which("unshare") and subprocess.run(command, capture_output=True, check=False).returncode == 0


BOUND = """
import json, os, sys
from seedbed.checkpoint import destination, write_checkpoint
from seedbed.plan import parse_plan
plan = parse_plan(json.dumps({"tensors": [{"name": "a", "shape": [5000], "initializer": "he_normal"}]}))
if "fail" in sys.argv:
    def fail(descriptor):
        raise OSError(5, "Input/output error")
    fsync, calls = os.fsync, []
    os.fsync = lambda descriptor: fail(descriptor) if calls else calls.append(fsync(descriptor))
try:
    print(write_checkpoint(plan, sys.argv[1]).sha256)
except OSError as error:
    print(error.strerror)
print(sorted(name for name in os.listdir(os.path.dirname(sys.argv[1])) if name.startswith(".seedbed")))
"""


@pytest.mark.skipif(not can_bind(), reason="mounting a file needs root on Linux")
class TestFileThatIsMountedByItself:
    """A file that is itself a mount point, as in containers: no file can be renamed to it."""

    def write(self, tmp_path, *arguments):
        (tmp_path / "outside").write_text("old " * 100_000)
        (tmp_path / "a b").mkdir()
        target = tmp_path / "a b" / "mod\\el"
        target.touch()
        script = 'mount --bind "$1" "$2" && shift 2 && "$@"'
        command = ["unshare", "--mount", "sh", "-c", script, "sh", tmp_path / "outside", target, sys.executable, "-c"]
        done = subprocess.run([*command, BOUND, target, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def test_is_written_over(self, tmp_path):
        assert self.write(tmp_path) == [digest(tmp_path / "outside"), "[]"]

    def test_keeps_the_temporary_file_if_the_copy_fails(self, tmp_path):
        message, left = self.write(tmp_path, "fail")
        (name,) = json.loads(left.replace("'", '"'))
        kept = tmp_path / "a b" / name
        assert message == f"cannot write the checkpoint: Input/output error; the whole file is kept as {str(kept)!r}"
        assert digest(kept) == write_checkpoint(plan_of(5000), tmp_path / "again").sha256


class TestPipe:
    def test_gets_the_bytes_of_the_file_in_order(self, path):
        expected = write_checkpoint(LARGE, path).sha256
        reader, writer = os.pipe()
        received = hashlib.sha256()

        def read():
            while piece := os.read(reader, 1 << 16):
                received.update(piece)

        thread = threading.Thread(target=read)
        thread.start()
        summary = write_checkpoint(LARGE, writer)
        os.close(writer)
        thread.join(300)
        os.close(reader)
        assert received.hexdigest() == summary.sha256 == expected

    def test_that_is_closed_by_its_reader_is_an_error(self):
        reader, writer = os.pipe()
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            write_checkpoint(LARGE, writer)
        os.close(writer)

    @pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
    def test_that_is_full_does_not_prevent_the_process_from_exiting(self):
        program = """
import json, signal, sys
from seedbed.checkpoint import write_checkpoint
from seedbed.plan import parse_plan
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have ignored it
tensor = {"name": "a", "shape": [1000000], "initializer": "ones"}
write_checkpoint(parse_plan(json.dumps({"tensors": [tensor]})), 1, progress=lambda _: print("full", file=sys.stderr))
"""
        command = [sys.executable, "-c", program]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr.readline() == "full\n"
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(300) != 0
            assert process.stderr.read().endswith("KeyboardInterrupt\n")


class TestWorker:
    def test_runs_tasks_in_order_and_none_after_a_failure(self):
        done = []

        def task(number):
            done.append(number)
            return 1 // (number - 2)

        worker = Worker()
        futures = [worker.submit(task, number) for number in range(5)]
        worker.join()
        assert done == [0, 1, 2]
        assert [type(future.exception()) for future in futures] == [type(None)] * 2 + [ZeroDivisionError] * 3

    def test_without_a_thread_runs_in_the_caller(self, monkeypatch):
        def refuse(thread):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        worker = Worker()
        assert worker.submit(threading.get_ident).result() == threading.get_ident()
        worker.join()

    def test_cancelled_runs_no_further_task(self):
        worker, started, release, done = Worker(), threading.Event(), threading.Event(), []
        worker.submit(lambda: (started.set(), release.wait(300)))
        worker.submit(done.append, 1)
        assert started.wait(300)
        worker.cancel()
        release.set()
        worker.join()
        assert done == []


def test_a_failed_block_prevents_the_rename(path, monkeypatch):
    """The last block fails after the last wait for a block."""
    path.write_text("old")

    def fail(descriptor, view):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="cannot write the checkpoint: full"):
        write_checkpoint(SMALL, path)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert path.read_text() == "old"

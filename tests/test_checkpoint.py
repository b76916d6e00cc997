import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file

import seedbed
from seedbed.checkpoint import write_checkpoint
from seedbed.plan import Plan, PlannedTensor, parse_plan

NORMAL = {"class_name": "RandomNormal", "config": {"mean": 0.5, "stddev": 0.02}}
ENTRIES = [
    {"name": "half", "shape": [33, 7], "dtype": "float16"},
    {"name": "brain", "shape": [5, 3, 2], "dtype": "bfloat16"},
    {"name": "scalar", "shape": []},
    {"name": "nothing", "shape": [3, 0]},
    {"name": "double", "shape": [1001], "dtype": "float64", "initializer": "glorot_uniform"},
    {"name": "größe/🌱", "shape": [129, 65]},
    {"name": "ones", "shape": [9], "dtype": "float16", "initializer": "ones"},
]
LAYOUT = ["double", "scalar", "nothing", "größe/🌱", "half", "brain", "ones"]


def plan_of(*entries):
    return parse_plan(json.dumps({"tensors": entries, "defaults": [{"pattern": "*", "initializer": NORMAL}]}))


def header_of(path):
    content = Path(path).read_bytes()
    length = int.from_bytes(content[:8], "little")
    return content[8 : 8 + length], content[8 + length :]


@pytest.fixture
def path(tmp_path):
    """Yield a path in a folder that is otherwise empty, before and after the test."""
    yield tmp_path / "model.safetensors"
    assert {entry.name for entry in tmp_path.iterdir()} <= {"model.safetensors"}


@pytest.fixture
def threads():
    before = seedbed.get_num_threads()
    yield seedbed.set_num_threads
    seedbed.set_num_threads(before)


def test_safetensors_reads_back_every_tensor_bit_for_bit(path):
    plan = plan_of(*ENTRIES)
    write_checkpoint(plan, path, seed=7)
    tensors = load_file(path)
    assert set(tensors) == {tensor.name for tensor in plan.tensors}
    for tensor in plan.tensors:
        seed = seedbed.SeedGenerator(7).child(tensor.name)
        expected = tensor.initializer.with_seed(seed)(tensor.shape, tensor.dtype)
        read = tensors[tensor.name]
        assert (read.shape, read.dtype) == (tensor.shape, tensor.dtype), tensor.name
        assert read.tobytes() == expected.tobytes(), tensor.name
    assert tensors["brain"].dtype == ml_dtypes.bfloat16
    assert tensors["half"].std() > 0


def test_the_header_records_algorithm_and_seed_but_no_version(path):
    write_checkpoint(plan_of(*ENTRIES), path, seed=-(2**255))
    with safetensors.safe_open(path, "numpy") as file:
        assert file.metadata() == {"format": "pt", "seedbed.algorithm": "v1", "seedbed.seed": str(-(2**255))}


def test_tensors_are_stored_without_gaps_and_aligned(path):
    plan = plan_of(*ENTRIES)
    write_checkpoint(plan, path)
    text, data = header_of(path)
    header = json.loads(text)
    assert list(header) == ["__metadata__", *LAYOUT]
    end = 0
    for name in LAYOUT:
        start, stop = header[name]["data_offsets"]
        tensor = next(tensor for tensor in plan.tensors if tensor.name == name)
        assert (start, stop) == (end, end + tensor.nbytes)
        assert start % tensor.dtype.itemsize == 0
        end = stop
    assert end == len(data) == plan.nbytes
    assert (8 + len(text)) % 64 == 0
    assert text.rstrip(b" ").endswith(b"}")


@pytest.mark.parametrize("length", range(1, 65, 7))
def test_the_data_start_at_a_multiple_of_64_bytes(path, length):
    write_checkpoint(plan_of({"name": "n" * length, "shape": [2]}), path)
    text, data = header_of(path)
    assert ((8 + len(text)) % 64, len(data)) == (0, 8)


def test_the_summary_counts_the_contents_of_the_file(path):
    plan = plan_of(*ENTRIES)
    summary = write_checkpoint(plan, path)
    content = path.read_bytes()
    assert (summary.tensors, summary.parameters) == (7, 33 * 7 + 30 + 1 + 0 + 1001 + 129 * 65 + 9)
    assert (summary.bytes, summary.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert 0 < summary.fill_seconds < summary.seconds


def test_an_empty_plan_makes_a_file_without_tensors(path):
    summary = write_checkpoint(plan_of(), path)
    assert load_file(path) == {}
    assert (summary.tensors, summary.parameters, summary.bytes) == (0, 0, path.stat().st_size)


def test_the_block_size_does_not_change_the_bytes(path, monkeypatch):
    digests = set()
    for size in (64, 4096, 1 << 24):
        monkeypatch.setattr("seedbed.checkpoint.ring_buffer.BLOCK_BYTES", size)
        summary = write_checkpoint(plan_of(*ENTRIES), path)
        digests |= {summary.sha256, hashlib.sha256(path.read_bytes()).hexdigest()}
    assert len(digests) == 1


def test_progress_is_reported_after_each_tensor_in_file_order(path):
    reported = []
    write_checkpoint(plan_of(*ENTRIES), path, progress=lambda tensor: reported.append(tensor.name))
    assert reported == LAYOUT


def test_the_bytes_depend_on_plan_and_seed_only(path, threads, monkeypatch):
    plan = plan_of(*ENTRIES, {"name": "large", "shape": [1023, 1025]})

    def digest(seed):
        return write_checkpoint(plan, path, seed=seed).sha256

    first = digest(1)
    for count in (1, 2, 3, 8):
        threads(count)
        assert digest(1) == first
    assert digest(2) != first


def test_a_big_endian_machine_writes_the_same_bytes(path, monkeypatch):
    plan = plan_of(*ENTRIES)
    write_checkpoint(plan, path)
    here = load_file(path)
    monkeypatch.setattr(sys, "byteorder", {"little": "big", "big": "little"}[sys.byteorder])
    write_checkpoint(plan, path)
    monkeypatch.undo()
    for name, array in load_file(path).items():
        assert array.byteswap().tobytes() == here[name].tobytes(), name


def test_another_tensor_in_the_plan_changes_no_value(path):
    write_checkpoint(plan_of(*ENTRIES), path)
    before = load_file(path)
    write_checkpoint(plan_of({"name": "new", "shape": [3]}, *reversed(ENTRIES)), path)
    after = load_file(path)
    assert after.keys() - before.keys() == {"new"}
    for name, array in before.items():
        assert after[name].tobytes() == array.tobytes(), name


def test_tensors_of_one_shape_under_two_names_differ(path):
    write_checkpoint(plan_of({"name": "a", "shape": [64]}, {"name": "b", "shape": [64]}), path)
    tensors = load_file(path)
    assert not np.array_equal(tensors["a"], tensors["b"])


def test_memory_use_is_bounded_by_blocks_not_by_tensors(path):
    plan = plan_of({"name": "a", "shape": [32 << 20]}, {"name": "b", "shape": [32 << 20], "dtype": "bfloat16"})
    tracemalloc.start()
    write_checkpoint(plan, path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 130 << 20


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_file_has_the_permissions_of_any_new_file(path):
    before = os.umask(0o027)
    try:
        write_checkpoint(plan_of(*ENTRIES), path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_existing_file_is_replaced(path):
    path.write_bytes(b"old" * 1000)
    summary = write_checkpoint(plan_of(*ENTRIES), path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == summary.sha256


def test_a_symbolic_link_is_followed_not_replaced(path, tmp_path_factory):
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(path)
    write_checkpoint(plan_of(*ENTRIES), link)
    assert link.is_symlink()
    assert len(load_file(path)) == len(ENTRIES)


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("kind", [Interrupted, KeyboardInterrupt, ValueError, MemoryError])
def test_an_exception_leaves_only_the_old_file(path, kind):
    path.write_bytes(b"old")

    def stop(tensor):
        if tensor.name == "half":
            raise kind

    with pytest.raises(kind):
        write_checkpoint(plan_of(*ENTRIES), path, progress=stop)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("seed", [2**255, -(2**255) - 1, "1", 1.0, True, None, seedbed.SeedGenerator(1)])
def test_an_invalid_seed_is_refused_before_a_file_is_made(path, seed):
    with pytest.raises(ValueError, match="a seed must be"):
        write_checkpoint(plan_of(*ENTRIES), path, seed=seed)
    assert not path.exists()


def test_a_dtype_that_checkpoints_lack_is_refused(path):
    tensor = PlannedTensor("a", (2,), np.dtype("complex64"), plan_of(*ENTRIES).tensors[0].initializer)
    with pytest.raises(
        ValueError,
        match=r"'a': a dtype in a checkpoint must be one of bfloat16, .*, float8_e8m0fnu\. Received",
    ):
        write_checkpoint(Plan((tensor,)), path)
    assert not path.exists()


def test_a_header_longer_than_safetensors_reads_is_refused(path, monkeypatch):
    monkeypatch.setattr("seedbed.checkpoint.header.MAX_HEADER_BYTES", 200)
    with pytest.raises(ValueError, match=r"the header of a checkpoint must have at most 200 bytes\. Received: 568"):
        write_checkpoint(plan_of(*ENTRIES), path)
    assert not path.exists()


def test_a_size_larger_than_any_disk_is_refused(path):
    plan = plan_of(*({"name": str(index), "shape": [2**60]} for index in range(2)))
    with pytest.raises(
        ValueError, match=r"must have at most 4611686018427387904 bytes\. Received: 9223372036854775808"
    ):
        write_checkpoint(plan, path)
    with pytest.raises(OSError, match="cannot write the checkpoint") as caught:
        write_checkpoint(Plan(plan.tensors[:1]), path)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert not path.exists()


class TestTarget:
    def test_in_a_missing_folder_is_an_os_error_that_names_it(self, path):
        target = path / "model.safetensors"
        with pytest.raises(FileNotFoundError) as caught:
            write_checkpoint(plan_of(*ENTRIES), target)
        assert caught.value.strerror == f"cannot write the checkpoint: there is no directory {str(path)!r}"
        assert caught.value.filename == str(target)

    def test_that_is_a_folder_is_refused(self, path):
        with pytest.raises(OSError, match="not a regular file"):
            write_checkpoint(plan_of(*ENTRIES), path.parent)

    @pytest.mark.skipif(not Path("/dev/null").exists(), reason="no devices here")
    def test_that_is_a_device_is_refused(self):
        with pytest.raises(OSError, match="not a regular file"):
            write_checkpoint(plan_of(*ENTRIES), "/dev/null")
        assert Path("/dev/null").is_char_device()


def run(program, *arguments, wrap=()):
    command = [*wrap, sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


NO_RESERVE = """
from seedbed.checkpoint import destination
destination._reserve = lambda descriptor, size: None
"""

WRITE = """
import json, signal, sys, time
from seedbed.checkpoint import write_checkpoint
from seedbed.plan import parse_plan

def pause(tensor):
    print("filled", tensor.name, flush=True)
    time.sleep(float(sys.argv[2]))

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have ignored it
tensors = [{"name": name, "shape": [1 << 20], "initializer": "glorot_normal"} for name in "abc"]
try:
    write_checkpoint(parse_plan(json.dumps({"tensors": tensors})), sys.argv[1], progress=pause)
except OSError as error:
    sys.exit(f"errno {error.errno}")
except MemoryError:
    sys.exit("no memory")
"""


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="file size limits of POSIX")
def test_a_file_above_the_limit_is_an_os_error_before_any_fill(path):
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))"
    process = run(limit + WRITE, path, 0)
    assert process.communicate(timeout=300) == ("", f"errno {errno.EFBIG}\n")
    assert not path.exists()


def can_mount():
    return (
        shutil.which("unshare")
        and subprocess.run(
            ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
        ).returncode
        == 0
    )


@pytest.mark.skipif(not can_mount(), reason="mounting a small disk needs root on Linux")
@pytest.mark.parametrize("reserve", ["", NO_RESERVE], ids=["reserved", "not reserved"])
def test_a_disk_that_fills_is_an_os_error_and_leaves_nothing(tmp_path, reserve):
    mount = f'mount -t tmpfs -o size=8m tmpfs {tmp_path} && "$@"; status=$?; ls -A {tmp_path}; exit $status'
    process = run(reserve + WRITE, tmp_path / "model", 0, wrap=["unshare", "--mount", "sh", "-c", mount, "sh"])
    out, err = process.communicate(timeout=300)
    assert err == f"errno {errno.ENOSPC}\n"
    assert set(out.split()) <= ({"filled", "a", "b", "c"} if reserve else set())
    assert process.returncode == 1


def test_a_killed_process_leaves_no_file_of_the_final_name(tmp_path):
    process = run(WRITE, tmp_path / "model", 60)
    assert process.stdout.readline() == "filled a\n"
    process.kill()
    process.communicate(timeout=300)
    left = [entry.name for entry in tmp_path.iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".seedbed-")
    assert left[0].endswith(".part")


def test_ctrl_c_leaves_nothing_behind(path):
    process = run(WRITE, path, 60)
    assert process.stdout.readline() == "filled a\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert errors.endswith("KeyboardInterrupt\n")
    assert not path.exists()


def test_the_run_after_a_killed_one_writes_the_file(tmp_path):
    process = run(WRITE, tmp_path / "model", 60)
    assert process.stdout.readline() == "filled a\n"
    process.kill()
    process.communicate(timeout=300)
    for _ in range(2):
        assert run(WRITE, tmp_path / "model", 0).communicate(timeout=300)[1] == ""
    assert len(load_file(tmp_path / "model")) == 3
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("length", [0, 5, 100, 1000])
def test_a_truncated_file_is_replaced(path, length):
    whole = write_checkpoint(plan_of(*ENTRIES), path).sha256
    os.truncate(path, length)
    with pytest.raises(safetensors.SafetensorError):
        load_file(path)
    assert write_checkpoint(plan_of(*ENTRIES), path).sha256 == whole
    assert hashlib.sha256(path.read_bytes()).hexdigest() == whole


def test_ctrl_c_does_not_wait_for_the_hash_of_a_large_tensor(path, monkeypatch, hash_slowly):
    """After the interruption, at most the current block is hashed."""

    def stop(tensor):
        hashed.append("stop")
        raise KeyboardInterrupt

    monkeypatch.setattr("seedbed.checkpoint.ring_buffer.BLOCK_BYTES", 1 << 12)
    hashed = hash_slowly()
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(plan_of({"name": "large", "shape": [1 << 21]}), path, progress=stop)
    assert len(hashed) - hashed.index("stop") <= 3


def test_without_a_hash_thread_the_file_is_the_same(path, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    want = write_checkpoint(plan_of(*ENTRIES), path).sha256
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert write_checkpoint(plan_of(*ENTRIES), path).sha256 == want


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits as Linux has them")
def test_failed_allocation_raises_memory_error_and_leaves_no_file(path):
    limit = """
import resource
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (4 << 20),) * 2)
"""
    program = WRITE.replace("try:", limit + "try:")
    assert run(program, path, 0).communicate(timeout=300) == ("", "no memory\n")
    assert not path.exists()


@pytest.mark.parametrize("path", [True, 1.5, None, b"model.safetensors", []])
def test_a_path_of_a_wrong_type_is_a_type_error(path):
    with pytest.raises(TypeError):
        write_checkpoint(plan_of(*ENTRIES), path)

"""`verify_checkpoint` accepts files of `write_checkpoint`, and reports every difference of other files."""

import hashlib
import itertools
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import seedbed
from seedbed import regions, rules
from seedbed.checkpoint import Difference, verify_checkpoint, write_checkpoint
from seedbed.checkpoint.header import DTYPE_NAMES
from seedbed.plan import Plan, PlannedTensor, parse_plan

NORMAL = {"class_name": "RandomNormal", "config": {"mean": 0.5, "stddev": 0.02}}
ENTRIES = [
    *({"name": dtype, "shape": [5, 7, 3], "dtype": dtype} for dtype in ("float16", "bfloat16", "float32", "float64")),
    *(
        {"name": dtype, "shape": [3, 5], "dtype": dtype, "initializer": "ones"}
        for dtype in DTYPE_NAMES
        if "float" not in dtype
    ),
    {"name": "scalar", "shape": []},
    {"name": "nothing", "shape": [3, 0, 1 << 40]},
    {"name": "größe/🌱\n", "shape": [129, 65]},
    {"name": "array", "shape": [9, 4], "initializer": {"class_name": "Constant", "config": {"value": [1, 2, 3, -0.0]}}},
    {"name": "identity", "shape": [9, 40], "initializer": "identity"},
    {"name": "orthogonal", "shape": [20, 33], "initializer": "orthogonal"},
    {"name": "sparse", "shape": [33, 20], "initializer": {"class_name": "Sparse", "config": {"sparsity": 0.4}}},
]


def plan_of(*entries):
    return parse_plan(json.dumps({"tensors": entries, "defaults": [{"pattern": "*", "initializer": NORMAL}]}))


PLAN = plan_of(*ENTRIES)


@pytest.fixture(params=[1 << 22, 64])
def pieces(request, monkeypatch):
    """Set the size of the compared pieces: a tensor, or a part of one."""
    monkeypatch.setattr("seedbed.checkpoint.comparison.PIECE_BYTES", request.param)


@pytest.fixture
def threads():
    before = seedbed.get_num_threads()
    yield seedbed.set_num_threads
    seedbed.set_num_threads(before)


def fresh(plan, seed):
    root = seedbed.SeedGenerator(seed)
    return {
        tensor.name: tensor.initializer.with_seed(root.child(tensor.name))(tensor.shape, tensor.dtype)
        for tensor in plan.tensors
    }


def parts_of(path):
    content = Path(path).read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), 8 + length, content


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


class TestWhatInitWrites:
    @pytest.mark.parametrize("seed", [0, 1, -1, 2**255 - 1, -(2**255)])
    def test_is_proved(self, path, pieces, seed):
        summary = write_checkpoint(PLAN, path, seed=seed)
        for asked in (None, seed):
            found = verify_checkpoint(PLAN, path, seed=asked)
            assert (found.different, found.differences) == (0, ())
            assert (found.seed, found.seed_recorded) == (seed, seed)
            assert (found.tensors, found.parameters, found.bytes, found.sha256) == (
                summary.tensors,
                summary.parameters,
                summary.bytes,
                summary.sha256,
            )
            assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
            assert found.seconds > 0

    def test_is_proved_on_any_number_of_threads(self, path, threads):
        plan = plan_of({"name": "large", "shape": [1500, 1025]})
        write_checkpoint(plan, path)
        for count in (1, 2, 5):
            threads(count)
            assert not verify_checkpoint(plan, path).different

    def test_differs_with_another_seed(self, path, pieces):
        write_checkpoint(PLAN, path, seed=1)
        found = verify_checkpoint(PLAN, path, seed=2)
        drawn = {"float16", "bfloat16", "float32", "float64", "scalar", "größe/🌱\n", "orthogonal", "sparse"}
        assert {(difference.name, difference.kind) for difference in found.differences} == {
            (n, "values") for n in drawn
        }
        assert (found.seed, found.seed_recorded, found.different) == (2, 1, len(drawn))

    def test_of_a_big_endian_machine_is_proved_there(self, path, monkeypatch):
        plan = plan_of({"name": "a", "shape": [40]})
        write_checkpoint(plan, path)
        here = load_file(path)["a"]
        monkeypatch.setattr(sys, "byteorder", {"little": "big", "big": "little"}[sys.byteorder])
        difference = verify_checkpoint(plan, path).differences[0]
        assert (
            difference.expected == f"{here[0]!s} ({int(here.view('u4')[0]):#010x})"
        )  # in the byte order of this machine
        write_checkpoint(plan, path)
        assert not verify_checkpoint(plan, path).different

    def test_of_no_tensors_is_proved(self, path):
        write_checkpoint(plan_of(), path)
        assert verify_checkpoint(plan_of(), path).different == 0

    def test_is_reported_tensor_by_tensor_in_file_order(self, path):
        write_checkpoint(PLAN, path)
        order = [name for name in parts_of(path)[0] if name != "__metadata__"]
        reported = []
        verify_checkpoint(PLAN, path, progress=lambda tensor: reported.append(tensor.name))
        assert reported == order

    def test_is_proved_if_the_system_refuses_a_thread(self, path, monkeypatch):
        def refuse(thread):
            raise RuntimeError("can't start new thread")

        summary = write_checkpoint(PLAN, path)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert verify_checkpoint(PLAN, path).sha256 == summary.sha256

    def test_is_proved_through_a_link(self, path, tmp_path):
        write_checkpoint(PLAN, path)
        (tmp_path / "link").symlink_to(path)
        assert not verify_checkpoint(PLAN, tmp_path / "link").different


class TestOtherWriters:
    def test_the_safetensors_library(self, path, pieces):
        save_file(fresh(PLAN, 5), path)
        assert list(parts_of(path)[0]) != list(fresh(PLAN, 5))
        found = verify_checkpoint(PLAN, path, seed=5)
        assert (found.different, found.seed, found.seed_told) == (0, 5, None)
        assert verify_checkpoint(PLAN, path, seed=6).different

    def test_need_a_seed_if_they_record_no_seed(self, path):
        save_file(fresh(PLAN, 5), path, metadata={"format": "pt"})
        with pytest.raises(
            ValueError,
            match=r'a seed must be given .* has no seed\. Received: seed=None, and the metadata keys \["format"\]',
        ):
            verify_checkpoint(PLAN, path)

    def test_may_record_seed_and_algorithm(self, path):
        save_file(fresh(PLAN, 5), path, metadata={"seedbed.seed": "5", "seedbed.algorithm": "v1"})
        assert not verify_checkpoint(PLAN, path).different
        save_file(fresh(PLAN, 5), path, metadata={"seedbed.seed": "5"})
        assert not verify_checkpoint(PLAN, path).different

    @pytest.mark.parametrize("seed", [None, 5])
    def test_of_another_algorithm_are_refused(self, path, seed):
        save_file(fresh(PLAN, 5), path, metadata={"seedbed.seed": "5", "seedbed.algorithm": "v2"})
        with pytest.raises(ValueError, match=r'must be v1, .*\. Received: seedbed\.algorithm="v2"'):
            verify_checkpoint(PLAN, path, seed=seed)

    @pytest.mark.parametrize(
        "text", ["", "x", "1.0", "1e3", "01", "-0", "+1", " 1", "1_0", "\u0661", "9" * 77, "9" * 5000]
    )
    def test_that_record_an_invalid_seed_are_refused(self, path, text):
        save_file(fresh(plan_of(), 5), path, metadata={"seedbed.seed": text})
        with pytest.raises(ValueError, match=r"must be (an integer )?in \[-2\*\*255, 2\*\*255\)") as caught:
            verify_checkpoint(plan_of(), path, seed=5)
        assert len(str(caught.value)) < 200

    def test_may_have_any_order_and_blanks(self, path):
        plan = plan_of({"name": "a", "shape": [3]}, {"name": "b", "shape": [], "dtype": "float16"})
        a, b = (array.tobytes() for array in fresh(plan, 1).values())
        entries = {
            "a": {"data_offsets": [2, 14], "shape": [3], "dtype": "F32"},
            "b": {"shape": [], "dtype": "F16", "data_offsets": [0, 2]},
        }
        text = json.dumps(entries, indent=" \t\r\n") + "\n   "
        path.write_bytes(file_of(text.encode(), b + a))
        assert not verify_checkpoint(plan, path, seed=1).different
        text = text.replace('"a"', r'"\u0061"')
        path.write_bytes(file_of(text.encode(), b + a))
        assert not verify_checkpoint(plan, path, seed=1).different


class TestDifferences:
    def test_any_changed_bit_is_found(self, path, pieces):
        write_checkpoint(PLAN, path, seed=3)
        header, data, content = parts_of(path)
        tensors = fresh(PLAN, 3)
        found = 0
        for name, tensor in tensors.items():
            start, stop = header[name]["data_offsets"]
            for at in {start, (start + stop) // 2, stop - 1} if tensor.size else ():
                changed = bytearray(content)
                changed[data + at] ^= 1 << (at % 8)
                path.write_bytes(changed)
                result = verify_checkpoint(PLAN, path)
                index = tuple(int(i) for i in np.unravel_index((at - start) // tensor.itemsize, tensor.shape))
                bits = tensor[index].tobytes()[:: 1 if sys.byteorder == "big" else -1].hex()
                wanted = f"{tensor[index]!s} (0x{bits})"
                (difference,) = result.differences
                assert (difference.name, difference.kind, difference.index) == (name, "values", index)
                assert (difference.count, difference.size, difference.expected) == (1, tensor.size, wanted)
                assert difference.found != wanted
                assert result.sha256 == hashlib.sha256(changed).hexdigest()
                found += 1
        assert found > 40

    def test_bits_are_compared_and_not_numbers(self, path):
        plan = plan_of({"name": "a", "shape": [4, 2], "initializer": "zeros"})
        save_file({"a": np.array([[0, 0], [0, -0.0], [0, 0], [np.nan, 1e-45]], "f4")}, path)
        (difference,) = verify_checkpoint(plan, path, seed=0).differences
        assert difference == Difference("a", "values", "0.0 (0x00000000)", "-0.0 (0x80000000)", 3, 8, (1, 1))
        assert str(difference) == (
            '"a" differs in 3 of 8 elements, first at [1, 1]: expected 0.0 (0x00000000), found -0.0 (0x80000000)'
        )

    def test_of_a_nan_with_another_payload(self, path, monkeypatch):
        """No initializer makes NaNs. If one did, their bits would be compared."""
        nan = np.array([0x7FC00000], "u4").view("f4")

        class Nan(seedbed.Zeros):
            def rule(self, shape, dtype):
                return rules.Repeated(nan[0])

        plan = Plan((PlannedTensor("a", (2,), np.dtype("f4"), Nan()),))
        write_checkpoint(plan, path)
        assert not verify_checkpoint(plan, path).different
        save_file({"a": np.array([0x7FC00000, 0x7FC00001], "u4").view("f4")}, path)
        (difference,) = verify_checkpoint(plan, path, seed=0).differences
        assert (difference.expected, difference.found) == ("nan (0x7fc00000)", "nan (0x7fc00001)")

    def test_of_names_dtypes_and_shapes(self, path):
        save_file(
            {
                "more": np.ones(3, "f4"),
                "half": np.ones((2, 3), ml_dtypes.bfloat16),
                "turned": np.ones((3, 2), "f4"),
                "right": np.ones(5, "f4"),
            },
            path,
        )
        ones = {"initializer": "ones"}
        plan = plan_of(
            {"name": "lost", "shape": [1], **ones},
            {"name": "half", "shape": [2, 3], **ones},
            {"name": "turned", "shape": [2, 3], **ones},
            {"name": "right", "shape": [5], **ones},
            {"name": "empty", "shape": [0], **ones},
        )
        found = verify_checkpoint(plan, path, seed=0)
        assert sorted(map(str, found.differences)) == [
            '"empty" is missing',
            '"half" expected float32 [2, 3], found bfloat16 [2, 3]',
            '"lost" is missing',
            '"more" is not in the plan',
            '"turned" expected float32 [2, 3], found float32 [3, 2]',
        ]
        assert found.different == 5
        assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()

    def test_of_another_plan(self, path):
        write_checkpoint(PLAN, path)
        found = verify_checkpoint(plan_of({"name": "other", "shape": [2]}), path)
        assert found.different == len(PLAN.tensors) + 1
        assert len(found.differences) == 20
        assert {difference.kind for difference in found.differences} == {"unexpected"}

    def test_more_than_twenty_are_counted(self, path):
        write_checkpoint(plan_of(*({"name": str(i), "shape": [2]} for i in range(50))), path, seed=1)
        plan = plan_of(*({"name": str(i), "shape": [2]} for i in range(45)))
        found = verify_checkpoint(plan, path, seed=2)
        assert (found.different, len(found.differences)) == (50, 20)

    def test_a_name_is_printed_in_ascii_and_shortened(self):
        assert str(Difference("\x1b[31m\n🌱", "missing")) == r'"\u001b[31m\n\ud83c\udf31" is missing'
        assert len(str(Difference("a" * 10**6, "unexpected"))) < 120


@pytest.mark.parametrize("seed", [2**255, "1", 1.0, True, seedbed.SeedGenerator(1)])
def test_an_invalid_seed_is_refused_before_the_file_is_read(path, seed):
    with pytest.raises(ValueError, match="a seed must be"):
        verify_checkpoint(PLAN, path, seed=seed)


def test_a_dtype_that_checkpoints_lack_is_refused(path):
    plan = Plan((PlannedTensor("a", (2,), np.dtype("complex64"), seedbed.Zeros()),))
    with pytest.raises(ValueError, match=r"'a': a dtype in a checkpoint must be one of .*\. Received: complex64"):
        verify_checkpoint(plan, path)


class TestNoOrdinaryFile:
    def test_is_an_os_error_that_names_it(self, path, tmp_path):
        for target, reason in (
            (path, "No such file or directory"),
            (tmp_path, "the directory has no safetensors file"),
        ):
            with pytest.raises(OSError, match="cannot read the checkpoint") as caught:
                verify_checkpoint(PLAN, target)
            assert caught.value.strerror == f"cannot read the checkpoint: {reason}"
            assert caught.value.filename == str(target)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
    @pytest.mark.parametrize("changed_meanwhile", [False, True])
    def test_a_pipe_without_a_writer_is_not_waited_for(self, path, tmp_path, monkeypatch, changed_meanwhile):
        os.mkfifo(path)
        if changed_meanwhile:  # an ordinary file at the check, a pipe when it is opened
            (tmp_path / "file").touch()
            ordinary = (tmp_path / "file").stat()
            monkeypatch.setattr(Path, "stat", lambda self: ordinary)
        with pytest.raises(OSError, match="not a regular file"):
            verify_checkpoint(PLAN, path)

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
    def test_a_device_is_not_opened(self, device, monkeypatch):
        monkeypatch.setattr(os, "open", None)
        with pytest.raises(OSError, match="not a regular file"):
            verify_checkpoint(PLAN, device)

    @pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="sockets of POSIX")
    def test_a_socket_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("s")
            with pytest.raises(OSError, match="not a regular file"):
                verify_checkpoint(PLAN, "s")


@settings(max_examples=300)
@given(st.lists(st.integers(0, 6), max_size=5), st.integers(1, 50))
def test_pieces_in_order_are_the_whole(shape, most):
    whole = np.arange(math.prod(shape)).reshape(shape)
    pieces = [
        whole[tuple(slice(start, start + count) for _, start, _, count in axes)].ravel()
        for axes in regions.pieces(shape, most)
    ]
    assert np.concatenate([[], *pieces]).tolist() == whole.ravel().tolist()
    assert all(piece.size <= most for piece in pieces)
    assert len(pieces) <= (2 * len(shape) + 1) * -(-whole.size // most)


@settings(max_examples=300)
@given(st.lists(st.integers(0, 5), max_size=4), st.data())
def test_a_range_of_elements_is_a_few_contiguous_regions(shape, data):
    whole = np.arange(math.prod(shape)).reshape(shape)
    start = data.draw(st.integers(0, whole.size))
    stop = data.draw(st.integers(start, whole.size))
    parts = [
        whole[tuple(slice(first, first + count) for _, first, _, count in axes)]
        for axes in regions.contiguous(tuple(shape), start, stop)
    ]
    assert [element for part in parts for element in part.ravel()] == list(range(start, stop))
    assert len(parts) <= 2 * len(shape) + 1


def test_pieces_of_a_huge_tensor_are_immediate():
    first = list(itertools.islice(regions.pieces((2**20, 2**20, 2**20), 2**22), 2))
    assert [[(start, count) for _, start, _, count in axes] for axes in first] == [
        [(0, 1), (0, 4), (0, 2**20)],
        [(0, 1), (4, 4), (0, 2**20)],
    ]


class TestMemory:
    def peak(self, plan, path):
        write_checkpoint(plan, path)
        tracemalloc.start()
        found = verify_checkpoint(plan, path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert not found.different
        return peak

    def test_is_bounded_for_tensors_of_any_size(self, path, monkeypatch):
        monkeypatch.setattr("seedbed.checkpoint.ring_buffer.BLOCK_BYTES", 1 << 20)
        plan = plan_of(
            {"name": "a", "shape": [9 << 20]}, {"name": "b", "shape": [9 << 10, 1 << 10], "dtype": "bfloat16"}
        )
        assert plan.nbytes > 50 << 20
        assert self.peak(plan, path) < 20 << 20

    def test_is_that_of_one_orthogonal_tensor(self, path, monkeypatch):
        monkeypatch.setattr("seedbed.checkpoint.ring_buffer.BLOCK_BYTES", 1 << 12)
        names = [{"name": name, "shape": [1 << 10, 1 << 10], "initializer": "orthogonal"} for name in "abcd"]
        assert self.peak(plan_of(*names), path) < (4 << 20) * 2 + (14 << 20)


INTERRUPTED = """
import json, signal, sys, time
from seedbed.checkpoint import verify_checkpoint
from seedbed.plan import parse_plan

def pause(tensor):
    print("verified", tensor.name, flush=True)
    time.sleep(600)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have ignored it
verify_checkpoint(parse_plan(sys.argv[1]), sys.argv[2], progress=pause)
"""


def test_ctrl_c_ends_it(path):
    text = json.dumps({"tensors": [{"name": n, "shape": [1 << 20], "initializer": "he_uniform"} for n in "ab"]})
    write_checkpoint(parse_plan(text), path)
    before = path.read_bytes()
    command = [sys.executable, "-c", INTERRUPTED, text, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "verified a\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=300)[1].endswith("KeyboardInterrupt\n")
    assert path.read_bytes() == before


def test_ctrl_c_does_not_wait_for_the_hash(path, monkeypatch, hash_slowly):
    plan = plan_of({"name": "large", "shape": [4 << 20]})
    write_checkpoint(plan, path)

    def stop(tensor):
        hashed.append("stop")
        raise KeyboardInterrupt

    monkeypatch.setattr("seedbed.checkpoint.ring_buffer.BLOCK_BYTES", 1 << 14)
    hashed = hash_slowly()
    with pytest.raises(KeyboardInterrupt):
        verify_checkpoint(plan, path, progress=stop)
    assert len(hashed) - hashed.index("stop") <= 3

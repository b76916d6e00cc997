"""Directories of shards in the layout of the Hugging Face hub: written, resumed and verified."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import seedbed
from seedbed.checkpoint import Difference, verify_checkpoint, write_checkpoint, write_directory
from seedbed.checkpoint.layout import as_size, shard_layouts
from seedbed.plan import Plan, PlannedTensor, parse_plan

NORMAL = {"class_name": "RandomNormal", "config": {"mean": 0.5, "stddev": 0.02}}
CONFIG = {"architectures": ["Net"], "hidden_size": 8}


def can_mount():
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") and subprocess.run(command, capture_output=True, check=False).returncode == 0


def plan_of(*entries, **fields):
    document = {"tensors": entries, "defaults": [{"pattern": "*", "initializer": NORMAL}], **fields}
    return parse_plan(json.dumps(document))


PLAN = plan_of(
    *({"name": name, "shape": [size]} for name, size in zip("abcdef", (60, 60, 20, 300, 20, 20), strict=True))
)

SHARDS = {1: ["a"], 2: ["d"], 3: ["b", "c", "e"], 4: ["f"]}
"""A plan for shards of 400 bytes: d exceeds one, and is written before the shard that is not yet full."""


def name_of(number, count=4):
    return f"model-{number:05}-of-{count:05}.safetensors"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def written(folder):
    return write_directory(PLAN, folder, seed=7, max_shard_size=400)


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(params=[1, 8])
def threads(request):
    """Set the number of threads. With eight, four files are in flight at once."""
    before = seedbed.get_num_threads()
    seedbed.set_num_threads(request.param)
    yield request.param
    seedbed.set_num_threads(before)


class TestShards:
    def test_have_the_names_and_tensors_of_the_hub(self, folder, written, threads):
        assert {path.name for path in folder.glob("*.safetensors")} == {name_of(number) for number in SHARDS}
        for number, names in SHARDS.items():
            assert sorted(load_file(folder / name_of(number))) == sorted(names)

    def test_have_an_index_as_transformers_writes_it(self, folder, written):
        weight_map = {name: name_of(number) for number, names in SHARDS.items() for name in names}
        index = {"metadata": {"total_parameters": 480, "total_size": 1920}, "weight_map": weight_map}
        text = (folder / "model.safetensors.index.json").read_text()
        assert text == json.dumps(index, indent=2, sort_keys=True) + "\n"
        assert text.startswith('{\n  "metadata": {\n    "total_parameters": 480,\n    "total_size": 1920\n  },\n')

    def test_say_that_they_are_for_torch(self, folder, written):
        for number in SHARDS:
            with safetensors.safe_open(folder / name_of(number), "numpy") as file:
                assert file.metadata() == {"format": "pt", "seedbed.algorithm": "v1", "seedbed.seed": "7"}

    def test_have_the_values_of_one_file(self, folder, written, tmp_path):
        write_checkpoint(PLAN, tmp_path / "one", seed=7)
        whole = load_file(tmp_path / "one")
        for number, names in SHARDS.items():
            shard = load_file(folder / name_of(number))
            assert all(np.array_equal(shard[name], whole[name]) for name in names)

    def test_have_their_sha256_in_the_summary(self, folder, written):
        assert [Path(file.path).name for file in written.files] == [name_of(number) for number in SHARDS]
        for file in written.files:
            content = Path(file.path).read_bytes()
            assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert (written.tensors, written.parameters) == (6, 480)
        assert written.bytes == sum(file.bytes for file in written.files)
        with pytest.raises(ValueError, match=r"sha256 needs a single file; use files. Received: 4 files"):
            _ = written.sha256

    def test_have_the_same_bytes_on_any_number_of_threads(self, tmp_path, threads):
        plan = plan_of(
            *({"name": str(i), "shape": [1000 + i]} for i in range(9)),
            {"name": "q", "shape": [30, 30], "initializer": "orthogonal"},
        )
        summary = write_directory(plan, tmp_path / "out", max_shard_size="8KB")
        assert [file.sha256[:8] for file in summary.files] == [
            file.sha256[:8] for file in _in_one_thread(plan, tmp_path / "again").files
        ]
        assert verify_checkpoint(None, tmp_path / "out").different == 0

    def test_of_a_single_file_have_no_index(self, folder):
        write_directory(PLAN, folder, seed=7)
        assert sorted(files_in(folder)) == ["model.safetensors", "seedbed.json"]
        assert verify_checkpoint(PLAN, folder / "model.safetensors").different == 0

    def test_of_no_tensors_are_an_empty_file(self, folder):
        write_directory(plan_of(), folder)
        assert load_file(folder / "model.safetensors") == {}

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.lists(st.integers(0, 30), max_size=20), st.integers(1, 60))
    def test_are_those_of_huggingface_hub(self, sizes, limit):
        hub = pytest.importorskip("huggingface_hub.serialization._base")
        zeros = seedbed.Zeros()
        plan = Plan(tuple(PlannedTensor(f"t{i}", (size,), np.dtype("u1"), zeros) for i, size in enumerate(sizes)))
        split = hub.split_state_dict_into_shards_factory(
            {tensor.name: tensor for tensor in plan.tensors},
            get_storage_size=lambda tensor: tensor.nbytes,
            filename_pattern="model{suffix}.safetensors",
            max_shard_size=limit,
        )
        ours = {layout.name: [tensor.name for tensor, _ in layout.places] for layout in shard_layouts(plan, 0, limit)}
        assert ours == (split.filename_to_tensors if sizes else {"model.safetensors": []})

    def test_are_read_by_the_index_reader_of_transformers(self, folder, written):
        hub = pytest.importorskip("transformers.utils.hub")
        files, metadata = hub.get_checkpoint_shard_files(
            folder, folder / "model.safetensors.index.json", local_files_only=True
        )
        assert [Path(file).name for file in files] == sorted(name_of(number) for number in SHARDS)
        assert metadata["total_size"] == 1920


def _in_one_thread(plan, folder):
    before = seedbed.get_num_threads()
    seedbed.set_num_threads(1)
    try:
        return write_directory(plan, folder, max_shard_size="8KB")
    finally:
        seedbed.set_num_threads(before)


class TestSize:
    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("5GB", 5 * 10**9),
            ("1.5 MB", 1_500_000),
            ("0.001kb", 1),
            (" 7 ", 7),
            (1, 1),
            ("2TB", 2 * 10**12),
            (10**15, 10**15),
        ],
    )
    def test_is_decimal(self, text, size):
        assert as_size(text) == size

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            *(
                (text, ValueError)
                for text in (
                    0,
                    -1,
                    "0",
                    "0GB",
                    "0.0001KB",
                    "5 parsecs",
                    "",
                    "GB",
                    "5GiB",
                    "1e9",
                    "-5GB",
                    "nan",
                    "5 5",
                    "\u0665GB",
                    "9" * 30,
                )
            ),
            *((text, TypeError) for text in (None, 5.0, True, b"5GB", ["5GB"])),
        ],
    )
    def test_that_is_none_is_refused(self, folder, text, kind):
        with pytest.raises(kind, match="max_shard_size must be"):
            write_directory(PLAN, folder, max_shard_size=text)
        assert not folder.exists()

    def test_that_makes_too_many_shards_is_refused(self, folder):
        plan = plan_of({"name": "{1..100000}", "shape": [1]})
        with pytest.raises(ValueError, match=r"at most 99999 shards. Received: max_shard_size=4, which needs 100000"):
            write_directory(plan, folder, max_shard_size=4)


class TestConfigFiles:
    def test_are_written_next_to_the_shards(self, folder):
        write_directory(plan_of({"name": "a", "shape": [2]}, config=CONFIG), folder, files={"tokenizer.json": b"{}"})
        assert json.loads((folder / "config.json").read_text()) == CONFIG
        assert (folder / "tokenizer.json").read_bytes() == b"{}"

    def test_that_exist_with_the_same_content_are_kept(self, folder):
        folder.mkdir()
        (folder / "a.json").write_bytes(b"1")
        (folder / "mine.txt").write_bytes(b"2")
        write_directory(PLAN, folder, files={"a.json": b"1"})
        assert (folder / "mine.txt").read_bytes() == b"2"

    def test_that_exist_with_other_content_are_an_error(self, folder):
        folder.mkdir()
        (folder / "a.json").write_bytes(b"mine")
        with pytest.raises(FileExistsError, match=r"the directory contains another 'a.json'"):
            write_directory(PLAN, folder, files={"a.json": b"1"})
        assert files_in(folder) == {"a.json": b"mine"}

    @pytest.mark.parametrize(
        "name", ["../a", "b/c", "", "x.safetensors", "model.safetensors.index.json", "seedbed.json"]
    )
    def test_have_names_of_their_own(self, folder, name):
        with pytest.raises(ValueError, match="the name of a further file must have no directory"):
            write_directory(PLAN, folder, files={name: b""})
        assert not folder.exists()

    @pytest.mark.parametrize("files", [["a.json"], {"a.json": "text"}, {3: b""}])
    def test_must_be_a_mapping_of_names_to_bytes(self, folder, files):
        with pytest.raises(TypeError, match=r"files must be a mapping of names to bytes\. Received: "):
            write_directory(PLAN, folder, files=files)
        assert not folder.exists()


class TestDirectory:
    def test_is_made_in_one_that_exists(self, tmp_path):
        with pytest.raises(FileNotFoundError) as caught:
            write_directory(PLAN, tmp_path / "a" / "b")
        assert caught.value.strerror == f"cannot write the checkpoint: there is no directory {str(tmp_path / 'a')!r}"
        assert caught.value.filename == str(tmp_path / "a" / "b")

    def test_must_have_a_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError, match="the name of a directory must not be empty"):
            write_directory(PLAN, "")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["", "file/", "file/.", "new", "folder/new"])
    def test_is_verified_under_any_name_that_open_accepts(self, name, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_directory(PLAN, "folder")
        write_checkpoint(PLAN, "file")
        with pytest.raises((FileNotFoundError, NotADirectoryError), match="cannot read the checkpoint"):
            verify_checkpoint(PLAN, name)
        for right in ("folder", "folder/", "folder/.", "./file"):
            assert verify_checkpoint(PLAN, right).different == 0

    def test_that_is_a_file_is_refused(self, path):
        path.write_text("mine")
        with pytest.raises(NotADirectoryError, match="a file of this name exists"):
            write_directory(PLAN, path)
        assert path.read_text() == "mine"

    @pytest.mark.parametrize(
        "name", ["model.safetensors", name_of(1), "model.safetensors.index.json", "adapter.safetensors"]
    )
    @pytest.mark.parametrize("resume", [False, True])
    def test_with_another_checkpoint_is_refused(self, folder, name, resume):
        folder.mkdir()
        (folder / name).write_bytes(b"theirs")
        with pytest.raises(FileExistsError, match=r"cannot write the checkpoint: the directory contains"):
            write_directory(PLAN, folder, resume=resume, max_shard_size=400)
        assert files_in(folder) == {name: b"theirs"}


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
    time.sleep(60 if tensor.name == sys.argv[2] else 0)

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
        process.communicate(timeout=60)
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


class TestVerify:
    @pytest.fixture(autouse=True)
    def _written(self, written):
        pass

    def found(self, plan, path, **options):
        result = verify_checkpoint(plan, path, **options)
        assert result.different == len(result.differences)
        return [str(difference) for difference in result.differences]

    @pytest.mark.parametrize("plan", [PLAN, None])
    def test_proves_the_index_and_each_shard(self, folder, plan, threads):
        assert self.found(plan, folder) == []
        assert self.found(plan, folder / "model.safetensors.index.json") == []
        for number in SHARDS:
            assert self.found(plan, folder / name_of(number)) == []

    def test_has_the_sha256_of_each_file(self, folder, written):
        assert verify_checkpoint(PLAN, folder).files == written.files
        with pytest.raises(ValueError, match=r"sha256 needs a single file; use files\. Received: 4 files"):
            _ = verify_checkpoint(PLAN, folder).sha256

    @pytest.mark.parametrize("plan", [PLAN, None])
    @pytest.mark.parametrize("index", [True, False])
    def test_names_a_shard_that_is_missing(self, folder, plan, index):
        (folder / name_of(3)).unlink()
        if not index:
            (folder / "model.safetensors.index.json").unlink()
        found = self.found(plan, folder)
        assert found[0] == f'"{name_of(3)}" is missing'
        rest = [f'"{name}" is missing' for name in SHARDS[3]] if not index else []
        assert found[1:] == [*([] if index else ['"model.safetensors.index.json" is missing']), *rest]

    @pytest.mark.parametrize("plan", [PLAN, None])
    def test_names_an_index_that_is_missing(self, folder, plan):
        (folder / "model.safetensors.index.json").unlink()
        assert self.found(plan, folder) == ['"model.safetensors.index.json" is missing']

    def test_names_the_tensor_that_differs(self, folder):
        shard = folder / name_of(1)
        content = bytearray(shard.read_bytes())
        content[-1] ^= 0x80
        shard.write_bytes(content)
        for path in (folder, shard):
            (line,) = self.found(None, path)
            assert line.startswith('"a" differs in 1 of 60 elements, first at [59]: ')

    def change_index(self, folder, change):
        path = folder / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        change(index["weight_map"])
        path.write_text(json.dumps(index))

    @pytest.mark.parametrize("plan", [PLAN, None])
    def test_names_entries_of_the_index_that_the_headers_contradict(self, folder, plan):
        def change(weight_map):
            weight_map["b"] = name_of(4)
            weight_map["ghost"] = name_of(2)
            del weight_map["f"]

        self.change_index(folder, change)
        assert sorted(self.found(plan, folder)) == [
            f'"b" is elsewhere: expected {name_of(4)}, as in the index, found {name_of(3)}',
            f'"f" is elsewhere: expected an entry in the index, found only the tensor in {name_of(4)}',
            f'"ghost" is elsewhere: expected {name_of(2)}, as in the index, found no file that has it',
        ]

    def test_names_a_tensor_that_is_in_two_files(self, folder):
        both = {**load_file(folder / name_of(4)), **load_file(folder / name_of(1))}
        save_file(both, folder / name_of(4), {"seedbed.seed": "7"})
        assert self.found(PLAN, folder) == [f'"a" is elsewhere: expected one file, found {name_of(1)} and {name_of(4)}']

    def test_counts_tensors_missing_from_plan_or_files(self, folder):
        other = plan_of(*({"name": name, "shape": [60]} for name in "abz"))
        assert sorted(self.found(other, folder)) == [
            *(f'"{name}" is not in the plan' for name in "cdef"),
            '"z" is missing',
        ]
        assert self.found(other, folder / name_of(1)) == []  # the rest is in the other shards
        assert self.found(other, folder / name_of(4)) == ['"f" is not in the plan']

    def test_needs_a_plan_if_there_is_no_manifest(self, folder):
        (folder / "seedbed.json").unlink()
        for path in (folder, folder / name_of(1)):
            with pytest.raises(ValueError, match=r"a plan must be given if the directory of the checkpoint has no"):
                verify_checkpoint(None, path)
        assert self.found(PLAN, folder) == []

    def test_refuses_files_of_two_seeds_unless_one_is_asked_for(self, folder, tmp_path):
        write_directory(PLAN, tmp_path / "other", seed=8, max_shard_size=400)
        (tmp_path / "other" / name_of(1)).replace(folder / name_of(1))
        with pytest.raises(
            ValueError,
            match=f"{name_of(2)}: the files of a checkpoint must all record the same seed. Received: 8 and 7",
        ):
            verify_checkpoint(PLAN, folder)
        assert [line[:11] for line in self.found(PLAN, folder, seed=7)] == ['"a" differs']

    def test_reads_directories_of_other_programs(self, tmp_path):
        values = {
            tensor.name: tensor.initializer.with_seed(seedbed.SeedGenerator(3).child(tensor.name))(tensor.shape)
            for tensor in PLAN.tensors
        }
        (tmp_path / "theirs").mkdir()
        save_file({name: values[name] for name in "abc"}, tmp_path / "theirs" / "one.safetensors")
        save_file({name: values[name] for name in "fed"}, tmp_path / "theirs" / "two.safetensors")
        assert self.found(PLAN, tmp_path / "theirs", seed=3) == []
        weight_map = {name: f"{'one' if name in 'abc' else 'two'}.safetensors" for name in "abcdef"}
        (tmp_path / "theirs" / "diffusion.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        assert self.found(PLAN, tmp_path / "theirs", seed=3) == []
        (tmp_path / "theirs" / "other.safetensors.index.json").touch()
        with pytest.raises(ValueError, match=r"a directory must have one index. Received: diffusion.*, other"):
            verify_checkpoint(PLAN, tmp_path / "theirs", seed=3)

    def test_of_a_directory_without_a_checkpoint_is_an_error(self, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(FileNotFoundError, match="the directory has no safetensors file"):
            verify_checkpoint(PLAN, tmp_path / "empty", seed=0)
        with pytest.raises(FileNotFoundError, match="No such file"):
            verify_checkpoint(PLAN, tmp_path / "nowhere", seed=0)

    def test_names_the_file_that_is_invalid(self, folder):
        (folder / name_of(2)).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
        with pytest.raises(
            ValueError, match=f"{name_of(2)}: a checkpoint must be a safetensors file. Received: a Git LFS"
        ):
            verify_checkpoint(PLAN, folder)

    @pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
    def test_does_not_wait_for_a_pipe(self, folder):
        (folder / name_of(2)).unlink()
        os.mkfifo(folder / name_of(2))
        with pytest.raises(OSError, match="not a regular file") as caught:
            verify_checkpoint(PLAN, folder)
        assert caught.value.filename == str(folder / name_of(2))


class TestHostileIndex:
    def refused(self, folder, content, kind, message):
        folder.mkdir(exist_ok=True)
        path = folder / "model.safetensors.index.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        for place in (folder, path):
            with pytest.raises(kind, match=message):
                verify_checkpoint(PLAN, place, seed=0)

    @pytest.mark.parametrize(
        "name", ["../x.safetensors", "/etc/passwd", "a/b", "", ".", "..", "a\\b", "C:x", "x\0y", "./x.safetensors"]
    )
    def test_that_names_a_path_is_refused(self, folder, name):
        self.refused(folder, {"weight_map": {"a": name}}, ValueError, "a file name in an index must have no directory")

    @pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
    def test_that_names_a_link_out_of_the_directory_is_refused(self, folder, tmp_path):
        folder.mkdir()
        save_file({"a": np.zeros(3)}, tmp_path / "outside.safetensors")
        (folder / "in.safetensors").symlink_to(tmp_path / "outside.safetensors")
        self.refused(
            folder,
            {"weight_map": {"a": "in.safetensors"}},
            ValueError,
            "must be in its directory, not a symbolic link",
        )

    @pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
    def test_that_names_a_link_within_the_directory_is_read(self, folder):
        write_directory(PLAN, folder, max_shard_size=400)
        (folder / name_of(1)).rename(folder / "blob")
        (folder / name_of(1)).symlink_to("blob")
        assert verify_checkpoint(PLAN, folder).different == 0

    @pytest.mark.parametrize(
        ("content", "kind", "message"),
        [
            (b"", ValueError, "an index must be JSON"),
            (b"\xff", ValueError, "an index must be UTF-8. Received: 0xff at byte 0"),
            (b"[" * 10**6, ValueError, "an index must be nested a few levels deep"),
            (b'{"weight_map": {"a": "x", "a": "y"}}', ValueError, 'each key once. Received: "a" again'),
            ([], TypeError, "an index must be an object"),
            ({}, ValueError, 'an index must have the key "weight_map"'),
            ({"weight_map": []}, TypeError, '"weight_map" must be an object'),
            ({"weight_map": {"a": 1}}, TypeError, '"a": a file of an index must be a string. Received: 1'),
            ({"weight_map": {str(i): str(i) for i in range(70_000)}}, ValueError, "at most 65536 files"),
            (b" " * ((1 << 25) + 1), ValueError, "an index must have at most 33554432 bytes"),
        ],
    )
    def test_that_is_none_is_refused(self, folder, content, kind, message):
        self.refused(folder, content, kind, message)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
maps = st.dictionaries(st.sampled_from("abcz"), st.sampled_from([name_of(1), name_of(2), "x", "../x"]) | json_values)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(index=st.fixed_dictionaries({"weight_map": maps | json_values}) | json_values)
def test_any_index_is_read_or_refused(tmp_path_factory, index):
    folder = tmp_path_factory.getbasetemp() / "any index"
    if not folder.exists():
        write_directory(PLAN, folder, max_shard_size=400)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    try:
        found = verify_checkpoint(PLAN, folder)
    except (TypeError, ValueError, FileNotFoundError):
        return
    assert found.different > 0
    assert all(str(difference) for difference in found.differences)


class TestTiedTensors:
    """`safetensors.torch.save_model` writes one of them, and lists the others in the metadata."""

    PLAN = plan_of({"name": "embed", "shape": [20, 3]}, {"name": "norm", "shape": [3], "initializer": "ones"})

    def save(self, path, metadata, name="head"):
        seed = seedbed.SeedGenerator(3).child("embed")
        values = seedbed.RandomNormal(0.5, 0.02, seed=seed)((20, 3))
        save_file({name: values, "norm": np.ones(3, "f4")}, path, metadata)

    def test_count_as_present(self, path):
        self.save(path, {"format": "pt", "embed": "head"})
        assert verify_checkpoint(self.PLAN, path, seed=3).differences == ()
        (difference,) = verify_checkpoint(self.PLAN, path, seed=4).differences
        assert (difference.name, difference.kind) == ("embed", "values")

    def test_count_as_present_under_both_names(self, path):
        self.save(path, {"tied": "embed"}, "embed")
        both = plan_of(
            *({"name": name, "shape": [20, 3]} for name in ("embed", "tied")),
            {"name": "norm", "shape": [3], "initializer": "ones"},
        )
        (difference,) = verify_checkpoint(both, path, seed=3).differences  # the plan gives it other values
        assert (difference.name, difference.kind, difference.count) == ("tied", "values", 60)

    @pytest.mark.parametrize("metadata", [{}, {"embed": "gone"}, {"head": "embed"}])
    def test_that_the_metadata_does_not_name_are_missing(self, path, metadata):
        self.save(path, metadata)
        assert verify_checkpoint(self.PLAN, path, seed=3).differences == (
            Difference("head", "unexpected"),
            Difference("embed", "missing"),
        )


class TestNoSafetensorsFile:
    @pytest.mark.parametrize(
        ("content", "kind"),
        [
            (b"", "an empty file"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a Git LFS pointer"),
            (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
            (b"\n <html lang='en'>", "a web page"),
            (b"PK\x03\x04" + b"\0" * 100, "a zip archive, as torch.save"),
            (b"\x80\x02}q\x00X\x06\x00\x00\x00weightq\x01.", "a pickle, as torch.save"),
            (b"GGUF\x03\0\0\0" + b"\0" * 50, "a GGUF file"),
            (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "an HDF5 file"),
            (b"\x93NUMPY\x01\x00v\x00" + b" " * 50, "a NumPy array"),
            (b"\x1f\x8b\x08\x00" + b"\0" * 50, "a file compressed with gzip"),
            (b'{\n  "metadata": {\n    "total_size": 12\n  },\n  "weight_map": {}\n}', "an index of shards"),
            (b'{"architectures": ["A"]}', "a JSON file"),
        ],
    )
    def test_is_named_in_the_error(self, path, content, kind):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^a checkpoint must be a safetensors file. Received: {kind}"):
            verify_checkpoint(PLAN, path, seed=0)

    def test_that_is_truncated_is_said_to_be(self, path):
        write_checkpoint(PLAN, path)
        content = path.read_bytes()
        for length in (7, 100, len(content) - 1):
            path.write_bytes(content[:length])
            with pytest.raises(ValueError, match="truncated"):
                verify_checkpoint(PLAN, path)

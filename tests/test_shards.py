"""Directories of shards in the layout of the Hugging Face hub, and files next to the shards."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from support.directories import PLAN, SHARDS, files_in, name_of, plan_of

import seedbed
from seedbed.checkpoint import verify_checkpoint, write_checkpoint, write_directory
from seedbed.checkpoint.layout import as_size, shard_layouts
from seedbed.plan import Plan, PlannedTensor

CONFIG = {"architectures": ["Net"], "hidden_size": 8}


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

    @settings(max_examples=200)
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

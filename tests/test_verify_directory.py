"""Verification of directories: indices, tied tensors, and files of other formats."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from support.directories import PLAN, SHARDS, name_of, plan_of

import seedbed
from seedbed.checkpoint import Difference, verify_checkpoint, write_checkpoint, write_directory


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


@settings(max_examples=200)
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

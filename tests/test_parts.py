"""A directory of shards written and verified by processes that do not communicate."""

import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.checkpoint import verify_checkpoint, write_directory
from seedbed.checkpoint.parts import as_part, positions_of
from seedbed.cli import main
from seedbed.cli.launchers import find_part
from seedbed.plan import parse_plan

NORMS = {"class_name": "Norms", "config": {"initializer": "he_normal", "shape": [40, 10]}}
TENSORS = [
    *({"name": f"w{i}", "shape": [40 + 7 * i, 10], "initializer": "he_normal"} for i in range(8)),
    {"name": "b", "shape": [30], "initializer": "zeros"},
    {"name": "g", "shape": [10], "initializer": NORMS, "seed_of": "w0"},
]
PLAN = parse_plan(json.dumps({"tensors": TENSORS}))
RUN = {"seed": 7, "max_shard_size": "4KB"}
COUNT = 7


def hashes_in(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the SHA-256 of each file that one process writes."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    write_directory(PLAN, folder, **RUN)
    assert len(list(folder.glob("*.safetensors"))) == COUNT
    return hashes_in(folder)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


class TestPositions:
    @given(st.lists(st.integers(0, 100), max_size=30), st.integers(1, 40))
    def test_divide_the_shards_and_balance_their_bytes(self, sizes, count):
        parts = [positions_of(sizes, (number, count)) for number in range(1, count + 1)]
        assert sorted(itertools.chain(*parts)) == list(range(len(sizes)))
        loads = [sum(sizes[position] for position in part) for part in parts]
        assert max(loads) - min(loads) <= max(sizes, default=0)

    def test_of_more_parts_than_shards_are_one_or_none(self):
        assert [positions_of([5, 6], (number, 4)) for number in range(1, 5)] == [[1], [0], [], []]
        assert positions_of([5, 6], (10**15, 10**15)) == []

    @pytest.mark.parametrize("part", [(0, 3), (4, 3), (17, 16), (-1, 2), (1, 0)])
    def test_of_a_part_out_of_range_are_refused(self, part):
        with pytest.raises(ValueError, match=rf"K from 1 to N. Received: {part[0]}/{part[1]}"):
            as_part(part)

    @pytest.mark.parametrize("part", [None, 3, (1, 2, 3), "3/16", ("1", "2"), (1.0, 2), (True, 2)])
    def test_of_malformed_parts_are_refused(self, part):
        with pytest.raises(TypeError, match="a part must be a pair of integers"):
            as_part(part)


class TestWriting:
    @pytest.mark.parametrize("order", [(1, 2, 3, 4), (3, 1, 4, 2), (2, 2, 4, 1, 3, 1)])
    def test_in_any_order_makes_the_files_of_one_process(self, folder, whole, order):
        seen = set()
        for number in order:
            summary = write_directory(PLAN, folder, **RUN, part=(number, 4))
            seen.add(number)
            assert ("model.safetensors.index.json" in hashes_in(folder)) == (len(seen) == 4)
            assert bool(summary.to_come) == (len(seen) < 4)
            assert hashes_in(folder).items() <= whole.items()
        assert hashes_in(folder) == whole

    def test_writes_the_shards_of_the_part_and_lists_the_missing(self, folder, whole):
        summary = write_directory(PLAN, folder, **RUN, part=(2, 3))
        own = {Path(file.path).name for file in summary.files}
        shards = {name for name in whole if name.endswith(".safetensors")}
        assert set(hashes_in(folder)) == {*own, "seedbed.json"}
        assert set(summary.to_come) == shards - own
        assert summary.bytes == sum(path.stat().st_size for path in folder.glob("*.safetensors"))

    def test_at_the_same_time_makes_the_files_of_one_process(self, tmp_path, whole):
        for attempt in range(5):
            folder = tmp_path / str(attempt)
            barrier = threading.Barrier(6)

            def write(number, folder=folder, barrier=barrier):
                barrier.wait()
                return write_directory(PLAN, folder, **RUN, part=(number, 4))

            with ThreadPoolExecutor(6) as pool:
                summaries = list(pool.map(write, (1, 2, 3, 4, 1, 2)))
            assert hashes_in(folder) == whole
            assert any(not summary.to_come for summary in summaries)

    def test_of_more_parts_than_shards_leaves_some_empty(self, folder, whole):
        summaries = [write_directory(PLAN, folder, **RUN, part=(number, 12)) for number in range(12, 0, -1)]
        assert [len(summary.files) for summary in summaries] == [0] * (12 - COUNT) + [1] * COUNT
        assert hashes_in(folder) == whole

    def test_resuming_keeps_good_shards_and_repairs_others(self, folder, whole):
        for number in (1, 2):
            write_directory(PLAN, folder, **RUN, part=(number, 2))
        first, second = (Path(file.path) for file in write_directory(PLAN, folder, **RUN, part=(1, 2)).files[:2])
        kept = second.stat().st_ino
        content = bytearray(first.read_bytes())
        content[-1] ^= 1
        first.write_bytes(content)
        write_directory(PLAN, folder, **RUN, part=(1, 2), resume=True)
        assert hashes_in(folder) == whole
        assert second.stat().st_ino == kept

    def test_does_not_accept_a_truncated_shard(self, folder):
        write_directory(PLAN, folder, **RUN, part=(1, 2))
        shard = next(folder.glob("*.safetensors"))
        shard.write_bytes(shard.read_bytes()[:-1])
        assert write_directory(PLAN, folder, **RUN, part=(2, 2)).to_come == (shard.name,)
        assert not (folder / "model.safetensors.index.json").exists()

    @pytest.mark.parametrize(
        ("document", "changes", "message"),
        [
            ({}, {"seed": 8}, "another run, with seed 7, not 8"),
            ({}, {"max_shard_size": "5KB"}, "another run, with max_shard_size 4000, not 5000"),
            ({"dtype": "float16"}, {}, "another run, with another plan"),
            ({"tensors": TENSORS[1:]}, {}, "another run, with another plan"),
        ],
    )
    def test_of_another_run_is_refused(self, folder, document, changes, message):
        write_directory(PLAN, folder, **RUN, part=(1, 2))
        before = hashes_in(folder)
        other = parse_plan(json.dumps({"tensors": TENSORS, **document}))
        with pytest.raises(FileExistsError, match=message):
            write_directory(other, folder, **{**RUN, **changes}, part=(2, 2))
        assert hashes_in(folder) == before

    def test_of_two_simultaneous_runs_only_one_succeeds(self, tmp_path):
        """The manifest is created exclusively: the second process finds the manifest of the first."""
        for attempt in range(10):
            folder = tmp_path / str(attempt)
            barrier = threading.Barrier(2)

            def write(seed, folder=folder, barrier=barrier):
                barrier.wait()
                try:
                    return write_directory(PLAN, folder, seed=seed, max_shard_size="4KB", part=(1, 1))
                except FileExistsError as error:
                    return error

            with ThreadPoolExecutor(2) as pool:
                done = list(pool.map(write, (1, 2)))
            assert sum(isinstance(each, FileExistsError) for each in done) == 1, done
            assert verify_checkpoint(None, folder).different == 0

    @pytest.mark.parametrize("name", ["other.safetensors", "model.safetensors.index.json"])
    def test_into_a_directory_with_another_checkpoint_is_refused(self, folder, name):
        folder.mkdir()
        (folder / name).write_bytes(b"theirs")
        with pytest.raises(FileExistsError, match=r"the directory contains shards, but no seedbed\.json"):
            write_directory(PLAN, folder, **RUN, part=(1, 2))
        assert set(hashes_in(folder)) == {name}

    def test_refuses_the_index_of_another_run(self, folder):
        write_directory(PLAN, folder, **RUN, part=(1, 2))
        (folder / "model.safetensors.index.json").write_text("{}")
        with pytest.raises(FileExistsError, match=r"the directory contains another 'model\.safetensors\.index\.json'"):
            write_directory(PLAN, folder, **RUN, part=(2, 2))


class TestVerifying:
    @pytest.fixture
    def written(self, folder):
        write_directory(PLAN, folder, **RUN)
        return folder

    @pytest.mark.parametrize("plan", [PLAN, None])
    def test_covers_each_tensor_once(self, written, plan):
        found = [verify_checkpoint(plan, written, part=(number, 4)) for number in range(1, 5)]
        assert [each.different for each in found] == [0] * 4
        assert sum(each.tensors for each in found) == len(PLAN.tensors)
        assert sum(each.parameters for each in found) == PLAN.parameters
        assert sorted(file.path for each in found for file in each.files) == sorted(
            map(str, written.glob("*.safetensors"))
        )

    @pytest.mark.parametrize("plan", [PLAN, None])
    def test_finds_a_difference_in_the_part_that_has_it(self, written, plan):
        shard = next(written.glob("*-00003-of-*"))
        content = bytearray(shard.read_bytes())
        content[-1] ^= 1
        shard.write_bytes(content)
        found = [verify_checkpoint(plan, written, part=(number, 4)).different for number in range(1, 5)]
        assert sorted(found) == [0, 0, 0, 1]

    def test_names_a_shard_that_is_missing(self, written):
        lost = Path(verify_checkpoint(None, written, part=(2, 4)).files[0].path)
        lost.unlink()
        found = [verify_checkpoint(None, written, part=(number, 4)).differences for number in range(1, 5)]
        assert [[each.name for each in differences] for differences in found] == [[], [lost.name], [], []]

    def test_of_an_empty_part_finds_nothing(self, written):
        found = verify_checkpoint(None, written, part=(12, 12))
        assert (found.different, found.tensors, found.files, found.seed) == (0, 0, (), 7)

    def test_of_a_file_is_refused(self, written):
        with pytest.raises(ValueError, match="part needs a directory"):
            verify_checkpoint(None, next(written.glob("*.safetensors")), part=(1, 2))


ARRAY = {"SLURM_ARRAY_TASK_MIN": "4", "SLURM_ARRAY_TASK_MAX": "10", "SLURM_ARRAY_TASK_COUNT": "4"}


class TestLaunchers:
    @pytest.mark.parametrize(
        ("text", "environment", "part"),
        [
            ("3/16", {"RANK": "1", "WORLD_SIZE": "2"}, (3, 16)),
            ("auto", {"RANK": "2", "WORLD_SIZE": "16"}, (3, 16)),
            ("auto", {"RANK": "2", "WORLD_SIZE": "16", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, (3, 16)),
            ("auto/16", {"RANK": "2", "WORLD_SIZE": "16"}, (3, 16)),
            ("auto", {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "4"}, (1, 4)),
            ("auto", {"PMI_RANK": "3", "PMI_SIZE": "4"}, (4, 4)),
            ("auto", {"SLURM_PROCID": "5", "SLURM_NTASKS": "8"}, (6, 8)),
            ("auto/8", {"JOB_COMPLETION_INDEX": "7"}, (8, 8)),
        ],
    )
    def test_assign_a_part_to_each_process(self, text, environment, part):
        assert find_part(text, environment).part == part

    @pytest.mark.parametrize("step", ["2", "3"])
    def test_of_an_array_count_its_tasks_and_their_processes(self, step):
        most = 4 + 3 * int(step)
        array = {**ARRAY, "SLURM_ARRAY_TASK_STEP": step, "SLURM_ARRAY_TASK_MAX": str(most)}
        parts = [
            find_part("auto", {**array, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_PROCID": rank, "SLURM_NTASKS": "2"})
            for task in range(4, most + 1, int(step))
            for rank in "01"
        ]
        assert [each.part for each in parts] == [(number, 8) for number in range(1, 9)]
        alone = {**array, "SLURM_ARRAY_TASK_ID": "4", "SLURM_PROCID": "0"}
        assert find_part("auto", alone).part == (1, 4)
        assert find_part("auto", {**array, "SLURM_ARRAY_TASK_ID": "4"}).part == (1, 4)

    @pytest.mark.parametrize(
        ("text", "environment", "message"),
        [
            ("17/16", {}, "K from 1 to N. Received: 17/16"),
            ("0/16", {}, "K from 1 to N. Received: 0/16"),
            ("3", {}, "--part must be K/N"),
            ("3/", {}, "--part must be K/N"),
            ("-1/4", {}, "--part must be K/N"),
            ("auto", {}, "needs one of the variables RANK, OMPI_.* none of them; use --part K/N"),
            ("auto", {"RANK": "0"}, "needs the variable WORLD_SIZE too"),
            ("auto", {"RANK": "x", "WORLD_SIZE": "2"}, "RANK must be a number, counted from 0. Received: 'x'"),
            ("auto", {"RANK": "2", "WORLD_SIZE": "2"}, "must be less than .* Received: RANK=2, WORLD_SIZE=2"),
            (
                "auto/3",
                {"RANK": "0", "WORLD_SIZE": "2"},
                "must be that of the launcher. Received: auto/3, and RANK=0",
            ),
            (
                "auto",
                {"JOB_COMPLETION_INDEX": "0"},
                "needs the number of parts. Received: JOB_COMPLETION_INDEX without one; use --part auto/N",
            ),
            ("auto/2", {"JOB_COMPLETION_INDEX": "2"}, "must be less than"),
            ("auto", {**ARRAY, "SLURM_ARRAY_TASK_ID": "5"}, "evenly spaced tasks, .* task 5 of 4 from 4 to 10"),
            ("auto", {"SLURM_ARRAY_TASK_ID": "5"}, "needs the variable SLURM_ARRAY_TASK_MIN too"),
        ],
    )
    def test_with_missing_or_bad_variables_are_refused(self, text, environment, message):
        with pytest.raises(ValueError, match=message):
            find_part(text, environment)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"tensors": TENSORS}))
    return str(path)


class TestCommand:
    def test_processes_of_a_launcher_make_the_files_of_one(self, source, folder, whole):
        command = [sys.executable, "-m", "seedbed", "init", source, "-o", folder, "--seed", "7", "--max-shard-size=4KB"]
        processes = [
            subprocess.Popen(
                [*command, "--part", "auto"],
                env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "3"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(3)
        ]
        for rank, process in enumerate(processes):
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
            assert f"part {rank + 1}/3, from RANK={rank}, WORLD_SIZE=3\n" in errors
        assert hashes_in(folder) == whole

    def test_lists_the_missing_shards(self, source, folder, capsys):
        run = ["init", source, "-o", str(folder), "--max-shard-size", "4KB"]
        assert main([*run, "--part", "1/2"]) == 0
        assert re.search(r"^part +1/2, \d shards; \d shards of other parts are missing$", capsys.readouterr().out, re.M)
        assert main([*run, "--part", "2/2", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["to_come"] == []
        assert main(["verify", str(folder), "--part", "1/2"]) == 0
        assert main([*run, "--part", "1/2", "--resume"]) == 0

    @pytest.mark.parametrize("part", ["17/16", "0/1", "x"])
    def test_refuses_a_part_out_of_range(self, source, folder, part, capsys):
        assert main(["init", source, "-o", str(folder), "--part", part]) == 2
        assert not folder.exists()

    def test_refuses_parts_of_a_file(self, source, path, capsys):
        assert main(["init", source, "-o", str(path), "--part", "1/2"]) == 2
        assert "--part is for directories" in capsys.readouterr().err

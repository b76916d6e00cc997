"""Dask: arrays, and checkpoints by clusters of separate processes that die, join late and have full disks."""

import doctest
import errno
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

import seedbed as sb
from seedbed.checkpoint import verify_checkpoint as verify_alone
from seedbed.checkpoint import write_directory
from seedbed.cli import main
from seedbed.plan import parse_plan
from seedbed.rules import Computed

distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")

import seedbed.dask  # noqa: E402
from seedbed.dask.checkpoints import _outcome  # noqa: E402

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(__file__).parent / "programs"
SLOW = ("--preload", PROGRAMS / "slow_disk.py")
SHARDS = 9
NORMS = {"class_name": "Norms", "config": {"initializer": "he_normal", "shape": [9000, 9]}}
TENSORS = [{"name": f"w{i}", "shape": [9000 + i, 9], "initializer": "he_normal"} for i in range(SHARDS)]
TENSORS.insert(1, {"name": "g", "shape": [9000, 1], "initializer": NORMS, "seed_of": "w0"})
PLAN = parse_plan(json.dumps({"tensors": TENSORS}))
RUN = {"seed": 7, "max_shard_size": "400KB"}


def hashes_in(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the SHA-256 of each file that one process writes."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    write_directory(PLAN, folder, **RUN)
    assert len(list(folder.glob("*.safetensors"))) == SHARDS
    return hashes_in(folder)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


class TestArray:
    INITIALIZERS = (
        sb.GlorotNormal(seed=1),
        sb.RandomUniform(seed=2),
        sb.Orthogonal(seed=3),
        sb.Identity(),
        sb.Constant(0.5),
        sb.Sparse(0.5, seed=4),
        sb.Blocks("zeros", [(np.s_[30:], "he_normal")], seed=5),
    )

    @pytest.mark.parametrize("initializer", INITIALIZERS, ids=lambda each: type(each).__qualname__)
    @pytest.mark.parametrize("chunks", [(7, 100), 64, -1, ((50, 30, 0, 20), (1, 79))])
    def test_has_the_same_bits_in_any_chunks(self, initializer, chunks):
        made = seedbed.dask.array(initializer, (100, 80), chunks=chunks)
        assert np.array_equal(made.compute(scheduler="sync"), initializer((100, 80)))

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64"])
    def test_has_its_dtype_before_and_after_compute(self, dtype):
        made = seedbed.dask.array(sb.GlorotNormal(seed=1), (10, 20), dtype)
        assert (made.shape, made.dtype.name) == ((10, 20), dtype)
        assert (made._meta.shape, made._meta.dtype.name) == ((0, 0), dtype)
        assert made.compute(scheduler="sync").dtype.name == dtype

    @pytest.mark.parametrize("shape", [(), (0, 5), 7])
    def test_has_any_shape(self, shape):
        expected = sb.RandomNormal(seed=1)(shape)
        made = seedbed.dask.array(sb.RandomNormal(seed=1), shape).compute(scheduler="sync")
        assert np.shape(made) == expected.shape
        assert np.array_equal(made, expected)

    def test_is_named_by_its_values_in_any_process(self):
        program = "import seedbed as sb, seedbed.dask; print(seedbed.dask.array({}, (100, 80), chunks=50).name)"
        names = []
        for text in ("sb.GlorotNormal(seed=1)", "sb.Orthogonal(seed=1)"):
            done = subprocess.run([sys.executable, "-c", program.format(text)], capture_output=True, check=True)
            own = seedbed.dask.array(eval(text), (100, 80), chunks=50).name
            assert done.stdout.decode().strip() == own
            names += [own, seedbed.dask.array(eval(text), (80, 100), chunks=50).name]
            names += [seedbed.dask.array(eval(text), (100, 80), "float64", chunks=50).name]
            names += [seedbed.dask.array(eval(text.replace("1", "2")), (100, 80), chunks=50).name]
        assert len(set(names)) == len(names)

    def test_of_a_seed_generator_is_its_next_draw(self):
        generator = sb.SeedGenerator(5)
        first, second = (seedbed.dask.array(sb.HeNormal(seed=generator), (30, 20)) for _ in range(2))
        assert first.name != second.name
        own = sb.SeedGenerator(5)
        for made in (first, second):
            assert np.array_equal(made.compute(scheduler="sync"), sb.HeNormal(seed=own)((30, 20)))

    @pytest.mark.parametrize("count", [1000, 5000])
    def test_has_no_values_in_its_graph(self, count):
        class Stored:
            """An array outside the graph of Dask, which reads it by slices."""

            shape, ndim, dtype = (count * 500, 500), 2, np.dtype("float32")

        graphs = [
            array.__dask_graph__().layers[array.name]
            for array in (
                seedbed.dask.array(sb.GlorotNormal(seed=1), Stored.shape, chunks=500),
                da.from_array(Stored(), chunks=500, name="stored", meta=np.empty((0, 0), "float32")),
            )
        ]
        own, plain = (len(distributed.protocol.pickle.dumps(graph)) for graph in graphs)
        initializer = len(distributed.protocol.pickle.dumps(sb.GlorotNormal(seed=1).lazy(Stored.shape)))
        assert own + initializer <= plain + 2048

    def test_evaluates_orthogonal_tensors_once(self, monkeypatch):
        calls = []
        write = Computed.write
        monkeypatch.setattr(Computed, "write", lambda *arguments: calls.append(1) or write(*arguments))
        seedbed.dask.array(sb.Orthogonal(seed=1), (60, 40), chunks=10).compute(scheduler="sync")
        assert len(calls) == 1

    def test_evaluates_only_the_chunks_that_are_needed(self):
        huge = seedbed.dask.array(sb.GlorotNormal(seed=42), (10**9, 4096), chunks=(1000, 1000))
        expected = sb.GlorotNormal(seed=42).lazy((10**9, 4096))[123_456_000:123_456_010, 5]
        assert np.array_equal(huge[123_456_000:123_456_010, 5].compute(scheduler="sync"), expected)

    def test_is_rechunked_and_stored(self, tmp_path):
        expected = sb.GlorotNormal(seed=42)((300, 200))
        made = seedbed.dask.array(sb.GlorotNormal(seed=42), (300, 200), chunks=(100, 70))
        assert np.array_equal(made.rechunk((37, 200)).compute(scheduler="sync"), expected)
        stored = np.empty((300, 200), np.float32)
        da.store(made, stored, scheduler="sync")
        assert np.array_equal(stored, expected)

    def test_is_written_as_zarr(self, tmp_path):
        zarr = pytest.importorskip("zarr")
        made = seedbed.dask.array(sb.GlorotNormal(seed=42), (300, 200), chunks=(100, 50))
        made.to_zarr(str(tmp_path / "w.zarr"), compute=True)
        assert np.array_equal(zarr.open(str(tmp_path / "w.zarr"))[:], sb.GlorotNormal(seed=42)((300, 200)))

    def test_refuses_other_objects_and_chunks_that_do_not_fit(self):
        with pytest.raises(TypeError, match=r"initializer must be an initializer of seedbed. Received: str"):
            seedbed.dask.array("glorot_normal", (3, 3))
        with pytest.raises(ValueError, match="Chunks"):
            seedbed.dask.array(sb.Zeros(), (3, 3), chunks=((1, 1), (3,)))


class Cluster:
    """A scheduler and its workers, each in its own process."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.folder = folder
        self.processes = []
        self.scheduler = None

    def start(self, command, *options):
        with (self.folder / f"{command}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + command, "--no-dashboard", *map(str, options)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.folder,
            )
        self.processes.append(process)
        return process

    def start_scheduler(self):
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", self.port)

    def start_worker(self, *options):
        return self.start("worker", self.address, "--no-nanny", "--nthreads", 1, *options)

    def stop(self, *processes):
        for process in processes or self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    made.start_scheduler()
    yield made
    made.stop()


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster.address, timeout="300s", set_as_default=False) as made:
        yield made


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.001)
    return found


def stopped_in_a_shard(folder, workers):
    """Stop the worker that has a temporary file open, and return it with the file."""

    def found():
        for worker in workers:
            for link in Path(f"/proc/{worker.pid}/fd").glob("*"):
                try:
                    target = link.readlink()
                except OSError:
                    continue
                if target.parent == folder and target.suffix == ".part":
                    os.kill(worker.pid, signal.SIGSTOP)
                    if target.exists():
                        return worker, target
                    os.kill(worker.pid, signal.SIGCONT)  # it was done before the signal
        return None

    return wait_for(found)


class TestCheckpoint:
    def write(self, client, folder, **options):
        return seedbed.dask.write_checkpoint(PLAN, folder, **RUN, client=client, **options)

    def test_equals_that_of_one_process_and_is_verified(self, cluster, client, folder, whole):
        workers = [cluster.start_worker(*SLOW) for _ in range(2)]
        done, watched = [], []
        summary = self.write(client, folder, progress=lambda tensor: done.append(tensor.name), watch=watched.extend)
        assert hashes_in(folder) == whole
        assert {Path(file.path).name: file.sha256 for file in summary.files}.items() <= whole.items()
        assert sorted(done) == sorted(tensor.name for tensor in PLAN.tensors)
        assert len(watched) == SHARDS
        assert (summary.tensors, summary.parameters) == (len(PLAN.tensors), PLAN.parameters)
        with pytest.raises(FileExistsError, match="the directory contains a checkpoint"):
            self.write(client, folder)
        with pytest.raises(FileExistsError, match="another run, with seed 7, not 8"):
            seedbed.dask.write_checkpoint(PLAN, folder, **{**RUN, "seed": 8}, client=client, resume=True)

        for plan in (None, PLAN):
            del done[:]
            found = seedbed.dask.verify_checkpoint(
                plan, folder, client=client, progress=lambda tensor: done.append(tensor.name)
            )
            assert sorted(done) == sorted(tensor.name for tensor in PLAN.tensors)
            alone = verify_alone(plan, folder)
            assert (found.different, found.tensors, found.bytes) == (0, alone.tensors, alone.bytes)
            assert (found.seed, found.seed_recorded, found.files) == (7, 7, alone.files)

        shards = sorted(folder.glob("*.safetensors"))
        content = bytearray(shards[2].read_bytes())
        content[-1] ^= 1
        shards[2].write_bytes(content)
        shards[4].unlink()
        found = seedbed.dask.verify_checkpoint(None, folder, client=client)
        assert found.differences == verify_alone(None, folder).differences
        assert [each.kind for each in found.differences] == ["values", "missing"]
        shards[0].write_bytes(b"GGUF")
        with pytest.raises(ValueError, match=f"{shards[0].name}: .* a GGUF file"):
            seedbed.dask.verify_checkpoint(None, folder, client=client)

        kept = shards[1].stat().st_ino
        self.write(client, folder, resume=True)
        assert hashes_in(folder) == whole
        assert shards[1].stat().st_ino == kept
        assert all(worker.poll() is None for worker in workers)

    def test_survives_a_worker_killed_within_a_shard(self, cluster, client, folder, whole):
        workers = [cluster.start_worker(*SLOW) for _ in range(2)]
        client.wait_for_workers(2, timeout=300)
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(self.write, client, folder)
            killed, partial = stopped_in_a_shard(folder, workers)
            cluster.stop(killed)
            writing.result()
        assert partial.exists(), "the worker was killed before it had written the shard"
        partial.unlink()
        assert hashes_in(folder) == whole

    def test_gives_the_shards_to_a_worker_that_joins_late(self, cluster, client, folder, whole):
        early = cluster.start_worker(*SLOW)
        client.wait_for_workers(1, timeout=300)
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(self.write, client, folder)
            stopped_in_a_shard(folder, [early])
            before = len(list(folder.glob("*.safetensors")))
            cluster.start_worker()
            # The first worker runs one task, and has at most one more assigned.
            wait_for(lambda: len(list(folder.glob("*.safetensors"))) >= SHARDS - 2 > before)
            os.kill(early.pid, signal.SIGCONT)
            writing.result()
        assert hashes_in(folder) == whole

    def test_moves_shards_away_from_a_full_disk(self, cluster, client, folder, whole):
        cluster.start_worker("--name", "full", "--preload", PROGRAMS / "full_disk.py")
        client.wait_for_workers(1, timeout=300)
        with pytest.raises(
            OSError, match=rf"{SHARDS} of {SHARDS} shards are missing: .*No space left on device, on tcp"
        ):
            self.write(client, folder)
        assert set(hashes_in(folder)) == {"seedbed.json"}
        cluster.start_worker()
        client.wait_for_workers(2, timeout=300)
        self.write(client, folder, resume=True)
        assert hashes_in(folder) == whole

    def test_continues_when_the_scheduler_is_restarted(self, cluster, client, folder, whole):
        workers = [cluster.start_worker(*SLOW)]
        client.wait_for_workers(1, timeout=300)
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(self.write, client, folder)
            stopped_in_a_shard(folder, workers)
            cluster.stop(cluster.scheduler, *workers)
            cluster.start_scheduler()
            cluster.start_worker()
            writing.result()
        for partial in folder.glob("*.part"):
            partial.unlink()
        assert hashes_in(folder) == whole

    def test_names_what_is_missing_when_the_scheduler_is_lost(self, cluster, folder):
        workers = [cluster.start_worker(*SLOW)]
        with distributed.Client(cluster.address, timeout="300s", set_as_default=False) as client:
            client.wait_for_workers(1, timeout=300)
            client._timeout = 1  # seconds that it tries to reconnect
            with ThreadPoolExecutor(1) as pool:
                writing = pool.submit(self.write, client, folder)
                stopped_in_a_shard(folder, workers)
                cluster.stop(cluster.scheduler, *workers)
                with pytest.raises(OSError, match=r"\d of 9 shards are missing: .*the scheduler was lost"):
                    writing.result()
        assert not (folder / "model.safetensors.index.json").exists()

    def test_a_closed_connection_means_a_lost_scheduler(self):
        future = Mock()
        future.result.side_effect = distributed.comm.CommClosedError("closed")
        assert _outcome(future) == (None, "the scheduler was lost", errno.EIO)

    def test_rewrites_a_lost_shard(self, cluster, client, folder, whole):
        cluster.start_worker()
        lost = []

        def lose(tensor):
            if not lost:
                lost.extend(folder.glob("*.safetensors"))
                lost[0].unlink()

        self.write(client, folder, progress=lose)
        assert lost
        assert hashes_in(folder) == whole

    def test_keeps_bytes_in_flight_below_the_limit(self, cluster, client, folder, whole):
        cluster.start_worker("--nthreads", 4)
        client.wait_for_workers(1, timeout=300)
        submit, under_way, most = client.submit, [], []

        def counted(*arguments, **options):
            future = submit(*arguments, **options)
            under_way.append(future)
            most.append(sum(not each.done() for each in under_way))
            return future

        client.submit = counted
        self.write(client, folder, limit="700KB")
        assert max(most) == 2
        assert hashes_in(folder) == whole

    def test_refuses_bad_arguments_before_a_file_is_made(self, client, folder):
        with pytest.raises(ValueError, match=r"client must be a distributed\.Client, .*Received: client=None"):
            self.write(None, folder)
        with pytest.raises(ValueError, match=r"client must be a distributed\.Client, .*Received: client='tcp://"):
            self.write("tcp://127.0.0.1:1", folder)
        with pytest.raises(ValueError, match="watch needs the futures of all shards"):
            self.write(client, folder, limit="1MB", watch=print)
        with pytest.raises(ValueError, match="max_shard_size must be a positive number of bytes"):
            self.write(client, folder, limit="much")
        assert not folder.exists()


class TestCommand:
    @pytest.fixture
    def source(self, tmp_path):
        path = tmp_path / "plan.json"
        path.write_text(PLAN.to_json())
        return str(path)

    def test_writes_and_verifies_by_a_cluster(self, cluster, source, folder, whole, capsys):
        cluster.start_worker()
        run = ["init", source, "-o", str(folder), "--seed", "7", "--max-shard-size", "400KB", "--dask", cluster.address]
        assert main(run) == 0
        output = capsys.readouterr()
        assert "100 %" in output.err
        assert hashes_in(folder) == whole
        for name, sha256 in whole.items():
            assert not name.endswith(".safetensors") or sha256 in output.out
        assert main(["verify", str(folder), "--dask", cluster.address]) == 0
        assert main([*run, "--resume", "--quiet"]) == 0

    def test_refuses_a_cluster_for_parts_and_files(self, source, folder, tmp_path, capsys):
        assert main(["init", source, "-o", str(folder), "--dask", "tcp://127.0.0.1:1", "--part", "1/2"]) == 2
        error = capsys.readouterr().err  # and no line that says that the work starts
        assert error.startswith("seedbed: error: --dask must not be given with --part")
        assert main(["init", source, "-o", str(tmp_path / "a.safetensors"), "--dask", "tcp://127.0.0.1:1"]) == 2
        assert "--dask is for directories" in capsys.readouterr().err
        assert not folder.exists()


def test_the_examples_run():
    modules = [seedbed.dask, seedbed.dask.arrays, seedbed.dask.checkpoints]
    done = [doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE) for module in modules]
    assert all(each.failed == 0 for each in done)
    assert sum(each.attempted for each in done) >= 4

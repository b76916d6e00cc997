"""A directory of shards, written and verified by the workers of a Dask cluster: a task for each shard.

The client writes what comes before the shards and the index after them; the workers write the shards, each with the
code and the bytes of one process alone. A task that fails on one worker is repeated on others, and the index is written
only when all shards are there. So any end of any process leaves whole files, and a directory that can be completed.
"""

from __future__ import annotations

import errno
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import distributed
from distributed.scheduler import KilledWorker

from seedbed.checkpoint.directory_writer import DirectoryRun, write_shard
from seedbed.checkpoint.errors import read_errors, write_errors
from seedbed.checkpoint.layout import DEFAULT_SHARD_SIZE, as_size
from seedbed.checkpoint.object_store import is_url, path_of
from seedbed.checkpoint.pipeline import CompletedFile
from seedbed.checkpoint.ring_buffer import BLOCKS
from seedbed.checkpoint.round_robin import take_turns
from seedbed.checkpoint.verification import Seeds, compared_file, expected_of, verification_of
from seedbed.seeds import as_seed

if TYPE_CHECKING:
    from seedbed.checkpoint import Summary, Verification
    from seedbed.checkpoint.comparison import FileComparison
    from seedbed.checkpoint.layout import Layout
    from seedbed.plan import Plan, PlannedTensor

ATTEMPTS = 3
"""How often a shard is begun, as far as its failures are reported. (Dask itself repeats the tasks of dead workers.)"""

MAX_NAMED = 5
"""The most missing shards that an error names."""


class _Failure(NamedTuple):
    """A shard that could not be written: the address of the worker, if there is one, and why."""

    worker: str | None
    why: str
    number: int = errno.EIO
    """The number of the error, as `errno` has it."""


def write_checkpoint(
    plan: Plan,
    directory: str | os.PathLike[str],
    *,
    seed: int,
    client: distributed.Client | None = None,
    max_shard_size: int | str = DEFAULT_SHARD_SIZE,
    resume: bool = False,
    files: Mapping[str, bytes] | None = None,
    limit: int | str | None = None,
    watch: Callable[[list[distributed.Future]], object] | None = None,
    progress: Callable[[PlannedTensor], None] = lambda tensor: None,
) -> Summary:
    """Evaluate `plan` into shards in a directory, by a task for each shard on the workers of a cluster.

    The files are those of `seedbed.checkpoint.write_directory`, byte for byte, which also says what is raised. A shard
    whose worker dies is written by another one. A shard that a worker cannot write, or that is lost before all others
    are there, is written again, on other workers if there are some.

    Arguments:
        plan: what to write.
        directory: as in `write_directory`. The client and all workers see it under this path, or URL.
        seed: an integer in [-2**255, 2**255).
        client: of the cluster; the current one if there is none.
        max_shard_size: the most bytes of tensors in a shard, as in `write_directory`.
        resume: keep the shards of the same run that are there and right; the workers compare them.
        files: what else to write, as in `write_directory`.
        limit: the most bytes of shards under way at once, such as ``"1TB"``, for storage that many writers slow down.
            A larger shard is under way alone. Without a limit, each thread of a worker has a shard.
        watch: called with the futures of all shards, such as `distributed.progress`.
        progress: called after each tensor, when its shard is written.

    Raises:
        ValueError: there is no client; or both `limit`, with which shards have futures one after the other, and
            `watch`.
        OSError: shards are missing after three attempts; the error names them, and why.
    """
    start = time.perf_counter()
    if limit is not None and watch is not None:
        raise ValueError("watch needs the futures of all shards at once, and no limit. Received: both")
    bound = None if limit is None else as_size(limit)
    client = _client(client)
    run = DirectoryRun(plan, directory, seed=seed, max_shard_size=max_shard_size, files=files)
    with write_errors(run.name):
        run.prepare(resume)
        made = _Shards(run, client, resume, bound, watch, progress).write()
    return run.summary([made[layout.name] for layout in run.layouts], start, ())


class _Shards:
    """The shards of a run, until all are written."""

    def __init__(
        self,
        run: DirectoryRun,
        client: distributed.Client,
        resume: bool,
        limit: int | None,
        watch: Callable[[list[distributed.Future]], object] | None,
        progress: Callable[[PlannedTensor], None],
    ) -> None:
        self._run = run
        self._client = client
        self._resume = resume
        self._limit = limit
        self._watch = watch
        self._progress = progress
        self._failures: defaultdict[str, list[_Failure]] = defaultdict(list)

    def write(self) -> dict[str, CompletedFile]:
        """Write all shards and the index; return what was made, by name.

        Raises:
            OSError: shards are missing after so many attempts.
        """
        made: dict[str, CompletedFile] = {}
        missing = self._run.layouts
        for _ in range(ATTEMPTS):
            for layout, outcome in self._outcomes(missing):
                if isinstance(outcome, CompletedFile):
                    made[layout.name] = outcome
                    for tensor, _ in layout.places:
                        self._progress(tensor)
                else:
                    self._failures[layout.name].append(outcome)
            missing = [layout for layout in self._run.layouts if layout.name not in made]
            if not missing:
                lost = self._run.complete()
                missing = [layout for layout in self._run.layouts if layout.name in lost]
                for layout in missing:
                    del made[layout.name]
                    self._failures[layout.name].append(_Failure(None, "it was written and is gone", errno.ENOENT))
            if not missing:
                return made
            if not self._is_connected():
                break
        raise self._error([layout.name for layout in missing])

    def _is_connected(self) -> bool:
        """Wait until the client has its scheduler again, or has given it up."""
        while self._client.status == "connecting":
            time.sleep(0.1)
        return bool(self._client.status == "running")

    def _outcomes(self, layouts: Sequence[Layout]) -> Iterator[tuple[Layout, CompletedFile | _Failure]]:
        """Write shards, the largest first, and yield each that is written or failed."""
        waiting = deque(sorted(layouts, key=lambda layout: -layout.size))
        running: dict[distributed.Future, Layout] = {}
        finished = distributed.as_completed(loop=self._client.loop)
        try:
            while waiting or running:
                while waiting and (not running or self._fits(running, waiting[0])):
                    layout = waiting.popleft()
                    future = self._submit(layout)
                    running[future] = layout
                    finished.add(future)
                if self._watch is not None and len(running) == len(layouts):
                    self._watch(list(running))
                future = next(finished)
                yield running.pop(future), _outcome(future)
        finally:
            self._client.cancel(list(running))

    def _fits(self, running: Mapping[distributed.Future, Layout], layout: Layout) -> bool:
        return self._limit is None or sum(other.size for other in running.values()) + layout.size <= self._limit

    def _submit(self, layout: Layout) -> distributed.Future:
        tried = {failure.worker for failure in self._failures[layout.name]} - {None}
        others = [worker for worker in self._client.nthreads() if worker not in tried] if tried else []
        directory = _absolute(self._run.name)
        arguments = (layout, directory, self._run.manifest.seed, self._resume)
        return self._client.submit(write_one, *arguments, pure=False, workers=others or None)

    def _error(self, names: list[str]) -> OSError:
        """The error that names the shards that are missing, and why."""
        failures = [self._failures[name][-1] for name in names]
        lines = [
            f"{name} ({failure.why}{f', on {failure.worker}' if failure.worker else ''})"
            for name, failure in zip(names[:MAX_NAMED], failures, strict=False)
        ]
        more = f", and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        text = f"{len(names)} of {len(self._run.layouts)} shards are missing: {', '.join(lines)}{more}; resume the run"
        return OSError(failures[0].number, text)


def write_one(layout: Layout, directory: str, seed: int, resume: bool) -> CompletedFile | _Failure:
    """Write a shard, on a worker. An error of the system is returned, with the name of the worker."""
    worker = distributed.get_worker()
    try:
        return write_shard(path_of(directory), layout, seed, resume, max(2, BLOCKS // worker.state.nthreads))
    except OSError as error:
        return _Failure(worker.address, error.strerror or str(error), error.errno or errno.EIO)
    except MemoryError:
        return _Failure(worker.address, os.strerror(errno.ENOMEM), errno.ENOMEM)


def _outcome(future: distributed.Future) -> CompletedFile | _Failure:
    """What a future has; that its workers died, or that the scheduler did, is a failure too."""
    try:
        outcome: CompletedFile | _Failure = future.result()
    except KilledWorker as error:
        return _Failure(None, f"its workers died, at last {error.last_worker.address}")
    except CancelledError:
        return _Failure(None, "the scheduler was lost")
    return outcome


def verify_checkpoint(
    plan: Plan | None,
    path: str | os.PathLike[str],
    *,
    seed: int | None = None,
    client: distributed.Client | None = None,
    watch: Callable[[list[distributed.Future]], object] | None = None,
    progress: Callable[[PlannedTensor], None] = lambda tensor: None,
) -> Verification:
    """Compare every bit of every tensor of a checkpoint, by a task for each file on the workers of a cluster.

    Arguments:
        plan: as in `seedbed.checkpoint.verify_checkpoint`, which also says what is returned and raised.
        path: as there. The client and all workers see it under this path, or URL.
        seed: as there.
        client: of the cluster; the current one if there is none.
        watch: called with the futures of all files, such as `distributed.progress`.
        progress: called after each tensor, when its file is compared.

    Raises:
        ValueError: there is no client; and as there.
        OSError: a file was not compared, because the workers that read it died or the scheduler did.
    """
    start = time.perf_counter()
    seeds = Seeds(None if seed is None else as_seed(seed))
    client = _client(client)
    with read_errors(path):
        expected = expected_of(plan, _absolute(path))
        files = expected.present()
        tensors = {tensor.name: tensor for tensor in expected.tensors}
        planned = client.submit(dict, tensors, pure=False)  # once for each worker, not for each task
        several = len(expected.files) > 1
        futures = [client.submit(compare_one, file, several, planned, seeds.asked, pure=False) for file in files]
        try:
            if watch is not None:
                watch(futures)
            for future in distributed.as_completed(futures, loop=client.loop):
                compared, _ = _compared(future, files[futures.index(future)])
                for name in compared.names & tensors.keys():
                    progress(tensors[name])
            found = [_compared(future, file) for future, file in zip(futures, files, strict=True)]
        finally:
            client.cancel(futures)
    for _, recorded in found:
        seeds.add(recorded)
    return verification_of(expected, dict(zip(files, (compared for compared, _ in found), strict=True)), seeds, start)


def compare_one(
    file: Path, several: bool, tensors: Mapping[str, PlannedTensor], seed: int | None
) -> tuple[FileComparison, int | None]:
    """Compare a file, on a worker; return the seed that it records, too."""
    seeds = Seeds(seed)
    blocks = max(2, BLOCKS // distributed.get_worker().state.nthreads)
    task = compared_file(file, several, tensors, seeds, blocks, lambda tensor: None)
    return take_turns([task], 1)[0], seeds.recorded


def _compared(future: distributed.Future, file: Path) -> tuple[FileComparison, int | None]:
    try:
        found: tuple[FileComparison, int | None] = future.result()
    except (KilledWorker, CancelledError) as error:
        why = "its workers died" if isinstance(error, KilledWorker) else "the scheduler was lost"
        raise OSError(errno.EIO, why, str(file)) from error
    return found


def _absolute(path: str | os.PathLike[str]) -> str:
    """The path for workers, which have other current directories."""
    text = os.fspath(path)
    return text if is_url(text) else os.path.abspath(text)  # noqa: PTH100


def _client(client: distributed.Client | None) -> distributed.Client:
    """Return a client that waits for what it is asked, the current one for None.

    Raises:
        ValueError: there is none.
    """
    try:
        found = distributed.default_client(client)
    except ValueError:
        found = None
    if not isinstance(found, distributed.Client):
        raise ValueError(f"a cluster must have a client, distributed.Client(address). Received: {client!r}")
    if found.asynchronous:
        raise ValueError("a client must be synchronous. Received: one with asynchronous=True")
    return found

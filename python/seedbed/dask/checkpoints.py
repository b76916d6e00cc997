"""Write and verify a directory of shards on the workers of a Dask cluster, with one task for each shard.

The client writes the manifest and the configuration files first, and the index last. The workers write the shards, by
the same code and with the same bytes as a single process. A task that fails on one worker is repeated on other workers.
The index is written only when all shards exist. So an interrupted run leaves complete files, and can be resumed.
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
from distributed.comm import CommClosedError
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
"""Maximum number of attempts to write a shard that a worker reports as failed. (Dask repeats tasks of dead workers.)"""

MAX_NAMED = 5
"""Maximum number of missing shards that an error names."""


class _Failure(NamedTuple):
    """The failure of a shard."""

    worker: str | None
    """Address of the worker that reported the failure, or None."""
    why: str
    """Reason, as text."""
    number: int = errno.EIO
    """Number of the error, as in `errno`."""


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
    """Evaluate a plan into a directory of shards on the workers of a cluster, with one task for each shard.

    The files are the same as those of `seedbed.checkpoint.write_directory`, byte for byte. If a worker dies, another
    one writes its shard. A shard that a worker cannot write, or that disappears before the end of the run, is written
    again, if possible on another worker.

    Arguments:
        plan: the plan.
        directory: as in `write_directory`. The path or URL must be the same on the client and on all workers.
        seed: an integer in [-2**255, 2**255).
        client: client of the cluster; the current one by default.
        max_shard_size: maximum size of the tensors of a shard, as in `write_directory`.
        resume: keep existing shards of the same run if every bit is right. The workers compare them.
        files: contents of further files, by name, as in `write_directory`.
        limit: maximum size of the shards that are written at the same time, such as ``"1TB"``, for storage that many
            writers slow down. A larger shard is written alone. Without a limit, each thread of a worker writes a shard.
        watch: function that is called with the futures of all shards, such as `distributed.progress`.
        progress: function that is called after each tensor, when its shard is complete.

    Returns:
        A `seedbed.checkpoint.Summary`.

    Raises:
        TypeError: as `write_directory`.
        ValueError: if there is no client; if both `limit` and `watch` are given, because `watch` needs all futures at
            once; and as `write_directory`.
        OSError: if shards are missing after three attempts; the error names them and the reasons. Also as
            `write_directory`.

    >>> import distributed, tempfile, seedbed.dask
    >>> from seedbed.plan import parse_plan
    >>> plan = parse_plan('{"tensors": [{"name": "{0..2}", "shape": [50], "initializer": "he_normal"}]}')
    >>> with (
    ...     distributed.Client(processes=False, n_workers=1, dashboard_address=":0") as client,
    ...     tempfile.TemporaryDirectory() as folder,
    ... ):
    ...     summary = seedbed.dask.write_checkpoint(plan, folder, seed=7, client=client, max_shard_size="0.5KB")
    ...     found = seedbed.dask.verify_checkpoint(None, folder, client=client)
    >>> len(summary.files), found.different
    (2, 0)
    """
    start = time.perf_counter()
    if limit is not None and watch is not None:
        raise ValueError("watch needs the futures of all shards at once, so limit must be None. Received: both")
    bound = None if limit is None else as_size(limit)
    client = _client(client)
    run = DirectoryRun(plan, directory, seed=seed, max_shard_size=max_shard_size, files=files)
    with write_errors(run.name):
        run.prepare(resume)
        made = _Shards(run, client, resume, bound, watch, progress).write()
    return run.summary([made[layout.name] for layout in run.layouts], start, ())


class _Shards:
    """The shards of a run, and their failures so far."""

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
        """Write all shards and the index. Return the results of the shards, by name.

        Raises:
            OSError: if shards are missing after `ATTEMPTS` attempts.
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
                    self._failures[layout.name].append(_Failure(None, "it was written and then removed", errno.ENOENT))
            if not missing:
                return made
            if not self._is_connected():
                break
        raise self._error([layout.name for layout in missing])

    def _is_connected(self) -> bool:
        """Wait while the client reconnects to the scheduler. Return whether it is connected."""
        while self._client.status == "connecting":
            time.sleep(0.1)
        return bool(self._client.status == "running")

    def _outcomes(self, layouts: Sequence[Layout]) -> Iterator[tuple[Layout, CompletedFile | _Failure]]:
        """Write shards, the largest first, and yield the outcome of each."""
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
        """Return the error that names the missing shards and the reasons."""
        failures = [self._failures[name][-1] for name in names]
        lines = [
            f"{name} ({failure.why}{f', on {failure.worker}' if failure.worker else ''})"
            for name, failure in zip(names[:MAX_NAMED], failures, strict=False)
        ]
        more = f", and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        text = f"{len(names)} of {len(self._run.layouts)} shards are missing: {', '.join(lines)}{more}; resume the run"
        return OSError(failures[0].number, text)


def write_one(layout: Layout, directory: str, seed: int, resume: bool) -> CompletedFile | _Failure:
    """Write a shard, on a worker. Return an OSError or MemoryError as a failure with the address of the worker."""
    worker = distributed.get_worker()
    try:
        return write_shard(path_of(directory), layout, seed, resume, max(2, BLOCKS // worker.state.nthreads))
    except OSError as error:
        return _Failure(worker.address, error.strerror or str(error), error.errno or errno.EIO)
    except MemoryError:
        return _Failure(worker.address, os.strerror(errno.ENOMEM), errno.ENOMEM)


def _outcome(future: distributed.Future) -> CompletedFile | _Failure:
    """Return the result of a future. The death of its workers or of the scheduler is a failure too."""
    try:
        outcome: CompletedFile | _Failure = future.result()
    except KilledWorker as error:
        return _Failure(None, f"its workers died, at last {error.last_worker.address}")
    except (CancelledError, CommClosedError):  # the latter if the connection closes while the result is on its way
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
    """Compare every bit of a checkpoint with a plan on the workers of a cluster, with one task for each file.

    Arguments:
        plan: the plan, as in `seedbed.checkpoint.verify_checkpoint`.
        path: as in `verify_checkpoint`. The path or URL must be the same on the client and on all workers.
        seed: the seed, as in `verify_checkpoint`.
        client: client of the cluster; the current one by default.
        watch: function that is called with the futures of all files, such as `distributed.progress`.
        progress: function that is called after each tensor, when its file has been compared.

    Returns:
        A `seedbed.checkpoint.Verification`.

    Raises:
        TypeError: as `verify_checkpoint`.
        ValueError: if there is no client; and as `verify_checkpoint`.
        OSError: if a file was not compared, because its workers or the scheduler died; and as `verify_checkpoint`.
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
    """Compare a file, on a worker. Return the result and the seed that the file records."""
    seeds = Seeds(seed)
    blocks = max(2, BLOCKS // distributed.get_worker().state.nthreads)
    task = compared_file(file, several, tensors, seeds, blocks, lambda tensor: None)
    return take_turns([task], 1)[0], seeds.recorded


def _compared(future: distributed.Future, file: Path) -> tuple[FileComparison, int | None]:
    try:
        found: tuple[FileComparison, int | None] = future.result()
    except (KilledWorker, CancelledError, CommClosedError) as error:
        why = "its workers died" if isinstance(error, KilledWorker) else "the scheduler was lost"
        raise OSError(errno.EIO, why, str(file)) from error
    return found


def _absolute(path: str | os.PathLike[str]) -> str:
    """Return the absolute path, because workers may have another current directory."""
    text = os.fspath(path)
    return text if is_url(text) else os.path.abspath(text)  # noqa: PTH100


def _client(client: distributed.Client | None) -> distributed.Client:
    """Return a synchronous client; for None, the current one.

    Raises:
        ValueError: if there is no client, or it is asynchronous.
    """
    try:
        found = distributed.default_client(client)
    except ValueError:
        found = None
    if not isinstance(found, distributed.Client):
        raise ValueError(
            f"client must be a distributed.Client, or one must be the current client. Received: client={client!r}"
        )
    if found.asynchronous:
        raise ValueError("client must be synchronous. Received: a client with asynchronous=True")
    return found

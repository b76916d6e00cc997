"""Write and verify checkpoints in this process, or on the Dask cluster that `--dask` names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from seedbed.checkpoint import Summary, Verification, verify_checkpoint, write_directory
from seedbed.checkpoint.parts import Part


@contextmanager
def writer(address: str | None, part: Part | None, dry_run: bool) -> Iterator[Callable[..., Summary]]:
    """Yield a function that writes a directory. A dry run always uses this process.

    Arguments:
        address: address of the Dask scheduler, or None for this process.
        part: the part to write, or None.
        dry_run: whether to write nothing.

    Raises:
        ImportError: if Dask is not installed.
        ValueError: if both a cluster and a part are given.
        OSError: if the cluster cannot be reached.
    """
    if address is None or dry_run:
        yield partial(write_directory, part=part, dry_run=dry_run)
    else:
        with _client(address, part) as client:
            from seedbed.dask import write_checkpoint

            yield partial(write_checkpoint, client=client)


@contextmanager
def verifier(address: str | None, part: Part | None) -> Iterator[Callable[..., Verification]]:
    """Yield a function that verifies a file or a directory. Arguments and errors are those of `writer`."""
    if address is None:
        yield partial(verify_checkpoint, part=part)
    else:
        with _client(address, part) as client:
            from seedbed.dask import verify_checkpoint as verify_by_cluster

            yield partial(verify_by_cluster, client=client)


@contextmanager
def _client(address: str, part: Part | None) -> Iterator[Any]:
    if part is not None:
        raise ValueError(
            f"--dask must not be given with --part: the cluster divides the work. Received: --part {part[0]}/{part[1]}"
        )
    try:
        import distributed
    except ImportError:
        raise ImportError("--dask needs Dask: pip install 'seedbed[dask]'") from None
    with distributed.Client(address, set_as_default=False) as client:
        yield client

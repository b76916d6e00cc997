"""What writes and verifies directories: this process, or the Dask cluster that `--dask` names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from seedbed.checkpoint import Summary, Verification, verify_checkpoint, write_directory
from seedbed.checkpoint.parts import Part


@contextmanager
def writer(address: str | None, part: Part | None, dry_run: bool) -> Iterator[Callable[..., Summary]]:
    """Return a function that writes a directory; a dry run is made by this process.

    Raises:
        ImportError: Dask is not installed.
        ValueError: a cluster is to write a part.
        OSError: the cluster cannot be reached.
    """
    if address is None or dry_run:
        yield partial(write_directory, part=part, dry_run=dry_run)
    else:
        with _client(address, part) as client:
            from seedbed.dask import write_checkpoint

            yield partial(write_checkpoint, client=client)


@contextmanager
def verifier(address: str | None, part: Part | None) -> Iterator[Callable[..., Verification]]:
    """Return a function that verifies a file or a directory; `writer` says what is raised."""
    if address is None:
        yield partial(verify_checkpoint, part=part)
    else:
        with _client(address, part) as client:
            from seedbed.dask import verify_checkpoint as verify_by_cluster

            yield partial(verify_by_cluster, client=client)


@contextmanager
def _client(address: str, part: Part | None) -> Iterator[Any]:
    if part is not None:
        raise ValueError(f"--dask has no parts: the cluster divides the work. Received: --part {part[0]}/{part[1]} too")
    try:
        import distributed
    except ImportError:
        raise ImportError("--dask needs Dask: pip install 'seedbed[dask]'") from None
    with distributed.Client(address, set_as_default=False) as client:
        yield client

"""Dask adapter: initial values as arrays of any chunks, and checkpoints that a cluster writes and verifies.

    weight = seedbed.dask.array(sb.GlorotNormal(seed=42), (1_000_000, 4096), chunks="auto")
    seedbed.dask.write_checkpoint(plan, "/shared/model", seed=42, client=client)

| | |
|---|---|
| `array` | return one tensor as a `dask.array.Array`; each chunk is evaluated on the worker that needs it |
| `write_checkpoint` | evaluate a plan into a directory of shards, one task for each shard |
| `verify_checkpoint` | compare a checkpoint with its plan, bit by bit, one task for each shard |
"""

from seedbed.dask.arrays import array
from seedbed.dask.checkpoints import verify_checkpoint, write_checkpoint

__all__ = ["array", "verify_checkpoint", "write_checkpoint"]


def __dir__() -> list[str]:
    return __all__

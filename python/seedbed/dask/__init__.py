"""The initializers of seedbed in Dask: arrays of any chunks, and checkpoints written and verified by a cluster.

    weight = seedbed.dask.array(sb.GlorotNormal(seed=42), (1_000_000, 4096), chunks="auto")
    seedbed.dask.write_checkpoint(plan, "/shared/model", seed=42, client=client)

| | |
|---|---|
| `array` | one tensor, as a `dask.array.Array` of which each chunk is evaluated where it is needed |
| `write_checkpoint` | a plan, evaluated into a directory of shards: a task for each shard |
| `verify_checkpoint` | such a directory, compared with its plan bit by bit: a task for each shard |
"""

from seedbed.dask.arrays import array
from seedbed.dask.checkpoints import verify_checkpoint, write_checkpoint

__all__ = ["array", "verify_checkpoint", "write_checkpoint"]


def __dir__() -> list[str]:
    return __all__

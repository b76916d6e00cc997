"""Checkpoints: write the tensors of a plan to safetensors files, and verify such files, a few blocks at a time.

The plan and the seed determine each byte of a file. Its tensors are sorted by item size, the largest first, and then in
the order of the plan, so that each tensor is aligned to its item size. The metadata records the algorithm and the seed,
but not the version of seedbed, so that the SHA-256 changes only if a value changes.

The modules, from the public functions down:

| module | what it does |
|---|---|
| `verification` | `verify_checkpoint`: compare a file or a directory with a plan |
| `directory_writer` | `write_directory`: write shards, index, manifest and configuration files |
| `file_writer` | `write_checkpoint`: write one file |
| `listing` | list the names, shapes and dtypes of a checkpoint's tensors |
| `comparison` | compare one file with the tensors of a plan, bit by bit |
| `pipeline` | evaluate files block by block, while other threads hash and write the blocks |
| `reader` | open a file, and read and hash it ahead of its consumer |
| `manifest` | `seedbed.json`: the plan, seed and shard size of a directory |
| `index` | read and check the index of a directory of shards |
| `layout` | divide a plan into shards, and each shard into a header and tensors |
| `header` | encode and parse the header of a safetensors file |
| `destination` | write a new file under a temporary name and rename it, or write to a pipe |
| `object_store` | local paths and URLs; upload objects by fsspec |
| `direct_io` | read and write past the page cache |
| `ring_buffer` | blocks of memory that are reused in turn |
| `worker_thread` | a thread that runs tasks in order |
| `round_robin` | process several files at once in one thread |
| `evaluation` | evaluate the bytes of any range of a tensor |
| `parts` | divide shards among processes that do not communicate |
| `other_formats` | recognize files that are not safetensors files |
| `errors` | operating system errors that name the user's path |
"""

from seedbed.checkpoint.comparison import Difference
from seedbed.checkpoint.directory_writer import write_directory
from seedbed.checkpoint.file_writer import Summary, WrittenFile, write_checkpoint
from seedbed.checkpoint.verification import Verification, verify_checkpoint

__all__ = [
    "Difference",
    "Summary",
    "Verification",
    "WrittenFile",
    "verify_checkpoint",
    "write_checkpoint",
    "write_directory",
]


def __dir__() -> list[str]:
    return __all__

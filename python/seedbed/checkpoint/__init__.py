"""Checkpoints: the tensors of a plan in safetensors files, evaluated there without ever being in memory as a whole.

A file is determined by the plan and the seed, byte for byte (`seedbed.checkpoint.header`): its tensors follow one
another by falling item size and then in the plan's order, so that every tensor is aligned to its items. Its metadata
has the algorithm and the seed, and not the version of seedbed: the SHA-256 is to change when a value does, and at no
other time.
"""

from seedbed.checkpoint.comparing import Difference
from seedbed.checkpoint.directory import write_directory
from seedbed.checkpoint.verifying import Verification, verify_checkpoint
from seedbed.checkpoint.writing import Summary, WrittenFile, write_checkpoint

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

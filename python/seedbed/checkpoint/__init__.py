"""Checkpoints: the tensors of a plan in a safetensors file, none of which ever stands in memory of its own.

The file is the format's, byte for byte determined by the plan and the seed (`seedbed.checkpoint.header`): the tensors
stand one behind the other, by falling item size and then in the plan's order, so that every tensor is aligned to its
items. ``__metadata__`` tells the algorithm and the seed, and not the version of seedbed: the SHA-256 is to change when
a value does, and at no other time.
"""

from seedbed.checkpoint.verifying import Difference, Verification, verify_checkpoint
from seedbed.checkpoint.writing import Summary, write_checkpoint

__all__ = ["Difference", "Summary", "Verification", "verify_checkpoint", "write_checkpoint"]

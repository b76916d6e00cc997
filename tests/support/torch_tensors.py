"""Initializers and comparisons for tensors of torch."""

import pytest

import seedbed as sb

torch = pytest.importorskip("torch")
nn = torch.nn

NORMAL = sb.RandomNormal(seed=3)
DTYPES = ("float16", "bfloat16", "float32", "float64")


def bits(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


class Tiny(nn.Module):
    """A tied head, a buffer, and a norm with buffers."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.embed = nn.Embedding(11, 6, padding_idx=2, dtype=dtype)
        self.body = nn.Sequential(
            nn.Linear(6, 8, dtype=dtype), nn.BatchNorm1d(8, dtype=dtype), nn.Linear(8, 6, dtype=dtype)
        )
        self.head = nn.Linear(6, 11, bias=False, dtype=dtype)
        self.head.weight = self.embed.weight

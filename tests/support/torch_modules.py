"""Modules of torch that several test files use."""

import pytest

torch = pytest.importorskip("torch")

nn = torch.nn


def bits(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def rows(plan):
    return {tensor.name: (tensor.initializer, tensor.source) for tensor in plan.tensors}


class Scale(nn.Module):
    """A user-written norm without a method that sets its weight."""

    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return x * self.weight


class Block(nn.Module):
    def __init__(self, norm=nn.LayerNorm):
        super().__init__()
        self.norm = norm(8)
        self.up = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8)
        for layer in (self.up, self.down):  # only a recording detects it
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)


class Model(nn.Module):
    """A model as in torchtitan: its method calls those of its parts."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8, padding_idx=3)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.register_buffer("angles", torch.empty(4), persistent=False)
        self.register_buffer("scale", torch.ones(4))
        self.init_weights()

    def init_weights(self, buffer_device=None):
        nn.init.normal_(self.embed.weight, std=0.5)
        for number, block in enumerate(self.blocks):
            nn.init.trunc_normal_(block.up.weight, std=0.02)
            nn.init.normal_(block.down.weight, std=0.02 / (number + 1))
            nn.init.zeros_(block.up.bias)
            nn.init.zeros_(block.down.bias)
        self.angles = 1.0 / (10000.0 ** (torch.arange(4.0) / 4))
        nn.init.ones_(self.scale)


def on_meta(make):
    with torch.device("meta"):
        return make()

"""Draw the picture in docs/schemes.md: activations and gradients by depth, before training, for four schemes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional

import seedbed.torch
from seedbed import schemes
from seedbed.schemes import Scheme

LAYERS, WIDTH, HEADS, TOKENS, BATCH, VOCABULARY = 48, 256, 4, 128, 4, 1000

SCHEMES: Mapping[str, Scheme] = {
    "olmo: all N(0, σ)": schemes.olmo(),
    "gpt2: outputs ÷ √(2L)": schemes.gpt2(layers=LAYERS),
    "llama_depth: outputs ÷ √(2(l+1))": schemes.llama_depth(width=WIDTH),
    "mitchell: d^-½, outputs ÷ √(2(l+1))": schemes.mitchell(width=WIDTH),
}


class Block(nn.Module):  # type: ignore[misc]
    """A layer with norms before attention and before the feed-forward layer."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = nn.ModuleDict(
            {name: nn.Linear(WIDTH, WIDTH, bias=False) for name in ("q_proj", "k_proj", "v_proj", "o_proj")}
        )
        self.mlp = nn.ModuleDict(
            {"up_proj": nn.Linear(WIDTH, 4 * WIDTH, bias=False), "down_proj": nn.Linear(4 * WIDTH, WIDTH, bias=False)}
        )

    def forward(self, x: Any) -> Any:
        normed = self.attention_norm(x)
        query, key, value = (
            self.attention[name](normed).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attention["o_proj"](mixed.transpose(1, 2).flatten(-2))
        return x + self.mlp["down_proj"](functional.gelu(self.mlp["up_proj"](self.mlp_norm(x))))


class Decoder(nn.Module):  # type: ignore[misc]
    """A GPT that returns its residual stream after each layer, and its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.lm_head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens: Any) -> tuple[list[Any], Any]:
        streams = [self.embed_tokens(tokens[:, :-1])]
        for layer in self.layers:
            streams.append(layer(streams[-1]))
        logits = self.lm_head(self.norm(streams[-1]))
        return streams[1:], functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def sizes(scheme: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """Return the root mean square of the residual stream after each layer, and of the loss's gradient there."""
    with seedbed.torch.recording():
        model = Decoder()
    seedbed.torch.initialize_(model, scheme, seed=42)
    tokens = torch.from_numpy(np.random.default_rng(1).integers(VOCABULARY, size=(BATCH, TOKENS)))
    streams, loss = model(tokens)
    gradients = torch.autograd.grad(loss, streams)
    return _sizes(streams), _sizes(gradients)


def _sizes(tensors: Sequence[Any]) -> np.ndarray:
    return np.array([float(tensor.detach().square().mean().sqrt()) for tensor in tensors])


def picture(path: str) -> None:
    """Draw the sizes for each scheme."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.subplots(1, 2)
    for label, scheme in SCHEMES.items():
        for place, values in zip(axes, sizes(scheme), strict=True):
            place.plot(range(1, LAYERS + 1), values, label=label)
    for place, title in zip(axes, ("residual stream after each layer", "gradient there"), strict=True):
        place.set_title(f"root mean square of the {title}", fontsize=10)
        place.set(xlabel="layer", yscale="log")
        place.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)

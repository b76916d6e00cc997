"""The tables of docs/schemes.md, from the schemes themselves."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from seedbed import schemes
from seedbed.schemes.formulas import Formula
from seedbed.schemes.registry import SCHEMES, named_scheme

NUMBERS = {
    "layers": 12,
    "encoder_layers": 12,
    "decoder_layers": 12,
    "width": 768,
    "base_width": 256,
    "heads": 12,
}
"""Numbers of a model, of which each scheme takes what it needs."""

CHECKED = {
    "gpt2": "transformers' GPT-2: the plans that ship, bit by bit",
    "megatron": "megatron-core's TransformerConfig; the µP form by hand",
    "torchtitan": "torchtitan's Llama 3; by hand",
    "olmo": "olmo-core's Transformer; by hand",
    "llama": "olmo-core's Transformer; by hand",
    "llama_depth": "olmo-core's Transformer; by hand",
    "normalized": "olmo-core's Transformer; by hand",
    "fan_in": "olmo-core's Transformer; by hand",
    "mitchell": "by hand",
    "small_init": "by hand",
    "wang": "by hand",
    "scaled_orthogonal": "by hand",
    "mpt_small": "by hand",
    "mpt_neox": "by hand",
    "deepnorm": "torchscale's Encoder, Decoder and EncoderDecoder for its form; by hand",
    "subln": "torchscale's Encoder, Decoder and EncoderDecoder for its form; by hand",
    "tfixup": "by hand",
    "fixup": "by hand",
    "rezero": "by hand",
    "skipinit": "by hand",
    "mup": "mup: set_base_shapes, mup.init, MuReadout, MuAdam, MuSGD; by hand",
    "umup": "unit-scaling's TransformerDecoder, and its learning rates of Adam; by hand",
    "spectral": "by hand",
}
"""What the tests compare each scheme with."""


def page() -> str:
    """Return docs/schemes.md."""
    roles = "\n".join(f"| `{role}` | {what} |" for role, what in schemes.ROLES.items())
    head = (Path(__file__).parent / "page.md").read_text("utf-8").replace("{roles}", roles)
    return head + "".join(_section(name) for name in SCHEMES)


def _section(name: str) -> str:
    entry = SCHEMES[name]
    needed = (*entry.required, *(["layers"] if "form" in entry.optional and "layers" in entry.optional else []))
    scheme = named_scheme(name, {}, {key: NUMBERS[key] for key in needed})
    rows = [(role, scheme.table[role]) for role in schemes.ROLES if role in scheme.table]
    lines = []
    for text, group in groupby(sorted(rows, key=lambda row: _order(rows, row[1].text)), key=lambda row: row[1].text):
        lines.append(f"| {', '.join(role for role, _ in group)} | {text} |")
    arguments = ", ".join([*entry.required, *(f"{each}=" for each in entry.optional)])
    return (
        f"\n### {name}({arguments})\n\n{entry.summary}\n\n| roles | initial values |\n|---|---|\n"
        + "\n".join(lines)
        + f"\n\nSource: {entry.source}. Checked against: {CHECKED[name]}.\n"
    )


def _order(rows: list[tuple[str, Formula]], text: str) -> int:
    return next(number for number, row in enumerate(rows) if row[1].text == text)

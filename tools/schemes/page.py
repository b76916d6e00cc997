"""Write docs/schemes.md from the schemes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from seedbed import schemes
from seedbed.schemes.registry import SCHEMES, named_scheme

NUMBERS = {
    "layers": 12,
    "encoder_layers": 12,
    "decoder_layers": 12,
    "width": 768,
    "base_width": 256,
    "heads": 12,
}
"""Numbers of a model. Each scheme uses those that it needs."""

CHECKED = {
    "gpt2": "transformers' GPT-2: the plans that come with seedbed, bit by bit",
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
"""Reference with which the tests compare each scheme."""


def page() -> str:
    """Return docs/schemes.md."""
    roles = "\n".join(f"| `{role}` | {what} |" for role, what in schemes.ROLES.items())
    head = (Path(__file__).parent / "page.md").read_text("utf-8").replace("{roles}", roles)
    return head + "".join(_section(name) for name in SCHEMES)


def _section(name: str) -> str:
    entry = SCHEMES[name]
    needed = (*entry.required, *(["layers"] if "form" in entry.optional and "layers" in entry.optional else []))
    scheme = named_scheme(name, {}, {key: NUMBERS[key] for key in needed})
    texts = {role: formula.text for role, formula in scheme.table.items()}
    arguments = ", ".join([*entry.required, *(f"{each}=" for each in entry.optional)])
    made = f"\n### {name}({arguments})\n\n{entry.summary}\n\n{_table(('initial values',), texts)}"
    if scheme.scalings:
        multipliers = {role: f"{s.output} | {s.adam} | {s.sgd}" for role, s in scheme.scalings.items()}
        made += "\nMultipliers:\n\n" + _table(("output", "learning rate, Adam", "learning rate, SGD"), multipliers)
    return made + f"\nSource: {entry.source}. Checked against: {CHECKED[name]}.\n"


def _table(heads: Sequence[str], texts: Mapping[str, str]) -> str:
    """Return a table with one row for all roles of the same text."""
    groups: dict[str, list[str]] = {}
    for role in schemes.ROLES:
        if role in texts:
            groups.setdefault(texts[role], []).append(role)
    lines = [f"| {', '.join(group)} | {text} |" for text, group in groups.items()]
    return "\n".join([f"| roles | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|", *lines, ""])

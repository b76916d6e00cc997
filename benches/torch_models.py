"""Measure how long models of torch take to get their initial values, from their own code and from seedbed.

    python benches/torch_models.py [--cases small llama …] [--rounds N] [--output FILE]

Each case runs in its own process, which measures both in each of its rounds, one after the other. The page has the
medians.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CASES = {
    "small": ("10,000 parameters of a model that exists, 5,000 × `Linear(16, 16)`", "`reset_parameters` of each layer"),
    "tiny": ("a Llama of transformers from its configuration, built and initialized", "`LlamaForCausalLM(config)`"),
    "llama": ("a Llama of transformers from its configuration, built and initialized", "`LlamaForCausalLM(config)`"),
}
"""The measured model, and the code that initializes it without seedbed."""

LLAMAS = {"tiny": (64, 2, 512), "llama": (768, 12, 50257)}
"""Width, number of layers, and size of the vocabulary of each Llama."""


def small() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return the functions that initialize many small parameters, by torch and by seedbed. Each returns the model."""
    from torch import nn

    import seedbed.torch as st

    model = nn.Sequential(*[nn.Linear(16, 16) for _ in range(5000)])

    def reset() -> Any:
        for layer in model:
            layer.reset_parameters()
        return model

    return reset, lambda: st.initialize_(model, seed=0)


def llama(width: int, layers: int, vocabulary: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return the functions that make a Llama, by transformers and by seedbed."""
    from transformers import LlamaConfig, LlamaForCausalLM

    import seedbed.torch as st

    config = LlamaConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        vocab_size=vocabulary,
        tie_word_embeddings=True,
    )

    def recorded() -> Any:
        with st.recording():
            model = LlamaForCausalLM(config)
        return st.initialize_(model, seed=0)

    return lambda: LlamaForCausalLM(config), recorded


def measure(case: str, rounds: int) -> dict[str, Any]:
    """Measure a case in this process: the seconds of each round, by the model's own code and by seedbed."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    functions = small() if case == "small" else llama(*LLAMAS[case])
    seconds: tuple[list[float], list[float]] = ([], [])
    parameters = 0
    for number in range(rounds + 1):
        for function, taken in zip(functions, seconds, strict=True):
            gc.collect()
            start = time.perf_counter()
            model = function()
            if number:  # the first round imports what is imported late
                taken.append(time.perf_counter() - start)
            parameters = sum(parameter.numel() for parameter in model.parameters())
            del model
    return {"parameters": parameters, "own": seconds[0], "seedbed": seconds[1]}


def in_process(case: str, rounds: int) -> dict[str, Any]:
    """Return the figures of a case, measured in a process of its own."""
    command = [sys.executable, __file__, "--rounds", str(rounds), "--case", case]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{case}: {done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def page(figures: dict[str, dict[str, Any]], rounds: int) -> str:
    """Return the results in Markdown."""
    lines = [
        f"On {len(os.sched_getaffinity(0))} cores; medians of {rounds} rounds.",
        "",
        "| what | parameters, millions | by | seconds | seedbed, seconds | seedbed / the other |",
        "|---|---|---|---|---|---|",
    ]
    for case, one in figures.items():
        what, by = CASES[case]
        own, ours = statistics.median(one["own"]), statistics.median(one["seedbed"])
        ratio = statistics.median(b / a for a, b in zip(one["own"], one["seedbed"], strict=True))
        lines.append(f"| {what} | {one['parameters'] / 1e6:,.1f} | {by} | {own:.3f} | {ours:.3f} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["small", "llama"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", help="the page to write (default: the standard output)")
    parser.add_argument("--case", choices=CASES, help="measure one case in this process")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.rounds)))
        return
    text = page({case: in_process(case, options.rounds) for case in options.cases}, options.rounds)
    if options.output is None:
        sys.stdout.write(text)
    else:
        Path(options.output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

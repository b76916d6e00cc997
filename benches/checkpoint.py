"""Measure how fast checkpoints are written and verified, and compare with the disk's own rate.

    python benches/checkpoint.py [--plan NAME_OR_FILE] [--rounds N] [--folder FOLDER] [--output FILE]

Each round uses the same disk. `dd` writes as many zeros with fdatasync, and past the page cache; `seedbed init`
writes the plan into a directory; `dd` reads it past the page cache; `seedbed verify` verifies it. The cores' own rates
are measured too: SHA-256 on one core, and the evaluation of the plan's values on all cores. The page has the best of
the rounds, because other programs only make a round slower. All files are deleted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import seedbed
from seedbed.checkpoint.evaluation import values_of
from seedbed.plan import Plan, load_plan, parse_plan

LAYER = {
    "self_attn.q_proj": (2048, 2048),
    "self_attn.k_proj": (512, 2048),
    "self_attn.v_proj": (512, 2048),
    "self_attn.o_proj": (2048, 2048),
    "mlp.gate_proj": (8192, 2048),
    "mlp.up_proj": (8192, 2048),
    "mlp.down_proj": (2048, 8192),
    "input_layernorm": (2048,),
    "post_attention_layernorm": (2048,),
}
"""The shapes of a layer of Llama 3.2 1B."""

BLOCK = 1 << 25
"""Bytes of one read or write of dd."""

SAMPLE_BYTES = 1 << 28
"""Bytes that measure the rates of the cores."""


def llama_1b() -> Plan:
    """Return the plan of Llama 3.2 1B: 1.24 billion bfloat16 parameters, 2.47 GB."""
    normal = {"class_name": "RandomNormal", "config": {"mean": 0.0, "stddev": 0.02}}
    tensors = [
        {"name": "model.embed_tokens.weight", "shape": [128256, 2048]},
        *({"name": f"model.layers.{{0..15}}.{name}.weight", "shape": shape} for name, shape in LAYER.items()),
        {"name": "model.norm.weight", "shape": [2048]},
    ]
    defaults = [{"pattern": "*norm.weight", "initializer": "ones"}, {"pattern": "*", "initializer": normal}]
    return parse_plan(json.dumps({"dtype": "bfloat16", "defaults": defaults, "tensors": tensors}))


def run(command: Sequence[str]) -> tuple[float, int]:
    """Run a command; return its seconds, and its peak memory in bytes."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: {errors.decode()}")
    return seconds, usage.ru_maxrss * 1024


def hash_rate() -> float:
    """Return the bytes a second that one core hashes."""
    content = np.zeros(SAMPLE_BYTES, np.uint8)
    start = time.perf_counter()
    hashlib.sha256(content.data)
    return SAMPLE_BYTES / (time.perf_counter() - start)


def fill_rate(plan: Plan) -> float:
    """Return the bytes a second that all cores evaluate of the plan's largest tensor, in existing memory."""
    tensor = max(plan.tensors, key=lambda tensor: tensor.nbytes)
    values = values_of(tensor, seedbed.SeedGenerator(0))
    rows = max(1, min(tensor.shape[0], SAMPLE_BYTES * tensor.shape[0] // tensor.nbytes))
    out = np.zeros((rows, *tensor.shape[1:]), tensor.dtype)
    axes = [(length, 0, 1, count) for length, count in zip(tensor.shape, out.shape, strict=True)]
    start = time.perf_counter()
    values.rule.write(out, axes)
    return out.nbytes / (time.perf_counter() - start)


def measure(plan: Plan, folder: Path, rounds: int) -> tuple[dict[str, float], dict[str, int]]:
    """Return the best seconds and the greatest memory of each command."""
    best: dict[str, float] = defaultdict(lambda: float("inf"))
    peaks: dict[str, int] = defaultdict(int)
    (folder / "plan.json").write_text(plan.to_json())
    zeros, written = folder / "zeros", folder / "written"
    blocks = -(-plan.nbytes // BLOCK)
    python = [sys.executable, "-m", "seedbed"]
    for _ in range(rounds):
        for name, command, remove in (
            (
                "dd, fdatasync",
                ["dd", "if=/dev/zero", f"of={zeros}", f"bs={BLOCK}", f"count={blocks}", "conv=fdatasync"],
                zeros,
            ),
            (
                "dd, direct",
                ["dd", "if=/dev/zero", f"of={zeros}", f"bs={BLOCK}", f"count={blocks}", "oflag=direct"],
                zeros,
            ),
            ("init", [*python, "init", str(folder / "plan.json"), "-o", str(written), "--quiet"], None),
            (
                "dd, reading",
                [
                    "sh",
                    "-c",
                    f"for f in {written}/*.safetensors; do dd if=$f of=/dev/null bs={BLOCK} iflag=direct; done",
                ],
                None,
            ),
            ("verify", [*python, "verify", str(written), "--quiet"], written),
        ):
            seconds, peak = run(command)
            best[name] = min(best[name], seconds)
            peaks[name] = max(peaks[name], peak)
            if remove is not None:
                shutil.rmtree(remove) if remove.is_dir() else remove.unlink()
        # In a separate process: a child process starts with the memory of this one, and counts it in its peak.
        rates = [sys.executable, __file__, "--rates", str(folder / "plan.json")]
        hashed, filled = json.loads(subprocess.run(rates, capture_output=True, check=True).stdout)
        best["hash"] = min(best["hash"], plan.nbytes / hashed)
        best["fill"] = min(best["fill"], plan.nbytes / filled)
    return best, peaks


def page(plan: Plan, best: dict[str, float], peaks: dict[str, int], command: str) -> str:
    """Return the results in Markdown."""
    cores = len(os.sched_getaffinity(0))
    computing = best["hash"] / cores + best["fill"]  # each core hashes for a part of the time, and evaluates otherwise
    rows = [f"`{command}`: {plan.parameters:,} parameters, {plan.nbytes:,} bytes, on {cores} cores.", ""]
    rows += ["| | seconds | GB/s | peak memory, MB |", "|---|---|---|---|"]
    for name in ("dd, fdatasync", "dd, direct", "init", "dd, reading", "verify"):
        peak = f"{peaks[name] / 1e6:.0f}" if name in ("init", "verify") else ""
        rows.append(f"| {name} | {best[name]:.2f} | {plan.nbytes / best[name] / 1e9:.2f} | {peak} |")
    rows.append(f"| SHA-256, one core | {best['hash']:.2f} | {plan.nbytes / best['hash'] / 1e9:.2f} | |")
    rows.append(f"| evaluation, all cores | {best['fill']:.2f} | {plan.nbytes / best['fill'] / 1e9:.2f} | |")
    for verb, disk in (("init", min(best["dd, fdatasync"], best["dd, direct"])), ("verify", best["dd, reading"])):
        least = max(disk, computing)
        bound = "the disk" if disk > computing else "the cores"
        rows += ["", f"`{verb}` reaches {least / best[verb]:.2f} of what {bound} can do: {least:.2f} s."]
    return "\n".join(rows) + "\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", help="the name or file of a plan (default: the shapes of Llama 3.2 1B)")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="on the disk to measure (default: the working directory)", default=".")
    parser.add_argument("--output", help="the page to write (default: the standard output)")
    parser.add_argument("--rates", metavar="PLAN", help="only print the rates of the cores")
    options = parser.parse_args()
    if options.rates is not None:
        print(json.dumps([hash_rate(), fill_rate(load_plan(options.rates))]))
        return
    plan = llama_1b() if options.plan is None else load_plan(options.plan, dtype=options.dtype)
    free = shutil.disk_usage(options.folder).free
    if free < 2.2 * plan.nbytes:
        raise SystemExit(
            f"{plan.nbytes:,} bytes are written twice. Received: {free:,} free bytes in {options.folder!r}"
        )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        best, peaks = measure(plan, Path(folder), options.rounds)
    arguments = " ".join(
        f"--{name} {value}" for name, value in (("plan", options.plan), ("rounds", options.rounds)) if value
    )
    text = page(plan, best, peaks, f"python benches/checkpoint.py {arguments}")
    if options.output is None:
        print(text, end="")
    else:
        Path(options.output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

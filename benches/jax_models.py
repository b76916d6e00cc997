"""Measure how long a Flax model takes to initialize, compilation included, with JAX and with seedbed.

    python benches/jax_models.py [--models gpt2 1b] [--devices 1 8] [--rounds N] [--output FILE]

Each case runs in its own process. It imports all packages, starts the devices of the host, and touches three times the
memory of the parameters. Then it measures once, from a model without parameters until all parameters are in memory, in
shards if there are several devices. The page has the median of the rounds, and the greatest peak of memory, minus the
parameters and the memory before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MODELS = {"tiny": (64, 2, 512), "gpt2": (768, 12, 50257), "1b": (2048, 16, 50257)}
"""Width, number of layers, and size of the vocabulary of each model."""

WAYS = {
    "jax": "`jax.jit(model.init)`, `jax.nn.initializers`",
    "jit": "`jax.jit(model.init)`, `seedbed.jax.initializer`",
    "eager": "`model.init`, `jax.nn.initializers`",
    "layers": "`model.init`, `seedbed.jax.initializer`",
    "initialize": "`seedbed.jax.initialize`",
}

STDDEV = 0.02


def gpt(width: int, layers: int, vocabulary: int, init: Any) -> Any:
    """Return a decoder with the shapes of GPT-2 and a head that is not tied."""
    from flax import linen as nn

    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            x = x + nn.MultiHeadDotProductAttention(width // 64, kernel_init=init)(nn.LayerNorm()(x))
            hidden = nn.gelu(nn.Dense(4 * width, kernel_init=init)(nn.LayerNorm()(x)))
            return x + nn.Dense(width, kernel_init=init)(hidden)

    class Model(nn.Module):
        @nn.compact
        def __call__(self, tokens: Any) -> Any:
            x = nn.Embed(vocabulary, width, embedding_init=init)(tokens)
            x = x + nn.Embed(1024, width, embedding_init=init)(tokens * 0)
            for _ in range(layers):
                x = Layer()(x)
            return nn.Dense(vocabulary, use_bias=False, kernel_init=init)(nn.LayerNorm()(x))

    return Model()


def peak() -> int:
    """Return the peak of this process's memory so far, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def touch(size: int) -> None:
    """Write to `size` bytes of memory and free it: a virtual machine may first have to get it from its host."""
    memory = np.ones(size, np.uint8)
    del memory
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak is counted from here


def measure(model: str, way: str, devices: int) -> dict[str, float]:
    """Measure one case in this process: seconds and bytes."""
    import jax
    import jax.numpy as jnp
    from jax.sharding import AxisType, NamedSharding
    from jax.sharding import PartitionSpec as P

    import seedbed as sb
    import seedbed.jax as sj

    assert jax.device_count() == devices
    ours = way in ("jit", "layers")
    init = sj.initializer(sb.RandomNormal(stddev=STDDEV)) if ours else jax.nn.initializers.normal(STDDEV)
    built, tokens, key = gpt(*MODELS[model], init), jnp.zeros((1, 8), jnp.int32), jax.random.key(0)
    mesh = jax.make_mesh((devices,), ("shards",), axis_types=(AxisType.Auto,))

    def sharding(leaf: Any) -> Any:
        """Shard the longest axis of a kernel that the number of devices divides. Replicate everything else."""
        axes = [axis for axis, length in enumerate(leaf.shape) if length % devices == 0]
        if leaf.ndim < 2 or not axes:
            return NamedSharding(mesh, P())
        longest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, P(*("shards" if axis == longest else None for axis in range(leaf.ndim))))

    def run() -> Any:
        if way in ("eager", "layers"):
            return built.init(key, tokens)
        abstract = jax.eval_shape(built.init, key, tokens)
        shardings = jax.tree.map(sharding, abstract)
        if way != "initialize":
            return jax.jit(built.init, out_shardings=shardings)(key, tokens)
        rules: Any = {"*bias": "zeros", "*scale": "ones", "*": sb.RandomNormal(stddev=STDDEV)}
        return sj.initialize(abstract, rules, seed=0, shardings=shardings)

    jax.block_until_ready(jnp.zeros(1) + 1)
    width, layers, vocabulary = MODELS[model]
    touch(3 * 4 * (12 * layers * width**2 + 2 * vocabulary * width))
    before, start = peak(), time.perf_counter()
    params = jax.block_until_ready(run())
    seconds = time.perf_counter() - start
    leaves = jax.tree.leaves(params)
    sizes = {  # by pointer, since shards may share memory
        shard.data.unsafe_buffer_pointer(): shard.data.nbytes for leaf in leaves for shard in leaf.addressable_shards
    }
    return {
        "seconds": seconds,
        "parameters": sum(leaf.size for leaf in leaves),
        "extra": peak() - before - sum(sizes.values()),
    }


def in_process(model: str, way: str, devices: int) -> dict[str, float]:
    """Return the figures of one case, measured in a separate process."""
    environment = {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_COMPILATION_CACHE": "false",
    }
    command = [sys.executable, __file__, "--case", model, way, str(devices)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{model}, {way}, {devices} devices: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def page(figures: dict[tuple[str, int, str], list[dict[str, float]]], rounds: int) -> str:
    """Return the results in Markdown."""
    lines = [f"On {len(os.sched_getaffinity(0))} cores; the median of {rounds}."]
    for model, devices in dict.fromkeys((model, devices) for model, devices, _ in figures):
        seconds = {
            way: statistics.median(one["seconds"] for one in figures[model, devices, way])
            for way in WAYS
            if (model, devices, way) in figures
        }
        parameters = figures[model, devices, "jax"][0]["parameters"]
        lines += [
            "",
            f"**{parameters / 1e6:,.1f} million float32 parameters, "
            f"{devices} device{'s' if devices > 1 else ''} of the host**",
            "",
            "| | seconds | JAX's time / this | extra memory, MB |",
            "|---|---|---|---|",
        ]
        for way, median in seconds.items():
            extra = max(one["extra"] for one in figures[model, devices, way])
            lines.append(f"| {WAYS[way]} | {median:.2f} | {seconds['jax'] / median:.1f} | {extra / 1e6:,.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["gpt2", "1b"])
    parser.add_argument("--devices", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", help="the page to write (default: the standard output)")
    parser.add_argument("--case", nargs=3, metavar=("MODEL", "WAY", "DEVICES"), help="measure one case in this process")
    options = parser.parse_args()
    if options.case:
        model, way, devices = options.case
        print(json.dumps(measure(model, way, int(devices))))
        return
    figures: dict[tuple[str, int, str], list[dict[str, float]]] = defaultdict(list)
    for _ in range(options.rounds):
        for model in options.models:
            for devices in options.devices:
                for way in WAYS:
                    if devices == 1 or way not in ("eager", "layers"):
                        figures[model, devices, way].append(in_process(model, way, devices))
    write: Callable[[str], object] = sys.stdout.write
    if options.output is not None:
        write = Path(options.output).write_text
    write(page(figures, options.rounds))


if __name__ == "__main__":
    main()

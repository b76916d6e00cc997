"""Typical code of users. `tests/test_types.py` checks this file with strict mypy and pyright, and runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import seedbed as sb
from seedbed.plan import Plan, parse_plan
from seedbed.seeds import SeedLike


def numpys_scalars() -> list[sb.Initializer]:
    """Use arguments of NumPy's scalar types, and of all other accepted types."""
    half, whole, truth = np.float32(0.5), np.int64(3), np.bool_(True)
    return [
        sb.RandomNormal(mean=half, stddev=np.float64(0.02), seed=whole),
        sb.RandomNormal(mean=1 + 2j, stddev=np.float16(1), seed=np.uint8(1)),
        sb.RandomUniform(-half, half, seed=np.random.SeedSequence(1)),
        sb.TruncatedNormal(0, 1, seed=np.random.default_rng(1), lower=-half, upper=None),
        sb.LogUniform(np.float32(0.001), 1),
        sb.VarianceScaling(half, "fan_in", "uniform", whole, input_axes=[0], output_axes=(np.int64(1),)),
        sb.HeNormal(seed=sb.SeedGenerator(whole).child("a"), groups=whole, layout="torch"),
        sb.GlorotUniform(batch_axes=np.array([0])),
        sb.XavierNormal(half),
        sb.KaimingUniform(half, "fan_out"),
        sb.Orthogonal(gain=half, column_axis=whole),
        sb.Identity(half, stacked=truth),
        sb.Dirac(groups=whole),
        sb.Sparse(half, half, mean=half),
        sb.Constant(half),
        sb.Constant([[1, 2], [3, 4]]),
        sb.Constant(np.eye(3)),
        sb.STFT(window=("kaiser", 8.6), periodic=truth),
        sb.STFT(window=np.hanning(5)),
        sb.Blocks("zeros", [(np.s_[1:3], "ones"), ((0, ...), sb.HeNormal())], seed=whole),
        sb.Norms("he_normal", [whole, 4], seed=whole),
    ]


def calls(init: sb.Initializer) -> npt.NDArray[Any]:
    """Use shapes and dtypes of every kind."""
    init(3)
    init((3, np.int64(4)), np.float32)
    init([3, 4], dtype=np.dtype("float16"))
    init(np.array([3, 4]), "bfloat16")
    init((3, 4), out=np.empty((3, 4), np.float32))
    init((3, 4), partition_shape=(1, 4), partition_offset=[0, 0])
    init.check((3, 4))
    described: sb.Description = init.describe((3, 4), "float64")
    spread: float | None = described.stddev
    assert spread is not None
    return init((3, 4))


def slices(init: sb.Initializer) -> int:
    """Use indices of every kind."""
    lazy: sb.LazyArray = init.lazy((30, 40), "float32")
    some = [lazy[3], lazy[np.int64(3), ..., ::2], lazy[[5, 17]], lazy[np.arange(3)], lazy[np.ones(30, bool)]]
    some.append(lazy[np.ix_([1, 2], [3])])
    whole: npt.NDArray[np.float32] = np.asarray(lazy, dtype=np.float32)
    rows: int = len(lazy) + sum(1 for _ in lazy)
    return rows + whole.size + lazy.nbytes + len(some)


def configurations(init: sb.Initializer) -> sb.Initializer:
    """Write and read configurations."""
    written = sb.serialize(init)
    assert isinstance(written, dict)
    read: sb.Initializer = sb.deserialize(written)
    named: sb.Initializer | Callable[..., Any] | None = sb.get("he_normal")
    assert named is not None
    config: dict[str, Any] = read.get_config()
    again: sb.Initializer = type(read).from_config(config)
    normal: sb.RandomNormal = sb.RandomNormal(seed=1).with_seed(np.int64(2)).clone()
    assert normal != again
    return again


def fans() -> tuple[int, int]:
    """Use fans as integers."""
    counted: sb.Fans = sb.fans(sb.HeNormal(), (3, 3, np.int64(8), 16))
    fan_in, fan_out = sb.compute_fans((4, 5), input_axes=(0,), output_axes=[1])
    gain: float = sb.calculate_gain("elu", np.float32(1))
    return fan_in + counted.fan_in + int(gain), fan_out


class Spread(sb.RandomInitializer):
    """A user-defined initializer: uniform on an interval of a given width."""

    parameters = ("width", "seed")

    def __init__(self, width: float = 1.0, seed: SeedLike = None) -> None:
        super().__init__(seed)
        self.width = width

    def sampling(self, shape: tuple[int, ...]) -> tuple[str, tuple[float, ...]]:
        """Return the distribution on an interval around 0."""
        return "uniform", (-self.width / 2, self.width / 2)


def plans(path: Path) -> Mapping[str, int]:
    """Write and read a plan."""
    plan: Plan = parse_plan('{"tensors": []}')
    sb.checkpoint.write_checkpoint(plan, path, seed=42)
    verification: sb.checkpoint.Verification = sb.checkpoint.verify_checkpoint(plan, path)
    return {tensor.name: tensor.size for tensor in plan.tensors} | {"": verification.tensors}


if __name__ == "__main__":
    import tempfile

    for initializer in numpys_scalars():
        configurations(initializer)
    print(calls(sb.HeNormal(seed=1)).shape, slices(Spread(2.0, seed=1)), fans())
    print(plans(Path(tempfile.mkdtemp()) / "empty.safetensors"))

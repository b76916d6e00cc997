"""Directories of shards in the readers by which training starts: torch.distributed.checkpoint, accelerate, Orbax.

`from_pretrained` of transformers is tested in test_transformers.py.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import seedbed as sb
from seedbed.checkpoint import write_directory

ROOT = Path(__file__).parents[1]
SEED = 11


@pytest.fixture
def model_of():
    torch = pytest.importorskip("torch")
    return lambda: torch.nn.Sequential(torch.nn.Linear(12, 30), torch.nn.LayerNorm(30), torch.nn.Linear(30, 7))


@pytest.fixture
def checkpoint(model_of, tmp_path):
    """Write several shards of the default initialization of the model."""
    folder = tmp_path / "checkpoint"
    write_directory(sb.torch.plan_of(model_of()), folder, seed=SEED, max_shard_size="1KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


@pytest.mark.parametrize("world", [2, 4])
def test_torch_distributed_reads_shards_into_an_fsdp2_model(world, checkpoint, tmp_path):
    pytest.importorskip("torch.distributed.checkpoint.hf_storage")
    program = [sys.executable, str(ROOT / "tests" / "programs" / "readers_torch.py")]
    environment = {**os.environ, "SEEDBED_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    arguments = [str(world), str(tmp_path / "store"), str(checkpoint), str(SEED)]
    done = subprocess.run([*program, *arguments], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines()[-1] == "the same bits"


def test_accelerate_loads_and_dispatches_shards(model_of, checkpoint):
    accelerate = pytest.importorskip("accelerate")
    import torch

    with accelerate.init_empty_weights():
        model = model_of()
    model = accelerate.load_checkpoint_and_dispatch(model, str(checkpoint), device_map={"": "cpu"})
    expected = model_of()
    sb.torch.initialize_(expected, seed=SEED)
    for name, parameter in expected.named_parameters():
        assert torch.equal(model.get_parameter(name), parameter), name


ORBAX = """
import sys
import jax, numpy as np, seedbed as sb
from jax.sharding import NamedSharding, PartitionSpec as P
from orbax.checkpoint.experimental import v1 as ocp

mesh = jax.make_mesh((4,), ("x",))
sharding = NamedSharding(mesh, P("x"))
names = {f"w{i}": (16 + 4 * i, 6) for i in range(4)}
tree = {name: jax.ShapeDtypeStruct(shape, "float32", sharding=sharding) for name, shape in names.items()}
with ocp.Context(checkpoint_layout=ocp.options.CheckpointLayout.SAFETENSORS):
    loaded = ocp.load_pytree(sys.argv[1], tree)
for name, shape in names.items():
    values = sb.HeNormal(seed=sb.SeedGenerator(11).child(name))(shape)
    assert loaded[name].sharding.is_equivalent_to(sharding, 2), name
    assert np.array_equal(np.asarray(loaded[name]), values), name
print("the same bits")
"""


def test_orbax_reads_shards_into_a_sharded_tree(tmp_path):
    pytest.importorskip("jax")
    orbax = pytest.importorskip("orbax.checkpoint.experimental.v1")
    if not hasattr(getattr(orbax.options, "CheckpointLayout", None), "SAFETENSORS"):
        pytest.skip("this Orbax reads no safetensors files")
    tensors = ", ".join(f'{{"name": "w{i}", "shape": [{16 + 4 * i}, 6], "initializer": "he_normal"}}' for i in range(4))
    plan = sb.plan.parse_plan(f'{{"tensors": [{tensors}]}}')
    write_directory(plan, tmp_path / "checkpoint", seed=SEED, max_shard_size="1KB")
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    program = [sys.executable, "-c", ORBAX, str(tmp_path / "checkpoint")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines()[-1] == "the same bits"

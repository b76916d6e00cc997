"""`test_readers.py` runs `python readers_torch.py PROCESSES STORE CHECKPOINT SEED` in several gloo processes.

`torch.distributed.checkpoint` reads a directory of shards into an FSDP2 model; each process compares all parameters
with those of a model that `initialize_` fills.
"""

import sys

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import seedbed.torch


def model_of():
    return nn.Sequential(nn.Linear(12, 30), nn.LayerNorm(30), nn.Linear(30, 7))


def read(rank, world, store, checkpoint, seed):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    mesh = init_device_mesh("cpu", (world,))
    with torch.device("meta"):
        model = model_of()
    for layer in model:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model.to_empty(device="cpu")
    state = model.state_dict()
    dcp.load(state, storage_reader=HuggingFaceStorageReader(checkpoint))
    model.load_state_dict(state)
    whole = model_of()
    seedbed.torch.initialize_(whole, seed=seed)
    for name, parameter in whole.named_parameters():
        found = model.get_parameter(name).full_tensor()
        assert torch.equal(found, parameter), name
    dist.barrier()
    dist.destroy_process_group()
    if rank == 0:
        print("the same bits")


if __name__ == "__main__":
    world, store, checkpoint, seed = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    torch.multiprocessing.start_processes(read, (world, store, checkpoint, seed), world, start_method="fork")

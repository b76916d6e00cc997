"""Check that FSDP2 from the meta device has the bits of a single process. test_torch_models.py runs two processes."""

import runpy
import sys
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import distribute_tensor

import seedbed.torch

EXAMPLE = Path(__file__).parents[2] / "examples" / "torch_models.py"


def check(rank, world, store):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world, init_method=f"file://{store}")
    example = runpy.run_path(str(EXAMPLE))
    for title, (make, _) in example["MODELS"].items():
        single = example["recorded"](make)
        with seedbed.torch.recording():
            model = make()
        fully_shard(model)
        seedbed.torch.initialize_(model, seed=42, device="cpu")
        whole = dict(single.named_parameters())
        assert list(whole) == [name for name, _ in model.named_parameters()], title
        for name, tensor in model.named_parameters():
            expected = distribute_tensor(
                whole[name].detach(), tensor.device_mesh, tensor.placements, src_data_rank=None
            )
            assert torch.equal(tensor.to_local(), expected.to_local()), (title, name)
        for name, buffer in single.named_buffers():
            assert torch.equal(buffer, model.get_buffer(name)), (title, name)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.multiprocessing.start_processes(check, (2, sys.argv[1]), 2, start_method="fork")
    print("the same bits")

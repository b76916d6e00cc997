"""Print "same" if each process of a mesh of eight evaluates its part. The CPU acts as another device."""

import sys

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.tensor import Replicate, Shard, distribute_tensor, init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore

import seedbed as sb
import seedbed.torch
from seedbed.torch.devices import plain, ways

ways.HOSTS.discard("cpu")
evaluated = []
ways.ways = lambda device: [("counted", lambda *of: evaluated.append(of) or plain.evaluate(*of))]
init = sb.TruncatedNormal(seed=3)
whole = torch.from_numpy(init((24, 40)))

for rank in map(int, sys.argv[1:]):
    dist.init_process_group("fake", rank=rank, world_size=8, store=FakeStore())
    mesh = init_device_mesh("cpu", (2, 4))
    for placements in ([Shard(0), Shard(1)], [Replicate(), Shard(0)], [Shard(1), Shard(1)], [Shard(0), Replicate()]):
        tensor = distribute_tensor(torch.zeros(24, 40), mesh, placements, src_data_rank=None)
        evaluated.clear()
        seedbed.torch.fill_(tensor, init)
        right = distribute_tensor(whole, mesh, placements, src_data_rank=None)
        assert len(evaluated) >= 1
        assert np.array_equal(tensor.to_local().numpy(), right.to_local().numpy()), placements
    dist.destroy_process_group()
print("same")

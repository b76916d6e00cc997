"""`test_torch.py` runs `python torch_processes.py PROCESSES STORE` in several processes, with gloo on a CPU.

Each process compares its shards with the tensors of a single process, and counts what it evaluates.
"""

import dataclasses
import inspect
import itertools
import sys
import warnings

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.distributed.tensor.placement_types import _StridedShard

import seedbed as sb
import seedbed.torch
from seedbed import rules

SHAPES = [(8, 6), (7, 5), (3, 2, 4), (1, 9), (2, 1), (11,), (0, 3)]
ALONE = {"src_data_rank": None} if "src_data_rank" in inspect.signature(distribute_tensor).parameters else {}
"""Each process cuts its own part. A torch that is too old for it cuts strided shards evenly or not at all, and does not
run FSDP on a CPU: there, these checks are left out."""

DTYPES = [torch.float32, torch.bfloat16, torch.float64]


def bits(tensor):
    return tensor.detach().contiguous().view(torch.uint8).tolist() if tensor.numel() else []


def evaluated(function):
    """Return the number of elements that a call evaluates."""
    counted = []
    writes = {rule: rule.write for rule in (rules.Sampled, rules.Computed)}

    def counting(self, out, axes=None):
        counted.append(out.size)
        writes[type(self)](self, out, axes)

    for rule in writes:
        rule.write = counting
    try:
        function()
    finally:
        for rule, write in writes.items():
            rule.write = write
    return sum(counted)


def placements_of(ndim, mesh):
    """Return all placements of a tensor with `ndim` axes on a mesh, including strided ones."""
    single = [Replicate(), *(Shard(axis) for axis in range(ndim))]
    yield from itertools.product(single, repeat=mesh.ndim)
    if mesh.ndim == 2 and ALONE:
        for axis in range(ndim):
            yield _StridedShard(axis, split_factor=mesh.size(1)), Shard(axis)
            yield _StridedShard(axis, split_factor=3), Replicate()


def check_placements(mesh):
    for number, shape in enumerate(SHAPES):
        dtype = DTYPES[number % len(DTYPES)]
        inits = [sb.RandomNormal(seed=7), *([sb.Orthogonal(seed=7), sb.Sparse(0.3, seed=7)] if len(shape) == 2 else [])]
        for init, placements in itertools.product(inits, placements_of(len(shape), mesh)):
            whole = seedbed.torch.fill_(torch.empty(shape, dtype=dtype), init)
            expected = distribute_tensor(whole, mesh, placements, **ALONE)
            tensor = torch.zeros_like(expected)
            count = evaluated(lambda tensor=tensor, init=init: seedbed.torch.fill_(tensor, init))
            assert bits(tensor.to_local()) == bits(expected.to_local()), (init, shape, placements)
            if isinstance(init, sb.RandomNormal):
                assert count == expected.to_local().numel(), (shape, placements, count)
            if isinstance(init, sb.Orthogonal):  # as a whole, once, if this process has any part of it
                assert count == (whole.numel() if expected.to_local().numel() else 0), (shape, placements, count)


def check_order(mesh):
    """Check shard orders that differ from the order of the mesh, which `_StridedShard` expresses too."""
    whole = seedbed.torch.fill_(torch.empty(7, 3), sb.RandomNormal(seed=7))
    strided = distribute_tensor(whole, mesh, [_StridedShard(0, split_factor=2), Shard(0)], **ALONE)
    if not hasattr(strided._spec, "shard_order"):  # older versions have only one order
        return
    from torch.distributed.tensor._dtensor_spec import ShardOrderEntry

    ordered = distribute_tensor(torch.zeros(7, 3), mesh, [Shard(0), Shard(0)], **ALONE)
    spec = dataclasses.replace(ordered._spec, shard_order=(ShardOrderEntry(0, (1, 0)),))
    tensor = DTensor(torch.zeros_like(strided.to_local()), spec, requires_grad=False)
    seedbed.torch.fill_(tensor, sb.RandomNormal(seed=7))
    assert bits(tensor.to_local()) == bits(strided.to_local())


def check_outside():
    """A process outside the mesh has no shard and evaluates nothing."""
    mesh = DeviceMesh("cpu", [0])
    tensor = DTensor.from_local(torch.zeros(3, 2), mesh, [Shard(0)], run_check=False)
    count = evaluated(lambda: seedbed.torch.fill_(tensor, sb.RandomNormal(seed=7)))
    assert count == (6 if dist.get_rank() == 0 else 0)


def check_refusals(mesh):
    partial = DTensor.from_local(torch.zeros(3, 2), mesh, [Partial()] * mesh.ndim)
    wrong = DTensor.from_local(
        torch.zeros(3, 2), mesh, [Shard(0)] * mesh.ndim, shape=torch.Size((100, 2)), stride=(2, 1), run_check=False
    )
    spread = distribute_tensor(torch.zeros(8, 2), mesh, [Shard(0)] * mesh.ndim)
    for tensor, init, arguments, message in [
        (partial, sb.RandomNormal(seed=1), {}, "must be Shard or Replicate"),
        (wrong, sb.RandomNormal(seed=1), {}, "a local shard must have the shape of its placements"),
        (spread, sb.RandomNormal(), {}, "an initializer must have a seed for a DTensor"),
        (spread, sb.RandomNormal(seed=1), {"shape": (9, 2)}, "a DTensor knows its whole"),
        (torch.empty_like(spread, device="meta"), sb.RandomNormal(seed=1), {}, "a tensor must have memory"),
    ]:
        try:
            seedbed.torch.fill_(tensor, init, **arguments)
        except ValueError as error:
            assert message in str(error), error  # noqa: PT017
        else:
            raise AssertionError(message)

    flattened = nn.Sequential(
        FullyShardedDataParallel(nn.Linear(3, 4), device_id=torch.device("cpu"), use_orig_params=True)
    )
    for make in (seedbed.torch.plan_of, lambda module: seedbed.torch.initialize_(module, seed=1)):
        try:
            make(flattened)
        except ValueError as error:
            assert str(error).endswith("Received: 0"), error  # noqa: PT017
        else:
            raise AssertionError(flattened)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(10)
        self.up = nn.Linear(10, 14)
        self.down = nn.Linear(14, 10)

    def forward(self, x):
        return x + self.down(torch.relu(self.up(self.norm(x))))


class Model(nn.Module):
    """A model with axes that no number of processes divides, an embedding with padding, and a tied head."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(17, 10, padding_idx=3)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.gate = nn.PReLU(10)
        self.head = nn.Linear(10, 17, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.gate(x.transpose(1, 2)).transpose(1, 2))


RULES = {"blocks.1.*.bias": sb.Constant(0.5), "*.up.weight": sb.HeNormal(layout="torch")}


def sharded(mesh, parallel):
    """Return a model on the meta device, sharded along every axis of the mesh."""
    with seedbed.torch.recording():
        model = Model()
    data = mesh
    if parallel:
        data, tensor = mesh["data"], mesh["tensor"]
        for block in model.blocks:
            parallelize_module(block, tensor, {"up": ColwiseParallel(), "down": RowwiseParallel()})
    for block in model.blocks:
        fully_shard(block, mesh=data)
    return fully_shard(model, mesh=data)


def check_fsdp(mesh, parallel, empty):
    single = seedbed.torch.initialize_(Model(), RULES, seed=42, layers="default")
    model = sharded(mesh, parallel)
    if empty:
        model.to_empty(device="cpu")
        model.head.weight = model.embed.weight
    held = sum(
        t.to_local().numel() for name, t in model.named_parameters() if "norm" not in name and "bias" not in name
    )
    count = evaluated(lambda: seedbed.torch.initialize_(model, RULES, seed=42, device=None if empty else "cpu"))
    assert count <= held + sum(t.numel() for name, t in single.named_parameters() if "bias" in name), (count, held)
    assert model.head.weight is model.embed.weight
    assert seedbed.torch.plan_of(model, RULES) == seedbed.torch.plan_of(single, RULES, layers="default")
    names = dict(single.named_parameters())
    shards = dict(model.named_parameters())
    assert list(names) == list(shards)
    for name, tensor in shards.items():
        assert isinstance(tensor, DTensor), name
        assert isinstance(tensor, nn.Parameter), name
        assert tensor.requires_grad, name
        theirs = distribute_tensor(names[name].detach(), tensor.device_mesh, tensor.placements, **ALONE)
        assert bits(tensor.to_local()) == bits(theirs.to_local()), name
        assert bits(tensor.full_tensor()) == bits(names[name]), name
    if not ALONE:
        return
    tokens = torch.arange(16).reshape(2, 8)
    assert torch.allclose(model(tokens), single(tokens), rtol=1e-3, atol=1e-4)
    assert not all(isinstance(tensor, DTensor) for tensor in model.parameters())
    for module in (model, single):  # again, while unsharded copies exist
        seedbed.torch.initialize_(module, RULES, seed=43, layers="default")
    for name, tensor in model.named_parameters():
        assert bits(tensor.full_tensor()) == bits(names[name]), name
    assert torch.allclose(model(tokens), single(tokens), rtol=1e-3, atol=1e-4)
    if not parallel:
        model(tokens).sum().backward()
        single(tokens).sum().backward()
        for name, tensor in model.named_parameters():
            assert torch.allclose(tensor.grad.full_tensor(), names[name].grad, rtol=1e-3, atol=1e-4), name


def check_weight_norm(mesh):
    """Compare the magnitudes and directions of a sharded model with those of one process."""
    for norm in (nn.utils.weight_norm, nn.utils.parametrizations.weight_norm):
        for dim in (0, 1):

            def make(norm=norm, dim=dim):
                with seedbed.torch.recording(), warnings.catch_warnings():
                    warnings.simplefilter("ignore", FutureWarning)
                    return nn.Sequential(norm(nn.Linear(7, 6), dim=dim), norm(nn.Linear(6, 5), dim=dim))

            single, model = seedbed.torch.initialize_(make(), seed=42), make()
            for layer in model:
                fully_shard(layer, mesh=mesh)
            seedbed.torch.initialize_(fully_shard(model, mesh=mesh), seed=42, device="cpu")
            shards = dict(model.named_parameters())
            for name, tensor in single.named_parameters():
                assert isinstance(shards[name], DTensor), name
                assert bits(shards[name].full_tensor()) == bits(tensor), name
            if ALONE:
                assert torch.allclose(model(torch.ones(2, 7)), single(torch.ones(2, 7)), rtol=1e-4, atol=1e-5)


def check(rank, world, store):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world, init_method=f"file://{store}")
    meshes = [init_device_mesh("cpu", (world,), mesh_dim_names=("data",))]
    if world == 4:
        meshes.append(init_device_mesh("cpu", (2, 2), mesh_dim_names=("data", "tensor")))
        if ALONE:
            check_order(meshes[1])
    for mesh in meshes:
        check_placements(mesh)
        check_refusals(mesh)
        if mesh.ndim == 1:
            check_weight_norm(mesh)
        for empty in (False, True) if mesh.ndim == 1 or ALONE else ():
            check_fsdp(mesh, mesh.ndim == 2, empty)
    check_outside()
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    processes, path = int(sys.argv[1]), sys.argv[2]
    torch.multiprocessing.start_processes(check, (processes, path), processes, start_method="fork")
    print("the same bits")

"""The initializers of seedbed on tensors and modules of torch, with the bits that one machine gets.

    model = torch.nn.Linear(4, 3, device="meta")
    seedbed.torch.initialize_(model, {"*.bias": "zeros"}, seed=42)

`fill_` writes what an initializer makes into a tensor, in place. `initialize_` gives every parameter of a module its
values: by rules, and where no rule speaks, by the law that torch itself has for the layer. `plan_of` is the plan by
which `seedbed.checkpoint` writes the same tensors to a file, and verifies one.

A parameter's values depend on the seed, its name, its initializer, and its whole shape and dtype, and on nothing else.
So a model that begins on the meta device, spread over any mesh by `fully_shard` or as DTensors, begins with the bits
that it has as a whole; each process evaluates what it holds, and none waits for another. No random state is touched.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from itertools import accumulate, chain, product
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

import seedbed as sb
from seedbed.checkpoint.values import WHOLE, runs, values_of
from seedbed.initializers import Initializer
from seedbed.lazy import Axis, LazyArray, Repeated, Rule, axes_of, part_of, shape_of
from seedbed.plan import Default, Plan, PlannedTensor, as_initializer, as_name, match
from seedbed.seeds import SeedGenerator, as_seed
from seedbed.shapes import Shape, ShapeLike, as_shape

__all__ = ["fill_", "initialize_", "plan_of"]

T = TypeVar("T", bound=Any)

RuleLike: TypeAlias = "Initializer | str | dict[str, Any]"

Rules: TypeAlias = "Mapping[str, RuleLike] | Iterable[tuple[str, RuleLike]]"
"""Patterns of names, and what the parameters of such a name begin as. The first that matches serves."""

Region: TypeAlias = "list[list[range]]"
"""The indices that a tensor holds along each axis of the whole: ranges, one behind the other."""

PIECE_BYTES = 1 << 24
"""What is evaluated at a time for memory that cannot be written in place: on a device, or not contiguous."""

MOST_NAMES = 5
"""How many names an error tells."""


def fill_(tensor: T, initializer: Initializer, *, shape: ShapeLike | None = None, offset: ShapeLike | None = None) -> T:
    """Write what an initializer makes into a tensor, in place.

    Contiguous memory of a CPU is written directly. What has other strides or is on another device is, by pieces of 16
    MB. Of a `torch.distributed.tensor.DTensor` this process evaluates the part that it holds, whatever the mesh and the
    placements, and tells the others nothing. Autograd is told as of any change in place, and records nothing.

    Arguments:
        tensor: of any dtype that the initializer makes. Its fans are those that the initializer counts in its shape:
            `layout="torch"` counts them as torch does.
        initializer: with a seed, where it draws and the tensor is a DTensor.
        shape: of the whole tensor, where `tensor` is a part of it, such as the shard of a tensor-parallel layer.
        offset: where this part begins, along each axis; at zeros where there is none.

    Returns:
        `tensor`.

    Raises:
        TypeError: where the first is no tensor, or the second no initializer.
        ValueError: where the tensor is on the meta device, not dense, overlaps itself, or has no memory; where it is a
            DTensor of partial sums, or one in a part of a shape; and as the initializer does.

    >>> import torch, seedbed as sb, seedbed.torch
    >>> init = sb.KaimingNormal(seed=42, layout="torch")
    >>> weight = seedbed.torch.fill_(torch.empty(30, 20), init)
    >>> bool((weight.numpy() == init((30, 20))).all())
    True
    >>> shard = seedbed.torch.fill_(torch.empty(10, 20), init, shape=(30, 20), offset=(10, 0))
    >>> bool((shard == weight[10:20]).all())
    True
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"tensor must be a torch.Tensor. Received: {type(tensor).__name__}")
    if not isinstance(initializer, Initializer):
        raise TypeError(f"initializer must be one of seedbed's. Received: {type(initializer).__name__}")
    _check_filled(tensor)
    if shape is None and offset is not None:
        raise ValueError(f"offset must come with shape. Received: offset={offset!r}")
    if shape is None:
        whole, held = tuple(tensor.shape), None
    elif _is_distributed(tensor):
        raise ValueError(f"a DTensor knows its whole, and shape must be None. Received: shape={shape!r}")
    else:
        whole = as_shape(shape)
        held = [[range(start, start + count)] for _, start, _, count in part_of(whole, tuple(tensor.shape), offset)]
    if _is_distributed(tensor) and initializer.get_config().get("seed", 0) is None:
        raise ValueError(
            "an initializer must have a seed for a DTensor, which each process would else give values of its own. "
            f"Received: {initializer!r}"
        )
    local, region = _held(tensor)
    _check_memory(local)
    _fill(tensor, local, initializer.lazy(whole, tensor.dtype), held or region)
    return tensor


def initialize_(
    module: T, rules: Rules | None = None, *, seed: int | SeedGenerator, device: torch.device | str | None = None
) -> T:
    """Give every parameter of a module its initial values, in place.

    The parameter called `name`, as `named_parameters` calls it, takes the values of
    `initializer.with_seed(SeedGenerator(seed).child(name))` in its whole shape: what `seedbed init` writes for a plan
    of these names. A parameter that layers share has one name, the first.

    Parameters on the meta device get memory, one by one, and are new objects: of the same class, attributes and ties,
    with or without a gradient as before. Parameters that have memory keep it. The buffers that a layer of torch makes
    when it is reset, those of batch and instance norms, begin anew.

    Arguments:
        module: a model, or a part of one, spread by `fully_shard` or not.
        rules: a mapping, or pairs, of name patterns to initializers, as `defaults` are in a plan (`seedbed.plan`): the
            first that matches serves, case included. An initializer is an object without a seed, a name or a
            configuration. Where no pattern matches, the law of the torch layer serves: docs/torch.md has the table.
        seed: an integer in [-2**255, 2**255), or a generator, from which only children are taken.
        device: where parameters and buffers go that are on the meta device; the CPU where there is none, and the kind
            of device that a DTensor's mesh has.

    Returns:
        `module`.

    Raises:
        TypeError, ValueError: before anything is changed: where a rule is not as said; where a parameter has neither a
            rule nor a layer whose law is known, or is one that its initializer or `fill_` does not make; where
            a buffer is on the meta device and nobody knows its values; where the seed is none, or the device has no
            memory.

    >>> import torch, seedbed as sb, seedbed.torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8, device="meta"), torch.nn.Linear(8, 2, device="meta"))
    >>> rules = {"*.bias": "zeros", "1.weight": sb.TruncatedNormal(stddev=0.02)}
    >>> model = seedbed.torch.initialize_(model, rules, seed=42)
    >>> seed = sb.SeedGenerator(42).child("1.weight")
    >>> bool((model[1].weight.detach().numpy() == sb.TruncatedNormal(stddev=0.02, seed=seed)((2, 8))).all())
    True
    """
    root = seed if isinstance(seed, SeedGenerator) else SeedGenerator(as_seed(seed))
    if device is not None and torch.device(device).type == "meta":
        raise ValueError(f"device must be one that has memory. Received: device={device!r}")
    _check_module(module)
    for layer in module.modules():
        if isinstance(layer, _of("torch.distributed.fsdp", "FSDPModule")):
            layer.reshard()  # after a forward pass, its parameters are copies that it will throw away
    entries = _entries(module, rules)
    known = {id(tensor) for tensor, _ in entries}
    _refuse(
        [name for name, buffer in module.named_buffers() if buffer.is_meta and id(buffer) not in known],
        "a buffer on the meta device must be one of torch's own norms; others have values that only their module "
        "knows: make it on another device, or give it memory and values before",
    )
    for tensor, planned in entries:
        with _about(planned.name):
            if not tensor.is_meta:
                _check_memory(_held(tensor)[0])
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for layer in module.modules():
        for key, tensor in chain(layer._parameters.items(), layer._buffers.items()):
            places.setdefault(id(tensor), []).append((layer, key))
    for tensor, planned in entries:
        target = _materialised(tensor, device) if tensor.is_meta else tensor
        local, region = _held(target)
        _fill(target, local, values_of(planned, root), region)
        if target is not tensor:
            for layer, key in places[id(tensor)]:
                setattr(layer, key, target)
    return module


def plan_of(module: nn.Module, rules: Rules | None = None) -> Plan:
    """The plan of a module: what `initialize_` makes, for `seedbed.checkpoint` to write to a file, or to verify.

    Nothing is evaluated. The module may be on the meta device; of one that is spread, the tensors are whole.

    Arguments:
        module: a model.
        rules: as for `initialize_`.

    Returns:
        A `seedbed.plan.Plan` of all parameters, and of the buffers that `initialize_` sets. One that layers share is
        there once, by its first name.

    Raises:
        TypeError, ValueError: as `initialize_`, but for the seed and the buffers.

    >>> import torch, seedbed.torch
    >>> plan = seedbed.torch.plan_of(torch.nn.Linear(4, 3, device="meta"), {"bias": "zeros"})
    >>> [(tensor.name, tensor.shape, type(tensor.initializer).__name__) for tensor in plan.tensors]
    [('weight', (3, 4), 'KaimingUniform'), ('bias', (3,), 'Zeros')]
    """
    return Plan(tuple(planned for _, planned in _entries(module, rules)))


# From a module to what its tensors begin as.


def _entries(module: Any, rules: Rules | None) -> list[tuple[Any, PlannedTensor]]:
    """The parameters of a module, and the buffers that a law is known for, each with its plan."""
    _check_module(module)
    flattened = _of("torch.distributed.fsdp", "FullyShardedDataParallel")
    _refuse(
        [name or "the module itself" for name, layer in module.named_modules() if isinstance(layer, flattened)],
        "parameters must have their own shapes: give them values before FullyShardedDataParallel flattens them, or use "
        "fully_shard",
    )
    defaults = _defaults(rules)
    parameters, buffers = list(module.named_parameters()), list(module.named_buffers())
    _refuse(
        [name for name, tensor in chain(parameters, buffers) if is_lazy(tensor)],
        "a parameter must have a shape, which lazy modules have after their first call",
    )
    _refuse(
        [
            name
            for name, tensor in parameters
            if tuple(getattr(tensor, "ds_shape", tensor.shape)) != tuple(tensor.shape)
        ],
        "a parameter must be whole or a DTensor: gather those that DeepSpeed has partitioned, or fill each part by "
        "fill_(part, initializer, shape=..., offset=...)",
    )
    laws = _laws(module)
    chosen: list[tuple[str, Any, Initializer]] = []
    lawless = []
    for name, tensor in parameters:
        default = match(name, defaults)
        initializer = laws.get(id(tensor)) if default is None else default.initializer
        if initializer is None:
            lawless.append(name)
        else:
            chosen.append((name, tensor, initializer))
    _refuse(
        lawless,
        "a parameter must have a rule where it belongs to no layer whose law is known (a class that overrides "
        "reset_parameters has its own)",
    )
    chosen += [(name, tensor, laws[id(tensor)]) for name, tensor in buffers if id(tensor) in laws]
    return [(tensor, _planned(name, tensor, initializer)) for name, tensor, initializer in chosen]


def _check_module(module: object) -> None:
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module. Received: {type(module).__name__}")


def _planned(name: str, tensor: Any, initializer: Initializer) -> PlannedTensor:
    shape = tuple(tensor.shape)
    with _about(name):
        dtype = initializer.as_dtype(tensor.dtype)
        _check_filled(tensor, meta=True)
        _held(tensor)
        _check_layout(initializer, shape)
        initializer.with_seed(_NO_SEED).lazy(shape, dtype)  # its own objections, without a draw from anywhere
        return PlannedTensor(as_name(name), shape, dtype, initializer)


def _defaults(rules: Rules | None) -> list[Default]:
    pairs = rules.items() if isinstance(rules, Mapping) else () if rules is None else rules
    if not isinstance(pairs, Iterable):
        raise TypeError(f"rules must be a mapping or pairs of a pattern and an initializer. Received: {rules!r}")
    defaults = []
    for pair in pairs:
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str)):
            raise TypeError(f"rules must be a mapping or pairs of a pattern and an initializer. Received: {pair!r}")
        pattern, initializer = pair
        if not isinstance(initializer, (Initializer, str, dict)):
            raise TypeError(
                f"the rule {pattern!r} must have an initializer, a name or a configuration. Received: {initializer!r}"
            )
        with _about(f"the rule {pattern!r}"):
            defaults.append(Default(pattern, as_initializer(initializer), None))
    return defaults


def _check_layout(initializer: Initializer, shape: Shape) -> None:
    """Keras' kernels are (..., in, out): who counts the fans of torch's so, is wrong, and nothing would tell."""
    axes, layout = getattr(initializer, "input_axes", None), getattr(initializer, "layout", "torch")
    if layout == "torch" or axes is not None or len(shape) < 2:
        return
    if isinstance(initializer, sb.VarianceScaling):
        torchs = initializer.from_config({**initializer.with_seed(_NO_SEED).get_config(), "layout": "torch"})
        if torchs.sampling(shape) == initializer.sampling(shape):
            return
    raise ValueError(
        'an initializer that counts fans must have layout="torch", for kernels (out, in, ...), or input_axes and '
        f"output_axes. Received: {initializer!r} for the shape {shape}"
    )


@contextmanager
def _about(what: str) -> Iterator[None]:
    """An error says what it is about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{what}: {error}") from error


def _refuse(names: list[str], rule: str) -> None:
    if names:
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        raise ValueError(f"{rule}. Received: {', '.join(names[:MOST_NAMES])}{more}")


# The laws of torch's layers.


class _Padded(NamedTuple):
    """Another rule, but for a row of zeros."""

    rule: Rule
    shape: Shape
    row: int

    def write(self, out: np.ndarray, axes: Sequence[Axis] | None = None) -> None:
        self.rule.write(out, axes)
        _, start, step, count = (axes_of(self.shape) if axes is None else axes)[0]
        index, rest = divmod(self.row - start, step)
        if not rest and 0 <= index < count:
            out.reshape(count, -1)[index] = 0


class _PaddedNormal(sb.RandomNormal):
    """A standard normal, but for the row of zeros that stands for padding."""

    parameters: ClassVar[tuple[str, ...]] = ("padding_idx", "seed")

    def __init__(self, padding_idx: int, seed: Any = None) -> None:
        super().__init__(0.0, 1.0, seed)
        self.padding_idx = padding_idx

    def rule(self, shape: Shape, dtype: np.dtype) -> Rule:
        return _Padded(super().rule(shape, dtype), shape, self.padding_idx)


def _within_root(size: int) -> Initializer:
    bound = 1 / math.sqrt(size) if size else 0.0
    return sb.RandomUniform(-bound, bound, seed=_NO_SEED)


def _by_fan_in(layer: Any, tensor: Any) -> Initializer:
    return _within_root(math.prod(layer.weight.shape[1:]))


def _by_first_input(layer: Any, tensor: Any) -> Initializer:
    return _within_root(layer.in1_features)


def _by_hidden_size(layer: Any, tensor: Any) -> Initializer:
    return _within_root(layer.hidden_size)


def _embedded(layer: Any, tensor: Any) -> Initializer:
    if layer.padding_idx is None:
        return sb.RandomNormal(0.0, 1.0, seed=_NO_SEED)
    return _PaddedNormal(layer.padding_idx, seed=_NO_SEED)


def _slope(layer: Any, tensor: Any) -> Initializer:
    return sb.Constant(layer.init)


def _if_matrix(layer: Any, tensor: Any) -> Initializer | None:
    return _XAVIER_UNIFORM if tensor.ndim > 1 else None


_Law: TypeAlias = "Initializer | Callable[[Any, Any], Initializer | None]"
"""What a tensor of a layer begins as; or a function of both that tells, None where the law does not speak of it."""

_NO_SEED = 0
"""Each tensor gets its own. Without one, an initializer would draw it here, from Python's `random`."""

_ZEROS, _ONES = sb.Zeros(), sb.Ones()
_KAIMING_UNIFORM = sb.KaimingUniform(math.sqrt(5), seed=_NO_SEED, layout="torch")
_XAVIER_UNIFORM = sb.XavierUniform(seed=_NO_SEED, layout="torch")
_XAVIER_NORMAL = sb.XavierNormal(seed=_NO_SEED, layout="torch")

_KERNEL: Mapping[str, _Law] = {"weight": _KAIMING_UNIFORM, "bias": _by_fan_in}
_NORM: Mapping[str, _Law] = {"weight": _ONES, "bias": _ZEROS}
_RECURRENT: Mapping[str, _Law] = {  # not the parts, _g and _v, into which `weight_norm` divides a weight
    "weight_*[!gv]": _by_hidden_size,
    "bias_*": _by_hidden_size,
}

_LAWS: Mapping[type, Mapping[str, _Law]] = {
    nn.Linear: _KERNEL,
    nn.modules.conv._ConvNd: _KERNEL,
    nn.Bilinear: {"weight": _by_first_input, "bias": _by_first_input},
    nn.Embedding: {"weight": _embedded},
    nn.EmbeddingBag: {"weight": _embedded},
    nn.LayerNorm: _NORM,
    nn.GroupNorm: _NORM,
    nn.RMSNorm: _NORM,
    nn.modules.batchnorm._NormBase: {
        **_NORM,
        "running_mean": _ZEROS,
        "running_var": _ONES,
        "num_batches_tracked": _ZEROS,
    },
    nn.PReLU: {"weight": _slope},
    nn.RNNBase: _RECURRENT,
    nn.RNNCellBase: _RECURRENT,
    nn.MultiheadAttention: {
        "in_proj_weight": _XAVIER_UNIFORM,
        "[qkv]_proj_weight": _XAVIER_UNIFORM,
        "in_proj_bias": _ZEROS,
        "out_proj.bias": _ZEROS,
        "bias_[kv]": _XAVIER_NORMAL,
    },
    nn.Transformer: {"*": _if_matrix},
}
"""By class and name pattern, what torch's own `reset_parameters` makes. A layer speaks of the tensors of its parts too,
and before they do."""


def _laws(module: nn.Module) -> dict[int, Initializer]:
    """What the layers of a module say of its tensors, by the tensors' identities; of a shared one, the first layer."""
    laws: dict[int, Initializer] = {}
    for layer in module.modules():  # each before its parts
        rows = _rows(type(layer))
        for name, tensor in chain(layer.named_parameters(), layer.named_buffers()) if rows else ():
            law = next((law for pattern, law in rows.items() if fnmatchcase(name, pattern)), None)
            made = law if law is None or isinstance(law, Initializer) else law(layer, tensor)
            if made is not None:
                laws.setdefault(id(tensor), made)
    return laws


def _rows(cls: type) -> Mapping[str, _Law]:
    """The laws of a class, or of the one that it derives from without a reset of its own."""
    base = next((base for base in cls.__mro__ if base in _LAWS), cls)
    resets = ("reset_parameters", "_reset_parameters", "reset_running_stats")
    same = all(getattr(cls, reset, None) is getattr(base, reset, None) for reset in resets)
    return _LAWS.get(base, {}) if same else {}


# From what a tensor begins as to its memory.


def _materialised(tensor: Any, device: torch.device | str | None) -> Any:
    """A tensor that has memory, for one on the meta device: of the same class, with the same attributes."""
    kind = tensor.device_mesh.device_type if _is_distributed(tensor) else "cpu"
    with torch.no_grad():
        made = torch.empty_like(tensor, device=kind if device is None else device)
    if isinstance(tensor, nn.Parameter):
        plain = type(made) is torch.Tensor
        made = (
            torch.Tensor._make_subclass(type(tensor), made, tensor.requires_grad)
            if plain
            else nn.Parameter(made, tensor.requires_grad)
        )
    for name, value in vars(tensor).items():
        vars(made).setdefault(name, value)
    return made


def _of(module: str, name: str) -> Any:
    """A class, for `isinstance`. Its module takes a second to import, which who has an instance has done."""
    return getattr(sys.modules.get(module), name, ())


def _is_distributed(tensor: Any) -> bool:
    return isinstance(tensor, _of("torch.distributed.tensor", "DTensor"))


def _held(tensor: Any) -> tuple[Any, Region]:
    """What this process holds of a tensor, and where that stands in the whole.

    Raises:
        ValueError: where it is not clear where that stands.
    """
    region: Region = [[range(length)] for length in tensor.shape]
    if not _is_distributed(tensor):
        return tensor, region
    with torch.no_grad():
        local = tensor.to_local()
    placements, mesh = tensor.placements, tensor.device_mesh
    if any(not placement.is_replicate() and not hasattr(placement, "dim") for placement in placements):
        raise ValueError(f"the placements of a DTensor must be Shard or Replicate. Received: {placements}")
    coordinate = mesh.get_coordinate()
    if coordinate is None:  # this process has no part in it
        return local, [[]]
    # The axes of the mesh divide from the first to the last, unless the tensor has an order of its own.
    order = getattr(tensor._spec, "shard_order", None) or [(None, range(mesh.ndim))]
    for axis in chain.from_iterable(axes for _, axes in order):
        placement = placements[axis]
        if not placement.is_replicate():
            cut = placement.dim % len(region)
            region[cut] = _shard(region[cut], mesh.size(axis), coordinate[axis], getattr(placement, "split_factor", 1))
    if tuple(local.shape) != tuple(sum(map(len, ranges)) for ranges in region):
        raise ValueError(
            f"a DTensor must hold what its placements say. Received: {tuple(local.shape)} of {tuple(tensor.shape)} "
            f"at {coordinate} in a mesh of shape {tuple(mesh.shape)} with {placements}"
        )
    return local, region


def _shard(ranges: list[range], shards: int, index: int, split: int) -> list[range]:
    """What one of the shards holds, where each of `split` chunks has been divided among them (`_StridedShard`)."""
    parts = [_chunk(chunk, shards, index) for chunk in (_chunk(ranges, split, i) for i in range(split))]
    return [held for part in parts for held in part]


def _chunk(ranges: list[range], chunks: int, index: int) -> list[range]:
    """One of the chunks of `torch.chunk`: as long as the others, but for the last ones, which may be empty."""
    length = -(-sum(map(len, ranges)) // chunks)
    starts = accumulate(map(len, ranges), initial=0)
    cut = [
        held[max(0, index * length - start) : max(0, (index + 1) * length - start)]
        for held, start in zip(ranges, starts, strict=False)
    ]
    return [held for held in cut if held]


def _fill(tensor: Any, local: Any, values: LazyArray, region: Region) -> None:
    """Write a region of the values to memory; and let autograd know that the tensor is another."""
    rule = values.rule
    axes = axes_of(values.shape)
    blocks = list(_blocks(values.shape, region))
    if blocks and isinstance(rule, WHOLE) and not (_is_plain(local) and [block for block, _ in blocks] == [axes]):
        whole = np.empty(values.shape, values.dtype)  # once, for all its parts
        rule.write(whole)
        rule = Repeated(whole)
    with torch.no_grad():
        for block, place in blocks:
            part = local[place] if len(blocks) > 1 else local
            if _is_plain(part):
                rule.write(_array(part, values.dtype), None if block == axes else block)
            else:
                _stage(part, rule, values.dtype, block)
        if not tensor.is_inference():
            torch.autograd.graph.increment_version(tensor)


def _blocks(shape: Shape, region: Region) -> Iterator[tuple[list[Axis], tuple[slice, ...]]]:
    """The boxes of which a region consists: each in the whole, and in memory that holds the region."""
    placed = [list(zip(accumulate(map(len, ranges), initial=0), ranges, strict=False)) for ranges in region]
    for box in product(*placed):
        axes = [(length, held.start, 1, len(held)) for length, (_, held) in zip(shape, box, strict=True)]
        yield axes, tuple(slice(start, start + len(held)) for start, held in box)


def _is_plain(tensor: Any) -> bool:
    """Whether the tensor is memory of the CPU, one element behind the other, and nothing else."""
    return (
        tensor.device.type == "cpu"
        and tensor.is_contiguous()
        and not tensor.is_neg()
        and not tensor.is_conj()
        and _is_torchs(tensor)
    )


def _is_torchs(tensor: Any) -> bool:
    """Whether its class leaves it to torch what is done with the memory."""
    return type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__


def _array(tensor: Any, dtype: np.dtype) -> np.ndarray:
    """The memory of a plain tensor."""
    bits = tensor.detach().view(torch.int16) if dtype.itemsize == 2 else tensor.detach()  # NumPy has no bfloat16
    array: np.ndarray = bits.numpy().view(dtype)
    return array


def _stage(tensor: Any, rule: Rule, dtype: np.dtype, block: list[Axis]) -> None:
    """Write a box by pieces, in memory of their own, that are then copied."""
    most = max(1, PIECE_BYTES // dtype.itemsize)
    buffer = np.empty(min(most, math.prod(shape_of(block))), dtype)
    memory = (
        torch.from_numpy(buffer.view(np.int16)).view(tensor.dtype) if dtype.itemsize == 2 else torch.from_numpy(buffer)
    )
    for piece in runs(shape_of(block), most):
        axes = [
            (length, start + first, 1, count)
            for (length, start, *_), (_, first, _, count) in zip(block, piece, strict=True)
        ]
        size = math.prod(shape_of(axes))
        rule.write(buffer[:size], axes)
        place = tuple(slice(first, first + count) for _, first, _, count in piece)
        tensor[place].copy_(memory[:size].view(shape_of(axes)))


def _check_filled(tensor: Any, *, meta: bool = False) -> None:
    """What a tensor must be to be written to; with memory, unless it may be on the meta device."""
    if is_lazy(tensor):
        raise ValueError("a lazy parameter has no shape until its module's first call. Received: one before it")
    if tensor.layout is not torch.strided:
        raise ValueError(f"a tensor must be dense. Received: layout={tensor.layout}")
    if tensor.is_meta and not meta:
        raise ValueError(
            "a tensor must have memory: give a module memory and values by seedbed.torch.initialize_, or memory by "
            "to_empty(device=...). Received: one on the meta device"
        )


def _check_memory(tensor: Any) -> None:
    """That each element of a tensor has memory, and of its own."""
    if not _is_torchs(tensor) or not tensor.numel():
        return
    extent = 1
    for stride, length in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if length > 1 and stride < extent:
            raise ValueError(
                "the elements of a tensor must not share memory. "
                f"Received: shape={tuple(tensor.shape)}, strides={tensor.stride()}"
            )
        extent += (length - 1) * stride
    held = tensor.untyped_storage().nbytes()
    if (tensor.storage_offset() + extent) * tensor.itemsize > held:
        raise ValueError(
            f"a tensor must have memory for its elements. Received: {held} bytes for {tuple(tensor.shape)}"
        )

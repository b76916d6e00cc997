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

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeAlias, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy

import seedbed as sb
from seedbed.checkpoint.values import values_of
from seedbed.initializers import Initializer
from seedbed.plan import Plan, PlannedTensor
from seedbed.plan.entries import as_initializer, as_name
from seedbed.plan.reading import Default, match
from seedbed.regions import part_of
from seedbed.seeds import SeedGenerator, as_seed
from seedbed.shapes import Shape, ShapeLike, as_shape
from seedbed.torch.laws import NO_SEED, laws_of
from seedbed.torch.memory import check_filled, check_memory, class_of, held, is_distributed, materialised, write

__all__ = ["fill_", "initialize_", "plan_of"]

T = TypeVar("T", bound=Any)

RuleLike: TypeAlias = "Initializer | str | dict[str, Any]"

Rules: TypeAlias = "Mapping[str, RuleLike] | Iterable[tuple[str, RuleLike]]"
"""Patterns of names, and what the parameters of such a name begin as. The first that matches serves."""

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
    check_filled(tensor)
    if shape is None and offset is not None:
        raise ValueError(f"offset must come with shape. Received: offset={offset!r}")
    if shape is None:
        whole, given = tuple(tensor.shape), None
    elif is_distributed(tensor):
        raise ValueError(f"a DTensor knows its whole, and shape must be None. Received: shape={shape!r}")
    else:
        whole = as_shape(shape)
        given = [[range(start, start + count)] for _, start, _, count in part_of(whole, tuple(tensor.shape), offset)]
    if is_distributed(tensor) and initializer.get_config().get("seed", 0) is None:
        raise ValueError(
            "an initializer must have a seed for a DTensor, which each process would else give values of its own. "
            f"Received: {initializer!r}"
        )
    local, region = held(tensor)
    check_memory(local)
    write(tensor, local, initializer.lazy(whole, tensor.dtype), given or region)
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
        if isinstance(layer, class_of("torch.distributed.fsdp", "FSDPModule")):
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
                check_memory(held(tensor)[0])
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for layer in module.modules():
        for key, tensor in chain(layer._parameters.items(), layer._buffers.items()):
            places.setdefault(id(tensor), []).append((layer, key))
    for tensor, planned in entries:
        target = materialised(tensor, device) if tensor.is_meta else tensor
        local, region = held(target)
        write(target, local, values_of(planned, root), region)
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


def _entries(module: Any, rules: Rules | None) -> list[tuple[Any, PlannedTensor]]:
    """The parameters of a module, and the buffers that a law is known for, each with its plan."""
    _check_module(module)
    flattened = class_of("torch.distributed.fsdp", "FullyShardedDataParallel")
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
    laws = laws_of(module)
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
        check_filled(tensor, meta=True)
        held(tensor)
        _check_layout(initializer, shape)
        initializer.with_seed(NO_SEED).lazy(shape, dtype)  # its own objections, without a draw from anywhere
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
        torchs = initializer.from_config({**initializer.with_seed(NO_SEED).get_config(), "layout": "torch"})
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

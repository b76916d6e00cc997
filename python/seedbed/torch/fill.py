"""`fill_`: fill one tensor in place."""

from __future__ import annotations

from inspect import signature
from typing import Any, TypeVar

import torch

import seedbed as sb
from seedbed.arguments import shortened
from seedbed.initializers import Blocks, Initializer, Norms
from seedbed.regions import part_of
from seedbed.shapes import Shape, ShapeLike, as_shape
from seedbed.torch.memory import check_filled, check_memory, is_distributed, local_shard, mark_changed, write_region

T = TypeVar("T", bound=Any)


def fill_(tensor: T, initializer: Initializer, *, shape: ShapeLike | None = None, offset: ShapeLike | None = None) -> T:
    """Write the values of an initializer to a tensor, in place.

    Contiguous memory of the CPU is written directly, other memory of the CPU in pieces of 16 MB. Another device
    evaluates random float32, bfloat16 and float16 values itself, with the same bits (see `device_report`); all other
    values are evaluated on the host and copied in pieces. For a `torch.distributed.tensor.DTensor`, each process
    evaluates its own shard without communication, for any mesh and placements. Autograd treats the write as a change in
    place, and records no operation.

    Arguments:
        tensor: a tensor of any dtype that the initializer makes.
        initializer: an initializer of seedbed. If it counts fans, it needs `layout="torch"`, or `input_axes` and
            `output_axes`. If it is random and the tensor is a DTensor, it needs a seed.
        shape: shape of the whole tensor, if `tensor` is a part of it, such as the shard of a tensor-parallel layer.
        offset: index of the part's first element in the whole tensor, along each axis; zeros by default.

    Returns:
        `tensor`.

    Raises:
        TypeError: if `tensor` is not a tensor, or `initializer` is not an initializer.
        ValueError: if the tensor is on the meta device, is not dense, has no memory, has elements that share memory, or
            is the result of an operation; if fans would be counted in another layout than torch's, or for fewer than
            two axes; for a DTensor of partial sums, or a DTensor with `shape`; or if the initializer raises it.

    >>> import torch, seedbed as sb, seedbed.torch
    >>> init = sb.KaimingNormal(seed=42, layout="torch")
    >>> weight = seedbed.torch.fill_(torch.empty(30, 20), init)
    >>> bool((weight.numpy() == init((30, 20))).all())
    True
    >>> shard = seedbed.torch.fill_(torch.empty(10, 20), init, shape=(30, 20), offset=(10, 0))
    >>> bool((shard == weight[10:20]).all())
    True
    """
    if torch.compiler.is_compiling():  # A compiler cannot trace the call of the engine.
        return torch.compiler.disable(_fill_)(tensor, initializer, shape, offset)  # type: ignore[no-any-return]
    return _fill_(tensor, initializer, shape, offset)


def _fill_(tensor: T, initializer: Initializer, shape: ShapeLike | None, offset: ShapeLike | None) -> T:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"tensor must be a torch.Tensor. Received: {type(tensor).__name__}")
    if not isinstance(initializer, Initializer):
        raise TypeError(f"initializer must be one of seedbed's. Received: {type(initializer).__name__}")
    check_filled(tensor)
    _check_not_computed(tensor)
    if shape is None and offset is not None:
        raise ValueError(f"offset must come with shape. Received: offset={shortened(offset)}")
    if shape is None:
        whole, given = tuple(tensor.shape), None
    elif is_distributed(tensor):
        raise ValueError(f"a DTensor knows its whole, and shape must be None. Received: shape={shortened(shape)}")
    else:
        whole = as_shape(shape)
        given = [[range(start, start + count)] for _, start, _, count in part_of(whole, tuple(tensor.shape), offset)]
    check_fans(initializer, whole)
    if is_distributed(tensor) and initializer.get_config().get("seed", 0) is None:
        raise ValueError(
            "an initializer must have a seed for a DTensor: without one, each process would draw different values. "
            f"Received: {shortened(initializer)}"
        )
    local, region = local_shard(tensor)
    check_memory(local)
    values = initializer.lazy(whole, tensor.dtype)
    write_region(local, values.rule, whole, values.dtype, given or region)
    mark_changed([tensor])
    return tensor


def check_fans(initializer: Initializer, shape: Shape) -> None:
    """Raise a ValueError if the initializer counts fans in another layout than torch's.

    A kernel of Keras has the shape (..., in, out), one of torch (out, in, ...): counting the fans of a torch kernel in
    Keras layout is silently wrong. Torch counts no fans for fewer than two axes.
    """
    if isinstance(initializer, Blocks):
        for part in initializer.parts(shape):
            check_fans(part.initializer, part.shape)
        return
    if isinstance(initializer, Norms):
        check_fans(initializer.initializer, initializer.shape)
        return
    if isinstance(initializer, sb.VarianceScaling):
        if initializer.input_axes is not None:
            return
        if len(shape) < 2:
            raise ValueError(
                f"an initializer that counts fans must have a shape of two axes or more. "
                f"Received: {shortened(initializer)} for the shape {shape}"
            )
        if initializer.layout == "torch":
            return
        if "layout" in signature(type(initializer)).parameters:
            torchs = initializer.from_config({**initializer.get_config(), "seed": 0, "layout": "torch"})
            if torchs.sampling(shape) == initializer.sampling(shape):
                return
    elif getattr(initializer, "layout", "torch") == "torch" or len(shape) < 2:
        return
    raise ValueError(
        'an initializer that counts fans must have layout="torch", for kernels (out, in, ...), or input_axes and '
        f"output_axes. Received: {shortened(initializer)} for the shape {shape}"
    )


def _check_not_computed(tensor: Any) -> None:
    """Raise a ValueError if the tensor is the result of an operation: the values would be lost."""
    if tensor._is_view() and tensor._base is not None:
        tensor = tensor._base
    if tensor.grad_fn is not None:
        raise ValueError(
            "a tensor must not be computed from others: its values would be lost. Fill those that it is computed from, "
            "such as layer.parametrizations.weight.original0 and original1, or weight_g and weight_v. "
            f"Received: the result of {tensor.grad_fn.name()}"
        )

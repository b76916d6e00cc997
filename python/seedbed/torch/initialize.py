"""`initialize_` and `plan_of`: every parameter and buffer of a module."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn

from seedbed.arguments import shortened
from seedbed.checkpoint.evaluation import values_of
from seedbed.dtypes import as_dtype
from seedbed.plan import Plan, PlannedTensor
from seedbed.plan.rules import Rules, Selection
from seedbed.rules import Rule, Sampled
from seedbed.seeds import Address, SeedGenerator, as_seed, child_key
from seedbed.torch.deciding import check_module, decided, tensors_of
from seedbed.torch.garbage_collection import uncollected
from seedbed.torch.memory import class_of, materialised, write
from seedbed.torch.module_tensors import Entry, unwrapped
from seedbed.torch.own_initialization import own_initialization, unknown_class
from seedbed.torch.recorded_rules import RecordedRules, Undecided
from seedbed.torch.weight_norm import normed_by

T = TypeVar("T", bound=Any)


def initialize_(
    module: T,
    rules: Rules | Plan | None = None,
    *,
    seed: int | SeedGenerator,
    device: torch.device | str | None = None,
    only: Selection = None,
    skip: Selection = None,
    prefix: str = "",
    unused: str = "error",
    layers: str = "recorded",
) -> T:
    """Give every parameter and buffer of a module its initial values, in place.

    What a rule decides is initialized by the rule. All else is initialized as the module's own code does it: as it was
    recorded, if the module was built within `recording()`; otherwise its code is run again, on the meta device
    (`reset_parameters` of layers; `initialize_weights`, `init_weights` or `_init_weights` of models).

    The tensor called `name` gets the values of `initializer.with_seed(SeedGenerator(seed).child(name))` in its whole
    shape: what `seedbed init` writes for a plan of these names. Tensors that are tied have one name, the first.

    Parameters and buffers on the meta device get memory, one by one, and are new objects: of the same class, with the
    same attributes and ties. Those with memory keep it.

    Arguments:
        module: a model, or a part of one, sharded by `fully_shard` or not. Wrappers such as `torch.compile` makes are
            looked through.
        rules: a mapping, or pairs, of selectors and initializers; or recorded rules, a plan, or a scheme of
            `seedbed.schemes`, which may also be one of the pairs. A selector is a pattern
            of names (`fnmatch.fnmatchcase`), a class of layers, or a function of a name and a tensor. The first rule
            that selects a tensor decides it. An initializer is an object without a seed, a name or a configuration. A
            random initializer does not reach what is constant by the tensor's own initialization, such as the weight of
            a norm or the row of an embedding for padding, unless the rule decides nothing else, or is `Blocks`. A
            buffer is decided only by a rule that selects no parameter.
        seed: an integer in [-2**255, 2**255), or a generator, from which only children are taken.
        device: where tensors go that are on the meta device; by default the CPU, or the kind of device that the mesh of
            a DTensor has.
        only: a selector, or several: nothing else is initialized.
        skip: a selector, or several: what they select stays as it is.
        prefix: the beginning of all names, if the module is a part of a model.
        unused: "error", or "ignore" if rules, `only` and `skip` may select nothing, as in the stages of a pipeline.
        layers: "recorded", or "default" to trust that constructors of classes without a method to run again leave
            their layers as these are by themselves.

    Returns:
        `module`.

    Raises:
        TypeError, ValueError: before anything is changed: if an argument is not as described; if a rule decides
            nothing; if no rule decides a tensor and its own initialization is not known, or has no initializer; if a
            tensor is one that its initializer or `fill_` does not make.

    >>> import torch, seedbed as sb, seedbed.torch
    >>> with seedbed.torch.recording():
    ...     model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2))
    >>> rules = {"*.bias": "zeros", "*.weight": sb.TruncatedNormal(stddev=0.02)}
    >>> model = seedbed.torch.initialize_(model, rules, seed=42)
    >>> seed = sb.SeedGenerator(42).child("2.weight")
    >>> bool((model[2].weight.detach().numpy() == sb.TruncatedNormal(stddev=0.02, seed=seed)((2, 8))).all())
    True
    >>> model[1].weight.tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    root = seed if isinstance(seed, SeedGenerator) else SeedGenerator(as_seed(seed))
    if device is not None and torch.device(device).type == "meta":
        raise ValueError(f"device must be one that has memory. Received: device={shortened(device)}")
    check_module(module)
    if sharded := class_of("torch.distributed.fsdp", "FSDPModule"):
        for layer in module.modules():
            if isinstance(layer, sharded):
                layer.reshard()  # after a forward pass, its parameters are copies that it will throw away
    with uncollected():
        chosen = decided(module, rules, only, skip, prefix, unused, layers)
        values = _Values(root)
        for entry, planned in chosen:
            tensor = entry.tensor
            target = materialised(tensor, device) if tensor.is_meta else tensor
            write(target, values.rule_of(planned), planned.shape, planned.dtype)
            if target is not tensor:
                _put(entry, target)
    return module


class _Values:
    """The values of tensors that draw by their names, which share what depends on no name."""

    def __init__(self, root: SeedGenerator) -> None:
        self._root = root
        self._rules: dict[tuple[int, Any, Any], Rule] = {}

    def rule_of(self, tensor: PlannedTensor) -> Rule:
        """The rule of a tensor's elements."""
        key = (id(tensor.initializer), tensor.shape, tensor.dtype)
        rule = self._rules.get(key)
        if rule is None:
            rule = self._rules[key] = tensor.initializer.with_seed(0).lazy(tensor.shape, tensor.dtype).rule
        if type(rule) is Sampled:
            return Sampled(rule.recipe, Address(child_key(self._root.key, tensor.name), 0))
        return values_of(tensor, self._root).rule if "seed" in tensor.initializer.parameters else rule


def plan_of(
    module: nn.Module,
    rules: Rules | Plan | None = None,
    *,
    only: Selection = None,
    skip: Selection = None,
    prefix: str = "",
    unused: str = "error",
    layers: str = "recorded",
) -> Plan:
    """The plan of a module: what `initialize_` makes of it, for `seedbed.checkpoint` to write to a file, or to verify.

    Nothing is evaluated. The module may be on the meta device; of one that is sharded, the tensors are whole. Printed,
    the plan is a table that says what decided each tensor: the rule, "recorded" for the module's own code, or "layer
    default" for a layer of torch's own.

    Arguments:
        module: a model.
        rules: as for `initialize_`, and so are all others.
        only: as above.
        skip: as above.
        prefix: as above.
        unused: as above.
        layers: as above.

    Returns:
        A `seedbed.plan.Plan` of all parameters, and of the buffers that a `state_dict` has. Tensors that are tied are
        there once, by their first name.

    Raises:
        TypeError, ValueError: as `initialize_`.

    >>> import torch, seedbed.torch
    >>> print(seedbed.torch.plan_of(torch.nn.Linear(4, 3, device="meta"), {"bias": "zeros"}))
    name    shape   dtype    initializer                             stddev  source
    weight  (3, 4)  float32  RandomUniform(minval=-0.5, maxval=0.5)  0.2887  layer default
    bias    (3,)    float32  Zeros()                                 0       bias
    """
    check_module(module)
    with uncollected():
        chosen = decided(module, rules, only, skip, prefix, unused, layers, for_file=True)
    return Plan(tuple(planned for _, planned in chosen))


def _put(entry: Entry, target: Any) -> None:
    """Put a tensor with memory in the place of one without, and in that of those tied to it."""
    for layer, key in entry.places:
        _tensors_like(entry, layer)[key] = target
    for other in entry.tied:
        made = materialised(other.tensor, target.device, target)
        for layer, key in other.places:
            _tensors_like(other, layer)[key] = made


def _tensors_like(entry: Entry, layer: nn.Module) -> dict[str, Any]:
    """The dictionary of a layer that has its tensors of an entry's kind."""
    tensors: dict[str, Any] = layer._buffers if entry.is_buffer else layer._parameters
    return tensors


def recorded_rules(module: nn.Module, *, prefix: str = "", layers: str = "recorded") -> RecordedRules:
    """The own initialization of a module, as an object that can be printed, changed, saved and loaded again.

    It is what was recorded when the module was built, or what its code does when it is run again. Loaded, it serves as
    the rules of a module of the same names and shapes, without the code that it was recorded from.

    Arguments:
        module: a model, on any device.
        prefix: as for `initialize_`.
        layers: as for `initialize_`.

    Raises:
        TypeError, ValueError: if `module` is not a module, or has tensors that cannot be initialized. A tensor whose
            own initialization is not known is no error here: it is among the `undecided`.

    >>> import torch, seedbed.torch
    >>> with seedbed.torch.recording():
    ...     model = torch.nn.Sequential(torch.nn.Embedding(9, 4, padding_idx=0), torch.nn.LayerNorm(4))
    >>> rules = seedbed.torch.recorded_rules(model)
    >>> rules["0.weight"]
    Blocks(RandomNormal(mean=0.0, stddev=1.0), [(np.s_[0], Zeros())])
    """
    check_module(module)
    entries = tensors_of(module, prefix)
    own = own_initialization(unwrapped(module), entries)
    made: list[PlannedTensor | Undecided] = []
    for entry in entries:
        shape, known = tuple(entry.tensor.shape), own[id(entry.tensor)]
        cls = unknown_class(entry) if layers == "recorded" else None
        if known.initializer is None or cls is not None:
            normed = normed_by(entry)
            direction = None if normed is None else own.get(id(normed.direction))
            if direction is not None and direction.initializer is not None:
                continue  # a magnitude follows its direction
            reason = known.reason or (
                "no code that can be run again sets it" if cls is None else f"what {cls.__name__} does is not known"
            )
            made.append(Undecided(entry.name, shape, as_dtype(entry.tensor.dtype), reason))
        else:
            dtype = known.initializer.as_dtype(entry.tensor.dtype)
            made.append(PlannedTensor(entry.name, shape, dtype, known.initializer, known.source))
    return RecordedRules(made)

"""Plans of Hugging Face models, from their configurations.

    plan = seedbed.transformers.plan_of("config.json")
    seedbed.checkpoint.write_directory(plan, "model", seed=42)

The architecture that a configuration names is built on the meta device, and its own initialization is recorded, as
`seedbed.torch.recording` does. The names of the plan are those that `save_pretrained` writes: tied tensors have one,
and what is renamed or divided in files is so here. So `from_pretrained` loads the files with no key missing and none
left over, and its tensors have the bits that `seedbed.torch.initialize_` gives a model of the same configuration and
seed.
Code that a configuration brings along (`auto_map`) is never run.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock

from seedbed.plan import Part, Plan, PlannedTensor
from seedbed.plan.limits import MAX_TENSORS
from seedbed.shapes import Shape
from seedbed.strict_json import shown

__all__ = ["plan_of"]


def __dir__() -> list[str]:
    return __all__


CONFIG_NAME = "config.json"

MAX_CONFIG_BYTES = 1 << 24
"""The longest configuration that is read."""

_NEVER = {
    "auto_map": "code of its own, which is never run: a copy without auto_map uses the class of transformers",
    "quantization_config": "quantized weights, which have no initial values: use a copy without quantization_config",
}
"""What a configuration must not ask for."""


def plan_of(config: str | os.PathLike[str] | Mapping[str, Any]) -> Plan:
    """The plan of the model that a configuration describes, with the names that `save_pretrained` writes.

    Arguments:
        config: the path of a ``config.json``, or of a directory that has one; or the content of one.

    Returns:
        A `seedbed.plan.Plan`, which has the configuration too. Its dtype is that of the configuration, else float32.

    Raises:
        OSError: the file cannot be read.
        ImportError: transformers or torch is not installed.
        TypeError, ValueError: the configuration is none; names no architecture, one that transformers does not have, or
            code of its own; the architecture cannot be built from it; or the initialization of a tensor is not known.

    >>> import seedbed.transformers
    >>> config = {"model_type": "gpt2", "architectures": ["GPT2Model"], "n_embd": 8, "n_layer": 1, "n_head": 2}
    >>> plan = seedbed.transformers.plan_of({**config, "vocab_size": 10, "n_positions": 4})
    >>> print(plan.tensors[0].name, plan.tensors[0].shape, plan.tensors[0].initializer)
    wte.weight (10, 8) RandomNormal(mean=0.0, stddev=0.02)
    """
    content = _read(config) if isinstance(config, (str, os.PathLike)) else dict(config)
    architecture = _architecture(content)
    transformers, recording, plan_of_module = _packages()
    cls = _class(transformers, architecture)
    with _building(cls, content):
        parsed = _parsed(transformers, content)
        with recording():
            model = cls._from_config(parsed)
    whole = plan_of_module(model)
    if not whole.tensors:
        raise ValueError(f"an architecture must have parameters. Received: {architecture}, which others derive from")
    return Plan(tuple(_saved_tensors(model, whole)), _without_floats(content))


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    place = Path(path)
    place = place / CONFIG_NAME if place.is_dir() else place
    with place.open("rb") as file:
        text = file.read(MAX_CONFIG_BYTES + 1)
    if len(text) > MAX_CONFIG_BYTES:
        raise ValueError(f"a configuration must have at most {MAX_CONFIG_BYTES} bytes. Received: more")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a configuration must be JSON. Received: invalid JSON: {error}") from None
    if not isinstance(content, dict):
        raise TypeError(f"a configuration must be an object. Received: {shown(content)}")
    return content


def _architecture(config: Mapping[str, Any]) -> str:
    """The class that a configuration names."""
    for key, what in _NEVER.items():
        if config.get(key):
            raise ValueError(f"a configuration must not ask for {what}. Received: {key}={shown(config[key])}")
    names = config.get("architectures")
    if not (isinstance(names, list) and len(names) == 1 and isinstance(names[0], str)):
        raise ValueError(
            'a configuration must name its class, as in "architectures": ["LlamaForCausalLM"]. '
            f"Received: architectures={shown(names)}"
        )
    for key, value in config.items():
        counts = key.startswith(("num_", "n_")) and key.endswith(("layers", "layer")) and type(value) is int
        if counts and value > MAX_TENSORS:
            raise ValueError(f"a model must have at most {MAX_TENSORS} tensors. Received: {key}={value}")
    name: str = names[0]
    return name


def _packages() -> tuple[Any, Any, Any]:
    try:
        import transformers

        from seedbed.torch import plan_of, recording
    except ImportError as error:
        raise ImportError(
            f"a Hugging Face configuration needs the package {error.name}, which is not installed: "
            "pip install 'seedbed[transformers]'"
        ) from None
    return transformers, recording, plan_of


def _class(transformers: Any, name: str) -> Any:
    cls = getattr(transformers, name, None) if name.isidentifier() else None
    if not (isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel)):
        near = get_close_matches(name, dir(transformers), 1)
        hint = f"; the nearest name there is {near[0]}" if near else ""
        raise ValueError(
            f"an architecture must be a model of transformers {transformers.__version__}{hint}. Received: {shown(name)}"
        )
    return cls


def _parsed(transformers: Any, content: Mapping[str, Any]) -> Any:
    """The configuration as an object of transformers."""
    kind = content.get("model_type")
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    if kind not in known:
        near = get_close_matches(str(kind), list(known), 1)
        hint = f"; the nearest one is {near[0]}" if near else ""
        raise ValueError(f"model_type must be one that transformers has{hint}. Received: {shown(kind)}")
    return known[kind].from_dict(_with_floats(dict(content)))


def _with_floats(value: Any) -> Any:
    """A configuration with floats for which JSON has no number; transformers writes {"__float__": "Infinity"}."""
    if isinstance(value, dict):
        if [*value] == ["__float__"]:
            return float(value["__float__"])
        return {key: _with_floats(item) for key, item in value.items()}
    return [_with_floats(item) for item in value] if isinstance(value, (list, tuple)) else value


def _without_floats(value: Any) -> Any:
    """A configuration as JSON can have it. Older files have a bare `Infinity`, which is no JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"__float__": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, dict):
        return {key: _without_floats(item) for key, item in value.items()}
    return [_without_floats(item) for item in value] if isinstance(value, (list, tuple)) else value


@contextmanager
def _building(cls: Any, content: Mapping[str, Any]) -> Iterator[None]:
    """An error of other people's code, which may be of any kind, says what was built."""
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        own, kind = getattr(cls.config_class, "model_type", ""), content.get("model_type")
        hint = "" if own in ("", kind) else f', which has "model_type": {shown(own)}'
        raise ValueError(f"{cls.__name__} must be built from its configuration{hint}. Received: {reason}") from error


def _saved_tensors(model: Any, whole: Plan) -> Iterator[PlannedTensor]:
    """The tensors of a model as `save_pretrained` writes them."""
    planned = {tensor.name: tensor for tensor in whole.tensors}
    owners = {
        _storage(tensor): planned[name]
        for name, tensor in chain(model.named_parameters(), model.named_buffers())
        if name in planned
    }
    for name, tensor in _saved(model).items():
        owner = owners.get(_storage(tensor))
        part = None if owner is None else _part(owner, tensor)
        if owner is None or part is None:
            raise ValueError(f"{name!r}: a tensor of a file must be a part of one of the model. Received: a new one")
        if name == owner.name:
            yield owner
        elif owner.seed_of is not None and tuple(tensor.shape) == owner.shape:
            yield replace(owner, name=name)
        else:
            yield replace(owner, name=name, shape=tuple(tensor.shape), part=part)


def _saved(model: Any) -> dict[str, Any]:
    """The tensors that `save_pretrained` writes, by name, in its order. Nothing is written."""
    saved: dict[str, Any] = {}

    def collect(tensors: dict[str, Any], *arguments: object, **options: object) -> None:
        saved.update(tensors)

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("transformers.modeling_utils.safe_save_file", collect),
        _silence(),
        _without_copies(),
    ):
        model.save_pretrained(folder, max_shard_size=1 << 62)
    return saved


@contextmanager
def _without_copies() -> Iterator[None]:
    """Leave out copies of tensors without memory, so that what is cut from a parameter is a view of it."""
    from torch import Tensor, clone
    from torch.overrides import TorchFunctionMode

    copies = (Tensor.contiguous, Tensor.clone, clone)

    class Views(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if function in copies and args[0].is_meta:
                return args[0]
            return function(*args, **(kwargs or {}))

    with Views():
        yield


@contextmanager
def _silence() -> Iterator[None]:
    """Show no progress of a save that writes nothing."""
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _storage(tensor: Any) -> int:
    """What identifies the memory of a tensor, on the meta device too."""
    identity: int = tensor.untyped_storage()._cdata
    return identity


def _part(owner: PlannedTensor, tensor: Any) -> Part | None:
    """The part of a parameter that a view of it is; None where it is no box of it in C order."""
    shape = owner.shape
    strides = _strides(shape)
    offset = []
    rest = tensor.storage_offset()
    for stride in strides:
        index, rest = divmod(rest, stride)
        offset.append(index)
    counts = _counts(tuple(tensor.shape), tensor.stride(), shape, strides)
    inside = counts is not None and all(o + c <= n for o, c, n in zip(offset, counts, shape, strict=True))
    return Part(owner.name, shape, counts, tuple(offset)) if counts is not None and inside else None


def _strides(shape: Shape) -> list[int]:
    return [math.prod(length for length in shape[axis + 1 :]) or 1 for axis in range(len(shape))]


def _counts(view: Shape, view_strides: Sequence[int], shape: Shape, strides: Sequence[int]) -> Shape | None:
    """How many indices a view has along each axis of the whole: its axes are some of the whole's, in their order."""
    counts = [1] * len(shape)
    at = 0
    for length, stride in zip(view, view_strides, strict=True):
        if length == 1:
            continue
        while at < len(shape) and (strides[at] != stride or shape[at] < length):
            at += 1
        if at == len(shape):
            return None
        counts[at] = length
        at += 1
    return tuple(counts)


def main(path: str) -> int:
    """Print the JSON plan of a configuration, or the error that there is: a process of its own for other commands."""
    result: dict[str, Any]
    try:
        result = {"plan": plan_of(path).to_json()}
    except OSError as error:
        result = {"os_error": [error.errno, error.strerror, error.filename]}
    except (ImportError, TypeError, ValueError) as error:
        result = {"error": str(error)}
    print(json.dumps(result), file=sys.__stdout__, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

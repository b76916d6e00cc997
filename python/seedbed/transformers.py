"""Plans of Hugging Face models from their configurations, without their weights.

    plan = seedbed.transformers.plan_of("config.json")
    seedbed.checkpoint.write_directory(plan, "model", seed=42)

The architecture that a configuration names is built on the meta device, and its default initialization is recorded by
`seedbed.torch.recording`. The plan has the names that `save_pretrained` writes: tied tensors are written once, and some
tensors are renamed or divided in files. So `from_pretrained` loads the files without missing or unexpected keys, and
its tensors have the same bits as those that `seedbed.torch.initialize_` gives a model of the same configuration and
seed.

Code that comes with a configuration (`auto_map`) is never run.
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
"""Maximum length of a configuration, in bytes."""

_NEVER = {
    "auto_map": "code of its own, which is never run; a copy without auto_map uses the class of transformers",
    "quantization_config": "quantized weights, which have no initial values; use a copy without quantization_config",
}
"""Keys that a configuration must not have, and the reasons for the error."""


def plan_of(config: str | os.PathLike[str] | Mapping[str, Any]) -> Plan:
    """Return the plan of the model of a configuration, with the names that `save_pretrained` writes.

    Arguments:
        config: the path of a ``config.json``, or of a directory with one; or its content, a mapping.

    Returns:
        A `seedbed.plan.Plan` with the configuration. Its dtype is that of the configuration, or else float32.

    Raises:
        OSError: if the file cannot be read.
        ImportError: if transformers or torch is not installed.
        TypeError: if the configuration is not an object.
        ValueError: if the configuration is not JSON; if it names no architecture, an unknown one, or code of its own;
            if the architecture cannot be built from it; or if a default initialization cannot be recorded.

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
        raise ValueError(f"an architecture must have parameters. Received: {architecture}, an abstract base class")
    return Plan(tuple(_saved_tensors(model, whole)), _without_floats(content))


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    place = Path(path)
    place = place / CONFIG_NAME if place.is_dir() else place
    with place.open("rb") as file:
        text = file.read(MAX_CONFIG_BYTES + 1)
    if len(text) > MAX_CONFIG_BYTES:
        raise ValueError(f"a configuration must have at most {MAX_CONFIG_BYTES} bytes. Received: a longer one")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a configuration must be JSON. Received: invalid JSON: {error}") from None
    if not isinstance(content, dict):
        raise TypeError(f"a configuration must be an object. Received: {shown(content)}")
    return content


def _architecture(config: Mapping[str, Any]) -> str:
    """Return the name of the class that a configuration names."""
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
        hint = f"; the nearest name is {near[0]}" if near else ""
        raise ValueError(
            f"an architecture must be a model of transformers {transformers.__version__}{hint}. Received: {shown(name)}"
        )
    return cls


def _parsed(transformers: Any, content: Mapping[str, Any]) -> Any:
    """Return the configuration as an object of transformers."""
    kind = content.get("model_type")
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    if kind not in known:
        near = get_close_matches(str(kind), list(known), 1)
        hint = f"; the nearest name is {near[0]}" if near else ""
        raise ValueError(f"model_type must be one that transformers has{hint}. Received: {shown(kind)}")
    return known[kind].from_dict(_with_floats(dict(content)))


def _with_floats(value: Any) -> Any:
    """Decode floats that JSON lacks: transformers writes {"__float__": "Infinity"}."""
    if isinstance(value, dict):
        if [*value] == ["__float__"]:
            return float(value["__float__"])
        return {key: _with_floats(item) for key, item in value.items()}
    return [_with_floats(item) for item in value] if isinstance(value, (list, tuple)) else value


def _without_floats(value: Any) -> Any:
    """Encode floats that JSON lacks. Files of older versions have a bare `Infinity`, which is not JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"__float__": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, dict):
        return {key: _without_floats(item) for key, item in value.items()}
    return [_without_floats(item) for item in value] if isinstance(value, (list, tuple)) else value


@contextmanager
def _building(cls: Any, content: Mapping[str, Any]) -> Iterator[None]:
    """Raise any error of a model's code as a ValueError that names the class of the model."""
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        own, kind = getattr(cls.config_class, "model_type", ""), content.get("model_type")
        hint = "" if own in ("", kind) else f', with "model_type": {shown(own)}'
        raise ValueError(f"{cls.__name__} must be built from its configuration{hint}. Received: {reason}") from error


def _saved_tensors(model: Any, whole: Plan) -> Iterator[PlannedTensor]:
    """Yield the planned tensors of a model, as `save_pretrained` names, divides and orders them."""
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
            raise ValueError(
                f"{name!r}: a tensor of a file must be a parameter or buffer of the model, or a part of one. "
                "Received: another tensor"
            )
        if name == owner.name:
            yield owner
        elif owner.seed_of is not None and tuple(tensor.shape) == owner.shape:
            yield replace(owner, name=name)
        else:
            yield replace(owner, name=name, shape=tuple(tensor.shape), part=part)


def _saved(model: Any) -> dict[str, Any]:
    """Return the tensors that `save_pretrained` would write, by name, in its order. Nothing is written."""
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
    """Skip copies of meta tensors within a block, so that a tensor cut from a parameter stays a view of it."""
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
    """Disable the progress bars of transformers within a block: the save writes nothing."""
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
    """Return an identifier of the storage of a tensor, also on the meta device."""
    identity: int = tensor.untyped_storage()._cdata
    return identity


def _part(owner: PlannedTensor, tensor: Any) -> Part | None:
    """Return the part of a parameter that a view is, or None if the view is not a box in C order."""
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
    """Return the length of a view along each axis of its parameter, or None if its axes are not among these."""
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
    """Print the JSON plan of a configuration, or its error. The command line runs this in a child process."""
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

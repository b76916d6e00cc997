"""Check plans and configurations, and mutate them to make unusual ones.

`tests/test_hostile_configs.py` mutates documents for a while. `python fuzz` runs libFuzzer, which looks for new paths.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import seedbed as sb
from seedbed.compat import v1, v2
from seedbed.plan import Plan, parse_plan

T = TypeVar("T")

CORPUS = Path(__file__).parent / "corpus"

DOCUMENTED = (ValueError, TypeError, IndexError, OverflowError, MemoryError)
"""The exceptions that a public function may raise, for any arguments."""

SHAPES = ((), (3,), (2, 3), (3, 2, 4), (3, 3, 2, 4))

CLASSES = {name: getattr(sb, name) for name in sb.__all__ if hasattr(getattr(sb, name), "parameters")}

KEYS = sorted(
    {name for cls in CLASSES.values() for name in cls.parameters}
    | {"name", "shape", "dtype", "initializer", "pattern", "class_name", "config", "module", "registered_name", "value"}
)

ANSWERS = (
    "seedbed keras.initializers SeedGenerator __numpy__ __tensor__ *.b a .. fan_out fan_geo_avg uniform normal torch"
)
ANSWERS += " hamming spectrum imag leaky_relu tanh float16 bfloat16 float32 float64 complex64 int8 bool U3 ,f4 \ud800"
WORDS = [*CLASSES, *v1.__all__, *KEYS, *ANSWERS.split(" "), ""]

NUMBERS = [None, True, False, -1, 0, 1, 2, 3, 7, 2**31, 2**62, 2**63, 2**64, 10**25, -(2**255), 0.5, -0.0, 5e-324, 6e-8]
NUMBERS += [37.5, -2.0, 1e150, 1e300, 1.7976931348623157e308, math.nan, math.inf, -math.inf]


def outcome(call: Callable[[], T]) -> T | None:
    """Return the result of a call, or None if it raises a documented exception. Other exceptions are not caught."""
    try:
        return call()
    except DOCUMENTED:
        return None


def loop(make: Callable[[int, random.Random], T], check: Callable[[T], object], seconds: float) -> None:
    """Make and check cases for SEEDBED_FUZZ_SECONDS, by default `seconds`.

    The number of a case and SEEDBED_FUZZ_SEED determine the case.
    """
    seed = int(os.environ.get("SEEDBED_FUZZ_SEED", "1"))
    end = time.monotonic() + float(os.environ.get("SEEDBED_FUZZ_SECONDS", seconds))
    valid = 0
    for case in itertools.count():
        if case >= 300 and time.monotonic() > end:
            break
        made = make(case, random.Random(f"{seed}/{case}"))
        try:
            valid += bool(check(made))
        except BaseException as error:
            raise AssertionError(f"case {case} of SEEDBED_FUZZ_SEED={seed}: {made!r}") from error
    print(f"{case} cases, {valid} of them valid")
    assert valid > 10


def check_plan(text: str) -> Plan | None:
    """Return the plan of a text, or None if it is not a plan. Check that its names differ and its tensors are valid."""
    plan = outcome(lambda: parse_plan(text))
    if plan is not None:
        assert plan.nbytes >= 0
        assert len({tensor.name for tensor in plan.tensors}) == len(plan.tensors)
        assert parse_plan(plan.to_json()) == plan
        root = sb.SeedGenerator(1)
        for tensor in plan.tensors:
            norms = sizes_of_norms(sb.serialize(tensor.initializer))
            if tensor.size <= 1000:
                check_values(
                    tensor.initializer.with_seed(root.child(tensor.name)).lazy(tensor.shape, tensor.dtype), norms
                )
        outcome(lambda: parse_plan(text, dtype="bfloat16"))
    return plan


def check_config(text: str) -> list[Any]:
    """Check a JSON text as a configuration of seedbed, of `compat.v1` and of `compat.v2`. Return the initializers."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return []
    made = []
    for registry in (sb, v1, v2):
        initializer = outcome(lambda: registry.get(config))  # noqa: B023
        if initializer is not None:
            check_initializer(initializer, registry)
            made.append(initializer)
    return made


def check_initializer(initializer: Any, registry: Any) -> None:
    """Check that an initializer survives JSON, and that a lazy tensor which can be made can also be evaluated."""
    assert isinstance(initializer, sb.Initializer)
    config = registry.serialize(initializer)
    assert registry.serialize(registry.deserialize(json.loads(json.dumps(config, allow_nan=False)))) == config
    assert repr(initializer)
    assert hash(initializer) == hash(initializer)
    norms = sizes_of_norms(config)
    for shape in SHAPES:
        for dtype in ("float16", "float32", "int8"):
            tensor = outcome(lambda: initializer.lazy(shape, dtype))  # noqa: B023
            if tensor is not None:
                assert tensor.shape == shape
                check_values(tensor, norms)


def sizes_of_norms(config: Any) -> list[int]:
    """Return the numbers of elements under the `Norms` of a configuration, which its own shape does not limit."""
    if isinstance(config, list):
        return [size for part in config for size in sizes_of_norms(part)]
    if not isinstance(config, dict):
        return []
    own = [math.prod(config["config"]["shape"])] if config.get("class_name") == "Norms" else []
    return own + sizes_of_norms(list(config.values()))


def check_values(tensor: sb.LazyArray, norms: list[int]) -> None:
    """Check that the values of a tensor have its shape and dtype, and no NaN or infinity.

    Norms of many elements are not evaluated. Of fewer, they may be too large for the dtype, which is an error.
    """
    if max(norms, default=0) > 1 << 16:
        return
    values = outcome(lambda: tensor[...])
    if values is None:
        assert norms
        return
    assert (values.shape, values.dtype) == (tensor.shape, tensor.dtype)
    assert np.isfinite(values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)).all()


def mutated(choose: random.Random, value: Any) -> Any:
    """Return a JSON value with random changes."""
    if choose.random() < 0.03:
        others = [[], {}, [value], [[value], value], {"config": value}, [0] * 33, {choose.choice(KEYS): value}]
        others += [{"class_name": choose.choice(WORDS), "config": {choose.choice(KEYS): value}}]
        return choose.choice([choose.choice(NUMBERS), choose.choice(WORDS), choose.choice(others)])
    if isinstance(value, dict):
        changed = {key: mutated(choose, inner) for key, inner in value.items() if choose.random() > 0.03}
        if choose.random() < 0.1:
            changed[choose.choice(KEYS)] = choose.choice([choose.choice(NUMBERS), choose.choice(WORDS), value])
        return changed
    if isinstance(value, list):
        return [mutated(choose, inner) for inner in value for _ in range(choose.choice([1] * 30 + [0, 2]))]
    return value


def scrambled(choose: random.Random, text: str) -> str:
    """Return a text with some characters removed, replaced or repeated."""
    for _ in range(choose.randrange(1, 6)):
        at, length = choose.randrange(len(text) + 1), choose.choice([0, 1, 1, 2, 30])
        new = choose.choice(["", "[", "]", "{", '"', ",", "1e999", "\\u0000", "-", text[at : at + 40]])
        text = text[:at] + new + text[at + length :]
    return text


def mutation(choose: random.Random, text: str) -> str:
    """Return a changed document: changed as a JSON value, if it is one, or as a text, or both."""
    try:
        text = json.dumps(mutated(choose, json.loads(text)))
    except (ValueError, RecursionError):
        return scrambled(choose, text)
    return scrambled(choose, text) if choose.random() < 0.2 else text

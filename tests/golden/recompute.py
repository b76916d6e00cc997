"""Recompute golden values from the specification alone: no line of seedbed is used, not even imported.

    python tests/golden/recompute.py            the smaller tensors: seconds
    python tests/golden/recompute.py --all      and the larger ones: minutes

The name of a value in `v1.json` gives the tensor; docs/streams.md (in code: `reference.py`) gives its elements.
"""

import ast
import hashlib
import json
import math
import re
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from support import reference

GOLDEN = Path(__file__).with_name("v1.json")

SIMPLE = {
    "RandomUniform": ("uniform", "minval", "maxval"),
    "RandomNormal": ("normal", "mean", "stddev"),
    "TruncatedNormal": ("truncated_normal", "mean", "stddev"),
}
SPECIFIED = {*reference.NAMED, *SIMPLE, "VarianceScaling"}
FORMATS = {"float16": "<e", "bfloat16": "<f", "float32": "<f", "float64": "<d"}


def parsed(name):
    """Return the initializer as text, the shape and the dtype in the name of a golden value."""
    initializer, shape, dtype = re.fullmatch(r"(.+) (\([\d, ]*\)) (\w+)", name).groups()
    return initializer, ast.literal_eval(shape), dtype


def key_of(seed):
    """Return the key of `42`, or of `SeedGenerator(seed=42).child('a').child('b')`."""
    if isinstance(seed, ast.Call) and isinstance(seed.func, ast.Attribute):
        return reference.child_key(key_of(seed.func.value), ast.literal_eval(seed.args[0]))
    if isinstance(seed, ast.Call):
        return key_of(seed.keywords[0].value)
    return reference.key_of(ast.literal_eval(seed))


def distribution_of(kind, arguments, shape):
    """Return the distribution and its two parameters, or None if docs/streams.md does not specify it."""
    if kind in SIMPLE and arguments.keys() == {*SIMPLE[kind][1:]}:
        distribution, a, b = SIMPLE[kind]
        return distribution, arguments[a], arguments[b]
    axes = [arguments.pop(name, None) for name in ("input_axes", "output_axes")]
    if kind in reference.NAMED and not arguments:
        return reference.variance_scaling(shape, *reference.NAMED[kind], *axes)
    choice = [arguments.pop(name, None) for name in ("scale", "mode", "distribution")]
    if kind == "VarianceScaling" and not arguments and choice[1] in ("fan_in", "fan_out", "fan_avg"):
        return reference.variance_scaling(shape, *choice, *axes)
    return None


def recomputed(name):
    """Return the SHA-256 of the specified tensor, or None if docs/streams.md does not specify it."""
    initializer, shape, dtype = parsed(name)
    call = ast.parse(initializer, mode="eval").body
    if call.func.id not in SPECIFIED or dtype not in FORMATS:
        return None
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    key = key_of(arguments.pop("seed"))
    if "inf" in initializer:  # bounds, which distribution_of does not cover
        return None
    given = distribution_of(call.func.id, {name: ast.literal_eval(value) for name, value in arguments.items()}, shape)
    if given is None:
        return None
    digest = hashlib.sha256()
    for element in range(math.prod(shape)):
        value = reference.value(*given, dtype, *reference.element_words(key, 0, element))
        digest.update(struct.pack(FORMATS[dtype], value)[2 if dtype == "bfloat16" else 0 :])
    return digest.hexdigest()


def main(arguments):
    if arguments not in ([], ["--all"]):
        raise SystemExit(__doc__)
    golden = json.loads(GOLDEN.read_text("utf-8"))
    same = []
    for name in golden:
        made = recomputed(name) if arguments or len(parsed(name)[1]) > 1 else None
        if made is not None:
            same.append(made == golden[name])
            if not same[-1]:
                print(f"another value: {name}")
    print(f"{sum(same)} of {len(same)} golden values recomputed")
    raise SystemExit(not all(same) or bool(sys.modules.get("seedbed")))


if __name__ == "__main__":
    main(sys.argv[1:])

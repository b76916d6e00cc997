"""A forced backend changes the speed, but not the bits."""

import os
import re
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib
import ml_dtypes
import seedbed as sb
from seedbed import _core
print(_core.backend())
for init in (sb.RandomUniform(-1, 2, seed=1), sb.RandomNormal(0.1, 2.0, seed=2), sb.TruncatedNormal(0.1, 2.0, seed=3)):
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        digest = hashlib.sha256(init((317, 1001), dtype).tobytes())
        digest.update(init.lazy((10**6, 10**5), dtype)[12345:12400, 5:-5:777].tobytes())
        print(digest.hexdigest())
print(sb.random_words(7, 1000, start=2**67 - 500).tobytes().hex())
"""


def run(backend, program=PROGRAM):
    environment = {key: value for key, value in os.environ.items() if key != "SEEDBED_BACKEND"}
    if backend is not None:
        environment["SEEDBED_BACKEND"] = backend
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)


def available():
    message = run("none of them").stderr
    return re.search(r"SEEDBED_BACKEND must be one of (.*) \(those this CPU has\)", message).group(1).split(", ")


def test_every_backend_gives_the_same_bits():
    name, *values = run(None).stdout.split()
    assert name == available()[-1], "the fastest is the default"
    assert len(values) == 13
    for backend in available():
        assert run(backend).stdout.split() == [backend, *values]


@pytest.mark.parametrize("call", ["sb.HeNormal(seed=1)((2, 2))", "sb.random_words(1, 3)", "sb._core.backend()"])
@pytest.mark.parametrize("backend", ["", "AVX2", "neon2"])
def test_an_unavailable_backend_is_an_error_at_the_first_use(backend, call):
    done = run(backend, f"import seedbed as sb; sb.Zeros()((2, 2)); {call}")
    assert done.returncode == 1
    assert "ValueError: SEEDBED_BACKEND must be one of portable" in done.stderr
    assert done.stderr.rstrip().endswith(f"(those this CPU has). Received: '{backend}'")

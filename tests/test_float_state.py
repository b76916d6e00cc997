"""Values do not depend on the floating point state of the host process, and fills restore it."""

import json
import threading

import numpy as np
import pytest
from golden import make
from support import float_state

import seedbed as sb
from seedbed import _core, rules
from seedbed.initializers import variance_scaling

GOLDEN = json.loads(make.PATH.read_text("utf-8"))
THIRD = 1 / 3

pytestmark = pytest.mark.skipif(not float_state.NAMES, reason="needs a C compiler, and x86-64 or ARM64")
in_each_state = pytest.mark.parametrize("name", float_state.NAMES)


def forget():
    """Clear the caches, so that recipes and parameters are computed in the state of the thread."""
    rules.compiled.cache_clear()
    variance_scaling._scaled.cache_clear()


def in_state(name, work):
    """Return the result of `work` on a new thread in a state, and the control bits afterwards."""
    results = []

    def run():
        with float_state.state(name):
            before = float_state.control()
            forget()
            results.append(work())
            assert float_state.control() == before

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert results, "the work failed"
    return results[0]


def quotient():
    return float(np.float64(-1.0) / np.float64(10.0)), float(np.float64(1.0) / np.float64(10.0))


def subnormal_sum():
    tiny = np.full(1, 5e-324)
    return float((tiny + tiny)[0]), float((np.full(1, 3e-308) / 4)[0])


@in_each_state
def test_the_states_change_what_numpy_computes(name):
    assert in_state(name, lambda: (quotient(), subnormal_sum())) != (quotient(), subnormal_sum())


@in_each_state
def test_golden_values_are_the_same_in_every_state(name):
    def other_values():
        return [name for case in make.CASES for name, digest in make.digests(*case).items() if digest != GOLDEN[name]]

    assert in_state(name, other_values) == []


SMALL = {
    "normal 1e-37": lambda: sb.RandomNormal(stddev=1e-37, seed=1),
    "normal 1e-39": lambda: sb.RandomNormal(stddev=1e-39, seed=1),
    "normal 1e-308": lambda: sb.RandomNormal(stddev=1e-308, seed=1),
    "uniform": lambda: sb.RandomUniform(-1e-38, 3e-38, seed=1),
    "uniform of subnormals": lambda: sb.RandomUniform(0.0, 1e-310, seed=1),
    "truncated": lambda: sb.TruncatedNormal(stddev=1e-38, seed=1),
    "between": lambda: sb.TruncatedNormal(stddev=1e-38, seed=1, lower=-1, upper=3),
    "a far tail": lambda: sb.TruncatedNormal(stddev=1e-40, seed=1, lower=30, upper=None),
    "scaling": lambda: sb.VarianceScaling(1e-75, seed=1),
    "orthogonal": lambda: sb.Orthogonal(gain=1e-38, seed=1),
    "convolution": lambda: sb.ConvolutionOrthogonal1D(gain=1e-38, seed=1),
    "sparse": lambda: sb.Sparse(THIRD, 1e-38, seed=1),
    "norms": lambda: sb.Norms(sb.RandomNormal(stddev=1e-38), (64, 65), seed=1),
    "constant": lambda: sb.Constant(1e-40),
    "identity": lambda: sb.Identity(1e-40),
    "window": lambda: sb.STFT(window=[1e-38, 2e-39, 3e-310], scaling=None),
    "gains": lambda: sb.KaimingNormal(nonlinearity="leaky_relu", a=THIRD, seed=1),
    "a gain": lambda: sb.XavierUniform(sb.calculate_gain("leaky_relu", THIRD), seed=1),
}
SHAPES = {"convolution": (3, 7, 9), "norms": (64, 1), "window": (3, 2, 9)}


def bits(kind):
    shape = SHAPES.get(kind, (64, 65))
    made = []
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        try:
            values = SMALL[kind]().lazy(shape, dtype)
            made += [values[...].tobytes(), values[1::2].tobytes()]
        except ValueError as error:
            made.append(str(error))
    return made


@in_each_state
@pytest.mark.parametrize("kind", SMALL)
def test_small_values_are_the_same_in_every_state(kind, name):
    assert in_state(name, lambda: bits(kind)) == bits(kind)


@in_each_state
def test_threaded_orthogonal_matrices_are_the_same_in_every_state(name):
    before = sb.get_num_threads()
    sb.set_num_threads(3)
    try:
        single = in_state(name, lambda: sb.Orthogonal(seed=1)((700, 700), "float32"))
        double = in_state(name, lambda: sb.Orthogonal(seed=1)((700, 700), "float64"))
    finally:
        sb.set_num_threads(before)
    assert (single == sb.Orthogonal(seed=1)((700, 700), "float32")).all()
    assert (double == sb.Orthogonal(seed=1)((700, 700), "float64")).all()


@in_each_state
def test_a_fill_leaves_flags_and_state_as_they_were(name):
    recipe = rules.compiled("normal", (0.1, THIRD), np.dtype("float32"))
    out, matrix = np.empty(100_000, np.float32), np.empty((20, 20))

    def work():
        untouched = []
        for call in (
            lambda: recipe.fill(out, (bytes(32), 0), None, 2),
            lambda: _core.Recipe("uniform", (0.1, THIRD), "float32"),
            lambda: _core.Orthogonal(THIRD, "float64").fill(matrix, (20, 20), (bytes(32), 0), 2),
            lambda: _core.matmul(np.empty((20, 20)), matrix, matrix, 2),
        ):
            before = float_state.flags(), float_state.control()
            call()
            untouched.append((float_state.flags(), float_state.control()) == before)
        return untouched

    assert in_state(name, work) == [True] * 4

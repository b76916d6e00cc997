"""Hostile calls of the extension module itself: the result is right, or a documented error."""

import numpy as np
import pytest
from documents import outcome
from hypothesis import given
from hypothesis import strategies as st
from support.hostile import anything, floats, hostile

from seedbed import _core

unsigned = st.sampled_from([0, 1, 2, 7, 2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -1])

axes = st.lists(st.tuples(unsigned, unsigned, unsigned | st.integers(-(2**63), 2**63), unsigned), max_size=4)

ODD = {
    "not aligned": lambda: np.zeros(73, np.uint8)[1:].view("f8").reshape(3, 3),
    "by columns": lambda: np.zeros((3, 3), order="F"),
    "with gaps": lambda: np.zeros((3, 6))[:, ::2],
    "of the other byte order": lambda: np.zeros((3, 3), np.dtype("f8").newbyteorder()),
}


@hostile
@given(
    st.sampled_from([0, 1, 2, 7, 16]),
    st.sampled_from(["f4", "f8", "u2", "u4"]),
    st.sampled_from(["float16", "bfloat16", "float32", "float64", "float8"]),
    st.tuples(st.sampled_from(["uniform", "normal", "truncated_normal", ""]), st.tuples(floats, floats)),
    st.tuples(st.sampled_from([bytes(32), bytes(31), b""]), unsigned),
    axes | st.none() | anything,
    unsigned,
)
def test_any_call_of_the_extension_itself(size, memory, dtype, distribution, address, axes, threads):
    """Only the package calls it. It still checks everything that its memory safety depends on."""
    out = np.full(size, 7, memory)
    recipe = outcome(lambda: _core.Recipe(*distribution, dtype))
    if recipe is None or outcome(lambda: recipe.fill(out, address, axes, min(threads, 64)) or True) is None:
        assert (out == 7).all()
    outcome(lambda: _core.words(out, address, threads))


@pytest.mark.parametrize("kind", ODD)
def test_the_extension_refuses_unsuitable_memory(kind):
    odd = ODD[kind]()
    with pytest.raises(ValueError, match="out must"):
        _core.Recipe("normal", (0.0, 1.0), "float64").fill(odd, (bytes(32), 0), None, 1)
    with pytest.raises(ValueError, match="out must"):
        _core.Orthogonal(1.0, "float64").fill(odd, (3, 3), (bytes(32), 0), 1)
    for place in range(3):
        matrices = [np.ones((3, 3)) for _ in range(3)]
        matrices[place] = odd
        with pytest.raises(ValueError if odd.dtype.isnative else TypeError):
            _core.matmul(*matrices, 1)
    assert not odd.any()

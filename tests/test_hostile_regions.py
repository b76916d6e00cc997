"""Hostile indices, partitions and output arrays: the result is right, or a documented error."""

import itertools
import math

import numpy as np
import pytest
from documents import outcome
from hypothesis import given
from hypothesis import strategies as st
from support.hostile import FLOATS, anything, hostile, integers, shapes, small_shapes

import seedbed as sb

items = st.integers(-9, 9) | st.slices(9) | st.builds(slice, *[st.none() | st.integers(-10, 10) | integers] * 3)

indices = st.lists(items | st.just(...), max_size=5).map(tuple)

tensors = small_shapes.map(lambda shape: (shape, sb.RandomNormal(seed=7).lazy(shape), sb.RandomNormal(seed=7)(shape)))

MEMORY = {
    "as it should be": lambda memory: memory[64:112].view("f4").reshape(3, 4),
    "not aligned": lambda memory: memory[65:113].view("f4").reshape(3, 4),
    "by columns": lambda memory: memory[64:112].view("f4").reshape(4, 3).T,
    "with gaps": lambda memory: memory[64:160].view("f4").reshape(3, 8)[:, ::2],
    "backwards": lambda memory: memory[64:112].view("f4").reshape(3, 4)[::-1],
    "one for all": lambda memory: np.lib.stride_tricks.as_strided(memory[64:68].view("f4"), (3, 4), (0, 0)),
    "overlapping": lambda memory: np.lib.stride_tricks.as_strided(memory[64:].view("f4"), (3, 4), (4, 4)),
    "of another dtype": lambda memory: memory[64:112].view("i4").reshape(3, 4),
    "of the other byte order": lambda memory: memory[64:112].view(np.dtype("f4").newbyteorder()).reshape(3, 4),
    "of another shape": lambda memory: memory[64:112].view("f4").reshape(4, 3),
    "too small": lambda memory: memory[64:108].view("f4"),
    "masked": lambda memory: np.ma.array(memory[64:112].view("f4").reshape(3, 4), mask=True),
    "a matrix": lambda memory: np.asmatrix(memory[64:112].view("f4").reshape(3, 4)),
    "not an array": lambda memory: memory[64:112].data,
    "a list": lambda memory: [[0.0] * 4] * 3,
}


@hostile
@given(tensors, indices)
def test_any_index_of_integers_and_slices_is_numpys(tensor, index):
    _, lazy, whole = tensor
    want, made = outcome(lambda: whole[index]), outcome(lambda: lazy[index])
    assert (made is None) == (want is None)
    if want is not None:
        assert (made.shape, made.tobytes()) == (want.shape, want.tobytes())


@hostile
@given(tensors, anything | st.lists(anything | items, max_size=5).map(tuple))
def test_any_other_index_is_numpys_or_an_error(tensor, index):
    _, lazy, whole = tensor
    made = outcome(lambda: lazy[index])
    if made is not None:
        assert (made.shape, made.tobytes()) == (whole[index].shape, whole[index].tobytes())


@hostile
@given(st.lists(st.sampled_from([1, 3, 2**20, 2**31, 2**40, 2**62]), min_size=1, max_size=4), st.data())
def test_any_slice_of_a_tensor_larger_than_memory(shape, data):
    tensor = outcome(lambda: sb.RandomUniform(0.0, 1.0, seed=3).lazy(shape, "float64"))
    if tensor is None:
        return
    spans = [data.draw(st.builds(slice, *[st.none() | st.integers(-length - 2, length + 2)] * 3)) for length in shape]
    if any(span.step == 0 for span in spans):
        with pytest.raises(ValueError, match="zero"):
            tensor[tuple(spans)]
        return
    taken = [range(*span.indices(length)) for span, length in zip(spans, shape, strict=True)]
    if math.prod(len(indices) or 1 for indices in taken) > 1000:
        taken = [indices[-2:] if len(indices) > 2 else indices for indices in taken]
        spans = [
            slice(i[0], None if i[-1] + i.step < 0 else i[-1] + i.step, i.step) if i else slice(0, 0) for i in taken
        ]
    made = tensor[tuple(spans)]
    assert made.shape == tuple(map(len, taken))
    for position in itertools.islice(np.ndindex(made.shape) if made.size else (), 0, None, 7):
        assert made[position] == tensor[tuple(taken[axis][i] for axis, i in enumerate(position))]


@hostile
@given(small_shapes, st.data(), st.sampled_from(FLOATS))
def test_any_partition_is_a_slice_of_the_tensor_or_an_error(shape, data, dtype):
    wanted = st.tuples(*[st.integers(-1, length + 1) for length in shape]) | shapes
    part, offset = data.draw(wanted), data.draw(wanted | st.none())
    init = sb.TruncatedNormal(seed=5)
    made = outcome(lambda: init(shape, dtype, partition_shape=part, partition_offset=offset))
    if made is not None:
        starts = [0] * len(shape) if offset is None else [int(i) for i in np.ravel(offset)]
        counts = [int(n) for n in np.ravel(part)]
        cut = tuple(slice(start, start + count) for start, count in zip(starts, counts, strict=True))
        want = init(shape, dtype)[cut]
        assert (made.shape, made.tobytes()) == (want.shape, want.tobytes())


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("kind", MEMORY)
def test_any_out_is_written_exactly_or_refused(kind, writable):
    memory = np.full(256, 0xA5, np.uint8)
    memory.flags.writeable = writable
    out = MEMORY[kind](memory)
    init = sb.RandomNormal(seed=2)
    made = outcome(lambda: init((3, 4), out=out))
    fits = writable and kind in ("as it should be", "by columns", "masked", "a matrix")
    assert (made is not None) == fits
    if fits:
        assert made is out
        assert np.asarray(out).tobytes() == init((3, 4)).tobytes()
        assert (memory[:64] == 0xA5).all()
        assert (memory[112:] == 0xA5).all()
    else:
        assert (memory == 0xA5).all()

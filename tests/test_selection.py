"""Lists, arrays and masks in the index of a lazy tensor, and results in Fortran order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import seedbed as sb

INITIALIZERS = [sb.RandomNormal(seed=1), sb.Identity(2.0, stacked=True), sb.Orthogonal(seed=2), sb.STFT()]

SHAPE = (7, 6, 5)
ROWS = np.array([4, 0, 4, -1])
SELECTIONS = {
    "a list of rows": [5, 0, 5, -7],
    "rows, then a slice": ([5, 0], slice(None, None, -2)),
    "rows after an ellipsis": (..., [3, 1]),
    "a mask of rows": np.arange(7) % 3 == 0,
    "a mask of two axes": np.arange(42).reshape(7, 6) % 5 == 0,
    "a mask of all": np.arange(210).reshape(SHAPE) % 11 == 0,
    "an open mesh": np.ix_([4, 0], [5, 1, 2], [3, 3]),
    "an open mesh with a mask": np.ix_(np.arange(7) > 4, [5, 1]),
    "pairs": (ROWS, np.array([1, 5, 0, 2])),
    "pairs apart": (ROWS, slice(1, 4), np.array([1, 4, 0, 2])),
    "an integer apart": (3, slice(None), [1, 4]),
    "an integer next to a list": ([1, 4], 3),
    "two axes of rows": np.array([[1, 2], [3, 4]]),
    "triples": (np.arange(5), np.arange(5), np.arange(5)),
    "no rows": [],
    "unsigned": np.array([1, 2], np.uint8),
}


@pytest.mark.parametrize("init", INITIALIZERS, ids=repr)
@pytest.mark.parametrize("name", SELECTIONS)
def test_a_selection_is_what_numpy_selects(init, name):
    index = SELECTIONS[name]
    whole = init(SHAPE)
    numpys = np.array(index, int) if isinstance(index, list) else index
    selected = init.lazy(SHAPE)[index]
    assert selected.shape == whole[numpys].shape
    assert selected.dtype == whole.dtype
    assert (selected == whole[numpys]).all()


@given(st.data(), npst.array_shapes(min_dims=1, max_dims=4, max_side=6))
@settings(max_examples=200)
def test_any_integer_arrays_select_as_numpy_does(data, shape):
    init = sb.RandomUniform(seed=3)
    index = data.draw(npst.integer_array_indices(shape, result_shape=npst.array_shapes(max_dims=2, max_side=4)))
    assert (init.lazy(shape)[index] == init(shape)[index]).all()


def test_only_the_selected_rows_are_evaluated():
    t = sb.GlorotNormal(seed=42).lazy((2**40, 1000))
    rows = t[[5, 17, 10**9, 2**40 - 1]]
    assert (rows == np.stack([t[5], t[17], t[10**9], t[-1]])).all()
    corner = t[np.ix_([2**39, 3], [999, 0])]
    assert (corner == [[t[2**39, 999], t[2**39, 0]], [t[3, 999], t[3, 0]]]).all()
    points = t[[1, 2**38], [7, 8]]
    assert (points == [t[1, 7], t[2**38, 8]]).all()


@pytest.mark.parametrize(
    ("index", "error"),
    [
        ([7], "index 7 is out of bounds for axis 0 with size 7"),
        ((slice(None), [-7]), "index -7 is out of bounds for axis 1 with size 6"),
        ([0.5], "an array in an index must be of integers or bool"),
        (np.ones(6, bool), r"a mask must have the shape of its axes, \(7,\). Received: \(6,\)"),
        (([0, 1], [0, 1, 2]), "the arrays of an index must broadcast together"),
        (([0], 0, 0, 0), "too many indices"),
        (([0], ..., ...), "a single ellipsis"),
        (([0], "a"), "only integers, slices and one ellipsis"),
    ],
)
def test_a_bad_selection_is_an_error(index, error):
    with pytest.raises(IndexError, match=error):
        sb.RandomNormal(seed=1).lazy(SHAPE)[index]


@pytest.mark.parametrize("init", INITIALIZERS, ids=repr)
def test_a_result_in_fortran_order_has_the_same_values(init, monkeypatch):
    monkeypatch.setattr("seedbed.initializers.base.PIECE_BYTES", 64)
    out = np.empty(SHAPE, np.float32, order="F")
    assert init(SHAPE, out=out) is out
    assert (out == init(SHAPE)).all()
    part = np.empty((3, 4, 5), np.float32, order="F")
    init(SHAPE, out=part, partition_shape=(3, 4, 5), partition_offset=(2, 1, 0))
    assert (part == init(SHAPE)[2:5, 1:5]).all()
    with pytest.raises(ValueError, match="contiguous in C or Fortran order"):
        init(SHAPE, out=np.empty((7, 6, 10), np.float32)[:, :, ::2])

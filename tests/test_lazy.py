"""A slice of a lazy tensor has the bits of the tensor, and only the slice is computed."""

import time

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import seedbed as sb

INITIALIZERS = [
    sb.RandomUniform(-0.5, 1.5, seed=1),
    sb.RandomNormal(0.1, 2.0, seed=2),
    sb.TruncatedNormal(0.1, 2.0, seed=3),
    sb.VarianceScaling(2.0, "fan_out", "untruncated_normal", seed=4),
    sb.GlorotUniform(seed=-5),
    sb.LogUniform(0.01, 3.0, seed=6),
    sb.LogOfUniform(0.0, 3.0, seed=6),
    sb.InverseSoftplus(0.01, 3.0, seed=6, floor=0.5),
    sb.Zeros(),
    sb.Ones(),
    sb.Constant(0.25),
]
DTYPES = ["float16", ml_dtypes.bfloat16, "float32", "float64"]

MATRICES = [sb.Identity(-2.0), sb.Sparse(0.0, seed=6), sb.Sparse(0.3, 2.0, seed=7), sb.Sparse(1.0, seed=8)]
KERNELS = [sb.Dirac(), sb.Dirac(layout="torch"), sb.Bilinear(), sb.Bilinear("torch"), sb.Identity(2.0, stacked=True)]
WINDOWS = [sb.STFT("real", None), sb.STFT("imag", "hamming", "spectrum", periodic=True)]


def sides(rank, most=40):
    return npst.array_shapes(min_dims=rank, max_dims=rank, min_side=0, max_side=most)


def tensors(initializers, shapes):
    return st.tuples(st.sampled_from(initializers), shapes)


dtypes = st.sampled_from(DTYPES)
any_tensor = st.one_of(
    tensors(INITIALIZERS, npst.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=40)),
    tensors(MATRICES, sides(2)),
    tensors(KERNELS, st.integers(3, 5).flatmap(lambda rank: sides(rank, 9))),
    tensors([sb.Dirac(3)], sides(3, 9).map(lambda shape: (*shape[:-1], 3 * shape[-1]))),
    tensors(WINDOWS, sides(3).filter(lambda shape: shape[2] != 1)),
)


def same_bits(a, b):
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


@given(st.data(), any_tensor, dtypes)
@settings(max_examples=600)
def test_any_basic_index_has_the_values_of_the_tensor(data, tensor, dtype):
    init, shape = tensor
    index = data.draw(npst.basic_indices(shape, allow_newaxis=False))
    whole = init(shape, dtype)
    part = init.lazy(shape, dtype)[index]
    assert same_bits(part, whole[index])
    assert isinstance(part, np.ndarray) == isinstance(whole[index], np.ndarray)


@given(st.data(), any_tensor.filter(lambda tensor: tensor[1]), dtypes, st.integers(1, 7))
@settings(max_examples=300)
def test_parts_and_thread_counts_do_not_change_a_bit(data, tensor, dtype, threads):
    init, shape = tensor
    offset = tuple(data.draw(st.integers(0, n)) for n in shape)
    part = tuple(data.draw(st.integers(0, n - at)) for n, at in zip(shape, offset, strict=True))
    slices = tuple(slice(at, at + n) for n, at in zip(part, offset, strict=True))
    whole = init(shape, dtype)
    before = sb.get_num_threads()
    sb.set_num_threads(threads)
    try:
        assert same_bits(init(shape, dtype, partition_shape=part, partition_offset=offset), whole[slices])
        assert same_bits(init(shape, dtype), whole)
    finally:
        sb.set_num_threads(before)


def test_a_constant_array_can_be_sliced():
    init = sb.Constant([[1, 2, 3], [4, 5, 6]])
    assert init.lazy((4, 2, 3))[1:3, ::-1, 2].tolist() == [[6, 3], [6, 3]]


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("dtype", DTYPES)
def test_large_tensors_are_the_same_on_any_number_of_threads(threads, dtype):
    init = sb.TruncatedNormal(seed=9)
    before = sb.get_num_threads()
    try:
        sb.set_num_threads(1)
        one = init((701, 1009), dtype)
        sb.set_num_threads(threads)
        assert same_bits(init((701, 1009), dtype), one)
    finally:
        sb.set_num_threads(before)


@pytest.mark.parametrize(
    ("init", "shape", "index"),
    [
        (sb.Identity(), (10**9, 10**9), (slice(-3, None), slice(-3, None))),
        (sb.Dirac(), (10**3, 10**3, 10**6, 10**6), (500, 500, slice(-3, None), slice(-3, None))),
        (sb.STFT(window=None), (10**8, 10, 10**9), (slice(-3, None), 7, slice(-3, None))),
        (sb.Sparse(0.5, seed=1), (10, 10**17), (slice(-3, None), slice(-3, None))),
    ],
)
def test_a_corner_of_a_huge_tensor_is_immediate(init, shape, index):
    start = time.process_time()
    corner = init.lazy(shape)[index]
    assert time.process_time() - start < 2
    assert corner.shape == (3, 3)
    assert np.isfinite(corner).all()


def test_the_last_elements_of_a_huge_tensor_are_immediate():
    start = time.process_time()
    tail = sb.RandomNormal(seed=1).lazy((10**6, 10**6))[999_999, -5:]
    assert time.process_time() - start < 1
    flat = sb.RandomNormal(seed=1).lazy(10**12)
    assert same_bits(tail, flat[-5:])


def test_a_lazy_tensor_describes_itself():
    t = sb.HeNormal(seed=1).lazy((7, 5, 3), "float16")
    assert (t.shape, t.ndim, t.size, t.itemsize, t.nbytes, len(t)) == ((7, 5, 3), 3, 105, 2, 210, 7)
    assert t.dtype == np.float16
    assert repr(t) == "LazyArray(shape=(7, 5, 3), dtype=float16)"
    with pytest.raises(TypeError, match="unsized"):
        len(sb.Zeros().lazy(()))


def test_numpy_accepts_a_lazy_tensor_as_an_array():
    t = sb.HeNormal(seed=1).lazy((7, 5))
    assert same_bits(np.asarray(t), sb.HeNormal(seed=1)((7, 5)))
    assert np.asarray(t, dtype="float64").dtype == np.float64
    assert [row.tolist() for row in t] == np.asarray(t).tolist()
    with pytest.raises(ValueError, match="no memory of its own"):
        t.__array__(copy=False)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (7, "index 7 is out of bounds for axis 0 with size 7"),
        ((0, -6), "index -6 is out of bounds for axis 1 with size 5"),
        ((0, 0, 0), "too many indices"),
        ((..., ...), "single ellipsis"),
        (None, "only integers"),
        (True, "only integers"),
        (1.0, "only integers"),
        ([0.5, 1], "must be of integers or bool"),
        (np.array([True] * 8), "a mask must have the shape"),
    ],
)
def test_a_bad_index_is_an_index_error(index, message):
    with pytest.raises(IndexError, match=message):
        sb.Zeros().lazy((7, 5))[index]
    with pytest.raises(IndexError, match=message):
        sb.RandomUniform(seed=1).lazy((7, 5))[index]


def test_a_slice_with_a_step_of_zero_is_an_error():
    with pytest.raises(ValueError, match="step cannot be zero"):
        sb.Zeros().lazy(7)[::0]


@pytest.mark.parametrize("init", [sb.RandomNormal(seed=1), sb.Orthogonal(seed=1), sb.Sparse(0.5, seed=1)])
def test_a_lazy_tensor_is_iterated_by_rows(init):
    lazy = init.lazy((7, 5))
    for rows in (list(lazy), list(reversed(lazy))[::-1]):
        assert [row.tobytes() for row in rows] == [row.tobytes() for row in lazy[...]]
    assert list(sb.RandomNormal(seed=1).lazy((3,))) == sb.RandomNormal(seed=1)((3,)).tolist()


def test_iteration_computes_an_orthogonal_tensor_once():
    computed = []
    lazy = sb.Orthogonal(seed=1).lazy((50, 4))
    compute = lazy.rule.compute
    lazy.rule.compute = lambda out: computed.append(1) or compute(out)
    assert len(list(lazy)) == 50
    assert len(computed) == 1


def test_a_tensor_without_axes_cannot_be_iterated():
    lazy = sb.Ones().lazy(())
    for iterate in (iter, list, reversed, lambda lazy: 1 in lazy, len):
        with pytest.raises(TypeError):
            iterate(lazy)

"""Calls of initializers: shapes, dtypes, out=, parts, and refused arguments."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

import seedbed as sb

RANDOM = [sb.RandomNormal, sb.RandomUniform, sb.TruncatedNormal, sb.VarianceScaling, sb.GlorotNormal, sb.LecunUniform]


@pytest.mark.parametrize("shape", [(3, 4), [3, 4], np.array([3, 4]), (np.int64(3), 4.0), (n for n in (3, 4))])
def test_a_shape_may_be_any_sequence_of_whole_numbers(shape):
    assert sb.GlorotNormal(seed=1)(shape).shape == (3, 4)


@pytest.mark.parametrize("shape", [(), 5, np.int32(5), np.array(5), (0,), (3, 0, 2), [1] * 32])
def test_numbers_scalars_and_empty_tensors_are_shapes_too(shape):
    want = tuple(shape) if isinstance(shape, (tuple, list)) else (int(shape),)
    for init in (sb.HeUniform(seed=1), sb.Zeros()):
        assert init(shape).shape == want


@pytest.mark.parametrize("init", [sb.Zeros(), sb.RandomNormal(seed=1), sb.GlorotUniform(seed=1)])
@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ((2, -1), ValueError, r"each dimension of shape must be in \[0, 2\*\*63\). Received: shape=\(2, -1\)"),
        (-3, ValueError, "Received: shape=-3"),
        ((2, 1.5), ValueError, r"must be an integer. Received: shape=\(2, 1.5\)"),
        ((2, float("nan")), ValueError, "must be an integer"),
        ((2, float("inf")), ValueError, "must be an integer"),
        ((2, None), TypeError, r"must be an integer. Received: shape=\(2, None\)"),
        ((2, True), TypeError, "must be an integer"),
        ((2, "3"), TypeError, "must be an integer"),
        (None, TypeError, "shape must be an integer or a sequence of integers. Received: shape=None"),
        (np.array(True), TypeError, r"must be an integer. Received: shape=array\(True\)"),
        ("23", TypeError, "Received: shape='23'"),
        ((2**63,), ValueError, r"in \[0, 2\*\*63\)"),
        ((2**32, 2**31), ValueError, r"fewer than 2\*\*63 elements"),
        ((2**40, 0, 2**40), ValueError, r"fewer than 2\*\*63 elements, without counting dimensions of 0"),
    ],
)
def test_a_bad_shape_is_refused_before_a_draw_is_taken(init, shape, error, message):
    with pytest.raises(error, match=message):
        init(shape)
    with pytest.raises(error, match=message):
        init.lazy(shape)


def test_a_tensor_larger_than_memory_raises_memory_error():
    with pytest.raises(MemoryError):
        sb.RandomNormal(seed=1)((2**30, 2**20))


@pytest.mark.parametrize("cls", RANDOM)
@pytest.mark.parametrize("dtype", ["int32", "bool", np.int64, "uint8", np.longdouble, np.clongdouble])
def test_random_values_are_floating_point_or_complex(cls, dtype):
    accepted = "float16, bfloat16, float32, float64"
    rule = (
        f"complex type: one of {accepted}, complex64, complex128" if cls.makes_complex else f"type: one of {accepted}"
    )
    with pytest.raises(ValueError, match=rf"dtype must be a floating point .*{rule}\. Received"):
        cls(seed=1)((2, 2), dtype)


def test_a_default_dtype_is_real():
    with pytest.raises(ValueError, match="floatx must be one of float16, bfloat16, float32, float64"):
        sb.set_floatx("complex64")


@pytest.mark.parametrize(
    "dtype", ["flaot32", "str", object, "datetime64[s]", ">f4", 3, [1, 2], "float32,float32", ",f4", "(2,)f4", "f4\n"]
)
@pytest.mark.parametrize("init", [sb.Ones(), sb.HeNormal(seed=1)])
def test_an_unknown_dtype_is_a_value_error(init, dtype):
    with pytest.raises(ValueError, match="dtype must"):
        init((2, 2), dtype)


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32"), "<f4", "f", None])
def test_a_dtype_may_be_given_in_any_form(dtype):
    assert sb.HeNormal(seed=1)((2, 2), dtype).dtype == np.float32


def test_bfloat16_is_that_of_ml_dtypes():
    for dtype in ("bfloat16", ml_dtypes.bfloat16, np.dtype(ml_dtypes.bfloat16)):
        assert sb.HeNormal(seed=1)((2, 2), dtype).dtype == ml_dtypes.bfloat16
        assert sb.Ones()((2, 2), dtype).dtype == ml_dtypes.bfloat16


def test_without_ml_dtypes_only_bfloat16_is_an_error():
    program = """
import sys
sys.modules["ml_dtypes"] = None
import seedbed as sb
sb.GlorotNormal(seed=1)((2, 2), "float16")
try:
    sb.GlorotNormal(seed=1)((2, 2), "bfloat16")
except ImportError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "ml_dtypes" in said


def test_floatx_is_the_default_dtype():
    try:
        sb.set_floatx("float16")
        assert sb.floatx() == "float16"
        assert sb.GlorotNormal(seed=1)((2, 2)).dtype == np.float16
        assert sb.Zeros()((2, 2)).dtype == np.float16
    finally:
        sb.set_floatx("float32")
    for bad in ("int32", "float", None, np.float32):
        with pytest.raises(ValueError, match="floatx must be one of float16, bfloat16, float32, float64"):
            sb.set_floatx(bad)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_out_is_filled_and_returned(dtype):
    init = sb.GlorotNormal(seed=1)
    want = init((50, 40), dtype)
    out = np.empty_like(want)
    assert init((50, 40), out=out) is out
    assert out.tobytes() == want.tobytes()
    assert init((50, 40), dtype, out=out) is out


def test_out_may_be_part_of_a_larger_array_or_a_file(tmp_path):
    init = sb.HeUniform(seed=1)
    want = init((10, 40))
    large = np.zeros((30, 40), np.float32)
    init((10, 40), out=large[10:20])
    assert (large[10:20] == want).all()
    assert not large[:10].any()
    assert not large[20:].any()
    mapped = np.memmap(tmp_path / "w", np.float32, "w+", shape=(10, 40))
    init((10, 40), out=mapped)
    mapped.flush()
    assert (tmp_path / "w").read_bytes() == want.tobytes()


@pytest.mark.parametrize("init", [sb.Ones(), sb.RandomNormal(seed=1)])
def test_an_unsuitable_out_is_refused_and_left_unchanged(init):
    def refused(out, error, message, **more):
        before = np.array(out, copy=True)
        with pytest.raises(error, match=message):
            init((4, 6), out=out, **more)
        assert np.array_equal(np.asarray(out), before)

    refused(np.zeros((4, 5), np.float32), ValueError, r"shape of the result, \(4, 6\). Received: out.shape=\(4, 5\)")
    refused(np.zeros(24, np.float32), ValueError, "shape of the result")
    refused(np.zeros((4, 6), np.float64), ValueError, "dtype of the result", dtype="float32")
    refused(np.zeros((4, 6), ">f4"), ValueError, "byte order")
    refused(np.zeros((4, 12), np.float32)[:, ::2], ValueError, "contiguous")
    refused(np.zeros((4, 12), np.float32)[:, ::2], ValueError, "contiguous")
    refused(np.frombuffer(b"\0" * 97, np.float32, 24, 1).copy()[:0], ValueError, "shape of the result")
    unaligned = np.zeros(97, np.uint8)[1:].view(np.float32).reshape(4, 6)
    refused(unaligned, ValueError, "aligned")
    read_only = np.zeros((4, 6), np.float32)
    read_only.flags.writeable = False
    refused(read_only, ValueError, "writable")
    with pytest.raises(TypeError, match=r"out must be a NumPy array\. Received: list"):
        init((4, 6), out=[[0.0] * 6] * 4)


@pytest.mark.parametrize(
    ("part", "offset", "message"),
    [
        ((4,), None, "must lie within the shape"),
        ((4, 7), None, "must lie within the shape"),
        ((4, 3), (7, 0), "must lie within the shape"),
        ((4, 3), (0,), "must lie within the shape"),
        ((4, -3), (0, 0), "partition_shape"),
        ((4, 3), (0, -1), "partition_offset"),
        (None, (0, 0), "partition_offset must come with partition_shape"),
    ],
)
def test_a_part_outside_the_tensor_is_refused(part, offset, message):
    for init in (sb.Zeros(), sb.HeNormal(seed=1)):
        with pytest.raises(ValueError, match=message):
            init((10, 6), partition_shape=part, partition_offset=offset)


def test_fans_of_a_part_are_those_of_the_tensor():
    whole = sb.GlorotUniform(seed=1)((10_000, 50))
    part = sb.GlorotUniform(seed=1)((10_000, 50), partition_shape=(5, 50), partition_offset=(9_000, 0))
    assert (part == whole[9_000:9_005]).all()


@pytest.mark.parametrize(
    ("dtype", "init", "message"),
    [
        ("float16", sb.RandomNormal(stddev=8000.0), "finite float16 numbers"),
        ("float16", sb.RandomUniform(0, 1e5), "finite float16 numbers"),
        ("bfloat16", sb.RandomUniform(1.001, 1.002), "there must be a bfloat16 number that is at least minval"),
        ("float32", sb.TruncatedNormal(stddev=1e39), "finite float32 numbers"),
        ("float16", sb.Constant(1e5), "must be representable as float16"),
        ("uint8", sb.Constant(-1), "must be representable as uint8"),
        ("int32", sb.Constant(0.5), "must be representable as int32"),
    ],
)
def test_parameters_out_of_the_dtypes_range_are_refused(dtype, init, message):
    with pytest.raises(ValueError, match=message):
        init((2, 2), dtype)


def test_bounds_hold_as_numpy_compares_them():
    for dtype in ("float16", ml_dtypes.bfloat16, "float32", "float64"):
        for low, high in [(0, 1), (1, 1.1), (-0.1, 0.1), (0.1, 0.3)]:
            w = sb.RandomUniform(low, high, seed=2)((200_000,), dtype)
            assert (w < np.asarray(high).astype(dtype)).all()
            assert (w.astype("float64") < high).all()
            assert (w.astype("float64") >= low).all()
        w = sb.TruncatedNormal(0.3, 0.1, seed=2)((200_000,), dtype).astype("float64")
        assert (abs(w - 0.3) <= 0.2 + 1e-15).all()


def test_an_object_equal_to_a_framework_dtype_is_not_a_dtype():
    class Float32:
        name = "float32"

        def __eq__(self, other):
            return other == 1

        def __hash__(self):
            return 1

    assert sb.Zeros()((2,), Float32()).dtype == np.float32
    with pytest.raises(ValueError, match="dtype must"):
        sb.Zeros()((2,), 1)

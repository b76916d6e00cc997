"""Floats of eight bits: float32 values, rounded within the bounds; in plans, files and torch."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open

import seedbed as sb
from seedbed.checkpoint import verify_checkpoint, write_checkpoint
from seedbed.dtypes import FLOAT8
from seedbed.plan import parse_plan

FINITE = np.arange(256, dtype=np.uint8)

TENSORS = [
    (sb.Zeros(), (3, 4)),
    (sb.Ones(), (3, 4)),
    (sb.Constant(0.1), (3, 4)),
    (sb.Identity(-2.0), (3, 4)),
    (sb.Dirac(), (3, 4, 4)),
    (sb.Bilinear(), (4, 4, 1, 2)),
    (sb.STFT(), (40, 1, 21)),
    (sb.RandomNormal(0.1, 0.7, seed=1), (300, 500)),
    (sb.RandomUniform(-0.3, 1.1, seed=1), (300, 500)),
    (sb.TruncatedNormal(0.1, 0.7, seed=1), (300, 500)),
    (sb.TruncatedNormal(0.1, 0.7, seed=1, lower=1, upper=None), (300, 500)),
    (sb.HeNormal(seed=1), (3, 3, 20, 30)),
    (sb.InverseSoftplus(seed=1), (3000,)),
    (sb.Sparse(0.3, 1.0, seed=1), (30, 50)),
    (sb.Orthogonal(2.0, seed=1), (30, 50)),
    (sb.Orthogonal(2.0, seed=1, column_axis=0), (30, 5, 6)),
    (sb.ConvolutionOrthogonal2D(seed=1), (3, 3, 5, 6)),
    (sb.Blocks(sb.RandomNormal(), [((0,), "ones")], seed=1), (30, 50)),
]


def codes(values):
    return values.view(np.uint8)


def bounded(rounded, described):
    """Return the rounded values, clamped to the bounds."""
    low, high = described.minimum, described.maximum
    numbers = rounded.astype(float)
    moved = numbers if low is None else np.maximum(numbers, low)
    return (moved if high is None else np.minimum(moved, high)).astype(rounded.dtype)


@pytest.mark.parametrize("dtype", FLOAT8)
@pytest.mark.parametrize(("init", "shape"), TENSORS, ids=repr)
def test_values_are_those_of_float32_rounded_within_the_bounds(init, shape, dtype):
    made = init(shape, dtype)
    assert made.dtype == getattr(ml_dtypes, dtype)
    expected = bounded(init(shape).astype(made.dtype), init.describe(shape, dtype))
    assert (made.astype(float) == expected.astype(float)).all()
    assert (codes(init.lazy(shape, dtype)[1:, ...]) == codes(made[1:])).all()
    out = np.empty(shape, made.dtype)
    assert (codes(init(shape, out=out)) == codes(made)).all()


@pytest.mark.parametrize("dtype", FLOAT8)
def test_every_number_is_respected_as_a_bound(dtype):
    """The bounds are a number of the dtype and its second neighbour."""
    numbers = FINITE.view(getattr(ml_dtypes, dtype)).astype(float)
    numbers = np.unique(numbers[np.isfinite(numbers)])
    for low, middle, high in zip(numbers, numbers[1:], numbers[2:], strict=False):
        values = sb.RandomUniform(low, high, seed=1)((200,), dtype).astype(float)
        assert set(values) == {low, middle}
    assert numbers[-1] == float(ml_dtypes.finfo(dtype).max)


def test_zero_is_signed_only_if_the_dtype_has_signed_zeros():
    for dtype in FLOAT8:
        values = codes(sb.RandomNormal(stddev=1e-9, seed=1)((100,), dtype))
        assert set(values) == ({0} if dtype.endswith("fnuz") else {0, 0x80})


@pytest.mark.parametrize(
    ("init", "error"),
    [
        (sb.Zeros(), "0 must be representable as float8_e8m0fnu"),
        (sb.Identity(), "0 must be representable as float8_e8m0fnu"),
        (sb.Constant(-1.0), "value must be representable as float8_e8m0fnu"),
        (sb.RandomNormal(), "dtype must have a zero and negative numbers. Received: float8_e8m0fnu"),
        (sb.Orthogonal(), "dtype must have a zero and negative numbers. Received: float8_e8m0fnu"),
    ],
)
def test_values_that_are_no_powers_of_two_are_an_error(init, error):
    with pytest.raises(ValueError, match=error):
        init((3, 3), "float8_e8m0fnu")


def test_scales_may_be_powers_of_two():
    assert (codes(sb.Ones()((3,), "float8_e8m0fnu")) == 127).all()
    assert (codes(sb.Constant(8.0)((3,), "float8_e8m0fnu")) == 130).all()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: sb.Constant(500.0)((2,), "float8_e4m3fn"), "value must be representable as float8_e4m3fn"),
        (lambda: sb.RandomNormal(stddev=50.0)((2,), "float8_e4m3fn"), "the finite float8_e4m3fn numbers, up to 448"),
        (lambda: sb.RandomUniform(1.01, 1.02)((2,), "float8_e5m2"), "there must be a float8_e5m2 number"),
        (lambda: sb.Orthogonal(gain=200.0)((2, 2), "float8_e4m3"), "gain"),
        (lambda: sb.Zeros()((2,), "float4_e2m1fn"), "dtype must name an element type"),
        (lambda: sb.Zeros()((2,), "int4"), "dtype must name an element type"),
    ],
)
def test_impossible_parameters_are_an_error(make, error):
    with pytest.raises(ValueError, match=error):
        make()


def test_names_do_not_depend_on_what_was_imported():
    program = f"import seedbed as sb; print(*(sb.Zeros()((1,), dtype).dtype.name for dtype in {FLOAT8!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert tuple(done.stdout.split()) == FLOAT8


PLAN = """{"tensors": [
    {"name": "a", "shape": [30, 50], "dtype": "float8_e4m3fn", "initializer": "he_normal"},
    {"name": "b", "shape": [30, 50], "dtype": "float8_e5m2", "initializer": "orthogonal"},
    {"name": "scale", "shape": [1], "dtype": "float8_e8m0fnu", "initializer": "ones"}]}"""


def test_plans_and_files_support_them(tmp_path):
    plan = parse_plan(PLAN)
    path = tmp_path / "model.safetensors"
    write_checkpoint(plan, path, seed=42)
    assert not verify_checkpoint(plan, path).differences
    with safe_open(path, framework="np") as file:
        slices = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    assert slices == {"a": "F8_E4M3", "b": "F8_E5M2", "scale": "F8_E8M0"}
    header = int.from_bytes(path.read_bytes()[:8], "little")
    data = path.read_bytes()[8 + header :]
    expected = sb.HeNormal(seed=sb.SeedGenerator(42).child("a"))((30, 50), "float8_e4m3fn")
    assert expected.tobytes() in data


def test_torch_tensors_support_them():
    torch = pytest.importorskip("torch")
    import seedbed.torch

    init = sb.HeNormal(seed=1, layout="torch")
    for name in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"):
        for strided in (torch.zeros(30, 40), torch.zeros(40, 30).t(), torch.zeros(60, 40)[::2]):
            tensor = seedbed.torch.fill_(strided.to(getattr(torch, name)), init)
            made = tensor.contiguous().view(torch.uint8).numpy()
            assert (made == codes(init((30, 40), name))).all()
    seedbed.torch.fill_(torch.zeros(3, dtype=torch.bool), sb.Ones())

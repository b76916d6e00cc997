"""Complex normals with a mean, and truncated ones."""

import numpy as np
import pytest

import seedbed as sb

SHAPE = (300, 400)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("cls", [sb.RandomNormal, sb.TruncatedNormal])
def test_a_mean_is_added_to_each_part(cls, dtype):
    moved, plain = (cls(mean, 0.5, seed=1)(SHAPE, dtype) for mean in (1 - 2j, 0.0))
    assert (moved == plain + np.array(1 - 2j, dtype)).all()
    assert (cls(1 - 2j, 0.5, seed=1).lazy(SHAPE, dtype)[5:9, ::3] == moved[5:9, ::3]).all()


def test_stddev_is_the_one_before_truncation():
    w = sb.TruncatedNormal(3j, 0.5, seed=1)((1000, 1000), "complex128")
    assert abs(w - 3j).max() <= 1.0 + 1e-15
    described = sb.TruncatedNormal(3j, 0.5).describe((2,), "complex128")
    assert described.mean == 3j
    assert np.sqrt((abs(w - 3j) ** 2).mean()) == pytest.approx(described.stddev, rel=2e-3)
    assert described.stddev == pytest.approx(0.5 * np.sqrt(1 - 4 * np.exp(-4) / (1 - np.exp(-4))), rel=1e-15)


def test_a_normal_without_bounds_is_the_normal():
    unbounded = sb.TruncatedNormal(1j, 0.5, seed=1, lower=None, upper=None)(SHAPE, "complex64")
    assert (unbounded == sb.RandomNormal(1j, 0.5, seed=1)(SHAPE, "complex64")).all()


def test_a_complex_mean_survives_its_configuration():
    init = sb.RandomNormal(1 - 2j, 0.5, seed=1)
    assert init.get_config()["mean"] == {"real": 1.0, "imag": -2.0}
    assert sb.deserialize(sb.serialize(init)) == init
    assert sb.RandomNormal(np.complex64(2)).mean == 2.0


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: sb.RandomNormal(1j)((2,)), "mean must be real for a dtype that is not complex"),
        (lambda: sb.TruncatedNormal(1j)((2,)), "mean must be real for a dtype that is not complex"),
        (lambda: sb.TruncatedNormal(lower=-3)((2,), "complex64"), "lower and upper must be -2 and 2, or None"),
        (lambda: sb.RandomNormal(3e38, 1e38)((2,), "complex64"), "values must be within the finite complex64 numbers"),
        (lambda: sb.RandomNormal(complex("nan")), "mean must be a finite number"),
    ],
)
def test_impossible_parameters_are_an_error(make, error):
    with pytest.raises(ValueError, match=error):
        make()

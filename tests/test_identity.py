"""Identity, Dirac and Bilinear."""

import ml_dtypes
import numpy as np
import pytest

import seedbed as sb


def test_a_stack_of_identity_matrices_is_an_explicit_choice():
    stack = sb.Identity(2.0, stacked=True)((3, 4, 5))
    assert (stack == 2 * np.eye(4, 5)).all()
    assert (sb.Identity(stacked=True)((4, 5)) == np.eye(4, 5)).all()
    with pytest.raises(ValueError, match=r"must be of rank 2, or more with stacked=True. Received: shape=\(3, 4, 5\)"):
        sb.Identity()((3, 4, 5))
    with pytest.raises(ValueError, match="must be of rank 2 or more"):
        sb.Identity(stacked=True)((3,))
    with pytest.raises(TypeError, match="stacked must be True or False"):
        sb.Identity(stacked=1)


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_a_bilinear_kernel_interpolates(factor):
    """A transposed convolution with the stride of the kernel maps a straight line to a straight line."""
    size = 2 * factor - factor % 2
    kernel = sb.Bilinear()((size, 1, 1), "float64")[:, 0, 0]
    up = np.zeros(9 * factor + size)
    for place, value in enumerate(range(9)):
        up[place * factor : place * factor + size] += value * kernel
    assert np.diff(up[size : 8 * factor]) == pytest.approx(1 / factor)
    plane = sb.Bilinear("torch")((2, 3, size, size), "float64")
    assert (plane == np.outer(*[sb.Bilinear()((size, 1, 1), "float64")[:, 0, 0]] * 2)).all()


DTYPES = ["float16", "bfloat16", "float32", "float64", "int8", "uint64", "bool", "complex64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (1, 7), (0, 3), (3, 0)])
def test_the_identity_is_numpys_in_every_dtype(shape, dtype):
    made = sb.Identity()(shape, dtype)
    assert made.dtype == (ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype))
    assert made.astype("complex64").tolist() == np.eye(*shape).tolist()


def test_the_gain_is_on_the_diagonal_and_in_the_configuration():
    init = sb.Identity(gain=-2.5)
    assert (init((3, 4)) == -2.5 * np.eye(3, 4)).all()
    assert init.get_config() == {"gain": -2.5}
    assert sb.Identity.from_config(init.get_config()) == init
    assert sb.Identity(3)((2, 2), "int16").tolist() == [[3, 0], [0, 3]]
    assert not sb.Identity(0)((3, 3), bool).any()


@pytest.mark.parametrize(
    ("gain", "dtype"), [(0.5, "int32"), (2, bool), (-1, "uint8"), (1e5, "float16"), (256, "uint8"), (1e39, "bfloat16")]
)
def test_a_gain_the_dtype_cannot_represent_is_an_error(gain, dtype):
    with pytest.raises(ValueError, match=r"gain must be representable as .*\. Received: gain="):
        sb.Identity(gain)((3, 3), dtype)


@pytest.mark.parametrize(
    ("gain", "kind"),
    [
        (None, TypeError),
        ("1", TypeError),
        (True, TypeError),
        ([1], TypeError),
        (1j, TypeError),
        (np.nan, ValueError),
        (np.inf, ValueError),
    ],
)
def test_a_gain_that_is_not_finite_is_refused_at_once(gain, kind):
    with pytest.raises(kind, match="gain must be a finite number"):
        sb.Identity(gain)


@pytest.mark.parametrize("shape", [(), (3,), (3, 3, 3)])
def test_an_identity_must_be_a_matrix(shape):
    for make in (sb.Identity(), sb.Identity().lazy):
        with pytest.raises(ValueError, match="must be of rank 2, or more with stacked=True"):
            make(shape)


def convolve(x, kernel, groups):
    """Convolve signals of shape (length, in), padded to the same length."""
    length, width = x.shape[0], kernel.shape[0]
    padded = np.pad(x, ((width // 2, width - 1 - width // 2), (0, 0)))
    ins, outs = kernel.shape[1], kernel.shape[2] // groups
    return np.concatenate(
        [
            sum(
                padded[t : t + length, g * ins : (g + 1) * ins] @ kernel[t, :, g * outs : (g + 1) * outs]
                for t in range(width)
            )
            for g in range(groups)
        ],
        axis=1,
    )


@pytest.mark.parametrize("width", [1, 3, 4, 5])
@pytest.mark.parametrize(("groups", "inputs", "outputs"), [(1, 4, 4), (1, 4, 2), (1, 2, 5), (2, 3, 6), (3, 2, 9)])
def test_a_convolution_with_a_dirac_kernel_copies_its_inputs(width, groups, inputs, outputs):
    x = np.random.default_rng(1).standard_normal((11, groups * inputs))
    y = convolve(x, sb.Dirac(groups)((width, inputs, outputs), "float64"), groups)
    for g in range(groups):
        per_group = outputs // groups
        for d in range(per_group):
            want = x[:, g * inputs + d] if d < inputs else 0
            assert (y[:, g * per_group + d] == want).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("spatial", [(5,), (3, 4), (1, 2, 3)])
def test_the_layouts_are_the_same_kernel_with_its_axes_moved(spatial, groups, dtype):
    keras = sb.Dirac(groups)((*spatial, 3, 8), dtype)
    torchs = sb.Dirac(groups, layout="torch")((8, 3, *spatial), dtype)
    assert (np.moveaxis(keras, (-1, -2), (0, 1)) == torchs).all()
    assert np.count_nonzero(keras) == groups * min(3, 8 // groups)
    at = tuple(n // 2 for n in spatial)
    assert all(keras[(*at, d, d)] == 1 for d in range(3))


@pytest.mark.parametrize("shape", [(0, 2, 2), (3, 0, 2), (3, 2, 0)])
def test_a_kernel_may_be_empty(shape):
    assert sb.Dirac()(shape).shape == shape


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: sb.Dirac(0), ValueError, "groups must be a positive integer. Received: groups=0"),
        (lambda: sb.Dirac("1"), TypeError, "groups must be a positive integer"),
        (lambda: sb.Dirac(layout="tf"), ValueError, "layout must be one of keras, torch"),
        (lambda: sb.Dirac()((3, 3)), ValueError, r"Dirac kernel must be of rank 3, 4 or 5. Received: shape=\(3, 3\)"),
        (lambda: sb.Dirac().lazy((1,) * 6), ValueError, "of rank 3, 4 or 5"),
        (
            lambda: sb.Dirac(2)((3, 3, 3)),
            ValueError,
            r"groups must divide the outputs. Received: groups=2, shape=\(3, 3, 3\)",
        ),
        (lambda: sb.Dirac(2, "torch")((3, 4, 4)), ValueError, "groups must divide the outputs"),
    ],
)
def test_bad_dirac_arguments_are_errors(make, kind, message):
    with pytest.raises(kind, match=message):
        make()

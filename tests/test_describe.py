"""`describe`: fans, moments and bounds by formula, against the elements of the tensors.

Samples have a mean and a standard deviation within 5 standard errors of these: of n normal values the errors are
s / sqrt(n) and s / sqrt(2 n).
"""

import inspect
import math

import mpmath
import numpy as np
import pytest

import seedbed as sb
from seedbed.compat import v1, v2

SHAPE = (300, 400)

SAMPLED = [
    (sb.RandomNormal(0.3, 0.2, seed=1), SHAPE),
    (sb.RandomUniform(-0.1, 0.7, seed=1), SHAPE),
    (sb.TruncatedNormal(0.1, 0.5, seed=1), SHAPE),
    (sb.TruncatedNormal(0.1, 0.5, seed=1, lower=-0.5, upper=3), SHAPE),
    (sb.TruncatedNormal(0.1, 0.5, seed=1, lower=6, upper=None), SHAPE),
    (sb.TruncatedNormal(0.1, 0.5, seed=1, lower=None, upper=-1), SHAPE),
    (sb.LogUniform(0.3, 7.0, seed=1), SHAPE),
    (sb.LogOfUniform(seed=1), SHAPE),
    (sb.LogOfUniform(0.0, 0.5, seed=1), SHAPE),
    (sb.InverseSoftplus(seed=1), SHAPE),
    (sb.InverseSoftplus(0.01, 10.0, seed=1, floor=0.05), SHAPE),
    (sb.VarianceScaling(0.7, "fan_geo_avg", "untruncated_normal", seed=1), SHAPE),
    (sb.GlorotNormal(seed=1), SHAPE),
    (sb.GlorotUniform(seed=1), SHAPE),
    (sb.HeNormal(seed=1), (3, 3, 64, 200)),
    (sb.HeUniform(seed=1, layout="torch"), (200, 64, 3, 3)),
    (sb.LecunNormal(seed=1, groups=4), SHAPE),
    (sb.LecunUniform(seed=1), SHAPE),
    (sb.XavierNormal(2.0, seed=1), SHAPE),
    (sb.XavierUniform(2.0, seed=1), SHAPE),
    (sb.KaimingNormal(seed=1), SHAPE),
    (sb.KaimingUniform(0.5, seed=1), SHAPE),
    (sb.UniformUnitScaling(1.43, seed=1), (100_000,)),
    (sb.Sparse(0.37, 0.1, seed=1), SHAPE),
    (sb.Sparse(0.37, 0.1, seed=1, mean=2.0), SHAPE),
    (sb.VarianceScaling(2.0, "spectral", "untruncated_normal", seed=1), (400, 300)),
    (sb.KaimingNormal(nonlinearity="gelu", seed=1), SHAPE),
    (sb.Orthogonal(3.0, seed=1), SHAPE),
    (sb.Orthogonal(-3.0, seed=1, column_axis=0), (30, 40, 100)),
    (sb.DeltaOrthogonal(0.5, seed=1), (3, 100, 200)),
    (sb.DeltaOrthogonal(0.5, seed=1, column_axis=0), (3, 100, 200)),
    (sb.ConvolutionOrthogonal1D(0.5, seed=1), (5, 100, 120)),
    (sb.ConvolutionOrthogonal2D(0.5, seed=1), (3, 3, 60, 80)),
    (sb.ConvolutionOrthogonal3D(0.5, seed=1), (2, 2, 2, 60, 80)),
    (sb.Blocks(sb.RandomNormal(), [(np.s_[:100], "ones"), (np.s_[50:150], "glorot_uniform")], seed=1), SHAPE),
    (sb.Blocks("zeros", [(np.s_[::2, 100:], sb.RandomNormal(1.0)), (np.s_[::-3], sb.Constant(2.0))], seed=1), SHAPE),
    (v1.RandomUniform(-3, 7, seed=1, dtype="int32"), SHAPE),
    (v2.GlorotNormal(seed=1), SHAPE),
]

GIVEN = [
    (sb.Zeros(), (3, 4)),
    (sb.Ones(), (3, 4)),
    (sb.Constant(0.1), (3, 4)),
    (sb.Constant([[0.1], [-3.0], [7.5]]), (2, 3, 4)),
    (sb.Identity(-0.3), (3, 5)),
    (sb.Identity(2.0), (1, 1)),
    (sb.Identity(3.0, stacked=True), (3, 4, 6)),
    (sb.Bilinear(), (4, 5, 2, 3)),
    (sb.Bilinear("torch"), (2, 3, 4)),
    (sb.Dirac(), (3, 4, 6)),
    (sb.Dirac(2, layout="torch"), (10, 3, 5)),
    (sb.STFT(), (40, 3, 21)),
    (sb.STFT("imag", window=None), (40, 1, 21)),
    (v1.Constant([1, 2, 3, 4]), (2, 2)),
]


def of(initializer, shape, dtype):
    values = initializer(shape, dtype)
    assert values.size
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64), initializer.describe(shape, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("initializer", "shape"), SAMPLED, ids=repr)
def test_moments_are_those_of_samples(initializer, shape, dtype):
    if isinstance(initializer, v1.RandomUniform):
        dtype = "int32"
    values, described = of(initializer, shape, dtype)
    n, rounding = values.size, {"float32": 1e-6, "float16": 1e-3, "int32": 0}[dtype]
    stddev = described.stddev
    assert abs(values.mean() - described.mean) < 5 * stddev / math.sqrt(n) + rounding * stddev
    spread = math.sqrt((((values - described.mean) ** 2 - stddev**2) ** 2).mean()) / (2 * stddev)
    tolerance = 5 * max(spread, stddev / math.sqrt(2)) / math.sqrt(n)
    root = math.sqrt(((values - described.mean) ** 2).mean())
    assert abs(root - stddev) < tolerance + rounding * stddev
    assert described.minimum is None or described.minimum <= values.min()
    assert described.maximum is None or described.maximum >= values.max()


@pytest.mark.parametrize(("initializer", "shape"), GIVEN, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_given_elements_are_described_exactly(initializer, shape, dtype):
    values, described = of(initializer, shape, dtype)
    assert described.mean == pytest.approx(values.mean(), rel=1e-13, abs=1e-16)
    assert described.stddev == pytest.approx(values.std(), rel=1e-13, abs=1e-16)
    assert (described.minimum, described.maximum) == (values.min(), values.max())


@pytest.mark.parametrize(
    ("initializer", "value"),
    [
        (sb.LogUniform(0.3, 0.3), 0.3),
        (sb.LogOfUniform(0.3, 0.3), math.log(0.3)),
        (sb.InverseSoftplus(0.3, 0.3), math.log(math.expm1(0.3))),
        (sb.InverseSoftplus(0.1, 0.2, floor=5.0), math.log(math.expm1(5.0))),
    ],
)
def test_one_value_has_no_deviation(initializer, value):
    described = initializer.describe((3,), "float64")
    assert described.stddev == 0
    assert described.mean == pytest.approx(value, rel=1e-15)
    assert described.minimum == described.maximum == initializer((3,), "float64")[2] == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_bounds_are_the_extreme_numbers_of_the_dtype(dtype):
    for initializer, low, high in [
        (sb.RandomUniform(0.1, 0.7, seed=1), 0.1, 0.7),
        (sb.TruncatedNormal(0.5, 0.1, seed=1), 0.3, 0.7),
        (sb.TruncatedNormal(0.5, 0.1, seed=1, lower=-1, upper=3), 0.4, 0.8),
    ]:
        described = initializer.describe((2,), dtype)
        number = np.zeros((), initializer.as_dtype(dtype)).dtype.type
        assert low <= described.minimum < described.maximum <= high + 1e-16
        assert float(number(described.minimum)) == described.minimum
        assert float(number(described.maximum)) == described.maximum
    described = sb.TruncatedNormal(0.5, 0.1, lower=None, upper=3).describe((2,), dtype)
    assert described.minimum is None
    assert described.maximum <= 0.8
    assert sb.RandomNormal(1 / 3, 0.0).describe((2,), dtype).minimum == float(sb.Constant(1 / 3)((1,), dtype)[0])


def test_the_standard_deviation_is_that_after_truncation():
    init = sb.GlorotNormal(seed=42)
    assert init.describe((64, 192)).stddev == pytest.approx(math.sqrt(2 / 256), rel=1e-15)
    assert sb.TruncatedNormal(stddev=1.0).describe((2,)).stddev == pytest.approx(0.87962566103423978, rel=1e-15)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [(-2.0000001, 2), (-1, 0.5), (0, math.inf), (-math.inf, 3), (6, 7), (6, 6 + 1e-9), (30, math.inf), (-37, -36.9)],
)
def test_truncated_moments_are_exact(lower, upper):
    """Compare with closed forms in mpmath, which lose fewer than their 400 digits to cancellation."""
    with mpmath.workdps(400):
        a, b = mpmath.mpf(lower), mpmath.mpf(upper)
        density = lambda x: mpmath.npdf(x) if mpmath.isfinite(x) else mpmath.mpf(0)  # noqa: E731
        times = lambda x: x * density(x) if mpmath.isfinite(x) else mpmath.mpf(0)  # noqa: E731
        mass = mpmath.ncdf(b) - mpmath.ncdf(a) if a < 0 else mpmath.ncdf(-a) - mpmath.ncdf(-b)
        mean = (density(a) - density(b)) / mass
        variance = 1 + (times(a) - times(b)) / mass - mean**2
        expected = float(mean), float(mpmath.sqrt(variance))
    described = sb.TruncatedNormal(0.0, 1.0, lower=lower, upper=upper).describe((2,), "float64")
    assert (described.mean, described.stddev) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_tensors_have_the_variance_and_no_order(dtype):
    for initializer in (sb.GlorotNormal(seed=1), sb.HeUniform(seed=1), sb.RandomNormal(stddev=0.3, seed=1)):
        values, described = of(initializer, SHAPE, dtype)
        assert math.sqrt((abs(values) ** 2).mean()) == pytest.approx(described.stddev, rel=0.01)
        assert described[-2:] == (None, None)
    described = sb.Constant([1 + 2j, 3]).describe((2,), dtype)
    assert described == (None, None, 2 + 1j, math.sqrt(2), None, None)


def test_fans_are_the_initializers():
    kernel = (3, 3, 64, 128)
    assert sb.HeNormal().describe(kernel)[:2] == (576, 1152)
    assert sb.HeNormal(groups=4).describe(kernel)[:2] == (576, 288)
    assert sb.KaimingNormal(layout="torch").describe((128, 64, 3, 3))[:2] == (576, 1152)
    assert sb.UniformUnitScaling().describe((7,))[:2] == sb.UniformUnitScaling().fans((7,)) == (1, 7)
    assert sb.RandomNormal().describe(kernel)[:2] == sb.Orthogonal().describe(kernel)[:2] == (None, None)


def test_a_description_is_readable():
    described = sb.VarianceScaling(64.0, "fan_in", "uniform").describe((64, 192))
    assert str(described).splitlines()[:4] == ["fan_in   64", "fan_out  192", "mean     0.0", "stddev   1.0"]
    assert repr(sb.RandomNormal().describe(3)) == (
        "Description(fan_in=None, fan_out=None, mean=0.0, stddev=0.05, minimum=None, maximum=None)"
    )
    assert str(sb.RandomNormal().describe(3)).splitlines()[-1] == "maximum  -"


def test_describe_takes_no_draw_and_raises_the_errors_of_a_call():
    generator = sb.SeedGenerator(1)
    sb.GlorotNormal(generator).describe((3, 3))
    sb.Orthogonal(seed=generator).describe((3, 3))
    assert generator.draws == 0
    for initializer, shape, dtype, message in [
        (sb.GlorotNormal(), (3, 3), "int32", "dtype must be"),
        (sb.Orthogonal(), (3,), None, "at least two-dimensional"),
        (sb.HeNormal(groups=2), (3, 3), None, "groups must divide"),
        (sb.RandomNormal(stddev=1e5), (3,), "float16", "finite float16"),
        (sb.Constant([1, 2]), (3,), None, "broadcast"),
        (sb.Identity(0.5), (3, 3), "int32", "representable"),
        (sb.STFT(), (3, 3), None, "time, channels, frequencies"),
    ]:
        with pytest.raises(ValueError, match=message):
            initializer.describe(shape, dtype)


def test_moments_of_tensors_without_elements():
    for initializer in (sb.Zeros(), sb.Identity(), sb.Orthogonal()):
        assert initializer.describe((0, 3)) == (None,) * 6
    assert sb.GlorotNormal().describe((0, 3)).fan_out == 3
    assert sb.Sparse(0.5).describe((0, 3)).mean == 0
    assert sb.Sparse(1.0).describe((5, 3))[2:] == (0, 0, 0, 0)


def test_partly_covered_uneven_blocks_have_no_known_mean():
    blocks = sb.Blocks("zeros", [(np.s_[:, :2], sb.Identity()), (np.s_[0, 0], "ones")])
    assert blocks.describe((4, 4)) == (None, None, None, None, 0, 1)
    covered = sb.Blocks(sb.RandomNormal(), [(..., "ones")])
    assert covered.describe((4, 4)) == (None, None, 1, 0, 1, 1)


def test_norms_are_described_as_not_negative():
    norms = sb.Norms("he_normal", (30, 40), seed=1)
    assert norms.describe((30, 1)) == (None, None, None, None, 0, None)
    assert sb.Norms("ones", (0, 40)).describe((0, 1)) == (None,) * 6


def test_many_overlapping_blocks_do_not_hang():
    blocks = [(np.s_[i : 400 - i, 2 * i :: 3], sb.Constant(float(i))) for i in range(60)]
    initializer = sb.Blocks("zeros", blocks)
    described = initializer.describe((400, 500))
    assert described.maximum == 59
    assert described.mean is None or described.mean == pytest.approx(initializer((400, 500)).mean(), rel=1e-5)


def test_every_initializer_is_described():
    tested = {type(initializer) for initializer, _ in SAMPLED + GIVEN} | {sb.Norms}
    classes = {getattr(sb, name) for name in sb.__all__ if inspect.isclass(getattr(sb, name))}
    assert {cls for cls in classes if issubclass(cls, sb.Initializer) and not inspect.isabstract(cls)} <= tested


def test_a_user_defined_initializer_has_no_known_moments():
    class Halves(sb.Initializer):
        def rule(self, shape, dtype):
            return sb.Constant(0.5).rule(shape, dtype)

    assert Halves().describe((3,)) == (None,) * 6

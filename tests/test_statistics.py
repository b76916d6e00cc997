"""Values compared with their exact distributions.

Every sample has n = 10^6 elements, and every test rejects a true hypothesis with probability ALPHA: all of them
together, fewer than 350, with less than 10^-4. (The seeds are fixed, so the results are always the same.)
"""

import math
from itertools import combinations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

import seedbed as sb

ALPHA = 1e-4 / 350
MAX_DEVIATIONS = stats.norm.isf(ALPHA / 2)
SHAPE = (500, 2000)
N = math.prod(SHAPE)

SCALE, FAN_IN = 2.0, 500
DEVIATION = math.sqrt(SCALE / FAN_IN)
LIMIT = math.sqrt(3) * DEVIATION
XAVIER = math.sqrt(6 / 2500)
KAIMING = math.sqrt(3 * 0.4 / 500)
UNIT = math.sqrt(3 / 500)
BEFORE_TRUNCATION = DEVIATION / stats.truncnorm(-2, 2).std()

EXACT = {
    "RandomNormal": (sb.RandomNormal(-1.5, 3.0, seed=11), stats.norm(-1.5, 3.0)),
    "RandomUniform": (sb.RandomUniform(-0.25, 0.75, seed=12), stats.uniform(-0.25, 1.0)),
    "TruncatedNormal": (sb.TruncatedNormal(0.5, 0.25, seed=13), stats.truncnorm(-2, 2, 0.5, 0.25)),
    "VarianceScaling, truncated": (
        sb.VarianceScaling(SCALE, "fan_in", "truncated_normal", seed=14),
        stats.truncnorm(-2, 2, 0, BEFORE_TRUNCATION),
    ),
    "VarianceScaling, untruncated": (
        sb.VarianceScaling(SCALE, "fan_in", "untruncated_normal", seed=15),
        stats.norm(0, DEVIATION),
    ),
    "VarianceScaling, uniform": (
        sb.VarianceScaling(SCALE, "fan_in", "uniform", seed=16),
        stats.uniform(-LIMIT, 2 * LIMIT),
    ),
    "VarianceScaling, fan_geo_avg": (
        sb.VarianceScaling(SCALE, "fan_geo_avg", "untruncated_normal", seed=22),
        stats.norm(0, math.sqrt(SCALE / 1000)),
    ),
    "XavierUniform": (sb.XavierUniform(3.0, seed=23), stats.uniform(-3 * XAVIER, 6 * XAVIER)),
    "XavierNormal": (sb.XavierNormal(3.0, seed=24), stats.norm(0, 3 * math.sqrt(2 / 2500))),
    "KaimingUniform": (sb.KaimingUniform(2.0, seed=25), stats.uniform(-KAIMING, 2 * KAIMING)),
    "KaimingNormal": (
        sb.KaimingNormal(mode="fan_out", nonlinearity="tanh", seed=26),
        stats.norm(0, 5 / 3 / math.sqrt(2000)),
    ),
    "UniformUnitScaling": (
        sb.UniformUnitScaling(1.43, seed=27),
        stats.uniform(-1.43 * UNIT, 2 * 1.43 * UNIT),
    ),
}


def check_uncorrelated(x, y):
    """The correlation of two independent samples has the standard deviation 1 / sqrt(n)."""
    correlation = np.corrcoef(x.ravel(), y.ravel())[0, 1]
    assert abs(correlation) * math.sqrt(x.size) < MAX_DEVIATIONS, f"correlation {correlation:.5f}"


def kolmogorov_smirnov(sample, exact):
    """The p-value of a sample of rounded numbers.

    Numbers nearer to v than to the next number are rounded to v, so the exact distribution is evaluated at the
    midpoints. (So the test is exact for dtypes of few numbers too. Above the greatest value, both are 1.)
    """
    values, counts = np.unique(sample, return_counts=True)
    middles = (values[:-1].astype(float) + np.nextafter(values[:-1], values[-1]).astype(float)) / 2
    distance = np.abs(np.cumsum(counts)[:-1] / sample.size - exact.cdf(middles)).max()
    return stats.kstwobign.sf(distance * math.sqrt(sample.size))


@pytest.fixture(scope="module", params=EXACT)
def initializer_and_exact(request):
    return EXACT[request.param]


@pytest.fixture(scope="module", params=["float16", "bfloat16", "float32", "float64"])
def sample_and_exact(request, initializer_and_exact):
    initializer, exact = initializer_and_exact
    return initializer(SHAPE, request.param), exact


def test_the_mean_is_exact(sample_and_exact):
    sample, exact = sample_and_exact
    deviations = (sample.mean(dtype=float) - exact.mean()) / (exact.std() / math.sqrt(N))
    assert abs(deviations) < MAX_DEVIATIONS


def test_the_variance_is_exact(sample_and_exact):
    sample, exact = sample_and_exact
    error = math.sqrt((exact.stats("k") + 2) / N)  # relative, of the variance of n elements
    deviations = (sample.var(dtype=float) / exact.var() - 1) / error
    assert abs(deviations) < MAX_DEVIATIONS


def test_the_sample_has_the_exact_distribution(sample_and_exact):
    assert kolmogorov_smirnov(*sample_and_exact) > ALPHA


@pytest.mark.parametrize("lag", [1, 2, 16, 2000])  # an element, a block, a row
def test_neighbours_are_uncorrelated(initializer_and_exact, lag):
    sample = initializer_and_exact[0](SHAPE).ravel()
    check_uncorrelated(sample[:-lag], sample[lag:])


def test_sizes_of_neighbours_are_uncorrelated(initializer_and_exact):
    initializer, exact = initializer_and_exact
    sizes = np.abs(initializer(SHAPE).ravel() - exact.mean())
    check_uncorrelated(sizes[:-1], sizes[1:])


def test_consecutive_draws_are_uncorrelated(initializer_and_exact):
    initializer = initializer_and_exact[0].with_seed(sb.SeedGenerator(21))
    for x, y in combinations([initializer(SHAPE) for _ in range(4)], 2):
        check_uncorrelated(x, y)


@pytest.mark.parametrize("bit", [0, 1, 31, 32, 63, 64, 127, 128, 254])
@pytest.mark.parametrize("seed", [0, 42])
def test_seeds_that_differ_in_one_bit_are_uncorrelated(seed, bit):
    x, y = (sb.RandomNormal(seed=seed)(SHAPE) for seed in (seed, seed ^ (1 << bit)))
    check_uncorrelated(x, y)


def test_parent_and_children_are_uncorrelated():
    root = sb.SeedGenerator(42)
    generators = [root, root.child("a"), root.child("b"), root.child("a").child("a")]
    for x, y in combinations([sb.RandomNormal(seed=generator)(SHAPE) for generator in generators], 2):
        check_uncorrelated(x, y)


def test_float32_normals_have_tails_above_4_and_5_deviations():
    sample = sb.RandomNormal(0.0, 1.0, seed=17)((20 * N,))
    for beyond in (4.0, 5.0):
        expected = sample.size * 2 * stats.norm.sf(beyond)
        count = np.count_nonzero(np.abs(sample) > beyond)
        low, high = stats.poisson.ppf([ALPHA / 2, 1 - ALPHA / 2], expected)
        assert low <= count <= high, f"{count} beyond {beyond}"


def truncated_moments(lower, upper):
    """Mean, standard deviation and fourth central moment of a standard normal between bounds, by quadrature."""
    with mp.workdps(40):
        start, end = max(lower, -12 + min(upper, 0)), min(upper, 12 + max(lower, 0))
        points = [mp.mpf(start) + (mp.mpf(end) - start) * i / 16 for i in range(17)]
        top = mp.mpf(min(max(0, lower), upper))  # where the density, scaled to 1, is greatest

        def density(x):
            return mp.exp((top - x) * (top + x) / 2)

        mass = mp.quad(density, points)
        mean = mp.quad(lambda x: x * density(x), points) / mass
        variance = mp.quad(lambda x: (x - mean) ** 2 * density(x), points) / mass
        fourth = mp.quad(lambda x: (x - mean) ** 4 * density(x), points) / mass
    return float(mean), float(mp.sqrt(variance)), float(fourth)


def truncated_cdf(lower, upper, x):
    """Computed from the logarithms of tail masses, on the side of the bound nearer to the mean."""
    if upper <= 0:
        return 1 - truncated_cdf(-upper, -lower, -x)
    if lower < 0:
        return (stats.norm.cdf(x) - stats.norm.cdf(lower)) / (stats.norm.cdf(upper) - stats.norm.cdf(lower))
    nearer = stats.norm.logsf(lower)
    return np.expm1(stats.norm.logsf(x) - nearer) / np.expm1(stats.norm.logsf(upper) - nearer)


class CdfOnly:
    def __init__(self, lower, upper):
        self.bounds = lower, upper

    def cdf(self, x):
        return truncated_cdf(*self.bounds, x)


BOUNDS = [
    *((-3.0, 2.5), (-1.0, 4.0), (0.0, math.inf), (-math.inf, -1.0), (0.3, 0.9)),
    *((6.0, 7.0), (-7.0, -6.0), (30.0, 31.0), (37.0, math.inf), (-38.0, -36.5)),
]


@pytest.fixture(scope="module", params=BOUNDS, ids=str)
def truncated(request):
    lower, upper = request.param
    initializer = sb.TruncatedNormal(0.0, 1.0, seed=18, lower=lower, upper=upper)
    return request.param, initializer(SHAPE), initializer(SHAPE, "float64")


class TestTruncatedNormalOfAnyBounds:
    """n = 10^6 and ALPHA, as above; five bounds are in a far tail, where float64 has no digit of 1 - P."""

    def test_the_moments_are_exact(self, truncated):
        bounds, *samples = truncated
        mean, deviation, fourth = truncated_moments(*bounds)
        for sample in samples:
            assert abs(sample.mean(dtype=float) - mean) / (deviation / math.sqrt(N)) < MAX_DEVIATIONS
            error = math.sqrt((fourth / deviation**4 - 1) / N)
            assert abs(sample.var(dtype=float) / deviation**2 - 1) / error < MAX_DEVIATIONS

    def test_the_sample_has_the_exact_distribution(self, truncated):
        bounds, *samples = truncated
        for sample in samples:
            assert kolmogorov_smirnov(sample, CdfOnly(*bounds)) > ALPHA

    def test_values_do_not_pile_up_on_a_bound(self, truncated):
        """At most the values within one float32 of a bound are rounded to it: hardly one of 10^6."""
        bounds, single, double = truncated
        for bound in bounds:
            density = 40 if abs(bound) >= 6 else 2
            expected = N * density * float(np.spacing(np.float32(abs(bound)))) if math.isfinite(bound) else 0.0
            most = stats.poisson.ppf(1 - ALPHA, expected) if expected else 0
            assert np.count_nonzero(single == np.float32(bound)) <= most
            assert np.count_nonzero(double == bound) <= 1

    def test_distant_bounds_have_the_right_mean(self):
        """For lower = 6, upper = 7 the mean is 6.157. Clamping, or rejection with few tries, does not give it."""
        mean, deviation, _ = truncated_moments(6.0, 7.0)
        assert mean == pytest.approx(6.15721090337828, rel=1e-14)
        made = sb.TruncatedNormal(0.0, 1.0, 3, 6, 7)(SHAPE).mean(dtype=float)
        assert abs(made - mean) / (deviation / math.sqrt(N)) < MAX_DEVIATIONS


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
class TestComplex:
    """n = 10^6 complex values and ALPHA."""

    @pytest.fixture
    def sample(self, distribution, dtype):
        values = sb.VarianceScaling(SCALE, "fan_in", distribution, seed=19)(SHAPE, dtype)
        return values.astype(complex).ravel() / DEVIATION

    def test_the_variance_is_scale_over_fan_in_all_directions(self, sample):
        squares = np.abs(sample) ** 2
        assert abs(squares.mean() - 1) / (squares.std() / math.sqrt(N)) < MAX_DEVIATIONS
        for moment in (sample.real, sample.imag, (sample**2).real, (sample**2).imag, (sample**4).real):
            assert abs(moment.mean()) / (moment.std() / math.sqrt(N)) < MAX_DEVIATIONS

    def test_radius_and_angle_have_their_distributions(self, sample, distribution):
        radius = np.abs(sample)
        before = 1 - 4 * math.exp(-4) / -math.expm1(-4)  # E |z|^2, if it is 1 before truncation
        distributions = {
            "uniform": lambda r: r**2 / 2,
            "untruncated_normal": lambda r: -np.expm1(-(r**2)),
            "truncated_normal": lambda r: np.expm1(-(r**2) * before) / math.expm1(-4),
        }
        assert stats.kstest(radius, distributions[distribution]).pvalue > ALPHA
        assert stats.kstest(np.angle(sample), stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > ALPHA
        check_uncorrelated(radius[1:], np.cos(np.angle(sample))[:-1])
        check_uncorrelated(radius, np.cos(np.angle(sample)))

    def test_no_value_exceeds_the_largest_radius(self, sample, distribution):
        ends = {"uniform": math.sqrt(2), "truncated_normal": 2 / 0.96196182800821, "untruncated_normal": 9.25}
        assert np.abs(sample).max() <= ends[distribution]

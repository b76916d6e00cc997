"""The values against their exact laws.

Every sample has n = 10^6 elements, and every test refuses a true hypothesis with probability ALPHA: all of them
together, fewer than 250, with less than 10^-4. (The seeds are fixed, so what passes once passes always.)
"""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

import seedbed as sb

ALPHA = 1e-4 / 250
MOST_DEVIATIONS = stats.norm.isf(ALPHA / 2)
SHAPE = (500, 2000)
N = math.prod(SHAPE)

SCALE, FAN_IN = 2.0, 500
DEVIATION = math.sqrt(SCALE / FAN_IN)
LIMIT = math.sqrt(3) * DEVIATION
XAVIER = math.sqrt(6 / 2500)
KAIMING = math.sqrt(3 * 0.4 / 500)
UNIT = math.sqrt(3 / 500)
BEFORE_TRUNCATION = DEVIATION / stats.truncnorm(-2, 2).std()

LAWS = {
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
    """Of two independent samples the correlation has the standard deviation 1 / sqrt(n)."""
    correlation = np.corrcoef(x.ravel(), y.ravel())[0, 1]
    assert abs(correlation) * math.sqrt(x.size) < MOST_DEVIATIONS, f"correlation {correlation:.5f}"


def kolmogorov_smirnov(sample, law):
    """The p-value of a sample of rounded numbers.

    Values up to v come from all that is nearer to v than to the next number, so there the law is asked. (That makes the
    test exact for a law of few numbers too. Beyond the greatest value both distributions are 1.)
    """
    values, counts = np.unique(sample, return_counts=True)
    middles = (values[:-1].astype(float) + np.nextafter(values[:-1], values[-1]).astype(float)) / 2
    distance = np.abs(np.cumsum(counts)[:-1] / sample.size - law.cdf(middles)).max()
    return stats.kstwobign.sf(distance * math.sqrt(sample.size))


@pytest.fixture(scope="module", params=LAWS)
def initializer_and_law(request):
    return LAWS[request.param]


@pytest.fixture(scope="module", params=["float16", "bfloat16", "float32", "float64"])
def sample_and_law(request, initializer_and_law):
    initializer, law = initializer_and_law
    return initializer(SHAPE, request.param), law


def test_the_mean_is_that_of_the_law(sample_and_law):
    sample, law = sample_and_law
    deviations = (sample.mean(dtype=float) - law.mean()) / (law.std() / math.sqrt(N))
    assert abs(deviations) < MOST_DEVIATIONS


def test_the_variance_is_that_of_the_law(sample_and_law):
    sample, law = sample_and_law
    error = math.sqrt((law.stats("k") + 2) / N)  # relative, of the variance of n elements
    deviations = (sample.var(dtype=float) / law.var() - 1) / error
    assert abs(deviations) < MOST_DEVIATIONS


def test_the_distribution_is_that_of_the_law(sample_and_law):
    assert kolmogorov_smirnov(*sample_and_law) > ALPHA


@pytest.mark.parametrize("lag", [1, 2, 16, 2000])  # elements, a block, a row
def test_neighbours_are_uncorrelated(initializer_and_law, lag):
    sample = initializer_and_law[0](SHAPE).ravel()
    check_uncorrelated(sample[:-lag], sample[lag:])


def test_sizes_of_neighbours_are_uncorrelated(initializer_and_law):
    initializer, law = initializer_and_law
    sizes = np.abs(initializer(SHAPE).ravel() - law.mean())
    check_uncorrelated(sizes[:-1], sizes[1:])


def test_consecutive_draws_are_uncorrelated(initializer_and_law):
    initializer = initializer_and_law[0].with_seed(sb.SeedGenerator(21))
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


def test_float32_normals_beyond_4_and_5_deviations_are_as_many_as_there_should_be():
    sample = sb.RandomNormal(0.0, 1.0, seed=17)((20 * N,))
    for beyond in (4.0, 5.0):
        expected = sample.size * 2 * stats.norm.sf(beyond)
        count = np.count_nonzero(np.abs(sample) > beyond)
        low, high = stats.poisson.ppf([ALPHA / 2, 1 - ALPHA / 2], expected)
        assert low <= count <= high, f"{count} beyond {beyond}"

"""Test `tools/quality`: p-values are uniform for sound values, and small for each planted fault.

The sound values come from an independent generator, NumPy's PCG64. All seeds are fixed.
"""

import math
import operator
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from ml_dtypes import bfloat16
from quality import battery, exactness, fit, last_bits, orthogonality, relations
from quality.distributions import DISTRIBUTIONS, DTYPES, RoundedDistribution
from quality.findings import of_fit, of_moments, of_tally
from quality.sample import Tally
from scipy import special, stats

import seedbed as sb

ROOT = Path(__file__).parents[1]
N = 10**6
UNIFORM, NORMAL, TRUNCATED = DISTRIBUTIONS


def quantiles(distribution, u):
    if distribution is UNIFORM:
        return u
    outer = special.ndtr(-2.0) if distribution is TRUNCATED else 0.0
    return special.ndtri(outer + u * (1 - 2 * outer))


def narrowed(distribution, dtype, values):
    """Round as the specification does: first to float32, and never past a bound."""
    exact = RoundedDistribution(distribution, dtype)
    single = values if dtype == "float64" else values.astype(np.float32)
    kept = np.clip(single, exact.least, exact.greatest).astype(single.dtype)
    return kept.astype(bfloat16 if dtype == "bfloat16" else dtype)


def sound(distribution, dtype, seed, n=N):
    return narrowed(distribution, dtype, quantiles(distribution, np.random.default_rng(seed).random(n)))


def tally(distribution, dtype, sample):
    return Tally(
        RoundedDistribution(distribution, dtype), lambda start, count: sample[start : start + count], sample.size
    )


def p_values(distribution, dtype, sample):
    found = of_tally(RoundedDistribution(distribution, dtype), tally(distribution, dtype, sample))
    assert len({finding.check for finding in found}) == len(found)
    return {finding.check: finding.p for finding in found}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda distribution: distribution.name)
class TestDistributions:
    def test_probabilities_are_shares_of_rounded_quantiles(self, distribution, dtype):
        steps = 2**18
        exact = RoundedDistribution(distribution, dtype)
        counted = tally(
            distribution,
            dtype,
            narrowed(distribution, dtype, quantiles(distribution, (np.arange(steps) + 0.5) / steps)),
        )
        assert exact.probabilities.sum() == pytest.approx(1, abs=1e-12)
        assert np.abs(counted.counts - steps * exact.probabilities).max() <= 1.01
        assert np.abs(np.cumsum(counted.counts) - steps * np.cumsum(exact.probabilities)).max() < 1
        assert counted.outside == 0

    def test_the_moments_are_those_of_the_probabilities(self, distribution, dtype):
        exact = RoundedDistribution(distribution, dtype)
        centers = exact.starts + (0 if "16" in dtype else distribution.cell / 2) - exact.mean
        for r in range(1, 9):
            assert exact.probabilities @ centers**r == pytest.approx(
                exact.moments[r], abs=1e-5 * distribution.moment(r + r % 2)
            ), r


@pytest.mark.parametrize(("distribution", "dtype"), [(UNIFORM, "float16"), (NORMAL, "float32"), (TRUNCATED, "float64")])
def test_sound_values_have_uniform_p_values(distribution, dtype):
    """n = 10,000 values, 40 times; Kolmogorov-Smirnov at alpha = 1e-4 for each of the checks."""
    exact, found = RoundedDistribution(distribution, dtype), {}
    for seed in range(40):
        counted = tally(distribution, dtype, sound(distribution, dtype, [1, seed], 10_000))
        for finding in (*of_fit(exact, counted), *of_moments(exact, counted)):
            found.setdefault(finding.check, []).append(finding.p)
    assert set(found.pop("outside of the bounds")) == {1.0}
    for check, values in found.items():
        assert stats.kstest(values, "uniform").pvalue > 1e-4, check


def a_share(seed, share):
    return np.random.default_rng([2, seed]).random(N) < share


def a_top_bit_is_set_too_often(x):
    return np.where((x < 0.5) & a_share(0, 0.01), x + np.float32(0.5), x)


def the_variance_is_too_large(x):
    """By 1.9 %."""
    return x * np.float32(np.sqrt(1.019))


def some_are_on_the_bound(x):
    return np.where(a_share(1, 0.001), x.dtype.type(2), x)


def all_beyond_are_on_the_bound(x):
    return np.clip(np.random.default_rng(3).standard_normal(N).astype(np.float32), -2, 2).astype(x.dtype)


def the_excluded_bound_is_returned(x):
    return np.random.default_rng(4).random(N).astype(x.dtype)


def the_excluded_bound_is_mapped_to_zero(x):
    made = the_excluded_bound_is_returned(x)
    return np.where(made == 1, x.dtype.type(0), made)


def some_are_far_out(x):
    return np.where(np.arange(N) % 200_000 == 7, x.dtype.type(1000), x)


def none_is_a_number(x):
    return np.where(np.arange(N) == 7, x.dtype.type(np.nan), x)


def the_tails_are_cut(x):
    return np.where(np.abs(x) >= 4, x / 2, x)


def a_bit_is_never_set(x):
    return (np.floor(x * 2**12) / 2**12).astype(x.dtype)


def a_block_comes_again(x):
    again = np.roll(x, 65_536)
    return np.where(a_share(5, 0.02) & (np.arange(N) >= 65_536), again, x)


def a_value_leans_on_the_one_before(x):
    return (x + 0.01 * np.roll(x, 1)) / np.sqrt(1.0001)


def neighbours_have_one_size(x):
    """The signs stay independent, so that neighbours are not correlated."""
    y = x.copy()
    chosen = np.flatnonzero(a_share(6, 0.05)[::2]) * 2
    y[chosen + 1] = y[chosen] * np.random.default_rng(7).choice([-1, 1], len(chosen)).astype(x.dtype)
    return y


def all_is_too_even(x):
    return np.random.default_rng(8).permutation((np.arange(N) + 0.5) / N).astype(x.dtype)


@pytest.mark.parametrize(
    ("distribution", "dtype", "fault", "checks"),
    [
        (UNIFORM, "float32", a_top_bit_is_set_too_often, ["Kolmogorov-Smirnov", "Anderson-Darling", "mean"]),
        (UNIFORM, "float64", a_bit_is_never_set, ["chi-square"]),
        (UNIFORM, "float64", all_is_too_even, ["chi-square"]),
        (UNIFORM, "float16", the_excluded_bound_is_returned, ["outside of the bounds"]),
        (UNIFORM, "bfloat16", the_excluded_bound_is_returned, ["outside of the bounds"]),
        (UNIFORM, "float16", the_excluded_bound_is_mapped_to_zero, ["chi-square"]),
        (NORMAL, "float32", the_variance_is_too_large, ["Anderson-Darling", "second moment"]),
        (NORMAL, "float32", the_tails_are_cut, ["beyond ±4"]),
        (NORMAL, "float32", some_are_far_out, ["outside of the bounds", "fourth moment"]),
        (NORMAL, "float64", none_is_a_number, ["outside of the bounds"]),
        (NORMAL, "float64", a_block_comes_again, ["lag 65,536"]),
        (NORMAL, "float64", a_value_leans_on_the_one_before, ["lag 1"]),
        (NORMAL, "float16", neighbours_have_one_size, ["pairs in the plane"]),
        (TRUNCATED, "float32", some_are_on_the_bound, ["chi-square", "beyond ±(2 - 2^-8)", "beyond ±(2 - 2^-20)"]),
        (TRUNCATED, "bfloat16", some_are_on_the_bound, ["chi-square"]),
        (TRUNCATED, "bfloat16", all_beyond_are_on_the_bound, ["chi-square", "Kolmogorov-Smirnov", "second moment"]),
        (TRUNCATED, "float32", the_variance_is_too_large, ["outside of the bounds", "second moment"]),
    ],
    ids=lambda part: part.__name__ if callable(part) else None,
)
def test_a_planted_fault_is_found(distribution, dtype, fault, checks):
    """n = 10^6, p < 1e-6. The values without the fault pass."""
    x = sound(distribution, dtype, 9)
    before = p_values(distribution, dtype, x)
    assert min(before.values()) > 1e-4
    with np.errstate(invalid="ignore"):
        after = p_values(distribution, dtype, fault(x).astype(x.dtype))
    missed = {check: after[check] for check in checks if not after[check] < 1e-6}
    assert not missed
    assert checks != ["pairs in the plane"] or after["lag 1"] > 1e-4


class TestRelations:
    PAIRS = 40

    def found(self, **make):
        pairs = (pair for pair, _ in zip(relations.streams(), range(self.PAIRS), strict=False))
        return {finding.check: finding.p for finding in relations.findings(pairs, 20_000, **make)}

    @staticmethod
    def normals(draw, n, shared=0.0, among=None):
        own = relations.normals(draw, n)
        if among is not None and draw[1] not in among:
            return own
        return own + np.float32(shared) * np.random.default_rng(10).standard_normal(n).astype(np.float32)

    @pytest.mark.parametrize("name", relations.RELATIONS)
    def test_each_relation_has_256_pairs_of_keys_or_streams(self, name):
        pairs = [tuple((g.key, stream) for g, stream in pair) for pair in relations.RELATIONS[name]()]
        assert len(pairs) == len(set(pairs)) == relations.PAIRS
        assert all(one != other for one, other in pairs)
        if name.startswith("seeds"):
            differences = [
                int.from_bytes(one[0], "little") ^ int.from_bytes(other[0], "little") for one, other in pairs
            ]
            assert differences == [1 << bit for bit in range(256)]

    def test_seedbeds_keys_and_streams_have_none(self):
        assert min(self.found().values()) > 1e-4

    def test_a_small_component_common_to_all_is_found(self):
        found = self.found(values=lambda draw, n: self.normals(draw, n, shared=0.15))
        assert found["all correlations"] < 1e-6

    def test_values_shared_by_two_tensors_are_found(self):
        found = self.found(values=lambda draw, n: self.normals(draw, n, shared=0.3, among=(7, 8)))
        assert found["largest correlation"] < 1e-6

    def test_a_bit_common_to_all_words_is_found(self):
        found = self.found(bits=lambda draw, n: relations.words(draw, n) | np.uint32(1))
        assert found["bytes of words, one xor the other"] < 1e-6


class TestFit:
    @pytest.mark.parametrize(
        ("statistic", "beyond"),
        [(1.248, 0.25), (1.933, 0.10), (2.492, 0.05), (3.070, 0.025), (3.880, 0.01), (6.0, 0.001)],
    )
    def test_anderson_darling_has_its_published_critical_values(self, statistic, beyond):
        """R. A. Lewis (1961), Distribution of the Anderson-Darling statistic: three figures."""
        assert fit.anderson_darling_p(statistic) == pytest.approx(beyond, rel=0.04)

    def test_anderson_darling_p_values_fall_to_zero(self):
        p = [fit.anderson_darling_p(x) for x in np.geomspace(0.05, 80, 60)]
        assert p == sorted(p, reverse=True)
        assert p[0] == pytest.approx(1, abs=1e-9)
        assert p[-1] == 0

    def test_cells_are_joined_until_there_is_enough_in_each(self):
        weights = np.array([0.01, 0.05, 0.3, 0.02, 0.02, 0.5, 0.05, 0.05])
        groups = fit.joined(weights, 0.1)
        assert groups.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
        assert np.bincount(groups, weights).min() >= 0.1 - 1e-12
        assert fit.joined(weights, 2.0).tolist() == [0] * 8

    def test_rare_counts_have_poisson_p_values(self):
        assert fit.poisson(0, 0.0) == 1
        assert fit.poisson(1, 0.0) == 0
        assert fit.poisson(0, 10.0) == pytest.approx(2 * np.exp(-10))
        assert fit.poisson(10, 10.0) == 1


class TestExactness:
    def test_the_exact_quantile_is_that_of_mpmath(self):
        for element in range(20):
            word = 2**32 * int(sb.random_words(42, 1, start=element)[0])
            word += int(sb.random_words(42, 1, start=2**67 + element)[0])
            with mp.workdps(40):
                a = (mp.mpf(2 * word + 1) / 2**64) - 1
                exact = mp.sqrt(2) * mp.erfinv(a)
                near = float(exact) * (1 + 1e-6)
                assert mp.almosteq(exactness.exact_quantile("normal", "float64", element, near), exact, 1e-18)

    def test_elements_are_chosen_from_every_binary_order(self):
        elements = exactness.sample(2**16, 50)
        high = sb.random_words(exactness.SEED, 2**16)[elements]
        orders = np.frexp(np.minimum(high, ~high).astype(float))[1]
        counts = np.bincount(orders, minlength=32)
        assert (counts[22:32] == 50).all()
        assert counts.max() == 50

    @pytest.mark.parametrize(("dtype", "most"), [("float32", 2.3), ("float64", 600)])
    @pytest.mark.parametrize("distribution", exactness.CLASSES)
    def test_the_errors_are_measured(self, distribution, dtype, most):
        error = exactness.measure(distribution, dtype, np.arange(300))
        assert 0 < error.worst < most
        assert error.elements == 300

    def test_an_error_of_a_value_is_found(self, monkeypatch):
        wrong = {"normal": lambda mean, stddev, seed: sb.RandomNormal(mean, stddev * (1 + 1e-6), seed)}
        monkeypatch.setattr(exactness, "CLASSES", wrong)
        assert exactness.measure("normal", "float32", np.arange(100)).worst > 8


class TestLastBits:
    @staticmethod
    def values(dtype, n=10**5):
        return np.random.default_rng(12).normal(size=n).astype(bfloat16 if dtype == "bfloat16" else dtype)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_of_rounded_values_are_fair(self, dtype):
        values = self.values(dtype)
        found = last_bits.shares("", dtype, np.array_split(values, 7))
        assert found.n == values.size
        assert abs(found.share - 0.5) < 0.01
        assert abs(found.farthest - 0.5) < 0.06

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("order", [-3, 0])
    def test_never_set_in_one_binary_order_are_found(self, dtype, order):
        values = self.values(dtype)
        bits = values.view(f"u{values.itemsize}")
        within = (np.abs(values) >= 2.0**order) & (np.abs(values) < 2.0 ** (order + 1))
        bits[within] &= ~bits.dtype.type(1)
        found = last_bits.shares("", dtype, [values])
        assert (found.farthest, found.order) == (0.0, order)
        assert found.share == pytest.approx(0.5 * (1 - within.mean()), abs=0.01)

    @pytest.mark.parametrize("number", range(len(last_bits.CASES)))
    def test_are_measured_for_each_distribution(self, number):
        found = last_bits.measure(number, 6000)
        assert (found.name, found.dtype) == last_bits.CASES[number]
        assert found.n == 6000
        assert 0.15 < found.share < 0.55


class TestOrthogonality:
    def test_a_distance_is_computed_from_exact_products(self):
        matrix = sb.Orthogonal(seed=3)((40, 6), "float64")
        numbers = [[Fraction(x) for x in column] for column in matrix.T.tolist()]
        squares = (
            (sum(map(operator.mul, left, right)) - (i == j)) ** 2
            for i, left in enumerate(numbers)
            for j, right in enumerate(numbers)
        )
        exact = math.sqrt(sum(squares))
        assert 1e-16 < exact < 1e-15
        assert orthogonality.distance(matrix) == pytest.approx(exact, rel=0.01)
        assert orthogonality.distance(matrix.T) == orthogonality.distance(matrix)

    def test_the_distance_of_a_scaled_matrix_is_that_of_its_scale(self):
        matrix = sb.Orthogonal(seed=3)((3, 3, 20, 30), "float64")
        assert orthogonality.distance(matrix * (1 + 1e-9)) == pytest.approx(2e-9 * math.sqrt(30), rel=1e-4)

    @pytest.mark.parametrize("shape", [(64, 64), (1000, 1000), (20_000, 300), (300, 4096)])
    def test_matrices_are_nearer_than_those_of_lapack(self, shape):
        """JAX 0.10.2 reaches 2.7e-6, 2.2e-5, 2.7e-6 and 3.2e-6 for these shapes."""
        most = {64: 2.6e-6, 1000: 1.5e-5, 20_000: 8e-7, 300: 1.6e-6}[shape[0]]
        found = [orthogonality.distance(sb.Orthogonal(seed=seed)(shape)) for seed in range(8 if shape[0] == 64 else 1)]
        assert np.mean(found) < most

    def test_seedbed_is_among_the_measured_libraries(self):
        found = orthogonality.measure((5, 4), "float32")
        assert 1e-9 < found.figures["seedbed"] < 1e-6
        assert (found.shape, found.dtype, found.seeds) == ((5, 4), "float32", 16)


def test_a_report_of_the_battery_is_read():
    report = """
#=============================================================================#
        test_name   |ntup| tsamples |psamples|  p-value |Assessment
   diehard_birthdays|   0|       100|     100|0.97634026|  PASSED
        rgb_bitdist|   3|    100000|     100|0.99911111|   WEAK
    """
    assert battery.parse(report) == [
        battery.Assessment("diehard_birthdays", 0, 0.97634026, "PASSED"),
        battery.Assessment("rgb_bitdist", 3, 0.99911111, "WEAK"),
    ]
    assert battery.command(200, 3).endswith("keystream 0 20003 | dieharder -g 200 -d 200 -n 3")


def test_the_keystream_is_written_word_by_word():
    command = [sys.executable, "-m", "tools.quality.keystream", "5", "7"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        read = process.stdout.read(2**22 + 40)
        process.stdout.close()
    assert (np.frombuffer(read, "<u4") == sb.random_words(5, 2**20 + 10, 7)).all()


def test_a_quick_run_writes_the_page(tmp_path):
    command = [sys.executable, "-m", "tools.quality", "--quick", "--only", "statistics", "--values", "50000"]
    subprocess.run([*command, "--output", tmp_path], cwd=ROOT, check=True, capture_output=True)
    page = (tmp_path / "quality.md").read_text("utf-8")
    assert "**No check is below it.**" in page
    assert page.count("| Anderson-Darling |") == 3
    assert "256 pairs of consecutive streams" in page
    assert page.count(" at 2^") == len(last_bits.CASES)
    assert "{" not in page

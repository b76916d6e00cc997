"""Sparse: zeros by column, and which.

Each statistical test has the n that it states, and refuses a true hypothesis with probability ALPHA.
"""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

import seedbed as sb
from seedbed.initializers.sparse import least

ALPHA = 1e-6
MAX_DEVIATIONS = stats.norm.isf(ALPHA / 2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("sparsity", [0.0, 1e-9, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(1, 5), (7, 3), (100, 40), (33, 1)])
def test_each_column_has_its_share_of_zeros_exactly(shape, sparsity, dtype):
    zeros = np.count_nonzero(sb.Sparse(sparsity, seed=1)(shape, dtype) == 0, axis=0)
    assert (zeros == math.ceil(sparsity * shape[0])).all()


def test_the_other_elements_are_those_of_the_normal():
    made, normal = sb.Sparse(0.6, 0.5, seed=3)((50, 40)), sb.RandomNormal(0.0, 0.5, seed=3)((50, 40))
    assert ((made == 0) | (made == normal)).all()
    assert (sb.Sparse(0.0, 0.5, seed=3)((50, 40)) == normal).all()


def test_the_zeros_come_from_the_seed_and_from_the_draw():
    def zeros(init):
        return init((50, 40)) == 0

    assert (zeros(sb.Sparse(0.5, seed=1)) == zeros(sb.Sparse(0.5, 7.0, seed=1))).all()
    assert (zeros(sb.Sparse(0.5, seed=1)) != zeros(sb.Sparse(0.5, seed=2))).any()
    generator = sb.Sparse(0.5, seed=sb.SeedGenerator(1))
    first, second = zeros(generator), zeros(generator)
    assert (first == zeros(sb.Sparse(0.5, seed=1))).all()
    assert (first != second).any()
    assert (zeros(sb.Sparse(0.3, seed=1)) <= first).all()  # a higher sparsity adds zeros and keeps the others


def test_of_equal_ranks_the_upper_rows_are_zero():
    ranks = np.array([[3.0, 1, 0], [1, 1, 5], [2, 1, 5], [1, 1, 5], [1, 0, 4]])
    for count in range(1, 6):
        for column, chosen in zip(ranks.T, least(ranks, count).T, strict=True):
            order = sorted(range(5), key=lambda row: (column[row], row))
            assert np.flatnonzero(chosen).tolist() == sorted(order[:count])


def test_a_matrix_ranked_in_pieces_is_the_same():
    init = sb.Sparse(0.7, seed=4)
    whole = init((3000, 800))
    assert (np.count_nonzero(whole == 0, axis=0) == 2100).all()
    assert (init.lazy((3000, 800))[::-7, 799:100:-3] == whole[::-7, 799:100:-3]).all()


def test_every_choice_of_rows_is_equally_likely():
    """n = 10^5 columns, each with 10 possible choices."""
    made = sb.Sparse(0.4, seed=5)((5, 100_000))
    counts = Counter(tuple(np.flatnonzero(column).tolist()) for column in (made == 0).T)
    assert counts.keys() == set(combinations(range(5), 2))
    assert stats.chisquare(list(counts.values())).pvalue > ALPHA


def test_every_row_of_a_tall_matrix_is_equally_likely():
    """n = 2000 columns of 1000 rows; the counts of rows have the variance n p (1 - p), and their sum is fixed."""
    rows, columns, p = 1000, 2000, 0.3
    counts = np.count_nonzero(sb.Sparse(p, seed=6)((rows, columns)) == 0, axis=1)
    statistic = ((counts - columns * p) ** 2).sum() / (columns * p * (1 - p)) * (rows - 1) / rows
    assert ALPHA / 2 < stats.chi2(rows - 1).sf(statistic) < 1 - ALPHA / 2


def test_neighbouring_zeros_are_independent():
    """n = 10^6 elements: adjacent zeros, zeros next to values, zeros of other draws."""
    init = sb.Sparse(0.5, 1.0, seed=sb.SeedGenerator(7))
    first, second = init((1000, 1000)), init((1000, 1000))
    zeros = (first == 0).astype(float)
    normal = sb.RandomNormal(0.0, 1.0, seed=7)((1000, 1000))
    for x, y in [
        (zeros[:, 1:], zeros[:, :-1]),
        (zeros[:, 1:], first[:, :-1]),
        (zeros, second == 0),
        (zeros, normal),
        (zeros, abs(normal)),
    ]:
        correlation = np.corrcoef(x.ravel(), y.ravel())[0, 1]
        assert abs(correlation) * math.sqrt(x.size) < MAX_DEVIATIONS
    # Within a column of r rows, zeros repel each other by 1 / (r - 1).
    within = np.corrcoef(zeros[1:].ravel(), zeros[:-1].ravel())[0, 1] + 1 / 999
    assert abs(within) * 1000 < MAX_DEVIATIONS


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_nonzero_elements_are_normal(dtype):
    """n = 5 10^5 elements: mean, variance, distribution. (The test cannot detect the rounding of float16.)"""
    made = sb.Sparse(0.5, 3.0, seed=8)((1000, 1000), dtype).astype(float)
    values = made[made != 0]
    assert abs(values.mean()) < MAX_DEVIATIONS * 3.0 / math.sqrt(values.size)
    assert abs(values.var() / 9 - 1) < MAX_DEVIATIONS * math.sqrt(2 / values.size)
    if dtype != "bfloat16":  # the test assumes distinct values, and bfloat16 has too few
        assert stats.kstest(values, stats.norm(0, 3).cdf).pvalue > ALPHA


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_a_matrix_may_be_empty(shape):
    assert sb.Sparse(0.5, seed=1)(shape).shape == shape


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: sb.Sparse(-0.1), ValueError, "sparsity must be from 0 to 1. Received: sparsity=-0.1"),
        (lambda: sb.Sparse(1.5), ValueError, "sparsity must be from 0 to 1"),
        (lambda: sb.Sparse(math.nan), ValueError, "sparsity must be a finite number"),
        (lambda: sb.Sparse(None), TypeError, "sparsity must be a finite number"),
        (lambda: sb.Sparse(0.5, -1), ValueError, "stddev must not be negative. Received: stddev=-1.0"),
        (lambda: sb.Sparse(0.5, "1"), TypeError, "stddev must be a finite number"),
        (
            lambda: sb.Sparse.from_config({"stddev": 1.0}),
            TypeError,
            "sparsity must be a finite number. Received: sparsity=None",
        ),
        (lambda: sb.Sparse(0.5, 1e9)((2, 2), "float16"), ValueError, "finite float16 numbers"),
        (lambda: sb.Sparse(0.5)((2, 2), "int32"), ValueError, "dtype must be a floating point type"),
    ],
)
def test_bad_sparse_arguments_are_errors(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_a_shape_of_another_rank_takes_no_draw():
    generator = sb.SeedGenerator(1)
    for shape in ((), (3,), (3, 3, 3)):
        with pytest.raises(ValueError, match=r"sparse matrix must be of rank 2. Received: shape=\("):
            sb.Sparse(0.5, seed=generator)(shape)
    assert generator.draws == 0


def test_nonzero_elements_have_the_mean():
    sparse = sb.Sparse(0.5, 0.1, seed=3, mean=5.0)((100, 20))
    normal = sb.RandomNormal(5.0, 0.1, seed=3)((100, 20))
    assert ((sparse == 0).sum(axis=0) == 50).all()
    assert (sparse == np.where(sparse == 0, 0, normal)).all()
    assert ((sparse == 0) == (sb.Sparse(0.5, seed=3)((100, 20)) == 0)).all()

"""Blocks: regions of a tensor with their own initializers. Each element keeps its address in the tensor."""

import json
import random

import numpy as np
import pytest

import seedbed as sb
from seedbed.initializers import blocks
from seedbed.regions import indices

NORMAL = sb.RandomNormal(stddev=0.3)
MIXED = [
    (np.s_[2:5], sb.Orthogonal()),
    (np.s_[..., ::-2], sb.GlorotUniform()),
    (3, "ones"),
    (np.s_[1:6:2, 4], {"class_name": "RandomUniform", "config": {"minval": 5, "maxval": 6}}),
    (np.s_[-1, :2], sb.Constant([7, 8])),
]


def mixed(seed=3):
    return sb.Blocks(NORMAL, MIXED, seed)


def test_an_elements_value_depends_on_its_address_in_the_tensor():
    shape, key = (8, 7), sb.SeedGenerator(3).child("Blocks/1")
    expected = NORMAL.with_seed(3)(shape)
    expected[2:5] = sb.Orthogonal(seed=key)((3, 7))
    limit = sb.GlorotUniform().fans((8, 4))  # the fans of the block, not of the tensor
    bound = (6 / sum(limit)) ** 0.5
    expected[:, ::-2] = sb.RandomUniform(-bound, bound, seed=3)(shape)[:, ::-2]
    expected[3] = 1
    expected[1:6:2, 4] = sb.RandomUniform(5, 6, seed=3)(shape)[1:6:2, 4]
    expected[-1, :2] = 7, 8
    assert (mixed()(shape) == expected).all()


@pytest.mark.parametrize("piece", [1, 40, 1 << 24])
@pytest.mark.parametrize(
    "index", [np.s_[::-1], np.s_[1:7:3, ::-2], np.s_[3], np.s_[:, 4], np.s_[5:2:-1, 1:6], np.s_[2:2], np.s_[..., 0], 7]
)
def test_a_slice_has_the_bits_of_the_whole(index, piece, monkeypatch):
    monkeypatch.setattr(blocks, "PIECE_BYTES", piece)
    whole = mixed()((8, 7), "float64")
    assert (mixed().lazy((8, 7), "float64")[index] == whole[index]).all()


def test_a_partition_has_the_bits_of_the_whole():
    whole = mixed()((8, 7))
    assert (mixed()((8, 7), partition_shape=(3, 4), partition_offset=(4, 2)) == whole[4:7, 2:6]).all()


def test_regions_are_intersected_exactly():
    rng = random.Random(1)

    def axis(length):
        count, step = rng.randint(0, 6), rng.choice([-4, -3, -2, -1, 1, 2, 3, 4])
        step = 1 if count < 2 else step
        reach = abs(step) * (max(count, 1) - 1)
        if reach >= length:
            return (length, 0, 1, 0)
        first = rng.randint(0, length - 1 - reach)
        return (length, first if step > 0 else first + reach, step, count)

    for _ in range(20_000):
        length = rng.randint(1, 30)
        one, other = axis(length), axis(length)
        _, start, step, count = blocks._shared(one, other)
        found = [int(indices(one)[start + i * step]) for i in range(count)]
        assert found == [i for i in indices(one).tolist() if i in set(indices(other).tolist())], (one, other)


def test_blocks_of_one_initializer_equal_the_undivided_tensor():
    parts = [(np.s_[at : at + 3], sb.RandomNormal()) for at in (0, 3, 6)]
    assert (sb.Blocks("zeros", parts, 5)((9, 4)) == sb.RandomNormal(seed=5)((9, 4))).all()
    experts = sb.Blocks("zeros", [(e, sb.HeNormal(layout="torch")) for e in range(5)], seed=42)
    stacked = sb.HeNormal(layout="torch", batch_axes=(0,), seed=42)
    assert (experts((5, 6, 4)) == stacked((5, 6, 4))).all()


def test_blocks_of_orthogonal_tensors_differ():
    made = sb.Blocks("zeros", [(np.s_[:, at : at + 5], sb.Orthogonal()) for at in (0, 5)], seed=1)((5, 10), "float64")
    for block in (made[:, :5], made[:, 5:]):
        assert abs(block.T @ block - np.eye(5)).max() < 1e-14
    assert not (made[:, :5] == made[:, 5:]).any()


def test_blocks_take_one_draw_per_tensor():
    root = sb.SeedGenerator(3)
    first, second = mixed(root)((8, 7)), mixed(root)((8, 7))
    assert root.draws == 2
    assert (first == mixed()((8, 7))).all()
    assert (first != second).any()
    with pytest.raises(ValueError, match="must fit the shape"):
        mixed(root)((3, 7))
    assert root.draws == 2


def test_a_fully_covered_default_is_not_evaluated(monkeypatch):
    written = []
    write = blocks.Patch.write
    monkeypatch.setattr(blocks.Patch, "write", lambda self, *args: (written.append(self), write(self, *args)))
    init = sb.Blocks("zeros", [(np.s_[:4], "ones"), (np.s_[4:], "ones")])
    assert init((8, 3)).all()
    assert len(written) == 2
    overlapping = sb.Blocks("zeros", [(np.s_[:4], "ones"), (np.s_[:4], "ones")])
    assert overlapping((8, 3)).sum() == 12


def test_configurations_survive_a_round_trip_through_json():
    config = json.loads(json.dumps(sb.serialize(mixed())))
    again = sb.deserialize(config)
    assert again == mixed() == sb.Blocks.from_config(config["config"]) == mixed().clone()
    assert (again((8, 7)) == mixed()((8, 7))).all()
    assert again != sb.Blocks(NORMAL, MIXED[:-1], 3)
    assert "seed" not in repr(sb.Blocks(NORMAL, [(0, NORMAL)]))
    assert mixed().with_seed(4) != mixed()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64"])
def test_dtypes(dtype):
    init = sb.Blocks(sb.RandomNormal(stddev=0.3), [(np.s_[2:4], "ones"), (5, "glorot_normal")], seed=1)
    assert init((8, 7), dtype)[2:4].astype(complex).sum() == 14
    assert sb.Blocks("zeros", [(1, "ones")])((3,), "int32").tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sb.Blocks(3), TypeError, "the initializer of a block must be one of seedbed's"),
        (lambda: sb.Blocks("zeros", [3]), TypeError, "a block must be a pair"),
        (lambda: sb.Blocks("zeros", [(0, mixed())]), TypeError, "and not blocks"),
        (lambda: sb.Blocks("zeros", [(0, len)]), TypeError, "must be one of seedbed's"),
        (lambda: sb.Blocks("zeros", [("a", "ones")]), TypeError, "must have integers, slices and at most one Ellipsis"),
        (lambda: sb.Blocks("zeros", [([[1, 2, 3, 4]], "ones")]), TypeError, "must have integers, slices"),
        (lambda: sb.Blocks("zeros", [(np.s_[::0], "ones")]), TypeError, "must have integers, slices"),
        (lambda: sb.Blocks("zeros", [(0, sb.HeNormal(seed=1))]), ValueError, "must have no seed"),
        (lambda: sb.Blocks("zeros", [(5, "ones")])((5,)), ValueError, "must fit the shape"),
        (lambda: sb.Blocks("zeros", [((0, 0), "ones")])((5,)), ValueError, "must fit the shape"),
        (lambda: sb.Blocks("zeros", [(np.s_[:2], sb.Constant([1, 2, 3]))])((5,)), ValueError, "must broadcast"),
        (lambda: sb.Blocks("zeros", [(0, "orthogonal")])((5, 5)), ValueError, "at least two-dimensional"),
        (lambda: sb.Blocks("zeros", [(0, "he_normal")])((5, 5), "int32"), ValueError, "dtype must be"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()

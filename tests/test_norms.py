"""Norms: the magnitudes of weight normalization, from the values of their direction."""

import json
import pickle

import numpy as np
import pytest
from support import reference

import seedbed as sb
from seedbed.initializers import norms

DTYPES = ["float16", "bfloat16", "float32", "float64"]
INITIALIZERS = [
    sb.HeNormal(layout="torch"),
    sb.Orthogonal(2.0),
    sb.Blocks("he_normal", [(0, "zeros")]),
    sb.Sparse(0.3, 1.0),
    sb.Constant(0.1),
]


def rows_of(tensor, shape):
    """The elements under each norm, in C order."""
    lengths = (1,) * (tensor.ndim - len(shape)) + tuple(shape)
    for index in np.ndindex(*lengths):
        box = tuple(
            i if n == length else slice(None) for i, n, length in zip(index, lengths, tensor.shape, strict=True)
        )
        yield np.ravel(tensor[box])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("initializer", INITIALIZERS, ids=lambda init: type(init).__qualname__)
def test_norms_are_what_the_specification_says(initializer, dtype):
    for whole, shapes in [((7, 11), [(7, 1), (1, 11), (11,), (), (1, 1), (7, 11)]), ((2, 1), [(2, 1), (1,), ()])]:
        tensor = initializer.with_seed(3)(whole, dtype)
        for shape in shapes:
            made = sb.Norms(initializer, whole, 3)(shape, dtype)
            expected = [reference.norm(row) for row in rows_of(tensor, shape)]
            if dtype != "float64":
                expected = [reference.rounded(float(np.float32(norm)), dtype) for norm in expected]
            assert made.shape == shape
            assert [float(norm) for norm in made.ravel()] == expected


def test_norms_are_those_of_numpy():
    tensor = sb.HeNormal(seed=1)((6, 5, 4, 3), "float64")
    for axes in [(1, 2, 3), (0, 1, 3), (0, 1, 2, 3), (2,), ()]:
        expected = np.sqrt((tensor**2).sum(axis=axes, keepdims=True))
        made = sb.Norms("he_normal", tensor.shape, seed=1)(expected.shape, "float64")
        assert np.allclose(made, expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("piece", [1, 40, 1 << 20])
@pytest.mark.parametrize(
    "index", [np.s_[::-1], np.s_[1:7:3], np.s_[3], np.s_[5:2:-1, :, 1:], np.s_[2:2], np.s_[..., 0], 7]
)
@pytest.mark.parametrize("initializer", INITIALIZERS[:3], ids=lambda init: type(init).__qualname__)
def test_a_slice_has_the_bits_of_the_whole(initializer, index, piece, monkeypatch):
    monkeypatch.setattr(norms, "PIECE_ELEMENTS", piece)
    init = sb.Norms(initializer, (8, 5, 3), seed=2)
    lazy = init.lazy((8, 1, 3))
    assert (lazy[index] == init((8, 1, 3))[index]).all()
    assert (pickle.loads(pickle.dumps(lazy))[index] == lazy[index]).all()


def test_a_slice_evaluates_only_the_elements_under_its_norms():
    init = sb.Norms("random_normal", (2**40, 8), seed=1)
    part = sb.RandomNormal(seed=1).lazy((2**40, 8))[2**39 : 2**39 + 3]
    assert np.allclose(init.lazy((2**40, 1))[2**39 : 2**39 + 3], np.linalg.norm(part, axis=1, keepdims=True), rtol=1e-6)


def test_one_draw_is_taken_as_for_the_tensor():
    root, direction = sb.SeedGenerator(3), sb.SeedGenerator(3)
    init, values = sb.Norms("he_normal", (4, 3), root), sb.HeNormal(seed=direction)
    for count in (1, 2):
        assert init(())[()] == pytest.approx(np.linalg.norm(values((4, 3))), rel=1e-6)
        assert root.draws == direction.draws == count
    with pytest.raises(ValueError, match="must broadcast"):
        init((5, 1))
    with pytest.raises(ValueError, match="at least two-dimensional"):
        sb.Norms("orthogonal", (4,), root)(())
    assert root.draws == 2


def test_tensors_without_elements():
    assert sb.Norms("ones", (0, 5))((0, 1)).shape == (0, 1)
    assert sb.Norms("ones", (0, 5))((1, 5)).tolist() == [[0.0] * 5]
    assert sb.Norms("he_normal", (3, 0))((3, 1)).tolist() == [[0.0]] * 3
    assert sb.Norms("he_normal", (0,))(()) == 0


def test_an_initializer_of_ones_own():
    class Halves(sb.Initializer):
        def __call__(self, shape, dtype=None):
            return np.full(shape, 0.5, dtype)

        def rule(self, shape, dtype):
            raise NotImplementedError

    assert sb.Norms(Halves(), (3, 4))((3, 1)).tolist() == [[1.0]] * 3


def test_configurations_are_json_and_come_back():
    made = sb.Norms(sb.Blocks("he_normal", [(0, "zeros")]), (6, 5), seed=3)
    config = json.loads(json.dumps(sb.serialize(made)))
    again = sb.deserialize(config)
    assert again == made == sb.Norms.from_config(config["config"]) == made.clone()
    assert hash(again) == hash(made)
    assert (again((6, 1)) == made((6, 1))).all()
    assert made.with_seed(4) != made
    assert made != sb.Norms("he_normal", (6, 5), seed=3)
    assert repr(sb.Norms("zeros", 3)) == "Norms(initializer=Zeros(), shape=(3,))"
    assert sb.norms is sb.Norms


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sb.Norms(3, (3,)), TypeError, "the initializer of a tensor that has norms must be one of seedbed's"),
        (lambda: sb.Norms("ones", "a"), TypeError, "shape must be an integer or a sequence of integers"),
        (lambda: sb.Norms("ones", (-1,)), ValueError, "must be in"),
        (lambda: sb.Norms("one_hot", (3,)), ValueError, "unknown initializer"),
        (lambda: sb.Norms(sb.HeNormal(seed=1), (3,)), ValueError, "must have no seed"),
        (lambda: sb.deserialize("Norms"), ValueError, "this is no configuration of Norms"),
        (lambda: sb.Norms("ones", (6, 5))((5, 1)), ValueError, r"must broadcast to that of the tensor, \(6, 5\)"),
        (lambda: sb.Norms("ones", (6, 5))((1, 6, 5)), ValueError, "must broadcast"),
        (lambda: sb.Norms("ones", (6, 5))((6, 0)), ValueError, "must broadcast"),
        (lambda: sb.Norms("ones", (6, 5))((), "int32"), ValueError, "dtype must be a floating point type"),
        (lambda: sb.Norms("he_normal", (6, 5))((), "complex64"), ValueError, "dtype must be a floating point type"),
        (
            lambda: sb.Norms(sb.Constant(6e4), (4,))((), "float16"),
            ValueError,
            "a norm must be a finite number of float16",
        ),
        (lambda: sb.Norms(sb.Constant(1e200), (4,))((), "float64"), ValueError, "a norm must be a finite number of"),
        (lambda: sb.Norms("he_normal", (2**20, 2**40))(()), MemoryError, None),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()

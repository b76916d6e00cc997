"""Seeds and generators, and the draws that they give."""

import random

import numpy as np
import pytest

import seedbed as sb


@pytest.mark.parametrize("seed", [0, 1, -1, 2**31, 2**32, 2**64, 2**255 - 1, -(2**255), np.int64(-7), np.uint8(200)])
def test_any_integer_is_a_seed_and_repeats(seed):
    init = sb.RandomNormal(seed=seed)
    assert (init((50,)) == init((50,))).all()
    assert (init((50,)) == sb.RandomNormal(seed=int(seed))((50,))).all()
    assert init.seed == int(seed)
    assert type(init.seed) is int


def test_different_seeds_give_different_values():
    seeds = [0, 1, -1, 2**31, 2**32, 2**32 + 1, 2**64, 2**255 - 1, -(2**255), 2**53, 2**53 + 1]
    assert len({sb.RandomNormal(seed=seed)((8,)).tobytes() for seed in seeds}) == len(seeds)


@pytest.mark.parametrize("seed", [1.0, True, np.bool_(False), "1", 2**255, -(2**255) - 1, [1], {"a": 1}, object()])
def test_an_invalid_seed_is_refused_in_the_constructor(seed):
    with pytest.raises(ValueError, match="seed must be"):
        sb.GlorotNormal(seed=seed)


def test_an_unseeded_initializer_draws_and_records_one_seed():
    init = sb.GlorotNormal()
    assert (init((20,)) == init((20,))).all()
    assert (init((20,)) == sb.GlorotNormal(seed=init.seed)((20,))).all()
    assert init.get_config()["seed"] is None
    assert (init((20,)) != sb.GlorotNormal()((20,))).any()
    assert (init((20,)) != init.clone()((20,))).any()


def test_set_random_seed_makes_unseeded_initializers_reproducible():
    state = random.getstate()
    try:
        values = []
        for _ in range(2):
            sb.set_random_seed(7)
            values.append([sb.GlorotNormal()((9,)).tolist(), sb.SeedGenerator().next()])
        assert values[0] == values[1]
    finally:
        random.setstate(state)


def test_each_random_seed_gives_different_draws():
    """`random.seed` treats -1 as 1."""
    state = random.getstate()
    try:
        drawn = {}
        for seed in (0, 1, -1, 7, -7, 2**64, -(2**64), 2**255 - 1, 1 - 2**255, -(2**255)):
            sb.set_random_seed(seed)
            drawn[seed] = sb.SeedGenerator().seed
        assert len(set(drawn.values())) == len(drawn)
        random.seed(7)
        assert drawn[7] == sb.SeedGenerator().seed
    finally:
        random.setstate(state)


def test_a_generator_gives_new_values_at_each_call():
    init = sb.HeNormal(seed=sb.SeedGenerator(42))
    first, second, third = (init((30,)) for _ in range(3))
    assert (first == sb.HeNormal(seed=42)((30,))).all()
    assert (first != second).any()
    assert (second != third).any()
    again = sb.HeNormal(seed=sb.SeedGenerator(42))
    assert [again((30,)).tolist() for _ in range(3)] == [first.tolist(), second.tolist(), third.tolist()]


def test_a_draw_is_taken_for_each_tensor_not_for_each_slice():
    generator = sb.SeedGenerator(42)
    lazy = sb.HeNormal(seed=generator).lazy((30,))
    assert generator.draws == 1
    assert (lazy[:] == sb.HeNormal(seed=42)((30,))).all()
    assert (lazy[:10] == lazy[:][:10]).all()


def test_a_child_depends_on_its_name_only():
    root = sb.SeedGenerator(42)
    early = root.child("block3/attn/q").next()
    root.next()
    root.child("other")
    assert root.child("block3/attn/q").next() == early
    assert early != root.child("block3/attn/k").next()
    assert root.child("a").child("b").next() != root.child("b").child("a").next()
    assert root.child("a").child("b").next() != root.child("ab").next()
    assert sb.SeedGenerator(43).child("block3/attn/q").next() != early


def test_a_refused_call_takes_no_draw():
    generator = sb.SeedGenerator(1)
    init = sb.GlorotNormal(seed=generator)
    refused = [
        {"shape": (2, -1)},
        {"shape": (2, 2), "dtype": "int32"},
        {"shape": (2, 2), "dtype": "nonsense"},
        {"shape": (2, 2), "out": np.zeros(3, "float32")},
        {"shape": (2, 2), "partition_shape": (3, 3)},
    ]
    for arguments in refused:
        with pytest.raises(ValueError, match=r"must"):
            init(**arguments)
    with pytest.raises(ValueError, match="finite float16 numbers"):
        sb.RandomNormal(0.0, 1e9, seed=generator).lazy((2, 2), "float16")
    assert generator.draws == 0

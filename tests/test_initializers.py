"""Initializers in general: examples, bounds, complex dtypes, a class of your own, the version."""

import json
import math

import numpy as np
import pytest
from support.reference import NAMED

import seedbed as sb


def test_a_user_defined_initializer_works():
    class Half(sb.RandomInitializer):
        def sampling(self, shape):
            return "uniform", (0.0, 0.5)

    init = Half(seed=3)
    assert (init((40,)) == sb.RandomUniform(0.0, 0.5, seed=3)((40,))).all()
    assert Half.from_config(init.get_config()) == init
    with pytest.raises(ValueError, match="only initializers from the top level of this package"):
        sb.serialize(init)


def test_words_are_those_of_the_keystream():
    words = sb.random_words(seed=42, count=100)
    assert words.dtype == np.uint32
    assert (sb.random_words(42, 10, start=37) == words[37:47]).all()
    assert (sb.random_words(sb.SeedGenerator(42), 100) == words).all()
    assert (sb.random_words(42, 100, stream=1) != words).any()
    assert (sb.random_words(42, 32, start=2**68 - 16)[16:] == words[:16]).all()
    for bad in ({"count": -1}, {"count": 1, "stream": -1}, {"count": 1, "stream": 2**64}, {"count": 1, "start": 2**68}):
        with pytest.raises(ValueError, match=r"must be in \[0, 2\*\*"):
            sb.random_words(42, **bad)
    with pytest.raises(ValueError, match="random_words needs a seed"):
        sb.random_words(None, 1)


def test_the_algorithm_is_v1():
    assert sb.ALGORITHM == "v1"


def test_a_configuration_has_nondefault_bounds():
    plain = sb.TruncatedNormal(seed=1, lower=-2, upper=2)
    assert plain == sb.TruncatedNormal(seed=1)
    assert plain.get_config() == {"mean": 0.0, "stddev": 0.05, "seed": 1}
    for lower, upper in [(-3, 2), (None, 2), (0, math.inf), (-math.inf, math.inf)]:
        init = sb.TruncatedNormal(seed=1, lower=lower, upper=upper)
        assert sb.deserialize(json.loads(json.dumps(sb.serialize(init), allow_nan=False))) == init
        assert eval(repr(init), {**vars(sb), "np": np}) == init
        assert init.with_seed(2).lower == init.lower
    assert repr(sb.TruncatedNormal(seed=1, lower=None)) == "TruncatedNormal(mean=0.0, stddev=0.05, seed=1, lower=None)"


def test_bounds_hold_in_every_dtype_and_differ_from_those_of_keras():
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        w = sb.TruncatedNormal(0.1, 0.7, seed=3, lower=-1, upper=1 / 3)((200, 200), dtype).astype(float)
        assert w.min() >= 0.1 - 0.7
        assert w.max() <= 0.1 + 1 / 3 * 0.7
    assert (sb.TruncatedNormal(0.25, 0.0, seed=3, lower=6, upper=None)((5,)) == 0.25).all()


def test_only_some_initializers_make_complex_tensors():
    for name in ["VarianceScaling", *NAMED, "RandomNormal", "TruncatedNormal"]:
        init = getattr(sb, name)(seed=3)
        for dtype in ("complex64", "complex128"):
            w = init((6, 5, 40), dtype)
            assert w.dtype == dtype
            t = init.lazy((6, 5, 40), dtype)
            assert (t[::-2, 1:4, 38:3:-3] == w[::-2, 1:4, 38:3:-3]).all()
            assert t[5, 4, 39] == w[5, 4, 39]
            part = init((6, 5, 40), dtype, partition_shape=(2, 5, 3), partition_offset=(1, 0, 7))
            assert (part == w[1:3, :, 7:10]).all()
            out = np.empty((6, 5, 40), dtype)
            assert (init((6, 5, 40), out=out) == w).all()
            assert init((0, 3), dtype).shape == (0, 3)
        assert abs(init((6, 5, 40), "complex64") - w).max() < 1e-6
    for init in (sb.RandomUniform(seed=1), sb.LogUniform(seed=1)):
        with pytest.raises(ValueError, match=r"one of float16, bfloat16, float32, float64\. Received: complex64"):
            init((2,), "complex64")
    with pytest.raises(ValueError, match=r"float64, complex64, complex128\. Received: int32"):
        sb.HeNormal(seed=1)((2,), "int32")
    with pytest.raises(ValueError, match=r"fewer than 2\*\*62 elements"):
        sb.RandomNormal(seed=1).lazy((2**62,), "complex64")
    with pytest.raises(ValueError, match="must be 0 or at least 1e-30"):
        sb.VarianceScaling(1e-62, seed=1)((2,), "complex64")

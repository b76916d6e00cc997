"""Recipes are compiled once and never stale after an assignment, a setting or an override."""

import pickle

import numpy as np
import pytest

import seedbed as sb
from seedbed import _core, rules

SHAPE = (6, 10)


def bits(initializer, dtype=None, shape=SHAPE):
    return initializer(shape, dtype).tobytes()


ASSIGNMENTS = [
    (sb.RandomNormal, {"mean": 0.5}),
    (sb.RandomNormal, {"stddev": 3.0}),
    (sb.RandomUniform, {"minval": -3.0}),
    (sb.RandomUniform, {"maxval": 3.0}),
    (sb.TruncatedNormal, {"lower": -1.0}),
    (sb.TruncatedNormal, {"upper": None}),
    (sb.VarianceScaling, {"scale": 3.0}),
    (sb.VarianceScaling, {"mode": "fan_out"}),
    (sb.VarianceScaling, {"distribution": "uniform"}),
    (sb.Orthogonal, {"gain": 3.0}),
    (sb.Orthogonal, {"column_axis": 0}),
    (sb.Identity, {"gain": 3.0}),
    (sb.STFT, {"side": "imag"}),
]


def of(cls):
    return {} if cls in (sb.Identity, sb.STFT) else {"seed": 7}


@pytest.mark.parametrize(("cls", "changed"), ASSIGNMENTS)
def test_an_assigned_argument_applies_to_the_next_call(cls, changed):
    shape = (4, 2, 5) if cls in (sb.STFT, sb.Orthogonal) else SHAPE
    initializer = cls(**of(cls))
    before, lazy = bits(initializer, shape=shape), initializer.lazy(shape)
    for name, value in changed.items():
        setattr(initializer, name, value)
    assert bits(initializer, shape=shape) == bits(cls(**of(cls), **changed), shape=shape) != before
    assert np.asarray(lazy).tobytes() == before, "a lazy tensor is the one that was asked for"


def test_an_assigned_seed_applies_to_the_next_call():
    for cls in (sb.GlorotNormal, sb.RandomUniform, sb.Orthogonal):
        initializer = cls(seed=1)
        before = bits(initializer)
        initializer.seed = 2
        assert bits(initializer) == bits(cls(seed=2)) != before


def test_floatx_applies_to_the_next_call():
    initializer = sb.GlorotNormal(seed=1)
    assert initializer(SHAPE).dtype == np.float32
    sb.set_floatx("float64")
    try:
        assert bits(initializer) == bits(initializer, "float64")
    finally:
        sb.set_floatx("float32")
    assert initializer(SHAPE).dtype == np.float32


def test_an_overridden_sampling_is_called_every_time():
    class Scheduled(sb.RandomNormal):
        step = 1

        def sampling(self, shape):
            return "normal", [0.0, 1.0 / self.step]  # a list is accepted

    initializer = Scheduled(seed=1)
    first = initializer(SHAPE)
    initializer.step = 2
    assert (initializer(SHAPE) == first / 2).all()


@pytest.mark.parametrize("name", ["input_axes", "output_axes", "batch_axes", "groups", "layout"])
def test_arguments_about_fans_cannot_be_assigned(name):
    with pytest.raises(AttributeError):
        setattr(sb.HeNormal(seed=1), name, None)


ZEROS = [
    (lambda zero: sb.RandomNormal(zero, 1.0, seed=1), "float32"),
    (lambda zero: sb.RandomNormal(0.0, zero, seed=1), "float32"),
    (lambda zero: sb.RandomNormal(0.0, zero, seed=1), "complex64"),
    (lambda zero: sb.RandomUniform(zero, 1.0, seed=1), "float64"),
    (lambda zero: sb.RandomUniform(zero, zero, seed=1), "float16"),
    (lambda zero: sb.TruncatedNormal(0.5, 1.0, seed=1, lower=zero), "float32"),
    (lambda zero: sb.TruncatedNormal(zero, zero, seed=1, upper=zero), "float64"),
]


@pytest.mark.parametrize(("make", "dtype"), ZEROS)
def test_recipes_ignore_the_sign_of_zero(make, dtype):
    made = []
    for zeros in ((0.0, -0.0), (-0.0, 0.0)):
        rules.compiled.cache_clear()
        made += [bits(make(zero), dtype) for zero in zeros]
    assert made == [made[0]] * 4


def test_a_recipe_is_compiled_once():
    rules.compiled.cache_clear()
    initializer = sb.GlorotNormal(seed=sb.SeedGenerator(1))
    for _ in range(3):
        initializer(SHAPE)
    initializer.lazy(SHAPE)[1:]
    assert rules.compiled.cache_info().misses == 1


RECIPES = [
    _core.Recipe("uniform", (-1.0, 1.0), "float16"),
    _core.Recipe("normal", (0.0, 2.0), "complex64"),
    _core.Recipe("normal_between", (0.0, 2.0, -1.0, float("inf")), "float64"),
    _core.Orthogonal(2.0, "bfloat16"),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_recipes_compare_by_value(recipe):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(recipe, protocol))
        assert again == recipe
        assert repr(again) == repr(recipe)
    assert sum(recipe == other for other in RECIPES) == 1
    with pytest.raises(AttributeError):
        recipe.dtype = "float32"


def empty(recipe, size):
    """Memory for so many elements of a recipe, as the extension takes it."""
    dtypes = {"float16": "u2", "float8_e4m3fn": "u1", "float64": "f8", "complex64": "f4"}
    dtype = next(dtypes[name] for name in dtypes if f'"{name}"' in repr(recipe))
    return np.zeros(2 * size if "complex" in repr(recipe) else size, dtype)


@pytest.mark.parametrize("recipe", [*RECIPES[:3], _core.Recipe("uniform", (-1.0, 1.0), "float8_e4m3fn")], ids=repr)
@pytest.mark.parametrize("size", [0, 1, 35, 70_000])
def test_several_arrays_get_what_each_gets_alone(recipe, size):
    keys = [bytes([number]) * 32 for number in range(5)]
    outs = [empty(recipe, size) for _ in keys]
    recipe.fill_each(outs, keys, 2)
    for out, key in zip(outs, keys, strict=True):
        alone = empty(recipe, size)
        recipe.fill(alone, (key, 0), None, 1)
        assert out.tobytes() == alone.tobytes()
        assert alone.any() or not size
    recipe.fill_each([], [], 1)


def test_no_array_is_written_unless_all_can_be():
    recipe = _core.Recipe("normal", (0.0, 1.0), "float64")
    good, key = np.zeros(4), bytes(32)
    fixed = np.zeros(4)
    fixed.flags.writeable = False
    for others in ([np.zeros(5)], [np.zeros(4, "f4")], [np.zeros(8)[::2]], [good], [fixed]):
        with pytest.raises(ValueError, match="out must"):
            recipe.fill_each([good, *others], [key] * 2, 1)
    with pytest.raises(ValueError, match="key must have 32 bytes"):
        recipe.fill_each([good], [b"short"], 1)
    with pytest.raises(ValueError, match="Received: 2 keys"):
        recipe.fill_each([good], [key] * 2, 1)
    assert not good.any()


def test_a_lazy_tensor_is_pickled_with_its_recipe():
    for initializer in (sb.GlorotNormal(seed=1), sb.Orthogonal(seed=1), sb.Sparse(0.5, seed=1), sb.Identity()):
        lazy = initializer.lazy(SHAPE)
        assert (np.asarray(pickle.loads(pickle.dumps(lazy))) == initializer(SHAPE)).all()


def test_an_error_takes_no_draw():
    generator = sb.SeedGenerator(1)
    for initializer, shape, dtype in [
        (sb.RandomNormal(1j, seed=generator), (2,), "float32"),
        (sb.RandomNormal(3e38, 1e37, seed=generator), (2,), "complex64"),
        (sb.TruncatedNormal(seed=generator, lower=-1.0), (2,), "complex64"),
        (sb.RandomNormal(seed=generator), (2**62,), "complex64"),
        (sb.RandomNormal(stddev=1e5, seed=generator), (2,), "float16"),
        (sb.RandomUniform(1.0001, 1.0002, seed=generator), (2,), "float16"),
        (sb.Orthogonal(1e5, seed=generator), (2, 2), "float16"),
        (sb.HeNormal(seed=generator, groups=2), (3, 3), "float32"),
    ]:
        with pytest.raises(ValueError, match="Received"):
            initializer.lazy(shape, dtype)
    assert generator.draws == 0

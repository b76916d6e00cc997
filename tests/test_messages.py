"""Errors: words that other programs match, suggestions, and exception types."""

import re

import numpy as np
import pytest

import seedbed as sb
from seedbed.arguments import nearest, shortened
from seedbed.compat import v1, v2

MATCHED_BY_OTHERS = {
    "Argument `scale` must be positive float": lambda: sb.VarianceScaling(scale=0.0),
    "Invalid `mode` argument:": lambda: sb.VarianceScaling(mode="fan_inn"),
    "Invalid `distribution` argument:": lambda: sb.VarianceScaling(distribution=None),
    "Expected `shape` to be (2, 3)": lambda: sb.get(np.zeros((2, 3)))((3, 2)),
    "Could not interpret initializer identifier: an initializer must be a name": lambda: sb.get(5),
    "Could not interpret initializer identifier: an initializer": lambda: v1.get(6),
    "Could not interpret initializer identifier: ": lambda: v2.get(7),
}

SUGGESTED = {
    "unknown initializer 'glorot_unifrom'. Did you mean 'glorot_uniform'?": lambda: sb.get("glorot_unifrom"),
    "unknown initializer 'HENORMAL'. Did you mean 'HeNormal'?": lambda: sb.get("HENORMAL"),
    "unknown initializer 'he_nrmal'. Did you mean 'he_normal'?": lambda: v1.get("he_nrmal"),
    "unknown initializer 'qqq'. Use the name of a class": lambda: sb.get("qqq"),
    "Received: mode='fan_inn'. Did you mean 'fan_in'?": lambda: sb.VarianceScaling(mode="fan_inn"),
    "Received: 'flaot32'. Did you mean 'float32'?": lambda: sb.Zeros()((2,), "flaot32"),
    "Received: 'flaot32'. Did you mean 'float32'": lambda: sb.set_floatx("flaot32"),
    "Received: ['sed']. Did you mean 'seed'?": lambda: sb.HeNormal.from_config({"sed": 1}),
    "A shape is one argument: (3, 4), not 3, 4": lambda: sb.GlorotNormal()(3, 4),
}

WRONG_TYPES = {
    "scale": lambda: sb.VarianceScaling(scale="1"),
    "gain": lambda: sb.Orthogonal(gain=None),
    "groups": lambda: sb.HeNormal(groups=1.5),
    "input_axes": lambda: sb.HeNormal(input_axes=0.5, output_axes=(0,)),
    "column_axis": lambda: sb.Orthogonal(column_axis="0"),
    "stacked": lambda: sb.Identity(stacked=1),
    "value": lambda: sb.Constant("1"),
    "window": lambda: sb.STFT(window=3j),
    "shape": lambda: sb.Zeros()({2, 3}),
    "partition_shape": lambda: sb.Zeros()((2, 3), partition_shape={2: 3}),
    "path": lambda: sb.SeedGenerator(1, path=3),
    "name": lambda: sb.SeedGenerator(1).child(3),
    "fans": lambda: sb.fans("he_normal", (2, 3)),
    "n must": lambda: sb.set_num_threads("3"),
    "custom_objects": lambda: sb.deserialize("zeros", custom_objects=[1]),
    "configuration": lambda: sb.deserialize(5),
}

WRONG_VALUES = {
    "scale": lambda: sb.VarianceScaling(scale=float("nan")),
    "groups": lambda: sb.HeNormal(groups=0),
    "value": lambda: sb.Constant([1.0, float("inf")]),
    "n must": lambda: sb.set_num_threads(0),
    "seed": lambda: sb.HeNormal(seed="1"),  # as Keras
    "masked": lambda: sb.get(np.ma.array([1.0, 2.0], mask=[0, 1])),
}


@pytest.mark.parametrize("words", [*MATCHED_BY_OTHERS, *SUGGESTED])
def test_a_message_contains_the_words(words):
    with pytest.raises(ValueError, match=re.escape(words)):
        (MATCHED_BY_OTHERS | SUGGESTED)[words]()


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_a_wrong_type_is_a_type_error(name):
    with pytest.raises(TypeError, match=name):
        WRONG_TYPES[name]()


@pytest.mark.parametrize("name", WRONG_VALUES)
def test_a_wrong_value_is_a_value_error(name):
    with pytest.raises(ValueError, match=name):
        WRONG_VALUES[name]()


@pytest.mark.parametrize(("short", "name"), [("fp16", "float16"), ("fp32", "float32"), ("fp64", "float64")])
def test_a_dtype_may_be_abbreviated(short, name):
    assert sb.Ones()((2,), short).dtype == name
    assert sb.HeNormal(seed=1)((2, 3), short).dtype == name


def test_bf16_is_bfloat16():
    pytest.importorskip("ml_dtypes")
    assert sb.Ones()((2,), "bf16").dtype.name == "bfloat16"


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, list(range(10**6)), -(1 << 9**5), np.arange(10**6), {"a": "b" * 10**6}],
    ids=lambda value: type(value).__name__,
)
def test_a_long_value_is_shortened(value):
    assert len(shortened(value)) < 200
    assert "\n" not in shortened(value)
    with pytest.raises(ValueError, match="mode must be one of") as caught:
        sb.VarianceScaling(mode=value)
    assert len(str(caught.value)) < 400


def test_the_nearest_names_keep_their_spelling():
    assert nearest("GLOROT_UNIFROM", ["glorot_uniform", "GlorotUniform"], 1) == ["glorot_uniform"]
    assert nearest(5, ["5"]) == []

"""Hostile configurations and plans: the result is right, or a documented error."""

import json

import documents
import numpy as np
import pytest
from documents import outcome
from hypothesis import given
from hypothesis import strategies as st
from support.hostile import CLASSES, hostile

import seedbed as sb
from seedbed.compat import v1, v2

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(CLASSES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)

configs = st.fixed_dictionaries(
    {"class_name": st.sampled_from(CLASSES) | json_values},
    optional={
        "config": st.dictionaries(
            st.sampled_from(["mean", "stddev", "minval", "seed", "scale", "mode", "value"]), json_values
        ),
        "module": st.sampled_from(["keras.initializers", "os", None]) | json_values,
        "registered_name": json_values,
    },
)


def nested(depth, inner=None):
    for _ in range(depth):
        inner = [inner]
    return inner


CYCLE = {"class_name": "HeNormal"}

CYCLE["config"] = {"seed": CYCLE}

CHECKS = {"plan": documents.check_plan, "config": documents.check_config}

CORPUS = {
    name: [path.read_text("utf-8", "surrogateescape") for path in sorted((documents.CORPUS / name).iterdir())]
    for name in CHECKS
}


@hostile
@given(configs | json_values)
def test_any_configuration_is_an_initializer_or_an_error(config):
    made = outcome(lambda: sb.deserialize(config))
    if made is not None:
        assert type(made).__qualname__ in CLASSES
        assert sb.deserialize(sb.serialize(made)).get_config() == made.get_config()
        outcome(lambda: made((2, 2)))
    outcome(lambda: sb.get(config))


@pytest.mark.parametrize("registry", [sb, v1, v2], ids=lambda registry: registry.__name__)
@pytest.mark.parametrize(
    "config",
    [
        {"class_name": "Constant", "config": {"value": nested(10**5)}},
        {"class_name": "HeNormal", "config": {"seed": nested(10**5)}},
        {"class_name": "HeNormal", "config": nested(10**5)},
        {"class_name": nested(10**5)},
        {"other": nested(10**5)},
        nested(10**5),
        CYCLE,
    ],
    ids=["value", "seed", "config", "class_name", "key", "list", "cycle"],
)
def test_deeply_nested_configurations_are_refused(registry, config):
    with pytest.raises(ValueError, match="Received"):
        registry.get(config)
    with pytest.raises(TypeError if registry is sb and type(config) is list else ValueError, match="Received"):
        registry.deserialize(config)


@pytest.mark.parametrize("value", [np.longdouble("0.1"), np.array([1, 2], np.longdouble), np.clongdouble("0.1")])
def test_a_constant_of_wide_floats_survives_its_configuration(value):
    init = sb.Constant(value)
    again = sb.deserialize(json.loads(json.dumps(sb.serialize(init))))
    assert again == init
    assert again((2,), "complex128").tobytes() == init((2,), "complex128").tobytes()
    with np.errstate(over="ignore"):
        beyond = np.longdouble(1e308) * 1000
    with pytest.raises(ValueError, match="value must be a finite number"):
        sb.Constant(beyond)


def test_an_encoded_array_keeps_its_imaginary_part():
    encoded = {"class_name": "__numpy__", "config": {"value": [1j, 2.0], "dtype": "complex64"}}
    assert sb.deserialize({"class_name": "Constant", "config": {"value": encoded}}).value == [1j, 2]
    encoded["config"]["dtype"] = "float32"
    with pytest.raises(ValueError, match="an encoded array must be of numbers"):
        sb.deserialize({"class_name": "Constant", "config": {"value": encoded}})


@pytest.mark.filterwarnings("ignore:Data type alias:DeprecationWarning")
@pytest.mark.parametrize("kind", CHECKS)
def test_mutated_documents_are_read_or_refused(kind):
    """Mutations of the files in `fuzz/corpus`."""
    corpus = CORPUS[kind]

    def make(case, choose):
        return corpus[case] if case < len(corpus) else documents.mutation(choose, choose.choice(corpus))

    documents.loop(make, CHECKS[kind], seconds=3)

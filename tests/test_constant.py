"""Constants: broadcasting, dtypes, configurations of arrays."""

import json
import pickle
import re

import numpy as np
import pytest

import seedbed as sb


def test_constants_broadcast_but_never_change_the_shape():
    assert sb.Constant([1, 2])((3, 2)).tolist() == [[1, 2]] * 3
    for shape in [(2,), (3,), ()]:
        with pytest.raises(ValueError, match="value must broadcast to the shape"):
            sb.Constant([[1, 2, 3], [4, 5, 6]])(shape)
    assert sb.Constant(7)((2,), "int8").tolist() == [7, 7]
    assert sb.Constant(1)((2,), bool).tolist() == [True, True]
    assert sb.Constant(1 + 2j)((1,), "complex64").tolist() == [1 + 2j]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (0.5, "int32"),
        (2, bool),
        (-1, "uint8"),
        (-1.0, "uint8"),
        (300, "int8"),
        (2.0**63, "int64"),
        (70_000, "float16"),
        (1e39, "float32"),
        (1e39, "bfloat16"),
        (1 + 2j, "float32"),
        ([1, 2j], "int32"),
    ],
)
def test_a_constant_the_dtype_cannot_represent_is_an_error(value, dtype):
    with pytest.raises(ValueError, match=r"value must be representable as \w+. Received: value="):
        sb.Constant(value)((2,), dtype)


def test_whole_constants_are_exact_in_every_dtype():
    assert sb.Constant(2.0)((1,), "int8").tolist() == [2]
    assert sb.Constant(2**63)((1,), "uint64").tolist() == [2**63]
    assert sb.Constant(2.0**63)((1,), "uint64").tolist() == [2**63]
    assert sb.Constant(3 + 0j)((1,), "float32").tolist() == [3]
    assert sb.Constant(2**53 + 1)((1,), "int64").tolist() == [2**53 + 1]


def test_an_array_is_lists_of_numbers_in_a_configuration():
    assert sb.Constant(np.array([[1, 2], [3, 4]], "int16")).get_config() == {"value": [[1, 2], [3, 4]]}
    assert sb.Constant(np.float32(0.5)).get_config() == {"value": 0.5}
    init = sb.Constant(np.array([1 + 2j, -0.0]))
    config = json.loads(json.dumps(init.get_config()))
    assert config == {"value": {"real": [1.0, -0.0], "imag": [2.0, 0.0]}}
    assert sb.Constant.from_config(config) == init
    assert sb.Constant.from_config(config)((2,), "complex128").tobytes() == init((2,), "complex128").tobytes()
    for bad in ({"real": 1}, {"real": [1], "imag": 2}, {"real": "1", "imag": "2"}, {"class_name": "x"}):
        with pytest.raises(TypeError, match="value must be a finite number"):
            sb.Constant(bad)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3), (0, 0), (0, 2**40)])
@pytest.mark.parametrize("dtype", ["float32", "int8", "complex64"])
def test_a_constant_without_elements_keeps_its_shape(shape, dtype):
    init = sb.Constant(np.zeros(shape, dtype))
    copies = [
        sb.Constant.from_config(json.loads(json.dumps(init.get_config()))),
        sb.deserialize(json.loads(json.dumps(sb.serialize(init)))),
        pickle.loads(pickle.dumps(init)),
        init.clone(),
    ]
    for again in copies:
        assert again == init
        assert again.lazy(shape).shape == shape
        with pytest.raises(ValueError, match=re.escape(f"Received: value of shape {shape}")):
            again.lazy((7, *shape[1:-1], 7))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"shape": [2, 3]}, ValueError),
        ({"shape": []}, ValueError),
        ({"shape": "0"}, TypeError),
        ({"shape": [0], "real": []}, TypeError),
    ],
)
def test_a_malformed_array_configuration_is_refused(value, kind):
    with pytest.raises(kind, match="value must be a finite number"):
        sb.Constant(value)


def test_a_constant_copies_its_array():
    array = np.ones(3)
    init = sb.Constant(array)
    array[0] = init.value[1] = 5
    assert init((3,)).tolist() == [1, 1, 1]


def test_constants_may_be_complex():
    assert sb.Zeros()((2,), "complex64").tolist() == [0, 0]
    assert sb.Ones()((2,), "complex128").tolist() == [1, 1]

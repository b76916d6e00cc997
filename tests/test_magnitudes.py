"""Magnitudes of weight normalization in plans: they have the norms of their direction, by its seed."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

import seedbed as sb
from seedbed import schemes
from seedbed.checkpoint import verify_checkpoint, write_checkpoint
from seedbed.cli import main
from seedbed.plan import Part, Plan, load_plan, parse_plan
from seedbed.plan.applied_rules import with_rules
from seedbed.plan.rules import as_rules

NORMS = {"class_name": "Norms", "config": {"initializer": "HeNormal", "shape": [6, 5, 3]}}
MAGNITUDE = {"name": "conv.g", "shape": [6, 1, 1], "initializer": NORMS, "seed_of": "conv.v"}
DIRECTION = {"name": "conv.v", "shape": [6, 5, 3], "initializer": "HeNormal"}


def plan_of(*tensors, **fields):
    return parse_plan(json.dumps({**fields, "tensors": list(tensors)}))


PLAN = plan_of(MAGNITUDE, DIRECTION)


def norms(tensor):
    return np.sqrt((tensor.astype(np.float64) ** 2).sum(axis=(1, 2), keepdims=True))


def written(plan, path, seed=3):
    write_checkpoint(plan, path, seed=seed)
    assert verify_checkpoint(plan, path).different == 0
    return load_file(path)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_file_has_the_norms_of_the_direction_in_it(tmp_path, dtype, order):
    plan = plan_of(*(MAGNITUDE, DIRECTION)[::order], dtype=dtype)
    tensors = written(plan, tmp_path / "a.safetensors")
    expected = sb.HeNormal(seed=sb.SeedGenerator(3).child("conv.v"))((6, 5, 3), dtype)
    assert (tensors["conv.v"] == expected).all()
    assert np.allclose(tensors["conv.g"], norms(expected).astype(dtype), rtol=1e-15, atol=0)


def test_verify_finds_a_magnitude_of_another_seed(tmp_path):
    tensors = [dataclasses.replace(PLAN.tensors[0], seed_of=None), PLAN.tensors[1]]
    write_checkpoint(Plan(tuple(tensors)), tmp_path / "a.safetensors", seed=3)
    found = verify_checkpoint(PLAN, tmp_path / "a.safetensors")
    assert [difference.name for difference in found.differences] == ["conv.g"]


def test_json_has_the_seed_of_another_tensor_with_ranges():
    layers = [{**entry, "name": f"h.{{0..9}}.{entry['name']}"} for entry in (MAGNITUDE, DIRECTION)]
    layers[0]["seed_of"] = "h.{1}.conv.v"
    plan = plan_of(*layers)
    assert [tensor.seed_of for tensor in plan.tensors[:4]] == ["h.0.conv.v", None, "h.1.conv.v", None]
    text = plan.to_json()
    assert parse_plan(text) == plan
    assert hash(parse_plan(text)) == hash(plan)
    assert text.count('"seed_of": "h.{1}.conv.v"') == 1
    assert plan != Plan(tuple(dataclasses.replace(tensor, seed_of=None) for tensor in plan.tensors))


@pytest.mark.parametrize("name", ["a{b}", "h.3.v", "h.03.v", "größe", "{1}"])
def test_any_name_comes_back(name):
    tensors = [dataclasses.replace(PLAN.tensors[0], name=f"h.{i}.g", seed_of=name) for i in (2, 3, 4)]
    plan = Plan(tuple(tensors))
    assert parse_plan(plan.to_json()) == plan


def test_a_seed_of_another_tensor_is_for_any_initializer(tmp_path):
    tensors = written(
        plan_of({"name": "copy", "shape": [3, 4], "initializer": "HeNormal", "seed_of": "w"}),
        tmp_path / "a.safetensors",
    )
    assert (tensors["copy"] == sb.HeNormal(seed=sb.SeedGenerator(3).child("w"))((3, 4))).all()


def test_parts_may_have_the_seed_of_another_tensor(tmp_path):
    part = {"name": "whole", "shape": [6, 1, 1], "partition_shape": [2, 1, 1], "partition_offset": ["{1}", 0, 0]}
    halves = {**MAGNITUDE, "name": "g.{0..4}", "shape": [2], "part_of": part}
    plan = plan_of(halves, DIRECTION)
    assert parse_plan(plan.to_json()) == plan
    tensors = written(plan, tmp_path / "a.safetensors")
    expected = norms(tensors["conv.v"]).astype("float32").ravel()
    for i in range(5):
        assert (tensors[f"g.{i}"] == expected[i : i + 2]).all()


def test_a_renamed_direction_is_found():
    direction = dataclasses.replace(
        PLAN.tensors[1], name="conv.weight_v", part=Part("conv.v", (6, 5, 3), (6, 5, 3), (0, 0, 0))
    )
    assert parse_plan(Plan((PLAN.tensors[0], direction)).to_json()).tensors[1] == direction
    with pytest.raises(ValueError, match=r'"conv.g": a tensor with the seed of "conv.weight_v" must have the norms'):
        Plan((PLAN.tensors[0], dataclasses.replace(direction, initializer=sb.Zeros())))


@pytest.mark.parametrize(
    ("magnitude", "direction", "message"),
    [
        ({}, {"initializer": "GlorotNormal"}, r'"conv.g": a tensor with the seed of "conv.v" must have the norms of'),
        ({}, {"shape": [6, 5, 4]}, r"must have the norms of that tensor, Norms\(.*\(6, 5, 4\)"),
        ({}, {"dtype": "float64"}, r'must have the dtype of the tensor, float64 of "conv.v". Received: float32'),
        ({"seed_of": ""}, {}, "a name must be neither empty"),
        ({"seed_of": "{1}"}, {}, "a brace here must"),
        ({"shape": [5, 1, 1]}, {}, "must broadcast to that of the tensor"),
    ],
)
def test_a_magnitude_that_does_not_fit_is_a_value_error(magnitude, direction, message):
    with pytest.raises(ValueError, match=message):
        plan_of({**MAGNITUDE, **magnitude}, {**DIRECTION, **direction})


@pytest.mark.parametrize("value", [None, 3, ["conv.v"], {"name": "conv.v"}])
def test_a_seed_of_that_is_no_name_is_a_type_error(value):
    with pytest.raises(TypeError, match="seed_of must be a string"):
        plan_of({**MAGNITUDE, "seed_of": value}, DIRECTION)


class TestRules:
    @pytest.mark.parametrize("pattern", ["conv.v", "*", "*.v"])
    def test_a_magnitude_follows_its_direction(self, pattern):
        plan = with_rules(PLAN, as_rules({pattern: sb.RandomNormal(stddev=0.5)}))
        magnitude, direction = plan.tensors
        assert direction.initializer == plan_of({**DIRECTION, "initializer": RANDOM}).tensors[0].initializer
        assert magnitude.initializer.initializer == direction.initializer
        assert magnitude.seed_of == "conv.v"

    def test_a_rule_for_the_magnitude_alone_decides_it(self):
        magnitude, direction = with_rules(PLAN, as_rules({"conv.g": "ones"})).tensors
        assert (magnitude.initializer, magnitude.seed_of) == (sb.Ones(), None)
        assert direction == PLAN.tensors[1]

    def test_a_rule_of_norms_leaves_the_norms_of_the_direction(self):
        rules = {"conv.g": sb.Norms("zeros", (6, 5, 3)), "conv.v": "ones"}
        magnitude, _ = with_rules(PLAN, as_rules(rules)).tensors
        assert magnitude.initializer.initializer == sb.Ones()

    def test_a_scheme_is_not_asked_for_the_role_of_a_magnitude(self):
        up = {**DIRECTION, "name": "h.0.mlp.up_proj.weight", "shape": [6, 5]}
        config = {"initializer": "HeNormal", "shape": [6, 5]}
        magnitude = {**MAGNITUDE, "shape": [6, 1], "seed_of": up["name"]}
        plan = plan_of({**magnitude, "initializer": {"class_name": "Norms", "config": config}}, up)
        made = with_rules(plan, as_rules(schemes.gpt2(layers=1))).tensors
        assert made[0].initializer.initializer == made[1].initializer != plan.tensors[1].initializer

    def test_the_command_applies_rules_and_dtypes(self, tmp_path, capsys):
        (tmp_path / "plan.json").write_text(PLAN.to_json())
        command = ["init", str(tmp_path / "plan.json"), "--quiet", "--dtype", "float64", "-o"]
        assert main([*command, str(tmp_path / "a.safetensors"), "--rule", "*.v=RandomUniform(minval=1, maxval=2)"]) == 0
        tensors = load_file(tmp_path / "a.safetensors")
        assert tensors["conv.v"].min() >= 1
        assert np.allclose(tensors["conv.g"], norms(tensors["conv.v"]), rtol=1e-15)
        assert main(["plan", str(tmp_path / "plan.json"), "-o", str(tmp_path / "again.json")]) == 0
        assert load_plan(tmp_path / "again.json") == PLAN
        assert main(["show", str(tmp_path / "plan.json")]) == 0
        assert "Norms(" in capsys.readouterr().out

    def test_a_plan_as_rules_keeps_the_seeds_of_other_tensors(self):
        jax = pytest.importorskip("jax")
        import seedbed.jax

        plan = plan_of({"name": "copy", "shape": [3, 4], "initializer": "HeNormal", "seed_of": "w"})
        tree = seedbed.jax.initialize({"copy": jax.ShapeDtypeStruct((3, 4), "float32")}, plan, seed=3)
        assert (np.asarray(tree["copy"]) == sb.HeNormal(seed=sb.SeedGenerator(3).child("w"))((3, 4))).all()
        assert seedbed.jax.plan_of(tree, plan) == plan


RANDOM = {"class_name": "RandomNormal", "config": {"stddev": 0.5}}

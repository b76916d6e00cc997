"""Ranges in the names of a plan, parts of tensors, and plans written as JSON."""

import json
import math
from importlib import resources
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seedbed
from seedbed.checkpoint import verify_checkpoint, write_checkpoint
from seedbed.plan import Part, Plan, PlannedTensor, load_plan, parse_plan, ranges
from seedbed.plan.limits import MAX_NAMES, MAX_TENSORS

NORMAL = {"class_name": "RandomNormal", "config": {"mean": 0.5, "stddev": 0.02}}
ZEROS = {"name": "a", "shape": [], "initializer": "zeros"}
SCHEMA = json.loads(resources.files("seedbed.plan").joinpath("schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def plan_of(*entries, **fields):
    document = {"defaults": [{"pattern": "*", "initializer": NORMAL}], "tensors": entries, **fields}
    VALIDATOR.validate(json.loads(json.dumps(document)))
    return parse_plan(json.dumps(document))


def named(*names):
    return [tensor.name for tensor in plan_of(*({"name": name, "shape": [2]} for name in names)).tensors]


class TestRangesInNames:
    def test_are_integers_both_ends_included(self):
        assert named("h.{0..2}.bias") == ["h.0.bias", "h.1.bias", "h.2.bias"]
        assert named("{9..11}") == ["9", "10", "11"]
        assert named("a{7..7}") == ["a7"]

    def test_entries_equal_up_to_a_range_are_repeated_together(self):
        assert named("a", "h.{0..1}.x", "h.{0..1}.y", "z") == ["a", "h.0.x", "h.0.y", "h.1.x", "h.1.y", "z"]
        assert named("h.{0..1}.x", "h.{0..2}.y") == ["h.0.x", "h.1.x", "h.0.y", "h.1.y", "h.2.y"]
        assert named("h.{0..1}.x", "between", "h.{0..1}.y") == ["h.0.x", "h.1.x", "between", "h.0.y", "h.1.y"]

    def test_later_ranges_vary_fastest(self):
        assert named("h.{0..1}.e.{0..1}.x", "h.{0..1}.e.{0..1}.y", "h.{0..1}.z") == [
            f"h.{layer}.{name}" for layer in (0, 1) for name in ("e.0.x", "e.0.y", "e.1.x", "e.1.y", "z")
        ]

    def test_leave_doubled_braces_as_single_ones(self):
        assert named("{{0..2}}.{{x}}") == ["{0..2}.{x}"]

    def test_draw_as_if_each_name_had_an_entry(self, tmp_path):
        short = plan_of({"name": "h.{0..2}.x", "shape": [3, 4]})
        long = plan_of(*({"name": f"h.{i}.x", "shape": [3, 4]} for i in range(3)))
        assert short == long
        assert write_checkpoint(short, tmp_path / "a").sha256 == write_checkpoint(long, tmp_path / "b").sha256

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("a{0..2", r"a brace in a name must be part of a range, such as \{0..11\}, or doubled. Received: \{ at"),
            ("a}", r"or doubled. Received: \} at character 1"),
            ("{x}", r"or doubled. Received: \{ at character 0"),
            ("{1}", r"or doubled. Received: \{1\} at character 0"),
            ("{01..2}", r"or doubled. Received: \{"),
            ("{-1..2}", r"or doubled. Received: \{"),
            ("{0..99999999999}", r"or doubled. Received: \{"),
            ("{2..1}", "a range in a name must not be empty. Received: '{2..1}'"),
            ("{0..1}" * 5, "a name must have at most 4 ranges. Received: 5"),
            ("a{0..9999999999}", "a plan must have at most 262144 tensors. Received: 10000000000"),
            ("{0..999}{0..999}", "a plan must have at most 262144 tensors. Received: 1000000"),
            ("a" * 1000 + "{0..99999}", "names must have at most 67108864 characters in all. Received: 101000000"),
        ],
    )
    def test_that_are_malformed_or_too_many_are_refused(self, name, message):
        with pytest.raises(ValueError, match=message):
            named(name)

    def test_do_not_hide_a_duplicate_name(self):
        with pytest.raises(ValueError, match=r'^tensors\[1\] "h.1": a name must occur once. Received: .*tensors\[0\]$'):
            named("h.{0..2}", "h.1")
        with pytest.raises(ValueError, match=r'^tensors\[1\] "{1..2}": .* Received: "1", the name of tensors\[0\]$'):
            named("1", "{1..2}")

    def test_count_among_the_pairs_of_tensors_and_defaults(self):
        defaults = [{"pattern": str(i), "initializer": "zeros"} for i in range(1000)]
        document = {"tensors": [{"name": "a{0..9999}", "shape": []}], "defaults": defaults}
        with pytest.raises(ValueError, match=r"at most 4194304\. Received: 10000 tensors, 1000 defaults"):
            parse_plan(json.dumps(document))

    def test_limits_are_reached_in_seconds(self):
        assert len(named(f"{{1..{MAX_TENSORS // 8}}}")) == MAX_TENSORS // 8
        assert MAX_NAMES >= 200 * MAX_TENSORS


texts = st.text(alphabet="ab.{}019", max_size=6)


@settings(max_examples=500)
@given(st.lists(st.lists(st.sampled_from(["h", "0", "1", "2", "10", "01", "{", "x.", "."]), min_size=1, max_size=6)))
def test_compressed_names_expand_to_the_same_in_the_same_order(names):
    names = ["".join(parts) for parts in names]
    short = ranges.compress([(name, None) for name in names], lambda entry, *_: [entry])
    assert [name for _, name, _ in ranges.expand([ranges.parse(text) for text, _ in short])] == names
    assert len(short) <= len(names)


class TestCompression:
    def written(self, plan):
        VALIDATOR.validate(json.loads(plan.to_json()))
        assert parse_plan(plan.to_json()) == plan
        return [entry["name"] for entry in json.loads(plan.to_json())["tensors"]]

    def test_of_layers_makes_one_entry_per_tensor_of_a_layer(self):
        names = ["wte", *(f"h.{i}.{name}" for i in range(12) for name in ("ln.weight", "attn.weight")), "ln_f"]
        plan = plan_of(*({"name": name, "shape": [3]} for name in names))
        assert self.written(plan) == ["wte", "h.{0..11}.ln.weight", "h.{0..11}.attn.weight", "ln_f"]

    def test_ends_where_a_layer_differs(self):
        plan = plan_of(*({"name": f"h.{i}.w", "shape": [4 if i == 3 else 5]} for i in range(6)))
        assert self.written(plan) == ["h.{0..2}.w", "h.3.w", "h.{4..5}.w"]

    def test_keeps_an_order_other_than_by_layer(self):
        plan = plan_of(*({"name": f"h.{i}.{name}", "shape": [3]} for name in "ab" for i in range(2)))
        assert self.written(plan) == ["h.{0..1}.a", "h.0.b", "h.1.b"]

    def test_names_numbers_in_later_places_too(self):
        names = [f"layer{i}.{j}.w" for i in (1, 2) for j in range(3)] + ["conv1.w"]
        plan = plan_of(*({"name": name, "shape": [3]} for name in names))
        assert self.written(plan) == ["layer{1..2}.{0..2}.w", "conv1.w"]

    def test_is_fast_enough_for_many_tensors(self):
        plan = plan_of({"name": "h.{0..49}.e.{0..63}.w", "shape": [3]}, {"name": "{0..999}a{1..1}", "shape": []})
        assert self.written(plan) == ["h.{0..49}.e.{0..63}.w", "{0..999}a1"]


class TestJson:
    def test_has_all_of_the_plan(self):
        plan = plan_of(
            {"name": "a", "shape": [2], "dtype": "float16"},
            {"name": "b", "shape": [], "dtype": "bfloat16", "initializer": "ones", "source": "recorded"},
            {"name": "{{c}}", "shape": [2, 0], "dtype": "bfloat16", "initializer": "orthogonal"},
            config={"architectures": ["A"], "größe": [1.5, None, {"x": True}]},
        )
        again = parse_plan(plan.to_json())
        assert again == plan
        assert again.config == plan.config
        assert [tensor.source for tensor in again.tensors] == ["*", "recorded", "own entry"]
        assert json.loads(plan.to_json())["dtype"] == "bfloat16"
        VALIDATOR.validate(json.loads(plan.to_json()))

    def test_an_entry_keeps_its_own_dtype(self):
        plan = plan_of(
            {"name": "a", "shape": [2]},
            {"name": "b", "shape": [2]},
            {"name": "c", "shape": [], "dtype": "int64", "initializer": "zeros"},
        )
        again = parse_plan(plan.to_json(), dtype="float16")
        assert [tensor.dtype.name for tensor in again.tensors] == ["float16", "float16", "int64"]

    def test_of_every_initializer_is_read_back(self):
        for name, cls in seedbed.config.CLASSES.items():
            if name in ("Constant", "STFT"):
                continue
            try:
                initializer = cls(seed=None) if "seed" in cls.parameters else cls()
            except TypeError:
                continue
            plan = Plan((PlannedTensor("a", (), np.dtype("f4"), initializer),))
            config = json.loads(plan.to_json())["tensors"][0]["initializer"]
            assert (config if isinstance(config, str) else config["class_name"]) == name
            assert "seed" not in (config if isinstance(config, dict) else {}).get("config", {})

    def test_of_an_initializer_without_a_configuration_is_refused(self):
        class Mine(seedbed.Zeros):
            parameters = ("mine",)

        plan = Plan((PlannedTensor("a", (2,), np.dtype("f4"), Mine()),))
        with pytest.raises(ValueError, match=r"^'a': only initializers from the top level of this package"):
            plan.to_json()

    def test_of_no_tensors_is_a_plan(self):
        assert parse_plan(plan_of().to_json()) == plan_of()

    def test_of_a_config_outside_json_is_refused(self):
        with pytest.raises(ValueError, match="JSON"):
            Plan((), {"a": math.inf}).to_json()


class TestParts:
    WHOLE = (6, 4, 5)

    def experts(self):
        def part(name, first):
            return {
                "name": f"h.{{0..1}}.e.{{0..5}}.{name}",
                "shape": [2, 5],
                "part_of": {
                    "name": "h.{1}.experts",
                    "shape": self.WHOLE,
                    "partition_shape": [1, 2, 5],
                    "partition_offset": ["{2}", first, 0],
                },
            }

        return plan_of(part("gate", 0), part("up", 2), {"name": "h.{0..1}.norm", "shape": [3]})

    def values(self, plan, path, seed):
        from safetensors.numpy import load_file

        write_checkpoint(plan, path, seed=seed)
        assert verify_checkpoint(plan, path).different == 0
        assert verify_checkpoint(plan, path, seed=seed + 1).different == len(plan.tensors)
        return load_file(path)

    @pytest.mark.parametrize("block", [64, 1 << 24])
    def test_have_the_values_of_the_whole_tensor(self, path, monkeypatch, block):
        monkeypatch.setattr("seedbed.checkpoint.ring_buffer.BLOCK_BYTES", block)
        written = self.values(self.experts(), path, 7)
        for layer in range(2):
            seed = seedbed.SeedGenerator(7).child(f"h.{layer}.experts")
            whole = seedbed.RandomNormal(0.5, 0.02, seed=seed)(self.WHOLE)
            for expert in range(6):
                for name, rows in (("gate", slice(0, 2)), ("up", slice(2, 4))):
                    assert np.array_equal(written[f"h.{layer}.e.{expert}.{name}"], whole[expert, rows])

    def test_may_be_the_whole_under_another_name(self, path):
        plan = plan_of({"name": "file", "shape": [6, 2], "part_of": {"name": "memory", "shape": [3, 4]}})
        whole = seedbed.RandomNormal(0.5, 0.02, seed=seedbed.SeedGenerator(7).child("memory"))((3, 4))
        assert np.array_equal(self.values(plan, path, 7)["file"], whole.reshape(6, 2))

    def test_of_an_orthogonal_tensor_compute_it_once(self, path, monkeypatch):
        computed = []
        compute = seedbed.rules.Computed.write
        monkeypatch.setattr(
            seedbed.rules.Computed, "write", lambda self, *arguments: (computed.append(1), compute(self, *arguments))
        )
        plan = plan_of(
            {
                "name": "{0..1}.{0..3}",
                "shape": [5],
                "initializer": "orthogonal",
                "part_of": {
                    "name": "all.{1}",
                    "shape": [4, 5],
                    "partition_shape": [1, 5],
                    "partition_offset": ["{2}", 0],
                },
            }
        )
        write_checkpoint(plan, path, seed=3)
        assert len(computed) == 2
        from safetensors.numpy import load_file

        whole = seedbed.Orthogonal(seed=seedbed.SeedGenerator(3).child("all.1"))((4, 5))
        assert np.array_equal(load_file(path)["1.2"], whole[2])

    def test_are_written_with_ranges(self):
        plan = self.experts()
        entries = json.loads(plan.to_json())["tensors"]
        assert [entry["name"] for entry in entries] == [
            "h.{0..1}.e.{0..5}.gate",
            "h.{0..1}.e.{0..5}.up",
            "h.{0..1}.norm",
        ]
        assert entries[1]["part_of"] == {
            "name": "h.{1}.experts",
            "shape": [6, 4, 5],
            "partition_shape": [1, 2, 5],
            "partition_offset": ["{2}", 2, 0],
        }
        assert parse_plan(plan.to_json()) == plan
        assert plan.tensors[13].part == Part("h.1.experts", (6, 4, 5), (1, 2, 5), (0, 0, 0))

    @pytest.mark.parametrize(
        ("part", "kind", "message"),
        [
            ("whole", TypeError, 'part_of must be an object. Received: "whole"'),
            ({}, ValueError, 'part_of must have the key "name"'),
            ({"name": 3}, TypeError, "a name must be a string. Received: 3"),
            ({"name": "w", "offset": []}, ValueError, "the keys of part_of must be among"),
            ({"name": ""}, ValueError, "a name must be neither empty"),
            (
                {"name": "{3}"},
                ValueError,
                r"must refer to a range, by a number from 1 to 1, or be doubled. Received: \{3\} at character 0",
            ),
            ({"name": "{0..1}"}, ValueError, "a brace here must refer to a range"),
            (
                {"name": "w", "shape": [2, 2]},
                ValueError,
                r"as many elements as the tensor. Received: .*\(2, 2\) for a tensor of shape \(3,\)",
            ),
            (
                {"name": "w", "shape": [9], "partition_shape": [3], "partition_offset": [7]},
                ValueError,
                "must lie within the shape",
            ),
            (
                {"name": "w", "shape": [9], "partition_shape": [3], "partition_offset": [-1]},
                ValueError,
                "partition_offset",
            ),
            (
                {"name": "w", "shape": [9], "partition_shape": [3], "partition_offset": ["x"]},
                TypeError,
                "partition_offset must be a list of integers",
            ),
            (
                {"name": "w", "shape": [9], "partition_shape": [3], "partition_offset": 3},
                TypeError,
                "partition_offset must be a list",
            ),
            (
                {"name": "w", "shape": [9], "partition_shape": "3"},
                TypeError,
                "partition_shape must be a list of integers",
            ),
            ({"name": "w", "shape": [2**62]}, ValueError, "a tensor must have at most"),
        ],
    )
    def test_that_are_none_are_refused(self, part, kind, message):
        document = {"tensors": [{"name": "a{0..1}", "shape": [3], "initializer": "zeros", "part_of": part}]}
        with pytest.raises(kind, match=message) as caught:
            parse_plan(json.dumps(document))
        assert str(caught.value).startswith('tensors[0] "a{0..1}": ')


class TestSchema:
    def test_is_a_valid_schema(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_takes_every_plan_that_ships(self):
        shipped = list(Path(str(resources.files("seedbed").joinpath("plans"))).glob("*.json"))
        assert shipped
        for path in shipped:
            VALIDATOR.validate(json.loads(path.read_text(encoding="utf-8")))
            plan = load_plan(path.stem)
            assert parse_plan(plan.to_json()) == plan

    @pytest.mark.parametrize(
        ("change", "kind", "message"),
        [
            ({"tensors": None}, TypeError, '"tensors" must be a list'),
            ({"more": 1}, ValueError, 'Received: "more"'),
            ({"dtype": 32}, TypeError, "a dtype must be a string"),
            ({"config": []}, TypeError, '"config" must be an object'),
            ({"defaults": [{"pattern": "*"}]}, ValueError, 'must have the key "initializer"'),
            ({"tensors": [{"name": "a"}]}, ValueError, 'must have the key "shape"'),
            ({"tensors": [{**ZEROS, "name": ""}]}, ValueError, "a name must be neither empty"),
            ({"tensors": [{**ZEROS, "shape": [-1]}]}, ValueError, "a dimension must not be negative"),
            ({"tensors": [{**ZEROS, "shape": [1.5]}]}, TypeError, "a shape must be a list of integers"),
            (
                {"tensors": [{**ZEROS, "initializer": {"class_name": "Zeros", "config": {"seed": 1}}}]},
                ValueError,
                "an initializer must have no seed here",
            ),
            ({"tensors": [{**ZEROS, "part_of": "b"}]}, TypeError, "part_of must be an object"),
        ],
    )
    def test_and_the_reader_refuse_the_same_documents(self, change, kind, message):
        document = {"tensors": [ZEROS], **change}
        assert not VALIDATOR.is_valid(document)
        with pytest.raises(kind, match=message):
            parse_plan(json.dumps(document))

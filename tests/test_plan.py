import dataclasses
import json
import math
import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

import seedbed as sb
from seedbed.checkpoint import verify_checkpoint, write_checkpoint, write_directory
from seedbed.plan import Plan, load_plan, parse_plan, ranges
from seedbed.plan.limits import MAX_PLAN_BYTES, MAX_RANK, MAX_TENSORS
from seedbed.saving import plain_name
from seedbed.strict_json import MAX_DIGITS

NORMAL = {"class_name": "RandomNormal", "config": {"mean": 0.0, "stddev": 0.02}}


def plan_of(*tensors, **fields):
    return parse_plan(json.dumps({**fields, "tensors": tensors}))


def settings(initializer):
    """Return the class and the arguments of an initializer that has no seed."""
    return plain_name(type(initializer)), {k: v for k, v in initializer.get_config().items() if k != "seed"}


class TestGPT2:
    def test_has_148_tensors_and_124439808_float32_parameters(self):
        plan = load_plan("gpt2")
        assert len(plan.tensors) == 148
        assert plan.parameters == 124_439_808
        assert plan.nbytes == 4 * 124_439_808

    def test_has_the_names_and_shapes_of_the_published_checkpoint(self):
        expected = {"wte.weight": (50257, 768), "wpe.weight": (1024, 768), "ln_f.weight": (768,), "ln_f.bias": (768,)}
        for layer in range(12):
            for name, shape in {
                "ln_1": (768,),
                "attn.c_attn": (768, 2304),
                "attn.c_proj": (768, 768),
                "ln_2": (768,),
                "mlp.c_fc": (768, 3072),
                "mlp.c_proj": (3072, 768),
            }.items():
                expected[f"h.{layer}.{name}.weight"] = shape
                expected[f"h.{layer}.{name}.bias"] = shape[-1:]
        assert {tensor.name: tensor.shape for tensor in load_plan("gpt2").tensors} == expected

    def test_follows_the_rules_by_which_gpt2_is_initialised(self):
        for tensor in load_plan("gpt2").tensors:
            kind, config = settings(tensor.initializer)
            if tensor.name.endswith(".bias"):
                assert kind == "Zeros", tensor.name
            elif tensor.name.split(".")[-2] in ("ln_1", "ln_2", "ln_f"):
                assert kind == "Ones", tensor.name
            else:
                stddev = 0.02 / math.sqrt(2 * 12) if ".c_proj." in tensor.name else 0.02
                assert (kind, config) == ("RandomNormal", {"mean": 0.0, "stddev": stddev}), tensor.name


def test_the_order_of_the_plan_is_kept():
    plan = plan_of(*({"name": name, "shape": [2], "initializer": "ones"} for name in "cab"))
    assert [tensor.name for tensor in plan.tensors] == ["c", "a", "b"]


def test_the_first_matching_default_applies():
    defaults = [{"pattern": "*.bias", "initializer": "zeros"}, {"pattern": "*", "initializer": NORMAL}]
    plan = plan_of({"name": "a.bias", "shape": [2]}, {"name": "a.Bias", "shape": [2]}, defaults=defaults)
    assert [settings(tensor.initializer)[0] for tensor in plan.tensors] == ["Zeros", "RandomNormal"]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (
            ["*.wieght", "*"],
            r'^defaults\[0\] "\*\.wieght": a pattern must be the first that .*\(near it: \'\*\.weight\'\)$',
        ),
        (
            ["*", "*.weight"],
            r'^defaults\[1\] "\*\.weight": a pattern must be the first .* Received: a pattern that is not$',
        ),
    ],
)
def test_an_unused_default_is_an_error_unless_allowed(patterns, message):
    defaults = [{"pattern": pattern, "initializer": "zeros"} for pattern in patterns]
    text = json.dumps({"defaults": defaults, "tensors": [{"name": "a.weight", "shape": [2]}]})
    with pytest.raises(ValueError, match=message):
        parse_plan(text)
    assert parse_plan(text, unused="ignore").tensors[0].source == "*"


def test_the_source_of_a_tensor_says_what_decided_it():
    defaults = [{"pattern": "*.bias", "initializer": "zeros"}, {"pattern": "*", "initializer": NORMAL}]
    entries = [{"name": "a.bias", "shape": [2]}, {"name": "b", "shape": [2]}]
    plan = plan_of(*entries, {"name": "c", "shape": [2], "initializer": "ones"}, defaults=defaults)
    assert [tensor.source for tensor in plan.tensors] == ["*.bias", "*", "own entry"]


def test_a_tensors_own_initializer_precedes_defaults():
    defaults = [{"pattern": "*", "initializer": "zeros"}]
    plan = plan_of({"name": "a", "shape": [2], "initializer": "ones"}, defaults=defaults)
    assert settings(plan.tensors[0].initializer)[0] == "Ones"


@pytest.mark.parametrize(
    ("tensor", "default", "asked", "plan", "expected"),
    [
        ("float16", "float64", "bfloat16", "float32", "float16"),
        (None, "float64", "bfloat16", "float16", "float64"),
        (None, None, "bfloat16", "float16", "bfloat16"),
        (None, None, None, "float16", "float16"),
        (None, None, None, None, "float32"),
    ],
)
def test_the_most_specific_dtype_applies(tensor, default, asked, plan, expected):
    def said(dtype):
        return {} if dtype is None else {"dtype": dtype}

    document = {
        "defaults": [{"pattern": "*", "initializer": "zeros", **said(default)}],
        "tensors": [{"name": "a", "shape": [2], **said(tensor)}],
        **said(plan),
    }
    assert parse_plan(json.dumps(document), dtype=asked).tensors[0].dtype.name == expected


@pytest.mark.parametrize(
    ("shape", "size"),
    [([], 1), ([0], 0), ([3, 0, 2**59], 0), ([2, 3], 6), ([1] * MAX_RANK, 1), ([2**61 - 1], 2**61 - 1)],
)
def test_a_shape_may_be_any_that_an_array_can_have(shape, size):
    tensor = plan_of({"name": "a", "shape": shape, "initializer": NORMAL}).tensors[0]
    assert (tensor.shape, tensor.size, tensor.nbytes) == (tuple(shape), size, 4 * size)


def test_a_plan_may_have_no_tensors():
    assert plan_of().tensors == ()


def a(**fields):
    """Return the text of a plan with one tensor, whose entry is valid except for `fields`."""
    return json.dumps({"tensors": [{"name": "a", "shape": [2], "initializer": "ones", **fields}]})


def default(**fields):
    """Return the text of a plan with one default, whose entry is valid except for `fields`."""
    return json.dumps({"tensors": [], "defaults": [{"pattern": "*", "initializer": "ones", **fields}]})


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", ValueError, "a plan must be JSON. Received: invalid JSON: Expecting value: line 1 column 1 (char 0)"),
        ("\ufeff{}", ValueError, "a plan must be JSON. Received: invalid JSON: Unexpected UTF-8 BOM"),
        ("[" * 200_000, ValueError, "a plan must be nested a few levels deep at most. Received: a deeper one"),
        ("[]", TypeError, "a plan must be an object. Received: []"),
        ("{}", ValueError, 'a plan must have the key "tensors". Received: {}'),
        ('{"tensors": {}}', TypeError, '"tensors" must be a list. Received: {}'),
        (
            '{"tensors": [], "default": []}',
            ValueError,
            'must be among tensors, $schema, dtype, config, defaults. Received: "default"',
        ),
        ('{"tensors": [], "defaults": null}', TypeError, '"defaults" must be a list. Received: null'),
        ('{"tensors": [], "dtype": 32}', TypeError, "a dtype must be a string. Received: 32"),
        ('{"tensors": [], "dtype": "float33"}', ValueError, "float33"),
        (
            '{"tensors": [], "tensors": []}',
            ValueError,
            'each key once. Received: "tensors" again after {"tensors": []}',
        ),
        ('{"tensors": [NaN]}', ValueError, "a number must be finite. Received: NaN"),
        ('{"tensors": [-Infinity]}', ValueError, "a number must be finite. Received: -Infinity"),
        ('{"tensors": [1e999]}', ValueError, "a number must be finite. Received: 1e999"),
        (f'{{"tensors": [{10**MAX_DIGITS}]}}', ValueError, "an integer must have at most 20 digits. Received: 1000"),
        ('{"tensors": ["a"]}', TypeError, 'tensors[0]: a tensor must be an object. Received: "a"'),
        (
            a(dtpye="float32"),
            ValueError,
            'tensors[0] "a": the keys of a tensor must be among name, shape, dtype, initial',
        ),
        (
            '{"tensors": [{"name": "a"}]}',
            ValueError,
            'tensors[0] "a": a tensor must have the key "shape". Received: {"name"',
        ),
        (
            '{"tensors": [{"shape": []}]}',
            ValueError,
            'tensors[0]: a tensor must have the key "name". Received: {"shape"',
        ),
        (
            '{"tensors": [{"name": "a", "shape": []}]}',
            ValueError,
            'tensors[0] "a": a tensor must have an initializer, in its entry',
        ),
        (a(name=3), TypeError, "tensors[0] 3: a name must be a string. Received: 3"),
        (a(name=""), ValueError, 'tensors[0] "": a name must be neither empty nor "__metadata__". Received: ""'),
        (
            a(name="__metadata__"),
            ValueError,
            'a name must be neither empty nor "__metadata__". Received: "__metadata__"',
        ),
        (a(name="\ud800"), ValueError, 'a name must be Unicode without lone surrogates. Received: "\\ud800"'),
        (a(shape=3), TypeError, 'tensors[0] "a": a shape must be a list of integers. Received: 3'),
        (a(shape=None), TypeError, "a shape must be a list of integers. Received: null"),
        (a(shape=[2, None]), TypeError, "a shape must be a list of integers. Received: [2, null]"),
        (a(shape=[True]), TypeError, "a shape must be a list of integers. Received: [true]"),
        (a(shape=[2.0]), TypeError, "a shape must be a list of integers. Received: [2.0]"),
        (a(shape=["2"]), TypeError, 'a shape must be a list of integers. Received: ["2"]'),
        (a(shape=[2, -1]), ValueError, 'tensors[0] "a": a dimension must not be negative. Received: [2, -1]'),
        (a(shape=[1] * (MAX_RANK + 1)), ValueError, "a shape must have at most 32 dimensions. Received: 33"),
        (a(shape=[2**61]), ValueError, "at most 9223372036854775807 bytes. Received: [2305843009213693952] of float32"),
        (a(shape=[2**31, 2**31]), ValueError, "a tensor must have at most 9223372036854775807 bytes"),
        (a(shape=[0, 2**61]), ValueError, "a tensor must have at most 9223372036854775807 bytes"),
        (a(dtype=None), TypeError, "a dtype must be a string. Received: null"),
        (a(dtype="int7"), ValueError, "int7"),
        (a(initializer=None), TypeError, "an initializer must be a string or an object. Received: null"),
        (a(initializer=[]), TypeError, "an initializer must be a string or an object. Received: []"),
        (a(initializer="glorot"), ValueError, "glorot"),
        (a(initializer={"class_name": "Nope", "config": {}}), ValueError, "Nope"),
        (a(initializer={"class_name": "RandomNormal", "config": {"sigma": 1.0}}), ValueError, "sigma"),
        (a(initializer={"class_name": "RandomNormal", "config": {"stddev": -1.0}}), ValueError, "-1.0"),
        (a(initializer={"class_name": "RandomNormal", "config": {"stddev": "1"}}), ValueError, "'1'"),
        (a(initializer={**NORMAL, "config": {"seed": 0}}), ValueError, "Received: seed=0"),
        (a(initializer=NORMAL, dtype="int32"), ValueError, "int32"),
        (default(pattern=1), TypeError, "defaults[0] 1: a pattern must be a string. Received: 1"),
        (default(dtype="x"), ValueError, 'defaults[0] "*": '),
        (default(initializer="glorot"), ValueError, 'defaults[0] "*": '),
        (default(initializer={**NORMAL, "config": {"seed": 7}}), ValueError, "Received: seed=7"),
        (
            default(name="a"),
            ValueError,
            'the keys of a default must be among pattern, initializer, dtype. Received: "name"',
        ),
    ],
)
def test_the_error_of_a_bad_plan_states_the_broken_rule(text, kind, message):
    with pytest.raises(kind) as caught:
        parse_plan(text)
    assert message in str(caught.value)


def test_the_error_of_a_duplicate_name_has_both_positions():
    entries = [{"name": name, "shape": [2], "initializer": "ones"} for name in ("a", "b", "a")]
    with pytest.raises(
        ValueError, match=r'^tensors\[2\] "a": a name must occur once. Received: the name of tensors\[0\]$'
    ):
        plan_of(*entries)


def test_a_seed_of_null_is_no_seed():
    config = {"mean": 0.0, "stddev": 0.02, "seed": None}
    tensor = plan_of({"name": "a", "shape": [2], "initializer": {**NORMAL, "config": config}}).tensors[0]
    assert settings(tensor.initializer) == ("RandomNormal", {"mean": 0.0, "stddev": 0.02})


def test_a_long_received_value_is_shortened():
    with pytest.raises(TypeError) as caught:
        parse_plan(json.dumps({"tensors": "x" * 10_000}))
    assert str(caught.value) == '"tensors" must be a list. Received: "' + "x" * 76 + "..."


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ValueError, match="float33"):
        load_plan("gpt2", dtype="float33")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
entries = st.fixed_dictionaries(
    {"name": json_values, "shape": st.lists(st.integers(-1, 9)) | json_values},
    optional={"initializer": st.just(NORMAL) | json_values, "dtype": st.sampled_from(["float16", "x"]) | json_values},
)


def names_of(text):
    """Return the names that an entry expands to, without neighbouring entries."""
    return [name for _, name, _ in ranges.expand([ranges.parse(text)])]


@given(st.fixed_dictionaries({"tensors": st.lists(entries | json_values, max_size=3)}) | json_values)
def test_any_json_is_a_plan_or_refused(document):
    with suppress(TypeError, ValueError):
        plan = parse_plan(json.dumps(document))
        names = [name for entry in document["tensors"] for name in names_of(entry["name"])]
        assert [tensor.name for tensor in plan.tensors] == names
        assert parse_plan(plan.to_json()) == plan


class TestFile:
    def test_is_read_at_its_path(self, tmp_path):
        path = tmp_path / "model.json"
        path.write_text(a(name="größe"), encoding="utf-8")
        assert load_plan(path) == load_plan(str(path))
        assert load_plan(path).tensors[0].name == "größe"

    def test_named_like_a_shipped_plan_needs_an_explicit_path(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "gpt2").write_text(a())
        assert len(load_plan("gpt2").tensors) == 148
        assert len(load_plan("./gpt2").tensors) == 1

    @pytest.mark.parametrize(
        ("name", "hint"),
        [("nowhere.json", "`seedbed plans` lists them"), ("gtp2", "the nearest name is 'gpt2'")],
    )
    def test_that_is_missing_is_an_error_with_the_nearest_plan(self, name, hint):
        with pytest.raises(FileNotFoundError) as caught:
            load_plan(name)
        assert caught.value.strerror == f"there is no such file, and no shipped plan of this name; {hint}"
        assert caught.value.filename == name

    def test_that_open_refuses_is_refused(self, tmp_path):
        (tmp_path / "plan.json").write_text(a())
        with pytest.raises(OSError, match=r"plan\.json/"):
            load_plan(f"{tmp_path}/plan.json/")

    def test_that_is_a_folder_is_an_os_error(self, tmp_path):
        with pytest.raises(IsADirectoryError):
            load_plan(tmp_path)

    def test_that_is_not_utf8_is_refused_with_the_byte(self, tmp_path):
        (tmp_path / "plan.json").write_bytes(b'{"tensors": "\xe9"}')
        with pytest.raises(ValueError, match=r"a plan must be UTF-8\. Received: 0xe9 at byte 13"):
            load_plan(tmp_path / "plan.json")

    def test_is_too_long_is_refused(self, tmp_path):
        with (tmp_path / "plan.json").open("wb") as file:
            file.truncate(MAX_PLAN_BYTES + 1)
        with pytest.raises(
            ValueError, match=f"a plan must have at most {MAX_PLAN_BYTES} bytes. Received: a longer one"
        ):
            load_plan(tmp_path / "plan.json")


class TestLimits:
    """Plans that exceed a limit are refused at once, before their entries are read."""

    def test_of_tensors(self):
        text = '{"tensors": [' + "0," * MAX_TENSORS + "0]}"
        with pytest.raises(ValueError, match=r"a plan must have at most 262144 tensors\. Received: 262145"):
            parse_plan(text)

    def test_of_names_times_patterns(self):
        text = '{"tensors": [' + "0," * 9999 + '0], "defaults": [' + "0," * 999 + "0]}"
        with pytest.raises(ValueError, match=r"at most 4194304\. Received: 10000 tensors, 1000 defaults"):
            parse_plan(text)

    def test_of_a_pattern(self):
        plan = {"defaults": [{"pattern": "[" * 1024, "initializer": "zeros"}], "tensors": []}
        assert parse_plan(json.dumps(plan)).tensors == ()
        plan["defaults"][0]["pattern"] += "["
        with pytest.raises(ValueError, match=r"a pattern must have at most 1024 characters\. Received: 1025"):
            parse_plan(json.dumps(plan))

    def test_of_all_patterns(self):
        defaults = [{"pattern": "*a" * 500, "initializer": "zeros"}] * 66
        with pytest.raises(ValueError, match=r"at most 65536 characters in all\. Received: 66000"):
            parse_plan(json.dumps({"defaults": defaults, "tensors": []}))

    def test_of_the_work_to_match_names(self):
        """Matching `a...a` with `*a...ab` takes the product of their lengths, and a plan can have long ones."""
        plan = {"tensors": [{"name": "a" * 10**7, "shape": []}], "defaults": [{"pattern": "*" + "a" * 999 + "b"}]}
        with pytest.raises(ValueError, match=r"at most 4294967296\. Received: 10000000 in names, 1001 in patterns"):
            parse_plan(json.dumps(plan))

    def test_of_the_values_of_initializers(self):
        constant = {"class_name": "Constant", "config": {"value": [0] * 10**5}}
        tensors = [{"name": str(i), "shape": [10**5]} for i in range(200)]
        plan = {"defaults": [{"pattern": "*", "initializer": constant}], "tensors": tensors}
        with pytest.raises(
            ValueError, match=r'defaults\[0\] "\*": .* at most 16777216\. Received: 200 tensors, 100003 values'
        ):
            parse_plan(json.dumps(plan))
        plan["tensors"] = tensors[:100]
        assert len(parse_plan(json.dumps(plan)).tensors) == 100

    @pytest.mark.parametrize("deep", ["[" * 10**6, '{"tensors":' * 10**6, '{"tensors": [' * 10**6])
    def test_of_depth(self, deep):
        with pytest.raises(ValueError, match="a plan must be nested a few levels deep at most"):
            parse_plan(deep)

    def test_of_digits(self):
        for number, kind in [
            ("9" * 10**6, ValueError),
            ("9" * 10**6 + ".0", ValueError),
            ("0." + "9" * 10**6, TypeError),
        ]:
            with pytest.raises(kind):
                parse_plan(f'{{"tensors": [{number}]}}')

    def test_matching_a_pattern_takes_linear_time(self):
        defaults = [{"pattern": "*" + "a*" * 300 + "b", "initializer": NORMAL}, {"pattern": "*", "initializer": NORMAL}]
        text = json.dumps({"defaults": defaults, "tensors": [{"name": "a" * 5000, "shape": [2]}]})
        assert len(parse_plan(text, unused="ignore").tensors) == 1
        with pytest.raises(ValueError, match="a pattern must be the first that matches some name"):
            parse_plan(text)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/dev/null", "C:\\x", "a\0b", "a\nb", ".", "__metadata__/", "x" * 10**5]
)
def test_a_tensors_name_is_never_used_as_a_path(name, tmp_path):
    from safetensors.numpy import load_file

    from seedbed.checkpoint import write_checkpoint

    write_checkpoint(plan_of({"name": name, "shape": [2], "initializer": "ones"}), tmp_path / "model")
    assert list(load_file(tmp_path / "model")) == [name]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_the_state_of_pythons_random_does_not_change():
    """Unseeded initializers draw a seed from it. In a plan, a rule or a block they have no use for one."""
    before = random.getstate()
    load_plan("gpt2")
    parse_plan(a(initializer={"class_name": "HeNormal", "config": {"seed": None}}))
    sb.Blocks("zeros", [(0, "random_normal"), (1, {"class_name": "HeNormal"})], seed=1)
    assert random.getstate() == before


class TestPlan:
    TENSOR = plan_of({"name": "a", "shape": [2], "initializer": "ones"}).tensors[0]

    def test_has_each_name_once(self):
        with pytest.raises(ValueError, match=r'a name must occur once in a plan\. Received: "a" again'):
            Plan((self.TENSOR, dataclasses.replace(self.TENSOR, shape=(3,))))

    def test_has_a_hash_which_equal_plans_share(self):
        plans = [Plan((self.TENSOR,), {"layers": layers}) for layers in (1, 1.0, True)]
        assert len(set(plans)) == 1

    @pytest.mark.parametrize("tensors", [5, None, [TENSOR], TENSOR, (TENSOR, "b"), ({"name": "a"},)])
    def test_has_a_tuple_of_planned_tensors(self, tensors):
        with pytest.raises(TypeError, match="of a plan must be a"):
            Plan(tensors)

    @pytest.mark.parametrize("plan", ["gpt2", 5, (TENSOR,), TENSOR, b"{}"])
    def test_must_be_a_plan_not_its_name(self, plan, tmp_path):
        for call in (
            lambda: write_checkpoint(plan, tmp_path / "new"),
            lambda: write_directory(plan, tmp_path / "new"),
            lambda: verify_checkpoint(plan, tmp_path / "new"),
        ):
            with pytest.raises(TypeError, match=f"plan must be a Plan, .* Received: {type(plan).__name__}"):
                call()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("unused", ["warn", "", None, 3])
def test_unused_must_be_one_of_two_words(unused):
    with pytest.raises(ValueError, match=f"unused must be one of 'error', 'ignore'. Received: unused={unused!r}"):
        parse_plan('{"tensors": []}', unused=unused)

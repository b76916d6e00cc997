"""The command: sources of plans, rules, and `show`."""

import json
import os
import re
import sys

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import seedbed
from seedbed import cli
from seedbed.cli.rules import parse_initializer, parse_rule
from seedbed.plan import load_plan, parse_plan

TENSORS = {
    "embed.weight": np.zeros((10, 4), "f4"),
    "norm.weight": np.zeros(4, ml_dtypes.bfloat16),
    "norm.bias": np.zeros(4, "f4"),
    "step": np.zeros((), "i8"),
}
RULES = ["--rule", "*.bias=zeros", "--rule", "norm.*=ones", "--rule", "step=zeros", "--rule", "*=he_normal"]


@pytest.fixture
def run(capsys):
    def run(*arguments, status=0):
        assert cli.main([str(argument) for argument in arguments]) == status
        return capsys.readouterr()

    return run


class TestCheckpoint:
    """It gives names, shapes and dtypes; rules give the initializers."""

    @pytest.fixture(params=["file", "directory", "index"])
    def source(self, tmp_path, request):
        folder = tmp_path / "theirs"
        folder.mkdir()
        if request.param == "file":
            save_file(TENSORS, folder / "model.safetensors")
            return folder / "model.safetensors"
        names = list(TENSORS)
        weight_map = {}
        for number, part in enumerate((names[:2], names[2:]), 1):
            weight_map |= dict.fromkeys(part, f"model-{number:05}-of-00002.safetensors")
            save_file({name: TENSORS[name] for name in part}, folder / weight_map[part[0]])
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
        return folder if request.param == "directory" else index

    def test_is_initialized_by_rules(self, source, tmp_path, run):
        run("init", source, "-o", tmp_path / "new.safetensors", "--seed", "3", *RULES)
        made = load_file(tmp_path / "new.safetensors")
        assert {name: (array.shape, array.dtype) for name, array in made.items()} == {
            name: (array.shape, array.dtype) for name, array in TENSORS.items()
        }
        root = seedbed.SeedGenerator(3)
        assert np.array_equal(made["embed.weight"], seedbed.HeNormal(seed=root.child("embed.weight"))((10, 4)))
        assert (made["norm.weight"] == 1).all()
        run("verify", source, tmp_path / "new.safetensors", *RULES)

    def test_takes_another_dtype_for_most_of_its_tensors(self, source, tmp_path, run):
        run("init", source, "-o", tmp_path / "new.safetensors", "--dtype", "float16", *RULES)
        dtypes = {name: array.dtype.name for name, array in load_file(tmp_path / "new.safetensors").items()}
        assert dtypes == {
            "embed.weight": "float16",
            "norm.bias": "float16",
            "norm.weight": "bfloat16",
            "step": "int64",
        }

    def test_says_which_tensors_no_rule_decides(self, source, tmp_path, run):
        err = run("plan", source, "--rule", "norm.*=ones", status=2).err
        assert re.search(r"a rule must decide each tensor; the pattern \* matches all. Received: no rule for 2: ", err)
        assert "embed.weight" in err
        assert "step" in err

    def test_becomes_a_plan_with_the_rules_as_sources(self, source, run):
        plan = parse_plan(run("plan", source, *RULES).out)
        assert {tensor.name: tensor.source for tensor in plan.tensors} == {
            "embed.weight": "*",
            "norm.weight": "norm.*",
            "norm.bias": "*.bias",
            "step": "step",
        }

    def test_is_not_overwritten(self, source, run):
        before = {path.name: path.read_bytes() for path in source.parent.rglob("*") if path.is_file()}
        output = source.parent if source.suffix == ".json" else source
        err = run("init", source, "-o", output, "--resume" if output.is_dir() else "--quiet", *RULES, status=2).err
        assert "the output must not be the source" in err
        assert {path.name: path.read_bytes() for path in source.parent.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"<html>"])
def test_an_invalid_safetensors_source_is_named(tmp_path, run, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    assert (
        "a checkpoint must be a safetensors file. Received: a" in run("plan", tmp_path / "x.safetensors", status=2).err
    )


def test_a_dtype_that_plans_lack_is_refused(tmp_path, run):
    text = json.dumps({"a": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"12")
    err = run("plan", tmp_path / "x.safetensors", "--rule", "*=zeros", status=2).err
    assert re.search(r"'a': a dtype must be one of .* Received: F4", err)


def test_a_name_in_two_files_is_refused(tmp_path, run):
    for name in ("one", "two"):
        save_file({"a": np.zeros(2)}, tmp_path / f"{name}.safetensors")
    assert 'a tensor must be in only one file. Received: "a" in several files' in run("plan", tmp_path, status=2).err


def test_an_empty_directory_is_no_source(tmp_path, run):
    err = run("plan", tmp_path, status=1).err
    assert "the directory has neither seedbed.json nor config.json nor a safetensors file" in err


class TestRules:
    def test_come_before_the_plan(self, run):
        plan = parse_plan(run("plan", "gpt2", "--rule", "*.wte.weight=zeros", "--unused", "ignore").out)
        assert plan == load_plan("gpt2")
        out = run("plan", "gpt2", "--rule", "wte.weight=Constant(value=2)", "--rule", "w*=zeros").out
        sources = {tensor.name: tensor.source for tensor in parse_plan(out).tensors}
        assert (sources["wte.weight"], sources["wpe.weight"]) == ("wte.weight", "w*")
        changed = {
            tensor.name
            for tensor, old in zip(parse_plan(out).tensors, load_plan("gpt2").tensors, strict=True)
            if tensor != old
        }
        assert changed == {"wte.weight", "wpe.weight"}

    def test_that_decide_nothing_are_errors_with_a_suggestion(self, run):
        err = run("show", "gpt2", "--rule", "*.wieght=zeros", status=2).err
        assert "'*.wieght', which selects nothing (near it: '*.weight')" in err
        err = run("show", "gpt2", "--rule", "*=zeros", "--rule", "wte.weight=ones", status=2).err
        assert "'wte.weight', whose tensors '*' decides before it" in err

    def test_that_do_not_suit_a_tensor_name_the_tensor(self, run):
        assert "ln_1.weight: " in run("show", "gpt2", "--rule", "*.ln_1.weight=orthogonal", status=2).err

    def test_need_a_source(self, run):
        assert (
            "--rule changes a plan, so it needs a SOURCE before 'x'"
            in run("verify", "x", "--rule", "*=ones", status=2).err
        )

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a=zeros", ("a", "zeros")),
            ("*=RandomNormal(stddev=0.02)", ("*", {"class_name": "RandomNormal", "config": {"stddev": 0.02}})),
            ("*=Zeros()", ("*", {"class_name": "Zeros", "config": {}})),
            ('*={"class_name": "Ones"}', ("*", {"class_name": "Ones"})),
            ("a=Constant(value=[1, -2.5])", ("a", {"class_name": "Constant", "config": {"value": [1, -2.5]}})),
        ],
    )
    def test_have_a_pattern_and_an_initializer(self, text, expected):
        assert parse_rule(text) == expected

    @pytest.mark.parametrize("text", ["", "zeros", "=zeros", "*="])
    def test_that_are_none_are_refused(self, text):
        with pytest.raises(ValueError, match=r"a rule must be PATTERN=INITIALIZER, such as '\*\.bias=zeros'"):
            parse_rule(text)

    @pytest.mark.parametrize(
        "text",
        [
            "f(",
            "f(1)",
            "f(**{'a': 1})",
            "os.system(a=1)",
            "f(a=open('x'))",
            "f(a=b)",
            "(lambda: 0)()",
            "f(a=1)(b=2)",
            "f" + "(" * 10**4,
        ],
    )
    def test_run_nothing(self, text):
        with pytest.raises(ValueError, match=r"an initializer must be a name, JSON, or a call with named numbers"):
            parse_initializer(text)


class TestShow:
    def test_has_a_row_for_each_tensor_and_the_totals(self, run):
        lines = run("show", "gpt2").out.splitlines()
        assert lines[0].split() == ["name", "shape", "dtype", "initializer", "stddev", "bytes", "source"]
        row = next(line for line in lines if line.startswith("h.3.mlp.c_proj.weight"))
        assert re.split(r"  +", row)[1:6] == [
            "(3072, 768)",
            "float32",
            "RandomNormal(mean=0.0, stddev=0.00408248)",
            "0.004082",
            "9,437,184",
        ]
        assert [line.split() for line in lines[-3:]] == [
            ["tensors", "148"],
            ["parameters", "124,439,808"],
            ["bytes", "497,759,232"],
        ]
        assert len(lines) == 1 + 148 + 1 + 3

    def test_for_scripts_is_an_object(self, run):
        result = json.loads(run("show", "gpt2", "--json", "--rule", "wpe.weight=TruncatedNormal(stddev=0.02)").out)
        assert (len(result["tensors"]), result["parameters"], result["bytes"]) == (148, 124439808, 497759232)
        wpe = next(tensor for tensor in result["tensors"] if tensor["name"] == "wpe.weight")
        assert wpe.pop("stddev") == pytest.approx(0.02 * 0.87962566)
        assert wpe == {
            "name": "wpe.weight",
            "shape": [1024, 768],
            "dtype": "float32",
            "initializer": {"class_name": "TruncatedNormal", "config": {"mean": 0.0, "stddev": 0.02}},
            "bytes": 1024 * 768 * 4,
            "source": "wpe.weight",
        }

    def test_draws_histograms(self, tmp_path, run):
        pytest.importorskip("matplotlib")
        run("show", "gpt2", "--plot", tmp_path / "plot.png")
        assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "empty.json").write_text('{"tensors": []}')
        run("show", tmp_path / "empty.json", "--plot", tmp_path / "empty.svg")
        assert b"<svg" in (tmp_path / "empty.svg").read_bytes()
        assert "cannot write the picture" in run("show", "gpt2", "--plot", tmp_path / "no" / "x.png", status=1).err

    def test_names_the_extra_needed_for_plots(self, tmp_path, run, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        err = run("show", "gpt2", "--plot", tmp_path / "plot.png", status=2).err
        assert "pip install 'seedbed[plot]'" in err

    def test_of_a_part_has_the_moments_of_the_whole(self, tmp_path, run):
        part = {"name": "w", "shape": [64, 16], "partition_shape": [1, 16], "partition_offset": [3, 0]}
        tensor = {"name": "a", "shape": [16], "initializer": "glorot_normal", "part_of": part}
        (tmp_path / "plan.json").write_text(json.dumps({"tensors": [tensor]}))
        (shown,) = json.loads(run("show", tmp_path / "plan.json", "--json").out)["tensors"]
        assert shown["stddev"] == pytest.approx((2 / (64 + 16)) ** 0.5)
        assert "0.1581" in run("show", tmp_path / "plan.json").out


def test_a_configuration_without_its_packages_names_the_extra(tmp_path, run, monkeypatch):
    (tmp_path / "config.json").write_text('{"architectures": ["GPT2Model"], "model_type": "gpt2"}')
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "transformers.py").write_text("raise ImportError('none here', name='transformers')")
    path = os.pathsep.join([str(tmp_path / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    for source in (tmp_path, tmp_path / "config.json"):
        assert "pip install 'seedbed[transformers]'" in run("plan", source, status=2).err

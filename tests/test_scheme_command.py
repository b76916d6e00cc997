"""Schemes on the command line."""

import json
import math
import re

import pytest

from seedbed import schemes
from seedbed.cli import main


def run(*arguments, capsys):
    status = main([*arguments])
    return status, *capsys.readouterr()


def test_seedbed_schemes(capsys):
    status, out, _ = run("schemes", capsys=capsys)
    assert status == 0
    assert {line.split()[0] for line in out.splitlines()[1:]} == set(schemes.SCHEMES)
    status, out, _ = run("schemes", "--json", capsys=capsys)
    listed = {entry["name"]: entry for entry in json.loads(out)["schemes"]}
    assert listed["gpt2"]["needs"] == ["layers"]
    assert all(entry["source"] and entry["summary"] for entry in listed.values())
    status, out, _ = run("schemes", "gpt2(layers=12)", capsys=capsys)
    assert re.search(r"^down +N\(0, σ/√\(2L\)\)", out, re.MULTILINE)
    status, out, _ = run("schemes", "mup(width=8, base_width=4)", "--json", capsys=capsys)
    shown = json.loads(out)
    assert shown["numbers"] == {"width": 8, "base_width": 4, "stddev": 0.02, "form": "table 8"}
    assert shown["roles"]["head"] == {"role": "head", "values": "N(0, σ)", "output": "1/m", "adam": "1", "sgd": "m"}
    _, out, _ = run("schemes", "mup(width=8, base_width=4)", capsys=capsys)
    assert re.search(r"^head +N\(0, σ\) +1/m +1 +m +kernel of the logits$", out, re.MULTILINE)
    status, _, err = run("schemes", "mup(width=8)", capsys=capsys)
    assert (status, err) == (2, "seedbed: error: mup needs width, base_width. Received: no base_width\n")


def test_seedbed_init_with_a_scheme(capsys, tmp_path):
    path = tmp_path / "gpt2.safetensors"
    source = ("gpt2", "--scheme", "llama_depth", "--rule", "wpe.weight=zeros")
    assert run("init", *source, "-o", str(path), "--quiet", "--dry-run", capsys=capsys)[0] == 0
    status, out, _ = run("show", *source, "--json", capsys=capsys)
    assert status == 0
    shown = {tensor["name"]: tensor for tensor in json.loads(out)["tensors"]}
    assert shown["h.3.attn.c_proj.weight"]["initializer"]["config"]["stddev"] == 0.02 / math.sqrt(8)
    assert shown["h.3.attn.c_proj.weight"]["source"] == "llama_depth: attention_output"
    assert shown["wpe.weight"]["source"] == "wpe.weight"


def test_numbers_of_a_scheme_on_the_command_line(capsys):
    status, out, _ = run("show", "gpt2", "--scheme", "gpt2(stddev=0.5)", "--json", capsys=capsys)
    shown = {tensor["name"]: tensor for tensor in json.loads(out)["tensors"]}
    assert shown["wte.weight"]["stddev"] == 0.5
    assert shown["h.0.mlp.c_proj.weight"]["stddev"] == pytest.approx(0.5 / math.sqrt(24))
    status, _, err = run("show", "gpt2", "--scheme", "gpt2", "--layers", "6", capsys=capsys)
    assert status == 2
    assert "layers must be the number of layers" in err
    status, _, err = run("show", "gpt2", "--base-width", "64", capsys=capsys)
    assert status == 2
    assert "--base-width needs --scheme" in err
    status, _, err = run("show", "t5-base", "--scheme", "gpt2", capsys=capsys)
    assert status == 2
    assert "gpt2 needs layers" in err
    status, out, _ = run(
        "show", "gpt2", "--scheme", "gpt2", "--role", "wpe.weight=attention_output", "--json", capsys=capsys
    )
    shown = {tensor["name"]: tensor for tensor in json.loads(out)["tensors"]}
    assert shown["wpe.weight"]["source"] == "gpt2: attention_output"


def test_multipliers_are_shown(capsys):
    mup = ("show", "gpt2", "--scheme", "mup", "--base-width", "256")
    status, out, _ = run(*mup, "--json", capsys=capsys)
    assert status == 0
    shown = {tensor["name"]: tensor for tensor in json.loads(out)["tensors"]}
    assert shown["h.0.mlp.c_fc.weight"]["multipliers"] == {"output": 1, "adam": pytest.approx(1 / 3), "sgd": 1}
    assert shown["h.0.mlp.c_fc.weight"]["stddev"] == pytest.approx(0.02 / math.sqrt(3))
    _, out, _ = run(*mup, capsys=capsys)
    assert "output, adam, sgd" in out.splitlines()[0]
    assert "× 1, × 0.3333, × 1" in out
    status, _, err = run("show", "gpt2", "--scheme", "mup", capsys=capsys)
    assert (status, err) == (2, "seedbed: error: mup needs width, base_width. Received: no base_width\n")


@pytest.mark.parametrize("option", [("--scheme", "gpt2"), ("--layers", "3"), ("--role", "a=down"), ("--stddev", "1")])
def test_verify_without_a_source_takes_no_scheme(option, capsys):
    status, _, err = run("verify", *option, "x.safetensors", capsys=capsys)
    assert status == 2
    assert f"{option[0]} changes a plan, so it needs a SOURCE" in err

"""Parametrizations by width: muP, u-muP and the spectral condition."""

import math

import pytest
from support.schemes import cuts, decided, decoder

import seedbed as sb
from seedbed import schemes

TABLE_8 = {  # for m = d / d0 = 4: standard deviation, multiplier, Adam, SGD
    "embed_tokens.weight": (0.02, (1, 1, 4)),
    "layers.0.self_attn.q_proj.weight": (0.01, (1, 1 / 4, 1)),
    "layers.0.self_attn.o_proj.weight": (0.01, (1, 1 / 4, 1)),
    "layers.0.mlp.down_proj.weight": (0.01, (1, 1 / 4, 1)),
    "layers.0.mlp.down_proj.bias": (None, (1, 1, 4)),
    "layers.0.norm.weight": (None, (1, 1, 4)),
    "lm_head.weight": (0.02, (1 / 4, 1, 4)),
}


def small(width, hidden):
    return {
        "embed_tokens.weight": (50, width),
        "layers.0.self_attn.q_proj.weight": (width, width),
        "layers.0.self_attn.o_proj.weight": (width, width),
        "layers.0.mlp.down_proj.weight": (width, hidden),
        "layers.0.mlp.down_proj.bias": (width,),
        "layers.0.norm.weight": (width,),
        "lm_head.weight": (50, width),
    }


@pytest.mark.parametrize("form", ["table 8", "table 3"])
@pytest.mark.parametrize("hidden", [(64, 16), (96, 16)])
def test_mup(form, hidden):
    # Tensor Programs V, tables 8 and 3
    base = small(4, hidden[1])
    scheme = schemes.mup(width=16, base_width=4, base=base, form=form)
    expected = dict(TABLE_8)
    if form == "table 3":
        expected["lm_head.weight"] = (0.02 / 4, (1, 1 / 4, 1 / 4))
    if hidden[0] == 96:  # the feed-forward layer is six times as wide as that of the base model
        expected["layers.0.mlp.down_proj.weight"] = (0.02 / math.sqrt(6), (1, 1 / 6, 4 / 6))
    shapes = small(16, hidden[0])
    tensors = decided(scheme, shapes)
    found = {
        name: (getattr(tensors[name].initializer, "stddev", None), tuple(multipliers))
        for name, multipliers in scheme.multipliers(shapes).items()
    }
    assert found == {name: (value, pytest.approx(rates)) for name, (value, rates) in expected.items()}
    if hidden[0] == 64:
        plain = schemes.mup(width=16, base_width=4, form=form)
        assert plain.multipliers(shapes) == scheme.multipliers(shapes)
        assert decided(plain, shapes) == tensors


def test_mup_at_the_base_width_changes_nothing():
    scheme = schemes.mup(width=8, base_width=8)
    assert {value for value, _ in cuts(decided(scheme, decoder())).values()} == {0.02}
    assert set(scheme.multipliers(decoder()).values()) == {(1, 1, 1)}


def test_mup_with_zeros():
    tensors = decided(schemes.mup(width=8, base_width=4, zero_head=True, zero_query=True), decoder())
    zeros = {name for name, tensor in tensors.items() if tensor.initializer == sb.Zeros() and "bias" not in name}
    assert zeros == {"lm_head.weight", *(f"model.layers.{number}.self_attn.q_proj.weight" for number in range(3))}


def test_umup():
    # u-muP, table 2: everything N(0, 1); 1/sqrt(fan_in), 1/fan_in for the head; Adam 1/sqrt(fan_in), depth 1/sqrt(L)
    scheme = schemes.umup(width=16, layers=9)
    shapes = small(16, 64)
    assert {value for value, _ in cuts(decided(scheme, shapes)).values()} == {1}
    found = scheme.multipliers(shapes)
    assert found["embed_tokens.weight"][:2] == (1, 1 / 4)
    assert found["layers.0.self_attn.q_proj.weight"][:2] == (1 / 4, pytest.approx(1 / 12))
    assert found["layers.0.mlp.down_proj.weight"][:2] == (1 / 8, pytest.approx(1 / 24))
    assert found["layers.0.norm.weight"][:2] == (1, pytest.approx(1 / 3))
    assert found["lm_head.weight"][:2] == (1 / 16, 1)


def test_spectral():
    # Yang, Simon, Bernstein 2023, page 8: 1/sqrt(n_in) min(1, sqrt(n_out / n_in)); learning rates n_out / n_in
    scheme = schemes.spectral(width=16)
    shapes = small(16, 64)
    found = {name: value for name, (value, _) in cuts(decided(scheme, shapes)).items()}
    assert found["layers.0.self_attn.q_proj.weight"] == 1 / 4
    assert found["layers.0.mlp.down_proj.weight"] == pytest.approx(1 / 8 * 1 / 2)
    assert found["lm_head.weight"] == 1 / 4
    assert scheme.multipliers(shapes)["layers.0.mlp.down_proj.weight"] == (1, 1 / 4, 1 / 4)


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (8, 8), (2, 8)])
def test_spectral_is_the_mode_of_that_name(shape):
    own = sb.VarianceScaling(1.0, "spectral", "untruncated_normal", layout="torch").describe(shape).stddev
    found = schemes.spectral(width=8).plan_of({"pooler.dense.weight": shape}).tensors[0]
    assert found.initializer.stddev == pytest.approx(own)


def test_multipliers_are_of_parametrizations():
    with pytest.raises(ValueError, match="gpt2: a scheme must be a parametrization to have multipliers"):
        schemes.gpt2(layers=3).multipliers(decoder())
    with pytest.raises(ValueError, match=r"q_proj.weight: base must have a weight of this name .* Received: None"):
        decided(schemes.mup(width=16, base_width=4, base={"a": (3, 4)}), small(16, 64))

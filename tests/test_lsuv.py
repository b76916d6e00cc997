"""LSUV: orthogonal kernels, scaled until the outputs of each layer have variance 1 on a batch."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import seedbed as sb  # noqa: E402
import seedbed.torch  # noqa: E402


def batch(*shape):
    """Return inputs whose variance is far from 1."""
    return torch.from_numpy(7 + 3 * sb.RandomNormal(0, 1, seed=3)(shape))


def deep():
    return nn.Sequential(*(layer for _ in range(20) for layer in (nn.Linear(64, 64), nn.ReLU())), nn.Linear(64, 5))


def variances(model, inputs):
    """Return the variance of the outputs of each linear or convolutional layer."""
    found = []
    for layer in model.modules():
        if hasattr(layer, "weight"):
            layer.register_forward_hook(lambda layer, inputs, outputs: found.append(outputs.double().var().item()))
    with torch.no_grad():
        model(inputs)
    return found


def test_every_layer_has_unit_variance():
    model, inputs = deep(), batch(256, 64)
    measured = seedbed.torch.lsuv_(model, inputs, seed=42, tolerance=0.01)
    assert list(measured) == [f"{2 * number}.weight" for number in range(21)]
    found = variances(model, inputs)
    assert found == pytest.approx([1] * 21, abs=0.011)
    assert found == pytest.approx([each.variance for each in measured.values()], rel=1e-3)
    assert not model[0].bias.any()


def test_weights_are_those_of_initialize_times_a_number():
    model = deep()
    measured = seedbed.torch.lsuv_(model, batch(256, 64), seed=42)
    name = "8.weight"
    weight = model.get_parameter(name).detach().double().numpy()
    kernel = sb.Orthogonal(column_axis=0, seed=sb.SeedGenerator(42).child(name))((64, 64))
    assert weight == pytest.approx(measured[name].scale * kernel.astype(float), abs=1e-6)
    assert weight @ weight.T == pytest.approx(measured[name].scale ** 2 * np.eye(64), abs=1e-4)


def test_a_layer_within_the_tolerance_stays_orthogonal():
    model = nn.Linear(64, 64, bias=False)
    inputs = torch.from_numpy(sb.RandomNormal(0, 1, seed=1)((4096, 64)))
    assert seedbed.torch.lsuv_(model, inputs, seed=1)["weight"].scale == 1
    once = seedbed.torch.lsuv_(model, 9 * inputs, seed=1, max_calls=1)["weight"]
    assert (once.scale, once.calls) == (1, 1)
    assert once.variance == pytest.approx(81, rel=0.1)


def test_convolutions_and_other_parameters():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4)).eval()
    with torch.no_grad():
        model[1].weight.fill_(0.5)
    measured = seedbed.torch.lsuv_(model, batch(32, 3, 8, 8), seed=1, tolerance=0.05)
    assert list(measured) == ["0.weight", "4.weight"]
    assert (model[1].weight == 0.5).all()
    rows = model[0].weight.detach().reshape(8, 27).double().numpy() / measured["0.weight"].scale
    assert rows @ rows.T == pytest.approx(np.eye(8), abs=1e-5)


def test_skipped_layers_stay_as_they_are():
    model = deep()
    before = model[40].weight.clone()
    measured = seedbed.torch.lsuv_(model, (batch(64, 64),), seed=1, skip="40.*")
    assert "40.weight" not in measured
    assert torch.equal(model[40].weight, before)
    assert len(seedbed.torch.lsuv_(model, {"input": batch(64, 64)}, seed=1, only=["0.weight", "2.weight"])) == 2


@pytest.mark.parametrize(
    ("module", "inputs", "options", "message"),
    [
        (
            nn.Linear(3, 3),
            torch.zeros(4, 3),
            {},
            r"weight: the outputs of a layer .* Received: 0\.0",
        ),
        (nn.Linear(3, 3), torch.full((4, 3), math.inf), {}, "must have a variance that is positive and finite"),
        (
            nn.Linear(3, 3, device="meta"),
            torch.ones(4, 3),
            {},
            "a weight must have memory, and must not be sharded",
        ),
        (nn.LayerNorm(3), torch.ones(4, 3), {}, "must have a linear or convolutional layer"),
        (nn.Linear(3, 3), torch.ones(4, 3), {"tolerance": 0}, "tolerance must be positive. Received: tolerance=0"),
        (nn.Linear(3, 3), torch.ones(4, 3), {"max_calls": 0}, "max_calls must be a positive integer"),
        (nn.Linear(3, 3), torch.ones(4, 3), {"skip": "wieght"}, "skip must select a tensor"),
        (
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
            torch.ones(2, 5, 8).cumsum(-1),
            {},
            "a call of the module must call each layer; .* Received: self_attn.out_proj.weight",
        ),
    ],
)
def test_bad_input(module, inputs, options, message):
    with pytest.raises(ValueError, match=message):
        seedbed.torch.lsuv_(module.train(), inputs, seed=1, **options)
    assert not any(layer._forward_hooks for layer in module.modules())

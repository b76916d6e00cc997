"""Small models by their shapes, and the initializers that a scheme gives them."""

import seedbed as sb
from seedbed.plan.applied_rules import Undecided, plan_by_rules
from seedbed.plan.rules import as_rules
from seedbed.schemes.roles import layer_of


def decided(scheme, shapes):
    """Return the initializer of each tensor under a scheme alone."""
    tensors = [Undecided(name, shape, sb.dtypes.as_dtype("float32")) for name, shape in shapes.items()]
    return {tensor.name: tensor for tensor in plan_by_rules(tensors, as_rules(scheme)).tensors}


def stddev(initializer):
    """Return the parameter `stddev`, which is the standard deviation before truncation."""
    return initializer.stddev


def decoder(layers=3, width=8, hidden=24, names="model.layers.{}"):
    shapes = {"model.embed_tokens.weight": (50, width), "lm_head.weight": (50, width), "model.norm.weight": (width,)}
    for number in range(layers):
        layer = names.format(number)
        shapes |= {f"{layer}.self_attn.{name}_proj.weight": (width, width) for name in "qkvo"}
        shapes |= {f"{layer}.mlp.{name}_proj.weight": (hidden, width) for name in ("gate", "up")}
        shapes |= {f"{layer}.mlp.down_proj.weight": (width, hidden), f"{layer}.input_layernorm.weight": (width,)}
        shapes |= {f"{layer}.mlp.down_proj.bias": (width,)}
    return shapes


def translator(width=8, layers=3):
    """Return a transformer with torchscale's names: an encoder of two layers and a decoder of three."""
    shapes = {"decoder.embed_tokens.weight": (50, width), "encoder.embed_tokens.weight": (50, width)}
    for side, count in (("encoder", 2), ("decoder", layers)):
        for number in range(count):
            layer = f"{side}.layers.{number}"
            for attention in ("self_attn", "encoder_attn")[: 1 + (side == "decoder")]:
                shapes |= {f"{layer}.{attention}.{name}_proj.weight": (width, width) for name in ("q", "k", "v", "out")}
            shapes |= {f"{layer}.ffn.fc1.weight": (24, width), f"{layer}.ffn.fc2.weight": (width, 24)}
    return shapes


def cuts(tensors):
    """Return the standard deviation of each tensor before truncation, and the bound."""
    found = {}
    for name, tensor in tensors.items():
        made = tensor.initializer
        if "stddev" in made.parameters:
            found[name] = (round(made.stddev, 10), getattr(made, "upper", None))
    return found


def expected(layers=3, **rules):
    """Return the same by the last part of the name. A function in the table takes the number of the layer."""
    found = {}
    for name in decoder(layers):
        key = name.split(".")[-2]
        if key in rules and not name.endswith("bias"):
            value, cut = rules[key]
            number = layer_of(name)
            found[name] = (round(value(number) if callable(value) else value, 10), cut)
    return found


WIDE = 8**-0.5
SQUARE = (2 / 16) ** 0.5
"""Glorot's standard deviation of a kernel of 8 inputs and 8 outputs."""
RECTANGLE = (2 / 32) ** 0.5
"""The same for 8 and 24."""
BETA = 24**-0.25


def spread(scheme, shapes, name):
    """Return the standard deviation of a tensor, by `describe`."""
    return decided(scheme, shapes)[name].initializer.describe(shapes[name]).stddev

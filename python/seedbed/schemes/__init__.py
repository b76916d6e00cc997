"""Schemes: initialization of a whole model, by the role of each weight, from a few numbers of the model.

    scheme = seedbed.schemes.gpt2(layers=12)
    seedbed.torch.initialize_(model, scheme, seed=42)

Pass a scheme instead of rules: to `initialize_` and `plan_of`, or on the command line as ``--scheme``. Rules before it,
as in ``[("*.bias", "ones"), scheme]``, take precedence. The role of a weight follows from its name (`roles`); a weight
of unknown role is an error that names it. ``docs/schemes.md`` has every formula.
"""

from seedbed.schemes.depth import fan_in, gpt2, llama, llama_depth, megatron, mitchell, normalized, olmo, torchtitan
from seedbed.schemes.numbers import numbers_of
from seedbed.schemes.parametrizations import mup, spectral, umup
from seedbed.schemes.registry import SCHEMES, named_scheme
from seedbed.schemes.residual import deepnorm, fixup, rezero, skipinit, subln, tfixup
from seedbed.schemes.roles import ROLES
from seedbed.schemes.scheme import Multipliers, Scaling, Scheme
from seedbed.schemes.width import mpt_neox, mpt_small, scaled_orthogonal, small_init, wang

__all__ = [
    "ROLES",
    "SCHEMES",
    "Multipliers",
    "Scaling",
    "Scheme",
    "deepnorm",
    "fan_in",
    "fixup",
    "gpt2",
    "llama",
    "llama_depth",
    "megatron",
    "mitchell",
    "mpt_neox",
    "mpt_small",
    "mup",
    "named_scheme",
    "normalized",
    "numbers_of",
    "olmo",
    "rezero",
    "scaled_orthogonal",
    "skipinit",
    "small_init",
    "spectral",
    "subln",
    "tfixup",
    "torchtitan",
    "umup",
    "wang",
]


def __dir__() -> list[str]:
    return __all__

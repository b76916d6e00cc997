"""Initializers: what stands at each element of a tensor, by family."""

from seedbed.initializers.base import Initializer, RandomInitializer
from seedbed.initializers.constant import Constant, Ones, Zeros
from seedbed.initializers.random import RandomNormal, RandomUniform, TruncatedNormal
from seedbed.initializers.variance_scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
]

"""Keras-compatible weight initializers, as fast as memory, with the same bits everywhere.

>>> import numpy as np, seedbed as sb
>>> init = sb.GlorotNormal(seed=42)
>>> w = init((4096, 4096))
>>> w.shape, w.dtype
((4096, 4096), dtype('float32'))

A value depends only on its address, (seed, draw, element index). A slice has the same bits as in the whole:

>>> bool((init.lazy((4096, 4096))[500:600, ::2] == w[500:600, ::2]).all())
True
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from seedbed._core import __version__
from seedbed._fans import Fans, compute_fans
from seedbed.config import deserialize, get, serialize
from seedbed.dtypes import floatx, set_floatx
from seedbed.initializers import (
    STFT,
    Bilinear,
    Blocks,
    Constant,
    ConvolutionOrthogonal1D,
    ConvolutionOrthogonal2D,
    ConvolutionOrthogonal3D,
    DeltaOrthogonal,
    Dirac,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    Initializer,
    InverseSoftplus,
    KaimingNormal,
    KaimingUniform,
    LecunNormal,
    LecunUniform,
    LogOfUniform,
    LogUniform,
    Norms,
    Ones,
    Orthogonal,
    RandomInitializer,
    RandomNormal,
    RandomUniform,
    Sparse,
    TruncatedNormal,
    UniformUnitScaling,
    VarianceScaling,
    XavierNormal,
    XavierUniform,
    Zeros,
)
from seedbed.initializers._description import Description
from seedbed.initializers.variance_scaling import fans
from seedbed.initializers.xavier_kaiming import calculate_gain
from seedbed.lazy import LazyArray
from seedbed.seeds import SeedGenerator, random_words, set_random_seed
from seedbed.threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    from seedbed import checkpoint as checkpoint
    from seedbed import compat as compat
    from seedbed import dask as dask
    from seedbed import jax as jax
    from seedbed import keras as keras
    from seedbed import plan as plan
    from seedbed import schemes as schemes
    from seedbed import tf_keras as tf_keras
    from seedbed import torch as torch
    from seedbed import transformers as transformers

ALGORITHM = "v1"
"""Version of the algorithm: the value at an address changes only with it."""

bilinear = Bilinear
blocks = Blocks
constant = Constant
dirac = Dirac
convolution_orthogonal_1d = ConvolutionOrthogonal1D
convolution_orthogonal_2d = ConvolutionOrthogonal2D
convolution_orthogonal_3d = ConvolutionOrthogonal3D
delta_orthogonal = DeltaOrthogonal
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = Identity
inverse_softplus = InverseSoftplus
kaiming_normal = KaimingNormal
kaiming_uniform = KaimingUniform
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
log_of_uniform = LogOfUniform
log_uniform = LogUniform
norms = Norms
ones = Ones
orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
sparse = Sparse
stft = STFT
truncated_normal = TruncatedNormal
uniform_unit_scaling = UniformUnitScaling
variance_scaling = VarianceScaling
xavier_normal = XavierNormal
xavier_uniform = XavierUniform
zeros = Zeros

__all__ = [
    "ALGORITHM",
    "STFT",
    "Bilinear",
    "Blocks",
    "Constant",
    "ConvolutionOrthogonal1D",
    "ConvolutionOrthogonal2D",
    "ConvolutionOrthogonal3D",
    "DeltaOrthogonal",
    "Description",
    "Dirac",
    "Fans",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "InverseSoftplus",
    "KaimingNormal",
    "KaimingUniform",
    "LazyArray",
    "LecunNormal",
    "LecunUniform",
    "LogOfUniform",
    "LogUniform",
    "Norms",
    "Ones",
    "Orthogonal",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "SeedGenerator",
    "Sparse",
    "TruncatedNormal",
    "UniformUnitScaling",
    "VarianceScaling",
    "XavierNormal",
    "XavierUniform",
    "Zeros",
    "__version__",
    "bilinear",
    "blocks",
    "calculate_gain",
    "compute_fans",
    "constant",
    "convolution_orthogonal_1d",
    "convolution_orthogonal_2d",
    "convolution_orthogonal_3d",
    "delta_orthogonal",
    "deserialize",
    "dirac",
    "fans",
    "floatx",
    "get",
    "get_num_threads",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "inverse_softplus",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "log_of_uniform",
    "log_uniform",
    "norms",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "random_words",
    "serialize",
    "set_floatx",
    "set_num_threads",
    "set_random_seed",
    "sparse",
    "stft",
    "truncated_normal",
    "uniform_unit_scaling",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

_SUBMODULES = {
    "checkpoint": "seedbed",
    "compat": "seedbed",
    "dask": "dask",
    "jax": "jax",
    "keras": "keras",
    "plan": "seedbed",
    "schemes": "seedbed",
    "tf_keras": "tf_keras",
    "torch": "torch",
    "transformers": "transformers",
}
"""Modules that are imported when they are first used as an attribute, each with the package that it needs."""

if not TYPE_CHECKING:  # a type checker knows the submodules by name, and reports any other attribute

    def __getattr__(name):
        if name in _SUBMODULES:
            return import_module(f"seedbed.{name}")
        raise AttributeError(f"module 'seedbed' has no attribute {name!r}")


def __dir__() -> list[str]:
    # help() and completion evaluate each name that is listed: it must not cost the import of a framework.
    return [*__all__, *(name for name, needs in _SUBMODULES.items() if sys.modules.get(needs) is not None)]

"""Initializers, by family.

| module | family |
|---|---|
| `constant` | given numbers: Zeros, Ones, Constant |
| `identity` | layers that copy or interpolate their input: Identity, Dirac, Bilinear |
| `stft` | Fourier transforms: STFT |
| `random` | a given distribution: RandomNormal, RandomUniform, TruncatedNormal |
| `log_uniform` | logarithms, for state-space models: LogUniform, LogOfUniform, InverseSoftplus |
| `sparse` | normal values and zeros: Sparse |
| `orthogonal` | matrices and convolutions that keep norms: Orthogonal; DeltaOrthogonal, ConvolutionOrthogonal |
| `variance_scaling` | a variance from the fans: VarianceScaling; Glorot, He, Lecun; UniformUnitScaling |
| `norms` | norms of another tensor: Norms |
| `blocks` | regions with different initializers: Blocks |
| `xavier_kaiming` | a variance from the fans and a gain, as in torch: Xavier, Kaiming |
"""

from seedbed.initializers.base import Initializer, RandomInitializer
from seedbed.initializers.blocks import Blocks
from seedbed.initializers.constant import Constant, Ones, Zeros
from seedbed.initializers.identity import Bilinear, Dirac, Identity
from seedbed.initializers.log_uniform import InverseSoftplus, LogOfUniform, LogUniform
from seedbed.initializers.norms import Norms
from seedbed.initializers.orthogonal import (
    ConvolutionOrthogonal1D,
    ConvolutionOrthogonal2D,
    ConvolutionOrthogonal3D,
    DeltaOrthogonal,
    Orthogonal,
)
from seedbed.initializers.random import RandomNormal, RandomUniform, TruncatedNormal
from seedbed.initializers.sparse import Sparse
from seedbed.initializers.stft import STFT
from seedbed.initializers.variance_scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    UniformUnitScaling,
    VarianceScaling,
)
from seedbed.initializers.xavier_kaiming import KaimingNormal, KaimingUniform, XavierNormal, XavierUniform

__all__ = [
    "STFT",
    "Bilinear",
    "Blocks",
    "Constant",
    "ConvolutionOrthogonal1D",
    "ConvolutionOrthogonal2D",
    "ConvolutionOrthogonal3D",
    "DeltaOrthogonal",
    "Dirac",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "InverseSoftplus",
    "KaimingNormal",
    "KaimingUniform",
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
    "Sparse",
    "TruncatedNormal",
    "UniformUnitScaling",
    "VarianceScaling",
    "XavierNormal",
    "XavierUniform",
    "Zeros",
]


def __dir__() -> list[str]:
    return __all__

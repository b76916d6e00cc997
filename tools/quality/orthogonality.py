"""Measure how far the orthogonal matrices of seedbed and of each installed framework are from orthonormal."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import seedbed as sb

SHAPES: tuple[tuple[int, ...], ...] = (
    (16, 16),
    (64, 64),
    (100, 100),
    (300, 300),
    (512, 512),
    (1000, 1000),
    (2048, 2048),
    (4096, 512),
    (512, 4096),
    (3, 3, 128, 256),
    (20_000, 300),
    (100_000, 10),
)
MEASURED = tuple((shape, dtype) for dtype in ("float32", "float64") for shape in SHAPES)
SEEDS = 16
"""Number of seeds for a matrix of up to `FEW` elements. Larger ones are made from one seed."""
FEW = 100_000

BITS = 20
"""Bits of a slice of a number. A sum of products of two slices of orthonormal columns needs 40 bits, so it is exact."""

Maker = Callable[[tuple[int, ...], str, int], npt.NDArray[np.floating]]
"""Makes a matrix of a shape and dtype from a seed."""


@dataclass(frozen=True)
class Distance:
    """The distances of one shape and dtype from orthonormal columns, or rows if there are fewer rows than columns.

    Attributes:
        shape: shape of the tensor; its last axis has the columns.
        dtype: float32 or float64.
        seeds: number of matrices; each figure is the mean over these.
        figures: Frobenius norm of W'W - I, by the name of the package that made W.
    """

    shape: tuple[int, ...]
    dtype: str
    seeds: int
    figures: dict[str, float]


def load_torch() -> Maker:
    """Return the maker of torch. It is given a matrix, because torch takes the first axis as the rows."""
    import torch

    def make(shape: tuple[int, ...], dtype: str, seed: int) -> npt.NDArray[np.floating]:
        matrix = torch.empty((math.prod(shape[:-1]), shape[-1]), dtype=getattr(torch, dtype))
        made: npt.NDArray[np.floating] = torch.nn.init.orthogonal_(
            matrix, generator=torch.Generator().manual_seed(seed)
        ).numpy()
        return made

    return make


def load_jax() -> Maker:
    """Return the maker of JAX."""
    import jax

    jax.config.update("jax_enable_x64", True)
    orthogonal = jax.nn.initializers.orthogonal()
    return lambda shape, dtype, seed: np.asarray(orthogonal(jax.random.key(seed), shape, dtype))


def load_keras() -> Maker:
    """Return the maker of Keras on TensorFlow."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return lambda shape, dtype, seed: np.asarray(keras.initializers.Orthogonal(seed=seed)(shape, dtype=dtype))


def load_ours() -> Maker:
    """Return the maker of seedbed."""
    return lambda shape, dtype, seed: sb.Orthogonal(seed=seed)(shape, dtype)


MAKERS: dict[str, tuple[tuple[str, ...], Callable[[], Maker]]] = {
    "seedbed": ((), load_ours),
    "torch": (("torch",), load_torch),
    "JAX": (("jax",), load_jax),
    "Keras on TensorFlow": (("keras", "tensorflow"), load_keras),
}
"""The packages that each maker needs, and the function that loads it."""


def measure(shape: tuple[int, ...], dtype: str) -> Distance:
    """Measure matrices of one shape and dtype from seedbed and from all installed frameworks."""
    seeds = SEEDS if math.prod(shape) <= FEW else 1
    makers = {name: load() for name, (packages, load) in MAKERS.items() if all(map(importlib.util.find_spec, packages))}
    figures = {
        name: float(np.mean([distance(make(shape, dtype, seed)) for seed in range(seeds)]))
        for name, make in makers.items()
    }
    return Distance(shape, dtype, seeds, figures)


def distance(tensor: npt.NDArray[np.floating]) -> float:
    """Return the Frobenius norm of W'W - I, computed from exact products.

    Each number is the sum of three slices of `BITS` bits. Their products are added from the largest to the smallest, so
    that only the last additions round.
    """
    matrix = tensor.reshape(-1, tensor.shape[-1]).astype(float)
    rest = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    slices = []
    for i in range(1, 4):
        slices.append(np.ldexp(np.rint(np.ldexp(rest, BITS * i)), -BITS * i))
        rest = rest - slices[-1]
    first, second, third = slices
    error = first.T @ first - np.eye(first.shape[1])
    for left, right in ((first, second), (first, third)):
        product = left.T @ right
        error += product + product.T
    return float(np.linalg.norm(error + second.T @ second))

"""seedbed and the rivals: each has a name, a maker of tensors, and an environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import makers
from cases import DTYPES
from makers import Maker


class Rival(NamedTuple):
    """A library, or a configuration of seedbed, that makes tensors in its own process."""

    name: str
    load: Callable[[], Maker]
    packages: tuple[str, ...] = ()  # packages with versions to report
    env: Mapping[str, str] = {}
    dtypes: tuple[str, ...] = DTYPES
    makes_orthogonal: bool = True
    is_framework: bool = False
    is_ours: bool = False


def ours(name: str, **env: str) -> Rival:
    return Rival(name, makers.load_seedbed, env={f"SEEDBED_{key}": value for key, value in env.items()}, is_ours=True)


def keras_on(backend: str, package: str) -> Rival:
    env = {"KERAS_BACKEND": backend, "JAX_ENABLE_X64": "1"}
    # Its orthogonal matrices are those of the framework that it runs on.
    return Rival(
        f"Keras on {package}", makers.load_keras, ("keras", backend), env, makes_orthogonal=False, is_framework=True
    )


OURS = "seedbed"
ONE_THREAD = "seedbed, one thread"
AVX2 = "seedbed, AVX2"
FULL = "np.full"
TORCH = "torch"
TORCH_ONE_THREAD = "torch, one thread"

RIVALS = [
    ours(OURS),
    ours(ONE_THREAD, NUM_THREADS="1"),
    ours(AVX2, BACKEND="avx2"),
    # The portable backend may not use the CPU's fused multiply-add, so a matrix product takes it minutes.
    ours("seedbed, portable", BACKEND="portable")._replace(makes_orthogonal=False),
    ours("seedbed, out=")._replace(load=makers.load_existing, makes_orthogonal=False),
    Rival(FULL, makers.load_full, ("numpy",), makes_orthogonal=False),
    Rival("NumPy", makers.load_numpy, ("numpy",)),
    Rival("NumPy, threaded", makers.load_numpy_threaded, ("numpy",), makes_orthogonal=False),
    Rival("mkl_random", makers.load_mkl_random, ("mkl_random",), makes_orthogonal=False),
    Rival(TORCH, makers.load_torch, ("torch",), is_framework=True),
    # Only trunc_normal_ and orthogonal_ use more than one thread anyway: float32 shows it.
    Rival(TORCH_ONE_THREAD, makers.load_torch, ("torch",), {"OMP_NUM_THREADS": "1"}, ("float32",), is_framework=True),
    # JAX has float64 only with X64, which does not change float32 and bfloat16.
    Rival("JAX", makers.load_jax, ("jax",), {"JAX_ENABLE_X64": "1"}, is_framework=True),
    # Its QR decomposition takes 3 s for a matrix of 2048 columns, and much longer for 4096.
    Rival("TensorFlow", makers.load_tensorflow, ("tensorflow",), makes_orthogonal=False, is_framework=True),
    keras_on("numpy", "NumPy"),
    keras_on("jax", "JAX"),
    keras_on("torch", "torch"),
    keras_on("tensorflow", "TensorFlow"),
]

RECOMPUTED = ours("recomputed", NUM_THREADS="3", BACKEND="portable")._replace(load=makers.load_recomputed)
"""Makes the values with which those of seedbed are compared."""

BY_NAME = {rival.name: rival for rival in [*RIVALS, RECOMPUTED]}

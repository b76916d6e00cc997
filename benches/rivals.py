"""Ours and the rivals: each has a name, a way to make tensors, and an environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import makers
from cases import DTYPES
from makers import Maker


class Rival(NamedTuple):
    """What makes tensors in a process of its own."""

    name: str
    load: Callable[[], Maker]
    packages: tuple[str, ...] = ()  # whose versions are reported
    env: Mapping[str, str] = {}
    dtypes: tuple[str, ...] = DTYPES
    makes_orthogonal: bool = True
    is_framework: bool = False
    is_ours: bool = False


def ours(name: str, **env: str) -> Rival:
    return Rival(name, makers.load_seedbed, env={f"SEEDBED_{key}": value for key, value in env.items()}, is_ours=True)


def keras_on(backend: str, package: str) -> Rival:
    env = {"KERAS_BACKEND": backend, "JAX_ENABLE_X64": "1"}
    # Its orthogonal matrices are those of the framework beneath it.
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
    # Where a CPU has a fused multiply-add that the portable backend may not use, a matrix product takes it minutes.
    ours("seedbed, portable", BACKEND="portable")._replace(makes_orthogonal=False),
    ours("seedbed, out=")._replace(load=makers.load_standing, makes_orthogonal=False),
    Rival(FULL, makers.load_full, ("numpy",), makes_orthogonal=False),
    Rival("NumPy", makers.load_numpy, ("numpy",)),
    Rival("NumPy, threaded", makers.load_numpy_threaded, ("numpy",), makes_orthogonal=False),
    Rival("mkl_random", makers.load_mkl_random, ("mkl_random",), makes_orthogonal=False),
    Rival(TORCH, makers.load_torch, ("torch",), is_framework=True),
    # Only trunc_normal_ and orthogonal_ use more than one thread anyway: float32 shows it.
    Rival(TORCH_ONE_THREAD, makers.load_torch, ("torch",), {"OMP_NUM_THREADS": "1"}, ("float32",), is_framework=True),
    # Without X64 there is no float64; to float32 and bfloat16 it makes no difference.
    Rival("JAX", makers.load_jax, ("jax",), {"JAX_ENABLE_X64": "1"}, is_framework=True),
    # Its QR decomposition takes 3 s for a matrix of 2048 columns; for 4096, the whole bench would wait.
    Rival("TensorFlow", makers.load_tensorflow, ("tensorflow",), makes_orthogonal=False, is_framework=True),
    keras_on("numpy", "NumPy"),
    keras_on("jax", "JAX"),
    keras_on("torch", "torch"),
    keras_on("tensorflow", "TensorFlow"),
]

RECOMPUTED = ours("recomputed", NUM_THREADS="3", BACKEND="portable")._replace(load=makers.load_recomputed)
"""Makes what ours should have made."""

BY_NAME = {rival.name: rival for rival in [*RIVALS, RECOMPUTED]}

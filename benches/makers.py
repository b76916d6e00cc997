"""Functions with which seedbed and each rival make a tensor. Each rival is imported in its own process only."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from cases import ORTHOGONAL, PARTS, Tensor

if TYPE_CHECKING:
    import seedbed

SEED = 42

Make: TypeAlias = Callable[[], Any]
"""Makes a new array."""

Maker: TypeAlias = Callable[[Tensor], Make]
"""Returns the function that makes this tensor."""


# seedbed


def initializer_of(tensor: Tensor) -> seedbed.Initializer:
    import seedbed as sb

    return {
        "uniform": lambda: sb.GlorotUniform(seed=SEED),
        "truncated normal": lambda: sb.GlorotNormal(seed=SEED),
        "normal": lambda: sb.RandomNormal(stddev=tensor.scale, seed=SEED),
        "constant": lambda: sb.Constant(tensor.scale),
        ORTHOGONAL: lambda: sb.Orthogonal(seed=SEED),
    }[tensor.kind]()


def backend() -> str:
    from seedbed import _core

    return _core.backend()


def load_seedbed() -> Maker:
    asked = os.environ.get("SEEDBED_BACKEND")
    if asked and asked != backend():
        raise ImportError(f"the backend is {backend()}, not {asked}")

    def make(tensor: Tensor) -> Make:
        initializer = initializer_of(tensor)
        if not tensor.part:
            return partial(initializer, tensor.shape, tensor.dtype)
        lazy = initializer.lazy(tensor.shape, tensor.dtype)
        return partial(lazy.__getitem__, PARTS[tensor.part](*tensor.shape))

    return make


def load_existing() -> Maker:
    """Return the maker that writes into existing memory, so that its time is that of the arithmetic."""
    fresh = load_seedbed()

    def make(tensor: Tensor) -> Make:
        if tensor.part:
            return fresh(tensor)
        out = np.empty(tensor.shape, numpy_dtype(tensor.dtype))
        return partial(initializer_of(tensor), tensor.shape, tensor.dtype, out=out)

    return make


def load_recomputed() -> Maker:
    """Return a maker of the same values by another method: lazy slices of an odd length."""

    def make(tensor: Tensor) -> Make:
        if tensor.kind == ORTHOGONAL:
            return partial(initializer_of(tensor), tensor.shape, tensor.dtype)
        lazy = initializer_of(tensor).lazy(tensor.shape, tensor.dtype)
        part = PARTS[tensor.part](*tensor.shape) if tensor.part else ...
        return lambda: np.concatenate([lazy[i : i + 997] for i in range(0, tensor.shape[0], 997)])[part]

    return make


# NumPy and mkl_random


def numpy_dtype(name: str) -> np.dtype:
    if name != "bfloat16":
        return np.dtype(name)
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


def load_full() -> Maker:
    def make(tensor: Tensor) -> Make:
        # NumPy fills a bfloat16 array element by element, but the cost of writing two bytes is wanted.
        dtype, value = (np.uint16, 1) if tensor.dtype == "bfloat16" else (tensor.dtype, tensor.scale)
        return partial(np.full, tensor.shape, value, dtype)

    return make


def redraw(values: np.ndarray, bound: float, draw: Callable[[int], np.ndarray]) -> None:
    """Truncate flat values: draw those outside of the bound again, because NumPy has no truncated normal."""
    outside = np.flatnonzero(np.abs(values) > bound)
    while outside.size:
        values[outside] = draw(outside.size)
        outside = outside[np.abs(values[outside]) > bound]


def draw_float64(state: Any, tensor: Tensor) -> np.ndarray:
    """Draw a float64 tensor by one call of NumPy or mkl_random, and truncate it."""
    if tensor.kind == "constant":
        return np.full(tensor.shape, tensor.scale)
    if tensor.kind == "uniform":
        return state.uniform(-tensor.scale, tensor.scale, tensor.shape)
    values = state.normal(0, tensor.scale, tensor.shape)
    if tensor.kind == "truncated normal":
        redraw(values.reshape(-1), tensor.bound, lambda n: state.normal(0, tensor.scale, n))
    return values


def fill(tensor: Tensor, generator: np.random.Generator, out: np.ndarray) -> None:
    """Fill a flat array in place; a bfloat16 array through float32."""
    values = np.empty(out.size, np.float32) if tensor.dtype == "bfloat16" else out
    if tensor.kind == "constant":
        values[:] = tensor.scale
    elif tensor.kind == "uniform":
        generator.random(out=values, dtype=values.dtype)
        values -= 0.5
        values *= 2 * tensor.scale
    else:
        generator.standard_normal(out=values, dtype=values.dtype)
        if tensor.kind == "truncated normal":
            redraw(values, 2, lambda n: generator.standard_normal(n, values.dtype))
        values *= tensor.scale
    if values is not out:
        out[:] = values


def load_numpy() -> Maker:
    generator = np.random.default_rng(SEED)

    def filled(tensor: Tensor) -> np.ndarray:
        out = np.empty(tensor.shape, numpy_dtype(tensor.dtype))
        fill(tensor, generator, out.reshape(-1))
        return out

    def orthogonal(tensor: Tensor) -> np.ndarray:
        q, r = np.linalg.qr(generator.standard_normal(tensor.shape, np.dtype(tensor.dtype)))
        return q * np.sign(np.diag(r))

    def make(tensor: Tensor) -> Make:
        if tensor.kind == ORTHOGONAL:
            return partial(orthogonal, tensor)
        return partial(draw_float64, generator, tensor) if tensor.dtype == "float64" else partial(filled, tensor)

    return make


def load_numpy_threaded() -> Maker:
    """Return the maker with a generator for each thread, as in NumPy's documentation."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    generators = [np.random.default_rng(seed) for seed in np.random.SeedSequence(SEED).spawn(cpus)]
    threads = ThreadPoolExecutor(cpus)

    def filled(tensor: Tensor) -> np.ndarray:
        out = np.empty(tensor.shape, numpy_dtype(tensor.dtype))
        list(threads.map(partial(fill, tensor), generators, np.array_split(out.reshape(-1), cpus)))
        return out

    return lambda tensor: partial(filled, tensor)


def load_mkl_random() -> Maker:
    import mkl_random

    state = mkl_random.MKLRandomState(SEED)
    return lambda tensor: lambda: draw_float64(state, tensor).astype(numpy_dtype(tensor.dtype), copy=False)


# Frameworks


def load_torch() -> Maker:
    import torch
    from torch.nn import init

    torch.manual_seed(SEED)
    fills = {
        "uniform": lambda w, scale: init.uniform_(w, -scale, scale),
        "truncated normal": lambda w, scale: init.trunc_normal_(w, 0, scale, -2 * scale, 2 * scale),
        "normal": lambda w, scale: init.normal_(w, 0, scale),
        "constant": init.constant_,
        ORTHOGONAL: lambda w, scale: init.orthogonal_(w),
    }

    def make(tensor: Tensor) -> Make:
        fill, dtype = fills[tensor.kind], getattr(torch, tensor.dtype)
        return lambda: fill(torch.empty(tensor.shape, dtype=dtype), tensor.scale)

    return make


def load_jax() -> Maker:
    import jax
    from jax.nn import initializers

    key = jax.random.key(SEED)

    @cache
    def make(tensor: Tensor) -> Make:
        initializer = {
            "uniform": initializers.glorot_uniform(),
            "truncated normal": initializers.glorot_normal(),
            "normal": initializers.normal(tensor.scale),
            "constant": initializers.constant(tensor.scale),
            ORTHOGONAL: initializers.orthogonal(),
        }[tensor.kind]
        function = jax.jit(lambda key: initializer(key, tensor.shape, tensor.dtype)).lower(key).compile()
        return lambda: function(key).block_until_ready()

    return make


def load_tensorflow() -> Maker:
    import tensorflow as tf

    seed = tf.constant([SEED, 0])
    draws = {
        "uniform": lambda t: tf.random.stateless_uniform(t.shape, seed, -t.scale, t.scale, t.dtype),
        "truncated normal": lambda t: tf.random.stateless_truncated_normal(t.shape, seed, 0, t.scale, t.dtype),
        "normal": lambda t: tf.random.stateless_normal(t.shape, seed, 0, t.scale, t.dtype),
        "constant": lambda t: tf.fill(t.shape, tf.constant(t.scale, t.dtype)),
    }
    return lambda tensor: partial(draws[tensor.kind], tensor)


def load_keras() -> Maker:
    import keras
    from keras import initializers

    def make(tensor: Tensor) -> Make:
        initializer = {
            "uniform": lambda: initializers.GlorotUniform(seed=SEED),
            "truncated normal": lambda: initializers.GlorotNormal(seed=SEED),
            "normal": lambda: initializers.RandomNormal(stddev=tensor.scale, seed=SEED),
            "constant": lambda: initializers.Constant(tensor.scale),
        }[tensor.kind]()
        if keras.backend.backend() == "jax":
            return lambda: initializer(tensor.shape, tensor.dtype).block_until_ready()
        return partial(initializer, tensor.shape, tensor.dtype)

    return make

"""Evaluation within compiled programs for devices other than the CPU, with the bits of the engine.

The arithmetic is on 32-bit words and float32, and needs no 64-bit type of JAX. XLA fuses products with sums whatever
its flags, which would change bits. Each product is therefore combined by exclusive or with a zero that the compiler
cannot simplify: the conjunction of two neighbouring bits of a square, one of which is always 0.
"""

from __future__ import annotations

import warnings
from functools import lru_cache, partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from seedbed.accelerators.arithmetic import CONSTANTS, TOP, double_rounds, multiply, narrowed, values
from seedbed.accelerators.samples import BLOCK, Runs, Sample, key_words
from seedbed.accelerators.sensitive import ADDRESS, compare
from seedbed.accelerators.uniform import by_integers
from seedbed.shapes import Shape


class Operations:
    """`seedbed.accelerators.arithmetic.Operations` on arrays of JAX: words are uint32.

    Arguments:
        zero: words with the value 0 that the compiler cannot know, of the shape of all products.
    """

    def __init__(self, zero: Any = None) -> None:
        self.zero = zero

    def word(self, value: int) -> Any:
        return np.uint32(value)

    def shift_right(self, words: Any, bits: Any) -> Any:
        return words >> (np.uint32(bits) if isinstance(bits, int) else bits)

    def less(self, one: Any, other: Any) -> Any:
        return one < other

    def flag(self, condition: Any) -> Any:
        return condition.astype(np.uint32)

    def where(self, condition: Any, one: Any, other: Any) -> Any:
        return jnp.where(condition, one, other)

    def number(self, words: Any) -> Any:
        return jax.lax.bitcast_convert_type(words, np.int32).astype(np.float32)

    def bits(self, numbers: Any) -> Any:
        return jax.lax.bitcast_convert_type(numbers, np.uint32)

    def of_bits(self, words: Any) -> Any:
        return jax.lax.bitcast_convert_type(words, np.float32)

    def times(self, one: Any, other: Any) -> Any:
        return self.of_bits(self.bits(one * np.float32(other) if isinstance(other, float) else one * other) ^ self.zero)

    def plus(self, one: Any, other: Any) -> Any:
        return one + other

    def lookup(self, table: npt.NDArray[Any], rows: Any) -> Any:
        return jnp.asarray(table).at[rows].get(mode="promise_in_bounds")

    def clamp(self, numbers: Any, least: float, greatest: float) -> Any:
        return jax.lax.clamp(np.float32(least), numbers, np.float32(greatest))

    def find(self, condition: Any) -> Any:
        return condition

    def pick(self, array: Any, places: Any) -> Any:
        return array

    def put(self, array: Any, places: Any, made: Any) -> Any:
        return jnp.where(places, made, array)


def part(sample: Sample, whole: Shape, shape: Shape, words: Any, parts: Any) -> Any:
    """Return one part of the tensor that a key determines.

    Arguments:
        sample: distribution of the values.
        whole: shape of the tensor.
        shape: shape of the part. Along each axis, its length divides the tensor's.
        words: words of the key, the most significant first.
        parts: index of the part along each axis, in parts.
    """
    inner, length = len(shape), 1
    while inner:
        inner -= 1
        length *= shape[inner]
        if shape[inner] != whole[inner]:
            break
    strides = [prod(whole[axis + 1 :]) for axis in range(len(whole))]
    high, low = jnp.zeros((), np.uint32), jnp.zeros((), np.uint32)
    aligned = True
    for axis, stride in enumerate(strides):
        if shape[axis] != whole[axis]:
            high, low = _moved(high, low, parts[axis], shape[axis] * stride)
            aligned = aligned and shape[axis] * stride % BLOCK == 0
    run = jnp.arange(prod(shape[:inner]), dtype=np.uint32)
    for axis in reversed(range(inner)):
        high, low = _moved(high, low, run % np.uint32(shape[axis]), strides[axis])
        run = run // np.uint32(shape[axis])
        aligned = aligned and (strides[axis] % BLOCK == 0 or shape[axis] == 1)
    key = [words[len(words) - 1 - at] if at < len(words) else np.uint32(0) for at in range(8)]
    keystream = _Keystream(key, (0, 0), jnp.atleast_1d(high), jnp.atleast_1d(low), length, aligned)
    return _values(sample, keystream.plane(0), lambda: keystream.plane(TOP)).reshape(shape)


def _moved(high: Any, low: Any, index: Any, stride: int) -> tuple[Any, Any]:
    """Return the index of the element that is `index` strides after the given one, as two words."""
    ops = Operations()
    index = jnp.asarray(index, np.uint32)
    upper, lower = multiply(ops, index, stride & 0xFFFFFFFF)
    upper = upper + index * ops.word(stride >> 32)
    total = low + lower
    return high + upper + ops.flag(total < lower), total


class _Keystream(NamedTuple):
    """The words of the elements of runs, one row for each run."""

    key: Any
    """Words of the key, the least significant first."""
    stream: tuple[int, int]
    """Words of the stream, the least significant first."""
    high: Any
    """High words of the indices of the first elements of the runs."""
    low: Any
    """Low words of these numbers."""
    length: int
    """Length of each run, in elements."""
    aligned: bool = False
    """Whether the first element of each run is the first of a block."""

    def plane(self, top: int) -> Any:
        """Return the high words, for 0, or the low words, for `TOP`."""
        four = np.uint32(4)
        first, skipped = (self.low >> four) | (self.high << np.uint32(28)), self.low & np.uint32(BLOCK - 1)
        count = -(-(self.length + (0 if self.aligned else BLOCK - 1)) // BLOCK)
        blocks = first[:, None] + jnp.arange(count, dtype=np.uint32)
        carried = (self.high >> four)[:, None] + (blocks < first[:, None]).astype(np.uint32)
        state = [*CONSTANTS, *self.key, blocks, carried | np.uint32(top), *self.stream]
        made = jnp.stack(double_rounds(Operations(), [jnp.asarray(word, np.uint32) for word in state]), axis=-1)
        made = made.reshape(len(first), count * BLOCK)
        if self.aligned:
            return made[:, : self.length]
        if len(first) == 1:
            return jax.lax.dynamic_slice_in_dim(made, skipped[0], self.length, axis=1)
        places = skipped[:, None] + jnp.arange(self.length, dtype=np.uint32)
        return jnp.take_along_axis(made, places, axis=1, mode="promise_in_bounds")


def _values(sample: Sample, words: Any, low: Any) -> Any:
    """Return the values of high words. `low` is a function that returns their low words."""
    square = words * words
    # A square ends in the bits 0000, 0001, 0100 or 1001: bits 2 and 3 are never both 1.
    ops = Operations((square >> np.uint32(2)) & (square >> np.uint32(3)) & np.uint32(1))
    made = values(ops, sample, words, lambda _: low(), lambda *of: by_integers(ops, *of))
    if sample.dtype == "float32":
        return made
    return jax.lax.bitcast_convert_type(narrowed(ops, sample.dtype, made).astype(np.uint16), np.dtype(sample.dtype))


@lru_cache(maxsize=16)
def is_trusted(platform: str) -> bool:
    """Return whether compiled programs of a platform give the bits of the engine, by comparing values at the first use.

    A warning says what differs.
    """
    with jax.ensure_compile_time_eval():
        try:
            compared = compare(partial(_evaluated, jax.local_devices(backend=platform)[0]))
            differing = compared.differing
        except Exception as error:  # Devices, drivers and compilers raise errors of many classes.
            differing = (f"{type(error).__name__}: {error}",)
    if differing:
        warnings.warn(
            f"a program for {platform} must give the bits of the engine, and the host evaluates instead. "
            f"Received: {'; '.join(differing)}",
            RuntimeWarning,
            stacklevel=2,
        )
    return not differing


def _evaluated(device: Any, cases: list[tuple[Sample, Runs]]) -> list[np.ndarray]:
    """Return the bits of elements at `ADDRESS`, evaluated by one program for all cases."""
    key, stream = key_words(ADDRESS)
    firsts = {runs.firsts.tobytes(): runs.firsts for _, runs in cases}

    def program(key: Any, firsts: Any) -> Any:
        words = {}
        for name, (high, low) in firsts.items():
            keystream = _Keystream(key, stream, high, low, 1)
            words[name] = keystream.plane(0), keystream.plane(TOP)
        return [_values(sample, words[name][0], lambda name=name: words[name][1]) for sample, name in named]

    named = [(sample, runs.firsts.tobytes()) for sample, runs in cases]
    split = {
        name: ((first >> np.uint64(32)).astype(np.uint32), first.astype(np.uint32)) for name, first in firsts.items()
    }
    made = jax.jit(program)(*jax.device_put((np.array(key, np.uint32), split), device))
    return [np.asarray(array).reshape(-1).view(f"u{array.dtype.itemsize}") for array in made]

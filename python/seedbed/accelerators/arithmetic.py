"""Words to values, in 32-bit integers and float32, for any library of arrays.

A library gives its `Operations`; its words are arrays of 32 bits, and its numbers arrays of float32. This is steps 3 to
11 of `docs/streams.md`, for the distributions whose float32 values are made in float32 arithmetic. No operation is
fused with another, none rounds but the sums and products of numbers, and no number on the way is subnormal
(`samples.LEAST`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from seedbed.accelerators import tables
from seedbed.accelerators.samples import Sample

CONSTANTS = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)
"""The bytes `expand 32-byte k`."""

ROUNDS = 8

TOP = 1 << 31
"""The top bit of a word."""


class Operations(Protocol):
    """Operations on arrays of words and of numbers, element by element.

    Arrays of words have +, -, *, &, |, ^ and << modulo 2^32, with each other and with what `word` returns; arrays of
    numbers have + and * with numbers of Python, where products are exact and sums are of no product.
    """

    def word(self, value: int) -> Any:
        """Return a constant, 0 <= value < 2^32, for operations with arrays of words."""

    def shift_right(self, words: Any, bits: Any) -> Any:
        """Return words shifted right by `bits`, a number or words from 0 to 31, with zeros from the left."""

    def less(self, one: Any, other: Any) -> Any:
        """Return whether unsigned words are less than others, which may be a constant."""

    def flag(self, condition: Any) -> Any:
        """Return words that are 1 where a condition is true, and 0 elsewhere."""

    def where(self, condition: Any, one: Any, other: Any) -> Any:
        """Return the words of `one` where a condition is true, and those of `other` elsewhere."""

    def number(self, words: Any) -> Any:
        """Return signed words as numbers, rounded to nearest."""

    def bits(self, numbers: Any) -> Any:
        """Return the bits of numbers as words."""

    def of_bits(self, words: Any) -> Any:
        """Return the numbers with the bits of words."""

    def times(self, one: Any, other: Any) -> Any:
        """Return products, each rounded. They must not be fused with a later sum."""

    def plus(self, one: Any, other: Any) -> Any:
        """Return sums. One term may be a number of Python."""

    def lookup(self, table: npt.NDArray[Any], rows: Any) -> Any:
        """Return the entries of a table of words or of float32, for rows within it."""

    def clamp(self, numbers: Any, least: float, greatest: float) -> Any:
        """Return numbers clamped to two bounds."""

    def find(self, condition: Any) -> Any:
        """Return the positions where a condition is true, for `pick` and `put`."""

    def pick(self, array: Any, places: Any) -> Any:
        """Return the elements at some positions, and possibly more."""

    def put(self, array: Any, places: Any, values: Any) -> Any:
        """Return the array with new elements at some positions."""


def rotate(ops: Operations, words: Any, bits: int) -> Any:
    """Rotate words to the left."""
    return (words << ops.word(bits)) | ops.shift_right(words, 32 - bits)


def quarter_round(ops: Operations, a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any, Any, Any]:
    """Return four words of the state of ChaCha after a quarter round."""
    a = a + b
    d = rotate(ops, d ^ a, 16)
    c = c + d
    b = rotate(ops, b ^ c, 12)
    a = a + b
    d = rotate(ops, d ^ a, 8)
    c = c + d
    b = rotate(ops, b ^ c, 7)
    return a, b, c, d


def values(ops: Operations, sample: Sample, high: Any, low: Callable[[Any], Any], uniform: Callable[..., Any]) -> Any:
    """Return the float32 values of high words, within their bounds.

    Arguments:
        ops: the operations of the library.
        sample: the distribution.
        high: the high words of elements.
        low: a function of places, as `find` returns them, that gives the low words there.
        uniform: a function of a sample and high words that gives center + scale x of the standard uniform x.
    """
    if sample.kind == "uniform":
        return ops.clamp(uniform(sample, high), sample.least, sample.greatest)
    made = _placed(ops, sample, _normal(ops, sample, high, low))
    return ops.clamp(made, sample.least, sample.greatest) if sample.bounded else made


def _normal(ops: Operations, sample: Sample, high: Any, low: Callable[[Any], Any]) -> Any:
    """Return standard normals, truncated or not."""
    upper = ops.word(0) - ops.shift_right(high, 31)  # All bits are set on the upper side, none on the lower side.
    rest = high ^ upper
    x = _half(ops, tables.rows(sample.kind), rest)
    if sample.kind == "normal":
        table = tables.tail()
        places = ops.find(ops.less(rest, ops.word(table.below)))
        x = ops.put(x, places, _tail(ops, table, ops.pick(rest, places), low(places) ^ ops.pick(upper, places)))
    return ops.of_bits(ops.bits(x) ^ ((high & ops.word(TOP)) ^ ops.word(TOP)))


def _half(ops: Operations, table: tables.Rows, rest: Any) -> Any:
    y = ops.plus(ops.number(rest), table.offset)
    row = ops.shift_right(ops.bits(y), table.shift) & ops.word(15)
    f = ops.number(ops.lookup(table.origin, row) - (rest + rest)) * 2.0**-32
    return _polynomial(ops, table.coefficients, row, f)


def _tail(ops: Operations, table: tables.Tail, rest: Any, low: Any) -> Any:
    """Return the absolute values of normals in a tail, by the rests of their high words and of their low words."""
    below = ops.where(ops.less(rest, ops.word(table.outer)), low, ops.word(TOP))
    y = ops.plus(ops.number(rest), (_unsigned(ops, below) + 0.5) * 2.0**-32)  # The product is exact.
    bits, unit = ops.bits(y), 1 << table.shift
    row = ops.shift_right(bits, table.shift) - ops.word(table.first)
    last = ops.word(table.coefficients.shape[1] - 1)
    row = ops.where(ops.less(row, last), row, last)  # Elements that `pick` returned in excess may use any row.
    f = ops.number(ops.word(unit) - (bits & ops.word(unit - 1))) * (1 / unit)
    return _polynomial(ops, table.coefficients, row, f)


def _unsigned(ops: Operations, words: Any) -> Any:
    """Return unsigned words as numbers, rounded to nearest, as the sum of two exact numbers."""
    return ops.plus(ops.number(ops.shift_right(words, 16)) * 65536.0, ops.number(words & ops.word(0xFFFF)))


def _polynomial(ops: Operations, coefficients: npt.NDArray[np.float32], row: Any, f: Any) -> Any:
    x = ops.lookup(coefficients[-1], row)
    for power in coefficients[-2::-1]:
        x = ops.plus(ops.times(x, f), ops.lookup(power, row))
    return x


def _placed(ops: Operations, sample: Sample, x: Any) -> Any:
    return ops.plus(ops.times(x, float(np.float32(sample.scale))), float(np.float32(sample.center)))


def narrowed(ops: Operations, dtype: str, numbers: Any) -> Any:
    """Return the bits of numbers as bfloat16 or float16, to nearest, ties to even, in integers alone.

    Conversions of devices may flush subnormal numbers of float16, and many values are such numbers.
    """
    bits = ops.bits(numbers)
    if dtype == "bfloat16":
        odd = ops.shift_right(bits, 16) & ops.word(1)
        return ops.shift_right(bits + ops.word(0x7FFF) + odd, 16)
    size = bits & ops.word(TOP - 1)
    # 2^-14 is the least normal number. Larger ones lose 13 bits of the mantissa and 112 of the exponent.
    odd = ops.shift_right(size, 13) & ops.word(1)
    normal = ops.shift_right(size - ops.word(0x38000000) + ops.word(0xFFF) + odd, 13)
    # Smaller ones are rounded to multiples of 2^-24, and to 0 if they are shifted by 25 bits or more.
    exponent = ops.shift_right(size, 23)
    lost = ops.word(126) - exponent
    lost = ops.where(ops.less(ops.word(101), exponent), lost, ops.word(25))
    lost = ops.where(ops.less(exponent, ops.word(113)), lost, ops.word(14))
    mantissa = (size & ops.word(0x7FFFFF)) | ops.word(0x800000)
    odd = ops.shift_right(mantissa, lost) & ops.word(1)
    half = (ops.word(1) << (lost - ops.word(1))) - ops.word(1)
    small = ops.shift_right(mantissa + half + odd, lost)
    sign = ops.shift_right(bits, 16) & ops.word(0x8000)
    return ops.where(ops.less(size, ops.word(0x38800000)), small, normal) | sign


def multiply(ops: Operations, words: Any, constant: int) -> tuple[Any, Any]:
    """Return the products of words and a constant, of 64 bits each, as two words."""
    x, y = ops.shift_right(words, 16), words & ops.word(0xFFFF)
    a, b = ops.word(constant >> 16), ops.word(constant & 0xFFFF)
    low, first = y * b, y * a
    second = x * b + ops.shift_right(low, 16)
    middle = first + second
    carry = ops.flag(ops.less(middle, second))
    high = x * a + ops.shift_right(middle, 16) + (carry << ops.word(16))
    return high, (middle << ops.word(16)) | (low & ops.word(0xFFFF))


def double_rounds(ops: Operations, state: Sequence[Any]) -> list[Any]:
    """Return the sixteen words of blocks from the initial state of ChaCha."""
    x = list(state)
    for _ in range(ROUNDS // 2):
        for turn in range(2):
            for i in range(4):
                at = [i, *(4 * row + (i + turn * row) % 4 for row in (1, 2, 3))]
                x[at[0]], x[at[1]], x[at[2]], x[at[3]] = quarter_round(ops, *(x[j] for j in at))
    return [after + before for after, before in zip(x, state, strict=True)]

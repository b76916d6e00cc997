"""The float32 uniform in 32-bit integers alone: the exact form of its float64 arithmetic (`docs/streams.md`).

A positive number is a `Long`: 64 bits, the first of which is set, and an exponent. Those of float64 have zeros in the
last eleven bits. Bits that are lost to the right of all others leave a 1 in the last bit, so that they still break
ties.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from seedbed.accelerators.arithmetic import TOP, Operations, multiply
from seedbed.accelerators.samples import Sample

_BIAS = 1 << 16
"""Bias of exponents: the sums are positive, and compare like unsigned words."""


class Long(NamedTuple):
    """(2^32 high + low) × 2^(exponent - _BIAS - 63)."""

    high: Any
    low: Any
    exponent: Any


def by_integers(ops: Operations, sample: Sample, high: Any) -> Any:
    """Return center + scale x of the standard uniform x of high words, rounded to float64 and then to float32.

    The product and the sum are rounded to 53 bits each, as float64 arithmetic does. No result but 0 is below the normal
    numbers of float32 (`samples.sample_of`).
    """
    lower = ops.shift_right(high, 31) - ops.word(1)  # All bits are set on the lower side, none on the upper side.
    # x is s × 2^-32, and |s| is 2 high + 1 - 2^32, or 2^32 - 1 - 2 high on the lower side.
    size = ((high + high) ^ lower) | ops.word(1)
    product = _product(ops, size, _long(sample.scale))
    sign = lower & ops.word(TOP)
    if sample.center == 0:
        return ops.of_bits(_single(ops, product) | sign)
    return _sum(ops, product, sign, _long(abs(sample.center)), TOP if sample.center < 0 else 0)


def _long(number: float) -> tuple[int, int, int]:
    """Return a positive number as the fields of a `Long`, in Python integers."""
    fraction, exponent = math.frexp(number)
    bits = int(math.ldexp(fraction, 64))
    return bits >> 32, bits & 0xFFFFFFFF, exponent - 1 + _BIAS


def _product(ops: Operations, size: Any, number: tuple[int, int, int]) -> Long:
    """Return size × 2^-32 × number, rounded to 53 bits. No size is 0."""
    zeros = _leading_zeros(ops, size)
    size = size << zeros
    high, middle = multiply(ops, size, number[0])
    carried, low = multiply(ops, size, number[1])
    middle = middle + carried
    high = high + ops.flag(ops.less(middle, carried))
    # 96 bits, of which the first or the second is set.
    short = ops.flag(ops.less(high, ops.word(TOP)))
    high, middle, low = _left(ops, high, middle, short), _left(ops, middle, low, short), low << short
    exponent = ops.word(number[2]) - zeros - short
    return _double(ops, Long(high, middle | _any(ops, low), exponent))


def _sum(ops: Operations, one: Long, sign: Any, constant: tuple[int, int, int], constant_sign: int) -> Any:
    """Return the sum of two numbers with signs, rounded to 53 bits and then to float32."""
    other = Long(*(ops.word(part) for part in constant))
    smaller = _less(ops, one, other)
    large = Long(*(ops.where(smaller, theirs, own) for own, theirs in zip(one, other, strict=True)))
    small = Long(*(ops.where(smaller, own, theirs) for own, theirs in zip(one, other, strict=True)))
    # Shift both right by one bit, so that a carry fits.
    high, low = ops.shift_right(large.high, 1), _left(ops, large.high, large.low, ops.word(31))
    shift = large.exponent - small.exponent
    far = ops.less(ops.word(62), shift)
    added_high, added_low = _right(ops, small, ops.where(far, ops.word(63), shift + ops.word(1)))
    opposite = sign ^ ops.word(constant_sign)
    inverted = ops.word(0) - ops.shift_right(opposite, 31)  # All bits are set where the signs differ.
    added_high, added_low = added_high ^ inverted, added_low ^ inverted
    total_low = low + added_low
    carry = ops.flag(ops.less(total_low, low))
    total_low = total_low - inverted  # Plus 1 where the bits are inverted.
    carry = carry + (ops.flag(ops.less(total_low, ops.word(1))) & inverted)
    total_high = high + added_high + carry
    exponent, sign = large.exponent + ops.word(1), ops.where(smaller, ops.word(constant_sign), sign)
    # Shift left until the first bit is set.
    empty = ops.less(total_high, ops.word(1))
    whole = ops.flag(empty) << ops.word(5)
    total_high, total_low = ops.where(empty, total_low, total_high), ops.where(empty, ops.word(0), total_low)
    zeros = _leading_zeros(ops, total_high)
    nothing = ops.less(ops.word(31), zeros)
    zeros = zeros & ops.word(31)
    made = Long(_left(ops, total_high, total_low, zeros), total_low << zeros, exponent - whole - zeros)
    bits = _single(ops, _double(ops, made)) | sign
    return ops.of_bits(ops.where(nothing, ops.word(0), bits))


def _less(ops: Operations, one: Long, other: Long) -> Any:
    """Return whether a number is less than another one."""
    same = _equal(ops, one.exponent, other.exponent)
    less = ops.less(one.exponent, other.exponent) | (same & ops.less(one.high, other.high))
    return less | (same & _equal(ops, one.high, other.high) & ops.less(one.low, other.low))


def _equal(ops: Operations, one: Any, other: Any) -> Any:
    return ops.less(one ^ other, ops.word(1))


def _any(ops: Operations, words: Any) -> Any:
    """Return 1 where any bit is set, and 0 elsewhere."""
    return ops.flag(ops.less(ops.word(0), words))


def _left(ops: Operations, high: Any, low: Any, bits: Any) -> Any:
    """Return the high word of two words shifted left by 0 to 31 bits."""
    return (high << bits) | ops.shift_right(ops.shift_right(low, 1), ops.word(31) - bits)


def _right(ops: Operations, long: Long, bits: Any) -> tuple[Any, Any]:
    """Return the words of a long shifted right by 1 to 63 bits."""
    far = ops.less(ops.word(31), bits)
    lost = ops.where(far, long.low, ops.word(0))
    high, low = ops.where(far, ops.word(0), long.high), ops.where(far, long.high, long.low)
    bits = bits & ops.word(31)
    lost = lost | ((low << ops.word(1)) << (ops.word(31) - bits))
    low = ops.shift_right(low, bits) | ((high << ops.word(1)) << (ops.word(31) - bits))
    return ops.shift_right(high, bits), low | _any(ops, lost)


def _leading_zeros(ops: Operations, words: Any) -> Any:
    """Return the number of leading zeros of words; 32 for 0."""
    upper = ops.shift_right(words, 16)
    large = ops.less(ops.word(0), upper)
    half = ops.where(large, upper, words)
    length = ops.shift_right(ops.bits(ops.number(half)), 23) - ops.word(126)  # Numbers below 2^16 are exact.
    length = ops.where(ops.less(ops.word(0), half), length, ops.word(0))
    return ops.word(32) - length - (ops.flag(large) << ops.word(4))


def _double(ops: Operations, long: Long) -> Long:
    """Return a number rounded to 53 bits, to nearest, ties to even."""
    odd = ops.shift_right(long.low, 11) & ops.word(1)
    low = long.low + ops.word(0x3FF) + odd
    high = long.high + ops.flag(ops.less(low, long.low))
    over = ops.less(high, long.high)  # All bits were set: the result is the next power of two.
    return Long(high | (ops.flag(over) << ops.word(31)), low & ops.word(0xFFFFF800), long.exponent + ops.flag(over))


def _single(ops: Operations, long: Long) -> Any:
    """Return the bits of a number rounded to float32, to nearest, ties to even."""
    mantissa = ops.shift_right(long.high, 8)
    rest = (long.high & ops.word(0xFF)) | _any(ops, long.low)
    up = ops.shift_right(rest + ops.word(0x7F) + (mantissa & ops.word(1)), 8)
    # The first bit of the mantissa adds 1 to the exponent, and so does a carry.
    return ((long.exponent - ops.word(_BIAS - 126)) << ops.word(23)) + mantissa + up

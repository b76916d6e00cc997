"""The specification in `docs/streams.md` in plain Python: from a seed to a value, one element at a time.

Written from that page alone, to be read next to it and compared with the package bit for bit. Of seedbed it uses only
the coefficients, which it reads as text. Integers and float64 arithmetic are Python's, float32 arithmetic
is NumPy's; both round every operation by itself.
"""

import hashlib
import math
import re
import struct
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import mpmath
import numpy as np

TABLES_RS = Path(__file__).parents[2] / "src" / "quantile" / "tables.rs"

FORMATS = {"float16": (11, -24), "bfloat16": (8, -133), "float32": (24, -149), "float64": (53, -1074)}
"""Bits of a significand, and the exponent of the least positive number."""


def key_of(seed):
    """Step 1."""
    return seed.to_bytes(32, "little", signed=True)


def child_key(key, name):
    return hashlib.blake2b(name.encode("utf-8"), key=key, digest_size=32, person=b"seedbed.v1").digest()


@cache
def block(key, stream, counter):
    """Step 3: sixteen words of ChaCha8."""
    initial = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<QQ", counter, stream))
    state = list(initial)
    for _ in range(4):
        for i in range(4):
            quarter_round(state, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter_round(state, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return tuple((x + y) % 2**32 for x, y in zip(state, initial, strict=True))


def quarter_round(state, a, b, c, d):
    for left, right, target, by in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]:
        state[left] = (state[left] + state[right]) % 2**32
        mixed = state[target] ^ state[left]
        state[target] = (mixed << by | mixed >> (32 - by)) % 2**32


def word(key, stream, index):
    return block(key, stream, index // 16 % 2**64)[index % 16]


def element_words(key, stream, element):
    return word(key, stream, element), word(key, stream, 2**67 + element)


def element_index(indices, shape):
    """Step 4: the number of an element in C order."""
    number = 0
    for index, length in zip(indices, shape, strict=True):
        number = number * length + index
    return number


def rest_of(word, bits):
    """Step 5: the distance of the word from the end of its half."""
    return word if word < 2 ** (bits - 1) else 2**bits - 1 - word


def with_side(half, word, bits):
    return half if word >= 2 ** (bits - 1) else -half


@dataclass(frozen=True)
class Table:
    """Step 7: half of a quantile function, polynomials by row."""

    real: type
    bits: int  # of a word, and of a number of type `real`
    shift: int
    offset: float
    origins: list[int]
    coefficients: list[list[float]]

    def half(self, rest):
        row = self.row(self.real(rest) + self.real(self.offset))
        distance = (self.origins[row] - 2 * rest) % 2**self.bits
        return self.value(row, self.real(distance) * self.real(0.5**self.bits))

    def row(self, y):
        half_a_row = 2 ** (self.shift - 1) if self.bits == 64 else 0
        return (bits_of(y) + half_a_row >> self.shift) % 16

    def value(self, row, f):
        return polynomial([self.real(coefficients[row]) for coefficients in self.coefficients], f)


def bits_of(x):
    """Return the bits of a float32 or float64 number of NumPy."""
    return int(x.view(f"u{x.itemsize}"))


def polynomial(coefficients, f):
    x = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        x = x * f + coefficient
    return x


@cache
def table(name):
    declared = re.compile(rf"static {name}: Table<f(\d+), i\d+, (\d+), \d+> = Table \{{(.*?)\n\}};", re.DOTALL)
    bits, shift, body = declared.search(TABLES_RS.read_text()).groups()
    offset, *numbers = re.findall(r"-?[\d.]+(?:e-?\d+)?", body)
    lists = [numbers[i : i + 16] for i in range(0, len(numbers), 16)]
    origins = [int(origin) for origin in lists[0]]
    coefficients = [[float(c) for c in row] for row in lists[1:]]
    real = np.float32 if bits == "32" else np.float64
    return Table(real, int(bits), int(shift), float(offset), origins, coefficients)


def from_table(name, word):
    half = table(name)
    return with_side(half.half(rest_of(word, half.bits)), word, half.bits)


def normal_float32(high, low):
    """Step 8."""
    rest = rest_of(high, 32)
    if rest >= 2**23 + 128:
        return from_table("NORMAL_F32", high)
    below = 2**31 if rest >= 2**16 else low if high < 2**31 else 2**32 - 1 - low
    y = np.float32(rest) + (np.float32(below) + np.float32(0.5)) * np.float32(2**-32)
    return with_side(tail_value("NORMAL_TAIL_F32", y, 22, 188), high, 32)


def normal_float64(word):
    """Step 8."""
    rest = rest_of(word, 64)
    if rest >= 5 * 2**53:
        return from_table("NORMAL_F64", word)
    return with_side(tail_value("NORMAL_TAIL_F64", np.float64(rest) + 0.5, 51, 2044), word, 64)


def tail_value(name, y, shift, first):
    """Evaluate the table of a tail, whose rows are the halved binary orders of y."""
    real, bits = type(y), bits_of(y)
    f = real(2**shift - bits % 2**shift) * real(0.5**shift)
    return polynomial([real(c) for c in tail_rows(name)[(bits >> shift) - first]], f)


@cache
def tail_rows(name):
    body = re.search(rf"static {name}: .*? = \[(.*?)\n\];", TABLES_RS.read_text(), re.DOTALL)[1]
    return [[float(c) for c in row.split(",")] for row in re.findall(r"\[(.*?)\]", body, re.DOTALL)]


def uniform_float64(word):
    """Step 6."""
    m = 2**63 - 1 - rest_of(word, 64)
    return with_side((float(m) + 0.5) * 0.5**63, word, 64)


def rounded(x, dtype, how=round):
    """Round x to the dtype: to nearest (ties to even) with `round`, else with `math.floor` or `math.ceil`."""
    precision, least_exponent = FORMATS[dtype]
    fraction, exponent = math.frexp(x)
    kept = min(precision, exponent - least_exponent)
    return math.copysign(math.ldexp(how(math.ldexp(fraction, kept)), exponent - kept), x)


def bounds(distribution, a, b, dtype):
    """Step 10: the least and the greatest value, both included."""
    if distribution == "normal":
        return -math.inf, math.inf
    first, last = (a, b) if distribution == "uniform" else (a - 2 * b, a + 2 * b)
    if first == last:
        return rounded(first, dtype), rounded(first, dtype)
    if distribution == "uniform":
        last = math.nextafter(rounded(last, dtype), -math.inf)
    least, greatest = rounded(first, dtype, math.ceil), rounded(last, dtype, math.floor)
    if least > greatest:
        raise ValueError(f"no {dtype} number is within the bounds")
    return least, greatest


def scaled(distribution, a, b, dtype, high, low):
    """Step 9: the value before its bounds, a float64 for float64, else a float32."""
    word = 2**32 * high + low
    if distribution == "uniform":
        center, scale = a / 2 + b / 2, b / 2 - a / 2
        if dtype == "float64":
            return center + scale * uniform_float64(word)
        return np.float32(center + scale * ((high - 2**31 + 0.5) * 0.5**31))
    if dtype == "float64":
        return a + b * (normal_float64(word) if distribution == "normal" else from_table("TRUNCATED_F64", word))
    x = normal_float32(high, low) if distribution == "normal" else from_table("TRUNCATED_F32", high)
    return np.float32(a) + np.float32(b) * x


def nearest(n, e, bits, least):
    """Round n 2^e to at most `bits` bits, ties to even. Return an integer and an exponent."""
    drop = max(0, n.bit_length() - bits, least - e)
    q, r = n >> drop, n % 2**drop
    return q + (2 * r > 2**drop or (2 * r == 2**drop and q % 2)), e + drop


def binary(x):
    """Return a float64 as an integer of at most 53 bits and an exponent."""
    fraction, exponent = math.frexp(x)
    return int(fraction * 2**53), exponent - 53


def uniform_in_integers(a, b, high):
    """Return the float32 uniform before clamping, as (n, e) for n 2^e, without floating point operations on values."""
    (big_d, d), (big_c, c) = binary(a / 2 + b / 2), binary(b / 2 - a / 2)
    s = 2 * high + 1 - 2**32
    p, e = nearest(abs(s) * big_c, c - 32, 53, -1074)
    f = min(d, e)
    n = big_d * 2 ** (d - f) + (p if s > 0 else -p) * 2 ** (e - f)
    q, f = nearest(*nearest(abs(n), f, 53, -1074), 24, -149)
    return (q if n > 0 else -q), f


def value(distribution, a, b, dtype, high, low):
    """Return an exact float from the uniform on [a, b) or of a normal with mean a and standard deviation b."""
    a, b = a + 0.0, b + 0.0  # -0.0 is 0.0
    least, greatest = bounds(distribution, a, b, dtype)
    x = float(scaled(distribution, a, b, dtype, high, low))
    return rounded(least if x < least else greatest if x > greatest else x, dtype)


@cache
def numbers(name):
    """Step 12: the numbers of a table."""
    body = re.search(rf"(?:static|const) {name}: [^=]*= (.*?);\n", TABLES_RS.read_text(), re.DOTALL)[1]
    return tuple(float(number) for number in re.findall(r"-?\d[\d.]*(?:e-?\d+)?", body))


def odd(name, x):
    square, total = x * x, 0.0
    for coefficient in reversed(numbers(name)):
        total = total * square + coefficient
    return total * x


def clamped(x, low, high):
    return min(max(x, low), high)


def minus_log(t, q):
    """Return -log(t), where q = 1 - t."""
    fraction, exponent = math.frexp(clamped(t, 2.0**-1022, 1 - 2.0**-53))
    n = clamped(q, 0.0, 0.5) if exponent == 0 else 1 - fraction
    high, low = numbers("LN2")
    return -exponent * high + (-exponent * low + odd("ATANH", n / (2 - n)))


CENTRAL, TAIL = 0.375, 1.25 / 256


def inner(within, outside):
    """Return x with P(|X| < x) = within, if that is less than CENTRAL, else with P(|X| > x) = outside."""
    rows = table("NORMAL_F64")
    central = within < CENTRAL
    argument = within if central else -clamped(outside, 0.0, math.nextafter(1 - CENTRAL, 0))
    row = rows.row(np.float64((1 - within if central else -argument) * 2**63))
    end = (rows.origins[row] % 2**64 + 1) / 2**64
    return rows.value(row, argument - (1 - end if end > 0.75 else -end))


def outer(depth):
    """Return x with P(|X| > x) = exp(-depth)."""
    offset, *rest = numbers("NORMAL_BY_DEPTH")
    tops, *coefficients = [rest[i : i + 16] for i in range(0, len(rest), 16)]
    s = math.sqrt(depth)
    row = (bits_of(np.float64(s + offset)) >> 50) % 16
    return max(polynomial([c[row] for c in coefficients], tops[row] - s), *numbers("INNER_END"))


def last_at_most(function, low, high, y):
    """Return the last number of [low, high) at which an increasing function is at most y, or low if there is none."""
    number = struct.Struct("<d"), struct.Struct("<Q")
    low, high = (number[1].unpack(number[0].pack(end))[0] for end in (low, high))
    while high - low > 1:
        middle = (low + high) // 2
        below = function(number[0].unpack(number[1].pack(middle))[0]) <= y
        low, high = (middle, high) if below else (low, middle)
    return number[0].unpack(number[1].pack(low))[0]


def exp_minus(depth):
    def log(t):
        return -minus_log(t, 1 - t)

    return 0.0 if -depth < log(2.0**-1022) else last_at_most(log, 2.0**-1022, 1.0, -depth)


def masses(x):
    """P(|X| < x), P(|X| > x) and -log of that, 0 <= x."""
    if x <= inner(math.nextafter(CENTRAL, 0), 1.0):
        within = last_at_most(lambda within: inner(within, 1.0), 0.0, CENTRAL, x)
        return within, 1 - within, minus_log(1 - within, within)
    if x <= numbers("INNER_END")[0]:
        outside = last_at_most(lambda outside: -inner(1.0, outside), TAIL, 1 - CENTRAL, -x)
        return 1 - outside, outside, minus_log(outside, 1 - outside)
    if x > outer(752.25):
        return 1.0, 0.0, math.inf
    depth = last_at_most(outer, 5.3218, 752.25, x)
    return 1 - exp_minus(depth), exp_minus(depth), depth


@cache
def between(lower, upper):
    """Step 12: below, above, span, scale, depth, shift, slope."""
    low, high = masses(abs(lower)), masses(abs(upper))
    if lower < 0 < upper:
        return low[1], high[1], low[0] + high[0], 1.0, 0.0, high[0] / 2 - low[0] / 2, high[0] / 2 + low[0] / 2
    nearer, farther = (low, high) if lower >= 0 else (high, low)
    ratio = exp_minus(farther[2] - nearer[2])
    return ratio, ratio, 1 - ratio, nearer[1], nearer[2], nearer[0], farther[0] - nearer[0]


def unit(word):
    """Return u, rounded once."""
    return (2 * word + 1) / 2**65


def with_outer_low_word(high, low):
    """Append the low word if the high word is among the outermost 2^16 at either end, else the middle."""
    return 2**32 * high + (low if rest_of(high, 32) < 2**16 else 2**31)


def between_value(lower, upper, word):
    """Step 12."""
    below, above, span, scale, depth, shift, slope = between(lower, upper)
    e = (float(rest_of(word, 64)) + 0.5) * 2.0**-64
    u, rest = (e, 1 - e) if word < 2**63 else (1 - e, e)
    if lower < 0 < upper:
        signed = uniform_float64(word) * slope + shift
        negative, within = signed < 0, abs(signed)
    else:
        negative = upper <= 0
        within = (rest if negative else u) * slope + shift
    inwards, outside = (rest, below + u * span) if negative else (u, above + rest * span)
    if scale < TAIL or outside * scale < TAIL:
        x = outer(depth + minus_log(outside, inwards * span))
    else:
        x = inner(within, outside * scale)
    return -x if negative else x


def normal_between(mean, stddev, lower, upper, dtype, high, low):
    """Return a value of the normal between bounds in standard deviations, as an exact float."""
    if (lower, upper) == (-2.0, 2.0):
        return value("truncated_normal", mean, stddev, dtype, high, low)
    if (lower, upper) == (-math.inf, math.inf):
        return value("normal", mean, stddev, dtype, high, low)
    word = 2**32 * high + low if dtype == "float64" else with_outer_low_word(high, low)
    x = mean + stddev * between_value(lower, upper, word)
    x = x if dtype == "float64" else float(np.float32(x))
    least, greatest = (end if math.isinf(end) else mean + end * stddev for end in (lower, upper))
    if least == greatest:
        return rounded(least, dtype)
    least = least if math.isinf(least) else rounded(least, dtype, math.ceil)
    greatest = greatest if math.isinf(greatest) else rounded(greatest, dtype, math.floor)
    return rounded(clamped(x, least, greatest), dtype)


LN2, LOG2_E = 0.6931471805599453, 1.4426950408889634
SMALLEST, LARGEST = 2.0**-1022, (2 - 2.0**-52) * 2.0**1023


def log(x):
    """Step 14."""
    m, k = math.frexp(clamped(x, SMALLEST, LARGEST))
    if m < math.sqrt(0.5):
        m, k = 2 * m, k - 1
    high, low = numbers("LN2")
    y = k * high + (k * low + odd("ATANH", (m - 1) / (m + 1)))
    return clamped(y, (k - 0.5) * LN2, (k + 0.5) * LN2)


def mean_exponential(r):
    total = 1 / math.factorial(16)
    for k in range(15, 0, -1):
        total = total * r + 1 / math.factorial(k)
    return total


def exp(x):
    k = clamped(round(x * LOG2_E - 0.5), -1022, 1023)
    high, low = numbers("LN2")
    r = clamped((x - k * high) - k * low, 0.0, 1.0)
    return math.ldexp(clamped(mean_exponential(r) * r + 1, 1.0, 2 - 2.0**-52), k)


def exp_minus_1(x):
    if x < LN2:
        return clamped(mean_exponential(x) * x, 0.0, 1.0)
    return max(exp(x) - 1, 1.0)


def curve(distribution, minval, maxval, floor, u):
    """The float64 value at u."""
    if distribution == "log_of_uniform":
        return log(minval + u * (maxval - minval))
    start = log(minval)
    t = clamped(exp(start + u * (log(maxval) - start)), max(minval, floor), max(maxval, floor))
    return t if distribution == "log_uniform" else log(exp_minus_1(t))


def curve_value(distribution, minval, maxval, floor, dtype, high, low):
    """Return a value of a function of a uniform number, as an exact float."""
    word = 2**32 * high + low if dtype == "float64" else with_outer_low_word(high, low)
    x = curve(distribution, minval, maxval, floor, unit(word))
    if distribution != "log_uniform":
        return rounded(x if dtype == "float64" else float(np.float32(x)), dtype)
    ends = rounded(minval, dtype, math.ceil), rounded(maxval, dtype, math.floor)
    return rounded(clamped(x if dtype == "float64" else float(np.float32(x)), *ends), dtype)


def polar_value(distribution, scale, dtype, first, second):
    """Step 13: the parts of a complex number, from the high and low words of its two elements."""
    whole = dtype == "float64"
    words = [2**32 * high + low if whole else with_outer_low_word(high, low) for high, low in (first, second)]
    u = unit(words[0])
    if distribution == "complex_truncated_normal":
        q = u * numbers("WITHIN_2")[0]
        end, square = 2 * scale, minus_log(1 - q, q)
    else:
        end, square = scale, u
    r = min(math.sqrt(square) * scale, end * (1 - (2.0**-50 if whole else 2.0**-23)))
    quadrant = words[1] >> 62
    g = 4 * unit(words[1]) - quadrant
    cosine, sine = odd("SINE", 1 - g), odd("SINE", g)
    for _ in range(quadrant):
        cosine, sine = -sine, cosine
    return tuple(rounded(r * part, dtype) for part in (cosine, sine))


def fans(shape, input_axes=None, output_axes=None, batch_axes=None, groups=1, layout="keras"):
    if input_axes is None:
        if batch_axes is None and len(shape) < 2:
            return math.prod(shape), math.prod(shape) // groups
        input_axes, output_axes = ((-2,), (-1,)) if layout == "keras" else ((1,), (0,))
        batch_axes = batch_axes or ()
    fan_in = math.prod(shape[axis] for axis in input_axes)
    fan_out = math.prod(shape[axis] for axis in output_axes) // groups
    field = 1
    if batch_axes is not None:
        named = {axis % len(shape) for axis in (*input_axes, *output_axes, *batch_axes)}
        field = math.prod(length for axis, length in enumerate(shape) if axis not in named)
    return field * fan_in, field * fan_out


NAMED = {
    "GlorotNormal": (1.0, "fan_avg", "truncated_normal"),
    "GlorotUniform": (1.0, "fan_avg", "uniform"),
    "HeNormal": (2.0, "fan_in", "truncated_normal"),
    "HeUniform": (2.0, "fan_in", "uniform"),
    "LecunNormal": (1.0, "fan_in", "truncated_normal"),
    "LecunUniform": (1.0, "fan_in", "uniform"),
}
"""Scale, mode and distribution of each named initializer."""


def variance_scaling(shape, scale, mode, distribution, input_axes=None, output_axes=None, **more):
    """Return the sampled distribution and its two parameters."""
    fan_in, fan_out = fans(shape, input_axes, output_axes, **more)
    fan = {
        "fan_in": fan_in,
        "fan_out": fan_out,
        "fan_avg": (fan_in + fan_out) / 2,
        "fan_geo_avg": math.sqrt(fan_in * fan_out),
    }[mode]
    variance = scale / max(1.0, fan)
    if distribution == "uniform":
        limit = math.sqrt(3.0 * variance)
        return "uniform", -limit, limit
    if distribution == "untruncated_normal":
        return "normal", 0.0, math.sqrt(variance)
    return "truncated_normal", 0.0, math.sqrt(variance) / 0.87962566103423978


def zeroed_rows(key, stream, shape, column, sparsity):
    """Return the rows that are zero in a column of a sparse matrix."""
    key = child_key(key, "seedbed.sparse")
    ranks = []
    for row in range(shape[0]):
        high, low = element_words(key, stream, element_index((row, column), shape))
        ranks.append((value("uniform", -1.0, 1.0, "float64", high, low), row))
    return {row for _, row in sorted(ranks)[: math.ceil(sparsity * shape[0])]}


def cosine(numerator, denominator):
    """Return the float64 nearest to the cosine of a fraction of a turn."""
    with mpmath.workprec(300):
        exact = mpmath.cos(2 * mpmath.pi * mpmath.mpf(numerator % denominator) / denominator)
        return 0.0 if abs(exact) < mpmath.mpf(2) ** -250 else float(exact)


def stft(side, window, scaling, periodic, t, f, shape):
    """The float64 value."""
    times, length = shape[0], 2 * (shape[2] - 1)
    phase = t * f % length
    wave = cosine(phase, length) if side == "real" else cosine(4 * phase + length, 4 * length)
    if window is None:
        return wave
    if isinstance(window, str):
        a, b = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46)}[window]
        period = times if periodic else times - 1
        window = [1.0 if times == 1 else a - b * cosine(k, period) for k in range(times)]
    scale = {
        "density": lambda: math.sqrt(math.fsum(w * w for w in window)),
        "spectrum": lambda: math.fsum(abs(w) for w in window),
        None: lambda: 1.0,
    }[scaling]()
    return wave * (window[t] / scale)


def norm(elements):
    """The norm of numbers in C order, summed by halves."""
    t = [float(element) * float(element) for element in elements]
    n = len(t)
    while n > 1:
        h = n // 2
        for i in range(h):
            t[i] += t[h + i]
        if n % 2:
            t[0] += t[n - 1]
        n = h
    return math.sqrt(t[0]) if t else 0.0


def fma(a, b, c):
    """Return a b + c of arrays, rounded once."""
    if np.result_type(a, b, c) == np.float64:
        exact = np.frompyfunc(lambda a, b, c: float(Fraction(a) * Fraction(b) + Fraction(c)), 3, 1)
        return np.asarray(exact(a, b, c), float)
    # The product of two float32 is a float64. Round the sum to odd: its last bit records whether it was exact.
    product, c = np.multiply(a, b, dtype=float), np.asarray(c, float)
    total = product + c
    of_c = total - product
    lost = (product - (total - of_c)) + (c - of_c)
    even = total.view(np.uint64) % 2 == 0
    towards = np.where(lost > 0, np.inf, -np.inf)
    return np.where((lost != 0) & even, np.nextafter(total, towards), total).astype(np.float32)


def products(left, right):
    """The matrix product: chains of 32 terms, added in pairs."""
    sums = []
    for first in range(0, left.shape[1], 32):
        chain = np.zeros((left.shape[0], right.shape[1]), np.result_type(left, right))
        for column, row in zip(left.T[first : first + 32], right[first : first + 32], strict=True):
            chain = fma(column[:, None], row[None, :], chain)
        sums.append(chain)
    while len(sums) > 1:
        sums = [sum(sums[i + 1 : i + 2], start=sums[i]) for i in range(0, len(sums), 2)]
    return sums[0] if sums else np.zeros((left.shape[0], right.shape[1]))


def reflection(x, rest, real):
    """Return the scale and tau of a column with first element x. The squares of the others have the sum `rest`."""
    alpha = math.sqrt(fma(x, x, rest))
    tau = real(1 + abs(x) / alpha)
    scale = math.sqrt((2 / float(tau) - 1) / rest) if tau <= 1.5 else 1 / (abs(x) + alpha)
    return scale if x > 0 else -scale, tau


def orthogonal(normals, gain, panel=32):
    """Return the matrix of a tensor of normals that is no wider than tall."""
    real = normals.dtype.type
    rows, columns = normals.shape
    below = np.tril(normals.astype(float), -1)
    u, tau = np.eye(rows, columns, dtype=real), np.zeros(columns, real)
    for j in range(columns):
        (rest,) = products(below[None, :, j], below[:, j : j + 1])[0]
        scale, tau[j] = reflection(float(normals[j, j]), rest, real)
        u[j + 1 :, j] = below[j + 1 :, j] * scale
    q = np.eye(rows, columns, dtype=real)
    for first in reversed(range(0, columns, panel)):
        v, minus_tau = u[:, first : first + panel], -tau[first : first + panel]
        s, z = products(v.T, v), products(v.T, q)
        for k in reversed(range(len(z))):
            z[k] *= minus_tau[k]
            z[:k] = fma(s[:k, k : k + 1], z[k : k + 1], z[:k])
        q += products(v, z)
    return q * np.where(np.diagonal(normals) > 0, -real(gain), real(gain))

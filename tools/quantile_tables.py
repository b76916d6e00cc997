"""Make src/quantile/tables.rs: the coefficients of the quantile functions.

    python tools/quantile_tables.py > src/quantile/tables.rs        (about a minute; needs mpmath and numpy)

The half of a symmetric distribution beyond its centre is a function x(a), 0 < a < 1, of the distance a of u from 1/2 in
units of 1/2: the normal has x(a) = sqrt(2) erfinv(a), the normal truncated at two standard deviations
x(a) = sqrt(2) erfinv(erf(sqrt(2)) a). Every derivative of both is positive on (0, 1). They are cut into *rows* that
grow shorter towards the singularity beyond a = 1, as the exponent and the first mantissa bits of y = (1 - a) + offset
change; in each row x = t + f (c1 + f (c2 + ...)), where f is the distance from the row's origin. All coefficients are
kept nonnegative, so that each step of Horner's rule is nondecreasing in f *in rounded arithmetic too*: the computed
quantile is monotone by construction, and that it stays so from row to row is checked, and mended by an ulp, at the end.

The polynomials interpolate x at the zeros of a Chebyshev polynomial stretched so that its first zero is the origin
(near-minimax). Origins of float32 rows are moved by a few hundred words to where t is nearly a float32.

What is left is for the normal between any bounds, and for complex values: polynomials over one interval each, and the
tail of the normal by rows of y = sqrt(-log p) + offset, p being the probability of what lies beyond. All interpolate at
the zeros of a Chebyshev polynomial.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypeVar

import mpmath as mp
import numpy as np

mp.mp.dps = 60
TRUNCATED = mp.erf(mp.sqrt(2))  # P(|x| <= 2) of a standard normal
ORIGIN_CANDIDATES = 256

Real = TypeVar("Real", float, np.floating)


@dataclass(frozen=True)
class Table:
    name: str
    of: str
    mass: mp.mpf  # P of the part of the normal distribution that is kept: 1, or TRUNCATED
    real: type  # numpy type of the arithmetic
    bits: int  # a is (m + 1/2) / 2**bits, m an integer of that many bits
    offset: float  # y = real(2**bits - 1 - m) + offset
    mantissa_bits: int  # of y that choose the row, below its exponent
    rows: int
    degree: int

    def exact(self, a: mp.mpf) -> mp.mpf:
        return mp.sqrt(2) * mp.erfinv(self.mass * a)

    def row(self, rest: int) -> int:
        """The row, before wrapping, of the words whose distance from the end of the distribution is `rest`."""
        y = self.real(rest) + self.real(self.offset)
        word = y.view(np.uint32 if self.real is np.float32 else np.uint64)
        return int(word) >> (np.finfo(self.real).nmant - self.mantissa_bits)

    def value(self, row: Row, rest: int) -> np.floating:
        real = self.real
        return polynomial(row.coefficients, real(2 * (row.origin - rest) + 1) * real(0.5 ** (self.bits + 1)))


@dataclass
class Row:
    origin: int  # `rest` at f = 0
    first: int  # the largest and the smallest `rest` that use the row
    last: int
    coefficients: list[np.floating]


TABLES = (
    Table("NORMAL_F32", "the standard normal, 1 - a >= 2^-8", mp.mpf(1), np.float32, 31, -128.0, 1, 16, 6),
    Table("TRUNCATED_F32", "the normal truncated at 2 sigma", TRUNCATED, np.float32, 31, 1.25 * 2**27, 2, 16, 5),
    Table("NORMAL_F64", "the standard normal", mp.mpf(1), np.float64, 63, 1.0, 2, 256, 10),
    Table("TRUNCATED_F64", "the normal truncated at 2 sigma", TRUNCATED, np.float64, 63, 1.25 * 2**59, 2, 16, 10),
)


def polynomial(coefficients: list[Real], x: Real) -> Real:
    """By Horner's rule, in the order and the arithmetic of the engine."""
    total = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def chebyshev(start: mp.mpf, end: mp.mpf, n: int) -> list[mp.mpf]:
    """The zeros of the n-th polynomial, on that interval."""
    return [(start + end) / 2 - (end - start) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]


def nodes(n: int, at_centre: bool, words: int) -> list[mp.mpf]:
    """Where in (0, 1) to interpolate (x - t) / f: at the centre for a small relative error of that, elsewhere of x."""
    if words <= n:  # a row of few words: at those
        return [(i + mp.mpf(1) / 2) / (words - mp.mpf(1) / 2) for i in range(words)]
    if at_centre:
        return chebyshev(mp.mpf(0), mp.mpf(1), n)
    zeros = chebyshev(mp.mpf(-1), mp.mpf(1), n + 1)
    return [(z - zeros[0]) / (1 - zeros[0]) for z in zeros[1:]]


def fit(
    function: Callable[[mp.mpf], mp.mpf], width: mp.mpf, degree: int, words: int, at_centre: bool = False
) -> list[mp.mpf]:
    """Nonnegative c1, c2, ... with function(f) near function(0) + c1 f + c2 f^2 + ..., 0 <= f <= width."""
    t = function(mp.mpf(0))
    powers = list(range(min(degree, words)))
    while True:
        where = nodes(len(powers), at_centre, words)
        slopes = mp.matrix([(function(width * s) - t) / (width * s) for s in where])
        found = mp.lu_solve(mp.matrix([[s**p for p in powers] for s in where]), slopes)
        negative = [p for p, c in zip(powers, found, strict=True) if c < 0]
        if not negative:
            coefficients = dict(zip(powers, found, strict=True))
            return [coefficients.get(p, mp.mpf(0)) / width**p for p in range(degree)]
        # At the centre the function is odd: its even powers go first. Elsewhere the highest one is the least missed.
        powers.remove(negative[0] if at_centre else negative[-1])


def limits(table: Table) -> list[tuple[int, int]]:
    """The rows from the centre outwards, as (largest, smallest) `rest`: found by bisection of the rounded index."""
    end, found = 2**table.bits - 1, []
    least = 0 if table.name != "NORMAL_F32" else 2**23 + 128
    while end >= least:
        low, high = least - 1, end  # the row of `low` is another (or there is none), that of `high` is the row of `end`
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if table.row(middle) == table.row(end) else (middle, high)
        found.append((end, high))
        end = high - 1
    return found


def origin(table: Table, first: int) -> int:
    if table.real is np.float64 or first == 2**table.bits - 1:
        return first
    scale = mp.mpf(2) ** table.bits

    def distance(rest: int) -> mp.mpf:
        t = table.exact(1 - (rest + 1) / scale)
        return abs(t / mp.mpf(float(np.float32(float(t)))) - 1)

    last = min(first + ORIGIN_CANDIDATES, 2**table.bits - 1)
    return min(range(first, last), key=distance)


def _shifted(table: Table, a0: mp.mpf, f: mp.mpf) -> mp.mpf:
    return table.exact(a0 + f)


def make(table: Table) -> list[Row]:
    scale = mp.mpf(2) ** table.bits
    rows: list[Row] = []
    for first, last in limits(table):
        start = origin(table, first)
        a0 = 1 - (start + 1) / scale
        width = (start - last + mp.mpf(1) / 2) / scale
        from_origin = partial(_shifted, table, a0)
        fitted = fit(from_origin, width, table.degree, start - last + 1, at_centre=a0 == 0)
        exact = [table.exact(a0), *fitted]
        rows.append(Row(start, first, last, [to_real(table, c) for c in exact]))
    mend(table, rows)
    return rows


def to_real(table: Table, c: mp.mpf) -> np.floating:
    real: np.floating = table.real(mp.nstr(c, 25, strip_zeros=False))
    return real


def mend(table: Table, rows: list[Row]) -> None:
    """Lower a row's slope until its last value is no greater than the next row's first."""
    bounds = [table.value(row, row.first) for row in rows[1:]]
    bounds.append(table.real(2) if table.mass != 1 else table.real(np.inf))
    for row, bound in zip(rows, bounds, strict=True):
        while table.value(row, row.last) > bound:
            print(f"{table.name}: mended the row at {row.first}", file=sys.stderr)
            row.coefficients[1] = np.nextafter(row.coefficients[1], table.real(0))


SAMPLE = 24
"""Words of each row whose error is looked at; between them it may be larger: docs/streams.md has what more showed."""


def largest_error(table: Table, rows: list[Row]) -> float:
    """The largest relative error of some computed values, in units of the type's epsilon."""
    worst = 0.0
    for row in rows:
        for i in range(SAMPLE):
            rest = row.last + (row.first - row.last) * i // SAMPLE
            exact = table.exact(1 - (rest + mp.mpf(1) / 2) / mp.mpf(2) ** table.bits)
            worst = max(worst, float(abs(mp.mpf(float(table.value(row, rest))) / exact - 1)))
    return worst / float(np.finfo(table.real).eps)


def literal(x: np.floating) -> str:
    text = repr(float(x)) if isinstance(x, np.float64) else np.format_float_scientific(x, unique=True)
    mantissa, _, exponent = text.partition("e")
    mantissa = mantissa + "0" if mantissa.endswith(".") else mantissa
    return mantissa + (f"e{int(exponent)}" if exponent else "")


def signed(x: int, bits: int) -> int:
    """The two's complement of that many bits that has the same remainder."""
    half = 1 << (bits - 1)
    return (x + half) % (2 * half) - half


def rust(table: Table, rows: list[Row]) -> str:
    real, integer = ("f32", "i32") if table.real is np.float32 else ("f64", "i64")
    unused = Row(0, 0, 0, [table.real(0)] * (table.degree + 1))
    placed = [unused] * table.rows
    for row in rows:
        index = table.row(row.first) % table.rows
        assert placed[index] is unused, f"{table.name}: two rows at {index}"
        placed[index] = row
    shift = np.finfo(table.real).nmant - table.mantissa_bits
    shape = f"{shift}, {table.rows}, {table.degree + 1}"
    error = largest_error(table, rows)
    lines = [
        f"/// Half of {table.of}: relative error {error:.2f} epsilon at the worst of {SAMPLE} words a row.",
        f"pub static {table.name}: Table<{real}, {integer}, {shape}> = Table {{",
        f"    offset: {literal(table.real(table.offset))},",
        "    origin: [",
        *(f"        {signed(2 * row.origin + 1, table.bits + 1)}," for row in placed),
        "    ],",
        "    coefficients: [",
    ]
    for k in range(table.degree + 1):
        lines += ["        [", *(f"            {literal(row.coefficients[k])}," for row in placed), "        ],"]
    return "\n".join([*lines, "    ],", "};", ""])


TAIL_F32_FIRST = 127 - 33 << 1
"""Exponent and first mantissa bit of the least y of a float32 tail, 2^-33."""
TAIL_F32_ROWS = (127 + 23 << 1) - TAIL_F32_FIRST + 1
TAIL_F32_DEGREE = 5
TAIL_F32_BITS = 22
"""Mantissa bits below those that choose the row."""


def tail_f32_quantile(y: mp.mpf) -> mp.mpf:
    """The x with P(X > x) = y 2^-32, by Newton's method for the logarithm."""
    return tail(mp.sqrt(-mp.log(y / mp.mpf(2) ** 32)))


def tail_f32_value(row: list[np.float32], remainder: int) -> np.float32:
    """The value of the y whose last `TAIL_F32_BITS` bits are `remainder`."""
    return polynomial(row, np.float32(2**TAIL_F32_BITS - remainder) * np.float32(0.5**TAIL_F32_BITS))


def tail_f32_exact(index: int, f: mp.mpf) -> mp.mpf:
    """The exact value at the distance `f`, of the length of row `index`, from the inner end of that row."""
    exponent, half = divmod(TAIL_F32_FIRST + index, 2)
    return tail_f32_quantile(mp.mpf(2) ** (exponent - 127) * (1 + (half + 1 - f) / mp.mpf(2)))


def tail_f32_rust(bulk: list[Row]) -> str:
    """Rows of the float32 normal beyond its table, from the end of the distribution inwards."""
    size = 2**TAIL_F32_BITS
    rows: list[list[np.float32]] = []
    for index in range(TAIL_F32_ROWS):
        exact = partial(tail_f32_exact, index)
        coefficients = [exact(mp.mpf(0)), *fit(exact, mp.mpf(1), TAIL_F32_DEGREE, size)]
        rows.append([np.float32(mp.nstr(c, 25, strip_zeros=False)) for c in coefficients])
    for outer, row in pairwise(rows):  # as in `mend`
        while tail_f32_value(row, 0) > tail_f32_value(outer, size - 1):
            row[1] = np.nextafter(row[1], np.float32(0))
    table, last = TABLES[0], next(row for row in bulk if row.last == 2**23 + 128)
    assert table.value(last, last.last) <= tail_f32_value(rows[-1], 64), "the table and its tail meet"
    worst = 0.0
    for index, row in enumerate(rows):
        for remainder in range(0, size, size // SAMPLE):
            exact = tail_f32_exact(index, mp.mpf(size - remainder) / size)
            worst = max(worst, float(abs(mp.mpf(float(tail_f32_value(row, remainder))) / exact - 1)))
    lines = [
        f"/// The standard normal beyond `NORMAL_F32`: relative error {worst / 2**-23:.2f} epsilon at the worst of",
        f"/// {SAMPLE} numbers a row.",
        f"pub static NORMAL_TAIL_F32: [[f32; {TAIL_F32_DEGREE + 1}]; {TAIL_F32_ROWS}] = [",
        *("    [" + ", ".join(literal(c) for c in row) + "]," for row in rows),
        "];",
    ]
    return "\n".join([*lines, ""])


@dataclass(frozen=True)
class Series:
    """x P(x^2), which is an odd function of x, for 0 <= x <= end. Coefficients of one sign where `rising`."""

    name: str
    says: str
    function: Callable[[mp.mpf], mp.mpf]
    end: mp.mpf
    terms: int
    rising: bool

    def coefficients(self) -> list[float]:
        powers = list(range(self.terms))
        while True:
            squares = chebyshev(mp.mpf(0), self.end**2, len(powers))
            slopes = mp.matrix([self.function(mp.sqrt(z)) / mp.sqrt(z) for z in squares])
            matrix = mp.matrix([[(z / self.end**2) ** p for p in powers] for z in squares])
            found = dict(zip(powers, mp.lu_solve(matrix, slopes), strict=True))
            negative = [p for p, c in found.items() if c < 0]
            if not (self.rising and negative):
                return [float(found.get(p, mp.mpf(0)) / self.end ** (2 * p)) for p in range(self.terms)]
            powers.remove(negative[-1])  # as for the rows: the highest one is the least missed

    def value(self, coefficients: list[float], x: float) -> float:
        return polynomial(coefficients, x * x) * x

    def rust(self, coefficients: list[float]) -> str:
        xs = [float(self.end) * (i + 1) / 1000 for i in range(1000)]
        error = max(float(abs(self.value(coefficients, x) / self.function(mp.mpf(x)) - 1)) for x in xs)
        lines = [
            f"/// {self.says}: relative error {error / 2**-52:.2f} epsilon at the worst of 1000 numbers.",
            f"pub static {self.name}: [f64; {self.terms}] = [",
            *(f"    {literal(np.float64(c))}," for c in coefficients),
            "];",
        ]
        return "\n".join([*lines, ""])


SERIES = (
    Series(
        "CENTER",
        "x by v = P(0 <= X <= x) of the standard normal, 0 <= v <= 1/4: x / v in powers of v^2",
        lambda v: mp.sqrt(2) * mp.erfinv(2 * v),
        mp.mpf(1) / 4,
        15,
        True,
    ),
    Series(
        "ATANH",
        "2 atanh(s), 0 <= s <= 1/3: 2 atanh(s) / s in powers of s^2",
        lambda s: 2 * mp.atanh(s),
        mp.mpf(1) / 3,
        11,
        True,
    ),
    Series(
        "SINE",
        "sin(pi g / 2), 0 <= g <= 1: sin(pi g / 2) / g in powers of g^2",
        lambda g: mp.sin(mp.pi / 2 * g),
        mp.mpf(1),
        10,
        False,
    ),
)

LN2_HIGH = float(mp.floor(mp.log(2) * 2**42) / 2**42)  # its products with integers below 2^11 are exact
LN2_LOW = float(mp.log(2) - LN2_HIGH)

TAIL_OFFSET = 0.5727  # so that the first of the rows, at y = 1.75, begins just before sqrt(log 4)
TAIL_TOPS = (2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28)
TAIL_SHIFT = 50
TAIL_COEFFICIENTS = 13


def tail(s: mp.mpf) -> mp.mpf:
    """The x beyond which a standard normal is with probability exp(-s^2), by Newton's method for the logarithm."""
    x = mp.sqrt(2) * s
    while True:
        beyond = mp.erfc(x / mp.sqrt(2)) / 2
        step = (mp.log(beyond) + s * s) * beyond / mp.npdf(x)
        x += step
        if abs(step) < mp.mpf(10) ** -40:
            return x


def tail_row(top: float, first: float) -> list[float]:
    """Coefficients of x in powers of f = top - s; both ends of the row are on the scale of s."""
    where = chebyshev(mp.mpf(0), mp.mpf(top) - mp.mpf(first), TAIL_COEFFICIENTS)
    matrix = mp.matrix([[f**p for p in range(TAIL_COEFFICIENTS)] for f in where])
    return [float(c) for c in mp.lu_solve(matrix, mp.matrix([tail(mp.mpf(top) - f) for f in where]))]


def tail_rust() -> str:
    tops = [top - TAIL_OFFSET for top in TAIL_TOPS]
    firsts = [1.75 - TAIL_OFFSET, *tops[:-1]]
    rows = [tail_row(top, first) for top, first in zip(tops, firsts, strict=True)]
    for i, end in enumerate(TAIL_TOPS[:-1]):
        around = tops[i] + np.arange(-4, 5) * np.spacing(tops[i])
        here = [(float(s), i + int(s + TAIL_OFFSET >= end)) for s in around]
        while any(np.diff([polynomial(rows[row], tops[row] - s) for s, row in here]) < 0):
            print(f"NORMAL_TAIL: mended the row that ends at {end}", file=sys.stderr)
            rows[i][0] = float(np.nextafter(rows[i][0], 0))
    worst = 0.0
    for row, top, first in zip(rows, tops, firsts, strict=True):
        for s in np.linspace(first, top, 50):
            worst = max(worst, float(abs(polynomial(row, top - float(s)) / tail(mp.mpf(float(s))) - 1)))
    words = [int(np.float64((top - 0.25) if top > 4 else (top - 0.125)).view(np.uint64)) for top in TAIL_TOPS]
    placed = sorted(range(16), key=lambda i: (words[i] >> TAIL_SHIFT) % 16)
    lines = [
        "/// The x beyond which a standard normal is with probability exp(-s^2), by rows of s + offset, in powers of",
        f"/// top - s: relative error {worst / 2**-52:.2f} epsilon at the worst of 50 numbers a row.",
        f"pub static NORMAL_TAIL: Tail<{TAIL_SHIFT}, {TAIL_COEFFICIENTS}> = Tail {{",
        f"    offset: {literal(np.float64(TAIL_OFFSET))},",
        "    top: [",
        *(f"        {literal(np.float64(tops[i]))}," for i in placed),
        "    ],",
        "    coefficients: [",
    ]
    for k in range(TAIL_COEFFICIENTS):
        lines += ["        [", *(f"            {literal(np.float64(rows[i][k]))}," for i in placed), "        ],"]
    return "\n".join([*lines, "    ],", "};", ""])


def series_rust() -> str:
    text = []
    for series in SERIES:
        coefficients = series.coefficients()
        if series.name == "ATANH":  # at its end it is log 2, which the next binary order must not fall below
            while series.value(coefficients, 0.5 / 1.5) > LN2_HIGH + LN2_LOW - 2**-53:
                coefficients[1] = float(np.nextafter(coefficients[1], 0))
        text.append(series.rust(coefficients))
    text.append(
        "/// log 2 in two parts; products of the first with integers below 2^11 are exact.\n"
        f"pub const LN2: [f64; 2] = [{literal(np.float64(LN2_HIGH))}, {literal(np.float64(LN2_LOW))}];\n"
    )
    text.append(
        "/// The part of a complex normal of variance 1 that has |z| <= 2: 1 - exp(-4).\n"
        f"pub const WITHIN_2: f64 = {literal(np.float64(float(1 - mp.exp(-4))))};\n"
    )
    text.append(
        "/// The upper quartile of the standard normal.\n"
        f"pub const QUARTILE: f64 = {literal(np.float64(float(mp.sqrt(2) * mp.erfinv(mp.mpf(1) / 2))))};\n"
    )
    return "\n".join(text)


def main() -> None:
    print("//! Coefficients of the quantile functions. Made by `tools/quantile_tables.py`: change that, not this.")
    print("#![cfg_attr(rustfmt, rustfmt::skip)]")
    print('#![allow(clippy::approx_constant, reason = "a coefficient may be near a famous number")]\n')
    print("use super::Table;\nuse super::between::Tail;\n")
    made = [make(table) for table in TABLES]
    print("\n".join(rust(table, rows) for table, rows in zip(TABLES, made, strict=True)))
    print(tail_f32_rust(made[0]))
    print(tail_rust())
    print(series_rust(), end="")


if __name__ == "__main__":
    main()

"""Make src/quantile/tables.rs: the coefficients of the quantile functions.

    python tools/quantile_tables.py > src/quantile/tables.rs        (about a minute; needs mpmath and numpy)

The upper half of a symmetric distribution is a function x(a), 0 < a < 1, where a is the distance of u from 1/2 in units
of 1/2. The normal has x(a) = sqrt(2) erfinv(a). The normal truncated at two standard deviations has
x(a) = sqrt(2) erfinv(erf(sqrt(2)) a). All derivatives of both are positive on (0, 1). They are cut into *rows*, which
become shorter towards the singularity at or above a = 1. The exponent and the first mantissa bits of
y = (1 - a) + offset give the row. In each row x = t + f (c1 + f (c2 + ...)), where f is the distance from the row's
origin. All coefficients are nonnegative, so that each step of Horner's rule is nondecreasing in f *in rounded
arithmetic too*, and the computed quantile is monotone within a row by construction. At the end, `mend` checks that it
is monotone from row to row, and changes a coefficient by an ulp if not.

The float32 polynomials interpolate x at the zeros of a Chebyshev polynomial that is stretched so that its first zero is
the origin (near-minimax). For float64 that is not enough: at high degrees the best polynomial has negative
coefficients. The nonnegative polynomial with the least weighted squares at such zeros is up to a hundred times more
accurate than one without the powers of the negative coefficients. float64 rows also start half a row earlier, so that
their lengths relative to their distances from the singularity differ less. Origins are moved by a few hundred words,
until t is nearly a number of the type.

The other tables are for the normal between any bounds, and for complex values: polynomials over one interval each, and
the tail of the normal by rows of y = sqrt(-log q) + offset, where q is P(|X| > x). All interpolate at the zeros of a
Chebyshev polynomial.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable
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
    mass: mp.mpf  # probability of the normal distribution between the bounds: 1, or TRUNCATED
    real: type  # numpy type of the arithmetic
    bits: int  # a is (m + 1/2) / 2**bits, m an integer of this many bits
    offset: float  # y = real(2**bits - 1 - m) + offset
    mantissa_bits: int  # number of mantissa bits of y that, with its exponent, give the row
    rows: int
    degree: int

    @property
    def in_words(self) -> int:
        """Return the divisor of all origins, so that those of `NORMAL_F64` are float64 numbers."""
        return 2**12 if self.name == "NORMAL_F64" else 1

    @property
    def shift(self) -> int:
        """Return the number of mantissa bits of y below those that give the row."""
        return int(np.finfo(self.real).nmant) - self.mantissa_bits

    @property
    def bias(self) -> int:
        """Return the number that is added to the bits of y, so that float64 rows start half a row earlier."""
        return 1 << (self.shift - 1) if self.real is np.float64 else 0

    @property
    def least(self) -> int:
        """Return the least `rest` that has a row."""
        return {"NORMAL_F32": 2**23 + 128, "NORMAL_F64": 5 * 2**53}.get(self.name, 0)

    def exact(self, a: mp.mpf) -> mp.mpf:
        return mp.sqrt(2) * mp.erfinv(self.mass * a)

    def row(self, rest: int) -> int:
        """Return the row, before wrapping, of the words at the distance `rest` from the end of the distribution."""
        y = self.real(rest) + self.real(self.offset)
        word = y.view(np.uint32 if self.real is np.float32 else np.uint64)
        return (int(word) + self.bias) >> self.shift

    def value(self, row: Row, rest: int) -> np.floating:
        distance = self.real(2 * (row.origin - rest) + 1) * self.real(0.5 ** (self.bits + 1))
        return polynomial(row.coefficients, distance)


@dataclass
class Row:
    origin: int  # `rest` at f = 0
    first: int  # the largest and the smallest `rest` that use the row
    last: int
    coefficients: list[np.floating]


TABLES = (
    Table("NORMAL_F32", "the standard normal for P(|X| > x) >= 2^-8", mp.mpf(1), np.float32, 31, -128.0, 1, 16, 6),
    Table("TRUNCATED_F32", "the standard normal truncated at +-2", TRUNCATED, np.float32, 31, 1.25 * 2**27, 2, 16, 5),
    Table("NORMAL_F64", "the standard normal for P(|X| > x) >= 1.25 2^-8", mp.mpf(1), np.float64, 63, 0.0, 1, 16, 14),
    Table("TRUNCATED_F64", "the standard normal truncated at +-2", TRUNCATED, np.float64, 63, 1.25 * 2**59, 2, 16, 11),
)


def polynomial(coefficients: list[Real], x: Real) -> Real:
    """Evaluate a polynomial by Horner's rule, in the order and the arithmetic of the engine."""
    total = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def chebyshev(start: mp.mpf, end: mp.mpf, n: int) -> list[mp.mpf]:
    """Return the zeros of the n-th Chebyshev polynomial on this interval."""
    return [(start + end) / 2 - (end - start) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]


def nodes(n: int, at_centre: bool, words: int) -> list[mp.mpf]:
    """Return the points in (0, 1) at which to interpolate (x - t) / f.

    At the centre they give a small relative error of (x - t) / f, elsewhere of x.
    """
    if words <= n:  # interpolate at all words of a short row
        return [(i + mp.mpf(1) / 2) / (words - mp.mpf(1) / 2) for i in range(words)]
    if at_centre:
        return chebyshev(mp.mpf(0), mp.mpf(1), n)
    zeros = chebyshev(mp.mpf(-1), mp.mpf(1), n + 1)
    return [(z - zeros[0]) / (1 - zeros[0]) for z in zeros[1:]]


def fit(
    function: Callable[[mp.mpf], mp.mpf], width: mp.mpf, degree: int, words: int, at_centre: bool = False
) -> list[mp.mpf]:
    """Return nonnegative c1, c2, ... with function(f) near function(0) + c1 f + c2 f^2 + ..., 0 <= f <= width."""
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
        # Drop a power: at the centre the lowest, an even power of an odd function; elsewhere the highest, the least
        # important one.
        powers.remove(negative[0] if at_centre else negative[-1])


LEAST_SQUARES = 40
"""Number of points of a row at which `best_fit` minimizes the relative error."""


def best_fit(function: Callable[[mp.mpf], mp.mpf], width: mp.mpf, degree: int) -> list[mp.mpf]:
    """Return coefficients like `fit`, with the least squares of the relative error, by Lawson and Hanson."""
    t = function(mp.mpf(0))
    points = chebyshev(mp.mpf(0), mp.mpf(1), LEAST_SQUARES)
    values = [function(width * s) for s in points]
    columns = [[s ** (p + 1) / x for s, x in zip(points, values, strict=True)] for p in range(degree)]
    target = [1 - t / x for x in values]
    products = mp.matrix([[mp.fdot(zip(c, d, strict=True)) for d in columns] for c in columns])
    right = mp.matrix([mp.fdot(zip(c, target, strict=True)) for c in columns])
    found, used = mp.zeros(degree, 1), list[int]()
    while True:
        gradient = right - products * found
        rising = {p: gradient[p] / mp.sqrt(products[p, p]) for p in range(degree) if p not in used}
        steepest = max(rising, key=rising.__getitem__, default=None)
        if steepest is None or rising[steepest] < mp.mpf(10) ** -30:
            return [found[p] / width ** (p + 1) for p in range(degree)]
        used = sorted([*used, steepest])
        while True:
            part = mp.matrix([[products[p, r] for r in used] for p in used])
            wanted = mp.zeros(degree, 1)
            for p, c in zip(used, mp.lu_solve(part, mp.matrix([right[p] for p in used])), strict=True):
                wanted[p] = c
            # Move towards the solution until the first coefficient becomes 0, and drop that coefficient.
            steps = {p: found[p] / (found[p] - wanted[p]) for p in used if wanted[p] <= 0}
            first = min(steps, key=steps.__getitem__, default=None)
            if first is None:
                found = wanted
                break
            found += steps[first] * (wanted - found)
            found[first] = mp.mpf(0)
            used.remove(first)


def limits(table: Table) -> list[tuple[int, int]]:
    """Return the rows from the centre outwards, as (largest, smallest) `rest`, by bisection of the rounded index."""
    end, found = 2**table.bits - 1, []
    while end >= table.least:
        # `high` is in the row of `end`; `low` is in another row, or in no row.
        low, high = table.least - 1, end
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if table.row(middle) == table.row(end) else (middle, high)
        found.append((end, high))
        end = high - 1
    return found


def origin(table: Table, first: int) -> int:
    if first == 2**table.bits - 1:
        return first
    scale = mp.mpf(2) ** table.bits

    def distance(rest: int) -> mp.mpf:
        t = table.exact(1 - (rest + 1) / scale)
        return abs(t / mp.mpf(float(to_real(table, t))) - 1)

    start = -(-(first + 1) // table.in_words) * table.in_words - 1
    last = min(start + ORIGIN_CANDIDATES * table.in_words, 2**table.bits - 1)
    return min(range(start, last, table.in_words), key=distance)


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
        if table.real is np.float64:
            fitted = best_fit(from_origin, width, table.degree)
        else:
            fitted = fit(from_origin, width, table.degree, start - last + 1, at_centre=a0 == 0)
        exact = [table.exact(a0), *fitted]
        rows.append(Row(start, first, last, [to_real(table, c) for c in exact]))
    mend(table, rows)
    return rows


def to_real(table: Table, c: mp.mpf) -> np.floating:
    real: np.floating = table.real(mp.nstr(c, 25, strip_zeros=False))
    return real


def mend(table: Table, rows: list[Row]) -> None:
    """Lower a coefficient of a row until its last value is no greater than the next row's first."""
    bounds = [least_value(table, row) for row in rows[1:]]
    bounds.append(table.real(2) if table.mass != 1 else table.real(np.inf))
    for row, bound in zip(rows, bounds, strict=True):
        if greatest_value(table, row) > bound:
            print(f"{table.name}: mended the row at {row.first}", file=sys.stderr)
        while greatest_value(table, row) > bound:
            power = 1 if row.coefficients[0] else 3  # at the centre, small values keep their accuracy
            row.coefficients[power] = np.nextafter(row.coefficients[power], table.real(0))


def least_value(table: Table, row: Row) -> np.floating:
    """Return the value of the row's innermost word, or of its innermost float64 number if that is less."""
    value = table.value(row, row.first)
    if table.name != "NORMAL_F64" or row.first == 2**63 - 1:
        return value
    return min(value, by_number(row, np.nextafter(end_of(table, row.first), 0)))


def greatest_value(table: Table, row: Row) -> np.floating:
    value = table.value(row, row.last)
    return max(value, by_number(row, begin_of(table, row.last))) if table.name == "NORMAL_F64" else value


def begin_of(table: Table, rest: int) -> np.float64:
    """Return the least number y of the row of `rest`."""
    return np.uint64((table.row(rest) << table.shift) - table.bias).view(np.float64)


def end_of(table: Table, rest: int) -> np.float64:
    """Return the least number y above the row of `rest`."""
    return np.uint64((table.row(rest) + 1 << table.shift) - table.bias).view(np.float64)


def by_number(row: Row, y: np.float64) -> np.floating:
    """Evaluate a row as for the normal between bounds: y is 2^63 P(|X| > x)."""
    return polynomial(row.coefficients, (np.float64(row.origin + 1) - y) * np.float64(0.5**63))


SAMPLE = 24
"""Number of words of each row with a measured error. Other words may have larger errors: see docs/streams.md."""


def largest_error(table: Table, rows: list[Row]) -> float:
    """Return the largest relative error of some computed values, in units of the type's epsilon."""
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
    """Return the signed number of this many bits with the same two's complement."""
    half = 1 << (bits - 1)
    return (x + half) % (2 * half) - half


def listed(numbers: Iterable[str], indent: int) -> str:
    """Return numbers, separated by commas, in lines of at most 120 columns."""
    margin = " " * indent
    return textwrap.fill(", ".join(numbers) + ",", 120, initial_indent=margin, subsequent_indent=margin)


def array(numbers: Iterable[str], indent: int = 0) -> str:
    """Return numbers like `listed`, in brackets."""
    margin = " " * indent
    return f"{margin}[\n{listed(numbers, indent + 4)}\n{margin}]"


def rust(table: Table, rows: list[Row]) -> str:
    real, integer = ("f32", "i32") if table.real is np.float32 else ("f64", "i64")
    unused = Row(0, 0, 0, [table.real(0)] * (table.degree + 1))
    placed = [unused] * table.rows
    for row in rows:
        index = table.row(row.first) % table.rows
        assert placed[index] is unused, f"{table.name}: two rows at {index}"
        placed[index] = row
    error = largest_error(table, rows)
    lines = [
        f"/// Half of {table.of}. Largest relative error at {SAMPLE} words of each row: {error:.2f} epsilon.",
        f"pub static {table.name}: Table<{real}, {integer}, {table.shift}, {table.degree + 1}> = Table {{",
        f"    offset: {literal(table.real(table.offset))},",
        f"    origin: {array((str(signed(2 * row.origin + 1, table.bits + 1)) for row in placed), 4).strip()},",
        "    coefficients: [",
        *(array((literal(row.coefficients[k]) for row in placed), 8) + "," for k in range(table.degree + 1)),
        "    ],",
    ]
    return "\n".join([*lines, "};", ""])


@dataclass(frozen=True)
class OuterTable:
    """A normal outside of its `Table`, by y, where P(X > x) = y 2^-bits. Each binary order of y has two rows."""

    name: str
    inner: Table
    first_order: int  # binary order of the least y
    last: float  # least y of the inner table
    degree: int

    @property
    def size(self) -> int:
        """Return the number of float numbers y in a row."""
        return 1 << self.inner.shift

    @property
    def rows(self) -> int:
        return 2 * (int(np.log2(self.last)) - self.first_order) + 1

    def value(self, row: list[np.floating], remainder: int) -> np.floating:
        """Return the value of y; `remainder` is its mantissa bits below those that give the row."""
        real = self.inner.real
        return polynomial(row, real(self.size - remainder) * real(1 / self.size))

    def exact(self, index: int, f: mp.mpf) -> mp.mpf:
        """Return the exact value at the distance `f` from the inner end of row `index`, in lengths of that row."""
        order, half = divmod(index, 2)
        y = mp.mpf(2) ** (self.first_order + order) * (1 + (half + 1 - f) / mp.mpf(2))
        return tail(mp.sqrt(-mp.log(y / mp.mpf(2) ** self.inner.bits)))

    def made(self) -> list[list[np.floating]]:
        """Return the rows from the end of the distribution inwards."""
        rows = []
        for index in range(self.rows):
            exact = partial(self.exact, index)
            if self.inner.real is np.float64:
                fitted = best_fit(exact, mp.mpf(1), self.degree)
            else:
                fitted = fit(exact, mp.mpf(1), self.degree, self.size)
            rows.append([to_real(self.inner, c) for c in [exact(mp.mpf(0)), *fitted]])
        for outer, row in pairwise(rows):  # as in `mend`
            while self.value(row, 0) > self.value(outer, self.size - 1):
                row[1] = np.nextafter(row[1], self.inner.real(0))
        return rows

    def rust(self, bulk: list[Row]) -> str:
        rows, real = self.made(), "f32" if self.inner.real is np.float32 else "f64"
        order, half = divmod(self.rows - 1, 2)
        remainder = int((self.last / 2.0 ** (self.first_order + order) * 2 - 2 - half) * self.size)
        last = next(row for row in bulk if row.last == self.inner.least)
        assert greatest_value(self.inner, last) <= self.value(rows[-1], remainder), "the table and its tail meet"
        worst = 0.0
        for index, row in enumerate(rows):
            for part in range(0, self.size, self.size // SAMPLE):
                exact = self.exact(index, mp.mpf(self.size - part) / self.size)
                worst = max(worst, float(abs(mp.mpf(float(self.value(row, part))) / exact - 1)))
        lines = [
            f"/// The tails of the standard normal that `{self.inner.name}` does not cover.",
            f"/// Largest relative error at {SAMPLE} numbers of each row: "
            f"{worst / float(np.finfo(self.inner.real).eps):.2f} epsilon.",
            f"pub static {self.name}: [[{real}; {self.degree + 1}]; {self.rows}] = [",
            *(listed([f"[{', '.join(literal(c) for c in row)}]"], 4) for row in rows),
            "];",
        ]
        return "\n".join([*lines, ""])


OUTER_TABLES = (
    OuterTable("NORMAL_TAIL_F32", TABLES[0], -33, 2.0**23 + 64 + 0.5, 5),
    OuterTable("NORMAL_TAIL_F64", TABLES[2], -1, 1.25 * 2.0**55, 14),
)


@dataclass(frozen=True)
class Series:
    """An odd function of x as x P(x^2), for 0 <= x <= end. If `rising`, no coefficient is negative."""

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
            powers.remove(negative[-1])  # as for the rows: the highest power matters least

    def value(self, coefficients: list[float], x: float) -> float:
        return polynomial(coefficients, x * x) * x

    def rust(self, coefficients: list[float]) -> str:
        xs = [float(self.end) * (i + 1) / 1000 for i in range(1000)]
        error = max(float(abs(self.value(coefficients, x) / self.function(mp.mpf(x)) - 1)) for x in xs)
        lines = [
            f"/// {self.says}. Largest relative error at 1000 numbers: {error / 2**-52:.2f} epsilon.",
            f"pub static {self.name}: [f64; {self.terms}] = [",
            listed((literal(np.float64(c)) for c in coefficients), 4),
            "];",
        ]
        return "\n".join([*lines, ""])


SERIES = (
    Series(
        "ATANH",
        "2 atanh(s) for 0 <= s <= 1/3, as 2 atanh(s) / s in powers of s^2",
        lambda s: 2 * mp.atanh(s),
        mp.mpf(1) / 3,
        11,
        True,
    ),
    Series(
        "SINE",
        "sin(pi g / 2) for 0 <= g <= 1, as sin(pi g / 2) / g in powers of g^2",
        lambda g: mp.sin(mp.pi / 2 * g),
        mp.mpf(1),
        10,
        False,
    ),
)

LN2_HIGH = float(mp.floor(mp.log(2) * 2**42) / 2**42)  # its products with integers below 2^11 are exact
LN2_LOW = float(mp.log(2) - LN2_HIGH)

DEPTH_OFFSET = -0.3069  # the first row, at y = 2, starts just before the end of NORMAL_F64
DEPTH_TOPS = (2.5, 3, 3.5, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32)
DEPTH_SHIFT = 50
DEPTH_COEFFICIENTS = 11


def tail(s: mp.mpf) -> mp.mpf:
    """Return the x with P(|X| > x) = exp(-s^2) for a standard normal X, by Newton's method for the logarithm."""
    x = mp.sqrt(2) * s
    while True:
        mass = mp.erfc(x / mp.sqrt(2))
        step = (mp.log(mass) + s * s) * mass / (2 * mp.npdf(x))
        x += step
        if abs(step) < mp.mpf(10) ** -40:
            return x


def depth_row(top: float, first: float) -> list[float]:
    """Return the coefficients of x in powers of f = top - s, for `first` <= s <= `top`."""
    where = chebyshev(mp.mpf(0), mp.mpf(top) - mp.mpf(first), DEPTH_COEFFICIENTS)
    matrix = mp.matrix([[f**p for p in range(DEPTH_COEFFICIENTS)] for f in where])
    return [float(c) for c in mp.lu_solve(matrix, mp.matrix([tail(mp.mpf(top) - f) for f in where]))]


def depth_rust(inner: float) -> str:
    """Return the table of the normal by depth. It starts at the value `inner`, at which the inner table ends."""
    tops = [top - DEPTH_OFFSET for top in DEPTH_TOPS]
    firsts = [2 - DEPTH_OFFSET, *tops[:-1]]
    rows = [depth_row(top, first) for top, first in zip(tops, firsts, strict=True)]
    assert polynomial(rows[0], tops[0] - firsts[0]) < inner
    for i, end in enumerate(DEPTH_TOPS[:-1]):
        around = tops[i] + np.arange(-4, 5) * np.spacing(tops[i])
        here = [(float(s), i + int(s + DEPTH_OFFSET >= end)) for s in around]
        while any(np.diff([polynomial(rows[row], tops[row] - s) for s, row in here]) < 0):
            print(f"NORMAL_BY_DEPTH: mended the row that ends at {end}", file=sys.stderr)
            rows[i][0] = float(np.nextafter(rows[i][0], 0))
    worst = 0.0
    for row, top, first in zip(rows, tops, firsts, strict=True):
        for s in np.linspace(first, top, 50):
            worst = max(worst, float(abs(polynomial(row, top - float(s)) / tail(mp.mpf(float(s))) - 1)))
    words = [int(np.nextafter(np.float64(top), 0).view(np.uint64)) for top in DEPTH_TOPS]
    placed = sorted(range(16), key=lambda i: (words[i] >> DEPTH_SHIFT) % 16)
    lines = [
        "/// The x with P(|X| > x) = exp(-s^2) for a standard normal X, by rows of s + offset, in powers of top - s.",
        f"/// Largest relative error at 50 numbers of each row: {worst / 2**-52:.2f} epsilon.",
        f"pub static NORMAL_BY_DEPTH: DepthTable<{DEPTH_SHIFT}, {DEPTH_COEFFICIENTS}> = DepthTable {{",
        f"    offset: {literal(np.float64(DEPTH_OFFSET))},",
        f"    top: {array((literal(np.float64(tops[i])) for i in placed), 4).strip()},",
        "    coefficients: [",
        *(array((literal(np.float64(rows[i][k])) for i in placed), 8) + "," for k in range(DEPTH_COEFFICIENTS)),
        "    ],",
        "};",
        "",
        "/// The greatest value of `NORMAL_F64`. Lesser values of `NORMAL_BY_DEPTH` are replaced by it.",
        f"pub const INNER_END: f64 = {literal(np.float64(inner))};",
    ]
    return "\n".join([*lines, ""])


def series_rust() -> str:
    text = []
    for series in SERIES:
        coefficients = series.coefficients()
        if series.name == "ATANH":  # at its end it must not exceed log 2, where the next binary order starts
            while series.value(coefficients, 0.5 / 1.5) > LN2_HIGH + LN2_LOW - 2**-53:
                coefficients[1] = float(np.nextafter(coefficients[1], 0))
        text.append(series.rust(coefficients))
    text.append(
        "/// log 2 in two parts. The product of the first part and any integer below 2^11 is exact.\n"
        f"pub const LN2: [f64; 2] = [{literal(np.float64(LN2_HIGH))}, {literal(np.float64(LN2_LOW))}];\n"
    )
    text.append(
        "/// P(|z| <= 2) of a complex normal z of variance 1: 1 - exp(-4).\n"
        f"pub const WITHIN_2: f64 = {literal(np.float64(float(1 - mp.exp(-4))))};\n"
    )
    return "\n".join(text)


def main() -> None:
    print("//! Coefficients of the quantile functions. Written by `tools/quantile_tables.py`: change that file.")
    print("#![cfg_attr(rustfmt, rustfmt::skip)]")
    print('#![allow(clippy::approx_constant, reason = "a coefficient may be near a famous number")]\n')
    print("use super::piecewise::{DepthTable, Table};\n")
    made = [make(table) for table in TABLES]
    print("\n".join(rust(table, rows) for table, rows in zip(TABLES, made, strict=True)))
    for outer in OUTER_TABLES:
        print(outer.rust(made[TABLES.index(outer.inner)]))
    last = next(row for row in made[2] if row.last == TABLES[2].least)
    print(depth_rust(float(greatest_value(TABLES[2], last))))
    print(series_rust(), end="")


if __name__ == "__main__":
    main()

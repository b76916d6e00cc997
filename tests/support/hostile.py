"""Hypothesis strategies of hostile arguments, and the settings of the tests that use them.

The outcome must be a right result or a documented error: never a panic (a BaseException that is not an Exception),
a hang, a NaN, or a result of another shape. Examples are the same every time. SEEDBED_FUZZ_SECONDS=600
SEEDBED_FUZZ_SEED=2 mutates plans and configurations for longer, from another seed.
"""

from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import seedbed as sb

FLOATS = ("float16", "bfloat16", "float32", "float64")
CLASSES = sorted({name for name in sb.__all__ if name[0].isupper() and hasattr(getattr(sb, name), "parameters")})
hostile = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
EDGES = [*(sign * (1 << power) + by for sign in (1, -1) for power in (0, 31, 32, 62, 63, 64, 255) for by in (-1, 0, 1))]
integers = st.integers(-4, 9) | st.sampled_from([*EDGES, 10**400, -(10**5000)]) | st.integers()
floats = st.floats() | st.sampled_from([5e-324, 1e-45, 6e-8, 65504.0, 65520.0, 3.4e38, 1.7976931348623157e308, -0.0])
NUMBERS_OF_SORTS = [True, False, 1j, Decimal("1.5"), Decimal("NaN"), Fraction(1, 3), np.float32(2), np.float16("inf")]
NUMBERS_OF_SORTS += [np.int8(-1), np.uint64(2**64 - 1), np.bool_(True), np.array(3)]
TEXTS = ["", "1", b"1", "float32", np.str_("x"), memoryview(b"ab"), np.array("2020", "M8[Y]")]
COLLECTIONS = [(), [], {}, {1}, range(3), np.array([1, 2]), np.array([], "O"), [[1], [2, 3]], [[]] * 3]
COLLECTIONS += [{"class_name": "SeedGenerator", "config": {}}]
OBJECTS = [None, object(), object, len, float, ..., slice(None)]
oddities = st.sampled_from(NUMBERS_OF_SORTS + TEXTS + COLLECTIONS + OBJECTS)
anything = integers | floats | oddities
small_shapes = st.lists(st.integers(0, 6), max_size=5).map(tuple)
shapes = (
    small_shapes | st.lists(anything, max_size=4) | st.lists(st.sampled_from([1, 2, 2**20, 2**31, 2**62]), max_size=70)
)

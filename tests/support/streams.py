"""Elements of seed 42, and the values that the specification gives them."""

import seedbed as sb
from support import reference

CLASSES = {"uniform": sb.RandomUniform, "normal": sb.RandomNormal, "truncated_normal": sb.TruncatedNormal}
DTYPES = list(reference.FORMATS)
ELEMENTS = [
    *(0, 1, 14, 15, 16, 17, 63, 64, 1023, 1024),
    *(2**32 - 1, 2**32, 2**36 - 1, 2**36),  # the block counter exceeds 32 bits from element 2^36
    *(10**12, 10**12 + 1, 2**62 + 5, 2**63 - 2),
]
LONGEST = (2**63 - 1,)

# Elements of seed 42, found by a search. Their high words are the first two and the last two, the two in the middle,
# and those on both sides of the points where a float32 normal is computed in float64, and where it uses its low word.
OUTERMOST = [6228179416, 6907000171, 3971992243, 6912717394, 1602208986, 2318736567, 11206662687, 1540571749]
INNERMOST = [1224178036, 2640012464, 8699043275, 10787752413]
EDGES = {2**23 + 128: [1803860137, 304034454, 2743198624, 1315319982], 2**16: [3145430637, 2366306280, 250312570]}


def hexes(values):
    """Return exact texts, in which 0.0 and -0.0 differ, and which are readable in a failure."""
    return [float(value).hex() for value in values]


def evaluated(initializer, elements, dtype):
    tensor = initializer.lazy(LONGEST, dtype)
    return hexes(tensor[element] for element in elements)


def specified(distribution, a, b, dtype, key, stream, elements):
    words = (reference.element_words(key, stream, element) for element in elements)
    return hexes(reference.value(distribution, a, b, dtype, high, low) for high, low in words)


def key_along(seed, path):
    key = reference.key_of(seed)
    for name in path:
        key = reference.child_key(key, name)
    return key


def words_of(seed, element):
    return tuple(int(sb.random_words(seed, 1, start=start)[0]) for start in (element, 2**67 + element))

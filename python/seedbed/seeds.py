"""Seeds and seed generators, and their keys and streams.

A *key* is 32 bytes. The key of an integer seed is the integer in two's complement, little-endian. The key of a child is
a keyed BLAKE2b hash of its name. A *stream* is a 64-bit number. An integer seed always draws from stream 0; a
`SeedGenerator` draws from stream 0, 1, 2 and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, SupportsIndex, TypeAlias

import numpy as np

from seedbed import _core
from seedbed.arguments import as_integer, shortened
from seedbed.saving import register_where_imported

# `random` and `hashlib` are imported in functions: their import takes milliseconds, and many programs need neither.

_MIN_SEED, _SEED_LIMIT = -(2**255), 2**255
_PERSON = b"seedbed.v1"
_WORDS = 2**68

MAX_DEPTH = 2**16
"""Maximum number of `child` calls that lead to a generator."""

_OF_GENERATORS = {
    "module": (None, "keras.random", "keras.src.random.seed_generator", "seedbed.seeds"),
    "class_name": ("SeedGenerator", "seedbed>SeedGenerator"),
    "registered_name": (None, "SeedGenerator", "seedbed>SeedGenerator"),
}
"""Accepted values of the keys that name the class of a serialized generator. They are compared, never imported."""


class Address(NamedTuple):
    """The key and the stream from which a tensor draws its words."""

    key: bytes
    stream: int


def set_random_seed(seed: int) -> None:
    """Make the seeds of unseeded initializers and generators reproducible.

    They draw their seeds from Python's global `random`. So `random.seed` and `keras.utils.set_random_seed` work too,
    and have the same effect for non-negative seeds.

    Arguments:
        seed: an integer in [-2**255, 2**255).

    Raises:
        ValueError: for any other seed, whatever its type, as in Keras.

    >>> import seedbed as sb
    >>> sb.set_random_seed(1)
    >>> first = sb.HeNormal()
    >>> sb.set_random_seed(1)
    >>> sb.HeNormal() == first
    True
    """
    import random

    number = as_seed(seed)
    random.seed(number if number >= 0 else number + 2**256)  # `random.seed` takes the absolute value


def random_seed() -> int:
    """Draw a seed of 64 bits from Python's global `random`."""
    import random

    return random.getrandbits(64)


def as_seed(seed: object) -> int:
    """Return a seed as a Python integer.

    A seed sequence or a generator of another library gives the 32 bytes of the key, which are the integer in two's
    complement, little-endian:

    | seed | bytes of the key |
    |---|---|
    | `numpy.random.SeedSequence` | the eight words of `generate_state(8)`, little-endian |
    | `numpy.random.Generator` | four drawn integers of 64 bits, little-endian |
    | `torch.Generator` | 32 bytes, drawn on its device |

    A generator advances with each seed that it gives. A seed sequence does not change.

    Raises:
        ValueError: if the seed is an integer outside [-2**255, 2**255), or of another type, such as bool or float. (For
            types too it is a ValueError, as in Keras.)

    >>> as_seed(np.random.SeedSequence(42)) == as_seed(np.random.SeedSequence(42))
    True
    """
    try:
        key = _drawn_key(seed)
        number = as_integer(seed) if key is None else int.from_bytes(key, "little", signed=True)
    except TypeError:
        raise ValueError(f"a seed must be an integer. Received: seed={shortened(seed)}") from None
    if not _MIN_SEED <= number < _SEED_LIMIT:
        raise ValueError(f"a seed must be in [-2**255, 2**255). Received: seed={number}")
    return number


def _drawn_key(seed: object) -> bytes | None:
    """Return the key that a seed sequence or a generator of another library gives, or None for any other seed."""
    module = type(seed).__module__.partition(".")[0]
    if module == "numpy" and not isinstance(seed, (np.generic, np.ndarray)):
        if isinstance(seed, np.random.SeedSequence):
            return seed.generate_state(8).astype("<u4").tobytes()
        if isinstance(seed, np.random.Generator):
            return seed.integers(2**64 - 1, size=4, dtype=np.uint64, endpoint=True).astype("<u8").tobytes()
    if module == "torch" and type(seed).__name__ == "Generator":
        import torch  # already imported, since the object exists

        words = torch.empty(32, dtype=torch.uint8, device=seed.device)  # type: ignore[attr-defined]
        return bytes(words.random_(generator=seed).tolist())
    return None


def key_of(seed: int) -> bytes:
    """Return the key of an integer seed: the integer in two's complement, 32 bytes, little-endian."""
    return seed.to_bytes(32, "little", signed=True)


@lru_cache(maxsize=256)
def address_of(seed: int) -> Address:
    """Return the address of an integer seed: stream 0 of its key."""
    return Address(key_of(seed), 0)


def child_key(key: bytes, name: str) -> bytes:
    """Return the key of the child with a name."""
    return child_keys(key)(name)


def child_keys(key: bytes) -> Callable[[str], bytes]:
    """Return a function from the name of a child to its key."""
    import hashlib

    # The key fills the first block of BLAKE2b, which copies of this state need not hash again.
    keyed = hashlib.blake2b(digest_size=32, key=key, person=_PERSON)

    def child_key(name: str) -> bytes:
        state = keyed.copy()
        state.update(name.encode())
        return state.digest()

    return child_key


class SeedGenerator:
    """A seed whose draws differ: each call of an initializer with this seed uses the next stream.

    The first draw gives the same values as the integer seed.

    Arguments:
        seed: an integer in [-2**255, 2**255); a seed sequence or a generator of NumPy or torch (see `as_seed`); or None
            to draw a random seed, which the attribute `seed` then has.
        name: a name for the configuration. It does not change the values.
        path: names of the `child` calls that lead from the generator of the seed to this one.

    Raises:
        TypeError: if the name is not a string, or the path is not a sequence of strings.
        ValueError: for any other seed; if a name of the path is not valid Unicode, or there are too many.

    >>> import seedbed as sb
    >>> init = sb.GlorotNormal(seed=sb.SeedGenerator(42))
    >>> first, second = init((2, 3)), init((2, 3))
    >>> bool((first == sb.GlorotNormal(seed=42)((2, 3))).all()), bool((first == second).any())
    (True, False)
    """

    def __init__(
        self,
        seed: SupportsIndex | SeedOfOthers | None = None,
        name: str | None = None,
        *,
        path: Iterable[str] = (),
        **unknown: NoReturn,
    ) -> None:
        if unknown:  # a ValueError, as in Keras
            raise ValueError(f"the arguments of a SeedGenerator are seed, name, path. Received: {[*unknown]}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a generator must be a string. Received: name={shortened(name)}")
        self.initial_seed = None if seed is None else as_seed(seed)
        self.seed = random_seed() if self.initial_seed is None else self.initial_seed
        self.name = "seed_generator" if name is None else name
        self.path = _as_path(path)
        self._streams = _core.Counter(0)
        self._key = key_of(self.seed)
        for step in self.path:
            self._key = child_key(self._key, step)

    @property
    def key(self) -> bytes:
        """The 32 bytes that all draws of the generator share."""
        return self._key

    @property
    def draws(self) -> int:
        """Number of draws so far, which is the stream of the next draw. It can be set, to resume from a saved state."""
        return self._streams.next

    @draws.setter
    def draws(self, count: SupportsIndex) -> None:
        self._streams = _core.Counter(_in_range("draws", count, 2**64))

    def next(self) -> Address:
        """Return the address of the next draw, and advance."""
        return Address(self._key, self._streams.take())

    def child(self, name: str) -> SeedGenerator:
        """Return the generator for a name. It depends on the key of this generator and the name, not on its draws.

        If the seeds of layers are children, each layer has values of its own, which do not change when other layers are
        added or removed. A clone of a child starts again at its first draw. Keras' attention layers clone one
        initializer for query, key and value: give each of them a child with another name.

        Raises:
            TypeError: if the name is not a string.
            ValueError: if the name is not valid Unicode, or there are more than `MAX_DEPTH` nested children.

        >>> root = SeedGenerator(42)
        >>> _ = root.next()
        >>> root.child("block3/attn/q").key == SeedGenerator(42).child("block3/attn/q").key
        True
        """
        (step,) = _as_path([name])
        if len(self.path) == MAX_DEPTH:
            raise ValueError(f"path must have at most {MAX_DEPTH} names. Received: another name, {shortened(step)}")
        child = SeedGenerator(self.seed, self.name)
        child.path = (*self.path, step)
        child._key = child_key(
            self._key, step
        )  # hashing the whole path again would take time in proportion to the depth
        return child

    def get_config(self) -> dict[str, Any]:
        """Return the configuration: seed and name as given, and the path, if any. The number of draws is not in it."""
        register_where_imported()
        seed = self.seed if self.path else self.initial_seed
        config: dict[str, Any] = {"seed": seed, "name": self.name}
        return {**config, "path": list(self.path)} if self.path else config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SeedGenerator:
        """Return a new generator from a configuration. It starts at its first draw.

        Raises:
            TypeError: if the configuration is not a dict, or a name has a wrong type.
            ValueError: for an invalid seed or an unknown key.
        """
        if not isinstance(config, Mapping):
            raise TypeError(f"the config of a SeedGenerator must be a dict. Received: {shortened(config)}")
        unknown = [key for key in config if key not in ("seed", "name", "path")]
        if unknown:
            raise ValueError(
                f"the keys of a SeedGenerator's config are seed, name, path. Received: {shortened(unknown)}"
            )
        return cls(**config)

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in vars(self).items() if name != "_streams"}
        return {**state, "draws": self.draws}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: value for name, value in state.items() if name != "draws"})
        self.draws = state["draws"]

    def __repr__(self) -> str:
        children = "".join(f".child({name!r})" for name in self.path)
        return f"SeedGenerator(seed={self.seed}){children}"


def generator_at(address: Address) -> SeedGenerator:
    """Return a generator whose next draw has the given address."""
    generator = SeedGenerator(0)
    generator._key = address.key
    generator.draws = address.stream
    return generator


class Unbound:
    """The seed of an initializer without a seed, as in a plan, where each tensor draws from the child of its name."""

    def __repr__(self) -> str:
        return "UNBOUND"


UNBOUND = Unbound()
"""The value that `Initializer.with_seed` takes to remove the seed. Nothing can be drawn from it."""

if TYPE_CHECKING:

    class TorchGenerator(Protocol):
        """The members of `torch.Generator` that seedbed uses."""

        @property
        def device(self) -> Any: ...
        def initial_seed(self) -> int: ...
        def manual_seed(self, seed: int) -> Any: ...


SeedOfOthers: TypeAlias = "np.random.SeedSequence | np.random.Generator | TorchGenerator"
"""Seed sequences and generators of NumPy and torch."""

SeedLike: TypeAlias = "SupportsIndex | SeedGenerator | Unbound | Mapping[str, Any] | SeedOfOthers | None"
"""Seeds that an initializer accepts: None, an integer, a generator or its configuration, or one of NumPy or torch."""


def as_seed_source(seed: SeedLike) -> int | SeedGenerator | Unbound | None:
    """Return the `seed` argument of an initializer as an integer, a generator, `UNBOUND` or None.

    Raises:
        ValueError: if it is not a seed; as in Keras, for any type.
    """
    if seed is None or isinstance(seed, (SeedGenerator, Unbound)):
        return seed
    if isinstance(seed, Mapping):
        return _deserialize_generator(seed)
    return as_seed(seed)


def draw(seed: int | SeedGenerator | Unbound) -> Address:
    """Return the address of the next tensor of an initializer with a given seed.

    Raises:
        ValueError: if the seed is `UNBOUND`.
    """
    if isinstance(seed, int):
        return address_of(seed)
    if isinstance(seed, SeedGenerator):
        return seed.next()
    raise ValueError("an initializer of a plan must get a seed from with_seed before it is called. Received: no seed")


def serialize_seed(seed: int | SeedGenerator | Unbound | None) -> int | dict[str, Any] | None:
    """Return the JSON form of a seed. That of a generator is the same as in Keras."""
    if seed is None or isinstance(seed, int):
        return seed
    if isinstance(seed, Unbound):
        return None
    return {
        "module": "keras.random",
        "class_name": "SeedGenerator",
        "config": seed.get_config(),
        "registered_name": None,
    }


def random_words(seed: SeedLike, count: int, stream: int = 0, start: int = 0) -> np.ndarray:
    """Return words of a ChaCha8 keystream, for a check of the values by another program.

    Arguments:
        seed: an integer, or a `SeedGenerator`, of which only the key is used: it does not advance.
        count: number of words.
        stream: number of the stream, in [0, 2**64).
        start: index of the first word, in [0, 2**68). Element i uses the words i and 2**67 + i.

    Returns:
        An array of uint32, the words `start` to `start + count - 1`.

    Raises:
        TypeError: if `count`, `stream` or `start` is not an integer.
        ValueError: if an argument is out of range, or `seed` is not a seed.

    >>> [hex(word) for word in random_words(seed=0, count=3)]
    ['0x2fef003e', '0xd6405f89', '0xe8b85b7f']
    """
    source = as_seed_source(seed)
    if source is None or isinstance(source, Unbound):
        raise ValueError(f"random_words needs a seed. Received: seed={seed}")
    key = source.key if isinstance(source, SeedGenerator) else key_of(source)
    out = np.empty(_in_range("count", count, 2**63), np.uint32)
    _core.words(out, (key, _in_range("stream", stream, 2**64)), _in_range("start", start, _WORDS))
    return out


def _in_range(what: str, value: SupportsIndex, limit: int) -> int:
    try:
        number = as_integer(value)
    except TypeError:
        raise TypeError(f"{what} must be an integer. Received: {what}={shortened(value)}") from None
    if not 0 <= number < limit:
        raise ValueError(f"{what} must be in [0, 2**{limit.bit_length() - 1}). Received: {what}={number}")
    return number


def _as_path(path: object) -> tuple[str, ...]:
    if not isinstance(path, Iterable):
        raise TypeError(f"path must be a sequence of names. Received: path={shortened(path)}")
    names = (path,) if isinstance(path, str) else tuple(islice(path, MAX_DEPTH + 1))
    if len(names) > MAX_DEPTH:
        raise ValueError(f"path must have at most {MAX_DEPTH} names. Received: more")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"the name of a child must be a string. Received: {shortened(name)}")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"the name of a child must be Unicode without lone surrogates. Received: {shortened(name)}"
            ) from None
    return names


def _deserialize_generator(config: Mapping[str, Any]) -> SeedGenerator:
    arguments = config.get("config")
    if (
        not isinstance(arguments, Mapping)
        or any(config.get(key) not in accepted for key, accepted in _OF_GENERATORS.items())
        or not {*config} <= {"config", "shared_object_id", *_OF_GENERATORS}
    ):
        raise ValueError(
            f"a seed must be None, an integer or a SeedGenerator. Received: seed={shortened(dict(config))}"
        )
    return SeedGenerator.from_config(arguments)

"""From what a person types to where the values come from: seed -> key, draw -> stream.

A *key* is 32 bytes. That of an integer seed is its two's complement, little-endian; that of a child is a keyed BLAKE2b
of its name. A *stream* is a 64-bit number: an integer seed always draws from stream 0, a `SeedGenerator` from 0, 1, ...
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, SupportsIndex, TypeAlias

import numpy as np

from seedbed import _core
from seedbed.arguments import as_integer, shortened
from seedbed.saving import register_where_imported

# `random` and `hashlib` take milliseconds to import, which NumPy does not: who needs one waits for it then.

_LEAST_SEED, _SEED_LIMIT = -(2**255), 2**255
_PERSON = b"seedbed.v1"
_WORDS = 2**68

MAX_DEPTH = 2**16
"""Maximum number of `child` calls that lead to a generator."""

_OF_GENERATORS = {
    "module": (None, "keras.random", "keras.src.random.seed_generator", "seedbed.seeds"),
    "class_name": ("SeedGenerator", "seedbed>SeedGenerator"),
    "registered_name": (None, "SeedGenerator", "seedbed>SeedGenerator"),
}
"""What a generator's serialized form may say of where it came from. Nothing is imported from there."""


class Address(NamedTuple):
    """Where the words of a tensor come from; its elements are numbered from there."""

    key: bytes
    stream: int


def set_random_seed(seed: int) -> None:
    """Make what unseeded initializers and generators draw reproducible.

    They draw from Python's global `random`, so `random.seed` and `keras.utils.set_random_seed` do it as well, and for
    seeds that are not negative they do the same.

    Arguments:
        seed: an integer in [-2**255, 2**255).

    Raises:
        ValueError: for any other seed.

    >>> import seedbed as sb
    >>> sb.set_random_seed(1)
    >>> first = sb.HeNormal()
    >>> sb.set_random_seed(1)
    >>> sb.HeNormal() == first
    True
    """
    import random

    number = as_seed(seed)
    random.seed(number if number >= 0 else number + 2**256)  # of a negative number it takes the absolute value


def random_seed() -> int:
    """A fresh seed of 64 bits, from Python's global `random`."""
    import random

    return random.getrandbits(64)


def as_seed(seed: object) -> int:
    """An integer seed, as a Python integer; or that of a seed sequence or a generator of NumPy or torch.

    | seed | the bytes of its key, which are the integer in two's complement, the lowest first |
    |---|---|
    | `numpy.random.SeedSequence` | `generate_state(8)`: eight words, the lowest byte of each first |
    | `numpy.random.Generator` | four integers of 64 bits, which it draws, likewise |
    | `torch.Generator` | 32 bytes, which it draws on its device |

    A generator moves on with each seed that is taken from it, a seed sequence does not.

    Raises:
        ValueError: if it is something else, such as a bool or a float, or outside [-2**255, 2**255).

    >>> as_seed(np.random.SeedSequence(42)) == as_seed(np.random.SeedSequence(42))
    True
    """
    try:
        key = _drawn_key(seed)
        number = as_integer(seed) if key is None else int.from_bytes(key, "little", signed=True)
    except TypeError:
        raise ValueError(f"a seed must be an integer. Received: seed={shortened(seed)}") from None
    if not _LEAST_SEED <= number < _SEED_LIMIT:
        raise ValueError(f"a seed must be in [-2**255, 2**255). Received: seed={number}")
    return number


def _drawn_key(seed: object) -> bytes | None:
    """The key that a seed sequence or a generator of another library gives; None for anything else."""
    module = type(seed).__module__.partition(".")[0]
    if module == "numpy" and not isinstance(seed, (np.generic, np.ndarray)):
        if isinstance(seed, np.random.SeedSequence):
            return seed.generate_state(8).astype("<u4").tobytes()
        if isinstance(seed, np.random.Generator):
            return seed.integers(2**64 - 1, size=4, dtype=np.uint64, endpoint=True).astype("<u8").tobytes()
    if module == "torch" and type(seed).__name__ == "Generator":
        import torch  # it is, or there would be no such object

        words = torch.empty(32, dtype=torch.uint8, device=seed.device)  # type: ignore[attr-defined]
        return bytes(words.random_(generator=seed).tolist())
    return None


def key_of(seed: int) -> bytes:
    """The key of an integer seed: its two's complement in 32 little-endian bytes."""
    return seed.to_bytes(32, "little", signed=True)


@lru_cache(maxsize=256)
def address_of(seed: int) -> Address:
    """The address of an integer seed: stream 0 of its key."""
    return Address(key_of(seed), 0)


def child_key(key: bytes, name: str) -> bytes:
    """The key of the child of that name."""
    import hashlib

    return hashlib.blake2b(name.encode(), digest_size=32, key=key, person=_PERSON).digest()


class SeedGenerator:
    """A source of draws: each initializer call that takes its seed from here has a stream of its own.

    The first draw gives what the integer seed gives.

    Arguments:
        seed: an integer in [-2**255, 2**255), a seed sequence or a generator of NumPy or torch (see `as_seed`), or
            None to draw one, which `seed` then is.
        name: for the configuration only.
        path: the names of `child` calls that led here from the generator of that seed.

    Raises:
        ValueError: for any other seed, name or path.

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
        """The 32 bytes that all its draws share."""
        return self._key

    @property
    def draws(self) -> int:
        """The number of draws so far; also the stream of the next one. Set it to continue from there."""
        return self._streams.next

    @draws.setter
    def draws(self, count: SupportsIndex) -> None:
        self._streams = _core.Counter(_in_range("draws", count, 2**64))

    def next(self) -> Address:
        """The address of the next draw."""
        return Address(self._key, self._streams.take())

    def child(self, name: str) -> SeedGenerator:
        """A generator bound to this one and a name, whatever else has been drawn or named.

        Layers whose seeds are children begin with values of their own, and stay as they are when others come and go.
        A clone of a child, as Keras' attention layers make of one initializer for query, key and value, is that child
        again, and begins at its first draw: give each part a name.

        Raises:
            ValueError: where the name is not a string.

        >>> root = SeedGenerator(42)
        >>> _ = root.next()
        >>> root.child("block3/attn/q").key == SeedGenerator(42).child("block3/attn/q").key
        True
        """
        (step,) = _as_path([name])
        if len(self.path) == MAX_DEPTH:
            raise ValueError(f"path must have at most {MAX_DEPTH} names. Received: one more, {shortened(step)}")
        child = SeedGenerator(self.seed, self.name)
        child.path = (*self.path, step)
        child._key = child_key(self._key, step)  # not the whole path anew, which grows with the depth
        return child

    def get_config(self) -> dict[str, Any]:
        """The configuration: seed and name as given, and the path where there is one. Draws are no part of it."""
        register_where_imported()
        seed = self.seed if self.path else self.initial_seed
        config: dict[str, Any] = {"seed": seed, "name": self.name}
        return {**config, "path": list(self.path)} if self.path else config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SeedGenerator:
        """A new generator of that configuration, which begins at its first draw.

        Raises:
            TypeError: if it is not a dict.
            ValueError: for a bad value or an unknown key.
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
    """A generator whose next draw is that address."""
    generator = SeedGenerator(0)
    generator._key = address.key
    generator.draws = address.stream
    return generator


class Unbound:
    """The seed of an initializer that does not have one yet, as in a plan, where each tensor draws by its name."""

    def __repr__(self) -> str:
        return "UNBOUND"


UNBOUND = Unbound()
"""What `Initializer.with_seed` takes to leave the seed open. Nothing can be drawn from it."""

if TYPE_CHECKING:

    class TorchGenerator(Protocol):
        """What is used of a `torch.Generator`."""

        @property
        def device(self) -> Any: ...
        def initial_seed(self) -> int: ...
        def manual_seed(self, seed: int) -> Any: ...


SeedOfOthers: TypeAlias = "np.random.SeedSequence | np.random.Generator | TorchGenerator"
"""What NumPy and torch have for a seed."""

SeedLike: TypeAlias = "SupportsIndex | SeedGenerator | Unbound | Mapping[str, Any] | SeedOfOthers | None"
"""What an initializer takes: None, an integer, a generator, or the configuration of one; or what NumPy or torch has."""


def as_seed_source(seed: SeedLike) -> int | SeedGenerator | Unbound | None:
    """An initializer's `seed` argument: an integer, a generator, `UNBOUND`, or None.

    Raises:
        ValueError: if it is neither of the three nor the serialized form of a generator.
    """
    if seed is None or isinstance(seed, (SeedGenerator, Unbound)):
        return seed
    if isinstance(seed, Mapping):
        return _deserialize_generator(seed)
    return as_seed(seed)


def draw(seed: int | SeedGenerator | Unbound) -> Address:
    """The address of the next tensor of an initializer with that seed.

    Raises:
        ValueError: if the initializer has no seed yet.
    """
    if isinstance(seed, int):
        return address_of(seed)
    if isinstance(seed, SeedGenerator):
        return seed.next()
    raise ValueError("an initializer of a plan must get a seed before it is called, by with_seed. Received: none")


def serialize_seed(seed: int | SeedGenerator | Unbound | None) -> int | dict[str, Any] | None:
    """The JSON form of a `seed`, a generator's as Keras writes it."""
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
    """Keystream words, for anyone who checks us: uint32 words `start`, `start + 1`, ... of a stream of ChaCha8.

    Arguments:
        seed: an integer, or a `SeedGenerator` for its key; nothing is drawn from it.
        count: how many words.
        stream: which stream, in [0, 2**64).
        start: the first word, in [0, 2**68). Element i owns word i and word 2**67 + i.

    Raises:
        ValueError: if an argument is not as described.

    >>> [hex(word) for word in random_words(seed=0, count=3)]
    ['0x2fef003e', '0xd6405f89', '0xe8b85b7f']
    """
    source = as_seed_source(seed)
    if source is None or isinstance(source, Unbound):
        raise ValueError(f"random_words must be given a seed. Received: seed={seed}")
    key = source.key if isinstance(source, SeedGenerator) else key_of(source)
    out = np.empty(_in_range("count", count, 2**63), np.uint32)
    _core.words(out, (key, _in_range("stream", stream, 2**64)), _in_range("start", start, _WORDS))
    return out


def _in_range(what: str, value: SupportsIndex, limit: int) -> int:
    number = operator.index(value)
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

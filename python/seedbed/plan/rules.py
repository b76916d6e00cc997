"""Rules by name pattern, class or predicate, the rule that decides each tensor, and errors for rules without effect.

The module knows no framework. An adapter passes its tensors as candidates, and gets the rule for each of them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import Any, Protocol, TypeAlias

from seedbed.arguments import nearest, shortened
from seedbed.initializers import Blocks, Initializer, Norms
from seedbed.plan.entries import about, as_initializer
from seedbed.plan.plan import Plan
from seedbed.seeds import UNBOUND

SelectorLike: TypeAlias = "str | type | tuple[type, ...] | Callable[[str, Any], object]"
"""A pattern of names, a class of layers or a tuple of classes, or a predicate of a name and a tensor."""

InitializerLike: TypeAlias = "Initializer | str | dict[str, Any]"

Rules: TypeAlias = (
    "Mapping[SelectorLike, InitializerLike] | Iterable[tuple[SelectorLike, InitializerLike] | RuleSource] | RuleSource"
)
"""Pairs of a selector and an initializer. The first rule that selects a tensor decides it."""

Selection: TypeAlias = "SelectorLike | Sequence[SelectorLike] | None"

MAX_NAMES = 5
"""Maximum number of names that an error lists."""

_WILD = re.compile(r"[*?[]")


class Candidate(Protocol):
    """A tensor for which a rule is searched."""

    @property
    def name(self) -> str:
        """The name that patterns are matched with."""

    @property
    def tensor(self) -> Any:
        """The second argument of a predicate, after the name."""

    @property
    def layers(self) -> Sequence[object]:
        """The layers that contain the tensor. A class selects the tensors in its instances."""


class Selector:
    """A pattern, class or predicate, as a function that tests a candidate."""

    def __init__(self, selector: SelectorLike, *, literal: bool = False) -> None:
        self.literal = literal
        """Whether the selector is a name without wildcards."""
        if isinstance(selector, str):
            self.label = selector
            self.literal = literal or not _WILD.search(selector)
            matches = selector.__eq__ if self.literal else re.compile(translate(selector)).match
            self.selects: Callable[[Candidate], object] = lambda candidate: matches(candidate.name)
        elif isinstance(selector, (type, tuple)):
            classes = selector if isinstance(selector, tuple) else (selector,)
            if not classes or not all(isinstance(cls, type) for cls in classes):
                raise TypeError(
                    f"a tuple that selects tensors must contain classes of layers. Received: {shortened(selector)}"
                )
            self.label = " | ".join(cls.__name__ for cls in classes)
            self.selects = lambda candidate: any(isinstance(layer, classes) for layer in candidate.layers)
        elif callable(selector):
            self.label = getattr(selector, "__name__", repr(selector))
            self.selects = lambda candidate: selector(candidate.name, candidate.tensor)
        else:
            raise TypeError(
                "a selector must be a pattern of names, a class of layers, or a function of a name and a tensor. "
                f"Received: {shortened(selector)}"
            )


@dataclass(frozen=True)
class NameRule:
    """A selector, and the initializer for the tensors that it decides."""

    selector: Selector
    initializer: Initializer
    remark: str = ""
    """Name of the rule in reports, if it is not its selector."""
    yields: bool = False
    """Whether a tensor with a constant default initialization keeps that constant."""
    origin: RuleSource | None = None
    """The scheme that made the rule, or None if a user wrote it."""
    seed_of: str | None = None
    """Name of another tensor, from whose child of the seed the tensor draws, or None."""

    @property
    def label(self) -> str:
        """Name of the rule in reports."""
        return self.remark or self.selector.label


class RuleSource(ABC):
    """A source of rules that depend on all tensors of a model, such as a scheme of `seedbed.schemes`."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Name of the source in reports."""

    @abstractmethod
    def rules_of(self, tensors: Sequence[Candidate]) -> list[NameRule | None]:
        """Return the rule of each tensor, or None for a tensor that keeps its default initialization.

        Raises:
            ValueError: if the tensors are not those of a model that the source supports.
        """


def as_rules(rules: Rules | Plan | None) -> list[NameRule | RuleSource]:
    """Return rules as a list of objects.

    A plan becomes one rule for each of its names. A scheme is kept as it is until the tensors are known.

    Raises:
        TypeError: if the rules are not a plan, a scheme, a mapping or pairs; or if a selector or an initializer has a
            wrong type.
        ValueError: if an initializer is invalid.
    """
    rules = getattr(rules, "plan", rules)  # rules recorded by the torch adapter have a plan
    if isinstance(rules, Plan):
        return [
            NameRule(Selector(tensor.name, literal=True), tensor.initializer, seed_of=tensor.seed_of)
            for tensor in rules.tensors
        ]
    if isinstance(rules, RuleSource):
        return [rules]
    pairs = rules.items() if isinstance(rules, Mapping) else () if rules is None else rules
    if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Iterable):
        raise TypeError(
            f"rules must be a mapping, or pairs of a selector and an initializer. Received: {shortened(rules)}"
        )
    made: list[NameRule | RuleSource] = []
    for pair in pairs:
        if isinstance(pair, RuleSource):
            made.append(pair)
            continue
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
            raise TypeError(
                f"rules must be a mapping, or pairs of a selector and an initializer. Received: {shortened(pair)}"
            )
        selector = Selector(pair[0])
        if not isinstance(pair[1], (Initializer, str, dict)):
            raise TypeError(
                f"the rule {selector.label!r} must have an initializer, a name or a configuration. "
                f"Received: {shortened(pair[1])}"
            )
        with about(f"the rule {selector.label!r}"):
            made.append(NameRule(selector, as_initializer(pair[1])))
    return made


def decide(
    candidates: Sequence[Candidate], rules: Sequence[NameRule | RuleSource], wanted: Sequence[bool] | None = None
) -> list[NameRule | None]:
    """Return the first rule that selects each candidate, or None if no rule does.

    Arguments:
        candidates: the tensors.
        rules: rules and schemes, in order of precedence.
        wanted: whether schemes may decide each candidate; all of them by default.

    Raises:
        ValueError: if a scheme does not support one of the candidates that no earlier rule decides.
    """
    chosen: list[NameRule | None] = [None] * len(candidates)
    start = 0
    for number in [*(n for n, rule in enumerate(rules) if isinstance(rule, RuleSource)), len(rules)]:
        open_ = [at for at, rule in enumerate(chosen) if rule is None]
        left = [candidates[at] for at in open_]
        found = _first(left, [rule for rule in rules[start:number] if isinstance(rule, NameRule)])
        if number < len(rules):
            source = rules[number]
            assert isinstance(source, RuleSource)
            rest = [at for at, rule in enumerate(found) if rule is None and (wanted is None or wanted[open_[at]])]
            for at, rule in zip(rest, source.rules_of([left[at] for at in rest]) if rest else (), strict=True):
                found[at] = rule
        for at, rule in zip(open_, found, strict=True):
            chosen[at] = rule
        start = number + 1
    return chosen


def _first(candidates: Sequence[Candidate], rules: Sequence[NameRule]) -> list[NameRule | None]:
    names: dict[str, int] = {}
    others = []
    for number, rule in enumerate(rules):
        if rule.selector.literal:
            names.setdefault(rule.selector.label, number)
        else:
            others.append(number)
    chosen: list[NameRule | None] = []
    for candidate in candidates:
        named = names.get(candidate.name, len(rules))
        first = next((n for n in others if n < named and rules[n].selector.selects(candidate)), named)
        chosen.append(rules[first] if first < len(rules) else None)
    return chosen


def check_used(
    rules: Sequence[NameRule | RuleSource], candidates: Sequence[Candidate], chosen: Sequence[NameRule | None]
) -> None:
    """Check that each rule decides a tensor. Otherwise its name is misspelt, or an earlier rule covers it.

    Raises:
        ValueError: if a rule decides no tensor.
    """
    used = {id(rule) for rule in chosen} | {id(rule.origin) for rule in chosen if rule is not None and rule.origin}
    idle = [rule for rule in rules if id(rule) not in used]
    if not idle:
        return
    reasons = []
    for rule in idle[:MAX_NAMES]:
        if isinstance(rule, RuleSource):
            reasons.append(f"{rule.label!r}, for which earlier rules leave no tensor")
            continue
        first = next((n for n, candidate in enumerate(candidates) if rule.selector.selects(candidate)), None)
        if first is None:
            reasons.append(f"{rule.label!r}, which selects nothing{_near(rule.label, candidates)}")
        else:
            before = chosen[first]
            reasons.append(f"{rule.label!r}, whose tensors {before.label if before else None!r} decides before it")
    more = f"; and {len(idle) - MAX_NAMES} more" if len(idle) > MAX_NAMES else ""
    raise ValueError(
        f'a rule must decide a tensor; unused="ignore" (--unused ignore of a command) allows unused rules. '
        f"Received: {'; '.join(reasons)}{more}"
    )


def is_random(initializer: Initializer) -> bool:
    """Return whether an initializer draws random values. Blocks do if a block does, norms if their tensor does."""
    if isinstance(initializer, Norms):
        return is_random(initializer.initializer)
    if isinstance(initializer, Blocks):
        return any(map(is_random, (initializer.default, *(part for _, part in initializer.blocks))))
    return "seed" in initializer.parameters


def combined(
    rule: NameRule | None, own: Initializer | None, source: str, wide: Collection[int]
) -> tuple[Initializer, str]:
    """Return the initializer of a tensor, and the name of its source in reports.

    Arguments:
        rule: the rule that decides the tensor, or None.
        own: the default initialization of the tensor, or None if it is unknown. Without a rule it must be known.
        source: name of the default initialization in reports.
        wide: ids of the random rules that also decide tensors with a random default initialization. Such a rule leaves
            tensors with a constant default initialization unchanged.
    """
    if rule is None:
        assert own is not None
        return own, source
    if rule.yields and own is not None and not is_random(own):
        return own, source
    if not is_random(rule.initializer) or isinstance(rule.initializer, Blocks):
        return rule.initializer, rule.label
    if own is not None and not is_random(own) and id(rule) in wide:
        return own, f"{source}, not {rule.label!r}"
    if isinstance(own, Blocks) and is_random(own):
        return around_constants(own, rule.initializer), rule.label
    return rule.initializer, rule.label


def around_constants(own: Blocks, initializer: Initializer) -> Initializer:
    """Replace the random regions of `own` by an initializer. Keep the constant ones, such as the row of padding."""
    if is_random(own.default):
        constants = [(index, part) for index, part in own.blocks if not is_random(part)]
        return Blocks(initializer, constants, UNBOUND) if constants else initializer
    blocks = [(index, initializer if is_random(part) else part) for index, part in own.blocks]
    return Blocks(own.default, blocks, UNBOUND)


def _near(label: str, candidates: Sequence[Candidate]) -> str:
    near = nearest_selectors(label, [candidate.name for candidate in candidates])
    return f" (near it: {', '.join(map(repr, near))})" if near else ""


def selected(candidates: Sequence[Candidate], only: Selection, skip: Selection, unused: str = "error") -> list[bool]:
    """Return for each candidate whether `only` selects it, or is None, and `skip` does not select it.

    Raises:
        TypeError: if a selector has a wrong type.
        ValueError: if a selector selects no candidate, and `unused` is "error".
    """
    if only is None and skip is None:
        return [True] * len(candidates)
    parts = [_selectors(selection) for selection in (only, skip)]
    for what, selectors in zip(("only", "skip"), parts, strict=True):
        for selector in selectors or ():
            if unused == "error" and not any(map(selector.selects, candidates)):
                near = _near(selector.label, candidates)
                raise ValueError(
                    f"{what} must select a tensor. Received: {selector.label!r}, which selects nothing{near}"
                )
    wanted, left = parts
    return [
        (wanted is None or any(selector.selects(candidate) for selector in wanted))
        and not any(selector.selects(candidate) for selector in left or ())
        for candidate in candidates
    ]


def _selectors(selection: Selection) -> list[Selector] | None:
    if selection is None:
        return None
    if isinstance(selection, (list, set, frozenset)) or (
        isinstance(selection, tuple) and not all(isinstance(item, type) for item in selection)
    ):
        return [Selector(item) for item in selection]
    return [Selector(selection)]  # type: ignore[arg-type]


def nearest_selectors(pattern: str, names: Sequence[str]) -> list[str]:
    """Suggest patterns for one that selects no name: a similar one that selects some, or else the most similar names.

    >>> nearest_selectors("*.wieght", ["layers.0.weight", "layers.0.bias"])
    ['*.weight']
    >>> nearest_selectors("layer.0.bias", ["layers.0.weight", "layers.0.bias"])
    ['layers.0.bias']
    """
    words = sorted({part for name in names for part in re.split(r"[./]", name)})
    parts = re.split(r"([./])", pattern)  # parts and separators: dots, or slashes in Keras
    found = []
    for at, part in enumerate(parts):
        if not _WILD.search(part) and part not in words and part not in ("", ".", "/"):
            for word in nearest(part, words, 1):
                parts[at] = word
    changed = "".join(parts)
    if changed != pattern and any(map(re.compile(translate(changed)).match, names)):
        found.append(changed)
    return found or nearest(pattern, names)


def counted(names: Sequence[str]) -> str:
    """Return names as text for an error: their number, and the first of them."""
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    listed = f"{', '.join(names[:MAX_NAMES])}{more}"
    return listed if len(names) == 1 else f"{len(names)}: {listed}"

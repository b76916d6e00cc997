"""The rule that decides each tensor, in every framework."""

from types import SimpleNamespace

import pytest

import seedbed as sb
from seedbed.plan import Plan, PlannedTensor, parse_plan
from seedbed.plan.rules import as_rules, check_used, decide, nearest_selectors, selected


class Dense:
    pass


class Norm:
    pass


NAMES = {"a.weight": Dense, "a.bias": Dense, "norm.weight": Norm, "b[0].weight": Dense}
CANDIDATES = [
    SimpleNamespace(name=name, tensor=number, layers=(layer(),)) for number, (name, layer) in enumerate(NAMES.items())
]


def decided(rules):
    return [rule and rule.label for rule in decide(CANDIDATES, as_rules(rules))]


def test_the_first_rule_that_selects_a_name_decides_it():
    assert decided({"*.bias": "zeros", "a.*": "ones"}) == ["a.*", "*.bias", None, None]
    assert decided({"a.*": "ones", "*.bias": "zeros"}) == ["a.*", "a.*", None, None]
    assert decided({"?.weight": "ones", "a.weight": "zeros"}) == ["?.weight", None, None, None]
    assert decided({"a.weight": "zeros", "?.weight": "ones"}) == ["a.weight", None, None, None]
    assert decided({"A.*": "ones"}) == [None] * 4


def test_classes_and_predicates_are_selectors():
    both = "Dense | Norm"
    assert decided([(Norm, "ones"), ((Dense, Norm), "zeros")]) == [both, both, "Norm", both]

    def second(name, tensor):
        return tensor == 1 and name == "a.bias"

    assert decided([(second, "zeros")]) == [None, "second", None, None]


def test_a_plan_has_a_rule_for_each_name_without_patterns():
    plan = parse_plan('{"tensors": [{"name": "b[0].weight", "shape": [2], "initializer": "ones"}]}')
    assert decided(plan) == [None, None, None, "b[0].weight"]
    assert isinstance(plan, Plan)
    assert isinstance(plan.tensors[0], PlannedTensor)


def test_ten_thousand_exact_names_are_looked_up_by_hash():
    names = [f"layers.{n}.weight" for n in range(10_000)]
    candidates = [SimpleNamespace(name=name, tensor=None, layers=()) for name in names]
    rules = as_rules(dict.fromkeys(reversed(names), "zeros"))
    tried = []
    for rule in rules:
        rule.selector.selects = tried.append
    assert [rule.label for rule in decide(candidates, rules)] == names
    assert not tried


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"*.wieght": "ones"}, r"'\*.wieght', which selects nothing \(near it: '\*.weight'\)"),
        ({"a.weigth": "ones"}, r"'a.weigth', which selects nothing \(near it: 'a.weight'\)"),
        ({"*": "ones", "a.bias": "zeros"}, r"'a.bias', whose tensors '\*'"),
        ([(int, "ones")], "'int', which selects nothing$"),
        (dict.fromkeys("uvwxyz", "ones"), "'u', which .*'y', which selects nothing; and 1 more"),
    ],
)
def test_a_rule_that_decides_nothing_is_an_error(rules, message):
    made = as_rules(rules)
    with pytest.raises(ValueError, match=message):
        check_used(made, CANDIDATES, decide(CANDIDATES, made))


def test_rules_that_all_decide_something_are_accepted():
    made = as_rules({"*.bias": "ones", "*": "zeros"})
    check_used(made, CANDIDATES, decide(CANDIDATES, made))


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        (3, TypeError, "rules must be a mapping, or pairs"),
        ("a", TypeError, "rules must be a mapping, or pairs"),
        (["ab", "c"], TypeError, "rules must be a mapping, or pairs"),
        ([(3, "ones")], TypeError, "a pattern of names, a class of layers, or a function"),
        ([((), "ones")], TypeError, "must contain classes of layers"),
        ({"a": 3}, TypeError, "the rule 'a' must have an initializer"),
        ({"a": sb.HeNormal(seed=1)}, ValueError, "the rule 'a': .*must have no seed"),
        ({"a": "no_such"}, ValueError, "the rule 'a': "),
    ],
)
def test_bad_rules(rules, error, message):
    with pytest.raises(error, match=message):
        as_rules(rules)


def test_only_and_skip():
    assert selected(CANDIDATES, None, None) == [True] * 4
    assert selected(CANDIDATES, "a.*", "*.bias") == [True, False, False, False]
    assert selected(CANDIDATES, ["a.bias", Norm], None) == [False, True, True, False]
    assert selected(CANDIDATES, None, (Norm, Dense)) == [False] * 4
    assert selected(CANDIDATES, lambda name, tensor: tensor > 1, None) == [False, False, True, True]
    with pytest.raises(ValueError, match=r"only must select a tensor. Received: 'a.bais', .*near it: 'a.bias'"):
        selected(CANDIDATES, "a.bais", None)
    with pytest.raises(ValueError, match=r"skip must select a tensor"):
        selected(CANDIDATES, None, ["a.*", "x"])
    assert selected(CANDIDATES, "x", None, "ignore") == [False] * 4


def test_nearest_selectors():
    names = ["model.layers.0.attn.weight", "model.layers.0.attn.bias", "head.weight"]
    assert nearest_selectors("model.layer.*.attn.weight", names) == ["model.layers.*.attn.weight"]
    assert nearest_selectors("*.atn.wieght", names) == ["*.attn.weight"]
    assert nearest_selectors("hed.weight", names) == ["head.weight"]
    assert nearest_selectors("zzz", names) == []

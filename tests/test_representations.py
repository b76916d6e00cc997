"""Representations in a prompt and in a notebook."""

from html.parser import HTMLParser

import seedbed as sb
from seedbed.plan import load_plan, parse_plan


class Cells(HTMLParser):
    """Collects the texts of a table by row, and the tags that are open."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.caption, self.open = [], "", []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] == "caption":
            self.caption += data
        else:
            self.rows[-1][-1] += data


def test_a_notebook_shows_the_arguments_of_an_initializer():
    shown = Cells(sb.RandomNormal(stddev=0.02, seed=7)._repr_html_())
    assert shown.caption == "RandomNormal"
    assert shown.rows == [["mean", "0.0"], ["stddev", "0.02"], ["seed", "7"]]


def test_a_notebook_shows_no_markup_of_an_argument():
    shown = Cells(sb.HeNormal(seed=sb.SeedGenerator(1).child("<b>&"))._repr_html_())
    assert "<b>&" in dict(shown.rows)["seed"]


def test_a_notebook_shortens_a_long_argument():
    assert len(sb.Constant(list(range(10**5)))._repr_html_()) < 1000


def test_a_notebook_shows_a_lazy_array_without_evaluating_it():
    shown = dict(Cells(sb.HeNormal(seed=1).lazy((10**6, 10**6))._repr_html_()).rows)
    assert shown["shape"] == "(1000000, 1000000)"
    assert shown["bytes, once evaluated"] == "4,000,000,000,000"
    assert shown["cost of an index"] == "that of its elements"
    assert "whole" in sb.Orthogonal(seed=1).lazy((3, 3))._repr_html_()


def test_a_plan_is_shown_as_a_table():
    plan = load_plan("gpt2")
    assert repr(plan) == "<Plan of 148 tensors, 124,439,808 parameters, 497,759,232 bytes>"
    shown = Cells(plan._repr_html_())
    assert shown.caption == repr(plan)[1:-1]
    assert shown.rows[0] == ["name", "shape", "dtype", "initializer", "stddev", "source"]
    assert len(shown.rows) == 149


def test_a_notebook_shows_the_first_tensors_of_a_long_plan():
    text = '{"tensors": [{"name": "h.{0..299}.bias", "shape": [8], "initializer": "zeros"}]}'
    shown = Cells(parse_plan(text)._repr_html_())
    assert len(shown.rows) == 202
    assert shown.rows[-1][0] == "100 more"

"""The documentation and the package agree on names and files."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import seedbed as sb

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
FILE = re.compile(r"\b(?:src|python|tests|tools|benches|examples|fuzz)/[\w./*-]*\w")
NAME = re.compile(r"`(\w+)(?:\(([\w, ]*)\))?`")


def promised():
    """Return each name in the last column of the feature tables, with the arguments listed for it."""
    text = (DOCS / "initializers.md").read_text("utf-8").partition("## Formulas")[0]
    rows = [line.strip().split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert {len(row) for row in rows} == {10}
    for row in rows:
        for name, arguments in NAME.findall(row[-1]):
            yield name, tuple(arguments.split(", ")) if arguments else ()


PROMISED = sorted(set(promised()))


@pytest.mark.parametrize(("name", "arguments"), PROMISED)
def test_the_names_of_the_feature_table_exist(name, arguments):
    assert name in sb.__all__
    assert set(arguments) <= set(inspect.signature(getattr(sb, name)).parameters)


def test_every_initializer_is_in_the_table():
    public = {name for name in sb.__all__ if inspect.isclass(getattr(sb, name)) and not name.islower()}
    classes = {name for name in public if issubclass(getattr(sb, name), sb.Initializer)}
    assert classes - {name for name, _ in PROMISED} == {"Initializer", "RandomInitializer"}


def test_every_document_is_in_the_navigation_of_the_site():
    navigation = (ROOT / "zensical.toml").read_text("utf-8")
    named = re.findall(r'"([\w/-]+\.md)"', navigation)
    assert sorted(named) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_links_of_the_readme_work_on_pypi():
    """They are absolute, and their targets are in the tree."""
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(links) > 10
    for link in links:
        found = re.fullmatch(
            r"https://(?:seedbed\.github\.io/seedbed/([\w-]+)/"
            r"|(?:github\.com|raw\.githubusercontent\.com)/seedbed/seedbed/(?:blob/)?main/([\w./-]+))",
            link,
        )
        assert found, link
        assert (DOCS / f"{found[1]}.md" if found[1] else ROOT / found[2]).is_file(), link


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_file_that_a_page_names_exists(page):
    missing = [name for name in FILE.findall(page.read_text("utf-8")) if not any(ROOT.glob(name))]
    assert not missing


def test_docstrings_become_markdown_for_the_site():
    pytest.importorskip("griffe")
    command = [sys.executable, "-m", "doctest", "-v", str(ROOT / "tools" / "site_docstrings.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "as_markdown(" in done.stdout

"""`docs/safety.md` says where `unsafe` stands and what it rests on: so it is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BACKENDS = sorted((ROOT / "src" / "backend").glob("*.rs"))
PAGE = (ROOT / "docs" / "safety.md").read_text("utf-8")


def code_of(path):
    return re.sub(r"//.*", "", path.read_text("utf-8"))


def test_every_unsafe_is_in_the_inventory_and_nothing_else_is():
    listed = dict(re.findall(r"^\| `(src/\S+)` \| (\d+) \|", PAGE, re.MULTILINE))
    found = {path: len(re.findall(r"\bunsafe\b", code_of(path))) for path in (ROOT / "src").rglob("*.rs")}
    assert {path.relative_to(ROOT).as_posix(): str(count) for path, count in found.items() if count} == listed


@pytest.mark.parametrize("path", [path for path in BACKENDS if "unsafe" in code_of(path)], ids=lambda path: path.stem)
class TestBackend:
    """What is said of each backend that has instructions of its own."""

    def test_its_unsafe_is_one_macro(self, path):
        assert re.search(
            r"macro_rules! simd \{\s*\(\$call:expr\) => \{\s*unsafe \{ \$call \}\s*\};\s*\}", code_of(path)
        )

    def test_a_value_of_it_is_made_by_detection_alone(self, path):
        code = code_of(path)
        name = re.search(r"pub struct (\w+)\(\(\)\);", code).group(1)
        assert len(re.findall(r"\bSelf\(\(\)\)", code)) == 1
        assert not re.search(rf"(?<!struct )\b{name}\(\(\)\)", code)
        detect = re.search(r"pub fn detect\(\).*?\n    \}", code, re.DOTALL).group()
        assert "Self(())" in detect

    def test_it_detects_what_it_enables(self, path):
        code = code_of(path)
        detected = re.findall(r'is_x86_feature_detected!\("(\w+)"\)', code)
        assert detected
        for enabled in re.findall(r'target_feature\(enable = "(.*?)"\)', code):
            assert set(enabled.split(",")) == set(detected)

    def test_what_takes_a_pointer_is_a_load_a_store_or_a_gather(self, path):
        """And no gather is without the reduction of its indices."""
        code = code_of(path)
        instructions = set(re.findall(r"\b_mm\d*_\w+", code))
        pointed = {name for name in instructions if re.search("load|store|gather|maskz|prefetch|stream", name)}
        assert all(re.fullmatch(r"_mm\d*_(loadu|storeu|i64gather)_\w+", name) for name in pointed)
        for gather in re.findall(r"i64gather_\w+::<8>\(([^;]*?)table\.as_ptr\(\)\)", code):
            assert "within::<ROWS>(index)" in gather
        assert code.count("gather") == len(re.findall(r"i64gather_\w+::<8>\([^;]*?within::<ROWS>", code))

    def test_no_pointer_is_moved_and_no_bounds_are_skipped(self, path):
        assert not re.search(r"get_unchecked|from_raw_parts|transmute|\.add\(\d|\.offset\(|assume_init", code_of(path))

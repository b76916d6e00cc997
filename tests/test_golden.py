"""The values of every initializer in every dtype, frozen by the SHA-256 values in `golden/v1.json`."""

import inspect
import json

import pytest
from golden import make

import seedbed as sb

GOLDEN = json.loads(make.PATH.read_text("utf-8"))


def public_initializers():
    public = (getattr(sb, name) for name in sb.__all__)
    classes = {item for item in public if inspect.isclass(item) and issubclass(item, sb.Initializer)}
    return sorted((cls for cls in classes if not inspect.isabstract(cls)), key=lambda cls: cls.__qualname__)


def makes(initializer, dtype):
    try:
        initializer.as_dtype(dtype)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("case", make.CASES, ids=[repr(case[0]) for case in make.CASES])
def test_the_values_are_those_of_the_algorithm(case):
    for name, digest in make.digests(*case).items():
        assert digest == GOLDEN.get(name), name


def test_the_golden_file_has_exactly_the_values_of_the_cases():
    made = {name for case in make.CASES for name in make.tensors(*case)}
    assert GOLDEN.keys() == made


@pytest.mark.parametrize("cls", public_initializers())
def test_every_public_initializer_is_frozen_in_every_dtype(cls):
    cases = [(initializer, dtypes) for initializer, dtypes, *_ in make.CASES if type(initializer) is cls]
    assert cases, f"golden/make.py has no case for {cls.__qualname__}"
    covered = {dtype for _, dtypes in cases for dtype in dtypes}
    assert covered - {*make.FLOAT8} == {dtype for dtype in make.DTYPES if makes(cases[0][0], dtype)}


class TestMake:
    def test_adds_what_is_missing(self, tmp_path):
        make.update(tmp_path / "v1.json", {"a": "1"}, replace=False)
        make.update(tmp_path / "v1.json", {"a": "1", "b": "2"}, replace=False)
        assert json.loads((tmp_path / "v1.json").read_text("utf-8")) == {"a": "1", "b": "2"}

    @pytest.mark.parametrize("made", [{"a": "2"}, {"b": "2"}])
    def test_changes_values_only_with_replace(self, tmp_path, made):
        make.update(tmp_path / "v1.json", {"a": "1"}, replace=False)
        with pytest.raises(SystemExit, match=r"\na$"):
            make.update(tmp_path / "v1.json", made, replace=False)
        assert json.loads((tmp_path / "v1.json").read_text("utf-8")) == {"a": "1"}
        make.update(tmp_path / "v1.json", made, replace=True)
        assert json.loads((tmp_path / "v1.json").read_text("utf-8")) == made

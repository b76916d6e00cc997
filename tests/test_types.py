"""`programs/typed.py` passes strict mypy and pyright, and runs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import seedbed

PROGRAM = Path(__file__).parent / "programs" / "typed.py"
PACKAGE = Path(seedbed.__file__).parents[1]


def run(*command, cwd):
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


def test_the_program_runs(tmp_path):
    done = run(sys.executable, str(PROGRAM), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_mypy_accepts_the_program(tmp_path):
    pytest.importorskip("mypy")
    done = run(sys.executable, "-m", "mypy", "--strict", "--config-file=", str(PROGRAM), cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_mypy_refuses_wrong_types(tmp_path):
    pytest.importorskip("mypy")
    path = tmp_path / "wrong.py"
    path.write_text(
        "import seedbed as sb\nsb.HeNormal(seed=0.5)\nsb.RandomNormal('0')((3,))\nsb.Zeros()(shape=None)\nsb.tirch\n"
    )
    done = run(sys.executable, "-m", "mypy", "--strict", "--config-file=", str(path), cwd=tmp_path)
    assert [line.split(":")[1] for line in done.stdout.splitlines() if "error:" in line] == ["2", "3", "4", "5"]


@pytest.mark.parametrize("checker", ["pyright", "basedpyright"])
def test_pyright_accepts_the_program(tmp_path, checker):
    program = shutil.which(checker, path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip(f"{checker} is not installed")
    shutil.copy(PROGRAM, tmp_path / "typed.py")
    settings = {"typeCheckingMode": "strict", "include": ["."], "extraPaths": [str(PACKAGE)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = run(program, "--pythonpath", sys.executable, "-p", str(tmp_path), cwd=tmp_path)
    if done.returncode and "error" not in done.stdout:
        pytest.skip(f"{checker} does not run here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stdout

"""Build and check the distributions of a release: `make release`.

    python tools/release.py [--out DIR] [--python PYTHON ...] [--all-tests]

writes the source distribution and the wheel of this platform to DIR. It

1. builds the wheel from the unpacked source distribution, outside of a repository and without git,
2. checks the metadata, the contents, the platform tag and the symbols of both,
3. installs the wheel in a fresh environment of each CPython, without Rust, with the oldest and the newest NumPy,
4. runs the tests of the source distribution against it.

Nothing is uploaded.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The oldest NumPy that pyproject.toml allows, that has a wheel for this CPython, and that ml_dtypes supports.
OLDEST_NUMPY = {"3.10": "1.24.0", "3.11": "1.24.0", "3.12": "1.26.0", "3.13": "2.1.0", "3.14": "2.3.2"}
IN_SDIST = ("LICENSE", "README.md", "CHANGELOG.md", "Cargo.lock", "Cargo.toml", "pyproject.toml", "Makefile")
FOLDERS_IN_SDIST = ("benches", "docs", "examples", "python", "src", "tests", "tools")
IN_WHEEL = (
    "seedbed/__init__.py",
    "seedbed/_core.abi3.so",
    "seedbed/_core.pyi",
    "seedbed/py.typed",
    "seedbed/plan/schema.json",
)
# Tests of values, addresses and files, which may depend on the interpreter, NumPy and the platform.
TESTS = ("golden", "call", "lazy", "config", "checkpoint", "directory", "cli", "threads", "free_threading")


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command, and end the whole program if it fails."""
    print("$", *command, flush=True)
    subprocess.run([str(part) for part in command], cwd=cwd, env=env, check=True)


def fail(text: str) -> None:
    """End the program with an error."""
    raise SystemExit(f"release: {text}")


def versions(pythons: Sequence[str] | None) -> dict[str, str]:
    """Return interpreters by CPython version: the named ones, or all on the path and in pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    names = pythons or [
        *(f"python{version}" for version in OLDEST_NUMPY),
        *map(str, sorted(pyenv.glob("3.*/bin/python"))),
    ]
    found: dict[str, str] = {}
    for name in names:
        program = "import sys; print(*sys.version_info[:2], sep='.')"
        try:
            done = subprocess.run([name, "-c", program], capture_output=True, text=True)
        except FileNotFoundError:
            done = None
        version = done.stdout.strip() if done and not done.returncode else ""
        if version in OLDEST_NUMPY:
            found.setdefault(version, name)
        elif pythons:
            fail(f"{name} is not one of CPython {', '.join(OLDEST_NUMPY)}")
    return dict(sorted(found.items(), key=lambda item: int(item[0].partition(".")[2])))


def build(out: Path, scratch: Path) -> tuple[Path, Path, Path]:
    """Build and return the source distribution, the folder with its contents, and the wheel built from that folder."""
    run(sys.executable, "-m", "maturin", "sdist", "--out", out, cwd=ROOT)
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(scratch, filter="data")
    (unpacked,) = scratch.glob("seedbed-*")
    shadow = scratch / "no-git"
    shadow.mkdir()
    (shadow / "git").write_text("#!/bin/sh\necho 'git must not be needed' >&2\nexit 1\n")
    (shadow / "git").chmod(0o755)
    env = os.environ | {"PATH": f"{shadow}{os.pathsep}{os.environ['PATH']}"}
    run(
        sys.executable,
        "-m",
        "maturin",
        "build",
        "--release",
        "--compatibility",
        "pypi",
        "--out",
        out,
        cwd=unpacked,
        env=env,
    )
    (wheel,) = out.glob("*.whl")
    return sdist, unpacked, wheel


def check_contents(unpacked: Path, wheel: Path) -> None:
    """Check what the distributions contain, and the tag of the wheel."""
    missing = [name for name in (*IN_SDIST, *FOLDERS_IN_SDIST) if not (unpacked / name).exists()]
    if missing:
        fail(f"the source distribution lacks {', '.join(missing)}")
    names = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in IN_WHEEL if name not in names]
    for part in ("licenses/LICENSE", "sboms/"):
        if not any(f".dist-info/{part}" in name for name in names):
            missing.append(part)
    if missing:
        fail(f"the wheel lacks {', '.join(missing)}")
    if strange := [name for name in names if not name.startswith("seedbed") or "/tests/" in name]:
        fail(f"the wheel has files that are not the package's: {strange}")
    if "-cp310-abi3-" not in wheel.name:
        fail(f"the wheel must be for abi3 of CPython 3.10. Received: {wheel.name}")
    if sys.platform == "linux" and "manylinux" not in wheel.name and "musllinux" not in wheel.name:
        fail(f"the wheel must conform to manylinux. Received: {wheel.name}")


def environment(python: str, folder: Path, *packages: str) -> Path:
    """Create a new environment with packages, and return its interpreter."""
    run(python, "-m", "venv", folder)
    interpreter = folder / "bin" / "python"
    run(interpreter, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *packages)
    return interpreter


def without_rust() -> dict[str, str]:
    """Return the environment variables, with a path without Rust."""
    folders = os.environ["PATH"].split(os.pathsep)
    kept = [folder for folder in folders if not (Path(folder) / "cargo").exists()]
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return clean | {"PATH": os.pathsep.join(kept)}


def check_installed(python: str, numpy: str, wheel: Path, unpacked: Path, scratch: Path, tests: Sequence[str]) -> str:
    """Install the wheel and run the tests against it. Returns the last line of pytest."""
    packages = ["hypothesis", "jsonschema", "mpmath", "pytest", "rich", "safetensors", "ml_dtypes"]
    if numpy == "numpy":
        packages.append("scipy")  # no release of it supports the oldest NumPy
    interpreter = environment(python, scratch / f"{Path(python).name}-{numpy}", str(wheel), numpy, *packages)
    env = without_rust()
    if shutil.which("cargo", path=env["PATH"]):
        fail("Rust is still on the path")
    code = "import numpy, seedbed; print('seedbed', seedbed.__version__, 'NumPy', numpy.__version__, seedbed.__file__)"
    run(interpreter, "-c", code, cwd=scratch, env=env)
    run(
        interpreter.with_name("seedbed"),
        "init",
        "gpt2",
        "-o",
        scratch / "gpt2.safetensors",
        "--quiet",
        cwd=scratch,
        env=env,
    )
    run(
        interpreter.with_name("seedbed"),
        "verify",
        "gpt2",
        scratch / "gpt2.safetensors",
        "--quiet",
        cwd=scratch,
        env=env,
    )
    (scratch / "gpt2.safetensors").unlink()
    command = [str(interpreter), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    print("$", *command, flush=True)
    done = subprocess.run(command, cwd=unpacked, env=env, capture_output=True, text=True)
    last = done.stdout.strip().rpartition("\n")[2]
    print(last)
    if done.returncode:
        print(done.stdout[-5000:], done.stderr[-2000:], file=sys.stderr)
        fail(f"tests fail with {python} and {numpy}")
    return last


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, check, and print a summary."""
    parser = argparse.ArgumentParser(description="Build and check the distributions of a release.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "dist", help="folder for the distributions")
    parser.add_argument("--python", action="append", help="an interpreter to test with (default: all that are found)")
    parser.add_argument("--all-tests", action="store_true", help="all tests with each interpreter, not those of TESTS")
    options = parser.parse_args(arguments)
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        sdist, unpacked, wheel = build(options.out, scratch)
        built = time.monotonic() - started
        check_contents(unpacked, wheel)
        run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
        run(sys.executable, "-m", "abi3audit", "--strict", "--assume-minimum-abi3", "3.10", wheel)
        shutil.rmtree(unpacked / "python")  # so that the tests import the installed package
        paths = ["tests"] if options.all_tests else [f"tests/test_{name}.py" for name in TESTS]
        rows = []
        for version, python in versions(options.python).items():
            for numpy in (f"numpy=={OLDEST_NUMPY[version]}", "numpy"):
                rows.append((version, numpy, check_installed(python, numpy, wheel, unpacked, scratch, paths)))
    if not rows:
        fail("no CPython was found to test with")
    print(f"\nbuilt in {built:.0f} s, checked in {time.monotonic() - started - built:.0f} s")
    for path in (sdist, wheel):
        print(f"{path.stat().st_size:>12,} bytes  {path}")
    for row in rows:
        print("CPython {}  {:16}  {}".format(*row))


if __name__ == "__main__":
    main()

"""The benchmark runs and writes a complete page. The tests ignore its timings."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def bench(*arguments, **env):
    command = [sys.executable, ROOT / "benches" / "bench.py", *arguments]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **env})


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Return the output of a quick run in which mkl_random can't be imported."""
    absent = tmp_path_factory.mktemp("absent")
    (absent / "mkl_random.py").write_text("raise ImportError('it is not here')")
    folder = tmp_path_factory.mktemp("output")
    path = os.pathsep.join([str(absent), os.environ.get("PYTHONPATH", "")])
    bench("--quick", "--rivals", "NumPy", "np.full", "mkl_random", "--output", folder, PYTHONPATH=path)
    return folder


def test_a_quick_run_writes_a_page_and_a_picture(output):
    page = (output / "benchmarks.md").read_text(encoding="utf-8")
    for row in ("| seedbed | 1.00 | 1.00 |", "| NumPy |", "| np.full |", "| import seedbed |", "12 tensors of GPT-2"):
        assert row in page
    assert (output / "benchmarks.png").read_bytes().startswith(b"\x89PNG")


def test_every_result_of_seedbed_is_compared(output):
    figures = json.loads((output / "benchmarks.json").read_text(encoding="utf-8"))
    ours = sum(name.startswith("seedbed") for times in figures["seconds"].values() for name in times)
    assert figures["compared"] == ours >= 2 * len(figures["seconds"])


def test_wrong_values_end_the_run(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benches")
    from cases import Case
    from results import Results
    from rivals import BY_NAME, FULL, OURS
    from rounds import QUICK_PACE, Process, Rounds

    with closing(Process(BY_NAME[OURS])) as ours, closing(Process(BY_NAME[FULL])) as other:
        rounds = Rounds(Results(quick=True, whole=False, command="", machine={}), QUICK_PACE, [ours], other)
        with pytest.raises(SystemExit, match="seedbed made wrong values: normal, 64x64, float32"):
            rounds.measure([Case("normal", (64, 64))])


def test_a_missing_competitor_is_left_out_and_named(output):
    assert "| mkl_random | ImportError: it is not here |" in (output / "benchmarks.md").read_text(encoding="utf-8")


def test_equal_results_give_an_equal_page(output):
    page = (output / "benchmarks.md").read_text(encoding="utf-8")
    (output / "benchmarks.md").unlink()
    bench("--render", "--output", output)
    assert (output / "benchmarks.md").read_text(encoding="utf-8") == page

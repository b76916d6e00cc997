"""Golden values recomputed from the specification in plain Python, without importing the package."""

import re
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent / "golden" / "recompute.py"


def test_the_specification_gives_the_golden_values():
    """All distributions, dtypes and kinds of seed. `recompute.py --all` includes larger tensors."""
    program = f"runpy.run_path({str(PROGRAM)!r})['main']([])"
    without = f"import runpy, sys; sys.modules['seedbed'] = None; {program}"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, timeout=600)
    same, of = re.fullmatch(r"(\d+) of (\d+) golden values recomputed\n", done.stdout).groups()
    assert int(same) == int(of) >= 100, done.stdout

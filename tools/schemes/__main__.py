"""Write docs/schemes.md, or draw its picture.

python -m tools.schemes page docs/schemes.md
python -m tools.schemes plot docs/schemes.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from .page import page


def main(what: str, path: str) -> None:
    if what == "page":
        Path(path).write_text(page(), encoding="utf-8")
    elif what == "plot":
        from .depth import picture  # needs torch and matplotlib

        picture(path)
    else:
        raise SystemExit(f"what to make must be page or plot. Received: {what}")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Make docs/schemes.md, or the picture in it.

python -m tools.schemes page docs/schemes.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from .page import page


def main(what: str, path: str) -> None:
    if what != "page":
        raise SystemExit(f"what to make must be page. Received: {what}")
    Path(path).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""``python -m seedbed`` is the command ``seedbed``."""

from seedbed.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

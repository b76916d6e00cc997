"""Write the plans that come with seedbed, from the configurations in tools/plans.

python tools/shipped_plans.py
"""

from __future__ import annotations

from pathlib import Path

import seedbed.transformers

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "tools" / "plans"
PLANS = ROOT / "python" / "seedbed" / "plans"


def main() -> None:
    for path in sorted(CONFIGS.glob("*.json")):
        plan = seedbed.transformers.plan_of(path)
        (PLANS / path.name).write_text(plan.to_json(), encoding="utf-8")
        print(f"{path.stem}: {len(plan.tensors):,} tensors, {plan.parameters:,} parameters")


if __name__ == "__main__":
    main()

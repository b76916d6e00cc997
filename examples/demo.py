"""Write GPT-2 to disk and read it back: `make demo`.

    python examples/demo.py FOLDER

The program writes the plan of GPT-2 small to FOLDER and reads the file with the safetensors library. It compares every
tensor with one made in memory, and verifies the file as `seedbed verify` does. Then it writes the file again with other
numbers of threads, and checks that the SHA-256 does not change.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open

import seedbed
from seedbed import cli
from seedbed.checkpoint import verify_checkpoint, write_checkpoint
from seedbed.plan import Plan, load_plan

SEED = 42


def compare(path: Path, plan: Plan) -> None:
    """Compare every tensor of the file with the one that its initializer returns in memory."""
    generator = seedbed.SeedGenerator(SEED)
    with safe_open(path, "numpy") as file:
        if sorted(file.keys()) != sorted(tensor.name for tensor in plan.tensors):
            raise SystemExit("the names in the file must be those of the plan")
        for tensor in plan.tensors:
            fresh = tensor.initializer.with_seed(generator.child(tensor.name))(tensor.shape, tensor.dtype)
            if not np.array_equal(file.get_tensor(tensor.name), fresh):
                raise SystemExit(f"{tensor.name} in the file differs from {tensor.name} in memory")
    print(f"read with safetensors: {len(plan.tensors)} tensors, each equal to one made in memory")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def main(folder: str) -> None:
    """Write, compare, verify, write again."""
    path = Path(folder) / "gpt2.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    if cli.main(["init", "gpt2", "-o", str(path), "--seed", str(SEED)]):
        raise SystemExit(1)
    plan = load_plan("gpt2")
    compare(path, plan)
    first = sha256_of(path)
    found = verify_checkpoint(plan, path)
    if found.different or found.seed != SEED or found.sha256 != first:
        raise SystemExit(f"the file is not verified: {found}")
    print(f"verified with the seed that the file records: {found.seconds:.2f} seconds, every bit")
    for threads in (1, 2, 3):
        seedbed.set_num_threads(threads)
        summary = write_checkpoint(plan, path, seed=SEED)
        if summary.sha256 != first:
            raise SystemExit(f"the SHA-256 must be {first}. Received with {threads} threads: {summary.sha256}")
        print(f"written again with threads={threads}: {summary.seconds:.2f} seconds, the same SHA-256")


if __name__ == "__main__":
    main(sys.argv[1])

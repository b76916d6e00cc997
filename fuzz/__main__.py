"""Run libFuzzer on plans or configurations, with its own options: `python fuzz plan CORPUS -max_total_time=60`."""

import random
import sys

import atheris

with atheris.instrument_imports(include=["seedbed"]):
    import documents

CHECKS = {"plan": documents.check_plan, "config": documents.check_config}


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Mutate bytes as a JSON document in four of five cases, and otherwise as libFuzzer does."""
    choose = random.Random(seed)
    if choose.random() < 0.2:
        return atheris.Mutate(data, most)
    return documents.mutation(choose, text_of(data)).encode("utf-8", "surrogateescape")[:most]


def text_of(data: bytes) -> str:
    """Return bytes as text. Bytes that are not UTF-8 become lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    name = sys.argv.pop(1)
    check = CHECKS[name]
    atheris.Setup(sys.argv, lambda data: check(text_of(data)), custom_mutator=mutate)
    atheris.Fuzz()

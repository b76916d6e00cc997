"""Plans and configurations under libFuzzer, whose options follow: `python fuzz plan CORPUS -max_total_time=60`."""

import random
import sys

import atheris

with atheris.instrument_imports(include=["seedbed"]):
    import documents

CHECKS = {"plan": documents.check_plan, "config": documents.check_config}


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """As a document most of the time, else as libFuzzer does, which knows nothing of JSON."""
    choose = random.Random(seed)
    if choose.random() < 0.2:
        return atheris.Mutate(data, most)
    return documents.mutation(choose, text_of(data)).encode("utf-8", "surrogateescape")[:most]


def text_of(data: bytes) -> str:
    """Bytes that are no UTF-8 become lone surrogates, which a text may hold."""
    return data.decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    name = sys.argv.pop(1)
    check = CHECKS[name]
    atheris.Setup(sys.argv, lambda data: check(text_of(data)), custom_mutator=mutate)
    atheris.Fuzz()

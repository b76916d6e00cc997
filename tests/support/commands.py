"""A plan for commands, and the table that they print."""

import re

ONES = {"tensors": [{"name": name, "shape": [100], "initializer": "ones"} for name in "abcd"]}


def table_of(text):
    return dict(re.split(r"  +", line, maxsplit=1) for line in text.splitlines())

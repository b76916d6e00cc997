"""Headers of files by other writers: read if they follow the format, else refused."""

import json
import math
import os
import random
import tracemalloc

import pytest
from documents import loop
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from test_verify import PLAN, file_of, plan_of

from seedbed.checkpoint import verify_checkpoint, write_checkpoint
from seedbed.checkpoint.header import BITS, read_header

ONE = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
DATA = bytes(8)


def entry(**changes):
    return {"a": {**ONE["a"], **changes}}


def places(*offsets):
    return {
        str(i): {"dtype": "U8", "shape": [stop - start], "data_offsets": [start, stop]}
        for i, (start, stop) in enumerate(offsets)
    }


DEEP = b'{"a":' + b"[" * 10**6
HOSTILE = [
    (b"", "must be a safetensors file. Received: an empty file"),
    (b"1234567", "in 8 bytes. Received: 7 bytes"),
    (bytes(8), "a header must be a JSON object. Received: the end of the header at character 0"),
    ((1).to_bytes(8, "little"), "must end within its file. Received: a header of 1 bytes in a file of 8"),
    ((10**8).to_bytes(8, "little") + b"{}", "must end within its file"),
    ((10**8 + 1).to_bytes(8, "little") + b"{}", "must have at most 100000000 bytes. Received: 100000001"),
    (b"\xff" * 8 + b"{}", "must have at most 100000000 bytes. Received: 18446744073709551615"),
    (file_of(ONE, DATA)[:-1], "Received: 8 bytes of tensors, and 7 in the file"),
    (file_of(ONE, DATA) + b"\0", "Received: 8 bytes of tensors, and 9 in the file"),
    (file_of(ONE), "Received: 8 bytes of tensors, and 0 in the file"),
    (file_of({}, DATA), "Received: 0 bytes of tensors, and 8 in the file"),
    (file_of(b'{"\xff":1}'), "must be UTF-8. Received: 0xff at byte 2"),
    (file_of(b"\xef\xbb\xbf{}"), "must be a JSON object. Received"),
    (file_of("{}".encode("utf-16-le")), "must be JSON"),
    (file_of(b" {}"), "must be a JSON object"),
    (file_of(b"[]"), "must be a JSON object"),
    (file_of(b"null"), "must be a JSON object"),
    (file_of(b'"{}"'), "must be a JSON object"),
    (file_of(b"{"), 'must be JSON, an object of objects. Received: the end of the header at character 1 instead of "'),
    (file_of(b"{,}"), "must be JSON"),
    (file_of(b"{a:1}"), "must be JSON"),
    (file_of(b"{}{}"), "must end with its object. Received"),
    (file_of(b"{}\0"), "must end with its object"),
    (file_of(b'{"a'), "must be JSON. Received: invalid JSON: Unterminated string"),
    (file_of(b'{"a\n":1}'), "must be JSON. Received: invalid JSON: Invalid control character"),
    (file_of(b'{"\\x":1}'), "must be JSON. Received: invalid JSON: Invalid \\escape"),
    (file_of(b'{"a":1}'), '"a": the entry of a tensor must be an object'),
    (file_of(b'{"a":null}'), "must be an object"),
    (file_of(b'{"a":[{}]}'), "must be an object"),
    (file_of(b'{"a":{}}'), 'must have the key "dtype". Received: {}'),
    (file_of(b'{"a":{"dtype"}}'), '"a": the entry of a tensor must be JSON. Received: invalid JSON'),
    (file_of(b'{"a":' + json.dumps(ONE["a"]).encode() + b",}"), "must be JSON"),
    (file_of(b'{"a":' + json.dumps(ONE["a"]).encode() + b',"a":' + json.dumps(ONE["a"]).encode() + b"}"), "key once"),
    (file_of(b'{"__metadata__":{},"__metadata__":{}}'), "an object must have each key once"),
    (file_of(b'{"__metadata__":{"a":"","a":""}}'), "an object must have each key once"),
    (file_of(b'{"a":{"dtype":"F32","dtype":"F32"}}'), "an object must have each key once"),
    (file_of({"__metadata__": {"a": 1}}), "must be JSON, an object of objects. Received"),
    (file_of({"__metadata__": {"a": {"b": ""}}}), "must be JSON"),
    (file_of({"__metadata__": []}), "must be JSON"),
    (file_of({"__metadata__": None}), "must be JSON"),
    (file_of(DEEP), "must be an object"),
    (file_of(b'{"a":' * 10**6), "the entry of a tensor must be an object"),
    (file_of(b'{"__metadata__":' * 10**6), "must be JSON"),
    (file_of(b'{"a":{"shape":' + b"[" * 4000 + b"]" * 10 + b"}}"), '"a": '),
    (file_of(b'{"a":{"shape":' + b"[" * 2000 + b"]" * 2000 + b"}}"), '"a": '),
    (file_of(entry(more=1), DATA), 'must be among dtype, shape, data_offsets. Received: "more"'),
    (file_of({"a": {"dtype": "F32", "shape": [2]}}, DATA), 'must have the key "data_offsets"'),
    (file_of({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, DATA), 'must have the key "shape"'),
    (file_of(entry(dtype="F33"), DATA), 'a dtype must be one of BF16, F16, F32, .*. Received: "F33"'),
    (file_of(entry(dtype="float32"), DATA), "a dtype must be one of"),
    (file_of(entry(dtype=["F32"]), DATA), "a dtype must be a string"),
    (file_of(entry(dtype=None), DATA), "a dtype must be a string"),
    (file_of(entry(shape=2), DATA), "a shape must be a list of integers. Received: 2"),
    (file_of(entry(shape=[2.0]), DATA), "a shape must be a list of integers"),
    (file_of(entry(shape=[True, 2]), DATA), "a shape must be a list of integers"),
    (file_of(entry(shape=["2"]), DATA), "a shape must be a list of integers"),
    (file_of(entry(shape=[[2]]), DATA), "a shape must be a list of integers"),
    (file_of(entry(shape=[-1, -2]), DATA), "must not be negative"),
    (file_of(entry(shape=[10**19] * 64), DATA), "data_offsets must be two"),
    (file_of(entry(shape=[0, 10**19]), DATA), "data_offsets must be two"),
    (file_of(entry(shape=[1] * 5000), DATA), "of at most 4096 characters"),
    (file_of(entry(shape=[2**62, 4]), DATA), "data_offsets must be two"),  # 0 modulo 2**64
    (file_of(entry(shape=[3]), DATA), "data_offsets must be two"),
    (file_of(b'{"a":{"shape":[' + b"9" * 4000 + b"]}}"), "an integer must have at most 20 digits"),
    (file_of(b'{"a":{"shape":[1e5]}}'), 'must have the key "dtype"'),
    (file_of(b'{"a":{"shape":[NaN]}}'), "a number must be finite. Received: NaN"),
    (file_of(b'{"a":{"shape":[1e999]}}'), "a number must be finite"),
    (file_of(entry(data_offsets=8), DATA), "data_offsets must be a list of integers"),
    (file_of(entry(data_offsets=[8]), DATA), "data_offsets must be two"),
    (file_of(entry(data_offsets=[0, 4, 8]), DATA), "data_offsets must be two"),
    (file_of(entry(data_offsets=[0.0, 8]), DATA), "data_offsets must be a list of integers"),
    (file_of(entry(data_offsets=[8, 0]), DATA), "data_offsets must be two"),
    (file_of(entry(data_offsets=[-8, 0]), DATA), "must not be negative"),
    (file_of(entry(data_offsets=[2**64, 2**64 + 8]), DATA), "must start at the end of the previous one"),
    (file_of(entry(data_offsets=[8, 16]), DATA), 'Received: "a" at byte 8 instead of 0'),
    (file_of(entry(dtype="F4", shape=[3], data_offsets=[0, 1]), DATA), "data_offsets must be two"),
    (file_of(places((0, 5), (4, 8)), DATA), 'Received: "1" at byte 4 instead of 5'),
    (file_of(places((0, 3), (4, 8)), DATA), 'Received: "1" at byte 4 instead of 3'),
    (file_of(places((0, 8), (0, 8)), DATA), 'Received: "1" at byte 0 instead of 8'),
    (file_of(places((0, 8), (3, 3)), DATA), "at byte 3 instead of"),
    (file_of(places((0, 4), (4, 10**15)), DATA), "Received: 1000000000000000 bytes of tensors, and 8 in the file"),
]


class TestHostileFiles:
    @pytest.mark.parametrize(("content", "message"), HOSTILE, ids=range(len(HOSTILE)))
    def test_are_a_value_error_of_one_line(self, path, content, message):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="Received: ") as caught:
            verify_checkpoint(PLAN, path, seed=0)
        error = str(caught.value)
        if ".*" in message:
            before, after = message.split(".*")
            assert error.startswith(f'"a": {before}')
            assert error.endswith(after)
        else:
            assert message in error
        assert "\n" not in error
        assert len(error) < 500
        assert type(caught.value) is ValueError

    def test_a_valid_one_is_read(self, path):
        path.write_bytes(file_of(ONE, DATA))
        assert not verify_checkpoint(
            plan_of({"name": "a", "shape": [2], "initializer": "zeros"}), path, seed=0
        ).different

    def test_every_dtype_of_the_format_is_known(self, path):
        entries, end = {}, 0
        for dtype, bits in BITS.items():
            entries[dtype] = {"dtype": dtype, "shape": [4, 2], "data_offsets": [end, end + bits]}
            end += bits
        path.write_bytes(file_of(entries, bytes(end)))
        assert verify_checkpoint(plan_of(), path, seed=0).different == len(BITS) == 22
        plan = plan_of({"name": "C64", "shape": [4, 2]})
        assert '"C64" expected float32 [4, 2], found C64 [4, 2]' in map(
            str, verify_checkpoint(plan, path, seed=0).differences
        )

    @pytest.mark.parametrize("metadata", [False, True])
    def test_of_more_tensors_than_a_plan_has_are_refused(self, path, monkeypatch, metadata):
        monkeypatch.setattr("seedbed.checkpoint.header.MAX_KEYS", 100)
        keys = {str(i): "" if metadata else {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(101)}
        path.write_bytes(file_of({"__metadata__": keys} if metadata else keys))
        with pytest.raises(ValueError, match=r"must have at most 100 keys\. Received: more"):
            verify_checkpoint(PLAN, path, seed=0)

    @pytest.mark.parametrize(
        "text", [b'{"a":' + b"[],[" * 10**6, b'{"a":"' + b"\\" * 10**6, b'{"a' * 10**6, b" " * 10**6, b"{" * 10**6]
    )
    def test_take_a_few_times_the_memory_of_their_headers(self, path, text):
        path.write_bytes(file_of(text))
        tracemalloc.start()
        with pytest.raises(ValueError, match="Received"):
            verify_checkpoint(PLAN, path, seed=0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 5 * len(text) + (1 << 20)

    def test_that_declare_more_than_they_contain_take_no_memory(self, path):
        path.write_bytes((10**8).to_bytes(8, "little") + b"{" * 100)
        tracemalloc.start()
        with pytest.raises(ValueError, match="within its file"):
            verify_checkpoint(PLAN, path, seed=0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1 << 20

    @pytest.mark.parametrize("change", ["shorter", "longer"])
    def test_that_change_while_they_are_read_are_an_error(self, path, monkeypatch, change):
        plan = plan_of({"name": "a", "shape": [3 << 20]}, {"name": "b", "shape": [1 << 20]})
        write_checkpoint(plan, path)
        size = path.stat().st_size
        with pytest.raises(
            ValueError, match=f"must not change while it is verified. Received: a file that became {change}"
        ):
            verify_checkpoint(
                plan, path, progress=lambda _: os.truncate(path, size - 5 if change == "shorter" else size + 1)
            )


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
sizes = st.sampled_from([0, 1, 2, 8, 2**31, 2**63, 2**64 - 8]) | st.integers(-3, 20) | scalars
entries = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from([*BITS, "F31"]) | scalars,
        "shape": st.lists(sizes, max_size=4) | scalars,
        "data_offsets": st.lists(sizes, max_size=3) | scalars,
        "more": scalars,
    },
)
headers = st.dictionaries(st.text(max_size=3) | st.just("__metadata__"), entries | scalars, max_size=4)


def reading(content):
    """Return the header of a file, or None if the file is refused with a documented error."""
    read = 0

    def take(count):
        nonlocal read
        read += count
        assert read <= len(content), "no more is read than there is"
        return content[read - count : read]

    try:
        header = read_header(take, len(content))
    except ValueError as refusal:
        if type(refusal) is not ValueError or "Received: " not in str(refusal) or "\n" in str(refusal):
            raise AssertionError from refusal
        return None
    end = 0
    for entry in header.entries:
        assert entry.start == end
        assert math.prod(entry.shape) * BITS[entry.dtype] == 8 * (entry.stop - entry.start)
        end = entry.stop
    assert read + end == len(content)
    return header


arbitrary = settings(max_examples=300)


@arbitrary
@given(headers, st.integers(0, 40))
def test_any_header_is_read_or_refused(header, size):
    reading(file_of(header, bytes(size)))


@arbitrary
@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_read_or_refused(content, framed):
    reading(file_of(content) if framed else content)


VALID = file_of(
    {
        "__metadata__": {"format": "pt", "seedbed.seed": "-12", "größe": 'a"\\b'},
        "h.0.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "h.0.bias": {"dtype": "BF16", "shape": [], "data_offsets": [24, 26]},
        "none": {"dtype": "F64", "shape": [0, 3], "data_offsets": [26, 26]},
        "five": {"dtype": "I8", "shape": [5], "data_offsets": [26, 31]},
    },
    bytes(31),
)
TOKENS = [b"", b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"-", b"1", b"0", b"e9", b"\xff", b"\0", b" ", b"null"]
TOKENS += [b"9" * 30, b'"a":{}', b'\\u0000"', b'"__metadata__":', b"[[[[", b"18446744073709551616", b"true", b"0.5"]


def mutated(choose, content):
    """Replace, remove or repeat some bytes of a file, and usually correct the length of its header."""
    length = int.from_bytes(content[:8], "little")
    text, data = content[8 : 8 + length], content[8 + length :]
    for _ in range(choose.randrange(0, 4)):
        at, cut = choose.randrange(len(text) + 1), choose.choice([0, 0, 1, 1, 2, 5, 40])
        text = text[:at] + choose.choice([*TOKENS, text[at : at + 60]]) + text[at + cut :]
    if choose.random() < 0.2:
        data = data[: choose.randrange(40)] + bytes(choose.randrange(3))
    prefix = choose.choice([0, 1, -1, 2**63, 10**8]) if choose.random() < 0.1 else 0
    return ((len(text) + prefix) % 2**64).to_bytes(8, "little") + text + data


def test_any_mutation_of_a_header_is_read_or_refused():
    loop(lambda case, choose: mutated(choose, VALID), reading, seconds=2)


def test_headers_are_read_and_refused_as_by_safetensors(path):
    for case in range(400):
        content = mutated(random.Random(case), VALID)
        path.write_bytes(content)
        try:
            theirs = {name: array.shape for name, array in load_file(path).items()}
        except Exception:
            theirs = None
        ours = reading(content)
        if b"-0" not in content:  # 0 here
            assert (ours and {entry.name: entry.shape for entry in ours.entries}) == theirs


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"a":%s,"a":%s}', "an object must have each key once"),
        ('{"__metadata__":{"a":"1","a":"2"},"a":%s}', "an object must have each key once"),
        ('{"__metadata__":null,"a":%s}', "must be JSON, an object of objects"),
    ],
)
def test_a_header_that_breaks_the_format_is_refused(path, text, rule):
    path.write_bytes(file_of(text.replace("%s", json.dumps(ONE["a"])).encode(), DATA))
    assert list(load_file(path)) == ["a"]
    with pytest.raises(ValueError, match=rule):
        verify_checkpoint(PLAN, path, seed=0)

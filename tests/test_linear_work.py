"""The work for many small tensors grows as their number does.

Work is counted in calls and resumptions of Python functions, which no load of the machine changes.
"""

import gc
import json
import shutil
import sys
from functools import partial

import pytest

from seedbed import SeedGenerator, cli
from seedbed.checkpoint import verify_checkpoint, write_directory
from seedbed.checkpoint.header import Entry, Header, encode_header, read_header
from seedbed.plan import parse_plan

FEW, TIMES = 100, 8
"""Number of tensors in the small case, and the factor by which the large case has more."""

TOLERANCE = 1.1
"""Largest allowed ratio of work to tensors. Linear work stays below it, since a constant part lowers the ratio;
one step for each pair of tensors raises it to 2 to 6."""


def plan_text(count):
    names = [f"layers.{i}.{part}" for i in range(count // 2) for part in ("weight", "bias")]
    defaults = [{"pattern": "*.weight", "initializer": "he_normal"}, {"pattern": "*", "initializer": "zeros"}]
    return json.dumps({"defaults": defaults, "tensors": [{"name": name, "shape": [2, 3]} for name in names]})


def steps_of(work):
    """Count the calls and resumptions of Python functions."""
    steps = 0

    def count(frame, event, argument):
        nonlocal steps
        steps += event == "call"

    gc.disable()  # finalizers would be counted
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return steps


def assert_linear(work_for):
    """Check that work is linear. `work_for(count)` prepares `count` tensors and returns the measured function."""
    work_for(FEW)()  # imports and caches
    few, many = steps_of(work_for(FEW)), steps_of(work_for(FEW * TIMES))
    assert many > few * TIMES / 2, "what is counted is not the work"
    assert many <= few * TIMES * TOLERANCE


def command(verb, tmp_path):
    def work_for(count):
        plan, file = tmp_path / f"{count}.json", str(tmp_path / f"{count}.safetensors")
        plan.write_text(plan_text(count))
        init = ["init", str(plan), "-o", file]
        if verb == "init":
            return lambda: cli.main(init)
        assert cli.main(init) == 0
        return lambda: cli.main(["verify", str(plan), file])

    return work_for


@pytest.mark.parametrize("verb", ["init", "verify"])
def test_a_command_without_a_terminal_is_linear(verb, tmp_path, capsys):
    assert_linear(command(verb, tmp_path))


@pytest.mark.parametrize("verb", ["init", "verify"])
def test_a_command_on_a_terminal_is_linear(verb, tmp_path, capsys, monkeypatch):
    pytest.importorskip("rich")
    from rich.progress import Progress

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(Progress, "refresh", lambda bar: None)  # redrawn several times a second, by the clock
    assert_linear(command(verb, tmp_path))


def test_a_plan_is_read_in_linear_work():
    assert_linear(lambda count: partial(parse_plan, plan_text(count)))


def test_shards_are_written_resumed_and_verified_in_linear_work(tmp_path):
    """Shards of sixteen tensors: the number of shards grows with the number of tensors."""

    def work_for(count):
        folder, plan = tmp_path / str(count), parse_plan(plan_text(count))

        def write_and_verify():
            for resume in (False, True):
                write_directory(plan, folder, seed=7, max_shard_size=16 * 24, resume=resume)
            assert verify_checkpoint(None, folder).different == 0
            shutil.rmtree(folder)

        return write_and_verify

    assert_linear(work_for)


@pytest.mark.parametrize("name", ["layers.{0}.weight", "{0}", "{1}.{0}.b.{0}", "{0}.{0}.{0}.{0}.{0}", "{2}.{1}.{0}x"])
def test_a_plan_is_written_as_json_in_linear_work(name):
    def work_for(count):
        names = [name.format(i, i % 3, i // 7) for i in range(count)]
        tensors = [{"name": name, "shape": [2, 3], "initializer": "zeros"} for name in names]
        return parse_plan(json.dumps({"tensors": tensors})).to_json

    assert_linear(work_for)


def test_ranges_of_names_are_expanded_in_linear_work():
    def work_for(count):
        entries = [{"name": f"h.{{1..{count // 20}}}.{j}", "shape": [2], "initializer": "zeros"} for j in range(20)]
        return partial(parse_plan, json.dumps({"tensors": entries}))

    assert_linear(work_for)


def test_tied_names_are_compared_in_linear_work(tmp_path):
    """A file may have one of several tied tensors, and the names of the others in its metadata."""

    def work_for(count):
        path, plan = tmp_path / f"{count}.safetensors", parse_plan(plan_text(count).replace("he_normal", "zeros"))
        first, *others = plan.tensors
        metadata = {tensor.name: first.name for tensor in others}
        content = encode_header(Header(metadata, (Entry(first.name, "F32", (2, 3), 0, 24),)))
        path.write_bytes(content + bytes(24))

        def verify():
            assert verify_checkpoint(plan, path, seed=1).different == 0

        return verify

    assert_linear(work_for)


def test_a_header_is_written_and_read_in_linear_work():
    def work_for(count):
        header = Header({}, tuple(Entry(f"tensor.{i}", "F32", (2, 3), 24 * i, 24 * i + 24) for i in range(count)))

        def there_and_back():
            content = encode_header(header)
            places = iter([content[:8], content[8:]])
            assert read_header(lambda size: next(places), len(content) + 24 * count) == header

        return there_and_back

    assert_linear(work_for)


def test_a_model_of_torch_is_initialized_in_linear_work():
    torch = pytest.importorskip("torch")
    import seedbed.torch

    def work_for(count):
        layers = [torch.nn.Linear(2, 3, device="meta") for _ in range(count // 2)]
        return lambda: seedbed.torch.initialize_(torch.nn.Sequential(*layers), {"*.bias": "zeros"}, seed=42)

    assert_linear(work_for)


def test_deep_children_cost_no_more_than_shallow_ones():
    def work_for(count):
        def descend():
            generator = SeedGenerator(42)
            for i in range(count):
                generator = generator.child(str(i))

        return descend

    assert_linear(work_for)

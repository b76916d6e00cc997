import hashlib
import json
import time

import pytest
from hypothesis import HealthCheck, settings
from support.commands import ONES
from support.directories import PLAN

import seedbed
from seedbed.checkpoint import write_directory

# Examples are the same every time, and a slow machine fails no test.
settings.register_profile("seedbed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("seedbed")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def hash_slowly(monkeypatch):
    """Return a function that makes SHA-256 slow and returns the list of the lengths hashed from then on."""
    hashed = []

    class Slow:
        def update(self, piece):
            hashed.append(len(piece))
            time.sleep(0.01)

    def slow_down():
        monkeypatch.setattr(hashlib, "sha256", Slow)
        return hashed

    return slow_down


@pytest.fixture
def output(path):
    """Return the path of the file that a command writes."""
    return path


@pytest.fixture
def plan(tmp_path):
    """Return the path of a plan for a command, `ONES`."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(ONES))
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Return the path of a directory of shards."""
    return tmp_path / "out"


@pytest.fixture
def written(folder):
    """Write `PLAN` to `folder`, in four shards."""
    return write_directory(PLAN, folder, seed=7, max_shard_size=400)


@pytest.fixture(params=[1, 8])
def threads(request):
    """Set the number of threads. With eight, four files are in flight at once."""
    before = seedbed.get_num_threads()
    seedbed.set_num_threads(request.param)
    yield request.param
    seedbed.set_num_threads(before)

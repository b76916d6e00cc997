import hashlib
import time

import pytest
from hypothesis import HealthCheck, settings

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

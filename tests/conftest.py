import hashlib
import time

import pytest


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def hash_slowly(monkeypatch):
    """From the call on SHA-256 takes its time, and the list that is returned tells the lengths of what it was given."""
    hashed = []

    class Slow:
        def update(self, piece):
            hashed.append(len(piece))
            time.sleep(0.01)

    def begin():
        monkeypatch.setattr(hashlib, "sha256", Slow)
        return hashed

    return begin

"""Checkpoints at URLs: on an S3 server in its own process, and in the memory file system of fsspec."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seedbed.checkpoint import object_store, verify_checkpoint, write_checkpoint, write_directory
from seedbed.checkpoint.listing import tensors_of
from seedbed.cli import main
from seedbed.plan import parse_plan

pytest.importorskip("upath")

PROGRAM = Path(__file__).parent / "programs" / "s3_server.py"
PLAN = parse_plan(
    json.dumps({"tensors": [{"name": f"w{i}", "shape": [1000, 1600], "initializer": "he_normal"} for i in range(6)]})
)
RUN = {"seed": 7, "max_shard_size": "20MB"}
SHARDS = 2
"""Each is uploaded in two parts."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the SHA-256 of each file of a directory on a disk."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    write_directory(PLAN, folder, **RUN)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def hashes_at(url):
    path = object_store.path_of(url)
    return {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in object_store.names_in(path)}


def answers(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return the address of an S3 server, and the file that controls its faults."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    folder = tmp_path_factory.mktemp("s3")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    faults = folder / "faults"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, PROGRAM, str(port), faults], stdout=log, stderr=log)
    deadline = time.monotonic() + 300
    while not answers(port):
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}", faults
    process.kill()
    process.wait()


@pytest.fixture
def bucket(server, monkeypatch, request):
    """Return the URL of an empty bucket. The environment has the address of the server."""
    import s3fs

    address, faults = server
    for name, value in {
        "FSSPEC_S3_ENDPOINT_URL": address,
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    faults.unlink(missing_ok=True)
    s3fs.S3FileSystem.clear_instance_cache()
    name = "bucket-" + hashlib.md5(request.node.name.encode()).hexdigest()
    s3fs.S3FileSystem(use_listings_cache=False).mkdir(name)
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_directory_at_a_url_equals_that_on_a_disk(bucket, whole):
    url = f"{bucket}/models/one"
    summary = write_directory(PLAN, url, **RUN)
    assert hashes_at(url) == whole
    assert {file.path.rpartition("/")[2]: file.sha256 for file in summary.files}.items() <= whole.items()
    assert [file.path for file in summary.files] == sorted(f"{url}/{name}" for name in whole if "of-0" in name)
    for plan in (None, PLAN):
        found = verify_checkpoint(plan, url)
        assert (found.different, found.tensors, len(found.files)) == (0, 6, SHARDS)
    assert [tensor.name for tensor in tensors_of(url)] == [tensor.name for tensor in PLAN.tensors]
    with pytest.raises(FileExistsError, match="the directory contains a checkpoint"):
        write_directory(PLAN, url, **RUN)
    with pytest.raises(FileExistsError, match="another run, with seed 7, not 8"):
        write_directory(PLAN, url, **{**RUN, "seed": 8}, resume=True)

    shard = object_store.path_of(url) / "model-00001-of-00002.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(bytes(content))
    assert [each.kind for each in verify_checkpoint(None, url).differences] == ["values"]
    (object_store.path_of(url) / "model-00002-of-00002.safetensors").unlink()
    write_directory(PLAN, url, **RUN, resume=True)
    assert hashes_at(url) == whole


def test_an_upload_that_fails_for_a_while_is_retried(bucket, server, whole):
    server[1].write_text("503 2")
    write_directory(PLAN, f"{bucket}/one", **RUN)
    assert server[1].read_text() == "503 0"
    assert hashes_at(f"{bucket}/one") == whole


def test_an_upload_that_fails_is_resumed_and_leaves_no_object(bucket, server, whole):
    import s3fs

    url = f"{bucket}/one"
    server[1].write_text("403 1000")
    with pytest.raises(OSError, match=r"cannot write the checkpoint: .*as the test wants it"):
        write_directory(PLAN, url, **RUN)
    assert set(hashes_at(url)) == {"seedbed.json"}
    fs = s3fs.S3FileSystem()
    assert not fs.call_s3("list_multipart_uploads", Bucket=bucket[5:]).get("Uploads"), "no part is left to be paid for"
    server[1].unlink()
    write_directory(PLAN, url, **RUN, resume=True)
    assert hashes_at(url) == whole


def test_parts_written_by_processes_make_the_same_directory(bucket, whole):
    url = f"{bucket}/one"
    for number in (2, 1):
        write_directory(PLAN, url, **RUN, part=(number, 2))
    assert hashes_at(url) == whole


def test_a_file_at_a_url_equals_that_on_a_disk(bucket, path):
    url = f"{bucket}/model.safetensors"
    assert write_checkpoint(PLAN, url, seed=7).sha256 == write_checkpoint(PLAN, path, seed=7).sha256
    assert verify_checkpoint(PLAN, url).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_command_takes_urls(bucket, whole, tmp_path, capsys):
    source = tmp_path / "plan.json"
    source.write_text(PLAN.to_json())
    url = f"{bucket}/one"
    assert main(["init", str(source), "-o", url, "--seed", "7", "--max-shard-size", "20MB"]) == 0
    assert hashes_at(url) == whole
    assert main(["verify", url]) == 0
    assert main(["verify", f"{url}/model.safetensors.index.json"]) == 0
    assert main(["init", str(source), "-o", f"{url}/a.safetensors"]) == 0
    assert main(["init", str(source), "-o", url]) == 1
    assert main(["verify", f"{bucket}/none"]) == 2
    assert {entry.name for entry in tmp_path.iterdir()} == {"plan.json"}
    assert not Path("s3:").exists()


def test_a_missing_bucket_is_an_error(bucket):
    with pytest.raises(OSError, match="cannot write the checkpoint"):
        write_directory(PLAN, "s3://no-such-bucket-at-all/one", **RUN)


def test_the_memory_file_system_of_fsspec_works(whole):
    url = "memory://test_storage/out"
    try:
        write_directory(PLAN, url, **RUN)
        assert hashes_at(url) == whole
        assert verify_checkpoint(None, url).different == 0
    finally:
        object_store.path_of(url).fs.rm("/test_storage", recursive=True)


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [("nothing://a/b", ValueError, "nothing"), ("s3://", OSError, "cannot write the checkpoint")],
)
def test_bad_urls_are_refused(url, error, message, bucket):
    with pytest.raises(error, match=message):
        write_directory(PLAN, url, **RUN)


def test_a_url_without_its_packages_names_the_extra():
    program = "import sys; sys.modules['upath'] = None; from seedbed.checkpoint import object_store; object_store.path_of('s3://a/b')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ})
    assert "ImportError: 's3://a/b' needs fsspec and universal_pathlib: pip install 'seedbed[storage]'" in done.stderr

"""The number of threads: set by a call, by the environment, or the number of usable CPUs."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import seedbed as sb

PROGRAM = """
import seedbed as sb
try:
    print(sb.get_num_threads())
except ValueError as error:
    assert "SEEDBED_NUM_THREADS must be a positive integer" in str(error)
    print("error")
"""

CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def threads(environment=None, before="", command=()):
    """Return the output of a new process with extra environment variables, after it has run some lines."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("SEEDBED_NUM_THREADS", "OMP_NUM_THREADS")
    }
    run = subprocess.run(
        [*command, sys.executable, "-c", before + PROGRAM],
        capture_output=True,
        text=True,
        env={**inherited, **(environment or {})},
        check=True,
    )
    return run.stdout.strip()


def test_set_num_threads_takes_positive_integers():
    before = sb.get_num_threads()
    try:
        for n in (1, np.int64(3), 10**9):
            sb.set_num_threads(n)
            assert sb.get_num_threads() == min(n, 2**16)
        for bad in (0, -1):
            with pytest.raises(ValueError, match="n must be a positive integer"):
                sb.set_num_threads(bad)
        for bad in (1.5, None, "two", True):
            with pytest.raises(TypeError, match="n must be a positive integer"):
                sb.set_num_threads(bad)
    finally:
        sb.set_num_threads(before)


@pytest.mark.parametrize(("value", "expected"), [("3", "3"), ("0", "error"), ("many", "error"), ("", str(CPUS))])
def test_the_environment_sets_the_threads(value, expected):
    assert threads({"SEEDBED_NUM_THREADS": value}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", 1), ("1,4", 1), (" 1 ", 1), ("100000", CPUS), ("", CPUS), ("0", CPUS), ("-1", CPUS), ("all", CPUS)],
)
def test_openmp_bounds_the_default(value, expected):
    assert threads({"OMP_NUM_THREADS": value}) == str(expected)


def test_openmp_does_not_bound_an_explicit_setting():
    assert threads({"OMP_NUM_THREADS": "1", "SEEDBED_NUM_THREADS": "3"}) == "3"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity to set")
def test_affinity_bounds_the_default():
    assert threads(before="import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])") == "1"


QUOTAS = {
    "v2": ("0::/pod/container", {"pod/container/cgroup.controllers": "", "pod/container/cpu.max": "100000 100000"}),
    "v2, of a parent": (
        "0::/pod/container",
        {
            "pod/container/cgroup.controllers": "",
            "pod/container/cpu.max": "max 100000",
            "pod/cpu.max": "150000 100000",
        },
    ),
    "v1": (
        "4:cpu,cpuacct:/pod",
        {"cpu,cpuacct/pod/cpu.cfs_quota_us": "50000", "cpu,cpuacct/pod/cpu.cfs_period_us": "100000"},
    ),
    "none": ("0::/pod", {"pod/cgroup.controllers": "", "pod/cpu.max": "max 100000"}),
}

IN_NAMESPACE = """
set -e
mount -t tmpfs none /sys/fs/cgroup
cp -r "$1/." /sys/fs/cgroup
mount --bind "$2" /proc/$$/cgroup
shift 2
exec "$@"
"""


def has_namespaces():
    unshare = shutil.which("unshare")
    return unshare and subprocess.run([unshare, "--mount", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not has_namespaces() or CPUS < 2, reason="needs a mount namespace of its own, and two CPUs")
@pytest.mark.parametrize("kind", QUOTAS)
def test_quotas_of_control_groups_bound_the_default(kind, tmp_path):
    group, files = QUOTAS[kind]
    for name, content in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    (tmp_path / "own").write_text(group + "\n")
    command = ["unshare", "--mount", "sh", "-c", IN_NAMESPACE, "sh", tmp_path / "groups", tmp_path / "own"]
    assert threads(command=command) == (str(CPUS) if kind == "none" else "1")

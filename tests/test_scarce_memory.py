"""A shortage of memory or threads raises an error or is worked around, and never aborts the process."""

import pytest
from support.processes import linux, succeeds

LIMITED = """
import os, resource, sys
import numpy as np, seedbed as sb

def limit(spare):
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + spare,) * 2)
"""


@linux
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_a_fill_without_memory_raises_memory_error(dtype):
    succeeds(
        LIMITED
        + """
init = sb.RandomNormal(seed=1)
want = init((1000,), sys.argv[1]).tobytes()
limit(64 << 20)
for make in (lambda: init((1 << 30,), sys.argv[1]), lambda: init.lazy((1 << 31,), sys.argv[1])[::2],
             lambda: np.asarray(sb.Zeros().lazy((1 << 30,), sys.argv[1])), lambda: sb.random_words(1, 1 << 30)):
    try:
        make()
    except MemoryError:
        continue
    sys.exit("not refused")
assert init((1000,), sys.argv[1]).tobytes() == want
""",
        dtype,
    )


@linux
def test_a_shortage_of_memory_never_aborts_the_process():
    """With 0 to 40 MiB of memory left and 16 threads to start: the right values or a MemoryError, never an abort."""
    said = succeeds(
        LIMITED
        + """
init, out = sb.RandomNormal(seed=1), np.empty(1 << 21, "float32")
want = init(out.shape, out=out).tobytes()
sb.set_num_threads(16)
ended = set()
for spare in (*range(0, 4 << 20, 128 << 10), *range(4 << 20, 40 << 20, 2 << 20)):
    child = os.fork()
    if child == 0:
        limit(spare)
        try:
            init(out.shape, out=out)
            same = init(out.shape).tobytes() == want
            sb.random_words(1, 100_000)
        except MemoryError:
            same = True
        os._exit(0 if same else 1)
    ended.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(ended)
"""
    )
    assert said == "{0}\n"


@linux
@pytest.mark.parametrize("work", ["init(out.shape, out=out)", "sb._core.matmul(out, left, right, 4)"])
def test_a_matrix_product_without_memory_raises_memory_error(work):
    """Every allocation on the way from seed to matrix raises a MemoryError, as NumPy's do."""
    program = """
import hashlib
init, left, right = sb.Orthogonal(seed=1), np.ones((600, 900)), np.ones((900, 700))
def make():
    out = np.zeros((600, 700))
    WORK
    return hashlib.sha256(out).digest()
sb.set_num_threads(4)
said = []
for spare in range(0, 16 << 20, 512 << 10):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        limit(spare)
        try:
            os.write(writing, make())
        except MemoryError:
            os.write(writing, b"refused")
        os._exit(0)
    os.close(writing)
    said.append(os.read(reading, 99))
    os.close(reading)
    assert os.waitpid(child, 0)[1] == 0, spare
assert said[0] == b"refused"
assert said[-1] == make()
assert set(said) == {said[0], said[-1]}
"""
    succeeds(LIMITED + program.replace("WORK", work))


@linux
def test_fills_work_if_the_system_refuses_threads():
    said = succeeds(
        """
        import hashlib, os, resource, threading, warnings
        import numpy as np, seedbed as sb
        init = sb.RandomNormal(seed=1)
        want = init((4_000_000,)).tobytes()
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        try:
            threading.Thread(target=print).start()
        except RuntimeError:
            sb.set_num_threads(8)
            print(init((4_000_000,)).tobytes() == want)
        else:
            print("not limited")
        """
    )
    if said == "not limited\n":
        pytest.skip("this system does not limit threads")
    assert said == "True\n"

"""In other people's processes: interruption, fork, threads."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import seedbed as sb

posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork as POSIX has them")


def run(program, **more):
    program = textwrap.dedent(program)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, **more)


@posix
def test_ctrl_c_ends_a_long_fill_at_once_and_leaves_the_process_usable():
    done = run(
        """
        import os, signal, threading, time
        import numpy as np, seedbed as sb
        init, out = sb.RandomNormal(seed=1), np.zeros((1 << 15, 1 << 15), "float16")
        sent = []
        def interrupt():
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
        threading.Timer(0.2, interrupt).start()
        try:
            while True:
                init(out.shape, out=out)
        except KeyboardInterrupt:
            print(time.perf_counter() - sent[0])
        print((init((1000,)) == init.lazy((1000,))[:]).all())
        """
    )
    late, usable = done.stdout.split()
    assert float(late) < 1.0, "within 100 ms on an idle machine"
    assert usable == "True"


@posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_fills_as_its_parent_does():
    init = sb.GlorotNormal(seed=1)
    want = init((2000, 1000)).tobytes()
    child = os.fork()
    if child == 0:
        os._exit(0 if init((2000, 1000)).tobytes() == want else 1)
    for _ in range(600):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0


def test_many_threads_at_once_do_not_disturb_each_other():
    init = sb.TruncatedNormal(seed=1)
    want = init((300, 1000)).tobytes()
    with ThreadPoolExecutor(16) as pool:
        assert all(made == want for made in pool.map(lambda _: init((300, 1000)).tobytes(), range(64)))


def test_a_generator_shared_by_threads_draws_each_stream_once():
    generator = sb.SeedGenerator(1)
    with ThreadPoolExecutor(16) as pool:
        drawn = list(pool.map(lambda _: generator.next().stream, range(2000)))
    assert sorted(drawn) == list(range(2000))


def test_the_interpreter_runs_on_while_a_fill_does():
    done = run(
        """
        import threading, time
        import numpy as np, seedbed as sb
        sb.set_num_threads(1)
        out = np.zeros(1 << 28, "float16")
        fill = threading.Thread(target=lambda: sb.RandomNormal(seed=1)(out.shape, out=out))
        fill.start()
        steps = 0
        while fill.is_alive():
            time.sleep(0.001)
            steps += 1
        print(steps)
        """
    )
    assert int(done.stdout) > 20

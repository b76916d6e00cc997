"""Threads that fill and draw at the same time."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.processes import run, succeeds

import seedbed as sb


def test_simultaneous_fills_do_not_disturb_each_other():
    init = sb.TruncatedNormal(seed=1)
    want = init((300, 1000)).tobytes()
    with ThreadPoolExecutor(16) as pool:
        assert all(made == want for made in pool.map(lambda _: init((300, 1000)).tobytes(), range(64)))


def test_a_generator_shared_by_threads_draws_each_stream_once():
    generator = sb.SeedGenerator(1)
    with ThreadPoolExecutor(16) as pool:
        drawn = list(pool.map(lambda _: generator.next().stream, range(2000)))
    assert sorted(drawn) == list(range(2000))


def test_threads_that_share_a_generator_make_the_same_tensors():
    shared = sb.GlorotUniform(seed=sb.SeedGenerator(1))
    with ThreadPoolExecutor(16) as pool:
        made = sorted(pool.map(lambda _: shared((200, 400)).tobytes(), range(64)))
    alone = sb.GlorotUniform(seed=sb.SeedGenerator(1))
    assert made == sorted(alone((200, 400)).tobytes() for _ in range(64))
    assert len(set(made)) == 64


def test_two_fills_cannot_write_to_the_same_memory():
    succeeds(
        """
        import threading, time, numpy as np, seedbed as sb
        sb.set_num_threads(1)
        init, refused = sb.RandomNormal(seed=1), False
        for attempt in range(5):  # the fill may end before a busy machine resumes this thread
            out = np.zeros(1 << 28, "float16")
            fill = threading.Thread(target=lambda: init(out.shape, out=out))
            fill.start()
            while not out[1000]:
                time.sleep(0.001)
            while fill.is_alive() and not refused:
                try:
                    init((1000,), out=out[-1000:])
                except ValueError as error:
                    refused = "no other fill may be writing to it" in str(error)
            fill.join()
            if refused:
                break
        assert refused
        init((1000,), out=out[-1000:])
        """
    )


@pytest.mark.parametrize("call", ["RandomNormal(seed=1)((1 << 28,), 'float16')", "Orthogonal(seed=1)((3000, 3000))"])
def test_the_interpreter_runs_during_a_fill(call):
    done = run(
        f"""
        import threading, time
        import seedbed as sb
        sb.set_num_threads(1)
        work = threading.Thread(target=lambda: sb.{call})
        work.start()
        steps = 0
        while work.is_alive():
            time.sleep(0.001)
            steps += 1
        print(steps)
        """
    )
    assert int(done.stdout) > 20


def test_a_thread_with_a_small_stack_fills():
    succeeds(
        """
        import threading, seedbed as sb
        sb.set_num_threads(2)
        def work():
            for dtype in ("float16", "float64"):
                init((300_000,), dtype)
                made.append(init.lazy((3000, 3000), dtype)[::-7, ::3])
        init, made = sb.RandomNormal(seed=1), []
        threading.stack_size(64 << 10)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert len(made) == 2
        """
    )

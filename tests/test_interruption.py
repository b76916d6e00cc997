"""Signals interrupt fills. What may hang runs in its own process."""

import pytest
from support.processes import posix, succeeds

FILLS = {
    "a whole tensor on one thread": (1, "float32", "init(out.shape, out=out)"),
    "a whole tensor on all threads": (2, "bfloat16", "init(out.shape, out=out)"),
    "float64": (1, "float64", "init(out.shape, out=out)"),
    "one run of a lazy tensor": (1, "float16", "write([(2**62, 2**61, 1, out.size)])"),
    "a slice by steps": (1, "float16", "write([(2**62, 2**61, -17, out.size)])"),
    "a column": (2, "float16", "write([(2**40, 7, 1, out.size), (4096, 11, 1, 1)])"),
    "words": (1, "uint32", "sb._core.words(out, (bytes(32), 0), 2**67 - 5)"),
}


@posix
@pytest.mark.parametrize("fill", FILLS)
def test_ctrl_c_interrupts_a_long_fill(fill):
    """An interrupted fill leaves the last element unchanged. On an idle machine it takes less than 100 ms to stop."""
    threads, dtype, call = FILLS[fill]
    program = """
        import os, signal, sys, threading, time
        import numpy as np, seedbed as sb
        from seedbed.dtypes import as_dtype
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threads, dtype = int(sys.argv[1]), as_dtype(sys.argv[2])
        sb.set_num_threads(threads)
        init = sb.RandomNormal(seed=1)
        def write(axes):
            init.lazy((1,), dtype).rule.write(out, axes)
        def interrupt():  # once it is under way
            while not out[1000]:
                time.sleep(0.001)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
        for attempt in range(5):  # an attempt on a machine that pauses for a second proves nothing
            out, sent = np.zeros(1 << 29, dtype), []
            watcher = threading.Thread(target=interrupt)
            watcher.start()
            try:
                CALL
                watcher.join()
                time.sleep(0.1)
            except KeyboardInterrupt:
                late = time.perf_counter() - sent[0]
            watcher.join()
            if out[-1] == 0:
                break
        else:
            sys.exit("never cut short")
        small = np.empty(1000, "float32")
        assert (init(small.shape, out=small) == init.lazy((1000,))[:]).all()
        if dtype != np.uint32:
            init((1000,), out=out[:1000])  # the memory is free again
        print(late)
    """
    late = float(succeeds(program.replace("CALL", call), str(threads), dtype))
    print(f"{1000 * late:.0f} ms")
    assert late < 10, "within 100 ms on an idle machine"


@posix
def test_an_exception_of_a_signal_handler_interrupts_a_fill():
    succeeds(
        """
        import signal, numpy as np, seedbed as sb
        sb.set_num_threads(2)
        def alarm(*_):
            assert (init((1000,)) == init.lazy((1000,))[:]).all()  # a handler may fill
            try:
                init(out.shape, out=out)
            except ValueError as error:
                assert "no other fill may be writing" in str(error)
            raise TimeoutError("by the handler")
        init, out = sb.RandomNormal(seed=1), np.zeros(1 << 29, "float16")
        signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        try:
            while True:
                init(out.shape, out=out)
        except TimeoutError as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert str(error) == "by the handler"
        """
    )


DRAWS_WITHIN = {
    "a trace function": """
        def trace(frame, event, argument):
            frame.f_trace_opcodes = True
            draw_within()
            return trace
        sys.settrace(trace)
        for _ in range(20):
            drawn.append(generator.next().stream)
        sys.settrace(None)
        """,
    "a profiler": """
        sys.setprofile(lambda *_: draw_within())
        for _ in range(20):
            drawn.append(generator.next().stream)
        sys.setprofile(None)
        """,
    "a signal handler": """
        signal.signal(signal.SIGALRM, lambda *_: draw_within())
        signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
        while len(within) < 1000:
            drawn.append(generator.next().stream)
        signal.setitimer(signal.ITIMER_REAL, 0)
        """,
}


@posix
@pytest.mark.parametrize("within", DRAWS_WITHIN)
def test_a_draw_within_a_draw_takes_another_stream(within):
    succeeds(
        f"""
        import signal, sys, seedbed as sb
        generator, drawn, within = sb.SeedGenerator(1), [], []
        def draw_within():
            within.append(generator.next().stream)
        {DRAWS_WITHIN[within]}
        assert len(within) >= 20, within
        assert sorted(drawn + within) == list(range(generator.draws))
        """
    )


def test_a_fill_within_the_first_fill_of_a_process_works():
    """The first use of NumPy's C interface runs Python code, which calls the trace function."""
    succeeds(
        """
        import sys, seedbed as sb
        init, made = sb.RandomNormal(seed=1), []
        def trace(frame, event, argument):
            sys.settrace(None)
            made.append(init((1000,)).tobytes())
            sys.settrace(trace)
        sys.settrace(trace)
        made.append(init((1000,)).tobytes())
        sys.settrace(None)
        assert len(made) > 1
        assert len(set(made)) == 1
        """
    )

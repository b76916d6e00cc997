"""The extension declares that it needs no GIL: fills run at the same time, and an array has one writer."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import seedbed as sb


def test_sixteen_threads_share_an_initializer():
    shared = sb.GlorotNormal(seed=42)
    whole = shared((512, 384))
    lazy = shared.lazy((512, 384))
    barrier = threading.Barrier(16)

    def work(i):
        barrier.wait()
        rows = slice(32 * i, 32 * i + 32)
        own = sb.GlorotNormal(seed=42)((512, 384))
        return all(
            np.array_equal(made, expected)
            for made, expected in ((shared((512, 384)), whole), (lazy[rows], whole[rows]), (own, whole))
        )

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(work, range(16)))


def test_sixteen_threads_draw_all_values_of_a_generator_once():
    generator = sb.SeedGenerator(7)
    follow = sb.SeedGenerator(7)
    expected = {sb.RandomNormal(seed=follow)((4,)).tobytes() for _ in range(160)}
    with ThreadPoolExecutor(16) as threads:
        drawn = list(threads.map(lambda _: sb.RandomNormal(seed=generator)((4,)).tobytes(), range(160)))
    assert len(expected) == 160
    assert sorted(drawn) == sorted(expected)


def test_a_second_writer_of_an_array_is_refused():
    out = np.empty((2048, 2048), np.float32)
    expected = sb.RandomNormal(seed=1)(out.shape)
    barrier = threading.Barrier(2)
    refusals = []

    def write():
        init = sb.RandomNormal(seed=1)
        barrier.wait()
        for _ in range(500):
            if refusals:
                break
            try:
                init(out.shape, out=out)
            except ValueError as error:
                refusals.append(str(error))

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refusals
    assert all("no other fill may be writing to it" in refusal for refusal in refusals)
    assert np.array_equal(out, expected)

"""A preload of a Dask worker in which every write of a block takes half a second, so that a test can interrupt it."""

import os
import time


def slow(descriptor, block, write=os.write):
    if len(block) > 10_000:
        time.sleep(0.5)
    return write(descriptor, block)


def dask_setup(worker):
    os.write = slow

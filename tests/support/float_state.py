"""The floating point state of the calling thread, which some hosts change: rounding mode, flushing of subnormals.

It is set by a few instructions that a C compiler makes. Without one, or on another processor, no state is tested.
"""

import contextlib
import ctypes
import functools
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = """
#if defined(__x86_64__)
#include <immintrin.h>
unsigned long get_state(void) { return _mm_getcsr(); }
void set_state(unsigned long state) { _mm_setcsr(state); }
unsigned long get_flags(void) { return _mm_getcsr() & 0x3f; }
#elif defined(__aarch64__)
unsigned long get_state(void) { unsigned long x; __asm__ volatile("mrs %0, fpcr" : "=r"(x)); return x; }
void set_state(unsigned long x) { __asm__ volatile("msr fpcr, %0" : : "r"(x)); }
unsigned long get_flags(void) { unsigned long x; __asm__ volatile("mrs %0, fpsr" : "=r"(x)); return x; }
#endif
"""

STATES = {
    "x86_64": {
        "flush to zero": 1 << 15,
        "denormals are zero": 1 << 6,
        "flush both": 1 << 15 | 1 << 6,
        "round down": 1 << 13,
        "round up": 1 << 14,
        "round to zero": 3 << 13,
    },
    "aarch64": {
        "flush both": 1 << 24,
        "round down": 2 << 22,
        "round up": 1 << 22,
        "round to zero": 3 << 22,
    },
}
STATES["AMD64"], STATES["arm64"] = STATES["x86_64"], STATES["aarch64"]
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
NAMES = tuple(STATES.get(platform.machine(), {})) if COMPILER else ()
"""The states that this machine can set. Empty without a compiler."""


@functools.cache
def instructions():
    """Compile and load the functions of `SOURCE`."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "state.c"), Path(folder, "state.so")
        source.write_text(SOURCE)
        subprocess.run([COMPILER, "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
        loaded = ctypes.CDLL(str(library))
    for name in ("get_state", "get_flags"):
        getattr(loaded, name).restype = ctypes.c_ulong
    loaded.set_state.argtypes = [ctypes.c_ulong]
    return loaded


def control():
    """Return the state of the calling thread without the exception flags."""
    state = instructions().get_state()
    return state & ~0x3F if platform.machine() in ("x86_64", "AMD64") else state


def flags():
    """Return the exception flags of the calling thread."""
    return instructions().get_flags()


@contextlib.contextmanager
def state(name):
    """Set a state of `STATES` for the calling thread."""
    before = instructions().get_state()
    instructions().set_state(before | STATES[platform.machine()][name])
    try:
        yield
    finally:
        instructions().set_state(before)

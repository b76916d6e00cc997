"""The kernels in CUDA C, compiled as C++ for the CPU, with functions instead of intrinsics."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np

from seedbed.accelerators.cuda import Arguments, arguments_of, kernel_of, source
from support.devices import WIDTHS

INTRINSICS = """
#include <cstring>
#define __device__
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline float __int2float_rn(int a) { return (float)a; }
static inline float __uint2float_rn(unsigned int a) { return (float)a; }
static inline double __int2double_rn(int a) { return (double)a; }
static inline float __double2float_rn(double a) { return (float)a; }
static inline unsigned int __float_as_uint(float a) { unsigned int x; memcpy(&x, &a, 4); return x; }
static inline float __uint_as_float(unsigned int a) { float x; memcpy(&x, &a, 4); return x; }
"""


def compiled(directory, *flags):
    """Return a library of the kernels. A call of a kernel writes all elements of its grid."""
    path, library = directory / "kernels.cpp", directory / "kernels.so"
    path.write_text(INTRINSICS + source(), encoding="utf-8")
    built(*flags, path, library)
    return ctypes.CDLL(str(library))


def built(*arguments):
    """Compile a library; the last argument is its path."""
    *given, library = map(str, arguments)
    subprocess.run(
        ["g++", "-std=c++17", "-O2", "-shared", "-fPIC", "-w", *given, "-o", library], check=True, capture_output=True
    )


def function_of(library, name):
    function = library[name]
    function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_void_p, Arguments), None
    return function


def evaluated_by(library):
    """Return a function of a sample, a key, a stream and runs that returns the bits of the elements."""

    def evaluate(sample, key, stream, runs):
        out = np.empty(len(runs.firsts) * runs.length, WIDTHS[sample.dtype])
        arguments = arguments_of(sample, key, stream, len(runs.firsts), runs.length)
        function_of(library, kernel_of(sample))(out.ctypes.data, runs.firsts.ctypes.data, arguments)
        return out

    return evaluate


def driver(directory):
    """Return the path of a CUDA driver without a device, which runs the kernels on the CPU."""
    path, library = directory / "driver.cpp", directory / "libcuda.so.1"
    own = Path(__file__).with_name("driver.cpp").read_text(encoding="utf-8")
    path.write_text(INTRINSICS + source() + own, encoding="utf-8")
    built("-ffp-contract=off", "-Wl,-soname,libcuda.so.1", path, "-ldl", library)
    return library

"""Dtypes: conversion of names to NumPy dtypes, the dtypes of ml_dtypes, and the default dtype."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from seedbed._float_state import in_default_state
from seedbed.arguments import did_you_mean, shortened

FLOATS = ("float16", "bfloat16", "float32", "float64")
"""Names of the sampled floating-point dtypes of 16 bits and more."""

FLOAT8 = (
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
)
"""Names of the sampled floating-point dtypes of 8 bits."""

_SCALES = "float8_e8m0fnu"
"""Name of the dtype of powers of two. It has no zero and no negative numbers, so it is not sampled."""

OF_ML_DTYPES = frozenset(("bfloat16", *FLOAT8, _SCALES))
"""Names of the supported dtypes of ml_dtypes."""

COMPLEX = {"complex64": "float32", "complex128": "float64"}
"""Complex dtypes, which some initializers sample too, and the dtypes of their real parts."""

ABBREVIATIONS = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32", "fp64": "float64"}
"""Accepted abbreviations, and the names that they abbreviate."""

_NAME = re.compile(r"[<>=|]?(\?|[A-Za-z]\w{0,30})", re.ASCII)
"""Pattern of valid dtype names. NumPy would parse other strings as structured dtypes, or `f000...4`."""

_floatx = "float32"

# These dtypes are resolved here, because NumPy imports a module to do so, which fails at interpreter shutdown.
_known: dict[object, np.dtype] = {name: np.dtype(name) for name in (*FLOATS, *COMPLEX) if name != "bfloat16"}
_names: dict[np.dtype, str] = {dtype: str(name) for name, dtype in _known.items()}


def floatx() -> str:
    """Return the name of the default dtype, which is initially `"float32"`.

    >>> import seedbed as sb
    >>> sb.floatx()
    'float32'
    """
    return _floatx


def set_floatx(value: str) -> None:
    """Set the default dtype.

    Arguments:
        value: `"float16"`, `"bfloat16"`, `"float32"` or `"float64"`, or an abbreviation such as `"fp16"`.

    Raises:
        ValueError: for any other value, as in Keras.

    >>> import seedbed as sb
    >>> sb.set_floatx("float64")
    >>> sb.Zeros()((2,)).dtype
    dtype('float64')
    >>> sb.set_floatx("float32")
    """
    global _floatx
    name = ABBREVIATIONS.get(value, value) if isinstance(value, str) else value
    if not isinstance(name, (str, np.dtype)) or name not in FLOATS:
        raise ValueError(
            f"floatx must be one of {', '.join(FLOATS)}. Received: {shortened(value)}.{did_you_mean(value, FLOATS)}"
        )
    _floatx = str(name)


def as_dtype(dtype: npt.DTypeLike | None) -> np.dtype:
    """Return a NumPy dtype.

    Arguments:
        dtype: a name, a dtype of NumPy or of a framework, or None for `floatx()`.

    Raises:
        ValueError: if the dtype is unknown, is neither numeric nor bool, or has another byte order; for any type of
            argument, as in Keras.
        ImportError: for bfloat16 and floats of 8 bits if the package ml_dtypes is not installed.

    >>> as_dtype("float16"), as_dtype("fp64"), as_dtype(np.int32), as_dtype(None)
    (dtype('float16'), dtype('float64'), dtype('int32'), dtype('float32'))
    """
    key = _floatx if dtype is None else dtype
    try:
        known = _known.get(key)
    except TypeError:  # unhashable: _resolve raises the error
        known = None
    if known is None:
        known = _resolve(key)
        if type(key) is str or isinstance(
            key, (type, np.dtype)
        ):  # not for others, which may equal other values: tf.float32 == 1
            _known[key] = known
    return known


def name_of(dtype: np.dtype) -> str:
    """Return `dtype.name` from a cache, because NumPy takes a microsecond to compute it."""
    name = _names.get(dtype)
    if name is None:
        name = _names[dtype] = dtype.name
    return name


def as_float_dtype(dtype: npt.DTypeLike | None, *, or_complex: bool = False) -> np.dtype:
    """Return a floating-point dtype, or with `or_complex` also a complex one.

    Raises:
        ValueError: if the dtype is another one; and as `as_dtype`.
    """
    resolved = as_dtype(dtype)
    name = _names.get(resolved) or name_of(resolved)
    if name not in FLOATS and name not in FLOAT8 and not (or_complex and name in COMPLEX):
        kind, accepted = (
            ("floating point or complex", (*FLOATS, *COMPLEX)) if or_complex else ("floating point", FLOATS)
        )
        if name == _SCALES:
            raise ValueError(
                f"dtype must have a zero and negative numbers. Received: {name}, which has only powers of two"
            )
        raise ValueError(f"dtype must be a {kind} type: one of {', '.join(accepted)}. Received: {name}")
    return resolved


@in_default_state
def checked_cast(what: str, value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert numbers to a dtype: integers and bools exactly, floating point numbers rounded.

    Raises:
        ValueError: if a number is not representable: a fraction as an integer, a number out of range, or an imaginary
            part in a real dtype.
    """
    if value.dtype.kind == "c" and dtype.kind != "c" and not value.imag.any():
        value = value.real
    representable = value.dtype.kind != "c" or dtype.kind == "c"
    if representable:
        with np.errstate(all="ignore"):
            # Via float64, to round once: ml_dtypes would convert integers via float32.
            elements = (value.astype(np.float64) if name_of(dtype) in OF_ML_DTYPES else value).astype(dtype)
            if dtype.kind not in "biu":
                representable = bool(np.isfinite(elements).all())
            elif value.dtype.kind == "f":  # the results of out-of-range casts differ between machines
                least, limit = (0, 2) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max + 1)
                inside = (value >= float(least)) & (value < float(limit)) & (value == np.trunc(value))
                representable = bool(inside.all())
            else:
                representable = bool((elements == value).all())
    if not representable:
        raise ValueError(f"{what} must be representable as {dtype.name}. Received: {what}={shortened(value.tolist())}")
    return elements


def _resolve(dtype: object) -> np.dtype:
    name = ABBREVIATIONS.get(dtype, dtype) if isinstance(dtype, str) else _framework_name(dtype)
    if name in OF_ML_DTYPES:
        return _of_ml_dtypes(name)
    try:
        if name is not None and not _NAME.fullmatch(name):
            raise TypeError
        resolved: np.dtype = np.dtype(dtype if name is None else name)  # type: ignore[call-overload]
    except (TypeError, ValueError, SyntaxError):  # NumPy parses some strings as Python
        resolved = np.dtype("V")
    # An import of ml_dtypes adds names to NumPy. Those of unsupported dtypes are refused.
    if resolved.kind == "V" and resolved.name not in OF_ML_DTYPES:
        several = "" if not isinstance(dtype, (int, np.integer)) else " A shape is one argument: (3, 4), not 3, 4"
        raise ValueError(
            f"dtype must name an element type, such as {', '.join(FLOATS)}. Received: {shortened(dtype)}."
            f"{several or did_you_mean(name, (*FLOATS, *FLOAT8, *COMPLEX))}"
        )
    if resolved.kind not in "biufcV":
        raise ValueError(f"dtype must be numeric or bool. Received: {shortened(dtype)}")
    if not resolved.isnative:
        raise ValueError(f"dtype must have the byte order of this machine. Received: {shortened(dtype)}")
    return resolved


def _framework_name(dtype: object) -> str | None:
    """Return the name of a dtype of a framework, such as `torch.float32`, or None for other values."""
    if isinstance(dtype, (np.dtype, type)):
        return None
    return str(getattr(dtype, "name", None) or str(dtype).rpartition(".")[2])


def _of_ml_dtypes(name: str) -> np.dtype:
    try:
        import ml_dtypes

        dtype: np.dtype = np.dtype(getattr(ml_dtypes, name))
    except (ModuleNotFoundError, AttributeError):
        raise ImportError(
            f"{name} arrays need the package ml_dtypes, which is not installed, or too old: "
            "pip install --upgrade 'seedbed[bfloat16]'"
        ) from None
    return dtype

"""`array`: one tensor as a Dask array of any chunks."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize

from seedbed import ALGORITHM
from seedbed.initializers import Initializer
from seedbed.shapes import ShapeLike


def array(initializer: Initializer, shape: ShapeLike, dtype: Any = None, chunks: Any = "auto") -> da.Array:
    """Return a tensor as a Dask array. Each chunk is evaluated on the worker that needs it.

    The graph contains the initializer, but no values. The chunks change no bit, and the same tensor always has the same
    name in the graph. If every element depends on the whole tensor, as in an orthogonal one, a single task evaluates
    the whole tensor, and the chunks are cut from it.

    Arguments:
        initializer: an initializer of seedbed.
        shape: shape of the tensor, an integer or integers.
        dtype: dtype of the elements, `seedbed.floatx()` by default.
        chunks: chunks, as in `dask.array.from_array`.

    Returns:
        The Dask array.

    Raises:
        TypeError: if `initializer` is not an initializer of seedbed.
        ValueError: if the chunks do not fit the shape; and as the call of the initializer.

    >>> import numpy as np, seedbed as sb, seedbed.dask
    >>> weight = seedbed.dask.array(sb.GlorotNormal(seed=42), (3000, 200), chunks=(1000, 100))
    >>> weight.numblocks
    (3, 2)
    >>> bool((weight.compute() == sb.GlorotNormal(seed=42)((3000, 200))).all())
    True
    """
    if not isinstance(initializer, Initializer):
        raise TypeError(f"initializer must be an initializer of seedbed. Received: {type(initializer).__name__}")
    lazy = initializer.lazy(shape, dtype)
    chunks = da.core.normalize_chunks(chunks, lazy.shape, dtype=lazy.dtype)
    evaluated = tuple((length,) for length in lazy.shape) if lazy.rule.needs_whole else chunks
    name = f"seedbed-{tokenize(ALGORITHM, lazy, evaluated)}"
    meta = np.empty((0,) * lazy.ndim, lazy.dtype)
    return da.from_array(lazy, evaluated, name=name, meta=meta).rechunk(chunks)

"""`array`: one tensor, as a Dask array of any chunks."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize

from seedbed import ALGORITHM
from seedbed.initializers import Initializer
from seedbed.shapes import ShapeLike


def array(initializer: Initializer, shape: ShapeLike, dtype: Any = None, chunks: Any = "auto") -> da.Array:
    """Return the tensor of an initializer as a Dask array, of which each chunk is evaluated where it is needed.

    The graph has the initializer and no values. Chunks change no bit, and the same tensor always has the same name. A
    tensor of which every element depends on the whole, as in an orthogonal one, is evaluated by one task, from which
    the chunks are cut.

    Arguments:
        initializer: one of seedbed's.
        shape: of the tensor: an integer or integers.
        dtype: of its elements; `seedbed.floatx()` if there is none.
        chunks: as `dask.array.from_array` takes them.

    Raises:
        TypeError: if `initializer` is not an initializer.
        ValueError: if the chunks do not fit the shape; and as the initializer does.

    >>> import numpy as np, seedbed as sb, seedbed.dask
    >>> weight = seedbed.dask.array(sb.GlorotNormal(seed=42), (3000, 200), chunks=(1000, 100))
    >>> weight.numblocks
    (3, 2)
    >>> bool((weight.compute() == sb.GlorotNormal(seed=42)((3000, 200))).all())
    True
    """
    if not isinstance(initializer, Initializer):
        raise TypeError(f"initializer must be one of seedbed's. Received: {type(initializer).__name__}")
    lazy = initializer.lazy(shape, dtype)
    chunks = da.core.normalize_chunks(chunks, lazy.shape, dtype=lazy.dtype)
    evaluated = tuple((length,) for length in lazy.shape) if lazy.rule.needs_whole else chunks
    name = f"seedbed-{tokenize(ALGORITHM, lazy, evaluated)}"
    meta = np.empty((0,) * lazy.ndim, lazy.dtype)
    return da.from_array(lazy, evaluated, name=name, meta=meta).rechunk(chunks)

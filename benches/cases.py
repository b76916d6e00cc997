"""The measured tensors, and the cases that consist of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from seedbed import Initializer

KINDS = ("uniform", "truncated normal", "normal")
ORTHOGONAL = "orthogonal"
DTYPES = ("float32", "bfloat16", "float64")
GPT2 = "GPT-2"

# Standard deviation and bound of each kind of tensor, for a scale of 1.
STDDEVS = {"uniform": 3**-0.5, "truncated normal": 0.8796256610, "normal": 1.0, "constant": 0.0, ORTHOGONAL: 1.0}
BOUNDS = {"uniform": 1.0, "truncated normal": 2.0, "normal": math.inf, "constant": 1.0, ORTHOGONAL: math.inf}

PARTS = {  # index of a part of a lazy matrix, from its numbers of rows and columns
    "all": lambda rows, columns: (slice(None), slice(None)),
    "1 % of the rows": lambda rows, columns: (middle_percent(rows), slice(None)),
    "1 % of the columns": lambda rows, columns: (slice(None), middle_percent(columns)),
    "every 100th column": lambda rows, columns: (slice(None), slice(None, None, 100)),
}


def middle_percent(length: int) -> slice:
    return slice(length // 2, length // 2 + math.ceil(length / 100))


class Tensor(NamedTuple):
    """A tensor to make.

    `scale` is the bound of a uniform, the standard deviation of a normal (before truncation) or of the elements of an
    orthogonal matrix, or the constant.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    part: str = ""

    @property
    def stddev(self) -> float:
        return self.scale * STDDEVS[self.kind]

    @property
    def bound(self) -> float:
        """Return the greatest magnitude of a value."""
        return self.scale * BOUNDS[self.kind]


class Case(NamedTuple):
    """One tensor, a part of a lazy one, or all tensors of GPT-2."""

    kind: str
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    part: str = ""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.kind, "x".join(map(str, self.shape)), self.dtype, self.part)))


class Sizes(NamedTuple):
    """The shapes of a run, and the selection of GPT-2's tensors."""

    small: tuple[int, int]
    middle: tuple[int, int]
    large: tuple[int, int]
    orthogonal: tuple[int, ...]  # number of rows and columns of each square matrix
    gpt2: slice
    plans: tuple[int, int]  # numbers of tensors of two plans with small tensors

    def cases(self, kind: str) -> list[Case]:
        """Return the cases of a kind, the largest first."""
        if kind == ORTHOGONAL:
            return [Case(kind, (n, n)) for n in self.orthogonal]
        return [Case(kind, shape, dtype) for shape in (self.large, self.middle, self.small) for dtype in DTYPES]

    def groups(self) -> list[list[Case]]:
        """Return groups of cases that are measured together, so that they can be compared."""
        shapes = (self.small, self.middle, self.large)
        tensors = [[Case(kind, shape, dtype) for dtype in DTYPES] for shape in shapes for kind in KINDS]
        parts = [Case("truncated normal", self.large, part=part) for part in PARTS]
        return [*tensors, [Case(GPT2)], parts, *([case] for case in self.cases(ORTHOGONAL))]

    def tensors(self, case: Case) -> list[Tensor]:
        if case.kind == GPT2:
            return gpt2_tensors()[self.gpt2]
        return [Tensor(case.kind, case.shape, case.dtype, glorot_scale(case.kind, case.shape), case.part)]

    def elements(self, case: Case) -> int:
        """Return the number of elements; for a lazy tensor, that of the whole."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors(case))


FULL = Sizes((64, 64), (1024, 1024), (8192, 8192), (4096, 2048, 1024), slice(None), (10_000, 100_000))
QUICK = Sizes((64, 64), (128, 128), (256, 256), (96, 64), slice(2, 14), (10, 100))


def glorot_scale(kind: str, shape: tuple[int, ...]) -> float:
    """Return the `scale` of a Glorot initializer. That of RandomNormal is GPT-2's, for every shape."""
    if kind == ORTHOGONAL:
        return shape[0] ** -0.5
    return 0.02 if kind == "normal" else math.sqrt(2 / sum(shape)) / STDDEVS[kind]


def gpt2_tensors() -> list[Tensor]:
    """Return the tensors of seedbed's plan of GPT-2."""
    from seedbed import Ones, RandomNormal
    from seedbed.plan import load_plan

    def as_tensor(shape: tuple[int, ...], initializer: Initializer) -> Tensor:
        if isinstance(initializer, RandomNormal):
            return Tensor("normal", shape, "float32", initializer.stddev)
        return Tensor("constant", shape, "float32", float(isinstance(initializer, Ones)))

    return [as_tensor(planned.shape, planned.initializer) for planned in load_plan("gpt2").tensors]

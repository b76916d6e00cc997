"""Make `v1.json`: SHA-256 values that freeze the algorithm.

    python tests/golden/make.py               add the missing values
    python tests/golden/make.py --replace     and replace the values that differ
    python tests/golden/make.py --check       write nothing; compare the values that this machine can make

A value in the file is a promise. Replacing one makes a new algorithm: `seedbed.ALGORITHM` changes,
the changelog says so under Values, and the new values go to a file of that name.

A value is the SHA-256 of a tensor's elements in C order, each in little-endian byte order. Its name is the initializer
as Python writes it, the shape and the dtype. If the seed is a generator, the tensor is its first draw.
"""

import hashlib
import importlib.util
import json
import platform
import sys
from pathlib import Path

import seedbed as sb

PATH = Path(__file__).with_name(f"{sb.ALGORITHM}.json")

SHAPES = ((5, 7, 11, 13), (70_001,))
MATRICES = ((70, 101), (101, 70))
KERNELS = ((5, 6, 8), (4, 7, 10, 8))
WINDOWS = ((40, 2, 21), (7, 1, 700))
ORTHOGONAL = {
    sb.Orthogonal: ((5, 7, 11, 13), (13, 300), (203, 203)),
    sb.DeltaOrthogonal: ((4, 5, 7), (3, 2, 12, 100), (1, 2, 3, 5, 5)),
    sb.ConvolutionOrthogonal1D: ((1, 5, 7), (4, 11, 11)),
    sb.ConvolutionOrthogonal2D: ((2, 2, 5, 7), (3, 3, 11, 11)),
    sb.ConvolutionOrthogonal3D: ((2, 2, 2, 5, 7), (3, 3, 3, 4, 4)),
}
"""Shapes for each class of orthogonal tensors."""

FLOATS = ("float16", "bfloat16", "float32", "float64")
FLOAT8 = tuple(f"float8_{kind}" for kind in ("e3m4", "e4m3", "e4m3b11fnuz", "e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz"))
SAMPLED = (*FLOATS, "complex64", "complex128")
NUMBERS = (*SAMPLED, "int32")
DTYPES = (*NUMBERS, "bool")

CHILD = sb.SeedGenerator(42).child("block3/attn/q")
NAMED = (sb.GlorotNormal, sb.GlorotUniform, sb.HeNormal, sb.HeUniform, sb.LecunNormal, sb.LecunUniform)
AXES = {"input_axes": (0,), "output_axes": (-1,)}

CASES = (
    (sb.Zeros(), DTYPES),
    (sb.Ones(), DTYPES),
    (sb.Constant(1.0), DTYPES),
    (sb.Constant(-7), NUMBERS),
    (sb.Constant(0.1), FLOATS),
    (sb.RandomNormal(seed=42), SAMPLED),
    (sb.RandomNormal(0.0, 1.0, seed=-1), SAMPLED),
    (sb.RandomNormal(-3.0, 0.1, seed=CHILD), FLOATS),
    (sb.RandomNormal(0.5 - 2j, 1.5, seed=CHILD), SAMPLED[4:]),
    (sb.RandomUniform(seed=42), FLOATS),
    (sb.RandomUniform(0.0, 1.0, seed=2**255 - 1), FLOATS),
    (sb.RandomUniform(1.0, 1.1, seed=CHILD), FLOATS),
    (sb.RandomUniform(-0.3, -0.3, seed=0), FLOATS),
    (sb.TruncatedNormal(seed=42), SAMPLED),
    (sb.TruncatedNormal(0.5 - 2j, 1.5, seed=CHILD), SAMPLED[4:]),
    (sb.TruncatedNormal(0.0, 1.0, seed=-(2**255)), FLOATS),
    (sb.TruncatedNormal(0.3, 1 / 7, seed=CHILD), FLOATS),
    (sb.TruncatedNormal(0.0, 1.0, seed=42, lower=-3, upper=2.5), FLOATS),
    (sb.TruncatedNormal(0.0, 1.0, seed=42, lower=6, upper=7), FLOATS),
    (sb.TruncatedNormal(-0.3, 0.1, seed=CHILD, lower=None, upper=-37), FLOATS),
    (sb.TruncatedNormal(seed=42, lower=0, upper=None), FLOATS),
    (sb.LogUniform(seed=42), FLOATS),
    (sb.LogUniform(0.3, 7.0, seed=CHILD), FLOATS),
    (sb.LogOfUniform(seed=42), FLOATS),
    (sb.LogOfUniform(0.0, 0.5, seed=CHILD), FLOATS),
    (sb.InverseSoftplus(seed=42), FLOATS),
    (sb.InverseSoftplus(0.01, 10.0, seed=CHILD, floor=0.05), FLOATS),
    (sb.VarianceScaling(seed=42), SAMPLED),
    (sb.VarianceScaling(2.0, "fan_out", "uniform", seed=2**64 + 3), SAMPLED),
    (sb.VarianceScaling(1 / 3, "fan_avg", "untruncated_normal", seed=CHILD), SAMPLED),
    (sb.VarianceScaling(1e-3, "fan_in", "truncated_normal", seed=7, **AXES), SAMPLED),
    *((cls(seed=42), SAMPLED) for cls in NAMED),
    *((cls(seed=CHILD, **AXES), SAMPLED) for cls in NAMED),
    (sb.VarianceScaling(0.5, "fan_geo_avg", "uniform", seed=3, batch_axes=(0,)), FLOATS, KERNELS),
    (sb.VarianceScaling(mode="fan_out", seed=CHILD, groups=2, layout="torch"), FLOATS, KERNELS[1:]),
    (sb.VarianceScaling(2.0, "spectral", "untruncated_normal", seed=42), SAMPLED),
    (sb.KaimingNormal(nonlinearity="gelu", seed=42), FLOATS),
    (sb.KaimingUniform(nonlinearity="silu", seed=42), FLOATS),
    (sb.KaimingUniform(nonlinearity="elu", seed=42), FLOATS),
    (sb.GlorotUniform(seed=5, input_axes=(), output_axes=(-1,), batch_axes=(-2,)), FLOATS, KERNELS),
    (sb.XavierUniform(seed=42), SAMPLED),
    (sb.XavierUniform(sb.calculate_gain("tanh"), seed=CHILD, layout="torch"), FLOATS),
    (sb.XavierNormal(seed=42), SAMPLED),
    (sb.XavierNormal(0.3, seed=-9, groups=2), FLOATS, KERNELS),
    (sb.KaimingUniform(seed=42), SAMPLED),
    (sb.KaimingUniform(0.2, "fan_out", seed=CHILD), FLOATS),
    (sb.KaimingNormal(seed=42), SAMPLED),
    (sb.KaimingNormal(mode="fan_out", nonlinearity="selu", seed=8, layout="torch"), FLOATS),
    (sb.UniformUnitScaling(seed=42), SAMPLED),
    (sb.UniformUnitScaling(1.43, seed=CHILD), FLOATS),
    (sb.Sparse(0.9, seed=42), FLOATS, MATRICES),
    (sb.Sparse(1 / 3, 1.0, seed=CHILD), FLOATS, MATRICES),
    (sb.Sparse(0.5, 0.1, seed=42, mean=-2.0), FLOATS, MATRICES),
    (sb.Constant([[0.1], [-2.5]]), FLOATS, ((3, 2, 4),)),
    (sb.Identity(), DTYPES, MATRICES),
    (sb.Identity(-3.0), NUMBERS, MATRICES),
    (sb.Identity(0.1), FLOATS, MATRICES),
    (sb.Identity(0.1, stacked=True), FLOATS, KERNELS),
    (sb.Dirac(), DTYPES, KERNELS),
    (sb.Dirac(2), DTYPES, KERNELS),
    (sb.Dirac(2, "torch"), DTYPES, KERNELS[1:]),
    (sb.Bilinear(), FLOATS, KERNELS),
    (sb.Bilinear("torch"), FLOATS, KERNELS),
    (sb.STFT(), FLOATS, WINDOWS),
    (sb.STFT("imag", "hamming", "spectrum", periodic=True), FLOATS, WINDOWS),
    (sb.STFT("imag", None), FLOATS, WINDOWS),
    *(
        (sb.STFT("real", window), FLOATS, WINDOWS[:1])
        for window in ("flattop", "triang", "bartlett", "cosine", "parzen")
    ),
    (sb.STFT("real", ("general_hamming", 0.7), periodic=True), FLOATS, WINDOWS[:1]),
    (sb.STFT("real", [0.5, 1, 2, -1, 0.25, 0, 3], None), FLOATS, WINDOWS[1:]),
    (sb.Blocks("zeros", [((slice(None), slice(at, None)), "he_normal") for at in (0, 30, 60)], 42), SAMPLED, MATRICES),
    (sb.Blocks("orthogonal", [(slice(3, 40), sb.Orthogonal(2.0)), ((..., -1), "ones")], CHILD), FLOATS, MATRICES),
    (sb.Norms("glorot_uniform", (60, 50, 3), 42), FLOATS, ((60, 1, 1), (50, 1), (3,), ())),
    (sb.Norms(sb.Orthogonal(2.0), (101, 70), CHILD), FLOATS, ((101, 1), (1, 70))),
    (sb.Norms(sb.Blocks("he_normal", [(0, "zeros")]), (101, 70), CHILD), FLOATS, ((101, 1),)),
    (sb.Norms(sb.RandomUniform(-1.0, 1.0), (20, 30), 42), FLOAT8, ((20, 1),)),
    (sb.Zeros(), FLOAT8, MATRICES),
    (sb.Constant(-7), FLOAT8, MATRICES),
    (sb.RandomNormal(seed=42), FLOAT8, MATRICES),
    (sb.RandomUniform(-1.0, 1.0, seed=42), FLOAT8, MATRICES),
    (sb.TruncatedNormal(0.3, 1 / 7, seed=42), FLOAT8, MATRICES),
    (sb.GlorotNormal(seed=CHILD), FLOAT8, MATRICES),
    (sb.LogUniform(seed=42), FLOAT8, MATRICES),
    (sb.Sparse(0.5, 1.0, seed=42), FLOAT8, MATRICES),
    (sb.STFT(), FLOAT8, WINDOWS[:1]),
    (sb.Orthogonal(seed=42), FLOAT8, MATRICES),
    (sb.ConvolutionOrthogonal1D(seed=42), FLOAT8, ORTHOGONAL[sb.ConvolutionOrthogonal1D]),
    *((cls(seed=42), FLOATS, shapes) for cls, shapes in ORTHOGONAL.items()),
    *((cls(1 / 3, seed=CHILD), FLOATS, shapes) for cls, shapes in ORTHOGONAL.items()),
    (sb.DeltaOrthogonal(seed=42, column_axis=0), FLOATS, ORTHOGONAL[sb.DeltaOrthogonal]),
    (sb.Orthogonal(-2.0, seed=2**64 + 3, column_axis=1), FLOATS, ORTHOGONAL[sb.Orthogonal]),
)
"""Initializers, their dtypes, and their shapes if not `SHAPES`."""


def tensors(initializer, dtypes, shapes=SHAPES):
    """Return the shape and dtype of each tensor, by name."""
    return {f"{initializer!r} {shape} {dtype}": (shape, dtype) for shape in shapes for dtype in dtypes}


def digests(initializer, dtypes, shapes=SHAPES):
    """Return the SHA-256 of each tensor, by name."""
    named = tensors(initializer, dtypes, shapes).items()
    return {name: sha256(initializer.clone()(shape, dtype)) for name, (shape, dtype) in named}


def sha256(values):
    if values.dtype.kind == "c":  # a real part, an imaginary part, and so on
        values = values.view(values.real.dtype)
    bits = values.view(f"u{values.itemsize}")
    return hashlib.sha256(bits.astype(f"<u{values.itemsize}").tobytes()).hexdigest()


def update(path, made, replace):
    """Update the file, or exit if that would change a value and `replace` is false."""
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    changed = [name for name in known if made.get(name) != known[name]]
    if changed and not replace:
        raise SystemExit("\n".join(["these values would change or go (--replace does it):", *changed]))
    path.write_text(json.dumps(made, indent=0, ensure_ascii=False) + "\n", "utf-8")
    print(f"{path.name}: {len(made.keys() - known.keys())} added, {len(changed)} changed or gone, {len(made)} in all")


def check(known):
    """Print how many values of the file this machine reproduces, or exit with the names of those that differ."""
    left_out = () if importlib.util.find_spec("ml_dtypes") else ("bfloat16", *FLOAT8)
    made = {}
    for initializer, dtypes, *shapes in CASES:
        made |= digests(initializer, [dtype for dtype in dtypes if dtype not in left_out], *shapes)
    other = [name for name in made if made[name] != known[name]]
    if other:
        raise SystemExit("\n".join([f"{len(other)} of {len(made)} values are others:", *other]))
    print(f"{platform.machine()}, {sys.byteorder}-endian: {len(made)} of {len(known)} values made, all the same")


def main(arguments):
    if arguments == ["--check"]:
        return check(json.loads(PATH.read_text("utf-8")))
    if arguments not in ([], ["--replace"]):
        raise SystemExit(__doc__)
    made = {name: value for case in CASES for name, value in digests(*case).items()}
    return update(PATH, made, replace=bool(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])

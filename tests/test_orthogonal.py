"""Orthogonal tensors: to the bit what the specification says, on every machine, and uniformly distributed.

Every statistical test refuses a true hypothesis with probability ALPHA; the seeds are fixed.
"""

import math
import os
import re
import subprocess
import sys
import time

import ml_dtypes
import numpy as np
import pytest
from scipy import stats
from support import reference

import seedbed as sb
from seedbed import _core

ALPHA = 1e-6
MAX_DEVIATIONS = stats.norm.isf(ALPHA / 2)
DTYPES = ["float16", ml_dtypes.bfloat16, "float32", "float64"]
CONVOLUTIONS = [sb.ConvolutionOrthogonal1D, sb.ConvolutionOrthogonal2D, sb.ConvolutionOrthogonal3D]


def normals(shape, dtype="float64", seed=1):
    return sb.RandomNormal(0.0, 1.0, seed=seed)(shape, dtype)


def far_from_orthonormal(rows, scale=1.0):
    rows = rows.astype(float)
    return abs(rows @ rows.T - scale**2 * np.eye(len(rows))).max()


def householder(normals):
    """Return Stewart's product of reflections, applied one by one, in float64."""
    rows, columns = normals.shape
    q = np.eye(rows, columns)
    for j in reversed(range(columns)):
        v = normals[j:, j].astype(float)
        sign = 1 if v[0] >= 0 else -1
        v[0] += sign * np.linalg.norm(v)
        q[j:] -= np.outer(v, 2 / (v @ v) * (v @ q[j:]))
        q[:, j] *= -sign
    return q


class TestSpecification:
    @pytest.mark.parametrize("gain", [1.0, -1 / 3])
    @pytest.mark.parametrize(
        ("shape", "dtype"),
        [(shape, "float32") for shape in [(1, 1), (2, 1), (5, 3), (40, 40), (101, 99)]]
        + [(shape, "float64") for shape in [(1, 1), (7, 2), (6, 6)]],
    )
    def test_a_matrix_has_the_specified_bits(self, shape, dtype, gain):
        want = reference.orthogonal(normals(shape, dtype), gain)
        assert want.dtype == dtype
        init = sb.Orthogonal(gain, seed=1)
        assert init(shape, dtype).tobytes() == want.tobytes()
        if shape[0] > shape[1]:
            assert init(shape[::-1], dtype).tobytes() == want.T.tobytes()
        if dtype == "float32":
            for narrow in DTYPES[:2]:
                assert init(shape, narrow).tobytes() == want.astype(narrow).tobytes()

    def test_the_reference_uses_fused_operations(self):
        a, b, c = (np.float32(x) for x in (1 + 2**-12, 1 + 2**-12, 2**-60))
        assert reference.fma(a, b, np.float32(-1) - np.float32(2**-11)) == np.float32(2**-24)
        assert reference.fma(a, b, c) == np.nextafter(np.float32(1 + 2**-11), np.float32(2)), "above the middle"
        assert reference.fma(a, b, -c) == np.float32(1 + 2**-11), "below the middle"

    @pytest.mark.parametrize("shape", [(300, 200), (130, 130), (97, 1), (1, 50), (95, 200)])
    def test_a_matrix_is_the_product_of_the_reflections(self, shape):
        want = householder(normals((max(shape), min(shape))))
        want = want if shape[0] >= shape[1] else want.T
        init = sb.Orthogonal(seed=1)
        assert abs(init(shape, "float64") - want).max() < 2e-14
        assert abs(init(shape, "float32") - want).max() < 1e-5

    def test_a_matrix_is_the_q_factor_of_its_normals(self):
        """Q' A is upper triangular with a positive diagonal, where A is the matrix of normals."""
        g = normals((8, 1))
        q = sb.Orthogonal(seed=1)((8, 1), "float64")
        assert np.allclose(q, g / np.linalg.norm(g), atol=1e-15)

    @pytest.mark.parametrize("spatial", [1, 2, 3])
    def test_a_convolution_has_the_specified_bits(self, spatial):
        size, m, n = 3, 4, 5
        pieces = [reference.child_key(reference.key_of(1), f"ConvolutionOrthogonal/{i}") for i in range(20)]

        def matrix(key, shape):
            seed = int.from_bytes(key, "little", signed=True)
            return sb.Orthogonal(seed=seed)(shape, "float64"), normals((n * n + n,), seed=seed)[n * n :]

        taps = {(0,) * spatial: matrix(pieces.pop(0), (m, n))[0]}
        for _ in range(size - 1):
            for axis in range(spatial):
                q, coins = matrix(pieces.pop(0), (n, n))
                chosen = q[:, coins > 0]
                projection = reference.products(chosen, chosen.T)
                longer = {}
                for place, tap in taps.items():
                    stays = reference.products(tap, projection)
                    moved = tuple(i + (j == axis) for j, i in enumerate(place))
                    longer[place] = longer.get(place, 0.0) + stays
                    longer[moved] = longer.get(moved, 0.0) + (tap - stays)
                taps = longer
        init = CONVOLUTIONS[spatial - 1](0.7, seed=1)
        shape = (size,) * spatial + (m, n)
        made = init(shape, "float64")
        for place, tap in taps.items():
            assert made[place].tolist() == (0.7 * tap).tolist(), place
        assert init(shape).tobytes() == made.astype("float32").tobytes()
        assert init(shape, "float16").tobytes() == made.astype("float32").astype("float16").tobytes()


PROGRAM = """
import hashlib, ml_dtypes, seedbed as sb
made = hashlib.sha256()
for dtype in ("float16", "bfloat16", "float32", "float64"):
    for shape in ((1, 1), (7, 5, 3), (3, 90), (97, 97), (250, 200), (200, 385)):
        made.update(sb.Orthogonal(1.5, seed=4)(shape, dtype).tobytes())
    made.update(sb.DeltaOrthogonal(seed=4)((3, 3, 20, 40), dtype).tobytes())
    made.update(sb.ConvolutionOrthogonal2D(seed=4)((3, 3, 20, 40), dtype).tobytes())
print(made.hexdigest())
"""


def output(program, **variables):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SEEDBED")} | variables
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=300)


def test_backends_and_threads_do_not_change_a_bit():
    message = output("import seedbed as sb; sb.Orthogonal(seed=1)((2, 2))", SEEDBED_BACKEND="none of them").stderr
    backends = re.search(r"must be one of (.*) \(those this CPU has\)", message).group(1).split(", ")
    made = {
        output(PROGRAM, SEEDBED_BACKEND=backend, SEEDBED_NUM_THREADS=threads).stdout
        for backend, threads in [(backends[-1], "1"), (backends[-1], "3"), *((backend, "2") for backend in backends)]
    }
    assert len(made) == 1
    assert len(made.pop()) == 65


class TestAccuracy:
    def test_a_thousand_rows_are_orthonormal(self):
        init = sb.Orthogonal(seed=1)
        assert far_from_orthonormal(init((1000, 1000))) < 2e-5
        assert far_from_orthonormal(init((1000, 1000), "float64")) < 1e-12
        assert far_from_orthonormal(init((1000, 1000)).T) < 2e-5

    @pytest.mark.parametrize(
        "shape", [(1, 1), (1, 9), (9, 1), (3, 2, 4, 5), (500, 300), (300, 500), (96, 96), (193, 97)]
    )
    def test_any_shape_is_orthonormal(self, shape):
        matrix = sb.Orthogonal(-2.5, seed=7)(shape, "float64").reshape(-1, shape[-1])
        rows = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        assert far_from_orthonormal(rows, 2.5) < 1e-13

    @pytest.mark.parametrize(("dtype", "error"), list(zip(DTYPES, [2e-2, 2e-1, 5e-6, 1e-13], strict=True)))
    def test_all_dtypes_are_the_same_tensor(self, dtype, error):
        init = sb.Orthogonal(seed=7)
        exact = init((150, 120), "float64")
        made = init((150, 120), dtype).astype(float)
        unit = {"float16": 2**-11, "float32": 0.0, "float64": 0.0}.get(np.dtype(dtype).name, 2**-8)
        assert (abs(made - exact) <= 5e-6 + unit * abs(exact)).all()
        assert far_from_orthonormal(made.T) < error

    @pytest.mark.parametrize("size", [1, 2, 3, 4])
    @pytest.mark.parametrize("cls", CONVOLUTIONS)
    def test_a_convolution_is_orthogonal_at_every_frequency(self, cls, size):
        spatial = CONVOLUTIONS.index(cls) + 1
        kernel = cls(1.5, seed=2)((size,) * spatial + (5, 8), "float64")
        spectrum = np.fft.fftn(kernel, s=(6,) * spatial, axes=range(spatial)).reshape(-1, 5, 8)
        products = spectrum @ spectrum.conj().swapaxes(1, 2)
        assert abs(products - 2.25 * np.eye(5)).max() < 1e-8
        taps = kernel.reshape(-1, 5, 8)
        assert (abs(taps).max(axis=(1, 2)) > 1e-3).sum() > size**spatial // 2, "not in one tap"

    @pytest.mark.parametrize("sizes", [(3,), (4,), (3, 3), (2, 5), (3, 4, 2)])
    def test_a_delta_convolution_keeps_norms(self, sizes):
        init = sb.DeltaOrthogonal(2.0, seed=2)
        kernel = init((*sizes, 6, 9), "float64")
        centre = tuple((size - 1) // 2 for size in sizes)
        assert kernel[centre].tobytes() == sb.Orthogonal(2.0, seed=2)((6, 9), "float64").tobytes()
        assert np.count_nonzero(kernel) == np.count_nonzero(kernel[centre]) == 54
        signal = normals((11, 6), seed=3)
        if len(sizes) == 1:
            out = sum(np.roll(signal, tap, axis=0) @ kernel[tap] for tap in range(sizes[0]))
            assert np.allclose(np.linalg.norm(out), 2 * np.linalg.norm(signal), rtol=1e-13)

    def test_a_product_in_fixed_order_is_accurate(self):
        left, right = normals((70, 130)), normals((130, 45), seed=2)
        out = np.empty((70, 45))
        _core.matmul(out, left, right, 2)
        assert np.allclose(out, left @ right, atol=1e-12)
        with pytest.raises(ValueError, match="shape of the product"):
            _core.matmul(out, right, left, 1)
        with pytest.raises(ValueError, match="contiguous"):
            _core.matmul(np.empty((70, 70)), left, normals((70, 130)).T, 1)


def deviations(sample, mean, deviation):
    return abs(np.mean(sample) - mean) / (deviation / math.sqrt(len(sample)))


N = 4000


@pytest.fixture(scope="module", params=["float32", "float64"])
def matrices(request):
    """Return N matrices of 8 x 8."""
    init = sb.Orthogonal(seed=sb.SeedGenerator(31))
    return np.array([init((8, 8), request.param) for _ in range(N)], float)


class TestHaar:
    """The traces of Q and of its square have the moments of normals N(0, 1) and N(1, 2), up to the order of Q (Diaconis
    and Shahshahani 1994). n = 4000, except for the ranks."""

    def test_the_moments_of_traces_are_those_of_the_measure(self, matrices):
        for rotated in (matrices, np.roll(matrices, 1, axis=1), np.roll(matrices, 3, axis=2), -matrices[:, :, ::-1]):
            traces = np.trace(rotated, axis1=1, axis2=2)
            assert deviations(traces, 0, 1) < MAX_DEVIATIONS
            assert deviations(traces**2, 1, math.sqrt(2)) < MAX_DEVIATIONS
            assert deviations(traces**4, 3, math.sqrt(105 - 9)) < MAX_DEVIATIONS
            of_squares = np.trace(rotated @ rotated, axis1=1, axis2=2)
            assert deviations(of_squares, 1, math.sqrt(2)) < MAX_DEVIATIONS
            assert deviations((of_squares - 1) ** 2, 2, math.sqrt(8)) < MAX_DEVIATIONS

    def test_both_determinants_are_equally_frequent(self, matrices):
        assert deviations(np.linalg.det(matrices), 0, 1) < MAX_DEVIATIONS

    def test_the_square_of_an_element_has_a_beta_distribution(self, matrices):
        for i, j in [(0, 0), (7, 7), (0, 7), (7, 0), (3, 5)]:
            beta = stats.beta(1 / 2, 7 / 2)
            assert stats.kstest(matrices[:, i, j] ** 2, beta.cdf).pvalue > ALPHA
            assert deviations(np.sign(matrices[:, i, j]), 0, 1) < MAX_DEVIATIONS

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_small_matrices_have_both_determinants(self, n):
        init = sb.Orthogonal(seed=sb.SeedGenerator(32))
        signs = np.array([np.linalg.det(init((n, n), "float64")) for _ in range(N)])
        assert np.allclose(abs(signs), 1)
        assert deviations(signs, 0, 1) < MAX_DEVIATIONS

    def test_columns_of_a_tall_matrix_are_uniform_on_the_sphere(self):
        init = sb.Orthogonal(seed=sb.SeedGenerator(33))
        matrices = np.array([init((6, 2), "float64") for _ in range(N)])
        for i in range(6):
            for j in range(2):
                assert stats.kstest(matrices[:, i, j] ** 2, stats.beta(1 / 2, 5 / 2).cdf).pvalue > ALPHA

    def test_the_ranks_of_projections_are_binomial(self):
        """The taps of a kernel of size 2 have the ranks of P and I - P. n = 1000."""
        init = sb.ConvolutionOrthogonal1D(seed=sb.SeedGenerator(34))
        ranks = [np.linalg.matrix_rank(init((2, 6, 6), "float64")[0], tol=1e-8) for _ in range(1000)]
        assert deviations(ranks, 3, math.sqrt(6) / 2) < MAX_DEVIATIONS
        assert deviations((np.array(ranks) - 3) ** 2, 1.5, math.sqrt(3 * 1.5**2)) < MAX_DEVIATIONS


CASES = [
    (sb.Orthogonal(seed=5), (7, 11)),
    (sb.Orthogonal(seed=5), (3, 2, 4, 20)),
    (sb.Orthogonal(seed=5, column_axis=0), (9, 4, 3)),
    (sb.DeltaOrthogonal(seed=5), (3, 4, 5, 6)),
    (sb.ConvolutionOrthogonal1D(seed=5), (3, 5, 6)),
    (sb.ConvolutionOrthogonal2D(seed=5), (2, 2, 5, 6)),
    (sb.ConvolutionOrthogonal3D(seed=5), (2, 2, 2, 3, 6)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("init", "shape"), CASES)
class TestSlices:
    def test_a_part_is_cut_from_the_whole(self, init, shape, dtype):
        whole = init(shape, dtype)
        assert whole.shape == shape
        offset, part = tuple(n // 2 for n in shape), tuple(n - n // 2 for n in shape)
        index = tuple(slice(at, None) for at in offset)
        made = init(shape, dtype, partition_shape=part, partition_offset=offset)
        assert made.tobytes() == whole[index].tobytes()
        lazy = init.lazy(shape, dtype)
        for index in [(), (0,), (..., -1), (slice(None, None, -1), ..., slice(1, None, 2)), (-1,) * len(shape)]:
            assert np.asarray(lazy[index]).tobytes() == np.asarray(whole[index]).tobytes()
        assert lazy[:0].size == 0

    def test_it_is_written_to_out(self, init, shape, dtype):
        out = np.full(shape, 7, dtype)
        assert init(shape, out=out) is out
        assert out.tobytes() == init(shape, dtype).tobytes()

    def test_a_generator_takes_one_draw_per_tensor(self, init, shape, dtype):
        drawing = init.with_seed(sb.SeedGenerator(5))
        first, second = drawing(shape, dtype), drawing.lazy(shape, dtype)
        assert drawing.seed.draws == 2
        assert first.tobytes() == init(shape, dtype).tobytes()
        assert second[...].tobytes() == second[...].tobytes() != first.tobytes()


@pytest.mark.parametrize("axis", [-3, -2, -1, 0, 1, 2])
def test_the_columns_are_along_the_column_axis(axis):
    shape = (4, 30, 5)
    made = sb.Orthogonal(seed=5, column_axis=axis)(shape, "float64")
    matrix = np.moveaxis(made, axis, -1).reshape(-1, shape[axis])
    assert matrix.tobytes() == sb.Orthogonal(seed=5)(matrix.shape, "float64").tobytes()


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (3, 0, 5), (0, 3, 5), (0, 0, 2, 3), (0, 0, 0, 2, 3)])
def test_zero_sizes_have_no_elements(shape):
    inits = [sb.Orthogonal(seed=1), sb.Orthogonal(seed=1, column_axis=0)]
    if len(shape) > 2:
        inits += [sb.DeltaOrthogonal(seed=1), CONVOLUTIONS[len(shape) - 3](seed=1)]
    for init in inits:
        assert init(shape).shape == shape


def test_configurations_are_those_of_keras():
    init = sb.Orthogonal(2, seed=3)
    assert init.get_config() == {"gain": 2.0, "seed": 3}
    assert repr(init) == "Orthogonal(gain=2.0, seed=3)"
    turned = sb.Orthogonal(seed=3, column_axis=1)
    assert turned.get_config() == {"gain": 1.0, "seed": 3, "column_axis": 1}
    for made in (init, turned, sb.DeltaOrthogonal(0.5, seed=3), *(cls(-1.0, seed=3) for cls in CONVOLUTIONS)):
        assert type(made).from_config(made.get_config()) == made
        assert sb.deserialize(sb.serialize(made)) == made
    for name in ("orthogonal", "delta_orthogonal", "convolution_orthogonal_2d"):
        assert type(sb.get(name)) is getattr(sb, name)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: sb.Orthogonal(math.nan), ValueError, "gain must be a finite number. Received: gain=nan"),
        (lambda: sb.Orthogonal("2"), TypeError, "gain must be a finite number. Received: gain='2'"),
        (lambda: sb.DeltaOrthogonal(-math.inf), ValueError, "gain must be a finite number. Received: gain=-inf"),
        (
            lambda: sb.Orthogonal(column_axis=1.0),
            TypeError,
            "column_axis must be an integer. Received: column_axis=1.0",
        ),
        (
            lambda: sb.Orthogonal(column_axis=True),
            TypeError,
            "column_axis must be an integer. Received: column_axis=True",
        ),
        (lambda: sb.Orthogonal()((3,)), ValueError, r"must be at least two-dimensional. Received: \(3,\)"),
        (lambda: sb.Orthogonal()(()), ValueError, r"must be at least two-dimensional. Received: \(\)"),
        (
            lambda: sb.Orthogonal(column_axis=2)((3, 3)),
            ValueError,
            "column_axis must be an axis of the shape. Received: column_axis=2",
        ),
        (lambda: sb.Orthogonal()((3, 3), "int32"), ValueError, "dtype must be a floating point type"),
        (
            lambda: sb.Orthogonal(1e5)((3, 3), "float16"),
            ValueError,
            "gain must be within 32752.0 of zero.*Received: gain=100000.0",
        ),
        (lambda: sb.Orthogonal(1e300)((3, 3)), ValueError, "half of the greatest float32. Received: gain=1e300"),
        (lambda: sb.DeltaOrthogonal()((3, 3)), ValueError, r"must have 3 to 5 axes. Received: \(3, 3\)"),
        (lambda: sb.DeltaOrthogonal()((3,) * 6), ValueError, "must have 3 to 5 axes"),
        (lambda: sb.DeltaOrthogonal()((3, 4, 3)), ValueError, r"must have in <= out. Received: \(3, 4, 3\)"),
        (lambda: sb.ConvolutionOrthogonal1D()((3, 4, 3)), ValueError, r"must have in <= out. Received: \(3, 4, 3\)"),
        (
            lambda: sb.ConvolutionOrthogonal2D()((3, 3, 3)),
            ValueError,
            "a ConvolutionOrthogonal2D kernel must have 4 axes",
        ),
        (lambda: sb.ConvolutionOrthogonal2D()((3, 2, 3, 3)), ValueError, r"equal lengths. Received: \(3, 2, 3, 3\)"),
        (lambda: sb.ConvolutionOrthogonal3D()((2, 2, 3, 4, 4)), ValueError, "equal lengths"),
        (
            lambda: sb.ConvolutionOrthogonal1D().lazy((2**24, 1, 1)),
            ValueError,
            r"at most 4096 long. Received: \(16777216, 1, 1\)",
        ),
    ],
)
def test_bad_orthogonal_arguments_are_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_an_error_takes_no_draw():
    generator = sb.SeedGenerator(1)
    for init, shape in [
        (sb.Orthogonal(1e300, generator), (3, 3)),
        (sb.ConvolutionOrthogonal1D(1.0, generator), (3, 3)),
    ]:
        with pytest.raises(ValueError, match="Received"):
            init(shape)
    assert generator.draws == 0


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(
    "call", ["sb.Orthogonal(seed=1)((6000, 6000))", "sb.ConvolutionOrthogonal1D(seed=1)((9, 2500, 2500))"]
)
def test_ctrl_c_ends_it_at_once(call):
    done = output(
        f"""
import os, signal, threading, time
import seedbed as sb
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have ignored it
sent = []
def interrupt():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.3, interrupt).start()
try:
    {call}
except KeyboardInterrupt:
    print(time.perf_counter() - sent[0])
sb.Orthogonal(seed=1)((20, 20))
"""
    )
    assert float(done.stdout) < 10, "within 100 ms on an idle machine"
    assert not done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_failed_allocation_raises_memory_error():
    done = output(
        """
import resource
import numpy as np, seedbed as sb
sb.set_num_threads(1)
out = np.empty((8000, 8000), "float16")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**25, used + 2**25))
try:
    sb.Orthogonal(seed=1)(out.shape, out=out)
except MemoryError as error:
    print(error)
"""
    )
    assert done.stdout.strip() == "there is not enough memory to compute a matrix", done.stderr


PEAK = """
import sys
import ml_dtypes, numpy as np, seedbed as sb

def memory(name):
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(name))

sb.set_num_threads(2)
init = sb.Orthogonal(seed=1)
init((10, 10))
before = memory("VmRSS")
out = init({shape}, "{dtype}")
print(memory("VmHWM") - before, out.nbytes)
"""


def peak_and_result(shape, dtype):
    """Return the growth of the peak memory of a new process during the call, and the size of the result, in bytes."""
    done = output(PEAK.replace("{shape}", repr(shape)).replace("{dtype}", np.dtype(dtype).name))
    return tuple(map(int, done.stdout.split()))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("dtype", DTYPES)
class TestMemory:
    """Results of 10 to 100 MB, next to which other allocations are negligible."""

    @pytest.mark.parametrize("shape", [(4_000_000, 2), (2, 4_000_000), (1_000_000, 10), (300_000, 32)])
    def test_up_to_32_columns_need_the_result_and_16_mib(self, shape, dtype):
        peak, result = peak_and_result(shape, dtype)
        assert peak - result < 20 * 2**20

    @pytest.mark.parametrize("shape", [(600_000, 33), (40, 600_000), (200_000, 97), (130, 150_000), (2500, 2500)])
    def test_more_columns_need_at_most_three_times_the_result(self, shape, dtype):
        peak, result = peak_and_result(shape, dtype)
        assert peak < 3 * result + 4 * 2**20


def test_a_matrix_of_a_thousand_rows_is_quick():
    init = sb.Orthogonal(seed=1)
    start = time.process_time()
    init((1000, 1000))
    assert time.process_time() - start < 5


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_a_delta_orthogonal_kernel_has_the_matrix_of_that_column_axis(axis):
    kernel = sb.DeltaOrthogonal(2.0, seed=3, column_axis=axis)((3, 4, 5, 7))
    assert (kernel[1, 1] == sb.Orthogonal(2.0, seed=3, column_axis=axis)((5, 7))).all()
    assert np.count_nonzero(kernel) == np.count_nonzero(kernel[1, 1])


def test_a_bad_column_axis_is_an_error():
    with pytest.raises(ValueError, match=r"column_axis must be an axis of the matrix, from -2 to 1\. Received: 2"):
        sb.DeltaOrthogonal(column_axis=2)

"""STFT kernels and the cosines in them."""

import math
import subprocess
import sys
import warnings

import mpmath
import numpy as np
import pytest
from scipy import signal
from support import reference

import seedbed as sb
from seedbed.initializers._cosine import MAX_DENOMINATOR, ONE, PI, cosines

DENOMINATORS = [1, 2, 3, 4, 5, 7, 8, 12, 16, 100, 1023, 1024, 4096, 2**20, 999_999_937, MAX_DENOMINATOR]


def test_the_integer_constant_is_pi():
    with mpmath.workprec(400):
        assert int(mpmath.floor(mpmath.pi * ONE)) == PI


@pytest.mark.parametrize("denominator", DENOMINATORS)
def test_a_cosine_is_the_nearest_number_to_the_exact_one(denominator):
    d = denominator
    corners = [0, 1, -1, d // 8, d // 6, d // 4, d // 3, 3 * d // 8, d // 2, 3 * d // 4, d - 1, d, d + 1]
    numerators = np.append(corners, np.random.default_rng(1).integers(-5 * d, 5 * d, 200))
    for n, found in zip(numerators.tolist(), cosines(numerators, d).tolist(), strict=True):
        assert found == reference.cosine(n, d), n


@pytest.mark.parametrize("denominator", [2, 4, 6, 8, 24, 1000, 1024])
def test_the_symmetries_are_exact(denominator):
    n = np.arange(denominator)
    c = cosines(n, denominator)
    assert (c == cosines(-n, denominator)).all()
    assert (c == cosines(n + 3 * denominator, denominator)).all()
    assert (c == -cosines(n + denominator // 2, denominator)).all()
    assert c[0] == 1
    assert not np.signbit(c[c == 0]).any()


def exact_kernel(shape, side, window, scaling):
    """Keras' formulas in NumPy's float64."""
    times, _, frequencies = shape
    angles = 2 * np.pi * np.outer(np.arange(times), np.arange(frequencies)) / (2 * (frequencies - 1))
    window = np.ones(times) if window is None else np.asarray(window, float)
    scale = {"density": np.sqrt((window**2).sum()), "spectrum": abs(window).sum(), None: 1.0}[scaling]
    values = (np.cos(angles) if side == "real" else -np.sin(angles)) * window[:, None] / scale
    return np.broadcast_to(values[:, None], shape)


@pytest.mark.parametrize("shape", [(5, 2, 4), (128, 1, 65), (7, 3, 33), (4, 1, 2), (1, 2, 5)])
@pytest.mark.parametrize("scaling", ["density", "spectrum", None])
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("window", ["hann", "hamming"])
@pytest.mark.parametrize("side", ["real", "imag"])
def test_the_kernel_is_that_of_kerass_formula(side, window, periodic, scaling, shape):
    made = sb.STFT(side, window, scaling, periodic)(shape, "float64")
    want = exact_kernel(shape, side, signal.get_window(window, shape[0], periodic), scaling)
    assert np.abs(made - want).max() < 1e-12


@pytest.mark.parametrize("side", ["real", "imag"])
def test_a_window_may_be_numbers_or_none(side):
    numbers = signal.get_window(("kaiser", 8.6), 31)
    for window in (numbers, list(numbers), tuple(numbers)):
        made = sb.STFT(side, window, "spectrum")((31, 2, 17), "float64")
        assert np.abs(made - exact_kernel((31, 2, 17), side, numbers, "spectrum")).max() < 1e-12
    without = sb.STFT(side, None)((31, 2, 17), "float64")  # so neither changes if there is no scaling
    assert np.abs(without - exact_kernel((31, 2, 17), side, None, None)).max() < 1e-12


def test_both_sides_transform_the_windowed_signal():
    n = 64
    x = np.random.default_rng(1).standard_normal(n)
    real, imag = (sb.STFT(side, "hann", None, True)((n, 1, n // 2 + 1), "float64")[:, 0] for side in ("real", "imag"))
    want = np.fft.rfft(x * signal.get_window("hann", n))
    assert np.abs(x @ real + 1j * (x @ imag) - want).max() < 1e-12


@pytest.mark.parametrize("side", ["real", "imag"])
@pytest.mark.parametrize(("times", "frequencies"), [(2**36, 2**26), (2**29, 2**33), (2**60, 7)])
def test_an_element_of_the_largest_kernels_is_exact(times, frequencies, side):
    n = 2 * (frequencies - 1)
    init = sb.STFT(side, "hann" if times <= 2**36 else None, None)
    for t, f in [(times - 1, frequencies - 2), (times // 3, frequencies // 3), (2**28 + 5, 2**26 - 11)]:
        f = min(f, frequencies - 1)
        wave = reference.cosine(t * f, n) if side == "real" else reference.cosine(4 * t * f + n, 4 * n)
        factor = 0.5 - 0.5 * reference.cosine(t, times - 1) if init.window else 1.0
        assert init.lazy((times, 1, frequencies), "float64")[t, 0, f] == wave * factor


def test_slices_take_the_sum_of_the_window_once(monkeypatch):
    sums = []
    monkeypatch.setattr(math, "fsum", lambda terms, sum_of=math.fsum: sums.append(len(terms)) or sum_of(terms))
    kernel = sb.STFT().lazy((777, 1, 5))
    assert (np.concatenate([kernel[i : i + 1] for i in range(777)]) == kernel[:]).all()
    assert sums == [777]


def test_narrow_floats_are_rounded_from_float32():
    init = sb.STFT("imag")
    single = init((40, 1, 65))
    assert (single == init((40, 1, 65), "float64").astype("float32")).all()
    for dtype in ("float16", "bfloat16"):
        narrow = init((40, 1, 65), dtype)
        assert (narrow == single.astype(narrow.dtype)).all()


def test_values_that_are_simple_numbers_are_exact():
    real = sb.STFT("real", None)((13, 1, 7), "float64")[:, 0]
    imag = sb.STFT("imag", None)((13, 1, 7), "float64")[:, 0]
    assert (real[:, 0] == 1).all()
    assert real[:5, 2].tolist() == [1, 0.5, -0.5, -1, -0.5]
    assert real[:, 3].tolist() == [1, 0, -1, 0] * 3 + [1]
    assert imag[:, 3].tolist() == [0, -1, 0, 1] * 3 + [0]
    assert not imag[:, 6].any()


def test_a_kernel_made_in_pieces_is_the_same():
    init = sb.STFT("real", "hamming")
    shape = (1200, 1, 513)
    whole = init(shape)
    assert (whole[700:703] == init(shape, partition_shape=(3, 1, 513), partition_offset=(700, 0, 0))).all()
    assert (
        np.abs(whole - exact_kernel(shape, "real", signal.get_window("hamming", 1200, False), "density")).max() < 1e-7
    )


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: sb.STFT("both"), ValueError, "side must be one of real, imag. Received: side='both'"),
        (
            lambda: sb.STFT(window="kaiser"),
            ValueError,
            "window must be one that scipy.signal.get_window knows. Received: window='kaiser'",
        ),
        (lambda: sb.STFT(window="han n"), ValueError, "window must be one that scipy.signal.get_window knows"),
        (lambda: sb.STFT(window=("kaiser", "a")), ValueError, "window must be one that scipy.signal.get_window knows"),
        (lambda: sb.STFT(window=("general_hamming", "a")), TypeError, "a parameter of window must be a finite number"),
        (lambda: sb.STFT(window=("gaussian", math.nan)), ValueError, "a parameter of window must be a finite number"),
        (
            lambda: sb.STFT(window=("kaiser", 2.0), scaling=None).lazy((2**21, 1, 2)),
            ValueError,
            "must be at most 1048576",
        ),
        (
            lambda: sb.STFT(window=[[1.0]]),
            ValueError,
            "window must be a name, a tuple of a name and parameters, a sequence of finite numbers or None",
        ),
        (lambda: sb.STFT(window=[1, math.nan]), ValueError, "window must be a name"),
        (lambda: sb.STFT(window=[1, "2"]), TypeError, "window must be a name"),
        (lambda: sb.STFT(window=[1, 2j]), TypeError, "window must be a name"),
        (lambda: sb.STFT(window=3.0), TypeError, "window must be a name"),
        (lambda: sb.STFT(window=len), TypeError, "window must be a name"),
        (lambda: sb.STFT(window=[[1], [2, 3]]), ValueError, "window must be a name"),
        (
            lambda: sb.STFT(scaling="power"),
            ValueError,
            "scaling must be one of density, spectrum. Received: scaling='power'",
        ),
        (lambda: sb.STFT(periodic=1), TypeError, "periodic must be True or False. Received: periodic=1"),
        (lambda: sb.STFT()((5, 4)), ValueError, r"must be \(time, channels, frequencies\). Received: shape=\(5, 4\)"),
        (
            lambda: sb.STFT()((5, 1, 1)),
            ValueError,
            r"frequencies of an STFT kernel must be 2 or more, .*shape=\(5, 1, 1\)",
        ),
        (lambda: sb.STFT().lazy((0, 1, 1)), ValueError, "must be 2 or more"),
        (lambda: sb.STFT().lazy((2, 1, 2**34)), ValueError, "must be 2 or more, and at most"),
        (
            lambda: sb.STFT(scaling=None).lazy((2**48, 1, 2)),
            ValueError,
            "window='hann' and scaling=None must be at most 687194767",
        ),
        (lambda: sb.STFT("imag", "hamming", None).lazy((2**56, 0, 2)), ValueError, "scaling=None must be at most"),
        (
            lambda: sb.STFT().lazy((2**20 + 1, 1, 2)),
            ValueError,
            "scaling='density' must be at most 1048576. Received: 1048577 times",
        ),
        (
            lambda: sb.STFT(scaling="spectrum").lazy((2**61, 1, 2)),
            ValueError,
            "scaling='spectrum' must be at most 1048576",
        ),
        (
            lambda: sb.STFT(window=[1, 2])((3, 1, 4)),
            ValueError,
            "window must have as many numbers as the shape has times",
        ),
        (lambda: sb.STFT(window=[0, 0])((2, 1, 4)), ValueError, "window must have a scale that is positive and finite"),
        (lambda: sb.STFT(window=[1e200, 0])((2, 1, 4)), ValueError, "window must have a scale"),
        (lambda: sb.STFT(window=[1e308] * 9, scaling="spectrum")((9, 1, 4)), ValueError, "window must have a scale"),
        (lambda: sb.STFT().lazy((2, 1, 4)), ValueError, "window must have a scale"),  # the Hann window is 0, 0
        (
            lambda: sb.STFT(window=[1e39], scaling=None)((1, 1, 4)),
            ValueError,
            "window must be representable as float32",
        ),
        (lambda: sb.STFT()((5, 1, 4), "int32"), ValueError, "dtype must be a floating point type"),
    ],
)
def test_bad_stft_arguments_are_errors(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_empty_kernels_are_empty():
    for shape in ((0, 1, 4), (5, 0, 4), (5, 2, 0)):
        assert sb.STFT()(shape).shape == shape
    assert not sb.STFT(scaling=None)((2, 1, 4)).any()


def test_the_configuration_is_kerass_in_json_types():
    assert sb.STFT().get_config() == {"side": "real", "window": "hann", "scaling": "density", "periodic": False}
    config = sb.STFT(window=np.array([1, 2], "int8"), periodic=np.True_).get_config()
    assert config == {"side": "real", "window": [1.0, 2.0], "scaling": "density", "periodic": True}
    assert type(config["window"]) is list
    assert type(config["periodic"]) is bool


NAMED = [
    *("hann", "ham", "blackman", "nuttall", "blackmanharris", "flattop", "boxcar", "bartlett", "triang", "cosine"),
    *("parzen", "barthann", "bohman", "lanczos", "tukey", "taylor", "exponential"),
    *(("general_hamming", 0.7), ("general_cosine", [0.4, 0.5, 0.1]), ("kaiser", 8.6), ("gaussian", 7), ("dpss", 0.9)),
    *(("tukey", 0.3), ("chebwin", 100), ("general_gaussian", 1.5, 7.0), ("exponential", None, 3.0)),
]


@pytest.mark.parametrize("times", [1, 2, 31, 32])
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("window", NAMED, ids=repr)
def test_every_window_of_scipy_is_known(window, periodic, times):
    init = sb.STFT("real", window, None, periodic)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from chebwin and others
        want = signal.get_window(window if isinstance(window, str) else tuple(window), times, periodic)
        made = init((times, 1, 17), "float64")[:, 0, 0]
        assert made == pytest.approx(want, rel=1e-13, abs=1e-15)
        assert (init.lazy((times, 1, 17), "float64")[1::2, 0, 0] == made[1::2]).all()
    assert sb.deserialize(sb.serialize(init)) == init


def test_common_windows_need_no_scipy():
    program = (
        "import sys; sys.modules['scipy'] = sys.modules['scipy.signal'] = None; import seedbed as sb\n"
        "for window in ('hann', 'flattop', 'bkh', 'triang', 'parzen', 'cosine', ('general_hamming', 0.7)):\n"
        "    sb.STFT(window=window)((9, 1, 5))\n"
        "try: sb.STFT(window=('kaiser', 8.6))\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.stdout == "the window ('kaiser', 8.6) needs the package scipy, which is not installed\n", done.stderr

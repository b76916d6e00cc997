"""Formulas, fans and patterns compared with those of the installed peers.

Each peer is asked for numbers; what is compared with what it is known to do wrong is not here. n = 10^6 values where a
standard deviation is compared, whose relative standard deviation is then below 0.1 %; 1 % is allowed.
"""

import os

import numpy as np
import pytest

import seedbed as sb

TOLERANCE = 0.01


pytestmark = pytest.mark.filterwarnings("default")  # warnings of the peers


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    return torch


@pytest.fixture(scope="module")
def initializers():
    pytest.importorskip("jax")
    from jax._src.nn import initializers

    return initializers


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "numpy")
    return pytest.importorskip("keras")


class TestTorch:
    @pytest.mark.parametrize("groups", [1, 2])
    @pytest.mark.parametrize("shape", [(8, 2, 5), (8, 3, 4, 5), (6, 9, 2, 3, 4), (4, 4, 1)])
    def test_dirac_equals_torchs(self, torch, shape, groups):
        theirs = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
        assert (sb.Dirac(groups, "torch")(shape) == theirs).all()

    @pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
    def test_identity_equals_torchs(self, torch, shape):
        assert (sb.Identity()(shape) == torch.nn.init.eye_(torch.empty(shape)).numpy()).all()

    @pytest.mark.parametrize("sparsity", [0.0, 0.07, 0.1, 1 / 3, 0.5, 0.9, 1.0])
    @pytest.mark.parametrize("rows", [1, 7, 30, 100])
    def test_sparse_has_torchs_number_of_zeros_in_each_column(self, torch, rows, sparsity):
        theirs = torch.nn.init.sparse_(torch.empty(rows, 5), sparsity).numpy()
        ours = sb.Sparse(sparsity, seed=1)((rows, 5))
        assert ((ours == 0).sum(axis=0) == (theirs == 0).sum(axis=0)).all()

    def test_gains_equal_torchs(self, torch):
        for name in ("linear", "conv1d", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
            assert sb.calculate_gain(name) == torch.nn.init.calculate_gain(name)
        for slope in (0, 0.2, 1, -3.5, 5**0.5):
            assert sb.calculate_gain("leaky_relu", slope) == torch.nn.init.calculate_gain("leaky_relu", slope)
        for name in ("mish", "identity", "RELU"):
            for calculate in (sb.calculate_gain, torch.nn.init.calculate_gain):
                with pytest.raises(ValueError, match=name):
                    calculate(name)

    @pytest.mark.parametrize("shape", [(500, 2000), (400, 100, 5, 5)])
    def test_xavier_and_kaiming_have_torchs_spread(self, torch, shape):
        init = torch.nn.init
        cases = [
            (sb.XavierUniform(0.7, seed=1, layout="torch"), lambda w: init.xavier_uniform_(w, 0.7)),
            (sb.XavierNormal(0.7, seed=1, layout="torch"), lambda w: init.xavier_normal_(w, 0.7)),
        ]
        for arguments in [(0.5, "fan_in"), (0, "FAN_OUT"), (0, "fan_in", "tanh"), (0, "fan_out", "selu")]:
            for ours, theirs in [
                (sb.KaimingUniform, init.kaiming_uniform_),
                (sb.KaimingNormal, init.kaiming_normal_),
            ]:
                case = ours(*arguments, seed=1, layout="torch"), lambda w, of=theirs, by=arguments: of(w, *by)
                cases.append(case)
        for ours, theirs in cases:
            made, filled = ours(shape), theirs(torch.empty(shape)).numpy()
            assert made.std() == pytest.approx(filled.std(), rel=TOLERANCE), ours
            if ours.distribution == "uniform":
                assert abs(made).max() == pytest.approx(abs(filled).max(), rel=1e-3), ours
            else:  # neither is truncated
                assert min(abs(made).max(), abs(filled).max()) > 4 * made.std(), ours

    @pytest.mark.parametrize("shape", [(8, 2), (8, 3, 4), (6, 9, 2, 3, 4)])
    def test_fans_equal_torchs(self, torch, shape):
        theirs = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
        assert sb.compute_fans(shape, layout="torch") == theirs


class TestJax:
    @pytest.mark.parametrize(
        ("in_axis", "out_axis", "batch_axis"),
        [(-2, -1, ()), (0, 1, ()), (1, 0, ()), ((0, 1), -1, ()), (-2, -1, (0,)), (0, 2, (1, 3)), ((), -1, (-2,))],
    )
    def test_fans_with_batch_axes_equal_jaxs(self, initializers, in_axis, out_axis, batch_axis):
        shape = (3, 4, 5, 6)
        theirs = initializers._compute_fans(shape, in_axis, out_axis, batch_axis)
        assert sb.compute_fans(shape, in_axis, out_axis, batch_axes=batch_axis) == theirs

    @pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg", "fan_geo_avg"])
    def test_modes_equal_jaxs(self, initializers, mode):
        import jax

        shape = (10, 100, 1000)
        for theirs, ours in [("uniform", "uniform"), ("normal", "untruncated_normal")]:
            init = initializers.variance_scaling(1.7, mode, theirs, batch_axis=(0,))
            drawn = np.asarray(init(jax.random.key(1), shape))
            made = sb.VarianceScaling(1.7, mode, ours, seed=1, batch_axes=(0,))(shape)
            assert made.std() == pytest.approx(drawn.std(), rel=TOLERANCE)


class TestKeras:
    @pytest.mark.parametrize("shape", [(5, 1, 4), (64, 1, 33), (1, 1, 5)])
    @pytest.mark.parametrize("scaling", ["density", "spectrum", None])
    @pytest.mark.parametrize("periodic", [False, True])
    @pytest.mark.parametrize("window", ["hann", "hamming", None, "numbers"])
    @pytest.mark.parametrize("side", ["real", "imag"])
    def test_stft_equals_keras(self, keras, side, window, periodic, scaling, shape):
        numbers = np.linspace(-1, 2, shape[0]) if window == "numbers" else window
        theirs = np.asarray(keras.initializers.STFT(side, numbers, scaling, periodic)(shape, "float32"))
        assert (
            np.abs(sb.STFT(side, numbers, scaling, periodic)(shape) - theirs).max() < 3e-5
        )  # Keras' error: its phases reach 400 radians

    @pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
    @pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
    def test_identity_equals_keras(self, keras, shape, dtype):
        assert (sb.Identity()(shape, dtype) == np.asarray(keras.initializers.Identity()(shape, dtype))).all()

    @pytest.mark.parametrize("axes", [((0,), (1,)), ((0, 1), (2, 3)), ((-1,), (0, 2))])
    def test_fans_along_axes_equal_keras(self, keras, axes):
        shape = (10, 20, 50, 100)
        init = keras.initializers.VarianceScaling(1.0, "fan_avg", "uniform", 1, *axes)
        made = sb.VarianceScaling(1.0, "fan_avg", "uniform", 1, *axes)(shape)
        assert made.std() == pytest.approx(np.asarray(init(shape)).std(), rel=TOLERANCE)

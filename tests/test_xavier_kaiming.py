"""Xavier, Kaiming, their gains, and UniformUnitScaling: each is a case of variance scaling."""

import math

import mpmath
import pytest

import seedbed as sb

SHAPES = [(), (7,), (30, 20), (3, 3, 16, 32), (0, 4), (2, 0, 3)]


def same_values(a, b):
    return all((a(shape) == b(shape)).all() for shape in SHAPES)


@pytest.mark.parametrize("gain", [1.0, 0.3, sb.calculate_gain("tanh")])
def test_xavier_is_glorot_times_a_gain_without_truncation(gain):
    scale = gain * gain
    assert same_values(sb.XavierUniform(gain, seed=3), sb.VarianceScaling(scale, "fan_avg", "uniform", seed=3))
    assert same_values(
        sb.XavierNormal(gain, seed=3), sb.VarianceScaling(scale, "fan_avg", "untruncated_normal", seed=3)
    )


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "FAN_OUT"])
@pytest.mark.parametrize(
    ("nonlinearity", "a", "scale"),
    [("leaky_relu", 0.0, 2), ("leaky_relu", 2.0, 0.4), ("relu", 0.0, 2), ("linear", 0.0, 1), ("selu", 0.0, 0.5625)],
)
def test_kaiming_is_he_times_a_gain_without_truncation(mode, nonlinearity, a, scale):
    fan = mode.lower()
    uniform = sb.KaimingUniform(a, mode, nonlinearity, seed=3)
    normal = sb.KaimingNormal(a, mode, nonlinearity, seed=3)
    assert uniform.mode == fan
    assert same_values(uniform, sb.VarianceScaling(scale, fan, "uniform", seed=3))
    assert same_values(normal, sb.VarianceScaling(scale, fan, "untruncated_normal", seed=3))


def test_uniform_defaults_are_those_of_glorot_and_he():
    assert same_values(sb.XavierUniform(seed=3), sb.GlorotUniform(seed=3))
    assert same_values(sb.KaimingUniform(seed=3), sb.HeUniform(seed=3))


def test_the_layout_can_be_torchs():
    for cls in (sb.XavierUniform, sb.XavierNormal, sb.KaimingUniform, sb.KaimingNormal):
        torchs, keras = cls(seed=1, layout="torch")((64, 32, 3, 3)), cls(seed=1)((3, 3, 32, 64))
        assert (torchs.ravel() == keras.ravel()).all()
    assert (sb.KaimingNormal(seed=1, layout="torch")((64, 32)) != sb.KaimingNormal(seed=1)((64, 32))).any()


def test_gains_are_those_of_torchs_table():
    for name in ("linear", "sigmoid", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose3d"):
        assert sb.calculate_gain(name) == 1
    assert sb.calculate_gain("tanh") == 5 / 3
    assert sb.calculate_gain("relu") == math.sqrt(2)
    assert sb.calculate_gain("selu") == 0.75
    assert sb.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert sb.calculate_gain("leaky_relu", 0) == sb.calculate_gain("relu")
    assert sb.calculate_gain("leaky_relu", -3) == math.sqrt(0.2)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (
            lambda: sb.calculate_gain("mish"),
            ValueError,
            "nonlinearity must be one of linear, .*Received: nonlinearity='mish'",
        ),
        (lambda: sb.calculate_gain(["relu"]), ValueError, "nonlinearity must be one of"),
        (lambda: sb.calculate_gain("mish", 1), ValueError, "nonlinearity must be one of"),
        (
            lambda: sb.calculate_gain("relu", 0.1),
            ValueError,
            "param must be None except for leaky_relu and elu. Received: 'relu', param=0.1",
        ),
        (lambda: sb.calculate_gain("leaky_relu", True), TypeError, "param must be a finite number"),
        (lambda: sb.calculate_gain("leaky_relu", math.nan), ValueError, "param must be a finite number"),
        (lambda: sb.calculate_gain("leaky_relu", 1e200), ValueError, "the parameter of leaky_relu must be within"),
        (lambda: sb.KaimingNormal(nonlinearity="mish"), ValueError, "nonlinearity must be one of"),
        (
            lambda: sb.KaimingNormal(0.1, nonlinearity="relu"),
            ValueError,
            "a must be 0 except for leaky_relu. Received: a=0.1",
        ),
        (lambda: sb.KaimingNormal("0"), TypeError, "a must be a finite number"),
        (lambda: sb.KaimingUniform(1e200), ValueError, "the parameter of leaky_relu must be within"),
        (
            lambda: sb.KaimingUniform(mode="fan_avg"),
            ValueError,
            "mode must be one of fan_in, fan_out. Received: mode='fan_avg'",
        ),
        (lambda: sb.KaimingUniform(mode=None), ValueError, "mode must be one of"),
        (lambda: sb.XavierNormal(0), ValueError, "gain must be positive, from 1e-150 to 1e150. Received: gain=0.0"),
        (lambda: sb.XavierNormal(-1), ValueError, "gain must be positive"),
        (lambda: sb.XavierUniform(1e-200), ValueError, "gain must be positive"),
        (lambda: sb.XavierUniform(math.inf), ValueError, "gain must be a finite number"),
        (lambda: sb.UniformUnitScaling(0), ValueError, "factor must be positive"),
    ],
)
def test_bad_arguments_are_refused_in_the_constructor(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize(
    ("shape", "n"), [((30, 20), 30), ((3, 4, 5, 6), 60), ((7,), 1), ((), 1), ((0, 3), 1), ((2, 0, 3), 1)]
)
def test_unit_scaling_uses_all_dimensions_except_the_last(shape, n):
    limit = math.sqrt(3 * 1.5**2 / n)
    want = sb.RandomUniform(-limit, limit, seed=3)(shape)
    assert (sb.UniformUnitScaling(1.5, seed=3)(shape) == want).all()
    assert limit == pytest.approx(1.5 * math.sqrt(3 / n), rel=1e-15)
    assert max(1, sb.fans(sb.UniformUnitScaling(), shape).fan_in) == n


def test_unit_scaling_takes_no_arguments_about_fans():
    assert sb.UniformUnitScaling(2, 3).get_config() == {"factor": 2.0, "seed": 3}
    with pytest.raises(ValueError, match="the keys of a UniformUnitScaling config are: factor, seed"):
        sb.UniformUnitScaling.from_config({"groups": 1})


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", lambda z: max(z, 0)),
        ("gelu", lambda z: z * mpmath.ncdf(z)),
        ("silu", lambda z: z / (1 + mpmath.exp(-z))),
        ("elu", lambda z: z if z > 0 else mpmath.expm1(z)),
    ],
)
def test_a_gain_keeps_the_mean_square_of_a_standard_normal(name, function):
    with mpmath.workdps(30):
        mean_square = mpmath.quad(lambda z: function(z) ** 2 * mpmath.npdf(z), [-30, -8, -2, 0, 2, 8, 30])
        assert sb.calculate_gain(name) == pytest.approx(float(1 / mpmath.sqrt(mean_square)), rel=1e-15)


def test_the_gain_of_elu_depends_on_its_alpha():
    assert sb.calculate_gain("elu", 0) == sb.calculate_gain("relu")
    assert sb.calculate_gain("elu", 2) < sb.calculate_gain("elu", 1) == sb.calculate_gain("elu")
    with pytest.raises(ValueError, match="param must be None except for leaky_relu and elu"):
        sb.calculate_gain("gelu", 1.0)

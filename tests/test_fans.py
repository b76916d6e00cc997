"""Counts of fans, and the variance that follows from them, compared with the one that a layer needs.

The layers here have n >= 6 10^5 outputs. The standard deviation of their variance is below 0.5 %, the tolerance is 2 %.
"""

import math

import numpy as np
import pytest

import seedbed as sb

DEPTHWISE = {"input_axes": (), "output_axes": (-1,), "batch_axes": (-2,)}


@pytest.mark.parametrize(
    ("shape", "arguments", "fans"),
    [
        ((3, 3, 64, 128), {"layout": "keras"}, (576, 1152)),
        ((128, 64, 3, 3), {"layout": "torch"}, (576, 1152)),
        ((128, 64), {"layout": "torch"}, (64, 128)),
        ((7,), {"layout": "torch"}, (7, 7)),
        ((), {"layout": "torch"}, (1, 1)),
        ((128, 16, 3, 3), {"layout": "torch", "groups": 4}, (144, 288)),
        ((3, 3, 16, 128), {"groups": 4}, (144, 288)),
        ((3, 3, 1, 128), {"groups": 64}, (9, 18)),
        ((6,), {"groups": 3}, (6, 2)),
        ((3, 3, 64, 2), DEPTHWISE, (9, 18)),
        ((10, 3, 3, 64, 128), {"batch_axes": (0,)}, (576, 1152)),
        ((10, 64, 128), {"batch_axes": 0}, (64, 128)),
        ((128, 64, 3, 10), {"batch_axes": (-1,), "layout": "torch"}, (192, 384)),
        ((10, 128, 64), {"batch_axes": (0,), "layout": "torch"}, (64, 128)),
        ((2, 128, 10, 64, 3, 3), {"batch_axes": (0, 2), "layout": "torch"}, (576, 1152)),
        ((3, 64, 128, 10), {"batch_axes": (-1,)}, (192, 384)),
        ((3, 4, 5, 6), {"input_axes": 1, "output_axes": 2}, (4, 5)),
        ((3, 4, 5, 6), {"input_axes": 1, "output_axes": 2, "batch_axes": ()}, (4 * 18, 5 * 18)),
        ((3, 4, 5, 6), {"input_axes": (1, -1), "output_axes": 2, "batch_axes": ()}, (72, 15)),
        ((3, 4, 5, 6), {"input_axes": 1, "output_axes": 2, "batch_axes": 0}, (24, 30)),
        ((3,), {"input_axes": (), "output_axes": (), "batch_axes": ()}, (3, 3)),
        ((0, 3, 4), {"batch_axes": ()}, (0, 0)),
        ((0, 3, 4), {"batch_axes": (0,)}, (3, 4)),
        ((8, 9), {"input_axes": 0, "output_axes": (0, 1), "groups": 3}, (8, 24)),
    ],
)
def test_each_axis_has_the_role_it_is_given(shape, arguments, fans):
    assert sb.compute_fans(shape, **arguments) == fans
    for init in (sb.VarianceScaling(**arguments), sb.HeNormal(**arguments), sb.KaimingNormal(**arguments)):
        assert sb.fans(init, shape) == init.fans(shape) == fans
    assert sb.fans(sb.XavierNormal(**arguments), shape)._asdict() == dict(zip(("fan_in", "fan_out"), fans, strict=True))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"groups": 0}, ValueError, "groups must be a positive integer. Received: groups=0"),
        ({"groups": 2.0}, TypeError, "groups must be a positive integer. Received: groups=2.0"),
        ({"groups": True}, TypeError, "groups must be a positive integer"),
        ({"groups": None}, TypeError, "groups must be a positive integer"),
        ({"groups": 2**63}, ValueError, "groups must be a positive integer"),
        (
            {"layout": "channels_last"},
            ValueError,
            "layout must be one of keras, torch. Received: layout='channels_last'",
        ),
        ({"layout": None}, ValueError, "layout must be one of"),
        (
            {"layout": "torch", "input_axes": 0, "output_axes": 1},
            ValueError,
            "layout must not be given with input_axes",
        ),
        (
            {"batch_axes": (0.5,)},
            TypeError,
            "batch_axes must be a sequence of integers. Received: batch_axes=\\(0.5,\\)",
        ),
        ({"batch_axes": (1,), "input_axes": 0}, ValueError, "must be given together"),
    ],
)
def test_bad_arguments_about_fans_are_refused_in_the_constructor(arguments, kind, message):
    for make in (sb.VarianceScaling, sb.LecunUniform, sb.XavierNormal, sb.KaimingUniform):
        with pytest.raises(kind, match=message):
            make(**arguments)
    with pytest.raises(kind, match=message):
        sb.compute_fans((4, 4), **arguments)


@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((4, 6), {"groups": 4}, "groups must divide the outputs. Received: groups=4, outputs=6"),
        ((2, 4, 6), {"groups": 4}, "groups must divide the outputs"),
        ((), {"groups": 2}, "groups must divide the outputs"),
        ((5,), {"batch_axes": ()}, "the shape must have two more axes"),
        ((5, 5), {"batch_axes": (2,)}, "must be axes of the shape. Received: axis 2"),
        ((5, 5), {"batch_axes": (0,)}, "the shape must have two more axes"),
        ((5, 5), {"input_axes": 0, "output_axes": (1, -2), "batch_axes": ()}, "must be named once"),
    ],
)
def test_axes_missing_from_the_shape_are_an_error_of_the_call(shape, arguments, message):
    for init in (sb.GlorotNormal(seed=1, **arguments), sb.XavierUniform(seed=1, **arguments)):
        with pytest.raises(ValueError, match=message):
            init(shape)
        with pytest.raises(ValueError, match=message):
            sb.fans(init, shape)


def test_only_variance_scaling_counts_fans():
    with pytest.raises(TypeError, match="initializer must be a VarianceScaling"):
        sb.fans(sb.Zeros(), (3, 3))


def test_the_geometric_mean_is_a_mode():
    shape, scale = (3, 8, 32), 1.7
    limit = math.sqrt(3 * scale / math.sqrt(24 * 96))
    same = sb.RandomUniform(-limit, limit, seed=5)(shape)
    assert (sb.VarianceScaling(scale, "fan_geo_avg", "uniform", seed=5)(shape) == same).all()
    assert sb.VarianceScaling(1.0, "fan_geo_avg", seed=1)((0, 3)).shape == (0, 3)


def test_keys_unknown_to_keras_are_omitted_at_their_defaults():
    init = sb.HeNormal(seed=1, batch_axes=(0,), groups=2)
    assert init.get_config() == {
        "seed": 1,
        "input_axes": None,
        "output_axes": None,
        "batch_axes": [0],
        "groups": 2,
    }
    assert sb.HeNormal.from_config({**init.get_config(), "batch_axes": (0,)}) == init
    assert repr(sb.VarianceScaling(seed=1, layout="torch")).endswith("output_axes=None, layout='torch')")
    assert "layout" not in sb.VarianceScaling().get_config()


def test_parts_have_the_variance_of_the_whole():
    init = sb.GlorotUniform(seed=1, layout="torch", groups=2)
    whole = init((8, 3, 5))
    assert (init((8, 3, 5), partition_shape=(2, 3, 5), partition_offset=(6, 0, 0)) == whole[6:]).all()


def variance_forward(inputs_per_output, weights, samples=2000):
    """Return the variance of sum over i of w_i x_i per output, for independent inputs of variance 1."""
    x = np.random.default_rng(1).standard_normal((samples, inputs_per_output), np.float32)
    return (x @ weights.reshape(inputs_per_output, -1)).var()


def test_a_dense_layer_keeps_the_variance():
    assert variance_forward(500, sb.LecunNormal(seed=1)((500, 300))) == pytest.approx(1, rel=0.02)


def test_a_convolution_keeps_the_variance():
    kernel = sb.LecunNormal(seed=2)((3, 3, 60, 300))
    assert variance_forward(540, kernel) == pytest.approx(1, rel=0.02)


def test_a_grouped_convolution_keeps_the_variance_both_ways():
    groups, inputs, outputs = 4, 60, 1200
    kernel = sb.LecunUniform(seed=3, groups=groups)((9, inputs, outputs))  # each group has its own 60 inputs
    of_groups = np.split(kernel, groups, axis=2)
    assert np.mean([variance_forward(9 * inputs, w) for w in of_groups]) == pytest.approx(1, rel=0.02)
    back = sb.VarianceScaling(1.0, "fan_out", seed=4, groups=groups)((9, inputs, outputs))
    for w in np.split(back, groups, axis=2):
        assert variance_forward(9 * outputs // groups, np.moveaxis(w, 1, 2)) == pytest.approx(1, rel=0.02)


def test_a_depthwise_kernel_keeps_the_variance_by_batch_axes():
    shape = (9, 9, 400, 3)  # each output has 81 inputs, all of one channel
    right = sb.LecunNormal(seed=5, **DEPTHWISE)(shape)
    back = sb.VarianceScaling(1.0, "fan_out", seed=6, **DEPTHWISE)(shape)
    assert np.mean([variance_forward(81, right[:, :, c], 500) for c in range(400)]) == pytest.approx(1, rel=0.02)
    assert np.mean([variance_forward(243, back[:, :, c], 500) for c in range(400)]) == pytest.approx(1, rel=0.02)
    default = sb.LecunNormal(seed=5)(shape)  # by Keras' rule the variance nearly vanishes
    assert np.mean([variance_forward(81, default[:, :, c], 500) for c in range(400)]) == pytest.approx(
        1 / 400, rel=0.02
    )


def test_a_stack_of_dense_layers_keeps_the_variance():
    kernels = sb.LecunNormal(seed=7, batch_axes=(0,))((40, 100, 100))
    assert np.mean([variance_forward(100, kernel) for kernel in kernels]) == pytest.approx(1, rel=0.02)

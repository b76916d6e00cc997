"""An example of each initializer."""

from support.reference import NAMED

EXAMPLES = {
    **dict.fromkeys(["RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", *NAMED], ({}, (4, 5))),
    **dict.fromkeys(["XavierUniform", "XavierNormal"], ({"gain": 0.5, "layout": "torch"}, (4, 5))),
    **dict.fromkeys(["KaimingUniform", "KaimingNormal"], ({"a": 0.5, "mode": "fan_out"}, (4, 5))),
    "UniformUnitScaling": ({"factor": 1.43}, (4, 5)),
    "LogUniform": ({"minval": 0.01, "maxval": 2.0}, (4, 5)),
    "LogOfUniform": ({"minval": 0.0, "maxval": 2.0}, (4, 5)),
    "InverseSoftplus": ({"minval": 0.01, "maxval": 2.0, "floor": 0.5}, (4, 5)),
    "Sparse": ({"sparsity": 0.5}, (4, 5)),
    "Zeros": ({}, (4, 5)),
    "Ones": ({}, (4, 5)),
    "Constant": ({"value": [[1.5], [2], [3], [4]]}, (4, 5)),
    "Identity": ({"gain": 3.0}, (4, 5)),
    "Bilinear": ({"layout": "torch"}, (2, 3, 4, 5)),
    "Dirac": ({"groups": 2, "layout": "torch"}, (4, 2, 5)),
    "STFT": ({"side": "imag", "window": [1, 2.5, 0.5], "scaling": "spectrum"}, (3, 2, 5)),
    "Orthogonal": ({"gain": 0.5, "column_axis": 0}, (4, 5)),
    "Blocks": ({"default": "he_normal", "blocks": [([[1, 3], "..."], "ones"), ([0], "glorot_uniform")]}, (4, 5)),
    "Norms": ({"initializer": "he_normal", "shape": [4, 5]}, (4, 1)),
    "DeltaOrthogonal": ({"gain": 0.5}, (3, 4, 5)),
    "ConvolutionOrthogonal1D": ({"gain": 0.5}, (3, 4, 5)),
    "ConvolutionOrthogonal2D": ({"gain": 0.5}, (2, 2, 4, 5)),
    "ConvolutionOrthogonal3D": ({"gain": 0.5}, (2, 2, 2, 4, 5)),
}
"""Arguments of the constructor, and a shape, by class."""

CONCRETE = list(EXAMPLES)

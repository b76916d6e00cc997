"""Layers of torch get the distributions of their own resets."""

import importlib
import math

import pytest
from support.statistics import distance

import seedbed as sb

torch = pytest.importorskip("torch")
nn = torch.nn
st = importlib.import_module("seedbed.torch")


LAYERS = {
    "linear": lambda: nn.Linear(301, 2000),
    "conv1d": lambda: nn.Conv1d(12, 600, 5, groups=3),
    "conv2d": lambda: nn.Conv2d(8, 600, (3, 2)),
    "conv3d": lambda: nn.Conv3d(4, 600, 2),
    "conv transpose 1d": lambda: nn.ConvTranspose1d(60, 600, 5, groups=3),
    "conv transpose 2d": lambda: nn.ConvTranspose2d(8, 600, (3, 2)),
    "conv transpose 3d": lambda: nn.ConvTranspose3d(4, 600, 2),
    "bilinear": lambda: nn.Bilinear(17, 9, 600),
    "embedding": lambda: nn.Embedding(600, 30, padding_idx=-2),
    "embedding without padding": lambda: nn.Embedding(600, 30),
    "embedding bag": lambda: nn.EmbeddingBag(600, 30, padding_idx=5),
    "layer norm": lambda: nn.LayerNorm((30, 4)),
    "layer norm without bias": lambda: nn.LayerNorm(30, bias=False),
    "group norm": lambda: nn.GroupNorm(3, 30),
    "rms norm": lambda: nn.RMSNorm(30),
    "batch norm": lambda: nn.BatchNorm2d(30),
    "sync batch norm": lambda: nn.SyncBatchNorm(30),
    "instance norm": lambda: nn.InstanceNorm1d(30, affine=True, track_running_stats=True),
    "prelu": lambda: nn.PReLU(30, init=0.1),
    "rnn": lambda: nn.RNN(60, 80, num_layers=2),
    "lstm": lambda: nn.LSTM(60, 80, bidirectional=True, proj_size=50),
    "gru": lambda: nn.GRU(60, 80),
    "rnn cell": lambda: nn.RNNCell(60, 500),
    "lstm cell": lambda: nn.LSTMCell(60, 80),
    "gru cell": lambda: nn.GRUCell(60, 80),
    "attention": lambda: nn.MultiheadAttention(800, 4, add_bias_kv=True),
    "attention of others": lambda: nn.MultiheadAttention(80, 4, kdim=60, vdim=50),
    "attention without bias": lambda: nn.MultiheadAttention(80, 4, bias=False),
    "transformer": lambda: nn.Transformer(80, 4, 1, 1, 600, batch_first=True),
    "encoder layer": lambda: nn.TransformerEncoderLayer(80, 4, 600),
    "adaptive softmax": lambda: nn.AdaptiveLogSoftmaxWithLoss(60, 900, [200, 500]),
    "scale norm in a subclass": lambda: type("Norm", (nn.LayerNorm,), {})(30),
}


class TestDistributions:
    @pytest.mark.parametrize("layer", LAYERS)
    def test_values_have_the_distribution_of_torchs_reset(self, layer):
        """n is the number of elements of each, up to 20 000; alpha is 10^-6. Constants are equal, element by element.

        No value of a uniform exceeds the bound estimated from torch's largest value. With a probability of e^-20, that
        estimate is too small by more than 20 / n of the bound.
        """
        torch.manual_seed(1)
        theirs = LAYERS[layer]()
        ours = st.initialize_(LAYERS[layer]().to("meta"), seed=5)
        kinds = {tensor.name: tensor.initializer for tensor in st.plan_of(theirs).tensors}
        assert kinds.keys() == theirs.state_dict().keys()
        for name, expected in theirs.state_dict().items():
            a, b = (t.detach().double().numpy().ravel() for t in (ours.state_dict()[name], expected))
            if (b == b[0]).all():
                assert (a == b).all(), name
                continue
            assert "seed" in kinds[name].parameters, name
            assert ((a == 0) == (b == 0)).all(), name
            assert len(b) >= 80, name
            assert distance(a[:20000], b[:20000]) < 1, name
            if not isinstance(kinds[name], (sb.RandomNormal, sb.XavierNormal)):
                assert abs(a).max() <= abs(b).max() / (1 - 20 / len(b)), name

    def test_the_statistic_detects_other_distributions(self):
        bound = 1 / math.sqrt(301)
        theirs = nn.Linear(301, 2000).weight.detach().numpy().ravel()[:20000]
        assert distance(sb.RandomUniform(-bound, bound, seed=1)((20000,)), theirs) < 1
        for other in (
            sb.RandomUniform(-1.1 * bound, 1.1 * bound, seed=1),
            sb.RandomNormal(stddev=bound / 3**0.5, seed=1),
        ):
            assert distance(other((20000,)), theirs) > 1

    @pytest.mark.filterwarnings("ignore:Initializing zero-element tensors is a no-op")
    def test_layers_that_torch_leaves_empty(self):
        for layer in (nn.Linear(0, 3), nn.Embedding(0, 3)):
            st.initialize_(layer, seed=1)
        assert not st.initialize_(nn.Linear(0, 3), seed=1).bias.any()

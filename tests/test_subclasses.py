"""User-defined subclasses: with a `rule`, with a `__call__`, with their own arguments."""

import copy
import pickle

import numpy as np
import pytest

import seedbed as sb
from seedbed.checkpoint import write_checkpoint
from seedbed.compat import v1, v2
from seedbed.plan import Plan, PlannedTensor
from seedbed.rules import Repeated
from seedbed.seeds import UNBOUND


class Twice(sb.HeNormal):
    def __call__(self, shape, dtype=None):
        return 2 * super().__call__(shape, dtype)


class Sum(sb.RandomUniform):
    """Draws twice."""

    def __call__(self, shape, dtype=None):
        return super().__call__(shape, dtype) + super().__call__(shape, dtype)


class Ruled(sb.Constant):
    def rule(self, shape, dtype):
        return Repeated(np.full((), 7, dtype))


class Scaled(sb.HeNormal):
    def __init__(self, factor=1.0, seed=None):
        super().__init__(seed)
        self.factor = factor

    def __call__(self, shape, dtype=None):
        return (self.factor * super().__call__(shape, dtype)).astype(dtype or "float32")

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Open(sb.RandomNormal):
    def __init__(self, factor=1.0, **arguments):
        super().__init__(**arguments)
        self.factor = factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


SHAPE = (6, 4)
EXPECTED = 2 * sb.HeNormal(3)(SHAPE)


def test_a_lazy_tensor_has_the_values_of_the_call():
    lazy = Twice(3).lazy(SHAPE)
    assert lazy[...].tolist() == Twice(3)(SHAPE).tolist() == EXPECTED.tolist()
    assert lazy[2:4, 1].tolist() == EXPECTED[2:4, 1].tolist()
    assert lazy.rule.needs_whole
    bound = type("Doubled", (v2.HeNormal,), {"__call__": lambda self, *a, **k: 2 * v2.HeNormal.__call__(self, *a, **k)})
    assert bound(3).lazy(SHAPE)[1:].tolist() == EXPECTED[1:].tolist()


def test_a_lazy_tensor_of_a_generator_keeps_its_values():
    for cls in (Twice, Sum):
        seed, same = sb.SeedGenerator(5), sb.SeedGenerator(5)
        lazy = cls(seed=seed).lazy(SHAPE)
        assert seed.draws == 1
        assert lazy[...].tolist() == cls(seed=same)(SHAPE).tolist() == lazy[...].tolist()
        assert lazy[0].tolist() == lazy[...][0].tolist()


def test_a_check_and_a_description_take_no_draw():
    seed = sb.SeedGenerator(5)
    Twice(seed).check(SHAPE)
    described = Twice(seed).describe(SHAPE)
    assert set(described) == {None}
    assert seed.draws == 0


def test_a_file_has_the_values_of_the_call(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    plan = Plan((PlannedTensor("a", SHAPE, np.dtype("float32"), Twice(UNBOUND)),))
    write_checkpoint(plan, tmp_path / "m.safetensors", seed=42)
    expected = Twice(sb.SeedGenerator(42).child("a"))(SHAPE)
    assert safetensors.load_file(tmp_path / "m.safetensors")["a"].tolist() == expected.tolist()


def test_a_block_has_the_values_of_the_call():
    plain, twice = (sb.Blocks("zeros", [(1, cls())], seed=4)((2, 6, 4)) for cls in (sb.Orthogonal, Twice))
    own = sb.Blocks("zeros", [(1, Twice())], seed=4)
    assert not twice[0].any()
    assert twice[1].all()
    assert not plain[0].any()
    assert own.lazy((2, 6, 4))[1, 2:].tolist() == twice[1, 2:].tolist()


def test_a_torch_tensor_has_the_values_of_the_call():
    torch = pytest.importorskip("torch")
    import seedbed.torch

    made = seedbed.torch.fill_(torch.empty(SHAPE), Twice(3, input_axes=[0], output_axes=[1]))
    assert made.tolist() == EXPECTED.tolist()
    layer = seedbed.torch.initialize_(
        torch.nn.Linear(4, 6), {"weight": Twice(input_axes=[1], output_axes=[0]), "bias": "zeros"}, seed=42
    )
    expected = Twice(sb.SeedGenerator(42).child("weight"), input_axes=[1], output_axes=[0])(SHAPE)
    assert layer.weight.tolist() == expected.tolist()


def test_torch_refuses_fans_of_keras_in_a_subclass_too():
    torch = pytest.importorskip("torch")
    import seedbed.torch

    with pytest.raises(ValueError, match='an initializer that counts fans must have layout="torch"'):
        seedbed.torch.fill_(torch.empty(SHAPE), Scaled(3.0, seed=3))


def test_a_result_of_another_shape_is_an_error():
    bad = type("Bad", (sb.Zeros,), {"__call__": lambda self, shape, dtype=None: np.zeros(3)})
    with pytest.raises(ValueError, match=r"__call__ of Bad must return the shape that it is given, \(6, 4\)"):
        bad().lazy(SHAPE)[...]


def test_every_way_of_evaluation_uses_the_rule_of_a_subclass():
    assert Ruled()((2,)).tolist() == Ruled().lazy((2,))[...].tolist() == [7, 7]


@pytest.mark.parametrize("make", [lambda: Scaled(3.0, seed=3), lambda: Open(3.0, stddev=0.5, seed=3)])
def test_arguments_of_a_subclass_are_kept(make):
    init = make()
    again = type(init).from_config(init.get_config())
    for other in (again, init.clone(), copy.deepcopy(init), pickle.loads(pickle.dumps(init))):
        assert other == init
        assert other.factor == 3.0
        assert other(SHAPE).tolist() == init(SHAPE).tolist()
    reseeded = init.with_seed(9)
    assert (reseeded.seed, reseeded.factor) == (9, 3.0)
    assert reseeded != init
    form = {"class_name": type(init).__name__, "config": init.get_config()}
    assert sb.deserialize(form, {type(init).__name__: type(init)}) == init


def test_an_unknown_key_is_still_an_error():
    with pytest.raises(ValueError, match=r"the keys of a Scaled config are: factor, seed. Received: \['fcator'\]"):
        Scaled.from_config({"fcator": 1.0})
    with pytest.raises(TypeError, match="input_axes"):
        Scaled.from_config({"input_axes": [0], "output_axes": [1]})


def test_a_subclass_of_the_same_name_is_not_serialized_as_ours():
    other = type("HeNormal", (sb.HeNormal,), {"__call__": lambda self, shape, dtype=None: np.ones(shape)})
    with pytest.raises(ValueError, match="from the top level of this package"):
        sb.serialize(other(1))
    assert sb.deserialize(sb.serialize(v2.HeNormal(1))) == sb.HeNormal(1)
    with pytest.raises(ValueError, match="from the top level of this package"):
        sb.serialize(v1.GlorotNormal(1))


def test_an_unknown_argument_of_a_generator_is_a_value_error():
    with pytest.raises(
        ValueError, match=r"the arguments of a SeedGenerator are seed, name, path. Received: \['sede'\]"
    ):
        sb.SeedGenerator(1, sede=2)

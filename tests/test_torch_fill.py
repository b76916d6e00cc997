"""`seedbed.torch.fill_` writes the bits of NumPy arrays to any tensor."""

import importlib

import numpy as np
import pytest

import seedbed as sb
from seedbed import rules
from seedbed.initializers import sparse

torch = pytest.importorskip("torch")
nn = torch.nn
st = importlib.import_module("seedbed.torch")

from support.torch_tensors import DTYPES, NORMAL, Tiny, bits  # noqa: E402

KINDS = {
    "normal": NORMAL,
    "uniform": sb.RandomUniform(seed=3),
    "kaiming": sb.KaimingUniform(seed=3, layout="torch"),
    "orthogonal": sb.Orthogonal(seed=3),
    "sparse": sb.Sparse(0.4, seed=3),
    "identity": sb.Identity(0.5),
    "array": sb.Constant([1, 2, 3, 4, 5]),
}
STRIDED = {
    "transposed": lambda dtype: torch.zeros(5, 7, dtype=dtype).t(),
    "every second": lambda dtype: torch.zeros(14, 15, dtype=dtype)[::2, 2::3],
    "channels last": lambda dtype: torch.zeros(7, 5, dtype=dtype)[:, :, None, None].to(
        memory_format=torch.channels_last
    )[:, :, 0, 0],
    "a view within": lambda dtype: torch.zeros(9, 5, dtype=dtype)[1:8],
    "columns": lambda dtype: torch.zeros(7, 8, dtype=dtype)[:, 1:6],
}


class TestFill:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_bits_are_those_of_numpy(self, kind, dtype):
        tensor = torch.zeros(7, 5, dtype=getattr(torch, dtype))
        assert st.fill_(tensor, KINDS[kind]) is tensor
        assert bits(tensor) == KINDS[kind]((7, 5), dtype).tobytes()

    @pytest.mark.parametrize("dtype", ["complex64", "complex128"])
    def test_complex_tensors(self, dtype):
        tensor = torch.zeros(7, 5, dtype=getattr(torch, dtype))
        assert bits(st.fill_(tensor, NORMAL)) == NORMAL((7, 5), dtype).tobytes()
        conjugate = torch.zeros_like(tensor).conj()
        assert bits(st.fill_(conjugate, NORMAL).resolve_conj()) == bits(tensor)
        assert bits(st.fill_(conjugate.imag, NORMAL).resolve_neg()) == NORMAL((7, 5), conjugate.imag.dtype).tobytes()

    @pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 1, 3)])
    def test_shapes_with_few_or_no_elements(self, shape):
        tensor = st.fill_(torch.zeros(shape), NORMAL)
        assert bits(tensor) == NORMAL(shape).tobytes()

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("kind", ["normal", "orthogonal", "array"])
    @pytest.mark.parametrize("strides", STRIDED)
    def test_memory_with_strides(self, strides, kind, dtype):
        tensor = STRIDED[strides](getattr(torch, dtype))
        st.fill_(tensor, KINDS[kind])
        assert bits(tensor) == KINDS[kind]((7, 5), dtype).tobytes()
        base = tensor._base
        if base is not None and strides in ("every second", "columns", "a view within"):  # and nothing else
            assert base.count_nonzero() == tensor.count_nonzero()

    def test_memory_with_strides_is_filled_in_pieces(self, monkeypatch):
        monkeypatch.setattr(st.memory, "PIECE_BYTES", 40)
        tensor = st.fill_(torch.zeros(5, 7).t(), NORMAL)
        assert bits(tensor) == NORMAL((7, 5)).tobytes()
        computed = []  # once, if a part costs as much as the whole
        for rule in (rules.Computed, sparse.Thinned):
            write = rule.write
            monkeypatch.setattr(rule, "write", lambda *args, write=write: (computed.append(1), write(*args)))
        for kind in ("orthogonal", "sparse"):
            computed.clear()
            tensor = st.fill_(torch.zeros(5, 7).t(), KINDS[kind])
            assert len(computed) == 1
            assert bits(tensor) == KINDS[kind]((7, 5)).tobytes()
        tensor = st.fill_(torch.zeros(3, 4, 6, 2, dtype=torch.bfloat16).permute(2, 0, 3, 1), NORMAL)
        assert bits(tensor) == NORMAL((6, 3, 2, 4), "bfloat16").tobytes()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_other_devices_are_filled_by_pieces(self, dtype, monkeypatch):
        """The CPU is filled like another device, since its memory is declared inaccessible."""
        monkeypatch.setattr(st.memory, "is_plain", lambda tensor: False)
        monkeypatch.setattr(st.memory, "PIECE_BYTES", 24)
        for init in KINDS.values():
            assert bits(st.fill_(torch.zeros(7, 5, dtype=getattr(torch, dtype)), init)) == init((7, 5), dtype).tobytes()
        for shape in ((), (0,), (3, 0, 2), (2, 1, 3)):
            tensor = st.fill_(torch.zeros(shape, dtype=getattr(torch, dtype)), NORMAL)
            assert bits(tensor) == NORMAL(shape, dtype).tobytes()
        for kind in ("int64", "bool", "int16", "uint8"):
            tensor = st.fill_(torch.zeros(3, 3, dtype=getattr(torch, kind)), sb.Identity())
            assert bits(tensor) == sb.Identity()((3, 3), kind).tobytes()

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_a_gpu(self, dtype):
        for init in KINDS.values():
            tensor = st.fill_(torch.zeros(7, 5, dtype=getattr(torch, dtype), device="cuda"), init)
            assert bits(tensor.cpu()) == init((7, 5), dtype).tobytes()
        with torch.device("meta"):
            model = Tiny(getattr(torch, dtype))
        st.initialize_(model, seed=1, device="cuda")
        whole = st.initialize_(Tiny(getattr(torch, dtype)), seed=1).state_dict()
        for name, tensor in model.state_dict().items():
            assert tensor.is_cuda
            assert bits(tensor.cpu()) == bits(whole[name])

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("transposed", [False, True])
    def test_a_part_of_a_whole(self, kind, transposed):
        whole = KINDS[kind]((7, 5))
        shape, offset = (3, 2), (2, 3)
        part = torch.zeros(shape[::-1]).t() if transposed else torch.zeros(shape)
        st.fill_(part, KINDS[kind], shape=(7, 5), offset=offset)
        assert bits(part) == whole[2:5, 3:].tobytes()
        assert bits(st.fill_(torch.zeros(4, 5), KINDS[kind], shape=(7, 5))) == whole[:4].tobytes()

    def test_a_generator_draws_once(self):
        root = sb.SeedGenerator(5)
        init = sb.RandomNormal(seed=root)
        made = [st.fill_(torch.zeros(4), init) for _ in range(2)]
        again = sb.RandomNormal(seed=sb.SeedGenerator(5))
        assert [bits(tensor) for tensor in made] == [again((4,)).tobytes() for _ in range(2)]
        with pytest.raises(ValueError, match="meta device"):
            st.fill_(torch.zeros(4, device="meta"), init)
        assert root.draws == 2

    def test_autograd_detects_the_change(self):
        weight = nn.Parameter(torch.ones(3, 5))
        for tensor in (weight, weight.detach().clone().t()):
            version = tensor._version
            assert st.fill_(tensor, NORMAL) is tensor
            assert tensor._version > version
        assert weight.requires_grad
        assert weight.is_leaf
        assert weight.grad_fn is None
        loss = (weight * weight).sum()
        st.fill_(weight, NORMAL)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()

    def test_inference_mode(self):
        with torch.inference_mode():
            assert bits(st.fill_(torch.zeros(3), NORMAL)) == NORMAL((3,)).tobytes()

    def test_default_device_and_modes_of_torch_have_no_effect(self):
        with torch.device("meta"):
            assert bits(st.fill_(torch.zeros(5, 7, device="cpu").t(), NORMAL)) == NORMAL((7, 5)).tobytes()

    @pytest.mark.parametrize(
        ("make", "error", "message"),
        [
            (lambda: np.zeros(3), TypeError, "tensor must be a torch.Tensor. Received: ndarray"),
            (lambda: torch.zeros(3, device="meta"), ValueError, "a tensor must have memory: give a module"),
            (lambda: torch.zeros(1).expand(3), ValueError, "the elements of a tensor must not share memory"),
            (lambda: torch.zeros(4, 4).unfold(1, 2, 1), ValueError, "the elements of a tensor must not share memory"),
            (lambda: torch.zeros(3).to_sparse(), ValueError, "a tensor must be dense. Received: layout=torch.sparse"),
            (lambda: torch.zeros(3, dtype=torch.int32), ValueError, "dtype must be a floating point"),
            (lambda: torch.zeros(3, dtype=torch.float8_e8m0fnu), ValueError, "dtype must have a zero"),
            (lambda: emptied(torch.zeros(3)), ValueError, r"a tensor must have memory for its elements. Received: 0"),
            (nn.UninitializedParameter, ValueError, "a parameter must have a shape, which a lazy one gets"),
        ],
    )
    def test_unsuitable_tensors_are_refused(self, make, error, message):
        with pytest.raises(error, match=message):
            st.fill_(make(), NORMAL)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"initializer": "normal"}, TypeError, "initializer must be one of seedbed's. Received: str"),
            ({"offset": (0, 0)}, ValueError, "offset must come with shape"),
            ({"shape": (7, 4)}, ValueError, "must lie within the shape"),
            ({"shape": (7, 9), "offset": (0, 5)}, ValueError, "must lie within the shape"),
        ],
    )
    def test_bad_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            st.fill_(torch.zeros(7, 5), **{"initializer": NORMAL, **arguments})


def emptied(tensor):
    tensor.untyped_storage().resize_(0)
    return tensor

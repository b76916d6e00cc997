"""seedbed.jax: arrays, functions of a key, and trees; the checks of `programs/jax_devices.py` on eight devices."""

import doctest
import importlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import seedbed as sb
import seedbed.schemes
from seedbed import checkpoint

jax = pytest.importorskip("jax", minversion="0.9.1")
sj = importlib.import_module("seedbed.jax")
jnp = jax.numpy

ROOT = Path(__file__).parents[1]
PROGRAMS = ROOT / "tests" / "programs"


def same(tensor, expected):
    values, expected = np.asarray(tensor), np.asarray(expected)
    assert values.dtype == expected.dtype
    assert values.shape == expected.shape
    assert values.tobytes() == expected.tobytes()


def shapes(tree):
    """Return a tree of shapes, as `jax.eval_shape` does."""
    return jax.eval_shape(lambda: jax.tree.map(jnp.zeros, tree, is_leaf=lambda node: isinstance(node, tuple)))


def child(init, seed, name, shape, dtype=None):
    return init.with_seed(sb.SeedGenerator(seed).child(name))(shape, dtype)


def python(program, *arguments):
    """Start a Python process that runs a program."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(PROGRAMS / program), *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def output(process):
    """Return the last line that a program printed."""
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error[-4000:]
    return out.splitlines()[-1]


def check_all(raised, least):
    failed = {name: error for name, error in raised.items() if error is not None}
    assert not failed, "\n".join(f"{name}: {error}" for name, error in failed.items())
    assert len(raised) >= least


def test_every_check_on_eight_devices_passes():
    check_all(json.loads(output(python("jax_devices.py"))), 15)


def test_every_check_of_programs_that_compute_the_values_passes():
    check_all(json.loads(output(python("jax_arithmetic.py"))), 9)


def test_every_check_of_flax_equinox_haiku_optax_and_orbax_passes(tmp_path):
    result = json.loads(output(python("jax_models.py", tmp_path)))
    check_all(result["raised"], 0 if result["missing"] else 9)
    if result["missing"]:
        pytest.skip(f"not installed: {', '.join(result['missing'])}")


def test_each_of_two_processes_evaluates_its_shards_only():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    processes = [python("jax_processes.py", port, number) for number in range(2)]
    try:
        assert [output(process) for process in processes] == ["the same bits"] * 2
    finally:
        for process in processes:
            process.kill()


def test_the_bench_of_models_runs():
    pytest.importorskip("flax")
    command = [
        sys.executable,
        ROOT / "benches" / "jax_models.py",
        "--models",
        "tiny",
        "--rounds",
        "1",
        "--devices",
        "8",
    ]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"}
    )
    assert "**0.2 million float32 parameters, 8 devices of the host**" in done.stdout
    assert done.stdout.count("| `jax.jit(model.init)`") == 2
    assert "| `seedbed.jax.initialize` |" in done.stdout


class TestArray:
    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float8_e4m3fn", "float8_e5m2"])
    @pytest.mark.parametrize("init", [sb.GlorotUniform(seed=3), sb.HeNormal(seed=3), sb.RandomNormal(seed=3)])
    def test_the_values_are_those_of_numpy(self, init, dtype):
        same(sj.array(init, (33, 20), dtype), init((33, 20), dtype))

    def test_complex_and_orthogonal_tensors(self):
        same(sj.array(sb.HeNormal(seed=3), (33, 20), "complex64"), sb.HeNormal(seed=3)((33, 20), "complex64"))
        same(sj.array(sb.Orthogonal(seed=3), (33, 20)), sb.Orthogonal(seed=3)((33, 20)))

    def test_shapes_may_be_empty_or_have_no_axes(self):
        for shape in ((), 5, (0,), (3, 0)):
            same(sj.array(sb.RandomNormal(seed=3), shape), sb.RandomNormal(seed=3)(shape))

    def test_jax_adopts_the_memory_of_the_values(self):
        arrays = importlib.import_module("seedbed.jax.arrays")
        values = arrays._memory(240_000)
        assert jax.device_put(values).unsafe_buffer_pointer() == values.ctypes.data

    def test_the_default_dtype_is_that_of_jax(self):
        assert sj.array(sb.Zeros(), 3).dtype == jnp.float32
        assert sj.array(sb.Zeros(), 3, float).dtype == jnp.float32
        with jax.enable_x64(True):
            same(sj.array(sb.RandomNormal(seed=3), (3, 4)), sb.RandomNormal(seed=3)((3, 4), "float64"))

    def test_a_dtype_that_jax_does_not_have_is_refused(self):
        with pytest.raises(ValueError, match=r"set jax_enable_x64. Received: dtype=float64"):
            sj.array(sb.Zeros(), 3, "float64")
        with pytest.raises(ValueError, match="dtype must be a floating point"):
            sj.array(sb.RandomUniform(), 3, jnp.int32)

    def test_other_initializers_and_shardings_are_refused(self):
        with pytest.raises(TypeError, match=r"initializer must be one of seedbed's\. Received: str"):
            sj.array("zeros", 3)
        with pytest.raises(TypeError, match="sharding must be a sharding of JAX, a device or a PartitionSpec"):
            sj.array(sb.Zeros(), 3, sharding="cpu")


class TestInitializer:
    @pytest.mark.parametrize("key", [lambda seed: jax.random.key(seed), lambda seed: jax.random.PRNGKey(seed)])
    @pytest.mark.parametrize("seed", [0, 42, 2**31 - 1])
    def test_the_key_of_a_seed_is_that_seed(self, key, seed):
        same(sj.initializer("glorot_normal")(key(seed), (5, 7)), sb.GlorotNormal(seed=seed)((5, 7)))

    def test_the_words_of_a_key_spell_its_seed(self):
        words = np.array([1, 2**32 - 1, 0, 7], np.uint32)
        seed = (1 << 96) + ((2**32 - 1) << 64) + 7
        for key in (words, jnp.asarray(words), jax.random.wrap_key_data(words, impl="rbg")):
            same(sj.initializer("he_uniform")(key, (5, 7)), sb.HeUniform(seed=seed)((5, 7)))

    def test_split_and_folded_keys_give_different_values(self):
        function = sj.initializer(sb.RandomNormal())
        root = jax.random.key(42)
        for keys in (jax.random.split(root, 3), [jax.random.fold_in(root, number) for number in range(3)]):
            layers = {np.asarray(function(key, (4, 4))).tobytes() for key in (root, *keys)}
            assert len(layers) == 4

    def test_a_path_makes_the_values_depend_on_a_name(self):
        function = sj.initializer(sb.GlorotNormal(), path="encoder/kernel")
        expected = child(sb.GlorotNormal(), 42, "encoder/kernel", (3, 4))
        same(function(jax.random.key(42), (3, 4)), expected)
        same(jax.jit(lambda key: function(key, (3, 4)))(jax.random.key(42)), expected)
        tree = sj.initialize(shapes({"encoder": {"kernel": (3, 4)}}), {"*": sb.GlorotNormal()}, seed=42)
        same(tree["encoder"]["kernel"], expected)

    def test_dtypes_are_those_of_jaxs_initializers(self):
        theirs, ours = jax.nn.initializers.glorot_normal(), sj.initializer(sb.GlorotNormal())
        for dtype in (None, float, jnp.float16, jnp.bfloat16, "float32", np.dtype("float32")):
            assert ours(jax.random.key(1), (3, 4), dtype).dtype == theirs(jax.random.key(1), (3, 4), dtype).dtype
        for wrong, message in (("float31", "name an element type"), (jnp.int32, "floating"), ("float64", "enable_x64")):
            with pytest.raises(ValueError, match=message):
                ours(jax.random.key(1), (3, 4), wrong)

    def test_shapes_are_inferred_without_values(self):
        function = sj.initializer("he_normal")
        made = jax.eval_shape(lambda key: function(key, (10**6, 10**6)), jax.random.key(1))
        assert made.shape == (10**6, 10**6)
        assert made.dtype == jnp.float32

    def test_equal_functions_are_compiled_once(self):
        one, other = sj.initializer(sb.HeNormal()), sj.initializer("he_normal")
        assert one == other
        assert hash(one) == hash(other)
        assert one != sj.initializer("he_normal", path="a")
        assert one != sj.initializer("he_uniform")
        assert repr(one) == "seedbed.jax.initializer(HeNormal(input_axes=None, output_axes=None))"

    def test_under_jit_and_vmap_the_values_are_the_same(self):
        function = sj.initializer(sb.HeNormal())
        keys = jax.random.split(jax.random.key(1), 3)
        expected = np.stack([function(key, (3, 4)) for key in keys])
        same(jax.vmap(lambda key: function(key, (3, 4)))(keys), expected)
        same(jax.jit(jax.vmap(lambda key: function(key, (3, 4))))(keys), expected)

    def test_other_objects_and_seeded_initializers_are_refused(self):
        function = sj.initializer(sb.HeNormal())
        for key in (42, jax.random.split(jax.random.key(1)), jnp.zeros(2), jnp.zeros((2, 2), jnp.uint32)):
            with pytest.raises(TypeError, match=r"key must be one key, such as jax.random.key\(42\)"):
                function(key, (3, 4))
        with pytest.raises(ValueError, match="an initializer must have no seed here"):
            sj.initializer(sb.HeNormal(seed=1))
        with pytest.raises(TypeError, match="an initializer must be a string or an object"):
            sj.initializer(3)
        with pytest.raises(TypeError, match="the name of a child must be a string"):
            sj.initializer("he_normal", path=3)


class TestTraced:
    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float8_e5m2"])
    @pytest.mark.parametrize(
        "init",
        [
            sb.GlorotUniform(),
            sb.HeNormal(),
            sb.RandomNormal(mean=1.0),
            sb.TruncatedNormal(lower=0.0, upper=None),
            sb.LogUniform(0.001, 0.1),
            sb.Orthogonal(),
            sb.Constant(0.5),
        ],
    )
    def test_the_values_are_those_of_numpy(self, init, dtype):
        made = jax.jit(lambda key: sj.initializer(init)(key, (33, 20), dtype))(jax.random.key(3))
        same(made, init.with_seed(3)((33, 20), dtype))

    def test_double_and_complex_precision(self):
        for dtype in ("complex64", "float64", "complex128"):
            with jax.enable_x64(True):
                made = jax.jit(lambda key: sj.initializer(sb.HeNormal())(key, (33, 20), dtype))(jax.random.key(3))  # noqa: B023
            same(made, sb.HeNormal(seed=3)((33, 20), dtype))

    def test_shapes_may_be_empty_or_have_no_axes(self):
        for shape in ((), (0,), (3, 0), (1, 1, 1, 1)):
            made = jax.jit(lambda key, shape=shape: sj.initializer("random_normal")(key, shape))(jax.random.key(3))
            same(made, sb.RandomNormal(seed=3)(shape))
        keys = jax.random.split(jax.random.key(3), 3)[:0]
        assert jax.vmap(lambda key: sj.initializer("random_normal")(key, (2, 3)))(keys).shape == (0, 2, 3)

    def test_large_tensors_on_several_threads(self):
        made, count = self.evaluated(sb.GlorotUniform(), (2000, 1000))
        same(made, sb.GlorotUniform(seed=3)((2000, 1000)))
        assert count == 2_000_000

    def evaluated(self, init, shape):
        before = sb._core.xla_evaluated()
        made = jax.block_until_ready(jax.jit(lambda key: sj.initializer(init)(key, shape))(jax.random.key(3)))
        return made, sb._core.xla_evaluated() - before

    def test_subnormal_numbers_are_kept_in_the_threads_of_xla(self):
        made, _ = self.evaluated(sb.RandomNormal(stddev=1e-39), (300, 200))
        expected = sb.RandomNormal(stddev=1e-39, seed=3)((300, 200))
        assert (expected != 0).all()
        same(made, expected)

    def test_constants_and_orthogonal_tensors_bypass_the_engine(self):
        for init in (sb.Zeros(), sb.Orthogonal()):
            assert self.evaluated(init, (30, 20))[1] == 0

    @pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
    def test_any_key_and_any_number_of_them(self, impl):
        function = sj.initializer("he_normal")
        keys = jax.random.split(jax.random.key(1, impl=impl), (2, 3))
        expected = np.array([[function(key, (3, 4)) for key in row] for row in keys])
        same(jax.jit(jax.vmap(jax.vmap(lambda key: function(key, (3, 4)))))(keys), expected)
        same(jax.vmap(jax.vmap(lambda key: function(key, (3, 4))), 1, 1)(keys), expected)
        raw = jax.random.key_data(keys)
        same(jax.jit(jax.vmap(jax.vmap(lambda key: function(key, (3, 4)))))(raw), expected)

    def test_keys_that_are_constants_of_a_program_are_traced(self):
        for key in (jax.random.key(3), jax.random.PRNGKey(3), np.array([0, 3], np.uint32)):
            function = jax.jit(lambda key=key: sj.initializer("he_normal")(key, (30, 20)))
            assert "seedbed_part" in function.lower().as_text()
            same(function(), sb.HeNormal(seed=3)((30, 20)))

    def test_scan_and_while_loops(self):
        function = sj.initializer("he_normal")
        keys = jax.random.split(jax.random.key(1), 4)
        _, made = jax.lax.scan(lambda carry, key: (carry, function(key, (3, 4))), None, keys)
        same(made, np.stack([function(key, (3, 4)) for key in keys]))
        folded = jax.lax.fori_loop(
            0, 3, lambda n, total: total + function(jax.random.fold_in(keys[0], n), (3, 4)), jnp.zeros((3, 4))
        )
        same(folded, sum(np.asarray(function(jax.random.fold_in(keys[0], n), (3, 4))) for n in range(3)))

    def test_gradients_treat_the_values_as_constants(self):
        function, key = sj.initializer("he_normal"), jax.random.key(1)
        expected = sb.HeNormal(seed=1)((3, 4))
        loss = lambda x, key: (function(key, (3, 4)) * x).sum()  # noqa: E731
        for transformed in (loss, jax.checkpoint(loss), jax.jit(loss)):
            same(jax.grad(transformed)(jnp.ones((3, 4)), key), expected)
        same(jax.jvp(lambda x: function(key, (3, 4)) * x, (2.0,), (1.0,))[1], expected)
        hessian = jax.hessian(lambda x: (function(key, (4,)) * x**2).sum())(jnp.ones(4))
        same(jnp.diag(hessian), 2 * np.asarray(function(key, (4,))))

    def test_a_program_is_exported_if_the_handler_is_allowed(self):
        from jax import export

        function = jax.jit(lambda key: sj.initializer("he_normal")(key, (3, 4)))
        allowed = [export.DisabledSafetyCheck.custom_call("seedbed_part")]
        exported = export.export(function, disabled_checks=allowed)(jax.random.key(0)).serialize()
        same(export.deserialize(exported).call(jax.random.key(1)), sb.HeNormal(seed=1)((3, 4)))
        with pytest.raises(ValueError, match="seedbed_part"):
            export.export(function)(jax.random.key(0))

    @pytest.mark.parametrize("platform", ["cuda", "tpu"])
    def test_programs_for_other_devices_compute_the_values(self, platform):
        def program(init, dtype):
            function = jax.jit(lambda key: sj.initializer(init)(key, (32, 40), dtype))
            return function.trace(jax.random.key(0)).lower(lowering_platforms=(platform,)).as_text()

        computed = program("he_normal", "float32")
        assert "seedbed_part" not in computed
        assert "callback" not in computed
        with pytest.raises(NotImplementedError, match=f"values only the engine can evaluate.*Received: {platform}"):
            program(sb.TruncatedNormal(lower=0.0, upper=None), "float32")

    def test_nothing_is_computed_while_a_program_is_compiled(self):
        jax.jit(lambda key: sj.initializer("he_normal")(key, (10**6, 10**6))).lower(jax.random.key(0)).compile()

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"distribution": "gamma"}, "distribution must be uniform, "),
            ({"parameters": np.array([0.0, -1.0])}, "standard deviation|stddev"),
            ({"parameters": np.array([1, 2])}, "parameters must have the dtype 12 of XLA"),
            ({"lengths": np.array([2, 4])}, "indices must lie within the axis"),
            ({"lengths": np.array([12])}, "each axis must have a part"),
            ({"lengths": None}, "there must be an attribute lengths"),
            ({"words": np.zeros(2, np.int32)}, "an operand must have the dtype 8 of XLA"),
            ({"words": np.zeros(9, np.uint32)}, "a key has 1 to 8 words"),
            ({"words": np.zeros((3, 2), np.uint32)}, "each part must have a key. Received: 3 keys, 1 parts"),
            ({"dtype": np.int32}, "dtype must be a float"),
        ],
    )
    def test_the_handler_refuses_bad_attributes(self, changed, message):
        call = {"distribution": "normal", "parameters": np.array([0.0, 1.0]), "lengths": np.array([3, 4]), **changed}
        result = jax.ShapeDtypeStruct((3, 4), call.pop("dtype", np.float32))
        words = call.pop("words", np.zeros(2, np.uint32))
        attributes = {name: value for name, value in call.items() if value is not None}
        with pytest.raises(jax.errors.JaxRuntimeError, match=f"seedbed: .*({message})"):
            jax.block_until_ready(jax.ffi.ffi_call("seedbed_part", result)(words, np.zeros(2, np.uint32), **attributes))


TREE = {"embed": {"embedding": (10, 4)}, "dense": [{"kernel": (4, 6), "bias": (6,)}, {"kernel": (6, 2), "bias": (2,)}]}
RULES = {"*bias": "zeros", "*embedding": sb.RandomNormal(stddev=0.02), "*": sb.GlorotNormal()}


class TestTree:
    def test_each_array_has_the_values_of_its_name(self):
        params = sj.initialize(shapes(TREE), RULES, seed=42)
        same(params["embed"]["embedding"], child(RULES["*embedding"], 42, "embed/embedding", (10, 4)))
        same(params["dense"][1]["kernel"], child(sb.GlorotNormal(), 42, "dense/1/kernel", (6, 2)))
        same(params["dense"][0]["bias"], np.zeros(6, np.float32))
        assert jax.tree.structure(params) == jax.tree.structure(shapes(TREE))
        generator = sb.SeedGenerator(42)
        again = sj.initialize(params, RULES, seed=generator)
        assert generator.draws == 0
        jax.tree.map(same, again, params)

    def test_the_plan_is_a_checkpoint_with_the_same_bits(self, tmp_path):
        tree = shapes(TREE)
        plan = sj.plan_of(tree, RULES)
        assert [tensor.source for tensor in plan.tensors] == ["*bias", "*", "*bias", "*", "*embedding"]
        checkpoint.write_checkpoint(plan, tmp_path / "model.safetensors", seed=42)
        tensors = importlib.import_module("safetensors.numpy").load_file(tmp_path / "model.safetensors")
        params = sj.initialize(tree, plan, seed=42)
        assert {*tensors} == {
            "embed/embedding", "dense/0/kernel", "dense/0/bias", "dense/1/kernel", "dense/1/bias",
        }  # fmt: skip
        same(params["embed"]["embedding"], tensors["embed/embedding"])
        same(params["dense"][1]["kernel"], tensors["dense/1/kernel"])

    def test_a_scheme_decides_by_roles_after_earlier_rules(self):
        tree = shapes(
            {"layers": [{"mlp": {"up_proj": {"kernel": (8, 32), "bias": (32,)}, "down_proj": {"kernel": (32, 8)}}}]}
        )
        plan = sj.plan_of(tree, [("*/up_proj/kernel", "he_normal"), seedbed.schemes.gpt2(layers=1)])
        assert {tensor.name: tensor.source for tensor in plan.tensors} == {
            "layers/0/mlp/down_proj/kernel": "gpt2: down",
            "layers/0/mlp/up_proj/bias": "gpt2: bias",
            "layers/0/mlp/up_proj/kernel": "*/up_proj/kernel",
        }
        params = sj.initialize(tree, seedbed.schemes.gpt2(layers=1), seed=1)
        init = sb.RandomNormal(stddev=0.02 / 2**0.5)
        down = params["layers"][0]["mlp"]["down_proj"]["kernel"]
        same(down, child(init, 1, "layers/0/mlp/down_proj/kernel", (32, 8)))

    def test_predicates_get_the_name_and_the_leaf(self):
        rules = [(lambda name, leaf: leaf.ndim == 1, "zeros"), ("*", "he_normal")]
        plan = sj.plan_of(shapes(TREE), rules)
        assert [tensor.initializer for tensor in plan.tensors if len(tensor.shape) == 1] == [sb.Zeros()] * 2

    def test_skipped_leaves_and_other_objects_are_unchanged(self):
        tree = {"a": jnp.ones(3), "b": jnp.ones(3), "act": jax.nn.relu, "none": None, "key": jax.random.key(3)}
        for selection in ({"only": "a"}, {"skip": ["b", "key"]}):
            params = sj.initialize(tree, {"*": "zeros"}, seed=1, **selection)
            same(params["a"], np.zeros(3, np.float32))
            assert params["b"] is tree["b"]
            assert params["key"] is tree["key"]
            assert params["act"] is jax.nn.relu
            assert params["none"] is None

    def test_a_tree_may_be_one_array(self):
        with pytest.raises(ValueError, match="a name must be neither empty"):
            sj.initialize(jnp.ones(3), {"*": "zeros"}, seed=1)

    @pytest.mark.parametrize(
        ("rules", "options", "kind", "message"),
        [
            (
                {"*bias": "zeros"},
                {},
                ValueError,
                r"a rule must decide each array; .* Received: none for 3: dense/0/kernel, ",
            ),
            ({"*": "zeros", "*bias": "ones"}, {}, ValueError, r"Received: '\*bias', whose tensors '\*'"),
            (
                {"*/kernal": "ones", "*": "zeros"},
                {},
                ValueError,
                r"'\*/kernal', which selects nothing \(near it: '\*/kernel'\)",
            ),
            ({"*": "zeros"}, {"only": "*scale"}, ValueError, "only must select a tensor"),
            ({"*": "zeros"}, {"skip": "*scale"}, ValueError, "skip must select a tensor"),
            ({"*": "zeros"}, {"unused": "no"}, ValueError, "unused must be one of 'error', 'ignore'"),
            ({"*": sb.Zeros}, {}, TypeError, "must have an initializer, a name or a configuration"),
            ({"*": sb.HeNormal(seed=1)}, {}, ValueError, "an initializer must have no seed here"),
            ({"*": "orthogonal"}, {}, ValueError, "dense/0/bias: "),
        ],
    )
    def test_bad_rules_are_refused(self, rules, options, kind, message):
        with pytest.raises(kind, match=message):
            sj.plan_of(shapes(TREE), rules, **options)
        with pytest.raises(kind, match=message):
            sj.initialize(shapes(TREE), rules, seed=1, **options)

    def test_unused_rules_can_be_ignored(self):
        plan = sj.plan_of(shapes(TREE), {"nothing": "ones", "*": "zeros"}, skip="no", unused="ignore")
        assert len(plan.tensors) == 5

    def test_trees_without_arrays_and_equal_names_are_refused(self):
        with pytest.raises(ValueError, match="a tree must have arrays"):
            sj.plan_of({"a": None, "b": "text"}, {"*": "zeros"})
        with pytest.raises(ValueError, match=r"a name must belong to one array\. Received: 'a/b' twice"):
            sj.plan_of({"a": {"b": jnp.ones(2)}, "a/b": jnp.ones(2)}, {"*": "zeros"})

    def test_a_rule_cannot_decide_a_key(self):
        with pytest.raises(ValueError, match=r"^key: dtype must "):
            sj.initialize({"key": jax.random.key(3)}, {"*": "zeros"}, seed=1)

    def test_shardings_of_another_structure_are_refused(self):
        with pytest.raises(ValueError, match=r"shardings: pytree structure error"):
            sj.initialize(shapes(TREE), RULES, seed=1, shardings={"embed": None})
        with pytest.raises(TypeError, match="shardings: dense/0/bias: sharding must be a sharding of JAX"):
            sj.initialize(shapes(TREE), RULES, seed=1, shardings="cpu")


def test_the_examples_of_the_documentation_run():
    modules = [
        importlib.import_module(f"seedbed.jax.{path.stem}") for path in Path(sj.__file__).parent.glob("[a-z]*.py")
    ]
    done = [doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE) for module in modules]
    assert sum(result.attempted for result in done) > 10
    assert not sum(result.failed for result in done)

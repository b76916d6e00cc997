"""seedbed from R, through reticulate: R's own types, and the example of keras3's reference page."""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import seedbed as sb
from seedbed import config

ROOT = Path(__file__).parents[1]

VALUES = {
    **{f"sb$GlorotNormal(seed = 42L)({shape})": sb.GlorotNormal(42)((2, 2)) for shape in ("c(2, 2)", "c(2L, 2L)")},
    **{
        f"sb$GlorotNormal(seed = 42L)({shape})": sb.GlorotNormal(42)((2, 2))
        for shape in ("list(2L, 2)", "tuple(2, 2L)")
    },
    **{f"sb$HeUniform(seed = 42L)({shape})": sb.HeUniform(42)((3,)) for shape in ("3", "3L", "c(3)", "list(3)")},
    "sb$HeUniform(seed = 42L)(shape = c(1, 3), dtype = 'bfloat16')": sb.HeUniform(42)((1, 3), "bfloat16"),
    "sb$Constant(c(1, 2))(c(2, 2))": sb.Constant([1, 2])((2, 2)),
    "sb$Ones()(c(2, 2), 'int32')": sb.Ones()((2, 2), "int32"),
    "sb$GlorotNormal(seed = 42L)(c(4, 2), partition_shape = c(1, 2), partition_offset = c(3, 0))": sb.GlorotNormal(42)(
        (4, 2)
    )[3:],
}

OBJECTS = {
    "sb$GlorotNormal(seed = 42L)": sb.GlorotNormal(42),
    "sb$RandomNormal(mean = 0L, stddev = 2, seed = -1L)": sb.RandomNormal(0.0, 2.0, -1),
    "sb$HeNormal(1L, input_axes = c(0, 1), output_axes = 2)": sb.HeNormal(1, [0, 1], [2]),
    "sb$HeNormal(1L, input_axes = list(0L), output_axes = c(1L, 2L))": sb.HeNormal(1, [0], [1, 2]),
    "sb$Constant(value = 2.5)": sb.Constant(2.5),
    "sb$get(list(class_name = 'HeNormal', config = list(seed = 3L)))": sb.HeNormal(3),
    "sb$get(list(class_name = 'Constant', config = list()))": sb.Constant(0.0),
    "sb$deserialize(sb$serialize(sb$HeNormal(3L)))": sb.HeNormal(3),
    "sb$GlorotNormal(sb$SeedGenerator(7L)$child('q'))": sb.GlorotNormal(sb.SeedGenerator(7).child("q")),
    "sb$deserialize(sb$serialize(sb$Zeros()))": sb.Zeros(),
    "sb$GlorotNormal(seed = NULL)$get_config()$seed": None,
}

REFUSED = {
    "sb$GlorotNormal(seed = 42)": "a seed must be an integer. Received: seed=42.0",
    "sb$GlorotNormal(seed = TRUE)": "a seed must be an integer. Received: seed=True",
    "sb$GlorotNormal(seed = 'a')": "a seed must be an integer. Received: seed='a'",
    "sb$GlorotNormal(seed = c(1L, 2L))": "a seed must be an integer. Received: seed=[1, 2]",
    "sb$SeedGenerator(1.5)": "a seed must be an integer. Received: seed=1.5",
    "sb$GlorotNormal(1L)(c(2, 2.5))": "each dimension of shape must be an integer. Received: shape=[2.0, 2.5]",
}

PROGRAM = """
library(reticulate)
sb <- import("seedbed")
numbers <- function(tensor) if (is.array(tensor)) c(aperm(tensor)) else unlist(tensor$tolist())
values <- function(tensor) cat(import_builtins()$repr(lapply(numbers(tensor), function(x) x)), "\\n")
object <- function(object) cat(if (is.null(object)) "None" else py_str(object), "\\n")
refused <- function(x) cat(tryCatch({ force(x); "taken" }, error = function(e) trimws(conditionMessage(e))), "\\n")
"""


def r(arguments, backend="numpy"):
    """Return the lines that R prints, with seedbed in this Python and Keras on a backend."""
    environment = {**os.environ, "RETICULATE_PYTHON": sys.executable, "KERAS_BACKEND": backend}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = ["Rscript", "--vanilla", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return [line.rstrip() for line in done.stdout.splitlines() if line.strip()]


@pytest.fixture(scope="module", autouse=True)
def _r_is_there():
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    probe = 'cat(requireNamespace("reticulate", quietly = TRUE) && reticulate::py_available(initialize = TRUE))'
    if r(["-e", probe])[-1:] != ["TRUE"]:
        pytest.skip("reticulate is not installed, or cannot load this Python")


@functools.cache
def printed():
    calls = [("values", VALUES), ("object", OBJECTS), ("refused", REFUSED)]
    program = PROGRAM + "\n".join(f"{verb}({expression})" for verb, table in calls for expression in table)
    return dict(zip([*VALUES, *OBJECTS, *REFUSED], r(["-e", program]), strict=True))


@pytest.mark.parametrize("expression", VALUES)
def test_the_types_of_r_are_shapes(expression):
    assert eval(printed()[expression]) == VALUES[expression].astype("float64").ravel().tolist()


@pytest.mark.parametrize("expression", OBJECTS)
def test_the_types_of_r_are_arguments(expression):
    assert printed()[expression] == repr(OBJECTS[expression])


@pytest.mark.parametrize("expression", REFUSED)
def test_values_that_are_no_python_integers_are_no_seeds(expression):
    assert printed()[expression] == f"ValueError: {REFUSED[expression]}"


SOURCED = """
library(reticulate)
source(file.path(dirname(import("seedbed")$`__file__`), "R", "seedbed.R"))
shown <- function(x) cat(import_builtins()$repr(as.list(c(aperm(seedbed_array(x))))), "\\n")
said <- function(x) cat(tryCatch(py_str(x), error = function(e) trimws(conditionMessage(e))), "\\n")
"""

SHOWN = {
    "initializer_glorot_normal(seed = 42)(c(2, 3))": sb.GlorotNormal(42)((2, 3)),
    "initializer_kaiming_uniform(seed = 42L)(shape = c(2, 3))": sb.KaimingUniform(seed=42)((2, 3)),
    "initializer_he_normal(seed = random_seed_generator(5)$child('a'))(c(2, 2))": sb.HeNormal(
        sb.SeedGenerator(5).child("a")
    )((2, 2)),
    "initializer_he_normal(1, input_axes = 0, output_axes = c(1, 2))(c(2, 2, 2))": sb.HeNormal(1, [0], [1, 2])(
        (2, 2, 2)
    ),
    "initializer_constant(matrix(1:6, 2))(c(2, 3))": sb.Constant([[1, 3, 5], [2, 4, 6]])((2, 3)),
    "initializer_blocks('zeros', list(list(0L, initializer_he_normal())), seed = 3)(c(2, 3, 2))": sb.Blocks(
        "zeros", [(0, sb.HeNormal())], seed=3
    )((2, 3, 2)),
    "initializer_dirac(groups = 2)(c(3, 2, 4))": sb.Dirac(groups=2)((3, 2, 4)),
    "initializer_ones()(3)": sb.Ones()((3,)),
}
SAID = {
    "initializer_zeros(seed = 1)": "unused argument (seed = 1)",
    "initializer_he_normal(seed = 1.5)": "seed must be a whole number between -2^31 and 2^31. Received: 1.5",
    "initializer_he_normal(seed = NULL)": "HeNormal(input_axes=None, output_axes=None)",
    "initializer_random_normal(stddev = -1)": "ValueError: stddev must not be negative. Received: stddev=-1.0",
    "local({ n <- 2; initializer_random_normal(stddev = n, seed = 1) })": "RandomNormal(mean=0.0, stddev=2.0, seed=1)",
    "random_seed_generator(7, 'a')": "SeedGenerator(seed=7)",
    "r_to_py(names(formals(initializer_random_uniform)))": "['minval', 'maxval', 'seed']",
}


@functools.cache
def sourced(backend):
    """Return the output of R after it has sourced seedbed.R: the functions, then the results of the tables."""
    program = [SOURCED, 'cat(grep("^initializer_", ls(), value = TRUE), "\\n")']
    program += [f"shown({expression})" for expression in SHOWN] + [f"said({expression})" for expression in SAID]
    return r(["-e", "\n".join(program)], backend)


@pytest.fixture(params=["numpy", "jax", "torch", "tensorflow"])
def backend(request):
    for module in ("keras", request.param):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    return request.param


def test_the_file_to_source_defines_a_function_for_each_class(backend):
    assert sorted(sourced(backend)[0].split()) == sorted(f"initializer_{name}" for name in config.ALIASES)


def test_its_functions_make_tensors_with_the_bits_of_seedbed(backend):
    for (expression, values), line in zip(SHOWN.items(), sourced(backend)[1:], strict=False):
        assert eval(line) == values.astype("float64").ravel().tolist(), expression


def test_its_functions_accept_the_arguments_of_the_classes(backend):
    lines = sourced(backend)[1 + len(SHOWN) :]
    assert lines == [*SAID.values()]


def test_the_example_of_the_reference_page_runs(backend):
    *_, said, last = r([str(ROOT / "examples" / "keras3.R")], backend)
    assert said == "a layer of Keras is initialized with the bits of seedbed"
    assert last.startswith("[1] ")
    assert len(last.split()) == 5

"""The direction of dependence between modules, the map of them in docs/architecture.md, and what an import loads."""

import ast
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "seedbed"

LAYERS = [
    {"_core", "_html", "arguments", "saving", "strict_json"},
    {"_float_state", "threads", "shapes", "initializers._cosine"},
    {"dtypes"},
    {"_fans", "regions", "seeds"},
    {"rules"},
    {"accelerators.samples", "accelerators.tables"},
    {"accelerators.arithmetic", "accelerators.sensitive"},
    {"accelerators.cuda", "accelerators.uniform"},
    {"accelerators"},
    {"lazy"},
    {"initializers._description", "initializers._windows"},
    {"initializers.base"},
    {"initializers._nested"},
    {
        "initializers.constant",
        "initializers.identity",
        "initializers.log_uniform",
        "initializers.norms",
        "initializers.orthogonal",
        "initializers.random",
        "initializers.sparse",
        "initializers.stft",
        "initializers.variance_scaling",
    },
    {"initializers.blocks", "initializers.xavier_kaiming"},
    {"initializers"},
    {"config"},
    {"__init__"},
    {"compat._generation"},
    {"compat.v1", "compat.v2"},
    {"compat"},
    {"tf_keras"},
    {"plan.limits", "plan.tensor"},
    {"plan.magnitudes", "plan.ranges", "plan.table"},
    {"plan.entries", "plan.json_writer"},
    {"plan.plan"},
    {"plan.rules"},
    {"plan.applied_rules", "plan.json_reader"},
    {"plan"},
    {"schemes.roles"},
    {"schemes.numbers", "schemes.weight"},
    {"schemes.formulas"},
    {"schemes.scheme"},
    {"schemes.registry"},
    {"schemes.depth", "schemes.parametrizations", "schemes.residual", "schemes.width"},
    {"schemes"},
    {
        "checkpoint.direct_io",
        "checkpoint.errors",
        "checkpoint.evaluation",
        "checkpoint.header",
        "checkpoint.object_store",
        "checkpoint.other_formats",
        "checkpoint.parts",
        "checkpoint.round_robin",
        "checkpoint.worker_thread",
    },
    {"checkpoint.destination", "checkpoint.layout", "checkpoint.ring_buffer"},
    {"checkpoint.index", "checkpoint.manifest", "checkpoint.pipeline", "checkpoint.reader"},
    {"checkpoint.comparison", "checkpoint.file_writer", "checkpoint.listing"},
    {"checkpoint.directory_writer", "checkpoint.verification"},
    {
        "checkpoint",
        "torch.devices.operations",
        "torch.devices.operators",
        "torch.garbage_collection",
        "torch.recorder.views",
    },
    {"torch.devices.cuda", "torch.devices.plain"},
    {"torch.devices.ways"},
    {"torch.devices", "torch.memory"},
    {"torch.fill", "torch.module_tensors", "torch.recorder.contents"},
    {"torch.recorded_rules", "torch.recorder.operations"},
    {"torch.recorder.records"},
    {"torch.recorder.dispatch", "torch.recorder.initializers"},
    {"torch.recorder.init_functions"},
    {"torch.recorder.context"},
    {"torch.recorder"},
    {"torch.own_initialization", "torch.weight_norm"},
    {"torch.rules"},
    {"torch.initialize"},
    {"torch.lsuv"},
    {"torch"},
    {"transformers"},
    {"jax.arrays", "jax.devices", "jax.leaves"},
    {"jax.traced"},
    {"jax.functions", "jax.trees"},
    {"jax"},
    {"keras.adapters"},
    {"keras.weights"},
    {"keras.models"},
    {"keras"},
    {"dask.arrays", "dask.checkpoints"},
    {"dask"},
    {"cli.console", "cli.exit_status", "cli.signals"},
    {"cli.cluster", "cli.launchers", "cli.plan_display", "cli.progress", "cli.rules", "cli.tables"},
    {"cli.schemes"},
    {"cli.sources"},
    {"cli.commands"},
    {"cli.parser"},
    {"cli.main"},
    {"cli"},
    {"__main__"},
]
"""Each module may import from the sets before its own."""

UPWARD = {
    ("initializers._nested", "config"),  # the configuration of an argument that is an initializer
    (
        "torch.recorder.init_functions",
        "torch.recorder.init_functions",
    ),  # its functions run with the globals of another module
}
"""Imports within functions from modules above."""

ADAPTERS = {"dask", "jax", "keras", "tf_keras", "torch", "transformers"}
"""Each imports one framework, which no other module does. No module imports them."""

LAZY = {"checkpoint", "compat", "plan", "schemes"} | ADAPTERS
"""Modules that `seedbed` imports when they are first used as an attribute; type checkers see a plain import."""

BUILT_ON = {("keras", "jax"), ("transformers", "torch"), ("cli", "dask")}
"""Adapters of frameworks that build on another framework, and `--dask` of the command."""

RUST_LAYERS = [
    "float_state",
    "backend",
    "keystream",
    "quantile",
    "element",
    "recipe",
    "region",
    "parallel",
    "fill",
    "matmul",
    "orthogonal",
    "xla_ffi",
    "python",
]
"""Each module may use the modules before it. Only one uses Python."""


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1]) if parts[-1] == "__init__" and len(parts) > 1 else ".".join(parts)


def imported(path, known):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "seedbed":
            module = node.module.partition(".")[2]
            for alias in node.names:
                whole = f"{module}.{alias.name}".lstrip(".")
                yield whole if whole in known else module or "__init__"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "seedbed":
                    yield alias.name.partition(".")[2] or "__init__"


def test_python_modules_import_only_those_below_them():
    level = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    paths = {name_of(path): path for path in PACKAGE.rglob("*.py")}
    assert set(paths) <= set(level), "a new module has a place in the layers"
    for name, path in paths.items():
        for other in imported(path, level):
            if name == "__init__" and other in LAZY:
                continue
            assert level[other] < level[name] or (name, other) in UPWARD, f"{name} imports {other}"
            adapter = other.partition(".")[0]
            own = name.partition(".")[0]
            assert adapter not in ADAPTERS or own == adapter or (own, adapter) in BUILT_ON, f"{name} imports an adapter"


def test_rust_modules_use_only_those_below_them():
    for path in (ROOT / "src").rglob("*.rs"):
        name = path.relative_to(ROOT / "src").with_suffix("").parts[0]
        if name == "lib":
            continue
        code = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
        for other in re.findall(r"crate::(\w+)", code):
            assert RUST_LAYERS.index(other) <= RUST_LAYERS.index(name), f"{name} uses {other}"
        assert ("pyo3" in code) == (name == "python"), f"only python.rs knows Python: {path}"
        assert not re.search(r"keras|tensorflow|torch|jax", code, re.IGNORECASE), f"no framework in Rust: {path}"


def listed(heading):
    """Return the modules of a part of the map, from top to bottom."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    part = re.search(rf"^{re.escape(heading)} .*\n\n((?:  \w+ .*\n)+)", page, re.MULTILINE)
    assert part, f"the map has no part {heading}"
    return re.findall(r"^  (\w+) ", part.group(1), re.MULTILINE)


def test_the_map_lists_python_modules_in_layer_order():
    level = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    modules = listed("python/seedbed/")
    packages = (path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    files = (path.stem for path in PACKAGE.glob("*.py") if path.stem not in {"__init__", "__main__"})
    assert sorted(modules) == sorted([*packages, *files, "_core"])
    for above, below in itertools.pairwise(modules):
        assert level[above] >= level[below], f"{above} is above {below} in the map"


def test_the_map_lists_rust_modules_in_layer_order():
    assert listed("src/") == RUST_LAYERS[::-1]
    assert sorted(RUST_LAYERS) == sorted(path.stem for path in (ROOT / "src").glob("*.rs") if path.stem != "lib")


def test_every_path_in_the_architecture_page_exists():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    places = re.findall(r"`((?:src|python|tools|docs|tests)/[\w./]*)`", page)
    assert len(places) > 20
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_unsafe_code_is_in_three_places_only():
    for path in (ROOT / "src").rglob("*.rs"):
        code = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
        assert (
            "unsafe" not in code
            or path.parent.name in ("backend", "xla_ffi")
            or path.stem in ("float_state", "xla_ffi")
        ), path


@pytest.mark.parametrize("module", ["ml_dtypes", "rich", "safetensors", "keras", "torch", "jax", "tensorflow", "scipy"])
def test_importing_seedbed_loads_numpy_only(module):
    program = f"import sys; sys.modules['{module}'] = None; import seedbed; seedbed.GlorotNormal(seed=1)((3, 3))"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_seedbed_does_not_import_the_command_line():
    program = "import sys, seedbed; print([m for m in sys.modules if m.startswith('seedbed.')])"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert "seedbed.cli" not in loaded
    assert "seedbed.plan" not in loaded
    assert "seedbed.compat" not in loaded
    assert not LAZY & {name.removeprefix("seedbed.") for name in ast.literal_eval(loaded)}

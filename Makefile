# `make demo` writes GPT-2 to disk and checks it, `make test` runs all tests, `make check` is what CI runs.
# `make frameworks` installs Keras and its backends there, for the tests of the adapters.
# `make bench` measures, beside every rival that is installed in .venv-bench, and writes docs/benchmarks.md.
# `make quality` measures the values against their laws, and writes docs/quality.md; it takes an hour or two.
# `make fuzz SECONDS=3600` lets libFuzzer look for bad input, so long for each of four targets; it alone needs more than
# the tests do: a nightly compiler, cargo-fuzz (`cargo install cargo-fuzz`) and a system that atheris has a package for.
# Each needs Python >= 3.10 and a Rust toolchain, and prepares the rest in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
RIVALS := torch jax tensorflow keras mkl_random
# What x86-64 leaves out is compiled too, where the standard library of another processor is installed.
ELSEWHERE := $(filter aarch64-unknown-linux-gnu,$(shell rustup target list --installed 2>/dev/null))
FRAMEWORKS := keras jax torch tensorflow tf-keras torchvision transformers timm mup unit-scaling \
	megatron-core flax equinox dm-haiku optax orbax-checkpoint
SECONDS ?= 3600

export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
export PIP_QUIET := 1

.PHONY: build demo test lint check frameworks bench quality fuzz

build: $(VENV)/ready
	$(BIN)/maturin develop --release --extras cli

# `pip install --group` came with pip 25.1.
$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --upgrade "pip>=25.1"
	$(BIN)/pip install --group dev
	touch $@

demo: build
	$(BIN)/python examples/demo.py build

test: build
	cargo test
	$(BIN)/pytest

lint: build
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --all-targets --features python -- -D warnings
	$(foreach target,$(ELSEWHERE),cargo clippy --lib --target $(target) -- -D warnings)
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --features python
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/stubtest seedbed._core

check: lint test

# Tests of adapters skip what is not installed. As for the bench, what has no package for a system is left out there.
frameworks: $(VENV)/frameworks

$(VENV)/frameworks: pyproject.toml $(VENV)/ready
	$(BIN)/pip install --group frameworks || \
		for framework in $(FRAMEWORKS); do $(BIN)/pip install $$framework || echo "left out: $$framework"; done
	touch $@

bench: build $(BENCH)/ready
	PYTHONPATH=python $(BENCH)/bin/python benches/bench.py

# One by one: some rivals have no package for some systems, and the bench leaves out what is not there.
$(BENCH)/ready: pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --upgrade "pip>=25.1"
	$(BENCH)/bin/pip install --group bench
	for rival in $(RIVALS); do $(BENCH)/bin/pip install $$rival || echo "left out: $$rival"; done
	touch $@

quality: build
	$(BIN)/python -m tools.quality

# What is new goes to build/fuzz, what is bad to fuzz/artifacts; the corpus stays as it is.
fuzz: build
	$(BIN)/pip install atheris
	mkdir -p fuzz/artifacts $(addprefix build/fuzz/,region parameters plan config)
	for target in region parameters; do cargo +nightly fuzz run $$target build/fuzz/$$target fuzz/corpus/$$target -- \
		-max_len=512 -max_total_time=$(SECONDS) || exit; done
	for target in plan config; do $(BIN)/python fuzz $$target build/fuzz/$$target fuzz/corpus/$$target \
		-artifact_prefix=fuzz/artifacts/ -timeout=60 -max_total_time=$(SECONDS) || exit; done

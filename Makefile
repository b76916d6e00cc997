# `make build` compiles the extension and installs it in .venv, with everything that the other targets need.
# `make quick` runs most tests in a minute or two; `make test` runs all, and `make check` is what CI runs.
# `make frameworks` installs Keras, its backends, torch and others in .venv, for the tests of the adapters.
# `make demo` writes GPT-2 to disk and checks it.
# `make bench` compares the speed with every rival that is installed in .venv-bench, and writes docs/benchmarks.md.
# `make quality` compares the values with their exact distributions, and writes docs/quality.md, in an hour or two.
# `make site` builds the documentation into build/site, and checks its links.
# `make release` builds the source distribution and the wheel of this platform, and tests them; it uploads nothing.
# `make fuzz SECONDS=3600` runs libFuzzer on each of four targets for that long. It also needs a nightly compiler,
# cargo-fuzz (`cargo install cargo-fuzz`) and a system for which atheris has a package.
# Each target needs Python >= 3.10 and a Rust toolchain.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
RIVALS := torch jax tensorflow keras mkl_random
# Targets of other processors to lint too, if their standard library is installed (rustup target add).
ELSEWHERE := $(filter aarch64-unknown-linux-gnu s390x-unknown-linux-gnu,$(shell rustup target list --installed 2>/dev/null))
FRAMEWORKS := keras jax torch tensorflow tf-keras torchvision transformers timm mup unit-scaling \
	megatron-core flax equinox dm-haiku optax orbax-checkpoint dask[array,distributed] zarr s3fs moto[server] universal_pathlib accelerate
SECONDS ?= 3600
RUST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# The tests that most changes break first.
QUICK := $(patsubst %,tests/test_%.py,architecture arguments backend blocks call config configurations constant describe fans golden \
	initializers lazy messages plan recipes ranges seeds variance_scaling)

export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
export PIP_QUIET := 1

.PHONY: toolchain build demo quick test lint check frameworks bench quality fuzz site release

build: toolchain $(VENV)/ready
	$(BIN)/maturin develop --release --extras cli

toolchain:
	@command -v cargo > /dev/null || { echo "cargo is missing: the extension is written in Rust. Install Rust $(RUST) or \
	newer, for example by rustup (https://rustup.rs), and run make again." >&2; exit 1; }

# `pip install --group` came with pip 25.1.
$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --upgrade "pip>=25.1"
	$(BIN)/pip install --group dev
	touch $@

demo: build
	$(BIN)/python examples/demo.py build

# Without link-time optimization, and without the tests of all 2^32 words of a quantile function.
quick: export CARGO_PROFILE_RELEASE_LTO := off
quick: export CARGO_PROFILE_RELEASE_CODEGEN_UNITS := 16
quick: export CARGO_TARGET_DIR := target/quick
quick: build
	cargo test -- --skip the_float32_
	$(BIN)/pytest -q $(QUICK)

test: build
	cargo test
	$(BIN)/pytest

lint: build
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --all-targets --features python -- -D warnings
	for target in $(ELSEWHERE); do cargo clippy --lib --target $$target -- -D warnings || exit; done
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --features python
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/stubtest seedbed._core

check: lint site test

# Tests of adapters skip frameworks that are not installed. Packages without a version for this system are left out.
frameworks: $(VENV)/frameworks

$(VENV)/frameworks: pyproject.toml $(VENV)/ready
	$(BIN)/pip install --group frameworks || \
		for framework in $(FRAMEWORKS); do $(BIN)/pip install $$framework || echo "left out: $$framework"; done
	touch $@

# The docstrings are read from the source, without importing a framework; `seedbed.compat` is imported, as it completes its own.
site: build $(VENV)/docs
	$(BIN)/zensical build --clean --strict

$(VENV)/docs: pyproject.toml $(VENV)/ready
	$(BIN)/pip install --group docs
	touch $@

# The workflows are linted here too, because a tag runs them without another review.
release: toolchain $(VENV)/release
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/python tools/release.py

$(VENV)/release: pyproject.toml $(VENV)/ready
	$(BIN)/pip install --group release
	touch $@

bench: build $(BENCH)/ready
	PYTHONPATH=python $(BENCH)/bin/python benches/bench.py

# Rivals are installed one by one: some have no package for some systems, and the bench leaves these out.
$(BENCH)/ready: pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --upgrade "pip>=25.1"
	$(BENCH)/bin/pip install --group bench
	for rival in $(RIVALS); do $(BENCH)/bin/pip install $$rival || echo "left out: $$rival"; done
	touch $@

quality: build
	$(BIN)/python -m tools.quality

# New inputs go to build/fuzz and failing ones to fuzz/artifacts; the corpus does not change.
fuzz: build
	$(BIN)/pip install atheris
	mkdir -p fuzz/artifacts $(addprefix build/fuzz/,region parameters plan config)
	for target in region parameters; do cargo +nightly fuzz run $$target build/fuzz/$$target fuzz/corpus/$$target -- \
		-max_len=512 -max_total_time=$(SECONDS) || exit; done
	for target in plan config; do $(BIN)/python fuzz $$target build/fuzz/$$target fuzz/corpus/$$target \
		-artifact_prefix=fuzz/artifacts/ -timeout=60 -max_total_time=$(SECONDS) || exit; done

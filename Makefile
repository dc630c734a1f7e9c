# Everything that is done with this tree, from a fresh clone on. `make` alone lists it.
#
# What is built lands in .venv, core/target, dist and .cache, each behind a stamp: what has not changed is not built again.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

# Arguments for the command that a target runs: make run ARGS="--for 20s", make test-python ARGS="-k tls -x".
ARGS ?=
# Python to build .venv with; by default the first of these that is 3.11 or newer.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then command -v $$python; break; fi; done)
# Seconds for each fuzz target, and for the soak.
FUZZ_SECONDS ?= 20
SOAK_SECONDS ?= 120

bin := .venv/bin
python_sources := gateway healthcheck infra tests docs/examples conftest.py tidegate_core.pyi
rust_trees := $(patsubst %/Cargo.toml,%,$(wildcard core/Cargo.toml core/fuzz/Cargo.toml tests/bench/driver/Cargo.toml))
core_sources := $(shell find core/datapath/src core/binding/src -type f) core/tidegate_core.pyi \
	core/Cargo.lock core/Cargo.toml core/datapath/Cargo.toml core/binding/Cargo.toml
cargo_fuzz := .cache/cargo-fuzz/bin/cargo-fuzz
CARGO_FUZZ_VERSION := 0.13.2

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYO3_PYTHON := $(CURDIR)/.venv/bin/python
export VIRTUAL_ENV := $(CURDIR)/.venv

##@ Use

.PHONY: run
run: .venv/.core ## Build the core optimised and run `tidegate up`: three regions, a load balancer and lines to paste
	@exec $(bin)/tidegate up $(ARGS)

.PHONY: example-two-services
example-two-services: .venv/.core ## Two headless services with several pods behind one TLS endpoint, on this machine
	@$(bin)/python docs/examples/two-services/run.py

.PHONY: build
build: .venv/.core ## Build the core optimised and install the command into .venv, without running it

.PHONY: wheel
wheel: .venv/.run ## Build the wheel into dist/
	@rm -rf dist
	$(bin)/maturin build --release --locked --out dist

##@ Test

.PHONY: test
test: lint test-rust test-python ## Lint, types, layers, Rust and Python tests; needs neither root nor Go
	@echo "Not run here: tests of other people's programs (make test-real), make fuzz, make soak, make bench."

.PHONY: test-rust
test-rust: toolchain ## Tests of the request path
	cd core && env -u MAKEFLAGS cargo test --locked --package tidegate_datapath $(ARGS)

.PHONY: test-python
test-python: .venv/.develop .venv/.core ## Tests of the whole, through the built core
	$(bin)/pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile -m "not real and not soak" $(ARGS)

.PHONY: test-real
test-real: .venv/.real .venv/.core ## Install or build the real parts (root for apt, Go; else named as skipped) and test with them
	$(bin)/python tests/project/real_parts.py
	$(bin)/pytest -m "real and not soak" $(ARGS)

.PHONY: lint
lint: lint-python lint-rust ## ruff, mypy --strict, import layers, cargo fmt, clippy with warnings denied

.PHONY: lint-python
lint-python: .venv/.develop .venv/.core
	$(bin)/ruff check --quiet $(python_sources)
	$(bin)/ruff format --quiet --check $(python_sources)
	$(bin)/mypy
	$(bin)/lint-imports

.PHONY: lint-rust
lint-rust: toolchain .venv/.run
	for tree in $(rust_trees); do (cd $$tree && cargo fmt --all --check); done
	cd core && cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
	cd tests/bench/driver && cargo clippy --locked --all-targets --quiet -- -D warnings

.PHONY: fuzz
fuzz: $(cargo_fuzz) ## Run every fuzz target for FUZZ_SECONDS (20) each
	@cd core && export PATH="$(CURDIR)/$(dir $(cargo_fuzz)):$$PATH"; \
	for target in $$(cargo fuzz list); do \
		echo "== fuzz $$target"; \
		mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target; \
		cargo fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1; \
	done

.PHONY: soak
soak: .venv/.develop .venv/.core ## Mixed load with cancels, resets, reloads and backend deaths for SOAK_SECONDS (120)
	SOAK_SECONDS=$(SOAK_SECONDS) $(bin)/pytest -m soak -s --timeout=0 $(ARGS)

##@ Work

.PHONY: format
format: .venv/.develop toolchain ## Format Python and Rust in place
	$(bin)/ruff check --quiet --fix-only $(python_sources)
	$(bin)/ruff format --quiet $(python_sources)
	for tree in $(rust_trees); do (cd $$tree && cargo fmt --all); done

.PHONY: lock
lock: .venv/.develop ## Lock the dependencies again; ARGS=--upgrade takes the newest that pyproject.toml allows
	$(compile) --group develop --output-file requirements/develop.lock
	$(compile) --constraints requirements/develop.lock --output-file requirements/runtime.lock
	$(compile_group) build --output-file requirements/build.lock
	$(compile_group) real --output-file requirements/real.lock
	for tree in $(rust_trees); do (cd $$tree && cargo update --quiet $(if $(findstring --upgrade,$(ARGS)),,--workspace)); done

compile = $(bin)/uv --quiet pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header $(ARGS)
compile_group = $(bin)/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes --no-header $(ARGS) \
	--constraints requirements/develop.lock --group

.PHONY: clean
clean: ## Remove all that was built; real parts stay in .cache and ~/.cache/tidegate
	rm -rf .venv dist bench/results .tidegate $(addsuffix /target,$(rust_trees))
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(wildcard $(python_sources)) -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z-]*:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Stamps.

.venv/.created:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none is on PATH; or say PYTHON=/path/to/python3." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

install = $(bin)/pip install --quiet --require-hashes --requirement

.venv/.run: requirements/runtime.lock requirements/build.lock .venv/.created
	$(install) requirements/runtime.lock --requirement requirements/build.lock
	@touch $@

.venv/.develop: requirements/develop.lock .venv/.run
	$(install) requirements/develop.lock
	@touch $@

.venv/.real: requirements/real.lock .venv/.develop
	$(install) requirements/real.lock
	@touch $@

# pip finds every dependency in place; it is kept from the index so that nothing unlocked can slip in.
.venv/.core: $(core_sources) pyproject.toml .venv/.run | toolchain
	PIP_NO_INDEX=1 PIP_QUIET=1 $(bin)/maturin develop --release --locked --quiet
	@touch $@

$(cargo_fuzz): | toolchain
	cargo install cargo-fuzz --version $(CARGO_FUZZ_VERSION) --locked --root .cache/cargo-fuzz

.PHONY: toolchain
toolchain:
	@command -v cargo > /dev/null || { echo "A Rust toolchain is needed and cargo is not on PATH; rustup installs one." >&2; exit 1; }

-include tests/bench/bench.mk

.DEFAULT_GOAL := help
PYTHON ?= python3
PROCESSES ?= 4
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-annotate --quiet

.PHONY: help
help: ## Show what there is to do
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

.PHONY: setup
setup: .venv/.ready ## Make .venv from the lock file, with .venv/bin/kelery

.venv/.ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
	  echo "cannot run '$(PYTHON)'; Kelery needs Python 3.11 or newer. Try: make PYTHON=python3.12 setup" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Kelery needs Python 3.11 or newer; '$(PYTHON)' is older. Try: make PYTHON=python3.12 setup" >&2; exit 1; }
	@echo "Setting up .venv from requirements.lock ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: demo
demo: setup ## Start the whole stack, run the examples, show what happens, stop
	@$(BIN)/python -m kelery_dev.demo

.PHONY: test
test: setup ## Run what every change must pass: all but the thorough, perf and end-to-end tiers
	@$(BIN)/python -m kelery_dev.prepare
	@$(BIN)/python -m pytest --numprocesses $(PROCESSES)

.PHONY: thorough
thorough: setup ## Run every test, also long searches and storms
	@$(BIN)/python -m kelery_dev.prepare
	@$(BIN)/python -m pytest --numprocesses 2 -m "thorough or not thorough"

.PHONY: perf
perf: setup ## Run the perf tier: ratios against their limits, soak, storm, the benchmark's own tests
	@$(BIN)/python -m kelery_dev.prepare
	@$(BIN)/python -m pytest tests/perf

.PHONY: bench
bench: setup ## Benchmark Kelery against its references; BENCH="--only rest --json FILE" for its options
	@$(BIN)/kelery bench $(BENCH)

.PHONY: e2e
e2e: setup ## Run the end-to-end tier on the cluster of KUBECONFIG (see tests/e2e/README.md)
	@$(BIN)/python -m pytest tests/e2e

.PHONY: check
check: setup ## Lint, format check, types, architecture, prose and workflows
	@command -v luacheck >/dev/null || { echo "make check needs luacheck; on Debian: apt install lua-check" >&2; exit 1; }
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/prose.py
	$(BIN)/zizmor --offline --quiet --persona pedantic .
	@$(BIN)/python -c 'from kelery.ledger import library; print(library.SOURCE, end="")' >.venv/kelery_v1.lua
	luacheck .venv/kelery_v1.lua

.PHONY: docs
docs: setup ## Build the documentation site in site/; broken links and pages outside the menu fail
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: fmt
fmt: setup ## Format and fix what can be fixed, and write the generated parts of the documents
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m kelery_dev.documents

.PHONY: lock
lock: setup ## Update the lock files from pyproject.toml
	$(LOCK) --all-extras --group build --group docs --group test --upgrade --output-file requirements.lock pyproject.toml
	@rm -f requirements-image.lock requirements-wheel.lock
	$(LOCK) --constraint requirements.lock --extra api --extra operator --extra worker \
	  --output-file requirements-image.lock pyproject.toml
	echo hatchling | $(LOCK) --constraint requirements.lock --output-file requirements-wheel.lock -

# Every target sets itself up. The first run installs; a second run installs nothing.
.DELETE_ON_ERROR:
.SUFFIXES:
SHELL := /bin/sh

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Tools, emulators and sandbox state live in the checkout, never in the home directory.
export BURSAR_HOME ?= $(CURDIR)/.bursar

.PHONY: help setup demo test check format lint types architecture crashes chaos payout-run bench docs lock clean

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: .venv/installed .bursar/installed ## Install everything this project needs

.venv/installed: requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11, 3.12 or 3.13 with venv is needed" >&2; \
		echo "hint: on Debian: apt install python3 python3-venv; or: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Installing the Python environment (once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.bursar/installed: .venv/installed $(wildcard src/bursar/sandbox/setup/*.* src/bursar/sandbox/chain/contracts/*.vy src/bursar/aws/function-requirements.txt)
	@mkdir -p .bursar
	@$(BIN)/bursar sandbox setup
	@touch $@

# Crossmint's SDK and a policy simulator, which tests alone run; the tests themselves fetch nothing.
.bursar/test-installed: .bursar/installed tests/npm_tool.py $(wildcard tests/e2e/sdk/package*.json tests/oracle/package*.json)
	@$(BIN)/python -m tests.npm_tool
	@touch $@

demo: setup ## Watch a KMS-held key pay out of a treasury wallet, on this machine
	@$(BIN)/bursar demo

test: setup .bursar/test-installed ## Run every test, with branch coverage
	@$(BIN)/python -m pytest -q -n auto --cov --cov-report=term $(PYTEST_ARGS)

# Not from the environment, where LINES is a terminal's height: make payout-run STORE=postgresql KIND=direct BATCH=50
LINES = 1000
WORKERS = 3
STORE = sqlite
KIND = regulated
BATCH = 1
SCALE = 4
KILL_EVERY = 3
payout-run: setup ## Have workers that are killed pay a file, within Crossmint's limits, and judge it (CONTRIBUTING.md)
	@$(BIN)/python -m tests.payout_run --lines $(LINES) --workers $(WORKERS) --store $(STORE) --kind $(KIND) \
		--batch $(BATCH) --scale $(SCALE) --kill-every $(KILL_EVERY) $(RUN_ARGS)

check: format lint types architecture test ## Everything CI runs

format: .venv/installed ## Is the code formatted?
	@$(BIN)/ruff format --check .

lint: .venv/installed ## Lint
	@$(BIN)/ruff check .

types: .venv/installed ## Type-check, strictly
	@$(BIN)/mypy

architecture: .venv/installed ## Do imports point the way the design says?
	@$(BIN)/lint-imports

CHAOS_CRASHES ?= 1000
CHAOS_SECONDS ?= 1500
CHAOS_SEED ?=

crashes: setup ## Kill a transfer at every point it passes, on both databases, and print what became of it
	@$(BIN)/python -m tests.chaos.table

chaos: setup ## Kill workers at random, CHAOS_CRASHES (1000) times or for CHAOS_SECONDS (1500); CHAOS_SEED repeats
	@$(BIN)/python -m tests.chaos.storm --crashes $(CHAOS_CRASHES) --seconds $(CHAOS_SECONDS) $(if $(CHAOS_SEED),--seed $(CHAOS_SEED))

bench: setup ## Compare the cost of a signature with boto3's, in one run
	@$(BIN)/python benchmarks/signing.py

docs: .venv/installed ## Redraw the reference pages from the code
	@$(BIN)/python docs/reference/generate.py

lock: ## Renew the pinned, hashed requirements (needs uv)
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-strip-extras --no-header --no-annotate -q -U -o requirements/dev.txt

clean: ## Remove everything that setup made
	rm -rf .venv .bursar .mypy_cache .ruff_cache .pytest_cache .coverage*

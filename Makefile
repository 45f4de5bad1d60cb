# `make demo` and `make test` need python3 (3.11 or newer), make and a package index; nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Tests wait on servers and sleep on purpose; more of them than cores keeps the cores busy.
WORKERS ?= 4
STAMP := $(VENV)/.installed

.PHONY: setup demo test lint bench accuracy chaos clean help venv-by-pip

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# Byte code is made here, because some environments forbid Python to keep what it compiles while it imports: each start
# of `harness` then takes twice as long, and the tests start it hundreds of times.
setup: $(STAMP) ## make or update the virtual environment
	@$(BIN)/python -m compileall -q harness

$(STAMP): pyproject.toml .ci/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "harness needs Python 3.11 or newer")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 2>/dev/null || $(MAKE) --no-print-directory venv-by-pip
	@echo "installing harness and its tools into $(VENV): a minute or two, this once"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[test,lint]'
	@touch $@

# Debian packs venv's own pip apart (python3-venv); with python3-pip alone this makes the same environment.
venv-by-pip:
	@rm -rf $(VENV)
	@$(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --quiet --python $(BIN)/python install pip || \
		{ rm -rf $(VENV); echo "python3 can make no virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }

demo: setup ## run the main job on the embedded cloud (simulated), and ask what to buy
	$(BIN)/harness sweep configs/demo.yaml --simulate --yes --results results/demo --replace --prices configs/prices.yaml
	$(BIN)/harness capacity results/demo --rate 50

test: setup ## run the tests
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup

lint: setup ## ruff and strict mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup ## run the benchmarks; they print, they do not judge
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[bench]'
	$(BIN)/python -m tests.benchmarks

accuracy: setup ## the forecast against published measurements, row by row
	$(BIN)/python -m harness.forecast.accuracy

chaos: setup ## thousands of sweeps under faults and signals (HARNESS_CHAOS_SWEEPS, HARNESS_CHAOS_SEED)
	HARNESS_CHAOS_SWEEPS=$${HARNESS_CHAOS_SWEEPS:-3000} $(BIN)/python -m pytest -q tests/sweep/test_chaos.py

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

# make            environment in .venv from requirements.lock
# make demo       the whole way, shown: planted world promoted, random walk refused
# make demo WORLD=replay DATA=DIR [DAYS=1461] [AS_OF=2025-01-01]   one world alone
# make up | down | status       the servers
# make soak [SCRIPTS=300] [SEED=N] [RESUME=1]   pulls among random faults and kills; the store must come out whole
# make gate-simulation [TRACKS=1000]   the gate judges tracks whose truth is known; writes docs/gate.md
# make test | check | bench | clean
#
# TORCH_BACKEND=cpu keeps Linux from downloading CUDA libraries; PIP_FIND_LINKS is honoured.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := setup
.PHONY: setup demo up down status test check bench soak gate-simulation clean

PYTHON ?= python3.11
BIN := .venv/bin
empty :=
comma := ,
ifneq ($(PIP_FIND_LINKS)$(UV_FIND_LINKS),)
export UV_FIND_LINKS ?= $(subst $(empty) $(empty),$(comma),$(PIP_FIND_LINKS))
endif
export OMP_NUM_THREADS ?= 1
UV_TORCH := $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND))

setup: .venv/.complete
	@:

.venv/.python:
	@$(PYTHON) -c '' 2> /dev/null || { echo "xrl: Python 3.11 is needed and '$(PYTHON)' does not run." \
	  "Install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v[:2] == (3, 11) or sys.exit("xrl: Python 3.11 is needed;" \
	  " received %d.%d at %s. Name another: make PYTHON=/path/to/python3.11" % (*v[:2], sys.executable))'
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/.complete: .venv/.python pyproject.toml requirements.lock
	@$(BIN)/python ops/check_lock.py lock
	@echo "installing requirements.lock into .venv (half a minute once downloaded)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -E '^uv==' requirements.lock)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python $(UV_TORCH) -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(BIN)/python ops/check_lock.py installed
	@touch $@

demo: setup
	@$(BIN)/python -m ops demo $(if $(WORLD),--world $(WORLD)) $(if $(DATA),--data "$(DATA)") \
	  $(if $(DAYS),--days $(DAYS)) $(if $(AS_OF),--as-of $(AS_OF))

up: setup
	@$(BIN)/python -m ops up

down: setup
	@$(BIN)/python -m ops down

status: setup
	@$(BIN)/python -m ops status

# One worker a core, one file at a time to each, the longest first (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test: setup
	@$(PYTEST)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST)

bench: setup
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

soak: setup
	@$(BIN)/python -m ops.soak --scripts $(or $(SCRIPTS),300) $(if $(SEED),--seed $(SEED)) $(if $(RESUME),--resume)

gate-simulation: setup
	@$(BIN)/python -m benchmarks.gate_simulation --tracks $(or $(TRACKS),1000)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

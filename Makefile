# Tollway. `make` alone prints what there is. Needs GNU make, a POSIX sh and Python 3.11 or newer.
#
#   PYTHON=/path/to/python3.12 make install     another interpreter than the first suitable one on PATH
#   ONCE=1 make demo                            show everything, then stop
#   make test ARGS="tests/pricing -k cache"     some of the tests
#   make fuzz FUZZ_SECONDS=600                  longer

.SUFFIXES:
.DEFAULT_GOAL := help

VENV         := .venv
BIN          := $(VENV)/bin
PYTHON       ?=
ONCE         ?=
ARGS         ?=
WORKERS      ?= 3
FUZZ_SECONDS ?= 60
RIG          ?= ../shared/rig/rig
PORT         ?= 8080
export PYTHON

SOURCES := gateway guardrails pricing loadtest tests tools

.PHONY: help install install-dev demo test check format fuzz bench loadtest lock clean

help: ## this list
	@echo "Tollway: one road between applications and model providers. Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## what running needs, pinned by requirements.lock, into .venv

install-dev: $(VENV)/.installed-dev ## the same, and what tests and checks need

$(VENV)/.installed: requirements.lock pyproject.toml
	@tools/install requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock pyproject.toml
	@tools/install requirements-dev.lock
	@touch $(VENV)/.installed $@

demo: install ## gateway and bundled provider, real SDK traffic of three teams, the books (ONCE=1: then stop)
	@$(BIN)/tollway demo $(if $(filter-out 0,$(ONCE)),--once)

test: install-dev ## every test (as root installs the Debian packages they need, else says which)
	@tools/system-packages postgresql redis-server prometheus chromium chromium-driver
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: install-dev ## format, lint, types, and who may import whom
	@echo "ruff format" && $(BIN)/ruff format --quiet --check $(SOURCES)
	@echo "ruff check" && $(BIN)/ruff check --quiet $(SOURCES)
	@echo "basedpyright" && $(BIN)/basedpyright
	@echo "import-linter" && $(BIN)/lint-imports

format: install-dev ## let ruff lay out the code and mend what it can
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

fuzz: install-dev ## every fuzzer in tests/fuzz, FUZZ_SECONDS each
	@set -e; for fuzzer in tests/fuzz/fuzz_*.py; do \
	  echo "$$fuzzer, $(FUZZ_SECONDS) s"; \
	  $(BIN)/python -m tests.fuzz.$$(basename $$fuzzer .py) --seconds $(FUZZ_SECONDS); \
	done

bench: install ## speed beside nginx on this machine (two cores; as root installs nginx-light and wrk)
	@tools/system-packages nginx-light wrk
	@tools/bench $(RIG) $(PORT)

loadtest: install ## a minute of mixed load through a gateway of its own; report in var/loadtest
	@tools/loadtest $(ARGS)

lock: install-dev ## make the lock files again from pyproject.toml (UPGRADE=1: newest versions)
	@tools/lock $(UPGRADE)

clean: ## remove .venv, caches and build output (var/, the data, stays)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# make tour   sets up and shows a whole delivery      make test   sets up and runs every check and test
# make setup  only makes the environment in .venv     make real   takes two releases of Kinto to production
# make bench  measures speeds and sizes into bench/README.md; ONLY="plan" does that part alone

SHELL := /bin/bash
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& command -v $$python && break; done)
BIN := .venv/bin
JOBS ?= 2
# For every supported Python, not only for the one that is here.
# Whole, so nothing is left to resolve: with extras and hashes pip's own resolver stumbles (--no-deps below).
LOCK := $(BIN)/uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes

.PHONY: setup tour test slow real check unit bench lock picture wheel clean

setup: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or later with venv was found: apt-get install python3 python3-venv"; exit 1; }
	@command -v git >/dev/null || { echo "git was not found: apt-get install git"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Tests need more than running does: linters, a browser driver, builders.
.venv/tested: .venv/installed requirements-test.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-test.lock
	touch $@

tour: setup
	$(BIN)/shipline tour

# Minutes each and hungry for processor time, so they come after everything else instead of beside it.
SLOW := tests/e2e/test_chaos.py tests/e2e/test_kinto.py tests/e2e/test_tour.py tests/e2e/test_wheel.py
PYTEST := $(BIN)/python -Im pytest -n $(JOBS) --dist loadfile

test: check
	$(PYTEST) tests/unit tests/contract tests/flows tests/deployments tests/integration tests/e2e $(addprefix --ignore=,$(SLOW))
	$(PYTEST) $(SLOW)

slow: .venv/tested
	$(PYTEST) $(SLOW)

# Kinto's own suite whole (about 2,300 tests) and two of its releases to production.
real: .venv/tested
	KINTO_SUITE=all $(BIN)/python -Im pytest -q --timeout 3600 tests/e2e/test_kinto.py

check: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/lint-imports

unit: .venv/tested
	$(BIN)/python -Im pytest -q tests/unit

bench: .venv/tested
	$(BIN)/python -m bench $(ONLY)

lock: .venv/tested
	$(LOCK) --group build -o requirements.lock pyproject.toml
	$(LOCK) --group test -c requirements.lock -o requirements-test.lock pyproject.toml

picture: .venv/tested
	$(BIN)/shipline tour | $(BIN)/python docs/tour_picture.py > docs/tour.svg

wheel: .venv/tested
	$(BIN)/python -m build --no-isolation --wheel

clean:
	rm -rf .venv dist

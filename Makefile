# Each of these does everything on a fresh machine: see "Set-up" in the README.
PYTHON ?= python3
VENV   := .venv
UV     := $(VENV)/bin/uv
READY  := $(VENV)/.ready

.PHONY: setup demo test check histories schemas faults lives lock

setup: $(READY)
	@$(VENV)/bin/python -m server

demo: $(READY)
	@$(VENV)/bin/orderlab demo

test: check
	@$(VENV)/bin/python -m server
	$(VENV)/bin/python -m pytest

# Everything that needs no server: style, types, import rules.
check: $(READY)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Records tests/histories anew, from real runs.
histories: setup
	$(VENV)/bin/python -m tests.record_histories

# Writes what docs/ says of the events anew: the JSON Schema of every type, and who hears of what.
schemas: $(READY)
	$(VENV)/bin/python -m lab.schemas
	$(VENV)/bin/python -m lab.event_table

# Runs the fault matrix and writes docs/faults.md anew.
faults: setup
	@$(VENV)/bin/python -m lab.matrix_page

# Draws the lives of 500 orders instead of a few (docs/lives.md has the last result).
lives: setup
	$(VENV)/bin/python -m pytest --hypothesis-profile=long -s tests/workflows/test_any_life.py

# Resolves the dependencies anew and pins them.
lock: $(READY)
	$(UV) pip compile --universal --generate-hashes --no-annotate --no-header --upgrade --group dev -o requirements.lock pyproject.toml

$(READY): requirements.lock pyproject.toml
	@test -x $(VENV)/bin/python || $(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(UV) pip sync --quiet --python $(VENV)/bin/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(VENV)/bin/python --no-build-isolation --no-deps --editable .
	@touch $@

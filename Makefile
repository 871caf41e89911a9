# Two commands on a fresh machine: `make demo` and `make test`. All set-up is theirs; nothing outside this folder changes,
# but for Debian's chromium (in CI also PostgreSQL), which `make test` installs when it runs as root.
# `make demo ARGS=--check` ends with a verdict, `make test ARGS="-k browser"` passes arguments to pytest.

PYTHON := $(shell sh scripts/find_python.sh)
ARGS :=
VENV := $(or $(PRELABEL_VENV),.venv)

.PHONY: help demo test test-all lint format labelstudio screenshot clean
.DEFAULT_GOAL := help

help:
	@echo "make demo          Label Studio with three projects that fill with predictions; Ctrl-C ends it"
	@echo "make test          everything CI runs: lint, unit, contract, end-to-end and browser tests"
	@echo "make test-all      the same, and wrappers of PyTorch, transformers and Ultralytics (ten gigabytes to install)"
	@echo "make lint          ruff and mypy"
	@echo "make format        ruff format, and the fixes that ruff can make"
	@echo "make labelstudio   install Label Studio, which demo and tests use, and prepare its database"
	@echo "make screenshot    take the pictures of README and docs again"
	@echo "make clean         remove environments, caches and the demo's data"

demo: python
	@$(PYTHON) scripts/set_up.py demo
	@exec $(VENV)/bin/prelabel demo $(ARGS)

test: python
	@exec $(PYTHON) scripts/test.py $(ARGS)

test-all: python
	@exec $(PYTHON) scripts/test.py --all $(ARGS)

lint: python
	@$(PYTHON) scripts/set_up.py lint
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: python
	@$(PYTHON) scripts/set_up.py lint
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

labelstudio: python
	@$(PYTHON) scripts/set_up.py labelstudio

screenshot: python
	@$(PYTHON) scripts/set_up.py test
	@exec $(VENV)/bin/python scripts/screenshot.py

clean:
	rm -rf .venv .venv-labelstudio .venv-labelstudio.lock .venv-labelstudio.log .cache .data build dist *.egg-info

.PHONY: python
python:
	@test -n "$(PYTHON)"

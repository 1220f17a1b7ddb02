# make search   installs the core into .venv and runs a real search on the CPU (minutes); writes a report to look at
# make demo     installs all of it and goes the whole way: search, training, mmdet, mmseg (about ten minutes)
# make test     installs everything into .venv; lint, types, tests
# make test-all the same, and the tests that take long: real trainings, matrices over many networks
# make coverage says which lines of uninas the tests run, in processes that they start, too; ARGS="tests/ops" chooses
# make docs     builds the documentation as a site into build/site; opens from disk
# make wheel    builds an sdist, from it a wheel, and uses that outside of the checkout

PYTHON ?= python3
BIN := .venv/bin
# --no-compile: a module is compiled when it is first imported; all of torch at once would take longer than it saves.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
ARGS ?=

.PHONY: search demo test test-all coverage docs wheel lint

search: .venv/core
	$(BIN)/uninas search --max-params 30M $(ARGS)

demo: .venv/all
	$(BIN)/uninas demo $(ARGS)

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope -m "not slow" $(ARGS)

test-all: test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope -m slow $(ARGS)

coverage: .venv/all
	rm -rf build/coverage
	OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest -n 2 --dist loadscope $(or $(ARGS),-m "not slow"); failed=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage html --quiet && $(BIN)/coverage report; exit $$failed

docs: .venv/all
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: .venv/all
	OMP_NUM_THREADS=1 .ci/wheel

lint: .venv/all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --warnings

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable ".[report]"
	touch $@

.venv/all: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable ".[mm,bench,report,export,ray,docs,dev]"
	touch .venv/core $@
